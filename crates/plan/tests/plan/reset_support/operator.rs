//! An operator and its API server: a pass at a time, with whatever happens before and after each write.

use std::{collections::BTreeMap, time::Duration};

use super::{Behaviour, OLD, SET, Service, THIRD, hours, minutes, seconds, start};
use dualwrite_api::{
    DualWriteOperationStatus, Reason,
    connection::FailureClass,
    operation::{Approval, MapState, Phase, StepState},
};
use dualwrite_plan::{
    advance::{
        Act, BackupView, Next, Owner, Request, Send, Sent, advance, after_sending, needs_finalizer,
    },
    observed::{Fact, Problem},
    operation::StepKind,
    world::{KnownOperation, Settings, after},
};
use jiff::Timestamp;

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Answer {
    /// It is answered and done.
    Delivered,
    /// It is answered, and nothing comes of it.
    Hollow,
    LostDone,
    LostUndone,
    /// It is lost on the way and arrives at the last moment at which it may.
    LostLate,
    /// A 500 after it was done.
    BrokenDone,
    NotSent,
    Refused,
    Forbidden,
    Busy,
}

pub const ANSWERS: [Answer; 10] = [
    Answer::Delivered,
    Answer::Hollow,
    Answer::LostDone,
    Answer::LostUndone,
    Answer::LostLate,
    Answer::BrokenDone,
    Answer::NotSent,
    Answer::Refused,
    Answer::Forbidden,
    Answer::Busy,
];

/// What happens meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The process dies and is back after so long.
    Crash(Duration),
    /// Another process does a whole pass.
    Rival,
    /// The connection is suspended for so long.
    Suspended(Duration),
    /// It asks for something else.
    Changed,
    /// It is deleted, and its operations with it.
    ConnectionDeleted,
    /// It is deleted without its operations, or is another one of the same name.
    Recreated,
    OperationDeleted,
    IntegrationMoved,
    IntegrationUnseen,
    LinkMoved,
    LinkGone,
    SetMoved,
    MapStarted,
    MapChanged,
    /// Somebody changes an integration key.
    KeyChanged,
    BackupDeleted,
    BackupAltered,
    /// Nothing of the service can be read for so long.
    Blind(Duration),
}

/// Whatever becomes of the connection and of the operation.
pub const OWNERS: [Event; 7] = [
    Event::Suspended(minutes(3)),
    Event::Suspended(hours(100)),
    Event::Changed,
    Event::ConnectionDeleted,
    Event::Recreated,
    Event::OperationDeleted,
    Event::Rival,
];

/// Whatever else moves in the world.
pub const MOVES: [Event; 13] = [
    Event::IntegrationMoved,
    Event::IntegrationUnseen,
    Event::LinkMoved,
    Event::LinkGone,
    Event::SetMoved,
    Event::MapStarted,
    Event::MapChanged,
    Event::KeyChanged,
    Event::BackupDeleted,
    Event::BackupAltered,
    Event::Blind(minutes(4)),
    Event::Blind(hours(3)),
    Event::Blind(hours(30)),
];

/// When: before or after this write, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Before(usize),
    After(usize),
    /// Between the arrival of this request and its answer.
    Received(usize),
}

/// One thing that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    Finalizer(bool),
    Intent(String),
    Outcome(String),
    Status,
}

/// One request as it was sent.
#[derive(Clone, Debug)]
pub struct Mutation {
    pub step: String,
    pub request: Request,
    pub at: Timestamp,
    pub before: Timestamp,
    /// It may have arrived.
    pub possible: bool,
    pub answer: Answer,
    /// What became of it was written down.
    pub recorded: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    On,
    /// The pass was dropped, or the process has died.
    Dropped,
}

pub struct Operator {
    pub service: Service,
    pub now: Timestamp,
    pub stored: KnownOperation,
    pub exists: bool,
    pub finalizer: bool,
    pub version: u64,
    pub backup: BackupView,
    pub owner: Owner,
    pub suspended_until: Option<Timestamp>,
    pub integrated: Fact<bool>,
    pub settings: Settings,
    pub incarnation: u32,
    /// Answers other than the usual one, by the number of the request.
    pub answers: BTreeMap<usize, Answer>,
    pub events: Vec<(When, Event)>,
    pub writes: Vec<Write>,
    pub journal: Vec<Mutation>,
    /// Every message that was written with another phase than before: what the events say.
    pub told: Vec<(Phase, String)>,
    /// Something has happened since this pass has read.
    pub surprised: bool,
}

impl Operator {
    pub fn new(operation: KnownOperation, behaviour: Behaviour) -> Self {
        let finalizer = needs_finalizer(&operation.spec, &operation.status);
        Self {
            service: Service::new(behaviour),
            now: start(),
            stored: operation,
            exists: true,
            finalizer,
            version: 1,
            backup: BackupView::Missing,
            owner: present(),
            suspended_until: None,
            integrated: Fact::Known(true),
            settings: Settings {
                poll: minutes(1),
                ..Settings::default()
            },
            incarnation: 0,
            answers: BTreeMap::new(),
            events: Vec::new(),
            writes: Vec::new(),
            journal: Vec::new(),
            told: Vec::new(),
            surprised: false,
        }
    }

    pub fn phase(&self) -> Option<Phase> {
        self.stored.status.phase
    }

    pub fn message(&self) -> &str {
        self.stored.status.message.as_deref().unwrap_or_default()
    }

    // ---- what happens ----

    fn happen(&mut self, when: When) -> Result<(), Flow> {
        let due: Vec<Event> = self
            .events
            .iter()
            .filter(|(at, _)| *at == when)
            .map(|(_, event)| *event)
            .collect();
        for event in due {
            self.surprised = true;
            self.befall(event)?;
        }
        Ok(())
    }

    fn befall(&mut self, event: Event) -> Result<(), Flow> {
        let now = self.now;
        match event {
            Event::Crash(down) => {
                self.incarnation += 1;
                self.now = after(self.now, down);
                return Err(Flow::Dropped);
            }
            Event::Rival => {
                self.incarnation += 1;
                let _ = self.pass();
                self.incarnation += 1;
                // The rival sleeps now.
            }
            Event::Suspended(long) => {
                self.owner = suspended();
                self.suspended_until = Some(after(now, long));
            }
            Event::Changed => self.owner = Owner::Changed,
            Event::Recreated => self.owner = Owner::Gone,
            Event::ConnectionDeleted => {
                self.owner = Owner::Gone;
                self.delete();
            }
            Event::OperationDeleted => self.delete(),
            Event::IntegrationMoved => self.integrated = Fact::Known(false),
            Event::IntegrationUnseen => {
                self.integrated = Fact::Unknown(Problem::needs_person(
                    Reason::AccessDenied,
                    "The Power Platform API answers 403.",
                ));
            }
            Event::LinkMoved => {
                let link = Some((THIRD.to_owned(), "set-3".to_owned()));
                self.service.meddle(now, |service| service.link = link);
            }
            Event::LinkGone => self.service.meddle(now, |service| service.link = None),
            Event::SetMoved => {
                let link = Some((OLD.to_owned(), format!("{SET}-again")));
                self.service.meddle(now, |service| service.link = link);
            }
            Event::MapStarted => self.service.meddle(now, |service| {
                for map in &mut service.maps {
                    if map.name == "Groups" {
                        map.state = MapState::Running;
                    }
                }
            }),
            Event::MapChanged => self.service.meddle(now, |service| {
                for map in &mut service.maps {
                    if map.name == "Groups" {
                        map.version = Some("1.0.0.1".into());
                        map.template = Some("Groups 1.0.0.1".into());
                    }
                }
            }),
            Event::KeyChanged => self.service.meddle(now, |service| {
                service.keys.clear();
            }),
            Event::BackupDeleted => self.backup = BackupView::Missing,
            Event::BackupAltered if self.backup == BackupView::Intact => {
                self.backup = BackupView::Altered;
            }
            Event::BackupAltered => {}
            Event::Blind(long) => self.service.behaviour.blind = Some((now, after(now, long))),
        }
        Ok(())
    }

    fn delete(&mut self) {
        self.version += 1;
        self.stored.deleted.get_or_insert(self.now);
        self.exists = self.finalizer;
    }

    // ---- the API server ----

    fn write(
        &mut self,
        what: Write,
        version: Option<u64>,
        how: impl FnOnce(&mut Self),
    ) -> Result<(), Flow> {
        let number = self.writes.len();
        self.writes.push(what);
        self.happen(When::Before(number))?;
        if !self.exists || version.is_some_and(|version| version != self.version) {
            return Err(Flow::Dropped);
        }
        how(self);
        self.version += 1;
        self.happen(When::After(number))
    }

    fn write_status(
        &mut self,
        what: Write,
        version: Option<u64>,
        status: &DualWriteOperationStatus,
    ) -> Result<(), Flow> {
        if self.stored.status == *status {
            return Ok(());
        }
        self.write(what, version, |run| {
            if let Some(phase) = status.phase.filter(|phase| Some(*phase) != run.phase()) {
                run.told
                    .push((phase, status.message.clone().unwrap_or_default()));
            }
            run.stored.status = status.clone();
        })
    }

    fn set_finalizer(&mut self, held: bool, version: Option<u64>) -> Result<(), Flow> {
        if self.finalizer == held {
            return Ok(());
        }
        self.write(Write::Finalizer(held), version, |run| {
            // None can be added to what is being deleted.
            if !held || run.stored.deleted.is_none() {
                run.finalizer = held;
            }
            run.exists = run.finalizer || run.stored.deleted.is_none();
        })?;
        if held && !self.finalizer {
            return Err(Flow::Dropped);
        }
        Ok(())
    }

    // ---- the operator ----

    pub fn pass(&mut self) -> Flow {
        if self.suspended_until.is_some_and(|until| self.now >= until) {
            self.owner = present();
            self.suspended_until = None;
        }
        self.service.settle(self.now);
        self.surprised = false;
        let result = self.attempt();
        if let Err(flow) = result {
            self.now = after(self.now, Duration::from_millis(200));
            return flow;
        }
        Flow::On
    }

    fn attempt(&mut self) -> Result<(), Flow> {
        let observed = self.read();
        let owner = self.owner.clone();
        let operation = self.stored.clone();
        let incarnation = self.incarnation.to_string();
        let settings = self.settings.clone();
        let version = self.version;
        let act = Act {
            operation: &operation,
            observed: &observed,
            owner: &owner,
            others: &[],
            incarnation: &incarnation,
            now: self.now,
            settings: &settings,
        };
        let mut next = advance(&act);
        if let Some(send) = next.send.clone() {
            next = self.send(&act, version, &next, &send)?;
        } else {
            let status = next.status.clone();
            let mut version = version;
            if status != self.stored.status
                && needs_finalizer(&self.stored.spec, &status)
                && !self.finalizer
            {
                self.set_finalizer(true, Some(version))?;
                version += 1;
            }
            self.write_status(Write::Status, Some(version), &status)?;
        }
        if !needs_finalizer(&self.stored.spec, &self.stored.status) {
            self.set_finalizer(false, None)?;
        }
        let is_finished = next.status.phase.is_some_and(Phase::is_finished);
        if !is_finished {
            let due = next.next.unwrap_or(after(self.now, minutes(1)));
            self.now = due.max(after(self.now, Duration::from_millis(100)));
        }
        Ok(())
    }

    fn send(
        &mut self,
        act: &Act<'_>,
        version: u64,
        next: &Next,
        send: &Send,
    ) -> Result<Next, Flow> {
        assert!(
            needs_finalizer(&act.operation.spec, &next.status),
            "an intent without a finalizer"
        );
        let mut version = version;
        if !self.finalizer {
            self.set_finalizer(true, Some(version))?;
            version += 1;
        }
        if self.owner != *act.owner {
            return Err(Flow::Dropped);
        }
        let intent = Write::Intent(send.step.clone());
        self.write_status(intent, Some(version), &next.status)?;
        let number = self.journal.len();
        let is_in_time = self.now < send.before;
        let sent = if is_in_time {
            let sent = self.receive(send);
            self.happen(When::Received(number))?;
            sent
        } else {
            answered(Answer::NotSent, None)
        };
        let outcome = after_sending(act, next.status.clone(), send, &sent);
        // Whatever else has changed does not matter, as long as the intent is still ours.
        if self.stored.status == next.status {
            let what = Write::Outcome(send.step.clone());
            let written = self.write_status(what, None, &outcome.status);
            if is_in_time {
                self.journal[number].recorded = self.stored.status == outcome.status;
            }
            written?;
        }
        Ok(outcome)
    }

    pub fn request_timeout(&self, request: &Request) -> Duration {
        match request {
            Request::Reset { .. } => self.settings.request_timeout * self.settings.slow_factor,
            _ => self.settings.request_timeout,
        }
    }

    fn receive(&mut self, send: &Send) -> Sent {
        self.service.settle(self.now);
        if let Request::Reset { force, .. } = send.request {
            self.check_reset(force);
        }
        let answer = self
            .answers
            .get(&self.journal.len())
            .copied()
            .unwrap_or(Answer::Delivered);
        let possible = !matches!(
            answer,
            Answer::NotSent | Answer::Refused | Answer::Forbidden | Answer::Busy
        );
        self.journal.push(Mutation {
            step: send.step.clone(),
            request: send.request.clone(),
            at: self.now,
            before: send.before,
            possible,
            answer,
            recorded: false,
        });
        let arrives = match answer {
            Answer::Delivered | Answer::LostDone | Answer::BrokenDone => Some(self.now),
            Answer::LostLate => {
                let timeout = self.request_timeout(&send.request);
                Some(after(send.before, timeout - seconds(1)))
            }
            _ => None,
        };
        let id = arrives.and_then(|at| self.arrive(&send.request, at));
        answered(answer, id)
    }

    fn arrive(&mut self, request: &Request, at: Timestamp) -> Option<String> {
        if *request == Request::Backup {
            self.backup = BackupView::Intact;
            return None;
        }
        let has_id = matches!(request, Request::Maps { .. } | Request::Solution { .. });
        let id = self.service.arrive(request, at);
        (has_id && self.service.behaviour.ids).then_some(id)
    }

    /// Nothing is destroyed unless everything that it rests on holds.
    fn check_reset(&self, force: bool) {
        let spec = &self.stored.spec;
        assert!(
            matches!(spec.approval, Approval::Approved | Approval::NotRequired),
            "a reset that nobody has approved"
        );
        assert_eq!(self.phase(), Some(Phase::Running));
        assert_eq!(self.service.resets, 0, "a second reset");
        // What happens between the look and the request nobody can see.
        if self.surprised {
            return;
        }
        let link = Some((OLD.to_owned(), SET.to_owned()));
        assert_eq!(self.service.link, link, "the link has moved");
        assert_eq!(self.integrated, Fact::Known(true), "not integrated");
        assert_eq!(self.backup, BackupView::Intact, "no backup");
        // Nobody sees more than the list shows.
        let shown = self.service.shown_maps(self.now);
        let are_stopped = shown.iter().all(|map| map.state.is_stopped());
        assert!(are_stopped || (force && spec.options.force), "maps run");
        assert!(!force || !are_stopped, "force without need");
    }

    /// Until it has ended, is gone, or time is up.
    pub fn run(&mut self) {
        self.run_until(after(start(), hours(14)));
    }

    pub fn run_until(&mut self, end: Timestamp) {
        for _ in 0..40_000 {
            let ended = self.phase().is_some_and(Phase::is_finished) && !self.finalizer;
            let unknown =
                self.phase() == Some(Phase::Unknown) && self.now > after(start(), hours(10));
            if !self.exists || ended || unknown || self.now > end {
                self.service.settle(after(self.now, hours(1)));
                return;
            }
            self.pass();
        }
        panic!("it does not end: {:#?}", self.stored.status);
    }

    /// Until this step is about to be worked on.
    pub fn run_to(&mut self, step: &StepKind) {
        let name = step.to_string();
        for _ in 0..1000 {
            if self.stored.status.step.as_ref() == Some(&name) {
                return;
            }
            self.pass();
        }
        panic!("it does not come to {name}: {:#?}", self.stored.status);
    }

    /// Until this step is done.
    pub fn run_past(&mut self, step: &StepKind) {
        let name = step.to_string();
        for _ in 0..1000 {
            let steps = &self.stored.status.steps;
            let mut done = steps.iter().filter(|step| step.state == StepState::Done);
            if done.any(|step| step.name == name) {
                return;
            }
            self.pass();
        }
        panic!("it does not get past {name}: {:#?}", self.stored.status);
    }
}

fn answered(answer: Answer, id: Option<String>) -> Sent {
    let problem = |class, text: &str| Problem {
        class,
        ..Problem::transient(text)
    };
    match answer {
        Answer::Delivered | Answer::Hollow => Sent::Accepted { remote_id: id },
        Answer::LostDone | Answer::LostUndone | Answer::LostLate => {
            Sent::Lost(problem(FailureClass::Transient, "no answer within 30 s."))
        }
        Answer::BrokenDone => Sent::Lost(problem(FailureClass::Unexpected, "500: internal error.")),
        Answer::NotSent => Sent::NotSent(problem(FailureClass::Transient, "no connection.")),
        Answer::Refused => Sent::Refused(problem(
            FailureClass::NeedsPerson,
            "400: the request is not valid.",
        )),
        Answer::Forbidden => Sent::Refused(problem(
            FailureClass::NeedsPerson,
            "403: the token exchange has failed.",
        )),
        Answer::Busy => Sent::Refused(problem(FailureClass::Busy, "409: another operation runs.")),
    }
}

pub fn present() -> Owner {
    Owner::Present {
        suspended: false,
        reconcile_at: Some("then".into()),
    }
}

fn suspended() -> Owner {
    Owner::Present {
        suspended: true,
        reconcile_at: None,
    }
}
