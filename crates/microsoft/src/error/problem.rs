//! The shapes in which Microsoft's services say what is wrong.

use http::HeaderMap;
use serde_json::{Map, Value};

use crate::json::{self, Keep};
use crate::text;

/// Headers in which the services name a request, most specific first.
const CORRELATION_HEADERS: [&str; 5] = [
    "x-ms-correlation-id",
    "x-ms-correlation-request-id",
    "x-ms-service-request-id",
    "x-ms-request-id",
    "request-id",
];

/// What an error answer says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The service's own code.
    pub(crate) code: Option<String>,
    /// One redacted line; empty when the body says nothing.
    pub(crate) message: String,
    /// The id of the request.
    pub(crate) correlation_id: Option<String>,
    /// Whether it is a web page, which none of the services answers to a request of ours.
    pub(crate) is_page: bool,
}

impl Problem {
    /// Read the body, whatever shape it has:
    /// `{error, error_description, error_codes, correlation_id}` (Entra), `{"error":{code, message}}` (Power
    /// Platform, Dataverse), `{errorCode, errorMessage}`, `{code, message}`, plain text, HTML, or nothing.
    /// Of a body that was cut, what there is of it.
    pub(crate) fn read(headers: &HeaderMap, body: &[u8], is_cut: bool) -> Self {
        let told = if is_cut {
            json::beginning_of(trim_mark(body))
        } else {
            json::read(trim_mark(body), Keep::All).ok()
        };
        let mut problem = match told {
            Some(Value::Object(fields)) => from_object(&fields),
            Some(Value::String(text)) => Self {
                message: text::excerpt(&text),
                ..Self::default()
            },
            Some(other) => Self {
                message: text::excerpt(&text::redact_json(&other).to_string()),
                ..Self::default()
            },
            None => {
                let text = String::from_utf8_lossy(body);
                Self {
                    message: from_text(&text),
                    is_page: looks_like_html(&text),
                    ..Self::default()
                }
            }
        };
        if problem.correlation_id.is_none() {
            problem.correlation_id = CORRELATION_HEADERS
                .iter()
                .find_map(|name| headers.get(*name)?.to_str().ok())
                .and_then(short);
        }
        problem
    }
}

/// Some of the services put a byte order mark before JSON.
pub(crate) fn trim_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)
}

fn from_object(fields: &Map<String, Value>) -> Problem {
    let correlation_id = text_of(
        fields,
        &[
            "correlation_id",
            "correlationId",
            "trace_id",
            "traceId",
            "requestId",
        ],
    )
    .and_then(short);
    let found = match fields.get("error") {
        Some(Value::Object(inner)) => coded(inner),
        Some(Value::String(kind)) => entra(fields, kind),
        _ => coded(fields),
    };
    let (code, message) = found;
    let message = message.unwrap_or_else(|| {
        let shape = Value::Object(fields.clone());
        if fields.is_empty() {
            String::new()
        } else {
            text::redact_json(&shape).to_string()
        }
    });
    Problem {
        code: code.and_then(short),
        message: text::excerpt(&message),
        correlation_id,
        is_page: false,
    }
}

fn coded(fields: &Map<String, Value>) -> (Option<&str>, Option<String>) {
    let code = text_of(fields, &["errorCode", "code", "ErrorCode", "Code"]);
    let message = text_of(
        fields,
        &[
            "errorMessage",
            "message",
            "ErrorMessage",
            "Message",
            "title",
            "detail",
        ],
    );
    (code, message.map(str::to_owned))
}

/// Entra's code is in the description (`AADSTS50126: …`), or a number in `error_codes`; `error` is only a kind.
fn entra<'a>(fields: &'a Map<String, Value>, kind: &'a str) -> (Option<&'a str>, Option<String>) {
    let description = text_of(fields, &["error_description", "message"]);
    let code = description.and_then(|text| {
        let text = &text[text.find("AADSTS")?..];
        let end = text[6..]
            .find(|c: char| !c.is_ascii_digit())
            .map_or(text.len(), |at| at + 6);
        (end > 6).then(|| &text[..end])
    });
    let message = match (description, fields.get("error_codes")) {
        (Some(text), _) => without_trace(text).to_owned(),
        (None, Some(codes)) => format!("{kind} {codes}"),
        (None, None) => kind.to_owned(),
    };
    (code.or(Some(kind)), Some(message))
}

/// Entra ends a description with the ids and the time of this very request. They are kept beside it; in the text they
/// would make every repetition of the same refusal look like a new one.
fn without_trace(description: &str) -> &str {
    let end = description.find("Trace ID:").unwrap_or(description.len());
    description[..end].trim_end()
}

fn text_of<'a>(fields: &'a Map<String, Value>, keys: &[&str]) -> Option<&'a str> {
    keys.iter()
        .find_map(|key| fields.get(*key)?.as_str())
        .filter(|text| !text.is_empty())
}

/// An id or a code: one word of sane length, or nothing.
fn short(text: &str) -> Option<String> {
    let text = text::excerpt(text::cut(text, 128));
    (!text.is_empty()).then_some(text)
}

/// Of an HTML page only the title says something.
fn from_text(body: &str) -> String {
    if !looks_like_html(body) {
        return text::excerpt(body);
    }
    let lower = body.to_ascii_lowercase();
    let title = lower
        .find("<title")
        .and_then(|at| Some(at + lower[at..].find('>')? + 1))
        .and_then(|start| Some(&body[start..start + lower[start..].find('<')?]))
        .map(text::excerpt)
        .filter(|title| !title.is_empty());
    title.map_or_else(
        || "an HTML page".to_owned(),
        |title| format!("an HTML page titled {title}"),
    )
}

/// Whether a body is a web page.
pub(crate) fn looks_like_html(body: &str) -> bool {
    body.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}')
        .starts_with('<')
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read(body: &str) -> Problem {
        Problem::read(&HeaderMap::new(), body.as_bytes(), false)
    }

    #[test]
    fn every_known_shape_gives_its_code_and_message() {
        for (body, code, message) in [
            (
                r#"{"error":{"code":"0x80048d0b","message":"no"}}"#,
                Some("0x80048d0b"),
                "no",
            ),
            (
                r#"{"errorCode":"DW9003","errorMessage":"no"}"#,
                Some("DW9003"),
                "no",
            ),
            (r#"{"code":"Busy","message":"no"}"#, Some("Busy"), "no"),
            (
                r#"{"error":"invalid_grant","error_description":"AADSTS50126: no"}"#,
                Some("AADSTS50126"),
                "AADSTS50126: no",
            ),
            (
                r#"{"error":"invalid_grant","error_description":"AADSTS50126: no.\r\nTrace ID: 1\r\nCorrelation ID: 2\r\nTimestamp: 3"}"#,
                Some("AADSTS50126"),
                "AADSTS50126: no.",
            ),
            (
                r#"{"error":"invalid_grant","error_codes":[50126]}"#,
                Some("invalid_grant"),
                "invalid_grant [50126]",
            ),
            ("plain\n text", None, "plain text"),
            ("\u{feff}{\"code\":\"X\",\"message\":\"m\"}", Some("X"), "m"),
            (
                "<!doctype html><html><Title> Sign in </TITLE>",
                None,
                "an HTML page titled Sign in",
            ),
            ("<html>", None, "an HTML page"),
            ("", None, ""),
            ("{}", None, ""),
        ] {
            let problem = read(body);
            assert_eq!(
                (problem.code.as_deref(), problem.message.as_str()),
                (code, message),
                "{body}"
            );
        }
    }

    #[test]
    fn an_unknown_shape_is_shown_without_its_secrets() {
        let problem = read(r#"{"what":"odd","access_token":"marker"}"#);
        assert!(problem.message.contains("odd") && !problem.message.contains("marker"));
    }
}
