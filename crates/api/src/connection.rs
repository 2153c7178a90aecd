//! `DualWriteConnection`: which finance and operations environment belongs to which Dataverse environment.

#![allow(
    clippy::doc_markdown,
    reason = "kubectl explain shows these texts as they are"
)]
#![allow(
    clippy::duplicated_attributes,
    reason = "each printer column has a name, a type and a path"
)]

mod status;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use status::*;

use super::values;

/// Joins one Dynamics 365 finance and operations environment with one Dataverse environment by dual-write, and watches
/// that they stay joined. The operator reads the truth continuously, does the steps that have an API, and says in its
/// conditions what only a person can do.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "dualwrite.dev",
    version = "v1alpha1",
    kind = "DualWriteConnection",
    plural = "dualwriteconnections",
    singular = "dualwriteconnection",
    shortname = "dwc",
    category = "dualwrite",
    namespaced,
    status = "DualWriteConnectionStatus",
    derive = "PartialEq",
    doc = "Joins one Dynamics 365 finance and operations environment with one Dataverse environment by dual-write, and watches that they stay joined.",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].status"
    ),
    printcolumn(
        name = "Setup",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='SetupComplete')].status"
    ),
    printcolumn(
        name = "Linked",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Linked')].status"
    ),
    printcolumn(
        name = "Mismatch",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='LinkingMismatch')].status"
    ),
    printcolumn(
        name = "Status",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].reason"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "Dataverse",
        type_ = "string",
        priority = 1,
        json_path = ".status.observed.integration.environmentName"
    ),
    printcolumn(
        name = "Operation",
        type_ = "string",
        priority = 1,
        json_path = ".status.operation.name"
    ),
    printcolumn(
        name = "Admin-URL",
        type_ = "string",
        priority = 1,
        json_path = ".status.adminUrl"
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        priority = 1,
        json_path = ".status.conditions[?(@.type=='Ready')].message"
    )
)]
#[x_kube(
    validation = Rule::new("self.link.method != 'Service' || (has(self.dualWriteService) && self.link.observe == 'Always')").message("link.method Service needs dualWriteService (url and secretRef) and link.observe: Always: without them the operator can neither see nor make a link; or set link.method: Manual"),
    validation = Rule::new("self.link.method != 'Service' || (has(self.link.legalEntities) && size(self.link.legalEntities) > 0)").message("link.method Service needs link.legalEntities, for example [USMF]: a link is made for the companies named here"),
    validation = Rule::new("self.mismatch.policy != 'Reset' || (has(self.dualWriteService) && self.link.observe == 'Always')").message("mismatch.policy Reset needs dualWriteService (url and secretRef) and link.observe: Always: without them the operator can neither see nor reset a link; or set mismatch.policy: Report"),
    validation = Rule::new("self.mismatch.policy != 'Reset' || (has(self.link.legalEntities) && size(self.link.legalEntities) > 0)").message("mismatch.policy Reset needs link.legalEntities, for example [USMF]: a reset forgets the companies, and ends with those named here"),
    validation = Rule::new("self.mismatch.onMix != 'StopMaps' || (has(self.dualWriteService) && self.link.observe == 'Always')").message("mismatch.onMix StopMaps needs dualWriteService (url and secretRef) and link.observe: Always: without them the operator can neither see nor stop a map; or set mismatch.onMix: Report"),
    validation = Rule::new("self.deletionPolicy != 'StopMaps' || (has(self.dualWriteService) && self.link.observe == 'Always')").message("deletionPolicy StopMaps needs dualWriteService (url and secretRef) and link.observe: Always: without them the operator can neither see nor stop a map; or set deletionPolicy: Retain"),
)]
#[serde(rename_all = "camelCase")]
pub struct DualWriteConnectionSpec {
    /// Manage: the operator does the steps that have an API. Observe: it creates no operation and only shows what it
    /// would do.
    #[serde(default)]
    pub mode: Mode,

    /// Stops reading and acting for this resource; what is already in flight is still followed to its end.
    #[serde(default)]
    pub suspend: bool,

    /// How often the truth is read again, for example 5m. At most 24h; raised to the operator's --min-interval.
    #[serde(default = "defaults::interval")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = values::duration("0s", "24h"))]
    pub interval: String,

    /// The Microsoft cloud in which both environments live.
    #[serde(default)]
    pub cloud: Cloud,

    /// The finance and operations side.
    pub finance_operations: FinanceOperations,

    /// The Dataverse side.
    pub dataverse: Dataverse,

    /// The application identity for the Power Platform API and Dataverse.
    pub credentials: Credentials,

    /// Where links and maps are read and changed. Without it they cannot be observed: set link.observe: Never, or add
    /// it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dual_write_service: Option<DualWriteService>,

    /// How the dual-write application is installed.
    #[serde(default)]
    pub setup: Setup,

    /// How the link is made and watched.
    #[serde(default)]
    pub link: Link,

    /// What happens when dual-write is linked to another Dataverse than Power Platform integration names.
    #[serde(default)]
    pub mismatch: Mismatch,

    /// What happens to dual-write when this resource is deleted. Retain: nothing. StopMaps: the table maps are stopped, but only
    /// if mode is Manage and the resource also carries the annotation dualwrite.dev/confirm-stop with its own name as the
    /// value. The deletion waits for that at most ten minutes.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

/// Whether the operator acts or only shows what it would do.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// The operator does the steps that have an API.
    #[default]
    Manage,
    /// The operator creates no operation and only shows what it would do.
    Observe,
}

/// A Microsoft cloud.
#[derive(
    Serialize,
    Deserialize,
    JsonSchema,
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
)]
pub enum Cloud {
    /// The public cloud.
    #[default]
    Public,
    /// US Government Community Cloud.
    Gcc,
    /// US Government Community Cloud High.
    GccHigh,
    /// US Department of Defense.
    DoD,
    /// China, operated by 21Vianet.
    China,
}

/// The finance and operations environment.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct FinanceOperations {
    /// The address that people open, for example https://contoso-uat.sandbox.operations.dynamics.com. It cannot be
    /// changed: another environment is another DualWriteConnection.
    #[schemars(length(max = 262))]
    #[x_kube(
        validation = values::https_url(),
        validation = Rule::new("self == oldSelf").message("financeOperations.url cannot be changed: create another DualWriteConnection for another environment, and delete this one (deleting changes nothing at Microsoft)")
    )]
    pub url: String,

    /// The id of the Lifecycle Services project; it completes the links to Lifecycle Services in messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = Rule::new("self.matches('^[0-9]+$')").message("write the number at the end of the project's address in Lifecycle Services, in quotes, for example \"1234567\""))]
    pub lcs_project_id: Option<String>,
}

/// The Dataverse environment that dual-write should use.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Dataverse {
    /// The id of the Power Platform environment that dual-write should use (Power Platform admin center, Environments,
    /// the environment's details).
    #[schemars(length(max = 64))]
    #[x_kube(validation = values::environment_id())]
    pub environment_id: String,
}

/// An application identity of Microsoft Entra ID.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[x_kube(
    validation = Rule::new("[has(self.secretRef), has(self.serviceAccountRef), has(self.ambient) && self.ambient].filter(given, given).size() == 1").message("give exactly one source of credentials: secretRef (a Secret with clientId, and clientSecret or clientCertificate), or serviceAccountRef with clientId, or ambient: true (the identity of the operator's own pod, where its administrator allows that)"),
    validation = Rule::new("!has(self.serviceAccountRef) || has(self.clientId)").message("credentials.serviceAccountRef needs credentials.clientId: the application (client) id of the app registration that trusts this ServiceAccount"),
    validation = Rule::new("has(self.serviceAccountRef) || !has(self.clientId)").message("credentials.clientId belongs to serviceAccountRef: with secretRef, put clientId into the Secret; with ambient, the operator's pod has its own")
)]
#[serde(rename_all = "camelCase")]
pub struct Credentials {
    /// The Entra tenant of both environments.
    #[schemars(length(max = 64))]
    #[x_kube(validation = values::uuid("the Entra tenant's id"))]
    pub tenant_id: String,

    /// A Secret in this namespace with the key clientId, and either clientSecret or clientCertificate (a certificate and
    /// its RSA private key, both as PEM).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalReference>,

    /// A ServiceAccount in this namespace whose tokens Entra trusts: federated, no secret at all. The namespace has to
    /// bind the role dualwrite-operator-federation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account_ref: Option<LocalReference>,

    /// true: the workload identity of the operator's own pod (Azure workload identity). Only in namespaces that the
    /// operator's administrator allows it in (--allow-ambient-identity-in); tenantId must be the tenant of that identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ambient: Option<bool>,

    /// The application (client) id of the app registration that trusts serviceAccountRef.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = values::uuid("the application (client) id"))]
    pub client_id: Option<String>,
}

/// Where an application identity comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialSource<'a> {
    /// A Secret.
    Secret(&'a LocalReference),
    /// A ServiceAccount, and the application (client) id that trusts it.
    ServiceAccount(&'a LocalReference, &'a str),
    /// The operator's own pod.
    Ambient,
}

impl Credentials {
    /// Whether both come from the same kind of place and, where the spec says it, are the same application.
    pub fn is_of_the_same_kind(&self, other: &Self) -> bool {
        let kinds =
            [self, other].map(|of| of.source().map(|source| std::mem::discriminant(&source)));
        kinds[0] == kinds[1] && self.client_id == other.client_id
    }

    /// The one source that is given; `None` if there is none, or more than one, which admission refuses.
    pub fn source(&self) -> Option<CredentialSource<'_>> {
        let ambient = self.ambient.unwrap_or_default();
        match (&self.secret_ref, &self.service_account_ref, ambient) {
            (Some(secret), None, false) => Some(CredentialSource::Secret(secret)),
            (None, Some(account), false) => {
                let client_id = self.client_id.as_deref()?;
                Some(CredentialSource::ServiceAccount(account, client_id))
            }
            (None, None, true) => Some(CredentialSource::Ambient),
            (None, None, false)
            | (Some(_), Some(_), _)
            | (Some(_), _, true)
            | (_, Some(_), true) => None,
        }
    }
}

/// Names an object in the namespace of the resource.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Hash)]
pub struct LocalReference {
    /// The object's name.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')").message("write the name of an object in this namespace, for example contoso-entra"))]
    pub name: String,
}

/// The service behind the Dual-write page.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct DualWriteService {
    /// The address that the Dual-write page talks to (in the browser's developer tools, Network, on that page), for
    /// example https://projectmanagementservice.weu-il107.gateway.prod.island.powerapps.com.
    #[schemars(length(max = 262))]
    #[x_kube(validation = values::https_url())]
    pub url: String,

    /// A Secret in this namespace with the keys username and password: an account without multi-factor authentication
    /// that may use dual-write. Or with the key refreshToken, from dualwrite-operator sign-in: the operator then keeps what
    /// follows it in a Secret beside it, for which the namespace has to bind the role dualwrite-operator-refresh-tokens.
    pub secret_ref: LocalReference,
}

/// How the dual-write application is installed.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Setup {
    /// Install: the operator installs the application packages. Manual: a person presses "Dual-write application" in
    /// Lifecycle Services.
    #[serde(default)]
    pub method: SetupMethod,

    /// Stands for the box "I agree to the terms of service" in Lifecycle Services; without true nothing is installed.
    #[serde(default)]
    pub accept_terms: bool,

    /// The application packages (unique names) that must be installed. Unset: DualWriteCoreAnchor and
    /// msdyn_DualWriteAppCoreAnchor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 20), inner(length(min = 1, max = 128)))]
    #[x_kube(
        merge_strategy = ListMerge::Set,
        validation = Rule::new("self.all(n, n.matches('^[A-Za-z][A-Za-z0-9_.-]*$'))").message("write unique names of application packages, for example msdyn_DualWriteAppCoreAnchor, not their display names")
    )]
    pub applications: Option<Vec<String>>,

    /// How long the installation may take in all, for example 90m; 1m to 24h.
    #[serde(default = "defaults::setup_timeout")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = values::duration("1m", "24h"))]
    pub timeout: String,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            method: SetupMethod::default(),
            accept_terms: false,
            applications: None,
            timeout: defaults::setup_timeout(),
        }
    }
}

/// Who installs the dual-write application.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SetupMethod {
    /// The operator installs the application packages.
    #[default]
    Install,
    /// A person presses "Dual-write application" in Lifecycle Services.
    Manual,
}

/// How the link is made and watched.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Link {
    /// Manual: a person presses "Link to Power Platform environment" in Lifecycle Services. Service: the operator asks
    /// the dual-write service; no public source shows that call, read the documentation before you use it.
    #[serde(default)]
    pub method: LinkMethod,

    /// Always: Ready needs the link to be seen. Never: be Ready without seeing it (ConnectedLinkUnverified).
    #[serde(default)]
    pub observe: LinkObservation,

    /// The companies (legal entities) to use when a link is made or reset, for example [USMF, DEMF]. On a live link
    /// differences are shown, never applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 250), inner(length(min = 1, max = 10)))]
    #[x_kube(
        merge_strategy = ListMerge::Set,
        validation = Rule::new("self.all(n, n.matches('^[A-Za-z0-9_-]+$'))").message("write company ids as finance and operations shows them, for example USMF")
    )]
    pub legal_entities: Option<Vec<String>>,

    /// How long a link that the operator asked for may take, and each step of a reset, for example 15m; 30s to 24h.
    #[serde(default = "defaults::link_timeout")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = values::duration("30s", "24h"))]
    pub timeout: String,

    /// How long waiting for a person is normal, for example 7d; after that the resource is Stalled.
    #[serde(default = "defaults::manual_timeout")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = values::long_duration())]
    pub manual_timeout: String,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            method: LinkMethod::default(),
            observe: LinkObservation::default(),
            legal_entities: None,
            timeout: defaults::link_timeout(),
            manual_timeout: defaults::manual_timeout(),
        }
    }
}

/// Who makes the link.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LinkMethod {
    /// A person presses "Link to Power Platform environment" in Lifecycle Services.
    #[default]
    Manual,
    /// The operator asks the dual-write service.
    Service,
}

/// Whether the link must be seen.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LinkObservation {
    /// Ready needs the link to be seen.
    #[default]
    Always,
    /// Be Ready without seeing the link.
    Never,
}

/// What happens when dual-write is linked to another Dataverse than Power Platform integration names.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Mismatch {
    /// Report: the mismatch and its remedy are shown. Reset: a DualWriteOperation is planned that resets the link to the
    /// Dataverse that Power Platform integration names, if that is the one of the spec; it waits for approval, unless
    /// approval is Automatic.
    #[serde(default)]
    pub policy: MismatchPolicy,

    /// Required: a person approves the plan of a reset. Automatic: nobody does, and the reset starts by itself; it cannot be
    /// undone, so read docs/reset.md first. For an environment that is, or may be, production a person is asked all the same,
    /// unless allowProduction is true.
    #[serde(default)]
    pub approval: ApprovalPolicy,

    /// How long an approval is good for, for example 24h or 7d: a plan that has not started by then is given up, and made anew.
    #[serde(default = "defaults::approval_timeout")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = values::long_duration())]
    pub approval_timeout: String,

    /// Never: after a reset that changed the destination, maps stay stopped until a person has compared the data and starts
    /// them on the Dual-write page. AsBefore: maps that ran are started, and maps that were paused are started and paused,
    /// without initial sync.
    #[serde(default)]
    pub start_maps: StartMaps,

    /// true: reset even when a map does not stop within link.timeout (Microsoft's forceReset). false: then nothing is reset,
    /// and what was stopped is started again.
    #[serde(default)]
    pub force: bool,

    /// true: approval: Automatic holds too where the finance and operations environment, or a Dataverse environment that it is
    /// or will be linked to, is, or may be, production.
    #[serde(default)]
    pub allow_production: bool,

    /// Report: a sandbox that is linked with a production environment is shown. StopMaps: its table maps are stopped as well,
    /// without approval; a person starts them again.
    #[serde(default)]
    pub on_mix: MixPolicy,
}

impl Default for Mismatch {
    fn default() -> Self {
        Self {
            policy: MismatchPolicy::default(),
            approval: ApprovalPolicy::default(),
            approval_timeout: defaults::approval_timeout(),
            start_maps: StartMaps::default(),
            force: false,
            allow_production: false,
            on_mix: MixPolicy::default(),
        }
    }
}

/// What to do about a linking mismatch.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MismatchPolicy {
    /// Show it, with its remedy.
    #[default]
    Report,
    /// Plan a reset to the Dataverse that Power Platform integration names.
    Reset,
}

/// Who approves a destructive plan.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ApprovalPolicy {
    /// A person.
    #[default]
    Required,
    /// Nobody.
    Automatic,
}

/// Whether maps are started after a reset that changed the destination.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StartMaps {
    /// They stay stopped.
    #[default]
    Never,
    /// They are put back into the states that they had.
    AsBefore,
}

/// What to do about a link between a sandbox and a production environment.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MixPolicy {
    /// Show it.
    #[default]
    Report,
    /// Show it, and stop the maps.
    StopMaps,
}

/// What happens to dual-write when the resource is deleted.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeletionPolicy {
    /// Nothing.
    #[default]
    Retain,
    /// The maps are stopped, if the annotation dualwrite.dev/confirm-stop confirms it.
    StopMaps,
}

mod defaults {
    pub(super) fn interval() -> String {
        "5m".into()
    }
    pub(super) fn setup_timeout() -> String {
        "90m".into()
    }
    pub(super) fn link_timeout() -> String {
        "15m".into()
    }
    pub(super) fn approval_timeout() -> String {
        "24h".into()
    }
    pub(super) fn manual_timeout() -> String {
        "7d".into()
    }
}
