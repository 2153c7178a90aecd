//! The kinds of steps, one file each, and the list of them.
//!
//! A new kind is a file, a line among the modules and one in the list: [`Step`] says what it may answer.

mod backup;
mod by_person;
mod initialise_maps;
mod integration_keys;
mod link;
mod map_version;
mod map_versions;
mod maps;
mod package;
mod pause_maps;
mod reset;
mod solution;
mod start_maps;
mod step;
mod stop_maps;
mod verify;

pub use self::{
    backup::Backup,
    by_person::ByPerson,
    initialise_maps::InitialiseMaps,
    integration_keys::{IntegrationKeys, keys_left_out},
    link::Link,
    map_version::MapVersion,
    map_versions::MapVersions,
    package::Package,
    pause_maps::PauseMaps,
    reset::Reset,
    solution::Solution,
    start_maps::StartMaps,
    stop_maps::StopMaps,
    verify::Verify,
};
pub use step::{About, Asking, At, Clock, Failure, Gate, Refusal, Repeat, Step, Target};

use dualwrite_api::operation::Action;
use step::only;

/// Reads the name of a step; `None` if this kind has no such name.
type Parse = fn(Action, &str) -> Option<Box<dyn Step>>;

/// Every kind of step.
const KINDS: [Parse; 16] = [
    Package::parse,
    Link::parse,
    named::<Backup>,
    named::<StopMaps>,
    named::<Reset>,
    Solution::parse,
    named::<IntegrationKeys>,
    named::<InitialiseMaps>,
    named::<MapVersions>,
    MapVersion::parse,
    StartMaps::parse,
    StartMaps::parse_again,
    PauseMaps::parse,
    PauseMaps::parse_again,
    named::<Verify>,
    named::<ByPerson>,
];

/// The step of this name. The name stands in the plan and in the status of an operation, so it is a contract with every later
/// release: a name that is not known any more is a step that nobody can do.
pub fn parse(action: Action, name: &str) -> Option<Box<dyn Step>> {
    KINDS.iter().find_map(|parse| parse(action, name))
}

/// Whether the operator works on a step, if this version knows it: of an operation that is given up only on those that take back.
pub fn is_worked_on(step: Option<&dyn Step>, is_given_up: bool) -> bool {
    match step {
        Some(step) => !step.is_by_person() && (!is_given_up || step.undoes()),
        None => !is_given_up,
    }
}

/// A kind of which there is only one step, in an operation that works on a link that is there.
fn named<S: Step + Default + 'static>(action: Action, name: &str) -> Option<Box<dyn Step>> {
    only(action, name, S::default())
}
