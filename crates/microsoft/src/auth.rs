//! Identities, tokens, and the limits of one identity.
//!
//! The token request is a plain form POST through [`Http`]: the `oauth2` crate would bring its own HTTP client
//! interface, which could not keep this module's bounds on hosts, redirects and answers, for two grants of one
//! request each.

mod certificate;
mod device_code;
mod identity;
mod tokens;
mod workload_identity;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use http::Method;
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::Semaphore;

pub use certificate::{BadCertificate, ClientCertificate};
pub use device_code::DeviceCode;
pub use identity::{
    AssertionSource, Assertions, Audience, Identity, RefreshTokenStore, RefreshTokens, SourceError,
};
use tokens::{Token, Tokens};
pub use workload_identity::{Mismatch, NoWorkloadIdentity, WorkloadIdentity};

use super::clouds::{AllowedHost, BadUrl, Cloud, HostKind, HostNotAllowed, HostPolicy, RequestUrl};
use super::error::{Call, CallError, Class, MutationError};
use super::http::{Answer, Body, Http, Request, Share};

/// How hard one identity may press.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Requests under way at once.
    pub concurrency: usize,
    /// Requests per second, in the long run.
    pub per_second: NonZeroU32,
    /// Requests that may follow each other at once after a rest.
    pub burst: NonZeroU32,
}

impl Default for Limits {
    fn default() -> Self {
        let ten = NonZeroU32::MIN.saturating_add(9);
        Self {
            concurrency: 8,
            per_second: ten,
            burst: ten.saturating_add(10),
        }
    }
}

/// One identity at one cloud: its tokens, its limits, and whether its password was refused. Cheap to clone.
#[derive(Clone)]
pub struct Session(Arc<Inner>);

struct Inner {
    http: Http,
    cloud: Cloud,
    hosts: HostPolicy,
    tokens: Tokens,
    places: Semaphore,
    rate: DefaultDirectRateLimiter,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("cloud", &self.0.cloud)
            .finish_non_exhaustive()
    }
}

/// What a mutation sends, and until when.
pub(super) struct Change<'a> {
    pub(super) call: Call,
    pub(super) method: Method,
    pub(super) url: &'a RequestUrl,
    pub(super) body: Body,
    pub(super) send_by: Timestamp,
    /// The time for the call once it is sent.
    pub(super) timeout: Duration,
}

impl Session {
    /// A session without a token yet; nothing is sent before the first call.
    pub fn new(
        http: Http,
        cloud: Cloud,
        hosts: HostPolicy,
        identity: Identity,
        limits: Limits,
    ) -> Self {
        let quota = Quota::per_second(limits.per_second).allow_burst(limits.burst);
        Self(Arc::new(Inner {
            tokens: Tokens::new(http.clone(), cloud, identity),
            http,
            cloud,
            hosts,
            places: Semaphore::new(limits.concurrency.max(1)),
            rate: RateLimiter::direct(quota),
        }))
    }

    /// A host that this session may talk to.
    ///
    /// # Errors
    /// The host is not allowed for this use in this cloud.
    pub fn host(&self, kind: HostKind, host: &str) -> Result<AllowedHost, HostNotAllowed> {
        self.0.hosts.check(self.0.cloud, kind, host)
    }

    /// Get a token, from memory or from Entra, only to see that the identity is accepted.
    ///
    /// \[D\] Learn, "OAuth 2.0 client credentials flow"; the dual-write audience [O toolbAX, Dual-write-automations].
    ///
    /// # Errors
    /// Entra refused the identity or cannot be reached. A password that was refused is not tried again: the
    /// remembered error is returned, see [`Session::allow_password_retry`].
    pub async fn token(&self, audience: &Audience) -> Result<(), CallError> {
        self.0.tokens.get(audience).await.map(drop)
    }

    /// Let a refused password be tried once more, not before ten minutes after its last try; one that a policy stands in the
    /// way of at once.
    pub fn allow_password_retry(&self) {
        self.0.tokens.allow_password_retry();
    }

    /// The refusal of a password or refresh token that is remembered, and when Entra was asked.
    pub fn refused(&self) -> Option<(Timestamp, CallError)> {
        self.0.tokens.refused()
    }

    /// Remember a refusal that an earlier process met: the same credential is not tried again because of a restart.
    pub fn recall_refusal(&self, at: Timestamp, reason: Option<&'static str>, message: String) {
        self.0.tokens.recall_refusal(at, reason, message);
    }

    /// When the refresh token that is used was given, where that was read.
    pub fn renewed(&self) -> Option<Timestamp> {
        self.0.tokens.renewed()
    }

    pub(super) fn cloud(&self) -> Cloud {
        self.0.cloud
    }

    /// The time for one call of the usual kind.
    pub(super) fn request_timeout(&self) -> Duration {
        self.0.http.request_timeout()
    }

    /// The time for one call that makes a link or resets it.
    pub(super) fn slow_request_timeout(&self) -> Duration {
        self.0.http.slow_request_timeout()
    }

    /// Read, once more with a new token if the first is not accepted.
    pub(super) async fn read(
        &self,
        call: Call,
        audience: &Audience,
        url: &RequestUrl,
    ) -> Result<Answer, CallError> {
        let mut share = self.share();
        let answer = self.read_page(call, audience, url, &mut share).await?;
        Ok(answer.holding(share))
    }

    /// A part of the memory for answers, for one list with its pages.
    pub(super) fn share(&self) -> Share {
        self.0.http.share()
    }

    /// Read one page of a list, in the memory of that.
    pub(super) async fn read_page(
        &self,
        call: Call,
        audience: &Audience,
        url: &RequestUrl,
        share: &mut Share,
    ) -> Result<Answer, CallError> {
        let question = (Method::GET, Body::Empty);
        self.answer_to(call, audience, url, &question, share).await
    }

    /// The same as [`Session::read`] with a POST, for a question that needs a body and changes nothing.
    pub(super) async fn ask(
        &self,
        call: Call,
        audience: &Audience,
        url: &RequestUrl,
        body: Value,
    ) -> Result<Answer, CallError> {
        let question = (Method::POST, Body::Json(body));
        let mut share = self.share();
        let answer = self.answer_to(call, audience, url, &question, &mut share);
        Ok(answer.await?.holding(share))
    }

    async fn answer_to(
        &self,
        call: Call,
        audience: &Audience,
        url: &RequestUrl,
        question: &(Method, Body),
        share: &mut Share,
    ) -> Result<Answer, CallError> {
        fits(call, audience, url)?;
        let token = self.0.tokens.get(audience).await?;
        match self.read_with(call, url, question, &token, share).await {
            Err(error) if error.status == Some(401) => {
                self.0.tokens.forget(audience, &token).await;
                let token = self.0.tokens.get(audience).await?;
                self.read_with(call, url, question, &token, share).await
            }
            other => other,
        }
    }

    async fn read_with(
        &self,
        call: Call,
        url: &RequestUrl,
        (method, body): &(Method, Body),
        token: &Token,
        share: &mut Share,
    ) -> Result<Answer, CallError> {
        let _place = self.place().await;
        let request = Request {
            call,
            method: method.clone(),
            url,
            bearer: Some(&token.secret),
            credential: None,
            body: body.clone(),
            timeout: None,
        };
        self.0.http.read_page(request, share).await
    }

    /// Change something, at most once. A 401 says that nothing was started, so it is the one answer after which the
    /// request is sent a second time, with a new token and within the same deadline.
    pub(super) async fn change(
        &self,
        audience: &Audience,
        change: &Change<'_>,
    ) -> Result<Answer, MutationError> {
        fits(change.call, audience, change.url).map_err(MutationError::NotSent)?;
        let token = self
            .0
            .tokens
            .get(audience)
            .await
            .map_err(MutationError::NotSent)?;
        match self.change_with(change, &token).await {
            Err(MutationError::Refused(error)) if error.status == Some(401) => {
                self.0.tokens.forget(audience, &token).await;
                let token = self
                    .0
                    .tokens
                    .get(audience)
                    .await
                    .map_err(MutationError::NotSent)?;
                self.change_with(change, &token).await
            }
            other => other,
        }
    }

    async fn change_with(
        &self,
        change: &Change<'_>,
        token: &Token,
    ) -> Result<Answer, MutationError> {
        let _place = self.place().await;
        let request = Request {
            call: change.call,
            method: change.method.clone(),
            url: change.url,
            bearer: Some(&token.secret),
            credential: None,
            body: change.body.clone(),
            timeout: Some(change.timeout),
        };
        self.0.http.mutate(request, change.send_by).await
    }

    /// Wait for one of the places, then for the rate. Never taken while a token is fetched: all places could then
    /// wait for the one that fetches it.
    async fn place(&self) -> Option<tokio::sync::SemaphorePermit<'_>> {
        // The semaphore is never closed.
        let place = self.0.places.acquire().await.ok();
        self.0.rate.until_ready().await;
        place
    }
}

/// A token goes only to the service that it is for.
fn fits(call: Call, audience: &Audience, url: &RequestUrl) -> Result<(), CallError> {
    let host = url.host();
    let fits = match audience {
        Audience::PowerPlatform => host.kind() == HostKind::PowerPlatform,
        Audience::Dataverse(of) => of == host && host.kind() == HostKind::Dataverse,
        Audience::DualWriteService => host.kind() == HostKind::DualWriteService,
    };
    if fits {
        return Ok(());
    }
    Err(CallError::new(
        call,
        host.name(),
        Class::Unexpected,
        "this host was allowed for another use; no token is sent to it.",
    ))
}

/// A path that could not be made, as an error of the call.
pub(super) fn bad_url(call: Call, host: &AllowedHost, bad: BadUrl) -> CallError {
    CallError::new(call, host.name(), Class::Unexpected, format!("{bad}."))
}
