//! What people are told of an operation, beside its status: events, measurements and a line of the log for each step.

use kube::{Resource, ResourceExt};

use crate::controller::{context::Context, report};
use dualwrite_api::{
    DualWriteOperation, DualWriteOperationStatus, Reason,
    operation::{Action, Phase, StepState},
};
use dualwrite_plan::{decision::Event, messages, world::between};

/// A change of phase is worth an event and a measurement, and so is an approval. A change of a step is worth a line of the log.
pub async fn tell(
    context: &Context,
    operation: &DualWriteOperation,
    status: &DualWriteOperationStatus,
) {
    log_steps(operation, status);
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

/// Only what is on record is logged: what could not be written is worked out again in the next pass.
fn log_steps(operation: &DualWriteOperation, status: &DualWriteOperationStatus) {
    for step in &status.steps {
        let mut before = operation.status.iter().flat_map(|before| &before.steps);
        let known = before.find(|known| known.name == step.name);
        let from = known.map_or(StepState::Pending, |known| known.state);
        if from != step.state {
            tracing::info!(operation = operation.name_any(), step = step.name, %from, to = %step.state, "a step goes on");
        }
    }
}

fn measure(
    operation: &DualWriteOperation,
    context: &Context,
    status: &DualWriteOperationStatus,
    phase: Phase,
) {
    if let (Some(started), true) = (status.started_at, phase.is_finished()) {
        let took = between(
            started,
            status.finished_at.unwrap_or_else(crate::controller::now),
        );
        context
            .metrics
            .operation_ended(operation.spec.action, phase, took);
    }
}

fn of_phase(action: Action, status: &DualWriteOperationStatus, phase: Phase) -> Event {
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
const fn reason_of(action: Action, phase: Phase) -> Reason {
    match (phase, action) {
        (Phase::AwaitingApproval, _) => Reason::AwaitingApproval,
        (Phase::Void, _) => Reason::GivenUp,
        (Phase::Succeeded, Action::Setup) => Reason::Installed,
        (_, Action::Setup) => Reason::Installing,
        (Phase::Succeeded, Action::Link) => Reason::Linked,
        (_, Action::Link) => Reason::Linking,
        (Phase::Succeeded, Action::Reset) => Reason::Reset,
        (_, Action::Reset) => Reason::Resetting,
        (Phase::Succeeded, Action::StopMaps) => Reason::MapsStopped,
        (_, Action::StopMaps) => Reason::StoppingMaps,
    }
}
