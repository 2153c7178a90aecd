//! The controller of `DualWriteOperation`: it carries operations out by the protocol of [`dualwrite_protocol`], between
//! Kubernetes and Microsoft's APIs.

mod backup;
mod cluster;
mod observe;
mod send;
mod tell;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use kube::{Resource, ResourceExt, core::DeserializeGuard, runtime::controller::Action};

use super::{
    connection::PassError,
    contain::contain,
    context::Context,
    reach::Reach,
    report::{self, WriteError},
    watch,
};
use dualwrite_api::{
    DualWriteConnection, DualWriteOperation, DualWriteOperationStatus, Reason, operation::Access,
};
use dualwrite_plan::{
    decision::Event,
    messages,
    operation::{Next, Observations, Send, Sent, reads},
    world::{KnownOperation, between},
};
use dualwrite_protocol::{
    self as protocol, Again,
    shell::{Runtime, Service},
};

/// How often an operation that waits for a person or for its connection is looked at, should a trigger be missed.
const IDLE: Duration = Duration::from_mins(1);

/// Soon enough after somebody else's write for the watch to have brought it.
const AFTER_CONFLICT: Duration = Duration::from_millis(200);

/// One pass over one operation.
///
/// # Errors
/// When Kubernetes could not be written to; everything else becomes a status.
pub async fn reconcile(
    guarded: Arc<DeserializeGuard<DualWriteOperation>>,
    context: Arc<Context>,
) -> Result<Action, PassError> {
    let operation = match &guarded.0 {
        Ok(operation) => operation,
        Err(invalid) => {
            tracing::error!(error = %invalid.error, name = invalid.metadata.name, "a DualWriteOperation cannot be read");
            return Ok(Action::await_change());
        }
    };
    let timer = context.metrics.pass("DualWriteOperation");
    let result = match contain(Box::pin(pass(operation, &context))).await {
        Err(PassError::Write {
            source: WriteError::Conflict,
            ..
        }) => Ok(Action::requeue(AFTER_CONFLICT)),
        result => result,
    };
    // Not in its status: between an intent and its outcome that is nobody's to write.
    let event = result.as_ref().err().and_then(told);
    report::events(&context, &operation.object_ref(&()), event.as_slice()).await;
    timer.done(result.is_ok());
    result
}

/// What people are told of a pass that could not be completed. Nothing where the API server does not answer: it would not
/// take an event either, and the wait for it would hold the next pass up.
fn told(error: &PassError) -> Option<Event> {
    let (reason, note) = match error {
        PassError::Defect => (Reason::InternalError, messages::defect()),
        PassError::Write { source, .. } => {
            source.status()?;
            (Reason::Retrying, messages::not_completed(error))
        }
    };
    Some(Event {
        warning: true,
        reason,
        note,
    })
}

async fn pass(operation: &DualWriteOperation, context: &Context) -> Result<Action, PassError> {
    let settings = &context.options.settings;
    let pass = protocol::pass(context, &context.process, settings, operation);
    let again = Box::pin(pass).await?;
    Ok(match again {
        Again::OnChange => Action::await_change(),
        Again::At(at) => Action::requeue(watch::with_jitter(between(super::now(), at))),
        Again::OnTrigger => Action::requeue(watch::with_jitter(IDLE)),
    })
}

impl Service for Context {
    type Reach = Reach;

    async fn read(&self, operation: &KnownOperation) -> (Observations, Option<Reach>) {
        let reads = reads(operation);
        let reach = observe::reach(self, operation, &access(self, operation), &reads).await;
        let observed = Box::pin(observe::observe(self, &reach, operation, &reads)).await;
        (observed, reach.ok())
    }

    async fn send(&self, reach: &Reach, operation: &KnownOperation, send: &Send) -> Sent {
        tracing::info!(
            operation = operation.name,
            step = send.step,
            "sending the request of a recorded intent"
        );
        let sent = send::send(self, reach, operation, send).await;
        if let Sent::Lost(problem) | Sent::Refused(problem) | Sent::NotSent(problem) = &sent {
            tracing::warn!(
                operation = operation.name,
                step = send.step,
                problem = problem.message,
                "the request was not accepted"
            );
        }
        sent
    }
}

impl Runtime for Context {
    fn now(&self) -> Timestamp {
        super::now()
    }

    fn worked_out(&self, operation: &KnownOperation, _: &DualWriteOperationStatus, next: &Next) {
        // What has happened is logged once it is on record, by `tell`.
        for told in next.transitions.iter().filter(|told| told.to.is_none()) {
            let (step, from, event) = (&told.step, told.from, told.event);
            tracing::error!(operation = operation.name, step, %from, %event, "this must not happen to a step");
        }
    }

    fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    async fn alone<T: std::marker::Send>(
        &self,
        host: &str,
        work: impl Future<Output = T> + std::marker::Send,
    ) -> T {
        let _turn = self.turns.take(host).await;
        work.await
    }
}

/// How an operation reaches both sides: by what it carries, so that it can be gone through with when its connection is
/// gone; but as long as that is there, it says where the credentials are kept by now.
fn access(context: &Context, operation: &KnownOperation) -> Access {
    let spec = &operation.spec;
    let found = watch::connection(context, &operation.namespace, &spec.connection.name);
    let connection = found.as_deref().and_then(|found| found.0.as_ref().ok());
    match connection.filter(|found| found.uid().as_deref() == Some(&spec.connection.uid)) {
        Some(DualWriteConnection { spec: now, .. }) => {
            let service = now.dual_write_service.as_ref();
            spec.access.kept_as(&now.credentials, service)
        }
        None => spec.access.clone(),
    }
}
