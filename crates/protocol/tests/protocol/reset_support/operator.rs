//! An operator and its API server: a pass at a time, with whatever happens before and after each write.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{
    Answer, Begun, Behaviour, Change, Event, Mutation, Service, When, Write, after, hours, minutes,
    present, start,
};
use crate::{api_server::ApiServer, in_memory};
use dualwrite_api::{
    DualWriteOperation,
    operation::{Phase, StepState},
};
use dualwrite_plan::{
    observed::Fact,
    operation::{BackupView, Owner, needs_finalizer},
    world::{KnownOperation, Settings},
};
use dualwrite_protocol::{Again, Process};
use jiff::Timestamp;

pub struct Operator {
    pub service: Service,
    pub now: Timestamp,
    pub api: ApiServer,
    /// Another operation that the watches have not shown yet.
    pub unwatched: Option<KnownOperation>,
    /// The hosts for which it has begun an operation alone.
    pub turns: Vec<String>,
    /// How long it waits the next time until it is alone.
    pub next_turn_takes: Duration,
    /// What the watches still show of the connection.
    pub shown_owner: Option<Owner>,
    /// What they still show of the operation, and how long.
    pub stale: Option<(Timestamp, DualWriteOperation)>,
    pub backup: BackupView,
    pub owner: Owner,
    pub suspended_until: Option<Timestamp>,
    pub integrated: Fact<bool>,
    pub settings: Settings,
    pub process: Arc<Process>,
    processes: u32,
    /// Answers other than the usual one, by the number of the request.
    pub answers: BTreeMap<usize, Answer>,
    pub events: Vec<(When, Event)>,
    pub writes: Vec<Write>,
    pub journal: Vec<Mutation>,
    /// Something has happened since this pass has read.
    pub surprised: bool,
    /// The step that this pass has begun.
    pub begun: Option<Begun>,
    pub away_until: Option<Timestamp>,
    pub is_delaying: bool,
    /// The API server takes no intent, and never will.
    pub refuses_intents: bool,
    pub delayed: Option<(DualWriteOperation, Change)>,
}

impl Operator {
    pub fn new(operation: KnownOperation, behaviour: Behaviour) -> Self {
        let finalizer = needs_finalizer(&operation.spec, &operation.status);
        Self {
            service: Service::new(behaviour),
            now: start(),
            api: ApiServer::new(operation, finalizer),
            unwatched: None,
            turns: Vec::new(),
            next_turn_takes: Duration::ZERO,
            shown_owner: None,
            stale: None,
            backup: BackupView::Missing,
            owner: present(),
            suspended_until: None,
            integrated: Fact::Known(true),
            settings: Settings {
                poll: minutes(1),
                ..Settings::default()
            },
            process: Arc::new(Process::new("0".into())),
            processes: 0,
            answers: BTreeMap::new(),
            events: Vec::new(),
            writes: Vec::new(),
            journal: Vec::new(),
            surprised: false,
            begun: None,
            away_until: None,
            is_delaying: false,
            refuses_intents: false,
            delayed: None,
        }
    }

    pub fn phase(&self) -> Option<Phase> {
        self.api.stored.status.phase
    }

    pub fn message(&self) -> &str {
        self.api
            .stored
            .status
            .message
            .as_deref()
            .unwrap_or_default()
    }

    /// Another process; the one before.
    pub fn new_process(&mut self) -> Arc<Process> {
        self.processes += 1;
        let new = Arc::new(Process::new(self.processes.to_string()));
        std::mem::replace(&mut self.process, new)
    }

    pub fn pass(&mut self) {
        if self.suspended_until.is_some_and(|until| self.now >= until) {
            self.owner = present();
            self.suspended_until = None;
        }
        self.service.settle(self.now);
        self.surprised = false;
        let begun = self.begun.take();
        let (process, settings) = (Arc::clone(&self.process), self.settings.clone());
        let again = in_memory::pass(self, &process, &settings);
        self.begun = begun;
        self.now = match again {
            Some(Again::OnChange) => self.now,
            Some(Again::At(at)) => at.max(after(self.now, Duration::from_millis(100))),
            Some(Again::OnTrigger) => after(self.now, minutes(1)),
            None => after(self.now, Duration::from_millis(200)),
        };
    }

    /// Until it has ended, is gone, or time is up.
    pub fn run(&mut self) {
        self.run_until(after(start(), hours(14)));
    }

    pub fn run_until(&mut self, end: Timestamp) {
        for _ in 0..40_000 {
            let ended = self.phase().is_some_and(Phase::is_finished) && !self.api.finalizer;
            let unknown =
                self.phase() == Some(Phase::Unknown) && self.now > after(start(), hours(10));
            if !self.api.exists || ended || unknown || self.now > end {
                self.service.settle(after(self.now, hours(1)));
                return;
            }
            self.pass();
        }
        panic!("it does not end: {:#?}", self.api.stored.status);
    }

    /// Until this step is about to be worked on.
    pub fn run_to(&mut self, name: &str) {
        for _ in 0..1000 {
            if self.api.stored.status.step.as_deref() == Some(name) {
                return;
            }
            self.pass();
        }
        panic!("it does not come to {name}: {:#?}", self.api.stored.status);
    }

    /// Until this step is done.
    pub fn run_past(&mut self, name: &str) {
        for _ in 0..1000 {
            let steps = &self.api.stored.status.steps;
            let mut done = steps.iter().filter(|step| step.state == StepState::Done);
            if done.any(|step| step.name == name) {
                return;
            }
            self.pass();
        }
        panic!("it does not get past {name}: {:#?}", self.api.stored.status);
    }
}
