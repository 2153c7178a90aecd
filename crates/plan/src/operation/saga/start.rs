//! A step that nothing is asked for yet: held back, done already, under way already, or to be intended now.

use std::ops::ControlFlow::{self, Break, Continue};

use super::{at_step::AtStep, before};
use crate::{
    messages,
    operation::{
        event::{Event, Intent},
        model::{Next, Owner, Send},
        steps::{Asking, Failure, Gate, Repeat, Step, Target},
    },
    world::after,
};
use dualwrite_api::operation::{Action, Phase};

/// Goes on with a step that nothing is asked for.
pub(super) fn start(at: AtStep<'_>) -> Next {
    let mut at = match may_begin(at) {
        Break(next) => return next,
        Continue(at) => at,
    };
    // Before the first intent nothing is on record, so nothing can be said to have begun.
    if at.has_own_clock() && at.pass.progress.head.started_at.is_some() {
        at.pass.progress.begin(at.index, at.pass.situation.now);
    }
    match pass_gate(at) {
        Break(next) => next,
        Continue(at) => match at.target() {
            Target::Reached => at.reached(),
            Target::Moving => at.adopt(),
            Target::Missing(shown) => ask(at, shown.as_deref()),
            Target::Failed(why) => ask(at, Some(&why)),
            Target::Taken(other) => at.taken(&other),
            Target::Unseen(problem) => at.pass.unseen(problem.as_ref()),
        },
    }
}

// ---- what holds it back ----

fn may_begin(at: AtStep<'_>) -> ControlFlow<Next, AtStep<'_>> {
    settled(still_integrated(hold_back(at)?)?)
}

/// Suspending, editing or deleting takes effect before a step; for a reset only as long as it can still be given up.
fn hold_back(at: AtStep<'_>) -> ControlFlow<Next, AtStep<'_>> {
    let operation = at.pass.situation.operation;
    if !at.step.can_be_given_up() {
        return Continue(at);
    }
    let why = match at.pass.situation.owner {
        // Whoever manages the environment by now has started the maps for himself, or means them to run.
        Owner::Replaced if operation.spec.options.on_deletion => messages::TAKEN_OVER_MEANWHILE,
        _ if operation.spec.options.on_deletion => return Continue(at),
        _ if operation.deleted.is_some() => messages::OWNER_GONE,
        Owner::Gone | Owner::Replaced => messages::OWNER_GONE,
        Owner::Changed => messages::NO_LONGER_ASKED_FOR,
        Owner::Present {
            suspended: false, ..
        } => return Continue(at),
        Owner::Present {
            suspended: true, ..
        } if at.pass.has_stopped_maps() => messages::OWNER_SUSPENDED,
        Owner::Present {
            suspended: true, ..
        } => return Break(wait_for_its_connection(at)),
    };
    Break(call_off(at, why))
}

/// Nothing of it is undone by a suspension, so it waits; whoever reads it hears for what.
fn wait_for_its_connection(mut at: AtStep<'_>) -> Next {
    at.pass.tell(messages::WAITS_FOR_RESUME.into());
    at.pass.keep(None)
}

/// An installation or a link may have waited for long since its last step: the connection was suspended, or the request refused
/// for now. A reset looks right before its request, and the maps of a link that is there are stopped in any case.
fn still_integrated(at: AtStep<'_>) -> ControlFlow<Next, AtStep<'_>> {
    match at.pass.spec().action {
        Action::Setup | Action::Link => before::integrated(at.pass.situation).map_continue(|()| at),
        Action::Reset | Action::StopMaps => Continue(at),
    }
}

/// What would be taken back by an earlier request is not done before that has landed, or cannot any more.
fn settled(at: AtStep<'_>) -> ControlFlow<Next, AtStep<'_>> {
    let Some(change) = at.step.undone_by() else {
        return Continue(at);
    };
    let undoes_it =
        |earlier: &dyn Step| earlier.change() == Some(change) && earlier.link() == at.step.link();
    match at.pass.unsettled_until(undoes_it) {
        Some(until) => Break(at.pass.wait_for_what_may_land(until)),
        None => Continue(at),
    }
}

fn call_off(at: AtStep<'_>, why: &str) -> Next {
    match at.pass.spec().action {
        Action::Reset => at.pass.give_up(Phase::Void, None, why),
        Action::StopMaps => at.pass.end_partly_stopped(why),
        Action::Setup | Action::Link => at.pass.void(why),
    }
}

/// What must hold before it is looked at.
fn pass_gate(at: AtStep<'_>) -> ControlFlow<Next, AtStep<'_>> {
    let gate = at.step.gate(&at.at());
    Break(match gate {
        Gate::Open => return Continue(at),
        Gate::Unseen(problem) => at.pass.unseen(Some(&problem)),
        Gate::Closed(failure) => at.fail(failure),
        Gate::Again(step, most, failure) => do_again(at, &step, most, failure),
        Gate::Becomes { steps, missing } => become_steps(at, steps, missing),
    })
}

fn do_again(mut at: AtStep<'_>, earlier: &str, most: u32, failure: Failure) -> Next {
    if let Some(index) = at.pass.position(earlier) {
        if at.pass.record(index).asked.attempts >= most {
            return at.fail(failure);
        }
        let event = Event::Reopened { anew: true };
        at.pass.progress.apply(index, event);
    }
    at.pass.now()
}

fn become_steps(mut at: AtStep<'_>, steps: Vec<String>, missing: Vec<String>) -> Next {
    at.pass.begin();
    at.pass.progress.insert(at.index + 1, steps);
    for what in missing {
        at.pass.note_missing(what);
    }
    let now = at.pass.situation.now;
    at.apply(Event::Reached { at: now });
    at.pass.now()
}

// ---- what it asks for ----

fn ask(mut at: AtStep<'_>, shown: Option<&str>) -> Next {
    let asking = at.step.request(&at.at());
    if is_hopeless(&at, asking.as_ref()) {
        return out_of_patience(at, shown);
    }
    if let Some(obstacle) = at.step.obstacle(at.pass.situation) {
        at.pass.begin();
        at.pass.tell(obstacle);
        return at.pass.soon();
    }
    if let Some(asking) = asking {
        if !at.pass.progress.has_room(&asking.maps, &asking.seen) {
            return at.exhausted(&messages::no_room_for_a_record());
        }
        return intend(at, asking);
    }
    // There is nothing to ask for yet, or only something to look at.
    at.pass.begin();
    at.wait_a_little()
}

/// Whether a step is over without another try: it was refused for now until its time was over, or there is nothing to ask
/// for. One that was not tried yet, or may be tried again, is: its time may have passed while no operator ran.
fn is_hopeless(at: &AtStep<'_>, asking: Option<&Asking>) -> bool {
    let record = at.record();
    let is_refused_for_now = record.record.error().is_some() && record.asked.send_before.is_none();
    let is_written_often = match at.step.repeat() {
        Repeat::Always(most) => record.asked.attempts >= most,
        Repeat::Never | Repeat::Once => false,
    };
    let may_try = at.has_own_clock() && asking.is_some();
    at.is_past_patience() && (is_refused_for_now || is_written_often || !may_try)
}

fn out_of_patience(at: AtStep<'_>, shown: Option<&str>) -> Next {
    if !at.has_own_clock() {
        return at.timed_out();
    }
    let why = at.record().record.error().or(shown).map(str::to_owned);
    let why = why.unwrap_or_else(|| messages::took_too_long(at.pass.situation.patience()));
    at.exhausted(&why)
}

fn intend(mut at: AtStep<'_>, asking: Asking) -> Next {
    let situation = at.pass.situation;
    at.pass.begin();
    if at.has_own_clock() {
        at.pass.progress.begin(at.index, situation.now);
        if at.is_past_patience() {
            at.pass.progress.begin_anew(at.index, situation.now);
        }
    }
    let before = after(situation.now, situation.settings.send_window);
    at.apply(Event::Intended(Intent {
        incarnation: situation.incarnation.to_owned(),
        send_before: before,
        is_remote: !matches!(at.step.repeat(), Repeat::Always(_)),
        maps: asking.maps,
        seen: asking.seen,
    }));
    if asking.backup.is_some() {
        at.pass.progress.head.backup = asking.backup;
    }
    let text = at.running_message();
    at.pass.tell(text);
    let send = Send {
        step: at.record().name.clone(),
        before,
        request: asking.request,
    };
    at.pass.progress.next(Some(send), None)
}
