//! An intent of which nobody knows whether its request was sent, and how often a request may be sent.

use jiff::Timestamp;

use super::{
    Act, Next,
    ends::{done, fail, finish, keep},
    failures, follow,
    steps::{adopt, start, unseen, wait_for_step},
    targets::{Target, target},
};
use crate::{messages, operation::StepKind, world::after};
use dualwrite_api::{
    DualWriteOperationStatus, Reason,
    operation::{Phase, StepState, StepStatus},
};

/// How many requests for what may be asked for again are sent at the most.
const ATTEMPTS: u32 = 2;

/// How often the request of a step may be sent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Repeat {
    /// Once; if what became of it cannot be known, a person has to look.
    Never,
    /// Once; if what became of it cannot be known, it is missing, and the act goes on without it.
    NeverButGoOn,
    /// It sets a state, so a second time does no more than the first.
    Once,
    /// It is our own Kubernetes object.
    Always,
}

const fn repeat(kind: &StepKind) -> Repeat {
    match kind {
        StepKind::Link | StepKind::Reset => Repeat::Never,
        StepKind::Solution(_) => Repeat::NeverButGoOn,
        StepKind::Backup => Repeat::Always,
        StepKind::Package(_)
        | StepKind::StopMaps
        | StepKind::IntegrationKeys
        | StepKind::InitialiseMaps
        | StepKind::MapVersions
        | StepKind::MapVersion(_)
        | StepKind::StartMaps(_)
        | StepKind::PauseMaps
        | StepKind::Verify
        | StepKind::RestartMaps(_)
        | StepKind::RepauseMaps
        | StepKind::ByPerson => Repeat::Once,
    }
}

pub(super) fn may_repeat(kind: &StepKind, step: &StepStatus) -> bool {
    match repeat(kind) {
        Repeat::Never | Repeat::NeverButGoOn => false,
        Repeat::Once => step.attempt < ATTEMPTS,
        Repeat::Always => true,
    }
}

/// An intent of which nobody knows whether its request was sent.
pub(super) fn read_back(
    act: &Act<'_>,
    mut status: DualWriteOperationStatus,
    index: usize,
    kind: &StepKind,
) -> Next {
    let failure = match target(act, kind, &status.steps[index]) {
        // It may still be going on: a reset that names its target, a solution of which the first maps have come.
        Target::Reached if matches!(kind, StepKind::Reset | StepKind::Solution(_)) => {
            return adopt(act, status, index);
        }
        Target::Reached => return done(act, status, index),
        Target::Moving => return adopt(act, status, index),
        Target::Taken(other) => return failures::taken(act, status, index, kind, other),
        Target::Unseen(problem) => return unseen(act, status, problem),
        Target::Missing(failure) => failure,
    };
    // Our own object is made again as often as it takes; a second time finds the first.
    if repeat(kind) == Repeat::Always {
        return absent(act, status, index, kind);
    }
    let counts_from = absence_counts_from(act, kind, &status.steps[index]);
    if act.observed.began < counts_from {
        let soon = after(act.now, act.settings.poll);
        return wait_for_step(act, status, index, soon.min(counts_from.max(act.now)));
    }
    match status.steps[index].absent_since {
        None => {
            status.steps[index].absent_since = Some(act.observed.began);
            keep(status, Some(after(act.observed.began, act.settings.settle)))
        }
        Some(since) if act.observed.began < after(since, act.settings.settle) => {
            keep(status, Some(after(since, act.settings.settle)))
        }
        // A failed installation is no absence: it may be what became of our request.
        Some(_) => match (kind, failure) {
            (StepKind::Package(_), Some(why)) => {
                fail(act, status, index, &why, Reason::InstallFailed)
            }
            _ => absent(act, status, index, kind),
        },
    }
}

/// From when on a missing effect says that there will be none.
pub(super) fn absence_counts_from(act: &Act<'_>, kind: &StepKind, step: &StepStatus) -> Timestamp {
    let timeout = match kind {
        StepKind::Link | StepKind::Reset => act.settings.request_timeout * act.settings.slow_factor,
        _ => act.settings.request_timeout,
    };
    after(
        after(step.send_before.unwrap_or(Timestamp::MIN), timeout),
        act.settings.settle,
    )
}

/// The effect is missing for good: what sets a state may be asked for once more, a link or a reset never.
fn absent(
    act: &Act<'_>,
    mut status: DualWriteOperationStatus,
    index: usize,
    kind: &StepKind,
) -> Next {
    let step = &mut status.steps[index];
    if may_repeat(kind, step) {
        step.state = StepState::Pending;
        return start(act, status, index, kind);
    }
    match kind {
        StepKind::Package(_) => fail(
            act,
            status,
            index,
            &messages::install_lost_twice(),
            Reason::InstallFailed,
        ),
        StepKind::Link => {
            let sent = step.send_before.unwrap_or(act.now);
            let message =
                messages::link_outcome_unknown(&act.operation.spec, sent, step.error.as_deref());
            outcome_unknown(act, status, index, message)
        }
        StepKind::Reset if !follow::is_past_patience(act, step, kind) => {
            keep(status, Some(after(act.now, act.settings.poll)))
        }
        StepKind::Reset => {
            let sent = step.send_before.unwrap_or(act.now);
            let why = step.error.clone();
            let message =
                messages::reset_outcome_unknown(&act.operation.spec, &status, sent, why.as_deref());
            outcome_unknown(act, status, index, message)
        }
        _ => failures::exhausted(act, status, index, kind, &messages::answer_lost()),
    }
}

fn outcome_unknown(
    act: &Act<'_>,
    mut status: DualWriteOperationStatus,
    index: usize,
    message: String,
) -> Next {
    status.steps[index].state = StepState::Unknown;
    let reason = Some(Reason::OutcomeUnknown);
    finish(act, status, Phase::Unknown, reason, message)
}
