//! dualwrite-operator.
