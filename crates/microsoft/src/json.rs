//! Reading JSON that somebody else may change: unknown fields are ignored, `null` is absent, and a known field of
//! another kind than expected is said to be so, because "cannot be read" must never become "is absent".

mod fields;
mod reader;

use std::time::Duration;

pub(crate) use reader::{Keep, NotJson, Reader};

use serde_json::{Map, Value};

use crate::text;

/// A short text.
pub(crate) fn read(text: &[u8], keep: Keep) -> Result<Value, NotJson> {
    let mut reader = Reader::new(keep, Vec::new());
    reader.feed(text)?;
    reader.end()
}

/// What there is of a short text that may be cut off; `None` if it is no JSON.
pub(crate) fn beginning_of(text: &[u8]) -> Option<Value> {
    let mut reader = Reader::new(Keep::All, Vec::new());
    let whole_characters = text.utf8_chunks().next()?.valid();
    reader.feed(whole_characters.as_bytes()).ok()?;
    reader.cut_off()
}

/// How many bytes of text there are in a value.
pub(crate) fn text_in(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(elements) => elements.iter().map(text_in).sum(),
        Value::Object(fields) => fields.values().map(text_in).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

/// A field has another kind than expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the field {0} has an unexpected kind")]
pub(super) struct Odd(pub(super) &'static str);

/// The fields of one object.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a>(&'a Map<String, Value>);

impl<'a> Fields<'a> {
    pub(super) fn of(value: &'a Value) -> Option<Self> {
        value.as_object().map(Self)
    }

    /// A field that is there and not `null`; the exact name is preferred, another casing accepted.
    pub(super) fn get(self, name: &str) -> Option<&'a Value> {
        let exact = self.0.get(name);
        let value = exact.or_else(|| {
            self.0
                .iter()
                .find(|(key, _)| key.eq_ignore_ascii_case(name))
                .map(|(_, v)| v)
        });
        value.filter(|value| !value.is_null())
    }

    /// A text as it is kept; numbers and booleans are texts too, an empty text is absent.
    pub(super) fn text(self, name: &'static str) -> Result<Option<String>, Odd> {
        let text = match self.get(name) {
            None => return Ok(None),
            Some(Value::String(text)) => text::kept(text),
            Some(Value::Number(number)) => number.to_string(),
            Some(Value::Bool(flag)) => flag.to_string(),
            Some(_) => return Err(Odd(name)),
        };
        Ok((!text.is_empty()).then_some(text))
    }

    /// An id: [`text::id`].
    pub(super) fn id(self, name: &'static str) -> Result<Option<String>, Odd> {
        Ok(self.text(name)?.map(text::id))
    }

    pub(super) fn flag(self, name: &'static str) -> Result<Option<bool>, Odd> {
        match self
            .text(name)?
            .as_deref()
            .map(str::to_ascii_lowercase)
            .as_deref()
        {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(Odd(name)),
        }
    }

    pub(super) fn object(self, name: &'static str) -> Result<Option<Self>, Odd> {
        self.get(name)
            .map(|value| Self::of(value).ok_or(Odd(name)))
            .transpose()
    }

    pub(super) fn list(self, name: &'static str) -> Result<Option<&'a [Value]>, Odd> {
        self.get(name)
            .map(|value| value.as_array().map(Vec::as_slice).ok_or(Odd(name)))
            .transpose()
    }

    pub(super) fn values(self) -> impl Iterator<Item = (&'a String, &'a Value)> {
        self.0.iter()
    }
}

/// Longer than anything lasts that Entra speaks of, and short enough to be added to any time.
const LONGEST: Duration = Duration::from_hours(30 * 24);

/// A number of seconds, also as a text; at most a month.
pub(super) fn seconds(value: Option<&Value>) -> Option<Duration> {
    let seconds = match value? {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    seconds.map(|seconds| Duration::from_secs(seconds).min(LONGEST))
}
