//! The process: flags, logs, metrics, the admin server and shutdown.

pub mod admin;
pub mod cli;
pub mod metrics;
pub mod run;
pub mod sign_in;
pub mod telemetry;
