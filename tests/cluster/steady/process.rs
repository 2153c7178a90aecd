//! Starts and ends of the process.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::contoso::*;
use crate::support::{Action, Match, Moment, wait};

/// Whichever of the two resources is listed later, what was there before the start is looked at.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_there_before_the_start_is_looked_at() {
    for late in ["dualwriteconnections", "dualwriteoperations"] {
        let mut world = builder().start().await;
        world.patch_state(linked(SPEC)).await;
        create_secrets(&world).await;
        connect(&world, json!({})).await;
        let list = Match::method("GET").path_ends(&format!("/{late}"));
        let rule = world.api.when(list);
        rule.then(Moment::Before, Action::Delay(Duration::from_secs(1)));
        world.start_operator(&[]).await;
        ready(&world).await;
    }
}

/// SIGTERM ends it cleanly within seconds, and the next start goes on where it was.
#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_it_and_the_next_start_goes_on() {
    let mut world = builder().time_scale(1.0).start().await;
    create_secrets(&world).await;
    world.start_operator(&[]).await;
    connect(&world, json!({})).await;
    let sent = |operation: &Value| operation["status"]["steps"][0]["state"] == "Sent";
    world.wait_for("dwo", SOON, sent).await;
    let since = Instant::now();
    assert_eq!(world.stop_operator().await, 0);
    assert!(
        since.elapsed() < Duration::from_secs(10),
        "{:?}",
        since.elapsed()
    );
    let control = world.simulator().control().clone();
    control.advance("20m").await;
    world.start_operator(&[]).await;
    control.called("installApplication", 2, SOON).await;
    control.advance("20m").await;
    control.called("createLink", 1, SOON).await;
    control.advance("10m").await;
    ready(&world).await;
    assert_eq!(
        mutations(&world).await,
        ["installApplication", "installApplication", "createLink"]
    );
    quiet(&world, 2).await;
    // A start while nothing has changed writes nothing either.
    world.restart_operator(&[]).await;
    control.clear_calls().await;
    control.called("getLink", 2, SOON).await;
    world.no_writes_in_passes(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_served_and_well_formed() {
    let world = ready_world().await;
    let text = world.metrics().await;
    assert!(text.ends_with("# EOF\n"), "{text}");
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(name.starts_with("dualwrite_"), "{line}");
        assert!(value.parse::<f64>().is_ok(), "{line}");
        let labels = name.split_once('{').map_or("", |(_, labels)| labels);
        assert!(labels.is_empty() || labels.ends_with('}'), "{line}");
    }
    let ready = format!(
        "dualwrite_condition{{namespace=\"{}\",name=\"contoso-uat\",type=\"Ready\",status=\"True\",reason=\"Connected\"}} 1",
        world.namespace
    );
    assert!(text.contains(&ready), "{text}");
    for call in ["token", "listEnvironments", "getLink"] {
        assert!(
            text.contains(&format!("operation=\"{call}\",code=\"200\"")),
            "{call}: {text}"
        );
    }
    assert_eq!(world.operator().ask("/healthz").await.0, 200);
    assert_eq!(world.operator().ask("/readyz").await.0, 200);
    // A resource that is gone is gone from the numbers.
    delete(&world, &format!("dwc/{NAME}")).await;
    wait::polling("the end of its numbers", SOON, || async {
        let text = world.metrics().await;
        (!text.contains("name=\"contoso-uat\"")).then_some(())
    })
    .await;
}

/// Everything is read anew, past what is read slowly and what is shared, and the value is echoed.
#[tokio::test(flavor = "multi_thread")]
async fn reconcile_at_reads_everything_anew() {
    let world = world(linked(SPEC)).await;
    connect(&world, json!({"interval": "1h"})).await;
    ready(&world).await;
    still(&world, INTERVAL).await;
    let control = world.simulator().control();
    control.clear_calls().await;
    reconcile_at(&world, "2026-11-23T10:00:00Z").await;
    for call in [
        "listEnvironments",
        "retrieveIntegrationDetails",
        "listApplicationPackages",
        "getLink",
        "getConnectionSet",
    ] {
        control.called(call, 1, SOON).await;
    }
    let echoed = |connection: &Value| {
        connection["status"]["lastHandledReconcileAt"] == "2026-11-23T10:00:00Z"
    };
    world.wait_for(&format!("dwc/{NAME}"), SOON, echoed).await;
    still(&world, INTERVAL).await;
    let drifted = link(PRODUCTION);
    world.patch_state(drifted).await;
    reconcile_at(&world, "again").await;
    says(&world, "Ready", "False", "DifferentDestination", &[]).await;
}
