//! What can happen to a step.

use jiff::Timestamp;

use dualwrite_api::operation::StepState;

/// Something that has happened to a step, with what is recorded of it.
#[derive(Clone, Debug, PartialEq, Eq, strum::EnumDiscriminants)]
#[strum_discriminants(
    name(Happened),
    doc = "Something that can happen to a step, by its name in the transition table.",
    derive(Hash, PartialOrd, Ord, strum::Display, strum::EnumIter)
)]
pub enum Event {
    /// The intent of a request is recorded.
    Intended(Intent),
    /// The request was accepted.
    Accepted {
        /// When.
        at: Timestamp,
        /// Microsoft's id of what it does for us.
        remote_id: Option<String>,
    },
    /// The request was certainly not sent, or was refused for now, for this reason.
    NotSent(String),
    /// The request was refused for good, for this reason: nothing of it can arrive.
    Refused(Failing),
    /// The request was refused, for this reason; that is believed once nothing is seen to have come of it.
    Denied(String),
    /// The answer to the request was lost, for this reason.
    Lost(String),
    /// The effect is seen, and is followed: an earlier process, or somebody else, has asked for it.
    Adopted {
        /// When.
        at: Timestamp,
    },
    /// More, or nothing more, is seen to come of an accepted request.
    Followed {
        /// Since when nothing more.
        quiet_since: Option<Timestamp>,
        /// The maps that it has brought, of a request that brings maps.
        brought: Option<Vec<String>>,
    },
    /// The target state was read back.
    Reached {
        /// When.
        at: Timestamp,
    },
    /// The effect is missing, from when on that counts.
    Missed {
        /// Since when.
        since: Timestamp,
    },
    /// Nothing has come of the request, so it is made again; for this reason, if one is known.
    Retried(Option<String>),
    /// It could not be done.
    Exhausted(Failing),
    /// The operation is given up for this reason, so nothing of the step is followed any more.
    GivenUp(String),
    /// What became of the request cannot be known.
    Unknowable,
    /// What was done, or given up, does not hold any more.
    Reopened {
        /// Whether its time begins anew.
        anew: bool,
    },
}

/// What is recorded with an intent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// The process that records it.
    pub incarnation: String,
    /// After this the request is not sent any more.
    pub send_before: Timestamp,
    /// Whether it goes to Microsoft: then it may take effect when nobody expects it any more.
    pub is_remote: bool,
    /// The table maps that the request names.
    pub maps: Vec<String>,
    /// The table maps that are there, of a request that brings maps.
    pub seen: Vec<String>,
}

/// Why a step has failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// In words.
    pub why: String,
    /// The table maps that it has failed for, if the operation goes on without them.
    pub maps: Option<Vec<String>>,
}

/// Something that has happened to a step of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The step.
    pub step: String,
    /// How far it was.
    pub from: StepState,
    /// What has happened.
    pub event: Happened,
    /// How far it is now. `None`: this must not happen to a step that is so far, so nothing was changed.
    pub to: Option<StepState>,
}
