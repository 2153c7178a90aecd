//! Two connections of one environment, people and time: what each alone does right, they do not undo together.

use serde_json::{Value, json};

use crate::support::contoso::*;
use crate::support::reset::*;
use crate::support::{World, wait::condition};

const DUPLICATE: &str = "contoso-duplicate";

/// A connection whose deletion stops its maps.
fn stopping(name: &str) -> Value {
    let mut connection = connection(name, json!({"deletionPolicy": "StopMaps"}));
    connection["metadata"]["annotations"] = json!({"dualwrite.dev/confirm-stop": name});
    connection
}

async fn reason_is(world: &World, name: &str, kind: &str, reason: &str) {
    let is_so = |connection: &Value| condition(connection, kind)["reason"] == reason;
    world.wait_for(&format!("dwc/{name}"), SOON, is_so).await;
}

// ---- one of two connections is deleted ----

/// The younger is a mistake, the older a name that is given up, as in a rename under `GitOps`: in both cases the maps run on.
#[tokio::test(flavor = "multi_thread")]
async fn the_deletion_of_one_of_two_connections_stops_no_maps() {
    for deletes_younger in [true, false] {
        let world = world_with(with_maps(SPEC), &FLAGS).await;
        create(&world, "dwc", stopping(NAME)).await;
        reason_is(&world, NAME, "Ready", "Connected").await;
        create(&world, "dwc", stopping(DUPLICATE)).await;
        // Of two that were made in the same second the uid decides which is the younger.
        let yields = |connection: &Value| condition(connection, "Ready")["reason"] == "Conflict";
        let younger = name_of(&world.wait_for("dwc", SOON, yields).await);
        let older = if younger == NAME { DUPLICATE } else { NAME };
        let (deleted, stays) = if deletes_younger {
            (younger.as_str(), older)
        } else {
            (older, younger.as_str())
        };
        delete(&world, &format!("dwc/{deleted}")).await;
        world.wait_gone(&format!("dwc/{deleted}"), SOON).await;
        let parts = ["another DualWriteConnection", stays];
        let event = event(&world, "MapsLeftAsTheyAre", &parts).await;
        assert_eq!(event["type"], "Warning");
        reason_is(&world, stays, "Ready", "Connected").await;
        assert_eq!(maps_now(&world).await, as_before());
        assert_eq!(requests(&world).await, Vec::<Value>::new());
    }
}

// ---- a map list that is refused ----

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_list_of_maps_is_said_and_its_old_counts_are_not() {
    let world = world_with(with_maps(SPEC), &FLAGS).await;
    connect(&world, json!({})).await;
    ready(&world).await;
    let counted = |connection: &Value| connection["status"]["maps"]["total"] == 4;
    world.wait_for(&format!("dwc/{NAME}"), SOON, counted).await;
    let refused = json!({"call": "listMaps", "times": null, "effect": {"status": 403}});
    world.fault(refused).await;
    let parts = ["table maps cannot be read"];
    let connection = says(&world, "Linked", "True", "Linked", &parts).await;
    assert!(connection["status"]["maps"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mix_whose_maps_may_not_be_read_is_stalled() {
    let world = world_with(mixed(), &FLAGS).await;
    let refused = json!({"call": "listMaps", "times": null, "effect": {"status": 403}});
    world.fault(refused).await;
    connect(&world, json!({"mismatch": {"onMix": "StopMaps"}})).await;
    let parts = ["cannot be stopped", "Dual-write page"];
    says(&world, "Stalled", "True", "AccessDenied", &parts).await;
    assert_eq!(maps_now(&world).await, as_before());
}

// ---- two plans for one environment ----

async fn plan_of(world: &World, connection: &str) -> String {
    let waits = |operation: &Value| {
        operation["spec"]["connection"]["name"] == connection
            && operation["status"]["phase"] == "AwaitingApproval"
    };
    name_of(&world.wait_for("dwo", ACT, waits).await)
}

/// The older one waits for an approval that nobody gives, and its connection is suspended.
#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_cannot_start_holds_no_other_up() {
    let (world, older) = planned_world(Value::Null, json!({})).await;
    change(&world, json!({"suspend": true})).await;
    create(&world, "dwc", connection(DUPLICATE, asks())).await;
    let younger = plan_of(&world, DUPLICATE).await;
    assert_ne!(younger, older);
    approve(&world, &younger).await;
    let operation = ended(&world, &younger, &["Succeeded"], ACT).await;
    is_restored(&world, &operation).await;
    assert_eq!(resets(&world).await, 1);
}

// ---- an approval ends ----

#[tokio::test(flavor = "multi_thread")]
async fn suspending_takes_an_approval_back() {
    let (world, plan) = planned_world(Value::Null, json!({})).await;
    change(&world, json!({"suspend": true})).await;
    reason_is(&world, NAME, "Ready", "Suspended").await;
    approve(&world, &plan).await;
    let operation = ended(&world, &plan, &["Void"], ACT).await;
    assert_tells(&operation, &["approval is taken back", "suspended"]);
    change(&world, json!({"suspend": false})).await;
    let again = plan_of(&world, NAME).await;
    assert_ne!(again, plan);
    assert_eq!(requests(&world).await, Vec::<Value>::new());
}

// ---- a name stands for one plan ----

#[tokio::test(flavor = "multi_thread")]
async fn another_plan_has_another_name() {
    let (world, plan) = planned_world(Value::Null, json!({})).await;
    delete(&world, &format!("dwo/{plan}")).await;
    change(&world, json!({"mismatch": {"force": true}})).await;
    let is_forced = |operation: &Value| {
        operation["spec"]["options"]["force"] == true
            && operation["status"]["phase"] == "AwaitingApproval"
    };
    let forced = world.wait_for("dwo", ACT, is_forced).await;
    assert_ne!(name_of(&forced), plan);
}
