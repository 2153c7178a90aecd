//! What can be seen from outside before a link is made: shown, told, healed, and never in the way.
#![allow(clippy::needless_pass_by_value)] // `json!` in place reads better than a reference to it

use std::time::Instant;

use serde_json::{Value, json};

use crate::support::contoso::*;
use crate::support::world::World;

const DATA_INTEGRATOR: &str = "2e49aa60-1bd3-43b6-8ab6-03ada3d9f08b";
const FINANCE_AND_OPERATIONS: &str = "00000015-0000-0000-c000-000000000000";

fn check<'a>(object: &'a Value, name: &str) -> &'a Value {
    let checks = object["status"]["checks"].as_array();
    checks
        .and_then(|checks| checks.iter().find(|check| check["name"] == name))
        .unwrap_or(&Value::Null)
}

async fn check_is(world: &World, name: &str, status: &str, parts: &[&str]) -> Value {
    let wanted = |object: &Value| {
        let found = check(object, name);
        let message = found["message"].as_str().unwrap_or_default();
        found["status"] == status && parts.iter().all(|part| message.contains(part))
    };
    world.wait_for(&format!("dwc/{NAME}"), SOON, wanted).await
}

fn dataverse(users: Value, companies: Value) -> Value {
    environment(
        SPEC,
        json!({"applicationUsers": users, "companies": companies}),
    )
}

fn as_it_should_be() -> Value {
    dataverse(
        json!([{"applicationId": FINANCE_AND_OPERATIONS}, {"applicationId": DATA_INTEGRATOR}]),
        json!([{"code": "USMF", "name": "Contoso US"}, {"code": "DEMF", "name": "Contoso DE"}]),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_checks_are_shown_and_told_first_and_heal() {
    let spoilt = dataverse(
        json!([{"applicationId": DATA_INTEGRATOR, "isDisabled": true}]),
        json!([{"code": "USMF", "name": "Contoso"}, {"code": "usmf", "name": ""}]),
    );
    let world = world(both(set_up(), spoilt)).await;
    connect(&world, json!({"link": {"method": "Manual"}})).await;
    let parts = [
        "Link to Power Platform environment",
        "To be mended first:",
        "Add 00000015-0000-0000-c000-000000000000",
        "Activate 2e49aa60-1bd3-43b6-8ab6-03ada3d9f08b",
        "1 row has a blank code or name; double are USMF",
        "Not in the table Company (cdm_company) of Dataverse: DEMF",
    ];
    let object = says(&world, "Ready", "False", "AwaitingManualLink", &parts).await;
    for (name, status) in [
        ("DataverseReachable", "Passed"),
        ("ApplicationUsers", "Failed"),
        ("CompanyNames", "Failed"),
        ("CompanyCount", "Passed"),
        ("LegalEntities", "Failed"),
        ("PackageVersions", "Passed"),
        ("FinanceOperations", "Unknown"),
    ] {
        assert_eq!(check(&object, name)["status"], status, "{name}: {object:#}");
    }
    // Nobody knows who made a link that this operator has not made.
    assert_eq!(check(&object, "LinkingIdentity"), &Value::Null);
    quiet(&world, 2).await;
    world.no_writes_in_passes(3).await;

    world.patch_state(as_it_should_be()).await;
    let object = check_is(&world, "ApplicationUsers", "Passed", &[]).await;
    for name in ["CompanyNames", "LegalEntities"] {
        assert_eq!(
            check(&object, name)["status"],
            "Passed",
            "{name}: {object:#}"
        );
    }
    let text = message(&object, "Ready");
    assert!(!text.contains("To be mended first"), "{text}");
    quiet(&world, 2).await;
    world.no_writes_in_passes(3).await;
    assert_eq!(mutations(&world).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_that_cannot_be_read_are_in_nobodys_way() {
    let world = world(set_up()).await;
    for call in ["listCompanies", "listSystemUsers"] {
        let denied =
            json!({"code": "0x80040220", "message": "Principal user is missing a privilege."});
        let fault = json!({"call": call, "times": null, "effect": {"status": 403, "body": {"error": denied}}});
        world.fault(fault).await;
    }
    connect(&world, json!({})).await;
    ready(&world).await;
    assert_eq!(mutations(&world).await, ["createLink"]);
    let object = check_is(
        &world,
        "CompanyNames",
        "Unknown",
        &["Application users", "missing a privilege"],
    )
    .await;
    assert_eq!(check(&object, "ApplicationUsers")["status"], "Unknown");
    quiet(&world, 2).await;
    world.no_writes_in_passes(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_account_than_the_one_that_linked_is_told() {
    let other = "second@contoso.com";
    let accounts =
        json!({"tenants": {TENANT: {"accounts": {other: {"password": "second-password"}}}}});
    let world = world(both(set_up(), accounts)).await;
    connect(&world, json!({})).await;
    ready(&world).await;
    let object = check_is(&world, "LinkingIdentity", "Passed", &[ACCOUNT]).await;
    assert_eq!(object["status"]["observed"]["link"]["linkedBy"], ACCOUNT);

    let second = json!({"username": other, "password": "second-password"});
    secret(&world, "contoso-dual-write-account", second).await;
    let object = check_is(
        &world,
        "LinkingIdentity",
        "Failed",
        &[ACCOUNT, other, "Kubernetes Secret"],
    )
    .await;
    // It is told, and it is no reason not to be Ready.
    assert_says(&object, "Ready", "True", "Connected", &[]);
    quiet(&world, 2).await;
    world.no_writes_in_passes(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn once_linked_the_checks_are_read_slowly() {
    let world = ready_world().await;
    let control = world.simulator().control();
    control.clear_calls().await;
    let since = Instant::now();
    control.called("getLink", 12, SOON).await;
    let calls = world.calls().await;
    // Every sixth interval, also where looks take longer.
    let most = 1 + since.elapsed().as_secs() / (6 * INTERVAL.as_secs());
    for call in ["listSystemUsers", "listCompanies"] {
        let count = calls[call].as_u64().unwrap_or(0);
        assert!((1..=most).contains(&count), "{call}: {calls:#}");
    }
}
