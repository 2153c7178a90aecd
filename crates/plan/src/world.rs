//! Everything that one decision looks at, and the names that the design gives to parts of it.
//!
//! S is the environment of the spec, P the integration per Power Platform, D what S's own Dataverse says, L the link,
//! and the host that of the finance and operations environment.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{
    desired::Desired,
    maps::TableMap,
    observed::{
        DataverseSays, Environment, Fact, LinkFacts, LinkView, Observed, PackageState, Problem,
        Readiness, SpecEnvironment, Tier,
    },
};
use dualwrite_api::{
    DualWriteConnection, DualWriteConnectionStatus, DualWriteOperationSpec,
    DualWriteOperationStatus, Reason,
    conditions::{self, ConditionType, Status},
    connection::{IntegrationKind, Mode, ObservedLink},
    operation::{Approved, Phase},
};

/// Everything that one decision looks at.
#[derive(Clone, Copy, Debug)]
pub struct World<'a> {
    /// What the resource asks for.
    pub desired: &'a Desired,
    /// What this pass has read.
    pub observed: &'a Observed,
    /// The operations of this connection and of this host, of whichever connection.
    pub operations: &'a [KnownOperation],
    /// The other connections of this host.
    pub rivals: &'a [Claim],
    /// What the resource's status says so far.
    pub memory: &'a DualWriteConnectionStatus,
    /// The time.
    pub now: Timestamp,
    /// What the operator's administrator has set.
    pub settings: &'a Settings,
}

/// The operator's flags that decisions depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long an absence must last before it counts (`--settle-time`).
    pub settle: Duration,
    /// How often something unfinished is looked at (`--poll-interval`).
    pub poll: Duration,
    /// How long a request may take (`--request-timeout`).
    pub request_timeout: Duration,
    /// How many times longer a link or a reset may take. The clients wait as long: an absence that counted sooner could be
    /// that of a request that is still on its way.
    pub slow_factor: u32,
    /// How long after its intent a request may still be sent.
    pub send_window: Duration,
    /// Create no operation, whatever the resources say (`--observe-only`).
    pub observe_only: bool,
}

/// How many times longer than others a link or a reset may take: clients of the same service allow 300 s [O].
pub const SLOW_FACTOR: u32 = 10;

/// How long after its intent a request may still be sent.
pub const SEND_WINDOW: Duration = Duration::from_secs(30);

impl Default for Settings {
    fn default() -> Self {
        Self {
            settle: Duration::from_mins(2),
            poll: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            slow_factor: SLOW_FACTOR,
            send_window: SEND_WINDOW,
            observe_only: false,
        }
    }
}

/// An operation as the API server has it.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownOperation {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its uid.
    pub uid: String,
    /// When it was created.
    pub created: Timestamp,
    /// Since when it is being deleted.
    pub deleted: Option<Timestamp>,
    /// Its plan.
    pub spec: DualWriteOperationSpec,
    /// How far it is.
    pub status: DualWriteOperationStatus,
    /// When and through which client its approval was written, as the API server has recorded it.
    pub approved: Option<Approved>,
}

impl KnownOperation {
    /// Whether it is planned and nothing of it has happened.
    pub const fn is_unstarted(&self) -> bool {
        matches!(self.status.phase, None | Some(Phase::AwaitingApproval))
    }

    /// Whether something of it may be under way at Microsoft's.
    pub fn occupies_host(&self) -> bool {
        self.status.phase.is_some_and(Phase::occupies_host)
    }

    /// Whether it has ended.
    pub fn is_finished(&self) -> bool {
        self.status.phase.is_some_and(Phase::is_finished)
    }
}

/// Another connection of the same finance and operations host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its uid.
    pub uid: String,
    /// When it was created.
    pub created: Timestamp,
}

impl Claim {
    /// The claim of a connection, if it has one: it manages, is neither suspended nor being deleted, and its own
    /// credentials have seen the finance and operations environment. So nobody can claim what he cannot see.
    pub fn of(connection: &DualWriteConnection) -> Option<Self> {
        let status = connection.status.as_ref()?;
        let meta = &connection.metadata;
        let acts = connection.spec.mode == Mode::Manage
            && !connection.spec.suspend
            && meta.deletion_timestamp.is_none();
        let saw_host = conditions::is(
            &status.conditions,
            ConditionType::CredentialsValid,
            Status::True,
        ) && (status.observed.integration.is_some()
            || status.observed.link.is_some());
        (acts && saw_host).then(|| Self {
            name: meta.name.clone().unwrap_or_default(),
            namespace: meta.namespace.clone().unwrap_or_default(),
            uid: meta.uid.clone().unwrap_or_default(),
            created: meta
                .creation_timestamp
                .as_ref()
                .map_or(Timestamp::UNIX_EPOCH, |time| time.0),
        })
    }
}

/// P, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Integration<'a> {
    /// P = S.
    Spec(&'a Environment),
    /// P = E, which is not S.
    Other(&'a Environment),
    /// Nothing is integrated: the list is complete, S names nothing, and its Dataverse says so too. One read.
    None,
    /// The sources contradict each other.
    Disagree(Disagreement),
    /// No integration is visible, which does not prove that there is none; with what kept it from being proven.
    NotVisible(Option<&'a Problem>),
    /// It could not be read.
    Unknown(&'a Problem),
    /// The environment that names the host is being worked on.
    Busy(&'a Environment),
}

/// How sources contradict each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disagreement {
    /// Several environments name the host.
    SeveralEnvironments(Vec<String>),
    /// The Power Platform says S, and S's Dataverse says something else.
    DataverseDenies(Option<String>),
    /// The Power Platform does not say S, and S's Dataverse says that it is.
    DataverseClaims,
    /// S's Dataverse names another finance and operations environment than this one, and the Power Platform none.
    DataverseNamesOther(String),
}

/// L, with what this resource remembers taken into account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link<'a> {
    /// It is not looked at.
    NotObserved,
    /// The service refuses to show it, and only a person can change that.
    Refused(&'a Problem),
    /// It could not be read.
    Unknown(&'a Problem),
    /// None is seen, and that proves nothing: the environment is stopped, or a link was seen before.
    NotSeen(NotSeen<'a>),
    /// None is seen, by one read.
    Absent,
    /// It is there.
    To(&'a LinkFacts),
}

/// Why an unseen link proves nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotSeen<'a> {
    /// The finance and operations host does not answer.
    HostDown(&'a str),
    /// A link was seen before.
    SeenBefore(&'a str),
}

/// What an absence is, for `status.settling`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display, strum::AsRefStr)]
pub enum Absence {
    /// No link.
    NotLinked,
    /// No integration.
    NotIntegrated,
    /// No integration, although there is a link.
    IntegrationNotSetUp,
    /// No integration that is visible, which proves less.
    IntegrationNotVisible,
    /// No agreement of the sources.
    SourcesDisagree,
    /// No such environment.
    EnvironmentNotFound,
    /// No link where one was seen, or while the environment is stopped.
    LinkNotSeen,
    /// No link to the environment that Power Platform integration names, but one to another: before a reset is planned.
    LinkedElsewhere,
}

impl World<'_> {
    /// S, where it is visible.
    pub const fn environment(&self) -> Option<&Environment> {
        match &self.observed.environment {
            Fact::Known(SpecEnvironment::Visible(environment)) => Some(environment),
            _ => None,
        }
    }

    /// P.
    pub fn integration(&self) -> Integration<'_> {
        if let Fact::Unknown(problem) = &self.observed.environment {
            return Integration::Unknown(problem);
        }
        match self.environments_naming_host().as_slice() {
            [] => self.without_integration(),
            [only] if self.desired.is_spec_environment(&only.id) => self.integrated_with_spec(only),
            [only] => self.integrated_with_other(only),
            several => Integration::Disagree(Disagreement::SeveralEnvironments(
                several
                    .iter()
                    .map(|environment| super::messages::environment(environment))
                    .collect(),
            )),
        }
    }

    /// Whether this resource's own credentials show the host, now or earlier.
    pub fn sees_host(&self) -> bool {
        let remembered = &self.memory.observed;
        remembered.integration.is_some()
            || remembered.link.is_some()
            || matches!(self.observed.link, LinkView::To(_))
            || !self.environments_naming_host().is_empty()
            || self.dataverse_names_host()
    }

    /// Every visible environment with a Dataverse that names the host, each once. One without a Dataverse is Lifecycle
    /// Services' placeholder, not an integration.
    fn environments_naming_host(&self) -> Vec<&Environment> {
        let own = self.environment().filter(|environment| {
            environment.has_dataverse
                && environment
                    .finance_operations
                    .as_ref()
                    .and_then(|named| named.host.as_deref())
                    == Some(self.desired.host.as_str())
        });
        let listed = self
            .observed
            .tenant
            .known()
            .map(|tenant| tenant.naming_host.as_slice())
            .unwrap_or_default();
        let others = listed
            .iter()
            .filter(|listed| !self.desired.is_spec_environment(&listed.id));
        own.into_iter().chain(others).collect()
    }

    fn integrated_with_spec<'a>(&'a self, environment: &'a Environment) -> Integration<'a> {
        match &self.observed.dataverse {
            Fact::Known(DataverseSays::NotIntegrated) => {
                Integration::Disagree(Disagreement::DataverseDenies(None))
            }
            Fact::Known(DataverseSays::IntegratedWith { url, host })
                if host.as_deref() != Some(self.desired.host.as_str()) =>
            {
                Integration::Disagree(Disagreement::DataverseDenies(Some(url.clone())))
            }
            Fact::Known(DataverseSays::IntegratedWith { .. }) | Fact::Unknown(_) => {
                Integration::Spec(environment)
            }
        }
    }

    fn integrated_with_other<'a>(&'a self, environment: &'a Environment) -> Integration<'a> {
        if self.dataverse_names_host() {
            return Integration::Disagree(Disagreement::DataverseClaims);
        }
        match environment.readiness {
            Readiness::Ready => Integration::Other(environment),
            Readiness::AdministrationMode | Readiness::Disabled | Readiness::Busy(_) => {
                Integration::Busy(environment)
            }
        }
    }

    fn without_integration(&self) -> Integration<'_> {
        let tenant = match &self.observed.tenant {
            Fact::Known(tenant) => tenant,
            Fact::Unknown(problem) => return Integration::Unknown(problem),
        };
        match &self.observed.dataverse {
            Fact::Known(DataverseSays::IntegratedWith { .. }) if self.dataverse_names_host() => {
                Integration::Disagree(Disagreement::DataverseClaims)
            }
            Fact::Known(DataverseSays::IntegratedWith { url, .. }) => {
                Integration::Disagree(Disagreement::DataverseNamesOther(url.clone()))
            }
            Fact::Known(DataverseSays::NotIntegrated)
                if tenant.complete
                    && self
                        .environment()
                        .is_some_and(|environment| environment.finance_operations.is_none()) =>
            {
                Integration::None
            }
            Fact::Known(DataverseSays::NotIntegrated) => Integration::NotVisible(None),
            Fact::Unknown(problem) => Integration::NotVisible(Some(problem)),
        }
    }

    /// Whether what is said of P counts: where it rests on an absence or a contradiction, only once a second read agrees.
    pub fn integration_counts(&self) -> bool {
        let confirmed = |absence| self.settling(absence).1;
        let here = match &self.observed.environment {
            Fact::Known(SpecEnvironment::NotFound) => confirmed(Absence::EnvironmentNotFound),
            _ => true,
        };
        here && match self.integration() {
            Integration::Disagree(_) => confirmed(Absence::SourcesDisagree),
            Integration::None if matches!(self.link(), Link::To(_)) => {
                confirmed(Absence::IntegrationNotSetUp)
            }
            Integration::None => confirmed(Absence::NotIntegrated),
            Integration::NotVisible(_) => confirmed(Absence::IntegrationNotVisible),
            Integration::Spec(_)
            | Integration::Other(_)
            | Integration::Unknown(_)
            | Integration::Busy(_) => true,
        }
    }

    fn dataverse_names_host(&self) -> bool {
        matches!(&self.observed.dataverse, Fact::Known(DataverseSays::IntegratedWith { host: Some(host), .. })
            if *host == self.desired.host)
    }

    /// L.
    pub fn link(&self) -> Link<'_> {
        match &self.observed.link {
            LinkView::NotObserved => Link::NotObserved,
            LinkView::Unknown(problem) if problem.is_for_a_person() => Link::Refused(problem),
            LinkView::Unknown(problem) => Link::Unknown(problem),
            LinkView::HostDown(why) => Link::NotSeen(NotSeen::HostDown(why)),
            LinkView::Absent => match &self.memory.observed.link {
                Some(seen) => Link::NotSeen(NotSeen::SeenBefore(&seen.environment_id)),
                None => Link::Absent,
            },
            LinkView::To(link) => Link::To(link),
        }
    }

    /// What is remembered of this very link, if it was seen before.
    pub fn seen_before(&self, link: &LinkFacts) -> Option<&ObservedLink> {
        let seen = self.memory.observed.link.as_ref();
        seen.filter(|seen| {
            seen.connection_set_id == link.connection_set_id
                && super::desired::same_id(&seen.environment_id, &link.environment_id)
        })
    }

    /// Whether L = S.
    pub fn is_linked_to_spec(&self) -> bool {
        matches!(self.link(), Link::To(link) if self.desired.is_spec_environment(&link.environment_id))
    }

    /// Whether L = S, as far as was ever seen: nobody is advised otherwise because the link is not seen just now.
    pub fn was_linked_to_spec(&self) -> bool {
        if let Link::To(link) = self.link() {
            return self.desired.is_spec_environment(&link.environment_id);
        }
        let seen = self.memory.observed.link.as_ref();
        seen.is_some_and(|seen| self.desired.is_spec_environment(&seen.environment_id))
    }

    /// Whether every package that must be installed is; `None` when that is not known.
    pub fn setup_complete(&self) -> Option<bool> {
        let packages = self.observed.applications.known()?;
        Some(self.desired.applications.iter().all(|name| {
            packages.iter().any(|package| {
                package.name.eq_ignore_ascii_case(name) && package.state == PackageState::Installed
            })
        }))
    }

    /// The tier of the finance and operations environment. The host of a unified one does not tell it: while nobody
    /// says that the environment is not unified, a host that looks like production is no proof of it.
    pub fn host_tier(&self) -> Tier {
        let by_host = Tier::of_finance_operations(&self.desired.host, None);
        let seen = self.memory.observed.integration.as_ref();
        match self.integration() {
            Integration::Spec(environment)
            | Integration::Other(environment)
            | Integration::Busy(environment) => {
                let named = environment.finance_operations.as_ref();
                let unified = named
                    .is_some_and(|named| named.kind == IntegrationKind::Unified)
                    .then_some(environment);
                Tier::of_finance_operations(&self.desired.host, unified)
            }
            _ if by_host != Tier::Production => by_host,
            Integration::None
                if seen.is_none_or(|seen| seen.kind == IntegrationKind::LifecycleServices) =>
            {
                by_host
            }
            Integration::None
            | Integration::Disagree(_)
            | Integration::NotVisible(_)
            | Integration::Unknown(_) => Tier::Unknown,
        }
    }

    /// A visible environment, by its id.
    pub fn visible_environment(&self, id: &str) -> Option<&Environment> {
        let tenant = self.observed.tenant.known();
        let candidates = self
            .environment()
            .into_iter()
            .chain(tenant.and_then(|tenant| tenant.linked.as_ref()))
            .chain(
                tenant
                    .map(|tenant| tenant.naming_host.as_slice())
                    .unwrap_or_default(),
            );
        candidates
            .into_iter()
            .find(|environment| super::desired::same_id(&environment.id, id))
    }

    /// The operations of this connection, the newest first.
    pub fn own_operations(&self) -> Vec<&KnownOperation> {
        let mut own: Vec<_> = self
            .operations
            .iter()
            .filter(|operation| operation.spec.connection.uid == self.desired.uid)
            .collect();
        own.sort_by(|one, other| (other.created, &other.uid).cmp(&(one.created, &one.uid)));
        own
    }

    /// The newest operation of this connection, if it has failed and neither the spec nor somebody has asked for anything
    /// since.
    pub fn newest_failure(&self) -> Option<&KnownOperation> {
        let newest = *self.own_operations().first()?;
        let is_superseded = newest.spec.connection.generation != self.desired.generation
            || newest.status.reconcile_at != self.desired.reconcile_at;
        (newest.status.phase == Some(Phase::Failed) && !is_superseded).then_some(newest)
    }

    /// When something was last changed at Microsoft's for this host: reads count only from then on.
    pub fn last_effect(&self) -> Option<Timestamp> {
        self.operations
            .iter()
            .filter(|operation| operation.spec.finance_operations_host == self.desired.host)
            .filter(|operation| operation.status.started_at.is_some())
            .flat_map(|operation| {
                let sent = operation
                    .status
                    .steps
                    .iter()
                    .filter_map(|step| step.sent_at);
                sent.chain(operation.status.finished_at)
            })
            .max()
    }

    /// Since when an absence has been seen, and whether a second read has confirmed it.
    pub fn settling(&self, absence: Absence) -> (Timestamp, bool) {
        let began = self.observed.began;
        let remembered = self
            .memory
            .settling
            .as_ref()
            .filter(|settling| settling.what == absence.as_ref())
            .map(|settling| settling.since)
            .filter(|since| self.last_effect().is_none_or(|effect| *since >= effect));
        match remembered {
            Some(since) => (since, began >= after(since, self.settings.settle)),
            // A pass may rest on a list that is older than its other reads, so the first sight counts from now on; but
            // a read from before the last effect is no first sight, and its time keeps it from becoming one.
            None if self.last_effect().is_some_and(|effect| began < effect) => (began, false),
            None => (self.now, false),
        }
    }

    /// The same before a plan: after an earlier plan was given up it is waited for anew.
    pub fn settling_for_a_plan(&self, absence: Absence) -> (Timestamp, bool) {
        let (since, confirmed) = self.settling(absence);
        let ended = self
            .own_operations()
            .into_iter()
            .filter_map(|operation| operation.status.finished_at)
            .max();
        match ended.filter(|ended| since < *ended) {
            Some(_) => (self.now, false),
            None => (since, confirmed),
        }
    }

    /// The maps that are not stopped: they pass changes on, or queue them.
    pub fn maps_that_pass_on(&self) -> Option<Vec<&TableMap>> {
        let maps = self.observed.maps.known()?;
        Some(maps.iter().filter(|map| !map.state.is_stopped()).collect())
    }

    /// Whether the operator would act for this resource.
    pub fn may_act(&self) -> bool {
        self.desired.mode == Mode::Manage && !self.settings.observe_only
    }

    /// The reason of the condition `Ready` so far, if it speaks of this generation.
    pub fn remembered_ready(&self) -> Option<Reason> {
        let ready = conditions::find(&self.memory.conditions, ConditionType::Ready)?;
        (ready.observed_generation == Some(self.desired.generation))
            .then(|| ready.reason.parse().ok())
            .flatten()
    }
}

/// A point in time and a duration; saturates at the end of time.
pub fn after(at: Timestamp, duration: Duration) -> Timestamp {
    SignedDuration::try_from(duration)
        .ok()
        .and_then(|duration| at.checked_add(duration).ok())
        .unwrap_or(Timestamp::MAX)
}

/// How long it is from one point in time to a later one; zero if it is not later.
pub fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}
