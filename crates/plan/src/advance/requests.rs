//! The request of a step, from what was read; there is none when what it would have to name is not there.

use super::{
    Act, MapChange, MapTarget, Request,
    targets::{keys_in_use, unreached},
};
use crate::{maps::TableMap, observed::LinkView, operation::StepKind};

/// The request of a step, with the names of the maps that it is about.
pub(super) fn request(act: &Act<'_>, kind: &StepKind) -> Option<(Request, Vec<String>)> {
    let plain = |request| Some((request, Vec::new()));
    match kind {
        StepKind::Package(name) => plain(Request::Install(name.clone())),
        StepKind::Link => plain(Request::Link),
        StepKind::Backup => plain(Request::Backup),
        StepKind::Reset => plain(Request::Reset {
            set: connection_set(act)?,
            force: is_forced(act),
        }),
        StepKind::Solution(name) => plain(Request::Solution {
            set: connection_set(act)?,
            name: name.clone(),
        }),
        StepKind::IntegrationKeys => {
            let set = act.observed.details.connection_set.known()?;
            plain(Request::IntegrationKeys {
                dataverse_name: set.dataverse_name.clone()?,
                keys: keys_in_use(act).ok()?.into_iter().cloned().collect(),
            })
        }
        StepKind::MapVersion(name) => version(act, name),
        StepKind::StopMaps => change(act, kind, MapChange::Stop),
        StepKind::InitialiseMaps => change(act, kind, MapChange::Initialise),
        StepKind::StartMaps(_) | StepKind::RestartMaps(_) => change(act, kind, MapChange::Start),
        StepKind::PauseMaps | StepKind::RepauseMaps => change(act, kind, MapChange::Pause),
        StepKind::MapVersions | StepKind::Verify | StepKind::ByPerson => None,
    }
}

fn connection_set(act: &Act<'_>) -> Option<String> {
    match &act.observed.link {
        LinkView::To(link) => Some(link.connection_set_id.clone()),
        _ => None,
    }
}

/// Whether the reset goes on although a map is not stopped.
fn is_forced(act: &Act<'_>) -> bool {
    let maps = act.observed.maps.known();
    let runs = maps.is_some_and(|maps| maps.iter().any(|map| !map.state.is_stopped()));
    runs && act.operation.spec.options.force
}

fn version(act: &Act<'_>, name: &str) -> Option<(Request, Vec<String>)> {
    let maps = act.observed.maps.known()?;
    let kind = StepKind::MapVersion(name.to_owned());
    let map = *unreached(act, &kind, maps).first()?;
    let version = super::reset::planned_version(act, map)?;
    let request = Request::Version {
        set: connection_set(act)?,
        template: version.template.clone(),
        project: map.project.clone()?,
    };
    Some((request, vec![name.to_owned()]))
}

/// A change of state of every map that is not yet as the step wants it and that a request can name.
fn change(act: &Act<'_>, kind: &StepKind, change: MapChange) -> Option<(Request, Vec<String>)> {
    let maps = act.observed.maps.known()?;
    let mut named: Vec<(&str, MapTarget)> = Vec::new();
    for map in unreached(act, kind, maps) {
        if named.iter().any(|(name, _)| *name == map.name) && change != MapChange::Stop {
            continue;
        }
        named.extend(target_of(map, change).map(|target| (map.name.as_str(), target)));
    }
    if named.is_empty() {
        return None;
    }
    let names = named.iter().map(|(name, _)| (*name).to_owned()).collect();
    let maps = named.into_iter().map(|(_, target)| target).collect();
    let set = connection_set(act)?;
    Some((Request::Maps { change, set, maps }, names))
}

/// The service fails on an empty id [O], so a map without one cannot be asked for.
fn target_of(map: &TableMap, change: MapChange) -> Option<MapTarget> {
    let template = map.template.clone()?;
    match (&map.project, change) {
        (_, MapChange::Initialise) => Some(MapTarget {
            template,
            project: None,
        }),
        (Some(project), _) => Some(MapTarget {
            template,
            project: Some(project.clone()),
        }),
        (None, _) => None,
    }
}
