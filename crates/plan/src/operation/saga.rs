//! The order of the steps of an operation, and its end.
//!
//! ```text
//! backup -> stop-maps -> reset -> solution/… -> integration-keys -> initialise-maps -> map-versions -> start-maps/…
//!   |          |           |         |                                                                     |
//! failed    given up:   refused:   a step that fails is named, and the independent ones go on       pause-maps, verify
//!           what was    given up                                                                           |
//!           stopped is  accepted, not retargeted: failed, maps stay stopped          succeeded, or failed naming what
//!           restarted   lost: read back until its time is over, then Unknown         is missing or does not run
//! ```
//!
//! Up to the reset everything can be taken back, and is; from its intent on the operation goes through to its end, whatever
//! becomes of the connection.

mod at_step;
mod before;
mod conclude;
mod follow;
mod landing;
mod link;
mod pass;
mod read_back;
mod sent;
mod start;

use std::ops::ControlFlow::{Break, Continue};

use jiff::Timestamp;

pub use sent::after_sending;

use super::{
    event::{Event, Failing},
    model::{DELETION_PATIENCE, Next, Situation},
    record::StepRecord,
    steps::{self, Failure, Target},
};
use crate::{messages, world::after};
use at_step::AtStep;
use dualwrite_api::{
    DualWriteOperationSpec, DualWriteOperationStatus, Reason,
    operation::{Action, Phase, StepState, StepStatus},
};
use pass::{LATE_LOOK, Pass, unchanged};

/// What an operation does next.
pub fn advance(situation: &Situation<'_>) -> Next {
    match situation.operation.status.phase {
        None | Some(Phase::AwaitingApproval) => match before::first(situation) {
            Break(next) => next,
            Continue(pass) => next_step(pass),
        },
        Some(Phase::Running) => running(situation),
        Some(Phase::Unknown) => late(situation),
        Some(Phase::Succeeded | Phase::Failed | Phase::Void) => unchanged(situation, None),
    }
}

/// Whether the finalizer is needed for this status: from before an intent until its outcome is recorded.
///
/// Through a reset, and the stopping of maps, it is held from the first intent to the end: the operation carries what it needs
/// to put back what it has taken away, and must not be lost in between. That of a deletion is held from its creation on.
pub fn needs_finalizer(
    operation: &DualWriteOperationSpec,
    status: &DualWriteOperationStatus,
) -> bool {
    let in_flight = |step: &StepStatus| matches!(step.state, StepState::Intended | StepState::Sent);
    match (operation.action, status.phase) {
        (Action::Setup | Action::Link, Some(Phase::Running)) => status.steps.iter().any(in_flight),
        (Action::Reset | Action::StopMaps, Some(Phase::Running)) => true,
        (Action::StopMaps, None) => operation.options.on_deletion,
        (Action::Setup | Action::Link | Action::Reset, None)
        | (
            _,
            Some(
                Phase::AwaitingApproval
                | Phase::Succeeded
                | Phase::Failed
                | Phase::Unknown
                | Phase::Void,
            ),
        ) => false,
    }
}

fn running(situation: &Situation<'_>) -> Next {
    let mut pass = Pass::new(situation);
    pass.note_ended();
    // It is said for as long as it holds.
    pass.progress.head.reason = None;
    let before = pass.progress.steps().to_vec();
    let next = next_step(pass);
    // Patience is judged after what this pass has seen: a success that comes late counts.
    let steps: Vec<StepRecord> = next.status.steps.iter().map(StepRecord::from).collect();
    let is_stuck =
        next.status.phase == Some(Phase::Running) && next.send.is_none() && steps == before;
    if is_stuck && is_beyond_patience(situation) {
        let operation = situation.operation;
        let text = messages::abandoned(&operation.spec, &operation.status);
        let reason = Some(Reason::OutcomeUnknown);
        return Pass::new(situation).finish(Phase::Unknown, reason, text);
    }
    next
}

/// Whether an operation that is being deleted has been held long enough. What has stopped maps, or taken them away, is held to
/// its deadline, and the step that it is at has its own time in any case: after a long absence of the operator there may be
/// maps to start again. An installation or a link puts nothing back.
fn is_beyond_patience(situation: &Situation<'_>) -> bool {
    let operation = situation.operation;
    let held = match operation.spec.action {
        Action::Setup | Action::Link => Timestamp::MIN,
        Action::Reset | Action::StopMaps => held_for_its_maps(situation),
    };
    operation
        .deleted
        .is_some_and(|deleted| situation.now >= after(deleted, DELETION_PATIENCE).max(held))
}

/// Before maps are started again, what was asked for may have to land.
fn held_for_its_maps(situation: &Situation<'_>) -> Timestamp {
    let status = &situation.operation.status;
    let is_given_up = status.ending.is_some();
    let lands = is_given_up.then(|| Pass::new(situation).unsettled_until(|_| true));
    let mut steps = status.steps.iter();
    let step = steps.find(|step| Some(&step.name) == status.step.as_ref());
    let began = step.and_then(|step| step.began);
    let of_step = began.map_or(Timestamp::MIN, |began| after(began, situation.patience()));
    let ends = status.deadline.into_iter().chain(lands.flatten());
    ends.fold(of_step, Timestamp::max)
}

/// Goes on with the first step that is neither done nor given up.
fn next_step(mut pass: Pass<'_>) -> Next {
    let Some(index) = open_step(&pass) else {
        return conclude::conclude(pass);
    };
    let Some(step) = pass.step(index) else {
        return nobody_can_do(pass, index);
    };
    pass.progress.head.step = Some(pass.record(index).name.clone());
    let at = match link::check(AtStep { pass, index, step }) {
        Break(next) => return next,
        Continue(at) => at,
    };
    match at.record().record.state() {
        StepState::Pending => start::start(at),
        StepState::Intended => read_back::read_back(at),
        StepState::Sent => follow::follow(at),
        StepState::Done | StepState::Failed | StepState::Unknown => {
            unchanged(at.pass.situation, None)
        }
    }
}

/// The place of the first step that is open; once the operation is given up, of those that take back.
fn open_step(pass: &Pass<'_>) -> Option<usize> {
    let is_given_up = pass.progress.head.ending.is_some();
    (0..pass.progress.steps().len()).find(|index| {
        let step = pass.step(*index);
        steps::is_worked_on(step.as_deref(), is_given_up) && pass.record(*index).record.is_open()
    })
}

/// A step that this version does not know: nobody can do it, so it is like one that has failed.
fn nobody_can_do(mut pass: Pass<'_>, index: usize) -> Next {
    let name = &pass.record(index).name;
    let why = messages::unknown_step(name);
    let failure = match pass.spec().action {
        action @ (Action::Setup | Action::Link | Action::StopMaps) => Failure::End {
            reason: failed_reason(action),
            message: messages::step_failed(pass.spec(), name, &why),
            error: why,
        },
        Action::Reset if pass.has_sent_reset() => Failure::GoOn {
            missing: Some(why.trim_end_matches('.').to_owned()),
            error: why,
            maps: None,
        },
        action @ Action::Reset => Failure::GiveUp {
            error: Some(why.clone()),
            phase: Phase::Failed,
            reason: Some(failed_reason(action)),
            why,
        },
    };
    pass.begin();
    let exhausted: fn(Failing) -> Event = Event::Exhausted;
    pass.fail(index, exhausted, failure)
}

/// The reason of a failure that has none of its own.
const fn failed_reason(action: Action) -> Reason {
    match action {
        Action::Setup => Reason::InstallFailed,
        Action::Link => Reason::LinkFailed,
        Action::Reset => Reason::ResetFailed,
        Action::StopMaps => Reason::MapsNotStopped,
    }
}

/// What could not be known may still turn out well; a success that comes late counts.
fn late(situation: &Situation<'_>) -> Next {
    let pass = Pass::new(situation);
    let mut steps = pass.progress.steps().iter();
    let unknown = steps.position(|step| step.record.state() == StepState::Unknown);
    let step = unknown.and_then(|index| Some((index, pass.step(index)?)));
    if let Some((index, step)) = step {
        let at = AtStep { pass, index, step };
        if at.target() == Target::Reached {
            // What a reset took away is still to be put back.
            return at.reached();
        }
    }
    unchanged(situation, Some(after(situation.now, LATE_LOOK)))
}
