//! Each fault of Microsoft's side, alone, on each call: it ends in the right state, and nothing is done twice.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // a test stops where it failed

mod support;

#[path = "cluster_faults/mutations.rs"]
mod mutations;
#[path = "cluster_faults/reads.rs"]
mod reads;
#[path = "cluster_faults/shapes.rs"]
mod shapes;
