//! Initialises the table maps that have no project yet.

use super::{
    maps::change,
    step::{Asking, At, Step},
};
use crate::{
    maps::TableMap,
    messages::{self, PlanWords},
    operation::model::{MapChange, Situation},
};

/// Initialises the table maps that have no project yet.
#[derive(Default)]
pub struct InitialiseMaps;

impl Step for InitialiseMaps {
    fn name(&self) -> String {
        "initialise-maps".into()
    }

    fn words(&self, _: &PlanWords<'_>, _: usize) -> (String, &'static str) {
        let what = "Initialising the table maps that have come back; no data is copied";
        (what.into(), "1 to 5 minutes")
    }

    fn missing(&self, maps: &[String], why: &str) -> Option<String> {
        Some(messages::maps_with(
            "maps that were not initialised",
            maps,
            why,
        ))
    }

    /// One that had no project before was never used, and gets none now.
    fn unreached<'m>(&self, situation: &Situation<'_>, maps: &'m [TableMap]) -> Vec<&'m TableMap> {
        let had_one = |name: &str| {
            let planned = situation.planned(name);
            planned.is_some_and(|planned| planned.project.is_some())
        };
        let is_due = |map: &&TableMap| map.project.is_none() && had_one(&map.name);
        maps.iter().filter(is_due).collect()
    }

    fn request(&self, at: &At<'_>) -> Option<Asking> {
        change(self, at)
    }

    fn change(&self) -> Option<MapChange> {
        Some(MapChange::Initialise)
    }
}
