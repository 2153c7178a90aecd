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

mod reset_support;
mod support;

#[path = "support/model.rs"]
mod model;
#[path = "support/scene.rs"]
mod scene;
#[path = "support/worlds.rs"]
mod worlds;

mod advance;
mod advance_cells;
mod advance_ends;
mod checks;
mod deletion;
mod maps;
mod operation_reads;
mod properties;
mod reset_act;
mod reset_cells;
mod reset_properties;
mod rows_absence;
mod rows_after_reset;
mod rows_integration;
mod rows_linked;
mod rows_mix;
mod rows_occupied;
mod rows_plan;
mod rows_reset;
mod rows_setup;
mod rows_sources;
mod rows_time;
mod stop_maps;
mod transitions;
