//! A reset as a user meets it, with the real process: the plan, its approval, its end, and each way in which it can go
//! wrong. What becomes of it when the process dies is in `cluster_reset_crashes`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // a test stops where it failed

mod support;

#[path = "cluster_reset/approval.rs"]
mod approval;
#[path = "cluster_reset/backup.rs"]
mod backup;
#[path = "cluster_reset/failures.rs"]
mod failures;
#[path = "cluster_reset/maps.rs"]
mod maps;
#[path = "cluster_reset/plan.rs"]
mod plan;
