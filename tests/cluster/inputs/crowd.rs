//! One namespace does its worst; in another one a connection becomes Ready and stays observed.

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use kube::api::PostParams;
use serde_json::{Value, json};

use crate::support::contoso::*;
use crate::support::wait::{self, Target, condition};
use crate::support::{ControlPlane, Options, Seen, World};

/// The bad neighbour has an application of his own, which sees the production environment only as its owner may.
pub(super) const FABRIKAM: &str = "fab01000-0000-4000-8000-000000000001";
pub(super) const PRODUCTION_HOST: &str = "contoso.operations.dynamics.com";
const PRODUCTION_DATAVERSE: &str = "contoso.crm4.dynamics.com";

/// A world with Contoso's Secrets, and one beside it, both watched by one operator with one scope: in a control plane of
/// their own, because that scope is everything.
pub(super) async fn neighbours(flags: &[&str]) -> (World, World) {
    let control_plane = ControlPlane::start(Options::default()).await;
    let mut good = builder().control_plane(control_plane).start().await;
    let bad = World::builder().beside(&good).start().await;
    let fabrikam = json!({"tenants": {TENANT: {"applications": {FABRIKAM: {"secrets": ["fabrikam-secret"]}}}}});
    good.patch_state(both(linked(SPEC), fabrikam)).await;
    create_secrets(&good).await;
    let flags = [&["--watch-namespaces="], flags].concat();
    good.start_operator(&flags).await;
    (good, bad)
}

/// A connection that reads only what an application may see.
pub(super) fn of_fabrikam(name: &str, host: &str, environment: &str) -> Value {
    let spec = json!({
        "financeOperations": {"url": format!("https://{host}")},
        "dataverse": {"environmentId": environment},
        "dualWriteService": null,
        "setup": {"method": "Manual", "acceptTerms": false},
        "link": {"method": "Manual", "observe": "Never", "legalEntities": null},
    });
    connection(name, spec)
}

/// Creates many, a few at a time.
pub(super) async fn create_all(world: &World, objects: Vec<Value>) {
    let api = Target::parse("dwc").api(world.client(), &world.namespace);
    let created = futures::stream::iter(objects).map(|object| {
        let api = api.clone();
        async move {
            let object = serde_json::from_value(object).expect("an object");
            api.create(&PostParams::default(), &object).await.unwrap();
        }
    });
    created.buffer_unordered(16).collect::<Vec<()>>().await;
}

/// It becomes Ready, and a change at Microsoft's is seen: at the next look, or at once if somebody asks for that.
async fn is_served(good: &World, asks: bool) -> Duration {
    let began = Instant::now();
    connect(good, json!({})).await;
    ready(good).await;
    let took = began.elapsed();
    let renamed = environment(SPEC, json!({"displayName": "Contoso Renamed"}));
    good.patch_state(renamed).await;
    if asks {
        reconcile_at(good, "now").await;
    }
    let parts = ["Contoso Renamed"];
    says(
        good,
        "PowerPlatformIntegrated",
        "True",
        "Integrated",
        &parts,
    )
    .await;
    took
}

/// What the operator's process has in memory, in MiB.
pub(super) fn memory(world: &World) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", world.operator().pid()));
    let status = status.unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    let kilobytes = line.unwrap().split_whitespace().nth(1).unwrap();
    kilobytes.parse::<u64>().unwrap() / 1024
}

/// Forty connections whose Dataverse answers in every way in which an answer does not end; eight passes run at once.
#[tokio::test(flavor = "multi_thread")]
async fn answers_that_do_not_end_keep_nobody_else_waiting() {
    let flags = ["--concurrency", "8", "--request-timeout", "20s"];
    let (good, bad) = neighbours(&flags).await;
    let credentials = json!({"clientId": FABRIKAM, "clientSecret": "fabrikam-secret"});
    secret(&bad, "contoso-entra", credentials).await;
    let fault = |times: Value, effect: Value| json!({"id": effect.to_string(), "call": "retrieveIntegrationDetails", "host": PRODUCTION_DATAVERSE, "times": times, "effect": effect});
    for effect in [
        json!("endlessBody"),
        json!({"hugeBody": 200 << 20}),
        json!({"hugeBody": (8 << 20) - 1}),
    ] {
        good.fault(fault(json!(3), effect)).await;
    }
    let hold = good.fault(fault(Value::Null, json!({"hold": true}))).await;
    let many = (0..40).map(|n| of_fabrikam(&format!("fabrikam-{n}"), PRODUCTION_HOST, PRODUCTION));
    create_all(&bad, many.collect()).await;
    let control = good.simulator().control();
    control.fault_fired(&hold, 4, SOON).await;

    let took = is_served(&good, false).await;
    assert!(took < Duration::from_secs(20), "Ready after {took:?}");
    control.fault_fired(&hold, 8, SOON).await;
    let memory = memory(&good);
    assert!(memory < 500, "{memory} MiB");
    eprintln!("answers that do not end: Ready after {took:?}, the operator has had {memory} MiB");
    control.clear_faults().await;
    bad.wait_condition("fabrikam-0", "PowerPlatformIntegrated", "True", None)
        .await;
}

/// How many resources one namespace has. `DUALWRITE_MATRIX=1`: ten thousand.
fn crowd() -> usize {
    match std::env::var_os("DUALWRITE_MATRIX") {
        Some(_) => 10_000,
        None => 1_000,
    }
}

/// All of them claim Contoso's host, and none has a Secret.
#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_of_resources_keeps_nobody_else_waiting() {
    let (good, bad) = neighbours(&["--min-interval", "30s"]).await;
    let empty = memory(&good);
    let began = Instant::now();
    let many = (0..crowd()).map(|n| of_fabrikam(&format!("fabrikam-{n}"), HOST, SPEC));
    create_all(&bad, many.collect()).await;
    let created = began.elapsed();
    let took = is_served(&good, true).await;
    // The crowd is served too, one after the other: not all of them are waited for.
    bad.wait_for("dwc", SOON * 5, refused(500)).await;
    let settled = began.elapsed();
    let memory = memory(&good);
    let requests = good.api.requests();
    let of_crowd = |seen: &&Seen| seen.path.contains(&bad.namespace);
    let count = |test: &dyn Fn(&Seen) -> bool| {
        requests
            .iter()
            .filter(of_crowd)
            .filter(|seen| test(seen))
            .count()
    };
    let writes = count(&Seen::is_write);
    let secrets = count(&|seen| seen.path.contains("/secrets/"));
    eprintln!(
        "{} resources: created in {created:?}, five hundred of them said after {settled:?}; the good one Ready after {took:?}; {memory} MiB (before: {empty}); \
         {writes} writes, {secrets} reads of Secrets",
        crowd()
    );
    assert!(took < SOON, "Ready after {took:?}");
    // Two of the status, and one event.
    assert!(writes <= crowd() * 4, "{writes} writes");
    let looks = settled.as_secs() / 30 + 2;
    assert!(secrets as u64 <= crowd() as u64 * looks, "{secrets} reads");
    assert!(memory < 300 + crowd() as u64 / 20, "{memory} MiB");
    // Nothing of it came to Microsoft.
    let calls = good.calls().await;
    assert_eq!(calls["unknown"], Value::Null);
}

/// So many different ones have been refused for their Secret.
fn refused(many: usize) -> impl FnMut(&Value) -> bool {
    let mut seen = std::collections::HashSet::new();
    move |object| {
        if condition(object, "Ready")["reason"] == "SecretNotFound" {
            seen.insert(object["metadata"]["name"].to_string());
        }
        seen.len() >= many
    }
}

/// Its Secret is corrected while its pass waits behind another one: the wrong one is not tried again.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_while_a_pass_waits_for_its_turn_holds() {
    let (good, bad) = neighbours(&["--concurrency", "1", "--request-timeout", "30s"]).await;
    let credentials = json!({"clientId": FABRIKAM, "clientSecret": "fabrikam-secret"});
    secret(&bad, "contoso-entra", credentials).await;
    for (name, host) in [("waits", HOST), ("holds", PRODUCTION_HOST)] {
        let mut one = of_fabrikam(name, host, PRODUCTION);
        if name == "waits" {
            one["spec"]["credentials"]["secretRef"]["name"] = json!("wrong");
        }
        create(&bad, "dwc", one).await;
    }
    let refused = Some("SecretNotFound");
    bad.wait_condition("waits", "Ready", "False", refused).await;
    bad.wait_condition("holds", "PowerPlatformIntegrated", "True", None)
        .await;

    let hold = json!({"id": "hold", "call": "retrieveIntegrationDetails", "host": PRODUCTION_DATAVERSE, "effect": {"hold": true}});
    let hold = good.fault(hold).await;
    let look = json!({"metadata": {"annotations": {"dualwrite.dev/reconcile-at": "now"}}});
    patch(&bad, "dwc/holds", look.clone()).await;
    let control = good.simulator().control();
    control.fault_fired(&hold, 1, SOON).await;
    patch(&bad, "dwc/waits", look).await;
    // Time for its pass to begin to wait.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let reads = |name: &str| {
        let path = format!("/namespaces/{}/secrets/{name}", bad.namespace);
        let requests = good.api.requests();
        requests
            .iter()
            .filter(|seen| seen.path.contains(&path))
            .count()
    };
    let (before, other) = (reads("wrong"), reads("other"));
    let corrected = json!({"spec": {"credentials": {"secretRef": {"name": "other"}}}});
    patch(&bad, "dwc/waits", corrected).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(
        (reads("wrong"), reads("other")),
        (before, other),
        "it waits"
    );
    control.clear_faults().await;
    wait::polling("a look at the other Secret", SOON, || async {
        (reads("other") > other).then_some(())
    })
    .await;
    assert_eq!(reads("wrong"), before);
}
