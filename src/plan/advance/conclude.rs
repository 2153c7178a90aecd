//! The end of a reset, and of the stopping of maps.

use super::{
    Act, Next,
    ends::{finish, succeed},
    reset::{names, note_missing},
    steps::unseen,
    targets::unreached,
};
use crate::{
    api::{
        DualWriteOperationStatus, Reason,
        operation::{Action, Phase, PlannedMap},
    },
    plan::{maps::TableMap, messages, observed::Fact, operation::StepKind},
};

/// Every step is done or given up: what has come of it?
pub(super) fn conclude(act: &Act<'_>, status: DualWriteOperationStatus) -> Next {
    if let Some(ending) = status.ending.clone() {
        let reason = ending
            .reason
            .as_deref()
            .and_then(|reason| reason.parse().ok());
        let message = messages::gave_up(&ending.message, &status.missing);
        return finish(act, status, ending.phase, reason, message);
    }
    if act.operation.spec.action != Action::Reset {
        return succeed(act, status);
    }
    match &act.observed.maps {
        Fact::Unknown(problem) => unseen(act, status, Some(problem)),
        Fact::Known(maps) => restored(act, status, maps),
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
