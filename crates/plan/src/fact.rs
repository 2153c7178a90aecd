//! What a read came to: `Known`, or `Unknown` with the reason.

use std::time::Duration;

use dualwrite_api::{Reason, connection::FailureClass};

/// Something that is known, or not, and then why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact<T> {
    /// It was read.
    Known(T),
    /// It was not, or could not be.
    Unknown(Problem),
}

impl<T> Fact<T> {
    /// What is known, if it is.
    pub const fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unknown(_) => None,
        }
    }

    /// Why it is not known, if it is not.
    pub const fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Known(_) => None,
            Self::Unknown(problem) => Some(problem),
        }
    }
}

/// Why something is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What it asks of us.
    pub class: FailureClass,
    /// The reason that a condition should name, where one fits.
    pub reason: Option<Reason>,
    /// What happened and what to do, in words; never a secret.
    pub message: String,
    /// How long Microsoft asks us to wait.
    pub retry_after: Option<Duration>,
}

impl Problem {
    /// A problem that a person has to mend.
    pub fn needs_person(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            class: FailureClass::NeedsPerson,
            reason: Some(reason),
            message: message.into(),
            retry_after: None,
        }
    }

    /// A problem that heals by itself.
    pub fn transient(message: impl Into<String>) -> Self {
        Self {
            class: FailureClass::Transient,
            reason: None,
            message: message.into(),
            retry_after: None,
        }
    }

    /// Whether only a person can mend it.
    pub fn is_for_a_person(&self) -> bool {
        self.class == FailureClass::NeedsPerson
    }
}
