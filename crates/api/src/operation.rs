//! `DualWriteOperation`: one act on Microsoft's side, planned, approved, done and kept.

#![allow(
    clippy::doc_markdown,
    reason = "kubectl explain shows these texts as they are"
)]
#![allow(
    clippy::duplicated_attributes,
    reason = "each printer column has a name, a type and a path"
)]

use std::fmt;

use jiff::Timestamp;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::connection::{Cloud, Credentials, DualWriteService};

/// One act on Microsoft's side: plan, recorded intent, approval and history in one object. The operator creates it;
/// people read it, approve it, or delete it to let go of it.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "dualwrite.dev",
    version = "v1alpha1",
    kind = "DualWriteOperation",
    plural = "dualwriteoperations",
    singular = "dualwriteoperation",
    shortname = "dwo",
    category = "dualwrite",
    namespaced,
    status = "DualWriteOperationStatus",
    derive = "PartialEq",
    selectable = ".spec.financeOperationsHost",
    doc = "One act on Microsoft's side: plan, recorded intent, approval and history in one object. The operator creates it; people read it, approve it, or delete it to let go of it.",
    printcolumn(name = "Action", type_ = "string", json_path = ".spec.action"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Step", type_ = "string", json_path = ".status.step"),
    printcolumn(name = "Approval", type_ = "string", json_path = ".spec.approval"),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        priority = 1,
        json_path = ".status.message"
    )
)]
#[x_kube(
    validation = Rule::new("self.approval == oldSelf.approval || (oldSelf.approval == 'Pending' && self.approval != 'NotRequired')").message("an approval can be given or refused once: only Pending can become Approved or Rejected"),
    validation = Rule::new("self.action == oldSelf.action && self.connection == oldSelf.connection && self.financeOperationsHost == oldSelf.financeOperationsHost && self.target == oldSelf.target && self.access == oldSelf.access && self.reliesOn == oldSelf.reliesOn && self.steps == oldSelf.steps && self.losses == oldSelf.losses && self.timeout == oldSelf.timeout && has(self.options) == has(oldSelf.options) && (!has(self.options) || self.options == oldSelf.options)").message("the plan of an operation cannot be changed, only its approval: delete the operation and let the operator plan again")
)]
#[serde(rename_all = "camelCase")]
pub struct DualWriteOperationSpec {
    /// What is done.
    pub action: Action,

    /// The DualWriteConnection that asked for it.
    pub connection: ConnectionReference,

    /// The host of the finance and operations environment that is acted on.
    #[schemars(length(max = 253))]
    pub finance_operations_host: String,

    /// The Dataverse environment that the act ends at; for StopMaps the one that dual-write is linked to.
    pub target: Target,

    /// How both sides are reached: references, never secrets, so that the act can be read back after its connection is
    /// gone.
    pub access: Access,

    /// What the plan takes for true, in clear. When it moves before the act has started, the operation becomes Void.
    pub relies_on: ReliesOn,

    /// The steps, in order.
    // Atomic, like every list of a plan: of a set or a map the API server would take another order for the same.
    // As many as the most solutions (200) and the longest order of starting (1000 maps) make.
    #[schemars(length(max = 1250))]
    pub steps: Vec<PlannedStep>,

    /// What is lost for good, and what may not come back, in words. Read it before you approve.
    #[serde(default)]
    #[schemars(length(max = 100))]
    pub losses: Vec<String>,

    /// How long the act may take in all, from its first step on.
    #[schemars(length(max = 16))]
    pub timeout: String,

    /// What the connection's spec says about how the act is done.
    #[serde(default, skip_serializing_if = "Options::is_empty")]
    pub options: Options,

    /// Whether a person has approved exactly this plan. Pending can become Approved or Rejected, once; it is the only field
    /// that can be changed.
    pub approval: Approval,
}

/// What an operation does.
#[derive(
    Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord,
)]
pub enum Action {
    /// Installs the dual-write application packages.
    Setup,
    /// Links dual-write to the Dataverse environment.
    Link,
    /// Resets the link, so that it ends at the Dataverse environment that Power Platform integration names, and puts back
    /// what can be put back.
    Reset,
    /// Stops every table map; a person starts them again.
    StopMaps,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The connection that an operation belongs to.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
pub struct ConnectionReference {
    /// Its name.
    #[schemars(length(max = 253))]
    pub name: String,
    /// Its uid: a connection that was deleted and made again is another one.
    #[schemars(length(max = 128))]
    pub uid: String,
    /// The generation of its spec that the plan was made from.
    pub generation: i64,
}

/// The Dataverse environment that an act ends at.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// The Power Platform environment's id.
    #[schemars(length(max = 2048))]
    pub environment_id: String,
    /// Its display name.
    #[schemars(length(max = 2048))]
    pub environment_name: String,
    /// The address of its Dataverse.
    #[schemars(length(max = 2048))]
    pub dataverse_url: String,
    /// The first label of the Dataverse's host name, which the dual-write service wants as a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub domain_name: Option<String>,
}

/// How both sides are reached.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Access {
    /// The Microsoft cloud.
    pub cloud: Cloud,
    /// The finance and operations environment.
    #[schemars(length(max = 262))]
    pub finance_operations_url: String,
    /// The application identity.
    pub credentials: Credentials,
    /// The dual-write service, where the act needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dual_write_service: Option<DualWriteService>,
}

impl Access {
    /// The same way, by where a connection keeps the credentials now: names of Secrets change when their content does, for
    /// example with kustomize. Another tenant, another service or another kind of credential is another way, and no other
    /// name of the same one.
    #[must_use]
    pub fn kept_as(&self, credentials: &Credentials, service: Option<&DualWriteService>) -> Self {
        let mut access = self.clone();
        // The account is of the same tenant: it does not go on alone to another one.
        if credentials.tenant_id != self.credentials.tenant_id {
            return access;
        }
        if self.credentials.is_of_the_same_kind(credentials) {
            access.credentials = credentials.clone();
        }
        if let (Some(service), Some(now)) = (&mut access.dual_write_service, service)
            && service.url == now.url
        {
            service.secret_ref = now.secret_ref.clone();
        }
        access
    }

    /// The way itself, wherever the credentials are kept.
    #[must_use]
    pub fn way(&self) -> Self {
        let mut way = self.clone();
        let credentials = &mut way.credentials;
        let kept = [
            credentials.secret_ref.as_mut(),
            credentials.service_account_ref.as_mut(),
            way.dual_write_service
                .as_mut()
                .map(|service| &mut service.secret_ref),
        ];
        for reference in kept.into_iter().flatten() {
            reference.name.clear();
        }
        way
    }

    /// Whether it is the same way, wherever the credentials are kept.
    pub fn reaches_the_same(&self, other: &Self) -> bool {
        self.way() == other.way()
    }
}

/// What a plan takes for true.
// What the service names is bounded by what its client keeps of a text, 2 KiB, so that no plan is refused for a long name.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ReliesOn {
    /// The Power Platform environment that Power Platform integration names.
    #[schemars(length(max = 2048))]
    pub integration: String,
    /// Where dual-write is linked to: an environment's id, NotLinked, or NotObserved.
    #[schemars(length(max = 2048))]
    pub link: String,
    /// The application packages that are to be installed, by unique name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), inner(length(min = 1, max = 128)))]
    pub applications: Vec<String>,
    /// The companies that the link is made for, or that a reset ends with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 250), inner(length(min = 1, max = 10)))]
    pub legal_entities: Vec<String>,
    /// The link that is reset, or whose maps are stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_set: Option<ConnectionSetReference>,
    /// The table maps, sorted by name. A name is there twice if the link has the map twice.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000))]
    pub maps: Vec<PlannedMap>,
    /// The solutions that bring table maps, by unique name, in the order in which they are applied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 200), inner(length(min = 1, max = 2048)))]
    pub solutions: Vec<String>,
    /// The integration keys of Dataverse tables, sorted by table.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000))]
    pub integration_keys: Vec<IntegrationKey>,
}

/// A link, as the dual-write service names it.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionSetReference {
    /// The id of the connection set.
    #[schemars(length(max = 2048))]
    pub id: String,
    /// The name of the connection set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub name: Option<String>,
    /// The companies that take part when the plan is made; a reset forgets them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000), inner(length(max = 2048)))]
    pub legal_entities: Vec<String>,
    /// Whether the Dataverse environment that it goes to is visible. If not, it may have been deleted, and then no map can
    /// be stopped without Microsoft.
    #[serde(default)]
    pub environment_visible: bool,
}

/// A table map as a plan takes it for true.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct PlannedMap {
    /// Its name, which tells it from every other.
    #[schemars(length(min = 1, max = 2048))]
    pub name: String,
    /// Its state; Running includes catch-up and initial write.
    pub state: MapState,
    /// The version that is active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub version: Option<String>,
    /// The author of that version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub author: Option<String>,
    /// The id of its project, which it has once it was initialised. A reset takes it away for good, so a plan that was carried
    /// out once never holds again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub project: Option<String>,
    /// The solution that brought it when this operator applied it. Unset: no solution is proven to bring it, so it may not
    /// come back after a reset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub solution: Option<String>,
    /// The maps that must run before it may be started.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000), inner(length(max = 2048)))]
    pub after: Vec<String>,
}

/// The state of a table map, as far as a plan depends on it.
#[derive(
    Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord,
)]
pub enum MapState {
    /// It was never started.
    None,
    /// It is stopped.
    Stopped,
    /// It runs, catches up, or does its initial write.
    Running,
    /// It is paused.
    Paused,
    /// It should run and does not.
    NotRunning,
    /// The dual-write service names a state that is not known.
    Other,
}

impl MapState {
    /// Whether it passes nothing on and queues nothing, so that a reset need not wait for it.
    pub const fn is_stopped(self) -> bool {
        matches!(self, Self::None | Self::Stopped | Self::NotRunning)
    }
}

impl fmt::Display for MapState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "never started",
            Self::Stopped => "stopped",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::NotRunning => "not running",
            Self::Other => "in an unknown state",
        })
    }
}

/// The fields by which dual-write finds a row of a Dataverse table.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct IntegrationKey {
    /// The table.
    #[schemars(length(min = 1, max = 2048))]
    pub entity: String,
    /// Its key fields, in order.
    #[schemars(length(max = 100), inner(length(max = 2048)))]
    pub fields: Vec<String>,
}

/// What the spec of the connection says about how an act is done.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a wish of its own, as the spec of the connection has it"
)]
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Options {
    /// Reset even when a map does not stop in time (mismatch.force).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
    /// Start the maps again even though the destination has changed (mismatch.startMaps: AsBefore).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub start_maps: bool,
    /// The act was asked for by deleting the connection, so that it goes on although the connection is gone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub on_deletion: bool,
    /// How long one step of the act may take, such as 15m (link.timeout).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 16))]
    pub step_timeout: String,
    /// The plan needs no approval although the environment is, or may be, production (mismatch.allowProduction).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_production: bool,
    /// How long an approval of the plan is good for, such as 24h (mismatch.approvalTimeout).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 16))]
    pub approval_timeout: String,
}

impl Options {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// One step of a plan.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct PlannedStep {
    /// The step's name, unique in the plan.
    #[schemars(length(min = 1, max = 2200))]
    pub name: String,
    /// What it does, in words.
    #[schemars(length(max = 32768))]
    pub what: String,
    /// What it does that to, where the words do not name it all: table maps, by name; for integration-keys the tables of
    /// Dataverse.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000), inner(length(max = 2048)))]
    pub maps: Vec<String>,
    /// Whether it destroys something that nobody can bring back.
    pub destructive: bool,
    /// Whether a person has to do something for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub needs_person: bool,
    /// How long it usually takes, in words.
    #[schemars(length(max = 256))]
    pub usually_takes: String,
}

/// Whether a person has approved a plan.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Approval {
    /// Nobody has to: the act destroys nothing, or the connection says mismatch.approval: Automatic.
    NotRequired,
    /// Nobody has decided yet.
    Pending,
    /// Approved; this can be used once.
    Approved,
    /// Refused.
    Rejected,
}

/// How far an operation is.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct DualWriteOperationStatus {
    /// Where the operation stands; unset before it has started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// The name of the step that it is at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// The steps of the plan and how far each is. Some are added while the act goes on: map-version for each map whose
    /// version differs, restart-maps and repause-maps when the act is given up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub steps: Vec<StepStatus>,
    /// When the first intent was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// Until when the act may take; judged only after a good read that was made past it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// The connection's reconcile-at annotation when it ended, as `status.lastHandledReconcileAt` has it: another value means
    /// "try again".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reconcile_at: Option<String>,
    /// When the plan was approved, and by which client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved: Option<Approved>,
    /// Where what a reset takes away was written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<Backup>,
    /// The act is given up, nothing was reset: how it will end once the maps that it stopped run again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ending: Option<Ending>,
    /// What is missing although the act has gone on: a solution, a key, a map, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1500))]
    pub missing: Vec<String>,
    /// Why it ended as it did, as a reason of the connection's conditions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What happens or happened, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// When a plan was approved, and by which client, as the API server has recorded it.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Approved {
    /// The field manager of the write that approved it, such as kubectl-patch.
    pub field_manager: String,
    /// When it was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

/// Where what a reset takes away was written down.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Backup {
    /// The ConfigMaps, in the namespace of the connection.
    #[schemars(length(max = 100))]
    pub config_maps: Vec<String>,
    /// The SHA-256 over what they hold, in the order of their names, as hexadecimal digits.
    pub sha256: String,
}

/// An end that is decided and not yet reached: what was stopped is started again first.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Ending {
    /// The phase that it will end in.
    pub phase: Phase,
    /// The reason, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why, in words.
    pub message: String,
}

/// Where an operation stands.
#[derive(
    Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord,
)]
pub enum Phase {
    /// A person must approve the plan.
    AwaitingApproval,
    /// An intent was recorded; the act goes on.
    Running,
    /// The target state was read back.
    Succeeded,
    /// It ended without reaching the target state.
    Failed,
    /// A request was sent and what became of it cannot be known.
    Unknown,
    /// It never started, and never will.
    Void,
}

impl Phase {
    /// Whether nothing of the operation's own will change any more.
    pub const fn is_finished(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Void)
    }

    /// Whether something of it may be under way at Microsoft's: nothing else may start for that host.
    pub const fn occupies_host(self) -> bool {
        matches!(self, Self::Running | Self::Unknown)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// How far one step is.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct StepStatus {
    /// The step's name in the plan.
    pub name: String,
    /// How far it is.
    pub state: StepState,
    /// How often it was intended.
    #[serde(default)]
    #[schemars(with = "i32", range(min = 0))]
    pub attempt: u32,
    /// The process that recorded the intent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incarnation: Option<String>,
    /// After this the request of that intent is not sent any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send_before: Option<Timestamp>,
    /// When the request was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<Timestamp>,
    /// Microsoft's id of what it does for us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote_id: Option<String>,
    /// The requests for the step that may still take effect, or whose effect may not show yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub outstanding: Vec<Outstanding>,
    /// When work on the step began; for a step that may take only so long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began: Option<Timestamp>,
    /// The table maps that were there when the intent was recorded; for a solution, whose maps tell that it was applied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5000))]
    pub seen: Vec<String>,
    /// The table maps that the request named, or that a solution has brought.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5000))]
    pub maps: Vec<String>,
    /// Since when nothing, or nothing more, was seen to come of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absent_since: Option<Timestamp>,
    /// What went wrong, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl StepStatus {
    /// A step that nothing was done for yet.
    pub fn pending(name: &str) -> Self {
        Self {
            name: name.into(),
            state: StepState::Pending,
            attempt: 0,
            incarnation: None,
            send_before: None,
            sent_at: None,
            remote_id: None,
            outstanding: Vec::new(),
            began: None,
            seen: Vec::new(),
            maps: Vec::new(),
            absent_since: None,
            error: None,
        }
    }
}

/// A request that may still take effect.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Outstanding {
    /// Which attempt of its step it is, from 1 on.
    #[schemars(with = "i32", range(min = 1))]
    pub attempt: u32,
    /// After this it was not sent any more.
    pub send_before: Timestamp,
    /// Microsoft's id of what it does for us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote_id: Option<String>,
    /// When Microsoft was seen to have done with it; its effect may show only later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
}

/// How far a step is.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
pub enum StepState {
    /// Nothing was done yet.
    Pending,
    /// The intent is recorded; the request was perhaps sent.
    Intended,
    /// The request was accepted.
    Sent,
    /// The target state was read back.
    Done,
    /// It was refused or has failed.
    Failed,
    /// What became of it cannot be known.
    Unknown,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const URL: &str = "https://service.gateway.prod.island.powerapps.com";

    fn access(credentials: &Value, url: &str, account: &str) -> Access {
        let service = json!({"url": url, "secretRef": {"name": account}});
        let access = json!({"cloud": "Public", "financeOperationsUrl": "https://a.operations.dynamics.com", "credentials": credentials, "dualWriteService": service});
        serde_json::from_value(access).unwrap_or_else(|error| unreachable!("{error}"))
    }

    #[test]
    fn only_where_credentials_are_kept_is_followed() {
        let planned = json!({"tenantId": "one", "secretRef": {"name": "entra"}});
        let before = access(&planned, URL, "account");
        let renamed = json!({"tenantId": "one", "secretRef": {"name": "entra-2"}});
        let now = access(&renamed, URL, "account-2");
        assert!(before.reaches_the_same(&now));

        let other_tenant = json!({"tenantId": "two", "secretRef": {"name": "entra-2"}});
        let ambient = json!({"tenantId": "one", "ambient": true});
        let federated =
            json!({"tenantId": "one", "clientId": "three", "serviceAccountRef": {"name": "entra"}});
        for (other, url, followed) in [
            // Not the account alone, which would sign in at the tenant of before.
            (&other_tenant, URL, before.clone()),
            // Another identity was not approved.
            (&ambient, URL, access(&planned, URL, "account-2")),
            (&federated, URL, access(&planned, URL, "account-2")),
            (
                &renamed,
                "https://b.example",
                access(&renamed, URL, "account"),
            ),
        ] {
            let now = access(other, url, "account-2");
            let service = now.dual_write_service.as_ref();
            assert_eq!(before.kept_as(&now.credentials, service), followed);
            assert!(!before.reaches_the_same(&now), "{other}");
        }
    }
}
