//! Who has to approve a reset.

use crate::{
    desired::Desired,
    messages,
    observed::{Environment, LinkFacts, Tier},
    operation::steps,
    picture::Picture,
    world::{KnownOperation, World},
};
use dualwrite_api::{
    DualWriteOperationSpec,
    connection::ApprovalPolicy,
    operation::{Action, Approval, Phase},
};

/// Decides whether a plan needs an approval, and says on what that rests.
pub(super) fn decide(
    picture: &Picture<'_>,
    environment: &Environment,
    link: &LinkFacts,
    spec: &mut DualWriteOperationSpec,
) {
    let desired = picture.world.desired;
    if is_automatic(desired) && why_not_automatic(picture, environment, link).is_none() {
        spec.approval = Approval::NotRequired;
        spec.options.allow_production = !may_be_production(picture, environment, link).is_empty();
    } else {
        spec.approval = Approval::Pending;
        spec.options.approval_timeout = super::seconds(desired.approval_timeout());
    }
}

fn is_automatic(desired: &Desired) -> bool {
    desired.mismatch.approval == ApprovalPolicy::Automatic
}

/// Why `mismatch.approval: Automatic` does not hold, in words, where it is asked for and does not.
pub fn why_not_automatic(
    picture: &Picture<'_>,
    environment: &Environment,
    link: &LinkFacts,
) -> Option<String> {
    if !is_automatic(picture.world.desired) {
        return None;
    }
    if let Some(given_up) = given_up(picture.world) {
        return Some(messages::automatic_given_up(given_up));
    }
    let guarded = may_be_production(picture, environment, link);
    let is_allowed = guarded.is_empty() || picture.world.desired.mismatch.allow_production;
    (!is_allowed).then(|| messages::automatic_refused(&guarded))
}

/// What of a reset is, or may be, production, in words: the finance and operations environment, the Dataverse environment that
/// it ends at, and the one that it leaves.
fn may_be_production(
    picture: &Picture<'_>,
    environment: &Environment,
    link: &LinkFacts,
) -> Vec<String> {
    let world = picture.world;
    let linked = world.visible_environment(&link.environment_id);
    let sides = [
        (picture.host_tier, world.desired.host.clone()),
        (
            Tier::of_environment(environment),
            messages::environment(environment),
        ),
        (
            linked.map_or(Tier::Unknown, Tier::of_environment),
            messages::environment_or_id(linked, &link.environment_id),
        ),
    ];
    let guarded = sides.into_iter().filter(|(tier, _)| tier.is_guarded());
    guarded.map(|(_, name)| name).collect()
}

/// The newest reset that was given up after it had stopped maps, if neither the spec nor somebody has asked for anything since.
/// What gave it up may do so again, and each time the maps are stopped for nothing.
pub fn given_up<'a>(world: &'a World<'_>) -> Option<&'a KnownOperation> {
    world.own_operations().into_iter().find(|operation| {
        operation.spec.action == Action::Reset
            && operation.status.phase == Some(Phase::Void)
            && has_stopped_maps(operation)
            && world.is_as_asked(operation)
    })
}

fn has_stopped_maps(operation: &KnownOperation) -> bool {
    operation.status.steps.iter().any(|record| {
        let step = steps::parse(operation.spec.action, &record.name);
        record.attempt > 0 && step.is_some_and(|step| step.undo(&operation.spec).is_some())
    })
}
