//! Liveness, readiness and metrics, on one port, without secrets.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use tokio::net::TcpListener;

use super::metrics::Metrics;
use crate::controller::watch::Shutdown;

/// What the admin server shows.
#[derive(Clone)]
pub struct Admin {
    /// Whether the stores hold what the API server has.
    pub ready: Arc<AtomicBool>,
    /// The numbers.
    pub metrics: Metrics,
}

/// Serves until the process ends.
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: TcpListener, admin: Admin, shutdown: Shutdown) -> std::io::Result<()> {
    let routes = Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(admin);
    axum::serve(listener, routes)
        .with_graceful_shutdown(shutdown)
        .await
}

async fn ready(State(admin): State<Admin>) -> impl IntoResponse {
    if admin.ready.load(Ordering::Relaxed) {
        (StatusCode::OK, "ok")
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "the resources have not been listed yet",
        )
    }
}

async fn metrics(State(admin): State<Admin>) -> impl IntoResponse {
    let content_type = [(
        header::CONTENT_TYPE,
        "application/openmetrics-text; version=1.0.0; charset=utf-8",
    )];
    match admin.metrics.text() {
        Ok(text) => (StatusCode::OK, content_type, text),
        Err(error) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            content_type,
            error.to_string(),
        ),
    }
}
