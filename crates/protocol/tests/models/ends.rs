//! The first question: does anything of ours take effect after the end that was claimed?

use stateright::{Model, Property};

use crate::{
    chances::{Action, Left},
    checking::{check, is_wide},
    clock::now,
    microsoft::MAP,
    operator::{Plan, State},
    support::{map, no_details, to_reset},
};
use dualwrite_api::{
    connection::StartMaps,
    operation::{Approval, MapState, Phase},
};
use dualwrite_plan::world::KnownOperation;

/// The plan of a reset with one map: stop, reset, start.
pub fn reset() -> KnownOperation {
    let case = to_reset()
        .maps(vec![map(MAP, MapState::Running)])
        .details(no_details())
        .with(|case| {
            case.desired.mismatch.start_maps = StartMaps::AsBefore;
        });
    let mut operation = case.settled().planned();
    operation.created = now();
    operation.spec.approval = Approval::Approved;
    operation.spec.timeout = "10m".into();
    operation.spec.options.step_timeout = format!("{}m", crate::clock::PATIENCE);
    operation.spec.relies_on.maps[0].project = Some("old".into());
    let kept = ["stop-maps", "reset", "start-maps/1", "verify"];
    let steps = &mut operation.spec.steps;
    steps.retain(|step| kept.contains(&step.name.as_str()));
    assert_eq!(steps.len(), kept.len());
    operation
}

struct Ends {
    plan: Plan,
    left: Left,
}

impl Model for Ends {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let begin = |lags| self.plan.begin(self.left, lags);
        [false, true].map(begin).into()
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        state.actions(actions);
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        Some(self.plan.next(state, action))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut all = always();
        all.extend(sometimes());
        all
    }
}

fn always() -> Vec<Property<Ends>> {
    vec![
        Property::always("nothing takes effect after the end", |_, state: &State| {
            !state.landed_late
        }),
        Property::always("what an end says of the map is true", |_, state: &State| {
            let runs = state.microsoft.now.runs;
            state.end.is_none_or(|end| runs || !end.claims_the_map)
        }),
        Property::always("no map is stopped without a word", |_, state: &State| {
            let runs = state.microsoft.now.runs;
            state.end.is_none_or(|end| runs || end.tells_of_maps)
        }),
        Property::always(
            "what an end says was not reset was not",
            |_, state: &State| {
                let is_reset = state.microsoft.now.is_reset;
                state
                    .end
                    .is_none_or(|end| !(is_reset && end.denies_a_reset))
            },
        ),
        Property::always("an operation that runs ends", |_, state: &State| {
            !state.is_frozen
        }),
    ]
}

fn sometimes() -> Vec<Property<Ends>> {
    vec![
        Property::sometimes("a reset succeeds", |_, state: &State| {
            state.end.is_some_and(|end| end.phase == Phase::Succeeded)
        }),
        Property::sometimes(
            "one that is given up starts the map again",
            |_, state: &State| {
                let was_stopped = state.status.ending.is_some();
                was_stopped && state.end.is_some_and(|end| end.claims_the_map)
            },
        ),
        Property::sometimes(
            "a stop may still come when it is given up",
            |_, state: &State| {
                let is_given_up = state.status.ending.is_some();
                is_given_up && state.end.is_none() && state.microsoft.is_busy()
            },
        ),
        Property::sometimes("an outcome cannot be known", |_, state: &State| {
            state.status.phase == Some(Phase::Unknown)
        }),
    ]
}

fn left() -> Left {
    Left {
        events: 1,
        crashes: 1,
        sleep: 0,
        false_refusals: 1,
        trouble: 1,
    }
}

fn check_ends(name: &str, left: Left) {
    let plan = Plan { operation: reset() };
    check(name, Ends { plan, left });
}

#[test]
fn nothing_of_a_reset_takes_effect_after_the_end_that_was_claimed() {
    let sleep = if is_wide() { 2 } else { 0 };
    check_ends("ends", Left { sleep, ..left() });
}

/// Two requests go wrong, and nobody does anything meanwhile.
#[test]
fn nothing_takes_effect_after_the_end_when_more_than_one_request_goes_wrong() {
    let trouble = if is_wide() { 3 } else { 2 };
    let left = Left {
        events: 0,
        trouble,
        ..left()
    };
    check_ends("ends of much trouble", left);
}
