//! What an operation's pass reads: what its next step needs, and no more.

use jiff::Timestamp;

use super::Reach;
use crate::controller::{
    backup,
    context::Context,
    observe::{self, facts, maps::Service, problem},
};
use dualwrite_api::operation::{Action, Approval, Phase, StepState, StepStatus};
use dualwrite_microsoft::{
    Api, Session,
    dual_write::{self, RequestState},
    power_platform::{self, OperationState, RemoteOperation},
};
use dualwrite_plan::{
    advance::{ActObserved, BackupView, RemoteState},
    maps::{LinkDetails, TableMap},
    observed::{Fact, LinkFacts, LinkView, Package, Problem},
    operation::StepKind,
    world::KnownOperation,
};

/// Reads what the next step of an operation needs. Never fails: what cannot be read is unknown.
pub async fn observe(
    context: &Context,
    reach: &Result<Reach, Problem>,
    operation: &KnownOperation,
) -> ActObserved {
    let began = crate::controller::now();
    let reach = match reach {
        _ if waits_for_a_person(operation) => return nothing(began, &problem::not_read()),
        Ok(reach) => reach,
        Err(problem) => return nothing(began, problem),
    };
    let pass = Pass {
        context,
        reach,
        operation,
    };
    let (integrated, applications, of_link, backup) = tokio::join!(
        pass.integrated(),
        pass.applications(),
        pass.link_and_what_hangs_on_it(),
        pass.backup(),
    );
    let OfLink {
        link,
        maps,
        details,
        remote,
    } = of_link;
    ActObserved {
        began,
        integrated,
        applications,
        remote,
        link,
        maps,
        details,
        backup,
    }
}

/// Whether the next step of an operation needs the application.
pub(super) fn needs_application(operation: &KnownOperation) -> bool {
    operation.spec.action == Action::Setup || asks_for_integration(operation)
}

/// Whether it matters that the target still names the host: before the first step, and again right before a reset.
fn asks_for_integration(operation: &KnownOperation) -> bool {
    match operation.spec.action {
        Action::StopMaps => false,
        Action::Setup | Action::Link => operation.is_unstarted(),
        Action::Reset => {
            operation.is_unstarted() || is_at(operation, |kind| *kind == StepKind::Reset)
        }
    }
}

/// Whether the step that comes next is of such a kind. One step a pass: the one after it is looked at in the next.
fn is_at(operation: &KnownOperation, wanted: impl Fn(&StepKind) -> bool) -> bool {
    let closed = |step: &StepStatus| matches!(step.state, StepState::Done | StepState::Failed);
    let steps = &operation.status.steps;
    let open = steps.iter().find(|step| !closed(step));
    open.and_then(|step| StepKind::parse(operation.spec.action, &step.name))
        .is_some_and(|kind| wanted(&kind))
}

/// Whether nothing is looked at: before a plan is approved only its connection can change what becomes of it.
pub(super) fn waits_for_a_person(operation: &KnownOperation) -> bool {
    operation.is_unstarted()
        && matches!(
            operation.spec.approval,
            Approval::Pending | Approval::Rejected
        )
}

fn nothing(began: Timestamp, problem: &Problem) -> ActObserved {
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

struct Pass<'a> {
    context: &'a Context,
    reach: &'a Reach,
    operation: &'a KnownOperation,
}

/// The link, and what is read through it.
struct OfLink {
    link: LinkView,
    maps: Fact<Vec<TableMap>>,
    details: LinkDetails,
    remote: Fact<RemoteState>,
}

impl Pass<'_> {
    fn action(&self) -> Action {
        self.operation.spec.action
    }

    fn is_at(&self, wanted: impl Fn(&StepKind) -> bool) -> bool {
        is_at(self.operation, wanted)
    }

    /// The application's session, or why there is none.
    fn application(&self) -> Result<&Session, Problem> {
        match &self.reach.application {
            Ok(signed) => Ok(&signed.shared.session),
            Err(problem) => Err(problem.clone()),
        }
    }

    /// Whether the target still names the host.
    async fn integrated(&self) -> Fact<bool> {
        if !asks_for_integration(self.operation) {
            return Fact::Unknown(problem::not_read());
        }
        let session = match self.application() {
            Ok(session) => session,
            Err(problem) => return Fact::Unknown(problem),
        };
        let target = &self.operation.spec.target.environment_id;
        match power_platform::environment(session, target).await {
            Err(error) => Fact::Unknown(problem::of_call(&error)),
            Ok(environment) => {
                let environment = facts::environment(&environment);
                let named = environment.finance_operations.and_then(|named| named.host);
                let host = &self.operation.spec.finance_operations_host;
                Fact::Known(environment.has_dataverse && named.as_ref() == Some(host))
            }
        }
    }

    async fn applications(&self) -> Fact<Vec<Package>> {
        if self.action() != Action::Setup {
            return Fact::Unknown(problem::not_read());
        }
        let session = match self.application() {
            Ok(session) => session,
            Err(problem) => return Fact::Unknown(problem),
        };
        let spec = &self.operation.spec;
        let wanted: Vec<String> = spec.steps.iter().map(|step| step.name.clone()).collect();
        observe::reads::applications(session, &spec.target.environment_id, &wanted).await
    }

    fn service(&self) -> Option<Service<'_>> {
        let (host, account) = self.reach.service.as_ref()?;
        Some(Service {
            session: &account.shared.session,
            host,
        })
    }

    async fn link_and_what_hangs_on_it(&self) -> OfLink {
        let link = self.link().await;
        let (LinkView::To(found), Some(service)) = (&link, self.service()) else {
            let problem = match &link {
                LinkView::Unknown(problem) => problem.clone(),
                _ => no_link(),
            };
            return OfLink {
                link,
                maps: Fact::Unknown(problem.clone()),
                details: LinkDetails::unread(&problem),
                remote: self.remote(None).await,
            };
        };
        let (maps, details, remote) = tokio::join!(
            self.maps(service, found),
            self.details(service, found),
            self.remote(Some(found)),
        );
        OfLink {
            link,
            maps,
            details,
            remote,
        }
    }

    async fn maps(&self, service: Service<'_>, link: &LinkFacts) -> Fact<Vec<TableMap>> {
        match self.action() {
            Action::Setup | Action::Link => Fact::Unknown(problem::not_read()),
            Action::Reset | Action::StopMaps => service.maps(link).await,
        }
    }

    async fn link(&self) -> LinkView {
        match (self.action(), &self.reach.service) {
            (Action::Setup, _) | (_, None) => LinkView::NotObserved,
            (Action::Link | Action::Reset | Action::StopMaps, Some((host, account))) => {
                let finance_operations = &self.reach.finance_operations;
                let session = &account.shared.session;
                observe::reads::link(self.context, session, host, finance_operations).await
            }
        }
    }

    async fn details(&self, service: Service<'_>, link: &LinkFacts) -> LinkDetails {
        let mut details = LinkDetails::unread(&problem::not_read());
        if self.action() != Action::Reset {
            return details;
        }
        // All of what a plan relies on: before anything is touched, and again before anything is destroyed.
        let is_relied_on =
            self.operation.is_unstarted() || self.is_at(|kind| *kind == StepKind::Reset);
        if is_relied_on || self.is_at(|kind| *kind == StepKind::IntegrationKeys) {
            details.connection_set = service.connection_set(link).await;
        }
        if is_relied_on {
            details.solutions = service.solutions(link).await;
        }
        details
    }

    /// What Microsoft says of the request that was accepted last.
    async fn remote(&self, link: Option<&LinkFacts>) -> Fact<RemoteState> {
        let steps = &self.operation.status.steps;
        let sent = steps.iter().find(|step| step.state == StepState::Sent);
        let Some((id, kind)) = sent.and_then(|step| {
            let kind = StepKind::parse(self.action(), &step.name)?;
            Some((step.remote_id.as_deref()?, kind))
        }) else {
            return Fact::Unknown(problem::not_read());
        };
        match (kind, self.service(), link) {
            (StepKind::Package(_), _, _) => self.installation(id).await,
            (StepKind::Solution(_), Some(Service { session, host }), Some(link)) => {
                let set = &link.connection_set_id;
                request(dual_write::solution_request(session, host, set, id).await)
            }
            (StepKind::Solution(_), _, _) | (_, None, _) => Fact::Unknown(problem::not_read()),
            (_, Some(Service { session, host }), _) => {
                request(dual_write::map_request(session, host, id).await)
            }
        }
    }

    async fn installation(&self, id: &str) -> Fact<RemoteState> {
        let session = match self.application() {
            Ok(session) => session,
            Err(problem) => return Fact::Unknown(problem),
        };
        let target = &self.operation.spec.target.environment_id;
        match power_platform::operation(session, target, &RemoteOperation::recorded(id)).await {
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
                        .or_else(|| {
                            let told = status.message.as_deref()?;
                            Some(problem::explained(Api::PowerPlatform, told))
                        })
                        .unwrap_or_else(|| {
                            format!("Microsoft gives no reason ({:?}).", status.state)
                        }),
                ),
            }),
        }
    }

    /// The backup, where it is written and right before what it is for.
    async fn backup(&self) -> BackupView {
        let matters = self.action() == Action::Reset
            && self.operation.status.phase == Some(Phase::Running)
            && self.is_at(|kind| matches!(kind, StepKind::Backup | StepKind::Reset));
        if matters {
            backup::view(self.context, self.operation).await
        } else {
            BackupView::Missing
        }
    }
}

fn no_link() -> Problem {
    Problem::transient("The dual-write service shows no link, so nothing of it can be read.")
}

fn request(
    asked: Result<RequestState, dualwrite_microsoft::error::CallError>,
) -> Fact<RemoteState> {
    match asked {
        Err(error) => Fact::Unknown(problem::of_call(&error)),
        Ok(RequestState::Running) => Fact::Known(RemoteState::Running),
        Ok(RequestState::Succeeded) => Fact::Known(RemoteState::Succeeded),
        Ok(RequestState::Gone) => Fact::Known(RemoteState::Gone),
        Ok(RequestState::Failed(why)) => Fact::Known(RemoteState::Failed(problem::explained(
            Api::DualWrite,
            &why,
        ))),
    }
}
