//! The plans of operations, the names that make them one operation, and whether they are still asked for.

mod frame;
mod reset;

pub use reset::{ResetFacts, brought_in, is_automatic, reset, stop_maps};

use frame::{frame, planned_step};
use sha2::{Digest, Sha256};

use super::steps;
use crate::{
    desired::Desired, messages::PlanWords, observed::Environment, picture::Picture, world::World,
};
use dualwrite_api::{
    DualWriteOperationSpec,
    connection::{
        ApprovalPolicy, LinkMethod, MismatchPolicy, MixPolicy, Mode, SetupMethod, StartMaps,
    },
    operation::{Action, Approval, ConnectionReference},
    values,
};

/// How much of the connection's name an operation's name carries, in bytes.
const NAME_LIMIT: usize = 200;

/// The plan to install `applications`, one package after the other, because only one operation runs in an environment at a
/// time.
pub fn setup(
    picture: &Picture<'_>,
    environment: &Environment,
    applications: Vec<String>,
) -> DualWriteOperationSpec {
    let desired = picture.world.desired;
    let words = words(picture.world, environment);
    let step = |name: &String| planned_step(&steps::Package(name.clone()), &words, Vec::new());
    let steps = applications.iter().map(step).collect();
    let mut spec = frame(picture, environment, Action::Setup, steps);
    spec.relies_on.applications = applications;
    spec.timeout = format!("{}s", desired.setup_timeout.as_secs());
    spec.access.dual_write_service = None;
    spec
}

/// The plan to link dual-write to S.
pub fn link(picture: &Picture<'_>, environment: &Environment) -> DualWriteOperationSpec {
    let desired = picture.world.desired;
    let step = planned_step(&steps::Link, &words(picture.world, environment), Vec::new());
    let mut spec = frame(picture, environment, Action::Link, vec![step]);
    spec.relies_on
        .legal_entities
        .clone_from(&desired.legal_entities);
    spec.timeout = format!("{}s", desired.link_timeout.as_secs());
    spec
}

/// What the plan of an installation or a link is called by.
fn words<'a>(world: &World<'a>, environment: &'a Environment) -> PlanWords<'a> {
    PlanWords {
        host: &world.desired.host,
        to_name: &environment.name,
        ..PlanWords::default()
    }
}

/// The name of an operation: the same for the same plan on the same occasion, another one on every other occasion.
///
/// The digest is over the uid of the connection, the action, the target, what it relies on, and the uid of the newest
/// finished operation of this connection; so a used plan can never be found again.
pub fn name(world: &World<'_>, spec: &DualWriteOperationSpec) -> String {
    let newest_finished = world
        .own_operations()
        .into_iter()
        .find(|operation| operation.is_finished());
    let occasion = newest_finished
        .map(|operation| operation.uid.as_str())
        .unwrap_or_default();
    let facts = serde_json::json!([
        spec.connection.uid,
        spec.action,
        spec.target,
        spec.relies_on,
        occasion
    ]);
    let digest = Sha256::digest(facts.to_string().as_bytes());
    let digest = values::hex(&digest[..5]);
    let action = spec.action.to_string().to_lowercase();
    let connection: String = spec.connection.name.chars().take(NAME_LIMIT).collect();
    format!(
        "{}-{action}-{digest}",
        connection.trim_end_matches(['-', '.'])
    )
}

/// Whether two plans do the same; the generation and the approval are not part of what is done, nor is where the
/// credentials are kept.
pub fn does_the_same(one: &DualWriteOperationSpec, other: &DualWriteOperationSpec) -> bool {
    let comparable = |spec: &DualWriteOperationSpec| DualWriteOperationSpec {
        approval: Approval::NotRequired,
        access: other.access.clone(),
        connection: ConnectionReference {
            generation: 0,
            ..spec.connection.clone()
        },
        ..spec.clone()
    };
    one.access.reaches_the_same(&other.access) && comparable(one) == comparable(other)
}

/// Whether a connection still asks for an operation, by its spec alone.
pub fn is_asked_for(desired: &Desired, spec: &DualWriteOperationSpec) -> bool {
    let by_operator = match spec.action {
        Action::Setup => desired.setup_method == SetupMethod::Install && desired.accept_terms,
        Action::Link => {
            desired.link_method == LinkMethod::Service
                && desired.legal_entities == spec.relies_on.legal_entities
        }
        Action::Reset => {
            let mismatch = &desired.mismatch;
            let needs_approval = spec.approval != Approval::NotRequired;
            mismatch.policy == MismatchPolicy::Reset
                && desired.legal_entities == spec.relies_on.legal_entities
                && mismatch.force == spec.options.force
                && (mismatch.start_maps == StartMaps::AsBefore) == spec.options.start_maps
                && (needs_approval || mismatch.approval == ApprovalPolicy::Automatic)
        }
        Action::StopMaps => desired.mismatch.on_mix == MixPolicy::StopMaps,
    };
    let is_at_spec = match spec.action {
        // Its target is what is linked now, and what is linked is what is wrong.
        Action::StopMaps => true,
        Action::Setup | Action::Link | Action::Reset => {
            desired.is_spec_environment(&spec.target.environment_id)
        }
    };
    by_operator && desired.mode == Mode::Manage && is_at_spec
}
