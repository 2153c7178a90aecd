//! What is known of Microsoft's side.
//!
//! Unknown is not absent: whatever was not read, or could not be, is [`Fact::Unknown`] with the reason, and no
//! absence that an effect or an alarm rests on is taken from a single read.

use jiff::Timestamp;

pub use super::fact::{Fact, Problem};
use super::maps::{LinkDetails, TableMap};
use dualwrite_api::connection::IntegrationKind;

/// Everything that one pass has read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// When the oldest read that this rests on began.
    pub began: Timestamp,
    /// Whether the credentials are accepted.
    pub credentials: Fact<()>,
    /// S: the Power Platform environment of the spec.
    pub environment: Fact<SpecEnvironment>,
    /// The Power Platform environments that this application sees.
    pub tenant: Fact<Tenant>,
    /// D: what S's own Dataverse says.
    pub dataverse: Fact<DataverseSays>,
    /// The application packages in S.
    pub applications: Fact<Vec<Package>>,
    /// L: where dual-write is linked to.
    pub link: LinkView,
    /// The table maps of the link; not read where there is none.
    pub maps: Fact<Vec<TableMap>>,
    /// What else a reset would take away; read only where one could be planned.
    pub details: LinkDetails,
    /// What the checks before a link look at; it decides nothing.
    pub preflight: Preflight,
}

impl Observed {
    /// Everything that could not be read, in the order of the reads.
    pub fn problems(&self) -> impl Iterator<Item = &Problem> {
        let link = match &self.link {
            LinkView::Unknown(problem) => Some(problem),
            _ => None,
        };
        [
            self.credentials.problem(),
            self.environment.problem(),
            self.tenant.problem(),
            self.dataverse.problem(),
            self.applications.problem(),
            link,
            self.maps.problem(),
            self.details.connection_set.problem(),
            self.details.solutions.problem(),
            self.details.prerequisites.problem(),
        ]
        .into_iter()
        .flatten()
    }
}

/// What the Power Platform answers about the environment of the spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpecEnvironment {
    /// It is visible.
    Visible(Environment),
    /// There is none with this id that the application may see.
    NotFound,
}

/// A Power Platform environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// Its id.
    pub id: String,
    /// Its display name.
    pub name: String,
    /// Its type in Microsoft's words: Sandbox, Production, Trial, Developer, Default.
    pub kind: String,
    /// Whether it can be used.
    pub readiness: Readiness,
    /// Whether it has a Dataverse.
    pub has_dataverse: bool,
    /// The address of its Dataverse.
    pub dataverse_url: Option<String>,
    /// The first label of the Dataverse's host name.
    pub domain_name: Option<String>,
    /// The finance and operations environment that it is integrated with.
    pub finance_operations: Option<FinanceOperationsReference>,
}

impl Environment {
    /// Who manages the finance and operations environment that it names.
    pub fn integration_kind(&self) -> IntegrationKind {
        self.finance_operations
            .as_ref()
            .map(|named| named.kind)
            .unwrap_or_default()
    }

    /// The finance and operations host that it names, if it names one.
    pub fn named_host(&self) -> Option<&str> {
        self.finance_operations.as_ref()?.host.as_deref()
    }
}

/// The finance and operations environment that an environment names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinanceOperationsReference {
    /// Its host in lower case; `None` when the address cannot be read.
    pub host: Option<String>,
    /// Who manages it.
    pub kind: IntegrationKind,
    /// Its id in Lifecycle Services.
    pub lcs_environment_id: Option<String>,
}

/// Whether an environment can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It can.
    Ready,
    /// An administrator has put it into administration mode.
    AdministrationMode,
    /// It is disabled.
    Disabled,
    /// Something is being done to it, in Microsoft's words.
    Busy(String),
}

/// The environments that this application sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// Whether every page was read.
    pub complete: bool,
    /// How many environments are visible.
    pub visible: usize,
    /// Those with a Dataverse that name the finance and operations host.
    pub naming_host: Vec<Environment>,
    /// Where dual-write is linked to, if that environment is visible.
    pub linked: Option<Environment>,
}

/// What a Dataverse says about its own integration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataverseSays {
    /// It is integrated with the finance and operations environment at this address.
    IntegratedWith {
        /// The address as Dataverse gives it.
        url: String,
        /// Its host in lower case; `None` when the address cannot be read.
        host: Option<String>,
    },
    /// It is not integrated (0x80048d0b).
    NotIntegrated,
}

/// An application package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Its unique name.
    pub name: String,
    /// How far its installation is.
    pub state: PackageState,
    /// Its version.
    pub version: Option<String>,
    /// A newer version that could be installed.
    pub available_version: Option<String>,
    /// Microsoft's message about the last failure, with its code.
    pub error: Option<String>,
}

/// How far the installation of a package is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PackageState {
    /// It is not there.
    NotInstalled,
    /// It is installed.
    Installed,
    /// The last installation has failed.
    Failed,
    /// Something is being done to it, in Microsoft's words; also every state that nobody knows.
    InProgress(String),
}

impl PackageState {
    /// The state in Microsoft's words.
    pub fn word(&self) -> &str {
        match self {
            Self::NotInstalled => "NotInstalled",
            Self::Installed => "Installed",
            Self::Failed => "InstallFailed",
            Self::InProgress(word) => word,
        }
    }
}

/// What was read for the checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preflight {
    /// The users of dual-write's applications in the Dataverse of the spec; those that do not exist are missing.
    pub users: Fact<Vec<ApplicationUser>>,
    /// The companies in the Dataverse of the spec.
    pub companies: Fact<Companies>,
    /// The account that uses the dual-write service now.
    pub account: Option<String>,
}

impl Preflight {
    /// Nothing of it was read.
    pub fn unread(problem: &Problem) -> Self {
        Self {
            users: Fact::Unknown(problem.clone()),
            companies: Fact::Unknown(problem.clone()),
            account: None,
        }
    }
}

/// An application user of a Dataverse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplicationUser {
    /// The id of its application.
    pub application_id: String,
    /// Whether it is disabled.
    pub disabled: bool,
}

/// The companies of a Dataverse.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Companies {
    /// Those that were read.
    pub rows: Vec<Company>,
    /// Whether these are all.
    pub complete: bool,
}

/// A company.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Company {
    /// Its code; a blank one is none.
    pub code: Option<String>,
    /// Its name; a blank one is none.
    pub name: Option<String>,
}

/// L, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkView {
    /// It is not looked at: the spec gives no service, or asks not to.
    NotObserved,
    /// It could not be read.
    Unknown(Problem),
    /// The service names no link, but the finance and operations host did not answer, so this says nothing.
    HostDown(String),
    /// The service names no link, and the finance and operations host is up: absent once a second read agrees.
    Absent,
    /// Dual-write is linked.
    To(LinkFacts),
}

/// A link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkFacts {
    /// The id of the connection set.
    pub connection_set_id: String,
    /// The name of the connection set.
    pub connection_set_name: Option<String>,
    /// The Power Platform environment that it goes to.
    pub environment_id: String,
    /// The companies of the link, where they were read.
    pub legal_entities: Option<Vec<String>>,
}

/// Whether an environment is for production.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// It is.
    Production,
    /// It is not.
    Sandbox,
    /// It is a cloud-hosted development environment.
    Development,
    /// It is not known: counts as production for guards, and never as a mix.
    Unknown,
}

impl Tier {
    /// The tier of a finance and operations environment, by its host and, where it is unified, its environment's type.
    pub fn of_finance_operations(host: &str, unified: Option<&Environment>) -> Self {
        if let Some(environment) = unified {
            return Self::of_environment(environment);
        }
        let host = host.to_ascii_lowercase();
        if host.contains(".cloudax.") || host.contains(".axcloud.") {
            Self::Development
        } else if host.contains(".sandbox.") {
            Self::Sandbox
        } else if host.contains(".operations.") {
            Self::Production
        } else {
            Self::Unknown
        }
    }

    /// The tier of a Power Platform environment, by its type.
    pub fn of_environment(environment: &Environment) -> Self {
        match environment.kind.to_ascii_lowercase().as_str() {
            "production" => Self::Production,
            "sandbox" | "trial" | "developer" => Self::Sandbox,
            _ => Self::Unknown,
        }
    }

    /// Whether it is, or may be, production.
    pub const fn is_guarded(self) -> bool {
        matches!(self, Self::Production | Self::Unknown)
    }

    /// Whether one side is for production and the other is not, as far as both are known.
    pub const fn mixes_with(self, other: Self) -> bool {
        matches!(
            (self, other),
            (Self::Production, Self::Sandbox)
                | (Self::Sandbox | Self::Development, Self::Production)
        )
    }

    /// Whether both are for production, or both are not, and both are known.
    pub const fn agrees_with(self, other: Self) -> bool {
        matches!(
            (self, other),
            (Self::Production, Self::Production)
                | (
                    Self::Sandbox | Self::Development,
                    Self::Sandbox | Self::Development
                )
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_have_tiers() {
        let tier = |host| Tier::of_finance_operations(host, None);
        assert_eq!(
            tier("contoso-uat.sandbox.operations.dynamics.com"),
            Tier::Sandbox
        );
        assert_eq!(tier("contoso.operations.eu.dynamics.com"), Tier::Production);
        assert_eq!(tier("contosodev.cloudax.dynamics.com"), Tier::Development);
        assert_eq!(tier("contosodev.axcloud.dynamics.com"), Tier::Development);
        assert_eq!(tier("contoso.example"), Tier::Unknown);
    }

    #[test]
    fn the_unknown_never_mixes_and_never_agrees() {
        for tier in [
            Tier::Production,
            Tier::Sandbox,
            Tier::Development,
            Tier::Unknown,
        ] {
            assert!(!Tier::Unknown.mixes_with(tier) && !tier.mixes_with(Tier::Unknown));
            assert!(!Tier::Unknown.agrees_with(tier) && !tier.agrees_with(Tier::Unknown));
        }
        assert!(
            Tier::Production.mixes_with(Tier::Sandbox)
                && Tier::Sandbox.mixes_with(Tier::Production)
        );
    }
}
