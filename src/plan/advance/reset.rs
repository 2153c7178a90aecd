//! What only a reset and the stopping of maps know: what must hold before a step, how an act is given up, and how it
//! ends.
//!
//! ```text
//! backup -> stop-maps -> reset -> solution/… -> integration-keys -> initialise-maps -> map-versions -> start-maps/…
//!   |          |           |         |                                                                     |
//! failed    given up:   refused:   a step that fails is named, and the independent ones go on       pause-maps, verify
//!           what was    given up                                                                           |
//!           stopped is  accepted, not retargeted: failed, maps stay stopped          succeeded, or failed naming what
//!           restarted   lost: read back until its time is over, then Unknown         is missing or does not run
//! ```
//!
//! Up to the reset everything can be taken back, and is; from its intent on the act goes through to its end, whatever
//! becomes of the connection.

use std::time::Duration;

use super::{
    Act, BackupView, Next,
    ends::{fail, finish, keep, succeed, void_with},
    steps::{begin, running_message, unseen},
    targets::{is_target, unreached},
};
use crate::{
    api::{
        DualWriteOperationStatus, Reason,
        operation::{Action, Ending, MapState, Phase, PlannedMap, StepState, StepStatus},
        values,
    },
    plan::{
        maps::{self, MapVersion, TableMap},
        messages,
        observed::{Fact, LinkView, Problem},
        operation::{StepKind, moved},
        world::after,
    },
};

/// How long one step may take if a plan does not say.
const USUAL_PATIENCE: Duration = Duration::from_mins(15);

/// How many maps, solutions and keys are named in a status at the most.
const MOST_MISSING: usize = 1000;

// ---- what kind of step it is ----

/// How long one step may take.
pub(super) fn patience(act: &Act<'_>) -> Duration {
    values::parse_duration(&act.operation.spec.options.step_timeout, USUAL_PATIENCE)
}

/// Whether a step has a time of its own; the others share that of their act.
pub(super) const fn has_patience(kind: &StepKind) -> bool {
    !matches!(kind, StepKind::Package(_) | StepKind::Link)
}

/// Whether a step belongs to what must be gone through with once it has begun: putting back what was taken away.
pub(super) const fn is_beyond_return(kind: &StepKind) -> bool {
    match kind {
        StepKind::Package(_)
        | StepKind::Link
        | StepKind::Backup
        | StepKind::StopMaps
        | StepKind::Reset => false,
        StepKind::Solution(_)
        | StepKind::IntegrationKeys
        | StepKind::InitialiseMaps
        | StepKind::MapVersions
        | StepKind::MapVersion(_)
        | StepKind::StartMaps(_)
        | StepKind::PauseMaps
        | StepKind::Verify
        | StepKind::RestartMaps(_)
        | StepKind::RepauseMaps
        | StepKind::ByPerson => true,
    }
}

/// Whether a step puts maps back that the act has stopped, because it is given up.
pub(super) fn is_undoing(action: Action, name: &str) -> bool {
    matches!(
        StepKind::parse(action, name),
        Some(StepKind::RestartMaps(_) | StepKind::RepauseMaps)
    )
}

/// The reason of a failure that has none of its own.
pub(super) const fn failed_reason(action: Action) -> Reason {
    match action {
        Action::Setup => Reason::InstallFailed,
        Action::Link => Reason::LinkFailed,
        Action::Reset => Reason::ResetFailed,
        Action::StopMaps => Reason::MapsNotStopped,
    }
}

// ---- what the plan says of maps ----

/// The maps of a wave, from 1 on, by name.
pub(super) fn wave<'a>(act: &Act<'a>, wave: usize) -> Vec<&'a str> {
    let planned = maps::to_start(&act.operation.spec.relies_on.maps);
    let waves = maps::waves(planned);
    let chosen = wave.checked_sub(1).and_then(|index| waves.get(index));
    chosen
        .into_iter()
        .flatten()
        .map(|map| map.name.as_str())
        .collect()
}

fn planned<'a>(act: &Act<'a>, name: &str) -> Option<&'a PlannedMap> {
    let maps = &act.operation.spec.relies_on.maps;
    maps.iter().find(|planned| planned.name == name)
}

/// The version that a map had when the plan was made, among those that it could have now.
pub(super) fn planned_version<'m>(act: &Act<'_>, map: &'m TableMap) -> Option<&'m MapVersion> {
    let planned = planned(act, &map.name)?;
    let wanted = planned.version.as_ref()?;
    map.versions.iter().find(|version| {
        version.version == *wanted && is_same_author(planned, version.author.as_deref())
    })
}

/// Whether the version of a map is the one that it had when the plan was made.
pub(super) fn has_planned_version(act: &Act<'_>, map: &TableMap) -> bool {
    planned(act, &map.name).is_none_or(|planned| {
        planned.version.is_none()
            || (planned.version == map.version && is_same_author(planned, map.author.as_deref()))
    })
}

fn is_same_author(planned: &PlannedMap, author: Option<&str>) -> bool {
    planned.author.is_none() || planned.author.as_deref() == author
}

// ---- before a step ----

/// Whether what the plan relies on holds, right before the first step; `None` when it does.
pub(super) fn first_look(act: &Act<'_>) -> Option<Next> {
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
        }
    }
    match &act.observed.backup {
        BackupView::Intact => None,
        BackupView::Unknown(problem) => cannot_see(problem),
        BackupView::Missing => Some(write_backup_again(act, status.clone())),
        BackupView::Altered => {
            let why = messages::backup_altered(status.backup.as_ref());
            let reason = Some(Reason::ResetFailed);
            Some(give_up(act, status.clone(), Phase::Failed, reason, &why))
        }
    }
}

fn write_backup_again(act: &Act<'_>, mut status: DualWriteOperationStatus) -> Next {
    let backup = StepKind::Backup.to_string();
    if let Some(step) = status.steps.iter_mut().find(|step| step.name == backup) {
        step.state = StepState::Pending;
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

// ---- when it goes wrong ----

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
    not_retargeted(act, status, index, other)
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
            let why = messages::maps_not_stopped(&unreached_names(act, kind), why);
            fail(act, status, index, &why, Reason::MapsNotStopped)
        }
        StepKind::Reset => {
            let link = act.operation.spec.relies_on.link.clone();
            not_retargeted(act, status, index, &link)
        }
        StepKind::Package(_) | StepKind::Link | StepKind::Backup => {
            fail(act, status, index, why, failed_reason(action))
        }
        _ => {
            begin(act, &mut status);
            let still = unreached_names(act, kind);
            note_missing(&mut status, &messages::step_missing(kind, &still, why));
            status.steps[index].state = StepState::Failed;
            status.steps[index].error = Some(why.to_owned());
            keep(status, Some(act.now))
        }
    }
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
        note_missing(&mut status, &messages::forced(&still, why));
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
fn not_retargeted(
    act: &Act<'_>,
    mut status: DualWriteOperationStatus,
    index: usize,
    link: &str,
) -> Next {
    begin(act, &mut status);
    let text = messages::did_not_retarget(act.operation, &status, link);
    let step = &mut status.steps[index];
    step.state = StepState::Failed;
    step.error = Some(messages::linked_to_another(link));
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

// ---- the end ----

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

fn names<'m>(maps: impl Iterator<Item = &'m TableMap>) -> Vec<String> {
    let mut names: Vec<String> = maps.map(|map| map.name.clone()).collect();
    names.sort();
    names.dedup();
    names
}

fn unreached_names(act: &Act<'_>, kind: &StepKind) -> Vec<String> {
    let maps = act.observed.maps.known();
    maps.map(|maps| names(unreached(act, kind, maps).into_iter()))
        .unwrap_or_default()
}

fn note_missing(status: &mut DualWriteOperationStatus, what: &str) {
    if status.missing.len() < MOST_MISSING && !status.missing.iter().any(|said| said == what) {
        status.missing.push(what.to_owned());
    }
}
