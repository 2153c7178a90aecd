//! Power Platform environments, their Dataverse and their application packages.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::clock::Span;

/// A Power Platform environment.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Environment {
    pub(crate) tenant_id: String,
    #[serde(default)]
    pub(crate) display_name: String,
    #[serde(rename = "type", default = "sandbox")]
    pub(crate) kind: String,
    #[serde(default = "enabled")]
    pub(crate) state: String,
    #[serde(default = "disabled")]
    pub(crate) admin_mode: Option<String>,
    #[serde(default)]
    pub(crate) dataverse_id: Option<String>,
    #[serde(default)]
    pub(crate) url: Option<String>,
    #[serde(default)]
    pub(crate) domain_name: Option<String>,
    #[serde(default)]
    pub(crate) version: Option<String>,
    #[serde(default = "europe")]
    pub(crate) geo: String,
    #[serde(default = "west_europe")]
    pub(crate) azure_region: String,
    #[serde(default = "basic")]
    pub(crate) protection_level: String,
    #[serde(default = "long_ago")]
    pub(crate) created_date_time: Timestamp,
    /// What Power Platform says about the integration.
    #[serde(default)]
    pub(crate) fin_ops_metadata: Option<FinOpsMetadata>,
    /// What Dataverse itself says about it.
    #[serde(default)]
    pub(crate) dataverse_integration: DataverseIntegration,
    /// By unique name.
    #[serde(default)]
    pub(crate) packages: BTreeMap<String, Package>,
    /// By operation id.
    #[serde(default)]
    pub(crate) operations: BTreeMap<String, Operation>,
    #[serde(default)]
    pub(crate) companies: Vec<Company>,
    #[serde(default)]
    pub(crate) application_users: Vec<ApplicationUser>,
}

fn sandbox() -> String {
    "Sandbox".to_owned()
}

fn enabled() -> String {
    "Enabled".to_owned()
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "the field can also be left out of the answer"
)]
fn disabled() -> Option<String> {
    Some("Disabled".to_owned())
}

fn europe() -> String {
    "europe".to_owned()
}

fn west_europe() -> String {
    "westeurope".to_owned()
}

fn basic() -> String {
    "Basic".to_owned()
}

fn long_ago() -> Timestamp {
    Timestamp::from_second(1_735_689_600).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// The integration with finance and operations, on Power Platform's side.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct FinOpsMetadata {
    /// The id of the environment in Lifecycle Services.
    #[serde(default)]
    pub(crate) id: String,
    /// `Linked` or `Internal`.
    #[serde(rename = "type", default = "linked")]
    pub(crate) kind: String,
    pub(crate) url: String,
}

fn linked() -> String {
    "Linked".to_owned()
}

/// What Dataverse says about the integration.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "expected `follow`, `none` or an object with `url`"
)]
pub(crate) enum DataverseIntegration {
    Word(DataverseWord),
    Own(OwnIntegration),
}

impl Default for DataverseIntegration {
    fn default() -> Self {
        Self::Word(DataverseWord::Follow)
    }
}

/// See [`DataverseIntegration`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum DataverseWord {
    /// The same as `finOpsMetadata`.
    Follow,
    /// Not integrated.
    None,
}

/// An integration that only Dataverse names.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct OwnIntegration {
    pub(crate) url: String,
    #[serde(default)]
    pub(crate) id: Option<String>,
    #[serde(default)]
    pub(crate) tenant_id: Option<String>,
}

/// A company that Dataverse knows; code and name may be doubled or blank, as in real life.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Company {
    pub(crate) code: String,
    pub(crate) name: String,
}

/// An application user of Dataverse.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ApplicationUser {
    pub(crate) application_id: String,
    #[serde(default)]
    pub(crate) is_disabled: bool,
}

/// An application package of an environment.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Package {
    pub(crate) version: String,
    /// A higher version that can be installed.
    #[serde(default)]
    pub(crate) available_version: Option<String>,
    #[serde(default = "none")]
    pub(crate) state: String,
    #[serde(default = "ten_minutes")]
    pub(crate) install_takes: Span,
    /// How its installs end, if not well.
    #[serde(default)]
    pub(crate) fails_with: Option<Failure>,
    /// How the service answers the install call.
    #[serde(default)]
    pub(crate) answer: InstallAnswer,
    #[serde(default)]
    pub(crate) localized_name: Option<String>,
    #[serde(default = "application")]
    pub(crate) application_name: String,
    #[serde(default = "publisher")]
    pub(crate) publisher_name: String,
    #[serde(default)]
    pub(crate) last_error: Option<Failure>,
    #[serde(default)]
    pub(crate) instance_package_id: Option<String>,
}

fn none() -> String {
    "None".to_owned()
}

fn ten_minutes() -> Span {
    Span::seconds(600)
}

fn application() -> String {
    "Dual-write".to_owned()
}

fn publisher() -> String {
    "Microsoft Dynamics 365".to_owned()
}

/// The three ways in which the install call has been seen to answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum InstallAnswer {
    /// 200 with an instance package whose `lastOperation` names the operation.
    #[default]
    OperationId,
    /// 202 with an `Operation-Location` header and an empty body.
    OperationLocation,
    /// 202 with neither.
    Bare,
}

/// What went wrong, in Microsoft's shape.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Failure {
    #[serde(default)]
    pub(crate) error_code: i64,
    #[serde(default)]
    pub(crate) error_name: String,
    pub(crate) message: String,
    #[serde(default)]
    pub(crate) source: String,
    #[serde(default)]
    pub(crate) status_code: u16,
    #[serde(rename = "type", default)]
    pub(crate) kind: String,
}

/// An operation in an environment; only one runs at a time.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Operation {
    /// The package that it installs; null for anything else that keeps an environment busy.
    #[serde(default)]
    pub(crate) package: Option<String>,
    /// The version that it installs.
    #[serde(default)]
    pub(crate) version: Option<String>,
    /// It replaces a version that is installed.
    #[serde(default)]
    pub(crate) update: bool,
    #[serde(default)]
    pub(crate) status: OperationStatus,
    #[serde(default)]
    pub(crate) status_message: Option<String>,
    #[serde(default)]
    pub(crate) error: Option<Failure>,
    pub(crate) created_at: Timestamp,
    /// When it goes from asked for to running.
    #[serde(default)]
    pub(crate) starts_at: Option<Timestamp>,
    /// When it ends; null: never by itself.
    #[serde(default)]
    pub(crate) ends_at: Option<Timestamp>,
    #[serde(default)]
    pub(crate) last_action_at: Option<Timestamp>,
}

/// The status of an operation [D].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum OperationStatus {
    #[default]
    NotStarted,
    Running,
    Succeeded,
    Failed,
    Canceled,
}

impl OperationStatus {
    pub(crate) const fn is_over(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Canceled)
    }
}
