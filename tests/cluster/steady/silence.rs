//! Ten passes without a write, and the fewest reads.

use serde_json::{Value, json};

use crate::support::contoso::*;
use crate::support::reset::{asks, drifted, with_maps};
use crate::support::{ControlPlane, Options, World};

struct Case {
    state: Value,
    spec: Value,
    secret: &'static str,
    ready: (&'static str, &'static str),
}

/// The operator goes on looking, and writes nothing.
async fn stays_silent(case: Case) {
    let mut world = builder().start().await;
    world.patch_state(case.state).await;
    create_secrets(&world).await;
    secret(
        &world,
        "contoso-entra",
        json!({"clientId": CLIENT, "clientSecret": case.secret}),
    )
    .await;
    world.start_operator(&[]).await;
    connect(&world, case.spec).await;
    let (status, reason) = case.ready;
    world
        .wait_condition(NAME, "Ready", status, Some(reason))
        .await;
    quiet(&world, 2).await;
    let before = world.connection(NAME).await;
    world.no_writes_in_passes(10).await;
    let after = world.connection(NAME).await;
    assert_eq!(
        after["metadata"]["resourceVersion"],
        before["metadata"]["resourceVersion"]
    );
}

#[rustfmt::skip]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_written_while_nothing_changes() {
    let case = |name: &str, state, spec, secret, ready| (name.to_owned(), Case { state, spec, secret, ready });
    let good = "contoso-secret";
    let refused = json!({"financeOperations": "none"});
    let cases = vec![
        case("ready", linked(SPEC), json!({}), good, ("True", "Connected")),
        case("a mismatch", linked(PRODUCTION), json!({}), good, ("False", "DifferentDestination")),
        case("awaiting a link", set_up(), json!({"link": {"method": "Manual"}}), good, ("False", "AwaitingManualLink")),
        case("a wrong secret", linked(SPEC), json!({}), "wrong", ("False", "ClientSecretInvalid")),
        case("no role", application(json!({"environments": "none"})), json!({}), good, ("False", "AccessDenied")),
        case("an account without a role", both(set_up(), account(refused)), json!({}), good, ("False", "LinkNotObservable")),
        case("not integrated", not_integrated(), json!({}), good, ("False", "NotIntegrated")),
        case("maps run", with_maps(SPEC), json!({}), good, ("True", "Connected")),
        case("a mismatch with maps", drifted(), json!({}), good, ("False", "DifferentDestination")),
        case("unconfirmed", both(linked(SPEC), application(json!({"dataverse": "none"}))), json!({}), good, ("True", "Connected")),
    ];
    side_by_side(cases, stays_silent).await;
}

/// A plan waits for approval, for as long as it takes: nothing is written, and only reads are sent.
#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_waits_is_silent() {
    let world = world(drifted()).await;
    connect(&world, asks()).await;
    let plan = crate::support::reset::plan(&world).await;
    says(&world, "Reconciling", "True", "AwaitingApproval", &[]).await;
    quiet(&world, 2).await;
    let what = format!("dwo/{plan}");
    let version = async || {
        let plan = world.get(&what).await;
        plan["metadata"]["resourceVersion"].clone()
    };
    let before = version().await;
    let control = world.simulator().control();
    control.clear_calls().await;
    world.no_writes_in_passes(10).await;
    assert_eq!(version().await, before);
    assert_eq!(mutations(&world).await, Vec::<String>::new());
    let calls = world.calls().await;
    let count = |name: &str| calls[name].as_u64().unwrap_or(0);
    // What the plan relies on is read each time, the order of the maps once.
    for each in ["getLink", "listMaps", "listSolutions", "getConnectionSet"] {
        assert!((8..=13).contains(&count(each)), "{each}: {calls:#}");
    }
    assert_eq!(count("getPrerequisites"), 0, "{calls:#}");
    assert_eq!(count("resetLink") + count("startMaps"), 0, "{calls:#}");
    assert_eq!(
        control.state().await["financeOperations"][HOST]["link"]["environmentId"],
        SANDBOX
    );
}

/// What the API server counts itself, where nobody else is: not one write in ten passes.
#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_counts_no_write_either() {
    let control_plane = ControlPlane::start(Options::default()).await;
    let mut world = builder().control_plane(control_plane).start().await;
    world.patch_state(linked(SPEC)).await;
    create_secrets(&world).await;
    world.start_operator(&[]).await;
    connect(&world, json!({})).await;
    ready(&world).await;
    quiet(&world, 2).await;
    let before = writes(&world).await;
    assert!(before > 0, "the API server counts writes");
    world.no_writes_in_passes(10).await;
    assert_eq!(writes(&world).await, before);
}

/// Writes of our resources and of events, as the API server counts them.
async fn writes(world: &World) -> u64 {
    let text = world.kubectl(&["get", "--raw", "/metrics"]).await.ok();
    let ours = |line: &&str| {
        line.starts_with("apiserver_request_total{")
            && ["dualwriteconnections", "dualwriteoperations", "events"]
                .iter()
                .any(|resource| line.contains(&format!("resource=\"{resource}\"")))
            && ["APPLY", "PATCH", "POST", "PUT", "DELETE"]
                .iter()
                .any(|verb| line.contains(&format!("verb=\"{verb}\"")))
    };
    text.lines()
        .filter(ours)
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum()
}

/// Two resources share a credential: one list an interval for both; each has its own Dataverse and link to look at.
#[tokio::test(flavor = "multi_thread")]
async fn calls_are_few_and_shared() {
    let other = "contoso-test.sandbox.operations.dynamics.com";
    let integrated = environment(
        SANDBOX,
        json!({
            "finOpsMetadata": {"url": format!("https://{other}")},
            "packages": {CORE: {"version": "1", "state": "Installed"}, APPLICATION: {"version": "1", "state": "Installed"}},
        }),
    );
    let its_link = json!({"financeOperations": {other: {"tenantId": TENANT, "legalEntities": ["USMF", "DEMF"], "link": {"environmentId": SANDBOX}}}});
    let state = both(
        both(other_sandbox(), integrated),
        both(linked(SPEC), its_link),
    );
    let world = world(state).await;
    let interval = json!({"interval": "2s"});
    connect(&world, interval.clone()).await;
    let second = json!({"financeOperations": {"url": format!("https://{other}")}, "dataverse": {"environmentId": SANDBOX}});
    create(
        &world,
        "dwc",
        connection("contoso-test", both(interval, second)),
    )
    .await;
    ready(&world).await;
    world
        .wait_condition("contoso-test", "Ready", "True", Some("Connected"))
        .await;
    quiet(&world, 2).await;
    let control = world.simulator().control();
    control.clear_calls().await;
    // Ten looks of both together.
    control.called("getLink", 20, SOON * 2).await;
    let calls = world.calls().await;
    let count = |name: &str| calls[name].as_u64().unwrap_or(0);
    assert!((20..=21).contains(&count("getLink")), "{calls:#}");
    assert!(
        (19..=22).contains(&count("retrieveIntegrationDetails")),
        "{calls:#}"
    );
    assert!(
        (9..=13).contains(&count("listEnvironments")),
        "one list for both: {calls:#}"
    );
    // Maps change by themselves, so they are read each time; the last time may be to come.
    assert!((19..=21).contains(&count("listMaps")), "{calls:#}");
    assert_eq!(
        count("listSolutions") + count("getPrerequisites"),
        0,
        "{calls:#}"
    );
    // Every sixth interval.
    assert!(count("listApplicationPackages") <= 4, "{calls:#}");
    assert!(count("getConnectionSet") <= 4, "{calls:#}");
    for never in [
        "token",
        "getEnvironment",
        "financeOperationsRoot",
        "unknown",
    ] {
        assert_eq!(count(never), 0, "{never}: {calls:#}");
    }
}
