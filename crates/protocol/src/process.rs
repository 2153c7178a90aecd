//! What one process remembers of its own requests.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// One process: its id, and the requests that it has begun to send.
#[derive(Debug)]
pub struct Process {
    incarnation: String,
    /// Operation, step, attempt.
    sending: Mutex<HashSet<(String, String, u32)>>,
}

impl Process {
    /// A process that has sent nothing yet.
    pub fn new(incarnation: String) -> Self {
        Self {
            incarnation,
            sending: Mutex::default(),
        }
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

    /// A poisoned lock holds a set that is still whole: every change is a single insert or remove.
    fn sending(&self) -> MutexGuard<'_, HashSet<(String, String, u32)>> {
        self.sending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
