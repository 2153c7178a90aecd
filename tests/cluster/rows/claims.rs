//! One finance and operations environment has one connection.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::support::contoso::*;
use crate::support::{World, wait};

/// Creation times have whole seconds: waits until a new connection is younger.
async fn a_second_later(world: &World) {
    a_second_later_than(world, NAME).await;
}

async fn a_second_later_than(world: &World, name: &str) {
    let connection = world.connection(name).await;
    let created = connection["metadata"]["creationTimestamp"].as_str();
    let created: Timestamp = created.unwrap().parse().unwrap();
    wait::polling("the next second", Duration::from_secs(5), || async {
        (Timestamp::now().as_second() > created.as_second()).then_some(())
    })
    .await;
}

async fn conflict(world: &World, name: &str) -> Value {
    let object = world
        .wait_condition(name, "Ready", "False", Some("Conflict"))
        .await;
    assert_says(
        &object,
        "Stalled",
        "True",
        "Conflict",
        &["spec.mode: Observe", HOST],
    );
    object
}

#[tokio::test(flavor = "multi_thread")]
async fn the_older_of_two_connections_has_the_host() {
    let world = world(set_up()).await;
    connect(&world, json!({"link": {"method": "Manual"}})).await;
    says(&world, "Ready", "False", "AwaitingManualLink", &[]).await;
    a_second_later(&world).await;
    create(&world, "dwc", connection("contoso-second", json!({}))).await;
    let second = conflict(&world, "contoso-second").await;
    assert!(message(&second, "Ready").contains("'contoso-uat'"));
    quiet(&world, 2).await;
    assert_eq!(mutations(&world).await, Vec::<String>::new());
    says(&world, "Ready", "False", "AwaitingManualLink", &[]).await;

    // Observing claims nothing, and shows the truth.
    patch(
        &world,
        "dwc/contoso-second",
        json!({"spec": {"mode": "Observe"}}),
    )
    .await;
    let observing = world
        .wait_condition(
            "contoso-second",
            "Ready",
            "False",
            Some("AwaitingManualLink"),
        )
        .await;
    assert!(message(&observing, "Ready").contains("only observes"));
    patch(
        &world,
        "dwc/contoso-second",
        json!({"spec": {"mode": "Manage"}}),
    )
    .await;
    conflict(&world, "contoso-second").await;

    // When the older one goes, the other has the host, at once and by itself.
    delete(&world, &format!("dwc/{NAME}")).await;
    world
        .wait_condition("contoso-second", "Ready", "True", Some("Connected"))
        .await;
    assert_eq!(mutations(&world).await, ["createLink"]);
}

/// The name of a namespace, and of what is in it, is not for people of another one.
#[tokio::test(flavor = "multi_thread")]
async fn a_claim_in_another_namespace_is_not_named() {
    let mut first = builder().start().await;
    first.patch_state(set_up()).await;
    let second = World::builder().start().await;
    let namespaces = format!("{},{}", first.namespace, second.namespace);
    create_secrets(&first).await;
    create_secrets(&second).await;
    first
        .start_operator(&["--watch-namespaces", &namespaces])
        .await;
    connect(&first, json!({"link": {"method": "Manual"}})).await;
    says(&first, "Ready", "False", "AwaitingManualLink", &[]).await;
    a_second_later(&first).await;
    create(&second, "dwc", connection("fabrikam", json!({}))).await;
    let refused = conflict(&second, "fabrikam").await;
    let text = refused["status"].to_string();
    assert!(text.contains("in another namespace"), "{text}");
    assert!(!text.contains(&first.namespace), "{text}");
    // The name of the connection is also part of the host here, so it is looked for in quotes.
    assert!(!text.contains("'contoso-uat'"), "{text}");
    // Suspended, the older one claims nothing.
    change(&first, json!({"suspend": true})).await;
    second
        .wait_condition("fabrikam", "Ready", "True", Some("Connected"))
        .await;
    assert_eq!(mutations(&first).await, ["createLink"]);
}

/// Whoever cannot see the host claims nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_claim_needs_credentials_that_see_the_host() {
    let world = world(linked(SPEC)).await;
    let wrong = json!({"clientId": CLIENT, "clientSecret": "not-it"});
    secret(&world, "fabrikam-entra", wrong).await;
    let spec = json!({"credentials": {"secretRef": {"name": "fabrikam-entra"}}});
    connect(&world, spec).await;
    says(&world, "Ready", "False", "ClientSecretInvalid", &[]).await;
    a_second_later(&world).await;
    create(&world, "dwc", connection("contoso-second", json!({}))).await;
    world
        .wait_condition("contoso-second", "Ready", "True", Some("Connected"))
        .await;
}

/// Its own environment belongs to another host. That the service shows a link of this one is not enough: neither to keep the
/// owner out, nor to learn of him.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_the_environment_of_another_host_neither_claims_nor_learns() {
    let mut fabrikam = builder().start().await;
    fabrikam.patch_state(linked(SPEC)).await;
    let contoso = World::builder().start().await;
    let namespaces = format!("{},{}", fabrikam.namespace, contoso.namespace);
    create_secrets(&fabrikam).await;
    create_secrets(&contoso).await;
    fabrikam
        .start_operator(&["--watch-namespaces", &namespaces])
        .await;
    let squat = || json!({"dataverse": {"environmentId": PRODUCTION}});
    let squats = |name: &'static str| {
        let reason = Some("IntegratedWithOther");
        fabrikam.wait_condition(name, "Ready", "False", reason)
    };
    create(&fabrikam, "dwc", connection("elder", squat())).await;
    squats("elder").await;
    a_second_later_than(&fabrikam, "elder").await;
    connect(&contoso, json!({})).await;
    ready(&contoso).await;
    quiet(&fabrikam, 3).await;
    let owner = contoso.connection(NAME).await;
    assert_says(&owner, "Ready", "True", "Connected", &[]);

    a_second_later_than(&contoso, NAME).await;
    create(&fabrikam, "dwc", connection("younger", squat())).await;
    for object in [squats("elder").await, squats("younger").await] {
        let text = object["status"].to_string();
        for learnt in [
            &contoso.namespace,
            "another namespace",
            "another DualWriteConnection",
        ] {
            assert!(!text.contains(learnt), "{learnt}: {text}");
        }
    }
}
