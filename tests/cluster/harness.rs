//! The harness proves itself: what it promises to the other tests holds.

mod proxy;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::control_plane::{ControlPlane, Options};
use crate::support::process::Process;
use crate::support::{OPERATOR_USER, Role, World, wait};

const VICTIM: &str = "DUALWRITE_TEST_VICTIM";
const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn several_control_planes_run_at_once_and_know_nothing_of_each_other() {
    let policy = tempfile::NamedTempFile::new().unwrap();
    let rules =
        r#"{"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [{"level": "Metadata"}]}"#;
    std::fs::write(policy.path(), rules).unwrap();
    let options = Options {
        bare: true,
        audit_policy: Some(policy.path().to_owned()),
    };
    let (one, other) = tokio::join!(ControlPlane::start(options), ControlPlane::shared());
    one.admin()
        .run(&["create", "namespace", "fabrikam"])
        .await
        .ok();
    let refused = other
        .admin()
        .run(&["get", "namespace", "fabrikam"])
        .await
        .err();
    assert!(refused.contains("NotFound"), "{refused}");
    has_audit_log(&one);

    let folder = one.folder().to_owned();
    let processes = one.process_ids();
    drop(one);
    assert!(!folder.exists());
    assert!(processes.iter().all(|pid| !is_alive(*pid)));
    other.admin().run(&["get", "--raw", "/readyz"]).await.ok();
}

fn has_audit_log(control_plane: &ControlPlane) {
    let log = std::fs::read_to_string(control_plane.folder().join("audit.log")).unwrap();
    assert!(
        log.contains("/api/v1/namespaces") && log.contains("fabrikam"),
        "{log}"
    );
}

#[tokio::test]
async fn nothing_is_left_of_a_control_plane_whose_test_was_killed() {
    let mut test = Command::new(std::env::current_exe().unwrap())
        .env(VICTIM, "yes")
        .args([
            "--exact",
            "harness::a_test_that_gets_killed",
            "--ignored",
            "--nocapture",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (folder, processes) = read_report(&mut test);
    assert!(folder.exists() && processes.iter().all(|pid| is_alive(*pid)));

    test.kill().unwrap();
    test.wait().unwrap();

    wait::polling("the end of all processes and the folder", SOON, || async {
        (!folder.exists() && !processes.iter().any(|pid| is_alive(*pid))).then_some(())
    })
    .await;
}

/// Not a test: the victim of the one above.
#[tokio::test]
#[ignore = "is started, and killed, by another test"]
async fn a_test_that_gets_killed() {
    if std::env::var_os(VICTIM).is_none() {
        return; // somebody runs the ignored tests too
    }
    let control_plane = ControlPlane::start(Options {
        bare: true,
        ..Options::default()
    })
    .await;
    let mut sleeper = Command::new("sleep");
    let sleeper = Process::start("a sleeper", sleeper.arg("1000"), None);
    let [etcd, api_server] = control_plane.process_ids();
    let folder = control_plane.folder().display();
    println!("\nREPORT {etcd} {api_server} {} {folder}", sleeper.pid());
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn the_operator_has_only_the_rights_that_deploy_gives() {
    let (inside, outside) = tokio::join!(
        World::builder().start(),
        World::builder().not_opted_in().start()
    );
    let operator = inside
        .control_plane
        .operator_kubeconfig("rights", &inside.namespace, None);
    let operator = inside.control_plane.kubectl(&operator);
    let secret = [
        "create",
        "secret",
        "generic",
        "contoso-entra",
        "--from-literal=clientId=x",
    ];
    inside.kubectl(&secret).await.ok();
    outside.kubectl(&secret).await.ok();

    operator.run(&["get", "secret", "contoso-entra"]).await.ok();
    operator.run(&["get", "dwc", "-A"]).await.ok();
    for refused in [
        vec!["get", "secrets"],
        vec!["get", "secrets", "-A"],
        vec!["get", "secret", "contoso-entra", "-n", &outside.namespace],
        vec!["delete", "secret", "contoso-entra"],
        vec!["get", "nodes"],
    ] {
        let why = operator.run(&refused).await.err();
        assert!(
            why.contains("Forbidden") && why.contains(OPERATOR_USER),
            "{refused:?}: {why}"
        );
    }
}

#[tokio::test]
async fn people_are_users_of_their_own_with_one_role_in_one_namespace() {
    let world = World::builder().start().await;
    let viewer = world.person(Role::Viewer).await;
    let editor = world.person(Role::Editor).await;
    let manifest = connection("contoso-uat");

    assert!(viewer.apply(&manifest).await.err().contains("viewer@"));
    editor.apply(&manifest).await.ok();
    viewer.run(&["get", "dwc", "contoso-uat"]).await.ok();
    assert!(
        viewer
            .run(&["get", "dwc", "-n", "default"])
            .await
            .err()
            .contains("Forbidden")
    );
}

#[tokio::test]
async fn waiting_sees_what_was_there_and_what_comes() {
    let world = World::builder().start().await;
    world.apply(&connection("contoso-uat")).await;
    world
        .wait_for("dwc/contoso-uat", SOON, |object| {
            object["metadata"]["generation"] == 1
        })
        .await;

    let status = r#"{"status": {"conditions": [
        {"type": "Ready", "status": "True", "reason": "Connected", "message": "Connected.",
         "observedGeneration": 1, "lastTransitionTime": "2026-01-01T00:00:00Z"}]}}"#;
    let patch = [
        "patch",
        "dwc",
        "contoso-uat",
        "--subresource=status",
        "--type=merge",
        "-p",
        status,
    ];
    let (_, patched) = tokio::join!(
        world.wait_condition("contoso-uat", "Ready", "True", Some("Connected")),
        world.kubectl(&patch)
    );
    patched.ok();

    let gone = world.wait_gone("dwc/contoso-uat", SOON);
    let (deleted, ()) = tokio::join!(world.kubectl(&["delete", "dwc", "contoso-uat"]), gone);
    deleted.ok();
}

#[tokio::test]
async fn the_operator_is_started_watched_stopped_and_killed() {
    let mut world = World::builder()
        .operator_program(stand_in("operator.sh"))
        .start()
        .await;
    world
        .start_operator(&["--poll-interval=3s", "--observe-only"])
        .await;
    assert_eq!(world.operator().admin_address(), "127.0.0.1:1");
    let args = world
        .operator()
        .logged(SOON, |line| line.starts_with("args: run"))
        .await;
    assert!(
        args.ends_with("--poll-interval=3s --observe-only") && !args.contains("200ms"),
        "{args}"
    );
    assert!(
        args.contains(&format!("--watch-namespaces {}", world.namespace)),
        "{args}"
    );

    assert_eq!(world.stop_operator().await, 7);
    world.restart_operator(&[]).await;
    let pid = world.operator().pid();
    world.kill_operator();
    assert!(!is_alive(pid));
    assert_eq!(
        world
            .operator_log()
            .iter()
            .filter(|line| line.starts_with("args"))
            .count(),
        2
    );
}

#[tokio::test]
async fn an_operator_that_does_not_start_fails_the_test_with_its_log() {
    let failed = tokio::spawn(async move {
        let mut world = World::builder()
            .operator_program(stand_in("broken-operator.sh"))
            .start()
            .await;
        world.start_operator(&[]).await;
    });
    let why = failed.await.unwrap_err().into_panic();
    let why = why.downcast_ref::<String>().unwrap();
    assert!(
        why.contains("exit status Some(2)") && why.contains("no such flag"),
        "{why}"
    );
}

#[tokio::test]
async fn a_test_fails_whose_operator_has_died_or_has_an_error_of_its_own() {
    let world = stood_in("operator.sh").await;
    world.operator().killer().kill();
    let has_ended = || async { (!world.operator().is_running()).then_some(()) };
    wait::polling("its end", SOON, has_ended).await;
    let why = end_of(world).await.unwrap_err();
    assert!(why.contains("the operator has ended with 137"), "{why}");

    let world = stood_in("erring-operator.sh").await;
    let why = end_of(world).await.unwrap_err();
    assert!(why.contains("it has an error"), "{why}");

    let world = stood_in("erring-operator.sh").await;
    world.operator().expect_error("it has an error");
    end_of(world).await.unwrap();
}

/// A world in which a script runs in the operator's place.
async fn stood_in(name: &str) -> World {
    let program = stand_in(name);
    let mut world = World::builder().operator_program(program).start().await;
    world.start_operator(&[]).await;
    world
}

/// What the end of a world says.
async fn end_of(world: World) -> Result<(), String> {
    let ended = tokio::task::spawn_blocking(move || drop(world)).await;
    ended.map_err(|error| *error.into_panic().downcast::<String>().unwrap())
}

#[tokio::test]
async fn the_simulator_is_found_by_the_line_that_it_prints() {
    let world = World::builder()
        .simulator_program(stand_in("simulator.sh"))
        .scenario(serde_json::json!({}))
        .start()
        .await;
    assert_eq!(world.simulator().listen(), "127.0.0.1:1");
    assert_eq!(world.simulator().ca_file(), Path::new("/ca.pem"));
}

/// A script in the place of a program that is not under test here.
fn stand_in(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/support/stand-ins")
        .join(name)
}

fn connection(name: &str) -> String {
    let url = "https://contoso-uat.sandbox.operations.dynamics.com";
    serde_json::json!({
        "apiVersion": "dualwrite.dev/v1alpha1",
        "kind": "DualWriteConnection",
        "metadata": {"name": name},
        "spec": {
            "financeOperations": {"url": url},
            "dataverse": {"environmentId": "6f2c8d0e-0000-4000-8000-000000000001"},
            "credentials": {
                "tenantId": "72f988bf-0000-4000-8000-000000000001",
                "secretRef": {"name": "contoso-entra"},
            },
        },
    })
    .to_string()
}

fn read_report(test: &mut std::process::Child) -> (PathBuf, Vec<i32>) {
    use std::io::{BufRead as _, BufReader};

    let lines = BufReader::new(test.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    let report = { lines }.find_map(|line| line.strip_prefix("REPORT ").map(str::to_owned));
    let report = report.expect("the victim reports");
    let mut words = report.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let folder = words.pop().unwrap().into();
    (
        folder,
        words.iter().map(|word| word.parse().unwrap()).collect(),
    )
}

/// Whether a process runs: one that has ended and is not yet reaped does not.
fn is_alive(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ")
        .next()
        .is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}
