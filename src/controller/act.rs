//! What an operation's pass reads and sends at Microsoft's.

mod reads;

use std::sync::Arc;

use jiff::Timestamp;

pub use reads::observe;

use super::{
    backup,
    context::Context,
    identities::{self, Shared},
    observe::{maps::Service, problem},
};
use crate::{
    api::{
        DualWriteOperationSpec, Reason,
        operation::{Action, Phase},
        values,
    },
    microsoft::{
        AllowedHost, HostKind, MutationError,
        dual_write::{self, LinkRequest, ResetRequest},
        power_platform,
    },
    plan::{
        advance::{MapChange, MapTarget, Request, Send, Sent},
        observed::{Problem, Tier},
        world::KnownOperation,
    },
};

/// How an operation reaches both sides.
pub struct Reach {
    application: Arc<Shared>,
    finance_operations: AllowedHost,
    /// The dual-write service and the account that uses it; only for acts that need them.
    service: Option<(AllowedHost, Arc<Shared>)>,
}

impl Reach {
    /// Checks the hosts and whether the namespace may claim them, then gets the identities, from the references that the
    /// operation carries.
    ///
    /// # Errors
    /// A host or a claim is not allowed, or a Secret cannot be used; the problem says what to do.
    pub async fn of(context: &Context, operation: &KnownOperation) -> Result<Self, Problem> {
        let access = &operation.spec.access;
        let cloud = access.cloud;
        let allowed = |kind, url: &str| {
            let host = values::host_of(url).unwrap_or_else(|| url.to_owned());
            context
                .hosts
                .check(cloud.into(), kind, &host)
                .map_err(|refused| {
                    Problem::needs_person(Reason::HostNotAllowed, refused.to_string())
                })
        };
        let finance_operations =
            allowed(HostKind::FinanceOperations, &access.finance_operations_url)?;
        let service = match &access.dual_write_service {
            None => None,
            Some(service) => Some((service, allowed(HostKind::DualWriteService, &service.url)?)),
        };
        may_claim(context, operation, finance_operations.name())?;
        let namespace = &operation.namespace;
        let application =
            identities::application(context, namespace, cloud, &access.credentials).await?;
        let service = match service {
            None => None,
            Some((service, host)) => {
                let tenant = &access.credentials.tenant_id;
                let account =
                    identities::dual_write_account(context, namespace, cloud, tenant, service)
                        .await?;
                Some((host, account.shared))
            }
        };
        Ok(Self {
            application: application.shared,
            finance_operations,
            service,
        })
    }
}

/// What is under way needs the claim too, for it may have been taken off the list since: then it stands still, and goes on
/// when the claim is back.
fn may_claim(context: &Context, operation: &KnownOperation, host: &str) -> Result<(), Problem> {
    let (claims, namespace, spec) = (&context.claims, &operation.namespace, &operation.spec);
    // The address that is called, and the name that the plan is about: nobody may claim one by the other.
    claims.check_host(namespace, host)?;
    let host = &spec.finance_operations_host;
    match spec.action {
        // It is about where dual-write is linked to now, which the namespace does not claim.
        Action::StopMaps => claims.check_host(namespace, host),
        Action::Setup | Action::Link | Action::Reset => {
            claims.check(namespace, host, &spec.target.environment_id)
        }
    }
}

/// Sends the one request of a step whose intent is recorded.
pub async fn send(
    context: &Context,
    reach: &Reach,
    operation: &KnownOperation,
    send: &Send,
) -> Sent {
    match &send.request {
        Request::Install(package) => {
            let session = &reach.application.session;
            let target = &operation.spec.target.environment_id;
            let sent = power_platform::install(session, target, package, send.before).await;
            answered(sent.map(|accepted| {
                let id = accepted.operation;
                id.map(|operation| operation.as_str().to_owned())
            }))
        }
        Request::Backup => {
            let sent = backup::write(context, operation).await;
            if matches!(sent, Sent::Accepted { .. }) {
                backup::prune(context, operation).await;
            }
            sent
        }
        request => match &reach.service {
            Some((host, account)) => {
                let service = Service {
                    session: &account.session,
                    host,
                };
                change(context, service, &operation.spec, request, send.before).await
            }
            None => Sent::NotSent(Problem::needs_person(
                Reason::LinkNotObservable,
                "The operation names no dual-write service.",
            )),
        },
    }
}

/// One request to the dual-write service.
async fn change(
    context: &Context,
    Service { session, host }: Service<'_>,
    spec: &DualWriteOperationSpec,
    request: &Request,
    before: Timestamp,
) -> Sent {
    match request {
        // `send` has made these.
        Request::Install(_) | Request::Backup => Sent::NotSent(problem::not_read()),
        Request::Link => {
            let link = link_request(spec);
            let template = &context.link_template;
            without_id(dual_write::create_link(session, host, &link, template, before).await)
        }
        Request::Maps { change, set, maps } => {
            let maps: Vec<_> = maps.iter().map(map_target).collect();
            let change = map_change(*change);
            answered(dual_write::change_maps(session, host, set, change, &maps, before).await)
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
            answered(dual_write::apply_solution(session, host, set, name, before).await)
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
    }
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

fn without_id(sent: Result<(), MutationError>) -> Sent {
    answered(sent.map(|()| None))
}

fn answered(sent: Result<Option<String>, MutationError>) -> Sent {
    match sent {
        Ok(remote_id) => Sent::Accepted { remote_id },
        Err(error) => not_accepted(&error),
    }
}

fn not_accepted(error: &MutationError) -> Sent {
    let problem = problem::of_call(error.call_error());
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

/// Whether anything needs to be read for an operation: one that has ended is only kept.
pub fn needs_reading(operation: &KnownOperation) -> bool {
    !matches!(
        operation.status.phase,
        Some(Phase::Succeeded | Phase::Failed | Phase::Void)
    )
}
