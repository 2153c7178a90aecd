//! The decision table, row by row, with the real process: what a person sees, and that nothing is changed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // a test stops where it failed

mod support;

#[path = "cluster_rows/checks.rs"]
mod checks;
#[path = "cluster_rows/claims.rs"]
mod claims;
#[path = "cluster_rows/deletion.rs"]
mod deletion;
#[path = "cluster_rows/drift.rs"]
mod drift;
#[path = "cluster_rows/people.rs"]
mod people;
#[path = "cluster_rows/table.rs"]
mod table;
#[path = "cluster_rows/way.rs"]
mod way;
