//! Who approves, and what happens then.

use serde_json::{Value, json};

use crate::support::Role;
use crate::support::contoso::*;
use crate::support::reset::*;

/// By the printed command, as a person who may approve.
#[tokio::test(flavor = "multi_thread")]
async fn an_approved_plan_is_carried_out() {
    let (world, plan) = planned_world(Value::Null, json!({})).await;
    let connection = world.connection(NAME).await;
    let said = message(&connection, "Ready");
    let (_, command) = said.split_once("Approve it: kubectl ").expect("a command");
    let args: Vec<String> = command
        .split_whitespace()
        .map(|word| word.trim_matches('\'').to_owned())
        .collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let approver = world.person(Role::Approver).await;
    approver.run(&args).await.ok();
    let operation = ended(&world, &plan, &["Succeeded"], ACT).await;
    is_restored(&world, &operation).await;
    let approved = &operation["status"]["approved"];
    assert_eq!(approved["fieldManager"], "kubectl-patch", "{operation:#}");
    assert!(approved["at"].is_string(), "{operation:#}");
    assert_tells(
        &operation,
        &[
            "was reset and is linked to 'Contoso UAT'",
            "in the states that they had",
            "ConfigMap",
        ],
    );
    event(&world, "Approved", &["kubectl-patch"]).await;
    event(&world, "Resetting", &[]).await;
    event(&world, "Reset", &["was reset"]).await;
    ready(&world).await;
    // Each request once, and one thing after the other.
    let calls: Vec<String> = requests(&world)
        .await
        .iter()
        .map(|entry| entry["call"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        calls,
        [
            "startMaps",
            "resetLink",
            "applySolution",
            "applySolution",
            "setIntegrationKeys",
            "startMaps",
            "switchActiveVersion",
            "startMaps",
            "startMaps",
            "startMaps",
        ]
    );
    let reset = &requests(&world).await[1];
    assert_eq!(reset["body"]["powerAppsEnvironmentName"], SPEC);
    assert_eq!(reset["body"]["legalEntities"], json!(["USMF", "DEMF"]));
    assert!(
        reset["query"]
            .as_str()
            .unwrap()
            .contains("forceReset=false")
    );
    // Every start skips the initial sync.
    for start in requests(&world)
        .await
        .iter()
        .filter(|entry| entry["body"]["action"] == "1")
    {
        for detail in start["body"]["details"].as_array().unwrap() {
            assert_eq!(detail["parameters"]["skipInitialSync"], true, "{start:#}");
        }
    }
    // What it took away and put back is proven, and so a next plan knows what brings the maps.
    world.patch_state(link(SANDBOX)).await;
    let next = crate::support::reset::plan(&world).await;
    let next = world.get(&format!("dwo/{next}")).await;
    for map in next["spec"]["reliesOn"]["maps"].as_array().unwrap() {
        assert!(map["solution"].is_string(), "{map}");
    }
}

/// Editors of connections decide nothing.
#[tokio::test(flavor = "multi_thread")]
async fn an_editor_cannot_approve() {
    let (world, plan) = planned_world(Value::Null, json!({})).await;
    let editor = world.person(Role::Editor).await;
    let approval = json!({"spec": {"approval": "Approved"}}).to_string();
    let args = ["patch", "dwo", &plan, "--type=merge", "-p", &approval];
    let refused = editor.run(&args).await.err();
    assert!(refused.contains("orbidden"), "{refused}");
    assert_eq!(requests(&world).await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn automatic_on_a_sandbox_needs_nobody() {
    let automatic = json!({"mismatch": {"approval": "Automatic"}});
    let world = drifted_world(Value::Null, automatic).await;
    let succeeded = |operation: &Value| operation["status"]["phase"] == "Succeeded";
    let operation = world.wait_for("dwo", ACT, succeeded).await;
    assert_eq!(operation["spec"]["approval"], "NotRequired");
    assert_eq!(operation["status"]["approved"], Value::Null);
    is_restored(&world, &operation).await;
    ready(&world).await;
    assert_eq!(resets(&world).await, 1);
}

/// What may be production waits for a person, whatever the spec says, unless it says it twice.
#[tokio::test(flavor = "multi_thread")]
async fn automatic_on_production_waits_for_a_person() {
    let production = "contoso.operations.dynamics.com";
    let drifted = json!({"financeOperations": {production: {"link": {"environmentId": SANDBOX}}}});
    let world = world_with(both(other_sandbox(), drifted), &FLAGS).await;
    let spec = json!({
        "financeOperations": {"url": format!("https://{production}")},
        "dataverse": {"environmentId": PRODUCTION},
        "mismatch": {"approval": "Automatic"},
    });
    connect(&world, both(asks(), spec)).await;
    let plan = crate::support::reset::plan(&world).await;
    let parts = [
        "Automatic does not hold where production is, or may be",
        "mismatch.allowProduction: true",
    ];
    says(&world, "Ready", "False", "DifferentDestination", &parts).await;
    quiet(&world, 2).await;
    assert_eq!(requests(&world).await, Vec::<Value>::new());
    change(&world, json!({"mismatch": {"allowProduction": true}})).await;
    ended(&world, &plan, &["Void"], ACT).await;
    let succeeded = |operation: &Value| operation["status"]["phase"] == "Succeeded";
    let operation = world.wait_for("dwo", ACT, succeeded).await;
    assert_eq!(operation["spec"]["approval"], "NotRequired");
}

/// Approved while the connection is suspended: that counts for nothing, and the facts are planned again for another approval.
#[tokio::test(flavor = "multi_thread")]
async fn suspending_takes_an_approval_back() {
    let (world, plan) = planned_world(Value::Null, json!({})).await;
    change(&world, json!({"suspend": true})).await;
    world
        .wait_condition(NAME, "Ready", "Unknown", Some("Suspended"))
        .await;
    approve(&world, &plan).await;
    let given_up = ended(&world, &plan, &["Void"], ACT).await;
    assert_tells(&given_up, &["approval is taken back", "suspended"]);
    change(&world, json!({"suspend": false})).await;
    let other = |operation: &Value| {
        operation["status"]["phase"] == "AwaitingApproval"
            && operation["metadata"]["uid"] != given_up["metadata"]["uid"]
    };
    let next = world.wait_for("dwo", ACT, other).await;
    assert_eq!(next["spec"]["approval"], "Pending");
    assert_eq!(requests(&world).await, Vec::<Value>::new());
}

/// Deleted before it begins: nothing happens, and the facts are planned again for another approval.
#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_is_deleted_is_made_again() {
    let (world, plan) = planned_world(Value::Null, json!({})).await;
    let deleted = world.get(&format!("dwo/{plan}")).await;
    delete(&world, &format!("dwo/{plan}")).await;
    let other = |operation: &Value| {
        operation["status"]["phase"] == "AwaitingApproval"
            && operation["metadata"]["uid"] != deleted["metadata"]["uid"]
    };
    let next = world.wait_for("dwo", ACT, other).await;
    assert_eq!(next["spec"]["approval"], "Pending");
    assert_eq!(requests(&world).await, Vec::<Value>::new());
}
