//! Silence when nothing changes, and starts and ends of the process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // a test stops where it failed

mod support;

#[path = "cluster_steady/process.rs"]
mod process;
#[path = "cluster_steady/silence.rs"]
mod silence;
