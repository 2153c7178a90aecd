//! What may happen to an operation, and how much of it.

use crate::{
    clock::{PATIENCE, REQUEST_TIMEOUT, now, ticks_until},
    microsoft::{Comes, delays},
    operator::State,
};
use dualwrite_plan::operation::{Owner, Send};

/// What may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A pass is made.
    Pass,
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
    /// The same, and another one manages the host.
    Replaced,
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
impl Connection {
    pub fn owner(self) -> Owner {
        match self {
            Self::There | Self::Suspended => Owner::Present {
                suspended: self == Self::Suspended,
                reconcile_at: None,
            },
            Self::Changed => Owner::Changed,
            Self::Gone => Owner::Gone,
            Self::Replaced => Owner::Replaced,
        }
    }
}

pub fn fates(send: &Send, left: Left) -> Vec<Fate> {
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

    pub fn pay(&mut self, fate: Fate) {
        let price = Self::price(fate);
        self.crashes -= price.crashes;
        self.false_refusals -= price.false_refusals;
        self.trouble -= price.trouble;
    }
}

pub fn events(state: &State) -> impl Iterator<Item = Event> {
    let usual = match state.connection {
        Connection::There => &[Event::Suspend, Event::Change, Event::DeleteConnection][..],
        Connection::Suspended => &[Event::Resume, Event::DeleteConnection],
        Connection::Changed | Connection::Gone | Connection::Replaced => &[],
    };
    let sights = [Sight::Clear, Sight::NoMaps, Sight::Nothing];
    let looks = sights.into_iter().filter(|sight| *sight != state.sight);
    let looks = looks.map(Event::Look);
    let deleted = state.deleted.is_none().then_some(Event::DeleteOperation);
    let some = usual.iter().copied().chain(looks).chain(deleted);
    let left = state.left.events;
    some.filter(move |event| left > 0 || matches!(event, Event::Resume | Event::Look(Sight::Clear)))
}

pub fn happen(state: &mut State, event: Event) {
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
