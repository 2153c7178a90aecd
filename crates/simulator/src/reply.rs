//! What a handler gives back, before it becomes an HTTP answer.

use std::time::Duration;

use axum::body::Body;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde::Deserialize;
use serde_json::Value;

/// The answer of a handler.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(HeaderName, String)>,
    pub(crate) body: Payload,
    /// The call changed something.
    pub(crate) applied: bool,
    /// There is no answer: the connection breaks.
    pub(crate) dropped: bool,
    /// How long the answer takes, in simulated time.
    pub(crate) takes: Duration,
}

/// The body of an answer.
#[derive(Debug)]
pub(crate) enum Payload {
    Empty,
    Json(Value),
    Text {
        content_type: String,
        text: String,
    },
    /// This many spaces before an empty list, so that it would even be JSON.
    Huge(u64),
    Repeated(Box<Repeated>),
    Endless,
}

/// A text with a part that comes again and again.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Repeated {
    pub(crate) status: u16,
    begin: String,
    each: String,
    times: u64,
    end: String,
}

impl Reply {
    pub(crate) const fn empty(status: StatusCode) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Payload::Empty,
            applied: false,
            dropped: false,
            takes: Duration::ZERO,
        }
    }

    pub(crate) fn json(status: StatusCode, body: Value) -> Self {
        Self {
            body: Payload::Json(body),
            ..Self::empty(status)
        }
    }

    pub(crate) fn ok(body: Value) -> Self {
        Self::json(StatusCode::OK, body)
    }

    pub(crate) fn text(status: StatusCode, content_type: &str, text: impl Into<String>) -> Self {
        Self {
            body: Payload::Text {
                content_type: content_type.to_owned(),
                text: text.into(),
            },
            ..Self::empty(status)
        }
    }

    /// A sign-in page, as a proxy or a gateway answers it.
    pub(crate) fn sign_in_page() -> Self {
        Self::text(
            StatusCode::OK,
            "text/html; charset=utf-8",
            "<!DOCTYPE html>\n<html lang=\"en\"><head><title>Sign in to your account</title></head>\
             <body><noscript>JavaScript required to sign in</noscript></body></html>\n",
        )
    }

    pub(crate) const fn dropped() -> Self {
        let mut reply = Self::empty(StatusCode::OK);
        reply.dropped = true;
        reply
    }

    pub(crate) fn header(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Marks the call as one that changed something.
    pub(crate) const fn applied(mut self) -> Self {
        self.applied = true;
        self
    }

    pub(crate) fn into_response(self) -> Response<Body> {
        let (content_type, body) = match self.body {
            Payload::Empty => (None, Body::empty()),
            Payload::Json(value) => (
                Some("application/json; charset=utf-8".to_owned()),
                Body::from(value.to_string()),
            ),
            Payload::Text { content_type, text } => (Some(content_type), Body::from(text)),
            Payload::Huge(bytes) => (Some("application/json".to_owned()), huge(bytes)),
            Payload::Repeated(text) => (Some("application/json".to_owned()), repeated(*text)),
            Payload::Endless => (Some("application/json".to_owned()), endless()),
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        if let Some(value) = content_type.and_then(|value| HeaderValue::try_from(value).ok()) {
            headers.insert(header::CONTENT_TYPE, value);
        }
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name, value);
            }
        }
        response
    }
}

const CHUNK: &str = "                                                                ";

fn chunk(bytes: u64) -> String {
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX).min(64 * 1024);
    let mut text = CHUNK.repeat(bytes / CHUNK.len() + 1);
    text.truncate(bytes);
    text
}

fn huge(bytes: u64) -> Body {
    Body::from_stream(futures::stream::unfold(
        bytes.saturating_sub(2),
        |left| async move {
            if left == u64::MAX {
                return None;
            }
            if left == 0 {
                return Some((Ok::<_, std::io::Error>("[]".to_owned()), u64::MAX));
            }
            let text = chunk(left);
            let rest = left - text.len() as u64;
            Some((Ok(text), rest))
        },
    ))
}

fn repeated(text: Repeated) -> Body {
    let at_once = 4096;
    let parts = (0..text.times.div_ceil(at_once)).map({
        let (each, times) = (text.each, text.times);
        move |part| {
            let left = times - part * at_once;
            each.repeat(usize::try_from(left.min(at_once)).unwrap_or(0))
        }
    });
    let whole = std::iter::once(text.begin).chain(parts).chain([text.end]);
    Body::from_stream(futures::stream::iter(whole.map(Ok::<_, std::io::Error>)))
}

fn endless() -> Body {
    Body::from_stream(futures::stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        Some((Ok::<_, std::io::Error>(chunk(4096)), ()))
    }))
}
