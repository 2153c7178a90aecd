//! The second question: is there one operation at a host with a request, and one request of each step and attempt?
//!
//! Two operations of a host, and two processes that know nothing of each other. Each call of a pass is a step of its own.
//! Caches are up to two versions old, and writes are taken, lost or late although they seem to have timed out.

mod state;

use state::{Alive, How, Place, State};
use stateright::{Model, Property};

use crate::{
    checking::{check, is_wide},
    clock::TICK,
    replay::{Answer, Call},
    support::{map, mixed},
};
use dualwrite_api::{DualWriteOperation, operation::MapState};
use dualwrite_plan::world::{KnownOperation, after};
use dualwrite_protocol::shell::Failure;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    /// A pass over this operation begins, with a cache of it and of the other that are so old.
    Begin(Place, usize, [usize; 2]),
    /// The next call of the pass of this process.
    Call(Place, How),
    /// A write that seemed to have timed out arrives.
    Arrive,
    /// A process ends, and another one takes its place.
    Crash(Place),
    Tick,
}

struct Requests {
    operations: Vec<DualWriteOperation>,
    bounds: Bounds,
}

struct Bounds {
    /// How many passes each process makes.
    passes: [usize; 2],
    ticks: u8,
    trouble: u8,
    crashes: u8,
}

impl Model for Requests {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let stored = |index: usize| self.operations.get(index).cloned().into_iter().collect();
        let alive = |incarnation| Alive {
            incarnation,
            passes: Vec::new(),
            calls: None,
        };
        vec![State {
            now: 0,
            stored: [stored(0), stored(1)],
            processes: [alive(0), alive(1)],
            map_runs: true,
            late: None,
            sent: Vec::new(),
            were_two: false,
            trouble: self.bounds.trouble,
            crashes: self.bounds.crashes,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for place in 0..2 {
            self.actions_of(state, place, actions);
        }
        if state.late.is_some() {
            actions.push(Action::Arrive);
        }
        if state.now < self.bounds.ticks {
            actions.push(Action::Tick);
        }
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let mut state = before.clone();
        match action {
            Action::Begin(place, operation, old) => state.begin(place, operation, old),
            Action::Call(place, how) => state.call(place, how),
            Action::Arrive => {
                let (read, status) = state.late.take()?;
                // It may come too late; nobody hears what becomes of it.
                let _ = state.write(&read, |object| object.status = Some(status));
            }
            Action::Crash(place) => {
                state.crashes -= 1;
                let alive = &mut state.processes[place];
                *alive = Alive {
                    incarnation: alive.incarnation + 2,
                    passes: Vec::new(),
                    calls: None,
                };
            }
            Action::Tick => state.now += 1,
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("each attempt of a step is sent once", |_, state: &State| {
                let sent = &state.sent;
                (1..sent.len()).all(|index| !sent[..index].contains(&sent[index]))
            }),
            Property::always(
                "one operation of a host has a request",
                |_, state: &State| !state.were_two,
            ),
            Property::sometimes("a request is sent", |_, state: &State| {
                !state.sent.is_empty()
            }),
            Property::sometimes("somebody is too late", |_, state: &State| {
                let heard = state.processes.iter().flat_map(|alive| &alive.passes);
                let mut heard = heard.flat_map(|begun| &begun.heard);
                heard.any(|(answer, _)| *answer == Answer::Refused(Failure::Conflict))
            }),
        ]
    }
}

impl Requests {
    fn actions_of(&self, state: &State, place: Place, actions: &mut Vec<Action>) {
        let alive = &state.processes[place];
        let Some(call) = &alive.calls else {
            if alive.passes.len() < self.bounds.passes[place] {
                actions.extend(begins(state, place));
            }
            return;
        };
        actions.push(Action::Call(place, How::Well));
        if state.trouble > 0 {
            let how = trouble(call, state.late.is_some());
            actions.extend(how.iter().map(|how| Action::Call(place, *how)));
        }
        if state.crashes > 0 {
            actions.push(Action::Crash(place));
        }
    }
}

/// What may go wrong with a call.
const fn trouble(call: &Call, is_one_late: bool) -> &'static [How] {
    match call {
        Call::Owner | Call::Operations | Call::Operation => &[How::Lost],
        Call::Write(..) if !is_one_late => &[How::TakenUnheard, How::Lost, How::Late],
        Call::Hold(..) | Call::Write(..) | Call::Send(_) => &[How::TakenUnheard, How::Lost],
    }
}

/// The passes that could begin, by how old what they see is.
fn begins(state: &State, place: Place) -> Vec<Action> {
    let mut all = Vec::new();
    for operation in 0..2 {
        let (own, other) = (&state.stored[operation], &state.stored[1 - operation]);
        for old in 0..own.len() {
            for old_other in 0..=other.len() {
                all.push(Action::Begin(place, operation, [old, old_other]));
            }
        }
    }
    all
}

/// The plans of two connections to stop the one map of their host.
fn plans() -> Vec<DualWriteOperation> {
    let planned = mixed().maps(vec![map("customers", MapState::Running)]);
    let planned = planned.settled().planned();
    let younger = KnownOperation {
        name: "younger".into(),
        uid: "younger".into(),
        created: after(planned.created, TICK),
        ..planned.clone()
    };
    [planned, younger].map(object).into()
}

fn object(planned: KnownOperation) -> DualWriteOperation {
    let mut object = DualWriteOperation::new(&planned.name, planned.spec);
    object.metadata.uid = Some(planned.uid);
    object.metadata.namespace = Some(planned.namespace);
    object.metadata.creation_timestamp = Some(Time(planned.created));
    object.metadata.resource_version = Some("1".into());
    object
}

#[test]
fn one_operation_of_a_host_has_a_request() {
    let bounds = Bounds {
        passes: [1, 1],
        ticks: 0,
        trouble: 1,
        crashes: u8::from(is_wide()),
    };
    let operations = plans();
    check(
        "requests of two operations",
        Requests { operations, bounds },
    );
}

#[test]
fn each_attempt_is_sent_once_by_a_process_that_remembers() {
    let bounds = Bounds {
        passes: [2, 0],
        ticks: 1,
        trouble: 2,
        crashes: u8::from(is_wide()),
    };
    let operations = plans().into_iter().take(1).collect();
    check("requests of one process", Requests { operations, bounds });
}

#[test]
fn each_attempt_is_sent_once_by_two_processes() {
    let wide = is_wide();
    let bounds = Bounds {
        passes: [1, 1],
        ticks: u8::from(wide),
        trouble: 2,
        crashes: 0,
    };
    let operations = plans().into_iter().take(1).collect();
    check("requests of two processes", Requests { operations, bounds });
}
