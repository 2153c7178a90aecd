//! The administrator's list of which namespace may claim which environments.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::contoso::*;
use crate::support::process::Process;
use crate::support::reset::{ACT, FLAGS, mixed};
use crate::support::{ControlPlane, Seen, World, operator};

/// A file with what this world's namespace may claim; the administrator writes it anew and starts the operator again.
fn list(
    folder: &tempfile::TempDir,
    world: &World,
    hosts: &[&str],
    environments: &[&str],
) -> String {
    let file = folder.path().join("claims.yaml");
    let claims = json!({&world.namespace: {"hosts": hosts, "environments": environments}});
    std::fs::write(&file, claims.to_string()).unwrap();
    file.display().to_string()
}

async fn nothing_was_used(world: &World) {
    quiet(world, 2).await;
    assert_eq!(
        world.calls().await,
        json!({"hosts": {}}),
        "nothing was called"
    );
    let secrets = |request: &&Seen| request.path.contains("/secrets");
    assert_eq!(world.api.requests().iter().filter(secrets).count(), 0);
}

async fn refused(world: &World, what: &str) {
    let parts = [what, &world.namespace, "--claims", "administrator"];
    let object = says(
        world,
        "CredentialsValid",
        "False",
        "ClaimNotAllowed",
        &parts,
    )
    .await;
    assert_says(&object, "Ready", "False", "ClaimNotAllowed", &parts);
    assert_says(&object, "Stalled", "True", "ClaimNotAllowed", &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_namespace_may_not_claim_is_refused_before_any_credential_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = builder().start().await;
    // Linked with production: that environment is read, and need not be on the list.
    world.patch_state(linked(PRODUCTION)).await;
    create_secrets(&world).await;
    let other = ["contoso.operations.dynamics.com"];
    let file = list(&folder, &world, &other, &[SPEC]);
    world.start_operator(&["--claims", &file]).await;
    connect(&world, json!({})).await;
    refused(&world, HOST).await;
    nothing_was_used(&world).await;

    let sandboxes = [".sandbox.operations.dynamics.com"];
    list(&folder, &world, &sandboxes, &[PRODUCTION]);
    world.restart_operator(&["--claims", &file]).await;
    refused(&world, SPEC).await;
    nothing_was_used(&world).await;

    list(&folder, &world, &sandboxes, &[SPEC]);
    world.restart_operator(&["--claims", &file]).await;
    let parts = [PRODUCTION];
    says(
        &world,
        "LinkingMismatch",
        "True",
        "SandboxProductionMix",
        &parts,
    )
    .await;
}

/// An installation is under way when its namespace loses the environment: it stands still and says so, and when the claim is
/// back it goes on where it was; nothing is sent twice.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_under_way_stands_still_without_its_claim_and_goes_on_with_it() {
    let folder = tempfile::tempdir().unwrap();
    // In real time: an installation takes half an hour, unless the clock is moved.
    let mut world = builder().time_scale(1.0).start().await;
    create_secrets(&world).await;
    let file = list(&folder, &world, &[HOST], &[SPEC]);
    world.start_operator(&["--claims", &file]).await;
    connect(&world, json!({"setup": {"timeout": "24h"}})).await;
    let sent = |object: &Value| object["status"]["steps"][0]["state"] == "Sent";
    world.wait_for("dwo", SOON, sent).await;
    world.stop_operator().await;
    let installs = mutations(&world).await;
    assert_eq!(installs, ["installApplication"]);

    list(&folder, &world, &[HOST], &[PRODUCTION]);
    world.simulator().control().clear_calls().await;
    world.start_operator(&["--claims", &file]).await;
    let parts = [SPEC, &world.namespace, "--claims"].map(str::to_owned);
    let tells = move |object: &Value| {
        let text = object["status"]["message"].as_str().unwrap_or_default();
        parts.iter().all(|part| text.contains(part))
    };
    let operation = world.wait_for("dwo", SOON, tells).await;
    assert_eq!(operation["status"]["phase"], "Running");
    let parts = ["may not claim", SPEC];
    says(&world, "Ready", "False", "Installing", &parts).await;
    says(
        &world,
        "CredentialsValid",
        "False",
        "ClaimNotAllowed",
        &parts,
    )
    .await;
    quiet(&world, 2).await;
    assert_eq!(world.calls().await, json!({"hosts": {}}));

    list(&folder, &world, &[HOST], &[SPEC]);
    world.restart_operator(&["--claims", &file]).await;
    let goes_on = |object: &Value| {
        let text = object["status"]["message"].as_str().unwrap_or_default();
        text.starts_with("Installing DualWriteCoreAnchor")
    };
    world.wait_for("dwo", SOON, goes_on).await;
    let control = world.simulator().control();
    control.advance("1h").await;
    control.called("installApplication", 1, SOON).await;
    control.advance("1h").await;
    control.called("createLink", 1, SOON).await;
    control.advance("10m").await;
    ready(&world).await;
    assert_eq!(
        applied(&world).await,
        ["installApplication", "installApplication", "createLink"]
    );
}

/// Another namespace manages the host. Whoever may not claim it is told that, and nothing of the other.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_not_claim_a_host_learns_nothing_of_who_does() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = builder().start().await;
    first.patch_state(linked(SPEC)).await;
    let second = World::builder().start().await;
    create_secrets(&first).await;
    create_secrets(&second).await;
    let file = list(&folder, &first, &[HOST], &[SPEC]);
    let namespaces = format!("{},{}", first.namespace, second.namespace);
    let flags = ["--watch-namespaces", &namespaces, "--claims", &file];
    first.start_operator(&flags).await;
    connect(&first, json!({})).await;
    ready(&first).await;
    connect(&second, json!({})).await;
    refused(&second, HOST).await;
    quiet(&first, 2).await;
    ready(&first).await;
    refused(&second, HOST).await;
}

/// Maps are stopped where dual-write is linked to now: for that the claim on the host is enough.
#[tokio::test(flavor = "multi_thread")]
async fn maps_are_stopped_at_an_environment_that_nobody_claims() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = builder().start().await;
    world.patch_state(mixed()).await;
    create_secrets(&world).await;
    let file = list(&folder, &world, &[HOST], &[SPEC]);
    let flags = [&["--claims", &file][..], &FLAGS].concat();
    world.start_operator(&flags).await;
    connect(&world, json!({"mismatch": {"onMix": "StopMaps"}})).await;
    let stopped = |object: &Value| {
        object["spec"]["action"] == "StopMaps" && object["status"]["phase"] == "Succeeded"
    };
    world.wait_for("dwo", ACT, stopped).await;
}

/// A list that cannot be used lets nobody in: the process does not start, and says why.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_with_a_mistake_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("claims.yaml");
    std::fs::write(&file, "contoso-erp: {hosts: [com], environments: []}").unwrap();
    let kubeconfig = ControlPlane::shared().await.admin().kubeconfig().to_owned();
    let mut command = Command::new(operator::program("dualwrite-operator"));
    command
        .args([
            "run",
            "--admin-addr",
            "127.0.0.1:0",
            "--metrics-addr",
            "127.0.0.1:0",
            "--claims",
        ])
        .arg(&file)
        .env("KUBECONFIG", kubeconfig);
    let process = Process::start("the operator", &command, None);
    let exit = process
        .until(Duration::from_secs(60), |state| state.exit)
        .await;
    assert_eq!(exit, Some(1), "{}", process.tail(20));
    let said = process.stderr().join("\n");
    for part in ["--claims", "namespace contoso-erp", "'com'"] {
        assert!(said.contains(part), "{said}");
    }
}
