//! Strings from outside, made safe to show: bounded, without control characters, without secrets.

/// The longest string that is kept from an answer, in bytes.
pub(super) const KEPT: usize = 2 * 1024;
/// The longest excerpt of a body that a message carries, in characters.
pub(super) const EXCERPT: usize = 300;
/// What stands in place of a secret.
const REDACTED: &str = "[redacted]";

/// Words that mark a value as secret when a key or a `key=value` pair contains them.
const SECRET_KEYS: [&str; 6] = [
    "token",
    "secret",
    "password",
    "assertion",
    "signature",
    "cookie",
];

/// Cut at `limit` bytes, on a character boundary.
pub(super) fn cut(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

/// A string from an answer as it is kept: control characters removed, cut at [`KEPT`] bytes.
///
/// Removed, not replaced: an id must not gain characters. Invisible and direction-changing characters go
/// too, because they can make a terminal show something else than what was compared.
pub(super) fn kept(text: &str) -> String {
    let clean: String = cut(text, 4 * KEPT)
        .chars()
        .filter(|c| !is_hostile(*c))
        .collect();
    cut(clean.trim(), KEPT).to_owned()
}

/// An id as it is kept: a UUID in lower case, anything else as it came.
///
/// Services and even calls of one service differ in how they write a UUID. What was read earlier is compared with what
/// is read now in many places, and a plan must not fall because an id is written in another way.
pub(super) fn id(text: String) -> String {
    if text.len() == 36 && uuid::Uuid::try_parse(&text).is_ok() {
        text.to_ascii_lowercase()
    } else {
        text
    }
}

/// An excerpt for a message: one line, at most [`EXCERPT`] characters, secrets and URL queries removed.
pub(super) fn excerpt(text: &str) -> String {
    let mut line = String::new();
    for word in cut(text, 16 * 1024).split(|c: char| c.is_whitespace() || is_hostile(c)) {
        if !word.is_empty() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(&redact_word(word));
        }
    }
    shorten(line)
}

fn shorten(line: String) -> String {
    match line.char_indices().nth(EXCERPT) {
        None => line,
        Some((end, _)) => format!("{}…", &line[..end]),
    }
}

/// Whether a text from an answer may be kept as an id: it is recorded, and later becomes a part of a URL.
pub(super) fn is_id(id: &str) -> bool {
    (1..=256).contains(&id.len())
        && id.bytes().any(|b| b.is_ascii_alphanumeric())
        && id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b))
}

/// Controls, marks of direction, and what has no width: it moves a cursor, turns a text around, or hides in it.
fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Whether a JSON key or a parameter name stands before a secret.
pub(super) fn names_a_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    SECRET_KEYS.iter().any(|word| key.contains(word))
}

fn redact_word(word: &str) -> String {
    if looks_like_a_token(word) {
        return REDACTED.to_owned();
    }
    if let Some((before, _)) = word
        .split_once('?')
        .filter(|(before, _)| before.contains("://"))
    {
        return format!("{before}?…");
    }
    // A form that is echoed is one word of several pairs.
    let pairs = word.split('&').map(|pair| match pair.split_once('=') {
        Some((key, value)) if !value.is_empty() && names_a_secret(key) => {
            format!("{key}={REDACTED}")
        }
        _ => pair.to_owned(),
    });
    pairs.collect::<Vec<_>>().join("&")
}

/// JSON Web Tokens start with `eyJ`; Entra's refresh tokens are long runs without a space.
fn looks_like_a_token(word: &str) -> bool {
    let long_run = word
        .split(|c: char| {
            !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '~' | '+' | '/'))
        })
        .any(|run| run.len() >= 200);
    long_run || word.find("eyJ").is_some_and(|at| word.len() - at > 20)
}

/// A copy of a JSON value in which the values of secret-looking keys are replaced.
pub(super) fn redact_json(value: &serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .map(|(key, value)| {
                    let value = if names_a_secret(key) {
                        Value::from(REDACTED)
                    } else {
                        redact_json(value)
                    };
                    (key.clone(), value)
                })
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.iter().map(redact_json).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_characters_never_stay() {
        assert_eq!(kept("a\u{1b}[31mb\u{202e}c\n"), "a[31mbc");
        assert_eq!(excerpt("one\r\n\u{1b}[2Jtwo"), "one [2Jtwo");
        assert_eq!(kept("a\u{61c}\u{ad}\u{9b}\u{3164}\u{e0041}b"), "ab");
    }

    #[test]
    fn an_id_is_one_word_that_fits_into_a_path() {
        for good in ["0b5d9f4a-8888-4c1e-9d51-5b1f0a000008", "17", "a_b.c:d"] {
            assert!(is_id(good), "{good}");
        }
        let long = "a".repeat(257);
        for bad in [
            "", ".", "..", "--", "a b", "a/b", "a%2e", "a\u{1b}b", "é", &long,
        ] {
            assert!(!is_id(bad), "{bad:?}");
        }
    }

    #[test]
    fn long_texts_are_cut_on_a_character() {
        assert!(kept(&"é".repeat(1 << 20)).len() <= KEPT);
        assert_eq!(excerpt(&"é ".repeat(1 << 19)).chars().count(), EXCERPT + 1);
    }

    #[test]
    fn secrets_and_queries_are_removed() {
        let text = "see https://a.example/b?sig=abc a=b&client_secret=hunter%2B2&c=d eyJ0eXAiOiJKV1QiLCJhbGciOi.x.y end";
        assert_eq!(
            excerpt(text),
            "see https://a.example/b?… a=b&client_secret=[redacted]&c=d [redacted] end"
        );
        let json =
            serde_json::json!({"access_token": "x", "list": [{"Password": "y"}], "keep": "z"});
        let text = redact_json(&json).to_string();
        assert!(
            !text.contains("\"x\"") && !text.contains("\"y\"") && text.contains("\"z\""),
            "{text}"
        );
    }
}
