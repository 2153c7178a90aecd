//! What becomes of a step once its request was sent, or was not.

use super::pass::Pass;
use crate::{
    messages,
    observed::Problem,
    operation::{
        event::Event,
        model::{Next, Send, Sent, Situation},
        steps::{At, Refusal},
    },
    world::after,
};
use dualwrite_api::{DualWriteOperationStatus, connection::FailureClass};

/// The status after a request, and when to look again.
pub fn after_sending(
    situation: &Situation<'_>,
    intended: DualWriteOperationStatus,
    send: &Send,
    sent: &Sent,
) -> Next {
    let mut pass = Pass::from(situation, intended);
    let Some(index) = pass.position(&send.step) else {
        return pass.now();
    };
    match sent {
        Sent::Accepted { remote_id } => {
            pass.progress.apply(
                index,
                Event::Accepted {
                    at: situation.now,
                    remote_id: remote_id.clone(),
                },
            );
            pass.soon()
        }
        Sent::NotSent(problem) => not_now(pass, index, problem),
        Sent::Refused(problem) if is_for_later(problem) => not_now(pass, index, problem),
        Sent::Refused(problem) => refused(pass, index, problem),
        Sent::Lost(problem) => unclear(pass, index, Event::Lost(problem.message.clone())),
    }
}

const fn is_for_later(problem: &Problem) -> bool {
    matches!(problem.class, FailureClass::Busy | FailureClass::Transient)
}

/// Refused for good. What that means the step says; some of it a person can mend while the operation waits.
fn refused(pass: Pass<'_>, index: usize, problem: &Problem) -> Next {
    let Some(step) = pass.step(index) else {
        return pass.now();
    };
    let at = At {
        situation: pass.situation,
        record: pass.record(index),
        status: &pass.progress.head,
    };
    match step.refused(&at, &problem.message) {
        Refusal::Believed(failure) => pass.fail(index, Event::Refused, failure),
        Refusal::Doubted => unclear(pass, index, Event::Denied(problem.message.clone())),
        Refusal::ForNow => not_now(pass, index, problem),
    }
}

/// What has come of it is looked for.
fn unclear(mut pass: Pass<'_>, index: usize, event: Event) -> Next {
    pass.progress.apply(index, event);
    pass.soon()
}

/// Certainly nothing has started: the step is as if it had never been intended, and is tried again later.
fn not_now(mut pass: Pass<'_>, index: usize, problem: &Problem) -> Next {
    let (now, poll) = (pass.situation.now, pass.situation.settings.poll);
    pass.progress
        .apply(index, Event::NotSent(problem.message.clone()));
    pass.tell(messages::waiting(&problem.message));
    let usual = if problem.class == FailureClass::Transient {
        poll
    } else {
        poll * 3
    };
    let wait = problem.retry_after.unwrap_or(usual).max(usual);
    pass.keep(Some(after(now, wait)))
}
