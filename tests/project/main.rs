//! What the project promises about itself, without a control plane: generated files, dependencies, panics.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test stops where it failed

mod dependencies;
mod generated;
mod panics;
