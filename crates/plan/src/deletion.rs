//! What the deletion of a connection does: nothing, unless its spec and its annotation both ask for the maps to be stopped.
//!
//! | asked for? | link and maps | what is done |
//! |---|---|---|
//! | no, or not any more | | the finalizer goes |
//! | yes | no map runs, or there is no link | the finalizer goes, with an event |
//! | yes | maps run | a `StopMaps` operation with a finalizer of its own is created; then the finalizer goes |
//! | yes | the operator runs with --observe-only, or the connection is suspended | the finalizer goes, with a warning |
//! | yes | another connection manages the host | the same: its maps run on |
//! | yes | the environment belongs to another host | the same |
//! | yes | cannot be seen | looked at again, for ten minutes; then the finalizer goes, with a warning |
//! | yes | the namespace does not let the operator in | the same, but only for [`SHUT_OUT_PATIENCE`] |

use std::time::Duration;

use jiff::Timestamp;

use super::{
    decision::Event,
    desired::Desired,
    messages,
    operation::{self, DELETION_PATIENCE},
    picture::{Link, Picture},
    world::{World, after},
};
use dualwrite_api::{
    DualWriteOperationSpec, Reason,
    connection::{DeletionPolicy, Mode},
    operation::Action,
};

/// How long after its deletion a connection waits for a right that is missing. An API server that has just started refuses
/// everybody for some seconds; a right that is really gone is somebody's decision, or the end of the namespace.
pub const SHUT_OUT_PATIENCE: Duration = Duration::from_secs(20);

/// What to do with a connection that is being deleted and holds the finalizer.
#[derive(Clone, Debug, PartialEq)]
pub enum Deletion {
    /// Let it go.
    Release(Event),
    /// Create this operation, then let the connection go.
    Stop {
        /// Its name.
        name: String,
        /// Its plan.
        spec: Box<DualWriteOperationSpec>,
    },
    /// Look again at this time.
    Wait(Timestamp),
}

/// Whether a connection is to carry the finalizer while it lives.
pub fn is_to_be_held(desired: &Desired) -> bool {
    desired.deletion_policy == DeletionPolicy::StopMaps
        && desired.confirms_stop
        && desired.mode == Mode::Manage
}

/// What to do with a connection that is being deleted since `deleted` and holds the finalizer.
pub fn decide(world: &World<'_>, deleted: Timestamp) -> Deletion {
    let desired = world.desired;
    if !is_to_be_held(desired) {
        return left(false, messages::maps_left(messages::STOP_NOT_CONFIRMED));
    }
    if !world.may_act() {
        return left(true, messages::maps_left(messages::ONLY_OBSERVES));
    }
    if desired.suspend {
        return left(true, messages::maps_left("the connection was suspended"));
    }
    let own = world.own_operations();
    let exists = own.iter().any(|operation| {
        operation.spec.action == Action::StopMaps && operation.spec.options.on_deletion
    });
    if exists {
        return Deletion::Release(stopping());
    }
    let picture = Picture::of(world);
    if picture.is_host_denied() {
        return left(true, messages::maps_left(messages::OF_ANOTHER_HOST));
    }
    if let Some(manager) = picture.managers().next() {
        let why = messages::managed_by_another(desired, manager);
        return left(true, messages::maps_left(&why));
    }
    let until = after(deleted, DELETION_PATIENCE);
    let is_over = world.now >= until;
    match (picture.link, world.observed.maps.known()) {
        (Link::To(link), Some(maps)) if picture.are_maps_stopped() == Some(false) => {
            let spec = operation::stop_maps(&picture, link, maps, true);
            Deletion::Stop {
                name: operation::name(world, &spec),
                spec: Box::new(spec),
            }
        }
        (Link::To(_), Some(_)) | (Link::Absent(_), _) => {
            left(false, messages::NOTHING_TO_STOP.into())
        }
        (Link::To(_), None)
        | (Link::NotObserved | Link::Refused(_) | Link::Unknown(_) | Link::NotSeen(..), _) => {
            if is_over || is_shut_out(world, deleted) {
                left(true, messages::maps_left(&why_unseen(world)))
            } else {
                Deletion::Wait(after(world.now, world.settings.poll).min(until))
            }
        }
    }
}

fn stopping() -> Event {
    Event {
        warning: false,
        reason: Reason::StoppingMaps,
        note: messages::STOPPING_FOR_DELETION.into(),
    }
}

fn left(warning: bool, note: String) -> Deletion {
    Deletion::Release(Event {
        warning,
        reason: Reason::MapsLeftAsTheyAre,
        note,
    })
}

/// Whether the namespace does not let the operator in any more.
fn is_shut_out(world: &World<'_>, deleted: Timestamp) -> bool {
    let mut problems = world.observed.problems();
    world.now >= after(deleted, SHUT_OUT_PATIENCE)
        && problems.any(|problem| problem.reason == Some(Reason::NamespaceNotGranted))
}

/// Why the maps could not be seen, as far as it is known.
fn why_unseen(world: &World<'_>) -> String {
    let problem = world.observed.problems().next();
    let why = problem.map_or("the link was not seen", |problem| &problem.message);
    messages::unseen_for_deletion(why)
}
