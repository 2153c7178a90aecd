//! The parts of a status that say what was seen, and since when.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    maps::TableMap,
    messages,
    observed::{DataverseSays, Environment, Fact, Problem},
    picture::{Integration, Link, Mix, Picture, Setup},
    world::{World, after, sight},
};
use dualwrite_api::{
    DualWriteConnectionStatus, Reason,
    conditions::{self, ConditionType},
    connection::{
        Application, Check, Failure, FailureClass, MapAttention, Maps, ObservedDataverse,
        ObservedIntegration, ObservedLink, OperationSummary,
    },
    operation::{Action, MapState, Phase},
};

/// More companies cannot be linked [D].
const MOST_COMPANIES: usize = 250;

/// How many maps a status names.
const MOST_ATTENTION: usize = 20;

/// How long the error of a map is shown, in bytes: Microsoft's words, and what to do.
const LONGEST_ERROR: usize = 800;

const DAY: Duration = Duration::from_hours(24);

/// The parts of the status that say what was seen. What was not seen in this pass stays as it was.
pub(super) fn remember(picture: &Picture<'_>, checks: Vec<Check>) -> DualWriteConnectionStatus {
    let world = picture.world;
    let mut status = world.memory.clone();
    status.observed_generation = Some(world.desired.generation);
    status
        .last_handled_reconcile_at
        .clone_from(&world.desired.reconcile_at);
    status.credentials = world.credentials.to_vec();
    status.operation = newest(world);
    status.checks = checks;
    status.settling = world.remembered(world.memory.settling.as_ref()).cloned();
    status.waiting = world.remembered(world.memory.waiting.as_ref()).cloned();
    remember_integration(picture, &mut status);
    remember_dataverse(world, &mut status);
    remember_link(picture, &mut status);
    remember_sight(picture, &mut status);
    remember_maps(picture, &mut status);
    remember_mix(picture, &mut status);
    remember_applications(picture, &mut status);
    status
}

fn remember_integration(picture: &Picture<'_>, status: &mut DualWriteConnectionStatus) {
    let (Integration::Spec(environment) | Integration::Other(environment)) = picture.integration
    else {
        return;
    };
    let old = status.observed.integration.as_ref();
    let since = old
        .filter(|old| crate::desired::same_id(&old.environment_id, &environment.id))
        .map_or(picture.world.now, |old| old.since);
    status.observed.integration = Some(integration_of(environment, since));
}

fn integration_of(environment: &Environment, since: Timestamp) -> ObservedIntegration {
    let named = environment.finance_operations.as_ref();
    ObservedIntegration {
        environment_id: environment.id.clone(),
        environment_name: environment.name.clone(),
        dataverse_url: environment.dataverse_url.clone(),
        kind: named.map(|named| named.kind).unwrap_or_default(),
        lcs_environment_id: named.and_then(|named| named.lcs_environment_id.clone()),
        since,
    }
}

fn remember_dataverse(world: &World<'_>, status: &mut DualWriteConnectionStatus) {
    let Fact::Known(says) = &world.observed.dataverse else {
        return;
    };
    let url = match says {
        DataverseSays::IntegratedWith { url, .. } => Some(url.clone()),
        DataverseSays::NotIntegrated => None,
    };
    let since = status
        .observed
        .dataverse
        .as_ref()
        .filter(|old| old.finance_operations_url == url)
        .map_or(world.now, |old| old.since);
    status.observed.dataverse = Some(ObservedDataverse {
        finance_operations_url: url,
        since,
    });
}

/// A link that was seen stays in memory when it is seen no more: it is never made again by itself.
fn remember_link(picture: &Picture<'_>, status: &mut DualWriteConnectionStatus) {
    let Link::To(link) = picture.link else { return };
    let world = picture.world;
    let old = world.memory.observed.link.as_ref();
    let same = world.seen_before(link);
    status.observed.link = Some(ObservedLink {
        connection_set_id: link.connection_set_id.clone(),
        connection_set_name: link.connection_set_name.clone(),
        environment_id: link.environment_id.clone(),
        legal_entities: match &link.legal_entities {
            Some(read) => read.iter().take(MOST_COMPANIES).cloned().collect(),
            None => same
                .map(|old| old.legal_entities.clone())
                .unwrap_or_default(),
        },
        linked_by: linked_by(world, &link.environment_id, same),
        first_seen: old.map_or(world.now, |old| old.first_seen),
        since: same.map_or(world.now, |old| old.since),
    });
    status.admin_url = Some(crate::desired::admin_url(
        &world.desired.finance_operations_url,
    ));
}

/// What the host was seen with: kept for as long as it is not seen, and dropped when a read denies it. While what could deny
/// it does not answer, nothing is seen anew.
fn remember_sight(picture: &Picture<'_>, status: &mut DualWriteConnectionStatus) {
    if picture.is_host_denied() {
        status.observed.seen_with = None;
        return;
    }
    let is_named = matches!(
        picture.integration,
        Integration::Spec(_) | Integration::Other(_)
    );
    let is_linked = matches!(picture.link, Link::To(_)) && !is_unanswered(picture);
    if is_named || is_linked {
        let desired = picture.world.desired;
        status.observed.seen_with = Some(sight(
            desired.cloud,
            &desired.environment_id,
            &desired.credentials,
            desired.dual_write_service.as_ref(),
            &status.credentials,
        ));
    }
}

fn is_unanswered(picture: &Picture<'_>) -> bool {
    matches!(picture.integration, Integration::Unknown(problem) if !problem.is_for_a_person())
}

/// Who made a link, where this operator did: noted in the pass in which its operation brings the link, and kept for as long as the
/// link is the same. A reset makes the connections anew, in the name of whoever resets.
fn linked_by(world: &World<'_>, to: &str, same: Option<&ObservedLink>) -> Option<String> {
    let own = world.own_operations();
    let brings = own.first().filter(|operation| {
        let told = world.memory.operation.as_ref();
        let news = told.is_none_or(|told| {
            (&told.name, told.phase) != (&operation.name, Some(Phase::Succeeded))
        });
        let is_for = crate::desired::same_id(&operation.spec.target.environment_id, to);
        is_for
            && match (operation.spec.action, operation.status.phase) {
                (Action::Link | Action::Reset, Some(Phase::Running)) => same.is_none(),
                (Action::Link, Some(Phase::Succeeded)) => news && same.is_none(),
                (Action::Reset, Some(Phase::Succeeded)) => news,
                _ => false,
            }
    });
    match brings {
        Some(_) => world.observed.preflight.account.clone(),
        None => same.and_then(|same| same.linked_by.clone()),
    }
}

/// What the maps do. Of a link that is not there, or of which nothing is read, nothing is shown.
fn remember_maps(picture: &Picture<'_>, status: &mut DualWriteConnectionStatus) {
    match (picture.link, &picture.world.observed.maps) {
        (Link::To(_), Fact::Known(maps)) => status.maps = Some(counted(maps)),
        // Nobody will count them again before a person has mended that.
        (Link::To(_), Fact::Unknown(problem)) if problem.is_for_a_person() => status.maps = None,
        // What was counted belongs to the link that was seen then.
        (Link::To(link), Fact::Unknown(_)) if picture.world.seen_before(link).is_none() => {
            status.maps = None;
        }
        (Link::To(_) | Link::Unknown(_) | Link::NotSeen(..), _) => {}
        (Link::NotObserved | Link::Refused(_) | Link::Absent(_), _) => status.maps = None,
    }
}

fn counted(maps: &[TableMap]) -> Maps {
    let count = |state| {
        let of_state = maps.iter().filter(|map| map.state == state).count();
        u32::try_from(of_state).unwrap_or(u32::MAX)
    };
    let mut attention: Vec<MapAttention> = maps
        .iter()
        .filter(|map| {
            matches!(map.state, MapState::NotRunning | MapState::Other) || map.error.is_some()
        })
        .map(|map| MapAttention {
            name: map.name.clone(),
            state: map.state,
            error: map
                .error
                .as_deref()
                .map(|error| conditions::cut(error, LONGEST_ERROR)),
        })
        .collect();
    attention.sort_by(|one, other| one.name.cmp(&other.name));
    attention.dedup_by(|one, other| one.name == other.name);
    attention.truncate(MOST_ATTENTION);
    Maps {
        total: u32::try_from(maps.len()).unwrap_or(u32::MAX),
        running: count(MapState::Running),
        paused: count(MapState::Paused),
        stopped: count(MapState::Stopped) + count(MapState::None),
        not_running: count(MapState::NotRunning),
        attention,
    }
}

/// When a mix of sandbox and production was told last; it is told again every day.
fn remember_mix(picture: &Picture<'_>, status: &mut DualWriteConnectionStatus) {
    let now = picture.world.now;
    let told = status.mix_told_at;
    status.mix_told_at = match picture.mix {
        Mix::Seen { .. } => told.filter(|told| now < after(*told, DAY)).or(Some(now)),
        Mix::Remembered => told,
        Mix::None => None,
    };
}

fn remember_applications(picture: &Picture<'_>, status: &mut DualWriteConnectionStatus) {
    let Setup::Known(needed) = &picture.setup else {
        return;
    };
    let needed = needed.iter();
    status.applications = needed
        .map(|needed| match needed.package {
            Some(package) => Application {
                name: needed.name.to_owned(),
                state: package.state.word().to_owned(),
                version: package.version.clone(),
                available_version: package.available_version.clone(),
                error: package.error.clone(),
            },
            None => Application {
                name: needed.name.to_owned(),
                state: "NotListed".into(),
                ..Application::default()
            },
        })
        .collect();
}

pub(super) fn newest(world: &World<'_>) -> Option<OperationSummary> {
    let operation = *world.own_operations().first()?;
    Some(OperationSummary {
        name: operation.name.clone(),
        action: operation.spec.action,
        phase: operation.status.phase,
        step: operation.status.step.clone(),
    })
}

/// Reads that fail and heal by themselves. What a person must mend is said by its row instead.
pub(super) struct Outage<'a> {
    /// Since when, and in which generation; its beginning is kept, so that an outage is one write.
    pub(super) failure: Failure,
    /// The first read of this pass that failed.
    problem: &'a Problem,
    /// Whether it has lasted long enough to be said.
    pub(super) is_said: bool,
    /// Whether nothing that was seen before it is claimed any more.
    pub(super) is_too_old: bool,
}

impl<'a> Outage<'a> {
    pub(super) fn of(world: &World<'a>) -> Option<Self> {
        let problem = world.observed.problems().find(|problem| {
            matches!(
                problem.class,
                FailureClass::Transient | FailureClass::Unexpected
            )
        })?;
        let generation = world.desired.generation;
        let old = world.memory.failure.as_ref();
        let since = old
            .filter(|old| old.generation == generation)
            .map_or(world.now, |old| old.since);
        Some(Self {
            failure: Failure {
                since,
                class: problem.class,
                generation,
            },
            problem,
            is_said: world.now >= after(since, world.desired.interval),
            is_too_old: world.is_too_old(since),
        })
    }

    /// The first error's message stays for as long as the outage lasts, so that an outage is one write.
    pub(super) fn message(&self, world: &World<'_>) -> String {
        let said = conditions::find(&world.memory.conditions, ConditionType::Reconciling);
        let is_same = world.memory.failure.as_ref() == Some(&self.failure);
        said.filter(|said| is_same && said.reason == Reason::Retrying.as_ref())
            .map_or_else(
                || messages::retrying(self.failure.since, self.problem),
                |said| said.message.clone(),
            )
    }
}
