//! Bad input gets a clear condition, and no call leaves for a host that is not allowed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // a test stops where it failed

mod support;

#[path = "cluster_inputs/apart.rs"]
mod apart;
#[path = "cluster_inputs/claims.rs"]
mod claims;
#[path = "cluster_inputs/credentials.rs"]
mod credentials;
#[path = "cluster_inputs/crowd.rs"]
mod crowd;
#[path = "cluster_inputs/hostile.rs"]
mod hostile;
#[path = "cluster_inputs/hostile_reset.rs"]
mod hostile_reset;
#[path = "cluster_inputs/hosts.rs"]
mod hosts;
#[path = "cluster_inputs/proxy.rs"]
mod proxy;
