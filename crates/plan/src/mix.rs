//! A sandbox that is linked with a production environment, or the other way round: whether that is so, and what is done
//! about it.

use jiff::Timestamp;

use super::{
    messages,
    observed::{LinkFacts, Tier},
    operation,
    world::{KnownOperation, Link, World, after},
};
use dualwrite_api::{
    DualWriteOperationSpec, Reason, conditions::Says, connection::MixPolicy, operation::Action,
};

/// Whether there is a mix; said only when both tiers are known.
pub fn says(world: &World<'_>) -> Option<Says> {
    let Link::To(link) = world.link() else {
        return None;
    };
    let linked = world.visible_environment(&link.environment_id)?;
    let host = world.host_tier();
    host.mixes_with(Tier::of_environment(linked)).then(|| {
        Says::yes(
            Reason::SandboxProductionMix,
            messages::mix(world.desired, host, &messages::environment(linked)),
        )
    })
}

/// Whether a mix that was told may hold on: the link is the same, and this pass could not read what it rests on.
pub fn may_hold_on(world: &World<'_>) -> bool {
    let observed = world.observed;
    let holds_on = match world.link() {
        Link::To(link) => {
            let is_unread =
                observed.tenant.problem().is_some() || observed.environment.problem().is_some();
            is_unread && world.seen_before(link).is_some()
        }
        Link::Unknown(_) | Link::NotSeen(_) => true,
        Link::NotObserved | Link::Refused(_) | Link::Absent => false,
    };
    world.memory.mix_told_at.is_some() && holds_on
}

/// Whether there is a mix, as far as anybody knows.
pub fn is_there(world: &World<'_>) -> bool {
    says(world).is_some() || may_hold_on(world)
}

/// What `mismatch.onMix: StopMaps` makes of a mix whose maps pass something on.
#[derive(Clone, Debug)]
pub enum Stop<'a> {
    /// It is seen for the first time; a second look counts from then on.
    NotBefore(Timestamp),
    /// The maps are to be stopped.
    Plan(Box<DualWriteOperationSpec>),
    /// That was tried and has failed.
    Failed(&'a KnownOperation),
}

/// Whether the maps are to be stopped, if the resource asks for that.
pub fn stop<'a>(world: &'a World<'_>) -> Option<Stop<'a>> {
    let (Link::To(link), Some(maps)) = (world.link(), world.observed.maps.known()) else {
        return None;
    };
    let is_asked = world.desired.mismatch.on_mix == MixPolicy::StopMaps && world.may_act();
    let passes_on = maps.iter().any(|map| !map.state.is_stopped());
    if !is_asked || !passes_on || says(world).is_none() {
        return None;
    }
    let failed = world.newest_failure();
    if let Some(failed) = failed.filter(|failed| failed.spec.action == Action::StopMaps) {
        return Some(Stop::Failed(failed));
    }
    let due = not_before(world, link);
    Some(if world.observed.began >= due {
        let plan = operation::stop_maps(world, link, maps, false);
        Stop::Plan(Box::new(plan))
    } else {
        Stop::NotBefore(due)
    })
}

/// When a second look counts: the same link and the mix were both seen before, and nothing was done since.
fn not_before(world: &World<'_>, link: &LinkFacts) -> Timestamp {
    let link = world.seen_before(link).map(|seen| seen.since);
    let since = link
        .zip(world.memory.mix_told_at)
        .map_or(world.now, |(link, told)| link.max(told));
    let due = after(since, world.settings.settle);
    world.last_effect().map_or(due, |effect| due.max(effect))
}
