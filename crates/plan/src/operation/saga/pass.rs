//! One pass over an operation: how it waits, begins, ends and is given up.

use std::time::Duration;

use jiff::Timestamp;

use super::landing::absence_counts_from;
use crate::{
    messages,
    observed::Problem,
    operation::{
        event::{Event, Failing},
        machine::Progress,
        model::{Next, Owner, Situation},
        record::{Record, StepRecord},
        steps::{self, Failure, Step},
    },
    world::after,
};
use dualwrite_api::{
    DualWriteOperationSpec, DualWriteOperationStatus, Reason, conditions,
    operation::{Action, Ending, Phase},
    values,
};

/// How many maps, solutions and keys are named in a status at the most.
const MOST_MISSING: usize = 1000;

/// Whoever asks to be left alone is obeyed, up to this: maps may be stopped meanwhile.
const LONGEST_WAIT: Duration = Duration::from_mins(5);

/// How often an outcome that cannot be known is looked at for a late success.
pub(super) const LATE_LOOK: Duration = Duration::from_mins(1);

/// One pass over an operation.
pub(super) struct Pass<'a> {
    pub(super) situation: &'a Situation<'a>,
    pub(super) progress: Progress,
}

impl<'a> Pass<'a> {
    /// From where the operation is.
    pub(super) fn new(situation: &'a Situation<'a>) -> Self {
        Self::from(situation, situation.operation.status.clone())
    }

    /// From this status of it.
    pub(super) fn from(situation: &'a Situation<'a>, status: DualWriteOperationStatus) -> Self {
        let progress = Progress::of(status);
        Self {
            situation,
            progress,
        }
    }

    pub(super) const fn spec(&self) -> &'a DualWriteOperationSpec {
        &self.situation.operation.spec
    }

    // ---- its steps ----

    pub(super) fn record(&self, index: usize) -> &StepRecord {
        &self.progress.steps()[index]
    }

    /// The step at this place, if this version knows it.
    pub(super) fn step(&self, index: usize) -> Option<Box<dyn Step>> {
        steps::parse(self.spec().action, &self.record(index).name)
    }

    pub(super) fn position(&self, name: &str) -> Option<usize> {
        let mut steps = self.progress.steps().iter();
        steps.position(|step| step.name == name)
    }

    /// The first step of such a kind.
    pub(super) fn find(&self, wanted: impl Fn(&dyn Step) -> bool) -> Option<&StepRecord> {
        let action = self.spec().action;
        let mut steps = self.progress.steps().iter();
        steps.find(|record| {
            steps::parse(action, &record.name).is_some_and(|step| wanted(step.as_ref()))
        })
    }

    /// The step that has done what can be taken back.
    pub(super) fn undoable(&self) -> Option<&StepRecord> {
        self.find(|step| step.undo(self.spec()).is_some())
    }

    /// Whether something was asked for that is taken back when the operation is given up: that maps are stopped.
    pub(super) fn has_stopped_maps(&self) -> bool {
        self.undoable().is_some_and(|step| step.asked.attempts > 0)
    }

    /// The maps that were asked to stop although the plan does not say that they ran: somebody has started them meanwhile.
    pub(super) fn stopped_unplanned(&self) -> Vec<String> {
        let stopped = self.undoable();
        stopped.map_or_else(Vec::new, |step| step.unplanned_maps(self.spec()))
    }

    /// Whether the reset was perhaps sent: from its intent on nothing can be taken back.
    pub(super) fn has_sent_reset(&self) -> bool {
        let reset = self.find(|step| step.is_point_of_no_return());
        reset.is_some_and(|reset| reset.asked.attempts > 0 || reset.record == Record::Done)
    }

    // ---- how it waits ----

    /// Looks again at this time.
    pub(super) fn keep(self, next: Option<Timestamp>) -> Next {
        self.progress.next(None, next)
    }

    /// Looks again at once: one step a pass, and each is judged by reads that were made after the one before was recorded.
    pub(super) fn now(self) -> Next {
        let now = self.situation.now;
        self.keep(Some(now))
    }

    /// Looks again after the usual time.
    pub(super) fn soon(self) -> Next {
        let soon = self.situation.soon();
        self.keep(Some(soon))
    }

    /// Says something, unless it is said already but for what is another in each answer.
    pub(super) fn say(&mut self, text: String) {
        let said = self.progress.head.message.as_ref();
        if !said.is_some_and(|said| conditions::same_message(said, &text)) {
            self.progress.head.message = Some(text);
        }
    }

    /// Says something, whatever was said before.
    pub(super) fn tell(&mut self, text: String) {
        self.progress.head.message = Some(text);
    }

    /// The first intent or adoption starts the clock.
    pub(super) fn begin(&mut self) {
        let timeout = values::parse_duration(&self.spec().timeout, Duration::from_hours(1));
        let now = self.situation.now;
        let head = &mut self.progress.head;
        head.phase = Some(Phase::Running);
        let started = *head.started_at.get_or_insert(now);
        head.deadline.get_or_insert(after(started, timeout));
    }

    pub(super) fn note_missing(&mut self, what: String) {
        let missing = &mut self.progress.head.missing;
        if missing.len() < MOST_MISSING && !missing.contains(&what) {
            missing.push(what);
        }
    }

    /// What decides could not be read. In the middle of a reset the reader must know that maps are stopped meanwhile; of an
    /// installation or a link only what does not pass by itself is worth a word.
    pub(super) fn unseen(mut self, problem: Option<&Problem>) -> Next {
        let Some(problem) = problem else {
            return self.soon();
        };
        // Whoever is asked to mend it must hear of it, however far the operation is.
        if problem.is_for_a_person() {
            let reason = problem.reason.unwrap_or(Reason::AccessDenied);
            self.progress.head.reason = Some(reason.as_ref().to_owned());
        }
        if self.is_unseen_for_too_long() {
            let why = messages::not_seen(&problem.message);
            return self.give_up(Phase::Failed, Some(Reason::ResetFailed), &why);
        }
        let is_told = match self.spec().action {
            Action::Reset | Action::StopMaps => true,
            Action::Setup | Action::Link => problem.is_for_a_person(),
        };
        if is_told {
            let text = messages::cannot_see(self.spec(), self.has_stopped_maps(), problem);
            self.say(text);
        }
        let asked = problem.retry_after.unwrap_or_default();
        let wait = asked.min(LONGEST_WAIT).max(self.situation.settings.poll);
        let next = after(self.situation.now, wait);
        self.keep(Some(next))
    }

    /// What decides cannot be seen, before anything is destroyed, for longer than a step may take: maps do not stay stopped
    /// for it. They are started again as soon as they can be seen.
    fn is_unseen_for_too_long(&self) -> bool {
        let head = &self.progress.head;
        let is_undecided = self.spec().action == Action::Reset
            && head.phase == Some(Phase::Running)
            && head.ending.is_none()
            && !self.has_sent_reset();
        let index = head.step.as_ref().filter(|_| is_undecided);
        let index = index.and_then(|name| self.position(name));
        let Some((record, step)) =
            index.and_then(|index| Some((self.record(index), self.step(index)?)))
        else {
            return false;
        };
        let until = record
            .began
            .map(|began| after(began, self.situation.patience()));
        let arrived = match record.record {
            Record::Intended { .. } => absence_counts_from(self.situation, step.as_ref(), record),
            Record::Pending { .. }
            | Record::Sent { .. }
            | Record::Done
            | Record::Failed { .. }
            | Record::Unknown { .. } => Timestamp::MIN,
        };
        until.is_some_and(|until| self.situation.now > until.max(arrived))
    }

    // ---- how it ends ----

    pub(super) fn finish(mut self, phase: Phase, reason: Option<Reason>, message: String) -> Next {
        let head = &mut self.progress.head;
        head.phase = Some(phase);
        head.reason = reason.map(|reason| reason.as_ref().to_owned());
        head.message = Some(message);
        let now = self.situation.now;
        if phase.is_finished() {
            self.progress.forget_outstanding();
            let head = &mut self.progress.head;
            head.step = None;
            head.finished_at = Some(now);
            head.reconcile_at = match self.situation.owner {
                Owner::Present { reconcile_at, .. } => reconcile_at.clone(),
                Owner::Changed | Owner::Gone | Owner::Replaced => None,
            };
        }
        self.keep((phase == Phase::Unknown).then(|| after(now, LATE_LOOK)))
    }

    pub(super) fn succeed(self) -> Next {
        let message = messages::operation_succeeded(self.spec(), &self.stopped_unplanned());
        self.finish(Phase::Succeeded, None, message)
    }

    pub(super) fn void(self, why: &str) -> Next {
        let steps = self.progress.steps();
        let message = if self.progress.head.started_at.is_some() {
            let done = steps.iter().filter(|step| step.record == Record::Done);
            messages::given_up(done.count(), steps.len(), why)
        } else {
            messages::void(why)
        };
        self.finish(Phase::Void, None, message)
    }

    /// Ends the stopping of maps before it is done. What is stopped stays stopped, so somebody has to know.
    pub(super) fn end_partly_stopped(self, why: &str) -> Next {
        if !self.has_stopped_maps() {
            return self.void(why);
        }
        if let Some(until) = self.stop_may_land_until() {
            return self.wait_for_what_may_land(until);
        }
        let text = messages::partly_stopped(self.spec(), &self.stopped_unplanned(), why);
        self.finish(Phase::Failed, Some(Reason::MapsNotStopped), text)
    }

    /// Ends an operation that has destroyed nothing. What it has stopped is started again first.
    pub(super) fn give_up(mut self, phase: Phase, reason: Option<Reason>, why: &str) -> Next {
        let Some(undo) = self.undo() else {
            return if phase == Phase::Void {
                self.void(why)
            } else {
                self.finish(phase, reason, messages::given_up_unharmed(why))
            };
        };
        self.begin();
        // Nothing of it is followed any more; what Microsoft says is asked of one step at a time.
        for index in 0..self.progress.steps().len() {
            if matches!(
                self.record(index).record,
                Record::Intended { .. } | Record::Sent { .. }
            ) {
                self.progress.apply(index, Event::GivenUp(why.to_owned()));
            }
        }
        self.progress.head.ending = Some(Ending {
            phase,
            reason: reason.map(|reason| reason.as_ref().to_owned()),
            message: messages::given_up_unharmed(why),
        });
        let end = self.progress.steps().len();
        self.progress.insert(end, undo);
        self.tell(messages::giving_up(why));
        self.now()
    }

    /// The steps that take back what was done, if anything was.
    fn undo(&self) -> Option<Vec<String>> {
        let done = self.undoable().filter(|step| step.asked.attempts > 0)?;
        let undo = steps::parse(self.spec().action, &done.name)?.undo(self.spec());
        undo.filter(|steps| !steps.is_empty())
    }

    /// A step has failed: what that means for the operation, the step has said.
    pub(super) fn fail(
        mut self,
        index: usize,
        event: fn(Failing) -> Event,
        failure: Failure,
    ) -> Next {
        let failed = |why, maps| event(Failing { why, maps });
        match failure {
            Failure::GiveUp {
                error,
                phase,
                reason,
                why,
            } => {
                if let Some(error) = error {
                    self.progress.apply(index, failed(error, None));
                }
                self.give_up(phase, reason, &why)
            }
            Failure::GoOn {
                error,
                missing,
                maps,
            } => {
                self.begin();
                if let Some(missing) = missing {
                    self.note_missing(missing);
                }
                self.progress.apply(index, failed(error, maps));
                self.now()
            }
            Failure::End {
                error,
                reason,
                message,
            } => {
                if let Some(until) = self.stop_may_land_until() {
                    return self.wait_for_what_may_land(until);
                }
                self.begin();
                self.progress.apply(index, failed(error, None));
                self.finish(Phase::Failed, Some(reason), message)
            }
            Failure::Unknown { message } => {
                self.progress.apply(index, Event::Unknowable);
                self.finish(Phase::Unknown, Some(Reason::OutcomeUnknown), message)
            }
        }
    }
}

/// Nothing is changed.
pub(super) fn unchanged(situation: &Situation<'_>, next: Option<Timestamp>) -> Next {
    Next {
        status: situation.operation.status.clone(),
        send: None,
        next,
        transitions: Vec::new(),
    }
}
