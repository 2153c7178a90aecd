//! Every course of events within bounds, gone through by a model checker: the real decisions, on a model of whatever they
//! cannot choose. docs/architecture.md says what is asked, within which bounds, and what is left out.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::struct_excessive_bools,
    missing_docs
)]

mod chances;
mod checking;
mod clock;
mod microsoft;
mod operator;
#[path = "../../../plan/tests/plan/support/mod.rs"]
mod support;

mod creations;
mod deletions;
mod ends;
mod replay;
mod requests;
