//! Deletion finishes at once, at any moment, and never leads to a second link.

use serde_json::{Value, json};

use crate::support::World;
use crate::support::contoso::*;

struct Moment {
    state: Value,
    spec: Value,
    ready: (&'static str, &'static str),
}

/// There is no garbage collector here, so operations stay, as they do with one that is late.
async fn goes_at_once(moment: Moment) {
    let mut world = builder().time_scale(1.0).start().await;
    if moment.state != Value::Null {
        world.patch_state(moment.state).await;
    }
    create_secrets(&world).await;
    world.start_operator(&[]).await;
    connect(&world, moment.spec).await;
    let (status, reason) = moment.ready;
    world
        .wait_condition(NAME, "Ready", status, Some(reason))
        .await;
    if matches!(reason, "Installing" | "Linking") {
        // From here on Microsoft works on it.
        let operation = |operation: &Value| operation["status"]["steps"][0]["state"] == "Sent";
        world.wait_for("dwo", SOON, operation).await;
    }
    let before = mutations(&world).await.len();
    let deleted = world
        .kubectl(&["delete", "dwc", NAME, "--wait", "--timeout=5s"])
        .await;
    deleted.ok();
    still(&world, INTERVAL * 2).await;
    assert_eq!(
        mutations(&world).await.len(),
        before,
        "nothing starts for what is gone"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn deletion_finishes_at_once_at_any_moment() {
    let wrong_cloud = json!({"credentials": {"secretRef": {"name": "not-there"}}});
    let moment = |state, spec, status, reason| Moment {
        state,
        spec,
        ready: (status, reason),
    };
    let moments = vec![
        (
            "at the first look",
            moment(Value::Null, json!({}), "Unknown", "Observing"),
        ),
        (
            "without credentials",
            moment(Value::Null, wrong_cloud, "False", "SecretNotFound"),
        ),
        (
            "awaiting a person",
            moment(not_integrated(), json!({}), "False", "NotIntegrated"),
        ),
        (
            "installing",
            moment(Value::Null, json!({}), "False", "Installing"),
        ),
        ("linking", moment(set_up(), json!({}), "False", "Linking")),
        (
            "stalled",
            moment(
                linked(PRODUCTION),
                json!({}),
                "False",
                "DifferentDestination",
            ),
        ),
        (
            "ready",
            moment(linked(SPEC), json!({}), "True", "Connected"),
        ),
    ];
    let moments = moments
        .into_iter()
        .map(|(name, moment)| (name.to_owned(), moment));
    side_by_side(moments.collect(), goes_at_once).await;
}

/// An operation whose request was accepted, and that Microsoft works on until its clock is moved.
async fn with_step_sent(world: &World, action: &str) -> String {
    let action = action.to_owned();
    let operation = world
        .wait_for("dwo", SOON, move |operation| {
            operation["spec"]["action"] == *action
                && operation["status"]["steps"][0]["state"] == "Sent"
        })
        .await;
    operation["metadata"]["name"].as_str().unwrap().to_owned()
}

/// Deleted and made again while Microsoft links: the operation outlives its connection, and there is one link.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_made_again_during_a_link_makes_no_second_one() {
    let mut world = builder().time_scale(1.0).start().await;
    world.patch_state(set_up()).await;
    create_secrets(&world).await;
    world.start_operator(&[]).await;
    connect(&world, json!({})).await;
    let operation = with_step_sent(&world, "Link").await;
    world
        .kubectl(&["delete", "dwc", NAME, "--wait", "--timeout=5s"])
        .await
        .ok();
    // What the garbage collector does for an owner that is gone; there is none here.
    delete(&world, &format!("dwo/{operation}")).await;
    let held = world.get(&format!("dwo/{operation}")).await;
    assert_eq!(held["metadata"]["finalizers"], json!(["dualwrite.dev/act"]));
    connect(&world, json!({})).await;
    says(
        &world,
        "Ready",
        "False",
        "Linking",
        &["of another DualWriteConnection"],
    )
    .await;
    quiet(&world, 2).await;
    world.simulator().control().advance("10m").await;
    ready(&world).await;
    world.wait_gone(&format!("dwo/{operation}"), SOON).await;
    quiet(&world, 2).await;
    assert_eq!(mutations(&world).await, ["createLink"]);
}

/// The same during an installation: the second package is the new connection's business.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_made_again_during_an_installation_goes_on_with_it() {
    let mut world = builder().time_scale(1.0).start().await;
    create_secrets(&world).await;
    world.start_operator(&[]).await;
    connect(&world, json!({"link": {"method": "Manual"}})).await;
    let operation = with_step_sent(&world, "Setup").await;
    delete(&world, &format!("dwc/{NAME}")).await;
    // What the garbage collector does.
    delete(&world, &format!("dwo/{operation}")).await;
    connect(&world, json!({"link": {"method": "Manual"}})).await;
    says(&world, "Ready", "False", "Installing", &[]).await;
    let control = world.simulator().control();
    control.advance("20m").await;
    world.wait_gone(&format!("dwo/{operation}"), SOON).await;
    control.called("installApplication", 2, SOON).await;
    control.advance("20m").await;
    says(&world, "Ready", "False", "AwaitingManualLink", &[]).await;
    assert_eq!(
        applied(&world).await,
        ["installApplication", "installApplication"]
    );
}
