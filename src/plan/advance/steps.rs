//! One step: from its intent to its target state.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    Act, DELETION_PATIENCE, LINK_TIMEOUT_FACTOR, NO_LONGER_ASKED_FOR, Next, Owner, RemoteState,
    SEND_WINDOW, Send,
    ends::{done, fail, finish, keep, settled, succeed, timed_out, void_with},
    requests::request,
    reset,
    targets::{Target, appeared, target},
};
use crate::{
    api::{
        DualWriteOperationStatus, Reason,
        operation::{Action, Phase, StepState, StepStatus},
        values,
    },
    plan::{
        backup, messages,
        observed::{Package, PackageState, Problem},
        operation::StepKind,
        world::after,
    },
};

/// How many requests for what may be asked for again are sent at the most.
const ATTEMPTS: u32 = 2;

/// The states of a package that mean that something is being done in its environment [D].
const BUSY_STATES: [&str; 5] = [
    "InstallRequested",
    "InstallScheduled",
    "Installing",
    "InstallRetrying",
    "Uninstalling",
];

/// How often the request of a step may be sent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Repeat {
    /// Once; if what became of it cannot be known, a person has to look.
    Never,
    /// Once; if what became of it cannot be known, it is missing, and the act goes on without it.
    NeverButGoOn,
    /// It sets a state, so a second time does no more than the first.
    Once,
    /// It is our own Kubernetes object.
    Always,
}

const fn repeat(kind: &StepKind) -> Repeat {
    match kind {
        StepKind::Link | StepKind::Reset => Repeat::Never,
        StepKind::Solution(_) => Repeat::NeverButGoOn,
        StepKind::Backup => Repeat::Always,
        StepKind::Package(_)
        | StepKind::StopMaps
        | StepKind::IntegrationKeys
        | StepKind::InitialiseMaps
        | StepKind::MapVersions
        | StepKind::MapVersion(_)
        | StepKind::StartMaps(_)
        | StepKind::PauseMaps
        | StepKind::Verify
        | StepKind::RestartMaps(_)
        | StepKind::RepauseMaps
        | StepKind::ByPerson => Repeat::Once,
    }
}

fn may_repeat(kind: &StepKind, step: &StepStatus) -> bool {
    match repeat(kind) {
        Repeat::Never | Repeat::NeverButGoOn => false,
        Repeat::Once => step.attempt < ATTEMPTS,
        Repeat::Always => true,
    }
}

pub(super) fn running(act: &Act<'_>) -> Next {
    let next = next_step(act, act.operation.status.clone());
    // Patience is judged after what this pass has seen: a success that comes late counts.
    let undecided = next.status.phase == Some(Phase::Running);
    if undecided && next.send.is_none() && is_beyond_patience(act) {
        return finish(
            act,
            act.operation.status.clone(),
            Phase::Unknown,
            Some(Reason::OutcomeUnknown),
            abandoned(act),
        );
    }
    next
}

/// Whether an operation that is being deleted has been held long enough.
fn is_beyond_patience(act: &Act<'_>) -> bool {
    let deadline = act.operation.status.deadline.unwrap_or(Timestamp::MIN);
    act.operation
        .deleted
        .is_some_and(|deleted| act.now >= after(deleted, DELETION_PATIENCE).max(deadline))
}

fn abandoned(act: &Act<'_>) -> String {
    let step = act.operation.status.step.clone().unwrap_or_default();
    messages::abandoned(&step, act.operation.status.backup.as_ref())
}

/// Goes on with the first step that is neither done nor given up.
pub(super) fn next_step(act: &Act<'_>, mut status: DualWriteOperationStatus) -> Next {
    let action = act.operation.spec.action;
    let undoing = status.ending.is_some();
    let next = status.steps.iter().position(|step| {
        let is_open = !matches!(step.state, StepState::Done | StepState::Failed);
        is_open && (!undoing || reset::is_undoing(action, &step.name))
    });
    let Some(index) = next else {
        return concluded(act, status);
    };
    let name = status.steps[index].name.clone();
    let Some(kind) = StepKind::parse(action, &name) else {
        let why = messages::unknown_step(&name);
        return fail(act, status, index, &why, reset::failed_reason(action));
    };
    status.step = Some(name);
    match status.steps[index].state {
        StepState::Pending => start(act, status, index, &kind),
        StepState::Intended => read_back(act, status, index, &kind),
        StepState::Sent => follow(act, status, index, &kind),
        StepState::Done | StepState::Failed | StepState::Unknown => settled(act),
    }
}

fn concluded(act: &Act<'_>, status: DualWriteOperationStatus) -> Next {
    match act.operation.spec.action {
        Action::Setup | Action::Link => {
            let failed = status
                .steps
                .iter()
                .any(|step| step.state == StepState::Failed);
            if failed {
                settled(act)
            } else {
                succeed(act, status)
            }
        }
        Action::Reset | Action::StopMaps => reset::conclude(act, status),
    }
}

/// A step that nothing was done for: done already, under way already, or to be intended now.
fn start(
    act: &Act<'_>,
    mut status: DualWriteOperationStatus,
    index: usize,
    kind: &StepKind,
) -> Next {
    if !reset::is_beyond_return(kind)
        && let Some(next) = held_back(act, &status)
    {
        return next;
    }
    if let Some(next) = reset::prepare(act, &status, index, kind) {
        return next;
    }
    if reset::has_patience(kind) {
        status.steps[index].began.get_or_insert(act.now);
    }
    match target(act, kind, &status.steps[index]) {
        Target::Reached => done(act, status, index),
        Target::Moving => adopt(act, status, index),
        Target::Missing(_) if is_past_patience(act, &status.steps[index], kind) => {
            out_of_patience(act, status, index, kind)
        }
        Target::Missing(_) => match busy_with(act, kind) {
            Some(other) => wait_for_environment(act, status, other),
            None => intend(act, status, index, kind),
        },
        Target::Taken(other) => reset::taken(act, status, index, kind, other),
        Target::Unseen(problem) => unseen(act, status, problem),
    }
}

/// Suspending, editing or deleting takes effect before a step; for a reset only as long as it can still be given up.
fn held_back(act: &Act<'_>, status: &DualWriteOperationStatus) -> Option<Next> {
    let for_deletion = act.operation.spec.options.on_deletion;
    let why = match act.owner {
        _ if for_deletion => return None,
        _ if act.operation.deleted.is_some() => {
            "the connection is gone, or this operation was deleted"
        }
        Owner::Gone => "the connection is gone, or this operation was deleted",
        Owner::Changed => NO_LONGER_ASKED_FOR,
        Owner::Present {
            suspended: true, ..
        } if act.operation.spec.action == Action::Reset && reset::has_stopped_maps(status) => {
            "the connection was suspended"
        }
        Owner::Present {
            suspended: true, ..
        } => return Some(keep(status.clone(), None)),
        Owner::Present {
            suspended: false, ..
        } => return None,
    };
    Some(if act.operation.spec.action == Action::Reset {
        reset::give_up(act, status.clone(), Phase::Void, None, why)
    } else {
        void_with(act, status.clone(), why)
    })
}

/// Another package that is being worked on: only one operation runs in an environment at a time, so a request would be
/// refused [D]. Only states that are known to mean that count, so that a strange one cannot block for ever.
fn busy_with<'a>(act: &Act<'a>, kind: &StepKind) -> Option<&'a Package> {
    let StepKind::Package(name) = kind else {
        return None;
    };
    let packages = act.observed.applications.known()?;
    packages.iter().find(|package| match &package.state {
        PackageState::InProgress(word) => {
            !package.name.eq_ignore_ascii_case(name)
                && BUSY_STATES
                    .iter()
                    .any(|busy| busy.eq_ignore_ascii_case(word))
        }
        PackageState::Installed | PackageState::NotInstalled | PackageState::Failed => false,
    })
}

fn wait_for_environment(
    act: &Act<'_>,
    mut status: DualWriteOperationStatus,
    other: &Package,
) -> Next {
    begin(act, &mut status);
    let environment = &act.operation.spec.target.environment_name;
    status.message = Some(messages::environment_installs_other(
        environment,
        &other.name,
        other.state.word(),
    ));
    keep(status, Some(after(act.now, act.settings.poll)))
}

fn intend(
    act: &Act<'_>,
    mut status: DualWriteOperationStatus,
    index: usize,
    kind: &StepKind,
) -> Next {
    let Some((request, maps)) = request(act, &status, kind) else {
        return reset::without_request(act, status, index);
    };
    let before = after(act.now, SEND_WINDOW);
    begin(act, &mut status);
    let step = &mut status.steps[index];
    step.state = StepState::Intended;
    step.attempt += 1;
    step.incarnation = Some(act.incarnation.to_owned());
    step.send_before = Some(before);
    step.remote_id = None;
    step.absent_since = None;
    step.error = None;
    step.maps = maps;
    if let (StepKind::Solution(_), Some(maps)) = (kind, act.observed.maps.known()) {
        step.seen = maps.iter().map(|map| map.name.clone()).collect();
    }
    if *kind == StepKind::Backup {
        status.backup = backup::parts(act.operation)
            .ok()
            .map(|parts| backup::reference(&parts));
    }
    let step = &status.steps[index];
    let name = step.name.clone();
    status.message = Some(running_message(act, &status, &name));
    Next {
        status,
        send: Some(Send {
            step: name,
            before,
            request,
        }),
        next: None,
    }
}

/// The first intent or adoption starts the clock.
pub(super) fn begin(act: &Act<'_>, status: &mut DualWriteOperationStatus) {
    status.phase = Some(Phase::Running);
    let started = *status.started_at.get_or_insert(act.now);
    let timeout = values::parse_duration(&act.operation.spec.timeout, Duration::from_hours(1));
    status.deadline.get_or_insert(after(started, timeout));
}

pub(super) fn running_message(
    act: &Act<'_>,
    status: &DualWriteOperationStatus,
    step: &str,
) -> String {
    let began = status
        .steps
        .iter()
        .find(|known| known.name == step)
        .and_then(|known| known.began);
    let (since, deadline) = match began {
        Some(began) => (began, after(began, reset::patience(act))),
        None => (
            status.started_at.unwrap_or(act.now),
            status.deadline.unwrap_or(act.now),
        ),
    };
    messages::act_running(&act.operation.spec, step, since, deadline)
}

/// Somebody, perhaps an earlier incarnation of ours, has started it: it is followed like one of our own.
pub(super) fn adopt(act: &Act<'_>, mut status: DualWriteOperationStatus, index: usize) -> Next {
    begin(act, &mut status);
    let step = &mut status.steps[index];
    step.state = StepState::Sent;
    step.sent_at.get_or_insert(act.now);
    step.absent_since = None;
    let name = step.name.clone();
    status.message = Some(running_message(act, &status, &name));
    keep(status, Some(after(act.now, act.settings.poll)))
}

/// An intent of which nobody knows whether its request was sent.
fn read_back(
    act: &Act<'_>,
    mut status: DualWriteOperationStatus,
    index: usize,
    kind: &StepKind,
) -> Next {
    let failure = match target(act, kind, &status.steps[index]) {
        // It may still be going on: a reset that names its target, a solution of which the first maps have come.
        Target::Reached if matches!(kind, StepKind::Reset | StepKind::Solution(_)) => {
            return adopt(act, status, index);
        }
        Target::Reached => return done(act, status, index),
        Target::Moving => return adopt(act, status, index),
        Target::Taken(other) => return reset::taken(act, status, index, kind, other),
        Target::Unseen(problem) => return unseen(act, status, problem),
        Target::Missing(failure) => failure,
    };
    // Our own object is made again as often as it takes; a second time finds the first.
    if repeat(kind) == Repeat::Always {
        return absent(act, status, index, kind);
    }
    let counts_from = absence_counts_from(act, kind, &status.steps[index]);
    if act.observed.began < counts_from {
        let soon = after(act.now, act.settings.poll);
        return keep(status, Some(soon.min(counts_from.max(act.now))));
    }
    match status.steps[index].absent_since {
        None => {
            status.steps[index].absent_since = Some(act.observed.began);
            keep(status, Some(after(act.observed.began, act.settings.settle)))
        }
        Some(since) if act.observed.began < after(since, act.settings.settle) => {
            keep(status, Some(after(since, act.settings.settle)))
        }
        // A failed installation is no absence: it may be what became of our request.
        Some(_) => match (kind, failure) {
            (StepKind::Package(_), Some(why)) => {
                fail(act, status, index, &why, Reason::InstallFailed)
            }
            _ => absent(act, status, index, kind),
        },
    }
}

/// From when on a missing effect says that there will be none.
fn absence_counts_from(act: &Act<'_>, kind: &StepKind, step: &StepStatus) -> Timestamp {
    let timeout = match kind {
        StepKind::Link | StepKind::Reset => act.settings.request_timeout * LINK_TIMEOUT_FACTOR,
        _ => act.settings.request_timeout,
    };
    after(
        after(step.send_before.unwrap_or(Timestamp::MIN), timeout),
        act.settings.settle,
    )
}

/// The effect is missing for good: what sets a state may be asked for once more, a link or a reset never.
fn absent(
    act: &Act<'_>,
    mut status: DualWriteOperationStatus,
    index: usize,
    kind: &StepKind,
) -> Next {
    let step = &mut status.steps[index];
    if may_repeat(kind, step) {
        step.state = StepState::Pending;
        return start(act, status, index, kind);
    }
    match kind {
        StepKind::Package(_) => fail(
            act,
            status,
            index,
            &messages::install_lost_twice(),
            Reason::InstallFailed,
        ),
        StepKind::Link => {
            let sent = step.send_before.unwrap_or(act.now);
            let message =
                messages::link_outcome_unknown(&act.operation.spec, sent, step.error.as_deref());
            outcome_unknown(act, status, index, message)
        }
        StepKind::Reset if !is_past_patience(act, step, kind) => {
            keep(status, Some(after(act.now, act.settings.poll)))
        }
        StepKind::Reset => {
            let sent = step.send_before.unwrap_or(act.now);
            let why = step.error.clone();
            let message =
                messages::reset_outcome_unknown(&act.operation.spec, &status, sent, why.as_deref());
            outcome_unknown(act, status, index, message)
        }
        _ => reset::exhausted(act, status, index, kind, &messages::answer_lost()),
    }
}

fn outcome_unknown(
    act: &Act<'_>,
    mut status: DualWriteOperationStatus,
    index: usize,
    message: String,
) -> Next {
    status.steps[index].state = StepState::Unknown;
    let reason = Some(Reason::OutcomeUnknown);
    finish(act, status, Phase::Unknown, reason, message)
}

/// A request that was accepted, or that somebody else has made: followed until the target state is read back.
fn follow(act: &Act<'_>, status: DualWriteOperationStatus, index: usize, kind: &StepKind) -> Next {
    match kind {
        StepKind::Package(_) | StepKind::Link => follow_setup(act, status, index, kind),
        _ => follow_reset(act, status, index, kind),
    }
}

fn remote<'a>(act: &Act<'a>, step: &StepStatus) -> Option<&'a RemoteState> {
    step.remote_id
        .as_ref()
        .and_then(|_| act.observed.remote.known())
}

fn follow_setup(
    act: &Act<'_>,
    status: DualWriteOperationStatus,
    index: usize,
    kind: &StepKind,
) -> Next {
    let step = &status.steps[index];
    let reason = reset::failed_reason(act.operation.spec.action);
    match (target(act, kind, step), remote(act, step)) {
        (Target::Reached, _) => done(act, status, index),
        (Target::Taken(other), _) => reset::taken(act, status, index, kind, other),
        (_, Some(RemoteState::Failed(why))) => fail(act, status, index, why, reason),
        // Without Microsoft's id only the package tells; an old failure may still show for a moment after a new request.
        (Target::Missing(Some(why)), None | Some(RemoteState::Gone))
            if is_readable(act, step) && has_settled(act, step) =>
        {
            fail(act, status, index, &why, Reason::InstallFailed)
        }
        (Target::Missing(_) | Target::Moving, _) if is_past_patience(act, step, kind) => {
            timed_out(act, status, index)
        }
        (Target::Unseen(_) | Target::Missing(_) | Target::Moving, _) => {
            keep(status, Some(after(act.now, act.settings.poll)))
        }
    }
}

fn follow_reset(
    act: &Act<'_>,
    mut status: DualWriteOperationStatus,
    index: usize,
    kind: &StepKind,
) -> Next {
    let step = &status.steps[index];
    let failure = match (target(act, kind, step), remote(act, step)) {
        (Target::Reached, remote) => {
            return if is_ripe(act, step, kind, remote) {
                done(act, with_what_came(act, status, index, kind), index)
            } else {
                keep(status, Some(after(act.now, act.settings.poll)))
            };
        }
        (Target::Taken(other), _) => return reset::taken(act, status, index, kind, other),
        (Target::Unseen(problem), _) => return unseen(act, status, problem),
        (_, Some(RemoteState::Failed(why))) => Some(why.clone()),
        // It has brought nothing that was not there.
        (_, Some(RemoteState::Succeeded))
            if matches!(kind, StepKind::Solution(_)) && has_settled(act, step) =>
        {
            return done(act, status, index);
        }
        (_, Some(RemoteState::Succeeded)) if has_settled(act, step) => Some(messages::no_effect()),
        (_, None | Some(RemoteState::Gone)) if is_overdue(act, step) => Some(messages::no_effect()),
        (Target::Missing(_) | Target::Moving, _) => None,
    };
    let is_refused = matches!(remote(act, step), Some(RemoteState::Failed(_)));
    let is_over = is_past_patience(act, step, kind);
    if let Some(why) = failure.clone().filter(|_| may_repeat(kind, step)) {
        let step = &mut status.steps[index];
        step.state = StepState::Pending;
        step.error = Some(why);
        return keep(status, Some(act.now));
    }
    if is_over || (is_refused && *kind != StepKind::Reset) {
        let why = failure.unwrap_or_else(|| messages::took_too_long(reset::patience(act)));
        return reset::exhausted(act, status, index, kind, &why);
    }
    keep(status, Some(after(act.now, act.settings.poll)))
}

/// Notes which maps a solution has brought: it is the only proof of what it holds.
fn with_what_came(
    act: &Act<'_>,
    mut status: DualWriteOperationStatus,
    index: usize,
    kind: &StepKind,
) -> DualWriteOperationStatus {
    if let (StepKind::Solution(_), Some(maps)) = (kind, act.observed.maps.known()) {
        let brought = appeared(maps, &status.steps[index]);
        status.steps[index].maps = brought;
    }
    status
}

/// Whether a target state that is seen may be believed: what is shown right after a change can be what was before it, and
/// the maps of a solution come one after the other.
fn is_ripe(
    act: &Act<'_>,
    step: &StepStatus,
    kind: &StepKind,
    remote: Option<&RemoteState>,
) -> bool {
    let nothing_is_left = act.observed.maps.known().is_some_and(Vec::is_empty);
    match (kind, remote) {
        (StepKind::Reset, _) => nothing_is_left || has_settled(act, step),
        (StepKind::Solution(_), Some(RemoteState::Running)) => false,
        (StepKind::Solution(_), Some(RemoteState::Succeeded)) => true,
        (StepKind::Solution(_), _) => has_settled(act, step),
        _ => true,
    }
}

fn has_settled(act: &Act<'_>, step: &StepStatus) -> bool {
    act.observed.began >= settled_after(act, step)
}

/// Whether a request that was accepted without an id has had long enough to show.
fn is_overdue(act: &Act<'_>, step: &StepStatus) -> bool {
    let sent = step.sent_at.unwrap_or(act.now);
    let enough = (reset::patience(act) / 3).max(act.settings.settle);
    act.observed.began >= after(sent, enough)
}

/// Whether the package list is all there is to go by: no id, or one that Microsoft has forgotten.
fn is_readable(act: &Act<'_>, step: &StepStatus) -> bool {
    step.remote_id.is_none() || act.observed.remote.known() == Some(&RemoteState::Gone)
}

fn settled_after(act: &Act<'_>, step: &StepStatus) -> Timestamp {
    after(step.sent_at.unwrap_or(act.now), act.settings.settle)
}

/// Whether a good read past the end of a step's time was made.
fn is_past_patience(act: &Act<'_>, step: &StepStatus, kind: &StepKind) -> bool {
    let end = if reset::has_patience(kind) {
        // The time of a reset counts from its answer, which itself may take minutes.
        let from = step
            .sent_at
            .filter(|_| *kind == StepKind::Reset)
            .or(step.began);
        from.map(|from| after(from, reset::patience(act)))
    } else {
        act.operation.status.deadline
    };
    end.is_some_and(|end| act.observed.began > end)
}

fn out_of_patience(
    act: &Act<'_>,
    status: DualWriteOperationStatus,
    index: usize,
    kind: &StepKind,
) -> Next {
    if !reset::has_patience(kind) {
        return timed_out(act, status, index);
    }
    let why = status.steps[index]
        .error
        .clone()
        .unwrap_or_else(|| messages::took_too_long(reset::patience(act)));
    reset::exhausted(act, status, index, kind, &why)
}

/// What decides could not be read. In the middle of a reset the reader must know that maps are stopped meanwhile.
pub(super) fn unseen(
    act: &Act<'_>,
    mut status: DualWriteOperationStatus,
    problem: Option<&Problem>,
) -> Next {
    if let (Action::Reset | Action::StopMaps, Some(problem)) = (act.operation.spec.action, problem)
    {
        let text = messages::act_cannot_see(&act.operation.spec, &status, problem);
        let is_said = status
            .message
            .as_ref()
            .is_some_and(|said| crate::api::conditions::same_message(said, &text));
        if !is_said {
            status.message = Some(text);
        }
    }
    keep(status, Some(after(act.now, act.settings.poll)))
}
