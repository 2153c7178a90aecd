//! What an operation's next pass reads: what the step that comes next needs, and no more.

use super::{
    model::{Reads, RemoteRequest},
    steps,
};
use crate::world::KnownOperation;
use dualwrite_api::operation::{Action, Approval, Outstanding, Phase, StepState, StepStatus};

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
    let may_ask =
        next.is_some_and(|next| matches!(next.state, StepState::Pending | StepState::Intended));
    let next = next.and_then(|next| steps::parse(action, &next.name));
    let mut reads = next.map_or_else(|| at_the_end(action), |step| step.reads());
    // Between two steps the connection may have been suspended for long; and what was lost may be asked for again.
    reads.integration |= may_ask && matches!(action, Action::Setup | Action::Link);
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
        connection_set: action == Action::Reset,
        ..Reads::default()
    }
}

/// The request that Microsoft is asked about, if it has given it an id.
fn remote(operation: &KnownOperation) -> Option<RemoteRequest> {
    let (status, id) = asked_about(operation)?;
    let step = steps::parse(operation.spec.action, &status.name)?;
    Some(step.remote(id.to_owned()))
}

/// The request that was accepted last; when none is followed, an earlier one that changes table maps and may still do so.
pub(super) fn asked_about(operation: &KnownOperation) -> Option<(&StepStatus, &str)> {
    let steps = &operation.status.steps;
    let sent = steps.iter().find(|step| step.state == StepState::Sent);
    let followed = sent.and_then(|step| Some((step, step.remote_id.as_deref()?)));
    let changes_maps = matches!(operation.spec.action, Action::Reset | Action::StopMaps);
    followed.or_else(|| {
        let mut steps = steps.iter().filter(|_| changes_maps);
        steps.find_map(|step| {
            let open = |request: &&Outstanding| request.ended_at.is_none();
            let mut open = step.outstanding.iter().filter(open);
            Some((step, open.find_map(|request| request.remote_id.as_deref())?))
        })
    })
}
