//! What happens to a connection that was Ready.

use std::time::Instant;

use serde_json::json;

use crate::support::contoso::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_drifts_shows_within_an_interval() {
    let world = ready_world().await;
    let since = Instant::now();
    world.patch_state(link(PRODUCTION)).await;
    says(
        &world,
        "LinkingMismatch",
        "True",
        "SandboxProductionMix",
        &["stop the maps"],
    )
    .await;
    // A tenth of jitter, and the time that a loaded machine takes for a pass.
    assert!(since.elapsed() < INTERVAL * 5 / 2, "{:?}", since.elapsed());
    says(
        &world,
        "Ready",
        "False",
        "DifferentDestination",
        &["Remedy"],
    )
    .await;
    says(&world, "Stalled", "True", "DifferentDestination", &[]).await;
    world
        .wait_for("event", SOON, |event| {
            event["type"] == "Warning" && event["reason"] == "DifferentDestination"
        })
        .await;
    assert_eq!(mutations(&world).await, Vec::<String>::new());
    world.patch_state(link(SPEC)).await;
    ready(&world).await;
}

/// "Stopped overnight" is daily life: no alarm, no change, no write.
#[tokio::test(flavor = "multi_thread")]
async fn an_environment_that_is_stopped_overnight_alarms_nobody() {
    let world = ready_world().await;
    let before = world.connection(NAME).await;
    let events = world.events().await.len();
    world
        .patch_state(finance_operations(json!({"running": false})))
        .await;
    // The first look may note since when it is not seen.
    let control = world.simulator().control();
    control.clear_calls().await;
    control.called("financeOperationsRoot", 2, SOON).await;
    quiet(&world, 2).await;
    world.no_writes_in_passes(3).await;
    let during = world.connection(NAME).await;
    assert_eq!(
        during["status"]["conditions"],
        before["status"]["conditions"]
    );
    world
        .patch_state(finance_operations(json!({"running": true})))
        .await;
    control.clear_calls().await;
    control.called("getLink", 2, SOON).await;
    quiet(&world, 2).await;
    let after = world.connection(NAME).await;
    assert_eq!(
        after["status"]["conditions"],
        before["status"]["conditions"]
    );
    assert_eq!(mutations(&world).await, Vec::<String>::new());
    assert_eq!(world.events().await.len(), events);
}

/// A link that was seen is never made again by itself, whatever the spec allows.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_vanished_is_not_made_again() {
    let world = ready_world().await;
    world
        .patch_state(finance_operations(json!({"link": null})))
        .await;
    let control = world.simulator().control();
    control.clear_calls().await;
    control.called("getLink", 4, SOON).await;
    quiet(&world, 2).await;
    assert_eq!(mutations(&world).await, Vec::<String>::new());
    assert!(world.operations().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_integration_that_is_gone_is_said_after_a_second_look() {
    let world = ready_world().await;
    world.patch_state(not_integrated()).await;
    let connection = says(
        &world,
        "Ready",
        "False",
        "IntegrationNotSetUp",
        &["already uses"],
    )
    .await;
    assert_says(
        &connection,
        "LinkingMismatch",
        "True",
        "IntegrationNotSetUp",
        &[],
    );
    assert_eq!(mutations(&world).await, Vec::<String>::new());
}

/// Once linked, a package that fails or goes is shown, and Ready stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_package_that_is_gone_is_shown_and_not_installed() {
    let world = ready_world().await;
    world
        .patch_state(environment(
            SPEC,
            json!({"packages": {CORE: {"state": "None"}}}),
        ))
        .await;
    let connection = says(&world, "SetupComplete", "False", "NotInstalled", &[CORE]).await;
    assert_says(&connection, "Ready", "True", "Connected", &[]);
    quiet(&world, 2).await;
    assert_eq!(mutations(&world).await, Vec::<String>::new());
}

/// A blip of the reads shows nothing while Ready; a longer outage says so, and heals.
#[tokio::test(flavor = "multi_thread")]
async fn an_outage_keeps_what_was_known() {
    let world = ready_world().await;
    let fault = world
        .fault(json!({"call": "listEnvironments", "times": null, "effect": {"status": 503}}))
        .await;
    let connection = says(
        &world,
        "Reconciling",
        "True",
        "Retrying",
        &["Reads have failed since", "503"],
    )
    .await;
    assert_says(&connection, "Ready", "True", "Connected", &[]);
    quiet(&world, 2).await;
    world.simulator().control().remove_fault(&fault).await;
    world
        .wait_for(&format!("dwc/{NAME}"), SOON, |connection| {
            connection["status"]["failure"].is_null()
                && message(connection, "Reconciling").is_empty()
        })
        .await;
    ready(&world).await;
}
