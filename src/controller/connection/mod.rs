//! The controller of `DualWriteConnection`: it goes through passes by the protocol of [`dualwrite_protocol`], between
//! Kubernetes and Microsoft's APIs.

mod cluster;
mod dataverse;
mod freshness;
mod observe;

use std::sync::Arc;

use jiff::Timestamp;
use kube::{
    ResourceExt,
    core::{DeserializeGuard, ObjectMeta},
    runtime::controller::Action,
};

use super::{
    contain::contain,
    context::Context,
    report::{self, WriteError},
    watch,
};
use dualwrite_api::{
    DualWriteConnection, DualWriteConnectionStatus, Reason,
    conditions::{self, ConditionType, Says},
};
use dualwrite_plan::{desired::Desired, messages, world::between};
use dualwrite_protocol::{self as protocol, Again, Failed};

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

impl From<Failed<WriteError>> for PassError {
    fn from(failed: Failed<WriteError>) -> Self {
        match failed {
            Failed::Call { doing, source } => Self::Write { doing, source },
            Failed::Overtaken(doing) => Self::Write {
                doing,
                source: WriteError::Conflict,
            },
        }
    }
}

/// Says what was being written when it failed.
fn while_writing(doing: &'static str) -> impl FnOnce(WriteError) -> PassError {
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
    let is_deleted = connection.metadata.deletion_timestamp.is_some();
    if is_deleted && !protocol::deletion::is_held(connection) {
        return Ok(Action::await_change());
    }
    let timer = context.metrics.pass("DualWriteConnection");
    let result = contain(Box::pin(pass(connection, &context))).await;
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
    let settings = &context.options.settings;
    let desired = Desired::from_resource(connection, context.options.least_interval);
    let again = match (&connection.metadata.deletion_timestamp, &desired) {
        (Some(deleted), desired) => {
            let desired = desired.as_ref().ok();
            protocol::deletion::pass(context, settings, connection, desired, deleted.0).await?
        }
        (None, Ok(desired)) => {
            protocol::connection::pass(context, settings, connection, desired).await?
        }
        (None, Err(why)) => return invalid(connection, context, why).await,
    };
    Ok(match again {
        Again::At(at) => Action::requeue(watch::with_jitter(between(super::now(), at))),
        Again::OnChange | Again::OnTrigger => Action::await_change(),
    })
}

/// Writes the status, best effort: when somebody else has written since, or it is gone, its next pass says it.
async fn write_status(
    connection: &DualWriteConnection,
    context: &Context,
    status: &DualWriteConnectionStatus,
) -> Result<(), PassError> {
    match report::status::<DualWriteConnection>(context, &connection.metadata, status).await {
        Ok(_) | Err(WriteError::Conflict) => Ok(()),
        Err(error) if error.status() == Some(404) => Ok(()),
        Err(error) => Err(while_writing("the status of the connection")(error)),
    }
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
