//! Faults: what goes wrong with which call, and how often.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;
use uuid::Uuid;

use crate::clock::Span;
use crate::reply::Repeated;
use crate::state::read;

/// What a fault does, after the document has been read.
#[derive(Debug, Clone)]
pub(crate) enum Effect {
    /// This answer instead of the effect.
    Answer(Canned),
    /// The effect, then this answer.
    LateAnswer(Canned),
    /// The effect, then no answer.
    LostAfter,
    /// Neither the effect nor an answer.
    LostBefore,
    /// 200 with an HTML sign-in page, without the effect.
    Html,
    /// The effect and the status, without the body.
    EmptyBody,
    WrongCasing,
    Delay(Duration),
    Hold(HoldAt),
    RetryAfter {
        status: u16,
        after: RetryAfter,
    },
    /// 401, and the token that was presented is no longer good.
    Unauthorized,
    EndlessBody,
    HugeBody(u64),
    RepeatedBody(Repeated),
    Redirect(String),
    /// This status, and everything that was sent, its secrets too, in the answer.
    Echo(u16),
    UnknownState(String),
}

/// An answer that a fault gives.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Canned {
    pub(crate) status: u16,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) body: Option<Value>,
    #[serde(default)]
    pub(crate) content_type: Option<String>,
}

/// On which side of the effect a call is held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum HoldAt {
    #[default]
    Before,
    After,
}

/// What a `Retry-After` header says.
#[derive(Debug, Clone)]
pub(crate) enum RetryAfter {
    Seconds(u64),
    /// This long after the answer, as an HTTP date.
    DateIn(Duration),
    DateAt(Timestamp),
}

/// The document of one fault.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    #[serde(default)]
    id: Option<String>,
    call: String,
    #[serde(default)]
    host: Option<String>,
    #[serde(default)]
    path_contains: Option<String>,
    #[serde(default)]
    after: u64,
    #[serde(default = "once")]
    times: Option<u64>,
    effect: Value,
}

#[expect(clippy::unnecessary_wraps, reason = "null stands for `for ever`")]
const fn once() -> Option<u64> {
    Some(1)
}

/// A fault that is in force.
#[derive(Debug)]
struct Fault {
    id: String,
    call: String,
    host: Option<String>,
    path_contains: Option<String>,
    after: u64,
    times: Option<u64>,
    document: Value,
    effect: Effect,
    seen: u64,
    fired: u64,
    released: watch::Sender<bool>,
}

/// A fault that applies to the call in hand.
#[derive(Debug, Clone)]
pub(crate) struct Fired {
    pub(crate) id: String,
    pub(crate) effect: Effect,
    pub(crate) released: watch::Receiver<bool>,
}

/// All faults, in the order in which they were posted.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    all: Mutex<Vec<Fault>>,
}

impl Faults {
    fn all(&self) -> std::sync::MutexGuard<'_, Vec<Fault>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds one fault or an array of them, all or none; the ids, in order.
    pub(crate) fn add(
        &self,
        document: Value,
        known: impl Fn(&str) -> bool,
    ) -> Result<Vec<String>, String> {
        let documents = match document {
            Value::Array(documents) => documents,
            one => vec![one],
        };
        let new = documents
            .into_iter()
            .map(|document| Fault::new(document, &known))
            .collect::<Result<Vec<_>, _>>()?;
        let ids: Vec<String> = new.iter().map(|fault| fault.id.clone()).collect();
        let mut all = self.all();
        for (position, id) in ids.iter().enumerate() {
            if all.iter().any(|fault| fault.id == *id)
                || ids.iter().take(position).any(|other| other == id)
            {
                return Err(format!("There is a fault with the id {id:?} already."));
            }
        }
        all.extend(new);
        Ok(ids)
    }

    /// The first fault that applies to a call; it counts as fired.
    pub(crate) fn fire(&self, call: &str, host: &str, path: &str) -> Option<Fired> {
        let mut all = self.all();
        for fault in all
            .iter_mut()
            .filter(|fault| fault.matches(call, host, path))
        {
            fault.seen += 1;
            if fault.seen <= fault.after || fault.times.is_some_and(|times| fault.fired >= times) {
                continue;
            }
            fault.fired += 1;
            return Some(Fired {
                id: fault.id.clone(),
                effect: fault.effect.clone(),
                released: fault.released.subscribe(),
            });
        }
        None
    }

    pub(crate) fn list(&self) -> Vec<Value> {
        self.all().iter().map(Fault::describe).collect()
    }

    /// How often a fault fired; none if there is no such fault.
    pub(crate) fn fired(&self, id: &str) -> Option<u64> {
        self.all()
            .iter()
            .find(|fault| fault.id == id)
            .map(|fault| fault.fired)
    }

    /// Lets go of the calls that a fault holds.
    pub(crate) fn release(&self, id: &str) -> bool {
        self.all()
            .iter()
            .find(|fault| fault.id == id)
            .map(|fault| fault.released.send_replace(true))
            .is_some()
    }

    /// Takes one fault away, or all; what they hold goes on.
    pub(crate) fn remove(&self, id: Option<&str>) -> usize {
        let mut all = self.all();
        let before = all.len();
        all.retain(|fault| {
            let stays = id.is_some_and(|id| fault.id != id);
            if !stays {
                fault.released.send_replace(true);
            }
            stays
        });
        before - all.len()
    }
}

impl Fault {
    fn new(document: Value, known: &impl Fn(&str) -> bool) -> Result<Self, String> {
        let kept = document.clone();
        let read: Document = read(document)?;
        if read.call != "*" && !known(&read.call) {
            return Err(format!(
                "There is no call named {:?}; GET /calls/names lists the names, and * stands for every call.",
                read.call
            ));
        }
        Ok(Self {
            id: read.id.unwrap_or_else(|| Uuid::new_v4().to_string()),
            effect: Effect::read(read.effect)?,
            call: read.call,
            host: read.host.map(|host| host.to_ascii_lowercase()),
            path_contains: read.path_contains,
            after: read.after,
            times: read.times,
            document: kept,
            seen: 0,
            fired: 0,
            released: watch::Sender::new(false),
        })
    }

    fn matches(&self, call: &str, host: &str, path: &str) -> bool {
        (self.call == "*" || self.call == call)
            && self.host.as_deref().is_none_or(|wanted| wanted == host)
            && self
                .path_contains
                .as_deref()
                .is_none_or(|part| path.contains(part))
    }

    fn describe(&self) -> Value {
        let mut document = self.document.clone();
        if let Value::Object(fields) = &mut document {
            fields.insert("id".to_owned(), json!(self.id));
            fields.insert("seen".to_owned(), json!(self.seen));
            fields.insert("fired".to_owned(), json!(self.fired));
            fields.insert("released".to_owned(), json!(*self.released.borrow()));
        }
        document
    }
}

const EFFECTS: &str = "an effect is one of the words lostAfterEffect, lostBeforeEffect, html, emptyBody, wrongCasing, \
    hold, unauthorizedOnce, endlessBody, or an object with status, statusAfterEffect, delay, hold, retryAfterSeconds, \
    retryAfterDate, hugeBody, repeatedBody, redirect, echo or unknownState";

impl Effect {
    fn read(value: Value) -> Result<Self, String> {
        match value {
            Value::String(word) => Self::from_word(&word),
            Value::Object(fields) => Self::from_fields(&fields),
            other => Err(format!("The effect {other} is not understood: {EFFECTS}.")),
        }
    }

    fn from_word(word: &str) -> Result<Self, String> {
        Ok(match word {
            "lostAfterEffect" => Self::LostAfter,
            "lostBeforeEffect" => Self::LostBefore,
            "html" => Self::Html,
            "emptyBody" => Self::EmptyBody,
            "wrongCasing" => Self::WrongCasing,
            "hold" => Self::Hold(HoldAt::Before),
            "unauthorizedOnce" => Self::Unauthorized,
            "endlessBody" => Self::EndlessBody,
            _ => return Err(format!("The effect {word:?} is not known: {EFFECTS}.")),
        })
    }

    fn from_fields(fields: &serde_json::Map<String, Value>) -> Result<Self, String> {
        let has = |key: &str| fields.contains_key(key);
        let effect = if has("retryAfterSeconds") || has("retryAfterDate") {
            Self::retry_after(fields)?
        } else if has("status") {
            Self::Answer(canned(Value::Object(fields.clone()))?)
        } else if has("hold") || has("holdAt") {
            Self::Hold(hold_at(fields)?)
        } else {
            Self::from_one_field(fields)?
        };
        Ok(effect)
    }

    fn from_one_field(fields: &serde_json::Map<String, Value>) -> Result<Self, String> {
        let mut entries = fields.iter();
        let (Some((name, value)), None) = (entries.next(), entries.next()) else {
            return Err(format!(
                "The effect {fields:?} is not understood: {EFFECTS}."
            ));
        };
        Ok(match name.as_str() {
            "statusAfterEffect" => Self::LateAnswer(canned(value.clone())?),
            "delay" => Self::Delay(read::<Span>(value.clone())?.0),
            "hugeBody" => Self::HugeBody(read(value.clone())?),
            "repeatedBody" => {
                let body: Repeated = read(value.clone())?;
                checked_status(body.status)?;
                Self::RepeatedBody(body)
            }
            "redirect" => Self::Redirect(read(value.clone())?),
            "echo" => Self::Echo(checked_status(read(value.clone())?)?),
            "unknownState" => Self::UnknownState(read(value.clone())?),
            word if *value == json!(true) => Self::from_word(word)?,
            _ => return Err(format!("The effect {name:?} is not known: {EFFECTS}.")),
        })
    }

    fn retry_after(fields: &serde_json::Map<String, Value>) -> Result<Self, String> {
        if let Some(other) = fields
            .keys()
            .find(|key| !["retryAfterSeconds", "retryAfterDate", "status"].contains(&key.as_str()))
        {
            return Err(format!(
                "An effect with Retry-After cannot have {other:?} too."
            ));
        }
        let status = fields
            .get("status")
            .map_or(Ok(429), |status| read(status.clone()))?;
        let after = match (
            fields.get("retryAfterSeconds"),
            fields.get("retryAfterDate"),
        ) {
            (Some(seconds), None) => RetryAfter::Seconds(read(seconds.clone())?),
            (None, Some(date)) => retry_after_date(date)?,
            _ => return Err("Give either retryAfterSeconds or retryAfterDate.".to_owned()),
        };
        Ok(Self::RetryAfter {
            status: checked_status(status)?,
            after,
        })
    }
}

fn retry_after_date(date: &Value) -> Result<RetryAfter, String> {
    let text = date.as_str().unwrap_or_default();
    if let Ok(after) = humantime::parse_duration(text) {
        return Ok(RetryAfter::DateIn(after));
    }
    text.parse().map(RetryAfter::DateAt).map_err(|_| {
        format!("retryAfterDate has to be a duration from now, like 10s, or a time, like 2026-01-31T12:00:00Z, not {date}.")
    })
}

fn hold_at(fields: &serde_json::Map<String, Value>) -> Result<HoldAt, String> {
    let nested = fields.get("hold").and_then(|hold| hold.get("holdAt"));
    nested
        .or_else(|| fields.get("holdAt"))
        .or_else(|| fields.get("hold").filter(|hold| hold.is_string()))
        .map_or(Ok(HoldAt::Before), |at| read(at.clone()))
}

fn canned(value: Value) -> Result<Canned, String> {
    let canned: Canned = read(value)?;
    checked_status(canned.status)?;
    Ok(canned)
}

fn checked_status(status: u16) -> Result<u16, String> {
    if (200..=599).contains(&status) {
        Ok(status)
    } else {
        Err(format!(
            "The status {status} is not one that an answer can have (200 to 599)."
        ))
    }
}
