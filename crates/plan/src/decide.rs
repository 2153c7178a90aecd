//! The decision table: one function a row, and the first that matches wins.
//!
//! A row reads the [`Picture`] and says one [`Verdict`]. It is changed in its function, its sentence in
//! [`super::messages`]; what every row shares stands in [`super::conditions`] and [`super::status`]. How row 16 comes to a
//! plan is in [`reset`].

mod reset;

use std::time::Duration;

use super::{
    checks,
    decision::Decision,
    desired::same_id,
    maps, messages,
    mix::{self, Stop},
    observed::{Environment, Fact, Problem, Tier},
    operation,
    picture::{Integration, Link, Mix, Needed, NotSeen, Picture, Setup, Spec, Stage},
    status,
    verdict::{Basis, Plans, Progress, Row, Verdict},
    world::{Claim, Confirmation, KnownOperation, World, after},
};
use dualwrite_api::{
    Reason,
    conditions::{ConditionType, Says},
    connection::{Check, LinkMethod, LinkObservation, MismatchPolicy, SetupMethod},
    operation::{Action, MapState, Phase},
};

/// A row's function: `None` when the row does not match.
type Match = fn(&Picture<'_>) -> Option<Verdict>;

/// What comes to the words of a row from elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlay {
    /// Nothing: it comes first.
    Nothing,
    /// The stop of a mix of sandbox and production comes before it.
    Stop,
    /// The same, but of a stop that has failed it speaks itself.
    StopUnlessFailed,
    /// That, and what is to be mended before a link can be made.
    StopAndChecks,
}

/// The table, in order.
#[rustfmt::skip] // A row is a line.
pub const TABLE: [(Row, Match, Overlay); 19] = [
    (Row::Occupied, occupied, Overlay::Nothing),
    (Row::Conflict, conflict, Overlay::Nothing),
    (Row::CredentialsRefused, credentials_refused, Overlay::Nothing),
    (Row::AccessRefused, access_refused, Overlay::Stop),
    (Row::IntegrationUnknown, environment_unknown, Overlay::Stop),
    (Row::EnvironmentUnusable, environment_unusable, Overlay::Stop),
    (Row::IntegratedWithOther, integrated_with_other, Overlay::Stop),
    (Row::SourcesDisagree, sources_disagree, Overlay::Stop),
    (Row::IntegrationUnknown, integration_unknown, Overlay::Stop),
    (Row::IntegratedElsewhere, integrated_elsewhere, Overlay::Stop),
    (Row::NotIntegrated, not_integrated, Overlay::StopAndChecks),
    (Row::LinkedWithoutIntegration, linked_without_integration, Overlay::Stop),
    (Row::OperationFailed, operation_failed, Overlay::StopUnlessFailed),
    (Row::SetupIncomplete, setup_incomplete, Overlay::StopAndChecks),
    (Row::NotLinked, not_linked, Overlay::StopAndChecks),
    (Row::LinkNotObserved, link_not_observed, Overlay::Stop),
    (Row::LinkUnknown, link_unknown, Overlay::Stop),
    (Row::Connected, connected, Overlay::Stop),
    (Row::LinkedElsewhere, linked_elsewhere, Overlay::Stop),
];

/// How long an environment may be busy, or the sources in disagreement, before somebody should look.
const LONG_ENOUGH: Duration = Duration::from_hours(3);

/// Decides what a connection's status says, and at most one thing to do.
pub fn decide(world: &World<'_>) -> Decision {
    if world.desired.suspend {
        return status::suspended(world);
    }
    let picture = Picture::of(world);
    let checks = checks::all(&picture);
    let (row, verdict) = first_match(&picture, &checks);
    status::fold(&picture, checks, row, &verdict)
}

/// The first row that matches, and what is said then.
fn first_match(picture: &Picture<'_>, checks: &[Check]) -> (Row, Verdict) {
    for (row, matches, overlay) in TABLE {
        if let Some(verdict) = matches(picture) {
            return (row, overlaid(picture, checks, overlay, verdict));
        }
    }
    // The rows are exhaustive (a property test holds them to it); should one be lost, nothing is done.
    let says = Says::unknown(Reason::Observing, messages::first_look());
    (
        Row::IntegrationUnknown,
        Verdict::last_known(says, OBSERVING),
    )
}

/// Where this pass has not seen what decides, nothing comes to it.
fn overlaid(
    picture: &Picture<'_>,
    checks: &[Check],
    overlay: Overlay,
    verdict: Verdict,
) -> Verdict {
    if verdict.basis != Basis::Seen {
        return verdict;
    }
    let stop = match overlay {
        Overlay::Nothing => return verdict,
        Overlay::Stop | Overlay::StopUnlessFailed | Overlay::StopAndChecks => mix::stop(picture),
    };
    match (overlay, stop) {
        (Overlay::StopUnlessFailed, Some(Stop::Failed(_))) => verdict,
        (Overlay::StopAndChecks, stop) => {
            with_failed_checks(checks, with_stop_of_a_mix(picture, stop, verdict))
        }
        (_, stop) => with_stop_of_a_mix(picture, stop, verdict),
    }
}

/// `mismatch.onMix: StopMaps`, over any row in which the operator may act: first the flow of data between test and
/// production is stopped, then the rest is seen to.
fn with_stop_of_a_mix(
    picture: &Picture<'_>,
    stop: Option<Stop<'_>>,
    mut verdict: Verdict,
) -> Verdict {
    let stalled = |reason, text| {
        let ready = Says::no(reason, "");
        (ready, Progress::Stalled(reason), Plans::Void, text)
    };
    let (ready, progress, plans, text) = match stop {
        None => return verdict,
        Some(Stop::NotBefore(due)) => {
            verdict.look_again = verdict.look_again.into_iter().chain([due]).min();
            return verdict;
        }
        Some(Stop::Plan(plan)) => {
            let text = messages::stopping_mixed(&operation::name(picture.world, &plan));
            let progress = Progress::Reconciling(Reason::StoppingMaps);
            (verdict.ready.clone(), progress, Plans::Want(plan), text)
        }
        Some(Stop::Failed(failed)) => {
            let reason = failed_reason(failed);
            stalled(reason, messages::operation_failed(failed, reason))
        }
        Some(Stop::Refused(problem)) => {
            let reason = problem.reason.unwrap_or(Reason::AccessDenied);
            stalled(reason, messages::cannot_stop_mixed(problem))
        }
    };
    let message = format!("{text} {}", verdict.ready.message);
    Verdict {
        ready: Says { message, ..ready },
        progress,
        plans,
        waiting: None,
        ..verdict
    }
}

/// The rows before a link also say what is to be mended first, as far as it can be seen from outside.
fn with_failed_checks(checks: &[Check], mut verdict: Verdict) -> Verdict {
    if let Some(text) = checks::to_mend(checks) {
        verdict.ready.message = format!("{} {text}", verdict.ready.message);
    }
    verdict
}

const OBSERVING: Progress = Progress::Reconciling(Reason::Observing);

/// A result that has to be confirmed: what was known last stays until a second read agrees.
fn confirmed(
    world: &World<'_>,
    confirmation: Confirmation,
    what: &str,
    verdict: impl FnOnce() -> Verdict,
) -> Verdict {
    if confirmation.confirmed {
        return verdict().resting_on(confirmation);
    }
    let due = after(confirmation.since, world.settings.settle);
    let says = Says::unknown(Reason::Observing, messages::confirming(what, due));
    Verdict::last_known(says, OBSERVING)
        .resting_on(confirmation)
        .looking_again(due)
}

// ---- row 0 ----

fn occupied(picture: &Picture<'_>) -> Option<Verdict> {
    let world = picture.world;
    let desired = world.desired;
    let is_own = |operation: &KnownOperation| operation.spec.connection.uid == desired.uid;
    let occupying = world.operations.iter().filter(|operation| {
        operation.spec.finance_operations_host == desired.host
            && operation.occupies_host()
            && picture.may_know_of(&operation.namespace)
    });
    let operation = occupying.min_by_key(|operation| !is_own(operation))?;
    let is_named = operation.namespace == desired.namespace;
    let verdict = if operation.status.phase == Some(Phase::Unknown) {
        let text = messages::outcome_unknown(operation, is_named);
        outcome_unknown(operation.spec.action, text)
    } else {
        let text = messages::under_way(operation, is_own(operation), is_named);
        let refused = reason_of(operation);
        under_way(picture, operation.spec.action, refused, text)
            .looking_again(after(world.now, world.settings.poll))
    };
    Some(verdict.keeping_plans())
}

fn outcome_unknown(action: Action, text: String) -> Verdict {
    let says = Says::unknown(Reason::OutcomeUnknown, text);
    let verdict = Verdict::stalled(Reason::OutcomeUnknown, says.message.clone());
    match condition_of(action) {
        Some(condition) => verdict.with(condition, says),
        None => verdict,
    }
}

/// `refused`: why the operation cannot go on before a person has mended something.
fn under_way(
    picture: &Picture<'_>,
    action: Action,
    refused: Option<Reason>,
    text: String,
) -> Verdict {
    let reason = match action {
        Action::Setup => Reason::Installing,
        Action::Link => Reason::Linking,
        Action::Reset => Reason::Resetting,
        Action::StopMaps => Reason::StoppingMaps,
    };
    let verdict = match refused {
        None => Verdict::reconciling(reason, reason, text),
        Some(refused) => Verdict::new(Says::no(reason, text), Progress::Stalled(refused)),
    };
    let is_reached = match action {
        Action::Setup => picture.setup.is_complete() == Some(true),
        Action::Link => picture.is_linked_to_spec(),
        // Link and mismatch are as they are seen, whatever becomes of the operation.
        Action::Reset | Action::StopMaps => true,
    };
    match condition_of(action).filter(|_| !is_reached) {
        Some(condition) => verdict.with_same(condition),
        None => verdict,
    }
}

/// The condition that an action is about.
const fn condition_of(action: Action) -> Option<ConditionType> {
    match action {
        Action::Setup => Some(ConditionType::SetupComplete),
        Action::Link | Action::Reset => Some(ConditionType::Linked),
        Action::StopMaps => None,
    }
}

// ---- rows 1 to 4 ----

fn conflict(picture: &Picture<'_>) -> Option<Verdict> {
    let world = picture.world;
    let desired = world.desired;
    let is_older = |claim: &&Claim| (claim.created, &claim.uid) < (desired.created, &desired.uid);
    let older = picture.managers().filter(is_older);
    let winner = older
        .min_by_key(|claim| (claim.created, claim.uid.clone()))
        .filter(|_| world.may_act())?;
    let text = messages::conflict(desired, winner);
    Some(Verdict::stalled(Reason::Conflict, text))
}

fn credentials_refused(picture: &Picture<'_>) -> Option<Verdict> {
    let problem = picture.world.observed.credentials.problem();
    let problem = problem.filter(|problem| problem.is_for_a_person())?;
    let reason = problem.reason.unwrap_or(Reason::CredentialRefused);
    Some(Verdict::stalled(reason, problem.message.clone()).keeping_plans())
}

fn access_refused(picture: &Picture<'_>) -> Option<Verdict> {
    let world = picture.world;
    match &picture.environment {
        Spec::Refused(problem) => {
            let text = messages::access_denied(world.desired, problem);
            Some(Verdict::stalled(Reason::AccessDenied, text).keeping_plans())
        }
        Spec::NotFound(confirmation) => {
            let text = messages::environment_not_found(world.desired);
            Some(confirmed(world, *confirmation, &text, || {
                Verdict::stalled(Reason::EnvironmentNotFound, text.clone())
            }))
        }
        Spec::Unknown(_)
        | Spec::Unusable(_)
        | Spec::Busy(_)
        | Spec::WithOtherHost(..)
        | Spec::Usable(_) => None,
    }
}

fn environment_unknown(picture: &Picture<'_>) -> Option<Verdict> {
    let Spec::Unknown(problem) = picture.environment else {
        return None;
    };
    Some(unknown(problem))
}

fn unknown(problem: &Problem) -> Verdict {
    let text = messages::first_look_failed(problem);
    Verdict::last_known(Says::unknown(Reason::Observing, text), OBSERVING)
}

// ---- rows 5 to 8 ----

fn environment_unusable(picture: &Picture<'_>) -> Option<Verdict> {
    match &picture.environment {
        Spec::Unusable(environment) => {
            let text = messages::environment_unusable(environment);
            Some(Verdict::stalled(Reason::EnvironmentUnusable, text))
        }
        Spec::Busy(environment) => {
            let reason = Reason::EnvironmentBusy;
            let text = messages::environment_busy(environment);
            Some(Verdict::reconciling(reason, reason, text).waiting_for(reason, LONG_ENOUGH))
        }
        Spec::Refused(_)
        | Spec::Unknown(_)
        | Spec::NotFound(_)
        | Spec::WithOtherHost(..)
        | Spec::Usable(_) => None,
    }
}

fn integrated_with_other(picture: &Picture<'_>) -> Option<Verdict> {
    let Spec::WithOtherHost(environment, other) = picture.environment else {
        return None;
    };
    let text = messages::integrated_with_other(picture.world.desired, environment, other);
    Some(Verdict::stalled(Reason::IntegratedWithOther, text))
}

fn sources_disagree(picture: &Picture<'_>) -> Option<Verdict> {
    let Integration::Disagree(how, confirmation) = &picture.integration else {
        return None;
    };
    let reason = Reason::SourcesDisagree;
    let text = messages::sources_disagree(picture.world.desired, how);
    Some(confirmed(picture.world, *confirmation, &text, || {
        let integrated = Says::unknown(reason, text.clone());
        Verdict::reconciling(reason, reason, text.clone())
            .with(ConditionType::PowerPlatformIntegrated, integrated)
            .waiting_for(reason, LONG_ENOUGH)
    }))
}

fn integration_unknown(picture: &Picture<'_>) -> Option<Verdict> {
    match &picture.integration {
        Integration::Unknown(problem) => Some(unknown(problem)),
        Integration::NotVisible(problem, confirmation) => {
            Some(not_visible(picture.world, *problem, *confirmation))
        }
        Integration::Busy(environment) => {
            let text = messages::environment_busy(environment);
            let says = Says::unknown(Reason::EnvironmentBusy, text);
            let progress = Progress::Reconciling(Reason::EnvironmentBusy);
            Some(Verdict::last_known(says, progress))
        }
        Integration::Spec(_)
        | Integration::Other(_)
        | Integration::None(_)
        | Integration::Disagree(..) => None,
    }
}

fn not_visible(
    world: &World<'_>,
    problem: Option<&Problem>,
    confirmation: Confirmation,
) -> Verdict {
    let reason = Reason::IntegrationNotVisible;
    let text = messages::integration_not_visible(world, problem);
    confirmed(world, confirmation, &text, || {
        let says = Says::unknown(reason, text.clone());
        Verdict::new(says, Progress::Reconciling(Reason::AwaitingPerson))
            .waiting_for(reason, world.desired.manual_timeout)
    })
}

fn integrated_elsewhere(picture: &Picture<'_>) -> Option<Verdict> {
    let Integration::Other(environment) = picture.integration else {
        return None;
    };
    let linked_to_spec = picture.was_linked_to_spec();
    let text = messages::integrated_elsewhere(picture.world.desired, environment, linked_to_spec);
    Some(Verdict::stalled(Reason::IntegratedElsewhere, text))
}

// ---- rows 9, 10, 10b ----

fn not_integrated(picture: &Picture<'_>) -> Option<Verdict> {
    let Integration::None(confirmation) = picture.integration else {
        return None;
    };
    let is_absent = match picture.link {
        Link::Absent(_) => true,
        Link::NotObserved | Link::Refused(_) => false,
        Link::Unknown(_) | Link::NotSeen(..) | Link::To(_) => return None,
    };
    let world = picture.world;
    let reason = Reason::NotIntegrated;
    let text = messages::not_integrated(world.desired, world.environment()?, picture.host_tier);
    Some(confirmed(world, confirmation, &text, || {
        let verdict = Verdict::reconciling(reason, Reason::AwaitingPerson, text.clone())
            .with_same(ConditionType::PowerPlatformIntegrated)
            .waiting_for(reason, world.desired.manual_timeout);
        if is_absent {
            waiting_for_setup(verdict, Says::no)
        } else {
            verdict
        }
    }))
}

/// Adds that a link has to wait for the dual-write application.
fn waiting_for_setup(verdict: Verdict, says: fn(Reason, String) -> Says) -> Verdict {
    let says = says(Reason::WaitingForSetup, messages::waiting_for_setup());
    verdict.with(ConditionType::Linked, says)
}

fn linked_without_integration(picture: &Picture<'_>) -> Option<Verdict> {
    let (Integration::None(confirmation), Link::To(link)) = (&picture.integration, picture.link)
    else {
        return None;
    };
    let world = picture.world;
    let linked = world.visible_environment(&link.environment_id);
    let to = messages::environment_or_id(linked, &link.environment_id);
    let remedy = remedy_a(picture, &link.environment_id);
    let text = messages::linked_without_integration(world.desired, &to, remedy);
    Some(confirmed(world, *confirmation, &text, || {
        let reason = Reason::IntegrationNotSetUp;
        let mismatch = match &picture.mix {
            Mix::Seen { host, linked } => {
                let mixed = messages::mix(world.desired, *host, linked);
                Says::yes(Reason::SandboxProductionMix, format!("{mixed} {text}"))
            }
            Mix::Remembered | Mix::None => Says::yes(reason, text.clone()),
        };
        let integrated = Says::no(Reason::NotIntegrated, text.clone());
        Verdict::stalled(reason, text.clone())
            .with(ConditionType::LinkingMismatch, mismatch)
            .with(ConditionType::PowerPlatformIntegrated, integrated)
    }))
}

/// Whether remedy A may be advised: it is permanent, so only for the very environment of the spec and never across tiers.
fn remedy_a(picture: &Picture<'_>, linked: &str) -> Result<(), &'static str> {
    let world = picture.world;
    let spec = world.environment();
    let spec_tier = spec.map_or(Tier::Unknown, Tier::of_environment);
    if !world.desired.is_spec_environment(linked) {
        Err("it is not the environment of the spec")
    } else if picture.host_tier == Tier::Development {
        Err("a cloud-hosted environment can be integrated only when it is deployed")
    } else if !picture.host_tier.agrees_with(spec_tier) {
        Err("it is not certain that both are production, or both are not")
    } else {
        Ok(())
    }
}

fn operation_failed(picture: &Picture<'_>) -> Option<Verdict> {
    let Integration::Spec(_) = picture.integration else {
        return None;
    };
    let world = picture.world;
    let mut failures = world.failed_stop().into_iter().chain(world.failure());
    let failed = failures.find(|failed| still_matters(picture, failed))?;
    let reason = failed_reason(failed);
    let verdict = Verdict::stalled(reason, messages::operation_failed(failed, reason));
    Some(match failed.spec.action {
        Action::Setup => verdict.with_same(ConditionType::SetupComplete),
        Action::Link => verdict.with_same(ConditionType::Linked),
        // Link and mismatch are as they are seen, whatever became of the operation.
        Action::Reset | Action::StopMaps => verdict,
    })
}

fn failed_reason(failed: &KnownOperation) -> Reason {
    let fallback = match failed.spec.action {
        Action::Setup => Reason::InstallFailed,
        Action::Link => Reason::LinkFailed,
        Action::Reset => Reason::ResetFailed,
        Action::StopMaps => Reason::MapsNotStopped,
    };
    reason_of(failed).unwrap_or(fallback)
}

fn reason_of(operation: &KnownOperation) -> Option<Reason> {
    operation.status.reason.as_deref()?.parse().ok()
}

/// A failed setup matters while setup is incomplete and nothing is linked; a failed link while it is not the link; a failed
/// reset until the maps run, or somebody has linked dual-write anew; a failed stop while there is something to stop.
fn still_matters(picture: &Picture<'_>, operation: &KnownOperation) -> bool {
    match operation.spec.action {
        Action::Setup => !picture.is_linked_to_spec() && picture.setup.is_complete() == Some(false),
        Action::Link => !picture.is_linked_to_spec(),
        Action::Reset => {
            let is_restored = picture.is_linked_to_spec() && maps_run(picture.world, operation);
            !is_restored && !has_moved_since(picture, operation)
        }
        Action::StopMaps => picture.mix.is_there() && picture.are_maps_stopped() != Some(true),
    }
}

/// Whether the link is neither the one that a reset was planned for, nor at its target.
fn has_moved_since(picture: &Picture<'_>, reset: &KnownOperation) -> bool {
    let Link::To(link) = picture.link else {
        return false;
    };
    !operation::changed_facts::is_link_of(&reset.spec.relies_on, link)
        && !same_id(&link.environment_id, &reset.spec.target.environment_id)
}

/// Whether the maps that ran before a reset run again. Those that have not come back are waited for only if something that
/// the plan promised is missing.
fn maps_run(world: &World<'_>, reset: &KnownOperation) -> bool {
    let Fact::Known(found) = &world.observed.maps else {
        return false;
    };
    let all_of_them = !reset.status.missing.is_empty();
    maps::to_start(&reset.spec.relies_on.maps).all(|planned| {
        let is_back = found.iter().any(|map| map.name == planned.name);
        let runs = [MapState::Running, MapState::Paused];
        maps::is_one_in(found, &planned.name, &runs) || !(is_back || all_of_them)
    })
}

// ---- rows 11 to 16: P = S ----

fn setup_incomplete(picture: &Picture<'_>) -> Option<Verdict> {
    let Integration::Spec(environment) = picture.integration else {
        return None;
    };
    let confirmation = match picture.link {
        Link::Absent(confirmation) => Some(confirmation),
        Link::NotObserved => None,
        Link::Refused(_) | Link::Unknown(_) | Link::NotSeen(..) | Link::To(_) => return None,
    };
    let needed = match &picture.setup {
        Setup::Known(needed) => needed,
        Setup::Unknown(problem) if problem.is_for_a_person() => {
            let text = messages::applications_unknown(problem);
            return Some(Verdict::stalled(Reason::AccessDenied, text));
        }
        Setup::Unknown(problem) => return Some(unknown(problem)),
    };
    let stage = Stage::of(needed);
    if stage == Stage::Installed {
        return None;
    }
    let verdict = || setup_verdict(picture, environment, needed, stage);
    Some(match confirmation {
        None => waiting_for_setup(verdict(), Says::unknown),
        Some(confirmation) => confirmed(
            picture.world,
            confirmation,
            &messages::no_link_seen(),
            || waiting_for_setup(verdict(), Says::no),
        ),
    })
}

fn setup_verdict(
    picture: &Picture<'_>,
    environment: &Environment,
    needed: &[Needed<'_>],
    stage: Stage,
) -> Verdict {
    let desired = picture.world.desired;
    let with = messages::environment(environment);
    let by_operator = desired.setup_method == SetupMethod::Install && desired.accept_terms;
    if by_operator && picture.world.may_act() {
        return installing(picture, environment, needed);
    }
    if stage == Stage::InProgress {
        return installing_elsewhere(picture.world, needed, &with);
    }
    let (reason, text) = match desired.setup_method {
        SetupMethod::Install if by_operator => {
            (Reason::NotInstalled, messages::would_install(needed, &with))
        }
        SetupMethod::Install => {
            let text = messages::terms_not_accepted(needed, &with);
            (Reason::TermsNotAccepted, text)
        }
        SetupMethod::Manual if stage == Stage::Failed => {
            let text = messages::install_failed(needed, &with);
            return Verdict::stalled(Reason::InstallFailed, text);
        }
        SetupMethod::Manual => {
            let kind = environment.integration_kind();
            let text = messages::awaiting_manual_setup(desired, needed, &with, kind);
            (Reason::AwaitingManualSetup, text)
        }
    };
    Verdict::reconciling(reason, Reason::AwaitingPerson, text)
        .with_same(ConditionType::SetupComplete)
        .waiting_for(reason, desired.manual_timeout)
}

/// The operator installs what is missing or not yet finished.
fn installing(picture: &Picture<'_>, environment: &Environment, needed: &[Needed<'_>]) -> Verdict {
    let unfinished = needed.iter().filter(|needed| !needed.is_installed());
    let unfinished = unfinished.map(|needed| needed.name.to_owned()).collect();
    let plan = operation::setup(picture, environment, unfinished);
    let text = messages::starting(Action::Setup, &operation::name(picture.world, &plan));
    Verdict::reconciling(Reason::Installing, Reason::Installing, text)
        .with_same(ConditionType::SetupComplete)
        .wanting(plan)
}

fn installing_elsewhere(world: &World<'_>, needed: &[Needed<'_>], with: &str) -> Verdict {
    let reason = Reason::Installing;
    let text = messages::installing_elsewhere(needed, with);
    Verdict::reconciling(reason, reason, text)
        .waiting_for(reason, world.desired.setup_timeout)
        .looking_again(after(world.now, world.settings.poll))
}

fn not_linked(picture: &Picture<'_>) -> Option<Verdict> {
    let (Integration::Spec(environment), Link::Absent(confirmation)) =
        (&picture.integration, picture.link)
    else {
        return None;
    };
    let what = messages::no_link_seen();
    Some(confirmed(picture.world, confirmation, &what, || {
        link_verdict(picture, environment)
    }))
}

fn link_verdict(picture: &Picture<'_>, environment: &Environment) -> Verdict {
    let world = picture.world;
    let desired = world.desired;
    let with = messages::environment(environment);
    let text = match desired.link_method {
        LinkMethod::Manual => {
            messages::awaiting_manual_link(desired, &with, environment.integration_kind())
        }
        LinkMethod::Service if !world.may_act() => messages::would_link(desired, &with),
        LinkMethod::Service => {
            let plan = operation::link(picture, environment);
            let text = messages::starting(Action::Link, &operation::name(world, &plan));
            return Verdict::reconciling(Reason::Linking, Reason::Linking, text)
                .with_same(ConditionType::Linked)
                .wanting(plan);
        }
    };
    let reason = Reason::AwaitingManualLink;
    Verdict::reconciling(reason, Reason::AwaitingPerson, text)
        .with_same(ConditionType::Linked)
        .waiting_for(reason, desired.manual_timeout)
}

fn link_not_observed(picture: &Picture<'_>) -> Option<Verdict> {
    let desired = picture.world.desired;
    let reason = Reason::LinkNotObservable;
    match picture.link {
        Link::Refused(problem) => {
            Some(Verdict::stalled(reason, messages::link_refused(problem)).keeping_plans())
        }
        Link::NotObserved if desired.link_observation == LinkObservation::Never => {
            let says = Says::yes(Reason::ConnectedLinkUnverified, messages::link_unverified());
            Some(Verdict::new(says, Progress::Settled))
        }
        Link::NotObserved => {
            let text = messages::link_not_observable(desired);
            Some(Verdict::stalled(reason, text))
        }
        Link::Unknown(_) | Link::NotSeen(..) | Link::Absent(_) | Link::To(_) => None,
    }
}

fn link_unknown(picture: &Picture<'_>) -> Option<Verdict> {
    match picture.link {
        Link::Unknown(problem) => {
            let text = messages::link_unknown(problem);
            Some(without_seeing_the_link(text, OBSERVING))
        }
        Link::NotSeen(why, confirmation) => Some(link_not_seen(picture.world, why, confirmation)),
        Link::NotObserved | Link::Refused(_) | Link::Absent(_) | Link::To(_) => None,
    }
}

fn link_not_seen(world: &World<'_>, why: NotSeen<'_>, confirmation: Confirmation) -> Verdict {
    let text = match why {
        NotSeen::HostDown(why) => messages::host_down(world.desired, why),
        NotSeen::SeenBefore(id) => messages::link_vanished(world.desired, id),
    };
    let verdict = without_seeing_the_link(text, Progress::Settled).resting_on(confirmation);
    Verdict {
        basis: Basis::LastKnownSince(confirmation.since),
        ..verdict
    }
}

fn without_seeing_the_link(text: String, progress: Progress) -> Verdict {
    let says = Says::unknown(Reason::LinkNotSeen, text);
    let mismatch = Says::unknown(Reason::NotObservable, messages::mismatch_not_observable());
    Verdict::last_known(says, progress)
        .with_same(ConditionType::Linked)
        .with(ConditionType::LinkingMismatch, mismatch)
}

fn connected(picture: &Picture<'_>) -> Option<Verdict> {
    let Integration::Spec(environment) = picture.integration else {
        return None;
    };
    let world = picture.world;
    picture.is_linked_to_spec().then(|| {
        let with = messages::environment(environment);
        let maps = world.observed.maps.known().map(Vec::as_slice);
        let text = messages::connected(world.desired, &with, maps);
        Verdict::new(Says::yes(Reason::Connected, text), Progress::Settled)
    })
}

fn linked_elsewhere(picture: &Picture<'_>) -> Option<Verdict> {
    let (Integration::Spec(environment), Link::To(link)) = (&picture.integration, picture.link)
    else {
        return None;
    };
    let world = picture.world;
    let from = world.visible_environment(&link.environment_id);
    let from = messages::environment_or_id(from, &link.environment_id);
    let to = messages::environment(environment);
    if world.desired.mismatch.policy == MismatchPolicy::Reset {
        return Some(reset::verdict(picture, environment, link, &from, &to));
    }
    let reason = Reason::DifferentDestination;
    let verdict = Verdict::stalled(reason, messages::remedy_reset(world.desired, &from, &to));
    // A mix is worse news than the difference, and has already been said of this condition.
    if picture.mix.is_there() {
        return Some(verdict);
    }
    let says = Says::yes(reason, verdict.ready.message.clone());
    Some(verdict.with(ConditionType::LinkingMismatch, says))
}
