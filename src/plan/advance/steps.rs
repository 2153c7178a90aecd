//! One step: from its intent to its target state.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    Act, LINK_TIMEOUT_FACTOR, NO_LONGER_ASKED_FOR, Next, Owner, RemoteState, SEND_WINDOW, Send,
    ends::{done, fail, failed_reason, finish, keep, settled, succeed, timed_out, void_with},
};
use crate::{
    api::{
        DualWriteOperationStatus, Reason,
        operation::{Action, Phase, StepState, StepStatus},
        values,
    },
    plan::{
        messages,
        observed::{Fact, LinkView, Package, PackageState},
        world::after,
    },
};

/// How many requests for one installation may be sent at the most.
const INSTALL_ATTEMPTS: u32 = 2;

/// The states of a package that mean that something is being done in its environment [D].
const BUSY_STATES: [&str; 5] = [
    "InstallRequested",
    "InstallScheduled",
    "Installing",
    "InstallRetrying",
    "Uninstalling",
];

/// How long an operation that is being deleted is held to learn the outcome of its request.
const DELETION_PATIENCE: Duration = Duration::from_mins(10);

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
    format!("The operation was deleted, and what became of its step {step} was not seen in time.")
}

/// Goes on with the first step that is not done.
pub(super) fn next_step(act: &Act<'_>, mut status: DualWriteOperationStatus) -> Next {
    let Some(index) = status
        .steps
        .iter()
        .position(|step| step.state != StepState::Done)
    else {
        return succeed(act, status);
    };
    status.step = Some(status.steps[index].name.clone());
    match status.steps[index].state {
        StepState::Pending => start(act, status, index),
        StepState::Intended => read_back(act, status, index),
        StepState::Sent => follow(act, status, index),
        StepState::Done | StepState::Failed | StepState::Unknown => settled(act),
    }
}

/// How far the target state of a step is.
pub(super) enum Target<'a> {
    Reached,
    Moving,
    /// Not there; with Microsoft's message about a failure, if there is one.
    Missing(Option<&'a str>),
    /// Something else is there instead, which is not ours to change.
    Taken(&'a str),
    /// It could not be read.
    Unseen,
}

pub(super) fn target<'a>(act: &Act<'a>, step: &str) -> Target<'a> {
    match act.operation.spec.action {
        Action::Setup => package(act, step),
        Action::Link => match &act.observed.link {
            LinkView::To(link) if is_target(act, &link.environment_id) => Target::Reached,
            LinkView::To(link) => Target::Taken(&link.environment_id),
            LinkView::Absent => Target::Missing(None),
            LinkView::NotObserved | LinkView::Unknown(_) | LinkView::HostDown(_) => Target::Unseen,
        },
    }
}

pub(super) fn package<'a>(act: &Act<'a>, name: &str) -> Target<'a> {
    let Fact::Known(packages) = &act.observed.applications else {
        return Target::Unseen;
    };
    match packages
        .iter()
        .find(|package| package.name.eq_ignore_ascii_case(name))
    {
        None => Target::Missing(None),
        Some(package) => match &package.state {
            PackageState::Installed => Target::Reached,
            PackageState::InProgress(_) => Target::Moving,
            PackageState::NotInstalled => Target::Missing(None),
            PackageState::Failed => Target::Missing(Some(
                package
                    .error
                    .as_deref()
                    .unwrap_or("Microsoft gives no reason."),
            )),
        },
    }
}

pub(super) fn is_target(act: &Act<'_>, environment_id: &str) -> bool {
    crate::plan::desired::same_id(environment_id, &act.operation.spec.target.environment_id)
}

/// A step that nothing was done for: done already, under way already, or to be intended now.
fn start(act: &Act<'_>, status: DualWriteOperationStatus, index: usize) -> Next {
    if act.operation.deleted.is_some() || *act.owner == Owner::Gone {
        return void_with(
            act,
            status,
            "the connection is gone, or this operation was deleted",
        );
    }
    if *act.owner == Owner::Changed {
        return void_with(act, status, NO_LONGER_ASKED_FOR);
    }
    if matches!(
        act.owner,
        Owner::Present {
            suspended: true,
            ..
        }
    ) {
        return keep(status, None);
    }
    match target(act, &status.steps[index].name) {
        Target::Reached => done(act, status, index),
        Target::Moving => adopt(act, status, index),
        Target::Missing(_) if is_past_deadline(act) => timed_out(act, status, index),
        Target::Missing(_) => match busy_with(act, &status.steps[index].name) {
            Some(other) => wait_for_environment(act, status, other),
            None => intend(act, status, index),
        },
        Target::Taken(other) => fail(
            act,
            status,
            index,
            &messages::linked_to_another(other),
            Reason::LinkFailed,
        ),
        Target::Unseen => keep(status, Some(after(act.now, act.settings.poll))),
    }
}

/// Another package that is being worked on: only one operation runs in an environment at a time, so a request would be
/// refused [D]. Only states that are known to mean that count, so that a strange one cannot block for ever.
fn busy_with<'a>(act: &Act<'a>, step: &str) -> Option<&'a Package> {
    let packages = act.observed.applications.known()?;
    packages.iter().find(|package| match &package.state {
        PackageState::InProgress(word) => {
            !package.name.eq_ignore_ascii_case(step)
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

fn intend(act: &Act<'_>, mut status: DualWriteOperationStatus, index: usize) -> Next {
    let before = after(act.now, SEND_WINDOW);
    begin(act, &mut status);
    let step = &mut status.steps[index];
    step.state = StepState::Intended;
    step.attempt += 1;
    step.incarnation = Some(act.incarnation.to_owned());
    step.send_before = Some(before);
    step.absent_since = None;
    step.error = None;
    let name = step.name.clone();
    status.message = Some(running_message(act, &status, &name));
    Next {
        status,
        send: Some(Send { step: name, before }),
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

fn running_message(act: &Act<'_>, status: &DualWriteOperationStatus, step: &str) -> String {
    let started = status.started_at.unwrap_or(act.now);
    messages::act_running(
        &act.operation.spec,
        step,
        started,
        status.deadline.unwrap_or(act.now),
    )
}

/// Somebody, perhaps an earlier incarnation of ours, has started it: it is followed like one of our own.
fn adopt(act: &Act<'_>, mut status: DualWriteOperationStatus, index: usize) -> Next {
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
fn read_back(act: &Act<'_>, mut status: DualWriteOperationStatus, index: usize) -> Next {
    let failure = match target(act, &status.steps[index].name) {
        Target::Reached => return done(act, status, index),
        Target::Moving => return adopt(act, status, index),
        Target::Taken(other) => {
            return fail(
                act,
                status,
                index,
                &messages::linked_to_another(other),
                Reason::LinkFailed,
            );
        }
        Target::Unseen => return keep(status, Some(after(act.now, act.settings.poll))),
        Target::Missing(failure) => failure,
    };
    let counts_from = absence_counts_from(act, &status.steps[index]);
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
        Some(_) => match failure {
            Some(why) => fail(act, status, index, why, failed_reason(act)),
            None => absent(act, status, index),
        },
    }
}

/// From when on a missing effect says that there will be none.
fn absence_counts_from(act: &Act<'_>, step: &StepStatus) -> Timestamp {
    let timeout = match act.operation.spec.action {
        Action::Setup => act.settings.request_timeout,
        Action::Link => act.settings.request_timeout * LINK_TIMEOUT_FACTOR,
    };
    after(
        after(step.send_before.unwrap_or(Timestamp::MIN), timeout),
        act.settings.settle,
    )
}

/// The effect is missing for good: an installation may be asked for once more, a link never.
pub(super) fn absent(act: &Act<'_>, mut status: DualWriteOperationStatus, index: usize) -> Next {
    let step = &mut status.steps[index];
    match act.operation.spec.action {
        Action::Setup if step.attempt < INSTALL_ATTEMPTS => {
            step.state = StepState::Pending;
            start(act, status, index)
        }
        Action::Setup => fail(
            act,
            status,
            index,
            &messages::install_lost_twice(),
            Reason::InstallFailed,
        ),
        Action::Link => {
            step.state = StepState::Unknown;
            let sent = step.send_before.unwrap_or(act.now);
            let message =
                messages::link_outcome_unknown(&act.operation.spec, sent, step.error.as_deref());
            finish(
                act,
                status,
                Phase::Unknown,
                Some(Reason::OutcomeUnknown),
                message,
            )
        }
    }
}

/// A request that was accepted, or that somebody else has made: followed until the target state is read back.
fn follow(act: &Act<'_>, status: DualWriteOperationStatus, index: usize) -> Next {
    let step = &status.steps[index];
    let poll = Some(after(act.now, act.settings.poll));
    let remote = if step.remote_id.is_some() {
        act.observed.remote.known()
    } else {
        None
    };
    match (target(act, &step.name), remote) {
        (Target::Reached, _) => done(act, status, index),
        (Target::Taken(other), _) => fail(
            act,
            status,
            index,
            &messages::linked_to_another(other),
            Reason::LinkFailed,
        ),
        (_, Some(RemoteState::Failed(why))) => fail(act, status, index, why, failed_reason(act)),
        // Without Microsoft's id only the package tells; an old failure may still show for a moment after a new request.
        (Target::Missing(Some(why)), None | Some(RemoteState::Gone))
            if is_readable(act, step) && act.observed.began >= settled_after(act, step) =>
        {
            fail(act, status, index, why, Reason::InstallFailed)
        }
        (Target::Missing(_) | Target::Moving, _) if is_past_deadline(act) => {
            timed_out(act, status, index)
        }
        (Target::Unseen | Target::Missing(_) | Target::Moving, _) => keep(status, poll),
    }
}

/// Whether the package list is all there is to go by: no id, or one that Microsoft has forgotten.
fn is_readable(act: &Act<'_>, step: &StepStatus) -> bool {
    step.remote_id.is_none() || act.observed.remote.known() == Some(&RemoteState::Gone)
}

fn settled_after(act: &Act<'_>, step: &StepStatus) -> Timestamp {
    after(step.sent_at.unwrap_or(act.now), act.settings.settle)
}

fn is_past_deadline(act: &Act<'_>) -> bool {
    act.operation
        .status
        .deadline
        .is_some_and(|deadline| act.observed.began > deadline)
}
