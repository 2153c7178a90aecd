//! How an act ends, and how it waits.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    Act, Next, Owner,
    steps::{adopt, begin},
    targets::{Target, target},
};
use crate::{messages, operation::StepKind, world::after};
use dualwrite_api::{
    DualWriteOperationStatus, Reason,
    operation::{Action, Phase, StepState, StepStatus},
};

/// How often an outcome that cannot be known is looked at for a late success.
const LATE_LOOK: Duration = Duration::from_mins(1);

pub(super) fn done(act: &Act<'_>, mut status: DualWriteOperationStatus, index: usize) -> Next {
    begin(act, &mut status);
    let step = &mut status.steps[index];
    step.state = StepState::Done;
    step.error = None;
    step.absent_since = None;
    let is_one_state = matches!(act.operation.spec.action, Action::Setup | Action::Link);
    if is_one_state
        && status
            .steps
            .iter()
            .all(|step| step.state == StepState::Done)
    {
        return succeed(act, status);
    }
    // One step a pass: the next one is judged by reads that were made after this one was recorded.
    keep(status, Some(act.now))
}

pub(super) fn succeed(act: &Act<'_>, status: DualWriteOperationStatus) -> Next {
    let message = messages::act_succeeded(&act.operation.spec);
    finish(act, status, Phase::Succeeded, None, message)
}

pub(super) fn fail(
    act: &Act<'_>,
    mut status: DualWriteOperationStatus,
    index: usize,
    why: &str,
    reason: Reason,
) -> Next {
    begin(act, &mut status);
    let step = &mut status.steps[index];
    step.state = StepState::Failed;
    step.error = Some(why.to_owned());
    let message = messages::act_failed(&act.operation.spec, &step.name.clone(), why);
    finish(act, status, Phase::Failed, Some(reason), message)
}

pub(super) fn timed_out(act: &Act<'_>, mut status: DualWriteOperationStatus, index: usize) -> Next {
    let deadline = status.deadline.unwrap_or(act.now);
    let step = &mut status.steps[index];
    step.state = StepState::Failed;
    let message = messages::act_timed_out(&act.operation.spec, &step.name.clone(), deadline);
    step.error = Some(message.clone());
    finish(act, status, Phase::Failed, Some(Reason::TimedOut), message)
}

pub(super) fn void(act: &Act<'_>, why: &str) -> Next {
    void_with(act, act.operation.status.clone(), why)
}

pub(super) fn void_with(act: &Act<'_>, status: DualWriteOperationStatus, why: &str) -> Next {
    let message = if status.started_at.is_some() {
        let done = |step: &&StepStatus| step.state == StepState::Done;
        messages::given_up(
            status.steps.iter().filter(done).count(),
            status.steps.len(),
            why,
        )
    } else {
        messages::void(why)
    };
    finish(act, status, Phase::Void, None, message)
}

pub(super) fn finish(
    act: &Act<'_>,
    mut status: DualWriteOperationStatus,
    phase: Phase,
    reason: Option<Reason>,
    message: String,
) -> Next {
    status.phase = Some(phase);
    status.reason = reason.map(|reason| reason.as_ref().to_owned());
    status.message = Some(message);
    let next = (phase == Phase::Unknown).then(|| after(act.now, LATE_LOOK));
    if phase.is_finished() {
        status.step = None;
        status.finished_at = Some(act.now);
        status.reconcile_at = match act.owner {
            Owner::Present { reconcile_at, .. } => reconcile_at.clone(),
            Owner::Changed | Owner::Gone => None,
        };
    }
    Next {
        status,
        send: None,
        next,
    }
}

/// What could not be known may still turn out well; a success that comes late counts.
pub(super) fn late_success(act: &Act<'_>) -> Next {
    let status = act.operation.status.clone();
    let step = status
        .steps
        .iter()
        .position(|step| step.state == StepState::Unknown);
    let Some(index) = step else {
        return keep(status, Some(after(act.now, LATE_LOOK)));
    };
    let kind = StepKind::parse(act.operation.spec.action, &status.steps[index].name);
    let reached = kind
        .as_ref()
        .is_some_and(|kind| matches!(target(act, kind, &status.steps[index]), Target::Reached));
    match kind {
        // What it took away is still to be put back.
        Some(StepKind::Reset) if reached => adopt(act, status, index),
        Some(_) if reached => done(act, status, index),
        _ => keep(status, Some(after(act.now, LATE_LOOK))),
    }
}

pub(super) fn settled(act: &Act<'_>) -> Next {
    keep(act.operation.status.clone(), None)
}

pub(super) const fn keep(status: DualWriteOperationStatus, next: Option<Timestamp>) -> Next {
    Next {
        status,
        send: None,
        next,
    }
}

pub(super) fn wait(act: &Act<'_>, until: Timestamp) -> Next {
    wait_in(act, act.operation.status.phase, Some(until))
}

pub(super) fn wait_in(act: &Act<'_>, phase: Option<Phase>, until: Option<Timestamp>) -> Next {
    let mut status = act.operation.status.clone();
    status.phase = phase;
    keep(status, until)
}
