//! The clients of Microsoft's APIs against a server that misbehaves on demand.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
// Helpers of tests take what a test has at hand.
#![allow(clippy::needless_pass_by_value)]

mod applications;
mod arbitrary;
mod auth;
mod dataverse;
mod dual_write;
mod hosts;
mod http;
#[path = "../../../../tests/support/keys.rs"]
mod keys;
mod maps;
mod mutations;
mod power_platform;
mod reads;
mod refresh;
mod requests;
mod reset;
mod secrets;
mod solutions;
mod support;
mod tls;
