//! The controller of `DualWriteConnection`: observe, decide, record, act, report.

mod dataverse;
mod deletion;
mod freshness;
mod observe;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use kube::{
    Resource, ResourceExt,
    core::{DeserializeGuard, ObjectMeta},
    runtime::controller::Action,
};

use super::{
    contain::contain,
    context::Context,
    identities,
    report::{self, WriteError},
    watch,
};
use dualwrite_api::{
    DualWriteConnection, DualWriteConnectionStatus, DualWriteOperation, DualWriteOperationStatus,
    Reason,
    conditions::{self, ConditionType, Says},
    operation::Phase,
};
use dualwrite_plan::{
    decide,
    decision::{Decision, Effect, Event},
    desired::Desired,
    messages, operation,
    world::{KnownOperation, World, between},
};

/// A pass that could not be completed; it is made again.
#[derive(Debug, thiserror::Error)]
pub enum PassError {
    /// Something could not be written to Kubernetes.
    #[error("{doing}: {source}")]
    Write {
        /// What was being written.
        doing: &'static str,
        /// Why it could not be.
        source: WriteError,
    },
    /// A panic.
    #[error("the pass panicked; the line 'the operator has an error of its own' says where")]
    Defect,
}

/// Says what was being written when it failed.
pub fn while_writing(doing: &'static str) -> impl FnOnce(WriteError) -> PassError {
    move |source| PassError::Write { doing, source }
}

/// One pass over one connection.
///
/// # Errors
/// When Kubernetes could not be written to; everything else becomes a condition.
pub async fn reconcile(
    guarded: Arc<DeserializeGuard<DualWriteConnection>>,
    context: Arc<Context>,
) -> Result<Action, PassError> {
    let connection = match &guarded.0 {
        Ok(connection) => connection,
        Err(invalid) => {
            tracing::error!(error = %invalid.error, name = invalid.metadata.name, "a DualWriteConnection cannot be read");
            return unreadable(&invalid.metadata, &invalid.error, &context).await;
        }
    };
    let deleted = connection.metadata.deletion_timestamp.as_ref();
    if deleted.is_some() && !deletion::is_held(connection) {
        return Ok(Action::await_change());
    }
    let timer = context.metrics.pass("DualWriteConnection");
    let looked = async {
        match deleted {
            Some(deleted) => deletion::pass(connection, &context, deleted.0).await,
            None => pass(connection, &context).await,
        }
    };
    let result = contain(Box::pin(looked)).await;
    if let Err(PassError::Defect) = result {
        say_defect(connection, &context).await;
    }
    timer.done(result.is_ok());
    result
}

/// Best effort: what a person sees must not go on saying what nobody looks at any more.
async fn say_defect(connection: &DualWriteConnection, context: &Context) {
    let mut status = connection.status.clone().unwrap_or_default();
    let generation = connection.metadata.generation.unwrap_or_default();
    conditions::set(
        &mut status.conditions,
        ConditionType::Ready,
        &Says::unknown(Reason::InternalError, messages::defect()),
        generation,
        super::now(),
    );
    if connection.status.as_ref() != Some(&status)
        && let Err(error) = write_status(connection, context, &status).await
    {
        tracing::warn!(name = connection.name_any(), %error, "a connection could not be told of the defect");
    }
}

async fn pass(connection: &DualWriteConnection, context: &Context) -> Result<Action, PassError> {
    let desired = match Desired::from_resource(connection, context.options.least_interval) {
        Ok(desired) => desired,
        Err(why) => return invalid(connection, context, &why).await,
    };
    let Some(memory) = connection.status.clone() else {
        return first_look(connection, context, &desired).await;
    };
    if deletion::adjust(connection, context, &desired).await? {
        // The finalizer comes back through the watch, and makes the next pass due.
        return Ok(Action::requeue(Duration::from_millis(200)));
    }
    let (observed, credentials) = if desired.suspend {
        (observe::suspended(super::now()), memory.credentials.clone())
    } else {
        observe::connection(context, &desired, &memory).await
    };
    let (operations, rivals) = watch::neighbours(context, &desired);
    let decision = decide::decide(&World {
        desired: &desired,
        observed: &observed,
        credentials: &credentials,
        operations: &operations,
        rivals: &rivals,
        memory: &memory,
        now: super::now(),
        settings: &context.options.settings,
    });
    carry_out(connection, context, &memory, &operations, decision).await
}

/// Record, act, report.
async fn carry_out(
    connection: &DualWriteConnection,
    context: &Context,
    memory: &DualWriteConnectionStatus,
    operations: &[KnownOperation],
    decision: Decision,
) -> Result<Action, PassError> {
    if decision.status != *memory {
        let written = write_status(connection, context, &decision.status).await?;
        if !written {
            return Ok(Action::requeue(Duration::from_millis(200)));
        }
        let about = connection.object_ref(&());
        report::events(context, &about, &decision.events).await;
    }
    if let Some(effect) = decision.effect {
        act(connection, context, operations, effect).await?;
    }
    for name in &decision.forget {
        forget(context, operations, name).await?;
    }
    Ok(Action::requeue(watch::with_jitter(between(
        super::now(),
        decision.next,
    ))))
}

/// Writes the status; `false` when somebody else has written since, and the pass is to be made again.
async fn write_status(
    connection: &DualWriteConnection,
    context: &Context,
    status: &DualWriteConnectionStatus,
) -> Result<bool, PassError> {
    match report::status::<DualWriteConnection>(context, &connection.metadata, status).await {
        Ok(_) => Ok(true),
        Err(WriteError::Conflict) => Ok(false),
        // Deleted while it was being looked at.
        Err(error) if error.status() == Some(404) => Ok(true),
        Err(error) => Err(while_writing("the status of the connection")(error)),
    }
}

async fn act(
    connection: &DualWriteConnection,
    context: &Context,
    operations: &[KnownOperation],
    effect: Effect,
) -> Result<(), PassError> {
    match effect {
        Effect::Create { name, spec } => {
            let planned = (*spec).clone();
            match report::create_operation(context, connection, &name, *spec).await {
                Ok(_) => {
                    tracing::info!(
                        operation = name,
                        connection = connection.name_any(),
                        "created an operation"
                    );
                    Ok(())
                }
                Err(WriteError::Conflict) => adopt(connection, context, &name, &planned).await,
                Err(error) if error.status() == Some(403) => {
                    let problem = identities::not_granted(
                        context,
                        &connection.namespace().unwrap_or_default(),
                    );
                    let event = Event {
                        warning: true,
                        reason: Reason::NamespaceNotGranted,
                        note: problem.message,
                    };
                    report::events(context, &connection.object_ref(&()), &[event]).await;
                    Err(while_writing("a new operation")(error))
                }
                Err(error) => Err(while_writing("a new operation")(error)),
            }
        }
        Effect::Void { name, message } => void(context, operations, &name, message).await,
    }
}

/// An operation of that name exists: the same operation is adopted by doing nothing; another one is nobody's doing of ours.
async fn adopt(
    connection: &DualWriteConnection,
    context: &Context,
    name: &str,
    planned: &dualwrite_api::DualWriteOperationSpec,
) -> Result<(), PassError> {
    let namespace = connection.namespace().unwrap_or_default();
    let live = report::live_operation(context, &namespace, name)
        .await
        .map_err(while_writing("an operation that exists already"))?;
    if live.is_some_and(|live| !operation::does_the_same(&live.spec, planned)) {
        tracing::error!(
            operation = name,
            "an operation of this name exists with another plan; delete it"
        );
        let note = format!(
            "A DualWriteOperation {name} exists with another plan than the one of this name: delete it if nobody needs it: \
             kubectl delete dwo {name} -n {namespace}"
        );
        let event = Event {
            warning: true,
            reason: Reason::Conflict,
            note,
        };
        report::events(context, &connection.object_ref(&()), &[event]).await;
    }
    Ok(())
}

/// Gives up an operation that has not started.
async fn void(
    context: &Context,
    operations: &[KnownOperation],
    name: &str,
    message: String,
) -> Result<(), PassError> {
    let Some(known) = operations.iter().find(|operation| operation.name == name) else {
        return Ok(());
    };
    let live = report::live_operation(context, &known.namespace, name)
        .await
        .map_err(while_writing("an operation to be given up"))?;
    let Some(live) = live.filter(|live| dualwrite_protocol::known(live).is_unstarted()) else {
        return Ok(());
    };
    let status = DualWriteOperationStatus {
        phase: Some(Phase::Void),
        finished_at: Some(super::now()),
        message: Some(message),
        ..live.status.unwrap_or_default()
    };
    match report::status::<DualWriteOperation>(context, &live.metadata, &status).await {
        Ok(_) | Err(WriteError::Conflict) => Ok(()),
        Err(error) => Err(while_writing("an operation to be given up")(error)),
    }
}

async fn forget(
    context: &Context,
    operations: &[KnownOperation],
    name: &str,
) -> Result<(), PassError> {
    let Some(known) = operations.iter().find(|operation| operation.name == name) else {
        return Ok(());
    };
    report::forget_operation(context, &known.namespace, name, &known.uid)
        .await
        .map_err(while_writing("an old operation to be deleted"))
}

/// Says at once that the resource was seen: the first look can take a while.
async fn first_look(
    connection: &DualWriteConnection,
    context: &Context,
    desired: &Desired,
) -> Result<Action, PassError> {
    let mut status = DualWriteConnectionStatus::default();
    let now = super::now();
    let text = messages::first_look();
    let ready = Says::unknown(Reason::Observing, text.as_str());
    let reconciling = Says::yes(Reason::Observing, text.as_str());
    conditions::set(
        &mut status.conditions,
        ConditionType::Ready,
        &ready,
        desired.generation,
        now,
    );
    conditions::set(
        &mut status.conditions,
        ConditionType::Reconciling,
        &reconciling,
        desired.generation,
        now,
    );
    write_status(connection, context, &status).await?;
    // The status that was just written comes back through the watch.
    Ok(Action::requeue(Duration::from_millis(50)))
}

/// A stored resource that cannot be used is said to be so, and waited for.
async fn invalid(
    connection: &DualWriteConnection,
    context: &Context,
    why: &str,
) -> Result<Action, PassError> {
    let mut status = connection.status.clone().unwrap_or_default();
    say_invalid(&mut status, &connection.metadata, why, super::now());
    if connection.status.as_ref() != Some(&status) {
        write_status(connection, context, &status).await?;
    }
    Ok(Action::await_change())
}

/// A stored resource that cannot even be parsed: the same is said, from its metadata alone.
async fn unreadable(meta: &ObjectMeta, why: &str, context: &Context) -> Result<Action, PassError> {
    let mut status = DualWriteConnectionStatus::default();
    // What its status says so far is not known; a time that never differs makes the same statement the same write.
    let at = meta
        .creation_timestamp
        .as_ref()
        .map_or(Timestamp::UNIX_EPOCH, |time| time.0);
    say_invalid(&mut status, meta, why, at);
    match report::status::<DeserializeGuard<DualWriteConnection>>(context, meta, &status).await {
        Ok(_) | Err(WriteError::Conflict) => Ok(Action::await_change()),
        Err(error) => Err(while_writing(
            "the status of a connection that cannot be read",
        )(error)),
    }
}

fn say_invalid(
    status: &mut DualWriteConnectionStatus,
    meta: &ObjectMeta,
    why: &str,
    at: Timestamp,
) {
    let generation = meta.generation.unwrap_or_default();
    let text = messages::spec_invalid(why);
    conditions::remove(&mut status.conditions, ConditionType::Reconciling);
    let ready = Says::no(Reason::SpecInvalid, text.as_str());
    conditions::set(
        &mut status.conditions,
        ConditionType::Ready,
        &ready,
        generation,
        at,
    );
    let stalled = Says::yes(Reason::SpecInvalid, text);
    conditions::set(
        &mut status.conditions,
        ConditionType::Stalled,
        &stalled,
        generation,
        at,
    );
    status.observed_generation = Some(generation);
}
