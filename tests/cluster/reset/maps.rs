//! What becomes of the maps.

use serde_json::{Value, json};

use crate::support::contoso::*;
use crate::support::reset::*;
use crate::support::{Action, Match, Moment};

/// The destination has changed, so a person looks at the data first; the message has the order.
#[tokio::test(flavor = "multi_thread")]
async fn start_maps_never_leaves_them_stopped_and_says_in_which_order_they_start() {
    let never = json!({"mismatch": {"startMaps": "Never"}});
    let (world, plan) = planned_world(Value::Null, never).await;
    approve(&world, &plan).await;
    let operation = ended(&world, &plan, &["Succeeded"], ACT).await;
    let order = format!("in this order: {COMPANIES}");
    let then = format!("then {CUSTOMERS}, {VENDORS} (was paused)");
    assert_tells(
        &operation,
        &["The table maps are stopped", &order, &then, "ConfigMap"],
    );
    assert_eq!(linked_to(&world).await, SPEC);
    assert_eq!(maps_now(&world).await, all_stopped());
    has_backup(&world, &operation).await;
    let steps = operation["spec"]["steps"].as_array().unwrap();
    let last = steps.last().unwrap();
    assert_eq!(
        (&last["name"], &last["needsPerson"]),
        (&json!("by-person"), &json!(true))
    );
    // Connected, and the status shows that they are stopped.
    ready(&world).await;
    let all = |connection: &Value| connection["status"]["maps"]["stopped"] == 4;
    world.wait_for(&format!("dwc/{NAME}"), SOON, all).await;
}

/// A map fails to start: the reset is made, and the connection is stalled until the map runs.
#[tokio::test(flavor = "multi_thread")]
async fn a_map_that_does_not_start_is_named_until_it_runs() {
    // It is waited for until the time of a step is over.
    let (world, plan) = planned_world(Value::Null, json!({"link": {"timeout": "30s"}})).await;
    let ready_to_start = Match::status("dualwriteoperations")
        .body(|body| step_of(&body["status"], "start-maps/1")["state"] == "Done");
    let rule = world
        .api
        .when(ready_to_start)
        .then(Moment::Before, Action::Hold);
    approve(&world, &plan).await;
    rule.fired(ACT).await;
    let fails = json!({"failsWith": "The key is missing."});
    world.patch_state(map_state(CUSTOMERS_ID, fails)).await;
    rule.release();
    let operation = ended(&world, &plan, &["Failed"], SLOW_ACT).await;
    assert_eq!(
        operation["status"]["reason"], "MapsNotRunning",
        "{operation:#}"
    );
    assert_tells(
        &operation,
        &[
            "was reset and is linked",
            "not in the states that they should have",
            CUSTOMERS,
        ],
    );
    let parts = [CUSTOMERS, "kubectl delete dwo"];
    says(&world, "Ready", "False", "MapsNotRunning", &parts).await;
    says(&world, "Stalled", "True", "MapsNotRunning", &[]).await;
    event(&world, "MapsNotRunning", &[]).await;
    let now = maps_now(&world).await;
    assert_eq!(
        now[COMPANIES],
        as_before()[COMPANIES],
        "what does not depend on it runs"
    );
    nothing_is_asked_too_often(&world).await;
    let heals = json!({"state": "running", "failsWith": null});
    world.patch_state(map_state(CUSTOMERS_ID, heals)).await;
    ready(&world).await;
    quiet(&world, 2).await;
    assert_eq!(resets(&world).await, 1);
}

/// It does not stop: what did stop runs again, and nothing was destroyed.
#[tokio::test(flavor = "multi_thread")]
async fn a_map_that_does_not_stop_ends_the_act_before_the_reset() {
    let stuck = map_state(
        CUSTOMERS_ID,
        json!({"failsWith": "The map is in initial write."}),
    );
    let (world, plan) = planned_world(stuck, json!({})).await;
    approve(&world, &plan).await;
    let operation = ended(&world, &plan, &["Failed"], SLOW_ACT).await;
    assert_eq!(
        operation["status"]["reason"], "MapsNotStopped",
        "{operation:#}"
    );
    let parts = [
        "Nothing was reset or deleted",
        "do not stop",
        CUSTOMERS,
        "The map is in initial write.",
    ];
    assert_tells(&operation, &parts);
    is_unharmed(&world).await;
    says(&world, "Stalled", "True", "MapsNotStopped", &[CUSTOMERS]).await;
    nothing_is_asked_too_often(&world).await;
    // A person has seen to it, and asks again.
    world
        .patch_state(map_state(CUSTOMERS_ID, json!({"failsWith": null})))
        .await;
    reconcile_at(&world, "again").await;
    let next = crate::support::reset::plan(&world).await;
    approve(&world, &next).await;
    let operation = ended(&world, &next, &["Succeeded"], ACT).await;
    is_restored(&world, &operation).await;
}

/// The spec says that it is to be reset all the same, and the request says so too.
#[tokio::test(flavor = "multi_thread")]
async fn force_resets_although_a_map_does_not_stop() {
    let stuck = map_state(
        CUSTOMERS_ID,
        json!({"failsWith": "The map is in initial write."}),
    );
    let (world, plan) = planned_world(stuck, json!({"mismatch": {"force": true}})).await;
    approve(&world, &plan).await;
    let operation = ended(&world, &plan, &["Failed", "Succeeded"], SLOW_ACT).await;
    let requests = requests(&world).await;
    let reset = requests
        .iter()
        .find(|entry| entry["call"] == "resetLink")
        .unwrap();
    assert!(
        reset["query"].as_str().unwrap().contains("forceReset=true"),
        "{reset:#}"
    );
    assert_tells(&operation, &["mismatch.force", CUSTOMERS]);
    assert_eq!(linked_to(&world).await, SPEC);
    assert_eq!(maps_now(&world).await, as_before());
}

/// Somebody starts a map in the last moment before the reset.
#[tokio::test(flavor = "multi_thread")]
async fn a_map_that_runs_again_ends_the_act_before_the_reset() {
    let (world, plan) = planned_world(Value::Null, json!({})).await;
    // The maps are known to be stopped by then; and the intent, which comes too late, is one of an older operation.
    let intent = Match::status("dualwriteoperations")
        .body(|body| step_of(&body["status"], "reset")["state"] == "Intended");
    let rule = world.api.when(intent).then(Moment::Before, Action::Hold);
    approve(&world, &plan).await;
    rule.fired(ACT).await;
    world
        .patch_state(map_state(COMPANIES_ID, json!({"state": "running"})))
        .await;
    let label = json!({"metadata": {"labels": {"contoso.com/looked-at": "true"}}});
    patch(&world, &format!("dwo/{plan}"), label).await;
    rule.release();
    let operation = ended(&world, &plan, &["Failed"], ACT).await;
    assert_tells(
        &operation,
        &["these run again", COMPANIES, "Nothing was reset"],
    );
    is_unharmed(&world).await;
}

/// `onMix: StopMaps`: the flow between test and production is stopped first, then the rest is seen to.
#[tokio::test(flavor = "multi_thread")]
async fn the_maps_of_a_mixed_link_are_stopped() {
    let world = world_with(mixed(), &FLAGS).await;
    let stop = json!({"mismatch": {"onMix": "StopMaps"}});
    connect(&world, stop).await;
    let stopped = |operation: &Value| {
        operation["spec"]["action"] == "StopMaps" && operation["status"]["phase"] == "Succeeded"
    };
    let operation = world.wait_for("dwo", ACT, stopped).await;
    assert_tells(&operation, &["is stopped", "in this order", COMPANIES]);
    event(&world, "MapsStopped", &[]).await;
    assert_eq!(maps_now(&world).await, all_stopped());
    says(
        &world,
        "LinkingMismatch",
        "True",
        "SandboxProductionMix",
        &[],
    )
    .await;
    quiet(&world, 2).await;
    for (what, (received, _)) in counted(&world).await {
        assert_eq!(received, 1, "{what}");
    }
    assert_eq!(linked_to(&world).await, PRODUCTION);
}

/// Stopped first, and the plan of the reset that follows knows that they are.
#[tokio::test(flavor = "multi_thread")]
async fn a_mixed_link_is_stopped_before_its_reset_is_planned() {
    let world = world_with(mixed(), &FLAGS).await;
    let stop = json!({"mismatch": {"onMix": "StopMaps"}});
    connect(&world, both(asks(), stop)).await;
    let plan = crate::support::reset::plan(&world).await;
    assert_eq!(maps_now(&world).await, all_stopped());
    let plan = world.get(&format!("dwo/{plan}")).await;
    for map in plan["spec"]["reliesOn"]["maps"].as_array().unwrap() {
        assert_eq!(map["state"], "Stopped", "{map}");
    }
}
