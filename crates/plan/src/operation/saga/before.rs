//! Before the first step: what keeps an operation from starting.

use std::ops::ControlFlow::{self, Break, Continue};

use super::pass::{Pass, unchanged};
use crate::{
    desired::APPROVAL_TIMEOUT,
    messages,
    observed::{Fact, LinkView},
    operation::{
        changed_facts,
        model::{DELETION_PATIENCE, Next, Owner, Situation},
    },
    world::{KnownOperation, after},
};
use dualwrite_api::{
    DualWriteOperationStatus,
    operation::{Action, Approval, Phase},
    values,
};

/// Whether an operation starts, with its planned steps; or what it comes to instead.
pub(super) fn first<'a>(situation: &'a Situation<'a>) -> ControlFlow<Next, Pass<'a>> {
    if situation.operation.spec.options.on_deletion {
        // The deletion of its connection is reason enough.
        by_nobody_else(situation)?;
    } else {
        asked_for(situation)?;
    }
    alone(situation)?;
    integrated(situation)?;
    as_planned(situation)?;
    let mut pass = Pass::from(situation, with_no_steps(situation));
    let planned = situation.operation.spec.steps.iter();
    pass.progress
        .insert(0, planned.map(|step| step.name.clone()));
    Continue(pass)
}

/// Whether nobody has taken over what a deleted connection managed: a rename under `GitOps` makes a connection and deletes the
/// other, so the new one gets a settle time to see the environment.
fn by_nobody_else(situation: &Situation<'_>) -> ControlFlow<Next> {
    let (created, now) = (situation.operation.created, situation.now);
    let pass = Pass::new(situation);
    if now >= after(created, DELETION_PATIENCE) {
        return Break(pass.void(&messages::maps_not_stopped_in_time()));
    }
    if *situation.owner == Owner::Replaced {
        return Break(pass.void(messages::TAKEN_OVER));
    }
    let until = after(
        created,
        situation.settings.settle.min(DELETION_PATIENCE / 2),
    );
    if now < until {
        return Break(pass.keep(Some(until)));
    }
    Continue(())
}

fn with_no_steps(situation: &Situation<'_>) -> DualWriteOperationStatus {
    let mut status = situation.operation.status.clone();
    status.approved.clone_from(&situation.operation.approved);
    status.steps.clear();
    status
}

/// Whether its connection, and whoever has to approve it, want it now.
fn asked_for(situation: &Situation<'_>) -> ControlFlow<Next> {
    let operation = situation.operation;
    if operation.deleted.is_some() {
        return Break(unchanged(situation, None));
    }
    let pass = Pass::new(situation);
    match (situation.owner, operation.spec.approval) {
        (Owner::Gone | Owner::Replaced, _) => Break(pass.void(messages::CONNECTION_GONE)),
        (Owner::Changed, _) => Break(pass.void(messages::NO_LONGER_ASKED_FOR)),
        (Owner::Present { .. }, Approval::Rejected) => Break(pass.void(messages::REJECTED)),
        (Owner::Present { .. }, Approval::Pending) => Break(await_approval(pass)),
        (
            Owner::Present {
                suspended: true, ..
            },
            Approval::NotRequired,
        ) => Break(pass.keep(None)),
        (
            Owner::Present {
                suspended: true, ..
            },
            Approval::Approved,
        ) => Break(pass.void(messages::APPROVAL_TAKEN_BACK)),
        (Owner::Present { .. }, Approval::NotRequired) => Continue(()),
        (Owner::Present { .. }, Approval::Approved) => still_approved(situation),
    }
}

/// Whether the approval is young enough: whoever has approved a plan long ago did not mean the moment at which it starts.
fn still_approved(situation: &Situation<'_>) -> ControlFlow<Next> {
    let operation = situation.operation;
    let approved = operation.approved.as_ref().and_then(|approved| approved.at);
    let timeout = &operation.spec.options.approval_timeout;
    let end = after(
        approved.unwrap_or(operation.created),
        values::parse_duration(timeout, APPROVAL_TIMEOUT),
    );
    if situation.now >= end {
        return Break(Pass::new(situation).void(&messages::approval_expired(end)));
    }
    Continue(())
}

/// A plan that waits says what would be lost, and how it is approved.
fn await_approval(mut pass: Pass<'_>) -> Next {
    pass.progress.head.phase = Some(Phase::AwaitingApproval);
    pass.tell(messages::plan_awaits_approval(pass.situation.operation));
    pass.keep(None)
}

/// Whether no other operation of the host is under way, or comes first. Whoever loses waits: the elder one starts, or is
/// given up, and an approval is not lost to it.
fn alone(situation: &Situation<'_>) -> ControlFlow<Next> {
    let (own, others) = (situation.operation, situation.others);
    if others.iter().any(|other| other.operation.occupies_host()) {
        return Break(Pass::new(situation).soon());
    }
    let mut elder = others
        .iter()
        .filter(|other| other.could_start() && is_elder(&other.operation, own));
    match elder.next() {
        Some(other) => Break(waits(
            situation,
            &messages::older_comes_first(own, &other.operation),
        )),
        None => Continue(()),
    }
}

fn is_elder(other: &KnownOperation, than: &KnownOperation) -> bool {
    (other.created, &other.uid) < (than.created, &than.uid)
}

/// Whether Power Platform integration still joins the two environments.
pub(super) fn integrated(situation: &Situation<'_>) -> ControlFlow<Next> {
    if situation.operation.spec.action == Action::StopMaps {
        return Continue(());
    }
    let mut pass = Pass::new(situation);
    match &situation.observed.integrated {
        Fact::Known(true) => Continue(()),
        Fact::Known(false) => Break(pass.void(messages::NOT_INTEGRATED_ANY_MORE)),
        Fact::Unknown(problem) => {
            if problem.is_for_a_person() {
                pass.say(messages::waiting(&problem.message));
            }
            Break(pass.soon())
        }
    }
}

/// Whether what the plan relies on still holds.
fn as_planned(situation: &Situation<'_>) -> ControlFlow<Next> {
    match (situation.operation.spec.action, &situation.observed.link) {
        (Action::Reset | Action::StopMaps, link) => nothing_has_changed(situation, link),
        (Action::Link, LinkView::To(link)) if !situation.is_target(&link.environment_id) => {
            let why = messages::linked_to_another(&link.environment_id);
            Break(Pass::new(situation).void(&why))
        }
        (Action::Link, LinkView::NotObserved | LinkView::Unknown(_) | LinkView::HostDown(_)) => {
            Break(Pass::new(situation).soon())
        }
        (Action::Setup, _) | (Action::Link, LinkView::To(_) | LinkView::Absent) => Continue(()),
    }
}

fn nothing_has_changed(situation: &Situation<'_>, link: &LinkView) -> ControlFlow<Next> {
    // A link that is not shown because the environment is stopped has not moved; an approval is not lost to a restart.
    if let LinkView::HostDown(why) = link {
        return Break(waits(situation, &messages::environment_stopped(why)));
    }
    let now = changed_facts::Now {
        link,
        maps: &situation.observed.maps,
        details: &situation.observed.details,
    };
    match changed_facts::since_planned(&situation.operation.spec, &now) {
        Fact::Known(changed) if changed.is_empty() => Continue(()),
        Fact::Known(changed) => Break(Pass::new(situation).void(&changed.join("; "))),
        Fact::Unknown(problem) => Break(waits(situation, &problem.message)),
    }
}

fn waits(situation: &Situation<'_>, why: &str) -> Next {
    let mut pass = Pass::new(situation);
    pass.tell(messages::waiting(why));
    pass.soon()
}
