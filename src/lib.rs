//! dualwrite-operator.

pub mod microsoft;
