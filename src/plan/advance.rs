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

mod ends;
mod sent;
mod steps;

use std::time::Duration;

use jiff::Timestamp;

pub use sent::after_sending;

use ends::{late_success, settled, void, wait, wait_in};
use steps::{is_target, next_step, running};

use super::{
    messages,
    observed::{Fact, LinkView, Package, Problem},
    world::{KnownOperation, Settings, after},
};
use crate::api::{
    DualWriteOperationStatus,
    operation::{Action, Approval, Phase, StepState, StepStatus},
};

/// How long after its intent a request may still be sent.
pub const SEND_WINDOW: Duration = Duration::from_secs(30);

/// A link is slow: its request may take so many times longer than others.
pub const LINK_TIMEOUT_FACTOR: u32 = 10;

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
    if act.others.iter().any(|other| {
        other.is_unstarted() && other.deleted.is_none() && is_elder(other, act.operation)
    }) {
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
