//! Finds the table maps whose active version differs; each becomes a step of its own.

use super::{
    At, Gate, MapVersion, Step, Target,
    maps::{has_planned_version, planned_version},
    named, reads_maps,
};
use crate::{
    messages::{self, PlanWords},
    observed::Fact,
    operation::model::Reads,
};
use dualwrite_api::operation::Action;

/// Finds the table maps whose active version differs.
pub struct MapVersions;

impl MapVersions {
    pub(super) fn parse(action: Action, name: &str) -> Option<Box<dyn Step>> {
        named(action, name, Self)
    }
}

impl Step for MapVersions {
    fn name(&self) -> String {
        "map-versions".into()
    }

    fn words(&self, _: &PlanWords<'_>, _: usize) -> (String, &'static str) {
        let what = "Choosing the version that each table map had, where it differs";
        (what.into(), "seconds for each")
    }

    fn reads(&self) -> Reads {
        reads_maps()
    }

    /// Every map whose version differs becomes a step; a version that is not there any more is named.
    fn gate(&self, at: &At<'_>) -> Gate {
        let maps = match &at.situation.observed.maps {
            Fact::Known(maps) => maps,
            Fact::Unknown(problem) => return Gate::Unseen(problem.clone()),
        };
        let (mut steps, mut missing) = (Vec::new(), Vec::new());
        let different = maps
            .iter()
            .filter(|map| !has_planned_version(at.situation, map));
        for map in different {
            if planned_version(at.situation, map).is_some() {
                steps.push(MapVersion(map.name.clone()).name());
            } else {
                let planned = at.situation.planned(&map.name);
                let wanted = planned.and_then(|planned| planned.version.as_deref());
                missing.push(messages::version_missing(map, wanted));
            }
        }
        Gate::Becomes { steps, missing }
    }

    /// Its steps take its place as soon as the maps are read.
    fn target(&self, _: &At<'_>) -> Target {
        Target::Reached
    }
}
