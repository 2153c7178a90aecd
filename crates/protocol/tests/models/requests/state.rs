//! The API server with the operations of one host, and two processes that know nothing of each other.

use std::hash::{Hash, Hasher};

use crate::{
    clock::{TICK, hash_object},
    replay::{Answer, Begun, Call, next_call, present},
    support::{E, down, link_to, map, no_details, start},
};
use dualwrite_api::{
    DualWriteOperation, DualWriteOperationStatus, OPERATION_FINALIZER,
    operation::{MapState, Phase},
};
use dualwrite_plan::{
    observed::Fact,
    operation::{BackupView, Observations, Other, Send as Sending, Sent},
    world::after,
};
use dualwrite_protocol::{known, shell::Failure};
use jiff::Timestamp;

/// How old a cache may be, in versions.
const OLDEST: usize = 2;

/// A process, by its place.
pub type Place = usize;
/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    Well,
    /// No answer comes. A write is taken all the same.
    TakenUnheard,
    /// The same; a write is not taken, and a request is lost.
    Lost,
    /// The same; a write arrives later.
    Late,
}

#[derive(Clone, Debug, PartialEq)]
pub struct State {
    pub now: u8,
    /// The newest versions of each operation, the newest last.
    pub stored: [Vec<DualWriteOperation>; 2],
    pub processes: [Alive; 2],
    pub map_runs: bool,
    pub late: Option<(DualWriteOperation, DualWriteOperationStatus)>,
    /// Each request that was perhaps sent: of which operation, step and attempt.
    pub sent: Vec<(usize, String, u32)>,
    /// Two operations had one at once.
    pub were_two: bool,
    pub trouble: u8,
    pub crashes: u8,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Alive {
    pub incarnation: u8,
    /// All of its passes. The last may still be under way.
    pub passes: Vec<Begun>,
    /// What that calls next.
    pub calls: Option<Call>,
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
    pub fn begin(&mut self, place: Place, operation: usize, [old, old_other]: [usize; 2]) {
        let newest_first = |of: usize, old: usize| self.stored[of].iter().rev().nth(old);
        let seen = newest_first(operation, old).unwrap().clone();
        let other = newest_first(1 - operation, old_other);
        let begun = Begun {
            seen,
            others: other.map(other_operation).into_iter().collect(),
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

    pub fn call(&mut self, place: Place, how: How) {
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

    pub fn write(
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

fn other_operation(object: &DualWriteOperation) -> Other {
    Other {
        operation: known(object),
        owner: present(),
    }
}

fn attempt_of(versions: &[DualWriteOperation], step: &str) -> u32 {
    let newest = versions.last().and_then(|newest| newest.status.as_ref());
    let mut steps = newest.into_iter().flat_map(|status| &status.steps);
    let found = steps.find(|found| found.name == step);
    found.map_or(0, |step| step.attempt)
}
