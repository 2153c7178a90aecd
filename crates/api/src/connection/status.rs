//! The status of a `DualWriteConnection`: what the operator sees, and what it says about it.

#![allow(
    clippy::doc_markdown,
    reason = "kubectl explain shows these texts as they are"
)]

use std::fmt;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::operation::{Action, MapState, Phase};

/// What the operator sees, and what it says about it.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct DualWriteConnectionStatus {
    /// The generation of the spec that the conditions speak of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// The value of the annotation dualwrite.dev/reconcile-at that was last acted on; its SHA-256 where it has more than 128
    /// bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,

    /// The state in the standard form; the documentation says what each type and reason means.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,

    /// The truths, side by side.
    #[serde(default, skip_serializing_if = "Observed::is_empty")]
    pub observed: Observed,

    /// The application packages that dual-write needs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub applications: Vec<Application>,

    /// What can be seen from outside before a link is made. A check advises and blocks nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub checks: Vec<Check>,

    /// The table maps of the link: how many are in which state, and which of them somebody should look at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maps: Option<Maps>,

    /// The current or last DualWriteOperation of this connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<OperationSummary>,

    /// An absence that was read once and is being confirmed, or was confirmed and still holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settling: Option<Since>,

    /// What is being waited for, and since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Since>,

    /// The current outage of reads, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,

    /// The credentials that were used last: until when they are good, and whether Entra refused them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2))]
    pub credentials: Vec<CredentialStatus>,

    /// When an event last told that sandbox and production are mixed; it is told again every day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mix_told_at: Option<Timestamp>,

    /// The dual-write administration area in finance and operations, once linked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin_url: Option<String>,
}

/// One of the two credentials of a connection. Never a secret, nor anything that one could be guessed from.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct CredentialStatus {
    /// What it is used for.
    pub used_for: CredentialUse,
    /// What kind of credential it is.
    pub kind: CredentialKind,
    /// The Secret that it comes from; for a ServiceAccountToken the ServiceAccount, for a WorkloadIdentity the application
    /// (client) id.
    pub source: String,
    /// Who signs in with it: the application (client) id, or the user name; unset where a refresh token does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// Until when it is good, where that can be known: the end of a certificate, 90 days after a refresh token was given, or
    /// what the annotation dualwrite.dev/expires-on of the Secret says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// The refusal that holds until the Secret changes: a password that was refused is not tried again, because accounts
    /// lock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<CredentialRefusal>,
}

/// What a credential is used for.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
pub enum CredentialUse {
    /// The Power Platform API and Dataverse.
    Application,
    /// The dual-write service.
    DualWriteAccount,
}

/// A kind of credential.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
pub enum CredentialKind {
    /// A client secret.
    ClientSecret,
    /// A client certificate.
    ClientCertificate,
    /// A token of a ServiceAccount.
    ServiceAccountToken,
    /// The workload identity of the operator's own pod.
    WorkloadIdentity,
    /// A password.
    Password,
    /// A refresh token.
    RefreshToken,
}

/// A refusal, and of which version of the Secret. The version and not a digest: a password could be guessed from that.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct CredentialRefusal {
    /// The uid of the Secret.
    pub secret_uid: String,
    /// The resourceVersion of the Secret.
    pub secret_resource_version: String,
    /// When Entra was asked.
    pub at: Timestamp,
    /// The reason, as the condition names it.
    pub reason: String,
    /// What Entra said, and what to do.
    pub message: String,
}

/// The truths, side by side.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Observed {
    /// The Power Platform environment that Power Platform integration names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub integration: Option<ObservedIntegration>,
    /// What the Dataverse of the spec says about itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataverse: Option<ObservedDataverse>,
    /// Where dual-write is linked to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<ObservedLink>,
    /// A digest of what integration or link were seen with last: environment, service and identities. With others, or after
    /// a read that names another host, the resource claims its host only once it has seen it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_with: Option<String>,
}

impl Observed {
    /// Whether nothing was ever seen.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Power Platform integration, as the Power Platform shows it.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ObservedIntegration {
    /// The environment's id.
    pub environment_id: String,
    /// The environment's display name.
    pub environment_name: String,
    /// The address of its Dataverse.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataverse_url: Option<String>,
    /// LifecycleServices or Unified.
    pub kind: IntegrationKind,
    /// The id of the finance and operations environment in Lifecycle Services.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lcs_environment_id: Option<String>,
    /// Since when this is seen.
    pub since: Timestamp,
}

/// Who manages the finance and operations environment.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IntegrationKind {
    /// Lifecycle Services.
    #[default]
    LifecycleServices,
    /// The Power Platform admin center (unified environments).
    Unified,
}

/// What a Dataverse says about its integration.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ObservedDataverse {
    /// The finance and operations environment that it names; unset: it says that it is not integrated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finance_operations_url: Option<String>,
    /// Since when this is seen.
    pub since: Timestamp,
}

/// The link, as the dual-write service shows it.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ObservedLink {
    /// The id of the connection set.
    pub connection_set_id: String,
    /// The name of the connection set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_set_name: Option<String>,
    /// The Power Platform environment that dual-write is linked to.
    pub environment_id: String,
    /// The companies that take part, where they were read; at most 250.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 250))]
    pub legal_entities: Vec<String>,
    /// The account with which this operator made the link; unset where somebody else made it. Only this account can add
    /// table maps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub linked_by: Option<String>,
    /// Since when a link of this resource has been seen, whichever it was.
    pub first_seen: Timestamp,
    /// Since when this link is seen.
    pub since: Timestamp,
}

/// An application package in the Dataverse environment.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Application {
    /// The package's unique name.
    pub name: String,
    /// Its state in Microsoft's words.
    pub state: String,
    /// The installed version, or the one that would be installed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// A newer version that could be installed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub available_version: Option<String>,
    /// Microsoft's message about the last failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// One thing that dual-write needs, as far as it can be seen from outside.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// What is checked.
    pub name: CheckName,
    /// Passed, Failed, or Unknown: it could not be read.
    pub status: CheckStatus,
    /// What was found and, where it has failed, how to mend it.
    pub message: String,
}

/// What is checked.
#[derive(
    Serialize,
    Deserialize,
    JsonSchema,
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    strum::Display,
    strum::EnumIter,
    strum::EnumString,
)]
pub enum CheckName {
    /// The Dataverse of the spec answers the application.
    DataverseReachable,
    /// The application users that dual-write needs in Dataverse exist and are enabled.
    ApplicationUsers,
    /// No company in Dataverse has a blank or a double name or code.
    CompanyNames,
    /// There are not more companies than can be linked.
    CompanyCount,
    /// The companies of spec.link.legalEntities exist in Dataverse.
    LegalEntities,
    /// The application packages are at the newest version that is offered.
    PackageVersions,
    /// The account is the one that made the link; only where this operator made it.
    LinkingIdentity,
    /// The side of finance and operations, which cannot be seen from outside: always Unknown.
    FinanceOperations,
}

impl CheckName {
    /// Whether a link could fail for it.
    pub const fn matters_for_a_link(self) -> bool {
        match self {
            Self::DataverseReachable
            | Self::ApplicationUsers
            | Self::CompanyNames
            | Self::CompanyCount
            | Self::LegalEntities => true,
            Self::PackageVersions | Self::LinkingIdentity | Self::FinanceOperations => false,
        }
    }
}

/// What a check says.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckStatus {
    /// It is as it should be.
    Passed,
    /// It is not; the message says how to mend it.
    Failed,
    /// It could not be read.
    Unknown,
}

/// The table maps of a link: how many are in which state, and which of them somebody should look at.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Maps {
    /// How many there are.
    #[schemars(with = "i32", range(min = 0))]
    pub total: u32,
    /// How many run, catch up, or do their initial write.
    #[schemars(with = "i32", range(min = 0))]
    pub running: u32,
    /// How many are paused: changes are queued for at most a day or 1 GB.
    #[schemars(with = "i32", range(min = 0))]
    pub paused: u32,
    /// How many are stopped: changes are not queued.
    #[schemars(with = "i32", range(min = 0))]
    pub stopped: u32,
    /// How many should run and do not.
    #[schemars(with = "i32", range(min = 0))]
    pub not_running: u32,
    /// Those that somebody should look at; at most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub attention: Vec<MapAttention>,
}

/// A table map that somebody should look at.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct MapAttention {
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: MapState,
    /// What the dual-write service says about its last request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The current or last operation.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct OperationSummary {
    /// The name of the DualWriteOperation.
    pub name: String,
    /// What it does.
    pub action: Action,
    /// Where it stands; unset before it has started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// The step that it is at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
}

/// Something that has been so since a point in time.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Since {
    /// What it is.
    pub what: String,
    /// Since when.
    pub since: Timestamp,
}

/// An outage of reads.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// When the first read failed.
    pub since: Timestamp,
    /// What kind of failure it is.
    pub class: FailureClass,
    /// The generation that it started in.
    pub generation: i64,
}

/// What a failed call asks of us.
#[derive(
    Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord,
)]
pub enum FailureClass {
    /// It heals by itself: try again with backoff.
    Transient,
    /// Microsoft is busy with something else: try again slowly; not a failure.
    Busy,
    /// Only a person can mend it.
    NeedsPerson,
    /// It is not known; try again, and show everything that is known.
    Unexpected,
}

impl fmt::Display for FailureClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
