//! Sentences about what is looked at, and what could not be read.

use jiff::Timestamp;

use super::words::clock;
use crate::observed::Problem;

/// A second read will confirm.
pub fn confirming(what: &str, due: Timestamp) -> String {
    format!(
        "{what} It counts only if a second look agrees, at {} or later.",
        clock(due)
    )
}

/// Nothing was read yet.
pub fn first_look() -> String {
    "Looking at the environments for the first time.".into()
}

/// Something else comes first.
pub fn not_evaluated() -> String {
    "Not known yet: the condition Ready says what comes first.".into()
}

/// The first read has failed.
pub fn first_look_failed(why: &Problem) -> String {
    format!(
        "The environments could not be read yet; it is tried again by itself. {}",
        why.message
    )
}

/// Reads have been failing for longer than an interval.
pub fn retrying(since: Timestamp, why: &Problem) -> String {
    format!("{} The last error: {}", reads_fail(since), why.message)
}

/// Reads fail, in words that stay the same for as long as they do.
pub fn reads_fail(since: Timestamp) -> String {
    format!(
        "Reads have failed since {}; they are tried again by itself.",
        clock(since)
    )
}

/// What is shown is old.
pub fn stale(since: Timestamp, last: &str) -> String {
    format!(
        "This could not be read since {}. What was seen last: {last}",
        clock(since)
    )
}

/// The resource is suspended.
pub fn suspended() -> String {
    "spec.suspend is true: nothing is read and nothing is started. Set it to false to go on.".into()
}

/// The stored resource cannot be used.
pub fn spec_invalid(why: &str) -> String {
    format!("The stored resource cannot be used: {why}")
}

/// A pass could not be completed, because Kubernetes refused something.
pub fn not_completed(why: impl std::fmt::Display) -> String {
    format!(
        "Kubernetes has refused {why}. It is tried again every few seconds; nothing new begins until it is taken."
    )
}

/// A pass over the resource panicked.
pub fn defect() -> String {
    "This resource could not be looked at, because the operator has an error of its own; the resource is not the cause. What \
     this status says is from before. It is tried again every few seconds. Please report the line 'the operator has an error \
     of its own' from the operator's log to the project; an older version may not have the error."
        .into()
}

/// Entra accepts the credentials; with those that end soon.
pub fn authenticated(warnings: &[String]) -> String {
    let accepted = std::iter::once("Microsoft Entra ID accepts the credentials.");
    let all: Vec<&str> = accepted
        .chain(warnings.iter().map(String::as_str))
        .collect();
    all.join(" ")
}
