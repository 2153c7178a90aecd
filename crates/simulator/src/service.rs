//! The way of one request: count it, let a fault have its say, have the handler answer, keep the
//! journal.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use axum::body::Body;
use http::{HeaderName, Method, Request, Response, StatusCode, header};
use jiff::Timestamp;

use crate::access;
use crate::faults::{Canned, Effect, Faults, Fired, HoldAt, RetryAfter};
use crate::journal::{Counts, Entry, Journal, MOST_BODY, shown_body};
use crate::reply::{Payload, Reply};
use crate::rewrite;
use crate::router::{self, Call, HostKind, Route, UNKNOWN};
use crate::world::{Identity, World};

/// Larger requests are refused.
const MOST_REQUEST: usize = 8 * 1024 * 1024;

/// The simulator: what the two listeners share.
#[derive(Debug)]
pub(crate) struct Simulator {
    world: Mutex<World>,
    pub(crate) faults: Faults,
    pub(crate) journal: Journal,
    pub(crate) counts: Counts,
}

/// The connection breaks without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the scenario or a fault breaks the connection")]
pub(crate) struct Broken;

/// A request, once it is read.
struct Incoming {
    method: Method,
    host: String,
    path: String,
    query: String,
    headers: http::HeaderMap,
    body: axum::body::Bytes,
}

impl Simulator {
    pub(crate) fn new(world: World) -> Arc<Self> {
        Arc::new(Self {
            world: Mutex::new(world),
            faults: Faults::default(),
            journal: Journal::default(),
            counts: Counts::default(),
        })
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers one request of the simulated services.
    pub(crate) async fn serve(
        self: Arc<Self>,
        request: Request<Body>,
    ) -> Result<Response<Body>, Broken> {
        let Ok(incoming) = Incoming::read(request).await else {
            return Ok(Reply::empty(StatusCode::PAYLOAD_TOO_LARGE).into_response());
        };
        let kind = self.world().host_kind(&incoming.host);
        let found = router::find(kind, &incoming.method, &incoming.path);
        let call = found.as_ref().map_or(UNKNOWN, |(route, _)| route.call);
        self.counts.received(call, &incoming.host);
        let fired = self.faults.fire(call, &incoming.host, &incoming.path);
        let entry = self.journal_entry(
            call,
            found.as_ref().map(|(route, _)| *route),
            &incoming,
            fired.as_ref(),
        );
        self.counts.notify();
        tracing::debug!(call, method = %incoming.method, host = %incoming.host, path = %incoming.path, "received");

        let mut reply = self
            .answer(kind, found, &incoming, entry, fired.as_ref())
            .await;
        if !reply.takes.is_zero() {
            let real = self.world().clock.real(reply.takes);
            tokio::time::sleep(real).await;
        }
        access::add_correlation(kind, &mut reply);
        self.end(call, entry, &reply);
        if reply.dropped {
            Err(Broken)
        } else {
            Ok(reply.into_response())
        }
    }

    fn end(&self, call: &'static str, entry: Option<u64>, reply: &Reply) {
        if let Some(number) = entry {
            self.journal.update(number, |entry| {
                entry.status = (!reply.dropped).then_some(reply.status.as_u16());
                entry.answered = !reply.dropped;
            });
        }
        tracing::debug!(
            call,
            status = reply.status.as_u16(),
            dropped = reply.dropped,
            "answered"
        );
    }

    fn journal_entry(
        &self,
        call: &'static str,
        route: Option<&Route>,
        incoming: &Incoming,
        fired: Option<&Fired>,
    ) -> Option<u64> {
        let mutates = route.map_or_else(
            || {
                !matches!(
                    incoming.method,
                    Method::GET | Method::HEAD | Method::OPTIONS
                )
            },
            |route| route.mutates,
        );
        if !mutates {
            return None;
        }
        let world = self.world();
        let identity = access::bearer(&incoming.headers).and_then(|text| world.token(text));
        Some(self.journal.begin(Entry {
            at: Timestamp::now(),
            simulated_at: world.clock.now(),
            call,
            method: incoming.method.to_string(),
            host: incoming.host.clone(),
            path: incoming.path.clone(),
            query: incoming.query.clone(),
            body: shown_body(&incoming.body),
            identity: identity.map(|token| token.identity.name.clone()),
            status: None,
            applied: false,
            answered: false,
            fault: fired.map(|fired| fired.id.clone()),
            size: incoming.body.len().min(MOST_BODY),
        }))
    }

    /// What the call answers, the fault included.
    async fn answer(
        &self,
        kind: HostKind,
        found: Option<(&'static Route, Vec<String>)>,
        incoming: &Incoming,
        entry: Option<u64>,
        fired: Option<&Fired>,
    ) -> Reply {
        if let Some(instead) = self.before(incoming, fired).await {
            return instead;
        }
        let reply = self.effect(kind, found, incoming);
        if let Some(number) = entry {
            let applied = reply.applied;
            self.journal.update(number, |entry| entry.applied = applied);
        }
        after(reply, fired).await
    }

    /// What a fault does before the effect; an answer stands instead of the effect.
    async fn before(&self, incoming: &Incoming, fired: Option<&Fired>) -> Option<Reply> {
        let fired = fired?;
        match &fired.effect {
            Effect::Answer(canned) => Some(from_canned(canned)),
            Effect::LostBefore => Some(Reply::dropped()),
            Effect::Html => Some(Reply::sign_in_page()),
            Effect::Delay(delay) => {
                tokio::time::sleep(*delay).await;
                None
            }
            Effect::Hold(HoldAt::Before) => {
                hold(fired).await;
                None
            }
            Effect::RetryAfter { status, after } => Some(throttled(*status, after)),
            Effect::Unauthorized => {
                let mut world = self.world();
                if let Some(text) = access::bearer(&incoming.headers) {
                    world.revoke(text);
                }
                Some(access::unauthorized(&world, &incoming.host))
            }
            Effect::EndlessBody => Some(with_body(Payload::Endless)),
            Effect::HugeBody(bytes) => Some(with_body(Payload::Huge(*bytes))),
            Effect::RepeatedBody(body) => {
                let status = StatusCode::from_u16(body.status).unwrap_or(StatusCode::OK);
                let body = Payload::Repeated(Box::new(body.clone()));
                Some(Reply {
                    status,
                    ..with_body(body)
                })
            }
            Effect::Redirect(url) => Some(
                Reply::empty(StatusCode::TEMPORARY_REDIRECT).header(header::LOCATION, url.clone()),
            ),
            Effect::Echo(status) => Some(echo(*status, incoming)),
            Effect::LateAnswer(_)
            | Effect::LostAfter
            | Effect::EmptyBody
            | Effect::WrongCasing
            | Effect::Hold(HoldAt::After)
            | Effect::UnknownState(_) => None,
        }
    }

    fn effect(
        &self,
        kind: HostKind,
        found: Option<(&'static Route, Vec<String>)>,
        incoming: &Incoming,
    ) -> Reply {
        let Some((route, open)) = found else {
            return not_served(kind, incoming);
        };
        let query: Vec<(String, String)> = url::form_urlencoded::parse(incoming.query.as_bytes())
            .into_owned()
            .collect();
        let mut world = self.world();
        world.settle();
        let identity = match access::authorize(&world, kind, &incoming.host, &incoming.headers) {
            Ok(identity) => identity,
            Err(refusal) => return *refusal,
        };
        let call = Call {
            host: &incoming.host,
            path: &incoming.path,
            query: &query,
            body: &incoming.body,
            open,
            identity: identity.unwrap_or_else(|| Identity {
                tenant_id: String::new(),
                name: String::new(),
                is_user: false,
            }),
        };
        (route.handler)(&mut world, &call)
    }
}

impl Incoming {
    async fn read(request: Request<Body>) -> Result<Self, axum::Error> {
        let (parts, body) = request.into_parts();
        let authority = parts
            .uri
            .authority()
            .map(ToString::to_string)
            .or_else(|| {
                let host = parts.headers.get(header::HOST)?;
                host.to_str().ok().map(str::to_owned)
            })
            .unwrap_or_default();
        let host = authority
            .split(':')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase();
        Ok(Self {
            method: parts.method,
            host,
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            headers: parts.headers,
            body: axum::body::to_bytes(body, MOST_REQUEST).await?,
        })
    }
}

/// What a fault does after the effect.
async fn after(mut reply: Reply, fired: Option<&Fired>) -> Reply {
    let Some(fired) = fired else { return reply };
    match &fired.effect {
        Effect::LostAfter => Reply::dropped(),
        Effect::LateAnswer(canned) => from_canned(canned),
        Effect::EmptyBody => {
            reply.body = Payload::Empty;
            reply
        }
        Effect::WrongCasing => {
            rewrite::wrong_casing(&mut reply);
            reply
        }
        Effect::UnknownState(state) => {
            rewrite::unknown_state(&mut reply, state);
            reply
        }
        Effect::Hold(HoldAt::After) => {
            hold(fired).await;
            reply
        }
        _ => reply,
    }
}

async fn hold(fired: &Fired) {
    let mut released = fired.released.clone();
    // An error means that the fault is gone, which releases the call too.
    let _ = released.wait_for(|released| *released).await;
}

fn from_canned(canned: &Canned) -> Reply {
    let status = StatusCode::from_u16(canned.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut reply = match (&canned.body, &canned.content_type) {
        (None, _) => Reply::empty(status),
        (Some(serde_json::Value::String(text)), content_type) => Reply::text(
            status,
            content_type.as_deref().unwrap_or("text/plain"),
            text,
        ),
        (Some(body), Some(content_type)) => Reply::text(status, content_type, body.to_string()),
        (Some(body), None) => Reply::json(status, body.clone()),
    };
    for (name, value) in &canned.headers {
        if let Ok(name) = HeaderName::try_from(name.as_str()) {
            reply = reply.header(name, value.clone());
        }
    }
    reply
}

/// What a service does that means to help with debugging: all that it was sent comes back, in body and headers.
fn echo(status: u16, incoming: &Incoming) -> Reply {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let token = access::bearer(&incoming.headers).unwrap_or_default();
    let sent = format!(
        "You sent {token} and \"Bearer {token}\" and {} to https://{}{}?{}&code={token}",
        String::from_utf8_lossy(&incoming.body),
        incoming.host,
        incoming.path,
        incoming.query
    );
    let body = serde_json::json!({
        "error": {"code": token, "message": sent, "innererror": {"access_token": token}}, "error_description": sent,
    });
    Reply::json(status, body)
        .header(header::SET_COOKIE, format!("session={token}"))
        .header(
            HeaderName::from_static("x-ms-correlation-request-id"),
            token,
        )
}

fn with_body(body: Payload) -> Reply {
    Reply {
        body,
        ..Reply::empty(StatusCode::OK)
    }
}

fn throttled(status: u16, after: &RetryAfter) -> Reply {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::TOO_MANY_REQUESTS);
    let value = match after {
        RetryAfter::Seconds(seconds) => seconds.to_string(),
        RetryAfter::DateIn(duration) => {
            // An HTTP date has whole seconds: rounded up, so that it is not in the past at once.
            let at = SystemTime::now() + *duration + Duration::from_millis(999);
            httpdate::fmt_http_date(at)
        }
        RetryAfter::DateAt(at) => httpdate::fmt_http_date(SystemTime::from(*at)),
    };
    let body = serde_json::json!({
        "error": {"code": status.as_u16().to_string(), "message": "Too many requests, or too much work. Try again later."}
    });
    Reply::json(status, body).header(header::RETRY_AFTER, value)
}

fn not_served(kind: HostKind, incoming: &Incoming) -> Reply {
    if kind == HostKind::Unknown {
        let text = format!(
            "The scenario has nothing at the host {:?}; the simulator answers for no other host.\n",
            incoming.host
        );
        return Reply::text(
            StatusCode::MISDIRECTED_REQUEST,
            "text/plain; charset=utf-8",
            text,
        );
    }
    let text = format!(
        "The simulator has no call {} {} at {}.\n",
        incoming.method, incoming.path, incoming.host
    );
    Reply::text(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", text)
}
