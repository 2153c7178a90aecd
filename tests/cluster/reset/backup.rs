//! What is written down before a reset.

use serde_json::{Value, json};

use crate::support::contoso::*;
use crate::support::reset::*;
use crate::support::{Action, Match, Moment, World};

/// Holds the act between the stop of the maps and the reset, does something, and lets it go on.
async fn between_stop_and_reset(between: impl AsyncFnOnce(&World, &str)) -> (World, String) {
    let (world, plan) = planned_world(Value::Null, json!({})).await;
    let stopped = Match::status("dualwriteoperations")
        .body(|body| step_of(&body["status"], "stop-maps")["state"] == "Done");
    let rule = world.api.when(stopped).then(Moment::Before, Action::Hold);
    approve(&world, &plan).await;
    rule.fired(ACT).await;
    between(&world, &format!("{plan}-backup")).await;
    rule.release();
    (world, plan)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_was_deleted_is_written_again_before_the_reset() {
    let (world, plan) = between_stop_and_reset(async |world: &World, backup: &str| {
        collect(world, &format!("configmap/{backup}")).await;
    })
    .await;
    let operation = ended(&world, &plan, &["Succeeded"], ACT).await;
    is_restored(&world, &operation).await;
    assert_eq!(resets(&world).await, 1);
}

/// It cannot be relied on: the maps run again, and nothing was reset.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_was_altered_ends_the_act_before_the_reset() {
    let (world, plan) = between_stop_and_reset(async |world: &World, backup: &str| {
        // It is immutable, so somebody has to make another one in its place.
        collect(world, &format!("configmap/{backup}")).await;
        let altered = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": backup},
            "data": {"backup.yaml": "tableMaps: []\n"},
        });
        create(world, "configmap", altered).await;
    })
    .await;
    let operation = ended(&world, &plan, &["Failed"], ACT).await;
    assert_eq!(
        operation["status"]["reason"], "ResetFailed",
        "{operation:#}"
    );
    assert_tells(
        &operation,
        &[
            "The backup in ConfigMap",
            "is not what the operator has written",
            "in the states that they had",
        ],
    );
    is_unharmed(&world).await;
    says(&world, "Stalled", "True", "ResetFailed", &["backup"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_cannot_be_changed_and_outlives_its_connection() {
    let (world, plan) = planned_world(Value::Null, json!({})).await;
    approve(&world, &plan).await;
    ended(&world, &plan, &["Succeeded"], ACT).await;
    let name = format!("{plan}-backup");
    let change = json!({"data": {"backup.yaml": "nothing"}}).to_string();
    let args = ["patch", "configmap", &name, "--type=merge", "-p", &change];
    let refused = world.kubectl(&args).await.err();
    assert!(refused.contains("immutable"), "{refused}");
    let backup = world.get(&format!("configmap/{name}")).await;
    assert_eq!(backup["metadata"]["ownerReferences"], Value::Null);
    let selector = format!("dualwrite.dev/backup=true,dualwrite.dev/connection={NAME}");
    let listed = world
        .kubectl(&["get", "configmap", "-l", &selector, "-o", "name"])
        .await
        .ok();
    assert_eq!(listed.trim(), format!("configmap/{name}"));
}

/// Nothing is touched before it is written: the namespace has no room for it, or does not let the operator.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_backup_nothing_is_stopped() {
    let (world, plan) = planned_world(Value::Null, json!({})).await;
    let refused = Action::Answer {
        status: 403,
        retry_after: None,
    };
    let creation = world.api.when(Match::create("configmaps")).times(1000);
    let rule = creation.then(Moment::Before, refused);
    approve(&world, &plan).await;
    rule.fired_times(2, ACT).await;
    let said = |operation: &Value| {
        let message = operation["status"]["message"].as_str().unwrap_or_default();
        message.contains("ConfigMaps in the namespace")
            && message.contains("dualwrite-operator-namespace")
    };
    world.wait_for(&format!("dwo/{plan}"), SOON, said).await;
    assert_eq!(requests(&world).await, Vec::<Value>::new());
    rule.cancel();
    let operation = ended(&world, &plan, &["Succeeded"], ACT).await;
    is_restored(&world, &operation).await;
}

/// Seven backups, and the newest five stay; those of another connection are not counted.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_five_backups_are_kept() {
    let (world, plan) = planned_world(Value::Null, json!({})).await;
    let earlier = |connection: &str, number: usize| {
        let name = format!("{connection}-reset-{number}");
        json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {
                "name": format!("{name}-backup"),
                "labels": {"dualwrite.dev/backup": "true", "dualwrite.dev/connection": connection},
                "annotations": {"dualwrite.dev/operation": name},
            },
        })
    };
    for number in 1..=6 {
        create(&world, "configmap", earlier(NAME, number)).await;
    }
    create(&world, "configmap", earlier("fabrikam", 1)).await;
    approve(&world, &plan).await;
    let operation = ended(&world, &plan, &["Succeeded"], ACT).await;
    has_backup(&world, &operation).await;
    let left = backups(&world).await;
    assert_eq!(left.len(), 6, "{left:?}");
    assert!(
        left.contains(&"fabrikam-reset-1-backup".to_owned()),
        "{left:?}"
    );
}
