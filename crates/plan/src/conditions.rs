//! What each condition says of the picture, whatever row of the table matches.

use super::{
    desired::same_id,
    lifetimes, messages,
    observed::{Fact, LinkFacts, Problem},
    picture::{Integration, Link, Mix, Picture, Setup, Spec, Stage},
    world::Settling,
};
use dualwrite_api::{
    Reason,
    conditions::{self, ConditionType, Says},
};

/// What a condition comes to by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it says, if this pass can: otherwise what was known stays.
    pub says: Option<Says>,
    /// Whether what it is about could not be read, so that what stays grows old. What only waits for a second read does not.
    pub is_unread: bool,
}

/// Finds what a condition says.
type Find = fn(&Picture<'_>) -> Finding;

/// The conditions that are about what was read: what each finds, and its reason where something else comes first.
#[rustfmt::skip] // A condition is a line.
pub const OBSERVED: [(ConditionType, Find, Reason); 5] = [
    (ConditionType::CredentialsValid, credentials, Reason::Observing),
    (ConditionType::PowerPlatformIntegrated, integrated, Reason::IntegrationNotVisible),
    (ConditionType::SetupComplete, setup, Reason::WaitingForIntegration),
    (ConditionType::Linked, linked, Reason::LinkNotSeen),
    (ConditionType::LinkingMismatch, mismatch, Reason::NotObservable),
];

impl Finding {
    const UNREAD: Self = Self {
        says: None,
        is_unread: true,
    };

    /// It was read, and says nothing before a second read agrees.
    const UNCONFIRMED: Self = Self {
        says: None,
        is_unread: false,
    };

    const fn of(says: Says) -> Self {
        Self {
            says: Some(says),
            is_unread: false,
        }
    }
}

fn credentials(picture: &Picture<'_>) -> Finding {
    let world = picture.world;
    match &world.observed.credentials {
        Fact::Known(()) => {
            let text = messages::authenticated(&lifetimes::warnings(world.credentials, world.now));
            Finding::of(Says::yes(Reason::Authenticated, text))
        }
        Fact::Unknown(problem) if problem.is_for_a_person() => Finding::of(Says::no(
            problem.reason.unwrap_or(Reason::CredentialRefused),
            problem.message.clone(),
        )),
        Fact::Unknown(_) => Finding::UNREAD,
    }
}

fn integrated(picture: &Picture<'_>) -> Finding {
    let desired = picture.world.desired;
    let says = match &picture.environment {
        Spec::Refused(problem) => Some(Says::unknown(
            Reason::AccessDenied,
            messages::access_denied(desired, problem),
        )),
        Spec::NotFound(confirmation) => confirmation.confirmed.then(|| {
            Says::no(
                Reason::EnvironmentNotFound,
                messages::environment_not_found(desired),
            )
        }),
        Spec::Unusable(environment) => Some(Says::no(
            Reason::EnvironmentUnusable,
            messages::environment_unusable(environment),
        )),
        Spec::Busy(environment) => Some(Says::unknown(
            Reason::EnvironmentBusy,
            messages::environment_busy(environment),
        )),
        Spec::WithOtherHost(environment, other) => Some(Says::no(
            Reason::IntegratedWithOther,
            messages::integrated_with_other(desired, environment, other),
        )),
        Spec::Unknown(_) => None,
        Spec::Usable(_) => integrated_per_sources(picture),
    };
    Finding {
        says,
        is_unread: picture.integration.is_unread(),
    }
}

fn integrated_per_sources(picture: &Picture<'_>) -> Option<Says> {
    let world = picture.world;
    match &picture.integration {
        Integration::Spec(environment) => {
            let confirmed = world.observed.dataverse.problem().map_or(Ok(()), Err);
            Some(Says::yes(
                Reason::Integrated,
                messages::integrated(world.desired, environment, confirmed),
            ))
        }
        Integration::Other(environment) => {
            let linked_to_spec = picture.was_linked_to_spec();
            Some(Says::no(
                Reason::IntegratedElsewhere,
                messages::integrated_elsewhere(world.desired, environment, linked_to_spec),
            ))
        }
        Integration::NotVisible(problem, confirmation) => confirmation.confirmed.then(|| {
            Says::unknown(
                Reason::IntegrationNotVisible,
                messages::integration_not_visible(world, *problem),
            )
        }),
        // Each of these rests on an absence or a contradiction, and is said by its row once a second read agrees.
        Integration::None(_)
        | Integration::Disagree(..)
        | Integration::Busy(_)
        | Integration::Unknown(_) => None,
    }
}

/// While it is not certain that S is gone, nothing is concluded from what is integrated instead.
const fn is_certain(environment: &Spec<'_>) -> bool {
    match environment {
        Spec::NotFound(confirmation) => confirmation.confirmed,
        Spec::Refused(_)
        | Spec::Unknown(_)
        | Spec::Unusable(_)
        | Spec::Busy(_)
        | Spec::WithOtherHost(..)
        | Spec::Usable(_) => true,
    }
}

fn setup(picture: &Picture<'_>) -> Finding {
    let is_unread = picture.integration.is_unread() || matches!(picture.setup, Setup::Unknown(_));
    let waits = |says: fn(Reason, String) -> Says| {
        is_certain(&picture.environment).then(|| {
            says(
                Reason::WaitingForIntegration,
                messages::waiting_for_integration(),
            )
        })
    };
    let says = match &picture.integration {
        Integration::Spec(environment) => {
            installed(&picture.setup, &messages::environment(environment))
        }
        Integration::Unknown(_) | Integration::Busy(_) => None,
        Integration::Other(_) => waits(Says::no),
        Integration::None(confirmation) | Integration::Disagree(_, confirmation) => {
            waits(Says::no).filter(|_| confirmation.confirmed)
        }
        Integration::NotVisible(_, confirmation) => {
            waits(Says::unknown).filter(|_| confirmation.confirmed)
        }
    };
    Finding { says, is_unread }
}

fn installed(setup: &Setup<'_>, with: &str) -> Option<Says> {
    let needed = match setup {
        Setup::Known(needed) => needed,
        Setup::Unknown(problem) => {
            return problem.is_for_a_person().then(|| {
                Says::unknown(
                    Reason::AccessDenied,
                    messages::applications_unknown(problem),
                )
            });
        }
    };
    Some(match Stage::of(needed) {
        Stage::InProgress => Says::no(
            Reason::Installing,
            messages::installing_elsewhere(needed, with),
        ),
        Stage::Failed => Says::no(
            Reason::InstallFailed,
            messages::install_failed(needed, with),
        ),
        Stage::Missing => Says::no(Reason::NotInstalled, messages::not_installed(needed, with)),
        Stage::Installed => Says::yes(Reason::Installed, messages::installed(needed)),
    })
}

fn linked(picture: &Picture<'_>) -> Finding {
    let text = match picture.link {
        Link::To(link) => {
            return Finding::of(without_maps(picture, linked_to(picture, link)));
        }
        Link::Unknown(_) | Link::NotSeen(..) => return Finding::UNREAD,
        Link::Absent(_) => return Finding::UNCONFIRMED,
        Link::NotObserved => messages::LINK_NOT_OBSERVED.into(),
        // The service has refused nobody: nobody could sign in to it.
        Link::Refused(_) if are_credentials_refused(picture) => {
            messages::LINK_NEEDS_CREDENTIALS.into()
        }
        Link::Refused(problem) => messages::link_refused(problem),
    };
    Finding::of(Says::unknown(Reason::LinkNotObservable, text))
}

fn are_credentials_refused(picture: &Picture<'_>) -> bool {
    let problem = picture.world.observed.credentials.problem();
    problem.is_some_and(Problem::is_for_a_person)
}

fn linked_to(picture: &Picture<'_>, link: &LinkFacts) -> Says {
    let world = picture.world;
    let to = messages::environment_or_id(
        world.visible_environment(&link.environment_id),
        &link.environment_id,
    );
    if !picture.is_linked_to_spec() {
        return Says::no(
            Reason::LinkedElsewhere,
            messages::linked_elsewhere(world.desired, &to),
        );
    }
    let actual = link.legal_entities.as_deref();
    let differing = differing_companies(&world.desired.legal_entities, actual);
    Says::yes(Reason::Linked, messages::linked(link, &to, differing))
}

/// What is linked is known, and its maps are not shown: nobody sees whether anything is passed on.
fn without_maps(picture: &Picture<'_>, mut says: Says) -> Says {
    let problem = picture.world.observed.maps.problem();
    if let Some(problem) = problem.filter(|problem| problem.is_for_a_person()) {
        says.message = format!("{} {}", says.message, messages::maps_refused(problem));
    }
    says
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

fn mismatch(picture: &Picture<'_>) -> Finding {
    match picture.link {
        Link::NotObserved | Link::Refused(_) => Finding::of(not_comparable()),
        Link::Unknown(_) | Link::NotSeen(..) => Finding::UNREAD,
        Link::Absent(confirmation) => {
            // Without integration it is that which is confirmed, and the link with it.
            let with_integration = picture.world.confirmation(Settling::NotIntegrated);
            if confirmation.confirmed || with_integration.confirmed {
                Finding::of(Says::no(Reason::NotLinked, messages::not_linked()))
            } else {
                Finding::UNCONFIRMED
            }
        }
        Link::To(link) => Finding {
            says: mismatch_of(picture, link),
            is_unread: picture.integration.is_unread(),
        },
    }
}

fn not_comparable() -> Says {
    Says::unknown(Reason::NotObservable, messages::mismatch_not_observable())
}

/// A mix is the worse news; the plain finding follows it.
fn mismatch_of(picture: &Picture<'_>, link: &LinkFacts) -> Option<Says> {
    let plain = compared(picture, link);
    match &picture.mix {
        // What was added to it stays, too, until this can be compared again.
        Mix::Seen { .. } if plain.is_none() && is_mix_said(picture, link) => None,
        Mix::Seen { host, linked } => {
            let mixed = messages::mix(picture.world.desired, *host, linked);
            let plain = plain.filter(|plain| plain.reason != Reason::Matched);
            let text = match plain {
                Some(plain) => format!("{mixed} {}", plain.message),
                None => mixed,
            };
            Some(Says::yes(Reason::SandboxProductionMix, text))
        }
        Mix::Remembered => None,
        Mix::None => plain,
    }
}

/// The link against the integration, whatever their tiers are.
fn compared(picture: &Picture<'_>, link: &LinkFacts) -> Option<Says> {
    let linked = picture.world.visible_environment(&link.environment_id);
    match &picture.integration {
        Integration::Spec(integrated) | Integration::Other(integrated) => {
            if same_id(&integrated.id, &link.environment_id) {
                return Some(Says::no(Reason::Matched, messages::matched()));
            }
            let to = messages::environment_or_id(linked, &link.environment_id);
            let text = messages::different_destination(&to, &messages::environment(integrated));
            Some(Says::yes(Reason::DifferentDestination, text))
        }
        Integration::NotVisible(_, confirmation) => {
            (confirmation.confirmed && is_certain(&picture.environment)).then(not_comparable)
        }
        // "Never set up" rests on an absence, and is said by its row once a second read agrees.
        Integration::None(_)
        | Integration::Disagree(..)
        | Integration::Unknown(_)
        | Integration::Busy(_) => None,
    }
}

/// Whether a mix of this very link is said already.
fn is_mix_said(picture: &Picture<'_>, link: &LinkFacts) -> bool {
    let world = picture.world;
    let said = conditions::find(&world.memory.conditions, ConditionType::LinkingMismatch);
    let is_mix = said.is_some_and(|said| said.reason == Reason::SandboxProductionMix.as_ref());
    is_mix && world.seen_before(link).is_some()
}
