//! What people are told of an operation, beside its status: events and measurements.

use kube::Resource;

use crate::controller::{context::Context, report};
use dualwrite_api::{
    DualWriteOperation, DualWriteOperationStatus, Reason,
    operation::{Action, Phase},
};
use dualwrite_plan::{decision::Event, messages, world::between};

/// A change of phase is worth an event and a measurement, and so is an approval.
pub async fn tell(
    context: &Context,
    operation: &DualWriteOperation,
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
