//! What only a reset and the stopping of maps know: which of their steps can be taken back, and what the plan says of maps.
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

use super::{Act, targets::unreached};
use crate::{
    maps::{self, MapVersion, TableMap},
    operation::StepKind,
};
use dualwrite_api::{
    DualWriteOperationStatus, Reason,
    operation::{Action, PlannedMap},
    values,
};

/// How long one step may take if a plan does not say.
const USUAL_PATIENCE: Duration = Duration::from_mins(15);

/// How many maps, solutions and keys are named in a status at the most.
const MOST_MISSING: usize = 1000;

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

/// Whether a map has the project that it had when the plan was made; a reset takes it away for good.
pub(super) fn keeps_a_project(act: &Act<'_>, maps: &[TableMap]) -> bool {
    let planned = &act.operation.spec.relies_on.maps;
    let mut projects = maps.iter().filter_map(|map| map.project.as_ref());
    projects.any(|project| {
        planned
            .iter()
            .any(|was| was.project.as_ref() == Some(project))
    })
}

/// Whether the plan is to have a map running, or paused, at its end.
pub(super) fn is_to_run(act: &Act<'_>, name: &str) -> bool {
    maps::to_start(&act.operation.spec.relies_on.maps).any(|planned| planned.name == name)
}

pub(super) fn planned<'a>(act: &Act<'a>, name: &str) -> Option<&'a PlannedMap> {
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

pub(super) fn names<'m>(maps: impl Iterator<Item = &'m TableMap>) -> Vec<String> {
    let mut names: Vec<String> = maps.map(|map| map.name.clone()).collect();
    names.sort();
    names.dedup();
    names
}

pub(super) fn unreached_names(act: &Act<'_>, kind: &StepKind) -> Vec<String> {
    let maps = act.observed.maps.known();
    maps.map(|maps| names(unreached(act, kind, maps).into_iter()))
        .unwrap_or_default()
}

pub(super) fn note_missing(status: &mut DualWriteOperationStatus, what: &str) {
    if status.missing.len() < MOST_MISSING && !status.missing.iter().any(|said| said == what) {
        status.missing.push(what.to_owned());
    }
}
