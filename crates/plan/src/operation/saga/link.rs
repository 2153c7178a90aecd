//! When dual-write is linked to something else than the step at hand is about: nothing is asked for there.

use std::ops::ControlFlow::{self, Break, Continue};

use super::{at_step::AtStep, pass::Pass};
use crate::{
    messages,
    observed::{LinkFacts, LinkView, Problem},
    operation::{
        changed_facts::is_link_of,
        event::Event,
        model::{Next, Situation},
        steps::{About, Step},
    },
};
use dualwrite_api::{
    Reason,
    operation::{Action, Phase},
};

/// What is linked instead of what a step is about.
enum Other<'a> {
    Link(&'a LinkFacts),
    Nothing,
}

/// What a step that belongs to another link comes to.
pub(super) fn check(at: AtStep<'_>) -> ControlFlow<Next, AtStep<'_>> {
    let Some(other) = other(at.pass.situation, at.step.as_ref()) else {
        return Continue(at);
    };
    Break(match other {
        Other::Link(link) if is_before_the_reset(at.step.as_ref()) => not_begun(at.pass, link),
        Other::Link(link) => wait_or_end(at, Some(&link.environment_id)),
        Other::Nothing => wait_or_end(at, None),
    })
}

/// The maps of another link say nothing about how the operation has ended: the last step is open again as long as one is
/// shown.
pub(super) fn check_the_end(pass: Pass<'_>) -> ControlFlow<Next, Pass<'_>> {
    let last = (0..pass.progress.steps().len()).rev().find_map(|index| {
        let step = pass.step(index).filter(|step| !step.is_by_person())?;
        Some((index, step))
    });
    let Some((index, step)) = last else {
        return Continue(pass);
    };
    check(AtStep { pass, index, step }).map_continue(|at| at.pass)
}

/// `None` when the link is the right one, or the step looks itself.
fn other<'a>(situation: &Situation<'a>, step: &dyn Step) -> Option<Other<'a>> {
    if step.link() == About::Itself {
        return None;
    }
    match &situation.observed.link {
        LinkView::To(link) if is_expected(situation, step, link) => None,
        LinkView::To(link) => Some(Other::Link(link)),
        LinkView::Absent => {
            let is_about_nothing =
                !is_before_the_reset(step) || situation.operation.spec.action == Action::StopMaps;
            is_about_nothing.then_some(Other::Nothing)
        }
        LinkView::NotObserved | LinkView::Unknown(_) | LinkView::HostDown(_) => None,
    }
}

/// Whether a step prepares what is destroyed later, or is all that there is.
fn is_before_the_reset(step: &dyn Step) -> bool {
    step.link() == About::Plan && !step.undoes()
}

/// Up to the reset, and when it is given up, a step is about the link of the plan; after it about the target.
fn is_expected(situation: &Situation<'_>, step: &dyn Step, link: &LinkFacts) -> bool {
    match step.link() {
        About::Itself => true,
        About::Target => situation.is_target(&link.environment_id),
        About::Plan => is_link_of(&situation.operation.spec.relies_on, link),
    }
}

/// Nothing was destroyed, and nothing is begun at another link.
fn not_begun(pass: Pass<'_>, link: &LinkFacts) -> Next {
    let why = messages::link_has_moved(&link.environment_id, &link.connection_set_id);
    if pass.spec().action == Action::StopMaps {
        return pass.end_partly_stopped(&why);
    }
    pass.give_up(Phase::Void, None, &why)
}

/// A list that lags may show for a moment what was there before; what lasts ends the operation.
fn wait_or_end(mut at: AtStep<'_>, link: Option<&str>) -> Next {
    at.pass.progress.begin(at.index, at.pass.situation.now);
    if at.is_past_patience() {
        return end(at.pass, link);
    }
    if !at.record().record.is_open() {
        at.apply(Event::Reopened { anew: false });
    }
    let problem = Problem::transient(messages::another_link(link));
    at.pass.unseen(Some(&problem))
}

fn end(pass: Pass<'_>, link: Option<&str>) -> Next {
    let (spec, head) = (pass.spec(), &pass.progress.head);
    let (reason, text) = if let Some(ending) = &head.ending {
        let reason = ending.reason.as_deref();
        let reason = reason.and_then(|reason| reason.parse().ok());
        let text = messages::cannot_take_back(spec, head, &ending.message, link);
        (reason.unwrap_or(Reason::MapsNotRunning), text)
    } else if spec.action == Action::StopMaps {
        return pass.end_partly_stopped(&messages::another_link(link));
    } else {
        let text = messages::moved_after_reset(spec, head, &open_steps(&pass), link);
        (Reason::RestoreIncomplete, text)
    };
    pass.finish(Phase::Failed, Some(reason), text)
}

/// The steps that were not done, by name; a person's are not among them.
fn open_steps<'p>(pass: &'p Pass<'_>) -> Vec<&'p str> {
    let is_ours = |index: usize| pass.step(index).is_none_or(|step| !step.is_by_person());
    let steps = pass.progress.steps().iter().enumerate();
    steps
        .filter(|(index, step)| step.record.is_open() && is_ours(*index))
        .map(|(_, step)| step.name.as_str())
        .collect()
}
