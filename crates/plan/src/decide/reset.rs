//! Row 16 with `mismatch.policy: Reset`: from a link that goes elsewhere to a plan that waits for approval.
//!
//! ```text
//! unreadable -> said, and a plan that waits goes on waiting
//! read once  -> read again after the settle time -> planned -> approved: row 0
//!                                                     |-> moved: void, and from the start
//!                                                     `-> rejected: the same facts are not planned again
//! ```

use crate::{
    assemble, messages,
    observed::{Environment, LinkFacts, Problem},
    operation::{self, ResetFacts},
    verdict::{LastKnown, Outcome, Progress, Verdict},
    world::{Absence, KnownOperation, World, after},
};
use dualwrite_api::{
    DualWriteOperationSpec, Reason, conditions::Says, connection::ApprovalPolicy,
    operation::Approval,
};

/// Where dual-write is linked to, and where it should be, in words.
pub(super) fn ends(
    world: &World<'_>,
    environment: &Environment,
    link: &LinkFacts,
) -> (String, String) {
    let linked = world.visible_environment(&link.environment_id);
    let from = messages::environment_or_id(linked, &link.environment_id);
    (from, messages::environment(environment))
}

pub(super) fn outcome(world: &World<'_>, environment: &Environment, link: &LinkFacts) -> Outcome {
    match ResetFacts::of(world) {
        Ok(facts) => verdict(world, environment, link, &facts).into(),
        Err(problem) => needs(world, environment, link, &problem),
    }
}

/// What a plan relies on cannot be read: one that waits goes on waiting, and a blip shows nothing.
fn needs(
    world: &World<'_>,
    environment: &Environment,
    link: &LinkFacts,
    problem: &Problem,
) -> Outcome {
    let reason = Reason::DifferentDestination;
    let (from, to) = ends(world, environment, link);
    if problem.is_for_a_person() {
        let text = messages::plan_needs(&from, &to, &problem.message);
        return Verdict::stalled(reason, text).keeping_plans().into();
    }
    let text = messages::plan_needs(&from, &to, messages::TRIED_AGAIN);
    let is_said = matches!(
        world.remembered_ready(),
        Some(Reason::DifferentDestination | Reason::PlanRejected)
    );
    let failing_since = world.memory.failure.as_ref().map(|failure| failure.since);
    if is_said && !failing_since.is_some_and(|since| assemble::is_stale(world, since)) {
        return LastKnown::new(Says::no(reason, text), PLANNING).into();
    }
    Verdict::new(Says::no(reason, text), PLANNING)
        .keeping_plans()
        .into()
}

const PLANNING: Progress = Progress::Reconciling(Reason::AwaitingApproval);

fn verdict(
    world: &World<'_>,
    environment: &Environment,
    link: &LinkFacts,
    facts: &ResetFacts<'_>,
) -> Verdict {
    let reason = Reason::DifferentDestination;
    let (from, to) = ends(world, environment, link);
    let plan = operation::reset(world, environment, link, facts);
    if !world.may_act() {
        let text = messages::would_reset(world.settings, &from, &to, &plan);
        return Verdict::stalled(reason, text);
    }
    if let Some(rejected) = rejected(world, &plan) {
        let text = messages::plan_rejected(rejected, &from, &to);
        return Verdict::stalled(Reason::PlanRejected, text);
    }
    let (since, confirmed) = world.settling_for_a_plan(Absence::LinkedElsewhere);
    // What is planned already was seen twice before that.
    if !confirmed && !is_planned(world, &plan) {
        let due = after(since, world.settings.settle);
        let text = messages::reset_is_being_planned(&from, &to, due);
        let mut verdict = Verdict::new(Says::no(reason, text), PLANNING)
            .resting_on(Absence::LinkedElsewhere, since)
            .keeping_plans();
        verdict.look_again = Some(due);
        return verdict;
    }
    wanted(world, plan, &from, &to).resting_on(Absence::LinkedElsewhere, since)
}

/// Whether this very plan exists and waits.
fn is_planned(world: &World<'_>, plan: &DualWriteOperationSpec) -> bool {
    let name = operation::name(world, plan);
    let waits = |known: &&KnownOperation| known.is_unstarted() && known.deleted.is_none();
    let mut own = world.own_operations().into_iter().filter(waits);
    own.any(|known| known.name == name && operation::does_the_same(plan, &known.spec))
}

/// The plan, and how it comes to be carried out.
fn wanted(world: &World<'_>, plan: DualWriteOperationSpec, from: &str, to: &str) -> Verdict {
    let desired = world.desired;
    let name = operation::name(world, &plan);
    if plan.approval == Approval::NotRequired {
        let text = messages::starts_without_approval(from, to, &name);
        return Verdict::reconciling(Reason::DifferentDestination, Reason::Resetting, text)
            .wanting(plan);
    }
    let refused = (desired.mismatch.approval == ApprovalPolicy::Automatic)
        .then(|| messages::automatic_refused(&desired.host));
    let text = messages::reset_awaits_approval(
        from,
        to,
        &plan,
        &name,
        &desired.namespace,
        refused.as_deref(),
    );
    Verdict::reconciling(Reason::DifferentDestination, Reason::AwaitingApproval, text)
        .waiting_for(Reason::AwaitingApproval, desired.manual_timeout)
        .wanting(plan)
}

/// A rejected plan of the same facts: they are not planned again before the resource changes or somebody asks.
fn rejected<'a>(world: &World<'a>, plan: &DualWriteOperationSpec) -> Option<&'a KnownOperation> {
    world.operations.iter().find(|operation| {
        operation.spec.connection.uid == world.desired.uid
            && operation.spec.approval == Approval::Rejected
            && operation.is_finished()
            && operation.spec.connection.generation == world.desired.generation
            && operation.status.reconcile_at == world.desired.reconcile_at
            && operation.spec.relies_on == plan.relies_on
            && operation.spec.target == plan.target
    })
}
