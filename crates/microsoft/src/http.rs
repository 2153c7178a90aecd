//! One way to send a request, for all of Microsoft's APIs.
//!
//! No redirects, ever: a token must not follow one, and none of these APIs redirects in normal use. Every answer
//! is bounded in size and time. What *changes* something goes through `Http::mutate`, which can say for certain
//! when nothing was written, and writes nothing after a deadline.

mod answer;
mod fence;
mod share;
mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use jiff::Timestamp;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

pub(super) use answer::Answer;
use answer::Reading;
use fence::Fence;
pub(super) use share::Share;
use share::{Memory, TooMuch};

use super::clouds::RequestUrl;
use super::error::{Call, CallError, Class, MutationError};
use super::observer::CallObserver;
use super::text;

const USER_AGENT: &str = concat!("dualwrite-operator/", env!("CARGO_PKG_VERSION"));
/// The largest number of headers, and over HTTP/2 their total size in bytes, that an answer may have.
const MAX_HEADERS: usize = 100;
const MAX_HEADER_BYTES: u32 = 64 * 1024;

/// How requests leave the operator.
#[derive(Debug, Clone)]
pub struct HttpOptions {
    /// Every host name resolves to this address, and proxies are off. Otherwise DNS and the system's proxy
    /// settings hold.
    pub connect_to: Option<SocketAddr>,
    /// Certificates (PEM) that are trusted besides the system's.
    pub extra_ca_pem: Option<Vec<u8>>,
    /// The whole of one call, from connecting to the last byte of the body.
    pub request_timeout: Duration,
    /// How many times longer a link or a reset may take. Whoever judges what became of such a call must count with the same
    /// time.
    pub slow_factor: u32,
    /// Connecting, TLS included.
    pub connect_timeout: Duration,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            connect_to: None,
            extra_ca_pem: None,
            request_timeout: Duration::from_secs(30),
            slow_factor: 1,
            connect_timeout: Duration::from_secs(10),
        }
    }
}

/// Why no client could be made.
#[derive(Debug, thiserror::Error)]
pub enum HttpSetupError {
    /// The extra certificates cannot be used.
    #[error("the extra CA certificates cannot be used: {0}")]
    ExtraCa(String),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    /// The client cannot be built.
    #[error("the HTTP client cannot be built: {0}")]
    Client(#[from] reqwest::Error),
}

/// The HTTP client of everything in this module. Cheap to clone.
#[derive(Clone)]
pub struct Http(Arc<Inner>);

struct Inner {
    options: HttpOptions,
    reads: reqwest::Client,
    /// For one client per mutation: HTTP/1.1 only, see [`Http::mutate`].
    mutation_tls: rustls::ClientConfig,
    observer: Arc<dyn CallObserver>,
    memory: Memory,
}

/// What a request carries.
#[derive(Clone)]
pub(super) enum Body {
    Empty,
    Form(SecretString),
    Json(serde_json::Value),
    /// A text as it is, although the request calls it JSON: one call is only known to be made so.
    Bare(String),
}

/// One request. Its URL can only come from an allowed host.
pub(super) struct Request<'a> {
    pub(super) call: Call,
    pub(super) method: Method,
    pub(super) url: &'a RequestUrl,
    pub(super) bearer: Option<&'a SecretString>,
    /// The credential that the body carries, so that an answer that echoes it can be cleaned.
    pub(super) credential: Option<&'a SecretString>,
    pub(super) body: Body,
    /// The time for the whole call; [`HttpOptions::request_timeout`] when not given.
    pub(super) timeout: Option<Duration>,
}

impl Http {
    /// # Errors
    /// The extra certificates are not PEM certificates, or TLS cannot be set up.
    pub fn new(
        options: HttpOptions,
        observer: Arc<dyn CallObserver>,
    ) -> Result<Self, HttpSetupError> {
        let tls = tls::config(options.extra_ca_pem.as_deref())?;
        let mut read_tls = tls.clone();
        read_tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let reads = builder(&options, read_tls).build()?;
        let mut mutation_tls = tls;
        mutation_tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(Arc::new(Inner {
            options,
            reads,
            mutation_tls,
            observer,
            memory: Memory::default(),
        })))
    }

    /// The time for one call of the usual kind.
    pub(super) fn request_timeout(&self) -> Duration {
        self.0.options.request_timeout
    }

    /// The time for one call that makes a link or resets it.
    pub(super) fn slow_request_timeout(&self) -> Duration {
        self.0.options.request_timeout * self.0.options.slow_factor
    }

    /// A part of the memory for answers, for one list with its pages.
    pub(super) fn share(&self) -> Share {
        Share::of(&self.0.memory)
    }

    /// Send what changes nothing. A status of 400 or more, and a redirect, are errors.
    pub(super) async fn read(&self, request: Request<'_>) -> Result<Answer, CallError> {
        let mut share = self.share();
        let answer = self.read_page(request, &mut share).await?;
        Ok(answer.holding(share))
    }

    /// The same of one page, which takes its memory from the share of its list.
    pub(super) async fn read_page(
        &self,
        request: Request<'_>,
        share: &mut Share,
    ) -> Result<Answer, CallError> {
        let started = Instant::now();
        let result = self
            .send(&self.0.reads, &request, Reading::Data, share)
            .await;
        self.observe(&request, started, &result, None);
        let answer =
            result.map_err(|broken| broken.into_error(&request, self.timeout_of(&request)))?;
        answer.no_redirect()?.no_failure()
    }

    /// Only the status of an answer: the body is not read, and a redirect is as good as any other status.
    pub(super) async fn status(&self, request: Request<'_>) -> Result<StatusCode, CallError> {
        let started = Instant::now();
        let result = self.begin(&self.0.reads, &request).await;
        self.observe_code(
            &request,
            started,
            result.as_ref().map(reqwest::Response::status),
            None,
        );
        result
            .map(|r| r.status())
            .map_err(|broken| broken.into_error(&request, self.timeout_of(&request)))
    }

    /// Send what changes something, once.
    ///
    /// Each mutation has a client and a connection of its own: nothing is pooled, so no connection can be found
    /// dead after the request was written to it, and the HTTP library has nothing that it could retry. HTTP/1.1,
    /// because one connection then carries exactly one request. The clock is checked against `send_by` when the
    /// connection stands (TCP and TLS, through a proxy too), directly before the request is written.
    ///
    /// # Errors
    /// [`MutationError::NotSent`] only when the connection was never handed to the request.
    pub(super) async fn mutate(
        &self,
        request: Request<'_>,
        send_by: Timestamp,
    ) -> Result<Answer, MutationError> {
        let started = Instant::now();
        let fence = Fence::new(send_by);
        let client = match builder(&self.0.options, self.0.mutation_tls.clone())
            .pool_max_idle_per_host(0)
            .connector_layer(fence.layer())
            .build()
        {
            Ok(client) => client,
            Err(error) => {
                return Err(MutationError::NotSent(
                    Broken::from(error).into_error(&request, Duration::ZERO),
                ));
            }
        };
        let result = if fence.too_late() {
            Err(Broken::Late)
        } else {
            let mut share = self.share();
            self.send(&client, &request, Reading::Acceptance, &mut share)
                .await
        };
        self.observe(&request, started, &result, Some(&fence));
        match result {
            Err(_) if fence.refused() => Err(MutationError::NotSent(
                Broken::Late.into_error(&request, Duration::ZERO),
            )),
            Err(broken) => {
                let error = broken.into_error(&request, self.timeout_of(&request));
                Err(if fence.passed() {
                    MutationError::Lost(error)
                } else {
                    MutationError::NotSent(error)
                })
            }
            Ok(answer) => answer
                .no_redirect()
                .map_err(MutationError::Lost)?
                .no_failure()
                .map_err(MutationError::answered),
        }
    }

    fn timeout_of(&self, request: &Request<'_>) -> Duration {
        request.timeout.unwrap_or(self.0.options.request_timeout)
    }

    async fn send(
        &self,
        client: &reqwest::Client,
        request: &Request<'_>,
        reading: Reading,
        share: &mut Share,
    ) -> Result<Answer, Broken> {
        let response = self.begin(client, request).await?;
        let secrets = [request.bearer, request.credential];
        Answer::read(
            request.call,
            request.url.host(),
            response,
            &secrets,
            reading,
            share,
        )
        .await
    }

    async fn begin(
        &self,
        client: &reqwest::Client,
        request: &Request<'_>,
    ) -> Result<reqwest::Response, Broken> {
        tracing::debug!(
            api = %request.call.api(),
            call = %request.call,
            host = request.url.host().name(),
            path = request.url.as_url().path(),
            "request"
        );
        let mut builder = client
            .request(request.method.clone(), request.url.as_url().clone())
            .headers(headers(request)?)
            .timeout(self.timeout_of(request));
        builder = match &request.body {
            Body::Empty => builder.body(Vec::new()),
            Body::Form(form) => builder.body(form.expose_secret().to_owned()),
            Body::Json(json) => builder.body(json.to_string()),
            Body::Bare(text) => builder.body(text.clone()),
        };
        Ok(builder.send().await?)
    }

    fn observe(
        &self,
        request: &Request<'_>,
        started: Instant,
        result: &Result<Answer, Broken>,
        fence: Option<&Fence>,
    ) {
        self.observe_code(request, started, result.as_ref().map(Answer::status), fence);
    }

    fn observe_code(
        &self,
        request: &Request<'_>,
        started: Instant,
        result: Result<StatusCode, &Broken>,
        fence: Option<&Fence>,
    ) {
        let code = match &result {
            Ok(status) => status.as_str(),
            Err(_) if fence.is_some_and(Fence::refused) => "late",
            Err(broken) => broken.code(),
        };
        let took = started.elapsed();
        tracing::debug!(api = %request.call.api(), call = %request.call, code, ?took, "answer");
        self.0.observer.call(request.call, code, took);
    }
}

fn builder(options: &HttpOptions, tls: rustls::ClientConfig) -> reqwest::ClientBuilder {
    let builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .https_only(true)
        .user_agent(USER_AGENT)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .http1_max_headers(MAX_HEADERS)
        .http2_max_header_list_size(MAX_HEADER_BYTES)
        .connect_timeout(options.connect_timeout);
    match options.connect_to {
        Some(address) => builder.dns_resolver(Everywhere(address)).no_proxy(),
        None => builder,
    }
}

fn headers(request: &Request<'_>) -> Result<HeaderMap, Broken> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    match &request.body {
        Body::Empty => {}
        Body::Form(_) => {
            headers.insert(
                CONTENT_TYPE,
                HeaderValue::from_static("application/x-www-form-urlencoded"),
            );
        }
        Body::Json(_) | Body::Bare(_) => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
    }
    if let Some(token) = request.bearer {
        let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()))
            .map_err(|_| Broken::Token)?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(headers)
}

/// Every name resolves to one address, whose port replaces 443.
struct Everywhere(SocketAddr);

impl Resolve for Everywhere {
    fn resolve(&self, _: Name) -> Resolving {
        let addresses: Addrs = Box::new(std::iter::once(self.0));
        Box::pin(std::future::ready(Ok(addresses)))
    }
}

/// Why there is no whole answer.
#[derive(Debug)]
enum Broken {
    /// The time for the call is over.
    Timeout,
    /// No connection.
    Connect(String),
    /// The connection broke, or the answer is not HTTP.
    Lost(String),
    /// The answer is larger than these bytes.
    TooLarge(usize),
    /// More of it is not kept.
    TooMuch(TooMuch),
    /// The deadline for sending has passed.
    Late,
    /// The token cannot be a header.
    Token,
}

impl From<TooMuch> for Broken {
    fn from(why: TooMuch) -> Self {
        Self::TooMuch(why)
    }
}

impl From<reqwest::Error> for Broken {
    fn from(error: reqwest::Error) -> Self {
        if error.is_timeout() && !error.is_connect() {
            return Self::Timeout;
        }
        let cause = root_cause(&error);
        if error.is_connect() {
            Self::Connect(cause)
        } else {
            Self::Lost(cause)
        }
    }
}

/// The innermost message: the outer ones name the URL, or only say that something failed.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    let cause = innermost.to_string();
    // The TLS library adds a page of its own documentation.
    text::excerpt(cause.split(": https://docs.rs/").next().unwrap_or_default())
}

impl Broken {
    fn code(&self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Connect(_) | Self::Token => "connect",
            Self::Lost(_) | Self::TooLarge(_) | Self::TooMuch(_) => "lost",
            Self::Late => "late",
        }
    }

    fn into_error(self, request: &Request<'_>, timeout: Duration) -> CallError {
        let (class, message) = match self {
            Self::Timeout => (
                Class::Transient,
                format!("no whole answer within {} s.", timeout.as_secs_f32()),
            ),
            Self::Connect(cause) => (Class::Transient, format!("no connection: {cause}.")),
            Self::Lost(cause) => (
                Class::Transient,
                format!("the connection broke before the answer was whole: {cause}."),
            ),
            Self::TooLarge(most) => (
                Class::Unexpected,
                format!("the answer is larger than {}.", in_bytes(most)),
            ),
            Self::TooMuch(why) => (Class::Unexpected, why.in_words()),
            Self::Late => (
                Class::Transient,
                "the time to send it had passed before the connection stood.".to_owned(),
            ),
            Self::Token => (
                Class::Unexpected,
                "the token that was issued cannot be sent.".to_owned(),
            ),
        };
        CallError::new(request.call, request.url.host().name(), class, message)
    }
}

/// A bound as people write it.
fn in_bytes(bound: usize) -> String {
    match bound >> 20 {
        0 => format!("{} KiB", bound >> 10),
        whole => format!("{whole} MiB"),
    }
}

/// Where an answer points, host only.
fn redirect_target(headers: &HeaderMap) -> String {
    let location = headers
        .get(LOCATION)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("");
    match url::Url::parse(location)
        .ok()
        .and_then(|url| url.host_str().map(text::kept))
    {
        Some(host) => host,
        None if location.is_empty() => "nowhere".to_owned(),
        None => "a path on the same host".to_owned(),
    }
}
