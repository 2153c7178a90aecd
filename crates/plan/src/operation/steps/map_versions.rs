//! Finds the table maps whose active version differs; each becomes a step of its own.

use super::{
    map_version::MapVersion,
    maps::{has_planned_version, planned_version},
    step::{At, Gate, Step},
};
use crate::{
    messages::{self, PlanWords},
    observed::Fact,
};

/// Finds the table maps whose active version differs.
#[derive(Default)]
pub struct MapVersions;

impl Step for MapVersions {
    fn name(&self) -> String {
        "map-versions".into()
    }

    fn words(&self, _: &PlanWords<'_>, _: usize) -> (String, &'static str) {
        let what = "Choosing the version that each table map had, where it differs";
        (what.into(), "seconds for each")
    }

    /// Every map whose version differs becomes a step; a version that is not there any more is named. Of a map without a project
    /// no version can be chosen: it was never used, or could not be initialised, which is named already.
    fn gate(&self, at: &At<'_>) -> Gate {
        let maps = match &at.situation.observed.maps {
            Fact::Known(maps) => maps,
            Fact::Unknown(problem) => return Gate::Unseen(problem.clone()),
        };
        let (mut steps, mut missing) = (Vec::new(), Vec::new());
        let different = maps
            .iter()
            .filter(|map| map.project.is_some() && !has_planned_version(at.situation, map));
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
}
