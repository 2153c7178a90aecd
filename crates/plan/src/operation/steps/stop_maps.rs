//! Stops every table map.

use super::{
    maps::change,
    pause_maps::PauseMaps,
    start_maps::StartMaps,
    step::{About, Asking, At, Failure, Gate, Step},
};
use crate::{
    maps::{self, TableMap},
    messages::{self, PlanWords},
    observed::Fact,
    operation::{
        changed_facts,
        model::{MapChange, Situation},
    },
};
use dualwrite_api::{
    DualWriteOperationSpec, Reason,
    operation::{Action, MapState, Phase},
};

/// Stops every table map.
#[derive(Default)]
pub struct StopMaps;

impl Step for StopMaps {
    fn name(&self) -> String {
        "stop-maps".into()
    }

    fn words(&self, PlanWords { host, .. }: &PlanWords<'_>, maps: usize) -> (String, &'static str) {
        let what = match maps {
            0 => format!("Making sure that no table map of {host} runs"),
            1 => format!("Stopping the one table map of {host} that runs or is paused"),
            _ => format!("Stopping the {maps} table maps of {host} that run or are paused"),
        };
        (what, "1 to 5 minutes")
    }

    fn link(&self) -> About {
        About::Plan
    }

    /// Nothing of a reset has happened yet, and its connection may have been suspended since its plan was looked at: what
    /// somebody has stopped or started meanwhile must not be put back into a state of before.
    fn gate(&self, at: &At<'_>) -> Gate {
        let spec = &at.situation.operation.spec;
        if spec.action != Action::Reset || at.record.asked.attempts > 0 {
            return Gate::Open;
        }
        let changed = match &at.situation.observed.maps {
            Fact::Known(maps) => changed_facts::maps(&spec.relies_on.maps, maps),
            Fact::Unknown(problem) => return Gate::Unseen(problem.clone()),
        };
        if changed.is_empty() {
            return Gate::Open;
        }
        Gate::Closed(Failure::GiveUp {
            error: None,
            phase: Phase::Void,
            reason: None,
            why: changed.join("; "),
        })
    }

    fn unreached<'m>(&self, _: &Situation<'_>, maps: &'m [TableMap]) -> Vec<&'m TableMap> {
        maps.iter().filter(|map| !map.state.is_stopped()).collect()
    }

    fn request(&self, at: &At<'_>) -> Option<Asking> {
        change(self, at)
    }

    fn change(&self) -> Option<MapChange> {
        Some(MapChange::Stop)
    }

    fn can_be_given_up(&self) -> bool {
        true
    }

    fn undo(&self, plan: &DualWriteOperationSpec) -> Option<Vec<String>> {
        let planned = &plan.relies_on.maps;
        let waves = maps::waves(maps::to_start(planned)).len();
        let paused = planned.iter().any(|map| map.state == MapState::Paused);
        let starts = (1..=waves).map(|wave| StartMaps::again(wave).name());
        Some(
            starts
                .chain(paused.then(|| PauseMaps::again().name()))
                .collect(),
        )
    }

    fn exhausted(&self, at: &At<'_>, why: &str) -> Failure {
        let spec = &at.situation.operation.spec;
        let still = self.unreached_names(at);
        if spec.action != Action::Reset {
            return end(at, &messages::maps_not_stopped(&still, why));
        }
        let error = why.to_owned();
        if spec.options.force {
            return Failure::GoOn {
                error,
                missing: None,
                maps: Some(still),
            };
        }
        let set = spec.relies_on.connection_set.as_ref();
        let is_gone = set.is_some_and(|set| !set.environment_visible);
        let (reason, why) = if is_gone {
            let text = messages::linked_dataverse_gone(spec, why);
            (Reason::LinkedDataverseGone, text)
        } else {
            let text = messages::maps_not_stopped(&still, why);
            (Reason::MapsNotStopped, text)
        };
        Failure::GiveUp {
            error: Some(error),
            phase: Phase::Failed,
            reason: Some(reason),
            why,
        }
    }
}

/// What is stopped stays stopped, so somebody has to know.
fn end(at: &At<'_>, why: &str) -> Failure {
    let spec = &at.situation.operation.spec;
    let error = if at.record.asked.attempts > 0 {
        messages::partly_stopped(spec, &at.record.unplanned_maps(spec), why)
    } else {
        messages::sentence(why)
    };
    Failure::End {
        message: messages::step_failed(spec, &StopMaps.name(), &error),
        error,
        reason: Reason::MapsNotStopped,
    }
}
