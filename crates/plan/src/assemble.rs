//! From what a row says to a status: conditions placed in time, memory carried on, and what to do next.

mod effects;
mod memory;
mod placing;

use jiff::Timestamp;

use effects::{effect, events, forget};
use memory::{failure, newest, remember};
pub use placing::is_stale;
use placing::{
    apply, apply_last_known, carry_generation, end_of_patience, judge_conditions, show_outage,
};

use super::{
    messages, retry,
    verdict::{Outcome, Row},
    world::{World, after},
};
use dualwrite_api::{
    DualWriteConnectionStatus, DualWriteOperationSpec, Reason,
    conditions::{self, ConditionType, Says},
};

/// What a pass comes to.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The row that matched; `None` while suspended.
    pub row: Option<Row>,
    /// The status as it should be.
    pub status: DualWriteConnectionStatus,
    /// The one thing to do, if there is one.
    pub effect: Option<Effect>,
    /// Finished operations that are no longer kept, by name.
    pub forget: Vec<String>,
    /// What to tell as events, once the status is written.
    pub events: Vec<Event>,
    /// When to look again.
    pub next: Timestamp,
}

/// The one thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Create this operation.
    Create {
        /// Its name.
        name: String,
        /// Its plan.
        spec: Box<DualWriteOperationSpec>,
    },
    /// Give up this operation, which has not started.
    Void {
        /// Its name.
        name: String,
        /// Why, in words.
        message: String,
    },
}

/// Something worth telling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Whether it is bad news.
    pub warning: bool,
    /// What it is, for machines.
    pub reason: Reason,
    /// What it is, for people.
    pub note: String,
}

/// The status of a resource that is suspended: nothing was read.
pub fn suspended(world: &World<'_>) -> Decision {
    let mut status = world.memory.clone();
    let generation = world.desired.generation;
    carry_generation(&mut status.conditions, generation);
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

/// The status of a resource for which a row has matched.
pub fn decision(world: &World<'_>, row: Row, outcome: Outcome) -> Decision {
    let mut status = remember(world);
    status.failure = failure(world);
    judge_conditions(world, row, &outcome, &mut status);
    let (effect, look_again) = match outcome {
        Outcome::Says(verdict) => {
            let effect = effect(world, row, &verdict);
            apply(world, &mut status, &verdict);
            let patience = end_of_patience(&status, &verdict).filter(|end| *end > world.now);
            let look_again = verdict.look_again.into_iter().chain(patience).min();
            (effect, look_again)
        }
        Outcome::LastKnown(last) => {
            let look_again = last.look_again;
            apply_last_known(world, &mut status, &last);
            (None, look_again)
        }
    };
    show_outage(world, &mut status);
    conditions::carry(&world.memory.conditions, &mut status.conditions);
    Decision {
        row: Some(row),
        effect,
        forget: forget(world),
        events: events(world, &status),
        next: retry::next(world, &status, look_again),
        status,
    }
}
