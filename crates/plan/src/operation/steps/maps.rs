//! What the steps that work on table maps have in common.

use super::step::{Asking, At, Step};
use crate::{
    maps::{MapVersion, TableMap},
    operation::model::{MapChange, MapTarget, Request, Situation},
};
use dualwrite_api::operation::PlannedMap;

/// A change of state of every map that is not yet as the step wants it and that a request can name.
pub(super) fn change(step: &dyn Step, at: &At<'_>) -> Option<Asking> {
    let change = step.change()?;
    let maps = at.situation.observed.maps.known()?;
    let mut named: Vec<(&str, MapTarget)> = Vec::new();
    for map in step.unreached(at.situation, maps) {
        let is_named = named.iter().any(|(name, _)| *name == map.name);
        if !is_named || change == MapChange::Stop {
            named.extend(target_of(map, change).map(|target| (map.name.as_str(), target)));
        }
    }
    if named.is_empty() {
        return None;
    }
    let names = named.iter().map(|(name, _)| (*name).to_owned()).collect();
    let maps = named.into_iter().map(|(_, target)| target).collect();
    let set = at.situation.connection_set()?;
    Some(Asking {
        maps: names,
        ..Asking::of(Request::Maps { change, set, maps })
    })
}

/// The service fails on an empty id [O], so a map without one cannot be asked for.
fn target_of(map: &TableMap, change: MapChange) -> Option<MapTarget> {
    let template = map.template.clone()?;
    let project = match change {
        MapChange::Initialise => None,
        MapChange::Start | MapChange::Stop | MapChange::Pause => Some(map.project.clone()?),
    };
    Some(MapTarget { template, project })
}

/// Whether a map has the project that it had when the plan was made; a reset takes it away for good.
pub(super) fn keeps_a_project(situation: &Situation<'_>, maps: &[TableMap]) -> bool {
    let planned = &situation.operation.spec.relies_on.maps;
    let is_planned = |project: &String| {
        let mut planned = planned.iter();
        planned.any(|was| was.project.as_ref() == Some(project))
    };
    let mut projects = maps.iter().filter_map(|map| map.project.as_ref());
    projects.any(is_planned)
}

/// The version that a map had when the plan was made, among those that it could have now.
pub(super) fn planned_version<'m>(
    situation: &Situation<'_>,
    map: &'m TableMap,
) -> Option<&'m MapVersion> {
    let planned = situation.planned(&map.name)?;
    let wanted = planned.version.as_ref()?;
    map.versions.iter().find(|version| {
        version.version == *wanted && is_same_author(planned, version.author.as_deref())
    })
}

/// Whether the version of a map is the one that it had when the plan was made.
pub(super) fn has_planned_version(situation: &Situation<'_>, map: &TableMap) -> bool {
    situation.planned(&map.name).is_none_or(|planned| {
        planned.version.is_none()
            || (planned.version == map.version && is_same_author(planned, map.author.as_deref()))
    })
}

fn is_same_author(planned: &PlannedMap, author: Option<&str>) -> bool {
    planned.author.is_none() || planned.author.as_deref() == author
}
