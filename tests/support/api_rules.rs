//! What the proxy before the API server can be told to do, and when.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;

/// One request of the operator to the API server, as the proxy saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    /// Without the query, such as `/apis/dualwrite.dev/v1alpha1/namespaces/x/dualwriteconnections/y/status`.
    pub path: String,
    pub query: String,
    /// Null when there was none.
    pub body: Value,
    /// The API server's answer; None as long as it has not seen the request.
    pub status: Option<u16>,
}

impl Seen {
    /// Whether it may store something. Asking for a token stores nothing, although it is a POST.
    pub fn is_write(&self) -> bool {
        !matches!(self.method.as_str(), "GET" | "HEAD" | "OPTIONS")
            && !self.path.ends_with("/token")
    }

    pub fn is_watch(&self) -> bool {
        self.query
            .split('&')
            .any(|part| matches!(part, "watch=1" | "watch=true"))
    }
}

type Test = Box<dyn Fn(&Seen) -> bool + Send + Sync>;

/// Which requests a rule is about. Everything that is set must hold.
#[derive(Default)]
pub struct Match {
    tests: Vec<Test>,
}

impl Match {
    /// Every request.
    pub fn any() -> Self {
        Self::default()
    }

    /// Every request that may change something.
    pub fn write() -> Self {
        Self::any().that(Seen::is_write)
    }

    pub fn method(method: &str) -> Self {
        let method = method.to_owned();
        Self::any().that(move |seen| seen.method == method)
    }

    /// The creation of an object of this plural name.
    pub fn create(plural: &str) -> Self {
        Self::method("POST").path_ends(&format!("/{plural}"))
    }

    /// A change of the status of an object of this plural name.
    pub fn status(plural: &str) -> Self {
        let part = format!("/{plural}/");
        Self::write().path_contains(&part).path_ends("/status")
    }

    pub fn path_contains(self, part: &str) -> Self {
        let part = part.to_owned();
        self.that(move |seen| seen.path.contains(&part))
    }

    pub fn path_ends(self, end: &str) -> Self {
        let end = end.to_owned();
        self.that(move |seen| seen.path.ends_with(&end))
    }

    pub fn body_contains(self, part: &str) -> Self {
        let part = part.to_owned();
        self.that(move |seen| seen.body.to_string().contains(&part))
    }

    /// Such as `.body(|body| body["status"]["phase"] == "Running")`.
    pub fn body(self, test: impl Fn(&Value) -> bool + Send + Sync + 'static) -> Self {
        self.that(move |seen| test(&seen.body))
    }

    pub fn that(mut self, test: impl Fn(&Seen) -> bool + Send + Sync + 'static) -> Self {
        self.tests.push(Box::new(test));
        self
    }

    fn matches(&self, seen: &Seen) -> bool {
        self.tests.iter().all(|test| test(seen))
    }
}

/// On which side of the API server's work an action happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The API server has not seen the request.
    Before,
    /// The API server has done it and answered, and the operator has not heard.
    After,
}

/// What happens to the request that a rule fires on.
#[derive(Clone, Debug)]
pub enum Action {
    /// SIGKILL to the operator. All its connections go; this request goes no further.
    Kill,
    /// This answer; Before: without asking the API server.
    Answer {
        status: u16,
        retry_after: Option<u32>,
    },
    /// The connection breaks.
    Drop,
    Delay(Duration),
    /// Nothing moves until `Rule::release`. Before: even if the operator gave up
    /// in the meantime, the request then arrives late, as it may in real life.
    Hold,
    /// All connections break, and new ones do for that long.
    Unreachable(Duration),
}

/// A rule that is being made: `proxy.when(..).nth(2).then(..)`.
#[must_use = "a rule without `then` does nothing"]
pub struct RuleBuilder {
    pub(super) rules: Arc<Mutex<Vec<Rule>>>,
    pub(super) matching: Match,
    pub(super) nth: u32,
    pub(super) times: u32,
}

impl RuleBuilder {
    /// Fires on the nth matching request from now on; 1, the next, if not said.
    pub fn nth(mut self, nth: u32) -> Self {
        assert!(nth > 0, "requests are counted from 1");
        self.nth = nth;
        self
    }

    /// Fires on so many matching requests in a row; once if not said.
    pub fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    /// Puts the rule into force.
    pub fn then(self, moment: Moment, action: Action) -> Rule {
        let rule = Rule(Arc::new(Inner {
            matching: self.matching,
            first: self.nth,
            last: self.nth.saturating_add(self.times - 1),
            moment,
            action,
            matched: AtomicU32::new(0),
            cancelled: AtomicBool::new(false),
            fired: watch::Sender::new(0),
            released: watch::Sender::new(false),
        }));
        self.rules
            .lock()
            .expect("no holder panics")
            .push(rule.clone());
        rule
    }
}

/// A rule in force.
#[derive(Clone)]
pub struct Rule(Arc<Inner>);

struct Inner {
    matching: Match,
    first: u32,
    last: u32,
    moment: Moment,
    action: Action,
    matched: AtomicU32,
    cancelled: AtomicBool,
    fired: watch::Sender<u32>,
    released: watch::Sender<bool>,
}

impl Rule {
    /// Waits until it has fired: a kill or break is done then, a hold has begun.
    pub async fn fired(&self, timeout: Duration) {
        self.fired_times(1, timeout).await;
    }

    pub async fn fired_times(&self, times: u32, timeout: Duration) {
        let mut fired = self.0.fired.subscribe();
        let waited = tokio::time::timeout(timeout, fired.wait_for(|fired| *fired >= times)).await;
        let matched = self.0.matched.load(SeqCst);
        assert!(
            waited.is_ok(),
            "a rule ({:?} {:?}) fired {} times, not {times}, within {timeout:?}; {matched} requests matched",
            self.0.moment,
            self.0.action,
            *self.0.fired.borrow(),
        );
    }

    /// How often it has fired so far.
    pub fn count(&self) -> u32 {
        *self.0.fired.borrow()
    }

    /// Lets go of what it holds, now and from now on.
    pub fn release(&self) {
        self.0.released.send_replace(true);
    }

    /// Takes it out of force, and lets go of what it holds.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, SeqCst);
        self.release();
    }

    /// Counts the request, and says whether the rule fires on it.
    pub(super) fn fires_on(&self, seen: &Seen) -> bool {
        if self.0.cancelled.load(SeqCst) || !self.0.matching.matches(seen) {
            return false;
        }
        let nth = self.0.matched.fetch_add(1, SeqCst) + 1;
        (self.0.first..=self.0.last).contains(&nth)
    }

    pub(super) fn moment(&self) -> Moment {
        self.0.moment
    }

    pub(super) fn action(&self) -> &Action {
        &self.0.action
    }

    pub(super) fn mark_fired(&self) {
        self.0.fired.send_modify(|fired| *fired += 1);
    }

    pub(super) async fn released(&self) {
        let mut released = self.0.released.subscribe();
        // An error would mean that the rule is gone, but this holds it.
        let _ = released.wait_for(|released| *released).await;
    }
}
