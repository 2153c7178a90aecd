//! What a connection's pass reads at Microsoft's: independent reads at once, reads that cannot change the decision
//! skipped or less often.

use std::sync::Arc;

use jiff::Timestamp;

use super::freshness::Freshness;
use crate::controller::{
    context::{Context, SlowReads},
    identities::{self, Shared},
    reach::{Hosts, Reach, Service},
    reader::{facts, problem},
};
use dualwrite_api::{
    DualWriteConnectionStatus,
    connection::{
        CredentialKind, CredentialStatus, CredentialUse, DualWriteService, LinkObservation,
        MismatchPolicy,
    },
};
use dualwrite_microsoft::{
    auth::Audience,
    dual_write,
    power_platform::{self, EnvironmentList},
};
use dualwrite_plan::{
    desired::Desired,
    maps::{LinkDetails, TableMap},
    observed::{
        DataverseSays, Environment, Fact, LinkFacts, LinkView, Observed, Package, Preflight,
        Problem, Readiness, SpecEnvironment, Tenant,
    },
};

/// Reads everything that a connection's decision needs, and what can be told of its credentials. Never fails: what cannot
/// be read is unknown.
pub async fn connection(
    context: &Context,
    desired: &Desired,
    memory: &DualWriteConnectionStatus,
) -> (Observed, Vec<CredentialStatus>) {
    let began = crate::controller::now();
    let pass = match Pass::prepare(context, desired, memory, began).await {
        Ok(pass) => pass,
        Err(problem) => {
            let observed = nothing(desired, began, &problem);
            return (observed, memory.credentials.clone());
        }
    };
    let (platform, link) = tokio::join!(pass.platform(), pass.reach.link(context));
    let observed = pass.together(platform, link).await;
    let credentials = pass.credentials_seen(&memory.credentials);
    (observed, credentials)
}

/// What a pass looks at that reads nothing.
pub fn unobserved(began: Timestamp) -> Observed {
    unread(began, &problem::not_read(), LinkView::NotObserved)
}

/// One pass with its identities.
pub(super) struct Pass<'a> {
    pub(super) context: &'a Context,
    pub(super) desired: &'a Desired,
    pub(super) began: Timestamp,
    pub(super) fresh: Freshness,
    pub(super) application: Arc<Shared>,
    reach: Reach,
}

/// What the Power Platform and Dataverse say.
struct Platform {
    began: Timestamp,
    credentials: Fact<()>,
    environment: Fact<SpecEnvironment>,
    list: Result<Arc<EnvironmentList>, Problem>,
    dataverse: Fact<DataverseSays>,
    applications: Fact<Vec<Package>>,
    preflight: Preflight,
}

impl<'a> Pass<'a> {
    /// Checks every host of the spec and what it claims before anything is read or sent, then gets the identities.
    async fn prepare(
        context: &'a Context,
        desired: &'a Desired,
        memory: &DualWriteConnectionStatus,
        began: Timestamp,
    ) -> Result<Self, Problem> {
        let (namespace, cloud) = (&desired.namespace, desired.cloud);
        let service = wanted_service(desired);
        let hosts = Hosts::check(context, cloud, &desired.host, service)?;
        context
            .allowed_claims
            .check(namespace, &desired.host, &desired.environment_id)?;
        let application =
            identities::application(context, namespace, cloud, &desired.credentials).await?;
        let account = match service.zip(hosts.service) {
            None => Ok(None),
            Some((service, host)) => {
                let tenant = &desired.credentials.tenant_id;
                identities::dual_write_account(context, namespace, cloud, tenant, service)
                    .await
                    .map(|account| Some((host, account)))
            }
        };
        let pass = Self {
            fresh: Freshness::of(desired, memory, began),
            context,
            desired,
            began,
            application: Arc::clone(&application.shared),
            reach: Reach {
                application: Ok(application),
                finance_operations: hosts.finance_operations,
                service: account,
            },
        };
        if memory.last_handled_reconcile_at != desired.reconcile_at
            && let Some(service) = pass.service()
        {
            service.session.allow_password_retry();
        }
        Ok(pass)
    }

    fn service(&self) -> Option<Service<'_>> {
        self.reach.service()
    }

    async fn platform(&self) -> Platform {
        let session = &self.application.session;
        if let Err(error) = session.token(&Audience::PowerPlatform).await {
            let problem = match &self.reach.application {
                Ok(signed) => problem::of_sign_in(&error, signed.credential()),
                Err(problem) => problem.clone(),
            };
            return Platform::unknown(self.began, &problem);
        }
        let namespace = &self.desired.namespace;
        let snapshot = self
            .application
            .environments(namespace, self.fresh.lists)
            .await;
        let list = snapshot.list.clone();
        let list = list.map_err(|error| problem::of_call(&error));
        let environment = self.environment(list.as_ref()).await;
        let ((dataverse, preflight), applications) = tokio::join!(
            self.dataverse(&environment),
            self.applications(&environment)
        );
        Platform {
            began: snapshot.began.min(self.began),
            credentials: Fact::Known(()),
            environment,
            list,
            dataverse,
            applications,
            preflight,
        }
    }

    /// S: from the list, or by itself, because a role may show an environment that no list shows.
    async fn environment(
        &self,
        list: Result<&Arc<EnvironmentList>, &Problem>,
    ) -> Fact<SpecEnvironment> {
        match list {
            Err(problem) if !problem.is_for_a_person() => return Fact::Unknown(problem.clone()),
            Ok(list) => {
                let listed = list
                    .environments
                    .iter()
                    .find(|listed| self.desired.is_spec_environment(&listed.id));
                if let Some(listed) = listed {
                    return Fact::Known(SpecEnvironment::Visible(facts::environment(listed)));
                }
            }
            Err(_) => {}
        }
        match power_platform::environment(&self.application.session, &self.desired.environment_id)
            .await
        {
            Ok(environment) => {
                Fact::Known(SpecEnvironment::Visible(facts::environment(&environment)))
            }
            Err(error) if error.status == Some(404) => Fact::Known(SpecEnvironment::NotFound),
            Err(error) => Fact::Unknown(problem::of_call(&error)),
        }
    }

    /// The packages matter only where the environment is integrated with this host.
    async fn applications(&self, environment: &Fact<SpecEnvironment>) -> Fact<Vec<Package>> {
        let host = &self.desired.host;
        if !usable(environment).is_some_and(|usable| facts::is_integrated(usable, host)) {
            return Fact::Unknown(problem::not_read());
        }
        if let Some(kept) = self.context.slow_reads(&self.desired.uid, self.fresh.slow) {
            return Fact::Known(kept.applications.clone());
        }
        self.reach
            .applications(&self.desired.environment_id, &self.desired.applications)
            .await
    }

    async fn together(&self, platform: Platform, link: LinkView) -> Observed {
        let credentials = self.credentials(platform.credentials).await;
        let (mut link, maps) = tokio::join!(self.with_companies(link.clone()), self.maps(&link));
        let details = self.details(&link, &maps).await;
        if let (LinkView::To(found), Fact::Known(set)) = (&mut link, &details.connection_set) {
            found.legal_entities = Some(set.legal_entities.clone());
        }
        self.keep_slow_reads(&platform.applications, &link);
        let account = self
            .service()
            .and_then(|service| service.account.shared.account.clone());
        let tenant = match platform.list {
            Ok(list) => Fact::Known(self.tenant(&list, &link)),
            Err(problem) => Fact::Unknown(problem),
        };
        Observed {
            began: platform.began,
            credentials,
            environment: platform.environment,
            tenant,
            dataverse: platform.dataverse,
            applications: platform.applications,
            link,
            maps,
            details,
            preflight: Preflight {
                account,
                ..platform.preflight
            },
        }
    }

    /// What can be told of the credentials. What was not read in this pass stays as it was.
    fn credentials_seen(&self, before: &[CredentialStatus]) -> Vec<CredentialStatus> {
        let application = self.reach.application.iter();
        let account = self.service().map(|service| service.account);
        let mut all: Vec<_> = application
            .chain(account)
            .map(|signed| {
                let mut now = signed.status();
                let same = before.iter().find(|old| {
                    (old.used_for, old.kind, &old.source) == (now.used_for, now.kind, &now.source)
                });
                if now.kind == CredentialKind::RefreshToken {
                    now.expires_at = now.expires_at.or(same.and_then(|same| same.expires_at));
                }
                now
            })
            .collect();
        if self.reach.service.is_err() {
            let of_account =
                |old: &&CredentialStatus| old.used_for == CredentialUse::DualWriteAccount;
            all.extend(before.iter().find(of_account).cloned());
        }
        all
    }

    /// Both identities must be accepted; what Entra said of the account is remembered by its session.
    async fn credentials(&self, application: Fact<()>) -> Fact<()> {
        let Fact::Known(()) = application else {
            return application;
        };
        let account = match &self.reach.service {
            Ok(None) => return Fact::Known(()),
            Err(problem) => return Fact::Unknown(problem.clone()),
            Ok(Some((_, account))) => account,
        };
        match account
            .shared
            .session
            .token(&Audience::DualWriteService)
            .await
        {
            Ok(()) => Fact::Known(()),
            Err(error) => Fact::Unknown(problem::of_sign_in(&error, account.credential())),
        }
    }

    /// The companies of a link, for telling differences; they decide nothing, so they are read slowly.
    async fn with_companies(&self, link: LinkView) -> LinkView {
        let (LinkView::To(mut found), Some(service)) = (link.clone(), self.service()) else {
            return link;
        };
        let Some(name) = found
            .connection_set_name
            .clone()
            // What a plan relies on comes with its companies.
            .filter(|_| !self.desired.legal_entities.is_empty() && !self.is_to_be_reset(&found))
        else {
            return link;
        };
        let kept = self.context.slow_reads(&self.desired.uid, self.fresh.slow);
        found.legal_entities = match kept
            .filter(|kept| kept.connection_set.as_deref() == Some(name.as_str()))
        {
            Some(kept) => kept.legal_entities.clone(),
            None => dual_write::connection_set(service.session, service.host, &name)
                .await
                .inspect_err(
                    |error| tracing::debug!(%error, "the companies of the link could not be read"),
                )
                .ok()
                .map(|set| set.legal_entities),
        };
        LinkView::To(found)
    }

    /// What the table maps do: a part of the truth that changes by itself, so it is read each time.
    async fn maps(&self, link: &LinkView) -> Fact<Vec<TableMap>> {
        match (link, self.service(), &self.reach.service) {
            (LinkView::To(link), Some(service), _) => service.maps(link).await,
            (LinkView::Unknown(problem), ..) | (_, _, Err(problem)) => {
                Fact::Unknown(problem.clone())
            }
            _ => Fact::Unknown(problem::not_read()),
        }
    }

    fn is_to_be_reset(&self, link: &LinkFacts) -> bool {
        self.desired.mismatch.policy == MismatchPolicy::Reset
            && !self.desired.is_spec_environment(&link.environment_id)
    }

    /// What else a reset would take away; only where the spec asks for resets, and the link is not where it should be.
    async fn details(&self, link: &LinkView, maps: &Fact<Vec<TableMap>>) -> LinkDetails {
        let (LinkView::To(link), Some(service), Fact::Known(maps)) = (link, self.service(), maps)
        else {
            return LinkDetails::unread(&unread_details(maps));
        };
        if !self.is_to_be_reset(link) {
            return LinkDetails::unread(&problem::not_read());
        }
        let (connection_set, solutions, prerequisites) = tokio::join!(
            service.connection_set(link),
            service.solutions(link),
            service.prerequisites(self.context, self.desired, link, maps),
        );
        LinkDetails {
            connection_set,
            solutions,
            prerequisites,
        }
    }

    fn keep_slow_reads(&self, applications: &Fact<Vec<Package>>, link: &LinkView) {
        let Fact::Known(applications) = applications else {
            return;
        };
        if self
            .context
            .slow_reads(&self.desired.uid, self.fresh.slow)
            .is_some()
        {
            return;
        }
        let (connection_set, legal_entities) = match link {
            LinkView::To(link) => (
                link.connection_set_name.clone(),
                link.legal_entities.clone(),
            ),
            _ => (None, None),
        };
        let reads = SlowReads {
            at: self.began,
            applications: applications.clone(),
            connection_set,
            legal_entities,
        };
        let desired = self.desired;
        self.context
            .keep_slow_reads(&desired.uid, &desired.namespace, reads);
    }

    fn tenant(&self, list: &EnvironmentList, link: &LinkView) -> Tenant {
        let all = || list.environments.iter().map(facts::environment);
        let linked = match link {
            LinkView::To(link) => Some(link.environment_id.as_str()),
            _ => None,
        };
        Tenant {
            complete: list.complete,
            visible: list.environments.len(),
            naming_host: all()
                .filter(|environment| facts::is_integrated(environment, &self.desired.host))
                .collect(),
            linked: linked
                .and_then(|id| all().find(|environment| environment.id.eq_ignore_ascii_case(id))),
        }
    }
}

/// Why the rest was not read: because the maps could not be, or because nobody needs it.
fn unread_details(maps: &Fact<Vec<TableMap>>) -> Problem {
    maps.problem().cloned().unwrap_or_else(problem::not_read)
}

impl Platform {
    fn unknown(began: Timestamp, problem: &Problem) -> Self {
        Self {
            began,
            credentials: Fact::Unknown(problem.clone()),
            environment: Fact::Unknown(problem.clone()),
            list: Err(problem.clone()),
            dataverse: Fact::Unknown(problem::not_read()),
            applications: Fact::Unknown(problem::not_read()),
            preflight: Preflight::unread(&problem::not_read()),
        }
    }
}

/// A pass in which nothing could be read, because the hosts or the credentials of the spec do not allow it.
fn nothing(desired: &Desired, began: Timestamp, problem: &Problem) -> Observed {
    let link = match wanted_service(desired) {
        Some(_) => LinkView::Unknown(problem.clone()),
        None => LinkView::NotObserved,
    };
    unread(began, problem, link)
}

fn unread(began: Timestamp, problem: &Problem, link: LinkView) -> Observed {
    let platform = Platform::unknown(began, problem);
    Observed {
        began,
        credentials: platform.credentials,
        environment: platform.environment,
        tenant: Fact::Unknown(problem::not_read()),
        dataverse: platform.dataverse,
        applications: platform.applications,
        link,
        maps: Fact::Unknown(problem.clone()),
        details: LinkDetails::unread(problem),
        preflight: platform.preflight,
    }
}

/// The service, unless the spec asks not to look at the link.
fn wanted_service(desired: &Desired) -> Option<&DualWriteService> {
    desired
        .dual_write_service
        .as_ref()
        .filter(|_| desired.link_observation == LinkObservation::Always)
}

/// S, where its own Dataverse can be asked.
pub(super) fn usable(environment: &Fact<SpecEnvironment>) -> Option<&Environment> {
    match environment {
        Fact::Known(SpecEnvironment::Visible(environment))
            if environment.has_dataverse && environment.readiness == Readiness::Ready =>
        {
            Some(environment)
        }
        _ => None,
    }
}
