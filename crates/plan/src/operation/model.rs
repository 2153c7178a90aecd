//! What one pass over an operation looks at, what it can ask for, and what comes of it. This file uses none of the others
//! but what can happen to a step.

use std::time::Duration;

use jiff::Timestamp;

use super::event::Transition;
use crate::{
    desired::same_id,
    maps::{self, LinkDetails, TableMap},
    observed::{Fact, LinkView, Package, Problem},
    world::{KnownOperation, Settings, after},
};
use dualwrite_api::{
    DualWriteOperationStatus,
    operation::{Approval, IntegrationKey, PlannedMap},
    values,
};

/// How long an operation that is being deleted is held to learn the outcome of its request, and how long the deletion of a
/// connection waits for its maps to be stopped.
pub const DELETION_PATIENCE: Duration = Duration::from_mins(10);

/// How long one step may take if a plan does not say.
const USUAL_PATIENCE: Duration = Duration::from_mins(15);

// ---- what one step forward looks at ----

/// Everything that one step forward looks at.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// The operation.
    pub operation: &'a KnownOperation,
    /// What this pass has read.
    pub observed: &'a Observations,
    /// The connection that asked for it.
    pub owner: &'a Owner,
    /// The other operations of the same host.
    pub others: &'a [Other],
    /// The id of this process.
    pub incarnation: &'a str,
    /// The time.
    pub now: Timestamp,
    /// What the operator's administrator has set.
    pub settings: &'a Settings,
}

/// What was read for an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observations {
    /// When the oldest read began.
    pub began: Timestamp,
    /// Whether Power Platform integration still joins host and target; read before the first step, and right before a reset.
    pub integrated: Fact<bool>,
    /// The application packages of the target; for Setup.
    pub applications: Fact<Vec<Package>>,
    /// What Microsoft says of the request that was accepted; for a step with a remote id.
    pub remote: Fact<RemoteState>,
    /// Where dual-write is linked to; for every action but Setup.
    pub link: LinkView,
    /// The table maps of the link; for `Reset` and `StopMaps`.
    pub maps: Fact<Vec<TableMap>>,
    /// What else a reset takes away or needs; for Reset: all of it before the first step, and of the rest what the step
    /// needs that the operation is at.
    pub details: LinkDetails,
    /// What was written down before a reset; for Reset.
    pub backup: BackupView,
}

/// What was written down before a reset, as it stands in Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackupView {
    /// It is there, and is what it should be.
    Intact,
    /// It is not there, or not all of it.
    Missing,
    /// It is there, but was changed.
    Altered,
    /// It could not be read, or was not looked at.
    Unknown(Problem),
}

/// What Microsoft says of a request that it accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RemoteState {
    /// It goes on.
    Running,
    /// It has ended well; that counts only once the target state is read back.
    Succeeded,
    /// It has failed, in Microsoft's words.
    Failed(String),
    /// Microsoft does not know it any more.
    Gone,
}

/// The connection that asked for an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// It is there.
    Present {
        /// Whether it is suspended.
        suspended: bool,
        /// The value of its annotation `dualwrite.dev/reconcile-at`.
        reconcile_at: Option<String>,
    },
    /// It is there, but asks for something else by now.
    Changed,
    /// It is gone, or being deleted, or another one of the same name.
    Gone,
    /// The same, and another connection manages the environment by now.
    Replaced,
}

/// Another operation of the same host.
#[derive(Clone, Debug, PartialEq)]
pub struct Other {
    /// The operation.
    pub operation: KnownOperation,
    /// The connection that asked for it.
    pub owner: Owner,
}

impl Other {
    /// Whether nothing but its turn keeps it from starting: who waits for somebody else does not hold up the others.
    pub(super) fn could_start(&self) -> bool {
        let (operation, owner) = (&self.operation, &self.owner);
        let is_wanted = match (owner, operation.spec.approval) {
            _ if operation.spec.options.on_deletion => true,
            (
                Owner::Present {
                    suspended: false, ..
                },
                Approval::NotRequired | Approval::Approved,
            ) => true,
            (Owner::Present { .. } | Owner::Changed | Owner::Gone | Owner::Replaced, _) => false,
        };
        is_wanted && operation.is_unstarted() && operation.deleted.is_none()
    }
}

impl Situation<'_> {
    /// When something unfinished is looked at again.
    pub(super) fn soon(&self) -> Timestamp {
        after(self.now, self.settings.poll)
    }

    /// How long one step may take.
    pub(super) fn patience(&self) -> Duration {
        values::parse_duration(&self.operation.spec.options.step_timeout, USUAL_PATIENCE)
    }

    /// Whether this is the environment that the operation ends at.
    pub(super) fn is_target(&self, environment_id: &str) -> bool {
        same_id(environment_id, &self.operation.spec.target.environment_id)
    }

    /// The id of the connection set that is linked now.
    pub(super) fn connection_set(&self) -> Option<String> {
        match &self.observed.link {
            LinkView::To(link) => Some(link.connection_set_id.clone()),
            LinkView::NotObserved
            | LinkView::Unknown(_)
            | LinkView::HostDown(_)
            | LinkView::Absent => None,
        }
    }

    /// What the plan says of a table map; of one that was there twice, of the one that ran.
    pub(super) fn planned(&self, map: &str) -> Option<&PlannedMap> {
        let all = &self.operation.spec.relies_on.maps;
        let mut candidates = maps::to_start(all).chain(all);
        candidates.find(|planned| planned.name == map)
    }
}

// ---- what is asked for ----

/// A request whose intent is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Send {
    /// The step.
    pub step: String,
    /// After this it must not be sent any more.
    pub before: Timestamp,
    /// What to ask for.
    pub request: Request,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// The installation of this application package.
    Install(String),
    /// The first link.
    Link,
    /// Writing down what a reset takes away; to Kubernetes, and as often as it takes.
    Backup,
    /// A change of the state of table maps.
    Maps {
        /// Which change.
        change: MapChange,
        /// The id of the connection set.
        set: String,
        /// The maps: each with the id of its active version and, unless it is to be initialised, of its project.
        maps: Vec<MapTarget>,
    },
    /// The reset.
    Reset {
        /// The id of the connection set.
        set: String,
        /// Even though a map is not stopped.
        force: bool,
    },
    /// Applying a solution.
    Solution {
        /// The id of the connection set.
        set: String,
        /// The solution's unique name.
        name: String,
    },
    /// The integration keys.
    IntegrationKeys {
        /// The name by which the service knows the Dataverse environment.
        dataverse_name: String,
        /// The keys.
        keys: Vec<IntegrationKey>,
    },
    /// Another active version of a table map.
    Version {
        /// The id of the connection set.
        set: String,
        /// The id of the version.
        template: String,
        /// The id of the map's project.
        project: String,
    },
}

/// A change of the state of table maps; none of them ever asks for an initial sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapChange {
    /// Start, without initial sync.
    Start,
    /// Stop.
    Stop,
    /// Pause.
    Pause,
    /// Initialise.
    Initialise,
}

/// A table map, as requests name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapTarget {
    /// The id of the version that is active.
    pub template: String,
    /// The id of its project.
    pub project: Option<String>,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Microsoft has accepted it.
    Accepted {
        /// Microsoft's id of what it does for us.
        remote_id: Option<String>,
    },
    /// Microsoft has refused it: certainly nothing has started.
    Refused(Problem),
    /// What became of it is not known.
    Lost(Problem),
    /// It was certainly not sent.
    NotSent(Problem),
}

// ---- what is to be read ----

/// What a pass has to read. Whatever is not asked for is unknown to it.
#[expect(
    clippy::struct_excessive_bools,
    reason = "it is a set: each says whether one thing is read"
)]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reads {
    /// Whether Power Platform integration still joins host and target.
    pub integration: bool,
    /// The application packages of the target.
    pub applications: bool,
    /// Where dual-write is linked to.
    pub link: bool,
    /// The table maps of the link.
    pub maps: bool,
    /// The connection set of the link.
    pub connection_set: bool,
    /// The solutions that bring table maps.
    pub solutions: bool,
    /// What was written down before a reset.
    pub backup: bool,
    /// What Microsoft says of the request that was accepted last.
    pub remote: Option<RemoteRequest>,
}

/// A request that Microsoft has accepted and can be asked about, by the id that it gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RemoteRequest {
    /// The installation of a package.
    Installation(String),
    /// The application of a solution.
    Solution(String),
    /// A change of table maps.
    Maps(String),
}

impl Reads {
    /// Whether any of it is read with the application's identity.
    pub const fn needs_application(&self) -> bool {
        self.integration || self.applications
    }

    /// Whether nothing is to be read.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

// ---- what comes of it ----

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next {
    /// The status as it should be; with `send`, this is the intent and must be written first.
    pub status: DualWriteOperationStatus,
    /// The request to send once the intent is written.
    pub send: Option<Send>,
    /// When to look again.
    pub next: Option<Timestamp>,
    /// What has happened to steps in this pass, in order.
    pub transitions: Vec<Transition>,
}
