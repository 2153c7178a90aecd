//! Starts the table maps of a wave: those that the plan is to start, or those that the operation has stopped.

use super::{
    maps::change,
    step::{About, Asking, At, Step, of_kind},
};
use crate::{
    maps::{self, TableMap},
    messages::{self, PlanWords},
    operation::model::{MapChange, Situation},
};
use dualwrite_api::operation::{Action, MapState};

const START: &str = "start-maps";
const RESTART: &str = "restart-maps";

/// Starts the table maps of a wave.
pub struct StartMaps {
    /// From 1 on.
    wave: usize,
    /// The operation itself has stopped them, and is given up.
    again: bool,
}

impl StartMaps {
    /// Starts the maps of this wave (from 1 on) at the target.
    pub const fn of(wave: usize) -> Self {
        Self { wave, again: false }
    }

    /// Starts again the maps of this wave (from 1 on) that the operation has stopped.
    pub const fn again(wave: usize) -> Self {
        Self { wave, again: true }
    }

    pub(super) fn parse(action: Action, name: &str) -> Option<Box<dyn Step>> {
        let wave = of_kind(action, name, START)?.parse().ok()?;
        Some(Box::new(Self::of(wave)))
    }

    pub(super) fn parse_again(action: Action, name: &str) -> Option<Box<dyn Step>> {
        let wave = of_kind(action, name, RESTART)?.parse().ok()?;
        Some(Box::new(Self::again(wave)))
    }

    /// The maps of the wave, by name.
    fn wave<'a>(&self, situation: &Situation<'a>) -> Vec<&'a str> {
        let planned = maps::to_start(&situation.operation.spec.relies_on.maps);
        let waves = maps::waves(planned);
        let chosen = self.wave.checked_sub(1).and_then(|index| waves.get(index));
        let chosen = chosen.into_iter().flatten();
        chosen.map(|map| map.name.as_str()).collect()
    }
}

impl Step for StartMaps {
    fn name(&self) -> String {
        let word = if self.again { RESTART } else { START };
        format!("{word}/{}", self.wave)
    }

    fn words(&self, _: &PlanWords<'_>, maps: usize) -> (String, &'static str) {
        let what = format!(
            "Starting {} without initial sync, group {}",
            messages::counted(maps, "table map"),
            self.wave
        );
        (what, "1 to 5 minutes")
    }

    fn missing(&self, maps: &[String], why: &str) -> Option<String> {
        Some(messages::maps_with("maps that do not start", maps, why))
    }

    fn link(&self) -> About {
        if self.again {
            About::Plan
        } else {
            About::Target
        }
    }

    fn unreached<'m>(&self, situation: &Situation<'_>, maps: &'m [TableMap]) -> Vec<&'m TableMap> {
        let wave = self.wave(situation);
        let is_due = |map: &&TableMap| {
            wave.contains(&map.name.as_str())
                && !maps::is_one_in(maps, &map.name, &[MapState::Running, MapState::Paused])
                && !is_blocked(situation, maps, map, &wave)
        };
        maps.iter().filter(is_due).collect()
    }

    fn request(&self, at: &At<'_>) -> Option<Asking> {
        change(self, at)
    }

    fn change(&self) -> Option<MapChange> {
        Some(MapChange::Start)
    }

    /// After a reset the maps are others than those that were stopped.
    fn undone_by(&self) -> Option<MapChange> {
        self.again.then_some(MapChange::Stop)
    }

    fn undoes(&self) -> bool {
        self.again
    }
}

/// One whose prerequisite does not run is refused, and so may be all that are asked for with it.
fn is_blocked(situation: &Situation<'_>, maps: &[TableMap], map: &TableMap, wave: &[&str]) -> bool {
    let needed = situation.planned(&map.name).into_iter();
    let needed = needed.flat_map(|planned| &planned.after);
    let mut earlier = needed.filter(|name| !wave.contains(&name.as_str()) && **name != map.name);
    earlier.any(|name| is_to_run(situation, name) && does_not_run(maps, name))
}

/// Whether the plan is to have a map running, or paused, at its end.
fn is_to_run(situation: &Situation<'_>, name: &str) -> bool {
    let planned = &situation.operation.spec.relies_on.maps;
    maps::to_start(planned).any(|planned| planned.name == name)
}

/// Whether a map is there and does not run.
fn does_not_run(maps: &[TableMap], name: &str) -> bool {
    maps.iter().any(|map| map.name == *name)
        && !maps::is_one_in(maps, name, &[MapState::Running, MapState::Paused])
}
