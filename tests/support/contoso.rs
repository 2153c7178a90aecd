//! Contoso: the environments, identities and connection of the built-in scenario, and what tests do with them.
#![allow(clippy::needless_pass_by_value)] // `json!` in place reads better than a reference to it

use std::future::Future;
use std::time::Duration;

use dualwrite_api::conditions::check_kstatus;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::api_rules::Seen;
pub use super::cells::side_by_side;
use super::wait::{Target, condition};
use super::world::{Builder, World};

/// The connection of the example.
pub const NAME: &str = "contoso-uat";
pub const HOST: &str = "contoso-uat.sandbox.operations.dynamics.com";
pub const TENANT: &str = "72f988bf-0000-4000-8000-000000000001";
pub const CLIENT: &str = "4d1a0c5e-0000-4000-8000-000000000002";
pub const ACCOUNT: &str = "dualwrite@contoso.com";
/// S.
pub const SPEC: &str = "6f2c8d0e-0000-4000-8000-000000000010";
/// The production environment.
pub const PRODUCTION: &str = "c0a8f00d-0000-4000-8000-000000000020";
/// Another sandbox, of [`other_sandbox`].
pub const SANDBOX: &str = "5a5a0000-0000-4000-8000-000000000030";
pub const SERVICE: &str = "projectmanagementservice.weu-il107.gateway.prod.island.powerapps.com";
pub const CORE: &str = "DualWriteCoreAnchor";
pub const APPLICATION: &str = "msdyn_DualWriteAppCoreAnchor";

/// How often a connection of these tests looks.
pub const INTERVAL: Duration = Duration::from_secs(1);
/// Long enough for three looks.
pub const THREE_INTERVALS: Duration = Duration::from_millis(3500);
pub const SOON: Duration = Duration::from_secs(60);

/// Half an hour of Microsoft's takes a second and a half.
pub fn builder() -> Builder {
    World::builder().simulator().time_scale(1200.0)
}

/// Microsoft's side with a change, both Secrets, and the operator running.
pub async fn world(state: Value) -> World {
    world_with(state, &[]).await
}

/// The same with flags of the operator.
pub async fn world_with(state: Value, flags: &[&str]) -> World {
    let mut world = builder().start().await;
    if state != Value::Null {
        world.patch_state(state).await;
    }
    create_secrets(&world).await;
    world.start_operator(flags).await;
    world
}

/// A world in which the connection is Ready, without an operation.
pub async fn ready_world() -> World {
    let world = world(linked(SPEC)).await;
    connect(&world, json!({})).await;
    ready(&world).await;
    quiet(&world, 2).await;
    world
}

pub async fn create_secrets(world: &World) {
    let application = json!({"clientId": CLIENT, "clientSecret": "contoso-secret"});
    secret(world, "contoso-entra", application).await;
    let account = json!({"username": ACCOUNT, "password": "contoso-password"});
    secret(world, "contoso-dual-write-account", account).await;
}

/// What a Secret holds for an application with a certificate.
pub fn certificate_secret(key: &str, days: i64) -> Value {
    let pem = format!("{}{key}", super::keys::certificate(key, days));
    json!({"clientId": CLIENT, "clientCertificate": pem})
}

/// A spec that names the `ServiceAccount` `contoso-erp` instead of a Secret.
pub fn federated() -> Value {
    json!({"credentials": {"secretRef": null, "serviceAccountRef": {"name": "contoso-erp"}, "clientId": CLIENT}})
}

/// Creates or replaces a Secret.
pub async fn secret(world: &World, name: &str, data: Value) {
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data});
    let api = Target::parse("secret").api(world.client(), &world.namespace);
    let _ = api.delete(name, &DeleteParams::default()).await;
    let secret = serde_json::from_value(secret).expect("an object");
    api.create(&PostParams::default(), &secret)
        .await
        .expect("an admin can create a Secret");
}

/// The connection of the example: everything by the operator, looking each second; `spec` is merged into its spec.
pub fn connection(name: &str, spec: Value) -> Value {
    let mut merged = json!({
        "interval": "1s",
        "financeOperations": {"url": format!("https://{HOST}"), "lcsProjectId": "1234567"},
        "dataverse": {"environmentId": SPEC},
        "credentials": {"tenantId": TENANT, "secretRef": {"name": "contoso-entra"}},
        "dualWriteService": {"url": format!("https://{SERVICE}"), "secretRef": {"name": "contoso-dual-write-account"}},
        "setup": {"acceptTerms": true},
        "link": {"method": "Service", "legalEntities": ["USMF", "DEMF"]},
    });
    merge(&mut merged, spec);
    json!({
        "apiVersion": "dualwrite.dev/v1alpha1",
        "kind": "DualWriteConnection",
        "metadata": {"name": name},
        "spec": merged,
    })
}

/// RFC 7386.
pub fn merge(target: &mut Value, patch: Value) {
    match (target, patch) {
        (Value::Object(target), Value::Object(patch)) => {
            for (key, value) in patch {
                if value.is_null() {
                    target.remove(&key);
                } else {
                    merge(target.entry(key).or_insert(Value::Null), value);
                }
            }
        }
        (target, patch) => *target = patch,
    }
}

/// Two patches as one.
pub fn both(one: Value, other: Value) -> Value {
    fn layer(target: &mut Value, patch: Value) {
        match (target, patch) {
            (Value::Object(target), Value::Object(patch)) => {
                for (key, value) in patch {
                    layer(target.entry(key).or_insert(Value::Null), value);
                }
            }
            (target, patch) => *target = patch,
        }
    }
    let mut both = one;
    layer(&mut both, other);
    both
}

pub async fn connect(world: &World, spec: Value) -> Value {
    create(world, "dwc", connection(NAME, spec)).await
}

pub async fn create(world: &World, kind: &str, object: Value) -> Value {
    let api = Target::parse(kind).api(world.client(), &world.namespace);
    let object: DynamicObject = serde_json::from_value(object).expect("an object");
    let created = api.create(&PostParams::default(), &object).await;
    let created = created.unwrap_or_else(|error| panic!("cannot create the {kind}: {error}"));
    serde_json::to_value(created).expect("an object is JSON")
}

/// A merge patch of an object, such as `dwc/contoso-uat`.
pub async fn patch(world: &World, what: &str, patch: Value) -> Value {
    let (api, name) = api_of(world, what);
    let patched = api
        .patch(&name, &PatchParams::default(), &Patch::Merge(&patch))
        .await;
    let patched = patched.unwrap_or_else(|error| panic!("cannot patch {what}: {error}"));
    serde_json::to_value(patched).expect("an object is JSON")
}

/// Changes the spec of the connection.
pub async fn change(world: &World, spec: Value) {
    patch(world, &format!("dwc/{NAME}"), json!({"spec": spec})).await;
}

/// "Read everything now, and try again."
pub async fn reconcile_at(world: &World, value: &str) {
    let annotations = json!({"metadata": {"annotations": {"dualwrite.dev/reconcile-at": value}}});
    patch(world, &format!("dwc/{NAME}"), annotations).await;
}

pub async fn delete(world: &World, what: &str) {
    let (api, name) = api_of(world, what);
    let deleted = api.delete(&name, &DeleteParams::default()).await;
    deleted.unwrap_or_else(|error| panic!("cannot delete {what}: {error}"));
}

fn api_of(world: &World, what: &str) -> (Api<DynamicObject>, String) {
    let target = Target::parse(what);
    let name = target.name.clone().expect("which object");
    (target.api(world.client(), &world.namespace), name)
}

/// Waits until the connection is Ready.
pub async fn ready(world: &World) -> Value {
    world
        .wait_condition(NAME, "Ready", "True", Some("Connected"))
        .await
}

/// Waits for a condition of the connection whose message has every part; returns the connection.
pub async fn says(world: &World, kind: &str, status: &str, reason: &str, parts: &[&str]) -> Value {
    let wanted = |object: &Value| {
        let found = condition(object, kind);
        let text = found["message"].as_str().unwrap_or_default();
        found["status"] == status
            && found["reason"] == reason
            && found["observedGeneration"] == object["metadata"]["generation"]
            && parts.iter().all(|part| text.contains(part))
    };
    let object = world.wait_for(&format!("dwc/{NAME}"), SOON, wanted).await;
    assert_kstatus(&object);
    object
}

/// Holds a connection to a condition, its message, and the rules of kstatus.
#[track_caller]
pub fn assert_says(object: &Value, kind: &str, status: &str, reason: &str, parts: &[&str]) {
    let found = condition(object, kind);
    assert!(
        found["status"] == status && found["reason"] == reason,
        "expected {kind} {status}/{reason}: {:#}",
        object["status"]
    );
    let message = found["message"].as_str().unwrap_or_default();
    for part in parts {
        assert!(
            message.contains(part),
            "{kind} {reason} does not say {part:?}: {message}"
        );
    }
    assert_kstatus(object);
}

#[track_caller]
pub fn assert_kstatus(object: &Value) {
    let conditions: Vec<Condition> =
        serde_json::from_value(object["status"]["conditions"].clone()).expect("conditions");
    let generation = object["metadata"]["generation"].as_i64().unwrap_or(0);
    if let Err(rule) = check_kstatus(&conditions, generation) {
        panic!("{rule}: {conditions:#?}");
    }
}

/// The message of a condition.
pub fn message(object: &Value, kind: &str) -> String {
    let message = &condition(object, kind)["message"];
    message.as_str().unwrap_or_default().to_owned()
}

/// Waits until the operator has looked so often in a row, and has written nothing.
pub async fn quiet(world: &World, passes: u64) {
    writes_end(|| world.write_in_passes(passes)).await;
}

/// Waits until the operator has written nothing for so long: for what it need not look at.
pub async fn still(world: &World, duration: Duration) {
    writes_end(|| world.api.next(Seen::is_write, duration)).await;
}

async fn writes_end<F: Future<Output = Option<Seen>>>(next: impl Fn() -> F) {
    let mut last = None;
    for _ in 0..25 {
        match next().await {
            None => return,
            write => last = write,
        }
    }
    panic!("the operator does not stop writing; last: {last:#?}");
}

/// The calls in the journal, oldest first.
pub async fn mutations(world: &World) -> Vec<String> {
    let journal = world.journal().await;
    let calls = journal.iter().map(|entry| entry["call"].as_str());
    calls.map(|call| call.unwrap_or("?").to_owned()).collect()
}

/// The mutations that had an effect.
pub async fn applied(world: &World) -> Vec<String> {
    let journal = world.journal().await;
    let applied = journal.iter().filter(|entry| entry["applied"] == true);
    applied
        .map(|entry| entry["call"].as_str().unwrap_or("?").to_owned())
        .collect()
}

// ---- Microsoft's side: merge patches of the simulator's state ----

pub fn environment(id: &str, change: Value) -> Value {
    json!({"environments": {id: change}})
}

pub fn finance_operations(change: Value) -> Value {
    json!({"financeOperations": {HOST: change}})
}

pub fn application(change: Value) -> Value {
    json!({"tenants": {TENANT: {"applications": {CLIENT: change}}}})
}

pub fn account(change: Value) -> Value {
    json!({"tenants": {TENANT: {"accounts": {ACCOUNT: change}}}})
}

pub fn not_integrated() -> Value {
    environment(SPEC, json!({"finOpsMetadata": null}))
}

/// Both packages are installed.
pub fn set_up() -> Value {
    let packages = json!({CORE: {"state": "Installed"}, APPLICATION: {"state": "Installed"}});
    environment(SPEC, json!({"packages": packages}))
}

/// Set up, and linked with an environment.
pub fn linked(with: &str) -> Value {
    both(set_up(), link(with))
}

/// Linked with an environment.
pub fn link(with: &str) -> Value {
    let link = json!({"cid": "9b7c1de2-0000-4000-8000-000000000040", "cname": "contoso-uat-set", "environmentId": with});
    finance_operations(json!({"link": link, "legalEntities": ["USMF", "DEMF"]}))
}

/// One more sandbox environment.
pub fn other_sandbox() -> Value {
    environment(
        SANDBOX,
        json!({
            "tenantId": TENANT, "displayName": "Contoso Test", "type": "Sandbox", "domainName": "contoso-test",
            "dataverseId": "5a5a0000-0000-4000-8000-000000000031", "url": "https://contoso-test.crm4.dynamics.com",
        }),
    )
}
