//! Activates the version that a table map had.

use super::{
    maps::{has_planned_version, planned_version},
    step::{Asking, At, Step, of_kind},
};
use crate::{
    maps::TableMap,
    messages::PlanWords,
    operation::model::{Request, Situation},
};
use dualwrite_api::operation::Action;

/// Activates the version that this table map had.
pub struct MapVersion(pub String);

impl MapVersion {
    pub(super) fn parse(action: Action, name: &str) -> Option<Box<dyn Step>> {
        let name = of_kind(action, name, "map-version")?;
        Some(Box::new(Self(name.to_owned())))
    }
}

impl Step for MapVersion {
    fn name(&self) -> String {
        format!("map-version/{}", self.0)
    }

    fn words(&self, _: &PlanWords<'_>, _: usize) -> (String, &'static str) {
        (self.unplanned_words(), "seconds")
    }

    fn unplanned_words(&self) -> String {
        format!("Choosing the version that table map '{}' had", self.0)
    }

    fn missing(&self, _: &[String], why: &str) -> Option<String> {
        let why = why.trim_end_matches('.');
        Some(format!("the version of map '{}' ({why})", self.0))
    }

    fn unreached<'m>(&self, situation: &Situation<'_>, maps: &'m [TableMap]) -> Vec<&'m TableMap> {
        let differs = |map: &&TableMap| map.name == self.0 && !has_planned_version(situation, map);
        maps.iter().filter(differs).collect()
    }

    fn request(&self, at: &At<'_>) -> Option<Asking> {
        let maps = at.situation.observed.maps.known()?;
        let map = *self.unreached(at.situation, maps).first()?;
        let version = planned_version(at.situation, map)?;
        let request = Request::Version {
            set: at.situation.connection_set()?,
            template: version.template.clone(),
            project: map.project.clone()?,
        };
        Some(Asking {
            maps: vec![self.0.clone()],
            ..Asking::of(request)
        })
    }
}
