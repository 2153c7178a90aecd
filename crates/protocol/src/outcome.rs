//! What became of a request.

use std::time::Duration;

use dualwrite_api::{DualWriteOperation, DualWriteOperationStatus};

use crate::{
    intent::AGAIN,
    pass::{Failed, Pass, failed},
    shell::{CallError, Shell},
};

/// How long what became of a request is tried to be recorded.
pub const PATIENCE: Duration = Duration::from_secs(30);

const DOING: &str = "what became of a request";

impl<S: Shell> Pass<'_, S> {
    /// Writes what became of a request. While the operation carries our intent nobody else may speak of it, so whatever
    /// else has changed (a label, its deletion) does not matter, and an answer that is known is not lost to it.
    pub(crate) async fn record_outcome(
        &self,
        written: DualWriteOperation,
        intent: &DualWriteOperationStatus,
        outcome: &DualWriteOperationStatus,
    ) -> Result<DualWriteOperation, Failed<S::Error>> {
        let until = self.shell.uptime() + PATIENCE;
        let mut live = written;
        while live.status.as_ref() == Some(intent) && intent != outcome {
            match self.shell.write_status(&live, outcome).await {
                Ok(recorded) => return Ok(recorded),
                Err(error) if error.failure().is_final() || self.shell.uptime() > until => {
                    return Err(failed(DOING)(error));
                }
                Err(_) => self.shell.sleep(AGAIN).await,
            }
            let left = until.saturating_sub(self.shell.uptime());
            let found = self.live_patiently(left).await.map_err(failed(DOING))?;
            live = found.ok_or(Failed::Overtaken(DOING))?;
        }
        if live.status.as_ref() == Some(outcome) {
            Ok(live)
        } else {
            Err(Failed::Overtaken(DOING))
        }
    }
}
