//! What the protocol meets: the operator's own state, with whatever happens before and after each write.

use super::{Answer, Operator, When, after, answered};
use crate::{
    api_server::{ApiServer, Refused, Stop, new_intent},
    in_memory::World,
};
use dualwrite_api::{DualWriteOperation, DualWriteOperationStatus};
use dualwrite_plan::{
    operation::{Observations, Owner, Send, Sent, needs_finalizer},
    world::KnownOperation,
};
use dualwrite_protocol::shell::Failure;
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

impl World for Operator {
    fn now(&mut self) -> &mut Timestamp {
        &mut self.now
    }

    fn api(&self) -> &ApiServer {
        &self.api
    }

    fn owner(&self) -> Owner {
        self.owner.clone()
    }

    fn watched(&self) -> Option<DualWriteOperation> {
        match &self.stale {
            Some((until, copy)) if self.now < *until => Some(copy.clone()),
            _ => self.api.get(),
        }
    }

    fn watched_owner(&self) -> Owner {
        self.shown_owner.as_ref().unwrap_or(&self.owner).clone()
    }

    fn others(&self) -> Vec<KnownOperation> {
        self.unwatched.iter().cloned().collect()
    }

    fn take_turn(&mut self, host: &str) {
        self.turns.push(host.to_owned());
        self.now = after(self.now, std::mem::take(&mut self.next_turn_takes));
    }

    fn reach_api(&self) -> Result<(), Refused> {
        match self.away_until {
            Some(until) if self.now < until => Err(Refused(Failure::Uncertain)),
            _ => Ok(()),
        }
    }

    fn hold(
        &mut self,
        operation: &DualWriteOperation,
        held: bool,
    ) -> Result<DualWriteOperation, Stop> {
        self.write(operation, &Change::Finalizer(held))
    }

    fn write_status(
        &mut self,
        operation: &DualWriteOperation,
        status: &DualWriteOperationStatus,
    ) -> Result<DualWriteOperation, Stop> {
        self.write(operation, &Change::Status(Box::new(status.clone())))
    }

    fn read(&mut self) -> Observations {
        self.observe()
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

impl Operator {
    fn write(
        &mut self,
        read: &DualWriteOperation,
        change: &Change,
    ) -> Result<DualWriteOperation, Stop> {
        self.reach_api()?;
        let number = self.writes.len();
        let what = self.name(change);
        let is_intent = matches!(what, Write::Intent(_));
        self.writes.push(what);
        if is_intent && self.refuses_intents {
            return Err(Stop::Refused(Failure::Refused));
        }
        if let Some((read, change)) = self.delayed.take() {
            // It may come too late; nobody hears what becomes of it.
            let _ = self.apply(&read, &change);
        }
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
}
