//! The control API: plain HTTP for whoever runs the simulator.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::clock::Span;
use crate::router::names;
use crate::service::Simulator;
use crate::state::{State as Document, parse, read};

type Shared = State<Arc<Simulator>>;

/// A refusal: a status and a sentence.
struct Refusal(StatusCode, String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(json!({"error": self.1}))).into_response()
    }
}

fn unfit(message: String) -> Refusal {
    Refusal(StatusCode::UNPROCESSABLE_ENTITY, message)
}

/// The routes of the control API.
pub(crate) fn routes(simulator: Arc<Simulator>) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/state", get(get_state).put(put_state).patch(patch_state))
        .route(
            "/faults",
            get(list_faults).post(add_faults).delete(clear_faults),
        )
        .route("/faults/{id}", axum::routing::delete(delete_fault))
        .route("/faults/{id}/release", post(release_fault))
        .route("/journal", get(get_journal).delete(clear_journal))
        .route("/calls", get(get_calls).delete(clear_calls))
        .route("/calls/names", get(async || Json(names())))
        .route("/advance", post(advance))
        .route("/wait", get(wait))
        .fallback(async || {
            Refusal(
                StatusCode::NOT_FOUND,
                "There is no such path in the control API.".to_owned(),
            )
        })
        .method_not_allowed_fallback(async || {
            Refusal(
                StatusCode::METHOD_NOT_ALLOWED,
                "The control API does not serve this method here.".to_owned(),
            )
        })
        .layer(axum::extract::DefaultBodyLimit::max(256 * 1024 * 1024))
        .with_state(simulator)
}

fn body(bytes: &Bytes) -> Result<Value, Refusal> {
    let text =
        std::str::from_utf8(bytes).map_err(|_| unfit("The body is not UTF-8.".to_owned()))?;
    parse(text).map_err(unfit)
}

fn state_of(simulator: &Simulator) -> Result<Json<Value>, Refusal> {
    let mut world = simulator.world();
    world.settle();
    serde_json::to_value(&world.state)
        .map(Json)
        .map_err(|error| Refusal(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

async fn get_state(State(simulator): Shared) -> Result<Json<Value>, Refusal> {
    state_of(&simulator)
}

async fn put_state(State(simulator): Shared, bytes: Bytes) -> Result<Json<Value>, Refusal> {
    let state = Document::from_value(body(&bytes)?).map_err(unfit)?;
    simulator.world().replace(state);
    state_of(&simulator)
}

async fn patch_state(State(simulator): Shared, bytes: Bytes) -> Result<Json<Value>, Refusal> {
    let patch = body(&bytes)?;
    simulator.world().patch(patch).map_err(unfit)?;
    state_of(&simulator)
}

async fn list_faults(State(simulator): Shared) -> Json<Value> {
    Json(json!(simulator.faults.list()))
}

async fn add_faults(
    State(simulator): Shared,
    bytes: Bytes,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    let names = names();
    let ids = simulator
        .faults
        .add(body(&bytes)?, |call| names.contains(&call))
        .map_err(unfit)?;
    Ok((StatusCode::CREATED, Json(json!({"ids": ids}))))
}

async fn clear_faults(State(simulator): Shared) -> Json<Value> {
    let removed = simulator.faults.remove(None);
    Json(json!({"removed": removed}))
}

fn no_fault(id: &str) -> Refusal {
    Refusal(
        StatusCode::NOT_FOUND,
        format!("There is no fault with the id {id:?}."),
    )
}

async fn delete_fault(
    State(simulator): Shared,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refusal> {
    match simulator.faults.remove(Some(&id)) {
        0 => Err(no_fault(&id)),
        removed => Ok(Json(json!({"removed": removed}))),
    }
}

async fn release_fault(
    State(simulator): Shared,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refusal> {
    if simulator.faults.release(&id) {
        Ok(Json(json!({"released": id})))
    } else {
        Err(no_fault(&id))
    }
}

/// The entries, oldest first; the header counts those that made room for newer ones.
async fn get_journal(State(simulator): Shared) -> impl IntoResponse {
    let (entries, dropped) = simulator.journal.list();
    ([("journal-dropped", dropped.to_string())], Json(entries))
}

async fn clear_journal(State(simulator): Shared) -> StatusCode {
    simulator.journal.clear();
    StatusCode::NO_CONTENT
}

async fn get_calls(State(simulator): Shared) -> Json<Value> {
    Json(simulator.counts.list())
}

async fn clear_calls(State(simulator): Shared) -> StatusCode {
    simulator.counts.clear();
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    by: Span,
}

async fn advance(State(simulator): Shared, bytes: Bytes) -> Result<Json<Value>, Refusal> {
    let advance: Advance = read(body(&bytes)?).map_err(unfit)?;
    let now = {
        let mut world = simulator.world();
        world.clock.advance(advance.by.0);
        world.settle();
        world.clock.now()
    };
    simulator.counts.notify();
    Ok(Json(json!({"now": now})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wait {
    call: Option<String>,
    count: Option<u64>,
    fault: Option<String>,
    fired: Option<u64>,
    timeout: Option<Span>,
}

/// What a caller of `/wait` waits for.
enum Condition {
    Call(String, u64),
    Fault(String, u64),
}

impl Wait {
    fn condition(self) -> Result<Condition, Refusal> {
        match (self.call, self.fault) {
            (Some(call), None) if names().contains(&call.as_str()) => {
                Ok(Condition::Call(call, self.count.unwrap_or(1)))
            }
            (Some(call), None) => Err(unfit(format!("There is no call named {call:?}."))),
            (None, Some(fault)) => Ok(Condition::Fault(fault, self.fired.unwrap_or(1))),
            _ => Err(unfit(
                "Give either call (and count), or fault (and fired).".to_owned(),
            )),
        }
    }
}

impl Condition {
    /// How often so far, and how often it is to be.
    fn progress(&self, simulator: &Simulator) -> Result<(u64, u64), Refusal> {
        match self {
            Self::Call(call, count) => Ok((simulator.counts.of(call), *count)),
            Self::Fault(id, fired) => {
                let so_far = simulator.faults.fired(id).ok_or_else(|| no_fault(id))?;
                Ok((so_far, *fired))
            }
        }
    }
}

async fn wait(State(simulator): Shared, Query(query): Query<Wait>) -> Result<Json<Value>, Refusal> {
    let timeout = query
        .timeout
        .map_or(Duration::from_secs(10), |timeout| timeout.0);
    let condition = query.condition()?;
    let mut changes = simulator.counts.subscribe();
    let reached = tokio::time::timeout(timeout, async {
        loop {
            let (so_far, wanted) = condition.progress(&simulator)?;
            if so_far >= wanted {
                return Ok(so_far);
            }
            if changes.changed().await.is_err() {
                return Err(Refusal(
                    StatusCode::GONE,
                    "The simulator is ending.".to_owned(),
                ));
            }
        }
    });
    if let Ok(reached) = reached.await {
        return reached.map(|count| Json(json!({"count": count})));
    }
    let (so_far, wanted) = condition.progress(&simulator)?;
    Err(Refusal(
        StatusCode::REQUEST_TIMEOUT,
        format!(
            "It happened {so_far} times of {wanted} in {}.",
            humantime::format_duration(timeout)
        ),
    ))
}
