//! What the other files of an operation are made of: what it is, what is on record of a step, what one pass looks at, and
//! what comes of it. This file uses none of the others but what can happen to a step.

use std::time::Duration;

use jiff::Timestamp;

use super::event::Transition;
use crate::{
    desired::same_id,
    maps::{LinkDetails, TableMap},
    observed::{Fact, LinkView, Package, Problem},
    world::{KnownOperation, Settings, after},
};
use dualwrite_api::{
    DualWriteOperationStatus,
    operation::{IntegrationKey, PlannedMap, StepState, StepStatus},
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
    pub others: &'a [KnownOperation],
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

    /// What the plan says of a table map.
    pub(super) fn planned(&self, map: &str) -> Option<&PlannedMap> {
        let maps = &self.operation.spec.relies_on.maps;
        maps.iter().find(|planned| planned.name == map)
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

// ---- what is on record of a step ----

/// What is on record of a step: the flat [`StepStatus`] of the resource, by state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepRecord {
    /// The step's name.
    pub name: String,
    /// When work on it began; for a step that may take only so long.
    pub began: Option<Timestamp>,
    /// What is on record of its newest request. It stays when the step goes on, for what was asked for may still land.
    pub asked: Asked,
    /// How far it is.
    pub record: Record,
}

/// What is on record of the newest request for a step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// How many requests were intended; one that was certainly not sent does not count.
    pub attempts: u32,
    /// The process that recorded the intent.
    pub incarnation: Option<String>,
    /// After this the request is not sent any more; none once nothing of it can arrive.
    pub send_before: Option<Timestamp>,
    /// When it was accepted, or when what it asks for was first seen under way.
    pub sent_at: Option<Timestamp>,
    /// Microsoft's id of what it does for us.
    pub remote_id: Option<String>,
    /// The table maps that were there when the intent was recorded; for a solution.
    pub seen: Vec<String>,
    /// The table maps that the request named, or that a solution has brought.
    pub maps: Vec<String>,
}

/// How far a step is, with what is known of it only then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// Nothing is asked for, or what was asked for has come to nothing.
    Pending {
        /// Why not, the last time.
        error: Option<String>,
    },
    /// The intent is recorded; the request was perhaps sent.
    Intended {
        /// Since when its effect is seen to be missing, from when on that counts.
        absent_since: Option<Timestamp>,
        /// Why its answer was lost.
        error: Option<String>,
    },
    /// The request was accepted, or what it asks for is under way.
    Sent {
        /// Since when nothing more is seen to come of it.
        quiet_since: Option<Timestamp>,
        /// What went wrong before.
        error: Option<String>,
    },
    /// The target state was read back.
    Done,
    /// It was refused or has failed, or was given up.
    Failed {
        /// Why.
        error: String,
    },
    /// What became of it cannot be known.
    Unknown {
        /// Why its answer was lost.
        error: Option<String>,
    },
}

impl Record {
    /// The record of a state, of whatever else is known. What a state does not have is dropped.
    pub(super) fn of(state: StepState, since: Option<Timestamp>, error: Option<String>) -> Self {
        match state {
            StepState::Pending => Self::Pending { error },
            StepState::Intended => Self::Intended {
                absent_since: since,
                error,
            },
            StepState::Sent => Self::Sent {
                quiet_since: since,
                error,
            },
            StepState::Done => Self::Done,
            StepState::Failed => Self::Failed {
                error: error.unwrap_or_default(),
            },
            StepState::Unknown => Self::Unknown { error },
        }
    }

    /// How far it is.
    pub const fn state(&self) -> StepState {
        match self {
            Self::Pending { .. } => StepState::Pending,
            Self::Intended { .. } => StepState::Intended,
            Self::Sent { .. } => StepState::Sent,
            Self::Done => StepState::Done,
            Self::Failed { .. } => StepState::Failed,
            Self::Unknown { .. } => StepState::Unknown,
        }
    }

    /// What went wrong, in words.
    pub fn error(&self) -> Option<&str> {
        match self {
            Self::Pending { error }
            | Self::Intended { error, .. }
            | Self::Sent { error, .. }
            | Self::Unknown { error } => error.as_deref(),
            Self::Failed { error } => Some(error.as_str()).filter(|error| !error.is_empty()),
            Self::Done => None,
        }
    }

    /// Since when nothing, or nothing more, is seen to come of the request.
    pub const fn since(&self) -> Option<Timestamp> {
        match self {
            Self::Intended { absent_since, .. } => *absent_since,
            Self::Sent { quiet_since, .. } => *quiet_since,
            Self::Pending { .. } | Self::Done | Self::Failed { .. } | Self::Unknown { .. } => None,
        }
    }

    /// Whether it is neither done nor given up.
    pub const fn is_open(&self) -> bool {
        !matches!(self, Self::Done | Self::Failed { .. })
    }
}

impl StepRecord {
    /// A step that nothing was done for yet.
    pub fn pending(name: &str) -> Self {
        Self::from(&StepStatus::pending(name))
    }
}

impl From<&StepStatus> for StepRecord {
    fn from(status: &StepStatus) -> Self {
        Self {
            name: status.name.clone(),
            began: status.began,
            asked: Asked {
                attempts: status.attempt,
                incarnation: status.incarnation.clone(),
                send_before: status.send_before,
                sent_at: status.sent_at,
                remote_id: status.remote_id.clone(),
                seen: status.seen.clone(),
                maps: status.maps.clone(),
            },
            record: Record::of(status.state, status.absent_since, status.error.clone()),
        }
    }
}

impl From<&StepRecord> for StepStatus {
    fn from(step: &StepRecord) -> Self {
        let asked = step.asked.clone();
        Self {
            name: step.name.clone(),
            state: step.record.state(),
            attempt: asked.attempts,
            incarnation: asked.incarnation,
            send_before: asked.send_before,
            sent_at: asked.sent_at,
            remote_id: asked.remote_id,
            began: step.began,
            seen: asked.seen,
            maps: asked.maps,
            absent_since: step.record.since(),
            error: step.record.error().map(str::to_owned),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text() -> impl Strategy<Value = Option<String>> {
        prop::option::of("[a-z]{1,8}")
    }

    fn time() -> impl Strategy<Value = Option<Timestamp>> {
        let second = 1_700_000_000_i64..1_800_000_000;
        prop::option::of(second.prop_map(|second| Timestamp::from_second(second).unwrap()))
    }

    fn state() -> impl Strategy<Value = StepState> {
        use StepState::{Done, Failed, Intended, Pending, Sent, Unknown};
        prop::sample::select(vec![Pending, Intended, Sent, Done, Failed, Unknown])
    }

    prop_compose! {
        fn flat()(
            state in state(),
            attempt in 0_u32..3,
            texts in [text(), text(), text()],
            times in [time(), time(), time(), time()],
            seen in prop::collection::vec("[a-z]{1,4}", 0..3),
            maps in prop::collection::vec("[a-z]{1,4}", 0..3),
        ) -> StepStatus {
            let [incarnation, remote_id, error] = texts;
            let [send_before, sent_at, began, absent_since] = times;
            StepStatus {
                state, attempt, incarnation, send_before, sent_at, remote_id, began, seen, maps, absent_since, error,
                ..StepStatus::pending("stop-maps")
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_as_it_was_but_for_what_its_state_does_not_have(flat in flat()) {
            let record = StepRecord::from(&flat);
            let back = StepStatus::from(&record);
            prop_assert_eq!(&StepRecord::from(&back), &record);
            let mut expected = flat;
            if !matches!(expected.state, StepState::Intended | StepState::Sent) {
                expected.absent_since = None;
            }
            if expected.state == StepState::Done {
                expected.error = None;
            }
            prop_assert_eq!(back, expected);
        }
    }
}
