//! The connection set of a link.
//!
//! - `getConnectionSet` [O]: `GET api/ConnectionSet/{cname}`; `environments` is an object keyed by
//!   name, and the name of the Dataverse side is its host.

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::{administers, failure, forbidden, linked_host};
use crate::reply::Reply;
use crate::router::Call;
use crate::state::{FinanceOperations, Link, State, host_of};
use crate::world::World;

pub(crate) fn get(world: &mut World, call: &Call<'_>) -> Reply {
    let name = call.part(0);
    let state = &world.state;
    let Some(host) = linked_host(state, |link| link.cname.eq_ignore_ascii_case(name)) else {
        let message = format!("The connection set '{name}' was not found.");
        return failure(StatusCode::NOT_FOUND, &message);
    };
    if !administers(state, call, &host) {
        return forbidden();
    }
    let Some(financials) = state.finance_operations.get(&host) else {
        return Reply::empty(StatusCode::NOT_FOUND);
    };
    match &financials.link {
        Some(link) => Reply::ok(connection_set(state, &host, financials, link)),
        None => Reply::empty(StatusCode::NOT_FOUND),
    }
}

/// The name under which the Dataverse side is known: its host.
pub(crate) fn dataverse_name(state: &State, link: &Link) -> String {
    state
        .environment(&link.environment_id)
        .and_then(|(_, environment)| host_of(environment.url.as_deref()?))
        .unwrap_or_else(|| format!("{}.crm.dynamics.com", link.environment_id))
}

fn connection_set(state: &State, host: &str, financials: &FinanceOperations, link: &Link) -> Value {
    let dataverse = dataverse_name(state, link);
    let environments: Map<String, Value> = [
        (
            dataverse.clone(),
            dataverse_side(state, financials, link, &dataverse),
        ),
        (host.to_owned(), financials_side(host, financials, link)),
    ]
    .into_iter()
    .collect();
    let mappings: Vec<Value> = financials
        .legal_entities
        .iter()
        .map(|entity| json!({"left": {"name": entity, "id": entity}, "right": {"name": entity, "id": entity}}))
        .collect();
    json!({
        "id": link.cid,
        "name": link.cname,
        "displayName": link.cname,
        "tenant": financials.tenant_id,
        "owner": link.linked_by,
        "forDualWrite": true,
        "targetTypeList": ["AX", "CRM"],
        "environments": environments,
        "dualWriteDetail": {
            "legalEntityMappings": {"leftEnvironment": host, "rightEnvironment": dataverse, "mappings": mappings},
            "alertSettings": financials.alert_settings,
            "solutionAwareRequests": solution_requests(financials),
            "isSolutionAware": link.is_solution_aware,
            "isOnFirstPartyAuth": true,
        },
    })
}

fn dataverse_side(state: &State, financials: &FinanceOperations, link: &Link, name: &str) -> Value {
    let environment = state
        .environment(&link.environment_id)
        .map(|(_, environment)| environment);
    let schemas: Vec<Value> = financials
        .integration_keys
        .iter()
        .map(|(table, fields)| {
            json!({
                "name": table,
                "id": format!("{name}-{table}"),
                "keys": [{"name": "userKeys", "displayName": "userKeys", "fields": fields, "isIntegrationKey": true}],
            })
        })
        .collect();
    json!({
        "name": name,
        "connectionSetName": link.cname,
        "targetType": "CRM",
        "environmentDisplayName": environment.map(|environment| environment.display_name.as_str()),
        "powerAppsEnvironment": link.environment_id,
        "directUrl": environment.and_then(|environment| environment.url.as_deref()),
        "isDevInstance": false,
        "needsIntegrationKey": true,
        "schemas": schemas,
    })
}

fn financials_side(host: &str, financials: &FinanceOperations, link: &Link) -> Value {
    json!({
        "name": host,
        "connectionSetName": link.cname,
        "targetType": "AX",
        "environmentDisplayName": host,
        "powerAppsEnvironment": link.environment_id,
        "directUrl": format!("https://{host}"),
        "isDevInstance": financials.is_dev_instance,
        "needsIntegrationKey": false,
        "schemas": [],
    })
}

fn solution_requests(financials: &FinanceOperations) -> Vec<Value> {
    financials
        .solution_requests
        .iter()
        .map(|(id, request)| super::solutions::shown(id, request))
        .collect()
}
