//! What the API server accepts and refuses, asked of a real one: every rule of both resources has a manifest that passes
//! and one that is refused with the rule's message, and the rules are counted, so that none is without.
#![allow(clippy::too_many_lines)] // tables of what is accepted and refused

mod manifests;
#[path = "../../crates/plan/tests/plan/support/mod.rs"]
mod plan_support;

use dualwrite_api::{DualWriteConnection, DualWriteOperation};
use kube::CustomResourceExt as _;
use serde_json::{Map, Value, json};

use manifests::*;

#[tokio::test]
async fn a_connection_of_a_good_shape_is_accepted() {
    let client = client().await;
    let long = "a".repeat(60);
    let good: Vec<(&str, Value)> = vec![
        (
            "financeOperations.url",
            json!("https://contoso.operations.dynamics.com/"),
        ),
        (
            "financeOperations.url",
            json!("https://Contoso-DEV.cloudax.dynamics.com"),
        ),
        (
            "financeOperations.url",
            json!(format!("https://{long}.operations.dynamics.com")),
        ),
        ("financeOperations.lcsProjectId", Value::Null),
        (
            "dataverse.environmentId",
            json!("Default-6f2c8d0e-0000-4000-8000-000000000001"),
        ),
        (
            "dataverse.environmentId",
            json!("6F2C8D0E-0000-4000-8000-000000000001"),
        ),
        (
            "credentials.tenantId",
            json!("72F988BF-0000-4000-8000-000000000001"),
        ),
        ("credentials.secretRef.name", json!("contoso.entra-1")),
        ("dualWriteService", Value::Null),
        ("mode", json!("Observe")),
        ("suspend", json!(true)),
        ("interval", json!("0s")),
        ("interval", json!("24h")),
        ("interval", json!("1h30m10s")),
        ("cloud", json!("Gcc")),
        ("cloud", json!("GccHigh")),
        ("cloud", json!("DoD")),
        ("cloud", json!("China")),
        ("setup.method", json!("Manual")),
        ("setup.acceptTerms", json!(false)),
        (
            "setup.applications",
            json!(["DualWriteCoreAnchor", "msdyn_DualWriteAppCoreAnchor"]),
        ),
        ("setup.timeout", json!("1m")),
        ("setup.timeout", json!("24h")),
        ("link.method", json!("Service")),
        ("link.observe", json!("Never")),
        ("link.legalEntities", Value::Null),
        ("link.legalEntities", json!(["USMF", "de-01", "x_1"])),
        ("link.timeout", json!("30s")),
        ("link.timeout", json!("24h")),
        ("link.manualTimeout", json!("1d")),
        ("link.manualTimeout", json!("365d")),
        ("link.manualTimeout", json!("36h")),
        ("link.manualTimeout", json!("1s")),
        (
            "mismatch",
            json!({"policy": "Report", "approval": "Required", "startMaps": "Never", "force": false,
                            "allowProduction": false, "onMix": "Report"}),
        ),
        ("mismatch", json!({"policy": "Reset"})),
        (
            "mismatch",
            json!({"policy": "Reset", "approval": "Automatic", "startMaps": "AsBefore", "force": true,
                            "allowProduction": true, "onMix": "StopMaps"}),
        ),
        ("mismatch.onMix", json!("StopMaps")),
        ("deletionPolicy", json!("Retain")),
        ("deletionPolicy", json!("StopMaps")),
    ];
    assert_eq!(create(&client, &connection()).await, Ok(()));
    for (path, value) in good {
        assert_eq!(
            create(&client, &changed(&[(path, value.clone())])).await,
            Ok(()),
            "{path}: {value}"
        );
    }
    // What one rule refuses together, and takes apart.
    let twins = [
        vec![
            ("credentials.secretRef", Value::Null),
            ("credentials.ambient", json!(true)),
        ],
        vec![
            ("credentials.secretRef", Value::Null),
            ("credentials.serviceAccountRef", json!({"name": "erp"})),
            (
                "credentials.clientId",
                json!("4d1a0c5e-0000-4000-8000-000000000002"),
            ),
        ],
        vec![("credentials.ambient", json!(false))],
        vec![
            ("mismatch.policy", json!("Report")),
            ("dualWriteService", Value::Null),
            ("link.legalEntities", Value::Null),
        ],
        vec![
            ("mismatch.policy", json!("Report")),
            ("link.observe", json!("Never")),
        ],
        vec![
            ("mismatch.policy", json!("Reset")),
            ("link.legalEntities", json!(["USMF"])),
        ],
        vec![
            ("mismatch.onMix", json!("StopMaps")),
            ("link.legalEntities", Value::Null),
        ],
        vec![
            ("mismatch.onMix", json!("Report")),
            ("dualWriteService", Value::Null),
        ],
        vec![
            ("deletionPolicy", json!("Retain")),
            ("dualWriteService", Value::Null),
        ],
        vec![
            ("deletionPolicy", json!("Retain")),
            ("link.observe", json!("Never")),
        ],
    ];
    // A chart writes null where nothing is given.
    let mut nothing = connection();
    nothing["spec"]["credentials"]["ambient"] = Value::Null;
    assert_eq!(create(&client, &nothing).await, Ok(()));
    for changes in twins {
        assert_eq!(
            create(&client, &changed(&changes)).await,
            Ok(()),
            "{changes:?}"
        );
    }
}

#[tokio::test]
async fn the_examples_are_accepted() {
    let client = client().await;
    let mut found = 0;
    for text in [
        include_str!("../../examples/contoso-uat.yaml"),
        include_str!("../../examples/watch-only.yaml"),
        include_str!("../../examples/reset/contoso-uat.yaml"),
    ] {
        for document in serde_norway::Deserializer::from_str(text) {
            let mut manifest: Value = serde::Deserialize::deserialize(document).unwrap();
            if manifest["kind"] == "DualWriteConnection" {
                manifest["metadata"]["namespace"] = json!("default");
                manifest["metadata"]["name"] = json!("an-example");
                assert_eq!(create(&client, &manifest).await, Ok(()), "{manifest:#}");
                found += 1;
            }
        }
    }
    assert_eq!(found, 3);
}

/// Each with the part of the message that a person needs.
fn bad() -> Vec<(Vec<(&'static str, Value)>, &'static str)> {
    let url = "write https:// and a host name, nothing else";
    let environment = "write the environment id from the Power Platform admin center";
    let mut all = vec![
        (
            vec![
                ("link.method", json!("Service")),
                ("dualWriteService", Value::Null),
            ],
            "needs dualWriteService",
        ),
        (
            vec![
                ("link.method", json!("Service")),
                ("link.legalEntities", Value::Null),
            ],
            "needs link.legalEntities",
        ),
        (
            vec![
                ("link.method", json!("Service")),
                ("link.legalEntities", json!([])),
            ],
            "needs link.legalEntities",
        ),
        (
            vec![("credentials.secretRef", Value::Null)],
            "give exactly one source of credentials",
        ),
        (
            vec![("credentials.serviceAccountRef", json!({"name": "erp"}))],
            "give exactly one source of credentials",
        ),
        (
            vec![("credentials.ambient", json!(true))],
            "give exactly one source of credentials",
        ),
        (
            vec![
                ("credentials.secretRef", Value::Null),
                ("credentials.ambient", json!(false)),
            ],
            "or ambient: true",
        ),
        (
            vec![
                ("credentials.secretRef", Value::Null),
                ("credentials.serviceAccountRef", json!({"name": "erp"})),
                (
                    "credentials.clientId",
                    json!("4d1a0c5e-0000-4000-8000-000000000002"),
                ),
                ("credentials.ambient", json!(true)),
            ],
            "give exactly one source of credentials",
        ),
        (
            vec![
                ("credentials.secretRef", Value::Null),
                (
                    "credentials.clientId",
                    json!("4d1a0c5e-0000-4000-8000-000000000002"),
                ),
                ("credentials.ambient", json!(true)),
            ],
            "with ambient, the operator's pod has its own",
        ),
        (
            vec![
                ("credentials.secretRef", Value::Null),
                ("credentials.serviceAccountRef", json!({"name": "erp"})),
            ],
            "serviceAccountRef needs credentials.clientId",
        ),
        (
            vec![
                ("credentials.secretRef", Value::Null),
                ("credentials.serviceAccountRef", json!({"name": "erp"})),
                ("credentials.clientId", json!("erp")),
            ],
            "client) id as a UUID",
        ),
        (
            vec![("setup.applications", json!(["a", "a"]))],
            "Duplicate value",
        ),
        (vec![("setup.applications", json!([]))], "at least 1 items"),
        (
            vec![("setup.applications", json!(vec!["a"; 21]))],
            "must have at most 20 items",
        ),
        (
            vec![("link.legalEntities", json!(["USMF", "USMF"]))],
            "Duplicate value",
        ),
        (
            vec![("link.legalEntities", json!(vec!["a"; 251]))],
            "must have at most 250 items",
        ),
        (
            vec![("link.legalEntities", json!(["12345678901"]))],
            "may not be more than 10",
        ),
        (
            vec![("mode", json!("Watch"))],
            "supported values: \"Manage\", \"Observe\"",
        ),
        (
            vec![("cloud", json!("Moon"))],
            "supported values: \"Public\"",
        ),
        (
            vec![("financeOperations", Value::Null)],
            "spec.financeOperations: Required value",
        ),
        (
            vec![("financeOperations.url", Value::Null)],
            "url: Required value",
        ),
        (
            vec![("dataverse", Value::Null)],
            "spec.dataverse: Required value",
        ),
        (
            vec![("credentials", Value::Null)],
            "spec.credentials: Required value",
        ),
        (
            vec![("dualWriteService.secretRef", Value::Null)],
            "secretRef: Required value",
        ),
    ];
    let mut one = |path, values: &[&str], message| {
        all.extend(
            values
                .iter()
                .map(|&value| (vec![(path, json!(value))], message)),
        );
    };
    let urls = [
        "http://contoso.operations.dynamics.com",
        "contoso.operations.dynamics.com",
        "https://user@contoso.operations.dynamics.com",
        "https://user:word@contoso.operations.dynamics.com",
        "https://contoso.operations.dynamics.com:8443",
        "https://contoso.operations.dynamics.com/path",
        "https://contoso.operations.dynamics.com?q=1",
        "https://contoso.operations.dynamics.com#top",
        "https://contoso.operations.dynamics.com.",
        "https://127.0.0.1",
        "https://[::1]",
        "https://2130706433",
        "https://localhost",
        "https://xn--contoso-x2a.dynamics.com",
        "https://contoso.XN--x2a.com",
        "https://contoso.operations.dynamics.com\nhttps://fabrikam.example",
        "https://contoso.operations.dynamics.com ",
        "",
    ];
    one("financeOperations.url", &urls, url);
    one("dualWriteService.url", &urls, url);
    one(
        "financeOperations.lcsProjectId",
        &["", "12a", "-1"],
        "write the number at the end",
    );
    one(
        "dataverse.environmentId",
        &[
            "",
            "Contoso UAT",
            "default-1",
            "6f2c8d0e-0000-4000-8000-00000000000",
        ],
        environment,
    );
    one(
        "credentials.tenantId",
        &["", "contoso.com", "{72f988bf-0000-4000-8000-000000000001}"],
        "tenant's id as a UUID",
    );
    one(
        "credentials.clientId",
        &["72f988bf-0000-4000-8000-000000000001"],
        "clientId belongs to serviceAccountRef",
    );
    one(
        "credentials.secretRef.name",
        &["Contoso", "a/b", "-a"],
        "write the name of an object in this namespace",
    );
    one(
        "interval",
        &["", "5", "5 m", "-5m", "25h", "1d", "1.5h", "m5"],
        "from 0s to 24h",
    );
    one("setup.timeout", &["", "59s", "25h", "90"], "from 1m to 24h");
    one(
        "link.timeout",
        &["", "29s", "24h1s", "15min"],
        "from 30s to 24h",
    );
    one(
        "link.manualTimeout",
        &["", "0d", "366d", "8761h", "0s", "1w", "1d12h"],
        "up to 365d",
    );
    one(
        "mismatch.policy",
        &["reset", ""],
        "supported values: \"Report\", \"Reset\"",
    );
    one(
        "mismatch.approval",
        &["Never"],
        "supported values: \"Required\", \"Automatic\"",
    );
    one(
        "mismatch.startMaps",
        &["Always"],
        "supported values: \"Never\", \"AsBefore\"",
    );
    one(
        "mismatch.onMix",
        &["Stop"],
        "supported values: \"Report\", \"StopMaps\"",
    );
    one(
        "deletionPolicy",
        &["Delete"],
        "supported values: \"Retain\", \"StopMaps\"",
    );
    all.extend(without_what_it_needs());
    for name in ["Dual-write application core", "1a", "a/b", "a?b", "a%2Fb"] {
        all.push((
            vec![("setup.applications", json!([name]))],
            "write unique names of application packages",
        ));
    }
    for name in ["US MF", "a/b", "ä"] {
        all.push((
            vec![("link.legalEntities", json!([name]))],
            "write company ids as finance and operations shows them",
        ));
    }
    all
}

/// What destroys or stops something, without what the operator needs for it.
fn without_what_it_needs() -> Vec<(Vec<(&'static str, Value)>, &'static str)> {
    let reset = ("mismatch.policy", json!("Reset"));
    let mix = ("mismatch.onMix", json!("StopMaps"));
    let service = ("dualWriteService", Value::Null);
    let unobserved = ("link.observe", json!("Never"));
    let companies = |value| ("link.legalEntities", value);
    let needs_service =
        "mismatch.policy Reset needs dualWriteService (url and secretRef) and link.observe: Always";
    let needs_companies = "mismatch.policy Reset needs link.legalEntities";
    let mix_needs = "mismatch.onMix StopMaps needs dualWriteService (url and secretRef) and link.observe: Always";
    let deletion_needs = "deletionPolicy StopMaps needs dualWriteService (url and secretRef) and link.observe: Always";
    vec![
        (vec![reset.clone(), service.clone()], needs_service),
        (vec![reset.clone(), unobserved.clone()], needs_service),
        (vec![reset.clone(), companies(Value::Null)], needs_companies),
        (vec![reset, companies(json!([]))], needs_companies),
        (vec![mix.clone(), service.clone()], mix_needs),
        (vec![mix, unobserved.clone()], mix_needs),
        (
            vec![("deletionPolicy", json!("StopMaps")), service],
            deletion_needs,
        ),
        (
            vec![("deletionPolicy", json!("StopMaps")), unobserved],
            deletion_needs,
        ),
    ]
}

#[tokio::test]
async fn a_connection_of_a_bad_shape_is_refused_with_what_to_write() {
    let client = client().await;
    let refusals = Refusals::default();
    for (changes, part) in bad() {
        let answer = create(&client, &changed(&changes)).await;
        refusals.refused(&format!("{changes:?}"), answer, part);
    }
    let stored = store(&client, &connection(), "stored").await;
    let moved = set(
        stored.clone(),
        "financeOperations.url",
        json!("https://fabrikam.operations.dynamics.com"),
    );
    refusals.refused(
        "another url",
        replace(&client, &moved).await,
        "financeOperations.url cannot be changed",
    );
    for (path, value) in [
        (
            "dataverse.environmentId",
            json!("6f2c8d0e-0000-4000-8000-000000000002"),
        ),
        ("credentials.secretRef.name", json!("contoso-entra-2")),
        ("suspend", json!(true)),
    ] {
        assert_eq!(
            replace(&client, &set(stored.clone(), path, value)).await,
            Ok(()),
            "{path}"
        );
    }
    refusals.cover(&DualWriteConnection::crd());
}

#[tokio::test]
async fn the_defaults_are_those_of_the_design() {
    let client = client().await;
    let mut minimal = connection();
    for path in ["dualWriteService", "setup", "link"] {
        minimal = set(minimal, path, Value::Null);
    }
    let manifest = store(&client, &minimal, "defaults").await;
    let stored = api(&client, &manifest).get("defaults").await.unwrap();
    let spec = &stored.data["spec"];
    assert_eq!(
        (&spec["mode"], &spec["suspend"]),
        (&json!("Manage"), &json!(false))
    );
    assert_eq!(
        (&spec["interval"], &spec["cloud"]),
        (&json!("5m"), &json!("Public"))
    );
    assert_eq!(
        spec["setup"],
        json!({"method": "Install", "acceptTerms": false, "timeout": "90m"})
    );
    let link =
        json!({"method": "Manual", "observe": "Always", "timeout": "15m", "manualTimeout": "7d"});
    assert_eq!(spec["link"], link);
    let mismatch = json!({"policy": "Report", "approval": "Required", "approvalTimeout": "24h", "startMaps": "Never", "force": false,
                          "allowProduction": false, "onMix": "Report"});
    assert_eq!(spec["mismatch"], mismatch);
    assert_eq!(spec["deletionPolicy"], json!("Retain"));
}

#[tokio::test]
async fn a_plan_of_a_reset_is_accepted_and_none_of_it_can_be_changed() {
    let client = client().await;
    let refusals = Refusals::default();
    let stop = plan_support::planned_stop().spec;
    let stop = with_spec(operation(), &serde_json::to_value(stop).unwrap());
    assert_eq!(create(&client, &stop).await, Ok(()));

    let plan = serde_json::to_value(plan_support::planned_reset().spec).unwrap();
    let stored = store(&client, &with_spec(operation(), &plan), "reset").await;
    assert_eq!(replace(&client, &stored).await, Ok(()));
    let (relies_on, steps) = (&plan["reliesOn"], &plan["steps"]);
    let other_map = |key: &str, value: Value| {
        let mut maps = relies_on["maps"].clone();
        maps[0][key] = value;
        ("reliesOn.maps", maps)
    };
    let other_step = |key: &str, value: Value| {
        let mut steps = steps.clone();
        steps[1][key] = value;
        ("steps", steps)
    };
    let other_key = |key: &str, value: Value| {
        let mut keys = relies_on["integrationKeys"].clone();
        keys[0][key] = value;
        ("reliesOn.integrationKeys", keys)
    };
    let backwards = |list: &Value| {
        let mut items = list.as_array().unwrap().clone();
        assert!(items.len() > 1, "nothing to turn around: {list}");
        items.reverse();
        Value::Array(items)
    };
    let changes = [
        ("options.force", json!(true)),
        (
            "options.startMaps",
            json!(plan["options"]["startMaps"] != json!(true)),
        ),
        ("options.onDeletion", json!(true)),
        ("options.stepTimeout", json!("24h")),
        ("options", Value::Null),
        ("reliesOn.integration", json!("another")),
        ("reliesOn.link", json!("another")),
        ("reliesOn.legalEntities", json!(["FRRT"])),
        ("reliesOn.connectionSet", Value::Null),
        ("reliesOn.connectionSet.id", json!("another")),
        ("reliesOn.connectionSet.name", json!("another")),
        ("reliesOn.connectionSet.legalEntities", json!(["FRRT"])),
        (
            "reliesOn.connectionSet.environmentVisible",
            json!(relies_on["connectionSet"]["environmentVisible"] != json!(true)),
        ),
        ("reliesOn.maps", Value::Null),
        // The order of what is done is part of the plan.
        ("reliesOn.maps", backwards(&relies_on["maps"])),
        ("reliesOn.solutions", backwards(&relies_on["solutions"])),
        ("steps", backwards(steps)),
        ("losses", backwards(&plan["losses"])),
        other_map("name", json!("another")),
        other_map("state", json!("None")),
        other_map("version", json!("9.9.9.9")),
        other_map("author", json!("another")),
        other_map("project", json!("another")),
        other_map("solution", json!("another")),
        other_map("after", json!(["another"])),
        ("reliesOn.solutions", json!(["another"])),
        ("reliesOn.integrationKeys", Value::Null),
        other_key("entity", json!("another")),
        other_key("fields", json!(["another"])),
        other_step("name", json!("another")),
        other_step("what", json!("another")),
        other_step("maps", json!(["another"])),
        other_step("destructive", json!(true)),
        other_step("needsPerson", json!(true)),
        other_step("usuallyTakes", json!("another")),
        ("losses", json!([])),
    ];
    let what_to_do = "the plan of an operation cannot be changed, only its approval: delete the operation and let the \
                      operator plan again";
    for (path, value) in changes {
        let answer = replace(&client, &set(stored.clone(), path, value.clone())).await;
        refusals.refused(&format!("{path} = {value}"), answer, what_to_do);
        // Not under cover of an approval either.
        let approved = set(stored.clone(), path, value.clone());
        let answer = replace(&client, &set(approved, "approval", json!("Approved"))).await;
        refusals.refused(&format!("{path} = {value}, approved"), answer, what_to_do);
    }
    for to in ["Approved", "Rejected"] {
        let decided = set(stored.clone(), "approval", json!(to));
        assert_eq!(replace(&client, &decided).await, Ok(()), "{to}");
    }

    // A plan without options gets none.
    let without = store(
        &client,
        &set(stored.clone(), "options", Value::Null),
        "without",
    )
    .await;
    let answer = replace(&client, &set(without, "options", json!({"force": true}))).await;
    refusals.refused("options that come later", answer, what_to_do);
}

#[tokio::test]
async fn a_plan_is_bounded() {
    let client = client().await;
    let refusals = Refusals::default();
    let plan = serde_json::to_value(plan_support::planned_reset().spec).unwrap();
    let manifest = with_spec(operation(), &plan);
    let long = |length: usize| json!("a".repeat(length));
    let map = |name: Value| json!({"name": name, "state": "Running"});
    let step = json!({"name": "a", "what": "a", "destructive": false, "usuallyTakes": "a"});
    // As long as the client keeps a text, and as many as there may be.
    let most = [
        ("reliesOn.maps", json!(vec![map(long(200)); 1000])),
        ("reliesOn.maps", json!([map(long(2048))])),
        ("reliesOn.solutions", json!(vec![long(200); 200])),
        ("steps", json!(vec![step.clone(); 1250])),
    ];
    for (path, value) in most {
        let answer = create(&client, &set(manifest.clone(), path, value)).await;
        assert_eq!(answer, Ok(()), "{path}");
    }
    let too_much = [
        ("reliesOn.maps", json!(vec![map(long(1)); 1001])),
        ("reliesOn.maps", json!([map(long(2049))])),
        ("reliesOn.maps", json!([map(long(0))])),
        ("reliesOn.solutions", json!(vec![long(1); 201])),
        ("reliesOn.solutions", json!([long(2049)])),
        ("reliesOn.legalEntities", json!(vec![long(1); 251])),
        ("reliesOn.legalEntities", json!([long(11)])),
        ("reliesOn.connectionSet.id", long(2049)),
        (
            "reliesOn.integrationKeys",
            json!([{"entity": "accounts", "fields": vec![long(1); 101]}]),
        ),
        ("steps", json!(vec![step; 1251])),
        ("losses", json!(vec![long(1); 101])),
        ("options.stepTimeout", long(17)),
        ("timeout", long(17)),
    ];
    for (path, value) in too_much {
        let answer = create(&client, &set(manifest.clone(), path, value)).await;
        refusals.refused(path, answer, path.rsplit('.').next().unwrap());
    }
}

/// A manifest with another spec.
fn with_spec(mut manifest: Value, spec: &Value) -> Value {
    manifest["spec"] = spec.clone();
    manifest
}

#[tokio::test]
async fn a_plan_cannot_be_changed_and_an_approval_is_given_once() {
    let client = client().await;
    let refusals = Refusals::default();
    assert_eq!(create(&client, &operation()).await, Ok(()));
    let stored = store(&client, &operation(), "immutable").await;
    assert_eq!(replace(&client, &stored).await, Ok(()));
    let other = [
        ("action", json!("Setup")),
        ("connection.uid", json!("another")),
        ("connection.generation", json!(7)),
        (
            "financeOperationsHost",
            json!("fabrikam.operations.dynamics.com"),
        ),
        (
            "target.environmentId",
            json!("6f2c8d0e-0000-4000-8000-000000000002"),
        ),
        ("access.credentials.secretRef.name", json!("another")),
        (
            "access.dualWriteService.url",
            json!("https://projectmanagementservice.example.com"),
        ),
        ("reliesOn.link", json!("NotObserved")),
        ("reliesOn.legalEntities", json!(["FRRT"])),
        ("steps", json!([])),
        ("losses", json!(["all"])),
        ("timeout", json!("24h")),
    ];
    for (path, value) in other {
        let answer = replace(&client, &set(stored.clone(), path, value)).await;
        refusals.refused(path, answer, "the plan of an operation cannot be changed");
    }

    for (from, to, allowed) in [
        ("Pending", "Approved", true),
        ("Pending", "Rejected", true),
        ("Pending", "Pending", true),
        ("Approved", "Pending", false),
        ("Approved", "Rejected", false),
        ("Rejected", "Approved", false),
        ("Rejected", "Pending", false),
        ("NotRequired", "Approved", false),
        ("NotRequired", "Pending", false),
    ] {
        let name = format!("{from}-{to}").to_lowercase();
        let stored = store(&client, &set(operation(), "approval", json!(from)), &name).await;
        let answer = replace(&client, &set(stored, "approval", json!(to))).await;
        if allowed {
            assert_eq!(answer, Ok(()), "{from} to {to}");
        } else {
            refusals.refused(&name, answer, "an approval can be given or refused once");
        }
    }
    let skipped = store(
        &client,
        &set(operation(), "approval", json!("Pending")),
        "skipped",
    )
    .await;
    let answer = replace(&client, &set(skipped, "approval", json!("NotRequired"))).await;
    refusals.refused(
        "an approval that is taken away",
        answer,
        "an approval can be given or refused once",
    );

    // What it shares with connections is refused with the same words there, and here.
    let shared = [
        (
            "access.credentials.secretRef",
            Value::Null,
            "give exactly one source",
        ),
        (
            "access.credentials.serviceAccountRef",
            json!({"name": "erp"}),
            "give exactly one source",
        ),
        (
            "access.credentials.ambient",
            json!(true),
            "give exactly one source",
        ),
        (
            "access.credentials.clientId",
            json!("1"),
            "clientId belongs to",
        ),
        (
            "access.credentials.tenantId",
            json!("contoso.com"),
            "as a UUID",
        ),
        (
            "access.credentials.secretRef.name",
            json!("A"),
            "write the name of an object",
        ),
        (
            "access.dualWriteService.url",
            json!("http://contoso.example"),
            "write https://",
        ),
    ];
    for (path, value, part) in shared {
        refusals.refused(
            path,
            create(&client, &set(operation(), path, value)).await,
            part,
        );
    }
    let federated = set(operation(), "access.credentials.secretRef", Value::Null);
    let federated = set(
        federated,
        "access.credentials.serviceAccountRef",
        json!({"name": "erp"}),
    );
    refusals.refused(
        "federated",
        create(&client, &federated).await,
        "serviceAccountRef needs credentials.clientId",
    );
    refusals.cover(&DualWriteOperation::crd());
}

// ---- descriptions ----

/// Every property without a description, by its path.
fn undescribed(schema: &Value, path: &str, into: &mut Vec<String>) {
    let none = Map::new();
    for (name, property) in schema["properties"].as_object().unwrap_or(&none) {
        let path = format!("{path}.{name}");
        if property["description"]
            .as_str()
            .is_none_or(|text| text.trim().len() < 5)
        {
            into.push(path.clone());
        }
        // The standard's own fields are described by the standard.
        if name != "conditions" {
            undescribed(property, &path, into);
            undescribed(&property["items"], &format!("{path}[]"), into);
        }
    }
}

#[test]
fn kubectl_explain_has_something_to_say_about_every_field() {
    for definition in definitions_of_the_code() {
        let kind = definition.spec.names.kind.clone();
        let definition = serde_json::to_value(definition).unwrap();
        let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        assert!(schema["description"].is_string(), "{kind}");
        let mut missing = Vec::new();
        undescribed(schema, &kind, &mut missing);
        assert!(missing.is_empty(), "no description: {missing:#?}");
    }
}
