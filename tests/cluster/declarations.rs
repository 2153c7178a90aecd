//! From any spec to any other one: each property of the definition is changed, and what is said then is what is said of a
//! resource that had this spec from the start; taken back, it is what was said before. The values come from the schema, so a
//! new property joins by itself. `DUALWRITE_MATRIX=1` changes all of them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kube::CustomResourceExt as _;
use serde_json::{Value, json};

use crate::support::contoso::*;
use crate::support::wait::condition;
use crate::support::{Seen, World};
use dualwrite_api::DualWriteConnection;

/// Longer than three looks, and than an absence takes to count.
const SILENCE: Duration = Duration::from_secs(4);

/// A value of one property; null: without it.
#[derive(Clone, Debug)]
struct Transition {
    path: Vec<String>,
    value: Value,
}

impl Transition {
    /// What is merged into a spec.
    fn patch(&self) -> Value {
        let parts = self.path.iter().rev();
        parts.fold(self.value.clone(), |inner, part| json!({ part: inner }))
    }

    /// Whether it changes the base.
    fn is_news(&self) -> bool {
        let place = format!("/{}", self.path.join("/"));
        base().pointer(&place).unwrap_or(&Value::Null) != &self.value
    }

    fn name(&self) -> String {
        format!("{} = {}", self.path.join("."), self.value)
    }
}

fn transitions() -> Vec<Transition> {
    let definition = serde_json::to_value(DualWriteConnection::crd()).unwrap();
    let spec = "/spec/versions/0/schema/openAPIV3Schema/properties/spec";
    let mut all = Vec::new();
    of_schema(definition.pointer(spec).unwrap(), &[], &mut all);
    all
}

fn of_schema(schema: &Value, path: &[String], all: &mut Vec<Transition>) {
    for (name, property) in schema["properties"].as_object().unwrap() {
        let path = [path, std::slice::from_ref(name)].concat();
        let mut values = vec![Value::Null];
        if property["properties"].is_object() {
            of_schema(property, &path, all);
        } else {
            values.extend(values_of(property));
        }
        all.extend(values.into_iter().map(|value| Transition {
            path: path.clone(),
            value,
        }));
    }
}

/// Values that a property allows; of a text what its own message gives as an example.
fn values_of(property: &Value) -> Vec<Value> {
    if let Some(all) = property["enum"].as_array() {
        return all.clone();
    }
    match property["type"].as_str() {
        Some("boolean") => vec![json!(true), json!(false)],
        Some("array") => vec![json!([]), json!(["USMF"]), json!(["FRRT", "USMF"])],
        Some("string") => examples(property),
        other => panic!("no values are known for {other:?}: {property:#}"),
    }
}

fn examples(property: &Value) -> Vec<Value> {
    let rules = property["x-kubernetes-validations"].as_array().unwrap();
    let message = rules[0]["message"].as_str().unwrap();
    let (_, told) = message
        .rsplit_once("for example ")
        .or_else(|| message.rsplit_once("such as "))
        .unwrap();
    let examples = told.split(" or ").map(|example| {
        let first = example.split([',', ';', ' ']).next().unwrap();
        json!(first.trim_matches('"'))
    });
    examples
        .filter(|example| example.as_str().unwrap().len() > 1)
        .collect()
}

/// What a connection says: of each condition its status and reason.
fn said(connection: &Value) -> BTreeMap<String, String> {
    let conditions = connection["status"]["conditions"].as_array();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    conditions
        .into_iter()
        .flatten()
        .map(|condition| {
            let says = format!(
                "{}/{}",
                text(&condition["status"]),
                text(&condition["reason"])
            );
            (text(&condition["type"]), says)
        })
        .collect()
}

/// Waits until the operator has looked at this very spec and has nothing more to say.
async fn settled(world: &World) -> BTreeMap<String, String> {
    let began = Instant::now();
    loop {
        let connection = world.connection(NAME).await;
        let ready = condition(&connection, "Ready");
        let is_current = ready["observedGeneration"] == connection["metadata"]["generation"];
        let is_silent = world.api.next(Seen::is_write, SILENCE).await.is_none();
        if is_current && is_silent && ready["reason"] != "Observing" {
            return said(&world.connection(NAME).await);
        }
        assert!(began.elapsed() < SOON, "{:#}", connection["status"]);
    }
}

/// What was seen before stays as it was where nothing is seen any more; a new resource knows nothing of it.
fn differs(changed: &BTreeMap<String, String>, fresh: &BTreeMap<String, String>) -> bool {
    changed.keys().chain(fresh.keys()).any(|kind| {
        let (changed, fresh) = (changed.get(kind), fresh.get(kind));
        let is_summary = matches!(kind.as_str(), "Ready" | "Stalled" | "Reconciling");
        let is_remembered = !is_summary && fresh.is_none_or(|fresh| fresh.starts_with("Unknown"));
        changed != fresh && !is_remembered
    })
}

/// Replaces the spec; whether the API server takes it.
async fn declare(world: &World, spec: &Value) -> bool {
    let patch = json!([{"op": "replace", "path": "/spec", "value": spec}]).to_string();
    let what = format!("dwc/{NAME}");
    let patched = ["patch", &what, "--type=json", "-p", &patch];
    world.kubectl(&patched).await.success()
}

/// What is said of a new resource with this spec.
async fn anew(world: &World, spec: &Value) -> BTreeMap<String, String> {
    let mut connection = connection(NAME, json!({}));
    connection["spec"] = spec.clone();
    create(world, "dwc", connection).await;
    settled(world).await
}

fn base() -> Value {
    connection(NAME, json!({}))["spec"].take()
}

/// The spec after a transition.
fn spec_after(transition: &Transition) -> Value {
    let mut spec = base();
    merge(&mut spec, transition.patch());
    spec
}

/// How many specs the API server has taken.
static TAKEN: AtomicUsize = AtomicUsize::new(0);

async fn declared(spec: Value) {
    let world = world(linked(SPEC)).await;
    let before = anew(&world, &base()).await;
    if !declare(&world, &spec).await {
        return;
    }
    TAKEN.fetch_add(1, Ordering::Relaxed);
    let changed = settled(&world).await;
    assert!(declare(&world, &base()).await, "it cannot be taken back");
    let back = settled(&world).await;
    assert!(
        !differs(&back, &before),
        "taken back: {back:#?}\nbefore: {before:#?}"
    );
    let what = format!("dwc/{NAME}");
    delete(&world, &what).await;
    world.wait_gone(&what, SOON).await;
    let fresh = anew(&world, &spec).await;
    assert!(
        !differs(&changed, &fresh),
        "changed: {changed:#?}\nfresh: {fresh:#?}"
    );
    assert_eq!(mutations(&world).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_spec_ends_where_a_new_one_does() {
    let news = transitions().into_iter().filter(Transition::is_news);
    let all: Vec<_> = news
        .map(|transition| (transition.name(), spec_after(&transition)))
        .collect();
    let is_all = std::env::var_os("DUALWRITE_MATRIX").is_some();
    let each = if is_all { 1 } else { all.len() / 6 };
    let some: Vec<_> = all.into_iter().step_by(each).collect();
    let count = some.len();
    side_by_side(some, declared).await;
    let taken = TAKEN.load(Ordering::Relaxed);
    assert!(taken * 2 > count, "only {taken} of {count} specs are ones");
}
