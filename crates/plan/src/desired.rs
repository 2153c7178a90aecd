//! What a `DualWriteConnection` asks for, parsed once so that the decisions need not know the notation of the spec.

use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use dualwrite_api::{
    CONFIRM_STOP, DualWriteConnection, RECONCILE_AT,
    connection::{
        Cloud, Credentials, DeletionPolicy, DualWriteService, LinkMethod, LinkObservation,
        Mismatch, Mode, SetupMethod,
    },
    values,
};

/// The application packages of dual-write when the spec names none.
///
/// Source: Microsoft Learn, dual-write setup [D].
pub const DEFAULT_APPLICATIONS: [&str; 2] = ["DualWriteCoreAnchor", "msdyn_DualWriteAppCoreAnchor"];

/// How long an approval is good for if nothing says so.
pub const APPROVAL_TIMEOUT: Duration = Duration::from_hours(24);

/// How long a value of `dualwrite.dev/reconcile-at` is kept as it is, in bytes: a date, a UUID or a name with room to spare.
const LONGEST_REQUEST: usize = 128;

/// A connection's wishes and who it is.
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a wish of its own, as the spec has it"
)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desired {
    /// The name of the resource.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its uid.
    pub uid: String,
    /// The generation of its spec.
    pub generation: i64,
    /// When it was created.
    pub created: Timestamp,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// The value of its annotation `dualwrite.dev/reconcile-at`, as [`request`] has it.
    pub reconcile_at: Option<String>,
    /// Manage or Observe.
    pub mode: Mode,
    /// Whether reading and acting are suspended.
    pub suspend: bool,
    /// How often the truth is read again, already raised to the operator's least.
    pub interval: Duration,
    /// The Microsoft cloud.
    pub cloud: Cloud,
    /// The address of the finance and operations environment, as written.
    pub finance_operations_url: String,
    /// Its host in lower case.
    pub host: String,
    /// The Lifecycle Services project.
    pub lcs_project_id: Option<String>,
    /// S: the id of the Power Platform environment.
    pub environment_id: String,
    /// The application identity.
    pub credentials: Credentials,
    /// The dual-write service.
    pub dual_write_service: Option<DualWriteService>,
    /// Who installs the application.
    pub setup_method: SetupMethod,
    /// Whether the terms are accepted.
    pub accept_terms: bool,
    /// The packages that must be installed.
    pub applications: Vec<String>,
    /// How long the installation may take.
    pub setup_timeout: Duration,
    /// Who makes the link.
    pub link_method: LinkMethod,
    /// Whether the link is to be seen.
    pub link_observation: LinkObservation,
    /// The companies of a link.
    pub legal_entities: Vec<String>,
    /// How long a link may take.
    pub link_timeout: Duration,
    /// How long waiting for a person is normal.
    pub manual_timeout: Duration,
    /// What to do about a linking mismatch.
    pub mismatch: Mismatch,
    /// What happens to the maps when the resource is deleted.
    pub deletion_policy: DeletionPolicy,
    /// Whether the annotation `dualwrite.dev/confirm-stop` names this very resource.
    pub confirms_stop: bool,
}

impl Desired {
    /// Reads the spec; `least_interval` is the operator's `--min-interval`.
    ///
    /// # Errors
    /// When the resource is not one that a real API server stores, or was stored under a looser schema; the text says
    /// what is wrong with it and what to write.
    pub fn from_resource(
        connection: &DualWriteConnection,
        least_interval: Duration,
    ) -> Result<Self, String> {
        let meta = &connection.metadata;
        let spec = &connection.spec;
        let host = values::host_of(&spec.finance_operations.url).ok_or_else(|| {
            format!(
                "financeOperations.url '{}' is not https:// and a host name; create the resource again with an address \
                 such as https://contoso-uat.sandbox.operations.dynamics.com",
                spec.finance_operations.url
            )
        })?;
        let duration =
            |text: &str, fallback: u64| values::parse_duration(text, Duration::from_secs(fallback));
        Ok(Self {
            name: meta.name.clone().unwrap_or_default(),
            namespace: meta.namespace.clone().unwrap_or_default(),
            uid: meta.uid.clone().unwrap_or_default(),
            generation: meta.generation.unwrap_or_default(),
            created: meta
                .creation_timestamp
                .as_ref()
                .map_or(Timestamp::UNIX_EPOCH, |time| time.0),
            deleting: meta.deletion_timestamp.is_some(),
            reconcile_at: meta
                .annotations
                .as_ref()
                .and_then(|all| all.get(RECONCILE_AT))
                .map(|value| request(value)),
            mode: spec.mode,
            suspend: spec.suspend,
            interval: duration(&spec.interval, 300).max(least_interval),
            cloud: spec.cloud,
            finance_operations_url: spec.finance_operations.url.trim_end_matches('/').to_owned(),
            host,
            lcs_project_id: spec.finance_operations.lcs_project_id.clone(),
            environment_id: spec.dataverse.environment_id.clone(),
            credentials: spec.credentials.clone(),
            dual_write_service: spec.dual_write_service.clone(),
            setup_method: spec.setup.method,
            accept_terms: spec.setup.accept_terms,
            applications: spec
                .setup
                .applications
                .clone()
                .unwrap_or_else(|| DEFAULT_APPLICATIONS.map(str::to_owned).to_vec()),
            setup_timeout: duration(&spec.setup.timeout, 90 * 60),
            link_method: spec.link.method,
            link_observation: spec.link.observe,
            legal_entities: spec.link.legal_entities.clone().unwrap_or_default(),
            link_timeout: duration(&spec.link.timeout, 15 * 60),
            manual_timeout: duration(&spec.link.manual_timeout, 7 * 24 * 3600),
            mismatch: spec.mismatch.clone(),
            deletion_policy: spec.deletion_policy,
            confirms_stop: meta.name.is_some()
                && meta
                    .annotations
                    .as_ref()
                    .and_then(|all| all.get(CONFIRM_STOP))
                    == meta.name.as_ref(),
        })
    }

    /// How long the approval of a plan is good for.
    pub fn approval_timeout(&self) -> Duration {
        values::parse_duration(&self.mismatch.approval_timeout, APPROVAL_TIMEOUT)
    }

    /// Whether an environment's id is S.
    pub fn is_spec_environment(&self, id: &str) -> bool {
        same_id(&self.environment_id, id)
    }

    /// The page of the environment in Lifecycle Services, where the project is known; otherwise of Lifecycle Services.
    pub fn lcs_page(&self) -> String {
        match &self.lcs_project_id {
            Some(project) => format!("https://lcs.dynamics.com/V2/ProjectOverview/{project}"),
            None => "https://lcs.dynamics.com".into(),
        }
    }
}

/// A value of `dualwrite.dev/reconcile-at` as it is compared and echoed: one of more than 128 bytes by its digest, because
/// an annotation may have 256 KiB. A digest is short enough to be its own.
pub fn request(value: &str) -> String {
    if value.len() <= LONGEST_REQUEST {
        return value.to_owned();
    }
    format!("sha256:{}", values::hex(&Sha256::digest(value)))
}

/// Whether two ids of environments are the same; Microsoft's answers differ in casing.
pub fn same_id(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

/// The dual-write administration area of a finance and operations environment.
///
/// The shape of this deep link is inferred [I]; it stands here and nowhere else.
pub fn admin_url(finance_operations_url: &str) -> String {
    format!("{finance_operations_url}/?mi=DualWriteWorkspace")
}
