//! The one request of a step, sent at Microsoft's.

use jiff::Timestamp;

use super::backup;
use crate::controller::{
    context::Context,
    reach::{Reach, Service},
    reader::problem,
};
use dualwrite_api::{DualWriteOperationSpec, Reason, connection::CredentialStatus, values};
use dualwrite_microsoft::{
    MutationError,
    dual_write::{self, LinkRequest, ResetRequest},
    power_platform,
};
use dualwrite_plan::{
    observed::{Problem, Tier},
    operation::{MapChange, MapTarget, Request, Send, Sent},
    world::KnownOperation,
};

/// Sends the one request of a step whose intent is recorded.
pub async fn send(
    context: &Context,
    reach: &Reach,
    operation: &KnownOperation,
    send: &Send,
) -> Sent {
    match &send.request {
        Request::Install(package) => {
            let application = match &reach.application {
                Ok(application) => application,
                Err(problem) => return Sent::NotSent(problem.clone()),
            };
            let session = &application.shared.session;
            let target = &operation.spec.target.environment_id;
            let sent = power_platform::install(session, target, package, send.before).await;
            let sent = sent.map(|accepted| {
                let id = accepted.operation;
                id.map(|operation| operation.as_str().to_owned())
            });
            answered(sent, application.credential())
        }
        Request::Backup => {
            let sent = backup::write(context, operation).await;
            if matches!(sent, Sent::Accepted { .. }) {
                backup::prune(context, operation).await;
            }
            sent
        }
        request => match reach.service() {
            Some(service) => {
                let sent = change(context, service, &operation.spec, request, send.before).await;
                sent.map_or_else(
                    || Sent::NotSent(problem::not_read()),
                    |sent| answered(sent, service.credential()),
                )
            }
            None => Sent::NotSent(Problem::needs_person(
                Reason::LinkNotObservable,
                "The operation names no dual-write service.",
            )),
        },
    }
}

/// One request to the dual-write service; none if it is for somebody else.
async fn change(
    context: &Context,
    Service { session, host, .. }: Service<'_>,
    spec: &DualWriteOperationSpec,
    request: &Request,
    before: Timestamp,
) -> Option<Result<Option<String>, MutationError>> {
    Some(match request {
        // `send` has made these.
        Request::Install(_) | Request::Backup => return None,
        Request::Link => {
            let link = link_request(spec);
            let template = &context.link_template;
            without_id(dual_write::create_link(session, host, &link, template, before).await)
        }
        Request::Maps { change, set, maps } => {
            let maps: Vec<_> = maps.iter().map(map_target).collect();
            let change = map_change(*change);
            dual_write::change_maps(session, host, set, change, &maps, before).await
        }
        Request::Reset { set, force } => {
            let reset = ResetRequest {
                link: link_request(spec),
                dataverse_side: None,
                finance_operations_side: None,
            };
            let template = &context.reset_template;
            without_id(
                dual_write::reset(session, host, set, &reset, *force, template, before).await,
            )
        }
        Request::Solution { set, name } => {
            dual_write::apply_solution(session, host, set, name, before).await
        }
        Request::IntegrationKeys {
            dataverse_name,
            keys,
        } => {
            let keys: Vec<_> = keys
                .iter()
                .map(|key| (key.entity.clone(), key.fields.clone()))
                .collect();
            without_id(
                dual_write::set_integration_keys(session, host, dataverse_name, &keys, before)
                    .await,
            )
        }
        Request::Version {
            set,
            template,
            project,
        } => without_id(
            dual_write::switch_version(session, host, set, template, project, before).await,
        ),
    })
}

fn map_target(map: &MapTarget) -> dual_write::MapTarget {
    dual_write::MapTarget {
        template_id: map.template.clone(),
        project_id: map.project.clone(),
    }
}

const fn map_change(change: MapChange) -> dual_write::MapChange {
    match change {
        MapChange::Start => dual_write::MapChange::Start,
        MapChange::Stop => dual_write::MapChange::Stop,
        MapChange::Pause => dual_write::MapChange::Pause,
        MapChange::Initialise => dual_write::MapChange::Initialise,
    }
}

fn without_id(sent: Result<(), MutationError>) -> Result<Option<String>, MutationError> {
    sent.map(|()| None)
}

fn answered(sent: Result<Option<String>, MutationError>, by: &CredentialStatus) -> Sent {
    match sent {
        Ok(remote_id) => Sent::Accepted { remote_id },
        Err(error) => not_accepted(&error, by),
    }
}

fn not_accepted(error: &MutationError, by: &CredentialStatus) -> Sent {
    let problem = problem::of_call_by(error.call_error(), by);
    match error {
        MutationError::NotSent(_) => Sent::NotSent(problem),
        MutationError::Refused(_) => Sent::Refused(problem),
        MutationError::Lost(_) => Sent::Lost(problem),
    }
}

fn link_request(spec: &DualWriteOperationSpec) -> LinkRequest {
    let target = &spec.target;
    let host = &spec.finance_operations_host;
    let first_label = values::host_of(&target.dataverse_url)
        .and_then(|host| host.split('.').next().map(str::to_owned))
        .unwrap_or_default();
    LinkRequest {
        environment_id: target.environment_id.clone(),
        environment_name: target.environment_name.clone(),
        domain_name: target.domain_name.clone().unwrap_or(first_label),
        dataverse_url: target.dataverse_url.clone(),
        finance_operations_host: host.clone(),
        finance_operations_url: spec.access.finance_operations_url.clone(),
        is_dev_instance: Tier::of_finance_operations(host, None) == Tier::Development,
        legal_entities: spec.relies_on.legal_entities.clone(),
    }
}
