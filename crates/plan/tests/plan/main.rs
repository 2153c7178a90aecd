//! What the decisions are held against: rows of the table, operations, properties over generated worlds. In process and in
//! virtual time: no test here waits.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::too_many_lines,
    clippy::struct_excessive_bools,
    missing_docs
)]

mod support;

#[path = "support/coverage.rs"]
#[allow(dead_code)] // the tests of the protocol count the cells
mod coverage;
#[path = "support/scene.rs"]
mod scene;
#[path = "support/worlds.rs"]
mod worlds;

mod advance;
mod advance_ends;
mod backup;
mod changed_facts;
mod checks;
mod company;
mod deletion;
mod lifetimes;
mod maps;
mod properties;
mod rows_absence;
mod rows_after_reset;
mod rows_approval;
mod rows_integration;
mod rows_linked;
mod rows_mix;
mod rows_occupied;
mod rows_plan;
mod rows_reset;
mod rows_setup;
mod rows_sources;
mod rows_time;
mod transitions;
