//! What an act consists of, and the name that makes it one act.

pub mod moved;
mod reads;
mod reset;
mod step;

pub use reads::{Reads, RemoteRequest, reads};
pub use reset::{ResetFacts, is_automatic, reset, stop_maps};
pub use step::StepKind;

use sha2::{Digest, Sha256};

use super::{
    conditions::Needed,
    desired::Desired,
    observed::Environment,
    world::{Link, World},
};
use dualwrite_api::{
    DualWriteOperationSpec,
    connection::{
        ApprovalPolicy, LinkMethod, MismatchPolicy, MixPolicy, Mode, SetupMethod, StartMaps,
    },
    operation::{
        Access, Action, Approval, ConnectionReference, Options, PlannedStep, ReliesOn, Target,
    },
    values,
};

/// The name of the only step of a link.
pub const LINK_STEP: &str = "link";

/// How much of the connection's name an operation's name carries, in bytes.
const NAME_LIMIT: usize = 200;

/// The plan to install what is missing or not yet finished, one package after the other, because only one operation
/// runs in an environment at a time.
pub fn setup(
    world: &World<'_>,
    environment: &Environment,
    needed: &Needed,
) -> DualWriteOperationSpec {
    let unfinished = world.desired.applications.iter().filter(|name| {
        needed.missing.contains(name)
            || needed
                .in_progress
                .iter()
                .any(|word| word.starts_with(&format!("{name} (")))
    });
    let applications: Vec<String> = unfinished.cloned().collect();
    let steps = applications
        .iter()
        .map(|name| PlannedStep {
            name: name.clone(),
            what: format!("Installing {name} in '{}'", environment.name),
            maps: Vec::new(),
            destructive: false,
            needs_person: false,
            usually_takes: "15 to 30 minutes".into(),
        })
        .collect();
    let mut spec = frame(world, environment, Action::Setup, steps);
    spec.relies_on.applications = applications;
    spec.timeout = format!("{}s", world.desired.setup_timeout.as_secs());
    spec.access.dual_write_service = None;
    spec
}

/// The plan to link dual-write to S.
pub fn link(world: &World<'_>, environment: &Environment) -> DualWriteOperationSpec {
    let step = PlannedStep {
        name: LINK_STEP.into(),
        what: format!("Linking {} to '{}'", world.desired.host, environment.name),
        maps: Vec::new(),
        destructive: false,
        needs_person: false,
        usually_takes: "less than 5 minutes".into(),
    };
    let mut spec = frame(world, environment, Action::Link, vec![step]);
    spec.relies_on
        .legal_entities
        .clone_from(&world.desired.legal_entities);
    spec.timeout = format!("{}s", world.desired.link_timeout.as_secs());
    spec
}

fn frame(
    world: &World<'_>,
    environment: &Environment,
    action: Action,
    steps: Vec<PlannedStep>,
) -> DualWriteOperationSpec {
    let desired = world.desired;
    DualWriteOperationSpec {
        action,
        connection: ConnectionReference {
            name: desired.name.clone(),
            uid: desired.uid.clone(),
            generation: desired.generation,
        },
        finance_operations_host: desired.host.clone(),
        target: Target {
            environment_id: environment.id.clone(),
            environment_name: environment.name.clone(),
            dataverse_url: environment
                .dataverse_url
                .clone()
                .unwrap_or_default()
                .trim_end_matches('/')
                .to_owned(),
            domain_name: environment.domain_name.clone(),
        },
        access: Access {
            cloud: desired.cloud,
            finance_operations_url: desired.finance_operations_url.clone(),
            credentials: desired.credentials.clone(),
            dual_write_service: desired.dual_write_service.clone(),
        },
        relies_on: ReliesOn {
            integration: environment.id.clone(),
            link: match world.link() {
                Link::NotObserved => "NotObserved".into(),
                Link::To(link) => link.environment_id.clone(),
                _ => "NotLinked".into(),
            },
            ..ReliesOn::default()
        },
        steps,
        losses: Vec::new(),
        timeout: String::new(),
        options: Options::default(),
        approval: Approval::NotRequired,
    }
}

/// The name of an act: the same for the same act on the same occasion, another one on every other occasion.
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

/// Whether two plans are the same act; the generation and the approval are not part of what is done, nor is where the
/// credentials are kept.
pub fn is_same_act(one: &DualWriteOperationSpec, other: &DualWriteOperationSpec) -> bool {
    let comparable = |spec: &DualWriteOperationSpec| DualWriteOperationSpec {
        approval: Approval::NotRequired,
        access: other.access.clone(),
        connection: ConnectionReference {
            generation: 0,
            ..spec.connection.clone()
        },
        ..spec.clone()
    };
    one.access.is_same_way(&other.access) && comparable(one) == comparable(other)
}

/// Whether a connection still asks for an act, by its spec alone.
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
