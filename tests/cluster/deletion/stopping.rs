//! When the maps are stopped, and when not.

use serde_json::{Value, json};

use super::*;
use crate::support::reset::event;
use crate::support::{Action, Match, Moment};

#[tokio::test(flavor = "multi_thread")]
async fn the_finalizer_is_there_only_while_spec_and_annotation_ask_for_it() {
    let world = unconfirmed(Value::Null).await;
    held(&world, false).await;
    // Copied from another connection, the annotation confirms nothing.
    confirm(&world, json!("contoso-production")).await;
    quiet(&world, 2).await;
    held(&world, false).await;
    confirm(&world, json!(NAME)).await;
    held(&world, true).await;
    for (off, on) in [
        (
            json!({"deletionPolicy": "Retain"}),
            json!({"deletionPolicy": "StopMaps"}),
        ),
        (json!({"mode": "Observe"}), json!({"mode": "Manage"})),
    ] {
        change(&world, off).await;
        held(&world, false).await;
        change(&world, on).await;
        held(&world, true).await;
    }
    confirm(&world, Value::Null).await;
    held(&world, false).await;
    ready(&world).await;
    quiet(&world, 2).await;
    nothing_was_stopped(&world).await;
}

/// The operator keeps nothing in memory of what others put on an object, and takes nothing of it off.
#[tokio::test(flavor = "multi_thread")]
async fn the_finalizers_and_labels_of_others_stay() {
    let world = unconfirmed(Value::Null).await;
    let what = format!("dwc/{NAME}");
    let others = "contoso.example/kept";
    let metadata = json!({"finalizers": [others], "labels": {"team": "contoso"}});
    patch(&world, &what, json!({"metadata": metadata})).await;
    for (confirmed, finalizers) in [
        (json!(NAME), json!([others, FINALIZER])),
        (Value::Null, json!([others])),
    ] {
        confirm(&world, confirmed).await;
        let is_so = |connection: &Value| connection["metadata"]["finalizers"] == finalizers;
        let connection = world.wait_for(&what, SOON, is_so).await;
        assert_eq!(connection["metadata"]["labels"]["team"], "contoso");
    }
    patch(&world, &what, json!({"metadata": {"finalizers": null}})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_annotation_the_maps_go_on() {
    let world = unconfirmed(Value::Null).await;
    delete_connection(&world).await;
    is_gone(&world).await;
    still(&world, INTERVAL * 2).await;
    nothing_was_stopped(&world).await;
}

/// The operation outlives the connection, and says how the maps are started again.
#[tokio::test(flavor = "multi_thread")]
async fn the_maps_are_stopped_by_an_operation_that_outlives_the_connection() {
    let world = confirmed(Value::Null).await;
    delete_connection(&world).await;
    is_gone(&world).await;
    event(&world, "StoppingMaps", &["outlives this connection"]).await;
    let stopped = |operation: &Value| {
        operation["status"]["phase"] == "Succeeded" && operation["metadata"]["finalizers"].is_null()
    };
    let operation = world.wait_for("dwo", ACT, stopped).await;
    assert_eq!(operation["spec"]["action"], "StopMaps");
    assert_eq!(operation["spec"]["options"]["onDeletion"], true);
    assert_tells(
        &operation,
        &["is stopped", "in this order", COMPANIES, CUSTOMERS, VENDORS],
    );
    event(&world, "MapsStopped", &[COMPANIES]).await;
    assert_eq!(maps_now(&world).await, all_stopped());
    for (what, (received, _)) in counted(&world).await {
        assert_eq!(received, 1, "{what}");
    }
    assert_eq!(linked_to(&world).await, SPEC);
}

/// The garbage collector comes at once: its finalizer holds the operation until the maps are stopped, and no longer. There is
/// no collector here, so the test deletes by hand what it would delete.
#[tokio::test(flavor = "multi_thread")]
async fn the_garbage_collector_comes_too_early_and_waits() {
    let world = confirmed(Value::Null).await;
    let fault = json!({"call": "startMaps", "effect": {"hold": {"holdAt": "before"}}});
    let fault = world.fault(fault).await;
    delete_connection(&world).await;
    is_gone(&world).await;
    let name = name_of(&world.operations().await[0]);
    collect(&world, &format!("dwo/{name}")).await;
    let control = world.simulator().control();
    control.fault_fired(&fault, 1, SOON).await;
    let operation = world.get(&format!("dwo/{name}")).await;
    assert_eq!(
        operation["metadata"]["finalizers"],
        json!(["dualwrite.dev/act"])
    );
    control.release(&fault).await;
    world.wait_gone(&format!("dwo/{name}"), ACT).await;
    assert_eq!(maps_now(&world).await, all_stopped());
}

/// The process dies after it has made the operation and before it lets the connection go: there is no second operation.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_the_operation_and_the_finalizer_makes_no_second_operation() {
    let mut world = confirmed(Value::Null).await;
    let rule = world
        .api
        .when(Match::create("dualwriteoperations"))
        .then(Moment::After, Action::Kill);
    delete_connection(&world).await;
    rule.fired(SOON).await;
    world.kill_operator();
    world.start_operator(&FLAGS).await;
    is_gone(&world).await;
    let stopped = |operation: &Value| operation["status"]["phase"] == "Succeeded";
    world.wait_for("dwo", ACT, stopped).await;
    assert_eq!(world.operations().await.len(), 1);
    assert_eq!(maps_now(&world).await, all_stopped());
    for (what, (received, _)) in counted(&world).await {
        assert_eq!(received, 1, "{what}");
    }
}

/// The same name again while the maps are being stopped: the new connection waits, and then shows that they are stopped.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_made_anew_waits_for_the_stop() {
    let world = confirmed(Value::Null).await;
    let fault = json!({"call": "startMaps", "effect": {"hold": {"holdAt": "after"}}});
    let fault = world.fault(fault).await;
    delete_connection(&world).await;
    is_gone(&world).await;
    connect(&world, json!({})).await;
    let parts = ["of another DualWriteConnection"];
    says(&world, "Ready", "False", "StoppingMaps", &parts).await;
    world.simulator().control().release(&fault).await;
    ready(&world).await;
    let all = |connection: &Value| connection["status"]["maps"]["stopped"] == 4;
    world.wait_for(&format!("dwc/{NAME}"), SOON, all).await;
}

/// A map that does not stop is named in the operation, which stays; the connection does not wait for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_map_that_does_not_stop_holds_nobody_up() {
    let stuck = map_state(
        CUSTOMERS_ID,
        json!({"failsWith": "The map is in initial write."}),
    );
    let world = confirmed(stuck).await;
    delete_connection(&world).await;
    is_gone(&world).await;
    let over = |operation: &Value| {
        operation["status"]["phase"] == "Failed" && operation["metadata"]["finalizers"].is_null()
    };
    let operation = world.wait_for("dwo", SLOW_ACT, over).await;
    assert_eq!(
        operation["status"]["reason"], "MapsNotStopped",
        "{operation:#}"
    );
    assert_tells(&operation, &[CUSTOMERS, "The map is in initial write."]);
    event(&world, "MapsNotStopped", &[CUSTOMERS]).await;
    let now = maps_now(&world).await;
    assert_eq!(now[COMPANIES], all_stopped()[COMPANIES]);
    nothing_is_asked_too_often(&world).await;
}
