//! The status that a pass comes to, and the end of an operation.

use dualwrite_api::DualWriteOperation;
use dualwrite_plan::operation::{Next, needs_finalizer};

use crate::{
    pass::{Again, Failed, Pass, failed, is_held},
    shell::{CallError, Failure, Shell},
};

impl<S: Shell> Pass<'_, S> {
    /// Writes what the pass came to, and takes the finalizer off when nothing is in flight any more.
    pub(crate) async fn conclude(
        &self,
        operation: &DualWriteOperation,
        next: &Next,
    ) -> Result<Again, Failed<S::Error>> {
        let Some(current) = self.report(operation, next).await? else {
            return Ok(Again::OnChange);
        };
        if !needs_finalizer(&current.spec, &next.status) {
            release(self.shell, &current).await?;
        }
        Ok(match (next.next, next.status.phase) {
            (Some(at), _) => Again::At(at),
            (None, Some(phase)) if phase.is_finished() => Again::OnChange,
            (None, _) => Again::OnTrigger,
        })
    }

    /// Writes the status if it is another one. `None`: the operation was deleted, so there is nothing left to write to.
    async fn report(
        &self,
        operation: &DualWriteOperation,
        next: &Next,
    ) -> Result<Option<DualWriteOperation>, Failed<S::Error>> {
        if operation.status.clone().unwrap_or_default() == next.status {
            return Ok(Some(operation.clone()));
        }
        // An outcome that was unknown may have shown late, and the operation goes on: it is held before it says so, or a
        // deletion right after that would leave nobody who puts back what it has taken away.
        let current = if needs_finalizer(&operation.spec, &next.status) {
            self.held(operation).await?
        } else {
            operation.clone()
        };
        let written = match self.shell.write_status(&current, &next.status).await {
            Ok(written) => written,
            Err(error) if error.failure() == Failure::Gone => return Ok(None),
            Err(error) => return Err(failed("the status of an operation")(error)),
        };
        self.shell.tell(&current, &next.status).await;
        Ok(Some(written))
    }
}

/// Takes the finalizer off. That the operation is gone already is fine.
pub(crate) async fn release<S: Shell>(
    shell: &S,
    operation: &DualWriteOperation,
) -> Result<(), Failed<S::Error>> {
    if !is_held(operation) {
        return Ok(());
    }
    match shell.hold(operation, false).await {
        Ok(_) => Ok(()),
        Err(error) if error.failure() == Failure::Gone => Ok(()),
        Err(error) => Err(failed("the finalizer of an operation")(error)),
    }
}
