//! The dualwrite operator: joins Dynamics 365 finance and operations environments with Dataverse environments by
//! dual-write, and watches that they stay joined.
//!
//! | Module | What it is |
//! |---|---|
//! | [`controller`] | the shell: where Kubernetes, the decisions and Microsoft's APIs meet |
//! | [`leader_election`] | which replica works |
//! | [`metrics`] | numbers |
//! | [`runtime`] | the process: flags, logs, shutdown; it puts the others together |
//!
//! What they meet with are crates of their own: `dualwrite-api` (the resources), `dualwrite-plan` (the decisions) and
//! `dualwrite-microsoft` (the clients). None of them knows this one.

pub mod controller;
pub mod leader_election;
pub mod metrics;
pub mod runtime;
