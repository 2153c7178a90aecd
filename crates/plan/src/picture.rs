//! What the world comes to, found out once: every row and every condition reads it here.
//!
//! S is the environment of the spec, P the integration per Power Platform, D what S's own Dataverse says, L the link,
//! and the host that of the finance and operations environment.

mod integration;
mod setup;

pub use integration::{Disagreement, Integration};
pub use setup::{Needed, Setup, Stage};

use super::{
    observed::{Environment, Fact, LinkFacts, LinkView, Problem, Readiness, SpecEnvironment, Tier},
    world::{Claim, Confirmation, Settling, World},
};
use dualwrite_api::connection::IntegrationKind;

/// What the world comes to.
#[derive(Clone, Debug)]
pub struct Picture<'a> {
    /// What it is made of.
    pub world: &'a World<'a>,
    /// S.
    pub environment: Spec<'a>,
    /// P.
    pub integration: Integration<'a>,
    /// The application packages that the spec asks for.
    pub setup: Setup<'a>,
    /// L.
    pub link: Link<'a>,
    /// Whether sandbox and production are mixed.
    pub mix: Mix<'a>,
    /// The tier of the finance and operations environment.
    pub host_tier: Tier,
}

/// S, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spec<'a> {
    /// The Power Platform refuses to show it, and only a person can change that.
    Refused(&'a Problem),
    /// It could not be read.
    Unknown(&'a Problem),
    /// It is not there for this application.
    NotFound(Confirmation),
    /// It has no Dataverse, or is disabled.
    Unusable(&'a Environment),
    /// It is being worked on.
    Busy(&'a Environment),
    /// It names another finance and operations host.
    WithOtherHost(&'a Environment, &'a str),
    /// It can be used.
    Usable(&'a Environment),
}

/// L, with what this resource remembers taken into account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link<'a> {
    /// It is not looked at.
    NotObserved,
    /// The service refuses to show it, and only a person can change that.
    Refused(&'a Problem),
    /// It could not be read.
    Unknown(&'a Problem),
    /// None is seen, and that proves nothing: the environment is stopped, or a link was seen before.
    NotSeen(NotSeen<'a>, Confirmation),
    /// None is seen.
    Absent(Confirmation),
    /// It is there.
    To(&'a LinkFacts),
}

/// Why an unseen link proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSeen<'a> {
    /// The finance and operations host does not answer.
    HostDown(&'a str),
    /// A link to this environment was seen before.
    SeenBefore(&'a str),
}

/// A sandbox that is linked with a production environment, or the other way round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mix<'a> {
    /// Both tiers are known, and they differ.
    Seen {
        /// That of the finance and operations environment.
        host: Tier,
        /// Where it is linked to.
        linked: &'a Environment,
    },
    /// It was told, the link is the same, and this pass could not read what it rests on.
    Remembered,
    /// None that anybody knows of.
    None,
}

impl<'a> Picture<'a> {
    /// Finds out what the world comes to.
    pub fn of(world: &'a World<'a>) -> Self {
        let link = Link::of(world);
        let integration = Integration::of(world, matches!(link, Link::To(_)));
        let host_tier = host_tier(world, &integration);
        Self {
            world,
            environment: Spec::of(world),
            setup: Setup::of(world),
            mix: Mix::of(world, &link, host_tier),
            integration,
            link,
            host_tier,
        }
    }

    /// Whether L = S.
    pub fn is_linked_to_spec(&self) -> bool {
        matches!(self.link, Link::To(link) if self.world.desired.is_spec_environment(&link.environment_id))
    }

    /// Whether L = S, as far as was ever seen: nobody is advised otherwise because the link is not seen just now.
    pub fn was_linked_to_spec(&self) -> bool {
        let remembered = self.world.memory.observed.link.as_ref();
        let linked_to = match self.link {
            Link::To(link) => Some(&link.environment_id),
            Link::NotObserved
            | Link::Refused(_)
            | Link::Unknown(_)
            | Link::NotSeen(..)
            | Link::Absent(_) => remembered.map(|link| &link.environment_id),
        };
        linked_to.is_some_and(|id| self.world.desired.is_spec_environment(id))
    }

    /// Whether every table map is stopped, so that nothing is passed on or queued; `None` when they could not be read.
    pub fn are_maps_stopped(&self) -> Option<bool> {
        let maps = self.world.observed.maps.known()?;
        Some(maps.iter().all(|map| map.state.is_stopped()))
    }

    /// What happens in another namespace is shown only to whom Microsoft shows the host too: otherwise anybody could find
    /// out which hosts are managed in the cluster, by naming them. Who does not see the host cannot act on it either.
    pub fn may_know_of(&self, namespace: &str) -> bool {
        namespace == self.world.desired.namespace || self.sees_host()
    }

    /// The other connections that manage the host, as far as this one may know of them.
    pub fn managers(&self) -> impl Iterator<Item = &'a Claim> {
        let others = self.world.rivals.iter();
        others.filter(|claim| {
            claim.uid != self.world.desired.uid && self.may_know_of(&claim.namespace)
        })
    }

    /// Whether this resource's own credentials show the host, now or earlier, and no other read denies it.
    pub fn sees_host(&self) -> bool {
        let is_shown = self.world.memory.observed.seen_with.is_some()
            || matches!(self.world.observed.link, LinkView::To(_))
            || integration::is_host_named(self.world);
        is_shown && !self.is_host_denied()
    }

    /// Whether the environment of the spec belongs to another host. Such a connection claims nothing, learns nothing of
    /// those who manage the host, and so must not act on it either.
    pub fn is_host_denied(&self) -> bool {
        integration::is_host_denied(self.world)
    }
}

impl<'a> Spec<'a> {
    fn of(world: &'a World<'a>) -> Self {
        let environment = match &world.observed.environment {
            Fact::Unknown(problem) if problem.is_for_a_person() => return Self::Refused(problem),
            Fact::Unknown(problem) => return Self::Unknown(problem),
            Fact::Known(SpecEnvironment::NotFound) => {
                return Self::NotFound(world.confirmation(Settling::EnvironmentNotFound));
            }
            Fact::Known(SpecEnvironment::Visible(environment)) => environment,
        };
        if !environment.has_dataverse {
            return Self::Unusable(environment);
        }
        match environment.readiness {
            Readiness::Disabled => Self::Unusable(environment),
            Readiness::AdministrationMode | Readiness::Busy(_) => Self::Busy(environment),
            Readiness::Ready => match environment.named_host() {
                Some(host) if host != world.desired.host => Self::WithOtherHost(environment, host),
                Some(_) | None => Self::Usable(environment),
            },
        }
    }
}

impl<'a> Link<'a> {
    fn of(world: &'a World<'a>) -> Self {
        let not_seen = |why| Self::NotSeen(why, world.confirmation(Settling::LinkNotSeen));
        match &world.observed.link {
            LinkView::NotObserved => Self::NotObserved,
            LinkView::Unknown(problem) if problem.is_for_a_person() => Self::Refused(problem),
            LinkView::Unknown(problem) => Self::Unknown(problem),
            LinkView::HostDown(why) => not_seen(NotSeen::HostDown(why)),
            LinkView::Absent => match &world.memory.observed.link {
                Some(seen) => not_seen(NotSeen::SeenBefore(&seen.environment_id)),
                None => Self::Absent(world.confirmation(Settling::NotLinked)),
            },
            LinkView::To(link) => Self::To(link),
        }
    }
}

impl<'a> Mix<'a> {
    fn of(world: &'a World<'a>, link: &Link<'a>, host: Tier) -> Self {
        let linked = match link {
            Link::To(link) => world.visible_environment(&link.environment_id),
            Link::NotObserved
            | Link::Refused(_)
            | Link::Unknown(_)
            | Link::NotSeen(..)
            | Link::Absent(_) => None,
        };
        match linked {
            Some(linked) if host.mixes_with(Tier::of_environment(linked)) => {
                Self::Seen { host, linked }
            }
            _ if world.memory.mix_told_at.is_some() && is_unread(world, link) => Self::Remembered,
            Some(_) | None => Self::None,
        }
    }

    /// Whether there is a mix, as far as anybody knows.
    pub const fn is_there(&self) -> bool {
        match self {
            Self::Seen { .. } | Self::Remembered => true,
            Self::None => false,
        }
    }
}

/// Whether this pass could not read what a mix rests on, while the link is the same as far as anybody knows.
fn is_unread(world: &World<'_>, link: &Link<'_>) -> bool {
    let observed = world.observed;
    match link {
        Link::To(link) => {
            let unread =
                observed.tenant.problem().is_some() || observed.environment.problem().is_some();
            unread && world.seen_before(link).is_some()
        }
        Link::Unknown(_) | Link::NotSeen(..) => true,
        Link::NotObserved | Link::Refused(_) | Link::Absent(_) => false,
    }
}

/// The host of a unified environment does not tell its tier: while nobody says that the environment is not unified, a host
/// that looks like production is no proof of it.
fn host_tier(world: &World<'_>, integration: &Integration<'_>) -> Tier {
    let host = &world.desired.host;
    let by_host = Tier::of_finance_operations(host, None);
    let remembered = world.memory.observed.integration.as_ref();
    match integration {
        Integration::Spec(environment)
        | Integration::Other(environment)
        | Integration::Busy(environment) => {
            let is_unified = environment.integration_kind() == IntegrationKind::Unified;
            Tier::of_finance_operations(host, is_unified.then_some(*environment))
        }
        _ if by_host != Tier::Production => by_host,
        Integration::None(_)
            if remembered.is_none_or(|seen| seen.kind == IntegrationKind::LifecycleServices) =>
        {
            by_host
        }
        Integration::None(_)
        | Integration::Disagree(..)
        | Integration::NotVisible(..)
        | Integration::Unknown(_) => Tier::Unknown,
    }
}
