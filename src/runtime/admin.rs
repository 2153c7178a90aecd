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

use crate::{
    leader_election::{Leadership, Standing},
    metrics::Metrics,
};

/// What the admin server shows.
#[derive(Clone)]
pub struct Admin {
    /// Whether this replica leads. One that stands by is ready: it does all that it is there for, and rollouts and the
    /// `PodDisruptionBudget` count on it.
    pub leadership: Leadership,
    /// Whether the stores hold what the API server has.
    pub listed: Arc<AtomicBool>,
    /// The numbers.
    pub metrics: Metrics,
}

/// Serves until the process ends.
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: TcpListener, admin: Admin) -> std::io::Result<()> {
    let routes = Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(admin);
    axum::serve(listener, routes).await
}

async fn ready(State(admin): State<Admin>) -> impl IntoResponse {
    let why_not = match admin.leadership.standing() {
        Standing::StandingBy => None,
        Standing::Leading(_) if admin.listed.load(Ordering::Relaxed) => None,
        Standing::Leading(_) => Some("the resources have not been listed yet"),
        Standing::Undecided => Some("the lease has not been read yet"),
        Standing::Lost => Some("the lease is lost, and this process ends"),
    };
    match why_not {
        None => (StatusCode::OK, "ok"),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, why),
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
