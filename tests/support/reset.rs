//! A link that has drifted, with table maps in every state: what the tests of a reset, of the stopping of maps and of
//! deletion share.
#![allow(clippy::needless_pass_by_value)] // `json!` in place reads better than a reference to it

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::contoso::{
    self, HOST, NAME, PRODUCTION, SANDBOX, SPEC, both, finance_operations, linked, other_sandbox,
};
use super::wait::{self, Target, condition};
use super::world::World;

pub const COMPANIES: &str = "Companies - cdm_companies";
/// Needs that the companies run; its active version is not the one that its solution brings.
pub const CUSTOMERS: &str = "Customers V3 - accounts";
/// It is paused.
pub const VENDORS: &str = "Vendors V2 - msdyn_vendors";
/// It was stopped before, and stays so.
pub const PRODUCTS: &str = "Released products V2 - msdyn_products";
/// Brings the companies and the products.
pub const BASE: &str = "ContosoBase";
/// Brings customers and vendors.
pub const SALES: &str = "ContosoSales";

/// The key of a map in the simulator's state.
pub const COMPANIES_ID: &str = "0aa5c2a1-0000-4000-8000-000000000401";
pub const CUSTOMERS_ID: &str = "0aa5c2a1-0000-4000-8000-000000000402";
pub const VENDORS_ID: &str = "0aa5c2a1-0000-4000-8000-000000000403";
pub const PRODUCTS_ID: &str = "0aa5c2a1-0000-4000-8000-000000000404";
pub const MAPS: [&str; 4] = [COMPANIES_ID, CUSTOMERS_ID, VENDORS_ID, PRODUCTS_ID];

/// For a whole act, also where the machine is busy.
pub const ACT: Duration = Duration::from_mins(2);
/// For an act in which an absence must count first, or a time of the spec be over.
pub const SLOW_ACT: Duration = Duration::from_mins(4);

/// A plan is made as early as it can be, and an absence counts as early as [`super::crash::SHORT`] says.
pub const FLAGS: [&str; 8] = [
    "--request-timeout",
    "1s",
    "--settle-time",
    "500ms",
    "--send-window",
    "8s",
    "--slow-factor",
    "5",
];

/// The same where something is held for long, which would be taken for lost.
pub const PATIENT: [&str; 4] = ["--request-timeout", "1s", "--settle-time", "500ms"];

// ---- Microsoft's side ----

fn map(id: &str, name: &str, state: &str, before: &[&str]) -> Value {
    let (left, right) = name.split_once(" - ").expect("two entities");
    json!({
        "tName": name, "left": {"name": left}, "right": {"name": right}, "prerequisites": before,
        "state": state, "pid": format!("1bb6d3b2{}", &id[8..]),
        "templates": {id: {"author": "Microsoft", "version": "1.0.0.0"}}, "activeTemplate": id,
    })
}

fn maps() -> Value {
    let mut customers = map(CUSTOMERS_ID, CUSTOMERS, "running", &[COMPANIES]);
    let chosen = "0aa5c2a1-0000-4000-8000-000000000412";
    customers["templates"][chosen] = json!({"author": "Contoso", "version": "2.1.0.0"});
    customers["activeTemplate"] = json!(chosen);
    json!({
        COMPANIES_ID: map(COMPANIES_ID, COMPANIES, "running", &[]),
        CUSTOMERS_ID: customers,
        VENDORS_ID: map(VENDORS_ID, VENDORS, "paused", &[COMPANIES]),
        PRODUCTS_ID: map(PRODUCTS_ID, PRODUCTS, "stopped", &[]),
    })
}

/// The maps that a solution brings: those that were there, without what belongs to a running one, and with the version
/// that comes with it.
fn solution(ids: [&str; 2]) -> Value {
    let maps = maps();
    let brought = ids.map(|id| {
        let mut map = maps[id].clone();
        map["activeTemplate"] = json!(id);
        map["pid"] = Value::Null;
        map["state"] = json!("stopped");
        (id.to_owned(), map)
    });
    json!({"friendlyName": "Contoso", "maps": Value::Object(brought.into_iter().collect())})
}

/// Set up, and linked with an environment, with maps.
pub fn with_maps(linked_with: &str) -> Value {
    let details = json!({
        "maps": maps(),
        "integrationKeys": {"accounts": ["accountnumber", "_msdyn_company_value"]},
        "solutions": {
            "msdyn_Dynamics365SupplyChainExtended": null,
            BASE: solution([COMPANIES_ID, PRODUCTS_ID]),
            SALES: solution([CUSTOMERS_ID, VENDORS_ID]),
        },
    });
    let state = both(linked(linked_with), finance_operations(details));
    both(other_sandbox(), state)
}

/// Linked with another sandbox than the spec and Power Platform integration name.
pub fn drifted() -> Value {
    with_maps(SANDBOX)
}

/// Linked with production: test and production are mixed.
pub fn mixed() -> Value {
    with_maps(PRODUCTION)
}

/// A change of one map.
pub fn map_state(id: &str, change: Value) -> Value {
    finance_operations(json!({"maps": {id: change}}))
}

/// The maps at Microsoft's: by name, state and active version.
pub async fn maps_now(world: &World) -> BTreeMap<String, String> {
    let state = world.simulator().control().state().await;
    let maps = state["financeOperations"][HOST]["maps"].as_object();
    maps.into_iter()
        .flatten()
        .map(|(_, map)| {
            let active = map["activeTemplate"].as_str().unwrap_or_default();
            let version = &map["templates"][active]["version"];
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            (
                text(&map["tName"]),
                format!("{} {}", text(&map["state"]), text(version)),
            )
        })
        .collect()
}

/// The maps as they were before anything was done.
pub fn as_before() -> BTreeMap<String, String> {
    let maps = [
        (COMPANIES, "running 1.0.0.0"),
        (CUSTOMERS, "running 2.1.0.0"),
        (VENDORS, "paused 1.0.0.0"),
        (PRODUCTS, "stopped 1.0.0.0"),
    ];
    maps.map(|(name, state)| (name.to_owned(), state.to_owned()))
        .into()
}

/// Every map is stopped; versions are as before.
pub fn all_stopped() -> BTreeMap<String, String> {
    let stopped = |(name, state): (String, String)| {
        let version = state.split_once(' ').map_or("", |(_, version)| version);
        (name, format!("stopped {version}"))
    };
    as_before().into_iter().map(stopped).collect()
}

/// Waits until the maps are so.
pub async fn maps_become(world: &World, wanted: BTreeMap<String, String>) {
    let last = std::sync::Mutex::new(BTreeMap::new());
    let are_so = async || {
        let now = maps_now(world).await;
        let reached = now == wanted;
        *last.lock().expect("no holder panics") = now;
        reached.then_some(())
    };
    let waited = tokio::time::timeout(
        contoso::SOON,
        wait::polling("the maps", contoso::SOON * 2, are_so),
    );
    let waited = waited.await;
    assert!(
        waited.is_ok(),
        "the maps are {:#?}, and not {wanted:#?}",
        last.lock().expect("no holder panics")
    );
}

/// Where dual-write is linked to at Microsoft's.
pub async fn linked_to(world: &World) -> String {
    let state = world.simulator().control().state().await;
    let id = &state["financeOperations"][HOST]["link"]["environmentId"];
    id.as_str().unwrap_or_default().to_owned()
}

// ---- the connection and its plan ----

/// What a connection says that asks for a reset with everything as before.
pub fn asks() -> Value {
    json!({"mismatch": {"policy": "Reset", "startMaps": "AsBefore"}, "link": {"timeout": "3m"}})
}

/// A world whose link has drifted, with its connection; the plan is on its way.
pub async fn drifted_world(state: Value, spec: Value) -> World {
    drifted_world_with(&FLAGS, state, spec).await
}

pub async fn drifted_world_with(flags: &[&str], state: Value, spec: Value) -> World {
    let state = match state {
        Value::Null => drifted(),
        change => both(drifted(), change),
    };
    let world = contoso::world_with(state, flags).await;
    contoso::connect(&world, both(asks(), spec)).await;
    world
}

/// A world with a plan that waits for approval, and its name.
pub async fn planned_world(state: Value, spec: Value) -> (World, String) {
    let world = drifted_world(state, spec).await;
    let plan = plan(&world).await;
    (world, plan)
}

/// The same for what lasts longer than [`FLAGS`] allow.
pub async fn patiently_planned_world() -> (World, String) {
    let world = drifted_world_with(&PATIENT, Value::Null, json!({})).await;
    let plan = plan(&world).await;
    (world, plan)
}

/// Waits for a plan that awaits approval; its name.
pub async fn plan(world: &World) -> String {
    let waits = |operation: &Value| {
        operation["spec"]["action"] == "Reset" && operation["status"]["phase"] == "AwaitingApproval"
    };
    name_of(&world.wait_for("dwo", ACT, waits).await)
}

pub fn name_of(object: &Value) -> String {
    let name = object["metadata"]["name"].as_str();
    name.expect("an object has a name").to_owned()
}

pub async fn approve(world: &World, name: &str) {
    decide(world, name, "Approved").await;
}

pub async fn decide(world: &World, name: &str, approval: &str) {
    let patch = json!({"spec": {"approval": approval}});
    contoso::patch(world, &format!("dwo/{name}"), patch).await;
}

/// Waits until an operation is in one of these phases and is not held any more; returns it.
pub async fn ended(world: &World, name: &str, phases: &[&str], timeout: Duration) -> Value {
    let is_over = |operation: &Value| {
        let phase = operation["status"]["phase"].as_str().unwrap_or_default();
        let held = operation["metadata"]["finalizers"] != Value::Null;
        (phases.contains(&phase) && !held) || is_end(phase) && !phases.contains(&phase)
    };
    let operation = world
        .wait_for(&format!("dwo/{name}"), timeout, is_over)
        .await;
    let phase = operation["status"]["phase"].as_str().unwrap_or_default();
    assert!(
        phases.contains(&phase),
        "ended as {phase}, not as {phases:?}: {:#}",
        operation["status"]
    );
    operation
}

fn is_end(phase: &str) -> bool {
    matches!(phase, "Succeeded" | "Failed" | "Void" | "Unknown")
}

/// What an operation says about itself has all these parts.
#[track_caller]
pub fn assert_tells(operation: &Value, parts: &[&str]) {
    let message = operation["status"]["message"].as_str().unwrap_or_default();
    for part in parts {
        assert!(
            message.contains(part),
            "the operation does not say {part:?}: {message}"
        );
    }
}

/// The state of a step, by name; null when there is none.
pub fn step<'a>(operation: &'a Value, name: &str) -> &'a Value {
    step_of(&operation["status"], name)
}

pub fn step_of<'a>(status: &'a Value, name: &str) -> &'a Value {
    let steps = status["steps"].as_array();
    steps
        .into_iter()
        .flatten()
        .find(|step| step["name"] == name)
        .unwrap_or(&Value::Null)
}

/// The backup of an operation is there, whole, and names every map.
pub async fn has_backup(world: &World, operation: &Value) {
    let names = operation["status"]["backup"]["configMaps"].as_array();
    let names = names.expect("the operation names its backup");
    for name in names {
        let name = name.as_str().expect("a name");
        let backup = world.get(&format!("configmap/{name}")).await;
        let text = backup["data"]["backup.yaml"].as_str().unwrap_or_default();
        for map in as_before().keys() {
            assert!(text.contains(map), "{map} is not in the backup: {text}");
        }
    }
}

/// The backups that are there, by name.
pub async fn backups(world: &World) -> Vec<String> {
    let all = world.list("configmap").await;
    let mut names: Vec<String> = all
        .iter()
        .filter(|map| map["metadata"]["labels"]["dualwrite.dev/backup"] == "true")
        .map(name_of)
        .collect();
    names.sort();
    names
}

/// Waits for an event with a reason, whose note has every part; returns it.
pub async fn event(world: &World, reason: &str, parts: &[&str]) -> Value {
    let found = |event: &Value| {
        let note = event["note"].as_str().unwrap_or_default();
        event["reason"] == *reason && parts.iter().all(|part| note.contains(part))
    };
    world.wait_for("event", contoso::SOON, found).await
}

/// Deletes an object by hand, as the garbage collector would: there is none in this control plane.
pub async fn collect(world: &World, what: &str) {
    let target = Target::parse(what);
    let name = target.name.clone().expect("which object");
    let api = target.api(world.client(), &world.namespace);
    match api.delete(&name, &kube::api::DeleteParams::default()).await {
        Ok(_) => {}
        Err(kube::Error::Api(status)) if status.code == 404 => {}
        Err(error) => panic!("cannot delete {what}: {error}"),
    }
}

// ---- what must never happen ----

/// One request in the journal, told from others by what it asks for.
fn asked(entry: &Value) -> String {
    let call = entry["call"].as_str().unwrap_or("?");
    let body = &entry["body"];
    let list = |values: &Value, pointer: &str| {
        let values = values.as_array().into_iter().flatten();
        let mut named: Vec<&str> = values
            .filter_map(|value| value.pointer(pointer)?.as_str())
            .collect();
        named.sort_unstable();
        named.join(" ")
    };
    match call {
        "startMaps" => format!(
            "{call} {} {}",
            body["action"].as_str().unwrap_or("?"),
            list(&body["details"], "/tid")
        ),
        "applySolution" => format!(
            "{call} {}",
            list(&body["solutions"], "/criteria/uniquename")
        ),
        "switchActiveVersion" | "setIntegrationKeys" => {
            format!("{call} {}", entry["path"].as_str().unwrap_or("?"))
        }
        other => other.to_owned(),
    }
}

/// The requests that change Microsoft's side, in the order of their arrival.
pub async fn requests(world: &World) -> Vec<Value> {
    let mut journal = world.journal().await;
    journal.retain(|entry| entry["call"] != "token");
    journal
}

/// How often each was received: `(received, applied)`.
pub async fn counted(world: &World) -> BTreeMap<String, (usize, usize)> {
    let mut counts = BTreeMap::<String, (usize, usize)>::new();
    for entry in requests(world).await {
        let (received, applied) = counts.entry(asked(&entry)).or_default();
        *received += 1;
        *applied += usize::from(entry["applied"] == true);
    }
    counts
}

/// A reset and a solution are asked for once at the most; what sets a state at most twice, for a second time does no more
/// than the first.
pub async fn nothing_is_asked_too_often(world: &World) {
    let counts = counted(world).await;
    for (what, (received, applied)) in &counts {
        let once = what == "resetLink" || what.starts_with("applySolution");
        let most = if once { 1 } else { 2 };
        assert!(
            *received <= most && *applied <= most,
            "asked for too often: {what}: {counts:#?}"
        );
    }
    let resets = counts.iter().filter(|(what, _)| *what == "resetLink");
    assert!(resets.count() <= 1, "{counts:#?}");
}

/// How many resets were asked for.
pub async fn resets(world: &World) -> usize {
    let counts = counted(world).await;
    counts.get("resetLink").map_or(0, |(received, _)| *received)
}

/// Everything is as a reset should leave it: the link where it belongs, the maps as before, the backup there.
pub async fn is_restored(world: &World, operation: &Value) {
    assert_eq!(linked_to(world).await, SPEC);
    assert_eq!(maps_now(world).await, as_before());
    has_backup(world, operation).await;
}

/// Nothing was destroyed, and everything runs as it did.
pub async fn is_unharmed(world: &World) {
    maps_become(world, as_before()).await;
    assert_eq!(linked_to(world).await, SANDBOX);
    assert_eq!(resets(world).await, 0);
}

/// Nobody is left in the dark: where maps are stopped or missing, the connection, if there is one, or the operation says so.
pub async fn nobody_is_left_in_the_dark(world: &World) {
    if maps_now(world).await == as_before() {
        return;
    }
    let connections = world.list("dwc").await;
    let connection = connections.iter().find(|one| name_of(one) == NAME);
    let said = match connection {
        Some(connection) => contoso::message(connection, "Ready"),
        None => world
            .operations()
            .await
            .iter()
            .filter_map(|operation| operation["status"]["message"].as_str())
            .collect(),
    };
    assert!(said.contains("map"), "maps do not run, and: {said:?}");
    if let Some(connection) = connection {
        let ready = condition(connection, "Ready");
        assert_ne!(ready["status"], "True", "{ready:#}");
    }
}
