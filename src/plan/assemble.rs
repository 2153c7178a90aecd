//! From what a row says to a status: conditions placed in time, memory carried on, and what to do next.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::{
    conditions::{self as judge},
    messages,
    observed::{DataverseSays, Environment, Fact, Problem},
    operation, retry,
    verdict::{LastKnown, Outcome, Progress, Row, Verdict},
    world::{Integration, KnownOperation, Link, World, after},
};
use crate::api::{
    DualWriteConnectionStatus, DualWriteOperationSpec, Reason,
    conditions::{self, ConditionType, Says, Status},
    connection::{
        Application, Failure, FailureClass, ObservedDataverse, ObservedIntegration, ObservedLink,
        OperationSummary, Since,
    },
    operation::StepState,
};

/// The longest time for which something old is still shown as it was.
const STALE_AFTER: Duration = Duration::from_mins(15);

/// How many finished operations of a connection are kept.
const HISTORY: usize = 10;

/// What a pass comes to.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The row that matched; `None` while suspended.
    pub row: Option<Row>,
    /// The status as it should be.
    pub status: DualWriteConnectionStatus,
    /// The one thing to do, if there is one.
    pub effect: Option<Effect>,
    /// Finished operations that are no longer kept, by name.
    pub forget: Vec<String>,
    /// What to tell as events, once the status is written.
    pub events: Vec<Event>,
    /// When to look again.
    pub next: Timestamp,
}

/// The one thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Create this operation.
    Create {
        /// Its name.
        name: String,
        /// Its plan.
        spec: Box<DualWriteOperationSpec>,
    },
    /// Give up this operation, which has not started.
    Void {
        /// Its name.
        name: String,
        /// Why, in words.
        message: String,
    },
}

/// Something worth telling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Whether it is bad news.
    pub warning: bool,
    /// What it is, for machines.
    pub reason: Reason,
    /// What it is, for people.
    pub note: String,
}

/// The status of a resource that is suspended: nothing was read.
pub fn suspended(world: &World<'_>) -> Decision {
    let mut status = world.memory.clone();
    let generation = world.desired.generation;
    carry_generation(&mut status.conditions, generation);
    conditions::remove(&mut status.conditions, ConditionType::Reconciling);
    conditions::remove(&mut status.conditions, ConditionType::Stalled);
    let says = Says::unknown(Reason::Suspended, messages::suspended());
    conditions::set(
        &mut status.conditions,
        ConditionType::Ready,
        &says,
        generation,
        world.now,
    );
    status.observed_generation = Some(generation);
    status.operation = newest(world);
    Decision {
        row: None,
        events: events(world, &status),
        status,
        effect: None,
        forget: Vec::new(),
        next: after(world.now, world.desired.interval),
    }
}

/// The status of a resource for which a row has matched.
pub fn decision(world: &World<'_>, row: Row, outcome: Outcome) -> Decision {
    let mut status = remember(world);
    status.failure = failure(world);
    judge_conditions(world, row, &outcome, &mut status);
    let (effect, look_again) = match outcome {
        Outcome::Says(verdict) => {
            let effect = effect(world, row, &verdict);
            apply(world, &mut status, &verdict);
            let patience = end_of_patience(&status, &verdict).filter(|end| *end > world.now);
            let look_again = verdict.look_again.into_iter().chain(patience).min();
            (effect, look_again)
        }
        Outcome::LastKnown(last) => {
            let look_again = last.look_again;
            apply_last_known(world, &mut status, &last);
            (None, look_again)
        }
    };
    show_outage(world, &mut status);
    conditions::carry(&world.memory.conditions, &mut status.conditions);
    Decision {
        row: Some(row),
        effect,
        forget: forget(world),
        events: events(world, &status),
        next: retry::next(world, &status, look_again),
        status,
    }
}

// ---- memory ----

/// The parts of the status that say what was seen.
fn remember(world: &World<'_>) -> DualWriteConnectionStatus {
    let mut status = world.memory.clone();
    status.observed_generation = Some(world.desired.generation);
    status
        .last_handled_reconcile_at
        .clone_from(&world.desired.reconcile_at);
    status.operation = newest(world);
    remember_integration(world, &mut status);
    remember_dataverse(world, &mut status);
    remember_link(world, &mut status);
    remember_applications(world, &mut status);
    carry_generation(&mut status.conditions, world.desired.generation);
    status
}

fn remember_integration(world: &World<'_>, status: &mut DualWriteConnectionStatus) {
    let (Integration::Spec(environment) | Integration::Other(environment)) = world.integration()
    else {
        return;
    };
    let since = status
        .observed
        .integration
        .as_ref()
        .filter(|old| super::desired::same_id(&old.environment_id, &environment.id))
        .map_or(world.now, |old| old.since);
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
fn remember_link(world: &World<'_>, status: &mut DualWriteConnectionStatus) {
    let Link::To(link) = world.link() else { return };
    let old = status.observed.link.as_ref();
    let same = old.filter(|old| {
        old.connection_set_id == link.connection_set_id
            && super::desired::same_id(&old.environment_id, &link.environment_id)
    });
    status.observed.link = Some(ObservedLink {
        connection_set_id: link.connection_set_id.clone(),
        connection_set_name: link.connection_set_name.clone(),
        environment_id: link.environment_id.clone(),
        first_seen: old.map_or(world.now, |old| old.first_seen),
        since: same.map_or(world.now, |old| old.since),
    });
    status.admin_url = Some(super::desired::admin_url(
        &world.desired.finance_operations_url,
    ));
}

fn remember_applications(world: &World<'_>, status: &mut DualWriteConnectionStatus) {
    let Fact::Known(packages) = &world.observed.applications else {
        return;
    };
    let needed = world.desired.applications.iter();
    status.applications = needed
        .map(|name| {
            match packages
                .iter()
                .find(|package| package.name.eq_ignore_ascii_case(name))
            {
                Some(package) => Application {
                    name: name.clone(),
                    state: package.state.word().to_owned(),
                    version: package.version.clone(),
                    available_version: package.available_version.clone(),
                    error: package.error.clone(),
                },
                None => Application {
                    name: name.clone(),
                    state: "NotListed".into(),
                    ..Application::default()
                },
            }
        })
        .collect();
}

fn newest(world: &World<'_>) -> Option<OperationSummary> {
    let operation = *world.own_operations().first()?;
    Some(OperationSummary {
        name: operation.name.clone(),
        action: operation.spec.action,
        phase: operation.status.phase,
        step: operation.status.step.clone(),
    })
}

/// The outage of reads, if there is one; its beginning is kept, so that an outage is one write.
fn failure(world: &World<'_>) -> Option<Failure> {
    let problem = outage(world)?;
    let generation = world.desired.generation;
    let old = world
        .memory
        .failure
        .as_ref()
        .filter(|old| old.generation == generation);
    Some(Failure {
        since: old.map_or(world.now, |old| old.since),
        class: problem.class,
        generation,
    })
}

/// The first read of this pass that failed and heals by itself. What a person must mend is said by its row instead.
fn outage<'a>(world: &World<'a>) -> Option<&'a Problem> {
    world.observed.problems().find(|problem| {
        matches!(
            problem.class,
            FailureClass::Transient | FailureClass::Unexpected
        )
    })
}

// ---- conditions ----

fn carry_generation(conditions: &mut [Condition], generation: i64) {
    for condition in conditions {
        condition.observed_generation = Some(generation);
    }
}

/// The plain observation under each condition; what this pass cannot say stays as it was, until it is too old.
fn judge_conditions(
    world: &World<'_>,
    row: Row,
    outcome: &Outcome,
    status: &mut DualWriteConnectionStatus,
) {
    let stale_since = status
        .failure
        .as_ref()
        .map(|failure| failure.since)
        .filter(|since| is_stale(world, *since));
    for (kind, judge) in judge::OBSERVED {
        // Without credentials nothing of this pass says anything about the rest.
        let readable = row != Row::CredentialsRefused || kind == ConditionType::CredentialsValid;
        let says = readable.then(|| judge(world)).flatten().or_else(|| {
            let stale_since = stale_since.filter(|_| judge::is_unread(world, kind));
            fallback(&status.conditions, kind, outcome, stale_since)
        });
        if let Some(says) = says {
            set(world, status, kind, &says);
        }
    }
}

fn fallback(
    known: &[Condition],
    kind: ConditionType,
    outcome: &Outcome,
    stale_since: Option<Timestamp>,
) -> Option<Says> {
    let observing = Reason::Observing;
    let last = match (conditions::find(known, kind), outcome) {
        (None, Outcome::LastKnown(_)) => {
            return Some(Says::unknown(observing, messages::first_look()));
        }
        // A verdict ends the first look, also for what it does not need to know.
        (None, Outcome::Says(_)) => return Some(judge::not_judged(kind)),
        (Some(last), Outcome::Says(_)) if last.reason == observing.as_ref() => {
            return Some(judge::not_judged(kind));
        }
        (Some(last), _) => last,
    };
    let stale = Reason::ObservationStale;
    stale_since
        .filter(|_| last.reason != stale.as_ref() && last.message != messages::not_judged())
        .map(|since| Says::unknown(stale, messages::stale(since, &last.message)))
}

/// Whether something last seen at `since` is too old to be shown as it was.
fn is_stale(world: &World<'_>, since: Timestamp) -> bool {
    world.now >= after(since, (world.desired.interval * 3).max(STALE_AFTER))
}

fn set(
    world: &World<'_>,
    status: &mut DualWriteConnectionStatus,
    kind: ConditionType,
    says: &Says,
) {
    conditions::set(
        &mut status.conditions,
        kind,
        says,
        world.desired.generation,
        world.now,
    );
}

fn apply(world: &World<'_>, status: &mut DualWriteConnectionStatus, verdict: &Verdict) {
    status.settling = verdict.settling.map(|(absence, since)| Since {
        what: absence.as_ref().to_owned(),
        since,
    });
    let (waiting, overdue) = waiting(world, verdict);
    status.waiting = waiting;
    for (kind, says) in &verdict.overrides {
        set(world, status, *kind, says);
    }
    set(world, status, ConditionType::Ready, &verdict.ready);
    let progress = match verdict.progress {
        Progress::Reconciling(_) if overdue => Progress::Stalled(verdict.ready.reason),
        progress => progress,
    };
    show(world, status, progress, &verdict.ready.message);
}

/// What is waited for and since when, and whether that has become too long.
fn waiting(world: &World<'_>, verdict: &Verdict) -> (Option<Since>, bool) {
    let Some(waiting) = verdict.waiting else {
        return (None, false);
    };
    let remembered = world
        .memory
        .waiting
        .as_ref()
        .filter(|old| old.what == waiting.what.as_ref());
    let since = remembered.map_or(world.now, |old| old.since);
    let overdue = world.now >= after(since, waiting.normal);
    (
        Some(Since {
            what: waiting.what.as_ref().to_owned(),
            since,
        }),
        overdue,
    )
}

fn end_of_patience(status: &DualWriteConnectionStatus, verdict: &Verdict) -> Option<Timestamp> {
    let (waiting, since) = verdict.waiting.zip(status.waiting.as_ref())?;
    Some(after(since.since, waiting.normal))
}

fn show(
    world: &World<'_>,
    status: &mut DualWriteConnectionStatus,
    progress: Progress,
    message: &str,
) {
    let kind = progress_kind(progress);
    conditions::remove_unless(&mut status.conditions, kind);
    // A row may have taken away what is shown again here: it keeps its time, so that nothing changes.
    if let Some(kind) = kind
        && conditions::find(&status.conditions, kind).is_none()
        && let Some(before) = conditions::find(&world.memory.conditions, kind)
    {
        status.conditions.push(before.clone());
    }
    match progress {
        Progress::Settled => {}
        Progress::Reconciling(reason) => {
            set(
                world,
                status,
                ConditionType::Reconciling,
                &Says::yes(reason, message),
            );
        }
        Progress::Stalled(reason) => set(
            world,
            status,
            ConditionType::Stalled,
            &Says::yes(reason, message),
        ),
    }
}

const fn progress_kind(progress: Progress) -> Option<ConditionType> {
    match progress {
        Progress::Settled => None,
        Progress::Reconciling(_) => Some(ConditionType::Reconciling),
        Progress::Stalled(_) => Some(ConditionType::Stalled),
    }
}

fn apply_last_known(world: &World<'_>, status: &mut DualWriteConnectionStatus, last: &LastKnown) {
    if let Some((absence, since)) = last.settling {
        status.settling = Some(Since {
            what: absence.as_ref().to_owned(),
            since,
        });
    }
    if !worth_keeping(world) {
        for (kind, says) in &last.first_overrides {
            let known = conditions::find(&status.conditions, *kind);
            if known.is_none_or(|known| known.reason != Reason::ObservationStale.as_ref()) {
                set(world, status, *kind, says);
            }
        }
        set(world, status, ConditionType::Ready, &last.first);
        show(world, status, last.first_progress, &last.first.message);
    } else if let (Some(says), Some((_, since))) = (&last.stale, last.settling)
        && is_stale(world, since)
    {
        for (kind, says) in &last.first_overrides {
            set(world, status, *kind, says);
        }
        set(world, status, ConditionType::Ready, says);
        show(world, status, Progress::Settled, &says.message);
    }
}

/// Whether what `Ready` says is a finding about this generation, and not the progress of something that has ended.
fn worth_keeping(world: &World<'_>) -> bool {
    world.remembered_ready().is_some_and(|reason| {
        !matches!(
            reason,
            Reason::Observing
                | Reason::Suspended
                | Reason::Installing
                | Reason::Linking
                | Reason::OutcomeUnknown
        )
    })
}

/// An outage shows nothing at first; after an interval it is said, and when all is too old nothing is claimed any more.
fn show_outage(world: &World<'_>, status: &mut DualWriteConnectionStatus) {
    let (Some(failure), Some(problem)) = (status.failure.clone(), outage(world)) else {
        return;
    };
    let stalled = conditions::find(&status.conditions, ConditionType::Stalled).is_some();
    if is_stale(world, failure.since) && is_last_known(world) {
        let last = conditions::find(&status.conditions, ConditionType::Ready);
        if let Some(last) = last.filter(|last| last.reason != Reason::ObservationStale.as_ref()) {
            let says = Says::unknown(
                Reason::ObservationStale,
                messages::stale(failure.since, &last.message),
            );
            set(world, status, ConditionType::Ready, &says);
        }
    } else if stalled {
        return;
    }
    if world.now >= after(failure.since, world.desired.interval) {
        // The first error's message stays for as long as the outage lasts, so that an outage is one write.
        let message = conditions::find(&world.memory.conditions, ConditionType::Reconciling)
            .filter(|old| {
                old.reason == Reason::Retrying.as_ref()
                    && world.memory.failure.as_ref() == Some(&failure)
            })
            .map_or_else(
                || messages::retrying(failure.since, problem),
                |old| old.message.clone(),
            );
        show(
            world,
            status,
            Progress::Reconciling(Reason::Retrying),
            &message,
        );
    }
}

/// Whether the truth that decides could not be read in this pass.
fn is_last_known(world: &World<'_>) -> bool {
    matches!(super::decide::first_match(world).1, Outcome::LastKnown(_))
}

// ---- what to do ----

/// At most one thing: create the operation that is asked for, or give up one that is not asked for any more.
fn effect(world: &World<'_>, row: Row, verdict: &Verdict) -> Option<Effect> {
    // While somebody else's act is under way, or nothing can be read, a plan that waits goes on waiting.
    if matches!(row, Row::Occupied | Row::CredentialsRefused) {
        return None;
    }
    let own = world.own_operations();
    let unstarted = own
        .iter()
        .filter(|operation| operation.is_unstarted() && operation.deleted.is_none());
    // Of a resource that is being deleted nothing is asked any more.
    let wanted = verdict
        .wants
        .as_ref()
        .filter(|_| !world.desired.deleting)
        .map(|spec| (operation::name(world, spec), spec));
    let mut obsolete = unstarted.filter(|operation| {
        wanted.as_ref().is_none_or(|(name, spec)| {
            *name != operation.name || !operation::is_same_act(spec, &operation.spec)
        })
    });
    if let Some(operation) = obsolete.next() {
        let message = messages::void(&why_void(operation, wanted.map(|(_, spec)| spec)));
        return Some(Effect::Void {
            name: operation.name.clone(),
            message,
        });
    }
    let (name, spec) = wanted?;
    let exists = own.iter().any(|operation| operation.name == name);
    (!exists).then(|| Effect::Create {
        name,
        spec: Box::new(spec.clone()),
    })
}

fn why_void(operation: &KnownOperation, wanted: Option<&DualWriteOperationSpec>) -> String {
    match wanted.filter(|wanted| wanted.action == operation.spec.action) {
        Some(wanted) => operation::what_moved(&operation.spec, wanted),
        None => "the connection no longer asks for it".into(),
    }
}

/// Finished operations beyond the last ten, the oldest first to go.
fn forget(world: &World<'_>) -> Vec<String> {
    let finished = world
        .own_operations()
        .into_iter()
        .filter(|operation| operation.is_finished());
    finished
        .filter(|operation| operation.deleted.is_none())
        .skip(HISTORY)
        .filter(|operation| {
            operation
                .status
                .steps
                .iter()
                .all(|step| step.state != StepState::Intended)
        })
        .map(|operation| operation.name.clone())
        .collect()
}

/// A change of `Ready`, and a mismatch that has appeared, are worth an event each.
fn events(world: &World<'_>, status: &DualWriteConnectionStatus) -> Vec<Event> {
    let old = &world.memory.conditions;
    let mut events = Vec::new();
    let changed = |kind| {
        let now = conditions::find(&status.conditions, kind)?;
        let before = conditions::find(old, kind);
        let same =
            before.is_some_and(|before| before.reason == now.reason && before.status == now.status);
        (!same).then_some(now)
    };
    if let Some(ready) = changed(ConditionType::Ready) {
        let warning = conditions::find(&status.conditions, ConditionType::Stalled).is_some();
        events.extend(event(ready, warning));
    }
    if let Some(mismatch) = changed(ConditionType::LinkingMismatch) {
        let bad = conditions::is(
            &status.conditions,
            ConditionType::LinkingMismatch,
            Status::True,
        );
        let said = events
            .iter()
            .any(|said: &Event| said.reason.as_ref() == mismatch.reason);
        if bad && !said {
            events.extend(event(mismatch, true));
        }
    }
    events
}

fn event(condition: &Condition, warning: bool) -> Option<Event> {
    let reason = condition.reason.parse().ok()?;
    Some(Event {
        warning,
        reason,
        note: condition.message.clone(),
    })
}
