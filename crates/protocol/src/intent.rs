//! The finalizer and the intent of a step, each conditional on what was read before.

use std::time::Duration;

use dualwrite_api::{DualWriteOperation, DualWriteOperationStatus, operation::StepState};
use dualwrite_plan::{
    messages,
    operation::{Next, Send},
    world::{KnownOperation, between},
};

use crate::{
    pass::{Failed, Pass, failed, is_held, step_of},
    shell::{CallError, Failure, Shell},
};

/// How soon the API server is asked again about what must be known.
pub(crate) const AGAIN: Duration = Duration::from_millis(500);

/// What became of an intent.
pub(crate) enum Intent {
    /// It stands in the API server, in this operation.
    Recorded(Box<DualWriteOperation>),
    /// Somebody else is first, or the connection asks for something else.
    SomebodyElse,
    /// So little is left of the time to send in that it is worked out anew, from new reads.
    TooLate,
}

impl<S: Shell> Pass<'_, S> {
    /// Records an intent; then nobody else can record one.
    pub(crate) async fn record_intent(
        &self,
        operation: &DualWriteOperation,
        intended: &Next,
        send: &Send,
    ) -> Result<Intent, Failed<S::Error>> {
        if self.known.is_unstarted() {
            // Two operations of one process must not both find the host free.
            let host = &self.known.spec.finance_operations_host;
            let recorded = self.record_first(operation, intended, send);
            self.shell.alone(host, recorded).await
        } else {
            self.record_in_time(operation, intended, send).await
        }
    }

    /// The first intent of an operation. Two processes that know nothing of each other can both find the host free and both
    /// record one, for no write of the one is refused because of the other. So each looks once more when its own stands: at
    /// least the later one sees the other, and takes back its own, of which nothing was sent.
    async fn record_first(
        &self,
        operation: &DualWriteOperation,
        intended: &Next,
        send: &Send,
    ) -> Result<Intent, Failed<S::Error>> {
        let recorded = self.record_in_time(operation, intended, send).await?;
        let Intent::Recorded(written) = recorded else {
            return Ok(recorded);
        };
        let taken = self.is_host_taken().await;
        if matches!(taken, Ok(false)) {
            return Ok(Intent::Recorded(written));
        }
        let intent = written.status.clone().unwrap_or_default();
        self.record_outcome(*written, &intent, &self.known.status)
            .await?;
        taken.map(|_| Intent::SomebodyElse)
    }

    async fn record_in_time(
        &self,
        operation: &DualWriteOperation,
        intended: &Next,
        send: &Send,
    ) -> Result<Intent, Failed<S::Error>> {
        if self.has_other_owner().await? || self.is_host_taken().await? {
            return Ok(Intent::SomebodyElse);
        }
        let held = self.held(operation).await?;
        if between(self.shell.now(), send.before) < self.settings.send_window / 2 {
            return Ok(Intent::TooLate);
        }
        let (intent, step) = (&intended.status, &send.step);
        match self.shell.write_status(&held, intent).await {
            Ok(written) => Ok(Intent::Recorded(Box::new(written))),
            Err(error) if error.failure().is_certain() => {
                Err(failed("the intent of a step")(error))
            }
            // Perhaps it was taken all the same; then it is ours, and nothing was sent for it yet.
            Err(_) => {
                let found = self.find_intent(intent, step).await?;
                Ok(found.map_or(Intent::SomebodyElse, |found| {
                    Intent::Recorded(Box::new(found))
                }))
            }
        }
    }

    /// An intent that is refused for good stands nowhere, so whoever reads the operation would see it wait for nothing. What is
    /// written is what was there, with one sentence more: the least that may still be taken.
    pub(crate) async fn say_that_it_is_refused(
        &self,
        operation: &DualWriteOperation,
        error: &S::Error,
    ) {
        let mut status = self.known.status.clone();
        status.message = Some(messages::cannot_be_recorded(&error.to_string()));
        if error.failure() == Failure::Refused && status != self.known.status {
            // Best effort: the error itself is logged, and the pass is made again.
            let _ = self.shell.write_status(operation, &status).await;
        }
    }

    /// Whether the connection was suspended, changed or deleted, and the watches have not shown it yet.
    async fn has_other_owner(&self) -> Result<bool, Failed<S::Error>> {
        let live = self.shell.live_owner(self.known).await;
        let live = live.map_err(failed("a look at the connection"))?;
        Ok(live != *self.owner)
    }

    /// Whether another operation of the host is under way; only before the first step.
    async fn is_host_taken(&self) -> Result<bool, Failed<S::Error>> {
        if !self.known.is_unstarted() {
            return Ok(false);
        }
        let host = &self.known.spec.finance_operations_host;
        let live = self.shell.live_operations(host).await;
        let live = live.map_err(failed("a look at the other operations"))?;
        Ok(live.iter().any(|other| self.is_taken_by(other)))
    }

    fn is_taken_by(&self, other: &KnownOperation) -> bool {
        other.uid != self.known.uid
            && other.spec.finance_operations_host == self.known.spec.finance_operations_host
            && other.occupies_host()
    }

    /// The operation with the finalizer on it, as it was written if it had none.
    pub(crate) async fn held(
        &self,
        operation: &DualWriteOperation,
    ) -> Result<DualWriteOperation, Failed<S::Error>> {
        if is_held(operation) {
            return Ok(operation.clone());
        }
        let held = self.shell.hold(operation, true).await;
        held.map_err(failed("the finalizer of an operation"))
    }

    /// The live operation, if it carries the intent that was to be written, or an earlier write of the same intent that
    /// arrived late and that this process has not sent anything for.
    ///
    /// Asked for as long as something could still be sent for it: an intent that nobody knows to be unsent costs half a
    /// minute, and for a link a person's decision.
    async fn find_intent(
        &self,
        intent: &DualWriteOperationStatus,
        step: &str,
    ) -> Result<Option<DualWriteOperation>, Failed<S::Error>> {
        let live = self.live_patiently(self.settings.send_window).await;
        let live = live.map_err(failed("the intent of a step"))?;
        Ok(live.filter(|live| {
            let status = live.status.as_ref();
            status == Some(intent)
                || status.is_some_and(|status| self.is_unsent(status, intent, step))
        }))
    }

    /// Whether a step carries this very intent of this process, and nothing was sent for it.
    fn is_unsent(
        &self,
        live: &DualWriteOperationStatus,
        intent: &DualWriteOperationStatus,
        step: &str,
    ) -> bool {
        let (Some(live), Some(wanted)) = (step_of(live, step), step_of(intent, step)) else {
            return false;
        };
        live.state == StepState::Intended
            && live.attempt == wanted.attempt
            && live.incarnation.as_deref() == Some(self.process.incarnation())
            && !self
                .process
                .was_sending(&self.known.uid, step, live.attempt)
    }

    /// The live operation. The API server is asked again until it has given an answer that lasts, within bounds.
    pub(crate) async fn live_patiently(
        &self,
        bound: Duration,
    ) -> Result<Option<DualWriteOperation>, S::Error> {
        let started = self.shell.uptime();
        loop {
            match self.shell.live_operation(self.known).await {
                Err(error)
                    if !error.failure().is_final() && self.shell.uptime() < started + bound =>
                {
                    self.shell.sleep(AGAIN).await;
                }
                answer => return answer,
            }
        }
    }
}
