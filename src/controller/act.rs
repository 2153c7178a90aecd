//! What an operation's pass reads and sends at Microsoft's.

use std::sync::Arc;

use jiff::Timestamp;

use super::{
    context::Context,
    identities::{self, Shared},
    observe::{self, facts, problem},
};
use crate::{
    api::{
        DualWriteOperationSpec, Reason,
        operation::{Action, Phase, StepState},
        values,
    },
    microsoft::{
        AllowedHost, HostKind, MutationError,
        dual_write::{self, LinkRequest},
        power_platform::{self, OperationState, RemoteOperation},
    },
    plan::{
        advance::{ActObserved, BackupView, RemoteState, Send, Sent},
        maps::LinkDetails,
        observed::{Fact, LinkView, Package, Problem, Tier},
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
    /// Checks the hosts, then gets the identities, from the references that the operation carries.
    ///
    /// # Errors
    /// A host is not allowed, or a Secret cannot be used; the problem says what to do.
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
        let namespace = &operation.namespace;
        let service = match &access.dual_write_service {
            None => None,
            Some(service) => {
                let host = allowed(HostKind::DualWriteService, &service.url)?;
                let tenant = &access.credentials.tenant_id;
                let account =
                    identities::dual_write_account(context, namespace, cloud, tenant, service)
                        .await?;
                Some((host, account))
            }
        };
        let application =
            identities::application(context, namespace, cloud, &access.credentials).await?;
        Ok(Self {
            application,
            finance_operations,
            service,
        })
    }
}

/// Reads what the next step of an operation needs. Never fails: what cannot be read is unknown.
pub async fn observe(
    context: &Context,
    reach: &Result<Reach, Problem>,
    operation: &KnownOperation,
) -> ActObserved {
    let began = super::now();
    let reach = match reach {
        Ok(reach) => reach,
        Err(problem) => return unknown(began, problem),
    };
    let (integrated, applications, remote, link) = tokio::join!(
        integrated(reach, operation),
        applications(reach, operation),
        remote(reach, operation),
        link(context, reach, operation),
    );
    ActObserved {
        began,
        integrated,
        applications,
        remote,
        link,
        maps: Fact::Unknown(problem::not_read()),
        details: LinkDetails::unread(&problem::not_read()),
        backup: BackupView::Unknown(problem::not_read()),
    }
}

fn unknown(began: Timestamp, problem: &Problem) -> ActObserved {
    ActObserved {
        began,
        integrated: Fact::Unknown(problem.clone()),
        applications: Fact::Unknown(problem.clone()),
        remote: Fact::Unknown(problem.clone()),
        link: LinkView::Unknown(problem.clone()),
        maps: Fact::Unknown(problem.clone()),
        details: LinkDetails::unread(problem),
        backup: BackupView::Unknown(problem.clone()),
    }
}

/// Whether the target still names the host; asked only before the first step.
async fn integrated(reach: &Reach, operation: &KnownOperation) -> Fact<bool> {
    if !operation.is_unstarted() {
        return Fact::Unknown(problem::not_read());
    }
    let target = &operation.spec.target.environment_id;
    match power_platform::environment(&reach.application.session, target).await {
        Err(error) => Fact::Unknown(problem::of_call(&error)),
        Ok(environment) => {
            let environment = facts::environment(&environment);
            let named = environment.finance_operations.and_then(|named| named.host);
            let host = &operation.spec.finance_operations_host;
            Fact::Known(environment.has_dataverse && named.as_ref() == Some(host))
        }
    }
}

async fn applications(reach: &Reach, operation: &KnownOperation) -> Fact<Vec<Package>> {
    if operation.spec.action != Action::Setup {
        return Fact::Unknown(problem::not_read());
    }
    let wanted: Vec<String> = operation
        .spec
        .steps
        .iter()
        .map(|step| step.name.clone())
        .collect();
    observe::reads::applications(
        &reach.application.session,
        &operation.spec.target.environment_id,
        &wanted,
    )
    .await
}

/// What Microsoft says of the request that was accepted last.
async fn remote(reach: &Reach, operation: &KnownOperation) -> Fact<RemoteState> {
    let sent = operation
        .status
        .steps
        .iter()
        .find(|step| step.state == StepState::Sent);
    let Some(id) = sent.and_then(|step| step.remote_id.as_deref()) else {
        return Fact::Unknown(problem::not_read());
    };
    let target = &operation.spec.target.environment_id;
    match power_platform::operation(
        &reach.application.session,
        target,
        &RemoteOperation::recorded(id),
    )
    .await
    {
        Err(error) => Fact::Unknown(problem::of_call(&error)),
        Ok(status) => Fact::Known(match status.state {
            OperationState::Running => RemoteState::Running,
            OperationState::Succeeded => RemoteState::Succeeded,
            OperationState::Gone => RemoteState::Gone,
            OperationState::Failed | OperationState::Canceled => RemoteState::Failed(
                status
                    .error
                    .as_ref()
                    .and_then(facts::error)
                    .or(status.message)
                    .unwrap_or_else(|| format!("Microsoft gives no reason ({:?}).", status.state)),
            ),
        }),
    }
}

async fn link(context: &Context, reach: &Reach, operation: &KnownOperation) -> LinkView {
    match (&operation.spec.action, &reach.service) {
        (Action::Link, Some((host, account))) => {
            observe::reads::link(context, &account.session, host, &reach.finance_operations).await
        }
        (Action::Link, None) | (Action::Setup | Action::Reset | Action::StopMaps, _) => {
            LinkView::NotObserved
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
    let spec = &operation.spec;
    match spec.action {
        Action::Setup => {
            let session = &reach.application.session;
            let target = &spec.target.environment_id;
            match power_platform::install(session, target, &send.step, send.before).await {
                Ok(accepted) => Sent::Accepted {
                    remote_id: accepted
                        .operation
                        .map(|operation| operation.as_str().to_owned()),
                },
                Err(error) => not_accepted(&error),
            }
        }
        Action::Link => {
            let Some((host, account)) = &reach.service else {
                return Sent::NotSent(Problem::needs_person(
                    Reason::LinkNotObservable,
                    "The operation names no dual-write service.",
                ));
            };
            let request = link_request(spec);
            let sent = dual_write::create_link(
                &account.session,
                host,
                &request,
                &context.link_template,
                send.before,
            )
            .await;
            match sent {
                Ok(()) => Sent::Accepted { remote_id: None },
                Err(error) => not_accepted(&error),
            }
        }
        Action::Reset | Action::StopMaps => Sent::NotSent(problem::not_read()),
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
