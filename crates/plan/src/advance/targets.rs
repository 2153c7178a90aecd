//! How far the target state of a step is, from what was read.

use std::borrow::Cow;

use super::{Act, BackupView, RemoteState, reset};
use crate::{
    desired::same_id,
    maps::TableMap,
    observed::{Fact, LinkView, PackageState, Problem},
    operation::StepKind,
};
use dualwrite_api::operation::{IntegrationKey, MapState, StepStatus};

/// How far the target state of a step is.
pub(super) enum Target<'a> {
    /// It is reached.
    Reached,
    /// It is being worked on.
    Moving,
    /// It is not there; with Microsoft's message about a failure, if there is one.
    Missing(Option<Cow<'a, str>>),
    /// Something else is there instead, which is not ours to change: the environment's id.
    Taken(&'a str),
    /// It could not be read.
    Unseen(Option<&'a Problem>),
}

impl Target<'_> {
    fn of(reached: bool) -> Self {
        if reached {
            Self::Reached
        } else {
            Self::Missing(None)
        }
    }
}

/// How far the target state of a step is.
pub(super) fn target<'a>(act: &Act<'a>, kind: &StepKind, step: &StepStatus) -> Target<'a> {
    match kind {
        StepKind::Package(name) => package(act, name),
        StepKind::Link => link(act),
        StepKind::Backup => match &act.observed.backup {
            BackupView::Intact => Target::Reached,
            BackupView::Missing | BackupView::Altered => Target::Missing(None),
            BackupView::Unknown(problem) => Target::Unseen(Some(problem)),
        },
        StepKind::Reset => reset_link(act, step),
        StepKind::Solution(_) => solution(act, step),
        StepKind::IntegrationKeys => integration_keys(act),
        StepKind::ByPerson => Target::Reached,
        StepKind::StopMaps
        | StepKind::InitialiseMaps
        | StepKind::MapVersions
        | StepKind::MapVersion(_)
        | StepKind::StartMaps(_)
        | StepKind::PauseMaps
        | StepKind::Verify
        | StepKind::RestartMaps(_)
        | StepKind::RepauseMaps => match &act.observed.maps {
            Fact::Known(maps) => Target::of(unreached(act, kind, maps).is_empty()),
            Fact::Unknown(problem) => Target::Unseen(Some(problem)),
        },
    }
}

fn package<'a>(act: &Act<'a>, name: &str) -> Target<'a> {
    let packages = match &act.observed.applications {
        Fact::Known(packages) => packages,
        Fact::Unknown(problem) => return Target::Unseen(Some(problem)),
    };
    let found = packages
        .iter()
        .find(|package| package.name.eq_ignore_ascii_case(name));
    match found.map(|package| (&package.state, package.error.as_deref())) {
        None | Some((PackageState::NotInstalled, _)) => Target::Missing(None),
        Some((PackageState::Installed, _)) => Target::Reached,
        Some((PackageState::InProgress(_), _)) => Target::Moving,
        Some((PackageState::Failed, error)) => Target::Missing(Some(Cow::Borrowed(
            error.unwrap_or("Microsoft gives no reason."),
        ))),
    }
}

fn link<'a>(act: &Act<'a>) -> Target<'a> {
    match &act.observed.link {
        LinkView::To(link) if is_target(act, &link.environment_id) => Target::Reached,
        LinkView::To(link) => Target::Taken(&link.environment_id),
        LinkView::Absent => Target::Missing(None),
        LinkView::Unknown(problem) => Target::Unseen(Some(problem)),
        LinkView::NotObserved | LinkView::HostDown(_) => Target::Unseen(None),
    }
}

/// The link names the target. While it still names what it named before, the reset may be on its way.
fn reset_link<'a>(act: &Act<'a>, step: &StepStatus) -> Target<'a> {
    let before = &act.operation.spec.relies_on.link;
    match &act.observed.link {
        LinkView::To(link) if is_target(act, before) && is_target(act, &link.environment_id) => {
            refreshed(act, step)
        }
        LinkView::To(link) if is_target(act, &link.environment_id) => Target::Reached,
        LinkView::To(link) if same_id(&link.environment_id, before) => Target::Missing(None),
        LinkView::To(link) => Target::Taken(&link.environment_id),
        LinkView::Absent => Target::Missing(Some(Cow::Borrowed(
            "The dual-write service shows no link at all.",
        ))),
        LinkView::Unknown(problem) => Target::Unseen(Some(problem)),
        LinkView::NotObserved | LinkView::HostDown(_) => Target::Unseen(None),
    }
}

/// A reset that ends where it began shows in the maps alone: it takes their projects away for good.
fn refreshed<'a>(act: &Act<'a>, step: &StepStatus) -> Target<'a> {
    match &act.observed.maps {
        _ if step.attempt == 0 => Target::Missing(None),
        Fact::Unknown(problem) => Target::Unseen(Some(problem)),
        Fact::Known(maps) => Target::of(!reset::keeps_a_project(act, maps)),
    }
}

pub(super) fn is_target(act: &Act<'_>, environment_id: &str) -> bool {
    same_id(environment_id, &act.operation.spec.target.environment_id)
}

/// A solution was applied when the service says so, or when maps have appeared since its intent.
fn solution<'a>(act: &Act<'a>, step: &StepStatus) -> Target<'a> {
    match &act.observed.maps {
        Fact::Unknown(problem) => Target::Unseen(Some(problem)),
        // Before its intent nothing can have come of it.
        Fact::Known(_) if step.attempt == 0 => Target::Missing(None),
        Fact::Known(maps) if !appeared(maps, step).is_empty() => Target::Reached,
        Fact::Known(_) => match act.observed.remote.known() {
            Some(RemoteState::Failed(why)) => Target::Missing(Some(Cow::Borrowed(why))),
            _ => Target::Missing(None),
        },
    }
}

/// The maps that were not there when the intent of a step was recorded.
pub(super) fn appeared(maps: &[TableMap], step: &StepStatus) -> Vec<String> {
    maps.iter()
        .filter(|map| !step.seen.contains(&map.name))
        .map(|map| map.name.clone())
        .collect()
}

fn integration_keys<'a>(act: &Act<'a>) -> Target<'a> {
    match &act.observed.details.connection_set {
        Fact::Unknown(problem) => Target::Unseen(Some(problem)),
        Fact::Known(set) => {
            let wanted = match keys_in_use(act) {
                Ok(wanted) => wanted,
                Err(problem) => return Target::Unseen(Some(problem)),
            };
            Target::of(wanted.iter().all(|key| {
                set.integration_keys.iter().any(|there| {
                    there.entity.eq_ignore_ascii_case(&key.entity) && there.fields == key.fields
                })
            }))
        }
    }
}

/// The keys that can be put back: those of tables that maps are about. A table whose map has not come back has no schema
/// in the new connection set, and one key that is refused takes the others with it.
pub(super) fn keys_in_use<'a>(act: &Act<'a>) -> Result<Vec<&'a IntegrationKey>, &'a Problem> {
    let maps = match &act.observed.maps {
        Fact::Known(maps) => maps,
        Fact::Unknown(problem) => return Err(problem),
    };
    let tables: Vec<&str> = maps.iter().filter_map(|map| map.table.as_deref()).collect();
    let is_used = |key: &&IntegrationKey| {
        // Where the service names no table at all, nothing is known against a key.
        tables.is_empty()
            || tables
                .iter()
                .any(|table| table.eq_ignore_ascii_case(&key.entity))
    };
    let keys = &act.operation.spec.relies_on.integration_keys;
    Ok(keys.iter().filter(is_used).collect())
}

/// The maps that a step is about and that are not yet as it wants them, by name.
pub(super) fn unreached<'m>(
    act: &Act<'_>,
    kind: &StepKind,
    maps: &'m [TableMap],
) -> Vec<&'m TableMap> {
    let relies_on = &act.operation.spec.relies_on;
    let planned = |map: &TableMap| {
        relies_on
            .maps
            .iter()
            .find(|planned| planned.name == map.name)
    };
    let was = |map: &TableMap| planned(map).map(|planned| planned.state);
    let wave = match kind {
        StepKind::StartMaps(wave) | StepKind::RestartMaps(wave) => reset::wave(act, *wave),
        _ => Vec::new(),
    };
    // One whose prerequisite does not run is refused, and so may be all that are asked for with it.
    let is_blocked = |map: &TableMap| {
        let needed = planned(map).into_iter().flat_map(|planned| &planned.after);
        let mut earlier =
            needed.filter(|name| !wave.contains(&name.as_str()) && **name != map.name);
        earlier.any(|name| reset::is_to_run(act, name) && does_not_run(maps, name))
    };
    // A solution that came twice brings a map twice; it is enough that one of them is as it should be.
    let has_twin = |map: &TableMap, state| {
        maps.iter()
            .any(|twin| twin.name == map.name && twin.state == state)
    };
    maps.iter()
        .filter(|map| match kind {
            StepKind::StopMaps => !map.state.is_stopped(),
            // One that had no project before was never used, and gets none now.
            StepKind::InitialiseMaps => {
                map.project.is_none() && planned(map).is_some_and(|was| was.project.is_some())
            }
            StepKind::MapVersion(name) => {
                map.name == *name && !reset::has_planned_version(act, map)
            }
            StepKind::StartMaps(_) | StepKind::RestartMaps(_) => {
                wave.contains(&map.name.as_str())
                    && !has_twin(map, MapState::Running)
                    && !has_twin(map, MapState::Paused)
                    && !is_blocked(map)
            }
            // Only what runs can be paused.
            StepKind::PauseMaps | StepKind::RepauseMaps => {
                was(map) == Some(MapState::Paused)
                    && map.state == MapState::Running
                    && !has_twin(map, MapState::Paused)
            }
            StepKind::Verify if act.operation.spec.options.start_maps => {
                was(map).is_some_and(|was| {
                    matches!(was, MapState::Running | MapState::Paused) && !has_twin(map, was)
                })
            }
            _ => false,
        })
        .collect()
}

/// Whether a map is there and does not run.
fn does_not_run(maps: &[TableMap], name: &str) -> bool {
    let mut twins = maps.iter().filter(|map| map.name == *name).peekable();
    twins.peek().is_some()
        && twins.all(|map| !matches!(map.state, MapState::Running | MapState::Paused))
}
