//! The main path, with the real operator process: from nothing to Ready, and what follows.

use crate::support::{World, contoso::quiet};
use serde_json::json;

const CONTOSO: &str = include_str!("../../examples/contoso-uat.yaml");

#[tokio::test(flavor = "multi_thread")]
async fn from_nothing_to_ready() {
    let mut world = World::builder().simulator().time_scale(600.0).start().await;
    world.start_operator(&[]).await;
    world
        .apply(&CONTOSO.replace("interval: 5m", "interval: 2s"))
        .await;
    let ready = world
        .wait_condition("contoso-uat", "Ready", "True", Some("Connected"))
        .await;
    assert_eq!(
        ready["status"]["adminUrl"],
        "https://contoso-uat.sandbox.operations.dynamics.com/?mi=DualWriteWorkspace"
    );
    let journal = world.journal().await;
    let calls: Vec<_> = journal
        .iter()
        .map(|entry| entry["call"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        calls,
        ["installApplication", "installApplication", "createLink"],
        "{journal:#?}"
    );
    println!(
        "{}",
        world
            .kubectl(&["describe", "dwc", "contoso-uat"])
            .await
            .ok()
    );
    // Ready comes before the last word: the end of the link is still being written.
    quiet(&world, 2).await;
    world.no_writes_in_passes(3).await;

    world
        .patch_state(
            json!({"financeOperations": {"contoso-uat.sandbox.operations.dynamics.com": {"link":
            {"environmentId": "c0a8f00d-0000-4000-8000-000000000020"}}}}),
        )
        .await;
    world
        .wait_condition("contoso-uat", "LinkingMismatch", "True", None)
        .await;
    println!(
        "{}",
        world
            .kubectl(&["describe", "dwc", "contoso-uat"])
            .await
            .ok()
    );
}
