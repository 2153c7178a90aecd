//! The process: flags, logs, metrics, the admin server, leader election and shutdown.

pub mod admin;
pub mod cli;
pub mod election;
pub mod leadership;
pub mod metrics;
pub mod panics;
pub mod run;
pub mod sign_in;
pub mod telemetry;
