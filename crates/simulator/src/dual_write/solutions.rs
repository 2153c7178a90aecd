//! Solutions, which bring table maps.
//!
//! - `listSolutions` [O]: `GET SolutionAware/{cid}/Solutions/`.
//! - `applySolution` [O]: `POST SolutionAware/{cid}/RestoreTemplates`; one solution at a time: when
//!   two run at once, maps of the later one appear twice.
//! - `getSolutionStatus` [O]: `GET SolutionAware/{cid}/Status/{requestId}`.
//!
//! That an unknown solution is refused with 400, and an unknown request with 404, is [I].

use std::collections::BTreeMap;
use std::time::Duration;

use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{failure, host_of_set};
use crate::clock::later;
use crate::reply::Reply;
use crate::router::Call;
use crate::state::{
    DualWriteMap, FinanceOperations, MapState, RequestState, Solution, SolutionRequest, key_of,
};
use crate::world::World;

/// Goes on with the solutions that are being applied.
pub(super) fn settle(financials: &mut FinanceOperations, now: Timestamp, lag: Duration) {
    let FinanceOperations {
        solution_requests,
        solutions,
        maps,
        ..
    } = financials;
    for request in solution_requests.values_mut() {
        if request.state != RequestState::Waiting || request.ends_at > now {
            continue;
        }
        request.state = RequestState::Completed;
        for name in &request.solutions {
            let Some(solution) = solutions.get(name) else {
                continue;
            };
            if let Some(message) = &solution.fails_with {
                request.state = RequestState::Error;
                request.message = Some(message.clone());
            } else {
                for (id, mut map) in brought(maps, solution, request.overlapped) {
                    map.remember_absence(request.ends_at, lag);
                    maps.insert(id, map);
                }
            }
        }
    }
}

/// The maps that come with a solution; a map that is there gets the versions that it lacks.
fn brought(
    maps: &mut BTreeMap<String, DualWriteMap>,
    solution: &Solution,
    twice: bool,
) -> Vec<(String, DualWriteMap)> {
    let mut new = Vec::new();
    for (id, map) in &solution.maps {
        if let Some(existing) = maps.get_mut(id) {
            for (template, version) in &map.templates {
                existing
                    .templates
                    .entry(template.clone())
                    .or_insert_with(|| version.clone());
            }
        } else {
            new.push((id.clone(), fresh(map)));
        }
        if twice {
            new.push(duplicate(map));
        }
    }
    new
}

fn fresh(map: &DualWriteMap) -> DualWriteMap {
    DualWriteMap {
        pid: None,
        state: MapState::Stopped,
        earlier: None,
        ..map.clone()
    }
}

/// The same map under other ids.
fn duplicate(map: &DualWriteMap) -> (String, DualWriteMap) {
    let id = Uuid::new_v4().to_string();
    let active = map
        .templates
        .get(&map.active_template)
        .cloned()
        .unwrap_or_default();
    let copy = DualWriteMap {
        templates: BTreeMap::from([(id.clone(), active)]),
        active_template: id.clone(),
        ..fresh(map)
    };
    (id, copy)
}

pub(crate) fn list(world: &mut World, call: &Call<'_>) -> Reply {
    let host = match host_of_set(world, call, call.part(0)) {
        Ok(host) => host,
        Err(refusal) => return refusal,
    };
    let Some(financials) = world.state.finance_operations.get(&host) else {
        return Reply::ok(json!([]));
    };
    let solutions: Vec<Value> = financials
        .solutions
        .iter()
        .map(|(name, solution)| {
            json!({
                "uniquename": name,
                "friendlyname": solution.friendly_name,
                "description": solution.description,
                "ismanaged": solution.is_managed,
                "version": solution.version,
            })
        })
        .collect();
    Reply::ok(json!(solutions))
}

pub(crate) fn apply(world: &mut World, call: &Call<'_>) -> Reply {
    match try_apply(world, call) {
        Ok(reply) | Err(reply) => reply,
    }
}

fn try_apply(world: &mut World, call: &Call<'_>) -> Result<Reply, Reply> {
    let host = host_of_set(world, call, call.part(0))?;
    let bad = |message: &str| failure(StatusCode::BAD_REQUEST, message);
    let body = call
        .json()
        .ok_or_else(|| bad("The body is not valid JSON."))?;
    let is_apply =
        matches!(body.get("action"), Some(action) if *action == json!("2") || *action == json!(2));
    if !is_apply {
        return Err(bad("The action is not known."));
    }
    let now = world.clock.now();
    let Some(financials) = world.state.finance_operations.get_mut(&host) else {
        return Err(Reply::empty(StatusCode::NOT_FOUND));
    };
    let solutions = names(&body)
        .map(|name| {
            key_of(&financials.solutions, name)
                .map(str::to_owned)
                .ok_or_else(|| bad(&format!("The solution '{name}' was not found.")))
        })
        .collect::<Result<Vec<_>, _>>()?;
    if solutions.is_empty() {
        return Err(bad("solutions is missing."));
    }
    let takes = solutions
        .iter()
        .filter_map(|name| financials.solutions.get(name))
        .map(|solution| solution.apply_takes.0)
        .sum();
    let running = |request: &SolutionRequest| request.state == RequestState::Waiting;
    let request = SolutionRequest {
        overlapped: solutions.len() > 1 || financials.solution_requests.values().any(running),
        solutions,
        state: RequestState::Waiting,
        message: None,
        created_at: now,
        ends_at: later(now, takes),
    };
    let id = Uuid::new_v4().to_string();
    financials.solution_requests.insert(id.clone(), request);
    world.settle();
    Ok(Reply::ok(json!({"requestId": id})).applied())
}

fn names(body: &Value) -> impl Iterator<Item = &str> {
    body.get("solutions")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|solution| solution.pointer("/criteria/uniquename")?.as_str())
}

pub(crate) fn status(world: &mut World, call: &Call<'_>) -> Reply {
    let host = match host_of_set(world, call, call.part(0)) {
        Ok(host) => host,
        Err(refusal) => return refusal,
    };
    let id = call.part(1);
    let request = world
        .state
        .finance_operations
        .get(&host)
        .and_then(|financials| financials.solution_requests.get(id));
    let Some(request) = request else {
        return failure(
            StatusCode::NOT_FOUND,
            &format!("The request '{id}' was not found."),
        );
    };
    Reply::ok(shown(id, request))
}

/// A request in the service's shape.
pub(super) fn shown(id: &str, request: &SolutionRequest) -> Value {
    json!({
        "requestId": id,
        "action": "2",
        "createdOn": request.created_at,
        "modifiedOn": request.ends_at,
        "state": request.state.digit(),
        "result": {"message": request.message, "status": request.state.digit()},
    })
}
