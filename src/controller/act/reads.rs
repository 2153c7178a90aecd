//! What an operation's pass reads: what its next step needs, and no more.

use jiff::Timestamp;

use super::Reach;
use crate::controller::{
    backup,
    context::Context,
    observe::{self, facts, maps::Service, problem},
};
use dualwrite_microsoft::{
    Api, Session,
    dual_write::{self, RequestState},
    power_platform::{self, OperationState, RemoteOperation},
};
use dualwrite_plan::{
    maps::{LinkDetails, TableMap},
    observed::{Fact, LinkFacts, LinkView, Package, Problem},
    operation::{BackupView, Observations, Reads, RemoteRequest, RemoteState, reads},
    world::KnownOperation,
};

/// Reads what the next step of an operation needs. Never fails: what cannot be read is unknown.
pub async fn observe(
    context: &Context,
    reach: &Result<Reach, Problem>,
    operation: &KnownOperation,
) -> Observations {
    let began = crate::controller::now();
    let reads = reads(operation);
    let reach = match reach {
        _ if reads.is_empty() => return nothing(began, &problem::not_read()),
        Ok(reach) => reach,
        Err(problem) => return nothing(began, problem),
    };
    let pass = Pass {
        context,
        reach,
        operation,
        reads: &reads,
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
    Observations {
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

fn nothing(began: Timestamp, problem: &Problem) -> Observations {
    Observations {
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
    reads: &'a Reads,
}

/// The link, and what is read through it.
struct OfLink {
    link: LinkView,
    maps: Fact<Vec<TableMap>>,
    details: LinkDetails,
    remote: Fact<RemoteState>,
}

impl Pass<'_> {
    /// The application's session, or why there is none.
    fn application(&self) -> Result<&Session, Problem> {
        match &self.reach.application {
            Ok(signed) => Ok(&signed.shared.session),
            Err(problem) => Err(problem.clone()),
        }
    }

    /// Whether the target still names the host.
    async fn integrated(&self) -> Fact<bool> {
        if !self.reads.integration {
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
        if !self.reads.applications {
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
        if self.reads.maps {
            service.maps(link).await
        } else {
            Fact::Unknown(problem::not_read())
        }
    }

    async fn link(&self) -> LinkView {
        match &self.reach.service {
            Some((host, account)) if self.reads.link => {
                let finance_operations = &self.reach.finance_operations;
                let session = &account.shared.session;
                observe::reads::link(self.context, session, host, finance_operations).await
            }
            Some(_) | None => LinkView::NotObserved,
        }
    }

    async fn details(&self, service: Service<'_>, link: &LinkFacts) -> LinkDetails {
        let mut details = LinkDetails::unread(&problem::not_read());
        if self.reads.connection_set {
            details.connection_set = service.connection_set(link).await;
        }
        if self.reads.solutions {
            details.solutions = service.solutions(link).await;
        }
        details
    }

    /// What Microsoft says of the request that was accepted last.
    async fn remote(&self, link: Option<&LinkFacts>) -> Fact<RemoteState> {
        match (&self.reads.remote, self.service(), link) {
            (Some(RemoteRequest::Installation(id)), _, _) => self.installation(id).await,
            (Some(RemoteRequest::Solution(id)), Some(Service { session, host }), Some(link)) => {
                let set = &link.connection_set_id;
                request(dual_write::solution_request(session, host, set, id).await)
            }
            (Some(RemoteRequest::Maps(id)), Some(Service { session, host }), _) => {
                request(dual_write::map_request(session, host, id).await)
            }
            (Some(RemoteRequest::Solution(_) | RemoteRequest::Maps(_)) | None, _, _) => {
                Fact::Unknown(problem::not_read())
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
        if self.reads.backup {
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
