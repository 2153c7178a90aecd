//! What is done about a mix of sandbox and production.

use jiff::Timestamp;

use super::{
    observed::{Fact, LinkFacts, Problem},
    operation,
    picture::{Link, Mix, Picture},
    world::{KnownOperation, World, after},
};
use dualwrite_api::{DualWriteOperationSpec, connection::MixPolicy};

/// What `mismatch.onMix: StopMaps` makes of a mix whose maps pass something on.
#[derive(Clone, Debug)]
pub enum Stop<'a> {
    /// It is seen for the first time; a second look counts from then on.
    NotBefore(Timestamp),
    /// The maps are to be stopped.
    Plan(Box<DualWriteOperationSpec>),
    /// That was tried and has failed.
    Failed(&'a KnownOperation),
    /// Which maps there are is not shown, and only a person can change that.
    Refused(&'a Problem),
}

/// Whether the maps are to be stopped, if the resource asks for that.
pub fn stop<'a>(picture: &Picture<'a>) -> Option<Stop<'a>> {
    let world = picture.world;
    let (Link::To(link), Mix::Seen { .. }) = (picture.link, &picture.mix) else {
        return None;
    };
    let is_asked = world.desired.mismatch.on_mix == MixPolicy::StopMaps && world.may_act();
    if !is_asked || picture.is_host_denied() {
        return None;
    }
    let maps = match &world.observed.maps {
        Fact::Known(maps) => maps,
        Fact::Unknown(problem) => {
            return problem.is_for_a_person().then_some(Stop::Refused(problem));
        }
    };
    if picture.are_maps_stopped() != Some(false) {
        return None;
    }
    if let Some(failed) = world.failed_stop() {
        return Some(Stop::Failed(failed));
    }
    let due = not_before(world, link);
    Some(if world.observed.began >= due {
        let plan = operation::stop_maps(picture, link, maps, false);
        Stop::Plan(Box::new(plan))
    } else {
        Stop::NotBefore(due)
    })
}

/// When a second look counts: the same link and the mix were both seen before, and whatever was done since shows in every list.
fn not_before(world: &World<'_>, link: &LinkFacts) -> Timestamp {
    let link = world.seen_before(link).map(|seen| seen.since);
    let since = link
        .zip(world.memory.mix_told_at)
        .map_or(world.now, |(link, told)| link.max(told));
    let since = since.max(world.last_effect().unwrap_or(since));
    after(since, world.settings.settle)
}
