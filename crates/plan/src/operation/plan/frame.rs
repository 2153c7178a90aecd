//! What every plan has.

use crate::{
    messages::PlanWords,
    observed::Environment,
    operation::steps::Step,
    picture::{Link, Picture},
};
use dualwrite_api::{
    DualWriteOperationSpec,
    operation::{
        Access, Action, Approval, ConnectionReference, Options, PlannedStep, ReliesOn, Target,
    },
};

/// A step as the plan shows it.
pub(super) fn planned_step(
    step: &dyn Step,
    words: &PlanWords<'_>,
    maps: Vec<String>,
) -> PlannedStep {
    let (what, usually_takes) = step.words(words, maps.len());
    PlannedStep {
        name: step.name(),
        what,
        maps,
        destructive: step.is_point_of_no_return(),
        needs_person: step.is_by_person(),
        usually_takes: usually_takes.into(),
    }
}

/// What every plan says: who asks for it, where, and how both sides are reached.
pub(super) fn frame(
    picture: &Picture<'_>,
    environment: &Environment,
    action: Action,
    steps: Vec<PlannedStep>,
) -> DualWriteOperationSpec {
    let desired = picture.world.desired;
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
            link: match picture.link {
                Link::NotObserved => "NotObserved".into(),
                Link::To(link) => link.environment_id.clone(),
                Link::Refused(_) | Link::Unknown(_) | Link::NotSeen(..) | Link::Absent(_) => {
                    "NotLinked".into()
                }
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
