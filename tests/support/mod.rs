//! The test harness: a real etcd and kube-apiserver, the real operator process,
//! the real simulator process, and a proxy in between that can place a crash at an
//! exact boundary. Start at [`world::World`].
//!
//! The binary `cluster` says `mod support;`. The demo includes this file by `#[path]`.
#![allow(
    // The demo uses a part of this.
    dead_code, unreachable_pub, unused_imports,
    // A failing test is to stop right where it failed, with a message.
    clippy::unwrap_used, clippy::expect_used, clippy::panic,
    clippy::missing_panics_doc, missing_docs
)]

use std::sync::OnceLock;

pub mod api_forward;
pub mod api_proxy;
pub mod api_rules;
pub mod api_stale;
pub mod authority;
pub mod binaries;
pub mod cells;
pub mod contoso;
pub mod control_plane;
pub mod crash;
#[cfg(test)] // the demo has no use for it
pub mod double;
pub mod dump;
pub mod install;
pub mod keys;
pub mod kubeconfig;
pub mod kubectl;
pub mod namespace;
pub mod operator;
pub mod process;
pub mod reset;
pub mod simulator;
pub mod wait;
pub mod world;

pub use api_proxy::ApiProxy;
pub use api_rules::{Action, Match, Moment, Rule, Seen};
pub use control_plane::{ControlPlane, OPERATOR_USER, Options, SYSTEM_NAMESPACE};
pub use kubectl::{Kubectl, Output};
pub use namespace::Role;
pub use operator::Operator;
pub use simulator::Simulator;
pub use world::World;

/// For plain HTTP on the loopback address, past any proxy of the machine. One for all: to make one reads the system's
/// certificates.
fn http() -> &'static reqwest::Client {
    static HTTP: OnceLock<reqwest::Client> = OnceLock::new();
    HTTP.get_or_init(|| {
        // The client wants to be able to do TLS, also where it never does.
        let _ = rustls::crypto::ring::default_provider().install_default();
        reqwest::Client::builder()
            .no_proxy()
            // A connection that is kept belongs to the runtime of one test.
            .pool_max_idle_per_host(0)
            .build()
            .expect("an HTTP client")
    })
}
