//! One callback per call, so that metrics need no hook inside the clients.

use std::time::Duration;

use super::error::Api;

/// Is told about every request that was tried.
pub trait CallObserver: Send + Sync {
    /// One request has ended.
    ///
    /// `code` comes from a small set: the HTTP status, or `timeout`, `connect` (nothing was written),
    /// `lost` (the answer did not arrive whole) or `late` (a deadline passed before anything was written).
    fn call(&self, api: Api, operation: &'static str, code: &str, took: Duration);
}

/// Observes nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unobserved;

impl CallObserver for Unobserved {
    fn call(&self, _: Api, _: &'static str, _: &str, _: Duration) {}
}
