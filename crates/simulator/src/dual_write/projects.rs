//! The project of a map: field mappings, integration keys, the executions of its initial sync.
//!
//! - `getFieldMappings` [O]: `GET {pid}/FieldMappings`; its `name` is what the refresh takes. Only
//!   the outline of the answer is simulated.
//! - `refreshFieldMapping` [O]: `POST api/Project/{name}/Refresh`.
//! - `setIntegrationKeys` [O]: `POST api/dataset/{name}/IntegrationKeys`.
//! - `getCompanyExecutions` [O]: `GET api/ProjectExecutionWithCompanies/{pid}`; the words of its
//!   statuses are [I].

use http::StatusCode;
use serde_json::{Value, json};

use super::connection_set::dataverse_name;
use super::{administers, failure, forbidden, map_of_project};
use crate::reply::Reply;
use crate::router::Call;
use crate::state::{
    DualWriteMap, FinanceOperations, MapProgress, MapRequest, RequestAction, RequestState,
};
use crate::world::World;

const PROJECT: &str = "project-";

/// The connection set side, the map's key and the map of a project.
fn project<'w>(
    world: &'w World,
    call: &Call<'_>,
    pid: &str,
) -> Result<(&'w FinanceOperations, String, &'w DualWriteMap), Reply> {
    let (host, key) = map_of_project(world, call, pid)?;
    let financials = world.state.finance_operations.get(&host);
    financials
        .and_then(|financials| Some((financials, key.clone(), financials.maps.get(&key)?)))
        .ok_or_else(|| Reply::empty(StatusCode::NOT_FOUND))
}

pub(crate) fn field_mappings(world: &mut World, call: &Call<'_>) -> Reply {
    let pid = call.part(0);
    let (financials, map) = match project(world, call, pid) {
        Ok((financials, _, map)) => (financials, map),
        Err(refusal) => return refusal,
    };
    let template = map.templates.get(&map.active_template);
    Reply::ok(json!({
        "id": pid,
        "name": format!("{PROJECT}{pid}"),
        "displayName": map.t_name,
        "targetTypeList": ["AX", "CRM"],
        "isDualWriteProject": true,
        "areKeysMismatched": false,
        "tenant": financials.tenant_id,
        "templateIdentifier": {
            "id": map.active_template,
            "name": map.t_name,
            "displayName": format!("{} {}", map.t_name, template.map_or("", |template| &template.version)),
        },
        "entityMappingTasks": [{
            "name": map.t_name,
            "order": 1,
            "leftEnvironmentType": "AX",
            "rightEnvironmentType": "CRM",
            "legs": [{
                "sourceSchema": map.left.name,
                "sourceEnvironmentType": "AX",
                "destinationSchema": map.right.name,
                "destinationEnvironmentType": "CRM",
                "fieldMappings": [],
            }],
        }],
        "validationIssues": [],
    }))
}

pub(crate) fn refresh(world: &mut World, call: &Call<'_>) -> Reply {
    let pid = call.part(0).strip_prefix(PROJECT).unwrap_or_default();
    let (host, key) = match map_of_project(world, call, pid) {
        Ok(found) => found,
        Err(refusal) => return refusal,
    };
    let now = world.clock.now();
    let map = world
        .state
        .finance_operations
        .get_mut(&host)
        .and_then(|financials| financials.maps.get_mut(&key));
    if let Some(map) = map {
        map.refreshed_at = Some(now);
    }
    Reply::empty(StatusCode::OK).applied()
}

pub(crate) fn set_keys(world: &mut World, call: &Call<'_>) -> Reply {
    let name = call.part(0);
    let host = world
        .state
        .finance_operations
        .iter()
        .find(|(_, financials)| {
            let link = financials.link.as_ref();
            link.is_some_and(|link| dataverse_name(&world.state, link).eq_ignore_ascii_case(name))
        })
        .map(|(host, _)| host.clone());
    let Some(host) = host else {
        return failure(
            StatusCode::NOT_FOUND,
            &format!("The data set '{name}' was not found."),
        );
    };
    if !administers(&world.state, call, &host) {
        return forbidden();
    }
    let keys = call
        .json()
        .and_then(|mut body| serde_json::from_value(body.get_mut("integrationKeys")?.take()).ok());
    let Some(keys): Option<std::collections::BTreeMap<String, Vec<String>>> = keys else {
        return failure(StatusCode::BAD_REQUEST, "integrationKeys is missing.");
    };
    if let Some(financials) = world.state.finance_operations.get_mut(&host) {
        financials.integration_keys.extend(keys);
    }
    Reply::empty(StatusCode::OK).applied()
}

pub(crate) fn executions(world: &mut World, call: &Call<'_>) -> Reply {
    let pid = call.part(0);
    let (financials, key, map) = match project(world, call, pid) {
        Ok(found) => found,
        Err(refusal) => return refusal,
    };
    let mut syncs: Vec<_> = financials
        .requests
        .iter()
        .filter(|(_, request)| request.action == RequestAction::Start && !request.skip_initial_sync)
        .filter_map(|(id, request)| Some((id, request, request.maps.get(&key)?)))
        .collect();
    syncs.sort_by_key(|(_, request, _)| std::cmp::Reverse(request.created_at));
    let responses: Vec<Value> = syncs
        .into_iter()
        .flat_map(|(id, request, progress)| {
            financials
                .legal_entities
                .iter()
                .map(move |entity| execution(entity, id, request, progress, map))
        })
        .collect();
    Reply::ok(json!({
        "projectName": format!("{PROJECT}{pid}"),
        "projectExecutionResponses": responses,
    }))
}

/// The initial sync of one legal entity.
fn execution(
    entity: &str,
    request_id: &str,
    request: &MapRequest,
    progress: &MapProgress,
    map: &DualWriteMap,
) -> Value {
    let syncing = progress.state == RequestState::Waiting && progress.catches_up_at.is_some();
    let status = match progress.state {
        _ if syncing => "Executing",
        RequestState::Error => "Error",
        _ if map.error_rows > 0 => "Warning",
        _ => "Completed",
    };
    let (upserts, errors) = if syncing {
        (0, 0)
    } else {
        (map.rows, map.error_rows)
    };
    let import_errors: Vec<Value> = (0..errors.min(5))
        .map(|row| json!({"recordId": format!("{entity}-{row}"), "errorMessage": "The lookup value was not found."}))
        .collect();
    json!({
        "id": format!("{request_id}-{entity}"),
        "initialSyncRequestId": request_id,
        "legalEntityName": entity,
        "legalEntityId": entity,
        "submittedOn": request.created_at,
        "executionStatus": status,
        "upsertCount": upserts,
        "errorCount": errors,
        "taskExecutionStatuses": [{
            "name": map.t_name,
            "status": status,
            "isRunning": syncing,
            "legs": [{
                "displayName": format!("{} > {}", map.left.name, map.right.name),
                "status": status,
                "importErrors": import_errors,
            }],
        }],
    })
}
