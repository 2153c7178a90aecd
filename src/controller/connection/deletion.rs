//! The finalizer of a connection, and what its deletion does.

use std::time::Duration;

use jiff::Timestamp;
use kube::{Resource, runtime::controller::Action};

use super::{PassError, observe, while_writing};
use crate::controller::{
    context::Context,
    report::{self, WriteError},
    watch,
};
use dualwrite_api::{DualWriteConnection, DualWriteOperationSpec, Reason, STOP_MAPS_FINALIZER};
use dualwrite_plan::{
    decision::Event,
    deletion::{self, Deletion},
    desired::Desired,
    messages,
    operation::DELETION_PATIENCE,
    world::{World, after, between},
};

/// Soon enough after a write for the watch to have brought it.
const SOON: Duration = Duration::from_millis(200);

/// Whether a connection carries the finalizer.
pub fn is_held(connection: &DualWriteConnection) -> bool {
    report::carries(connection, STOP_MAPS_FINALIZER)
}

/// Puts the finalizer on a connection whose deletion is to stop its maps, or takes it off; `true` if that was to be done.
///
/// # Errors
/// When Kubernetes could not be written to.
pub async fn adjust(
    connection: &DualWriteConnection,
    context: &Context,
    desired: &Desired,
) -> Result<bool, PassError> {
    let wanted = deletion::is_to_be_held(desired);
    if wanted == is_held(connection) {
        return Ok(false);
    }
    match report::hold_connection(context, connection, wanted).await {
        Ok(()) | Err(WriteError::Conflict) => Ok(true),
        Err(error) => Err(while_writing("the finalizer of the connection")(error)),
    }
}

/// One pass over a connection that is being deleted.
///
/// # Errors
/// When Kubernetes could not be written to.
pub async fn pass(
    connection: &DualWriteConnection,
    context: &Context,
    deleted: Timestamp,
) -> Result<Action, PassError> {
    if !is_held(connection) {
        return Ok(Action::await_change());
    }
    let Ok(desired) = Desired::from_resource(connection, context.options.least_interval) else {
        let why = messages::maps_left("its spec cannot be read");
        return release(connection, context, warning(why)).await;
    };
    match decide(connection, context, &desired, deleted).await {
        Deletion::Release(event) => release(connection, context, event).await,
        Deletion::Wait(until) => Ok(Action::requeue(between(crate::controller::now(), until))),
        Deletion::Stop { name, spec } => create(connection, context, &name, *spec, deleted).await,
    }
}

async fn decide(
    connection: &DualWriteConnection,
    context: &Context,
    desired: &Desired,
    deleted: Timestamp,
) -> Deletion {
    let memory = connection.status.clone().unwrap_or_default();
    // Without being asked for, nothing needs to be looked at.
    let observed = if deletion::is_to_be_held(desired) && !desired.suspend {
        observe::connection(context, desired, &memory).await.0
    } else {
        observe::suspended(crate::controller::now())
    };
    let (operations, rivals) = watch::neighbours(context, desired);
    let world = World {
        desired,
        observed: &observed,
        credentials: &memory.credentials,
        operations: &operations,
        rivals: &rivals,
        memory: &memory,
        now: crate::controller::now(),
        settings: &context.options.settings,
    };
    deletion::decide(&world, deleted)
}

/// The operation is there before the connection may go; a crash in between finds it again.
async fn create(
    connection: &DualWriteConnection,
    context: &Context,
    name: &str,
    spec: DualWriteOperationSpec,
    deleted: Timestamp,
) -> Result<Action, PassError> {
    match report::create_operation(context, connection, name, spec).await {
        Ok(_) | Err(WriteError::Conflict) => {
            tracing::info!(operation = name, "created the operation of a deletion");
            Ok(Action::requeue(SOON))
        }
        // A namespace that is being deleted takes no new objects, and a right may be gone: neither may hold the deletion up.
        Err(error)
            if error.is_of_an_ending_namespace()
                || error.status() == Some(403)
                    && crate::controller::now() >= after(deleted, deletion::SHUT_OUT_PATIENCE) =>
        {
            let why = messages::maps_left(&format!("no operation could be created ({error})"));
            release(connection, context, warning(why)).await
        }
        Err(error) if crate::controller::now() >= after(deleted, DELETION_PATIENCE) => {
            let why = messages::maps_left(&format!("no operation could be created ({error})"));
            release(connection, context, warning(why)).await
        }
        Err(error) => Err(while_writing("the operation of a deletion")(error)),
    }
}

const fn warning(note: String) -> Event {
    Event {
        warning: true,
        reason: Reason::MapsLeftAsTheyAre,
        note,
    }
}

/// Lets the connection go, and says what becomes of its maps.
async fn release(
    connection: &DualWriteConnection,
    context: &Context,
    event: Event,
) -> Result<Action, PassError> {
    let about = connection.object_ref(&());
    match report::hold_connection(context, connection, false).await {
        Ok(()) => {
            report::events(context, &about, &[event]).await;
            Ok(Action::await_change())
        }
        Err(WriteError::Conflict) => Ok(Action::requeue(SOON)),
        Err(error) if error.status() == Some(404) => Ok(Action::await_change()),
        Err(error) => Err(while_writing("the finalizer of the connection")(error)),
    }
}
