//! A request that was accepted: followed until the target state is read back.

use jiff::Timestamp;

use super::{
    Act, Next, RemoteState,
    ends::{done, fail, keep, timed_out},
    failures,
    read_back::may_repeat,
    reset,
    steps::{unseen, wait_for_step},
    targets::{Target, appeared, target},
};
use crate::{messages, operation::StepKind, world::after};
use dualwrite_api::{
    DualWriteOperationStatus, Reason,
    operation::{StepState, StepStatus},
};

/// A request that was accepted, or that somebody else has made: followed until the target state is read back.
pub(super) fn follow(
    act: &Act<'_>,
    status: DualWriteOperationStatus,
    index: usize,
    kind: &StepKind,
) -> Next {
    match kind {
        StepKind::Package(_) | StepKind::Link => follow_setup(act, status, index, kind),
        _ => follow_reset(act, status, index, kind),
    }
}

fn remote<'a>(act: &Act<'a>, step: &StepStatus) -> Option<&'a RemoteState> {
    step.remote_id
        .as_ref()
        .and_then(|_| act.observed.remote.known())
}

fn follow_setup(
    act: &Act<'_>,
    status: DualWriteOperationStatus,
    index: usize,
    kind: &StepKind,
) -> Next {
    let step = &status.steps[index];
    let reason = reset::failed_reason(act.operation.spec.action);
    match (target(act, kind, step), remote(act, step)) {
        (Target::Reached, _) => done(act, status, index),
        (Target::Taken(other), _) => failures::taken(act, status, index, kind, other),
        (_, Some(RemoteState::Failed(why))) => fail(act, status, index, why, reason),
        // Without Microsoft's id only the package tells; an old failure may still show for a moment after a new request.
        (Target::Missing(Some(why)), None | Some(RemoteState::Gone))
            if is_readable(act, step) && has_settled(act, step) =>
        {
            fail(act, status, index, &why, Reason::InstallFailed)
        }
        (Target::Missing(_) | Target::Moving, _) if is_past_patience(act, step, kind) => {
            timed_out(act, status, index)
        }
        (Target::Unseen(problem), _) => unseen(act, status, problem),
        (Target::Missing(_) | Target::Moving, _) => {
            wait_for_step(act, status, index, after(act.now, act.settings.poll))
        }
    }
}

fn follow_reset(
    act: &Act<'_>,
    mut status: DualWriteOperationStatus,
    index: usize,
    kind: &StepKind,
) -> Next {
    note_quiet(act, &mut status, index, kind);
    let step = &status.steps[index];
    let failure = match (target(act, kind, step), remote(act, step)) {
        (Target::Reached, _) => {
            return if is_ripe(act, step, kind) || is_past_patience(act, step, kind) {
                done(act, status, index)
            } else {
                wait_for_step(act, status, index, after(act.now, act.settings.poll))
            };
        }
        (Target::Taken(other), _) => return failures::taken(act, status, index, kind, other),
        (Target::Unseen(problem), _) => return unseen(act, status, problem),
        (_, Some(RemoteState::Failed(why))) => Some(why.clone()),
        // It has brought nothing that was not there.
        (_, Some(RemoteState::Succeeded))
            if matches!(kind, StepKind::Solution(_)) && is_quiet(act, step) =>
        {
            return done(act, status, index);
        }
        (_, Some(RemoteState::Succeeded)) if is_quiet(act, step) => Some(messages::no_effect()),
        (_, None | Some(RemoteState::Gone)) if is_overdue(act, step) => Some(messages::no_effect()),
        (Target::Missing(_) | Target::Moving, _) => None,
    };
    let is_refused = matches!(remote(act, step), Some(RemoteState::Failed(_)));
    let is_over = is_past_patience(act, step, kind);
    if let Some(why) = failure.clone().filter(|_| may_repeat(kind, step)) {
        let step = &mut status.steps[index];
        step.state = StepState::Pending;
        step.error = Some(why);
        return keep(status, Some(act.now));
    }
    if is_over || (is_refused && *kind != StepKind::Reset) {
        let why = failure.unwrap_or_else(|| messages::took_too_long(reset::patience(act)));
        return failures::exhausted(act, status, index, kind, &why);
    }
    wait_for_step(act, status, index, after(act.now, act.settings.poll))
}

/// Notes since when nothing more has come of a request that the service does not work on any more, for the list of maps lags
/// behind what it says; and which maps a solution has brought, which is the only proof of what it holds.
fn note_quiet(act: &Act<'_>, status: &mut DualWriteOperationStatus, index: usize, kind: &StepKind) {
    let known = &status.steps[index];
    let is_running = match kind {
        StepKind::Reset => !matches!(target(act, kind, known), Target::Reached),
        _ => remote(act, known) == Some(&RemoteState::Running),
    };
    let step = &mut status.steps[index];
    let mut is_new = false;
    if let (StepKind::Solution(_), Some(maps)) = (kind, act.observed.maps.known()) {
        let brought = appeared(maps, step);
        is_new = brought != step.maps;
        step.maps = brought;
    }
    if is_running {
        step.absent_since = None;
    } else if is_new || step.absent_since.is_none() {
        step.absent_since = Some(act.observed.began);
    }
}

/// Whether nothing more has come of a request for as long as a list may lag.
fn is_quiet(act: &Act<'_>, step: &StepStatus) -> bool {
    step.absent_since
        .is_some_and(|since| act.observed.began >= after(since, act.settings.settle))
}

/// Whether a target state that is seen may be believed: what is shown right after a change can be what was before it, and
/// the maps of a solution come one after the other; a late one would pass for the work of the next solution.
fn is_ripe(act: &Act<'_>, step: &StepStatus, kind: &StepKind) -> bool {
    match kind {
        // What the list shows of the maps that were there would pass for what the first solution has not brought.
        StepKind::Reset => act.observed.maps.known().is_some_and(|maps| {
            maps.is_empty() || (is_quiet(act, step) && !reset::keeps_a_project(act, maps))
        }),
        StepKind::Solution(_) => is_quiet(act, step),
        _ => true,
    }
}

fn has_settled(act: &Act<'_>, step: &StepStatus) -> bool {
    act.observed.began >= settled_after(act, step)
}

/// Whether a request that was accepted without an id has had long enough to show.
fn is_overdue(act: &Act<'_>, step: &StepStatus) -> bool {
    let sent = step.sent_at.unwrap_or(act.now);
    let enough = (reset::patience(act) / 3).max(act.settings.settle);
    act.observed.began >= after(sent, enough)
}

/// Whether the package list is all there is to go by: no id, or one that Microsoft has forgotten.
fn is_readable(act: &Act<'_>, step: &StepStatus) -> bool {
    step.remote_id.is_none() || act.observed.remote.known() == Some(&RemoteState::Gone)
}

fn settled_after(act: &Act<'_>, step: &StepStatus) -> Timestamp {
    after(step.sent_at.unwrap_or(act.now), act.settings.settle)
}

/// Whether a good read past the end of a step's time was made.
pub(super) fn is_past_patience(act: &Act<'_>, step: &StepStatus, kind: &StepKind) -> bool {
    let end = if reset::has_patience(kind) {
        // The time of a reset counts from its answer, which itself may take minutes.
        let from = step
            .sent_at
            .filter(|_| *kind == StepKind::Reset)
            .or(step.began);
        from.map(|from| after(from, reset::patience(act)))
    } else {
        act.operation.status.deadline
    };
    end.is_some_and(|end| act.observed.began > end)
}

pub(super) fn out_of_patience(
    act: &Act<'_>,
    status: DualWriteOperationStatus,
    index: usize,
    kind: &StepKind,
    shown: Option<&str>,
) -> Next {
    if !reset::has_patience(kind) {
        return timed_out(act, status, index);
    }
    let why = status.steps[index]
        .error
        .clone()
        .or(shown.map(str::to_owned))
        .unwrap_or_else(|| messages::took_too_long(reset::patience(act)));
    failures::exhausted(act, status, index, kind, &why)
}
