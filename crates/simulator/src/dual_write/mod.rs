//! The dual-write service. It is not a documented API: what is known is [O], from two public
//! clients; each module says which parts are [I].
//!
//! An account may use what it administers; that others get 403 is [I].

pub(crate) mod connection_set;
pub(crate) mod link;
pub(crate) mod map_actions;
pub(crate) mod maps;
pub(crate) mod projects;
pub(crate) mod reset;
pub(crate) mod solutions;

use std::time::Duration;

use http::StatusCode;
use jiff::Timestamp;
use serde_json::json;

use crate::reply::Reply;
use crate::router::Call;
use crate::state::{FinanceOperations, Link, State};
use crate::world::World;

/// Goes on with everything that is under way at a host.
pub(crate) fn settle(
    host: &str,
    financials: &mut FinanceOperations,
    now: Timestamp,
    lag: Duration,
) {
    link::settle(host, financials, now);
    map_actions::settle(financials, now, lag);
    solutions::settle(financials, now, lag);
}

/// An error of the service. Its shape is [I]: clients are to tolerate any.
pub(crate) fn failure(status: StatusCode, message: &str) -> Reply {
    Reply::json(status, json!({"message": message}))
}

/// Whether the caller administers a host.
fn administers(state: &State, call: &Call<'_>, host: &str) -> bool {
    let Some(tenant) = state.tenants.get(&call.identity.tenant_id) else {
        return false;
    };
    let same_tenant = state
        .finance_operations
        .get(host)
        .is_none_or(|financials| financials.tenant_id == call.identity.tenant_id);
    same_tenant
        && tenant
            .accounts
            .get(&call.identity.name)
            .is_some_and(|account| account.finance_operations.includes(host))
}

fn forbidden() -> Reply {
    failure(
        StatusCode::FORBIDDEN,
        "The user does not have the permissions to perform this action.",
    )
}

/// The host whose connection set has this id or name; none while the environment is stopped.
fn linked_host(state: &State, wanted: impl Fn(&Link) -> bool) -> Option<String> {
    state
        .finance_operations
        .iter()
        .find(|(_, financials)| financials.link.as_ref().is_some_and(&wanted))
        .map(|(host, _)| host.clone())
}

/// An error that is the service's own fault, as when it is given an empty id.
fn crashed() -> Reply {
    failure(
        StatusCode::INTERNAL_SERVER_ERROR,
        "Object reference not set to an instance of an object.",
    )
}

/// The host and the key of the map whose project this is, if the caller may use it.
fn map_of_project(world: &World, call: &Call<'_>, pid: &str) -> Result<(String, String), Reply> {
    let found = world
        .state
        .finance_operations
        .iter()
        .find_map(|(host, financials)| {
            let is_it = |map: &crate::state::DualWriteMap| {
                map.pid
                    .as_deref()
                    .is_some_and(|own| own.eq_ignore_ascii_case(pid))
            };
            let (key, _) = financials.maps.iter().find(|(_, map)| is_it(map))?;
            Some((host.clone(), key.clone()))
        });
    let Some((host, key)) = found else {
        let message = format!("The project '{pid}' was not found.");
        return Err(failure(StatusCode::NOT_FOUND, &message));
    };
    if administers(&world.state, call, &host) {
        Ok((host, key))
    } else {
        Err(forbidden())
    }
}

/// The host of the connection set with this id, if the caller may use it.
fn host_of_set(world: &World, call: &Call<'_>, cid: &str) -> Result<String, Reply> {
    let host =
        linked_host(&world.state, |link| link.cid.eq_ignore_ascii_case(cid)).ok_or_else(|| {
            failure(
                StatusCode::NOT_FOUND,
                &format!("The connection set '{cid}' was not found."),
            )
        })?;
    if administers(&world.state, call, &host) {
        Ok(host)
    } else {
        Err(forbidden())
    }
}
