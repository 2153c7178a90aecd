//! The simulator, as the operator and people meet it: the real binary, over TLS, at the real host
//! names. Each test has a simulator of its own, which ends with the test.

#[path = "simulator/harness.rs"]
mod harness;
#[path = "support/keys.rs"]
#[allow(clippy::expect_used, clippy::panic)] // a failing test stops where it failed
mod keys;

#[path = "simulator/control.rs"]
mod control;
#[path = "simulator/dataverse.rs"]
mod dataverse;
#[path = "simulator/faults.rs"]
mod faults;
#[path = "simulator/links.rs"]
mod links;
#[path = "simulator/maps.rs"]
mod maps;
#[path = "simulator/packages.rs"]
mod packages;
#[path = "simulator/power_platform.rs"]
mod power_platform;
#[path = "simulator/sign_in.rs"]
mod sign_in;
