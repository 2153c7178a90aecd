//! The protocol of a step, as one table, and the only place that writes how far a step is.
//!
//! An intent that is found again, after a crash or a lost answer, is never sent blindly: its effect is looked for first, and
//! an absence counts only from `sendBefore` + the request's timeout + the settle time on, twice.

use jiff::Timestamp;

use super::{
    event::{Event, Failing, Happened, Transition},
    model::{Next, Send},
    record::{Asked, Record, StepRecord},
    size,
};
use crate::maps;
use dualwrite_api::{
    DualWriteOperationStatus,
    operation::{Outstanding, StepState, StepStatus},
};

/// The columns of the table.
pub const STATES: [StepState; 6] = {
    use StepState::{Done, Failed, Intended, Pending, Sent, Unknown};
    [Pending, Intended, Sent, Done, Failed, Unknown]
};

/// What must not happen to a step that is so far: nothing is changed, and the pass tells it.
const NEVER: Option<StepState> = None;
const PENDING: Option<StepState> = Some(StepState::Pending);
const INTENDED: Option<StepState> = Some(StepState::Intended);
const SENT: Option<StepState> = Some(StepState::Sent);
const DONE: Option<StepState> = Some(StepState::Done);
const FAILED: Option<StepState> = Some(StepState::Failed);
const UNKNOWN: Option<StepState> = Some(StepState::Unknown);

/// By what has happened (rows) and how far the step was ([`STATES`]): how far it is now.
#[rustfmt::skip]
pub const TABLE: [(Happened, [Option<StepState>; 6]); 15] = [
    //                      Pending   Intended  Sent     Done     Failed   Unknown
    (Happened::Intended,   [INTENDED, NEVER,    NEVER,   NEVER,   NEVER,   NEVER]),
    (Happened::NotSent,    [NEVER,    PENDING,  NEVER,   NEVER,   NEVER,   NEVER]),
    (Happened::Refused,    [NEVER,    FAILED,   NEVER,   NEVER,   NEVER,   NEVER]),
    (Happened::Denied,     [NEVER,    INTENDED, NEVER,   NEVER,   NEVER,   NEVER]),
    (Happened::Accepted,   [NEVER,    SENT,     NEVER,   NEVER,   NEVER,   NEVER]),
    (Happened::Lost,       [NEVER,    INTENDED, NEVER,   NEVER,   NEVER,   NEVER]),
    (Happened::Missed,     [NEVER,    INTENDED, NEVER,   NEVER,   NEVER,   NEVER]),
    (Happened::Unknowable, [NEVER,    UNKNOWN,  NEVER,   NEVER,   NEVER,   NEVER]),
    (Happened::Retried,    [NEVER,    PENDING,  PENDING, NEVER,   NEVER,   NEVER]),
    (Happened::Followed,   [NEVER,    NEVER,    SENT,    NEVER,   NEVER,   NEVER]),
    (Happened::Adopted,    [SENT,     SENT,     NEVER,   NEVER,   NEVER,   SENT]),
    (Happened::Reached,    [DONE,     DONE,     DONE,    NEVER,   NEVER,   DONE]),
    (Happened::Exhausted,  [FAILED,   FAILED,   FAILED,  NEVER,   NEVER,   NEVER]),
    (Happened::GivenUp,    [NEVER,    FAILED,   FAILED,  NEVER,   NEVER,   NEVER]),
    (Happened::Reopened,   [NEVER,    NEVER,    NEVER,   PENDING, PENDING, NEVER]),
];

/// How far a step is after something has happened; `None` if that must not happen.
pub fn after_event(from: StepState, event: Happened) -> Option<StepState> {
    let row = TABLE.iter().find(|(happened, _)| *happened == event)?;
    let column = STATES.iter().position(|state| *state == from)?;
    row.1[column]
}

/// The status of an operation while a pass works on it.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    /// Everything but the steps, which are empty here.
    pub(super) head: DualWriteOperationStatus,
    steps: Vec<StepRecord>,
    transitions: Vec<Transition>,
}

impl Progress {
    /// Reads a status.
    pub(super) fn of(mut status: DualWriteOperationStatus) -> Self {
        let steps = std::mem::take(&mut status.steps);
        Self {
            head: status,
            steps: steps.iter().map(StepRecord::from).collect(),
            transitions: Vec::new(),
        }
    }

    /// The steps, in order.
    pub(super) fn steps(&self) -> &[StepRecord] {
        &self.steps
    }

    /// Adds steps that nothing was done for yet, from this place on; those that are there already are left as they are.
    pub(super) fn insert(&mut self, mut index: usize, names: impl IntoIterator<Item = String>) {
        for name in names {
            if self.steps.iter().all(|step| step.name != name) {
                self.steps.insert(index, StepRecord::pending(&name));
                index += 1;
            }
        }
    }

    /// Work on a step begins, unless it has begun.
    pub(super) fn begin(&mut self, index: usize, at: Timestamp) {
        self.steps[index].began.get_or_insert(at);
    }

    /// The time of a step begins anew.
    pub(super) fn begin_anew(&mut self, index: usize, at: Timestamp) {
        self.steps[index].began = Some(at);
    }

    /// Something has happened to a step. Nothing else changes how far it is.
    pub(super) fn apply(&mut self, index: usize, event: Event) {
        let step = &mut self.steps[index];
        let (from, happened) = (step.record.state(), Happened::from(&event));
        let to = after_event(from, happened);
        let before = step.clone();
        if let Some(to) = to {
            record(step, to, event);
        }
        if to.is_none() || *step != before {
            self.transitions.push(Transition {
                step: step.name.clone(),
                from,
                event: happened,
                to,
            });
        }
    }

    /// Certainly nothing comes of the newest request of a step.
    pub(super) fn note_refused(&mut self, index: usize) {
        self.steps[index].asked.came_to_nothing();
    }

    /// Microsoft has done with the request of this id.
    pub(super) fn note_ended(&mut self, id: &str, at: Timestamp) {
        let steps = self.steps.iter_mut();
        for request in steps.flat_map(|step| &mut step.asked.outstanding) {
            if request.remote_id.as_deref() == Some(id) {
                request.ended_at.get_or_insert(at);
            }
        }
    }

    /// The operation has ended: nothing is waited for any more.
    pub(super) fn forget_outstanding(&mut self) {
        for step in &mut self.steps {
            step.asked.outstanding.clear();
        }
    }

    /// Whether what is recorded of a request fits beside the rest.
    pub(super) fn has_room(&self, maps: &[String], seen: &[String]) -> bool {
        let more = size::of_names(maps) + size::of_names(seen);
        size::has_room(&self.status(), more)
    }

    fn status(&self) -> DualWriteOperationStatus {
        DualWriteOperationStatus {
            steps: self.steps.iter().map(StepStatus::from).collect(),
            ..self.head.clone()
        }
    }

    /// What is to be done, of what was worked out.
    pub(super) fn next(self, send: Option<Send>, next: Option<Timestamp>) -> Next {
        Next {
            status: size::bounded(self.status()),
            send,
            next,
            transitions: self.transitions,
        }
    }
}

/// Writes down what has happened.
fn record(step: &mut StepRecord, to: StepState, event: Event) {
    let asked = &mut step.asked;
    let (mut since, mut error) = (step.record.since(), step.record.error().map(str::to_owned));
    match event {
        Event::Intended(intent) => {
            let mut outstanding = std::mem::take(&mut asked.outstanding);
            outstanding.extend(intent.is_remote.then(|| Outstanding {
                attempt: asked.attempts + 1,
                send_before: intent.send_before,
                remote_id: None,
                ended_at: None,
            }));
            let mut maps = std::mem::take(&mut asked.maps);
            maps.extend(intent.maps);
            *asked = Asked {
                attempts: asked.attempts + 1,
                incarnation: Some(intent.incarnation),
                send_before: Some(intent.send_before),
                sent_at: None,
                remote_id: None,
                outstanding,
                seen: intent.seen,
                maps: maps::sorted(&maps),
            };
            (since, error) = (None, None);
        }
        Event::Accepted { at, remote_id } => {
            let mut outstanding = asked.outstanding.iter_mut();
            if let Some(newest) = outstanding.find(|request| request.attempt == asked.attempts) {
                newest.remote_id.clone_from(&remote_id);
            }
            (asked.sent_at, asked.remote_id) = (Some(at), remote_id);
        }
        Event::NotSent(why) => {
            asked.came_to_nothing();
            asked.attempts = asked.attempts.saturating_sub(1);
            error = Some(why);
        }
        Event::Refused(failing) => {
            asked.came_to_nothing();
            error = Some(failed(asked, failing));
        }
        Event::Exhausted(failing) => error = Some(failed(asked, failing)),
        Event::Denied(why) => {
            asked.send_before = None;
            error = Some(why);
        }
        Event::Lost(why) => error = Some(why),
        Event::Adopted { at } => {
            asked.sent_at.get_or_insert(at);
            since = None;
        }
        Event::Followed {
            quiet_since,
            brought,
        } => {
            since = quiet_since;
            asked.maps = brought.unwrap_or_else(|| std::mem::take(&mut asked.maps));
        }
        Event::Missed { since: from } => since = Some(from),
        Event::Retried(why) => error = why.or(error),
        Event::GivenUp(why) => error = error.or(Some(why)),
        Event::Reopened { anew } => step.began = step.began.filter(|_| !anew),
        Event::Reached { at } if step.record.state() == StepState::Sent => asked.took_effect(at),
        Event::Reached { .. } | Event::Unknowable => {}
    }
    step.record = Record::of(to, since, error);
    // It tells what a request has brought only while that is looked for, and it is long.
    if !step.record.is_open() {
        step.asked.seen.clear();
    }
}

fn failed(asked: &mut Asked, Failing { why, maps }: Failing) -> String {
    asked.maps = maps.unwrap_or_else(|| std::mem::take(&mut asked.maps));
    why
}

#[cfg(test)]
mod tests {
    use super::*;
    use strum::IntoEnumIterator;

    #[test]
    fn everything_that_can_happen_has_one_row_and_every_state_a_column() {
        for happened in Happened::iter() {
            let rows = TABLE.iter().filter(|(event, _)| *event == happened);
            assert_eq!(rows.count(), 1, "{happened}");
        }
        assert_eq!(TABLE.len(), Happened::iter().count());
        let all = STATES.map(|state| Record::of(state, None, None).state());
        assert_eq!(all, STATES);
    }

    #[test]
    fn what_must_not_happen_changes_nothing_and_is_told() {
        let mut progress = Progress::of(DualWriteOperationStatus::default());
        progress.insert(0, ["reset".to_owned()]);
        let before = progress.steps().to_vec();
        progress.apply(
            0,
            Event::Accepted {
                at: Timestamp::UNIX_EPOCH,
                remote_id: None,
            },
        );
        assert_eq!(progress.steps(), before);
        let told = progress.next(None, None).transitions;
        assert_eq!(
            told,
            [Transition {
                step: "reset".into(),
                from: StepState::Pending,
                event: Happened::Accepted,
                to: None,
            }]
        );
    }
}
