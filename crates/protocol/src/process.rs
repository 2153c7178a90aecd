//! What one process remembers of its own requests.

use std::{
    collections::HashSet,
    future::poll_fn,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
};

/// One process: its id, the requests that it has begun to send, and those that are under way.
#[derive(Debug)]
pub struct Process {
    incarnation: String,
    /// Operation, step, attempt.
    sending: Mutex<HashSet<(String, String, u32)>>,
    under_way: Mutex<UnderWay>,
}

#[derive(Debug, Default)]
struct UnderWay {
    requests: usize,
    is_ending: bool,
    end: Option<Waker>,
}

/// A request, from before its intent until what became of it is recorded.
#[derive(Debug)]
pub(crate) struct Request<'a>(&'a Process);

impl Drop for Request<'_> {
    fn drop(&mut self) {
        let mut under_way = locked(&self.0.under_way);
        under_way.requests -= 1;
        if under_way.requests == 0
            && let Some(end) = under_way.end.take()
        {
            end.wake();
        }
    }
}

impl Process {
    /// A process that has sent nothing yet.
    pub fn new(incarnation: String) -> Self {
        Self {
            incarnation,
            sending: Mutex::default(),
            under_way: Mutex::default(),
        }
    }

    /// Begins a request, unless the process is ending.
    pub(crate) fn begin(&self) -> Option<Request<'_>> {
        let mut under_way = locked(&self.under_way);
        if under_way.is_ending {
            return None;
        }
        under_way.requests += 1;
        Some(Request(self))
    }

    /// From now on no request begins. Waits until what became of those that are under way is recorded.
    pub async fn end(&self) {
        locked(&self.under_way).is_ending = true;
        poll_fn(|context| {
            let mut under_way = locked(&self.under_way);
            if under_way.requests == 0 {
                return Poll::Ready(());
            }
            under_way.end = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Its id in intents.
    pub fn incarnation(&self) -> &str {
        &self.incarnation
    }

    /// A request is about to be sent. Noted before it is: an intent that is found again is ours to send only if this was
    /// never said of it.
    pub(crate) fn note_sending(&self, operation: &str, step: &str, attempt: u32) {
        self.sending()
            .insert((operation.to_owned(), step.to_owned(), attempt));
    }

    /// Whether this process has begun to send a request.
    pub(crate) fn was_sending(&self, operation: &str, step: &str, attempt: u32) -> bool {
        self.sending()
            .contains(&(operation.to_owned(), step.to_owned(), attempt))
    }

    /// Drops what is kept for an operation that has ended.
    pub(crate) fn forget(&self, operation: &str) {
        self.sending().retain(|(known, ..)| known != operation);
    }

    fn sending(&self) -> MutexGuard<'_, HashSet<(String, String, u32)>> {
        locked(&self.sending)
    }
}

/// A poisoned lock holds something that is still whole: every change is a single assignment, insert or remove.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{pin::pin, task::Context};

    use super::*;

    #[test]
    fn the_end_waits_for_what_is_under_way_and_lets_nothing_begin() {
        let process = Process::new("0".into());
        let (one, other) = (process.begin().unwrap(), process.begin().unwrap());
        let mut context = Context::from_waker(Waker::noop());
        let mut end = pin!(process.end());
        assert!(end.as_mut().poll(&mut context).is_pending());
        assert!(process.begin().is_none());
        drop(one);
        assert!(end.as_mut().poll(&mut context).is_pending());
        drop(other);
        assert!(end.as_mut().poll(&mut context).is_ready());
    }

    #[test]
    fn a_request_is_known_by_its_operation_its_step_and_its_attempt() {
        let process = Process::new("one".into());
        process.note_sending("operation", "stop-maps", 1);
        assert!(process.was_sending("operation", "stop-maps", 1));
        for (operation, step, attempt) in [
            ("operation", "stop-maps", 0),
            ("operation", "stop-maps", 2),
            ("operation", "reset", 1),
            ("another", "stop-maps", 1),
        ] {
            assert!(!process.was_sending(operation, step, attempt));
        }
        process.note_sending("another", "stop-maps", 1);
        process.forget("operation");
        assert!(!process.was_sending("operation", "stop-maps", 1));
        assert!(process.was_sending("another", "stop-maps", 1));
    }
}
