//! The steps of a reset, from one that runs undisturbed; and the writes of a step, as the proxy sees them.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use crate::support::contoso::NAME;
use crate::support::reset::*;
use crate::support::{Match, World};

/// One thing that goes wrong, in a world of its own.
pub struct Cell {
    /// It waits for half a minute or longer, so it is to begin early.
    pub slow: bool,
    pub name: String,
    pub run: BoxFuture<'static, ()>,
}

impl Cell {
    pub fn new(slow: bool, name: String, run: impl Future<Output = ()> + Send + 'static) -> Self {
        Self {
            slow,
            name,
            run: run.boxed(),
        }
    }
}

/// A step of the act.
#[derive(Clone, Debug)]
pub struct Step {
    pub name: String,
    pub asks: Asks,
}

/// What a step asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asks {
    /// Nothing: it only looks.
    Nothing,
    /// For an object in Kubernetes.
    Kubernetes,
    /// For this call, after so many other calls of the same name.
    Microsoft { call: String, after: usize },
}

/// Whether all cells run, and not only those of `make test`.
pub fn all() -> bool {
    std::env::var("DUALWRITE_MATRIX").is_ok_and(|value| value == "1")
}

/// The steps of a reset, in order, from one that runs undisturbed and is checked on the way.
pub async fn of_an_undisturbed_reset() -> Vec<Step> {
    let (world, plan) = planned_world(Value::Null, json!({})).await;
    approve(&world, &plan).await;
    let operation = ended(&world, &plan, &["Succeeded"], ACT).await;
    is_restored(&world, &operation).await;
    for (what, (received, applied)) in counted(&world).await {
        assert_eq!((received, applied), (1, 1), "{what}");
    }
    let mut requests = requests(&world).await.into_iter().map(|entry| {
        let call = entry["call"].as_str();
        call.unwrap().to_owned()
    });
    let mut calls: Vec<String> = Vec::new();
    let mut steps = Vec::new();
    for step in operation["status"]["steps"].as_array().unwrap() {
        let name = step["name"].as_str().unwrap().to_owned();
        let asks = if step["attempt"] == 0 {
            Asks::Nothing
        } else if name == "backup" {
            Asks::Kubernetes
        } else {
            let call = requests.next().expect("a request for each step that asks");
            let after = calls.iter().filter(|earlier| **earlier == call).count();
            calls.push(call.clone());
            Asks::Microsoft { call, after }
        };
        steps.push(Step { name, asks });
    }
    assert_eq!(requests.next(), None, "a step for each request");
    for planned in operation["spec"]["steps"].as_array().unwrap() {
        let is_there = steps.iter().any(|step| planned["name"] == *step.name);
        assert!(is_there, "{planned}");
    }
    steps
}

/// Whether what is lost before this step leaves everything as it was: the reset has not been asked for.
pub fn is_before_the_reset(steps: &[Step], index: usize) -> bool {
    let reset = steps.iter().position(|step| step.name == "reset");
    index <= reset.expect("a reset has a step that resets")
}

/// The first write by which a step becomes so.
pub fn write_of(step: &str, state: &'static str) -> Match {
    let step = step.to_owned();
    Match::status("dualwriteoperations")
        .body(move |body| step_of(&body["status"], &step)["state"] == state)
}

pub fn creation() -> Match {
    Match::create("dualwriteoperations")
        .body(|body| body["metadata"]["name"].as_str().is_some_and(is_reset))
}

pub fn end() -> Match {
    Match::status("dualwriteoperations").body(|body| body["status"]["phase"] == "Succeeded")
}

/// The write that puts the finalizer on, or takes it off.
pub fn finalizer(on: bool) -> Match {
    Match::method("PATCH")
        .path_contains("/dualwriteoperations/")
        .that(|seen| !seen.path.ends_with("/status"))
        .body(move |body| {
            let finalizers = body["metadata"]["finalizers"].as_array();
            finalizers.is_some_and(|finalizers| finalizers.is_empty() != on)
        })
}

fn is_reset(name: &str) -> bool {
    name.starts_with(&format!("{NAME}-reset-"))
}

/// The fault of the request of a step, if it goes to Microsoft.
pub fn fault(step: &Step, effect: &Value) -> Option<Value> {
    match &step.asks {
        Asks::Microsoft { call, after } => {
            Some(json!({"call": call, "after": after, "effect": effect}))
        }
        Asks::Nothing | Asks::Kubernetes => None,
    }
}

/// A world with a plan, for a step that has so long as its outcome needs: what is asked for a second time is so after some
/// ten seconds, and a reset of which nothing is seen is given up after its time.
pub async fn world_for(step: &str) -> (World, String) {
    let timeout = if step == "reset" { "30s" } else { "3m" };
    planned_world(Value::Null, json!({"link": {"timeout": timeout}})).await
}
