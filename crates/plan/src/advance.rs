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

mod before;
mod conclude;
mod elsewhere;
mod ends;
mod failures;
mod follow;
mod read_back;
mod request;
mod requests;
mod reset;
mod sent;
mod steps;
mod targets;

use std::time::Duration;

use jiff::Timestamp;

pub use request::{MapChange, MapTarget, Request, Send};
pub use sent::after_sending;

use ends::{late_success, settled, void, wait, wait_in};
use steps::{next_step, running};
use targets::is_target;

use super::{
    maps::{LinkDetails, TableMap},
    messages,
    observed::{Fact, LinkView, Package, Problem},
    world::{KnownOperation, Settings, after},
};
use dualwrite_api::{
    DualWriteOperationSpec, DualWriteOperationStatus,
    operation::{Action, Approval, Phase, StepState, StepStatus},
};

/// How long an operation that is being deleted is held to learn the outcome of its request, and how long the deletion of a
/// connection waits for its maps to be stopped.
pub const DELETION_PATIENCE: Duration = Duration::from_mins(10);

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
    /// Whether Power Platform integration still joins host and target; read before the first step, and right before a reset.
    pub integrated: Fact<bool>,
    /// The application packages of the target; for Setup.
    pub applications: Fact<Vec<Package>>,
    /// What Microsoft says of the request that was accepted; for a step with a remote id.
    pub remote: Fact<RemoteState>,
    /// Where dual-write is linked to; for every action but Setup.
    pub link: LinkView,
    /// The table maps of the link; for `Reset` and `StopMaps`.
    pub maps: Fact<Vec<TableMap>>,
    /// What else a reset takes away or needs; for Reset: all of it before the first step, and of the rest what the step
    /// needs that the operation is at.
    pub details: LinkDetails,
    /// What was written down before a reset; for Reset.
    pub backup: BackupView,
}

/// What was written down before a reset, as it stands in Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackupView {
    /// It is there, and is what it should be.
    Intact,
    /// It is not there, or not all of it.
    Missing,
    /// It is there, but was changed.
    Altered,
    /// It could not be read, or was not looked at.
    Unknown(Problem),
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
///
/// Through a reset, and the stopping of maps, it is held from the first intent to the end: the act carries what it needs to
/// put back what it has taken away, and must not be lost in between. That of a deletion is held from its creation on.
pub fn needs_finalizer(
    operation: &DualWriteOperationSpec,
    status: &DualWriteOperationStatus,
) -> bool {
    let in_flight = |step: &StepStatus| matches!(step.state, StepState::Intended | StepState::Sent);
    match (operation.action, status.phase) {
        (Action::Setup | Action::Link, Some(Phase::Running)) => status.steps.iter().any(in_flight),
        (Action::Reset | Action::StopMaps, Some(Phase::Running)) => true,
        (Action::StopMaps, None) => operation.options.on_deletion,
        _ => false,
    }
}

// ---- before the first step ----

fn unstarted(act: &Act<'_>) -> Next {
    let for_deletion = act.operation.spec.options.on_deletion;
    if for_deletion && is_beyond_deletion(act) {
        return void(act, &messages::maps_not_stopped_in_time());
    }
    if act.operation.deleted.is_some() && !for_deletion {
        return settled(act);
    }
    let reconsider = after(act.now, act.settings.poll);
    match (act.owner, act.operation.spec.approval) {
        _ if for_deletion => {}
        (Owner::Gone, _) => return void(act, "the connection is gone"),
        (Owner::Changed, _) => return void(act, NO_LONGER_ASKED_FOR),
        (_, Approval::Rejected) => return void(act, "the plan was rejected"),
        (_, Approval::Pending) => return await_approval(act),
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
    if act.others.iter().any(|other| {
        other.is_unstarted() && other.deleted.is_none() && is_elder(other, act.operation)
    }) {
        return void(
            act,
            "an older operation for the same finance and operations environment is waiting",
        );
    }
    match &act.observed.integrated {
        _ if act.operation.spec.action == Action::StopMaps => first_step(act),
        Fact::Known(true) => first_step(act),
        Fact::Known(false) => void(act, messages::NOT_INTEGRATED_ANY_MORE),
        Fact::Unknown(problem) => {
            let mut next = wait(act, reconsider);
            if problem.is_for_a_person() {
                steps::say(&mut next.status, messages::act_waiting(&problem.message));
            }
            next
        }
    }
}

/// A plan that waits says what would be lost, and how it is approved.
fn await_approval(act: &Act<'_>) -> Next {
    let mut next = wait_in(act, Some(Phase::AwaitingApproval), None);
    next.status.message = Some(messages::plan_awaits_approval(act.operation));
    next
}

/// Whether the deletion of a connection has waited long enough for its maps to be stopped.
fn is_beyond_deletion(act: &Act<'_>) -> bool {
    act.now >= after(act.operation.created, DELETION_PATIENCE)
}

fn is_elder(other: &KnownOperation, than: &KnownOperation) -> bool {
    (other.created, &other.uid) < (than.created, &than.uid)
}

fn first_step(act: &Act<'_>) -> Next {
    if matches!(act.operation.spec.action, Action::Reset | Action::StopMaps)
        && let Some(next) = before::first_look(act)
    {
        return next;
    }
    match (act.operation.spec.action, &act.observed.link) {
        (Action::Link, LinkView::To(link)) if !is_target(act, &link.environment_id) => {
            return void(act, &messages::linked_to_another(&link.environment_id));
        }
        (Action::Link, LinkView::NotObserved | LinkView::Unknown(_) | LinkView::HostDown(_)) => {
            return wait(act, after(act.now, act.settings.poll));
        }
        (Action::Link, LinkView::To(_) | LinkView::Absent)
        | (Action::Setup | Action::Reset | Action::StopMaps, _) => {}
    }
    let mut status = act.operation.status.clone();
    status.approved.clone_from(&act.operation.approved);
    let planned = act.operation.spec.steps.iter();
    status.steps = planned
        .map(|step| StepStatus::pending(&step.name))
        .collect();
    next_step(act, status)
}
