//! A dual-write service, a Kubernetes and an operator that dies in them, all in virtual time: what the tests of a reset
//! share.
#![allow(
    dead_code,
    unused_imports,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::struct_excessive_bools,
    missing_docs
)]

pub mod answers;
pub mod cells;
pub mod ends;
pub mod events;
pub mod operator;
pub mod plan;
pub mod reads;
pub mod service;
pub mod shell;

pub use answers::*;
pub use cells::*;
pub use ends::*;
pub use events::*;
pub use operator::*;
pub use plan::*;
pub use service::*;
pub use shell::*;

pub use dualwrite_plan::world::after;

use std::time::Duration;

use jiff::Timestamp;

pub fn start() -> Timestamp {
    "2026-03-02T22:00:00Z".parse().unwrap()
}

pub const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

pub const fn minutes(count: u64) -> Duration {
    Duration::from_secs(count * 60)
}

pub const fn hours(count: u64) -> Duration {
    Duration::from_secs(count * 3600)
}
