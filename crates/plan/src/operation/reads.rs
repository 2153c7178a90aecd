//! What an operation's next pass reads: what the step that comes next needs, and no more.

use super::{
    model::{Reads, RemoteRequest},
    steps,
};
use crate::world::KnownOperation;
use dualwrite_api::operation::{Action, Approval, Phase, StepState, StepStatus};

/// What the next pass over an operation has to read.
pub fn reads(operation: &KnownOperation) -> Reads {
    let action = operation.spec.action;
    if waits_for_a_person(operation) {
        return Reads::default();
    }
    if operation.is_unstarted() {
        return before_the_first_step(action);
    }
    let next = open_step(operation);
    let is_pending = next.is_some_and(|next| next.state == StepState::Pending);
    let next = next.and_then(|next| steps::parse(action, &next.name));
    let mut reads = next.map_or_else(|| at_the_end(action), |step| step.reads());
    // Between two steps the connection may have been suspended for long.
    reads.integration |= is_pending && matches!(action, Action::Setup | Action::Link);
    // The outcome of what is not followed any more does not depend on it.
    reads.backup &= operation.status.phase == Some(Phase::Running);
    reads.remote = remote(operation);
    reads
}

/// The first step that is worked on.
fn open_step(operation: &KnownOperation) -> Option<&StepStatus> {
    let is_given_up = operation.status.ending.is_some();
    operation.status.steps.iter().find(|status| {
        let step = steps::parse(operation.spec.action, &status.name);
        !matches!(status.state, StepState::Done | StepState::Failed)
            && steps::is_worked_on(step.as_deref(), is_given_up)
    })
}

/// Before a plan is approved only its connection can change what becomes of it.
fn waits_for_a_person(operation: &KnownOperation) -> bool {
    let is_undecided = matches!(
        operation.spec.approval,
        Approval::Pending | Approval::Rejected
    );
    operation.is_unstarted() && is_undecided
}

/// All that a plan relies on.
fn before_the_first_step(action: Action) -> Reads {
    let is_reset = action == Action::Reset;
    Reads {
        integration: action != Action::StopMaps,
        connection_set: is_reset,
        solutions: is_reset,
        ..at_the_end(action)
    }
}

/// What tells how an operation has ended.
fn at_the_end(action: Action) -> Reads {
    Reads {
        applications: action == Action::Setup,
        link: action != Action::Setup,
        maps: matches!(action, Action::Reset | Action::StopMaps),
        ..Reads::default()
    }
}

/// The request that was accepted last, if Microsoft has given it an id.
fn remote(operation: &KnownOperation) -> Option<RemoteRequest> {
    let mut steps = operation.status.steps.iter();
    let sent = steps.find(|step| step.state == StepState::Sent)?;
    let step = steps::parse(operation.spec.action, &sent.name)?;
    Some(step.remote(sent.remote_id.clone()?))
}
