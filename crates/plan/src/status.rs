//! From picture and verdict to a status, and at most one thing to do: the only place that knows what was there before.

mod effects;
mod memory;
mod said;

use jiff::Timestamp;

use effects::{effect, events, forget};
use memory::{Outage, newest, remember};
use said::Said;

use super::{
    decision::{Decision, Effect},
    messages,
    picture::Picture,
    retry,
    verdict::{Basis, Row, Verdict},
    world::{World, after},
};
use dualwrite_api::{
    Reason,
    conditions::{self, ConditionType, Says},
    connection::{Check, Since},
};

/// The status of a resource that is suspended: nothing was read.
pub fn suspended(world: &World<'_>) -> Decision {
    let mut status = world.memory.clone();
    let generation = world.desired.generation;
    status.conditions = said::as_known(world);
    conditions::remove(&mut status.conditions, ConditionType::Reconciling);
    conditions::remove(&mut status.conditions, ConditionType::Stalled);
    let says = Says::unknown(Reason::Suspended, messages::suspended());
    conditions::set(
        &mut status.conditions,
        ConditionType::Ready,
        &says,
        generation,
        world.now,
    );
    status.observed_generation = Some(generation);
    status.settling = world.remembered(world.memory.settling.as_ref()).cloned();
    status.waiting = world.remembered(world.memory.waiting.as_ref()).cloned();
    status.operation = newest(world);
    Decision {
        row: None,
        events: events(world, &status),
        status,
        effect: None,
        forget: Vec::new(),
        next: after(world.now, world.desired.interval),
    }
}

/// The status of a resource for which a row has matched. What this pass does not say stays as it was.
pub fn fold(picture: &Picture<'_>, checks: Vec<Check>, row: Row, verdict: &Verdict) -> Decision {
    let world = picture.world;
    let outage = Outage::of(world);
    let patience = Patience::of(world, verdict);
    let is_overdue = patience
        .as_ref()
        .is_some_and(|patience| world.now >= patience.end);
    let said = Said::of(picture, row, verdict, is_overdue, outage.as_ref());
    let mut status = remember(picture, checks);
    status.conditions = said.conditions();
    let settling = verdict.settling.map(|settling| Since {
        what: settling.what.as_ref().to_owned(),
        since: settling.since,
    });
    let end = patience.as_ref().map(|patience| patience.end);
    match verdict.basis {
        Basis::Seen => {
            status.settling = settling;
            status.waiting = patience.map(|patience| patience.waiting);
        }
        Basis::LastKnown | Basis::LastKnownSince(_) => {
            status.settling = settling.or(status.settling);
        }
    }
    status.failure = outage.map(|outage| outage.failure);
    let patience = end.filter(|end| *end > world.now);
    let rest = world.rests_until();
    let effect = effect(world, verdict).filter(|effect| match effect {
        Effect::Create { .. } => rest.is_none(),
        Effect::Void { .. } => true,
    });
    let look_again = verdict.look_again.into_iter();
    let look_again = look_again.chain(patience).chain(rest).min();
    Decision {
        row: Some(row),
        effect,
        forget: forget(world),
        events: events(world, &status),
        next: retry::next(world, &status, look_again),
        status,
    }
}

/// What is waited for since when, and when that becomes too long.
struct Patience {
    waiting: Since,
    end: Timestamp,
}

impl Patience {
    fn of(world: &World<'_>, verdict: &Verdict) -> Option<Self> {
        let waiting = verdict.waiting?;
        let what = waiting.what.as_ref();
        let remembered = world.remembered(world.memory.waiting.as_ref());
        let since = remembered
            .filter(|old| old.what == what)
            .map_or(world.now, |old| old.since);
        Some(Self {
            waiting: Since {
                what: what.to_owned(),
                since,
            },
            end: after(since, waiting.normal),
        })
    }
}
