//! A small model of Microsoft's side and of the API server, and an operator that dies in it.

use std::{collections::BTreeMap, time::Duration};

use crate::support::*;
use crate::transitions;
use dualwrite_api::{
    connection::FailureClass,
    operation::{Action, Phase, StepState},
};
use dualwrite_plan::{
    observed::{Fact, LinkView, PackageState, Problem},
    operation::{
        Observations, Owner, RemoteState, Sent, Situation, advance, after_sending, needs_finalizer,
    },
    world::{KnownOperation, Settings, after},
};
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
    pub stored: KnownOperation,
    pub incarnation: u32,
    pub settings: Settings,
    pub effects: BTreeMap<String, Effect>,
    pub requests: Vec<Request>,
    pub crashes: u32,
    /// Passes since the last request of the step that things happen to.
    pub passes: Option<u32>,
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
            stored,
            incarnation: 0,
            settings: Settings {
                poll: minutes(1),
                ..Settings::default()
            },
            effects: BTreeMap::new(),
            requests: Vec::new(),
            crashes: 0,
            passes: None,
        }
    }

    pub fn targets(&self, step: &str) -> bool {
        self.stored.spec.steps[self.cell.step].name == step
    }

    // ---- Microsoft ----

    pub fn seen(&self, step: &str, at: Timestamp) -> PackageState {
        match self.effects.get(step) {
            Some(effect) if at >= effect.until && effect.ends_well => PackageState::Installed,
            Some(effect) if at >= effect.until => PackageState::Failed,
            Some(effect) if at >= effect.from => PackageState::InProgress("Installing".into()),
            _ => PackageState::NotInstalled,
        }
    }

    pub fn read(&self) -> Observations {
        let failing = matches!((self.cell.reads, self.passes), (Reads::Fail(most), Some(passes)) if passes < most);
        let lag = match self.cell.reads {
            Reads::Lag(lag) => seconds(lag),
            Reads::Good | Reads::Fail(_) => Duration::ZERO,
        };
        let at = self.now - jiff::SignedDuration::try_from(lag).unwrap();
        let step = self
            .stored
            .status
            .steps
            .iter()
            .find(|step| step.state == StepState::Sent);
        let remote = step.filter(|step| step.remote_id.is_some()).map(|step| {
            match self.seen(&step.name, at) {
                PackageState::Installed => RemoteState::Succeeded,
                PackageState::Failed => RemoteState::Failed("0x80040216: no capacity.".into()),
                _ => RemoteState::Running,
            }
        });
        let packages = self
            .stored
            .spec
            .steps
            .iter()
            .map(|step| package(&step.name, self.seen(&step.name, at)));
        let link = match self.seen("link", at) {
            PackageState::Installed => link_to(S),
            _ => LinkView::Absent,
        };
        if failing {
            return Observations {
                began: self.now,
                integrated: Fact::Unknown(down()),
                applications: Fact::Unknown(down()),
                remote: Fact::Unknown(down()),
                link: LinkView::Unknown(down()),
                ..nothing_to_reset()
            };
        }
        Observations {
            began: self.now,
            integrated: Fact::Known(true),
            applications: Fact::Known(packages.collect()),
            remote: remote.map_or_else(|| Fact::Unknown(busy()), Fact::Known),
            link,
            ..nothing_to_reset()
        }
    }

    pub fn receive(&mut self, step: &str, before: Timestamp) -> Sent {
        let earlier = self
            .requests
            .iter()
            .filter(|request| request.step == step)
            .count();
        let scripted = self.targets(step) && (earlier == 0 || self.cell.again);
        let (answer, effect) = if scripted {
            (self.cell.answer, self.cell.effect)
        } else {
            (Answer::AcceptedWithId, true)
        };
        let possible = !matches!(
            answer,
            Answer::Refused | Answer::RefusedForLater | Answer::NotSent
        );
        self.requests.push(Request {
            step: step.into(),
            at: self.now,
            before,
            possible,
            effect,
        });
        if effect {
            let dawdles =
                scripted && self.cell.late && matches!(answer, Answer::Lost | Answer::Broken);
            let from = if dawdles {
                after(before, self.request_timeout() - seconds(1))
            } else {
                self.now
            };
            let takes = if self.cell.action == Action::Setup {
                minutes(20)
            } else {
                seconds(90)
            };
            self.effects.entry(step.into()).or_insert(Effect {
                from,
                until: after(from, takes),
                ends_well: !scripted || self.cell.ends_well,
            });
        }
        let problem = |class| Problem { class, ..down() };
        match answer {
            Answer::AcceptedWithId => Sent::Accepted {
                remote_id: Some("op-1".into()),
            },
            Answer::AcceptedWithoutId => Sent::Accepted { remote_id: None },
            Answer::Lost => Sent::Lost(problem(FailureClass::Transient)),
            Answer::Broken => Sent::Lost(problem(FailureClass::Unexpected)),
            Answer::Refused => {
                Sent::Refused(refused("400: the terms of service are not accepted."))
            }
            Answer::RefusedForLater => Sent::Refused(busy()),
            Answer::NotSent => Sent::NotSent(problem(FailureClass::Transient)),
        }
    }

    pub fn request_timeout(&self) -> Duration {
        match self.cell.action {
            Action::Setup | Action::StopMaps => self.settings.request_timeout,
            Action::Link | Action::Reset => {
                self.settings.request_timeout * self.settings.slow_factor
            }
        }
    }

    // ---- the operator ----

    /// Dies here, if this is the place and it has not died there often enough.
    pub fn dies(&mut self, at: Crash) -> bool {
        let dies = self.cell.crash == at && self.crashes < self.cell.crashes;
        if dies {
            self.crashes += 1;
            self.incarnation += 1;
            self.now = after(self.now, self.cell.down_for);
        }
        dies
    }

    pub fn pass(&mut self) -> Flow {
        let observed = self.read();
        let owner = Owner::Present {
            suspended: false,
            reconcile_at: Some("then".into()),
        };
        let operation = self.stored.clone();
        let incarnation = self.incarnation.to_string();
        let settings = self.settings.clone();
        let situation = Situation {
            operation: &operation,
            observed: &observed,
            owner: &owner,
            others: &[],
            incarnation: &incarnation,
            now: self.now,
            settings: &settings,
        };
        let mut next = advance(&situation);
        transitions::check(&self.stored.status, &next);
        let passes = self.passes;
        self.passes = passes.map(|passes| passes + 1);
        if let Some(send) = next.send.clone() {
            let here = self.targets(&send.step);
            if here && self.dies(Crash::BeforeIntent) {
                return Flow::Dead;
            }
            assert!(
                needs_finalizer(&self.stored.spec, &next.status),
                "an intent without a finalizer"
            );
            self.stored.status = next.status.clone();
            if here && self.dies(Crash::AfterIntent) {
                return Flow::Dead;
            }
            assert!(self.now < send.before);
            let sent = self.receive(&send.step, send.before);
            if here {
                self.passes = Some(0);
                if self.dies(Crash::AfterReceipt) {
                    return Flow::Dead;
                }
            }
            let outcome = after_sending(&situation, next.status.clone(), &send, &sent);
            transitions::check(&next.status, &outcome);
            next = outcome;
            if here && self.dies(Crash::AfterAnswer) {
                return Flow::Dead;
            }
        } else if passes.is_some_and(|passes| self.dies(Crash::Polling(passes))) {
            return Flow::Dead;
        }
        let finished = next.status.phase.is_some_and(Phase::is_finished);
        if finished && self.dies(Crash::BeforeFinalWrite) {
            return Flow::Dead;
        }
        self.stored.status = next.status;
        if !finished {
            let due = next
                .next
                .unwrap_or_else(|| panic!("nothing wakes it: {:#?}", self.stored.status));
            self.now = due.max(after(self.now, Duration::from_millis(100)));
        }
        Flow::On
    }

    pub fn phase(&self) -> Option<Phase> {
        self.stored.status.phase
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
            self.cell, self.stored.status
        );
    }

    // ---- what must hold ----

    pub fn check_requests(&self) {
        for step in &self.stored.spec.steps {
            let mine: Vec<_> = self
                .requests
                .iter()
                .filter(|request| request.step == step.name && request.possible)
                .collect();
            let most = if self.cell.action == Action::Setup {
                2
            } else {
                1
            };
            assert!(
                mine.len() <= most,
                "sent {} times: {:#?}",
                mine.len(),
                self.cell
            );
            if let [first, second] = mine[..] {
                assert!(
                    !first.effect,
                    "sent again although it had its effect: {:#?}",
                    self.cell
                );
                let safe = after(
                    after(first.before, self.request_timeout()),
                    self.settings.settle,
                );
                assert!(
                    second.at >= safe,
                    "sent again while the first may arrive: {:#?}",
                    self.cell
                );
            }
        }
    }

    pub fn check_end(&mut self) {
        let status = &self.stored.status;
        let happened = self
            .requests
            .iter()
            .any(|request| self.targets(&request.step) && request.effect);
        let cell = self.cell;
        assert!(
            status
                .message
                .as_ref()
                .is_some_and(|message| !message.is_empty()),
            "{cell:#?}"
        );
        match status.phase.unwrap() {
            Phase::Succeeded => {
                assert!(happened && cell_ends_well(&cell, self), "{cell:#?}");
                assert!(
                    status
                        .steps
                        .iter()
                        .all(|step| step.state == StepState::Done)
                );
                assert_eq!(status.reconcile_at.as_deref(), Some("then"));
            }
            Phase::Failed => {
                let may_fail = !happened || !cell.ends_well;
                assert!(
                    may_fail,
                    "failed although it happened: {cell:#?} {status:#?}"
                );
                assert!(
                    status.reason.is_some() && status.finished_at.is_some(),
                    "{cell:#?}"
                );
                if cell.action == Action::Link {
                    assert!(
                        ["LinkFailed", "TimedOut"].contains(&status.reason.as_deref().unwrap()),
                        "{cell:#?}"
                    );
                }
            }
            Phase::Unknown => {
                assert_eq!(cell.action, Action::Link, "{cell:#?}");
                assert!(!happened, "unknown although the link is there: {cell:#?}");
                assert!(!needs_finalizer(&self.stored.spec, status), "{cell:#?}");
                self.check_late_success();
            }
            other => panic!("ended {other}: {cell:#?}"),
        }
        self.check_requests();
    }

    /// The link appears after all.
    pub fn check_late_success(&mut self) {
        let effect = Effect {
            from: self.now,
            until: self.now,
            ends_well: true,
        };
        self.effects.insert("link".into(), effect);
        self.now = after(self.now, hours(1));
        while matches!(self.pass(), Flow::Dead) {}
        assert_eq!(self.phase(), Some(Phase::Succeeded), "{:#?}", self.cell);
        assert_eq!(self.stored.status.reason, None);
    }
}

/// The scripted step may be asked for twice, and the second time fare better.
pub fn cell_ends_well(cell: &Cell, model: &Model) -> bool {
    let step = &model.stored.spec.steps[cell.step].name;
    model
        .effects
        .get(step)
        .is_some_and(|effect| effect.ends_well)
}
