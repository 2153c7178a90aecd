//! Row 16 with `mismatch.policy: Reset`: from a link that goes elsewhere to a plan that waits for approval.
//!
//! ```text
//! unreadable -> said, and a plan that waits goes on waiting
//! read once  -> read again after the settle time -> planned -> approved: row 0
//!                                                     |-> moved: void, and from the start
//!                                                     `-> rejected: the same facts are not planned again
//! ```

use crate::{
    messages,
    observed::{Environment, LinkFacts, Problem},
    operation::{self, ResetFacts},
    picture::Picture,
    verdict::{Progress, Verdict},
    world::{KnownOperation, Settling, World, after},
};
use dualwrite_api::{DualWriteOperationSpec, Reason, conditions::Says, operation::Approval};

/// What to say of a link to `link` that should go to `environment`: `from` and `to` in words.
pub(super) fn verdict(
    picture: &Picture<'_>,
    environment: &Environment,
    link: &LinkFacts,
    from: &str,
    to: &str,
) -> Verdict {
    match ResetFacts::of(picture) {
        Ok(facts) => {
            let plan = operation::reset(picture, environment, link, &facts);
            if operation::is_too_large(&plan) {
                return unreadable(picture.world, &ResetFacts::too_many("names"), from, to);
            }
            let reset = Reset {
                world: picture.world,
                refused: operation::why_not_automatic(picture, environment, link),
                plan,
                from,
                to,
            };
            reset.verdict()
        }
        Err(problem) => unreadable(picture.world, &problem, from, to),
    }
}

/// What a plan relies on cannot be read: one that waits goes on waiting, and a blip shows nothing.
fn unreadable(world: &World<'_>, problem: &Problem, from: &str, to: &str) -> Verdict {
    let reason = Reason::DifferentDestination;
    if problem.is_for_a_person() {
        let text = messages::plan_needs(from, to, &problem.message);
        return Verdict::stalled(reason, text).keeping_plans();
    }
    let says = Says::no(
        reason,
        messages::plan_needs(from, to, messages::TRIED_AGAIN),
    );
    let is_said = matches!(
        world.remembered_ready(),
        Some(Reason::DifferentDestination | Reason::PlanRejected)
    );
    let failure = world.memory.failure.as_ref();
    if is_said && !failure.is_some_and(|failure| world.is_too_old(failure.since)) {
        return Verdict::last_known(says, PLANNING);
    }
    Verdict::new(says, PLANNING).keeping_plans()
}

const PLANNING: Progress = Progress::Reconciling(Reason::AwaitingApproval);

/// A reset that could be planned: from one environment to another, in words.
struct Reset<'a> {
    world: &'a World<'a>,
    plan: DualWriteOperationSpec,
    /// Why `mismatch.approval: Automatic` does not hold, if it is asked for.
    refused: Option<String>,
    from: &'a str,
    to: &'a str,
}

impl Reset<'_> {
    fn verdict(self) -> Verdict {
        let Self {
            world,
            ref plan,
            from,
            to,
            ..
        } = self;
        let reason = Reason::DifferentDestination;
        if !world.may_act() {
            let text = messages::would_reset(world.settings, from, to, plan);
            return Verdict::stalled(reason, text);
        }
        if let Some(rejected) = rejected(world, plan) {
            let text = messages::plan_rejected(rejected, from, to);
            return Verdict::stalled(Reason::PlanRejected, text);
        }
        let confirmation = world.confirmation_for_a_plan(Settling::LinkedElsewhere);
        // What is planned already was seen twice before that.
        if confirmation.confirmed || is_planned(world, plan) {
            return self.wanted().resting_on(confirmation);
        }
        let due = after(confirmation.since, world.settings.settle);
        let text = messages::reset_is_being_planned(from, to, due);
        Verdict::new(Says::no(reason, text), PLANNING)
            .resting_on(confirmation)
            .keeping_plans()
            .looking_again(due)
    }

    /// The plan, and how it comes to be carried out.
    fn wanted(self) -> Verdict {
        let Self { plan, from, to, .. } = self;
        let desired = self.world.desired;
        let name = operation::name(self.world, &plan);
        let reason = Reason::DifferentDestination;
        if plan.approval == Approval::NotRequired {
            let text = messages::starts_without_approval(from, to, &name);
            return Verdict::reconciling(reason, Reason::Resetting, text).wanting(plan);
        }
        let refused = self.refused.as_deref();
        let text =
            messages::reset_awaits_approval(from, to, &plan, &name, &desired.namespace, refused);
        Verdict::reconciling(reason, Reason::AwaitingApproval, text)
            .waiting_for(Reason::AwaitingApproval, desired.manual_timeout)
            .wanting(plan)
    }
}

/// Whether this very plan exists and waits.
fn is_planned(world: &World<'_>, plan: &DualWriteOperationSpec) -> bool {
    let name = operation::name(world, plan);
    let waits = |known: &&KnownOperation| known.is_unstarted() && known.deleted.is_none();
    let mut own = world.own_operations().into_iter().filter(waits);
    own.any(|known| known.name == name && operation::does_the_same(plan, &known.spec))
}

/// A rejected plan of the same facts: they are not planned again before the resource changes or somebody asks.
fn rejected<'a>(world: &'a World<'a>, plan: &DualWriteOperationSpec) -> Option<&'a KnownOperation> {
    world.own_operations().into_iter().find(|operation| {
        world.is_rejected(operation) && operation::relies_on_the_same(&operation.spec, plan)
    })
}
