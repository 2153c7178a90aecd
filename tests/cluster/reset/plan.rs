//! The plan: what it shows, when it falls, and what comes after it.

use serde_json::{Value, json};

use crate::support::contoso::*;
use crate::support::reset::*;
use crate::support::wait;

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_says_what_is_done_and_what_is_lost() {
    let (world, plan) = planned_world(Value::Null, json!({})).await;
    let parts = [
        "Microsoft has detected",
        "waits for approval",
        "4 table maps",
        "permanent",
        &format!("kubectl describe dwo {plan} -n {}", world.namespace),
        &format!(
            "kubectl patch dwo {plan} -n {} --type=merge",
            world.namespace
        ),
    ];
    says(&world, "Ready", "False", "DifferentDestination", &parts).await;
    says(&world, "Reconciling", "True", "AwaitingApproval", &[]).await;
    says(
        &world,
        "LinkingMismatch",
        "True",
        "DifferentDestination",
        &[],
    )
    .await;
    event(
        &world,
        "AwaitingApproval",
        &["Nothing has been done", &plan],
    )
    .await;
    // What a person reads before they decide.
    let described = world.kubectl(&["describe", "dwo", &plan]).await.ok();
    for part in [
        "AwaitingApproval",
        "Pending",
        COMPANIES,
        CUSTOMERS,
        VENDORS,
        PRODUCTS,
        BASE,
        SALES,
        "accountnumber",
        "2.1.0.0",
        "The move to",
        "is permanent",
        "Alert settings",
        "May not come back, because no solution is proven to bring them",
        "queued for paused maps are dropped",
        "Resetting dual-write of",
        "Destructive:",
    ] {
        assert!(described.contains(part), "{part:?} is not in {described}");
    }
    let operation = world.get(&format!("dwo/{plan}")).await;
    assert_eq!(operation["metadata"]["finalizers"], Value::Null);
    let table = world.kubectl(&["get", "dwo"]).await.ok();
    assert!(
        table.contains("AwaitingApproval") && table.contains("Pending"),
        "{table}"
    );
    // It waits, and nothing is asked for.
    quiet(&world, 2).await;
    assert_eq!(requests(&world).await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_plan_is_not_made_again_until_somebody_asks() {
    let (world, plan_name) = planned_world(Value::Null, json!({})).await;
    decide(&world, &plan_name, "Rejected").await;
    let rejected = ended(&world, &plan_name, &["Void"], ACT).await;
    assert_tells(&rejected, &["Never started", "rejected"]);
    let parts = [
        plan_name.as_str(),
        "was rejected",
        "reconcile-at",
        "mismatch.policy: Report",
    ];
    says(&world, "Ready", "False", "PlanRejected", &parts).await;
    says(&world, "Stalled", "True", "PlanRejected", &[]).await;
    quiet(&world, 3).await;
    assert_eq!(world.operations().await.len(), 1);
    reconcile_at(&world, "again").await;
    let next = plan(&world).await;
    assert_ne!(next, plan_name);
    assert_eq!(requests(&world).await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_plan_is_made_again_for_a_new_generation() {
    let (world, first) = planned_world(Value::Null, json!({})).await;
    decide(&world, &first, "Rejected").await;
    ended(&world, &first, &["Void"], ACT).await;
    says(&world, "Stalled", "True", "PlanRejected", &[]).await;
    change(&world, json!({"mismatch": {"startMaps": "Never"}})).await;
    assert_ne!(plan(&world).await, first);
}

/// Facts that move make a plan fall, and another one follows; the approval of the old one is worth nothing for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_plan_falls_when_what_it_relies_on_moves() {
    let (world, first) = planned_world(Value::Null, json!({})).await;
    let stopped = map_state(COMPANIES_ID, json!({"state": "stopped"}));
    world.patch_state(stopped).await;
    let void = ended(&world, &first, &["Void"], ACT).await;
    let moved = format!("the map {COMPANIES} was running and is stopped");
    assert_tells(&void, &["Never started", &moved]);
    let second = plan(&world).await;
    assert_ne!(second, first);
    let planned = world.get(&format!("dwo/{second}")).await;
    let companies = planned["spec"]["reliesOn"]["maps"].as_array().unwrap();
    let companies = companies.iter().find(|map| map["name"] == COMPANIES);
    assert_eq!(companies.unwrap()["state"], "Stopped");
    let too_late = json!({"spec": {"approval": "Approved"}}).to_string();
    let args = ["patch", "dwo", &first, "--type=merge", "-p", &too_late];
    world.kubectl(&args).await.ok();
    quiet(&world, 2).await;
    assert_eq!(requests(&world).await, Vec::<Value>::new());
}

/// The facts move in the moment of the approval: the operation's own look sees it, right before its first step.
#[tokio::test(flavor = "multi_thread")]
async fn an_approved_plan_falls_when_its_facts_have_just_moved() {
    // The connection itself does not look in between.
    let (world, name) = planned_world(Value::Null, json!({"interval": "1m"})).await;
    let keys = json!({"integrationKeys": {"accounts": ["accountnumber"]}});
    world.patch_state(finance_operations(keys)).await;
    approve(&world, &name).await;
    let void = ended(&world, &name, &["Void"], ACT).await;
    assert_tells(
        &void,
        &["Never started", "the integration keys have changed"],
    );
    assert_eq!(requests(&world).await, Vec::<Value>::new());
    assert!(backups(&world).await.is_empty());
}

/// The link is mended by hand while the plan waits.
#[tokio::test(flavor = "multi_thread")]
async fn a_plan_falls_when_the_link_is_where_it_should_be() {
    let (world, name) = planned_world(Value::Null, json!({})).await;
    world.patch_state(link(SPEC)).await;
    ended(&world, &name, &["Void"], ACT).await;
    ready(&world).await;
    assert_eq!(requests(&world).await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_falls_when_nobody_asks_for_it_any_more() {
    for spec in [
        json!({"mismatch": {"policy": "Report"}}),
        json!({"mode": "Observe"}),
    ] {
        let (world, name) = planned_world(Value::Null, json!({})).await;
        change(&world, spec).await;
        let void = ended(&world, &name, &["Void"], ACT).await;
        assert_tells(&void, &["Never started"]);
        says(&world, "Stalled", "True", "DifferentDestination", &[]).await;
        assert_eq!(requests(&world).await, Vec::<Value>::new());
    }
}

/// No operation exists, and what it would be is said.
#[tokio::test(flavor = "multi_thread")]
async fn observing_shows_the_plan_and_makes_none() {
    let world = drifted_world(Value::Null, json!({"mode": "Observe"})).await;
    let parts = [
        "only observes",
        "it would plan, for approval",
        "Applying solution ContosoSales",
        "The move to",
    ];
    says(&world, "Ready", "False", "DifferentDestination", &parts).await;
    quiet(&world, 2).await;
    assert!(world.operations().await.is_empty());
    assert_eq!(requests(&world).await, Vec::<Value>::new());
}

/// What a plan relies on cannot be read: one that waits is kept, and does not begin although it is approved.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_spoils_no_plan_and_lets_none_begin() {
    let (world, name) = planned_world(Value::Null, json!({})).await;
    let fails = json!({"call": "listSolutions", "times": null, "effect": {"status": 500}});
    world.fault(fails).await;
    says(
        &world,
        "Reconciling",
        "True",
        "Retrying",
        &["listSolutions"],
    )
    .await;
    approve(&world, &name).await;
    let waits = |operation: &Value| {
        let message = operation["status"]["message"].as_str().unwrap_or_default();
        message.contains("Waiting to try again") && message.contains("listSolutions")
    };
    world.wait_for(&format!("dwo/{name}"), SOON, waits).await;
    assert_eq!(requests(&world).await, Vec::<Value>::new());
    world.simulator().control().clear_faults().await;
    let operation = ended(&world, &name, &["Succeeded"], ACT).await;
    is_restored(&world, &operation).await;
    assert_eq!(world.operations().await.len(), 1);
}

/// `kubectl get dwc -o yaml` counts the maps and names those that somebody should look at.
#[tokio::test(flavor = "multi_thread")]
async fn the_status_counts_the_maps() {
    let failing = map_state(PRODUCTS_ID, json!({"state": "notRunning"}));
    let (world, _) = planned_world(failing, json!({})).await;
    let text = world
        .kubectl(&["get", "dwc", NAME, "-o", "yaml"])
        .await
        .ok();
    assert!(text.contains("  maps:\n"), "{text}");
    let connection = world.connection(NAME).await;
    let maps = &connection["status"]["maps"];
    let count = |what: &str| maps[what].as_u64().unwrap();
    let counts = ["total", "running", "paused", "stopped", "notRunning"].map(count);
    assert_eq!(counts, [4, 2, 1, 0, 1], "{maps:#}");
    let attention: Vec<&str> = maps["attention"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|map| map["name"].as_str())
        .collect();
    assert_eq!(attention, [PRODUCTS], "{maps:#}");
    assert_eq!(wait::condition(&connection, "Ready")["status"], "False");
}
