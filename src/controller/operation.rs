//! The controller of `DualWriteOperation`: observe, advance, record the intent, send at most one request, report.
//!
//! The intent stands in the API server, with the resourceVersion of what the decision was made from, before anything is
//! sent. So whoever dies, is late or sees an old copy cannot send twice: it finds the intent, or is refused by it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use kube::{
    Api, Resource, ResourceExt, api::ListParams, core::DeserializeGuard,
    runtime::controller::Action,
};

use super::{
    act::{self, Reach},
    connection::{PassError, while_writing},
    contain::contain,
    context::Context,
    report::{self, WriteError},
    watch,
};
use dualwrite_api::{
    ACT_FINALIZER, DualWriteConnection, DualWriteOperation, DualWriteOperationStatus, Reason,
    operation::{Access, Action as OperationAction, Phase, StepState, StepStatus},
};
use dualwrite_plan::{
    advance::{self, Act, ActObserved, Next, Owner, Send, Sent},
    assemble::Event,
    desired::Desired,
    messages,
    operation::is_asked_for,
    world::{KnownOperation, between},
};

/// How often an operation that waits for a person or for its connection is looked at, should a trigger be missed.
const IDLE: Duration = Duration::from_mins(1);

/// Soon enough after somebody else's write for the watch to have brought it.
const AFTER_CONFLICT: Duration = Duration::from_millis(200);

/// How long what became of a request is tried to be recorded.
const RECORD_PATIENCE: Duration = Duration::from_secs(30);

/// How soon the API server is asked again about what must be known.
const AGAIN: Duration = Duration::from_millis(500);

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
    if let Err(PassError::Defect) = result {
        // Not in its status: between an intent and its outcome that is nobody's to write.
        let event = Event {
            warning: true,
            reason: Reason::InternalError,
            note: messages::defect(),
        };
        report::events(&context, &operation.object_ref(&()), &[event]).await;
    }
    timer.done(result.is_ok());
    result
}

async fn pass(operation: &DualWriteOperation, context: &Context) -> Result<Action, PassError> {
    let known = watch::known(operation);
    if !act::needs_reading(&known) {
        context.forget_sending(&known.uid);
        return release(operation, context)
            .await
            .map(|()| Action::await_change());
    }
    let access = access(context, &known);
    let reach = Reach::of(context, &known, &access).await;
    let observed = act::observe(context, &reach, &known).await;
    let owner = owner(context, &known);
    let others = others(context, &known);
    let pass = Pass {
        context,
        known: &known,
        observed: &observed,
        owner: &owner,
        others: &others,
    };
    let next = advance::advance(&pass.act(super::now()));
    let (next, written) = match (next.send.clone(), reach) {
        (Some(send), Ok(reach)) => {
            match Box::pin(begin(operation, &pass, &reach, next, &send)).await? {
                Some(outcome) => outcome,
                None => {
                    return Ok(Action::requeue(watch::with_jitter(
                        context.options.settings.poll,
                    )));
                }
            }
        }
        // Nothing is sent without having been read, so without a reach there is no request.
        (_, _) => (next, operation.clone()),
    };
    conclude(&written, context, &next).await
}

/// What one step forward looks at.
struct Pass<'a> {
    context: &'a Context,
    known: &'a KnownOperation,
    observed: &'a ActObserved,
    owner: &'a Owner,
    others: &'a [KnownOperation],
}

impl Pass<'_> {
    fn act(&self, now: Timestamp) -> Act<'_> {
        Act {
            operation: self.known,
            observed: self.observed,
            owner: self.owner,
            others: self.others,
            incarnation: &self.context.incarnation,
            now,
            settings: &self.context.options.settings,
        }
    }
}

/// Records the intent, sends the request once, and says what became of it. `None`: somebody else is first.
async fn begin(
    operation: &DualWriteOperation,
    pass: &Pass<'_>,
    reach: &Reach,
    intended: Next,
    send: &Send,
) -> Result<Option<(Next, DualWriteOperation)>, PassError> {
    let Some(written) = record_intent(operation, pass, &intended.status, &send.step).await? else {
        return Ok(None);
    };
    // What stands in the API server holds: its time to send by may be that of an earlier write of ours.
    let intent = written.status.clone().unwrap_or(intended.status);
    let Some(step) = step_of(&intent, &send.step) else {
        return Ok(None);
    };
    let send = &Send {
        step: step.name.clone(),
        before: step.send_before.unwrap_or(send.before),
        request: send.request.clone(),
    };
    pass.context
        .note_sending(&pass.known.uid, &step.name, step.attempt);
    tracing::info!(
        operation = pass.known.name,
        step = send.step,
        "sending the request of a recorded intent"
    );
    let sent = act::send(pass.context, reach, pass.known, send).await;
    if let Sent::Lost(problem) | Sent::Refused(problem) | Sent::NotSent(problem) = &sent {
        tracing::warn!(
            operation = pass.known.name,
            step = send.step,
            problem = problem.message,
            "the request was not accepted"
        );
    }
    let next = advance::after_sending(&pass.act(super::now()), intent.clone(), send, &sent);
    let written = record_outcome(pass, written, &intent, &next.status).await;
    // Only now, so that nothing stands between an intent and its request; compared with what was before the intent, which
    // itself may be the beginning of the act.
    let told = if written.is_ok() {
        &next.status
    } else {
        &intent
    };
    tell(operation, pass.context, told).await;
    Ok(Some((next, written?)))
}

/// Writes what became of a request. While the operation carries our intent nobody else may speak of it, so whatever else
/// has changed (a label, its deletion) does not matter, and an answer that is known is not lost to it.
async fn record_outcome(
    pass: &Pass<'_>,
    written: DualWriteOperation,
    intent: &DualWriteOperationStatus,
    outcome: &DualWriteOperationStatus,
) -> Result<DualWriteOperation, PassError> {
    let failed = while_writing("what became of a request");
    let started = Instant::now();
    let mut live = written;
    while live.status.as_ref() == Some(intent) && intent != outcome {
        match report::status(pass.context, &live.metadata, outcome).await {
            Ok(recorded) => return Ok(recorded),
            Err(error) if error.is_final() || started.elapsed() > RECORD_PATIENCE => {
                return Err(failed(error));
            }
            Err(_) => tokio::time::sleep(AGAIN).await,
        }
        let left = RECORD_PATIENCE.saturating_sub(started.elapsed());
        let found = patiently(left, || {
            report::live_operation(pass.context, &pass.known.namespace, &pass.known.name)
        });
        match found.await {
            Ok(Some(found)) => live = found,
            Ok(None) => return Err(failed(WriteError::Conflict)),
            Err(error) => return Err(failed(error)),
        }
    }
    if live.status.as_ref() == Some(outcome) {
        Ok(live)
    } else {
        Err(failed(WriteError::Conflict))
    }
}

/// The finalizer, then the intent, each conditional on what was read before; then nobody else can record one.
async fn record_intent(
    operation: &DualWriteOperation,
    pass: &Pass<'_>,
    intent: &DualWriteOperationStatus,
    step: &str,
) -> Result<Option<DualWriteOperation>, PassError> {
    let _alone = pass.context.one_start().await;
    if live_owner(pass).await? != *pass.owner {
        return Ok(None);
    }
    if pass.known.is_unstarted() && host_is_taken(pass).await? {
        return Ok(None);
    }
    let held = if is_held(operation) {
        operation.clone()
    } else {
        report::hold(pass.context, operation, true)
            .await
            .map_err(while_writing("the finalizer of an operation"))?
    };
    match report::status::<DualWriteOperation>(pass.context, &held.metadata, intent).await {
        Ok(written) => Ok(Some(written)),
        Err(error) if error.is_certain() => Err(while_writing("the intent of a step")(error)),
        // Perhaps it was taken all the same; then it is ours, and nothing was sent for it yet.
        Err(_) => find_intent(pass, intent, step).await,
    }
}

/// The live operation, if it carries the intent that was to be written, or an earlier write of the same intent that
/// arrived late and that this process has not sent anything for.
///
/// Asked for as long as something could still be sent for it: an intent that nobody knows to be unsent costs half a
/// minute, and for a link a person's decision.
async fn find_intent(
    pass: &Pass<'_>,
    intent: &DualWriteOperationStatus,
    step: &str,
) -> Result<Option<DualWriteOperation>, PassError> {
    let live = patiently(pass.context.options.settings.send_window, || {
        report::live_operation(pass.context, &pass.known.namespace, &pass.known.name)
    })
    .await
    .map_err(while_writing("the intent of a step"))?;
    Ok(live.filter(|live| {
        let status = live.status.as_ref();
        status == Some(intent) || status.is_some_and(|status| is_unsent(pass, status, intent, step))
    }))
}

/// Whether a step carries this very intent of this process, and nothing was sent for it.
fn is_unsent(
    pass: &Pass<'_>,
    live: &DualWriteOperationStatus,
    intent: &DualWriteOperationStatus,
    step: &str,
) -> bool {
    let (Some(live), Some(wanted)) = (step_of(live, step), step_of(intent, step)) else {
        return false;
    };
    live.state == StepState::Intended
        && live.attempt == wanted.attempt
        && live.incarnation.as_deref() == Some(&pass.context.incarnation)
        && !pass
            .context
            .was_sending(&pass.known.uid, step, live.attempt)
}

fn step_of<'a>(status: &'a DualWriteOperationStatus, name: &str) -> Option<&'a StepStatus> {
    status.steps.iter().find(|step| step.name == name)
}

/// Asks the API server again until it has given an answer that lasts, within bounds.
async fn patiently<T, F: Future<Output = Result<T, WriteError>>>(
    bound: Duration,
    ask: impl Fn() -> F,
) -> Result<T, WriteError> {
    let started = Instant::now();
    loop {
        match ask().await {
            Err(error) if !error.is_final() && started.elapsed() < bound => {
                tokio::time::sleep(AGAIN).await;
            }
            answer => return answer,
        }
    }
}

/// Whether another operation of the host is under way, from a live list.
async fn host_is_taken(pass: &Pass<'_>) -> Result<bool, PassError> {
    let mut live = Vec::new();
    for scope in &pass.context.scopes {
        let api: Api<DeserializeGuard<DualWriteOperation>> =
            scope.operations_api(&pass.context.client);
        let list = tokio::time::timeout(Duration::from_secs(20), api.list(&ListParams::default()))
            .await
            .map_err(|_| while_writing("a look at the other operations")(WriteError::Timeout))?
            .map_err(|error| {
                while_writing("a look at the other operations")(WriteError::Refused(Box::new(
                    error,
                )))
            })?;
        live.extend(list.items);
    }
    let host = &pass.known.spec.finance_operations_host;
    Ok(live
        .iter()
        .filter_map(|operation| operation.0.as_ref().ok())
        .map(watch::known)
        .any(|other| {
            other.uid != pass.known.uid
                && other.spec.finance_operations_host == *host
                && other.occupies_host()
        }))
}

/// Writes what the pass came to, and takes the finalizer off when nothing is in flight any more.
async fn conclude(
    operation: &DualWriteOperation,
    context: &Context,
    next: &Next,
) -> Result<Action, PassError> {
    let mut current = operation.clone();
    if operation.status.clone().unwrap_or_default() != next.status {
        // An outcome that was unknown has shown late, and the act goes on: it is held before it says so, or a deletion right
        // after that would leave nobody who puts back what it has taken away.
        if advance::needs_finalizer(&current.spec, &next.status) && !is_held(&current) {
            let held = report::hold(context, &current, true).await;
            current = held.map_err(while_writing("the finalizer of an operation"))?;
        }
        let written =
            report::status::<DualWriteOperation>(context, &current.metadata, &next.status).await;
        current = match written {
            Ok(written) => written,
            // Deleted, and nothing was in flight: there is nothing left to write to.
            Err(error) if error.status() == Some(404) => return Ok(Action::await_change()),
            Err(error) => return Err(while_writing("the status of an operation")(error)),
        };
        tell(operation, context, &next.status).await;
    }
    if !advance::needs_finalizer(&current.spec, &next.status) {
        release(&current, context).await?;
    }
    Ok(match next.next {
        Some(at) => Action::requeue(watch::with_jitter(between(super::now(), at))),
        None if next.status.phase.is_some_and(Phase::is_finished) => Action::await_change(),
        None => Action::requeue(watch::with_jitter(IDLE)),
    })
}

/// Whether an operation carries the finalizer.
pub(super) fn is_held(operation: &DualWriteOperation) -> bool {
    report::carries(operation, ACT_FINALIZER)
}

async fn release(operation: &DualWriteOperation, context: &Context) -> Result<(), PassError> {
    if !is_held(operation) {
        return Ok(());
    }
    match report::hold(context, operation, false).await {
        Ok(_) => Ok(()),
        Err(error) if error.status() == Some(404) => Ok(()),
        Err(error) => Err(while_writing("the finalizer of an operation")(error)),
    }
}

/// A change of phase is worth an event and a measurement, and so is an approval.
async fn tell(
    operation: &DualWriteOperation,
    context: &Context,
    status: &DualWriteOperationStatus,
) {
    let before = operation.status.as_ref();
    let approved = status.approved.as_ref();
    let is_news = before.and_then(|before| before.approved.as_ref()) != approved;
    let mut events: Vec<Event> = approved
        .filter(|_| is_news)
        .map(|approved| Event {
            warning: false,
            reason: Reason::Approved,
            note: messages::approved(approved),
        })
        .into_iter()
        .collect();
    let phase = status
        .phase
        .filter(|phase| Some(*phase) != before.and_then(|before| before.phase));
    if let Some(phase) = phase {
        measure(operation, context, status, phase);
        events.push(of_phase(operation.spec.action, status, phase));
    }
    report::events(context, &operation.object_ref(&()), &events).await;
}

fn measure(
    operation: &DualWriteOperation,
    context: &Context,
    status: &DualWriteOperationStatus,
    phase: Phase,
) {
    if let (Some(started), true) = (status.started_at, phase.is_finished()) {
        let took = between(started, status.finished_at.unwrap_or_else(super::now));
        context
            .metrics
            .operation_ended(operation.spec.action, phase, took);
    }
}

fn of_phase(action: OperationAction, status: &DualWriteOperationStatus, phase: Phase) -> Event {
    let reason = status
        .reason
        .as_deref()
        .and_then(|reason| reason.parse::<Reason>().ok());
    Event {
        warning: matches!(phase, Phase::Failed | Phase::Unknown),
        reason: reason.unwrap_or_else(|| reason_of(action, phase)),
        note: status.message.clone().unwrap_or_else(|| phase.to_string()),
    }
}

/// What an event is called that has no reason of its own.
const fn reason_of(action: OperationAction, phase: Phase) -> Reason {
    match (phase, action) {
        (Phase::AwaitingApproval, _) => Reason::AwaitingApproval,
        (Phase::Void, _) => Reason::GivenUp,
        (Phase::Succeeded, OperationAction::Setup) => Reason::Installed,
        (_, OperationAction::Setup) => Reason::Installing,
        (Phase::Succeeded, OperationAction::Link) => Reason::Linked,
        (_, OperationAction::Link) => Reason::Linking,
        (Phase::Succeeded, OperationAction::Reset) => Reason::Reset,
        (_, OperationAction::Reset) => Reason::Resetting,
        (Phase::Succeeded, OperationAction::StopMaps) => Reason::MapsStopped,
        (_, OperationAction::StopMaps) => Reason::StoppingMaps,
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

/// The connection that asked for an operation, as far as the stores know.
fn owner(context: &Context, operation: &KnownOperation) -> Owner {
    let name = &operation.spec.connection.name;
    let found = watch::connection(context, &operation.namespace, name);
    owner_of(context, operation, found.as_deref())
}

/// The connection that asked for an operation, live: before an intent it must not be suspended, changed or deleted unseen.
async fn live_owner(pass: &Pass<'_>) -> Result<Owner, PassError> {
    let KnownOperation {
        namespace, spec, ..
    } = pass.known;
    let live = report::live_connection(pass.context, namespace, &spec.connection.name)
        .await
        .map_err(while_writing("a look at the connection"))?;
    Ok(owner_of(pass.context, pass.known, live.as_ref()))
}

fn owner_of(
    context: &Context,
    operation: &KnownOperation,
    connection: Option<&DeserializeGuard<DualWriteConnection>>,
) -> Owner {
    // It is there, but cannot be read: nothing new is started for it.
    let unreadable = Owner::Present {
        suspended: true,
        reconcile_at: None,
    };
    let found = match connection.map(|guarded| &guarded.0) {
        None => return Owner::Gone,
        Some(Err(_)) => return unreadable,
        Some(Ok(found)) => found,
    };
    if found.uid().as_deref() != Some(&operation.spec.connection.uid)
        || found.metadata.deletion_timestamp.is_some()
    {
        return Owner::Gone;
    }
    match Desired::from_resource(found, context.options.least_interval) {
        Err(_) => unreadable,
        Ok(desired) if !is_asked_for(&desired, &operation.spec) => Owner::Changed,
        Ok(desired) => Owner::Present {
            suspended: desired.suspend || context.options.settings.observe_only,
            reconcile_at: desired.reconcile_at,
        },
    }
}

/// The other operations of the same host, as far as the stores know.
fn others(context: &Context, operation: &KnownOperation) -> Vec<KnownOperation> {
    let mut others = Vec::new();
    for scope in &context.scopes {
        others.extend(scope.operations.state().iter().filter_map(|other| {
            let other = other.0.as_ref().ok()?;
            let same_host =
                other.spec.finance_operations_host == operation.spec.finance_operations_host;
            (same_host && other.uid().as_ref() != Some(&operation.uid)).then(|| watch::known(other))
        }));
    }
    others
}
