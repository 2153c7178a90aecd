//! A whole answer, read within bounds.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::{Broken, redirect_target};
use crate::clouds::AllowedHost;
use crate::error::{Call, CallError, Problem, looks_like_html, trim_mark};
use crate::text;
use secrecy::{ExposeSecret, SecretString};

/// The largest body that is read, in bytes.
pub(super) const MAX_BODY: usize = 8 << 20;

/// A whole answer.
pub(crate) struct Answer {
    call: Call,
    host: AllowedHost,
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    /// Read the body, counting: a length that the answer announces is not trusted. What the request carried in
    /// secret is removed, should the answer echo it in its body or its headers.
    pub(super) async fn read(
        call: Call,
        host: &AllowedHost,
        mut response: reqwest::Response,
        secrets: &[Option<&SecretString>],
    ) -> Result<Self, Broken> {
        let (status, mut headers) = (response.status(), std::mem::take(response.headers_mut()));
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(Broken::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        for secret in secrets.iter().flatten() {
            blot_out(&mut body, secret.expose_secret().as_bytes());
            drop_echoes(&mut headers, secret.expose_secret().as_bytes());
        }
        Ok(Self {
            call,
            host: host.clone(),
            status,
            headers,
            body,
        })
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.body.iter().all(u8::is_ascii_whitespace)
    }

    /// An error for this answer: it came, but it is not what it should be.
    pub(crate) fn unexpected(&self, message: impl Into<String>) -> CallError {
        CallError::unexpected(
            self.call,
            self.host.name(),
            self.status.as_u16(),
            &self.headers,
            message.into(),
        )
    }

    pub(super) fn no_redirect(self) -> Result<Self, CallError> {
        if !self.status.is_redirection() {
            return Ok(self);
        }
        let target = redirect_target(&self.headers);
        Err(self.unexpected(format!(
            "the answer redirects to {target}, which is not followed."
        )))
    }

    pub(super) fn no_failure(self) -> Result<Self, CallError> {
        if self.status.is_success() {
            return Ok(self);
        }
        let problem = Problem::read(&self.headers, &self.body);
        Err(CallError::answered(
            self.call,
            self.host.name(),
            self.status.as_u16(),
            &self.headers,
            problem,
        ))
    }

    /// The body as JSON: the content type and the body must both say so.
    pub(crate) fn json(&self) -> Result<serde_json::Value, CallError> {
        if self.is_empty() {
            return Err(self.unexpected("the answer is empty."));
        }
        if !self.says_json() {
            let page = self.is_page();
            let told = Problem::read(&HeaderMap::new(), &self.body).message;
            return Err(self.unexpected(if page {
                format!("the answer is {told}, not data: a proxy or a sign-in page stands between.")
            } else {
                format!("the answer is not JSON: \"{told}\"")
            }));
        }
        serde_json::from_slice(trim_mark(&self.body)).map_err(|error| {
            let page = if self.is_page() {
                " (an HTML page)"
            } else {
                ""
            };
            self.unexpected(format!(
                "the answer says that it is JSON, but is not{page}: {}",
                text::excerpt(&error.to_string())
            ))
        })
    }

    /// The body as far as it can be understood, whatever its content type says: JSON, else the text as it is.
    pub(crate) fn in_any_form(&self) -> serde_json::Value {
        let body = trim_mark(&self.body);
        serde_json::from_slice(body).unwrap_or_else(|_| String::from_utf8_lossy(body).trim().into())
    }

    /// Whether this is a web page, by what it says or by what it is.
    pub(crate) fn is_page(&self) -> bool {
        self.says_html() || looks_like_html(&String::from_utf8_lossy(&self.body))
    }

    fn content_type(&self) -> String {
        let value = self
            .headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or("");
        value
            .split(';')
            .next()
            .unwrap_or("")
            .trim()
            .to_ascii_lowercase()
    }

    fn says_json(&self) -> bool {
        let kind = self.content_type();
        matches!(kind.as_str(), "application/json" | "text/json")
            || kind.starts_with("application/") && kind.ends_with("+json")
    }

    fn says_html(&self) -> bool {
        matches!(
            self.content_type().as_str(),
            "text/html" | "application/xhtml+xml"
        )
    }
}

/// A header that repeats a secret says nothing that is needed: it would be taken for an id, and shown.
fn drop_echoes(headers: &mut HeaderMap, secret: &[u8]) {
    let echoes = |value: &HeaderValue| {
        let bytes = value.as_bytes();
        !secret.is_empty() && bytes.windows(secret.len()).any(|part| part == secret)
    };
    let named: Vec<HeaderName> = headers
        .iter()
        .filter(|(_, value)| echoes(value))
        .map(|(name, _)| name.clone())
        .collect();
    for name in named {
        headers.remove(name);
    }
}

fn blot_out(body: &mut [u8], secret: &[u8]) {
    let mut at = 0;
    while !secret.is_empty() && at + secret.len() <= body.len() {
        if body[at..].starts_with(secret) {
            body[at..at + secret.len()].fill(b'*');
            at += secret.len();
        } else {
            at += 1;
        }
    }
}
