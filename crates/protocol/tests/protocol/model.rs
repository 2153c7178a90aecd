//! A small model of Microsoft's side and of the API server, and an operator that dies in it.

mod checks;
mod world;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crate::{
    api_server::{ApiServer, Refused, Stop, new_intent},
    in_memory::{self, World},
    support::*,
};
use dualwrite_api::{
    DualWriteOperation, DualWriteOperationStatus,
    connection::FailureClass,
    operation::{Action, Phase, StepState},
};
use dualwrite_plan::{
    observed::{Fact, LinkView, PackageState, Problem},
    operation::{Observations, Owner, RemoteState, Send, Sent, needs_finalizer},
    world::{KnownOperation, Settings, after},
};
use dualwrite_protocol::{Again, Process};
use jiff::Timestamp;

/// Where the process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    Never,
    BeforeIntent,
    AfterIntent,
    AfterReceipt,
    /// The answer is there, and is not written.
    AfterAnswer,
    /// So many passes after the request.
    Polling(u32),
    BeforeFinalWrite,
}

pub const CRASHES: [Crash; 9] = [
    Crash::Never,
    Crash::BeforeIntent,
    Crash::AfterIntent,
    Crash::AfterReceipt,
    Crash::AfterAnswer,
    Crash::Polling(0),
    Crash::Polling(1),
    Crash::Polling(2),
    Crash::BeforeFinalWrite,
];

/// What Microsoft answers, and whether it does what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    AcceptedWithId,
    AcceptedWithoutId,
    Lost,
    /// A 500, which says nothing either.
    Broken,
    Refused,
    RefusedForLater,
    NotSent,
}

pub const ANSWERS: [(Answer, bool); 11] = [
    (Answer::AcceptedWithId, true),
    (Answer::AcceptedWithId, false),
    (Answer::AcceptedWithoutId, true),
    (Answer::AcceptedWithoutId, false),
    (Answer::Lost, true),
    (Answer::Lost, false),
    (Answer::Broken, true),
    (Answer::Broken, false),
    (Answer::Refused, false),
    (Answer::RefusedForLater, false),
    (Answer::NotSent, false),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    Good,
    /// The first reads after a request fail.
    Fail(u32),
    /// They show what was so long ago.
    Lag(u64),
}

pub const READS: [Reads; 3] = [Reads::Good, Reads::Fail(3), Reads::Lag(60)];

#[derive(Clone, Copy, Debug)]
pub struct Cell {
    pub action: Action,
    /// The step that things happen to.
    pub step: usize,
    pub crash: Crash,
    /// How often it dies there.
    pub crashes: u32,
    pub down_for: Duration,
    pub answer: Answer,
    pub effect: bool,
    /// The request dawdles until the last moment at which it may arrive.
    pub late: bool,
    /// The second request meets the same.
    pub again: bool,
    pub reads: Reads,
    /// An installation ends well.
    pub ends_well: bool,
}

/// When something that Microsoft does for us is to be seen, and as what.
#[derive(Clone, Debug)]
pub struct Effect {
    pub from: Timestamp,
    pub until: Timestamp,
    pub ends_well: bool,
}

/// One request as it reached Microsoft, or might have.
#[derive(Clone, Debug)]
pub struct Request {
    pub step: String,
    pub at: Timestamp,
    pub before: Timestamp,
    pub possible: bool,
    pub effect: bool,
}

pub struct Model {
    pub cell: Cell,
    pub now: Timestamp,
    pub api: ApiServer,
    pub process: Arc<Process>,
    pub settings: Settings,
    pub effects: BTreeMap<String, Effect>,
    pub requests: Vec<Request>,
    pub deaths: u32,
    /// Passes since the last request of the step that things happen to.
    pub passes: Option<u32>,
    /// The same, before this pass.
    looks: Option<u32>,
    /// The step that this pass has begun.
    begun: Option<String>,
}

pub enum Flow {
    On,
    Dead,
}

impl Model {
    pub fn new(cell: Cell, planned: &KnownOperation) -> Self {
        let mut stored = planned.clone();
        // Deadlines have tests of their own; here an hour's absence is not to meet one.
        if cell.action == Action::Setup {
            stored.spec.timeout = "6h".into();
        }
        Self {
            cell,
            now: start(),
            api: ApiServer::new(stored, false),
            process: Arc::new(Process::new("0".into())),
            settings: Settings {
                poll: minutes(1),
                ..Settings::default()
            },
            effects: BTreeMap::new(),
            requests: Vec::new(),
            deaths: 0,
            passes: None,
            looks: None,
            begun: None,
        }
    }

    pub fn targets(&self, step: &str) -> bool {
        self.api.stored.spec.steps[self.cell.step].name == step
    }

    // ---- the operator ----

    /// Dies here, if this is the place and it has not died there often enough.
    pub fn dies(&mut self, at: Crash) -> bool {
        let dies = self.cell.crash == at && self.deaths < self.cell.crashes;
        if dies {
            self.deaths += 1;
            self.process = Arc::new(Process::new(self.deaths.to_string()));
            self.now = after(self.now, self.cell.down_for);
        }
        dies
    }

    fn dies_polling(&mut self) -> bool {
        self.looks
            .is_some_and(|passes| self.dies(Crash::Polling(passes)))
    }

    fn is_here(&self) -> bool {
        self.begun.as_ref().is_some_and(|step| self.targets(step))
    }

    pub fn pass(&mut self) -> Flow {
        let began = self.deaths;
        self.begun = None;
        let (process, settings) = (Arc::clone(&self.process), self.settings.clone());
        let again = in_memory::pass(self, &process, &settings);
        // A pass that writes nothing can be died in as well.
        let is_dead = self.deaths > began || self.begun.is_none() && self.dies_polling();
        if is_dead {
            return Flow::Dead;
        }
        match again {
            Some(Again::At(at)) => self.now = at.max(after(self.now, Duration::from_millis(100))),
            Some(Again::OnChange) => {}
            Some(Again::OnTrigger) | None => panic!("nothing wakes it: {:#?}", self.api.stored),
        }
        Flow::On
    }

    pub fn phase(&self) -> Option<Phase> {
        self.api.stored.status.phase
    }

    /// Until it has ended, or nothing changes any more.
    pub fn run(&mut self) {
        for _ in 0..4000 {
            self.pass();
            if self.phase().is_some_and(Phase::is_finished) {
                return;
            }
            if self.phase() == Some(Phase::Unknown) && self.now > after(start(), hours(24)) {
                return;
            }
        }
        panic!(
            "it does not end: {:#?} {:#?}",
            self.cell, self.api.stored.status
        );
    }
}
