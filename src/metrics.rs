//! Numbers, in the text format of Prometheus.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use prometheus_client::{
    collector::Collector,
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use dualwrite_api::operation::{Action, Phase};
use dualwrite_microsoft::{Call, CallObserver};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PassLabels {
    kind: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    api: &'static str,
    operation: &'static str,
    code: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallTimeLabels {
    api: &'static str,
    operation: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationLabels {
    action: String,
    phase: String,
}

/// The operator's metrics. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Mutex<Registry>,
    leader: Gauge,
    passes: Family<PassLabels, Counter>,
    pass_seconds: Family<KindLabel, Histogram, fn() -> Histogram>,
    calls: Family<CallLabels, Counter>,
    call_seconds: Family<CallTimeLabels, Histogram, fn() -> Histogram>,
    operation_seconds: Family<OperationLabels, Histogram, fn() -> Histogram>,
}

/// From a tenth of a second, within which most passes end, to half a minute, after which a request is given up.
fn seconds() -> Histogram {
    Histogram::new([0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0])
}

/// From half a minute to a day: an installation usually takes half an hour.
fn long_seconds() -> Histogram {
    Histogram::new([
        30.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 5400.0, 10800.0, 86400.0,
    ])
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("dualwrite");
        let leader = Gauge::default();
        registry.register(
            "leader",
            "Whether this replica leads: 1, or 0 while it stands by",
            leader.clone(),
        );
        let passes = Family::default();
        registry.register(
            "reconciles",
            "Passes over a resource, by kind and outcome",
            passes.clone(),
        );
        let pass_seconds = Family::new_with_constructor(seconds as fn() -> Histogram);
        registry.register(
            "reconcile_seconds",
            "How long passes take, in seconds",
            pass_seconds.clone(),
        );
        let calls = Family::default();
        registry.register(
            "api_calls",
            "Calls to Microsoft's APIs, by API, call and status",
            calls.clone(),
        );
        let call_seconds = Family::new_with_constructor(seconds as fn() -> Histogram);
        registry.register(
            "api_call_seconds",
            "How long calls take, in seconds",
            call_seconds.clone(),
        );
        let operation_seconds = Family::new_with_constructor(long_seconds as fn() -> Histogram);
        let help = "How long operations took from their first intent to their end, in seconds";
        registry.register("operation_seconds", help, operation_seconds.clone());
        Self(Arc::new(Inner {
            registry: Mutex::new(registry),
            leader,
            passes,
            pass_seconds,
            calls,
            call_seconds,
            operation_seconds,
        }))
    }
}

impl Metrics {
    /// Shows what this finds whenever somebody asks.
    pub fn show(&self, found: impl Collector) {
        self.registry().register_collector(Box::new(found));
    }

    /// Whether this replica leads.
    pub fn leads(&self, leads: bool) {
        self.0.leader.set(i64::from(leads));
    }

    /// Starts to measure a pass.
    pub fn pass(&self, kind: &'static str) -> PassTimer<'_> {
        PassTimer {
            metrics: self,
            kind,
            began: Instant::now(),
        }
    }

    /// An operation has ended.
    pub fn operation_ended(&self, action: Action, phase: Phase, took: Duration) {
        let labels = OperationLabels {
            action: action.to_string(),
            phase: phase.to_string(),
        };
        self.0
            .operation_seconds
            .get_or_create(&labels)
            .observe(took.as_secs_f64());
    }

    /// All metrics as text.
    ///
    /// # Errors
    /// Never in practice: the text is written into memory.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut buffer = String::new();
        text::encode(&mut buffer, &self.registry())?;
        Ok(buffer)
    }

    fn registry(&self) -> std::sync::MutexGuard<'_, Registry> {
        self.0
            .registry
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl CallObserver for Metrics {
    fn call(&self, call: Call, code: &str, took: Duration) {
        let api = call.api().into();
        let operation = call.into();
        self.0
            .calls
            .get_or_create(&CallLabels {
                api,
                operation,
                code: code.to_owned(),
            })
            .inc();
        self.0
            .call_seconds
            .get_or_create(&CallTimeLabels { api, operation })
            .observe(took.as_secs_f64());
    }
}

/// Measures one pass.
pub struct PassTimer<'a> {
    metrics: &'a Metrics,
    kind: &'static str,
    began: Instant,
}

impl PassTimer<'_> {
    /// The pass has ended.
    pub fn done(self, completed: bool) {
        let outcome = if completed { "completed" } else { "error" };
        self.metrics
            .0
            .passes
            .get_or_create(&PassLabels {
                kind: self.kind,
                outcome,
            })
            .inc();
        let seconds = self
            .metrics
            .0
            .pass_seconds
            .get_or_create(&KindLabel { kind: self.kind });
        seconds.observe(self.began.elapsed().as_secs_f64());
    }
}
