//! What is on record of a step. This file uses none of the others.

use jiff::Timestamp;

use crate::maps;
use dualwrite_api::{
    DualWriteOperationSpec,
    operation::{Outstanding, StepState, StepStatus},
};

/// What is on record of a step: the flat [`StepStatus`] of the resource, by state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepRecord {
    /// The step's name.
    pub name: String,
    /// When work on it began; for a step that may take only so long.
    pub began: Option<Timestamp>,
    /// What is on record of its newest request. It stays when the step goes on, for what was asked for may still land.
    pub asked: Asked,
    /// How far it is.
    pub record: Record,
}

/// What is on record of the newest request for a step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// How many requests were intended; one that was certainly not sent does not count.
    pub attempts: u32,
    /// The process that recorded the intent.
    pub incarnation: Option<String>,
    /// After this the request is not sent any more; none once nothing of it can arrive.
    pub send_before: Option<Timestamp>,
    /// When it was accepted, or when what it asks for was first seen under way.
    pub sent_at: Option<Timestamp>,
    /// Microsoft's id of what it does for us.
    pub remote_id: Option<String>,
    /// The requests, of this attempt and of earlier ones, that may still take effect, or whose effect may not show yet.
    pub outstanding: Vec<Outstanding>,
    /// The table maps that were there when the intent was recorded; for a solution.
    pub seen: Vec<String>,
    /// The table maps that the requests named, or that a solution has brought.
    pub maps: Vec<String>,
}

/// How far a step is, with what is known of it only then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// Nothing is asked for, or what was asked for has come to nothing.
    Pending {
        /// Why not, the last time.
        error: Option<String>,
    },
    /// The intent is recorded; the request was perhaps sent.
    Intended {
        /// Since when its effect is seen to be missing, from when on that counts.
        absent_since: Option<Timestamp>,
        /// Why its answer was lost.
        error: Option<String>,
    },
    /// The request was accepted, or what it asks for is under way.
    Sent {
        /// Since when nothing more is seen to come of it.
        quiet_since: Option<Timestamp>,
        /// What went wrong before.
        error: Option<String>,
    },
    /// The target state was read back.
    Done,
    /// It was refused or has failed, or was given up.
    Failed {
        /// Why.
        error: String,
    },
    /// What became of it cannot be known.
    Unknown {
        /// Why its answer was lost.
        error: Option<String>,
    },
}

impl Record {
    /// The record of a state, of whatever else is known. What a state does not have is dropped.
    pub(super) fn of(state: StepState, since: Option<Timestamp>, error: Option<String>) -> Self {
        match state {
            StepState::Pending => Self::Pending { error },
            StepState::Intended => Self::Intended {
                absent_since: since,
                error,
            },
            StepState::Sent => Self::Sent {
                quiet_since: since,
                error,
            },
            StepState::Done => Self::Done,
            StepState::Failed => Self::Failed {
                error: error.unwrap_or_default(),
            },
            StepState::Unknown => Self::Unknown { error },
        }
    }

    /// How far it is.
    pub const fn state(&self) -> StepState {
        match self {
            Self::Pending { .. } => StepState::Pending,
            Self::Intended { .. } => StepState::Intended,
            Self::Sent { .. } => StepState::Sent,
            Self::Done => StepState::Done,
            Self::Failed { .. } => StepState::Failed,
            Self::Unknown { .. } => StepState::Unknown,
        }
    }

    /// What went wrong, in words.
    pub fn error(&self) -> Option<&str> {
        match self {
            Self::Pending { error }
            | Self::Intended { error, .. }
            | Self::Sent { error, .. }
            | Self::Unknown { error } => error.as_deref(),
            Self::Failed { error } => Some(error.as_str()).filter(|error| !error.is_empty()),
            Self::Done => None,
        }
    }

    /// Since when nothing, or nothing more, is seen to come of the request.
    pub const fn since(&self) -> Option<Timestamp> {
        match self {
            Self::Intended { absent_since, .. } => *absent_since,
            Self::Sent { quiet_since, .. } => *quiet_since,
            Self::Pending { .. } | Self::Done | Self::Failed { .. } | Self::Unknown { .. } => None,
        }
    }

    /// Whether it is neither done nor given up.
    pub const fn is_open(&self) -> bool {
        !matches!(self, Self::Done | Self::Failed { .. })
    }
}

impl Asked {
    /// Certainly nothing comes of the newest request.
    pub(super) fn came_to_nothing(&mut self) {
        let newest = self.attempts;
        self.outstanding.retain(|request| request.attempt != newest);
        self.send_before = None;
    }

    /// The target state was read back. Where only one request without an id can have brought that about, it is its effect, so
    /// the request has ended; the next list may still show what was before.
    pub(super) fn took_effect(&mut self, at: Timestamp) {
        let mut open = self
            .outstanding
            .iter_mut()
            .filter(|request| request.ended_at.is_none());
        if let (Some(only), None) = (open.next(), open.next())
            && only.remote_id.is_none()
        {
            only.ended_at = Some(at);
        }
    }
}

impl StepRecord {
    /// The maps that were asked for although the plan does not say that they ran or were paused.
    pub(super) fn unplanned_maps(&self, plan: &DualWriteOperationSpec) -> Vec<String> {
        let is_planned = |name: &String| {
            let mut planned = maps::to_start(&plan.relies_on.maps);
            planned.any(|planned| planned.name == *name)
        };
        let asked = self.asked.maps.iter();
        asked.filter(|name| !is_planned(name)).cloned().collect()
    }

    /// A step that nothing was done for yet.
    pub fn pending(name: &str) -> Self {
        Self::from(&StepStatus::pending(name))
    }
}

impl From<&StepStatus> for StepRecord {
    fn from(status: &StepStatus) -> Self {
        Self {
            name: status.name.clone(),
            began: status.began,
            asked: Asked {
                attempts: status.attempt,
                incarnation: status.incarnation.clone(),
                send_before: status.send_before,
                sent_at: status.sent_at,
                remote_id: status.remote_id.clone(),
                outstanding: status.outstanding.clone(),
                seen: status.seen.clone(),
                maps: status.maps.clone(),
            },
            record: Record::of(status.state, status.absent_since, status.error.clone()),
        }
    }
}

impl From<&StepRecord> for StepStatus {
    fn from(step: &StepRecord) -> Self {
        let asked = step.asked.clone();
        Self {
            name: step.name.clone(),
            state: step.record.state(),
            attempt: asked.attempts,
            incarnation: asked.incarnation,
            send_before: asked.send_before,
            sent_at: asked.sent_at,
            remote_id: asked.remote_id,
            outstanding: asked.outstanding,
            began: step.began,
            seen: asked.seen,
            maps: asked.maps,
            absent_since: step.record.since(),
            error: step.record.error().map(str::to_owned),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text() -> impl Strategy<Value = Option<String>> {
        prop::option::of("[a-z]{1,8}")
    }

    fn time() -> impl Strategy<Value = Option<Timestamp>> {
        let second = 1_700_000_000_i64..1_800_000_000;
        prop::option::of(second.prop_map(|second| Timestamp::from_second(second).unwrap()))
    }

    fn state() -> impl Strategy<Value = StepState> {
        use StepState::{Done, Failed, Intended, Pending, Sent, Unknown};
        prop::sample::select(vec![Pending, Intended, Sent, Done, Failed, Unknown])
    }

    prop_compose! {
        fn request()(
            attempt in 1_u32..3,
            send_before in time(),
            remote_id in text(),
            ended_at in time(),
        ) -> Outstanding {
            let send_before = send_before.unwrap_or_default();
            Outstanding { attempt, send_before, remote_id, ended_at }
        }
    }

    prop_compose! {
        fn flat()(
            state in state(),
            attempt in 0_u32..3,
            texts in [text(), text(), text()],
            times in [time(), time(), time(), time()],
            seen in prop::collection::vec("[a-z]{1,4}", 0..3),
            maps in prop::collection::vec("[a-z]{1,4}", 0..3),
            outstanding in prop::collection::vec(request(), 0..3),
        ) -> StepStatus {
            let [incarnation, remote_id, error] = texts;
            let [send_before, sent_at, began, absent_since] = times;
            StepStatus {
                state, attempt, incarnation, send_before, sent_at, remote_id, began, seen, maps, outstanding,
                absent_since, error,
                ..StepStatus::pending("stop-maps")
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_as_it_was_but_for_what_its_state_does_not_have(flat in flat()) {
            let record = StepRecord::from(&flat);
            let back = StepStatus::from(&record);
            prop_assert_eq!(&StepRecord::from(&back), &record);
            let mut expected = flat;
            if !matches!(expected.state, StepState::Intended | StepState::Sent) {
                expected.absent_since = None;
            }
            if expected.state == StepState::Done {
                expected.error = None;
            }
            prop_assert_eq!(back, expected);
        }
    }
}
