//! One pass over one connection: observe, decide, record, act.
//!
//! The status stands before the effect: an operation whose connection does not speak of it yet would be a surprise, and a
//! decision that somebody else has overtaken is not acted on.

use std::time::Duration;

use dualwrite_api::{
    DualWriteConnection, DualWriteConnectionStatus, DualWriteOperationSpec,
    DualWriteOperationStatus, Reason,
    conditions::{self, ConditionType, Says},
    operation::Phase,
};
use dualwrite_plan::{
    decide::decide,
    decision::{Decision, Effect, Event},
    desired::Desired,
    messages, operation,
    world::{KnownOperation, Settings, World, after},
};

use crate::{
    deletion, known,
    pass::{Again, Failed, failed},
    shell::{CallError, Connections, Failure},
};

/// Soon enough after a write for the watch to have brought it.
pub(crate) const SOON: Duration = Duration::from_millis(200);

/// The first look waits for nothing but its own status.
const AT_ONCE: Duration = Duration::from_millis(50);

/// One pass over a connection that is not being deleted.
///
/// # Errors
/// When the API server could not be read or written; everything else becomes a condition.
pub async fn pass<S: Connections>(
    shell: &S,
    settings: &Settings,
    connection: &DualWriteConnection,
    desired: &Desired,
) -> Result<Again, Failed<S::Error>> {
    let Some(memory) = &connection.status else {
        return first_look(shell, connection, desired).await;
    };
    if deletion::adjust(shell, connection, desired).await? {
        // The finalizer comes back through the watch, and makes the next pass due.
        return Ok(again_in(shell, SOON));
    }
    let (observed, credentials) = if desired.suspend {
        (shell.unobserved(), memory.credentials.clone())
    } else {
        shell.observe(desired, memory).await
    };
    let (operations, rivals) = shell.watched_neighbours(desired);
    let decision = decide(&World {
        desired,
        observed: &observed,
        credentials: &credentials,
        operations: &operations,
        rivals: &rivals,
        memory,
        now: shell.now(),
        settings,
    });
    carry_out(shell, connection, memory, &operations, decision).await
}

/// Records, then acts.
async fn carry_out<S: Connections>(
    shell: &S,
    connection: &DualWriteConnection,
    memory: &DualWriteConnectionStatus,
    operations: &[KnownOperation],
    decision: Decision,
) -> Result<Again, Failed<S::Error>> {
    if decision.status != *memory {
        if !write_status(shell, connection, &decision.status).await? {
            return Ok(again_in(shell, SOON));
        }
        shell.tell_events(connection, &decision.events).await;
    }
    match decision.effect {
        Some(Effect::Create { name, spec }) => create(shell, connection, &name, &spec).await?,
        Some(Effect::Void { name, message }) => void(shell, operations, &name, message).await?,
        None => {}
    }
    let is_old = |known: &&KnownOperation| decision.forget.contains(&known.name);
    for known in operations.iter().filter(is_old) {
        let forgotten = shell.forget_operation(known).await;
        forgotten.map_err(failed("an old operation to be deleted"))?;
    }
    Ok(Again::At(decision.next))
}

/// Writes the status; `false` when somebody else has written since, and the pass is to be made again.
async fn write_status<S: Connections>(
    shell: &S,
    connection: &DualWriteConnection,
    status: &DualWriteConnectionStatus,
) -> Result<bool, Failed<S::Error>> {
    match shell.write_connection_status(connection, status).await {
        Ok(()) => Ok(true),
        Err(error) => match error.failure() {
            Failure::Conflict => Ok(false),
            // Deleted while it was being looked at.
            Failure::Gone => Ok(true),
            Failure::Refused | Failure::RefusedForNow | Failure::Uncertain => {
                Err(failed("the status of the connection")(error))
            }
        },
    }
}

async fn create<S: Connections>(
    shell: &S,
    connection: &DualWriteConnection,
    name: &str,
    spec: &DualWriteOperationSpec,
) -> Result<(), Failed<S::Error>> {
    match shell.create_operation(connection, name, spec).await {
        Ok(()) => Ok(()),
        Err(error) if error.failure() == Failure::Conflict => {
            adopt(shell, connection, name, spec).await.map(|_| ())
        }
        Err(error) => {
            shell.tell_not_created(connection, &error).await;
            Err(failed("a new operation")(error))
        }
    }
}

/// An operation of that name exists. The same operation is adopted by doing nothing: then this is `true`. Another one is
/// nobody's doing of ours, and somebody is told.
pub(crate) async fn adopt<S: Connections>(
    shell: &S,
    connection: &DualWriteConnection,
    name: &str,
    planned: &DualWriteOperationSpec,
) -> Result<bool, Failed<S::Error>> {
    let namespace = connection.metadata.namespace.as_deref().unwrap_or_default();
    let live = shell.operation_named(namespace, name).await;
    let live = live.map_err(failed("an operation that exists already"))?;
    let is_same = live.is_none_or(|live| operation::does_the_same(&live.spec, planned));
    if !is_same {
        let event = Event {
            warning: true,
            reason: Reason::Conflict,
            note: messages::name_is_taken(name, namespace),
        };
        shell.tell_events(connection, &[event]).await;
    }
    Ok(is_same)
}

/// Gives up an operation that has not started.
async fn void<S: Connections>(
    shell: &S,
    operations: &[KnownOperation],
    name: &str,
    message: String,
) -> Result<(), Failed<S::Error>> {
    const DOING: &str = "an operation to be given up";
    let Some(operation) = operations.iter().find(|known| known.name == name) else {
        return Ok(());
    };
    let live = shell.operation_named(&operation.namespace, name).await;
    let live = live.map_err(failed(DOING))?;
    let Some(live) = live.filter(|live| known(live).is_unstarted()) else {
        return Ok(());
    };
    let status = DualWriteOperationStatus {
        phase: Some(Phase::Void),
        finished_at: Some(shell.now()),
        message: Some(message),
        ..live.status.clone().unwrap_or_default()
    };
    match shell.write_status(&live, &status).await {
        Ok(_) => Ok(()),
        Err(error) if error.failure() == Failure::Conflict => Ok(()),
        Err(error) => Err(failed(DOING)(error)),
    }
}

/// Says at once that the resource was seen: the first look can take a while.
async fn first_look<S: Connections>(
    shell: &S,
    connection: &DualWriteConnection,
    desired: &Desired,
) -> Result<Again, Failed<S::Error>> {
    let mut status = DualWriteConnectionStatus::default();
    let text = messages::first_look();
    let now = shell.now();
    let mut say = |kind, says: &Says| {
        conditions::set(&mut status.conditions, kind, says, desired.generation, now);
    };
    say(
        ConditionType::Ready,
        &Says::unknown(Reason::Observing, text.as_str()),
    );
    say(
        ConditionType::Reconciling,
        &Says::yes(Reason::Observing, text.as_str()),
    );
    write_status(shell, connection, &status).await?;
    Ok(again_in(shell, AT_ONCE))
}

/// Looks again after so long.
pub(crate) fn again_in<S: Connections>(shell: &S, wait: Duration) -> Again {
    Again::At(after(shell.now(), wait))
}
