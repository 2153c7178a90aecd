//! Everything that one decision looks at. What it comes to is in [`super::picture`].

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use super::{
    desired::Desired,
    observed::{Environment, Fact, LinkFacts, Observed, SpecEnvironment},
};
use dualwrite_api::{
    DualWriteConnection, DualWriteConnectionStatus, DualWriteOperationSpec,
    DualWriteOperationStatus, Reason,
    conditions::{self, ConditionType, Status},
    connection::{
        Cloud, CredentialStatus, Credentials, DualWriteService, Mode, ObservedLink, Since,
    },
    operation::{Action, Approval, Approved, Phase},
    values,
};

/// The longest time for which something old is still shown as it was.
const STALE_AFTER: Duration = Duration::from_mins(15);

/// Everything that one decision looks at.
#[derive(Clone, Copy, Debug)]
pub struct World<'a> {
    /// What the resource asks for.
    pub desired: &'a Desired,
    /// What this pass has read.
    pub observed: &'a Observed,
    /// The credentials that this pass has used, and until when they are good.
    pub credentials: &'a [CredentialStatus],
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
    /// present credentials have seen the finance and operations environment, which no other read of it denies. So nobody can
    /// claim what he cannot see.
    pub fn of(connection: &DualWriteConnection) -> Option<Self> {
        let status = connection.status.as_ref()?;
        let meta = &connection.metadata;
        let acts = connection.spec.mode == Mode::Manage
            && !connection.spec.suspend
            && meta.deletion_timestamp.is_none();
        let is_let_in = conditions::is(
            &status.conditions,
            ConditionType::CredentialsValid,
            Status::True,
        );
        let seen_with = status.observed.seen_with.as_ref();
        let sees_host = is_let_in && seen_with == Some(&present_sight(connection));
        (acts && sees_host).then(|| Self {
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

/// What a connection would see its host with now, as `status.observed.seenWith` has it.
pub fn present_sight(connection: &DualWriteConnection) -> String {
    let spec = &connection.spec;
    let known = connection.status.as_ref();
    sight(
        spec.cloud,
        &spec.dataverse.environment_id,
        &spec.credentials,
        spec.dual_write_service.as_ref(),
        known.map_or(&[], |status| status.credentials.as_slice()),
    )
}

/// A digest of what a connection sees its host with: what its spec names, and who signs in with that.
pub(crate) fn sight(
    cloud: Cloud,
    environment_id: &str,
    credentials: &Credentials,
    service: Option<&DualWriteService>,
    known: &[CredentialStatus],
) -> String {
    let who: Vec<_> = known
        .iter()
        .map(|known| (known.used_for, &known.identity))
        .collect();
    let id = environment_id.to_ascii_lowercase();
    let seen_with = serde_json::json!([cloud, id, credentials, service, who]);
    let digest = Sha256::digest(seen_with.to_string().as_bytes());
    values::hex(&digest[..8])
}

/// What one read shows and a second one has to confirm, as `status.settling` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display, strum::AsRefStr)]
pub enum Settling {
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
    /// A link to another environment than Power Platform integration names: before a reset is planned.
    LinkedElsewhere,
}

/// How far something that has to be confirmed is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confirmation {
    /// What has to be confirmed.
    pub what: Settling,
    /// Since when it is seen.
    pub since: Timestamp,
    /// Whether a second read agrees.
    pub confirmed: bool,
}

impl World<'_> {
    /// S, where it is visible.
    pub const fn environment(&self) -> Option<&Environment> {
        match &self.observed.environment {
            Fact::Known(SpecEnvironment::Visible(environment)) => Some(environment),
            _ => None,
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

    /// The newest operation of this connection that does more than to stop maps, if it has failed and neither the spec nor
    /// somebody has asked for anything since.
    pub fn failure(&self) -> Option<&KnownOperation> {
        let mut own = self.own_operations().into_iter();
        let newest = own.find(|operation| operation.spec.action != Action::StopMaps)?;
        self.is_unanswered(newest).then_some(newest)
    }

    /// The same of the newest that stops maps, unless another operation has succeeded since: then there are other maps.
    pub fn failed_stop(&self) -> Option<&KnownOperation> {
        let is_stop = |operation: &&KnownOperation| operation.spec.action == Action::StopMaps;
        let own = self.own_operations().into_iter();
        let mut since = own.take_while(|operation| {
            is_stop(operation) || operation.status.phase != Some(Phase::Succeeded)
        });
        let newest = since.find(is_stop)?;
        self.is_unanswered(newest).then_some(newest)
    }

    fn is_unanswered(&self, operation: &KnownOperation) -> bool {
        operation.status.phase == Some(Phase::Failed) && self.is_as_asked(operation)
    }

    /// Whether a plan of this connection was rejected, and nobody has asked for anything since.
    pub fn is_rejected(&self, operation: &KnownOperation) -> bool {
        operation.spec.approval == Approval::Rejected
            && operation.is_finished()
            && self.is_as_asked(operation)
    }

    /// Whether neither the spec nor somebody has asked for anything since an operation.
    pub(crate) fn is_as_asked(&self, operation: &KnownOperation) -> bool {
        operation.spec.connection.generation == self.desired.generation
            && operation.status.reconcile_at == self.desired.reconcile_at
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

    /// What is settling or waited for since when, if it was seen under this very spec: what another one asked for says
    /// nothing about it.
    pub fn remembered<'m>(&self, since: Option<&'m Since>) -> Option<&'m Since> {
        since.filter(|_| self.memory.observed_generation == Some(self.desired.generation))
    }

    /// How far `what` is confirmed, given that this pass sees it.
    pub fn confirmation(&self, what: Settling) -> Confirmation {
        let began = self.observed.began;
        let remembered = self
            .remembered(self.memory.settling.as_ref())
            .filter(|settling| settling.what == what.as_ref())
            .map(|settling| settling.since)
            .filter(|since| self.last_effect().is_none_or(|effect| *since >= effect));
        let (since, confirmed) = match remembered {
            Some(since) => (since, began >= after(since, self.settings.settle)),
            // A pass may rest on a list that is older than its other reads, so the first sight counts from now on; but
            // a read from before the last effect is no first sight, and its time keeps it from becoming one.
            None if self.last_effect().is_some_and(|effect| began < effect) => (began, false),
            None => (self.now, false),
        };
        Confirmation {
            what,
            since,
            confirmed,
        }
    }

    /// The same before a plan: after an earlier plan was given up it is waited for anew.
    pub fn confirmation_for_a_plan(&self, what: Settling) -> Confirmation {
        let confirmation = self.confirmation(what);
        let ended = self
            .own_operations()
            .into_iter()
            .filter_map(|operation| operation.status.finished_at)
            .max();
        match ended.filter(|ended| confirmation.since < *ended) {
            Some(_) => Confirmation {
                what,
                since: self.now,
                confirmed: false,
            },
            None => confirmation,
        }
    }

    /// Until when nothing new is planned: the settle time from when an operation was given up on, so that what gives up each
    /// plan cannot do so without a pause.
    pub fn rests_until(&self) -> Option<Timestamp> {
        let own = self.own_operations().into_iter();
        let void = own.filter(|operation| operation.status.phase == Some(Phase::Void));
        let newest = void
            .filter_map(|operation| operation.status.finished_at)
            .max()?;
        Some(after(newest, self.settings.settle)).filter(|until| *until > self.now)
    }

    /// Whether something last seen at `since` is too old to be shown as it was.
    pub fn is_too_old(&self, since: Timestamp) -> bool {
        self.now >= after(since, (self.desired.interval * 3).max(STALE_AFTER))
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
