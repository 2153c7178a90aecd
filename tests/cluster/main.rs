//! The whole, with real processes: etcd, kube-apiserver, the operator, and the simulator at Microsoft's side.
//!
//! All tests share one control plane, each with a namespace of its own; those that restart it, loosen its definitions or
//! need other flags start another.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test stops where it failed

mod admin;
mod admission;
mod audit;
mod company;
mod crashes;
mod credentials;
mod declarations;
mod deletion;
mod deploy;
mod double;
mod ending;
mod faults;
mod first_intent;
mod harness;
mod inputs;
mod main_path;
mod protocol;
mod protocol_edits;
mod redaction;
mod replicas;
mod reset;
mod reset_crashes;
mod rotation;
mod rows;
mod steady;
#[path = "../support/mod.rs"]
mod support;
