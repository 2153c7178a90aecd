//! The process: flags, logs, the admin server, shutdown, and everything put together.

pub mod admin;
pub mod cli;
pub mod panics;
pub mod run;
pub mod sign_in;
pub mod telemetry;
