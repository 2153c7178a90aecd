//! JSON read while it arrives, into what is needed: what no reader asks for is not kept, and what is kept has a weight.

use actson::feeder::{JsonFeeder as _, PushJsonFeeder};
use actson::options::JsonParserOptionsBuilder;
use actson::{JsonEvent, JsonParser};
use serde_json::{Map, Number, Value};

use super::fields::is_kept;
use crate::text::cut;

/// Deeper than any answer of Microsoft's.
const DEEPEST: usize = 64;
/// The longest text that is kept, in bytes: more than the longest token that is taken. The rest of a longer one is cut off.
const LONGEST_TEXT: usize = (64 << 10) + 1;
/// About what a value takes in memory beside its text, in bytes.
const OF_VALUE: usize = 64;
/// What an object with fields takes besides, however few they are.
const OF_FIELDS: usize = 600;

/// What is kept of a JSON text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// The fields that readers ask for.
    Fields,
    /// Everything.
    All,
}

/// Why a text is no JSON; in words, without any of the text.
pub(crate) type NotJson = String;

/// Reads one JSON text, piece by piece.
pub(crate) struct Reader {
    parser: JsonParser<PushJsonFeeder>,
    keep: Keep,
    /// What must not be kept, should the text repeat it.
    secrets: Vec<String>,
    open: Vec<Open>,
    /// How many values are open of which nothing is kept.
    skipped: usize,
    /// The next value belongs to a field that nobody asks for.
    skips_next: bool,
    whole: Option<Value>,
    kept: usize,
    /// How much of the text was read when the last value or name ended: what came since is held by the parser.
    read_before: usize,
}

/// A value that is not whole yet.
struct Open {
    /// The name of the field that it belongs to; elements of a list belong to that of the list.
    name: Option<String>,
    value: Value,
    /// Of an object: the name of the field that comes next.
    next: Option<String>,
}

impl Reader {
    pub(crate) fn new(keep: Keep, secrets: Vec<String>) -> Self {
        let options = JsonParserOptionsBuilder::default().with_max_depth(DEEPEST);
        Self {
            parser: JsonParser::new_with_options(PushJsonFeeder::new(), options.build()),
            keep,
            secrets,
            open: Vec::new(),
            skipped: 0,
            skips_next: false,
            whole: None,
            kept: 0,
            read_before: 0,
        }
    }

    /// About how many bytes of memory are taken by what was read so far.
    pub(crate) fn weight(&self) -> usize {
        self.kept + (self.parser.parsed_bytes() - self.read_before)
    }

    /// The next piece of the text.
    pub(crate) fn feed(&mut self, mut piece: &[u8]) -> Result<(), NotJson> {
        loop {
            let taken = self.parser.feeder.push_bytes(piece);
            piece = &piece[taken..];
            self.read()?;
            if piece.is_empty() {
                return Ok(());
            }
        }
    }

    /// There is no more; the value.
    pub(crate) fn end(mut self) -> Result<Value, NotJson> {
        self.parser.feeder.done();
        self.read()?;
        self.whole.ok_or_else(|| "it ends too early".into())
    }

    /// What there is of a text that was cut off, most likely within a string.
    pub(crate) fn cut_off(mut self) -> Option<Value> {
        // Elsewhere this begins a string that never ends, or is refused.
        let _ = self.feed(b"\"");
        while self.whole.is_none() && !self.open.is_empty() {
            self.close();
        }
        self.whole
    }

    fn read(&mut self) -> Result<(), NotJson> {
        loop {
            let at = self.parser.parsed_bytes();
            let event = self.parser.next_event();
            match event.map_err(|error| format!("{error} (after {at} bytes)"))? {
                Some(JsonEvent::NeedMoreInput) if self.parser.feeder.has_input() => {}
                Some(JsonEvent::NeedMoreInput) | None => return Ok(()),
                Some(event) => {
                    self.happened(event)?;
                    self.read_before = self.parser.parsed_bytes();
                }
            }
        }
    }

    fn happened(&mut self, event: JsonEvent) -> Result<(), NotJson> {
        match event {
            JsonEvent::NeedMoreInput => {}
            JsonEvent::FieldName => self.named()?,
            JsonEvent::StartObject => self.begin(Value::Object(Map::new())),
            JsonEvent::StartArray => self.begin(Value::Array(Vec::new())),
            JsonEvent::EndObject | JsonEvent::EndArray => {
                if self.skipped > 0 {
                    self.skipped -= 1;
                } else {
                    self.close();
                }
            }
            JsonEvent::ValueString
            | JsonEvent::ValueInt
            | JsonEvent::ValueFloat
            | JsonEvent::ValueTrue
            | JsonEvent::ValueFalse
            | JsonEvent::ValueNull => self.scalar(event)?,
        }
        Ok(())
    }

    fn text(&self) -> Result<&str, NotJson> {
        let text = self.parser.current_str();
        text.map_err(|_| "a text in it is not UTF-8".into())
    }

    fn named(&mut self) -> Result<(), NotJson> {
        if self.skipped > 0 {
            return Ok(());
        }
        let name = cut(self.text()?, LONGEST_TEXT);
        let parent = self.open.last().and_then(|open| open.name.as_deref());
        if self.keep == Keep::Fields && !is_kept(parent, name) {
            self.skips_next = true;
            return Ok(());
        }
        let name = name.to_owned();
        self.kept += OF_VALUE + name.len();
        if let Some(open) = self.open.last_mut() {
            let is_first = open.value.as_object().is_some_and(Map::is_empty);
            self.kept += if is_first { OF_FIELDS } else { 0 };
            open.next = Some(name);
        }
        Ok(())
    }

    fn begin(&mut self, value: Value) {
        if self.skipped > 0 || std::mem::take(&mut self.skips_next) {
            self.skipped += 1;
            return;
        }
        self.kept += OF_VALUE;
        let name = self.open.last().and_then(|open| match open.value {
            Value::Object(_) => open.next.clone(),
            _ => open.name.clone(),
        });
        self.open.push(Open {
            name,
            value,
            next: None,
        });
    }

    fn close(&mut self) {
        if let Some(done) = self.open.pop() {
            self.place(done.value);
        }
    }

    fn scalar(&mut self, event: JsonEvent) -> Result<(), NotJson> {
        if self.skipped > 0 || std::mem::take(&mut self.skips_next) {
            return Ok(());
        }
        let value = match event {
            JsonEvent::ValueTrue => Value::Bool(true),
            JsonEvent::ValueFalse => Value::Bool(false),
            JsonEvent::ValueString => {
                Value::String(self.without_secrets(cut(self.text()?, LONGEST_TEXT)))
            }
            JsonEvent::ValueInt | JsonEvent::ValueFloat => {
                let number: Result<Number, _> = serde_json::from_str(self.text()?);
                number
                    .map(Value::Number)
                    .map_err(|_| "a number in it is too large")?
            }
            _ => Value::Null,
        };
        self.kept += OF_VALUE + value.as_str().map_or(0, str::len);
        self.place(value);
        Ok(())
    }

    fn without_secrets(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.secrets {
            if text.contains(secret) {
                text = text.replace(secret, &"*".repeat(secret.len()));
            }
        }
        text
    }

    fn place(&mut self, value: Value) {
        match self.open.last_mut() {
            None => self.whole = Some(value),
            Some(open) => match &mut open.value {
                Value::Array(elements) => elements.push(value),
                Value::Object(fields) => {
                    fields.extend(open.next.take().map(|name| (name, value)));
                }
                _ => {}
            },
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(keep: Keep, text: &str, piece: usize) -> Result<Value, NotJson> {
        let mut reader = Reader::new(keep, Vec::new());
        for piece in text.as_bytes().chunks(piece) {
            reader.feed(piece)?;
        }
        reader.end()
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            prop::bool::ANY.prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            (-1e9..1e9_f64).prop_map(Value::from),
            ".{0,20}".prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
                prop::collection::btree_map(".{0,8}", inner, 0..8)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// The same as the library that everybody uses, however the text is cut.
        #[test]
        fn everything_is_read_as_it_is(value in json(), piece in 1_usize..40, is_pretty in prop::bool::ANY) {
            let text = if is_pretty {
                serde_json::to_string_pretty(&value).unwrap()
            } else {
                value.to_string()
            };
            let theirs: Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(read(Keep::All, &text, piece), Ok(theirs));
        }

        #[test]
        fn whatever_comes_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), piece in 1_usize..40) {
            let mut reader = Reader::new(Keep::All, Vec::new());
            let fed: Result<Vec<()>, _> = bytes.chunks(piece).map(|piece| reader.feed(piece)).collect();
            let ours = fed.and_then(|_| reader.end());
            let theirs = serde_json::from_slice::<Value>(&bytes);
            prop_assert_eq!(ours.ok(), theirs.ok());
        }
    }

    #[test]
    fn what_nobody_asks_for_is_not_kept() {
        let text =
            r#"{"value":[{"id":"a","odd":{"id":"b","value":[[{"id":1}]]},"Url":"u"}],"more":"x"}"#;
        let kept = read(Keep::Fields, text, 3).unwrap();
        assert_eq!(kept.to_string(), r#"{"value":[{"Url":"u","id":"a"}]}"#);
        // Whatever stands directly in "environments" is kept, by any name.
        let text = r#"{"environments":{"contoso":{"name":"n","odd":1}},"contoso":2}"#;
        let kept = read(Keep::Fields, text, 3).unwrap();
        assert_eq!(
            kept.to_string(),
            r#"{"environments":{"contoso":{"name":"n"}}}"#
        );
    }

    /// An attack: what takes most memory for its bytes.
    #[test]
    fn what_is_held_has_a_weight() {
        let weight = |keep, text: &str| {
            let mut reader = Reader::new(keep, Vec::new());
            reader.feed(text.as_bytes()).unwrap();
            reader.weight()
        };
        let many = format!("[{}", r#"{"id":0},"#.repeat(1000));
        assert!(weight(Keep::Fields, &many) > 700_000);
        let none = format!("[{}", r#"{"odd":0},"#.repeat(1000));
        // The objects are kept, without their fields.
        let of_none = weight(Keep::Fields, &none);
        assert!((60_000..100_000).contains(&of_none), "{of_none}");
        let long = format!("[\"{}", "x".repeat(100_000));
        assert!(weight(Keep::Fields, &long) >= 100_000);
    }

    #[test]
    fn secrets_are_not_kept_and_texts_are_bounded() {
        let mut reader = Reader::new(Keep::All, vec!["marker".into()]);
        let long = "x".repeat(LONGEST_TEXT + 5);
        let text = format!(r#"["a m\u0061rker b","{long}"]"#);
        reader.feed(text.as_bytes()).unwrap();
        let read = reader.end().unwrap();
        assert_eq!(read[0], "a ****** b");
        assert_eq!(read[1].as_str().unwrap().len(), LONGEST_TEXT);
    }

    #[test]
    fn of_a_text_that_was_cut_off_there_is_its_beginning() {
        let mut reader = Reader::new(Keep::All, Vec::new());
        reader
            .feed(br#"{"error":{"code":"0x80048d0b","stack":"at "#)
            .unwrap();
        let read = reader.cut_off().unwrap();
        assert_eq!(read["error"]["code"], "0x80048d0b");
        assert_eq!(read["error"]["stack"], "at ");
        let mut reader = Reader::new(Keep::All, Vec::new());
        reader.feed(br#"{"error":{"code":1,"inner":{"#).unwrap();
        assert_eq!(reader.cut_off().unwrap()["error"]["code"], 1);
    }

    #[test]
    fn what_is_nested_too_deeply_is_refused() {
        assert!(read(Keep::Fields, &"[".repeat(1000), 100).is_err());
    }
}
