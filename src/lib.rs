//! The dualwrite operator: joins Dynamics 365 finance and operations environments with Dataverse environments by
//! dual-write, and watches that they stay joined.
//!
//! | Module | What it is |
//! |---|---|
//! | [`api`] | the resources that people write and read |
//! | [`plan`] | the decisions: pure, no I/O, no clock, no randomness |
//! | [`microsoft`] | the outside: clients that know nothing of Kubernetes |
//! | [`controller`] | the shell: the only place where all of these meet |
//! | [`runtime`] | the process: flags, logs, metrics, shutdown |

pub mod api;
pub mod controller;
pub mod microsoft;
pub mod plan;
pub mod runtime;
