//! What a pass comes to.

use jiff::Timestamp;

use super::verdict::Row;
use dualwrite_api::{DualWriteConnectionStatus, DualWriteOperationSpec, Reason};

/// What a pass comes to.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The row that matched; `None` while suspended.
    pub row: Option<Row>,
    /// The status as it should be.
    pub status: DualWriteConnectionStatus,
    /// The one thing to do, if there is one.
    pub effect: Option<Effect>,
    /// Finished operations that are no longer kept, by name.
    pub forget: Vec<String>,
    /// What to tell as events, once the status is written.
    pub events: Vec<Event>,
    /// When to look again.
    pub next: Timestamp,
}

/// The one thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Create this operation.
    Create {
        /// Its name.
        name: String,
        /// Its plan.
        spec: Box<DualWriteOperationSpec>,
    },
    /// Give up this operation, which has not started.
    Void {
        /// Its name.
        name: String,
        /// Why, in words.
        message: String,
    },
}

/// Something worth telling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Whether it is bad news.
    pub warning: bool,
    /// What it is, for machines.
    pub reason: Reason,
    /// What it is, for people.
    pub note: String,
}
