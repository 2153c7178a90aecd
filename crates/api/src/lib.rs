//! The resources of `dualwrite.dev/v1alpha1`: what people write, read and approve.
//!
//! The schema of these types is the contract with users: `dualwrite-operator crd` prints it, `crds/` holds it, and a
//! test keeps the two equal. Admission checks shape only; what a value *means* is checked where it is used.

pub mod conditions;
pub mod connection;
pub mod operation;
pub mod values;

pub use conditions::{ConditionType, Reason};
pub use connection::{DualWriteConnection, DualWriteConnectionSpec, DualWriteConnectionStatus};
pub use operation::{DualWriteOperation, DualWriteOperationSpec, DualWriteOperationStatus};

/// The API group of both resources; also the prefix of every annotation, label and finalizer of the operator.
pub const GROUP: &str = "dualwrite.dev";

/// Annotation of a connection: any new value means "read everything now, and try again what failed".
pub const RECONCILE_AT: &str = "dualwrite.dev/reconcile-at";

/// Annotation of a connection: with its own name as the value it confirms `deletionPolicy: StopMaps`, so that deleting a
/// namespace or a chart by mistake stops nothing.
pub const CONFIRM_STOP: &str = "dualwrite.dev/confirm-stop";

/// Annotation of a Secret: the day, such as `2027-01-31`, on which its credential expires, for those of which nobody but
/// a person can know it.
pub const EXPIRES_ON: &str = "dualwrite.dev/expires-on";

/// Finalizer of a connection: held while its deletion is to stop the maps, until the operation that does so is recorded.
pub const STOP_MAPS_FINALIZER: &str = "dualwrite.dev/stop-maps";

/// Finalizer of an operation: held from before a step's intent is recorded until its outcome is.
pub const OPERATION_FINALIZER: &str = "dualwrite.dev/act";

/// The one field manager of everything that the operator writes.
pub const FIELD_MANAGER: &str = "dualwrite-operator";
