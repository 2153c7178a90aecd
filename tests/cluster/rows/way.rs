//! The way from nothing to Ready: by the operator, by hand, and past failures.

use serde_json::{Value, json};

use crate::support::World;
use crate::support::contoso::*;

const EVERYTHING: [&str; 3] = ["installApplication", "installApplication", "createLink"];

#[tokio::test(flavor = "multi_thread")]
async fn accepting_the_terms_is_all_it_takes() {
    let world = world(Value::Null).await;
    connect(&world, json!({"setup": {"acceptTerms": false}})).await;
    says(&world, "Ready", "False", "TermsNotAccepted", &[]).await;
    quiet(&world, 2).await;
    assert_eq!(mutations(&world).await, Vec::<String>::new());
    change(&world, json!({"setup": {"acceptTerms": true}})).await;
    let connection = ready(&world).await;
    assert_eq!(mutations(&world).await, EVERYTHING);
    let link = &connection["status"]["observed"]["link"];
    assert_eq!(link["environmentId"], SPEC);
    let phases: Vec<_> = world
        .operations()
        .await
        .iter()
        .map(|operation| operation["status"]["phase"].clone())
        .collect();
    assert_eq!(phases, ["Succeeded", "Succeeded"]);
}

/// A person presses both buttons in LCS; the operator only sees it happen.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_does_by_hand_is_seen() {
    let world = world(Value::Null).await;
    connect(
        &world,
        json!({"setup": {"method": "Manual", "acceptTerms": false}, "link": {"method": "Manual"}}),
    )
    .await;
    says(&world, "Ready", "False", "AwaitingManualSetup", &[]).await;
    let installing = json!({CORE: {"state": "Installed"}, APPLICATION: {"state": "Installing"}});
    world
        .patch_state(environment(SPEC, json!({"packages": installing})))
        .await;
    let parts = ["msdyn_DualWriteAppCoreAnchor (Installing)"];
    says(&world, "SetupComplete", "False", "Installing", &parts).await;
    world.patch_state(set_up()).await;
    says(&world, "Ready", "False", "AwaitingManualLink", &[]).await;
    quiet(&world, 2).await;
    world.patch_state(link(SPEC)).await;
    ready(&world).await;
    assert_eq!(mutations(&world).await, Vec::<String>::new());
    assert_eq!(world.operations().await, Vec::<Value>::new());
}

/// While Microsoft installs, the conditions say until when, and nothing is written again and again.
#[tokio::test(flavor = "multi_thread")]
async fn an_installation_under_way_is_shown_and_silent() {
    let mut world = builder().time_scale(1.0).start().await;
    create_secrets(&world).await;
    world.start_operator(&[]).await;
    connect(&world, json!({})).await;
    let parts = [
        "Installing DualWriteCoreAnchor",
        "deadline ",
        "kubectl describe dwo contoso-uat-setup-",
    ];
    says(&world, "Ready", "False", "Installing", &parts).await;
    says(&world, "Reconciling", "True", "Installing", &[]).await;
    says(&world, "SetupComplete", "False", "Installing", &[]).await;
    quiet(&world, 3).await;
    assert_eq!(mutations(&world).await, ["installApplication"]);
    let control = world.simulator().control();
    control.advance("20m").await;
    control.called("installApplication", 2, SOON).await;
    control.advance("20m").await;
    let parts = ["Linking contoso-uat", "deadline "];
    says(&world, "Ready", "False", "Linking", &parts).await;
    says(&world, "Linked", "False", "Linking", &[]).await;
    quiet(&world, 3).await;
    control.advance("10m").await;
    ready(&world).await;
    assert_eq!(mutations(&world).await, EVERYTHING);
}

/// Fails at first; then the cause is mended.
async fn failed_setup() -> World {
    let fails =
        json!({"errorName": "CapacityExceeded", "message": "There is not enough capacity."});
    let packages = |fails| {
        environment(
            SPEC,
            json!({"packages": {CORE: {"failsWith": fails, "installTakes": "1m"}}}),
        )
    };
    let world = world(packages(fails)).await;
    connect(&world, json!({})).await;
    let parts = [
        "There is not enough capacity. (CapacityExceeded)",
        "Resume",
        "To try again: kubectl annotate dwc contoso-uat",
        "kubectl delete dwo contoso-uat-setup-",
    ];
    let connection = says(&world, "Ready", "False", "InstallFailed", &parts).await;
    assert_says(
        &connection,
        "SetupComplete",
        "False",
        "InstallFailed",
        &["capacity"],
    );
    assert_says(
        &connection,
        "Stalled",
        "True",
        "InstallFailed",
        &["capacity"],
    );
    quiet(&world, 3).await;
    assert_eq!(mutations(&world).await, ["installApplication"]);
    world.patch_state(packages(Value::Null)).await;
    quiet(&world, 2).await;
    assert_eq!(
        mutations(&world).await,
        ["installApplication"],
        "not tried again by itself"
    );
    world
}

async fn succeeds_now(world: &World) {
    ready(world).await;
    let expected = [
        "installApplication",
        "installApplication",
        "installApplication",
        "createLink",
    ];
    assert_eq!(mutations(world).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_installation_is_tried_again_on_reconcile_at() {
    let world = failed_setup().await;
    reconcile_at(&world, "now").await;
    succeeds_now(&world).await;
    let connection = world.connection(NAME).await;
    assert_eq!(connection["status"]["lastHandledReconcileAt"], "now");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_installation_is_tried_again_for_a_new_generation() {
    let world = failed_setup().await;
    change(&world, json!({"setup": {"timeout": "80m"}})).await;
    succeeds_now(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_installation_is_tried_again_once_its_operation_is_deleted() {
    let world = failed_setup().await;
    let operation = world.operations().await.remove(0);
    let name = operation["metadata"]["name"].as_str().unwrap();
    delete(&world, &format!("dwo/{name}")).await;
    succeeds_now(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_link_is_tried_again_when_somebody_asks() {
    let refusal = "Saving connection set failed! An item with the same key has already been added.";
    let state = both(
        set_up(),
        finance_operations(json!({"linkFailsWith": refusal})),
    );
    let world = world(state).await;
    connect(&world, json!({})).await;
    let parts = ["same name or code", "cdm_company", "To try again"];
    says(&world, "Ready", "False", "LinkFailed", &parts).await;
    says(&world, "Linked", "False", "LinkFailed", &["cdm_company"]).await;
    says(&world, "Stalled", "True", "LinkFailed", &[]).await;
    quiet(&world, 3).await;
    assert_eq!(mutations(&world).await, ["createLink"]);
    world
        .patch_state(finance_operations(json!({"linkFailsWith": null})))
        .await;
    reconcile_at(&world, "2").await;
    ready(&world).await;
    assert_eq!(applied(&world).await, ["createLink"]);
}

/// The failure of the operator matters no more once a person has done it.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_link_that_a_person_makes_is_ready() {
    let state = both(
        set_up(),
        finance_operations(json!({"linkFailsWith": "No."})),
    );
    let world = world(state).await;
    connect(&world, json!({})).await;
    says(&world, "Ready", "False", "LinkFailed", &["No."]).await;
    world.patch_state(link(SPEC)).await;
    ready(&world).await;
    assert_eq!(applied(&world).await, Vec::<String>::new());
}
