//! The second question: is there one operation at a host with a request, and one request of each step and attempt?
//!
//! Two operations of a host, and two processes that know nothing of each other. Each call of a pass is a step of its own.
//! Caches are up to two versions old, and writes are taken, lost or late although they seem to have timed out.

use std::hash::{Hash, Hasher};

use stateright::{Model, Property};

use crate::{
    checking::{check, is_wide},
    clock::{TICK, hash_object},
    replay::{Answer, Begun, Call, next_call, present},
    support::{E, down, link_to, map, mixed, no_details, start},
};
use dualwrite_api::{
    DualWriteOperation, DualWriteOperationStatus, OPERATION_FINALIZER,
    operation::{MapState, Phase},
};
use dualwrite_plan::{
    observed::Fact,
    operation::{BackupView, Observations, Send as Sending, Sent},
    world::{KnownOperation, after},
};
use dualwrite_protocol::{known, shell::Failure};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// How old a cache may be, in versions.
const OLDEST: usize = 2;

/// A process, by its place.
type Place = usize;

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

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Well,
    /// No answer comes. A write is taken all the same.
    TakenUnheard,
    /// The same; a write is not taken, and a request is lost.
    Lost,
    /// The same; a write arrives later.
    Late,
}

#[derive(Clone, Debug, PartialEq)]
struct State {
    now: u8,
    /// The newest versions of each operation, the newest last.
    stored: [Vec<DualWriteOperation>; 2],
    processes: [Alive; 2],
    map_runs: bool,
    late: Option<(DualWriteOperation, DualWriteOperationStatus)>,
    /// Each request that was perhaps sent: of which operation, step and attempt.
    sent: Vec<(usize, String, u32)>,
    /// Two operations had one at once.
    were_two: bool,
    trouble: u8,
    crashes: u8,
}

#[derive(Clone, Debug, PartialEq)]
struct Alive {
    incarnation: u8,
    /// All of its passes. The last may still be under way.
    passes: Vec<Begun>,
    /// What that calls next.
    calls: Option<Call>,
}

impl Hash for State {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        (self.now, self.map_runs, &self.sent, self.were_two).hash(hasher);
        (self.trouble, self.crashes).hash(hasher);
        for object in self.stored.iter().flatten() {
            hash_object(object, hasher);
        }
        for alive in &self.processes {
            (alive.incarnation, &alive.passes, alive.calls.is_some()).hash(hasher);
        }
        if let Some((read, status)) = &self.late {
            hash_object(read, hasher);
            crate::clock::hash_status(status, hasher);
        }
    }
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

fn phase(versions: &[DualWriteOperation]) -> Option<Phase> {
    versions.last()?.status.as_ref()?.phase
}

impl Alive {
    /// Its pass goes on to its next call, or to its end.
    fn go_on(&mut self) {
        self.calls = next_call(&self.incarnation.to_string(), &self.passes);
    }
}

impl State {
    fn time(&self) -> Timestamp {
        after(start(), TICK * u32::from(self.now))
    }

    /// One that is as old as there are versions has not shown the other operation yet.
    fn begin(&mut self, place: Place, operation: usize, [old, old_other]: [usize; 2]) {
        let newest_first = |of: usize, old: usize| self.stored[of].iter().rev().nth(old);
        let seen = newest_first(operation, old).unwrap().clone();
        let other = newest_first(1 - operation, old_other);
        let begun = Begun {
            seen,
            others: other.map(known).into_iter().collect(),
            observed: self.observe(),
            at: self.time(),
            heard: Vec::new(),
        };
        let alive = &mut self.processes[place];
        alive.passes.push(begun);
        alive.go_on();
    }

    fn observe(&self) -> Observations {
        let state = if self.map_runs {
            MapState::Running
        } else {
            MapState::Stopped
        };
        Observations {
            began: self.time(),
            integrated: Fact::Known(true),
            applications: Fact::Unknown(down()),
            remote: Fact::Unknown(down()),
            link: link_to(E),
            maps: Fact::Known(vec![map("customers", state)]),
            details: no_details(),
            backup: BackupView::Missing,
        }
    }

    fn call(&mut self, place: Place, how: How) {
        let call = self.processes[place].calls.take().unwrap();
        self.trouble -= u8::from(how != How::Well);
        let answer = match (&call, how) {
            (Call::Send(send), _) => Answer::Sent(self.send(place, send, how)),
            (Call::Owner | Call::Operations | Call::Operation, How::Well) => {
                self.read(place, &call)
            }
            (Call::Owner | Call::Operations | Call::Operation, _) => {
                Answer::Refused(Failure::Uncertain)
            }
            (Call::Hold(read, held), _) => {
                let finalizers = held.then(|| vec![OPERATION_FINALIZER.to_owned()]);
                self.answer_write(how, read, |object| object.metadata.finalizers = finalizers)
            }
            (Call::Write(read, status), How::Late) => {
                self.late = Some((*read.clone(), *status.clone()));
                Answer::Refused(Failure::Uncertain)
            }
            (Call::Write(read, status), _) => {
                self.answer_write(how, read, |object| object.status = Some(*status.clone()))
            }
        };
        let time = self.time();
        let alive = &mut self.processes[place];
        let pass = alive.passes.last_mut().unwrap();
        pass.heard.push((answer, time));
        alive.go_on();
    }

    fn operation_of(&self, place: Place) -> usize {
        let passes = &self.processes[place].passes;
        let uid = &passes.last().unwrap().seen.metadata.uid;
        usize::from(self.stored[0].last().map(|first| &first.metadata.uid) != Some(uid))
    }

    fn read(&self, place: Place, call: &Call) -> Answer {
        let newest = |of: &Vec<DualWriteOperation>| of.last().cloned();
        match call {
            Call::Owner => Answer::Owner(present()),
            Call::Operations => {
                let all = self.stored.iter().filter_map(newest);
                Answer::Operations(all.map(|object| known(&object)).collect())
            }
            _ => {
                let found = newest(&self.stored[self.operation_of(place)]);
                Answer::Operation(found.map(Box::new))
            }
        }
    }

    fn answer_write(
        &mut self,
        how: How,
        read: &DualWriteOperation,
        change: impl FnOnce(&mut DualWriteOperation),
    ) -> Answer {
        if matches!(how, How::Lost | How::Late) {
            return Answer::Refused(Failure::Uncertain);
        }
        match (self.write(read, change), how) {
            (_, How::TakenUnheard) => Answer::Refused(Failure::Uncertain),
            (Ok(written), _) => Answer::Written(Box::new(written)),
            (Err(failure), _) => Answer::Refused(failure),
        }
    }

    fn write(
        &mut self,
        read: &DualWriteOperation,
        change: impl FnOnce(&mut DualWriteOperation),
    ) -> Result<DualWriteOperation, Failure> {
        let is_it = |of: &&mut Vec<DualWriteOperation>| {
            of.last()
                .is_some_and(|newest| newest.metadata.uid == read.metadata.uid)
        };
        let versions = self.stored.iter_mut().find(is_it).ok_or(Failure::Gone)?;
        let mut object = versions.last().cloned().ok_or(Failure::Gone)?;
        if object.metadata.resource_version != read.metadata.resource_version {
            return Err(Failure::Conflict);
        }
        change(&mut object);
        let version = object.metadata.resource_version.iter();
        let version: u32 = version
            .flat_map(|version| version.parse())
            .next()
            .unwrap_or(0);
        object.metadata.resource_version = Some((version + 1).to_string());
        versions.push(object.clone());
        if versions.len() > OLDEST + 1 {
            versions.remove(0);
        }
        Ok(object)
    }

    fn send(&mut self, place: Place, send: &Sending, how: How) -> Sent {
        if self.time() >= send.before {
            return Sent::NotSent(down());
        }
        let operation = self.operation_of(place);
        let attempt = attempt_of(&self.stored[operation], &send.step);
        self.note(operation, &send.step, attempt);
        match how {
            How::Well => {
                self.map_runs = false;
                Sent::Accepted { remote_id: None }
            }
            How::TakenUnheard => {
                self.map_runs = false;
                Sent::Lost(down())
            }
            How::Lost | How::Late => Sent::Lost(down()),
        }
    }

    fn note(&mut self, operation: usize, step: &str, attempt: u32) {
        let other = 1 - operation;
        let is_open = phase(&self.stored[other]).is_some_and(Phase::occupies_host);
        self.were_two |= is_open && self.sent.iter().any(|(of, ..)| *of == other);
        self.sent.push((operation, step.to_owned(), attempt));
    }
}

fn attempt_of(versions: &[DualWriteOperation], step: &str) -> u32 {
    let newest = versions.last().and_then(|newest| newest.status.as_ref());
    let mut steps = newest.into_iter().flat_map(|status| &status.steps);
    let found = steps.find(|found| found.name == step);
    found.map_or(0, |step| step.attempt)
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
        passes: if wide { [2, 1] } else { [1, 1] },
        ticks: u8::from(wide),
        trouble: 2,
        crashes: u8::from(wide),
    };
    let operations = plans().into_iter().take(1).collect();
    check("requests of two processes", Requests { operations, bounds });
}
