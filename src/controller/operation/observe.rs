//! What an operation's pass reads: what its next step needs, and no more.

use crate::controller::{
    allowed_claims::AllowedClaims,
    context::Context,
    identities::{self, SignedBy},
    operation::backup,
    reach::{self, Hosts, Reach},
    reader::problem,
};
use dualwrite_api::operation::{Access, Action};
use dualwrite_microsoft::auth::Audience;
use dualwrite_plan::{
    maps::LinkDetails,
    observed::{Fact, LinkFacts, LinkView, Problem},
    operation::{BackupView, Observations, Reads, RemoteRequest, RemoteState},
    world::KnownOperation,
};
use jiff::Timestamp;

/// Checks the hosts and whether the namespace may claim them, then gets the identities that the next step needs, and signs
/// them in.
///
/// # Errors
/// A host or a claim is not allowed, or the account cannot be used; the problem says which, and what to do. What goes on
/// without the application, such as putting maps back, does not wait for it: its problem is in the reach.
pub async fn reach(
    context: &Context,
    operation: &KnownOperation,
    access: &Access,
    reads: &Reads,
) -> Result<Reach, Problem> {
    let (cloud, namespace) = (access.cloud, &operation.namespace);
    let service = access.dual_write_service.as_ref();
    let address = reach::host(&access.finance_operations_url);
    let hosts = Hosts::check(context, cloud, &address, service)?;
    may_claim(&context.allowed_claims, operation, &address)?;
    let account = match service.zip(hosts.service) {
        None => None,
        Some((service, host)) => {
            let tenant = &access.credentials.tenant_id;
            let account =
                identities::dual_write_account(context, namespace, cloud, tenant, service).await?;
            let audience = Audience::DualWriteService;
            Some((host, signed_in(account, &audience, reads).await?))
        }
    };
    let application = if reads.needs_application() {
        match identities::application(context, namespace, cloud, &access.credentials).await {
            Ok(application) => signed_in(application, &Audience::PowerPlatform, reads).await,
            Err(problem) => Err(problem),
        }
    } else {
        Err(problem::not_read())
    };
    Ok(Reach {
        application,
        finance_operations: hosts.finance_operations,
        service: Ok(account),
    })
}

/// An identity that Entra accepts. Asked for first, so that a refusal says whose it is. Nobody signs in where nothing is to
/// be read.
async fn signed_in(
    signed: SignedBy,
    audience: &Audience,
    reads: &Reads,
) -> Result<SignedBy, Problem> {
    if reads.is_empty() {
        return Ok(signed);
    }
    match signed.shared.session.token(audience).await {
        Ok(()) => Ok(signed),
        Err(error) => Err(problem::of_sign_in(&error, signed.credential())),
    }
}

/// What is under way needs the claim too, for it may have been taken off the list since: then it stands still, and goes on
/// when the claim is back.
fn may_claim(
    claims: &AllowedClaims,
    operation: &KnownOperation,
    address: &str,
) -> Result<(), Problem> {
    let (namespace, spec) = (&operation.namespace, &operation.spec);
    // The address that is called, and the name that the plan is about: nobody may claim one by the other.
    claims.check_host(namespace, address)?;
    let host = &spec.finance_operations_host;
    match spec.action {
        // It is about where dual-write is linked to now, which the namespace does not claim.
        Action::StopMaps => claims.check_host(namespace, host),
        Action::Setup | Action::Link | Action::Reset => {
            claims.check(namespace, host, &spec.target.environment_id)
        }
    }
}

/// Reads what the next step of an operation needs. Never fails: what cannot be read is unknown.
pub async fn observe(
    context: &Context,
    reach: &Result<Reach, Problem>,
    operation: &KnownOperation,
    reads: &Reads,
) -> Observations {
    let began = crate::controller::now();
    let reach = match reach {
        _ if reads.is_empty() => return nothing(began, &problem::not_read()),
        Ok(reach) => reach,
        Err(problem) => return nothing(began, problem),
    };
    let pass = Pass {
        context,
        reach,
        operation,
        reads,
    };
    let (integrated, applications, mut observed, backup) = tokio::join!(
        pass.integrated(),
        pass.applications(),
        pass.link_and_what_hangs_on_it(began),
        pass.backup(),
    );
    observed.integrated = integrated;
    observed.applications = applications;
    observed.backup = backup;
    observed
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

/// What is asked for is read; the rest was not looked at.
async fn wanted<T>(is_wanted: bool, read: impl Future<Output = Fact<T>>) -> Fact<T> {
    if is_wanted {
        read.await
    } else {
        Fact::Unknown(problem::not_read())
    }
}

impl Pass<'_> {
    async fn integrated(&self) -> Fact<bool> {
        let spec = &self.operation.spec;
        let (target, host) = (&spec.target.environment_id, &spec.finance_operations_host);
        wanted(self.reads.integration, self.reach.integrated(target, host)).await
    }

    async fn applications(&self) -> Fact<Vec<dualwrite_plan::observed::Package>> {
        let spec = &self.operation.spec;
        let names: Vec<String> = spec.steps.iter().map(|step| step.name.clone()).collect();
        let target = &spec.target.environment_id;
        wanted(
            self.reads.applications,
            self.reach.applications(target, &names),
        )
        .await
    }

    async fn link_and_what_hangs_on_it(&self, began: Timestamp) -> Observations {
        let link = if self.reads.link {
            self.reach.link(self.context).await
        } else {
            LinkView::NotObserved
        };
        let problem = match &link {
            LinkView::Unknown(problem) => problem.clone(),
            LinkView::To(_) => problem::not_read(),
            LinkView::NotObserved | LinkView::Absent | LinkView::HostDown(_) => no_link(),
        };
        let mut observed = nothing(began, &problem);
        if let LinkView::To(found) = &link {
            (observed.maps, observed.details, observed.remote) = tokio::join!(
                self.maps(found),
                self.details(found),
                self.remote(Some(found))
            );
        } else {
            observed.remote = self.remote(None).await;
        }
        observed.link = link;
        observed
    }

    async fn maps(&self, link: &LinkFacts) -> Fact<Vec<dualwrite_plan::maps::TableMap>> {
        match self.reach.service() {
            Some(service) => wanted(self.reads.maps, service.maps(link)).await,
            None => Fact::Unknown(problem::not_read()),
        }
    }

    async fn details(&self, link: &LinkFacts) -> LinkDetails {
        let mut details = LinkDetails::unread(&problem::not_read());
        if let Some(service) = self.reach.service() {
            details.connection_set =
                wanted(self.reads.connection_set, service.connection_set(link)).await;
            details.solutions = wanted(self.reads.solutions, service.solutions(link)).await;
        }
        details
    }

    /// What Microsoft says of the request that was accepted last.
    async fn remote(&self, link: Option<&LinkFacts>) -> Fact<RemoteState> {
        let not_read = Fact::Unknown(problem::not_read());
        match (&self.reads.remote, self.reach.service(), link) {
            (Some(RemoteRequest::Installation(id)), ..) => {
                let target = &self.operation.spec.target.environment_id;
                self.reach.installation(target, id).await
            }
            (Some(RemoteRequest::Solution(id)), Some(service), Some(link)) => {
                service.solution_request(link, id).await
            }
            (Some(RemoteRequest::Maps(id)), Some(service), _) => service.map_request(id).await,
            (None | Some(RemoteRequest::Solution(_) | RemoteRequest::Maps(_)), ..) => not_read,
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
