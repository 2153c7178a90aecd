//! P: which environment Power Platform integration names, from what several sources say.

use crate::{
    observed::{DataverseSays, Environment, Fact, Problem, Readiness, Tenant},
    world::{Confirmation, Settling, World},
};

/// P, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Integration<'a> {
    /// P = S.
    Spec(&'a Environment),
    /// P = E, which is not S.
    Other(&'a Environment),
    /// Nothing is integrated: the list is complete, S names nothing, and its Dataverse says so too.
    None(Confirmation),
    /// The sources contradict each other.
    Disagree(Disagreement<'a>, Confirmation),
    /// No integration is visible, which does not prove that there is none; with what only a person can change about that.
    NotVisible(Option<&'a Problem>, Confirmation),
    /// It could not be read.
    Unknown(&'a Problem),
    /// The environment that names the host is being worked on.
    Busy(&'a Environment),
}

/// How sources contradict each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disagreement<'a> {
    /// Several environments name the host.
    SeveralEnvironments(Vec<&'a Environment>),
    /// The Power Platform says S, and S's Dataverse says something else: this address, or nothing.
    DataverseDenies(Option<&'a str>),
    /// The Power Platform does not say S, and S's Dataverse says that it is.
    DataverseAffirms,
    /// S's Dataverse names another finance and operations environment than this one, and the Power Platform none.
    DataverseNamesOther(&'a str),
}

impl<'a> Integration<'a> {
    pub(super) fn of(world: &'a World<'a>, is_linked: bool) -> Self {
        if let Fact::Unknown(problem) = &world.observed.environment {
            return Self::Unknown(problem);
        }
        match naming_host(world).as_slice() {
            [] => Self::unnamed(world, is_linked),
            [only] if world.desired.is_spec_environment(&only.id) => Self::named_spec(world, only),
            [only] => Self::named_other(world, only),
            several => Self::disagree(world, Disagreement::SeveralEnvironments(several.to_vec())),
        }
    }

    fn disagree(world: &World<'_>, how: Disagreement<'a>) -> Self {
        Self::Disagree(how, world.confirmation(Settling::SourcesDisagree))
    }

    fn named_spec(world: &'a World<'a>, environment: &'a Environment) -> Self {
        match &world.observed.dataverse {
            Fact::Known(DataverseSays::NotIntegrated) => {
                Self::disagree(world, Disagreement::DataverseDenies(None))
            }
            Fact::Known(DataverseSays::IntegratedWith { url, .. })
                if !is_named_by_dataverse(world) =>
            {
                Self::disagree(world, Disagreement::DataverseDenies(Some(url)))
            }
            Fact::Known(DataverseSays::IntegratedWith { .. }) | Fact::Unknown(_) => {
                Self::Spec(environment)
            }
        }
    }

    fn named_other(world: &'a World<'a>, environment: &'a Environment) -> Self {
        if is_named_by_dataverse(world) {
            return Self::disagree(world, Disagreement::DataverseAffirms);
        }
        match environment.readiness {
            // Disabled is no state that passes: what it names is what is integrated.
            Readiness::Ready | Readiness::Disabled => Self::Other(environment),
            Readiness::AdministrationMode | Readiness::Busy(_) => Self::Busy(environment),
        }
    }

    fn unnamed(world: &'a World<'a>, is_linked: bool) -> Self {
        let tenant = match &world.observed.tenant {
            Fact::Known(tenant) => tenant,
            Fact::Unknown(problem) => return Self::Unknown(problem),
        };
        let not_visible = |problem| {
            Self::NotVisible(problem, world.confirmation(Settling::IntegrationNotVisible))
        };
        match &world.observed.dataverse {
            Fact::Known(DataverseSays::IntegratedWith { .. }) if is_named_by_dataverse(world) => {
                Self::disagree(world, Disagreement::DataverseAffirms)
            }
            Fact::Known(DataverseSays::IntegratedWith { url, .. }) => {
                Self::disagree(world, Disagreement::DataverseNamesOther(url))
            }
            Fact::Known(DataverseSays::NotIntegrated) if proves_none(world, tenant) => {
                let what = if is_linked {
                    Settling::IntegrationNotSetUp
                } else {
                    Settling::NotIntegrated
                };
                Self::None(world.confirmation(what))
            }
            Fact::Known(DataverseSays::NotIntegrated) => not_visible(None),
            Fact::Unknown(problem) if problem.is_for_a_person() => not_visible(Some(problem)),
            Fact::Unknown(problem) => Self::Unknown(problem),
        }
    }

    /// Whether it could not be read: what was known of it stays until it is too old.
    pub const fn is_unread(&self) -> bool {
        match self {
            Self::Unknown(_) | Self::Busy(_) => true,
            Self::Spec(_)
            | Self::Other(_)
            | Self::None(_)
            | Self::Disagree(..)
            | Self::NotVisible(..) => false,
        }
    }
}

/// Whether the list shows that no environment names the host.
fn proves_none(world: &World<'_>, tenant: &Tenant) -> bool {
    let environment = world.environment();
    tenant.complete
        && environment.is_some_and(|environment| environment.finance_operations.is_none())
}

/// Whether any source names the host.
pub(super) fn is_host_named(world: &World<'_>) -> bool {
    !naming_host(world).is_empty() || is_named_by_dataverse(world)
}

/// Whether the environment of the spec belongs to another finance and operations environment, as it or its Dataverse says.
/// Then nothing else that this connection sees is a witness of the host.
pub(super) fn is_host_denied(world: &World<'_>) -> bool {
    let named = world.environment().and_then(Environment::named_host);
    let said = world
        .observed
        .dataverse
        .known()
        .and_then(|says| match says {
            DataverseSays::IntegratedWith { host, .. } => host.as_deref(),
            DataverseSays::NotIntegrated => None,
        });
    let mut hosts = named.into_iter().chain(said);
    hosts.any(|host| host != world.desired.host)
}

/// Every visible environment with a Dataverse that names the host, each once. One without a Dataverse is Lifecycle
/// Services' placeholder, not an integration.
fn naming_host<'a>(world: &'a World<'a>) -> Vec<&'a Environment> {
    let own = world.environment().filter(|environment| {
        environment.has_dataverse && environment.named_host() == Some(world.desired.host.as_str())
    });
    let listed = world.observed.tenant.known();
    let listed = listed.map(|tenant| tenant.naming_host.as_slice());
    let others = listed
        .unwrap_or_default()
        .iter()
        .filter(|listed| !world.desired.is_spec_environment(&listed.id));
    own.into_iter().chain(others).collect()
}

fn is_named_by_dataverse(world: &World<'_>) -> bool {
    matches!(&world.observed.dataverse, Fact::Known(DataverseSays::IntegratedWith { host: Some(host), .. })
        if *host == world.desired.host)
}
