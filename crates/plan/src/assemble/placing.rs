//! Conditions placed in time: what is known stays through a blip, and does not stay for ever.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::memory::outage;
use crate::{
    conditions as judge, messages,
    verdict::{LastKnown, Outcome, Progress, Row, Verdict},
    world::{World, after},
};
use dualwrite_api::{
    DualWriteConnectionStatus, Reason,
    conditions::{self, ConditionType, Says},
    connection::Since,
};

/// The longest time for which something old is still shown as it was.
const STALE_AFTER: Duration = Duration::from_mins(15);

pub(super) fn carry_generation(conditions: &mut [Condition], generation: i64) {
    for condition in conditions {
        condition.observed_generation = Some(generation);
    }
}

/// The plain observation under each condition; what this pass cannot say stays as it was, until it is too old.
pub(super) fn judge_conditions(
    world: &World<'_>,
    row: Row,
    outcome: &Outcome,
    status: &mut DualWriteConnectionStatus,
) {
    let stale_since = status
        .failure
        .as_ref()
        .map(|failure| failure.since)
        .filter(|since| is_stale(world, *since));
    for (kind, judge) in judge::OBSERVED {
        // Without credentials nothing of this pass says anything about the rest.
        let readable = row != Row::CredentialsRefused || kind == ConditionType::CredentialsValid;
        let says = readable.then(|| judge(world)).flatten().or_else(|| {
            let stale_since = stale_since.filter(|_| judge::is_unread(world, kind));
            fallback(&status.conditions, kind, outcome, stale_since)
        });
        if let Some(says) = says {
            set(world, status, kind, &says);
        }
    }
}

fn fallback(
    known: &[Condition],
    kind: ConditionType,
    outcome: &Outcome,
    stale_since: Option<Timestamp>,
) -> Option<Says> {
    let observing = Reason::Observing;
    let last = match (conditions::find(known, kind), outcome) {
        (None, Outcome::LastKnown(_)) => {
            return Some(Says::unknown(observing, messages::first_look()));
        }
        // A verdict ends the first look, also for what it does not need to know.
        (None, Outcome::Says(_)) => return Some(judge::not_judged(kind)),
        (Some(last), Outcome::Says(_)) if last.reason == observing.as_ref() => {
            return Some(judge::not_judged(kind));
        }
        (Some(last), _) => last,
    };
    let stale = Reason::ObservationStale;
    stale_since
        .filter(|_| last.reason != stale.as_ref() && last.message != messages::not_judged())
        .map(|since| Says::unknown(stale, messages::stale(since, &last.message)))
}

/// Whether something last seen at `since` is too old to be shown as it was.
pub fn is_stale(world: &World<'_>, since: Timestamp) -> bool {
    world.now >= after(since, (world.desired.interval * 3).max(STALE_AFTER))
}

fn set(
    world: &World<'_>,
    status: &mut DualWriteConnectionStatus,
    kind: ConditionType,
    says: &Says,
) {
    conditions::set(
        &mut status.conditions,
        kind,
        says,
        world.desired.generation,
        world.now,
    );
}

pub(super) fn apply(world: &World<'_>, status: &mut DualWriteConnectionStatus, verdict: &Verdict) {
    status.settling = verdict.settling.map(|(absence, since)| Since {
        what: absence.as_ref().to_owned(),
        since,
    });
    let (waiting, overdue) = waiting(world, verdict);
    status.waiting = waiting;
    for (kind, says) in &verdict.overrides {
        set(world, status, *kind, says);
    }
    set(world, status, ConditionType::Ready, &verdict.ready);
    let progress = match verdict.progress {
        Progress::Reconciling(_) if overdue => Progress::Stalled(verdict.ready.reason),
        progress => progress,
    };
    show(world, status, progress, &verdict.ready.message);
}

/// What is waited for and since when, and whether that has become too long.
fn waiting(world: &World<'_>, verdict: &Verdict) -> (Option<Since>, bool) {
    let Some(waiting) = verdict.waiting else {
        return (None, false);
    };
    let remembered = world
        .memory
        .waiting
        .as_ref()
        .filter(|old| old.what == waiting.what.as_ref());
    let since = remembered.map_or(world.now, |old| old.since);
    let overdue = world.now >= after(since, waiting.normal);
    (
        Some(Since {
            what: waiting.what.as_ref().to_owned(),
            since,
        }),
        overdue,
    )
}

pub(super) fn end_of_patience(
    status: &DualWriteConnectionStatus,
    verdict: &Verdict,
) -> Option<Timestamp> {
    let (waiting, since) = verdict.waiting.zip(status.waiting.as_ref())?;
    Some(after(since.since, waiting.normal))
}

fn show(
    world: &World<'_>,
    status: &mut DualWriteConnectionStatus,
    progress: Progress,
    message: &str,
) {
    let kind = progress_kind(progress);
    conditions::remove_unless(&mut status.conditions, kind);
    // A row may have taken away what is shown again here: it keeps its time, so that nothing changes.
    if let Some(kind) = kind
        && conditions::find(&status.conditions, kind).is_none()
        && let Some(before) = conditions::find(&world.memory.conditions, kind)
    {
        status.conditions.push(before.clone());
    }
    match progress {
        Progress::Settled => {}
        Progress::Reconciling(reason) => {
            set(
                world,
                status,
                ConditionType::Reconciling,
                &Says::yes(reason, message),
            );
        }
        Progress::Stalled(reason) => set(
            world,
            status,
            ConditionType::Stalled,
            &Says::yes(reason, message),
        ),
    }
}

const fn progress_kind(progress: Progress) -> Option<ConditionType> {
    match progress {
        Progress::Settled => None,
        Progress::Reconciling(_) => Some(ConditionType::Reconciling),
        Progress::Stalled(_) => Some(ConditionType::Stalled),
    }
}

pub(super) fn apply_last_known(
    world: &World<'_>,
    status: &mut DualWriteConnectionStatus,
    last: &LastKnown,
) {
    if let Some((absence, since)) = last.settling {
        status.settling = Some(Since {
            what: absence.as_ref().to_owned(),
            since,
        });
    }
    if !worth_keeping(world) {
        for (kind, says) in &last.first_overrides {
            let known = conditions::find(&status.conditions, *kind);
            if known.is_none_or(|known| known.reason != Reason::ObservationStale.as_ref()) {
                set(world, status, *kind, says);
            }
        }
        set(world, status, ConditionType::Ready, &last.first);
        show(world, status, last.first_progress, &last.first.message);
    } else if let (Some(says), Some((_, since))) = (&last.stale, last.settling)
        && is_stale(world, since)
    {
        for (kind, says) in &last.first_overrides {
            set(world, status, *kind, says);
        }
        set(world, status, ConditionType::Ready, says);
        show(world, status, Progress::Settled, &says.message);
    }
}

/// Whether what `Ready` says is a finding about this generation, and not the progress of something that has ended.
fn worth_keeping(world: &World<'_>) -> bool {
    world.remembered_ready().is_some_and(|reason| {
        !matches!(
            reason,
            Reason::Observing
                | Reason::InternalError
                | Reason::Suspended
                | Reason::Installing
                | Reason::Linking
                | Reason::Resetting
                | Reason::StoppingMaps
                | Reason::OutcomeUnknown
        )
    })
}

/// An outage shows nothing at first; after an interval it is said, and when all is too old nothing is claimed any more.
pub(super) fn show_outage(world: &World<'_>, status: &mut DualWriteConnectionStatus) {
    let (Some(failure), Some(problem)) = (status.failure.clone(), outage(world)) else {
        return;
    };
    let stalled = conditions::find(&status.conditions, ConditionType::Stalled).is_some();
    if is_stale(world, failure.since) && is_last_known(world) {
        let last = conditions::find(&status.conditions, ConditionType::Ready);
        if let Some(last) = last.filter(|last| last.reason != Reason::ObservationStale.as_ref()) {
            let says = Says::unknown(
                Reason::ObservationStale,
                messages::stale(failure.since, &last.message),
            );
            set(world, status, ConditionType::Ready, &says);
        }
    } else if stalled {
        return;
    }
    if world.now >= after(failure.since, world.desired.interval) {
        // The first error's message stays for as long as the outage lasts, so that an outage is one write.
        let message = conditions::find(&world.memory.conditions, ConditionType::Reconciling)
            .filter(|old| {
                old.reason == Reason::Retrying.as_ref()
                    && world.memory.failure.as_ref() == Some(&failure)
            })
            .map_or_else(
                || messages::retrying(failure.since, problem),
                |old| old.message.clone(),
            );
        show(
            world,
            status,
            Progress::Reconciling(Reason::Retrying),
            &message,
        );
    }
}

/// Whether the truth that decides could not be read in this pass.
fn is_last_known(world: &World<'_>) -> bool {
    matches!(crate::decide::first_match(world).1, Outcome::LastKnown(_))
}
