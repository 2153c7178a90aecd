//! The decision table: one function a row, and the first that matches wins.
//!
//! A row is changed in its function, its sentence in [`super::messages`]; what every row shares stands in
//! [`super::conditions`] and [`super::assemble`]. How row 16 comes to a plan is in [`reset`].

mod reset;

use std::time::Duration;

use super::{
    assemble::{self, Decision},
    checks,
    conditions::{self as judge, Needed},
    maps, messages,
    mix::{self, Stop},
    observed::{Environment, Fact, Problem, Readiness, SpecEnvironment, Tier},
    operation,
    verdict::{LastKnown, Outcome, Progress, Row, Verdict},
    world::{Absence, Claim, Integration, KnownOperation, Link, World, after},
};
use dualwrite_api::{
    Reason,
    conditions::{ConditionType, Says},
    connection::{LinkMethod, LinkObservation, MismatchPolicy, SetupMethod},
    operation::{Action, MapState, Phase},
};

/// A row's function: `None` when the row does not match.
type Judge = fn(&World<'_>) -> Option<Outcome>;

/// The table, in order.
pub const TABLE: [(Row, Judge); 19] = [
    (Row::Occupied, occupied),
    (Row::Conflict, conflict),
    (Row::CredentialsRefused, credentials_refused),
    (Row::AccessRefused, access_refused),
    (Row::IntegrationUnknown, environment_unknown),
    (Row::EnvironmentUnusable, environment_unusable),
    (Row::IntegratedWithOther, integrated_with_other),
    (Row::SourcesDisagree, sources_disagree),
    (Row::IntegrationUnknown, integration_unknown),
    (Row::IntegratedElsewhere, integrated_elsewhere),
    (Row::NotIntegrated, not_integrated),
    (Row::LinkedWithoutIntegration, linked_without_integration),
    (Row::OperationFailed, operation_failed),
    (Row::SetupIncomplete, setup_incomplete),
    (Row::NotLinked, not_linked),
    (Row::LinkNotObserved, link_not_observed),
    (Row::LinkUnknown, link_unknown),
    (Row::Connected, connected),
    (Row::LinkedElsewhere, linked_elsewhere),
];

/// How long an environment may be busy, or the sources in disagreement, before somebody should look.
const LONG_ENOUGH: Duration = Duration::from_hours(3);

/// Decides what a connection's status says, and at most one thing to do.
pub fn decide(world: &World<'_>) -> Decision {
    if world.desired.suspend {
        return assemble::suspended(world);
    }
    let (row, outcome) = first_match(world);
    let outcome = with_failed_checks(world, row, with_stop_of_a_mix(world, row, outcome));
    assemble::decision(world, row, outcome)
}

/// `mismatch.onMix: StopMaps`, over any row in which the operator may act: first the flow of data between test and
/// production is stopped, then the rest is seen to.
fn with_stop_of_a_mix(world: &World<'_>, row: Row, outcome: Outcome) -> Outcome {
    let is_free = !matches!(
        row,
        Row::Occupied | Row::Conflict | Row::CredentialsRefused | Row::OperationFailed
    );
    let Outcome::Says(mut verdict) = outcome else {
        return outcome;
    };
    let stop = mix::stop(world).filter(|_| is_free);
    let (ready, progress, text) = match &stop {
        None => return Outcome::Says(verdict),
        Some(Stop::NotBefore(due)) => {
            verdict.look_again = verdict.look_again.into_iter().chain([*due]).min();
            return Outcome::Says(verdict);
        }
        Some(Stop::Plan(plan)) => (
            verdict.ready.clone(),
            Progress::Reconciling(Reason::StoppingMaps),
            messages::stopping_mixed(&operation::name(world, plan)),
        ),
        Some(Stop::Failed(failed)) => {
            let reason = failed_reason(failed);
            let text = messages::operation_failed(failed, reason);
            (Says::no(reason, ""), Progress::Stalled(reason), text)
        }
    };
    verdict.ready = Says {
        message: format!("{text} {}", verdict.ready.message),
        ..ready
    };
    verdict.progress = progress;
    verdict.waiting = None;
    verdict.keeps_plans = false;
    verdict.wants = match stop {
        Some(Stop::Plan(plan)) => Some(*plan),
        _ => None,
    };
    Outcome::Says(verdict)
}

/// The rows before a link also say what is to be mended first, as far as it can be seen from outside.
fn with_failed_checks(world: &World<'_>, row: Row, outcome: Outcome) -> Outcome {
    let is_before_a_link = matches!(
        row,
        Row::NotIntegrated | Row::SetupIncomplete | Row::NotLinked
    );
    let Outcome::Says(mut verdict) = outcome else {
        return outcome;
    };
    if let Some(text) = checks::to_mend(world).filter(|_| is_before_a_link) {
        verdict.ready.message = format!("{} {text}", verdict.ready.message);
    }
    Outcome::Says(verdict)
}

/// The first row that matches, and what it says.
pub fn first_match(world: &World<'_>) -> (Row, Outcome) {
    TABLE
        .iter()
        .find_map(|(row, judge)| judge(world).map(|outcome| (*row, outcome)))
        // The rows are exhaustive (a property test holds them to it); should one be lost, nothing is done.
        .unwrap_or_else(|| {
            (
                Row::IntegrationUnknown,
                LastKnown::new(first_look(), OBSERVING).into(),
            )
        })
}

const OBSERVING: Progress = Progress::Reconciling(Reason::Observing);

fn first_look() -> Says {
    Says::unknown(Reason::Observing, messages::first_look())
}

/// A result that rests on an absence: what was known last stays until a second read agrees.
fn confirmed(
    world: &World<'_>,
    absence: Absence,
    what: &str,
    verdict: impl FnOnce() -> Verdict,
) -> Outcome {
    let (since, confirmed) = world.settling(absence);
    if confirmed {
        return verdict().resting_on(absence, since).into();
    }
    let due = after(since, world.settings.settle);
    let mut last = LastKnown::new(
        Says::unknown(Reason::Observing, messages::confirming(what, due)),
        OBSERVING,
    );
    last.settling = Some((absence, since));
    last.look_again = Some(due);
    last.into()
}

/// What happens in another namespace is shown only to whom Microsoft shows the host too: otherwise anybody could find out
/// which hosts are managed in the cluster, by naming them. Who does not see the host cannot act on it either.
fn may_know_of(world: &World<'_>, namespace: &str) -> bool {
    namespace == world.desired.namespace || world.sees_host()
}

// ---- row 0 ----

fn occupied(world: &World<'_>) -> Option<Outcome> {
    let host = &world.desired.host;
    let mut occupying: Vec<&KnownOperation> = world
        .operations
        .iter()
        .filter(|operation| {
            operation.spec.finance_operations_host == *host
                && operation.occupies_host()
                && may_know_of(world, &operation.namespace)
        })
        .collect();
    occupying.sort_by_key(|operation| operation.spec.connection.uid != world.desired.uid);
    let operation = occupying.first()?;
    let mine = operation.spec.connection.uid == world.desired.uid;
    let shown = operation.namespace == world.desired.namespace;
    let action = operation.spec.action;
    if operation.status.phase == Some(Phase::Unknown) {
        let text = messages::outcome_unknown(operation, shown);
        let says = Says::unknown(Reason::OutcomeUnknown, text);
        let verdict = Verdict::stalled(Reason::OutcomeUnknown, says.message.clone());
        let about = condition_of(action).into_iter();
        let verdict = about.fold(verdict, |verdict, kind| verdict.with(kind, says.clone()));
        return Some(verdict.into());
    }
    let reason = under_way_reason(action);
    let mut verdict =
        Verdict::reconciling(reason, reason, messages::under_way(operation, mine, shown));
    if let (Action::Setup | Action::Link, Some(condition)) = (action, condition_of(action))
        && !reached(world, action)
    {
        verdict = verdict.with_same(condition);
    }
    verdict.look_again = Some(after(world.now, world.settings.poll));
    Some(verdict.into())
}

/// The reason while an action is under way.
const fn under_way_reason(action: Action) -> Reason {
    match action {
        Action::Setup => Reason::Installing,
        Action::Link => Reason::Linking,
        Action::Reset => Reason::Resetting,
        Action::StopMaps => Reason::StoppingMaps,
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

/// Whether the observation already shows what an action is for.
fn reached(world: &World<'_>, action: Action) -> bool {
    match action {
        Action::Setup => world.setup_complete() == Some(true),
        Action::Link | Action::Reset => world.is_linked_to_spec(),
        Action::StopMaps => world
            .maps_that_pass_on()
            .is_some_and(|maps| maps.is_empty()),
    }
}

// ---- rows 1 to 4 ----

fn conflict(world: &World<'_>) -> Option<Outcome> {
    let desired = world.desired;
    let older = |claim: &&Claim| {
        claim.uid != desired.uid && (claim.created, &claim.uid) < (desired.created, &desired.uid)
    };
    let winner = world
        .rivals
        .iter()
        .filter(|claim| older(claim) && may_know_of(world, &claim.namespace))
        .min_by_key(|claim| (claim.created, claim.uid.clone()))?;
    if !world.may_act() {
        return None;
    }
    let name = (winner.namespace == desired.namespace).then_some(winner.name.as_str());
    Some(Verdict::stalled(Reason::Conflict, messages::conflict(&desired.host, name)).into())
}

fn credentials_refused(world: &World<'_>) -> Option<Outcome> {
    let problem = world
        .observed
        .credentials
        .problem()
        .filter(|problem| problem.is_for_a_person())?;
    let reason = problem.reason.unwrap_or(Reason::CredentialRefused);
    Some(Verdict::stalled(reason, problem.message.clone()).into())
}

fn access_refused(world: &World<'_>) -> Option<Outcome> {
    match &world.observed.environment {
        Fact::Unknown(problem) if problem.is_for_a_person() => Some(
            Verdict::stalled(
                Reason::AccessDenied,
                messages::access_denied(world.desired, problem),
            )
            .keeping_plans()
            .into(),
        ),
        Fact::Known(SpecEnvironment::NotFound) => {
            let text = messages::environment_not_found(world.desired);
            Some(confirmed(
                world,
                Absence::EnvironmentNotFound,
                &text,
                || Verdict::stalled(Reason::EnvironmentNotFound, text.clone()),
            ))
        }
        Fact::Unknown(_) | Fact::Known(SpecEnvironment::Visible(_)) => None,
    }
}

fn environment_unknown(world: &World<'_>) -> Option<Outcome> {
    let problem = world.observed.environment.problem()?;
    Some(unknown(problem))
}

fn unknown(problem: &Problem) -> Outcome {
    LastKnown::new(
        Says::unknown(Reason::Observing, messages::first_look_failed(problem)),
        OBSERVING,
    )
    .into()
}

// ---- rows 5 to 8 ----

fn environment_unusable(world: &World<'_>) -> Option<Outcome> {
    let environment = world.environment()?;
    if !environment.has_dataverse || environment.readiness == Readiness::Disabled {
        let text = messages::environment_unusable(environment);
        return Some(Verdict::stalled(Reason::EnvironmentUnusable, text).into());
    }
    if environment.readiness == Readiness::Ready {
        return None;
    }
    let text = messages::environment_busy(environment);
    let verdict = Verdict::reconciling(Reason::EnvironmentBusy, Reason::EnvironmentBusy, text);
    Some(
        verdict
            .waiting_for(Reason::EnvironmentBusy, LONG_ENOUGH)
            .into(),
    )
}

fn integrated_with_other(world: &World<'_>) -> Option<Outcome> {
    let environment = world.environment()?;
    let other = judge::other_host(world)?;
    let text = messages::integrated_with_other(world.desired, environment, &other);
    Some(Verdict::stalled(Reason::IntegratedWithOther, text).into())
}

fn sources_disagree(world: &World<'_>) -> Option<Outcome> {
    let Integration::Disagree(how) = world.integration() else {
        return None;
    };
    let text = messages::sources_disagree(world.desired, &how);
    Some(confirmed(world, Absence::SourcesDisagree, &text, || {
        Verdict::reconciling(
            Reason::SourcesDisagree,
            Reason::SourcesDisagree,
            text.clone(),
        )
        .with(
            ConditionType::PowerPlatformIntegrated,
            Says::unknown(Reason::SourcesDisagree, text.clone()),
        )
        .waiting_for(Reason::SourcesDisagree, LONG_ENOUGH)
    }))
}

fn integration_unknown(world: &World<'_>) -> Option<Outcome> {
    match world.integration() {
        Integration::Unknown(problem) => Some(unknown(problem)),
        Integration::NotVisible(Some(problem)) if !problem.is_for_a_person() => {
            Some(unknown(problem))
        }
        Integration::NotVisible(problem) => {
            let text = judge::integration_not_visible(world, problem);
            Some(confirmed(
                world,
                Absence::IntegrationNotVisible,
                &text,
                || {
                    Verdict::new(
                        Says::unknown(Reason::IntegrationNotVisible, text.clone()),
                        Progress::Reconciling(Reason::AwaitingPerson),
                    )
                    .waiting_for(Reason::IntegrationNotVisible, world.desired.manual_timeout)
                },
            ))
        }
        Integration::Busy(environment) => {
            let says = Says::unknown(
                Reason::EnvironmentBusy,
                messages::environment_busy(environment),
            );
            Some(LastKnown::new(says, Progress::Reconciling(Reason::EnvironmentBusy)).into())
        }
        Integration::Spec(_)
        | Integration::Other(_)
        | Integration::None
        | Integration::Disagree(_) => None,
    }
}

fn integrated_elsewhere(world: &World<'_>) -> Option<Outcome> {
    let Integration::Other(environment) = world.integration() else {
        return None;
    };
    let text =
        messages::integrated_elsewhere(world.desired, environment, world.was_linked_to_spec());
    Some(Verdict::stalled(Reason::IntegratedElsewhere, text).into())
}

// ---- rows 9, 10, 10b ----

fn not_integrated(world: &World<'_>) -> Option<Outcome> {
    if world.integration() != Integration::None {
        return None;
    }
    if !matches!(
        world.link(),
        Link::Absent | Link::NotObserved | Link::Refused(_)
    ) {
        return None;
    }
    let text = messages::not_integrated(world.desired, world.environment()?, world.host_tier());
    Some(confirmed(world, Absence::NotIntegrated, &text, || {
        let verdict =
            Verdict::reconciling(Reason::NotIntegrated, Reason::AwaitingPerson, text.clone())
                .with_same(ConditionType::PowerPlatformIntegrated)
                .waiting_for(Reason::NotIntegrated, world.desired.manual_timeout);
        if world.link() != Link::Absent {
            return verdict;
        }
        verdict.with(
            ConditionType::Linked,
            Says::no(Reason::WaitingForSetup, messages::waiting_for_setup()),
        )
    }))
}

fn linked_without_integration(world: &World<'_>) -> Option<Outcome> {
    let (Integration::None, Link::To(link)) = (world.integration(), world.link()) else {
        return None;
    };
    let linked = world.visible_environment(&link.environment_id);
    let to = messages::environment_or_id(linked, &link.environment_id);
    let text = messages::linked_without_integration(
        world.desired,
        &to,
        remedy_a(world, &link.environment_id),
    );
    Some(confirmed(
        world,
        Absence::IntegrationNotSetUp,
        &text,
        || {
            let mismatch = mix::says(world).map_or_else(
                || Says::yes(Reason::IntegrationNotSetUp, text.clone()),
                |mixed| Says {
                    message: format!("{} {text}", mixed.message),
                    ..mixed
                },
            );
            Verdict::stalled(Reason::IntegrationNotSetUp, text.clone())
                .with(ConditionType::LinkingMismatch, mismatch)
                .with(
                    ConditionType::PowerPlatformIntegrated,
                    Says::no(Reason::NotIntegrated, text.clone()),
                )
        },
    ))
}

/// Whether remedy A may be advised: it is permanent, so only for the very environment of the spec and never across tiers.
fn remedy_a(world: &World<'_>, linked: &str) -> Result<(), &'static str> {
    let host = world.host_tier();
    let spec_tier = world
        .environment()
        .map_or(Tier::Unknown, Tier::of_environment);
    if !world.desired.is_spec_environment(linked) {
        Err("it is not the environment of the spec")
    } else if host == Tier::Development {
        Err("a cloud-hosted environment can be integrated only when it is deployed")
    } else if !host.agrees_with(spec_tier) {
        Err("it is not certain that both are production, or both are not")
    } else {
        Ok(())
    }
}

fn operation_failed(world: &World<'_>) -> Option<Outcome> {
    let Integration::Spec(_) = world.integration() else {
        return None;
    };
    let newest = world
        .newest_failure()
        .filter(|failed| still_matters(world, failed))?;
    let reason = failed_reason(newest);
    let verdict = Verdict::stalled(reason, messages::operation_failed(newest, reason));
    Some(match newest.spec.action {
        Action::Setup => verdict.with_same(ConditionType::SetupComplete).into(),
        Action::Link => verdict.with_same(ConditionType::Linked).into(),
        // Link and mismatch are as they are seen, whatever became of the act.
        Action::Reset | Action::StopMaps => verdict.into(),
    })
}

fn failed_reason(failed: &KnownOperation) -> Reason {
    let fallback = match failed.spec.action {
        Action::Setup => Reason::InstallFailed,
        Action::Link => Reason::LinkFailed,
        Action::Reset => Reason::ResetFailed,
        Action::StopMaps => Reason::MapsNotStopped,
    };
    let reason = failed.status.reason.as_deref();
    reason
        .and_then(|reason| reason.parse().ok())
        .unwrap_or(fallback)
}

/// A failed setup matters while setup is incomplete and nothing is linked; a failed link while it is not the link; a failed
/// reset until the maps run; a failed stop while there is something to stop.
fn still_matters(world: &World<'_>, operation: &KnownOperation) -> bool {
    match operation.spec.action {
        Action::Setup => !world.is_linked_to_spec() && world.setup_complete() == Some(false),
        Action::Link => !world.is_linked_to_spec(),
        Action::Reset => !(world.is_linked_to_spec() && maps_run(world, operation)),
        Action::StopMaps => {
            let passing = world.maps_that_pass_on();
            mix::is_there(world) && passing.is_none_or(|maps| !maps.is_empty())
        }
    }
}

/// Whether the maps that ran before a reset run again. Those that have not come back are waited for only if something that
/// the plan promised is missing.
fn maps_run(world: &World<'_>, reset: &KnownOperation) -> bool {
    let Fact::Known(found) = &world.observed.maps else {
        return false;
    };
    let all_of_them = !reset.status.missing.is_empty();
    maps::to_start(&reset.spec.relies_on.maps).all(|planned| {
        match found
            .iter()
            .filter(|map| map.name == planned.name)
            .map(|map| map.state)
            .max()
        {
            Some(state) => matches!(state, MapState::Running | MapState::Paused),
            None => !all_of_them,
        }
    })
}

// ---- rows 11 to 16: P = S ----

fn setup_incomplete(world: &World<'_>) -> Option<Outcome> {
    let Integration::Spec(environment) = world.integration() else {
        return None;
    };
    let link = world.link();
    if !matches!(link, Link::Absent | Link::NotObserved) {
        return None;
    }
    let packages = match &world.observed.applications {
        Fact::Known(packages) => packages,
        Fact::Unknown(problem) if problem.is_for_a_person() => {
            let text = messages::applications_unknown(problem);
            return Some(Verdict::stalled(Reason::AccessDenied, text).into());
        }
        Fact::Unknown(problem) => return Some(unknown(problem)),
    };
    if world.setup_complete() == Some(true) {
        return None;
    }
    let needed = Needed::of(world, packages);
    let with = messages::environment(environment);
    let verdict = || setup_verdict(world, environment, &needed, &with);
    if link == Link::NotObserved {
        return Some(without_link(verdict()).into());
    }
    Some(confirmed(
        world,
        Absence::NotLinked,
        &messages::no_link_seen(),
        || {
            verdict().with(
                ConditionType::Linked,
                Says::no(Reason::WaitingForSetup, messages::waiting_for_setup()),
            )
        },
    ))
}

fn without_link(verdict: Verdict) -> Verdict {
    verdict.with(
        ConditionType::Linked,
        Says::unknown(Reason::WaitingForSetup, messages::waiting_for_setup()),
    )
}

fn setup_verdict(
    world: &World<'_>,
    environment: &Environment,
    needed: &Needed,
    with: &str,
) -> Verdict {
    let desired = world.desired;
    let awaiting = |reason, text| {
        Verdict::reconciling(reason, Reason::AwaitingPerson, text)
            .with_same(ConditionType::SetupComplete)
            .waiting_for(reason, desired.manual_timeout)
    };
    let by_operator = desired.setup_method == SetupMethod::Install && desired.accept_terms;
    if by_operator && world.may_act() {
        let plan = operation::setup(world, environment, needed);
        let text = messages::starting(Action::Setup, &operation::name(world, &plan));
        return Verdict::reconciling(Reason::Installing, Reason::Installing, text)
            .with_same(ConditionType::SetupComplete)
            .wanting(plan);
    }
    if !needed.in_progress.is_empty() {
        let text = messages::installing_elsewhere(&needed.in_progress, with);
        let mut verdict = Verdict::reconciling(Reason::Installing, Reason::Installing, text)
            .waiting_for(Reason::Installing, desired.setup_timeout);
        verdict.look_again = Some(after(world.now, world.settings.poll));
        return verdict;
    }
    if by_operator {
        return awaiting(
            Reason::NotInstalled,
            messages::would_install(&needed.missing, with),
        );
    }
    match desired.setup_method {
        SetupMethod::Manual if !needed.failed.is_empty() => Verdict::stalled(
            Reason::InstallFailed,
            messages::install_failed(&needed.failed, with),
        ),
        SetupMethod::Manual => {
            let text = messages::awaiting_manual_setup(
                desired,
                &needed.missing,
                with,
                environment.integration_kind(),
            );
            awaiting(Reason::AwaitingManualSetup, text)
        }
        SetupMethod::Install => awaiting(
            Reason::TermsNotAccepted,
            messages::terms_not_accepted(&needed.missing, with),
        ),
    }
}

fn not_linked(world: &World<'_>) -> Option<Outcome> {
    let (Integration::Spec(environment), Link::Absent) = (world.integration(), world.link()) else {
        return None;
    };
    Some(confirmed(
        world,
        Absence::NotLinked,
        &messages::no_link_seen(),
        || link_verdict(world, environment),
    ))
}

fn link_verdict(world: &World<'_>, environment: &Environment) -> Verdict {
    let desired = world.desired;
    let with = messages::environment(environment);
    let awaiting = |text| {
        Verdict::reconciling(Reason::AwaitingManualLink, Reason::AwaitingPerson, text)
            .with_same(ConditionType::Linked)
            .waiting_for(Reason::AwaitingManualLink, desired.manual_timeout)
    };
    match desired.link_method {
        LinkMethod::Manual => awaiting(messages::awaiting_manual_link(
            desired,
            &with,
            environment.integration_kind(),
        )),
        LinkMethod::Service if !world.may_act() => awaiting(messages::would_link(desired, &with)),
        LinkMethod::Service => {
            let plan = operation::link(world, environment);
            let text = messages::starting(Action::Link, &operation::name(world, &plan));
            Verdict::reconciling(Reason::Linking, Reason::Linking, text)
                .with_same(ConditionType::Linked)
                .wanting(plan)
        }
    }
}

fn link_not_observed(world: &World<'_>) -> Option<Outcome> {
    let desired = world.desired;
    match world.link() {
        Link::Refused(problem) => Some(
            Verdict::stalled(Reason::LinkNotObservable, messages::link_refused(problem))
                .keeping_plans()
                .into(),
        ),
        Link::NotObserved if desired.link_observation == LinkObservation::Never => {
            let says = Says::yes(Reason::ConnectedLinkUnverified, messages::link_unverified());
            Some(Verdict::new(says, Progress::Settled).into())
        }
        Link::NotObserved => Some(
            Verdict::stalled(
                Reason::LinkNotObservable,
                messages::link_not_observable(desired),
            )
            .into(),
        ),
        Link::Unknown(_) | Link::NotSeen(_) | Link::Absent | Link::To(_) => None,
    }
}

fn link_unknown(world: &World<'_>) -> Option<Outcome> {
    match world.link() {
        Link::Unknown(problem) => {
            let says = Says::unknown(Reason::LinkNotSeen, messages::link_unknown(problem));
            let mut last = LastKnown::new(says.clone(), OBSERVING);
            last.first_overrides = without_seeing_the_link(says);
            Some(last.into())
        }
        Link::NotSeen(why) => {
            let says = Says::unknown(Reason::LinkNotSeen, judge::not_seen(world, &why));
            let mut last = LastKnown::new(says.clone(), Progress::Settled);
            last.first_overrides = without_seeing_the_link(says.clone());
            last.stale = Some(says);
            last.settling = Some((Absence::LinkNotSeen, world.settling(Absence::LinkNotSeen).0));
            Some(last.into())
        }
        Link::NotObserved | Link::Refused(_) | Link::Absent | Link::To(_) => None,
    }
}

fn without_seeing_the_link(linked: Says) -> Vec<(ConditionType, Says)> {
    let mismatch = Says::unknown(Reason::NotObservable, messages::mismatch_not_observable());
    vec![
        (ConditionType::Linked, linked),
        (ConditionType::LinkingMismatch, mismatch),
    ]
}

fn connected(world: &World<'_>) -> Option<Outcome> {
    let Integration::Spec(environment) = world.integration() else {
        return None;
    };
    world.is_linked_to_spec().then(|| {
        let text = messages::connected(
            world.desired,
            &messages::environment(environment),
            world.observed.maps.known().map(Vec::as_slice),
        );
        Verdict::new(Says::yes(Reason::Connected, text), Progress::Settled).into()
    })
}

fn linked_elsewhere(world: &World<'_>) -> Option<Outcome> {
    let (Integration::Spec(environment), Link::To(link)) = (world.integration(), world.link())
    else {
        return None;
    };
    if world.desired.mismatch.policy == MismatchPolicy::Reset {
        return Some(reset::outcome(world, environment, link));
    }
    let (from, to) = reset::ends(world, environment, link);
    let text = messages::remedy_reset(world.desired, &from, &to);
    let says = Says::yes(Reason::DifferentDestination, text.clone());
    let verdict = Verdict::stalled(Reason::DifferentDestination, text);
    // A mix is worse news than the difference, and has already been said of this condition.
    if mix::is_there(world) {
        return Some(verdict.into());
    }
    Some(verdict.with(ConditionType::LinkingMismatch, says).into())
}
