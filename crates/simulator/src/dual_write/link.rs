//! Where dual-write is linked, and the first link.
//!
//! - `version` [O]: liveness; what it answers is [I].
//! - `getLink` [O]: `GET Environments?targetType=AX&identifier={host}`; an empty list, or an entry
//!   without `cid`, when the environment is not linked; an empty list when it is stopped, or when the
//!   identifier is a URL instead of a host name.
//! - `createLink` [I] in everything: `POST Environments?targetType=AX` with the body of Reset. It is
//!   refused when there is a link, when the host is not integrated, when legal entities are unknown,
//!   or when company names are doubled or blank ("Saving connection set failed! …" [D]).

use std::collections::HashSet;

use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{administers, failure, forbidden};
use crate::clock::later;
use crate::reply::Reply;
use crate::router::Call;
use crate::state::{
    Environment, FinanceOperations, Link, Linking, LinkingKind, NotLinkedAnswer, State, host_of,
};
use crate::world::World;

/// More cannot be linked [D].
pub(super) const MOST_LEGAL_ENTITIES: usize = 250;

/// Ends a link or a reset that is due.
pub(super) fn settle(host: &str, financials: &mut FinanceOperations, now: Timestamp) {
    let Some(linking) = financials.linking.take_if(|linking| linking.ends_at <= now) else {
        return;
    };
    let Some(environment_id) = linking.environment_id else {
        return;
    };
    let mut link = match (linking.kind, financials.link.take()) {
        // A reset keeps the connection set.
        (LinkingKind::Reset, Some(link)) => Link {
            environment_id,
            ..link
        },
        _ => Link {
            cid: String::new(),
            cname: String::new(),
            environment_id,
            linked_by: linking.by.clone(),
            is_solution_aware: true,
        },
    };
    if linking.kind == LinkingKind::Reset {
        link.linked_by = linking.by.or(link.linked_by);
    }
    link.complete(host);
    financials.link = Some(link);
    financials.legal_entities = linking.legal_entities;
}

pub(crate) fn version(_: &mut World, _: &Call<'_>) -> Reply {
    Reply::ok(json!("1.0.0.0"))
}

pub(crate) fn get(world: &mut World, call: &Call<'_>) -> Reply {
    let Some(identifier) = call.parameter("identifier").map(str::to_ascii_lowercase) else {
        return failure(
            StatusCode::BAD_REQUEST,
            "The parameter identifier is missing.",
        );
    };
    let Some(financials) = world.state.finance_operations.get(&identifier) else {
        return Reply::ok(json!([]));
    };
    if !administers(&world.state, call, &identifier) {
        return forbidden();
    }
    if !financials.running {
        return Reply::ok(json!([]));
    }
    match (&financials.link, financials.not_linked_answer) {
        (Some(link), _) => Reply::ok(json!([entry(&identifier, link)])),
        (None, NotLinkedAnswer::Empty) => Reply::ok(json!([])),
        (None, NotLinkedAnswer::EntryWithoutCid) => Reply::ok(json!([{
            "targetType": "AX",
            "displayName": identifier,
            "detail": {"isSolutionAware": true},
        }])),
    }
}

fn entry(host: &str, link: &Link) -> Value {
    json!({
        "cid": link.cid,
        "cname": link.cname,
        "targetType": "AX",
        "displayName": host,
        "powerAppsEnvironment": link.environment_id,
        "detail": {"isSolutionAware": link.is_solution_aware},
    })
}

/// The body of a link and of a reset.
pub(super) struct Wanted {
    pub(super) host: String,
    pub(super) environment_id: String,
    pub(super) legal_entities: Vec<String>,
}

impl Wanted {
    /// Reads the body, as strictly as the service can be expected to.
    pub(super) fn read(call: &Call<'_>) -> Result<Self, Reply> {
        let bad = |message: &str| failure(StatusCode::BAD_REQUEST, message);
        let body = call
            .json()
            .ok_or_else(|| bad("The body is not valid JSON."))?;
        let environment_id = body
            .get("powerAppsEnvironmentName")
            .and_then(Value::as_str)
            .filter(|id| !id.is_empty())
            .ok_or_else(|| bad("powerAppsEnvironmentName is missing."))?;
        let environments = body.get("environments").and_then(Value::as_array);
        let [customer_engagement, financials] = environments.map_or(&[][..], Vec::as_slice) else {
            return Err(bad(
                "environments has to name two environments, Dataverse first.",
            ));
        };
        let text = |value: &Value, key: &str| {
            value
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let target = text(customer_engagement, "targetType").to_ascii_uppercase();
        if !(target == "CRM" || target.contains("CDS"))
            || !text(financials, "targetType").eq_ignore_ascii_case("AX")
        {
            return Err(bad(
                "environments has to name two environments, Dataverse first.",
            ));
        }
        if !text(customer_engagement, "id").eq_ignore_ascii_case(environment_id) {
            return Err(bad(
                "The Dataverse environment is not the one that powerAppsEnvironmentName names.",
            ));
        }
        let (url, name) = (text(financials, "directUrl"), text(financials, "name"));
        let address = if url.is_empty() { name } else { url };
        let host = host_of(&address)
            .ok_or_else(|| bad("directUrl does not name a finance and operations environment."))?;
        let legal_entities = body
            .get("legalEntities")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect();
        Ok(Self {
            host,
            environment_id: environment_id.to_owned(),
            legal_entities,
        })
    }
}

pub(crate) fn create(world: &mut World, call: &Call<'_>) -> Reply {
    match try_create(world, call) {
        Ok(reply) | Err(reply) => reply,
    }
}

fn try_create(world: &mut World, call: &Call<'_>) -> Result<Reply, Reply> {
    let wanted = Wanted::read(call)?;
    if !administers(&world.state, call, &wanted.host) {
        return Err(forbidden());
    }
    check(&world.state, &wanted)?;
    let now = world.clock.now();
    let Some(financials) = world.state.finance_operations.get_mut(&wanted.host) else {
        return Err(not_found(&wanted.host));
    };
    let ends_at = later(now, financials.link_takes.0);
    financials.linking = Some(Linking {
        kind: LinkingKind::Link,
        environment_id: (!financials.link_gets_lost).then_some(wanted.environment_id),
        legal_entities: wanted.legal_entities,
        by: Some(call.identity.name.clone()),
        requested_at: now,
        ends_at,
    });
    world.settle();
    Ok(Reply::empty(StatusCode::ACCEPTED).applied())
}

fn not_found(host: &str) -> Reply {
    failure(
        StatusCode::NOT_FOUND,
        &format!("The environment '{host}' was not found."),
    )
}

fn check(state: &State, wanted: &Wanted) -> Result<(), Reply> {
    let refuse = |message: &str| Err(failure(StatusCode::BAD_REQUEST, message));
    let Some(financials) = state.finance_operations.get(&wanted.host) else {
        return Err(not_found(&wanted.host));
    };
    if !financials.running {
        return refuse("Failed to connect to AX");
    }
    if let Some(message) = &financials.link_fails_with {
        return refuse(message);
    }
    if financials.link.is_some() {
        return refuse("The environment is linked already.");
    }
    if financials.linking.is_some() {
        return refuse("The environment is being linked.");
    }
    if state.integrated_with(&wanted.host).is_none() {
        return refuse(
            "The finance and operations environment is not integrated with Power Platform.",
        );
    }
    let Some((_, environment)) = state.environment(&wanted.environment_id) else {
        return refuse("Failed to connect to CRM");
    };
    check_companies(environment, &wanted.legal_entities)
}

/// What the companies of a Dataverse allow.
pub(super) fn check_companies(
    environment: &Environment,
    legal_entities: &[String],
) -> Result<(), Reply> {
    let refuse = |message: &str| Err(failure(StatusCode::BAD_REQUEST, message));
    if legal_entities.len() > MOST_LEGAL_ENTITIES {
        return refuse("More than 250 legal entities cannot be linked.");
    }
    let mut names = HashSet::new();
    for company in &environment.companies {
        if company.name.trim().is_empty() || !names.insert(company.name.to_lowercase()) {
            return refuse(
                "Saving connection set failed! An item with the same key has already been added.",
            );
        }
    }
    Ok(())
}
