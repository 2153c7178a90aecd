//! What becomes of a step once its request was sent, or was not.

use super::{Act, Next, Send, Sent, ends::keep, failures};
use crate::{messages, observed::Problem, operation::StepKind, world::after};
use dualwrite_api::{DualWriteOperationStatus, connection::FailureClass, operation::StepState};

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
            let mut intended = intended;
            // Nothing can arrive of it any more.
            intended.steps[index].send_before = None;
            match StepKind::parse(act.operation.spec.action, &send.step) {
                // What Kubernetes refuses, a person can grant while the plan waits: nothing was touched yet.
                Some(StepKind::Backup) => not_now(act, intended, index, problem),
                Some(kind) => failures::refused(act, intended, index, &kind, problem),
                None => keep(intended, Some(act.now)),
            }
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

pub(super) fn accepted(
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
