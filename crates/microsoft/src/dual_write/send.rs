//! What all calls of the service have in common: how they are sent, and how an acceptance is understood.

use std::time::Duration;

use http::Method;
use jiff::Timestamp;
use serde_json::Value;

use super::template::Rendered;
use super::{AUDIENCE, call};
use crate::Session;
use crate::auth::{Change, bad_url};
use crate::clouds::{AllowedHost, RequestUrl};
use crate::error::{CallError, Class, MutationError};
use crate::http::{Answer, Body};
use crate::json::Fields;
use crate::text;

/// One call of the service.
pub(super) struct To<'a> {
    pub(super) session: &'a Session,
    pub(super) service: &'a AllowedHost,
    /// The name of the call.
    pub(super) operation: &'static str,
}

impl To<'_> {
    fn url(&self, path: &[&str], query: &[(&str, &str)]) -> Result<RequestUrl, CallError> {
        self.service
            .url(path, query)
            .map_err(|bad| bad_url(call(self.operation), self.service, bad))
    }

    /// Read.
    pub(super) async fn get(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Answer, CallError> {
        let url = self.url(path, query)?;
        self.session
            .read(call(self.operation), &AUDIENCE, &url)
            .await
    }

    /// Read what clients ask for with a slash at the end.
    pub(super) async fn get_with_slash(&self, path: &[&str]) -> Result<Answer, CallError> {
        let url = self.url(path, &[])?.with_slash();
        self.session
            .read(call(self.operation), &AUDIENCE, &url)
            .await
    }

    /// Ask with a POST that changes nothing.
    pub(super) async fn ask(&self, path: &[&str], body: Value) -> Result<Answer, CallError> {
        let url = self.url(path, &[])?;
        self.session
            .ask(call(self.operation), &AUDIENCE, &url, body)
            .await
    }

    /// Change something by a POST, at most once.
    pub(super) async fn post(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        body: Body,
        send_by: Timestamp,
    ) -> Result<Answer, MutationError> {
        let timeout = self.session.request_timeout();
        self.change(Method::POST, path, query, body, timeout, send_by)
            .await
    }

    /// Change something by the call of a template, at most once, with the time that a link may take.
    pub(super) async fn by_template(
        &self,
        rendered: Rendered,
        send_by: Timestamp,
    ) -> Result<Answer, MutationError> {
        let path: Vec<&str> = rendered.segments.iter().map(String::as_str).collect();
        let query: Vec<(&str, &str)> = rendered
            .query
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        let (method, body) = (
            rendered.method,
            rendered.body.map_or(Body::Empty, Body::Json),
        );
        let timeout = self.session.slow_request_timeout();
        self.change(method, &path, &query, body, timeout, send_by)
            .await
    }

    /// A success with a web page says nothing about the change: who answered was not the service.
    async fn change(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Body,
        timeout: Duration,
        send_by: Timestamp,
    ) -> Result<Answer, MutationError> {
        let url = self.url(path, query).map_err(MutationError::NotSent)?;
        let change = Change {
            call: call(self.operation),
            method,
            url: &url,
            body,
            send_by,
            timeout,
        };
        let answer = self.session.change(&AUDIENCE, &change).await?;
        if answer.is_page() {
            return Err(MutationError::Lost(answer.unexpected(
                "the answer is a web page, not data: a proxy or a sign-in page stands between.",
            )));
        }
        Ok(answer)
    }

    /// What is not even asked, because the service is known to fail on it or the answer would mean something else.
    pub(super) fn refuse(&self, why: impl Into<String>) -> CallError {
        CallError::new(
            call(self.operation),
            self.service.name(),
            Class::Unexpected,
            why,
        )
    }
}

/// The id of the request that an acceptance names: in `requestId`, or as the whole body; an empty 202 names none
/// [O Dual-write-automations, toolbAX].
///
/// Lenient on purpose: the change was accepted whatever the body says, and its effect is read back anyway.
pub(super) fn request_id(answer: &Answer) -> Option<String> {
    let id = match answer.in_any_form() {
        Value::Number(number) => number.to_string(),
        // A word such as "OK" would otherwise be asked for as if it were an id.
        Value::String(bare) if bare.bytes().any(|b| b.is_ascii_digit()) => bare.trim().to_owned(),
        body => Fields::of(&body)?.text("requestId").ok().flatten()?,
    };
    text::is_id(&id).then_some(id)
}
