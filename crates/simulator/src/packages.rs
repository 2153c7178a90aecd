//! Application packages of an environment.
//!
//! - `listApplicationPackages` [D]: filtered by `appInstallState`; an update shows as the same unique
//!   name with a higher version in the `NotInstalled` list [O].
//! - `installApplication` [D]: 200 with an instance package, or 202 with `Operation-Location` and an
//!   empty body [O], or neither; one operation per environment at a time, a second is refused, by
//!   default with a bare 400 [O].
//! - `getOperation` [D]: 409 while it is busy, if the scenario says so [O].
//!
//! That a package whose install runs or failed is in the `Installed` list too (it has an instance) is
//! [I], and so is the refusal in an environment that is not enabled (409).

use http::{HeaderName, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::access::error;
use crate::clock::{later, share};
use crate::power_platform::{check_version, visible};
use crate::reply::Reply;
use crate::router::Call;
use crate::state::{
    Environment, Failure, InstallAnswer, Operation, OperationStatus, Package, key_of,
};
use crate::world::World;

/// Operations that are over and still answer polls.
const MOST_OPERATIONS: usize = 100;

/// Goes on with the operations of an environment.
pub(crate) fn settle(environment: &mut Environment, now: Timestamp) {
    let Environment {
        operations,
        packages,
        ..
    } = environment;
    for operation in operations
        .values_mut()
        .filter(|operation| !operation.status.is_over())
    {
        let package = operation
            .package
            .as_ref()
            .and_then(|name| packages.get_mut(name));
        if let Some(at) = operation.ends_at.filter(|at| *at <= now) {
            finish(operation, package, at);
        } else if operation.status == OperationStatus::NotStarted
            && let Some(at) = operation.starts_at.filter(|at| *at <= now)
        {
            operation.status = OperationStatus::Running;
            operation.last_action_at = Some(at);
            if let Some(package) = package {
                "Installing".clone_into(&mut package.state);
            }
        }
    }
}

fn finish(operation: &mut Operation, package: Option<&mut Package>, at: Timestamp) {
    operation.last_action_at = Some(at);
    operation.status = OperationStatus::Succeeded;
    let Some(package) = package else { return };
    if let Some(failure) = package.fails_with.clone() {
        operation.status = OperationStatus::Failed;
        operation.status_message = Some(failure.message.clone());
        operation.error = Some(failure.clone());
        package.last_error = Some(failure);
        "InstallFailed".clone_into(&mut package.state);
        return;
    }
    "Installed".clone_into(&mut package.state);
    package.last_error = None;
    if operation.update {
        package.available_version = None;
    }
    if let Some(version) = &operation.version {
        package.version.clone_from(version);
    }
}

pub(crate) fn list(world: &mut World, call: &Call<'_>) -> Reply {
    let environment = match environment(world, call) {
        Ok((_, environment)) => environment,
        Err(refusal) => return refusal,
    };
    let wanted = call.parameter("appInstallState").unwrap_or("All");
    let (installed, available) = match wanted.to_ascii_lowercase().as_str() {
        "all" => (true, true),
        "installed" => (true, false),
        "notinstalled" => (false, true),
        _ => {
            let message = format!("The value '{wanted}' is not valid for appInstallState.");
            return error(StatusCode::BAD_REQUEST, "InvalidParameter", &message);
        }
    };
    let mut rows = Vec::new();
    for (name, package) in &environment.packages {
        let has_instance = !package.state.eq_ignore_ascii_case("None");
        if has_instance && installed {
            rows.push(row(name, package, &package.version, true));
        }
        if !has_instance && available {
            let version = package
                .available_version
                .as_ref()
                .unwrap_or(&package.version);
            rows.push(row(name, package, version, false));
        }
        if has_instance
            && available
            && let Some(version) = &package.available_version
        {
            rows.push(row(name, package, version, false));
        }
    }
    Reply::ok(json!({"value": rows}))
}

/// A row of the list; the row of an update has the state of something that is not installed.
fn row(name: &str, package: &Package, version: &str, instance: bool) -> Value {
    let (state, error) = if instance {
        (package.state.as_str(), failure(package.last_error.as_ref()))
    } else {
        ("None", Value::Null)
    };
    json!({
        "id": format!("{name}_{version}"),
        "uniqueName": name,
        "version": version,
        "localizedName": package.localized_name.as_deref().unwrap_or(name),
        "applicationName": package.application_name,
        "publisherName": package.publisher_name,
        "state": state,
        "customHandleUpgrade": false,
        "instancePackageId": package.instance_package_id.as_ref().filter(|_| instance),
        "lastError": error,
    })
}

fn failure(failure: Option<&Failure>) -> Value {
    failure.map_or(Value::Null, |failure| {
        json!({
            "errorCode": failure.error_code,
            "errorName": failure.error_name,
            "message": failure.message,
            "source": failure.source,
            "statusCode": failure.status_code,
            "type": failure.kind,
        })
    })
}

fn environment<'w>(
    world: &'w mut World,
    call: &Call<'_>,
) -> Result<(String, &'w mut Environment), Reply> {
    check_version(call)?;
    let id = visible(&world.state, &call.identity, call.part(0))?;
    world
        .state
        .environments
        .get_mut(&id)
        .map(|environment| (id, environment))
        .ok_or_else(|| Reply::empty(StatusCode::NOT_FOUND))
}

pub(crate) fn install(world: &mut World, call: &Call<'_>) -> Reply {
    let now = world.clock.now();
    let busy_status = world.state.settings.busy_install_status;
    let (id, environment) = match environment(world, call) {
        Ok(found) => found,
        Err(refusal) => return refusal,
    };
    if let Some(refusal) = refuse(environment, busy_status) {
        return refusal;
    }
    let Some(name) = key_of(&environment.packages, call.part(1)).map(str::to_owned) else {
        let message = format!("The application package '{}' was not found.", call.part(1));
        return error(
            StatusCode::NOT_FOUND,
            "ApplicationPackageNotFound",
            &message,
        );
    };
    let Some(package) = environment.packages.get_mut(&name) else {
        return Reply::empty(StatusCode::NOT_FOUND);
    };
    let operation_id = Uuid::new_v4().to_string();
    let operation = start(&name, package, now);
    let reply = accepted(call, &id, &name, package, &operation_id, &operation);
    environment.operations.insert(operation_id, operation);
    forget_old(environment);
    reply.applied()
}

fn refuse(environment: &Environment, busy_status: u16) -> Option<Reply> {
    let busy = environment
        .operations
        .values()
        .any(|operation| !operation.status.is_over());
    if busy {
        let status = StatusCode::from_u16(busy_status).unwrap_or(StatusCode::BAD_REQUEST);
        if status == StatusCode::BAD_REQUEST {
            return Some(Reply::empty(status));
        }
        return Some(error(
            status,
            "OperationInProgress",
            "Another operation is running in this environment. Try again when it is finished.",
        ));
    }
    let ready = ["enabled", "ready"].contains(&environment.state.to_ascii_lowercase().as_str());
    (!ready).then(|| {
        error(
            StatusCode::CONFLICT,
            "EnvironmentNotReady",
            &format!("The environment is in the state '{}'.", environment.state),
        )
    })
}

/// The package is asked for.
fn start(name: &str, package: &mut Package, now: Timestamp) -> Operation {
    let update =
        package.state.eq_ignore_ascii_case("Installed") && package.available_version.is_some();
    let version = package
        .available_version
        .as_ref()
        .unwrap_or(&package.version)
        .clone();
    "InstallRequested".clone_into(&mut package.state);
    package
        .instance_package_id
        .get_or_insert_with(|| Uuid::new_v4().to_string());
    Operation {
        package: Some(name.to_owned()),
        version: Some(version),
        update,
        status: OperationStatus::NotStarted,
        status_message: None,
        error: None,
        created_at: now,
        starts_at: Some(later(now, share(package.install_takes, 1, 10))),
        ends_at: Some(later(now, package.install_takes.0)),
        last_action_at: None,
    }
}

fn accepted(
    call: &Call<'_>,
    environment: &str,
    name: &str,
    package: &Package,
    operation_id: &str,
    operation: &Operation,
) -> Reply {
    match package.answer {
        InstallAnswer::Bare => Reply::empty(StatusCode::ACCEPTED),
        InstallAnswer::OperationLocation => Reply::empty(StatusCode::ACCEPTED).header(
            HeaderName::from_static("operation-location"),
            format!(
                "https://{}/appmanagement/environments/{environment}/operations/{operation_id}?api-version={}",
                call.host,
                call.parameter("api-version").unwrap_or_default(),
            ),
        ),
        InstallAnswer::OperationId => Reply::ok(json!({
            "id": package.instance_package_id,
            "packageId": format!("{name}_{}", package.version),
            "packageUniqueName": name,
            "packageVersion": operation.version,
            "localizedName": package.localized_name.as_deref().unwrap_or(name),
            "applicationName": package.application_name,
            "publisherName": package.publisher_name,
            "lastOperation": {
                "operationId": operation_id,
                "state": package.state,
                "createdOn": operation.created_at,
                "modifiedOn": operation.created_at,
                "errorDetails": null,
                "instancePackageId": package.instance_package_id,
            },
        })),
    }
}

fn forget_old(environment: &mut Environment) {
    while environment.operations.len() > MOST_OPERATIONS {
        let oldest = environment
            .operations
            .iter()
            .filter(|(_, operation)| operation.status.is_over())
            .min_by_key(|(_, operation)| operation.created_at)
            .map(|(id, _)| id.clone());
        let Some(oldest) = oldest else { return };
        environment.operations.remove(&oldest);
    }
}

pub(crate) fn operation(world: &mut World, call: &Call<'_>) -> Reply {
    let conflict = world.state.settings.busy_poll_conflict;
    let environment = match environment(world, call) {
        Ok((_, environment)) => environment,
        Err(refusal) => return refusal,
    };
    let id = call.part(1);
    let Some(operation) = environment.operations.get(id) else {
        let message = format!("The operation '{id}' was not found.");
        return error(StatusCode::NOT_FOUND, "OperationNotFound", &message);
    };
    if conflict && !operation.status.is_over() {
        return Reply::empty(StatusCode::CONFLICT);
    }
    Reply::ok(json!({
        "operationId": id,
        "createdDateTime": operation.created_at,
        "lastActionDateTime": operation.last_action_at.unwrap_or(operation.created_at),
        "status": operation.status,
        "statusMessage": operation.status_message,
        "error": failure(operation.error.as_ref()),
    }))
}
