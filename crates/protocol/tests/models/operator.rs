//! One operation, the operator that carries it out, and whatever may happen to both.
//!
//! A pass decides with the real functions. Before a request its intent is on record; what becomes of the request, and whether
//! anybody hears of it, are steps of their own, so that everything else may come in between.

use std::hash::{Hash, Hasher};

use crate::{
    chances::{Action, Connection, Fate, Left, Sight, events, fates, happen},
    clock::{age, age_status, hash_status, now, settings},
    microsoft::{Comes, MAP, Microsoft},
    support::{down, no_details, refused},
};
use jiff::Timestamp;

use dualwrite_api::{
    DualWriteOperationStatus,
    operation::{Action as Kind, Phase},
};
use dualwrite_plan::{
    maps::LinkDetails,
    observed::{Fact, LinkView, Problem},
    operation::{
        BackupView, Next, Observations, RemoteRequest, Send, Sent, Situation, advance,
        after_sending, needs_finalizer, reads,
    },
    world::KnownOperation,
};

/// How an operation has ended, in so far as people rely on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct End {
    pub phase: Phase,
    /// It says that every map is as it was, or as it should be.
    pub claims_the_map: bool,
    /// It names the map, or says that maps are stopped.
    pub tells_of_maps: bool,
    /// It says that it has not reset the link.
    pub denies_a_reset: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct State {
    pub status: DualWriteOperationStatus,
    /// Since when it is there; of one that has no time of its own to begin in, that makes no difference.
    pub created: Timestamp,
    /// Since when it is being deleted.
    pub deleted: Option<Timestamp>,
    /// For how many ticks it is.
    pub deleted_for: u32,
    /// It is, as long as it is not deleted or its finalizer is on.
    pub exists: bool,
    /// The intent is on record, and its request is to be sent now.
    pub sending: Option<Send>,
    /// Whether the operator looks at it before time passes.
    pub is_due: bool,
    pub connection: Connection,
    pub sight: Sight,
    pub microsoft: Microsoft,
    /// How many of these may still happen.
    pub left: Left,
    pub end: Option<End>,
    /// After the end a request has stopped the map, or has reset the link.
    pub landed_late: bool,
    /// It runs, and nothing will ever change.
    pub is_frozen: bool,
}

impl Hash for State {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hash_status(&self.status, hasher);
        let sending = self.sending.as_ref().map(|send| (&send.step, send.before));
        (
            self.created,
            self.deleted,
            self.deleted_for,
            self.exists,
            sending,
            self.is_due,
        )
            .hash(hasher);
        (self.connection, self.sight, &self.microsoft).hash(hasher);
        (self.left, self.end, self.landed_late, self.is_frozen).hash(hasher);
    }
}

/// An operation that may be carried out.
pub struct Plan {
    pub operation: KnownOperation,
}

impl Plan {
    pub fn begin(&self, left: Left, lags: bool) -> State {
        State {
            status: self.operation.status.clone(),
            created: self.operation.created,
            deleted: None,
            deleted_for: 0,
            exists: true,
            sending: None,
            is_due: true,
            connection: Connection::There,
            sight: Sight::Clear,
            microsoft: Microsoft::running(lags),
            left,
            end: None,
            landed_late: false,
            is_frozen: false,
        }
    }

    pub fn next(&self, before: &State, action: Action) -> State {
        let mut state = before.clone();
        match action {
            Action::Pass => self.pass(&mut state),
            Action::Send(fate) => self.send(&mut state, fate),
            Action::Tick | Action::Sleep => {
                state.left.sleep -= u8::from(action == Action::Sleep);
                state.pass_a_tick();
                if self.operation.spec.options.on_deletion {
                    age(&mut state.created);
                }
            }
            Action::Event(event) => happen(&mut state, event),
        }
        self.let_go(&mut state);
        state
    }

    // ---- the operator ----

    fn operation(&self, state: &State) -> KnownOperation {
        KnownOperation {
            status: state.status.clone(),
            created: state.created,
            deleted: state.deleted,
            ..self.operation.clone()
        }
    }

    fn pass(&self, state: &mut State) {
        let operation = self.operation(state);
        let next = decide(&operation, state, advance);
        state.take(&next);
        state.sending = next.send;
        state.note_the_end();
    }

    fn send(&self, state: &mut State, fate: Fate) {
        let send = state.sending.take().unwrap();
        let operation = self.operation(state);
        let id = format!("{} {}", send.step, attempt(&state.status, &send.step));
        let microsoft = &mut state.microsoft;
        let sent = match fate {
            Fate::Accepted(has_id, comes) => {
                let remote_id = has_id.then_some(id);
                microsoft.begin(&send, remote_id.clone(), comes);
                Some(Sent::Accepted { remote_id })
            }
            Fate::Lost(comes) => {
                microsoft.begin(&send, None, comes);
                Some(Sent::Lost(down()))
            }
            Fate::Refused => Some(Sent::Refused(refused("no"))),
            Fate::RefusedAndDone => {
                microsoft.begin(&send, None, Comes::Lands(0));
                Some(Sent::Refused(refused("no")))
            }
            Fate::NotNow => Some(Sent::NotSent(down())),
            Fate::Crash(comes) => {
                microsoft.begin(&send, None, comes);
                None
            }
        };
        microsoft.happen();
        state.left.pay(fate);
        let Some(sent) = sent else {
            state.is_due = true;
            return;
        };
        let next = decide(&operation, state, |situation| {
            after_sending(situation, operation.status.clone(), &send, &sent)
        });
        state.take(&next);
        state.note_the_end();
    }

    /// What is being deleted is gone once nothing holds it.
    fn let_go(&self, state: &mut State) {
        let is_held = needs_finalizer(&self.operation.spec, &state.status);
        state.exists &= state.deleted.is_none() || is_held;
    }
}

/// One decision.
fn decide(
    operation: &KnownOperation,
    state: &State,
    function: impl FnOnce(&Situation<'_>) -> Next,
) -> Next {
    function(&Situation {
        operation,
        observed: &observe(operation, state),
        owner: &state.connection.owner(),
        others: &[],
        incarnation: "me",
        now: now(),
        settings: &settings(),
    })
}

fn observe(operation: &KnownOperation, state: &State) -> Observations {
    let problem = down();
    let microsoft = &state.microsoft;
    let remote = match reads(operation).remote {
        Some(RemoteRequest::Maps(id) | RemoteRequest::Installation(id)) => {
            Fact::Known(microsoft.remote(&id))
        }
        Some(RemoteRequest::Solution(_)) | None => Fact::Unknown(problem.clone()),
    };
    if state.sight == Sight::Nothing {
        return blind(&problem);
    }
    Observations {
        began: now(),
        integrated: Fact::Known(true),
        applications: Fact::Known(microsoft.packages()),
        remote,
        link: match operation.spec.action {
            Kind::Setup | Kind::Link => microsoft.first_link(),
            Kind::Reset | Kind::StopMaps => microsoft.link(),
        },
        maps: if state.sight == Sight::NoMaps {
            Fact::Unknown(problem)
        } else {
            Fact::Known(microsoft.maps())
        },
        details: no_details(),
        backup: BackupView::Intact,
    }
}

fn blind(problem: &Problem) -> Observations {
    Observations {
        began: now(),
        integrated: Fact::Unknown(problem.clone()),
        applications: Fact::Unknown(problem.clone()),
        remote: Fact::Unknown(problem.clone()),
        link: LinkView::Unknown(problem.clone()),
        maps: Fact::Unknown(problem.clone()),
        details: LinkDetails::unread(problem),
        backup: BackupView::Unknown(problem.clone()),
    }
}

fn attempt(status: &DualWriteOperationStatus, step: &str) -> u32 {
    let mut steps = status.steps.iter();
    let found = steps.find(|found| found.name == step);
    found.map_or(0, |step| step.attempt)
}

impl State {
    /// What may happen next.
    pub fn actions(&self, actions: &mut Vec<Action>) {
        let microsoft = &self.microsoft;
        if let Some(send) = &self.sending {
            actions.extend(fates(send, self.left).into_iter().map(Action::Send));
            return;
        }
        if self.is_over() {
            if microsoft.is_busy() {
                actions.push(Action::Tick);
            }
            return;
        }
        if self.is_due {
            actions.push(Action::Pass);
            if self.left.sleep > 0 {
                actions.push(Action::Sleep);
            }
        } else {
            actions.push(Action::Tick);
        }
        actions.extend(events(self).map(Action::Event));
    }

    /// What it says at its end, and whether people may rely on it from now on.
    fn note_the_end(&mut self) {
        let status = &self.status;
        let phase = status.phase.filter(|phase| phase.is_finished());
        let (Some(phase), None) = (phase, self.end) else {
            return;
        };
        let said = status.message.as_deref().unwrap_or_default();
        let says = |words: &[&str]| words.iter().any(|word| said.contains(word));
        let names_the_map = says(&[MAP]);
        let is_certain = phase != Phase::Failed || status.ending.is_some();
        self.end = Some(End {
            phase,
            claims_the_map: is_certain && !names_the_map,
            tells_of_maps: names_the_map || says(&["stopped", "ConfigMap"]),
            denies_a_reset: says(&["Nothing was reset", "before anything was reset"]),
        });
    }

    /// Whether nobody looks at it any more.
    pub fn is_over(&self) -> bool {
        !self.exists || self.end.is_some()
    }

    /// Whether something that it waits for is not there, and that is not for it to change.
    fn is_waiting(&self) -> bool {
        self.sight != Sight::Clear || self.connection == Connection::Suspended
    }

    fn take(&mut self, next: &Next) {
        self.status.clone_from(&next.status);
        self.is_due = next.next.is_some_and(|at| at <= now());
        let steps = &self.status.steps;
        self.microsoft.forget_all_but(|id| {
            let mut ids = steps.iter().filter_map(|step| step.remote_id.as_deref());
            ids.any(|known| known == id)
        });
    }

    fn pass_a_tick(&mut self) {
        let before = self.clone();
        age_status(&mut self.status);
        self.deleted.iter_mut().for_each(age);
        self.deleted_for += u32::from(self.deleted.is_some());
        self.microsoft.pass_a_tick();
        let was = before.microsoft.now;
        let has_changed =
            (was.runs && !self.microsoft.now.runs) || was.is_reset != self.microsoft.now.is_reset;
        self.landed_late |= self.end.is_some() && has_changed;
        let is_running = self.status.phase == Some(Phase::Running);
        self.is_frozen =
            is_running && !self.is_waiting() && fingerprint(self) == fingerprint(&before);
        self.is_due = true;
    }
}

fn fingerprint(state: &State) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    state.hash(&mut hasher);
    hasher.finish()
}
