//! The end of a reset, and of the stopping of maps.

use super::{
    Act, Next, elsewhere,
    ends::{finish, keep, succeed},
    read_back::may_repeat,
    reset::{is_undoing, names, note_missing, patience},
    steps::unseen,
    targets::unreached,
};
use crate::{
    maps::{self, TableMap},
    messages,
    observed::Fact,
    operation::StepKind,
    world::after,
};
use dualwrite_api::{
    DualWriteOperationStatus, Reason,
    operation::{Action, Ending, Phase, PlannedMap, StepState, StepStatus},
};

/// Every step is done or given up: what has come of it?
pub(super) fn conclude(act: &Act<'_>, status: DualWriteOperationStatus) -> Next {
    if act.operation.spec.action != Action::Reset {
        return succeed(act, status);
    }
    if let Some(next) = elsewhere::at_the_end(act, &status) {
        return next;
    }
    match (&act.observed.maps, status.ending.clone()) {
        (Fact::Unknown(problem), _) => unseen(act, status, Some(problem)),
        (Fact::Known(maps), Some(ending)) => taken_back(act, status, maps, &ending),
        (Fact::Known(maps), None) => restored(act, status, maps),
    }
}

/// The act was given up, and what it had stopped was started again: does it run?
fn taken_back(
    act: &Act<'_>,
    status: DualWriteOperationStatus,
    maps: &[TableMap],
    ending: &Ending,
) -> Next {
    let is_as_before = |planned: &&PlannedMap| {
        let mut twins = maps.iter().filter(|map| map.name == planned.name);
        twins.any(|map| map.state == planned.state)
    };
    let planned = maps::to_start(&act.operation.spec.relies_on.maps);
    let still: Vec<String> = planned
        .filter(|planned| !is_as_before(planned))
        .map(|planned| planned.name.clone())
        .collect();
    let mut status = status;
    if !still.is_empty() && is_open_again(act, &mut status, maps) {
        return keep(status, Some(act.now));
    }
    if stop_may_still_come(act, &status) {
        status.message = Some(messages::undoing(&ending.message));
        return keep(status, Some(after(act.now, act.settings.poll)));
    }
    let reason = ending
        .reason
        .as_deref()
        .and_then(|reason| reason.parse().ok());
    let message = messages::gave_up(&act.operation.spec, &status, &ending.message, &still);
    if still.is_empty() {
        return finish(act, status, ending.phase, reason, message);
    }
    // Whoever asked for it may be gone: that maps are stopped is told all the same.
    let reason = reason.or(Some(Reason::MapsNotRunning));
    finish(act, status, Phase::Failed, reason, message)
}

/// Opens the steps again that start what has stopped after all, as long as they may ask for it.
fn is_open_again(act: &Act<'_>, status: &mut DualWriteOperationStatus, maps: &[TableMap]) -> bool {
    let action = act.operation.spec.action;
    let mut is_any = false;
    for step in &mut status.steps {
        let Some(kind) = StepKind::parse(action, &step.name) else {
            continue;
        };
        let is_due = is_undoing(action, &step.name)
            && step.state == StepState::Done
            && may_repeat(&kind, step)
            && !unreached(act, &kind, maps).is_empty();
        if is_due {
            step.state = StepState::Pending;
            step.began = None;
            is_any = true;
        }
    }
    is_any
}

/// Whether a request to stop maps, of which nothing was seen and nothing is known, may still show: a map that runs now may
/// be stopped by it later.
fn stop_may_still_come(act: &Act<'_>, status: &DualWriteOperationStatus) -> bool {
    let name = StepKind::StopMaps.to_string();
    let stop = status.steps.iter().find(|step| step.name == name);
    let Some(stop) = stop.filter(|step| step.state != StepState::Done) else {
        return false;
    };
    let lost = stop.send_before.filter(|_| stop.remote_id.is_none());
    let lost = lost.map(|sent| after(sent, patience(act)));
    // The list lags: what it shows right after giving up may be what was before the stop.
    let undoing = status.steps.iter();
    let mut undoing = undoing.filter(|step| is_undoing(act.operation.spec.action, &step.name));
    let shown = undoing
        .find_map(|step| step.began)
        .map(|began| after(began, act.settings.settle));
    lost.max(shown)
        .is_some_and(|until| act.observed.began < until)
}

/// Names the maps that have not come back although they were promised, by the solution that was to bring them.
fn note_promised(act: &Act<'_>, status: &mut DualWriteOperationStatus, promised: &[&PlannedMap]) {
    for solution in &act.operation.spec.relies_on.solutions {
        let of = promised
            .iter()
            .filter(|map| map.solution.as_ref() == Some(solution));
        let names: Vec<&str> = of.map(|map| map.name.as_str()).collect();
        if names.is_empty() {
            continue;
        }
        let step = StepKind::Solution(solution.clone()).to_string();
        let is_done = |step: &StepStatus| step.state == StepState::Done;
        let was_applied = status
            .steps
            .iter()
            .find(|known| known.name == step)
            .is_some_and(is_done);
        note_missing(
            status,
            &messages::maps_missing(solution, &names, was_applied),
        );
    }
    // The solution itself may be gone.
    let is_listed = |map: &&&PlannedMap| {
        let solutions = &act.operation.spec.relies_on.solutions;
        map.solution
            .as_ref()
            .is_some_and(|solution| solutions.contains(solution))
    };
    for map in promised.iter().filter(|map| !is_listed(map)) {
        let solution = map.solution.as_deref().unwrap_or_default();
        note_missing(
            status,
            &messages::maps_missing(solution, &[&map.name], false),
        );
    }
}

fn restored(act: &Act<'_>, mut status: DualWriteOperationStatus, maps: &[TableMap]) -> Next {
    let spec = &act.operation.spec;
    let is_back = |planned: &&PlannedMap| maps.iter().any(|map| map.name == planned.name);
    let (promised, lost): (Vec<_>, Vec<_>) = spec
        .relies_on
        .maps
        .iter()
        .filter(|planned| !is_back(planned))
        .partition(|planned| planned.solution.is_some());
    note_promised(act, &mut status, &promised);
    let laggards = names(unreached(act, &StepKind::Verify, maps).into_iter());
    let lost: Vec<&str> = lost.iter().map(|map| map.name.as_str()).collect();
    let text = messages::reset_ended(act.operation, &status, &lost, &laggards);
    if !laggards.is_empty() {
        finish(
            act,
            status,
            Phase::Failed,
            Some(Reason::MapsNotRunning),
            text,
        )
    } else if status.missing.is_empty() {
        finish(act, status, Phase::Succeeded, None, text)
    } else {
        finish(
            act,
            status,
            Phase::Failed,
            Some(Reason::RestoreIncomplete),
            text,
        )
    }
}
