//! The Dataverse Web API of an environment.
//!
//! - `retrieveIntegrationDetails` [D]: `RetrieveFinanceAndOperationsIntegrationDetails`; 400 with the
//!   code 0x80048d0b when the organisation is not integrated.
//! - `listSystemUsers`, `listCompanies`, `whoAmI` [D].
//! - 403 for an application that is not a user of the organisation [D]. (That a fresh organisation
//!   answers 403 for the first minutes [O] is a fault in a scenario.)

use http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::access::error;
use crate::power_platform;
use crate::reply::Reply;
use crate::router::Call;
use crate::state::{DataverseIntegration, DataverseWord, Environment, Scope};
use crate::world::World;

/// The environment whose Dataverse this is, if the caller is a user of it.
fn organisation<'w>(
    world: &'w World,
    call: &Call<'_>,
) -> Result<(&'w str, &'w Environment), Reply> {
    let (id, environment) = world
        .environment_of_dataverse(call.host)
        .and_then(|id| world.state.environments.get_key_value(id))
        .ok_or_else(|| Reply::empty(StatusCode::NOT_FOUND))?;
    let is_user = power_platform::application(&world.state, &call.identity)
        .is_some_and(|application| application.dataverse.includes(id));
    let disabled = environment.application_users.iter().any(|user| {
        user.is_disabled
            && user
                .application_id
                .eq_ignore_ascii_case(&call.identity.name)
    });
    if is_user && !disabled {
        return Ok((id, environment));
    }
    Err(error(
        StatusCode::FORBIDDEN,
        "0x80072560",
        "The user is not a member of the organization.",
    ))
}

fn context(call: &Call<'_>, what: &str) -> String {
    format!("https://{}/api/data/v9.2/$metadata#{what}", call.host)
}

pub(crate) fn integration_details(world: &mut World, call: &Call<'_>) -> Reply {
    let environment = match organisation(world, call) {
        Ok((_, environment)) => environment,
        Err(refusal) => return refusal,
    };
    let followed = environment.fin_ops_metadata.as_ref();
    let (url, id, tenant) = match &environment.dataverse_integration {
        DataverseIntegration::Word(DataverseWord::Follow) => match followed {
            Some(metadata) => (
                metadata.url.clone(),
                metadata.id.clone(),
                environment.tenant_id.clone(),
            ),
            None => return not_integrated(),
        },
        DataverseIntegration::Word(DataverseWord::None) => return not_integrated(),
        DataverseIntegration::Own(own) => (
            own.url.clone(),
            own.id
                .clone()
                .or_else(|| followed.map(|metadata| metadata.id.clone()))
                .unwrap_or_default(),
            own.tenant_id
                .clone()
                .unwrap_or_else(|| environment.tenant_id.clone()),
        ),
    };
    Reply::ok(json!({
        "@odata.context": context(call, "Microsoft.Dynamics.CRM.RetrieveFinanceAndOperationsIntegrationDetailsResponse"),
        "Url": url,
        "TenantId": tenant,
        "Id": id,
    }))
}

fn not_integrated() -> Reply {
    error(
        StatusCode::BAD_REQUEST,
        "0x80048d0b",
        "Dataverse instance isn't integrated with finance and operations.",
    )
}

/// The ids that a filter like `applicationid eq … or applicationid eq …` names; none: no filter.
fn filtered_ids(call: &Call<'_>) -> Option<Vec<Uuid>> {
    let filter = call.parameter("$filter")?;
    let ids = filter
        .split([' ', '(', ')', '\''])
        .filter_map(|word| Uuid::parse_str(word).ok())
        .collect();
    Some(ids)
}

pub(crate) fn system_users(world: &mut World, call: &Call<'_>) -> Reply {
    let (id, environment) = match organisation(world, call) {
        Ok(found) => found,
        Err(refusal) => return refusal,
    };
    let wanted = filtered_ids(call);
    let registered = environment
        .application_users
        .iter()
        .map(|user| (user.application_id.as_str(), user.is_disabled));
    let listed = |application: &str| {
        environment
            .application_users
            .iter()
            .any(|user| user.application_id.eq_ignore_ascii_case(application))
    };
    let callers = world
        .state
        .tenants
        .get(&environment.tenant_id)
        .into_iter()
        .flat_map(|tenant| &tenant.applications)
        .filter(|(client, application)| {
            (matches!(application.dataverse, Scope::Only(_)) || **client == call.identity.name)
                && application.dataverse.includes(id)
                && !listed(client)
        })
        .map(|(client, _)| (client.as_str(), false));
    let rows: Vec<Value> = registered
        .chain(callers)
        .filter(|(application, _)| {
            wanted.as_ref().is_none_or(|ids| {
                Uuid::parse_str(application).is_ok_and(|application| ids.contains(&application))
            })
        })
        .map(|(application, disabled)| {
            json!({
                "@odata.etag": "W/\"1000001\"",
                "applicationid": application,
                "isdisabled": disabled,
                "systemuserid": user_id(call.host, application),
            })
        })
        .collect();
    Reply::ok(
        json!({"@odata.context": context(call, "systemusers(applicationid,isdisabled)"), "value": rows}),
    )
}

/// An id that stays the same for the same user of the same organisation.
fn user_id(host: &str, application: &str) -> String {
    use std::hash::{Hash as _, Hasher as _};
    let half = |salt: u8| {
        let mut hasher = std::hash::DefaultHasher::new();
        (salt, host, application).hash(&mut hasher);
        hasher.finish()
    };
    let bits = (u128::from(half(0)) << 64) | u128::from(half(1));
    uuid::Builder::from_random_bytes(bits.to_be_bytes())
        .into_uuid()
        .to_string()
}

pub(crate) fn companies(world: &mut World, call: &Call<'_>) -> Reply {
    let environment = match organisation(world, call) {
        Ok((_, environment)) => environment,
        Err(refusal) => return refusal,
    };
    let rows: Vec<Value> = environment
        .companies
        .iter()
        .enumerate()
        .map(|(position, company)| {
            json!({
                "@odata.etag": "W/\"1000001\"",
                "cdm_companycode": company.code,
                "cdm_name": company.name,
                "cdm_companyid": user_id(call.host, &format!("{position}-{}", company.code)),
            })
        })
        .collect();
    Reply::ok(
        json!({"@odata.context": context(call, "cdm_companies(cdm_companycode,cdm_name)"), "value": rows}),
    )
}

pub(crate) fn who_am_i(world: &mut World, call: &Call<'_>) -> Reply {
    let environment = match organisation(world, call) {
        Ok((_, environment)) => environment,
        Err(refusal) => return refusal,
    };
    Reply::ok(json!({
        "@odata.context": context(call, "Microsoft.Dynamics.CRM.WhoAmIResponse"),
        "BusinessUnitId": user_id(call.host, "business unit"),
        "UserId": user_id(call.host, &call.identity.name),
        "OrganizationId": environment.dataverse_id,
    }))
}
