//! The plans of operations, the names that make them one operation, and whether they are still asked for.

mod approval;
mod frame;
mod reset;

pub use approval::{given_up, why_not_automatic};
pub use reset::{ResetFacts, brought_in, reset, stop_maps};

use std::time::Duration;

use frame::{frame, planned_step};
use sha2::{Digest, Sha256};

use super::steps;
use crate::{
    desired::Desired, maps, messages::PlanWords, observed::Environment, picture::Picture,
    world::World,
};
use dualwrite_api::{
    DualWriteOperationSpec,
    connection::{
        ApprovalPolicy, LinkMethod, MismatchPolicy, MixPolicy, Mode, SetupMethod, StartMaps,
    },
    operation::{Action, Approval, ConnectionReference, ReliesOn},
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
    spec.timeout = seconds(desired.setup_timeout);
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
    spec.timeout = seconds(desired.link_timeout);
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

fn seconds(duration: Duration) -> String {
    format!("{}s", duration.as_secs())
}

/// The name of an operation: the same for the same plan on the same occasion, another one on every other occasion.
///
/// The digest is over all that the plan would do, and the uid of the newest finished operation of this connection; so a used
/// plan can never be found again, and no name that was read stands for another plan.
pub fn name(world: &World<'_>, spec: &DualWriteOperationSpec) -> String {
    let newest_finished = world
        .own_operations()
        .into_iter()
        .find(|operation| operation.is_finished());
    let occasion = newest_finished
        .map(|operation| operation.uid.as_str())
        .unwrap_or_default();
    let facts = serde_json::json!([deed(spec), occasion]);
    let digest = Sha256::digest(facts.to_string().as_bytes());
    let digest = values::hex(&digest[..5]);
    let action = spec.action.to_string().to_lowercase();
    let connection: String = spec.connection.name.chars().take(NAME_LIMIT).collect();
    format!(
        "{}-{action}-{digest}",
        connection.trim_end_matches(['-', '.'])
    )
}

/// Whether two plans do the same.
pub fn does_the_same(one: &DualWriteOperationSpec, other: &DualWriteOperationSpec) -> bool {
    deed(one) == deed(other)
}

/// All that a plan would do, and whether a person has to approve it. The generation that it was made from is no part of that,
/// nor is what a person has decided, where the credentials are kept, or the order in which the service lists the solutions.
fn deed(spec: &DualWriteOperationSpec) -> DualWriteOperationSpec {
    let mut steps = spec.steps.clone();
    steps.sort_by(|one, other| one.name.cmp(&other.name));
    DualWriteOperationSpec {
        steps,
        relies_on: facts(&spec.relies_on),
        approval: match spec.approval {
            Approval::NotRequired => Approval::NotRequired,
            Approval::Pending | Approval::Approved | Approval::Rejected => Approval::Pending,
        },
        access: spec.access.way(),
        connection: ConnectionReference {
            generation: 0,
            ..spec.connection.clone()
        },
        ..spec.clone()
    }
}

/// Whether two plans rely on the same.
pub fn relies_on_the_same(one: &DualWriteOperationSpec, other: &DualWriteOperationSpec) -> bool {
    one.target == other.target && facts(&one.relies_on) == facts(&other.relies_on)
}

fn facts(relies_on: &ReliesOn) -> ReliesOn {
    ReliesOn {
        solutions: maps::sorted(&relies_on.solutions),
        ..relies_on.clone()
    }
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
                && (mismatch.allow_production || !spec.options.allow_production)
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
