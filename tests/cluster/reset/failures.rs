//! When it goes wrong at Microsoft's.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::contoso::*;
use crate::support::reset::*;

/// Accepted, and the link stays where it was: the maps stay stopped, and the message says what to do.
#[tokio::test(flavor = "multi_thread")]
async fn a_reset_that_stays_is_said_after_its_time() {
    let stays = finance_operations(json!({"resetEndsAt": "current"}));
    let (world, plan) = planned_world(stays, json!({"link": {"timeout": "30s"}})).await;
    approve(&world, &plan).await;
    let operation = ended(&world, &plan, &["Failed"], SLOW_ACT).await;
    assert_eq!(
        operation["status"]["reason"], "ResetDidNotRetarget",
        "{operation:#}"
    );
    let delete = format!("kubectl delete dwo {plan}");
    let parts = [
        "still linked to",
        SANDBOX,
        "stay stopped",
        "ConfigMap",
        "choose Reset",
        "reconcile-at",
        &delete,
    ];
    assert_tells(&operation, &parts);
    has_backup(&world, &operation).await;
    says(&world, "Ready", "False", "ResetDidNotRetarget", &parts).await;
    says(&world, "Stalled", "True", "ResetDidNotRetarget", &[]).await;
    event(&world, "ResetDidNotRetarget", &[]).await;
    quiet(&world, 2).await;
    assert_eq!(resets(&world).await, 1);
    nothing_is_asked_too_often(&world).await;
}

/// The answer is lost and nothing happens: it is never asked for again, and released by deleting it.
#[tokio::test(flavor = "multi_thread")]
async fn a_reset_of_which_nothing_is_known_is_for_a_person() {
    let (world, first) = planned_world(Value::Null, json!({"link": {"timeout": "30s"}})).await;
    world
        .fault(json!({"call": "resetLink", "effect": "lostBeforeEffect"}))
        .await;
    approve(&world, &first).await;
    let operation = ended(&world, &first, &["Unknown"], SLOW_ACT).await;
    assert_tells(
        &operation,
        &[
            "its answer was lost",
            "not sent again by itself",
            "stopped or missing",
            "ConfigMap",
        ],
    );
    let delete = format!("kubectl delete dwo {first}");
    says(&world, "Ready", "False", "OutcomeUnknown", &[&delete]).await;
    says(&world, "Stalled", "True", "OutcomeUnknown", &[]).await;
    event(&world, "OutcomeUnknown", &[]).await;
    // Neither a new look nor an edit sends it again, and no plan is made beside it.
    reconcile_at(&world, "again").await;
    change(&world, json!({"mismatch": {"force": true}})).await;
    quiet(&world, 2).await;
    assert_eq!(resets(&world).await, 1);
    assert_eq!(world.operations().await.len(), 1);
    // Let go of, it may be planned anew, and that needs an approval of its own.
    self::collect(&world, &format!("dwo/{first}")).await;
    let next = crate::support::reset::plan(&world).await;
    quiet(&world, 2).await;
    assert_eq!(resets(&world).await, 1, "{next}");
}

/// Refused: certainly nothing was reset, so the maps are started again.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_reset_is_taken_back() {
    let (world, plan) = planned_world(Value::Null, json!({})).await;
    let answer = json!({"status": 400, "body": {"error": {"message": "Failed to connect to CRM"}}});
    world
        .fault(json!({"call": "resetLink", "effect": answer}))
        .await;
    approve(&world, &plan).await;
    let operation = ended(&world, &plan, &["Failed"], ACT).await;
    assert_eq!(
        operation["status"]["reason"], "ResetFailed",
        "{operation:#}"
    );
    assert_tells(
        &operation,
        &[
            "has refused the reset",
            "Nothing was reset or deleted",
            "in the states that they had",
        ],
    );
    maps_become(&world, as_before()).await;
    assert_eq!(linked_to(&world).await, SANDBOX);
    says(&world, "Stalled", "True", "ResetFailed", &[]).await;
    quiet(&world, 2).await;
    assert_eq!(resets(&world).await, 1, "not asked for again by itself");
}

/// It is named; the rest is put back.
#[tokio::test(flavor = "multi_thread")]
async fn a_solution_that_fails_is_named_and_the_rest_is_restored() {
    let fails = finance_operations(
        json!({"solutions": {SALES: {"failsWith": "A dependency is missing."}}}),
    );
    let (world, plan) = planned_world(fails, json!({})).await;
    approve(&world, &plan).await;
    let operation = ended(&world, &plan, &["Failed"], ACT).await;
    assert_eq!(
        operation["status"]["reason"], "RestoreIncomplete",
        "{operation:#}"
    );
    assert_tells(
        &operation,
        &[
            "Not put back",
            SALES,
            "A dependency is missing",
            "Apply solution",
        ],
    );
    says(&world, "Stalled", "True", "RestoreIncomplete", &[SALES]).await;
    let now = maps_now(&world).await;
    assert_eq!(now[COMPANIES], as_before()[COMPANIES]);
    assert!(!now.contains_key(CUSTOMERS), "{now:?}");
    assert_eq!(resets(&world).await, 1);
    // The person applies it and starts its maps: then all is well, and the operation need not be deleted.
    let maps = with_maps(SPEC)["financeOperations"][HOST]["maps"].clone();
    world
        .patch_state(finance_operations(json!({"maps": maps})))
        .await;
    ready(&world).await;
}

/// The linked Dataverse was deleted: nothing can be stopped, so nothing is reset, and only Microsoft can help.
#[tokio::test(flavor = "multi_thread")]
async fn a_linked_dataverse_that_is_gone_ends_the_act_before_the_reset() {
    let gone = json!({"environments": {SANDBOX: null}});
    let world = world_with(drifted(), &FLAGS).await;
    world.patch_state(gone).await;
    connect(&world, asks()).await;
    let plan = crate::support::reset::plan(&world).await;
    let planned = world.get(&format!("dwo/{plan}")).await;
    let losses = planned["spec"]["losses"].to_string();
    assert!(losses.contains("only Microsoft can help"), "{losses}");
    approve(&world, &plan).await;
    let operation = ended(&world, &plan, &["Failed"], SLOW_ACT).await;
    assert_eq!(
        operation["status"]["reason"], "LinkedDataverseGone",
        "{operation:#}"
    );
    assert_tells(
        &operation,
        &["support request", SANDBOX, "Nothing was reset"],
    );
    says(&world, "Stalled", "True", "LinkedDataverseGone", &[]).await;
    assert_eq!(maps_now(&world).await, as_before());
    assert_eq!(resets(&world).await, 0);
    nothing_is_asked_too_often(&world).await;
}

/// Microsoft's list of maps lags behind what was done.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_maps_that_lags_leads_nobody_astray() {
    let lags = json!({"settings": {"lag": {"maps": "10m"}}});
    let (world, plan) = planned_world(lags, json!({})).await;
    approve(&world, &plan).await;
    let operation = ended(&world, &plan, &["Succeeded"], SLOW_ACT).await;
    is_restored(&world, &operation).await;
    nothing_is_asked_too_often(&world).await;
}

/// Every form in which the service accepts a change of maps.
#[tokio::test(flavor = "multi_thread")]
async fn every_form_of_acceptance_will_do() {
    for form in ["bareId", "plainId", "empty"] {
        let answer = finance_operations(json!({"startAnswer": form}));
        let (world, plan) = planned_world(answer, json!({})).await;
        approve(&world, &plan).await;
        let operation = ended(&world, &plan, &["Succeeded"], SLOW_ACT).await;
        is_restored(&world, &operation).await;
        for (what, (received, _)) in counted(&world).await {
            assert_eq!(received, 1, "{form}: {what}");
        }
    }
}

/// Its answer takes longer than a client usually waits; it is waited for.
#[tokio::test(flavor = "multi_thread")]
async fn a_reset_that_answers_slowly_is_waited_for() {
    // Three seconds, where other requests are given up after one.
    let slow = finance_operations(json!({"resetAnswerTakes": "1h"}));
    let (world, plan) = planned_world(slow, json!({})).await;
    let since = std::time::Instant::now();
    approve(&world, &plan).await;
    let operation = ended(&world, &plan, &["Succeeded"], ACT).await;
    assert!(since.elapsed() > Duration::from_secs(3));
    is_restored(&world, &operation).await;
    assert_eq!(
        step(&operation, "reset")["error"],
        Value::Null,
        "{operation:#}"
    );
}
