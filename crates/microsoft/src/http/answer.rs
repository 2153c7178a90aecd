//! A whole answer, read within bounds.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::Value;

use super::share::{Share, more_than_is_read};
use super::{Broken, redirect_target};
use crate::clouds::AllowedHost;
use crate::error::{Call, CallError, Problem, looks_like_html, trim_mark};
use crate::json::{self, Keep, NotJson, Reader};
use crate::text;
use secrecy::{ExposeSecret, SecretString};

/// The largest body that is read, in bytes.
const MAX_BODY: usize = 8 << 20;
/// What a pass holds of one list, in bytes: many passes run at once.
const MOST_HELD: usize = 2 << 20;
/// How much is kept of what is no data, in bytes: of a failure, or a page.
const HEAD: usize = 8 << 10;
/// The largest acceptance of a change, in bytes. What is larger was not said by the service.
const ACCEPTANCE: usize = 64 << 10;

/// What becomes of the body of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// Data, of which what is needed is kept.
    Data,
    /// The acceptance of a change, in any form.
    Acceptance,
}

/// A whole answer.
pub(crate) struct Answer {
    call: Call,
    host: AllowedHost,
    status: StatusCode,
    headers: HeaderMap,
    /// The beginning of the body, as it came.
    head: Vec<u8>,
    /// The body was longer than that.
    is_cut: bool,
    data: Option<Result<Value, NotJson>>,
    /// What the data takes of the memory, as long as it is there.
    share: Option<Share>,
}

impl Answer {
    /// Read the body, counting: a length that the answer announces is not trusted. What the request carried in
    /// secret is removed, should the answer echo it in its body or its headers.
    pub(super) async fn read(
        call: Call,
        host: &AllowedHost,
        mut response: reqwest::Response,
        secrets: &[Option<&SecretString>],
        reading: Reading,
        share: &mut Share,
    ) -> Result<Self, Broken> {
        let headers = std::mem::take(response.headers_mut());
        let mut answer = Self {
            call,
            host: host.clone(),
            status: response.status(),
            headers,
            head: Vec::new(),
            is_cut: false,
            data: None,
            share: None,
        };
        let secrets: Vec<String> = secrets
            .iter()
            .flatten()
            .map(|secret| secret.expose_secret().to_owned())
            .filter(|secret| !secret.is_empty())
            .collect();
        match reading {
            Reading::Data if answer.status.is_success() && answer.says_json() => {
                answer.read_data(&mut response, &secrets, share).await?;
            }
            Reading::Acceptance if answer.status.is_success() => {
                answer.read_head(&mut response, ACCEPTANCE).await?;
                if answer.is_cut {
                    return Err(Broken::TooLarge(ACCEPTANCE));
                }
            }
            Reading::Data | Reading::Acceptance => answer.read_head(&mut response, HEAD).await?,
        }
        for secret in &secrets {
            blot_out(&mut answer.head, secret.as_bytes());
            drop_echoes(&mut answer.headers, secret.as_bytes());
        }
        Ok(answer)
    }

    async fn read_head(
        &mut self,
        response: &mut reqwest::Response,
        most: usize,
    ) -> Result<(), Broken> {
        while let Some(chunk) = response.chunk().await? {
            if !self.note_head(&chunk, most) {
                break;
            }
        }
        Ok(())
    }

    /// Whether all of it is in the head.
    fn note_head(&mut self, chunk: &[u8], most: usize) -> bool {
        let fits = chunk.len().min(most - self.head.len());
        self.head.extend_from_slice(&chunk[..fits]);
        self.is_cut |= fits < chunk.len();
        !self.is_cut
    }

    async fn read_data(
        &mut self,
        response: &mut reqwest::Response,
        secrets: &[String],
        share: &mut Share,
    ) -> Result<(), Broken> {
        let mut reader = Reader::new(Keep::Fields, secrets.to_vec());
        let (mut length, mut refused) = (0, None);
        while let Some(chunk) = response.chunk().await? {
            self.note_head(&chunk, HEAD);
            let mark = of_mark(length, &chunk);
            length += chunk.len();
            if length > MAX_BODY {
                return Err(Broken::TooLarge(MAX_BODY));
            }
            if let Err(why) = reader.feed(&chunk[mark..]) {
                refused = Some(why);
                break;
            }
            share.grow(reader.weight()).await?;
        }
        self.data = Some(match refused {
            Some(why) => Err(why),
            None => reader.end(),
        });
        Ok(())
    }

    /// The answer holds its share as long as it is there.
    pub(crate) fn holding(mut self, share: Share) -> Self {
        self.share = Some(share);
        self
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.head.iter().all(u8::is_ascii_whitespace)
    }

    /// Whether what was read into, so many bytes, is no more than a pass may hold.
    ///
    /// # Errors
    /// It is more.
    pub(crate) fn is_held(&self, bytes: usize) -> Result<(), CallError> {
        if bytes <= MOST_HELD {
            return Ok(());
        }
        Err(self.unexpected(more_than_is_read(MOST_HELD)))
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
        let problem = Problem::read(&self.headers, &self.head, self.is_cut);
        Err(CallError::answered(
            self.call,
            self.host.name(),
            self.status.as_u16(),
            &self.headers,
            problem,
        ))
    }

    /// What is needed of the body, as JSON: the content type and the body must both say so.
    pub(crate) fn json(&self) -> Result<&Value, CallError> {
        match &self.data {
            Some(Ok(value)) => Ok(value),
            _ if self.is_empty() => Err(self.unexpected("the answer is empty.")),
            None => Err(self.no_data()),
            Some(Err(why)) => Err(self.not_json(why)),
        }
    }

    /// The whole of a short body, as JSON: the content type and the body must both say so.
    pub(crate) fn short_json(&self) -> Result<Value, CallError> {
        if !self.says_json() {
            return Err(self.no_data());
        }
        json::read(trim_mark(&self.head), Keep::All).map_err(|why| self.not_json(&why))
    }

    fn no_data(&self) -> CallError {
        let told = Problem::read(&HeaderMap::new(), &self.head, self.is_cut).message;
        self.unexpected(if self.is_page() {
            format!("the answer is {told}, not data: a proxy or a sign-in page stands between.")
        } else {
            format!("the answer is not JSON: \"{told}\"")
        })
    }

    fn not_json(&self, why: &str) -> CallError {
        let page = if self.is_page() {
            " (an HTML page)"
        } else {
            ""
        };
        self.unexpected(format!(
            "the answer says that it is JSON, but is not{page}: {}",
            text::excerpt(why)
        ))
    }

    /// A short body as far as it can be understood, whatever its content type says: JSON, else the text as it is.
    pub(crate) fn in_any_form(&self) -> Value {
        let head = trim_mark(&self.head);
        json::read(head, Keep::All).unwrap_or_else(|_| String::from_utf8_lossy(head).trim().into())
    }

    /// Whether this is a web page, by what it says or by what it is.
    pub(crate) fn is_page(&self) -> bool {
        self.says_html() || looks_like_html(&String::from_utf8_lossy(&self.head))
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

/// How many bytes of a byte order mark there are in a piece of a body, of which so many bytes came before.
fn of_mark(before: usize, piece: &[u8]) -> usize {
    let mark = b"\xef\xbb\xbf".iter().skip(before);
    piece
        .iter()
        .zip(mark)
        .take_while(|(one, other)| one == other)
        .count()
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
