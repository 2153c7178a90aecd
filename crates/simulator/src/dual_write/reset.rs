//! Resetting a link.
//!
//! - `resetLink` [O] with the current destination in the body, [I] with another one:
//!   `POST api/ConnectionSet/{cid}/Reset`. It clears maps, keys, legal entities and alert settings
//!   [D], and ends at the Dataverse that the integration names [D] (a scenario can say otherwise).
//!   2xx means accepted: until it is done the link reads back as it was, which is [I], and so is
//!   that the connection set stays the same one. All maps have to be stopped, or `forceReset` [D].
//!   Without an integration it is refused; on a cloud-hosted development environment it refreshes
//!   the link that there is [D].

use http::StatusCode;

use super::link::{Wanted, check_companies};
use super::{failure, host_of_set};
use crate::clock::later;
use crate::reply::Reply;
use crate::router::Call;
use crate::state::{FinanceOperations, Linking, LinkingKind, ResetEndsAt, State};
use crate::world::World;

pub(crate) fn reset(world: &mut World, call: &Call<'_>) -> Reply {
    match try_reset(world, call) {
        Ok(reply) | Err(reply) => reply,
    }
}

fn try_reset(world: &mut World, call: &Call<'_>) -> Result<Reply, Reply> {
    let host = host_of_set(world, call, call.part(0))?;
    let wanted = Wanted::read(call)?;
    if wanted.host != host {
        return Err(refusal(
            "The environments are not those of the connection set.",
        ));
    }
    let force = call
        .parameter("forceReset")
        .is_some_and(|force| force.eq_ignore_ascii_case("true"));
    let target = check(&world.state, &host, &wanted, force)?;
    let now = world.clock.now();
    let Some(financials) = world.state.finance_operations.get_mut(&host) else {
        return Err(Reply::empty(StatusCode::NOT_FOUND));
    };
    clear(financials);
    financials.linking = Some(Linking {
        kind: LinkingKind::Reset,
        environment_id: Some(target),
        legal_entities: wanted.legal_entities,
        by: Some(call.identity.name.clone()),
        requested_at: now,
        ends_at: later(now, financials.reset_takes.0),
    });
    let mut reply = Reply::empty(StatusCode::OK).applied();
    reply.takes = financials.reset_answer_takes.0;
    world.settle();
    Ok(reply)
}

fn refusal(message: &str) -> Reply {
    failure(StatusCode::BAD_REQUEST, message)
}

/// What a reset takes away for good.
fn clear(financials: &mut FinanceOperations) {
    financials.maps.clear();
    financials.integration_keys.clear();
    financials.legal_entities.clear();
    financials.alert_settings.clear();
    financials.requests.clear();
    financials.solution_requests.clear();
}

/// Where the reset ends, or why there is none.
fn check(state: &State, host: &str, wanted: &Wanted, force: bool) -> Result<String, Reply> {
    let Some(financials) = state.finance_operations.get(host) else {
        return Err(Reply::empty(StatusCode::NOT_FOUND));
    };
    let Some(link) = &financials.link else {
        return Err(Reply::empty(StatusCode::NOT_FOUND));
    };
    if !financials.running {
        return Err(refusal("Failed to connect to AX"));
    }
    if financials.linking.is_some() {
        return Err(refusal("The connection set is being changed already."));
    }
    if !force && financials.maps.values().any(|map| !map.state.is_stopped()) {
        return Err(refusal("All table maps have to be stopped before a reset."));
    }
    let integrated = state.integrated_with(host).map(|(id, _)| id);
    let target = match (integrated, financials.reset_ends_at) {
        (None, _) if is_cloud_hosted(host) => link.environment_id.as_str(),
        (None, _) => {
            return Err(refusal(
                "The finance and operations environment is not integrated with Power Platform.",
            ));
        }
        (Some(integrated), ResetEndsAt::Integration) => integrated,
        (Some(_), ResetEndsAt::Current) => link.environment_id.as_str(),
        (Some(_), ResetEndsAt::Body) => wanted.environment_id.as_str(),
    };
    let Some((target, environment)) = state.environment(target) else {
        return Err(refusal("Failed to connect to CRM"));
    };
    check_companies(environment, &wanted.legal_entities)?;
    Ok(target.to_owned())
}

/// Hosts of cloud-hosted development environments.
fn is_cloud_hosted(host: &str) -> bool {
    host.contains(".cloudax.") || host.contains(".axcloud.")
}
