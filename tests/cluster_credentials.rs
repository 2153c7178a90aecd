//! Every form of identity, end to end: it works, it breaks while the operator runs, it is mended, and nobody restarts
//! anything.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // a failed test stops where it failed

mod support;

#[path = "cluster_credentials/applications.rs"]
mod applications;
