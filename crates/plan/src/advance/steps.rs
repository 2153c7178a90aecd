//! One step: from its intent to its target state.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    Act, DELETION_PATIENCE, NO_LONGER_ASKED_FOR, Next, Owner, Send, before, conclude, elsewhere,
    ends::{done, finish, keep, settled, succeed, void_with},
    failures, follow, read_back,
    requests::request,
    reset,
    targets::{Target, target},
};
use crate::{
    backup, messages,
    observed::{Package, PackageState, Problem},
    operation::StepKind,
    world::after,
};
use dualwrite_api::{
    DualWriteOperationStatus, Reason, conditions,
    operation::{Action, Phase, StepState, StepStatus},
    values,
};

/// The states of a package that mean that something is being done in its environment [D].
const BUSY_STATES: [&str; 5] = [
    "InstallRequested",
    "InstallScheduled",
    "Installing",
    "InstallRetrying",
    "Uninstalling",
];

pub(super) fn running(act: &Act<'_>) -> Next {
    let next = next_step(act, act.operation.status.clone());
    // Patience is judged after what this pass has seen: a success that comes late counts.
    let is_stuck = next.status.phase == Some(Phase::Running)
        && next.send.is_none()
        && next.status.steps == act.operation.status.steps;
    if is_stuck && is_beyond_patience(act) {
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

/// Whether an operation that is being deleted has been held long enough. The step that it is at has its own time in any
/// case: after a long absence of the operator there may be maps to start again.
fn is_beyond_patience(act: &Act<'_>) -> bool {
    let status = &act.operation.status;
    let deadline = status.deadline.unwrap_or(Timestamp::MIN);
    let step = status
        .steps
        .iter()
        .find(|step| Some(&step.name) == status.step.as_ref());
    let of_step = step
        .and_then(|step| step.began)
        .map_or(Timestamp::MIN, |began| after(began, reset::patience(act)));
    act.operation.deleted.is_some_and(|deleted| {
        act.now >= after(deleted, DELETION_PATIENCE).max(deadline).max(of_step)
    })
}

fn abandoned(act: &Act<'_>) -> String {
    messages::abandoned(&act.operation.spec, &act.operation.status)
}

/// Goes on with the first step that is neither done nor given up.
pub(super) fn next_step(act: &Act<'_>, mut status: DualWriteOperationStatus) -> Next {
    let action = act.operation.spec.action;
    let undoing = status.ending.is_some();
    let next = status.steps.iter().position(|step| {
        let is_open = !matches!(step.state, StepState::Done | StepState::Failed);
        let is_ours = StepKind::parse(action, &step.name) != Some(StepKind::ByPerson);
        is_open && is_ours && (!undoing || reset::is_undoing(action, &step.name))
    });
    let Some(index) = next else {
        return concluded(act, status);
    };
    let name = status.steps[index].name.clone();
    let Some(kind) = StepKind::parse(action, &name) else {
        return failures::unknown(act, status, index, &name);
    };
    status.step = Some(name);
    if let Some(next) = elsewhere::away(act, &status, index, &kind) {
        return next;
    }
    match status.steps[index].state {
        StepState::Pending => start(act, status, index, &kind),
        StepState::Intended => read_back::read_back(act, status, index, &kind),
        StepState::Sent => follow::follow(act, status, index, &kind),
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
        Action::Reset | Action::StopMaps => conclude::conclude(act, status),
    }
}

/// A step that nothing was done for: done already, under way already, or to be intended now.
pub(super) fn start(
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
    if reset::has_patience(kind) {
        status.steps[index].began.get_or_insert(act.now);
    }
    if let Some(next) = before::prepare(act, &status, index, kind) {
        return next;
    }
    match target(act, kind, &status.steps[index]) {
        // Somebody else has reset it, perhaps this very moment.
        Target::Reached if *kind == StepKind::Reset => adopt(act, status, index),
        Target::Reached => done(act, status, index),
        Target::Moving => adopt(act, status, index),
        Target::Missing(shown) if is_hopeless(act, &status.steps[index], kind) => {
            follow::out_of_patience(act, status, index, kind, shown.as_deref())
        }
        Target::Missing(_) => match busy_with(act, kind) {
            Some(other) => wait_for_environment(act, status, other),
            None => intend(act, status, index, kind),
        },
        Target::Taken(other) => failures::taken(act, status, index, kind, other),
        Target::Unseen(problem) => unseen(act, status, problem),
    }
}

/// Whether a step is over without another try: it was refused for now until its time was over, or there is nothing to ask
/// for. One that was not tried yet, or may be tried again, is: its time may have passed while no operator ran.
fn is_hopeless(act: &Act<'_>, step: &StepStatus, kind: &StepKind) -> bool {
    let is_refused_for_now = step.error.is_some() && step.send_before.is_none();
    let is_written_often = *kind == StepKind::Backup && step.attempt >= before::MOST_BACKUPS;
    follow::is_past_patience(act, step, kind)
        && (is_refused_for_now
            || !reset::has_patience(kind)
            || is_written_often
            || request(act, kind).is_none())
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
        } if act.operation.spec.action == Action::Reset && failures::has_stopped_maps(status) => {
            "the connection was suspended"
        }
        Owner::Present {
            suspended: true, ..
        } => return Some(keep(status.clone(), None)),
        Owner::Present {
            suspended: false, ..
        } => return None,
    };
    Some(match act.operation.spec.action {
        Action::Reset => failures::give_up(act, status.clone(), Phase::Void, None, why),
        // What is stopped stays stopped, so somebody has to know.
        Action::StopMaps if failures::has_stopped_maps(status) => {
            let text =
                messages::partly_stopped(&act.operation.spec, status, &messages::sentence(why));
            let reason = Some(Reason::MapsNotStopped);
            finish(act, status.clone(), Phase::Failed, reason, text)
        }
        Action::Setup | Action::Link | Action::StopMaps => void_with(act, status.clone(), why),
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
    let Some((request, maps)) = request(act, kind) else {
        return before::without_request(act, status, index);
    };
    let before = after(act.now, act.settings.send_window);
    begin(act, &mut status);
    if reset::has_patience(kind) && follow::is_past_patience(act, &status.steps[index], kind) {
        status.steps[index].began = Some(act.now);
    }
    let step = &mut status.steps[index];
    step.state = StepState::Intended;
    step.attempt += 1;
    step.incarnation = Some(act.incarnation.to_owned());
    step.send_before = Some(before);
    step.remote_id = None;
    step.sent_at = None;
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
    if let Some(ending) = &status.ending {
        return messages::undoing(&ending.message);
    }
    let (since, deadline) = match began {
        Some(began) => (began, after(began, reset::patience(act))),
        None => (
            status.started_at.unwrap_or(act.now),
            status.deadline.unwrap_or(act.now),
        ),
    };
    let spec = &act.operation.spec;
    if spec.steps.iter().all(|planned| planned.name != step) {
        return messages::unplanned_running(step, since, deadline);
    }
    messages::act_running(spec, step, since, deadline)
}

/// Looks again later, and says what is waited for: what was said of an obstacle holds no longer.
pub(super) fn wait_for_step(
    act: &Act<'_>,
    mut status: DualWriteOperationStatus,
    index: usize,
    until: Timestamp,
) -> Next {
    let name = status.steps[index].name.clone();
    status.message = Some(running_message(act, &status, &name));
    keep(status, Some(until))
}

/// Somebody, perhaps an earlier incarnation of ours, has started it: it is followed like one of our own.
pub(super) fn adopt(act: &Act<'_>, mut status: DualWriteOperationStatus, index: usize) -> Next {
    begin(act, &mut status);
    status.reason = None;
    let step = &mut status.steps[index];
    step.state = StepState::Sent;
    step.sent_at.get_or_insert(act.now);
    step.absent_since = None;
    let name = step.name.clone();
    status.message = Some(running_message(act, &status, &name));
    keep(status, Some(after(act.now, act.settings.poll)))
}

/// What decides could not be read. In the middle of a reset the reader must know that maps are stopped meanwhile; of an
/// installation or a link only what does not pass by itself is worth a word.
pub(super) fn unseen(
    act: &Act<'_>,
    mut status: DualWriteOperationStatus,
    problem: Option<&Problem>,
) -> Next {
    if let Some(next) =
        problem.and_then(|problem| failures::unseen_for_too_long(act, &status, problem))
    {
        return next;
    }
    let is_told = |problem: &&Problem| match act.operation.spec.action {
        Action::Reset | Action::StopMaps => true,
        Action::Setup | Action::Link => problem.is_for_a_person(),
    };
    if let Some(problem) = problem.filter(is_told) {
        let text = messages::act_cannot_see(&act.operation.spec, &status, problem);
        say(&mut status, text);
    }
    keep(status, Some(after(act.now, act.settings.poll)))
}

/// Says something, unless it is said already but for what is another in each answer.
pub(super) fn say(status: &mut DualWriteOperationStatus, text: String) {
    let said = status.message.as_ref();
    if !said.is_some_and(|said| conditions::same_message(said, &text)) {
        status.message = Some(text);
    }
}
