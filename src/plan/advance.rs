//! What an act does next.
//!
//! ```text
//! Pending --intent recorded--> Intended --accepted--> Sent --target state read back--> Done
//!    ^                            |  |                  |
//!    +---- certainly not sent ----+  +-- refused -------+--> Failed
//!    |                            |
//!    +-- absent twice, an install,+--> absent twice, a link: Unknown
//!        at most once more
//! ```
//!
//! An intent that is found again, after a crash or a lost answer, is never sent blindly: its effect is looked for
//! first, and absence counts only from `sendBefore` + the request's timeout + the settle time on, twice.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    messages,
    observed::{Fact, LinkView, Package, PackageState, Problem},
    world::{KnownOperation, Settings, after},
};
use crate::api::{
    DualWriteOperationStatus, Reason,
    connection::FailureClass,
    operation::{Action, Approval, Phase, StepState, StepStatus},
    values,
};

/// How long after its intent a request may still be sent.
pub const SEND_WINDOW: Duration = Duration::from_secs(30);

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

/// A link is slow: its request may take so many times longer than others.
pub const LINK_TIMEOUT_FACTOR: u32 = 10;

/// How long an operation that is being deleted is held to learn the outcome of its request.
const DELETION_PATIENCE: Duration = Duration::from_mins(10);

/// How often an outcome that cannot be known is looked at for a late success.
const LATE_LOOK: Duration = Duration::from_mins(1);

const NO_LONGER_ASKED_FOR: &str = "the connection does not ask for it any more";

/// Everything that one step forward looks at.
#[derive(Clone, Copy, Debug)]
pub struct Act<'a> {
    /// The operation.
    pub operation: &'a KnownOperation,
    /// What this pass has read.
    pub observed: &'a ActObserved,
    /// The connection that asked for it.
    pub owner: &'a Owner,
    /// The other operations of the same host.
    pub others: &'a [KnownOperation],
    /// The id of this process.
    pub incarnation: &'a str,
    /// The time.
    pub now: Timestamp,
    /// What the operator's administrator has set.
    pub settings: &'a Settings,
}

/// What was read for an act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActObserved {
    /// When the oldest read began.
    pub began: Timestamp,
    /// Whether Power Platform integration still joins host and target; read before the first step only.
    pub integrated: Fact<bool>,
    /// The application packages of the target; for Setup.
    pub applications: Fact<Vec<Package>>,
    /// What Microsoft says of the request that was accepted; for a step with a remote id.
    pub remote: Fact<RemoteState>,
    /// Where dual-write is linked to; for Link.
    pub link: LinkView,
}

/// What Microsoft says of a request that it accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RemoteState {
    /// It goes on.
    Running,
    /// It has ended well; that counts only once the target state is read back.
    Succeeded,
    /// It has failed, in Microsoft's words.
    Failed(String),
    /// Microsoft does not know it any more.
    Gone,
}

/// The connection that asked for an act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// It is there.
    Present {
        /// Whether it is suspended.
        suspended: bool,
        /// The value of its annotation `dualwrite.dev/reconcile-at`.
        reconcile_at: Option<String>,
    },
    /// It is there, but asks for something else by now.
    Changed,
    /// It is gone, or being deleted, or another one of the same name.
    Gone,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next {
    /// The status as it should be; with `send`, this is the intent and must be written first.
    pub status: DualWriteOperationStatus,
    /// The request to send once the intent is written.
    pub send: Option<Send>,
    /// When to look again.
    pub next: Option<Timestamp>,
}

/// A request whose intent is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Send {
    /// The step.
    pub step: String,
    /// After this it must not be sent any more.
    pub before: Timestamp,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Microsoft has accepted it.
    Accepted {
        /// Microsoft's id of what it does for us.
        remote_id: Option<String>,
    },
    /// Microsoft has refused it: certainly nothing has started.
    Refused(Problem),
    /// What became of it is not known.
    Lost(Problem),
    /// It was certainly not sent.
    NotSent(Problem),
}

/// What an act does next.
pub fn advance(act: &Act<'_>) -> Next {
    match act.operation.status.phase {
        None | Some(Phase::AwaitingApproval) => unstarted(act),
        Some(Phase::Running) => running(act),
        Some(Phase::Unknown) => late_success(act),
        Some(Phase::Succeeded | Phase::Failed | Phase::Void) => settled(act),
    }
}

/// Whether the finalizer is needed for this status: from before an intent until its outcome is recorded.
pub fn needs_finalizer(status: &DualWriteOperationStatus) -> bool {
    status.phase == Some(Phase::Running)
        && status
            .steps
            .iter()
            .any(|step| matches!(step.state, StepState::Intended | StepState::Sent))
}

// ---- before the first step ----

fn unstarted(act: &Act<'_>) -> Next {
    if act.operation.deleted.is_some() {
        return settled(act);
    }
    let reconsider = after(act.now, act.settings.poll);
    match (act.owner, act.operation.spec.approval) {
        (Owner::Gone, _) => return void(act, "the connection is gone"),
        (Owner::Changed, _) => return void(act, NO_LONGER_ASKED_FOR),
        (_, Approval::Rejected) => return void(act, "the plan was rejected"),
        (_, Approval::Pending) => return wait_in(act, Some(Phase::AwaitingApproval), None),
        (
            Owner::Present {
                suspended: true, ..
            },
            _,
        ) => return wait_in(act, act.operation.status.phase, None),
        (
            Owner::Present {
                suspended: false, ..
            },
            Approval::NotRequired | Approval::Approved,
        ) => {}
    }
    if act.others.iter().any(KnownOperation::occupies_host) {
        return wait(act, reconsider);
    }
    if act
        .others
        .iter()
        .any(|other| other.is_unstarted() && is_elder(other, act.operation))
    {
        return void(
            act,
            "an older operation for the same finance and operations environment is waiting",
        );
    }
    match &act.observed.integrated {
        Fact::Known(true) => first_step(act),
        Fact::Known(false) => void(
            act,
            "Power Platform integration does not join the two environments any more",
        ),
        Fact::Unknown(_) => wait(act, reconsider),
    }
}

fn is_elder(other: &KnownOperation, than: &KnownOperation) -> bool {
    (other.created, &other.uid) < (than.created, &than.uid)
}

fn first_step(act: &Act<'_>) -> Next {
    match (act.operation.spec.action, &act.observed.link) {
        (Action::Link, LinkView::To(link)) if !is_target(act, &link.environment_id) => {
            return void(act, &messages::linked_to_another(&link.environment_id));
        }
        (Action::Link, LinkView::NotObserved | LinkView::Unknown(_) | LinkView::HostDown(_)) => {
            return wait(act, after(act.now, act.settings.poll));
        }
        (Action::Link, LinkView::To(_) | LinkView::Absent) | (Action::Setup, _) => {}
    }
    let mut status = act.operation.status.clone();
    status.steps = act
        .operation
        .spec
        .steps
        .iter()
        .map(|step| StepStatus::pending(&step.name))
        .collect();
    next_step(act, status)
}

// ---- running ----

fn running(act: &Act<'_>) -> Next {
    if is_beyond_patience(act) {
        return finish(
            act,
            act.operation.status.clone(),
            Phase::Unknown,
            Some(Reason::OutcomeUnknown),
            abandoned(act),
        );
    }
    next_step(act, act.operation.status.clone())
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
fn next_step(act: &Act<'_>, mut status: DualWriteOperationStatus) -> Next {
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
enum Target<'a> {
    Reached,
    Moving,
    /// Not there; with Microsoft's message about a failure, if there is one.
    Missing(Option<&'a str>),
    /// Something else is there instead, which is not ours to change.
    Taken(&'a str),
    /// It could not be read.
    Unseen,
}

fn target<'a>(act: &Act<'a>, step: &str) -> Target<'a> {
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

fn package<'a>(act: &Act<'a>, name: &str) -> Target<'a> {
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

fn is_target(act: &Act<'_>, environment_id: &str) -> bool {
    super::desired::same_id(environment_id, &act.operation.spec.target.environment_id)
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
fn begin(act: &Act<'_>, status: &mut DualWriteOperationStatus) {
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
    match target(act, &status.steps[index].name) {
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
        Target::Missing(_) => {}
    }
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
        Some(_) => absent(act, status, index),
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
fn absent(act: &Act<'_>, mut status: DualWriteOperationStatus, index: usize) -> Next {
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
        (_, Some(RemoteState::Failed(why))) => fail(act, status, index, why, Reason::InstallFailed),
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

// ---- ends ----

fn done(act: &Act<'_>, mut status: DualWriteOperationStatus, index: usize) -> Next {
    begin(act, &mut status);
    let step = &mut status.steps[index];
    step.state = StepState::Done;
    step.error = None;
    step.absent_since = None;
    if status
        .steps
        .iter()
        .all(|step| step.state == StepState::Done)
    {
        return succeed(act, status);
    }
    // One step a pass: the next one is judged by reads that were made after this one was recorded.
    keep(status, Some(act.now))
}

fn succeed(act: &Act<'_>, status: DualWriteOperationStatus) -> Next {
    let message = messages::act_succeeded(&act.operation.spec);
    finish(act, status, Phase::Succeeded, None, message)
}

fn fail(
    act: &Act<'_>,
    mut status: DualWriteOperationStatus,
    index: usize,
    why: &str,
    reason: Reason,
) -> Next {
    begin(act, &mut status);
    let step = &mut status.steps[index];
    step.state = StepState::Failed;
    step.error = Some(why.to_owned());
    let message = messages::act_failed(&act.operation.spec, &step.name.clone(), why);
    finish(act, status, Phase::Failed, Some(reason), message)
}

fn timed_out(act: &Act<'_>, mut status: DualWriteOperationStatus, index: usize) -> Next {
    let deadline = status.deadline.unwrap_or(act.now);
    let step = &mut status.steps[index];
    step.state = StepState::Failed;
    let message = messages::act_timed_out(&act.operation.spec, &step.name.clone(), deadline);
    step.error = Some(message.clone());
    finish(act, status, Phase::Failed, Some(Reason::TimedOut), message)
}

fn void(act: &Act<'_>, why: &str) -> Next {
    void_with(act, act.operation.status.clone(), why)
}

fn void_with(act: &Act<'_>, status: DualWriteOperationStatus, why: &str) -> Next {
    finish(act, status, Phase::Void, None, messages::void(why))
}

fn finish(
    act: &Act<'_>,
    mut status: DualWriteOperationStatus,
    phase: Phase,
    reason: Option<Reason>,
    message: String,
) -> Next {
    status.phase = Some(phase);
    status.reason = reason.map(|reason| reason.as_ref().to_owned());
    status.message = Some(message);
    let next = (phase == Phase::Unknown).then(|| after(act.now, LATE_LOOK));
    if phase.is_finished() {
        status.step = None;
        status.finished_at = Some(act.now);
        status.reconcile_at = match act.owner {
            Owner::Present { reconcile_at, .. } => reconcile_at.clone(),
            Owner::Changed | Owner::Gone => None,
        };
    }
    Next {
        status,
        send: None,
        next,
    }
}

/// What could not be known may still turn out well; a success that comes late counts.
fn late_success(act: &Act<'_>) -> Next {
    let status = act.operation.status.clone();
    let step = status
        .steps
        .iter()
        .position(|step| step.state == StepState::Unknown);
    match step.map(|index| (index, target(act, &status.steps[index].name))) {
        Some((index, Target::Reached)) => done(act, status, index),
        _ => keep(status, Some(after(act.now, LATE_LOOK))),
    }
}

fn settled(act: &Act<'_>) -> Next {
    keep(act.operation.status.clone(), None)
}

const fn keep(status: DualWriteOperationStatus, next: Option<Timestamp>) -> Next {
    Next {
        status,
        send: None,
        next,
    }
}

fn wait(act: &Act<'_>, until: Timestamp) -> Next {
    wait_in(act, act.operation.status.phase, Some(until))
}

fn wait_in(act: &Act<'_>, phase: Option<Phase>, until: Option<Timestamp>) -> Next {
    let mut status = act.operation.status.clone();
    status.phase = phase;
    keep(status, until)
}

// ---- after the request ----

/// The status after a request, and when to look again.
pub fn after_sending(
    act: &Act<'_>,
    intended: DualWriteOperationStatus,
    send: &Send,
    sent: &Sent,
) -> Next {
    let Some(index) = intended
        .steps
        .iter()
        .position(|step| step.name == send.step)
    else {
        return keep(intended, Some(act.now));
    };
    match sent {
        Sent::Accepted { remote_id } => accepted(act, intended, index, remote_id.as_deref()),
        Sent::Refused(problem) if is_for_later(problem) => not_now(act, intended, index, problem),
        Sent::NotSent(problem) => not_now(act, intended, index, problem),
        Sent::Refused(problem) => {
            let reason = match act.operation.spec.action {
                Action::Setup => Reason::InstallFailed,
                Action::Link => Reason::LinkFailed,
            };
            fail(act, intended, index, &problem.message, reason)
        }
        Sent::Lost(problem) => {
            let mut status = intended;
            status.steps[index].error = Some(problem.message.clone());
            keep(status, Some(after(act.now, act.settings.poll)))
        }
    }
}

const fn is_for_later(problem: &Problem) -> bool {
    matches!(problem.class, FailureClass::Busy | FailureClass::Transient)
}

fn accepted(
    act: &Act<'_>,
    mut status: DualWriteOperationStatus,
    index: usize,
    remote_id: Option<&str>,
) -> Next {
    let step = &mut status.steps[index];
    step.state = StepState::Sent;
    step.sent_at = Some(act.now);
    step.remote_id = remote_id.map(str::to_owned);
    keep(status, Some(after(act.now, act.settings.poll)))
}

/// Certainly nothing has started: the step is as if it had never been intended, and is tried again later.
fn not_now(
    act: &Act<'_>,
    mut status: DualWriteOperationStatus,
    index: usize,
    problem: &Problem,
) -> Next {
    let step = &mut status.steps[index];
    step.state = StepState::Pending;
    step.attempt = step.attempt.saturating_sub(1);
    step.send_before = None;
    step.error = Some(problem.message.clone());
    status.message = Some(messages::act_waiting(&problem.message));
    let usual = if problem.class == FailureClass::Transient {
        act.settings.poll
    } else {
        act.settings.poll * 3
    };
    keep(
        status,
        Some(after(
            act.now,
            problem.retry_after.unwrap_or(usual).max(usual),
        )),
    )
}
