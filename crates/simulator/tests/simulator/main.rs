//! The simulator, as the operator and people meet it: the real binary, over TLS, at the real host
//! names. Each test has a simulator of its own, which ends with the test.

mod harness;
#[path = "../../../../tests/support/keys.rs"]
#[allow(clippy::expect_used, clippy::panic)] // a failing test stops where it failed
mod keys;

mod control;
mod dataverse;
mod faults;
mod links;
mod maps;
mod packages;
mod power_platform;
mod sign_in;
