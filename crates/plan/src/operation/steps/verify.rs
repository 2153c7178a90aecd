//! Looks whether the maps are as they should be.

use super::step::Step;
use crate::{
    maps::{self, TableMap},
    messages::PlanWords,
    operation::model::Situation,
};
use dualwrite_api::operation::MapState;

/// Looks whether the maps are as they should be.
#[derive(Default)]
pub struct Verify;

impl Step for Verify {
    fn name(&self) -> String {
        "verify".into()
    }

    fn words(&self, _: &PlanWords<'_>, _: usize) -> (String, &'static str) {
        let what = "Looking whether the table maps are as they should be";
        (what.into(), "1 minute")
    }

    /// What does not run is named at the end in any case.
    fn missing(&self, _: &[String], _: &str) -> Option<String> {
        None
    }

    fn unreached<'m>(&self, situation: &Situation<'_>, maps: &'m [TableMap]) -> Vec<&'m TableMap> {
        if !situation.operation.spec.options.start_maps {
            return Vec::new();
        }
        let is_due = |map: &&TableMap| {
            let was = situation.planned(&map.name).map(|planned| planned.state);
            let was = was.filter(|was| matches!(was, MapState::Running | MapState::Paused));
            was.is_some_and(|was| !maps::is_one_in(maps, &map.name, &[was]))
        };
        maps.iter().filter(is_due).collect()
    }
}
