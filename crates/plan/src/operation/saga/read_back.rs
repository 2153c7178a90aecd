//! An intent of which nobody knows whether its request was sent: it is looked for, never sent blindly.

use super::{at_step::AtStep, landing::absence_counts_from, start};
use crate::{
    operation::{
        event::Event,
        model::Next,
        steps::{Failure, Repeat, Target},
    },
    world::after,
};

/// Goes on with a step whose intent is recorded.
pub(super) fn read_back(at: AtStep<'_>) -> Next {
    let failure = match at.target() {
        Target::Reached => return at.reached(),
        Target::Moving => return at.adopt(),
        Target::Taken(other) => return at.taken(&other),
        Target::Unseen(problem) => return at.pass.unseen(problem.as_ref()),
        Target::Missing(_) => None,
        Target::Failed(why) => Some(why),
    };
    // Our own object is made again as often as it takes; a second time finds the first.
    if matches!(at.step.repeat(), Repeat::Always(_)) {
        return absent(at);
    }
    missed(at, failure.as_deref())
}

/// The effect is missing. That counts only when nothing can be on its way any more, and twice.
fn missed(mut at: AtStep<'_>, failure: Option<&str>) -> Next {
    let situation = at.pass.situation;
    let began = situation.observed.began;
    let counts_from = absence_counts_from(situation, at.step.as_ref(), at.record());
    if began < counts_from {
        return at.wait(situation.soon().min(counts_from.max(situation.now)));
    }
    let since = at.record().record.since().unwrap_or(began);
    let counts = after(since, situation.settings.settle);
    if at.record().record.since().is_none() || began < counts {
        at.apply(Event::Missed { since });
        return at.pass.keep(Some(counts));
    }
    match failure {
        // A failure is no absence: it may be what became of our request.
        Some(why) => at.exhausted(why),
        None => absent(at),
    }
}

/// The effect is missing for good: what sets a state may be asked for once more, a link or a reset never.
fn absent(mut at: AtStep<'_>) -> Next {
    if at.step.repeat().allows(at.record().asked.attempts) {
        at.apply(Event::Retried(None));
        return start::start(at);
    }
    match at.step.lost(&at.at()) {
        // What has a time of its own may show until that is over.
        Failure::Unknown { .. } if at.has_own_clock() && !at.is_past_patience() => at.pass.soon(),
        failure => at.fail(failure),
    }
}
