//! What the protocol meets: the operator's own state, as an API server, as Microsoft's side and as the time.

use std::{
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use super::{Answer, Operator, When, after, answered, start};
use crate::api_server::{Refused, Stop, answer, heard, new_intent};
use dualwrite_api::{DualWriteOperation, DualWriteOperationStatus};
use dualwrite_plan::{
    operation::{Observations, Owner, Send, Sent, needs_finalizer},
    world::{KnownOperation, between},
};
use dualwrite_protocol::shell::{Cluster, Failure, Runtime, Service};
use jiff::Timestamp;

/// One thing that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    Finalizer(bool),
    Intent(String),
    Outcome(String),
    Status,
}

/// What a write changes.
#[derive(Clone, Debug)]
pub enum Change {
    Finalizer(bool),
    Status(Box<DualWriteOperationStatus>),
}

/// A step whose intent this pass has written, and the number of its request.
#[derive(Clone, Debug)]
pub struct Begun {
    step: String,
    request: Option<usize>,
}

pub struct InMemory<'a>(Mutex<&'a mut Operator>);

impl<'a> InMemory<'a> {
    pub const fn new(operator: &'a mut Operator) -> Self {
        Self(Mutex::new(operator))
    }

    fn operator(&self) -> MutexGuard<'_, &'a mut Operator> {
        self.0.lock().unwrap()
    }
}

impl Cluster for InMemory<'_> {
    type Error = Refused;

    fn watched_owner(&self, _: &KnownOperation) -> Owner {
        self.operator().owner.clone()
    }

    fn watched_others(&self, _: &KnownOperation) -> Vec<KnownOperation> {
        Vec::new()
    }

    async fn live_owner(&self, _: &KnownOperation) -> Result<Owner, Refused> {
        let operator = self.operator();
        operator.reach_api()?;
        Ok(operator.owner.clone())
    }

    async fn live_operations(&self) -> Result<Vec<KnownOperation>, Refused> {
        let operator = self.operator();
        operator.reach_api()?;
        let others = operator.unwatched.iter().cloned();
        Ok(others.chain([operator.api.stored.clone()]).collect())
    }

    async fn live_operation(
        &self,
        _: &KnownOperation,
    ) -> Result<Option<DualWriteOperation>, Refused> {
        let operator = self.operator();
        operator.reach_api()?;
        Ok(operator.api.get())
    }

    async fn hold(
        &self,
        operation: &DualWriteOperation,
        held: bool,
    ) -> Result<DualWriteOperation, Refused> {
        let change = Change::Finalizer(held);
        let written = self.operator().write(operation, &change);
        heard(written).await
    }

    async fn write_status(
        &self,
        operation: &DualWriteOperation,
        status: &DualWriteOperationStatus,
    ) -> Result<DualWriteOperation, Refused> {
        let change = Change::Status(Box::new(status.clone()));
        let written = self.operator().write(operation, &change);
        heard(written).await
    }

    async fn tell(&self, _: &DualWriteOperation, _: &DualWriteOperationStatus) {}
}

impl Service for InMemory<'_> {
    type Reach = ();

    async fn read(&self, _: &KnownOperation) -> (Observations, Option<()>) {
        (self.operator().read(), Some(()))
    }

    async fn send(&self, (): &(), _: &KnownOperation, send: &Send) -> Sent {
        let sent = self.operator().send(send);
        answer(sent).await
    }
}

impl Runtime for InMemory<'_> {
    fn now(&self) -> Timestamp {
        self.operator().now
    }

    fn uptime(&self) -> Duration {
        between(start(), self.operator().now)
    }

    async fn sleep(&self, duration: Duration) {
        let mut operator = self.operator();
        operator.now = after(operator.now, duration);
    }

    async fn alone<T: std::marker::Send>(
        &self,
        work: impl Future<Output = T> + std::marker::Send,
    ) -> T {
        work.await
    }
}

impl Operator {
    fn reach_api(&self) -> Result<(), Refused> {
        match self.away_until {
            Some(until) if self.now < until => Err(Refused(Failure::Uncertain)),
            _ => Ok(()),
        }
    }

    fn write(
        &mut self,
        read: &DualWriteOperation,
        change: &Change,
    ) -> Result<DualWriteOperation, Stop> {
        self.reach_api()
            .map_err(|Refused(failure)| Stop::Refused(failure))?;
        if let Some((read, change)) = self.delayed.take() {
            // It may come too late; nobody hears what becomes of it.
            let _ = self.apply(&read, &change);
        }
        let number = self.writes.len();
        let what = self.name(change);
        self.writes.push(what);
        let happened = self.happen(When::Before(number));
        if std::mem::take(&mut self.is_delaying) {
            self.delayed = Some((read.clone(), change.clone()));
        }
        happened?;
        let written = self.apply(read, change)?;
        self.happen(When::After(number))?;
        Ok(written)
    }

    fn apply(
        &mut self,
        read: &DualWriteOperation,
        change: &Change,
    ) -> Result<DualWriteOperation, Stop> {
        match change {
            Change::Finalizer(held) => self.api.hold(read, *held),
            Change::Status(status) => {
                let written = self.api.write_status(read, status)?;
                if let Some(number) = self.begun.as_ref().and_then(|begun| begun.request) {
                    self.journal[number].recorded = true;
                }
                Ok(written)
            }
        }
    }

    fn name(&mut self, change: &Change) -> Write {
        let status = match change {
            Change::Finalizer(held) => return Write::Finalizer(*held),
            Change::Status(status) => status,
        };
        if let Some(step) = new_intent(&self.api.stored.status, status) {
            assert!(
                self.api.finalizer && needs_finalizer(&self.api.stored.spec, status),
                "an intent without a finalizer"
            );
            self.begun = Some(Begun {
                step: step.clone(),
                request: None,
            });
            return Write::Intent(step);
        }
        match &self.begun {
            Some(begun) => Write::Outcome(begun.step.clone()),
            None => Write::Status,
        }
    }

    /// Sends a request, unless its time is over.
    fn send(&mut self, send: &Send) -> Result<Sent, Stop> {
        if self.now >= send.before {
            return Ok(answered(Answer::NotSent, None));
        }
        let number = self.journal.len();
        let begun = self.begun.as_mut().expect("no intent was written");
        assert_eq!(begun.step, send.step, "another intent was written");
        begun.request = Some(number);
        let sent = self.receive(send);
        self.happen(When::Received(number))?;
        Ok(sent)
    }
}
