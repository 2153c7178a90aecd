//! The protocol against an API server and a Microsoft side in memory: every crash, every lost answer, every write that
//! somebody else is first with. In virtual time: no test here waits.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::struct_excessive_bools,
    missing_docs
)]

mod api_server;
#[path = "../../../plan/tests/plan/support/coverage.rs"]
mod coverage;
mod in_memory;
mod model;
mod reset_support;
#[path = "../../../plan/tests/plan/support/scene.rs"]
#[allow(dead_code)] // each binary uses its own part of this
mod scene;
#[path = "../../../plan/tests/plan/support/mod.rs"]
mod support;

mod advance_cells;
mod operation_reads;
mod reset_act;
mod reset_cells;
mod reset_properties;
mod stop_maps;
mod transitions;
mod trouble;
