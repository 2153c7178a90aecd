//! One callback per call, so that metrics need no hook inside the clients.

use std::time::Duration;

use super::error::Call;

/// Is told about every request that was tried.
pub trait CallObserver: Send + Sync {
    /// One request has ended.
    ///
    /// `code` comes from a small set: the HTTP status, or `timeout`, `connect` (nothing was written),
    /// `lost` (the answer did not arrive whole) or `late` (a deadline passed before anything was written).
    fn call(&self, call: Call, code: &str, took: Duration);
}

/// Observes nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unobserved;

impl CallObserver for Unobserved {
    fn call(&self, _: Call, _: &str, _: Duration) {}
}
