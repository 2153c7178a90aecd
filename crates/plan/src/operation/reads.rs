//! What an operation's next pass reads: what the step that comes next needs, and no more.

use super::StepKind;
use crate::world::KnownOperation;
use dualwrite_api::operation::{Action, Approval, Phase, StepState, StepStatus};

/// What to read. Whatever is not asked for is unknown to the pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reads {
    /// Whether Power Platform integration still joins host and target.
    pub integration: bool,
    /// The application packages of the target.
    pub applications: bool,
    /// Where dual-write is linked to.
    pub link: bool,
    /// The table maps of the link.
    pub maps: bool,
    /// The connection set of the link.
    pub connection_set: bool,
    /// The solutions that bring table maps.
    pub solutions: bool,
    /// What was written down before a reset.
    pub backup: bool,
    /// What Microsoft says of the request that was accepted last.
    pub remote: Option<RemoteRequest>,
}

/// A request that Microsoft has accepted and can be asked about, by the id that it gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RemoteRequest {
    /// The installation of a package.
    Installation(String),
    /// The application of a solution.
    Solution(String),
    /// A change of table maps.
    Maps(String),
}

impl Reads {
    /// Whether any of it is read with the application's identity.
    pub const fn needs_application(&self) -> bool {
        self.integration || self.applications
    }

    /// Whether nothing is to be read.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What the next pass over an operation has to read.
pub fn reads(operation: &KnownOperation) -> Reads {
    if waits_for_a_person(operation) {
        return Reads::default();
    }
    let action = operation.spec.action;
    let is_first = operation.is_unstarted();
    let is_reset = action == Action::Reset;
    let at_reset = is_reset && is_at(operation, &[StepKind::Reset]);
    let is_relied_on = is_reset && (is_first || at_reset);
    let is_running = operation.status.phase == Some(Phase::Running);
    Reads {
        integration: match action {
            Action::StopMaps => false,
            Action::Setup | Action::Link => is_first,
            Action::Reset => is_relied_on,
        },
        applications: action == Action::Setup,
        link: action != Action::Setup,
        maps: matches!(action, Action::Reset | Action::StopMaps),
        connection_set: is_relied_on
            || (is_reset && is_at(operation, &[StepKind::IntegrationKeys])),
        solutions: is_relied_on,
        backup: is_reset && is_running && is_at(operation, &[StepKind::Backup, StepKind::Reset]),
        remote: remote(operation),
    }
}

/// Before a plan is approved only its connection can change what becomes of it.
fn waits_for_a_person(operation: &KnownOperation) -> bool {
    let is_undecided = matches!(
        operation.spec.approval,
        Approval::Pending | Approval::Rejected
    );
    operation.is_unstarted() && is_undecided
}

fn is_at(operation: &KnownOperation, kinds: &[StepKind]) -> bool {
    let closed = |step: &StepStatus| matches!(step.state, StepState::Done | StepState::Failed);
    let mut steps = operation.status.steps.iter();
    let open = steps.find(|step| !closed(step));
    open.and_then(|step| StepKind::parse(operation.spec.action, &step.name))
        .is_some_and(|kind| kinds.contains(&kind))
}

fn remote(operation: &KnownOperation) -> Option<RemoteRequest> {
    let mut steps = operation.status.steps.iter();
    let sent = steps.find(|step| step.state == StepState::Sent)?;
    let id = sent.remote_id.clone()?;
    Some(match StepKind::parse(operation.spec.action, &sent.name)? {
        StepKind::Package(_) => RemoteRequest::Installation(id),
        StepKind::Solution(_) => RemoteRequest::Solution(id),
        _ => RemoteRequest::Maps(id),
    })
}
