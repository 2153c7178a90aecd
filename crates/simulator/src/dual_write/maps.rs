//! Table maps.
//!
//! - `listMaps` [O]: `GET Entities?targetType=AX&cid=…`. The list can lag behind; that it then shows
//!   everything but the last requests as it was is [I]. Identity is `detail.tName`; `detail.tid` is
//!   the id of the version that is active; `detail.pid` is null until the map is initialised.
//! - `getMapStatus` [O]: `GET Status/{requestId}`, the maps of a request, not lagging; 404 for an
//!   unknown request is [I].
//! - `switchActiveVersion` [O]: `POST SolutionAware/{cid}/SwitchActive/{templateId}?pid=…`; that it
//!   is refused while the map runs is [I].
//! - `getPrerequisites` [O]: `POST GetTemplatePrerequisiteSequences/{cid}`, the order of starting.
//!
//! Which actions a state offers is [I], apart from those of a running map [O].

use http::StatusCode;
use serde_json::{Value, json};

use super::{administers, crashed, failure, forbidden, host_of_set, map_of_project};
use crate::reply::Reply;
use crate::router::Call;
use crate::state::{DualWriteMap, FinanceOperations, MapState, Part, Template};
use crate::world::World;

/// Requests that a map shows.
const MOST_LAST_REQUESTS: usize = 5;

pub(crate) fn list(world: &mut World, call: &Call<'_>) -> Reply {
    let host = match host_of_set(world, call, call.parameter("cid").unwrap_or_default()) {
        Ok(host) => host,
        Err(refusal) => return refusal,
    };
    let Some(financials) = world.state.finance_operations.get(&host) else {
        return Reply::ok(json!([]));
    };
    let now = world.clock.now();
    let maps: Vec<Value> = financials
        .maps
        .iter()
        .filter_map(|(id, map)| Some(shown(id, &map.listed(now)?, financials)))
        .collect();
    Reply::ok(json!(maps))
}

/// A map in the service's shape.
fn shown(id: &str, map: &DualWriteMap, financials: &FinanceOperations) -> Value {
    let part = |part: &Part, target: &str| {
        json!({
            "targetType": target,
            "name": part.name,
            "displayName": part.display_name.as_ref().unwrap_or(&part.name),
        })
    };
    let templates: Vec<Value> = map
        .templates
        .iter()
        .map(|(id, one)| template(id, one, &map.t_name))
        .collect();
    let active = map
        .templates
        .get(&map.active_template)
        .map(|one| template(&map.active_template, one, &map.t_name));
    json!({
        "leftEntity": part(&map.left, "AX"),
        "rightEntity": part(&map.right, "CRM"),
        "detail": {
            "tid": map.active_template,
            "tName": map.t_name,
            "pid": map.pid,
            "state": map.state.digit(),
            "actions": actions(map),
            "template": active,
            "templates": templates,
            "lastRequests": last_requests(id, financials),
            "tags": [],
            "isProjectDeleted": false,
        },
    })
}

fn template(id: &str, template: &Template, name: &str) -> Value {
    let mut numbers = template
        .version
        .split('.')
        .map(|part| part.parse::<u64>().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    json!({
        "id": id,
        "name": name,
        "displayName": name,
        "author": template.author,
        "version": {"major": next(), "minor": next(), "build": next(), "revision": next()},
    })
}

fn actions(map: &DualWriteMap) -> &'static [&'static str] {
    match map.state {
        _ if map.pid.is_none() => &["8"],
        MapState::None | MapState::Stopped | MapState::NotRunning => &["1"],
        MapState::InitialSync | MapState::CatchUp => &["4"],
        MapState::Running => &["4", "5"],
        MapState::Paused => &["4", "6"],
    }
}

/// The newest requests of a map, newest first.
fn last_requests(id: &str, financials: &FinanceOperations) -> Vec<Value> {
    let mut requests: Vec<_> = financials
        .requests
        .iter()
        .filter_map(|(request_id, request)| Some((request_id, request, request.maps.get(id)?)))
        .collect();
    requests.sort_by_key(|(_, request, _)| std::cmp::Reverse(request.created_at));
    requests
        .into_iter()
        .take(MOST_LAST_REQUESTS)
        .map(|(request_id, request, progress)| {
            json!({
                "requestId": request_id,
                "action": request.action.digit(),
                "state": progress.state.digit(),
                "errorMessage": progress.error_message,
                "createdOn": request.created_at,
                "modifiedOn": request.modified_at,
            })
        })
        .collect()
}

pub(crate) fn status(world: &mut World, call: &Call<'_>) -> Reply {
    let id = call.part(0);
    let found = world
        .state
        .finance_operations
        .iter()
        .find_map(|(host, financials)| Some((host, financials, financials.requests.get(id)?)));
    let Some((host, financials, request)) = found else {
        return failure(
            StatusCode::NOT_FOUND,
            &format!("The request '{id}' was not found."),
        );
    };
    if !administers(&world.state, call, host) {
        return forbidden();
    }
    let maps: Vec<Value> = request
        .maps
        .keys()
        .filter_map(|id| Some((id, financials.maps.get(id)?)))
        .map(|(id, map)| shown(id, map, financials))
        .collect();
    Reply::ok(json!(maps))
}

pub(crate) fn switch_active(world: &mut World, call: &Call<'_>) -> Reply {
    match try_switch(world, call) {
        Ok(reply) | Err(reply) => reply,
    }
}

fn try_switch(world: &mut World, call: &Call<'_>) -> Result<Reply, Reply> {
    host_of_set(world, call, call.part(0))?;
    let pid = call.parameter("pid").unwrap_or_default();
    if pid.is_empty() {
        return Err(crashed());
    }
    let (host, key) = map_of_project(world, call, pid)?;
    let (now, lag) = (world.clock.now(), world.state.settings.lag.maps.0);
    let map = world
        .state
        .finance_operations
        .get_mut(&host)
        .and_then(|financials| financials.maps.get_mut(&key))
        .ok_or_else(|| Reply::empty(StatusCode::NOT_FOUND))?;
    let template = call.part(1);
    if !map.templates.contains_key(template) {
        let message = format!("The template '{template}' was not found.");
        return Err(failure(StatusCode::NOT_FOUND, &message));
    }
    if !map.state.is_stopped() {
        let message = "The table map has to be stopped before its version is changed.";
        return Err(failure(StatusCode::BAD_REQUEST, message));
    }
    map.remember(now, lag);
    template.clone_into(&mut map.active_template);
    Ok(Reply::empty(StatusCode::OK).applied())
}

pub(crate) fn prerequisites(world: &mut World, call: &Call<'_>) -> Reply {
    let host = match host_of_set(world, call, call.part(0)) {
        Ok(host) => host,
        Err(refusal) => return refusal,
    };
    let wanted = call
        .json()
        .and_then(|body| serde_json::from_value::<Vec<String>>(body).ok());
    let (Some(wanted), Some(financials)) = (wanted, world.state.finance_operations.get(&host))
    else {
        return failure(
            StatusCode::BAD_REQUEST,
            "The body has to be a list of template ids.",
        );
    };
    let sequences: Vec<Vec<String>> = wanted.iter().map(|tid| sequence(financials, tid)).collect();
    Reply::ok(json!(sequences))
}

/// What has to run first, in order, and the map itself last.
fn sequence(financials: &FinanceOperations, tid: &str) -> Vec<String> {
    let Some(map) = financials
        .maps
        .values()
        .find(|map| map.templates.contains_key(tid))
    else {
        return Vec::new();
    };
    let mut names = Vec::new();
    let mut order = Vec::new();
    before(financials, map, &mut names, &mut order);
    // The version that was asked for, in place of the one that is active.
    if let Some(last) = order.last_mut() {
        tid.clone_into(last);
    }
    order
}

fn before<'f>(
    financials: &'f FinanceOperations,
    map: &'f DualWriteMap,
    names: &mut Vec<&'f str>,
    order: &mut Vec<String>,
) {
    names.push(&map.t_name);
    for name in &map.prerequisites {
        let found = financials.maps.values().find(|other| other.t_name == *name);
        if let Some(other) = found.filter(|other| !names.contains(&other.t_name.as_str())) {
            before(financials, other, names, order);
        }
    }
    order.push(map.active_template.clone());
}
