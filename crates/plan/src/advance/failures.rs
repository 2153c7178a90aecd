//! When a step goes wrong: what is destroyed decides whether the act is given up or goes on.

use super::{
    Act, Next,
    ends::{fail, finish, keep, void_with},
    read_back::absence_counts_from,
    reset::{self, failed_reason, note_missing, unreached_names},
    steps::begin,
};
use crate::{
    maps, messages,
    observed::{LinkView, Problem},
    operation::StepKind,
    world::after,
};
use dualwrite_api::{
    DualWriteOperationStatus, Reason,
    operation::{Action, Ending, MapState, Phase, StepState, StepStatus},
};

/// Something else is there than what the act is about.
pub(super) fn taken(
    act: &Act<'_>,
    status: DualWriteOperationStatus,
    index: usize,
    kind: &StepKind,
    other: &str,
) -> Next {
    let text = messages::linked_to_another(other);
    if *kind != StepKind::Reset {
        let reason = failed_reason(act.operation.spec.action);
        return fail(act, status, index, &text, reason);
    }
    if status.steps[index].attempt == 0 {
        return give_up(act, status, Phase::Void, None, &text);
    }
    not_retargeted(act, status, index)
}

/// A step that this version does not know: nobody can do it, so it is like one that has failed.
pub(super) fn unknown(
    act: &Act<'_>,
    mut status: DualWriteOperationStatus,
    index: usize,
    name: &str,
) -> Next {
    let why = messages::unknown_step(name);
    let action = act.operation.spec.action;
    if action != Action::Reset {
        return fail(act, status, index, &why, failed_reason(action));
    }
    begin(act, &mut status);
    status.steps[index].state = StepState::Failed;
    status.steps[index].error = Some(why.clone());
    if has_sent_reset(&status) {
        note_missing(&mut status, why.trim_end_matches('.'));
        return keep(status, Some(act.now));
    }
    let reason = Some(Reason::ResetFailed);
    give_up(act, status, Phase::Failed, reason, &why)
}

/// A step was refused, and trying again does not help: certainly nothing came of it.
pub(super) fn refused(
    act: &Act<'_>,
    mut status: DualWriteOperationStatus,
    index: usize,
    kind: &StepKind,
    problem: &Problem,
) -> Next {
    match kind {
        StepKind::Reset => {
            status.steps[index].state = StepState::Failed;
            status.steps[index].error = Some(problem.message.clone());
            let why = messages::reset_refused(&problem.message);
            give_up(act, status, Phase::Failed, Some(Reason::ResetFailed), &why)
        }
        _ => exhausted(act, status, index, kind, &problem.message),
    }
}

/// A step could not be done, however often it was tried.
pub(super) fn exhausted(
    act: &Act<'_>,
    mut status: DualWriteOperationStatus,
    index: usize,
    kind: &StepKind,
    why: &str,
) -> Next {
    let action = act.operation.spec.action;
    match kind {
        StepKind::StopMaps if action == Action::Reset => not_stopped(act, status, index, why),
        StepKind::StopMaps => {
            let still = unreached_names(act, kind);
            let why = messages::maps_not_stopped(&still, why);
            let why = messages::partly_stopped(&act.operation.spec, &status, &why);
            fail(act, status, index, &why, Reason::MapsNotStopped)
        }
        StepKind::Backup => not_begun(act, status, index, &messages::backup_failed(why)),
        StepKind::Reset if status.steps[index].attempt == 0 => {
            not_begun(act, status, index, &messages::reset_not_sent(why))
        }
        StepKind::Reset => not_retargeted(act, status, index),
        StepKind::Package(_) | StepKind::Link => {
            fail(act, status, index, why, failed_reason(action))
        }
        _ => {
            begin(act, &mut status);
            // What does not run is named at the end in any case.
            if *kind != StepKind::Verify {
                let still = unreached_names(act, kind);
                note_missing(&mut status, &messages::step_missing(kind, &still, why));
            }
            status.steps[index].state = StepState::Failed;
            status.steps[index].error = Some(why.to_owned());
            keep(status, Some(act.now))
        }
    }
}

/// The reset could not even be sent.
fn not_begun(act: &Act<'_>, mut status: DualWriteOperationStatus, index: usize, why: &str) -> Next {
    status.steps[index].state = StepState::Failed;
    status.steps[index].error = Some(why.to_owned());
    give_up(act, status, Phase::Failed, Some(Reason::ResetFailed), why)
}

/// What decides cannot be seen, before anything is destroyed, for longer than a step may take: maps do not stay stopped for
/// it. They are started again as soon as they can be seen.
pub(super) fn unseen_for_too_long(
    act: &Act<'_>,
    status: &DualWriteOperationStatus,
    problem: &Problem,
) -> Option<Next> {
    let is_undecided = act.operation.spec.action == Action::Reset
        && status.phase == Some(Phase::Running)
        && status.ending.is_none()
        && !has_sent_reset(status);
    let name = status.step.as_ref().filter(|_| is_undecided)?;
    let step = status.steps.iter().find(|step| step.name == *name)?;
    let kind = StepKind::parse(Action::Reset, name)?;
    let until = after(step.began?, reset::patience(act));
    let arrived = match step.state {
        StepState::Intended => absence_counts_from(act, &kind, step),
        _ => until,
    };
    (act.now > until.max(arrived)).then(|| {
        let why = messages::not_seen(&problem.message);
        let reason = Some(Reason::ResetFailed);
        give_up(act, status.clone(), Phase::Failed, reason, &why)
    })
}

/// Nothing has been destroyed yet: what was stopped is started again, unless the spec says to go on.
fn not_stopped(
    act: &Act<'_>,
    mut status: DualWriteOperationStatus,
    index: usize,
    why: &str,
) -> Next {
    begin(act, &mut status);
    status.steps[index].state = StepState::Failed;
    status.steps[index].error = Some(why.to_owned());
    let still = unreached_names(act, &StepKind::StopMaps);
    if act.operation.spec.options.force {
        status.steps[index].maps = still;
        return keep(status, Some(act.now));
    }
    let set = act.operation.spec.relies_on.connection_set.as_ref();
    let is_gone = set.is_some_and(|set| !set.environment_visible);
    let (reason, text) = if is_gone {
        let text = messages::linked_dataverse_gone(&act.operation.spec, why);
        (Reason::LinkedDataverseGone, text)
    } else {
        let text = messages::maps_not_stopped(&still, why);
        (Reason::MapsNotStopped, text)
    };
    give_up(act, status, Phase::Failed, Some(reason), &text)
}

/// The reset was accepted, and the link does not name the target: what was taken away cannot be put back at the old one
/// without knowing what the reset has done, so a person decides.
fn not_retargeted(act: &Act<'_>, mut status: DualWriteOperationStatus, index: usize) -> Next {
    begin(act, &mut status);
    let link = match &act.observed.link {
        LinkView::To(link) => Some(link.environment_id.as_str()),
        _ => None,
    };
    let is_accepted = status.steps[index].sent_at.is_some();
    let text = messages::did_not_retarget(act.operation, &status, link, is_accepted);
    let step = &mut status.steps[index];
    step.state = StepState::Failed;
    step.error = Some(messages::not_linked_to_target(link));
    let reason = Some(Reason::ResetDidNotRetarget);
    finish(act, status, Phase::Failed, reason, text)
}

/// Ends an act that has destroyed nothing. What it has stopped is started again first.
pub(super) fn give_up(
    act: &Act<'_>,
    mut status: DualWriteOperationStatus,
    phase: Phase,
    reason: Option<Reason>,
    why: &str,
) -> Next {
    if !has_stopped_maps(&status) {
        return match phase {
            Phase::Void => void_with(act, status, why),
            _ => finish(act, status, phase, reason, messages::given_up_unharmed(why)),
        };
    }
    begin(act, &mut status);
    // Nothing of it is followed any more; what Microsoft says is asked of one step at a time.
    for step in &mut status.steps {
        if matches!(step.state, StepState::Intended | StepState::Sent) {
            step.state = StepState::Failed;
            step.error.get_or_insert_with(|| why.to_owned());
        }
    }
    status.ending = Some(Ending {
        phase,
        reason: reason.map(|reason| reason.as_ref().to_owned()),
        message: messages::given_up_unharmed(why),
    });
    let planned = &act.operation.spec.relies_on.maps;
    let waves = maps::waves(maps::to_start(planned)).len();
    let paused = planned.iter().any(|map| map.state == MapState::Paused);
    let undoing = (1..=waves)
        .map(StepKind::RestartMaps)
        .chain(paused.then_some(StepKind::RepauseMaps));
    let undoing = undoing.map(|kind| StepStatus::pending(&kind.to_string()));
    status.steps.extend(undoing);
    status.message = Some(messages::giving_up(why));
    keep(status, Some(act.now))
}

/// Whether a request to stop maps was made.
pub(super) fn has_stopped_maps(status: &DualWriteOperationStatus) -> bool {
    let name = StepKind::StopMaps.to_string();
    let stop = status.steps.iter().find(|step| step.name == name);
    stop.is_some_and(|step| step.attempt > 0)
}

/// Whether the reset was perhaps sent: from its intent on nothing can be taken back.
pub(super) fn has_sent_reset(status: &DualWriteOperationStatus) -> bool {
    let name = StepKind::Reset.to_string();
    let reset = status.steps.iter().find(|step| step.name == name);
    reset.is_some_and(|step| step.attempt > 0 || step.state == StepState::Done)
}
