//! The shell: the only place where Kubernetes, the decisions and Microsoft's APIs meet.
//!
//! Two controllers, one for each resource. A pass of either is: observe, decide, record, act (at most one effect),
//! report.
//!
//! | File | What it holds |
//! |---|---|
//! | [`context`] | what every pass shares |
//! | [`identities`] | Secrets to sessions, shared by resources with the same credential |
//! | [`reach`] | the hosts of a resource, checked, and its identities |
//! | [`reader`] | what is read at Microsoft's, for both controllers |
//! | [`allowed_claims`] | which namespace may claim which environments |
//! | [`condition_metrics`] | the conditions of connections, as metrics |
//! | [`connection`] | the controller of `DualWriteConnection` |
//! | [`contain`] | what becomes of a pass that panics |
//! | [`fair_queue`] | which pass is next |
//! | `kept` | reads that are kept, bounded in bytes |
//! | [`operation`] | the controller of `DualWriteOperation` |
//! | [`report`] | every write to Kubernetes |
//! | [`watch`] | streams, stores and triggers |

pub mod allowed_claims;
pub mod condition_metrics;
pub mod connection;
pub mod contain;
pub mod context;
pub mod fair_queue;
pub mod identities;
mod kept;
pub mod operation;
pub mod reach;
pub mod reader;
pub mod report;
pub mod turns;
pub mod watch;

/// The time, in whole milliseconds: finer ones make the times in a status hard to read.
pub fn now() -> jiff::Timestamp {
    let now = jiff::Timestamp::now();
    jiff::Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}
