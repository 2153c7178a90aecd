//! What each condition says of an observation, whatever row of the table matches.
//!
//! `None` means that this pass cannot say: what was known last stays.

use super::{
    messages, mix,
    observed::{Fact, LinkFacts, Package, PackageState, Readiness, SpecEnvironment},
    world::{Absence, Integration, Link, NotSeen, World},
};
use dualwrite_api::{
    Reason,
    conditions::{self, ConditionType, Says},
    connection::FailureClass,
};

/// Says what a condition is, if this pass can.
type Judge = fn(&World<'_>) -> Option<Says>;

/// The conditions that every pass judges, with their judges.
pub const OBSERVED: [(ConditionType, Judge); 5] = [
    (ConditionType::CredentialsValid, credentials),
    (ConditionType::PowerPlatformIntegrated, integrated),
    (ConditionType::SetupComplete, setup),
    (ConditionType::Linked, linked),
    (ConditionType::LinkingMismatch, mismatch),
];

/// Whether a condition says nothing because what it is about could not be read, and not because a second read is due.
pub fn is_unread(world: &World<'_>, kind: ConditionType) -> bool {
    let integration = match world.integration() {
        Integration::Unknown(_) | Integration::Busy(_) => true,
        Integration::NotVisible(problem) => {
            problem.is_some_and(|problem| !problem.is_for_a_person())
        }
        _ => false,
    };
    let link = matches!(world.link(), Link::Unknown(_) | Link::NotSeen(_));
    match kind {
        ConditionType::PowerPlatformIntegrated => integration,
        ConditionType::SetupComplete => {
            integration || world.observed.applications.problem().is_some()
        }
        ConditionType::Linked => link,
        ConditionType::LinkingMismatch => {
            link || (integration && matches!(world.link(), Link::To(_)))
        }
        _ => true,
    }
}

/// What a condition says that no pass could judge yet, because something else comes first.
pub fn not_judged(kind: ConditionType) -> Says {
    let reason = match kind {
        ConditionType::PowerPlatformIntegrated => Reason::IntegrationNotVisible,
        ConditionType::SetupComplete => Reason::WaitingForIntegration,
        ConditionType::Linked => Reason::LinkNotSeen,
        ConditionType::LinkingMismatch => Reason::NotObservable,
        _ => Reason::Observing,
    };
    Says::unknown(reason, messages::not_judged())
}

fn credentials(world: &World<'_>) -> Option<Says> {
    match &world.observed.credentials {
        Fact::Known(()) => Some(Says::yes(Reason::Authenticated, messages::authenticated())),
        Fact::Unknown(problem) if problem.class == FailureClass::NeedsPerson => Some(Says::no(
            problem.reason.unwrap_or(Reason::CredentialRefused),
            problem.message.clone(),
        )),
        Fact::Unknown(_) => None,
    }
}

fn integrated(world: &World<'_>) -> Option<Says> {
    match &world.observed.environment {
        Fact::Known(SpecEnvironment::NotFound) => {
            return world.settling(Absence::EnvironmentNotFound).1.then(|| {
                Says::no(
                    Reason::EnvironmentNotFound,
                    messages::environment_not_found(world.desired),
                )
            });
        }
        Fact::Unknown(problem) if problem.is_for_a_person() => {
            return Some(Says::unknown(
                Reason::AccessDenied,
                messages::access_denied(world.desired, problem),
            ));
        }
        Fact::Unknown(_) => return None,
        Fact::Known(SpecEnvironment::Visible(environment)) => {
            if !environment.has_dataverse || environment.readiness == Readiness::Disabled {
                return Some(Says::no(
                    Reason::EnvironmentUnusable,
                    messages::environment_unusable(environment),
                ));
            }
            if environment.readiness != Readiness::Ready {
                return Some(Says::unknown(
                    Reason::EnvironmentBusy,
                    messages::environment_busy(environment),
                ));
            }
            if let Some(other) = other_host(world) {
                let text = messages::integrated_with_other(world.desired, environment, &other);
                return Some(Says::no(Reason::IntegratedWithOther, text));
            }
        }
    }
    integrated_per_sources(world)
}

fn integrated_per_sources(world: &World<'_>) -> Option<Says> {
    let desired = world.desired;
    match world.integration() {
        Integration::Spec(environment) => {
            let confirmed = world.observed.dataverse.problem().map_or(Ok(()), Err);
            Some(Says::yes(
                Reason::Integrated,
                messages::integrated(desired, environment, confirmed),
            ))
        }
        Integration::Other(environment) => {
            let text =
                messages::integrated_elsewhere(desired, environment, world.was_linked_to_spec());
            Some(Says::no(Reason::IntegratedElsewhere, text))
        }
        Integration::NotVisible(problem) => not_visible(world, problem),
        // Each of these rests on an absence or a contradiction, and is said by its row once a second read agrees.
        Integration::None
        | Integration::Disagree(_)
        | Integration::Busy(_)
        | Integration::Unknown(_) => None,
    }
}

/// "Not visible" for a reason that heals by itself is a blip; anything else is said.
fn not_visible(world: &World<'_>, problem: Option<&super::observed::Problem>) -> Option<Says> {
    if problem.is_some_and(|problem| !problem.is_for_a_person()) || !world.integration_counts() {
        return None;
    }
    Some(Says::unknown(
        Reason::IntegrationNotVisible,
        integration_not_visible(world, problem),
    ))
}

/// The sentence for an integration that is not visible.
pub fn integration_not_visible(
    world: &World<'_>,
    problem: Option<&super::observed::Problem>,
) -> String {
    let (visible, complete) = world
        .observed
        .tenant
        .known()
        .map_or((0, false), |tenant| (tenant.visible, tenant.complete));
    messages::integration_not_visible(world.desired, visible, complete, problem)
}

/// The other finance and operations host that S names, if it names one.
pub fn other_host(world: &World<'_>) -> Option<String> {
    let named = world
        .environment()?
        .finance_operations
        .as_ref()?
        .host
        .clone()?;
    (named != world.desired.host).then_some(named)
}

fn setup(world: &World<'_>) -> Option<Says> {
    match world.integration() {
        Integration::Spec(environment) => setup_in(world, &messages::environment(environment)),
        Integration::Unknown(_) | Integration::Busy(_) => None,
        _ if !world.integration_counts() => None,
        Integration::NotVisible(Some(problem)) if !problem.is_for_a_person() => None,
        Integration::NotVisible(_) => Some(Says::unknown(
            Reason::WaitingForIntegration,
            messages::waiting_for_integration(),
        )),
        Integration::Other(_) | Integration::None | Integration::Disagree(_) => Some(Says::no(
            Reason::WaitingForIntegration,
            messages::waiting_for_integration(),
        )),
    }
}

fn setup_in(world: &World<'_>, with: &str) -> Option<Says> {
    let packages = match &world.observed.applications {
        Fact::Known(packages) => packages,
        Fact::Unknown(problem) if problem.is_for_a_person() => {
            return Some(Says::unknown(
                Reason::AccessDenied,
                messages::applications_unknown(problem),
            ));
        }
        Fact::Unknown(_) => return None,
    };
    let needed = Needed::of(world, packages);
    Some(if !needed.in_progress.is_empty() {
        Says::no(
            Reason::Installing,
            messages::installing_elsewhere(&needed.in_progress, with),
        )
    } else if !needed.failed.is_empty() {
        Says::no(
            Reason::InstallFailed,
            messages::install_failed(&needed.failed, with),
        )
    } else if !needed.missing.is_empty() {
        Says::no(
            Reason::NotInstalled,
            messages::not_installed(&needed.missing, with),
        )
    } else {
        let mut text = messages::installed(&needed.installed);
        if !needed.updates.is_empty() {
            text.push_str(&messages::updates(&needed.updates));
        }
        Says::yes(Reason::Installed, text)
    })
}

/// The packages that the spec asks for, by what became of them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Needed {
    /// Installed, with version.
    pub installed: Vec<String>,
    /// Being installed, with the state in Microsoft's words.
    pub in_progress: Vec<String>,
    /// Failed, with Microsoft's message.
    pub failed: Vec<String>,
    /// Not installed and not being installed, by name: missing or failed.
    pub missing: Vec<String>,
    /// Installed and outdated.
    pub updates: Vec<String>,
}

impl Needed {
    /// Sorts the packages that the spec asks for.
    pub fn of(world: &World<'_>, packages: &[Package]) -> Self {
        let mut needed = Self::default();
        for name in &world.desired.applications {
            match packages
                .iter()
                .find(|package| package.name.eq_ignore_ascii_case(name))
            {
                None => needed.missing.push(name.clone()),
                Some(package) => needed.sort(name, package),
            }
        }
        needed
    }

    fn sort(&mut self, name: &str, package: &Package) {
        match &package.state {
            PackageState::Installed => {
                let version = package
                    .version
                    .as_deref()
                    .map(|version| format!(" {version}"))
                    .unwrap_or_default();
                self.installed.push(format!("{name}{version}"));
                if let Some(newer) = &package.available_version {
                    self.updates.push(format!("{name} {newer}"));
                }
            }
            PackageState::InProgress(word) => self.in_progress.push(format!("{name} ({word})")),
            PackageState::NotInstalled => self.missing.push(name.to_owned()),
            PackageState::Failed => {
                let error = package
                    .error
                    .as_deref()
                    .unwrap_or("Microsoft gives no reason");
                self.failed.push(format!("{name}: {error}"));
                self.missing.push(name.to_owned());
            }
        }
    }
}

fn linked(world: &World<'_>) -> Option<Says> {
    match world.link() {
        Link::To(link) => {
            let to = messages::environment_or_id(
                world.visible_environment(&link.environment_id),
                &link.environment_id,
            );
            if !world.desired.is_spec_environment(&link.environment_id) {
                return Some(Says::no(
                    Reason::LinkedElsewhere,
                    messages::linked_elsewhere(world.desired, &to),
                ));
            }
            let differing = differing_companies(
                &world.desired.legal_entities,
                link.legal_entities.as_deref(),
            );
            Some(Says::yes(
                Reason::Linked,
                messages::linked(link, &to, differing),
            ))
        }
        Link::NotObserved => Some(Says::unknown(
            Reason::LinkNotObservable,
            "The link is not looked at; see the condition Ready.",
        )),
        // The service has refused nobody: nobody could sign in to it.
        Link::Refused(_) if are_credentials_refused(world) => Some(Says::unknown(
            Reason::LinkNotObservable,
            messages::LINK_NEEDS_CREDENTIALS,
        )),
        Link::Refused(problem) => Some(Says::unknown(
            Reason::LinkNotObservable,
            messages::link_refused(problem),
        )),
        Link::Unknown(_) | Link::NotSeen(_) | Link::Absent => None,
    }
}

fn are_credentials_refused(world: &World<'_>) -> bool {
    let problem = world.observed.credentials.problem();
    problem.is_some_and(super::observed::Problem::is_for_a_person)
}

/// The wanted and the actual companies, where they differ.
fn differing_companies<'a>(
    wanted: &'a [String],
    actual: Option<&'a [String]>,
) -> Option<(&'a [String], &'a [String])> {
    let actual = actual?;
    let normalised = |names: &[String]| {
        let mut names: Vec<_> = names.iter().map(|name| name.to_ascii_uppercase()).collect();
        names.sort();
        names.dedup();
        names
    };
    (!wanted.is_empty() && normalised(wanted) != normalised(actual)).then_some((wanted, actual))
}

fn mismatch(world: &World<'_>) -> Option<Says> {
    let link = match world.link() {
        Link::NotObserved | Link::Refused(_) => {
            return Some(Says::unknown(
                Reason::NotObservable,
                messages::mismatch_not_observable(),
            ));
        }
        Link::Unknown(_) | Link::NotSeen(_) => return None,
        Link::Absent => {
            let counts = [Absence::NotLinked, Absence::NotIntegrated]
                .into_iter()
                .any(|absence| world.settling(absence).1);
            return counts.then(|| Says::no(Reason::NotLinked, messages::not_linked()));
        }
        Link::To(link) => link,
    };
    let linked = world.visible_environment(&link.environment_id);
    let to = messages::environment_or_id(linked, &link.environment_id);
    let plain = match world.integration() {
        Integration::Spec(integrated) | Integration::Other(integrated) => {
            if super::desired::same_id(&integrated.id, &link.environment_id) {
                Some(Says::no(Reason::Matched, messages::matched()))
            } else {
                let text = messages::different_destination(&to, &messages::environment(integrated));
                Some(Says::yes(Reason::DifferentDestination, text))
            }
        }
        // "Never set up" rests on an absence, and is said by its row once a second read agrees.
        Integration::None
        | Integration::Disagree(_)
        | Integration::Unknown(_)
        | Integration::Busy(_) => None,
        Integration::NotVisible(Some(problem)) if !problem.is_for_a_person() => None,
        Integration::NotVisible(_) if !world.integration_counts() => None,
        Integration::NotVisible(_) => Some(Says::unknown(
            Reason::NotObservable,
            messages::mismatch_not_observable(),
        )),
    };
    match mix::says(world) {
        // What was added to it stays, too, until this can be judged again.
        Some(_) if plain.is_none() && is_mix_said(world, link) => None,
        Some(mixed) => Some(with_mix(mixed, plain)),
        None if mix::may_hold_on(world) => None,
        None => plain,
    }
}

/// Whether a mix of this very link is said already.
fn is_mix_said(world: &World<'_>, link: &LinkFacts) -> bool {
    let said = conditions::find(&world.memory.conditions, ConditionType::LinkingMismatch);
    let is_mix = said.is_some_and(|said| said.reason == Reason::SandboxProductionMix.as_ref());
    is_mix && world.seen_before(link).is_some()
}

/// A mix is the worse news; the plain finding follows it.
fn with_mix(mixed: Says, plain: Option<Says>) -> Says {
    match plain.filter(|plain| plain.reason != Reason::Matched) {
        Some(plain) => Says {
            message: format!("{} {}", mixed.message, plain.message),
            ..mixed
        },
        None => mixed,
    }
}

/// What to say of a link that is not seen.
pub fn not_seen(world: &World<'_>, why: &NotSeen<'_>) -> String {
    match why {
        NotSeen::HostDown(why) => messages::host_down(world.desired, why),
        NotSeen::SeenBefore(environment_id) => {
            messages::link_vanished(world.desired, environment_id)
        }
    }
}
