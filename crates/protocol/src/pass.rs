//! One pass over one operation.

use std::error::Error;

use dualwrite_api::{
    DualWriteOperation, DualWriteOperationStatus, OPERATION_FINALIZER, operation::StepStatus,
};
use dualwrite_plan::{
    operation::{self, Next, Observations, Other, Owner, Send, Situation},
    world::{KnownOperation, Settings, after},
};
use jiff::Timestamp;

use crate::{conclude::release, intent::Intent, known, process::Process, shell::Shell};

/// When an operation is looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// When it changes: nothing is left to do.
    OnChange,
    /// At this time.
    At(Timestamp),
    /// It waits for a person or for its connection; what it waits for makes it due.
    OnTrigger,
}

/// A pass that could not be completed; it is made again.
#[derive(Debug, thiserror::Error)]
pub enum Failed<E: Error + 'static> {
    /// A call to the API server did not succeed.
    #[error("{doing}: {source}")]
    Call {
        /// What was being read or written.
        doing: &'static str,
        /// Why it could not be.
        source: E,
    },
    /// Somebody else has written to the operation while this was to be written.
    #[error("{0}: somebody else has written")]
    Overtaken(&'static str),
}

/// Says what was being done when a call failed.
pub(crate) fn failed<E: Error>(doing: &'static str) -> impl FnOnce(E) -> Failed<E> {
    move |source| Failed::Call { doing, source }
}

/// One pass: reads, decides what is next, records the intent, sends at most one request, records what became of it.
///
/// # Errors
/// When the API server could not be read or written; everything else becomes a status.
pub async fn pass<S: Shell>(
    shell: &S,
    process: &Process,
    settings: &Settings,
    operation: &DualWriteOperation,
) -> Result<Again, Failed<S::Error>> {
    let known = known(operation);
    if known.is_finished() {
        process.forget(&known.uid);
        release(shell, operation).await?;
        return Ok(Again::OnChange);
    }
    let (observed, reach) = shell.read(&known).await;
    let pass = Pass {
        shell,
        process,
        settings,
        known: &known,
        observed: &observed,
        owner: &shell.watched_owner(&known),
        others: &shell.watched_others(&known),
    };
    let next = operation::advance(&pass.situation());
    shell.worked_out(&known, &known.status, &next);
    match (next.send.clone(), reach) {
        (Some(send), Some(reach)) => Box::pin(pass.begin(operation, &reach, next, &send)).await,
        // Nothing is sent without having been read, so without a reach there is no request.
        (_, _) => pass.conclude(operation, &next).await,
    }
}

/// What one pass looks at.
pub(crate) struct Pass<'a, S> {
    pub(crate) shell: &'a S,
    pub(crate) process: &'a Process,
    pub(crate) settings: &'a Settings,
    pub(crate) known: &'a KnownOperation,
    pub(crate) observed: &'a Observations,
    pub(crate) owner: &'a Owner,
    pub(crate) others: &'a [Other],
}

impl<S: Shell> Pass<'_, S> {
    fn situation(&self) -> Situation<'_> {
        Situation {
            operation: self.known,
            observed: self.observed,
            owner: self.owner,
            others: self.others,
            incarnation: self.process.incarnation(),
            now: self.shell.now(),
            settings: self.settings,
        }
    }

    fn after_somebody_else(&self) -> Again {
        Again::At(after(self.shell.now(), self.settings.poll))
    }

    /// Records the intent, sends the request once, and records what became of it; unless somebody else is first.
    async fn begin(
        &self,
        operation: &DualWriteOperation,
        reach: &S::Reach,
        intended: Next,
        send: &Send,
    ) -> Result<Again, Failed<S::Error>> {
        let Some(_request) = self.process.begin() else {
            return Ok(Again::OnTrigger);
        };
        let recorded = self.record_intent(operation, &intended, send).await;
        if let Err(Failed::Call { source, .. }) = &recorded {
            self.say_that_it_is_refused(operation, source).await;
        }
        let written = match recorded? {
            Intent::Recorded(written) => *written,
            Intent::SomebodyElse => return Ok(self.after_somebody_else()),
            Intent::TooLate => return Ok(Again::At(self.shell.now())),
        };
        // What stands in the API server holds: its time to send by may be that of an earlier write of ours.
        let intent = written.status.clone().unwrap_or(intended.status);
        let Some(step) = step_of(&intent, &send.step) else {
            return Ok(self.after_somebody_else());
        };
        let send = &Send {
            step: step.name.clone(),
            before: step.send_before.unwrap_or(send.before),
            request: send.request.clone(),
        };
        self.process
            .note_sending(&self.known.uid, &step.name, step.attempt);
        let sent = self.shell.send(reach, self.known, send).await;
        let next = operation::after_sending(&self.situation(), intent.clone(), send, &sent);
        self.shell.worked_out(self.known, &intent, &next);
        let written = self.record_outcome(written, &intent, &next.status).await;
        // Only now, so that nothing stands between an intent and its request; compared with what was before the intent,
        // which itself may be the beginning of the operation.
        let told = if written.is_ok() {
            &next.status
        } else {
            &intent
        };
        self.shell.tell(operation, told).await;
        self.conclude(&written?, &next).await
    }
}

/// The record of a step.
pub(crate) fn step_of<'a>(
    status: &'a DualWriteOperationStatus,
    name: &str,
) -> Option<&'a StepStatus> {
    status.steps.iter().find(|step| step.name == name)
}

/// Whether an operation carries the finalizer.
pub fn is_held(operation: &DualWriteOperation) -> bool {
    let mut finalizers = operation.metadata.finalizers.iter().flatten();
    finalizers.any(|finalizer| finalizer == OPERATION_FINALIZER)
}
