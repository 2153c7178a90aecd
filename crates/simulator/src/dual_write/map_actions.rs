//! Starting, stopping, pausing, resuming and initialising table maps.
//!
//! - `startMaps` [O]: `POST Start`; answers `{requestId}`, a bare id or an empty 202; an empty `tid`
//!   or (except for initialise) an empty `pid` makes it fail with 500. If the linked Dataverse was
//!   deleted, stopping fails with a 403 from the token exchange [D]; that every action does, and the
//!   words, are [I].
//!
//! That an action which does not fit the state of the map is accepted and then ends in request
//! state 3 is [I], and so is that a stop overtakes a request which is still under way.

use std::collections::BTreeMap;
use std::time::Duration;

use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{crashed, failure, host_of_set};
use crate::clock::later;
use crate::reply::Reply;
use crate::router::Call;
use crate::state::{
    DualWriteMap, FinanceOperations, MapProgress, MapRequest, MapState, RequestAction,
    RequestState, StartAnswer,
};
use crate::world::World;

/// Requests that a connection set remembers.
const MOST_REQUESTS: usize = 500;

/// Goes on with the requests of a host.
pub(super) fn settle(financials: &mut FinanceOperations, now: Timestamp, lag: Duration) {
    let FinanceOperations { requests, maps, .. } = financials;
    for request in requests.values_mut() {
        for (id, progress) in &mut request.maps {
            if progress.state != RequestState::Waiting {
                continue;
            }
            let Some(map) = maps.get_mut(id) else {
                progress.state = RequestState::Error;
                progress.error_message = Some("The table map no longer exists.".to_owned());
                continue;
            };
            if let Some(at) = progress.catches_up_at.take_if(|at| *at <= now) {
                set_state(map, MapState::CatchUp, at, lag);
            }
            if progress.ends_at <= now {
                request.modified_at = request.modified_at.max(progress.ends_at);
                finish(request.action, map, progress, lag);
            }
        }
    }
}

fn finish(
    action: RequestAction,
    map: &mut DualWriteMap,
    progress: &mut MapProgress,
    lag: Duration,
) {
    let at = progress.ends_at;
    if let Some(message) = &map.fails_with {
        progress.state = RequestState::Error;
        progress.error_message = Some(message.clone());
        if action == RequestAction::Start {
            set_state(map, MapState::NotRunning, at, lag);
        }
        return;
    }
    progress.state = RequestState::Completed;
    let state = match action {
        RequestAction::Start | RequestAction::Resume => MapState::Running,
        RequestAction::Stop => MapState::Stopped,
        RequestAction::Pause => MapState::Paused,
        RequestAction::Initialise => {
            map.remember(at, lag);
            map.pid.get_or_insert_with(|| Uuid::new_v4().to_string());
            MapState::Stopped
        }
    };
    set_state(map, state, at, lag);
}

fn set_state(map: &mut DualWriteMap, state: MapState, at: Timestamp, lag: Duration) {
    if map.state != state {
        map.remember(at, lag);
        map.state = state;
    }
}

pub(crate) fn start(world: &mut World, call: &Call<'_>) -> Reply {
    match try_start(world, call) {
        Ok(reply) | Err(reply) => reply,
    }
}

/// One map that a request names.
struct Detail {
    host: String,
    map: String,
    skip_initial_sync: bool,
}

fn try_start(world: &mut World, call: &Call<'_>) -> Result<Reply, Reply> {
    let bad = |message: &str| failure(StatusCode::BAD_REQUEST, message);
    let body = call
        .json()
        .ok_or_else(|| bad("The body is not valid JSON."))?;
    let digit = match body.get("action") {
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::String(digit)) => digit.clone(),
        _ => String::new(),
    };
    let action =
        RequestAction::from_digit(&digit).ok_or_else(|| bad("The action is not known."))?;
    let details = body
        .get("details")
        .and_then(Value::as_array)
        .filter(|details| !details.is_empty())
        .ok_or_else(|| bad("details is missing."))?
        .iter()
        .map(|detail| read(world, call, action, detail))
        .collect::<Result<Vec<_>, _>>()?;
    let host = details
        .first()
        .map(|detail| detail.host.clone())
        .unwrap_or_default();
    if details.iter().any(|detail| detail.host != host) {
        return Err(bad("All details have to be of one connection set."));
    }
    if lost_dataverse(world, &host) {
        return Err(failure(
            StatusCode::FORBIDDEN,
            "The token exchange for the linked Dataverse environment failed: Forbidden.",
        ));
    }
    let now = world.clock.now();
    let lag = world.state.settings.lag.maps.0;
    let Some(financials) = world.state.finance_operations.get_mut(&host) else {
        return Err(Reply::empty(StatusCode::NOT_FOUND));
    };
    let id = accept(financials, action, &details, now, lag);
    let reply = match financials.start_answer {
        StartAnswer::RequestId => Reply::ok(json!({"requestId": id})),
        StartAnswer::BareId => Reply::ok(json!(id)),
        StartAnswer::PlainId => Reply::text(StatusCode::OK, "text/plain; charset=utf-8", &id),
        StartAnswer::Empty => Reply::empty(StatusCode::ACCEPTED),
    };
    world.settle();
    Ok(reply.applied())
}

/// Whether the Dataverse environment that the host is linked to no longer exists.
fn lost_dataverse(world: &World, host: &str) -> bool {
    let financials = world.state.finance_operations.get(host);
    financials
        .and_then(|financials| financials.link.as_ref())
        .is_some_and(|link| world.state.environment(&link.environment_id).is_none())
}

fn read(
    world: &World,
    call: &Call<'_>,
    action: RequestAction,
    detail: &Value,
) -> Result<Detail, Reply> {
    let text = |key: &str| detail.get(key).and_then(Value::as_str).unwrap_or_default();
    let (tid, pid) = (text("tid"), text("pid"));
    if tid.is_empty() || (pid.is_empty() && action != RequestAction::Initialise) {
        return Err(crashed());
    }
    let host = host_of_set(world, call, text("cid"))?;
    let not_found = || {
        failure(
            StatusCode::NOT_FOUND,
            &format!("The table map '{tid}' was not found."),
        )
    };
    let financials = world
        .state
        .finance_operations
        .get(&host)
        .ok_or_else(not_found)?;
    let map = financials
        .maps
        .iter()
        .find(|(_, map)| {
            map.templates.contains_key(tid)
                && (pid.is_empty()
                    || map
                        .pid
                        .as_deref()
                        .is_some_and(|own| own.eq_ignore_ascii_case(pid)))
        })
        .map(|(id, _)| id.clone())
        .ok_or_else(not_found)?;
    let skip_initial_sync = detail
        .pointer("/parameters/skipInitialSync")
        .and_then(Value::as_bool)
        .unwrap_or(false);
    Ok(Detail {
        host,
        map,
        skip_initial_sync,
    })
}

/// Takes a request in; its id.
fn accept(
    financials: &mut FinanceOperations,
    action: RequestAction,
    details: &[Detail],
    now: Timestamp,
    lag: Duration,
) -> String {
    let mut maps = BTreeMap::new();
    for detail in details {
        let refusal = refusal(financials, action, &detail.map);
        if action == RequestAction::Stop {
            overtake(financials, &detail.map);
        }
        let syncs = action == RequestAction::Start && !detail.skip_initial_sync;
        let starts_at = if syncs {
            later(now, financials.initial_sync_takes.0)
        } else {
            now
        };
        let progress = MapProgress {
            state: if refusal.is_some() {
                RequestState::Error
            } else {
                RequestState::Waiting
            },
            catches_up_at: (syncs && refusal.is_none()).then_some(starts_at),
            ends_at: if refusal.is_some() {
                now
            } else {
                later(starts_at, financials.map_action_takes.0)
            },
            error_message: refusal,
        };
        if progress.state == RequestState::Waiting
            && let Some(map) = financials.maps.get_mut(&detail.map)
        {
            match action {
                RequestAction::Start if syncs => set_state(map, MapState::InitialSync, now, lag),
                RequestAction::Resume => set_state(map, MapState::CatchUp, now, lag),
                _ => {}
            }
        }
        maps.insert(detail.map.clone(), progress);
    }
    let id = Uuid::new_v4().to_string();
    let request = MapRequest {
        action,
        skip_initial_sync: details.iter().all(|detail| detail.skip_initial_sync),
        maps,
        created_at: now,
        modified_at: now,
    };
    financials.requests.insert(id.clone(), request);
    forget_old(financials);
    id
}

/// Why an action cannot be done with a map.
fn refusal(financials: &FinanceOperations, action: RequestAction, id: &str) -> Option<String> {
    let map = financials.maps.get(id)?;
    let is_waiting = |request: &MapRequest| {
        request
            .maps
            .get(id)
            .is_some_and(|progress| progress.state == RequestState::Waiting)
    };
    if action != RequestAction::Stop && financials.requests.values().any(is_waiting) {
        return Some("Another request for this table map is in progress.".to_owned());
    }
    let fits = match action {
        RequestAction::Start => map.state.is_stopped(),
        RequestAction::Stop => !map.state.is_stopped(),
        RequestAction::Pause => map.state == MapState::Running,
        RequestAction::Resume => map.state == MapState::Paused,
        RequestAction::Initialise => map.pid.is_none(),
    };
    (!fits).then(|| {
        format!(
            "The table map is in the state {}, which does not allow this action.",
            map.state.digit()
        )
    })
}

/// A stop ends what was asked for before it.
fn overtake(financials: &mut FinanceOperations, id: &str) {
    for request in financials.requests.values_mut() {
        if let Some(progress) = request.maps.get_mut(id)
            && progress.state == RequestState::Waiting
        {
            progress.state = RequestState::Error;
            progress.error_message =
                Some("The table map was stopped by a later request.".to_owned());
        }
    }
}

fn forget_old(financials: &mut FinanceOperations) {
    while financials.requests.len() > MOST_REQUESTS {
        let oldest = financials
            .requests
            .iter()
            .min_by_key(|(_, request)| request.created_at)
            .map(|(id, _)| id.clone());
        let Some(oldest) = oldest else { return };
        financials.requests.remove(&oldest);
    }
}
