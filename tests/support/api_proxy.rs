//! A loopback proxy between one operator and the API server.
//!
//! It records every request and follows rules, so that a test can place a crash,
//! a conflict or a lost answer at an exact boundary, and can say that nothing was
//! written. It has a thread and a runtime of its own: a test that blocks its own
//! runtime does not stall the operator.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::{Bytes, Incoming};
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use kube::Client;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::api_forward::{Body, answer, buffered, forward, upstream_client};
use super::api_rules::{Action, Match, Moment, Rule, RuleBuilder, Seen};
use super::api_stale::{Gate, StaleWatch};
use super::kubeconfig;
use super::process::Killer;

/// The proxy; gone when dropped, with all its connections.
pub struct ApiProxy {
    shared: Arc<Shared>,
    url: String,
    stop: watch::Sender<bool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

struct Shared {
    requests: Mutex<Vec<Seen>>,
    /// How many requests there are; for waiting.
    recorded: watch::Sender<usize>,
    rules: Arc<Mutex<Vec<Rule>>>,
    gate: Gate,
    operator: Mutex<Option<Killer>>,
    /// Counted up when all connections are to break.
    breaks: watch::Sender<u64>,
    /// How many reasons there are to refuse connections.
    unreachable: Mutex<u32>,
}

/// The API server cannot be reached for as long as this lives.
pub struct Unreachable(Arc<Shared>);

/// What is left to do with a request after an action.
enum Outcome {
    GoOn,
    Answer(Response<Body>),
    Break,
}

/// Makes hyper break the connection that the request came on.
#[derive(Debug, thiserror::Error)]
#[error("broken off by a rule of the test")]
struct Broken;

impl ApiProxy {
    /// A proxy to the API server that this kubeconfig names. Its user does not
    /// matter: whoever calls the proxy brings an own token.
    pub async fn start(upstream: PathBuf) -> Self {
        let shared = Arc::new(Shared {
            requests: Mutex::default(),
            recorded: watch::Sender::new(0),
            rules: Arc::default(),
            gate: Gate::default(),
            operator: Mutex::default(),
            breaks: watch::Sender::new(0),
            unreachable: Mutex::default(),
        });
        let stop = watch::Sender::new(false);
        let mut stopped = stop.subscribe();
        let (started, address) = tokio::sync::oneshot::channel();
        let serving = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime
                .expect("a runtime for the proxy")
                .block_on(async move {
                    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
                    let client = upstream_client(kubeconfig::config(&upstream).await);
                    let _ = started.send(listener.local_addr().expect("a bound address"));
                    tokio::select! {
                        () = accept(listener, client, serving) => {}
                        _ = stopped.wait_for(|stop| *stop) => {}
                    }
                });
        });
        let address = address.await.expect("the proxy starts");
        Self {
            shared,
            url: format!("http://{address}"),
            stop,
            thread: Some(thread),
        }
    }

    /// What the operator's kubeconfig names as its server.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whom `Action::Kill` kills.
    pub fn set_operator(&self, operator: Killer) {
        *lock(&self.shared.operator) = Some(operator);
    }

    /// Begins a rule. Of several that fire on one request, the oldest acts.
    pub fn when(&self, matching: Match) -> RuleBuilder {
        RuleBuilder {
            rules: Arc::clone(&self.shared.rules),
            matching,
            nth: 1,
            times: 1,
        }
    }

    /// Everything that was asked so far, in the order of its arrival.
    pub fn requests(&self) -> Vec<Seen> {
        lock(&self.shared.requests).clone()
    }

    /// The requests that may change something, in the order of their arrival.
    pub fn writes(&self) -> Vec<Seen> {
        self.requests().into_iter().filter(Seen::is_write).collect()
    }

    /// How many requests have arrived so far, for [`Self::next_from`].
    pub fn requests_so_far(&self) -> usize {
        lock(&self.shared.requests).len()
    }

    /// Waits for a request that arrives from now on.
    pub async fn next(&self, matching: impl Fn(&Seen) -> bool, timeout: Duration) -> Option<Seen> {
        let from = self.requests_so_far();
        self.next_from(from, matching, timeout).await
    }

    /// Waits for a request that has arrived after so many, or will.
    pub async fn next_from(
        &self,
        from: usize,
        matching: impl Fn(&Seen) -> bool,
        timeout: Duration,
    ) -> Option<Seen> {
        tokio::time::timeout(timeout, self.find(from, matching))
            .await
            .ok()
    }

    /// Waits until there was such a request since the start, and returns the first.
    pub async fn asked(&self, matching: impl Fn(&Seen) -> bool, timeout: Duration) -> Seen {
        let found = tokio::time::timeout(timeout, self.find(0, matching)).await;
        found.unwrap_or_else(|_| {
            panic!(
                "no such request within {timeout:?}; writes: {:#?}",
                self.writes()
            )
        })
    }

    async fn find(&self, mut from: usize, matching: impl Fn(&Seen) -> bool) -> Seen {
        let mut recorded = self.shared.recorded.subscribe();
        loop {
            {
                let requests = lock(&self.shared.requests);
                if let Some(found) = requests[from..].iter().find(|seen| matching(seen)) {
                    return found.clone();
                }
                from = requests.len();
            }
            // The sender lives in self.
            let _ = recorded.wait_for(|count| *count > from).await;
        }
    }

    /// Holds back every watch of this plural name until the guard is released or
    /// dropped; lists stay fresh.
    pub fn stale_watch(&self, plural: &str) -> StaleWatch {
        self.shared.gate.close(plural)
    }

    /// Breaks all connections, and new ones until the guard is dropped.
    pub fn unreachable(&self) -> Unreachable {
        Unreachable::new(&self.shared)
    }

    /// Breaks all connections once, as a restart of the API server does.
    pub fn break_connections(&self) {
        self.shared.break_connections();
    }
}

impl Drop for ApiProxy {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Unreachable {
    fn new(shared: &Arc<Shared>) -> Self {
        *lock(&shared.unreachable) += 1;
        shared.break_connections();
        Self(Arc::clone(shared))
    }
}

impl Drop for Unreachable {
    fn drop(&mut self) {
        *lock(&self.0.unreachable) -= 1;
    }
}

impl Shared {
    fn break_connections(&self) {
        self.breaks.send_modify(|count| *count += 1);
    }

    /// Returns the request's place in the record.
    fn record(&self, seen: Seen) -> usize {
        let mut requests = lock(&self.requests);
        requests.push(seen);
        self.recorded.send_replace(requests.len());
        requests.len() - 1
    }

    /// Every rule counts the request; the oldest that fires on it is returned.
    fn rule_for(&self, seen: &Seen) -> Option<Rule> {
        let rules = lock(&self.rules);
        let firing: Vec<&Rule> = rules.iter().filter(|rule| rule.fires_on(seen)).collect();
        firing.first().map(|rule| (*rule).clone())
    }
}

async fn accept(listener: TcpListener, client: Client, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let breaks = shared.breaks.subscribe();
        // Subscribed first: a break from here on reaches this connection.
        if *lock(&shared.unreachable) == 0 {
            tokio::spawn(serve(stream, client.clone(), Arc::clone(&shared), breaks));
        }
    }
}

async fn serve(
    stream: TcpStream,
    client: Client,
    shared: Arc<Shared>,
    mut breaks: watch::Receiver<u64>,
) {
    let service = service_fn(move |request| handle(request, client.clone(), Arc::clone(&shared)));
    let connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        // A break comes first: after it, nothing that waits to be read counts.
        biased;
        _ = breaks.changed() => {}
        // An error here is the operator hanging up, or a rule.
        _ = connection => {}
    }
}

async fn handle(
    request: Request<Incoming>,
    client: Client,
    shared: Arc<Shared>,
) -> Result<Response<Body>, Broken> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Broken)?.to_bytes();
    // A task of its own: once a request has arrived whole, what happens to it must
    // not depend on whether the operator still waits.
    let work = tokio::spawn(async move { pass_on(parts, body, &client, &shared).await });
    match work.await {
        Ok(Outcome::Answer(response)) => Ok(response),
        _ => Err(Broken),
    }
}

async fn pass_on(parts: Parts, body: Bytes, client: &Client, shared: &Arc<Shared>) -> Outcome {
    let seen = Seen {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        status: None,
    };
    let place = shared.record(seen.clone());
    let rule = shared.rule_for(&seen);
    let (before, after) = match &rule {
        Some(rule) if rule.moment() == Moment::Before => (Some(rule), None),
        other => (None, other.as_ref()),
    };
    if let Some(rule) = before {
        match act(rule, shared).await {
            Outcome::GoOn => {}
            other => return other,
        }
    }
    let response = forward(parts, body, client).await;
    lock(&shared.requests)[place].status = Some(response.status().as_u16());
    let Some(rule) = after else {
        return Outcome::Answer(shared.gate.guard(&seen, response));
    };
    // Whole, so that the API server is known to have done with it.
    let response = buffered(response).await;
    match act(rule, shared).await {
        Outcome::GoOn => Outcome::Answer(response),
        other => other,
    }
}

async fn act(rule: &Rule, shared: &Arc<Shared>) -> Outcome {
    let outcome = match rule.action() {
        Action::Kill => {
            lock(&shared.operator)
                .as_ref()
                .expect("Kill needs a running operator")
                .kill();
            // What it sent before it died, and is not here yet, is lost with it.
            shared.break_connections();
            Outcome::Break
        }
        Action::Answer {
            status,
            retry_after,
        } => Outcome::Answer(answer(*status, *retry_after)),
        Action::Drop => Outcome::Break,
        Action::Delay(_) | Action::Hold => Outcome::GoOn,
        Action::Unreachable(duration) => {
            let (duration, guard) = (*duration, Unreachable::new(shared));
            tokio::spawn(async move {
                tokio::time::sleep(duration).await;
                drop(guard);
            });
            Outcome::Break
        }
    };
    rule.mark_fired();
    match rule.action() {
        Action::Delay(duration) => tokio::time::sleep(*duration).await,
        Action::Hold => rule.released().await,
        _ => {}
    }
    outcome
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no holder panics")
}
