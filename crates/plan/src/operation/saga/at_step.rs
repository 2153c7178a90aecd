//! A pass at a step: what is seen of it, and what that comes to.

use jiff::Timestamp;

use super::pass::Pass;
use crate::{
    messages,
    operation::{
        event::Event,
        model::Next,
        record::{Record, StepRecord},
        steps::{At, Clock, Failure, Step, Target},
    },
    world::after,
};
use dualwrite_api::{Reason, operation::Action};

/// A pass at a step.
pub(super) struct AtStep<'a> {
    pub(super) pass: Pass<'a>,
    pub(super) index: usize,
    pub(super) step: Box<dyn Step>,
}

impl AtStep<'_> {
    /// What the step itself looks at.
    pub(super) fn at(&self) -> At<'_> {
        At {
            situation: self.pass.situation,
            record: self.record(),
            status: &self.pass.progress.head,
        }
    }

    pub(super) fn record(&self) -> &StepRecord {
        self.pass.record(self.index)
    }

    pub(super) fn target(&self) -> Target {
        self.step.target(&self.at())
    }

    pub(super) fn apply(&mut self, event: Event) {
        self.pass.progress.apply(self.index, event);
    }

    /// Whether the step has a time of its own.
    pub(super) fn has_own_clock(&self) -> bool {
        self.step.clock() != Clock::OfOperation
    }

    /// Whether a good read past the end of its time was made.
    pub(super) fn is_past_patience(&self) -> bool {
        let (situation, record) = (self.pass.situation, self.record());
        let patience = |from| after(from, situation.patience());
        let end = match self.step.clock() {
            Clock::OfOperation => situation.operation.status.deadline,
            Clock::Own => record.began.map(patience),
            Clock::OwnFromAnswer => record.asked.sent_at.or(record.began).map(patience),
        };
        end.is_some_and(|end| situation.observed.began > end)
    }

    /// What it is doing, since when, and until when.
    pub(super) fn running_message(&self) -> String {
        let (head, spec) = (&self.pass.progress.head, self.pass.spec());
        if let Some(ending) = &head.ending {
            return messages::undoing(&ending.message);
        }
        let now = self.pass.situation.now;
        let (since, deadline) = match self.record().began {
            Some(began) => (began, after(began, self.pass.situation.patience())),
            None => (head.started_at.unwrap_or(now), head.deadline.unwrap_or(now)),
        };
        let name = &self.record().name;
        match spec.steps.iter().find(|planned| planned.name == *name) {
            Some(planned) => messages::step_running(planned, since, deadline),
            None => messages::unplanned_running(&self.step.unplanned_words(), since, deadline),
        }
    }

    /// Looks again later, and says what is waited for: what was said of an obstacle holds no longer.
    pub(super) fn wait(mut self, until: Timestamp) -> Next {
        let text = self.running_message();
        self.pass.tell(text);
        self.pass.keep(Some(until))
    }

    pub(super) fn wait_a_little(self) -> Next {
        let soon = self.pass.situation.soon();
        self.wait(soon)
    }

    /// Its target state was read back.
    pub(super) fn done(mut self) -> Next {
        self.pass.begin();
        let at = self.pass.situation.now;
        self.apply(Event::Reached { at });
        let mut steps = self.pass.progress.steps().iter();
        match self.pass.spec().action {
            Action::Setup | Action::Link if steps.all(|step| step.record == Record::Done) => {
                self.pass.succeed()
            }
            Action::Setup | Action::Link | Action::Reset | Action::StopMaps => self.pass.now(),
        }
    }

    /// Somebody, perhaps an earlier process of ours, has started it: it is followed like one of our own.
    pub(super) fn adopt(mut self) -> Next {
        self.pass.begin();
        self.pass.progress.head.reason = None;
        let at = self.pass.situation.now;
        self.apply(Event::Adopted { at });
        self.wait_a_little()
    }

    /// Its target state shows.
    pub(super) fn reached(self) -> Next {
        if self.step.shows_early() {
            self.adopt()
        } else {
            self.done()
        }
    }

    pub(super) fn fail(self, failure: Failure) -> Next {
        self.pass.fail(self.index, Event::Exhausted, failure)
    }

    /// Something else is there than what it is about.
    pub(super) fn taken(self, other: &str) -> Next {
        let failure = self.step.taken(&self.at(), other);
        self.fail(failure)
    }

    /// It could not be done, however often it was tried.
    pub(super) fn exhausted(self, why: &str) -> Next {
        let failure = self.step.exhausted(&self.at(), why);
        self.fail(failure)
    }

    /// Its operation was not finished at its deadline.
    pub(super) fn timed_out(self) -> Next {
        let deadline = self.pass.progress.head.deadline;
        let deadline = deadline.unwrap_or(self.pass.situation.now);
        let message = messages::step_timed_out(self.pass.spec(), &self.record().name, deadline);
        self.fail(Failure::End {
            error: message.clone(),
            reason: Reason::TimedOut,
            message,
        })
    }
}
