//! What is needed to stop the maps is gone. What waits ten minutes cannot be waited for here; the tests of the core have it.

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::api::{Api, DeleteParams};
use serde_json::{Value, json};

use super::*;
use crate::support::reset::event;
use crate::support::{OPERATOR_USER, wait};

/// It goes at once, with an event of this content.
async fn goes(world: &World, warning: bool, parts: &[&str]) {
    delete_connection(world).await;
    is_gone(world).await;
    let told = event(world, "MapsLeftAsTheyAre", parts).await;
    assert_eq!(told["type"], if warning { "Warning" } else { "Normal" });
    assert_eq!(world.operations().await, Vec::<Value>::new());
    assert_eq!(requests(world).await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_running_maps_there_is_nothing_to_stop() {
    let stopped: serde_json::Map<String, Value> = MAPS
        .map(|id| (id.to_owned(), json!({"state": "stopped"})))
        .into_iter()
        .collect();
    let world = confirmed(finance_operations(json!({"maps": stopped}))).await;
    goes(&world, false, &["No table map runs"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_connection_stops_nothing() {
    let world = confirmed(Value::Null).await;
    change(&world, json!({"suspend": true})).await;
    world
        .wait_condition(NAME, "Ready", "Unknown", Some("Suspended"))
        .await;
    goes(&world, true, &["was suspended", "go on as they are"]).await;
    assert_eq!(maps_now(&world).await, as_before());
}

/// The annotation is taken off in the moment of the deletion.
#[tokio::test(flavor = "multi_thread")]
async fn without_credentials_the_deletion_waits_and_can_be_let_go() {
    let world = confirmed(Value::Null).await;
    collect(&world, "secret/contoso-dual-write-account").await;
    delete_connection(&world).await;
    let control = world.simulator().control();
    control.clear_calls().await;
    control.called("retrieveIntegrationDetails", 2, SOON).await;
    held(&world, true).await;
    confirm(&world, Value::Null).await;
    is_gone(&world).await;
    let parts = ["go on as they are", "dualwrite.dev/confirm-stop"];
    event(&world, "MapsLeftAsTheyAre", &parts).await;
    nothing_was_stopped(&world).await;
}

/// The Secret comes back within the ten minutes.
#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_come_back_stop_the_maps() {
    let world = confirmed(Value::Null).await;
    collect(&world, "secret/contoso-dual-write-account").await;
    collect(&world, "secret/contoso-entra").await;
    delete_connection(&world).await;
    held(&world, true).await;
    create_secrets(&world).await;
    is_gone(&world).await;
    maps_become(&world, all_stopped()).await;
}

/// The service is away, and comes back.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_comes_back_stops_the_maps() {
    let world = confirmed(Value::Null).await;
    let away = json!({"call": "getLink", "times": null, "effect": {"status": 503}});
    world.fault(away).await;
    delete_connection(&world).await;
    let control = world.simulator().control();
    control.clear_calls().await;
    control.called("getLink", 2, SOON).await;
    held(&world, true).await;
    nothing_was_stopped(&world).await;
    control.clear_faults().await;
    is_gone(&world).await;
    maps_become(&world, all_stopped()).await;
}

/// It is gone from the Power Platform with its Dataverse: the maps cannot be stopped, and the connection goes all the same.
#[tokio::test(flavor = "multi_thread")]
async fn an_environment_that_is_gone_holds_nothing_up() {
    let world = confirmed(Value::Null).await;
    world
        .patch_state(json!({"environments": {SPEC: null}}))
        .await;
    delete_connection(&world).await;
    is_gone(&world).await;
    let over = |operation: &Value| {
        operation["status"]["phase"] == "Failed" && operation["metadata"]["finalizers"].is_null()
    };
    let operation = world.wait_for("dwo", SLOW_ACT, over).await;
    assert_tells(&operation, &["could not all be stopped", COMPANIES]);
    event(&world, "MapsNotStopped", &[]).await;
    assert_eq!(maps_now(&world).await, as_before());
}

/// The namespace takes no new objects: the operation cannot be made, and the connection goes.
#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_is_being_deleted_does_not_hang() {
    let world = confirmed(Value::Null).await;
    delete_namespace(&world).await;
    delete_connection(&world).await;
    is_gone(&world).await;
    nothing_was_stopped(&world).await;
}

/// The binding went first, so that the operator may read nothing there any more; it may still let go of what it holds.
#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_whose_binding_went_first_does_not_hang() {
    let world = confirmed(Value::Null).await;
    delete_namespace(&world).await;
    delete_binding(&world).await;
    delete_connection(&world).await;
    is_gone(&world).await;
    nothing_was_stopped(&world).await;
}

/// Only the binding is gone, and stays so: the namespace does not let the operator in any more.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_binding_the_connection_goes_with_a_warning() {
    let world = confirmed(Value::Null).await;
    delete_binding(&world).await;
    goes(
        &world,
        true,
        &["go on as they are", "dualwrite-operator-namespace"],
    )
    .await;
}

/// There is no namespace controller in this control plane: it stays in the state Terminating, and what it holds is deleted by
/// hand.
async fn delete_namespace(world: &World) {
    let api: Api<Namespace> = Api::all(world.client());
    api.delete(&world.namespace, &DeleteParams::default())
        .await
        .unwrap();
}

/// And waits until the authorizer knows.
async fn delete_binding(world: &World) {
    let api: Api<RoleBinding> = Api::namespaced(world.client(), &world.namespace);
    api.delete("dualwrite-operator-namespace", &DeleteParams::default())
        .await
        .unwrap();
    let as_operator = format!("--as={OPERATOR_USER}");
    wait::polling("the end of the operator's rights", SOON, || async {
        let may = world.admin().can_i("get", "secrets", &[&as_operator]).await;
        (!may).then_some(())
    })
    .await;
}
