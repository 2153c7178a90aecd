//! One operation, the operator that carries it out, and whatever may happen to both.
//!
//! A pass decides with the real functions. Before a request its intent is on record; what becomes of the request, and whether
//! anybody hears of it, are steps of their own, so that everything else may come in between.

use std::hash::{Hash, Hasher};

use crate::{
    clock::{PATIENCE, REQUEST_TIMEOUT, age, age_status, hash_status, now, settings, ticks_until},
    microsoft::{Comes, MAP, Microsoft, delays},
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
        BackupView, Next, Observations, Owner, RemoteRequest, Send, Sent, Situation, advance,
        after_sending, needs_finalizer, reads,
    },
    world::KnownOperation,
};

/// What may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A pass is made; the list of maps shows what is, or what was a tick ago.
    Pass {
        is_late: bool,
    },
    /// The request of an intent is sent, and this becomes of it.
    Send(Fate),
    /// Time passes.
    Tick,
    /// The same, and no operator runs.
    Sleep,
    Event(Event),
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It is accepted, with or without an id.
    Accepted(bool, Comes),
    /// Its answer is lost.
    Lost(Comes),
    Refused,
    /// It is refused, and takes effect at once all the same.
    RefusedAndDone,
    /// It was not sent, or is refused for now.
    NotNow,
    /// The process ends before it hears of it.
    Crash(Comes),
}

/// What people do, and what fails for long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    Suspend,
    Resume,
    /// The connection asks for something else.
    Change,
    DeleteConnection,
    DeleteOperation,
    /// So much of Microsoft's can be read from now on.
    Look(Sight),
}

/// What can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sight {
    Clear,
    /// All but the list of maps.
    NoMaps,
    Nothing,
}

/// The connection that asked for the operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Connection {
    There,
    Suspended,
    Changed,
    Gone,
}

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

/// How much may go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Left {
    pub events: u8,
    pub crashes: u8,
    /// Ticks without an operator.
    pub sleep: u8,
    /// Refusals that are none.
    pub false_refusals: u8,
    /// Requests that are not simply accepted and done soon.
    pub trouble: u8,
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
    pub fn begin(&self, left: Left) -> State {
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
            microsoft: Microsoft::running(),
            left,
            end: None,
            landed_late: false,
            is_frozen: false,
        }
    }

    // ---- what may happen next ----

    pub fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let microsoft = &state.microsoft;
        if let Some(send) = &state.sending {
            actions.extend(fates(send, state.left).into_iter().map(Action::Send));
            return;
        }
        if state.is_over() {
            if microsoft.is_busy() {
                actions.push(Action::Tick);
            }
            return;
        }
        if state.is_due {
            actions.push(Action::Pass { is_late: false });
            if microsoft.before != microsoft.now && state.sight == Sight::Clear {
                actions.push(Action::Pass { is_late: true });
            }
            if state.left.sleep > 0 {
                actions.push(Action::Sleep);
            }
        } else {
            actions.push(Action::Tick);
        }
        actions.extend(events(state).map(Action::Event));
    }

    pub fn next(&self, before: &State, action: Action) -> State {
        let mut state = before.clone();
        match action {
            Action::Pass { is_late } => self.pass(&mut state, is_late),
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

    fn pass(&self, state: &mut State, is_late: bool) {
        let operation = self.operation(state);
        let next = decide(&operation, state, is_late, advance);
        state.take(&next);
        state.sending = next.send;
        self.note_the_end(state);
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
        let next = decide(&operation, state, false, |situation| {
            after_sending(situation, operation.status.clone(), &send, &sent)
        });
        state.take(&next);
        self.note_the_end(state);
    }

    /// What is being deleted is gone once nothing holds it.
    fn let_go(&self, state: &mut State) {
        let is_held = needs_finalizer(&self.operation.spec, &state.status);
        state.exists &= state.deleted.is_none() || is_held;
    }

    /// What it says at its end, and whether people may rely on it from now on.
    fn note_the_end(&self, state: &mut State) {
        let status = &state.status;
        let phase = status.phase.filter(|phase| phase.is_finished());
        let (Some(phase), None) = (phase, state.end) else {
            return;
        };
        let said = status.message.as_deref().unwrap_or_default();
        let says = |words: &[&str]| words.iter().any(|word| said.contains(word));
        let names_the_map = says(&[MAP]);
        let is_certain = phase != Phase::Failed || status.ending.is_some();
        state.end = Some(End {
            phase,
            claims_the_map: is_certain && !names_the_map,
            tells_of_maps: names_the_map || says(&["stopped", "ConfigMap"]),
            denies_a_reset: says(&["Nothing was reset", "before anything was reset"]),
        });
    }
}

/// One decision.
fn decide(
    operation: &KnownOperation,
    state: &State,
    is_late: bool,
    function: impl FnOnce(&Situation<'_>) -> Next,
) -> Next {
    function(&Situation {
        operation,
        observed: &observe(operation, state, is_late),
        owner: &state.connection.owner(),
        others: &[],
        incarnation: "me",
        now: now(),
        settings: &settings(),
    })
}

fn observe(operation: &KnownOperation, state: &State, is_late: bool) -> Observations {
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
            Fact::Known(microsoft.maps(is_late))
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

impl Connection {
    fn owner(self) -> Owner {
        match self {
            Self::There | Self::Suspended => Owner::Present {
                suspended: self == Self::Suspended,
                reconcile_at: None,
            },
            Self::Changed => Owner::Changed,
            Self::Gone => Owner::Gone,
        }
    }
}

fn fates(send: &Send, left: Left) -> Vec<Fate> {
    let arrives = ticks_until(send.before) + REQUEST_TIMEOUT;
    let lands = |latest| delays(latest).map(Comes::Lands);
    let (accepted, lost) = (lands(PATIENCE), lands(arrives + PATIENCE));
    let mut all = vec![Fate::Refused, Fate::RefusedAndDone, Fate::NotNow];
    all.extend(accepted.map(|comes| Fate::Accepted(true, comes)));
    all.extend([Comes::Fails(1), Comes::Never].map(|comes| Fate::Accepted(true, comes)));
    all.extend(accepted.map(|comes| Fate::Accepted(false, comes)));
    all.push(Fate::Accepted(false, Comes::Never));
    all.extend(lost.into_iter().chain([Comes::Never]).map(Fate::Lost));
    all.extend(lost.into_iter().chain([Comes::Never]).map(Fate::Crash));
    all.retain(|fate| left.affords(*fate));
    all
}

impl Left {
    /// What a fate costs; the usual one nothing.
    fn price(fate: Fate) -> Self {
        let is_usual = matches!(fate, Fate::Accepted(true, Comes::Lands(0 | 1)));
        Self {
            events: 0,
            sleep: 0,
            crashes: u8::from(matches!(fate, Fate::Crash(_))),
            false_refusals: u8::from(fate == Fate::RefusedAndDone),
            trouble: u8::from(!is_usual),
        }
    }

    fn affords(self, fate: Fate) -> bool {
        let price = Self::price(fate);
        self.crashes >= price.crashes
            && self.false_refusals >= price.false_refusals
            && self.trouble >= price.trouble
    }

    fn pay(&mut self, fate: Fate) {
        let price = Self::price(fate);
        self.crashes -= price.crashes;
        self.false_refusals -= price.false_refusals;
        self.trouble -= price.trouble;
    }
}

fn events(state: &State) -> impl Iterator<Item = Event> {
    let usual = match state.connection {
        Connection::There => &[Event::Suspend, Event::Change, Event::DeleteConnection][..],
        Connection::Suspended => &[Event::Resume, Event::DeleteConnection],
        Connection::Changed | Connection::Gone => &[],
    };
    let sights = [Sight::Clear, Sight::NoMaps, Sight::Nothing];
    let looks = sights.into_iter().filter(|sight| *sight != state.sight);
    let looks = looks.map(Event::Look);
    let deleted = state.deleted.is_none().then_some(Event::DeleteOperation);
    let some = usual.iter().copied().chain(looks).chain(deleted);
    let left = state.left.events;
    some.filter(move |event| left > 0 || matches!(event, Event::Resume | Event::Look(Sight::Clear)))
}

fn happen(state: &mut State, event: Event) {
    match event {
        Event::Suspend => state.connection = Connection::Suspended,
        Event::Resume => state.connection = Connection::There,
        Event::Change => state.connection = Connection::Changed,
        Event::DeleteConnection => state.connection = Connection::Gone,
        Event::DeleteOperation => state.deleted = Some(now()),
        Event::Look(sight) => state.sight = sight,
    }
    if !matches!(event, Event::Resume | Event::Look(Sight::Clear)) {
        state.left.events -= 1;
    }
    state.is_due = true;
}
