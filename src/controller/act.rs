//! What an operation's pass reads and sends at Microsoft's.

mod reads;

use jiff::Timestamp;

pub use reads::observe;

use super::{
    backup,
    context::Context,
    identities::{self, SignedBy},
    observe::{maps::Service, problem},
};
use dualwrite_api::{
    DualWriteOperationSpec, Reason,
    connection::CredentialStatus,
    operation::{Access, Action},
    values,
};
use dualwrite_microsoft::{
    AllowedHost, HostKind, MutationError,
    auth::Audience,
    dual_write::{self, LinkRequest, ResetRequest},
    power_platform,
};
use dualwrite_plan::{
    advance::{MapChange, MapTarget, Request, Send, Sent},
    observed::{Problem, Tier},
    world::KnownOperation,
};

/// How an operation reaches both sides.
pub struct Reach {
    /// Needed for few steps: what goes on without it, such as putting maps back, does not wait for it.
    application: Result<SignedBy, Problem>,
    finance_operations: AllowedHost,
    /// The dual-write service and the account that uses it; only for acts that need them.
    service: Option<(AllowedHost, SignedBy)>,
}

impl Reach {
    /// Checks the hosts and whether the namespace may claim them, then gets the identities that the next step needs, and
    /// signs them in.
    ///
    /// # Errors
    /// A host or a claim is not allowed, or a credential cannot be used; the problem says which, and what to do.
    pub async fn of(
        context: &Context,
        operation: &KnownOperation,
        access: &Access,
    ) -> Result<Self, Problem> {
        let cloud = access.cloud;
        let allowed = |kind, url: &str| {
            let host = values::host_of(url).unwrap_or_else(|| url.to_owned());
            context
                .hosts
                .check(identities::cloud_of_clients(cloud), kind, &host)
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
        let service = match service {
            None => None,
            Some((service, host)) => {
                let tenant = &access.credentials.tenant_id;
                let account =
                    identities::dual_write_account(context, namespace, cloud, tenant, service)
                        .await?;
                let account = signed_in(operation, account, &Audience::DualWriteService).await?;
                Some((host, account))
            }
        };
        let application = if reads::needs_application(operation) {
            match identities::application(context, namespace, cloud, &access.credentials).await {
                Ok(application) => {
                    signed_in(operation, application, &Audience::PowerPlatform).await
                }
                Err(problem) => Err(problem),
            }
        } else {
            Err(problem::not_read())
        };
        Ok(Self {
            application,
            finance_operations,
            service,
        })
    }
}

/// An identity that Entra accepts. Asked for first, so that a refusal says whose it is. Nobody signs in for a plan that
/// waits for a person.
async fn signed_in(
    operation: &KnownOperation,
    signed: SignedBy,
    audience: &Audience,
) -> Result<SignedBy, Problem> {
    if reads::waits_for_a_person(operation) {
        return Ok(signed);
    }
    match signed.shared.session.token(audience).await {
        Ok(()) => Ok(signed),
        Err(error) => Err(problem::of_sign_in(&error, signed.credential())),
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
        request => match &reach.service {
            Some((host, account)) => {
                let service = Service {
                    session: &account.shared.session,
                    host,
                };
                let sent = change(context, service, &operation.spec, request, send.before).await;
                sent.map_or_else(
                    || Sent::NotSent(problem::not_read()),
                    |sent| answered(sent, account.credential()),
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
    Service { session, host }: Service<'_>,
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
