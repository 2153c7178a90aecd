//! What people do and see with kubectl.

use serde_json::json;

use crate::support::contoso::*;

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_waits_shows_and_explains() {
    let world = world(serde_json::Value::Null).await;
    connect(&world, json!({})).await;
    let waited = world
        .kubectl(&[
            "wait",
            "--for=condition=Ready",
            "dwc/contoso-uat",
            "--timeout=60s",
        ])
        .await;
    assert!(waited.ok().contains("condition met"));

    let columns = |text: &str| -> Vec<String> {
        let first = text.lines().next().unwrap_or_default();
        first.split_whitespace().map(str::to_owned).collect()
    };
    let table = world.kubectl(&["get", "dwc"]).await.ok();
    let expected = [
        "NAME", "READY", "SETUP", "LINKED", "MISMATCH", "STATUS", "AGE",
    ];
    assert_eq!(columns(&table), expected, "{table}");
    let row = table.lines().nth(1).unwrap();
    let cells: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(
        cells[..6],
        ["contoso-uat", "True", "True", "True", "False", "Connected"]
    );
    let wide = world.kubectl(&["get", "dwc", "-o", "wide"]).await.ok();
    assert_eq!(
        columns(&wide)[7..],
        ["DATAVERSE", "OPERATION", "ADMIN-URL", "MESSAGE"]
    );
    for part in [
        "Contoso UAT",
        "contoso-uat-link-",
        "mi=DualWriteWorkspace",
        "linked by dual-write",
    ] {
        assert!(wide.contains(part), "{part}: {wide}");
    }

    let operations = world.kubectl(&["get", "dwo"]).await.ok();
    assert_eq!(
        columns(&operations),
        ["NAME", "ACTION", "PHASE", "STEP", "APPROVAL", "AGE"]
    );
    for action in ["Setup", "Link"] {
        let row = operations.lines().find(|row| row.contains(action)).unwrap();
        assert!(
            row.contains("Succeeded") && row.contains("NotRequired"),
            "{row}"
        );
    }
    let wide = world.kubectl(&["get", "dwo", "-o", "wide"]).await.ok();
    assert_eq!(columns(&wide).last().unwrap(), "MESSAGE");
    assert!(wide.contains("is linked to 'Contoso UAT'"), "{wide}");

    let explained = world.kubectl(&["explain", "dwc.spec"]).await.ok();
    for part in [
        "financeOperations",
        "dualWriteService",
        "deletionPolicy",
        "How often",
    ] {
        assert!(explained.contains(part), "{part}: {explained}");
    }
    let explained = world
        .kubectl(&["explain", "dwc.spec.link.method"])
        .await
        .ok();
    assert!(
        explained.contains("Manual") && explained.contains("Service"),
        "{explained}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_connection_reads_and_starts_nothing() {
    let world = world(set_up()).await;
    connect(&world, json!({"link": {"method": "Manual"}})).await;
    says(&world, "Ready", "False", "AwaitingManualLink", &[]).await;
    let calls = world.simulator().control();
    change(
        &world,
        json!({"suspend": true, "link": {"method": "Service"}}),
    )
    .await;
    let suspended = says(
        &world,
        "Ready",
        "Unknown",
        "Suspended",
        &["Set it to false to go on"],
    )
    .await;
    assert_eq!(suspended["status"]["observedGeneration"], 2);
    still(&world, INTERVAL).await;
    calls.clear_calls().await;
    world.no_writes_during(THREE_INTERVALS).await;
    assert_eq!(world.calls().await, json!({"hosts": {}}));
    assert_eq!(mutations(&world).await, Vec::<String>::new());
    change(&world, json!({"suspend": false})).await;
    ready(&world).await;
    assert_eq!(mutations(&world).await, ["createLink"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_only_observes_starts_nothing() {
    let world = world_with(set_up(), &["--observe-only"]).await;
    connect(&world, json!({})).await;
    says(
        &world,
        "Ready",
        "False",
        "AwaitingManualLink",
        &["only observes"],
    )
    .await;
    quiet(&world, 2).await;
    assert_eq!(mutations(&world).await, Vec::<String>::new());
    assert!(world.operations().await.is_empty());
}

/// The last ten finished operations are kept.
#[tokio::test(flavor = "multi_thread")]
async fn ten_finished_operations_are_kept() {
    let state = both(
        set_up(),
        finance_operations(json!({"linkFailsWith": "No."})),
    );
    let world = world(state).await;
    connect(&world, json!({"interval": "60s"})).await;
    let mut names = Vec::new();
    for round in 1..=12_usize {
        let known = names.clone();
        let connection = world
            .wait_for(&format!("dwc/{NAME}"), SOON, move |connection| {
                let operation = &connection["status"]["operation"];
                operation["phase"] == "Failed" && !known.contains(&operation["name"])
            })
            .await;
        names.push(connection["status"]["operation"]["name"].clone());
        if round < 12 {
            reconcile_at(&world, &round.to_string()).await;
        }
    }
    world
        .wait_gone(&format!("dwo/{}", names[1].as_str().unwrap()), SOON)
        .await;
    still(&world, INTERVAL).await;
    let kept = world.operations().await;
    let kept: Vec<_> = kept.iter().map(|one| &one["metadata"]["name"]).collect();
    assert_eq!(kept.len(), 10);
    assert!(
        names[2..].iter().all(|name| kept.contains(&name)),
        "{kept:?}"
    );
}
