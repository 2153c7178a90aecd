//! Pauses the table maps that were paused: as the plan is to have them, or because the operation is given up.

use super::{
    maps::change,
    step::{About, Asking, At, Step, only},
};
use crate::{
    maps::{self, TableMap},
    messages::{self, PlanWords},
    operation::model::{MapChange, Situation},
};
use dualwrite_api::operation::{Action, MapState};

/// Pauses the table maps that were paused.
pub struct PauseMaps {
    /// The operation itself has stopped them, and is given up.
    again: bool,
}

impl PauseMaps {
    /// Pauses the maps at the target.
    pub const fn of_plan() -> Self {
        Self { again: false }
    }

    /// Pauses again the maps that the operation has stopped.
    pub const fn again() -> Self {
        Self { again: true }
    }

    pub(super) fn parse(action: Action, name: &str) -> Option<Box<dyn Step>> {
        only(action, name, Self::of_plan())
    }

    pub(super) fn parse_again(action: Action, name: &str) -> Option<Box<dyn Step>> {
        only(action, name, Self::again())
    }
}

impl Step for PauseMaps {
    fn name(&self) -> String {
        if self.again {
            "repause-maps".into()
        } else {
            "pause-maps".into()
        }
    }

    fn words(&self, _: &PlanWords<'_>, maps: usize) -> (String, &'static str) {
        let maps = messages::counted(maps, "table map");
        (format!("Pausing {maps} as before"), "1 minute")
    }

    fn missing(&self, maps: &[String], why: &str) -> Option<String> {
        let what = "maps that are not paused as before";
        Some(messages::maps_with(what, maps, why))
    }

    fn link(&self) -> About {
        if self.again {
            About::Plan
        } else {
            About::Target
        }
    }

    /// Only what runs can be paused.
    fn unreached<'m>(&self, situation: &Situation<'_>, maps: &'m [TableMap]) -> Vec<&'m TableMap> {
        let was_paused = |name: &str| {
            let planned = situation.planned(name);
            planned.is_some_and(|planned| planned.state == MapState::Paused)
        };
        let is_due = |map: &&TableMap| {
            map.state == MapState::Running
                && was_paused(&map.name)
                && !maps::is_one_in(maps, &map.name, &[MapState::Paused])
        };
        maps.iter().filter(is_due).collect()
    }

    fn request(&self, at: &At<'_>) -> Option<Asking> {
        change(self, at)
    }

    fn change(&self) -> Option<MapChange> {
        Some(MapChange::Pause)
    }

    fn undone_by(&self) -> Option<MapChange> {
        Some(MapChange::Start)
    }

    fn undoes(&self) -> bool {
        self.again
    }
}
