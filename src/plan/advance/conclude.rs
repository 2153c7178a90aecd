//! The end of a reset, and of the stopping of maps.

use super::{
    Act, Next, elsewhere,
    ends::{finish, succeed},
    reset::{names, note_missing},
    steps::unseen,
    targets::unreached,
};
use crate::{
    api::{
        DualWriteOperationStatus, Reason,
        operation::{Action, Ending, Phase, PlannedMap},
    },
    plan::{
        maps::{self, TableMap},
        messages,
        observed::Fact,
        operation::StepKind,
    },
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
    let reason = ending
        .reason
        .as_deref()
        .and_then(|reason| reason.parse().ok());
    let message = messages::gave_up(
        &act.operation.spec,
        &ending.message,
        &still,
        &status.missing,
    );
    if still.is_empty() {
        return finish(act, status, ending.phase, reason, message);
    }
    // Whoever asked for it may be gone: that maps are stopped is told all the same.
    let reason = reason.or(Some(Reason::MapsNotRunning));
    finish(act, status, Phase::Failed, reason, message)
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
    for planned in promised {
        note_missing(&mut status, &messages::map_missing(planned));
    }
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
