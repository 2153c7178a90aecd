//! What must hold before a step of a reset: right before the first one, and right before something is destroyed.

use std::collections::BTreeMap;

use super::{
    Act, BackupView, Next,
    ends::keep,
    failures::give_up,
    reset::{has_planned_version, names, note_missing, planned, planned_version},
    steps::{begin, running_message, unseen},
    targets::is_target,
};
use crate::{
    desired::same_id,
    maps::{self, TableMap},
    messages,
    observed::{Fact, LinkView, Problem},
    operation::{StepKind, moved},
    world::after,
};
use dualwrite_api::{
    DualWriteOperationStatus, Reason,
    operation::{Phase, PlannedMap, StepState, StepStatus},
};

/// How often a backup is written at the most, if it is gone again right before the reset, or its time is over.
pub(super) const MOST_BACKUPS: u32 = 5;

/// Whether what the plan relies on holds, right before the first step; `None` when it does.
pub(super) fn first_look(act: &Act<'_>) -> Option<Next> {
    // A link that is not shown because the environment is stopped has not moved; an approval is not lost to a restart.
    if let LinkView::HostDown(why) = &act.observed.link {
        let mut status = act.operation.status.clone();
        status.message = Some(messages::act_waiting(&messages::environment_stopped(why)));
        return Some(keep(status, Some(after(act.now, act.settings.poll))));
    }
    let now = moved::Now {
        link: &act.observed.link,
        maps: &act.observed.maps,
        details: &act.observed.details,
    };
    match moved::since_planned(&act.operation.spec, &now) {
        Fact::Known(moved) if moved.is_empty() => None,
        Fact::Known(moved) => Some(super::void(act, &moved.join("; "))),
        Fact::Unknown(problem) => {
            let mut status = act.operation.status.clone();
            status.message = Some(messages::act_waiting(&problem.message));
            Some(keep(status, Some(after(act.now, act.settings.poll))))
        }
    }
}

/// What a step needs before it is looked at: more to be known, more steps, or nothing.
pub(super) fn prepare(
    act: &Act<'_>,
    status: &DualWriteOperationStatus,
    index: usize,
    kind: &StepKind,
) -> Option<Next> {
    match (kind, &act.observed.maps) {
        (StepKind::Reset, _) => before_reset(act, status),
        // What a solution brings is told by what was not there before it.
        (StepKind::Solution(_) | StepKind::MapVersions, Fact::Unknown(problem)) => {
            Some(unseen(act, status.clone(), Some(problem)))
        }
        (StepKind::MapVersions, Fact::Known(maps)) => {
            Some(expand_versions(act, status.clone(), index, maps))
        }
        _ => None,
    }
}

/// The last look before something is destroyed.
fn before_reset(act: &Act<'_>, status: &DualWriteOperationStatus) -> Option<Next> {
    let cannot_see = |problem| Some(unseen(act, status.clone(), Some(problem)));
    let void = |why: &str| Some(give_up(act, status.clone(), Phase::Void, None, why));
    match &act.observed.integrated {
        Fact::Known(true) => {}
        Fact::Known(false) => return void(messages::NOT_INTEGRATED_ANY_MORE),
        Fact::Unknown(problem) => return cannot_see(problem),
    }
    let set = act.operation.spec.relies_on.connection_set.as_ref();
    if let (LinkView::To(link), Some(set)) = (&act.observed.link, set)
        && !is_target(act, &link.environment_id)
        && link.connection_set_id != set.id
    {
        return void(&messages::another_connection_set(
            &set.id,
            &link.connection_set_id,
        ));
    }
    match &act.observed.maps {
        Fact::Unknown(problem) => return cannot_see(problem),
        Fact::Known(maps) => {
            let running = names(maps.iter().filter(|map| !map.state.is_stopped()));
            if !running.is_empty() && !act.operation.spec.options.force {
                let why = messages::maps_run_again(&running);
                let reason = Some(Reason::MapsNotStopped);
                return Some(give_up(act, status.clone(), Phase::Failed, reason, &why));
            }
            match moved_since_stopped(act, maps) {
                Err(problem) => return cannot_see(problem),
                Ok(moved) if !moved.is_empty() => return void(&moved.join("; ")),
                Ok(_) => {}
            }
        }
    }
    match &act.observed.backup {
        BackupView::Intact => None,
        BackupView::Unknown(problem) => cannot_see(problem),
        BackupView::Missing => Some(write_backup_again(act, status)),
        BackupView::Altered => {
            let why = messages::backup_altered(status.backup.as_ref());
            let reason = Some(Reason::ResetFailed);
            Some(give_up(act, status.clone(), Phase::Failed, reason, &why))
        }
    }
}

/// What has moved since the plan was made, but for the states of maps, which the act itself has changed.
fn moved_since_stopped<'a>(act: &Act<'a>, maps: &[TableMap]) -> Result<Vec<String>, &'a Problem> {
    let before = &act.operation.spec.relies_on;
    // Whoever else has reset the link meanwhile has cleared all of it.
    let is_as_before = matches!(&act.observed.link, LinkView::To(link) if same_id(&link.environment_id, &before.link));
    if !is_as_before {
        return Ok(Vec::new());
    }
    let mut moved = moved::details(before, &act.observed.details)?;
    let mut now = maps::planned(maps, &BTreeMap::new(), &BTreeMap::new());
    for map in &mut now {
        let same = |planned: &&PlannedMap| planned.name == map.name;
        let twin = |planned: &&PlannedMap| same(planned) && planned.project == map.project;
        let of = before.maps.iter().find(twin);
        if let Some(planned) = of.or(before.maps.iter().find(same)) {
            map.state = planned.state;
        }
    }
    moved.extend(moved::planned_maps(&before.maps, &now));
    Ok(moved)
}

fn write_backup_again(act: &Act<'_>, status: &DualWriteOperationStatus) -> Next {
    let mut status = status.clone();
    let name = StepKind::Backup.to_string();
    if let Some(step) = status.steps.iter_mut().find(|step| step.name == name) {
        if step.attempt >= MOST_BACKUPS {
            let why = messages::backup_vanishes(status.backup.as_ref());
            return give_up(act, status, Phase::Failed, Some(Reason::ResetFailed), &why);
        }
        step.state = StepState::Pending;
        step.began = None;
        step.error = None;
    }
    keep(status, Some(act.now))
}

/// Every map whose version differs becomes a step of its own; a version that is not there any more is named.
fn expand_versions(
    act: &Act<'_>,
    mut status: DualWriteOperationStatus,
    index: usize,
    maps: &[TableMap],
) -> Next {
    begin(act, &mut status);
    let mut next = index + 1;
    for map in maps.iter().filter(|map| !has_planned_version(act, map)) {
        let name = StepKind::MapVersion(map.name.clone()).to_string();
        if planned_version(act, map).is_none() {
            let wanted = planned(act, &map.name).and_then(|planned| planned.version.clone());
            note_missing(
                &mut status,
                &messages::version_missing(map, wanted.as_deref()),
            );
        } else if status.steps.iter().all(|step| step.name != name) {
            status.steps.insert(next, StepStatus::pending(&name));
            next += 1;
        }
    }
    status.steps[index].state = StepState::Done;
    keep(status, Some(act.now))
}

/// A step that has nothing to ask for yet, or only something to look at.
pub(super) fn without_request(
    act: &Act<'_>,
    mut status: DualWriteOperationStatus,
    index: usize,
) -> Next {
    begin(act, &mut status);
    let name = status.steps[index].name.clone();
    status.message = Some(running_message(act, &status, &name));
    keep(status, Some(after(act.now, act.settings.poll)))
}
