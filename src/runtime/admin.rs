//! Liveness and readiness on one port, and metrics on another: they share nothing but the process.

mod reviews;
mod scrapes;
mod server;

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::Context as _;
use axum::{Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use kube::Client;
use tokio::net::TcpListener;

use self::{reviews::Reviews, scrapes::Readers, server::Limits};
use super::cli;
use crate::{
    leader_election::{Leadership, Standing},
    metrics::Metrics,
};

/// Where both servers listen.
pub struct Listeners {
    health: TcpListener,
    metrics: TcpListener,
}

impl Listeners {
    /// Listens where the flags say.
    ///
    /// # Errors
    /// When an address is taken, or not of this machine.
    pub async fn bind(flags: &cli::Run) -> anyhow::Result<Self> {
        let listeners = Self {
            health: listen("--admin-addr", flags.admin_addr).await?,
            metrics: listen("--metrics-addr", flags.metrics_addr).await?,
        };
        let address = listeners.health.local_addr()?;
        let metrics_address = listeners.metrics.local_addr()?;
        tracing::info!(%address, %metrics_address, "admin server listening");
        Ok(listeners)
    }
}

async fn listen(flag: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address).await;
    listener.with_context(|| format!("the operator cannot listen on {address} ({flag})"))
}

/// What is shown about the process.
#[derive(Clone)]
pub struct Health {
    /// Whether this replica leads. One that stands by is ready: it does all that it is there for, and rollouts and the
    /// `PodDisruptionBudget` count on it.
    pub leadership: Leadership,
    /// Whether the stores hold what the API server has.
    pub listed: Arc<AtomicBool>,
}

/// The numbers, and for whom they are.
pub struct Shown {
    /// The numbers.
    pub metrics: Metrics,
    /// Who may read them.
    pub auth: cli::MetricsAuth,
    /// A client that may ask the API server who somebody is.
    pub client: Client,
}

/// Serves until the process ends.
pub async fn serve(listeners: Listeners, health: Health, shown: Shown) -> Infallible {
    let readers = match shown.auth {
        cli::MetricsAuth::None => Readers::Anybody,
        cli::MetricsAuth::Kubernetes => Readers::Allowed(Reviews::new(shown.client)),
    };
    let scrapes = scrapes::routes(shown.metrics, readers);
    let (never, _) = tokio::join!(
        server::serve(listeners.health, health_routes(health), Limits::default()),
        server::serve(listeners.metrics, scrapes, Limits::default()),
    );
    never
}

fn health_routes(health: Health) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(ready))
        .with_state(health)
}

async fn ready(State(health): State<Health>) -> impl IntoResponse {
    let why_not = match health.leadership.standing() {
        Standing::StandingBy => None,
        Standing::Leading(_) if health.listed.load(Ordering::Relaxed) => None,
        Standing::Leading(_) => Some("the resources have not been listed yet"),
        Standing::Undecided => Some("the lease has not been read yet"),
        Standing::Lost => Some("the lease is lost, and this process ends"),
    };
    match why_not {
        None => (StatusCode::OK, "ok"),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, why),
    }
}
