//! The dual-write service. It is not a documented API: what is known is [O], from two public
//! clients; each module says which parts are [I].
//!
//! An account may use what it administers; that others get 403 is [I].

pub(crate) mod connection_set;
pub(crate) mod link;

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
    _lag: Duration,
) {
    link::settle(host, financials, now);
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

/// The host of the connection set with this id, if the caller may use it.
#[expect(dead_code, reason = "the calls by connection set id follow")]
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
