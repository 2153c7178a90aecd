//! Power Platform environments.
//!
//! - `listEnvironments` [D]: `GET /environmentmanagement/environments`; pages by `@odata.nextLink`
//!   (the casing `@odata.nextlink` was met too [O]).
//! - `getEnvironment` [D]: `GET /environmentmanagement/environments/{id}`, 404 when there is none.
//!
//! What a caller without a role gets is [I]: an empty list for a role that sees nothing, 403 for no
//! role at all, 403 for an environment that exists outside the role. `$filter` knows comparisons
//! with `eq` that are joined by `and`, which is less than the real service.

mod query;

use http::StatusCode;
use serde_json::{Value, json};

use crate::access::error;
use crate::reply::Reply;
use crate::router::Call;
use crate::state::{Application, Environment, NextLinkCasing, State};
use crate::world::{Identity, World};

/// The versions of the API that are served.
const ENVIRONMENT_VERSIONS: [&str; 2] = ["2024-10-01", "2022-03-01-preview"];

/// Refuses a call without a version that is served.
pub(crate) fn check_version(call: &Call<'_>) -> Result<(), Reply> {
    match call.parameter("api-version") {
        Some(version) if ENVIRONMENT_VERSIONS.contains(&version) => Ok(()),
        Some(version) => Err(error(
            StatusCode::BAD_REQUEST,
            "UnsupportedApiVersion",
            &format!(
                "The HTTP resource that matches the request URI does not support the API version '{version}'."
            ),
        )),
        None => Err(error(
            StatusCode::BAD_REQUEST,
            "ApiVersionUnspecified",
            "An API version is required, but was not specified.",
        )),
    }
}

/// The application that calls; users are not given a role here.
pub(crate) fn application<'s>(state: &'s State, identity: &Identity) -> Option<&'s Application> {
    state
        .tenants
        .get(&identity.tenant_id)?
        .applications
        .get(&identity.name)
}

/// The environment, if the caller's role may see it; otherwise the refusal.
pub(crate) fn visible(state: &State, identity: &Identity, id: &str) -> Result<String, Reply> {
    let not_found = || {
        error(
            StatusCode::NOT_FOUND,
            "EnvironmentNotFound",
            &format!(
                "The environment '{id}' could not be found in the tenant '{}'.",
                identity.tenant_id
            ),
        )
    };
    let application = application(state, identity).ok_or_else(forbidden)?;
    if application.environments.is_none() {
        return Err(forbidden());
    }
    let (key, environment) = state.environment(id).ok_or_else(not_found)?;
    if environment.tenant_id != identity.tenant_id {
        return Err(not_found());
    }
    if !application.environments.includes(key) {
        return Err(forbidden());
    }
    Ok(key.to_owned())
}

fn forbidden() -> Reply {
    error(
        StatusCode::FORBIDDEN,
        "Forbidden",
        "The caller does not have the permission that this operation needs. Assign it a Power Platform role, or register it as a management application.",
    )
}

/// How an environment looks in the list and on its own.
pub(crate) fn listing(id: &str, environment: &Environment) -> Value {
    let mut listing = json!({
        "id": id,
        "tenantId": environment.tenant_id,
        "displayName": environment.display_name,
        "type": environment.kind,
        "state": environment.state,
        "geo": environment.geo,
        "azureRegion": environment.azure_region,
        "protectionLevel": environment.protection_level,
        "createdDateTime": environment.created_date_time,
    });
    let optional = [
        ("adminMode", environment.admin_mode.as_ref()),
        ("dataverseId", environment.dataverse_id.as_ref()),
        ("url", environment.url.as_ref()),
        ("domainName", environment.domain_name.as_ref()),
        ("version", environment.version.as_ref()),
    ];
    if let Some(fields) = listing.as_object_mut() {
        for (name, value) in optional {
            if let Some(value) = value {
                fields.insert(name.to_owned(), json!(value));
            }
        }
        if let Some(metadata) = &environment.fin_ops_metadata {
            let metadata = json!({"id": metadata.id, "type": metadata.kind, "url": metadata.url});
            fields.insert("finOpsMetadata".to_owned(), metadata);
        }
    }
    listing
}

/// The same, a little late if the scenario says so; none when it is not there yet.
fn late_listing(world: &World, id: &str, environment: &Environment) -> Option<Value> {
    match world.lagging_listing(id) {
        Some(Value::Null) => None,
        Some(earlier) => Some(earlier.clone()),
        None => Some(listing(id, environment)),
    }
}

pub(crate) fn get(world: &mut World, call: &Call<'_>) -> Reply {
    if let Err(refusal) = check_version(call) {
        return refusal;
    }
    let id = match visible(&world.state, &call.identity, call.part(0)) {
        Ok(id) => id,
        Err(refusal) => return refusal,
    };
    let listing = world
        .state
        .environments
        .get(&id)
        .and_then(|environment| late_listing(world, &id, environment));
    listing.map_or_else(
        || {
            let message = format!("The environment '{id}' could not be found.");
            error(StatusCode::NOT_FOUND, "EnvironmentNotFound", &message)
        },
        Reply::ok,
    )
}

pub(crate) fn list(world: &mut World, call: &Call<'_>) -> Reply {
    if let Err(refusal) = check_version(call) {
        return refusal;
    }
    let Some(application) =
        application(&world.state, &call.identity).filter(|one| !one.environments.is_none())
    else {
        return forbidden();
    };
    let rows = world
        .state
        .environments
        .iter()
        .filter(|(id, environment)| {
            environment.tenant_id == call.identity.tenant_id
                && application.environments.includes(id)
        })
        .filter_map(|(id, environment)| late_listing(world, id, environment));
    match query::apply(rows, call, world.state.settings.page_size) {
        Ok(page) => page_reply(page, call, world.state.settings.next_link_casing),
        Err(message) => error(StatusCode::BAD_REQUEST, "InvalidQuery", &message),
    }
}

fn page_reply(page: query::Page, call: &Call<'_>, casing: NextLinkCasing) -> Reply {
    let mut body = json!({"value": page.rows});
    if let (Some(next), Some(fields)) = (page.next, body.as_object_mut()) {
        let key = match casing {
            NextLinkCasing::Documented => "@odata.nextLink",
            NextLinkCasing::Lower => "@odata.nextlink",
        };
        fields.insert(
            key.to_owned(),
            json!(format!("https://{}{}?{next}", call.host, call.path)),
        );
    }
    Reply::ok(body)
}
