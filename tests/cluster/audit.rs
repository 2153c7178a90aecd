//! What the operator is granted against what it uses, by the audit log of the API server: nothing that it needs is
//! refused, and nothing is granted that it does not need.
//!
//! What is needed rarely is brought about: an answer that gets lost, an eleventh finished operation, a sixth backup.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::support::contoso::*;
use crate::support::reset::{ACT, FLAGS, approve, asks, drifted, ended, name_of, plan};
use crate::support::{
    Action, ControlPlane, Match, Moment, OPERATOR_USER, Options, World, install, namespace, wait,
};
use serde_json::{Value, json};

/// A resource (with its group, and its subresource) and a verb.
type Right = (String, String);

const POLICY: &str = r#"
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: Metadata
    users: ["system:serviceaccount:dualwrite-system:dualwrite-operator"]
  - level: None
"#;

fn named(group: &str, resource: &str) -> String {
    if group.is_empty() {
        resource.to_owned()
    } else {
        format!("{group}/{resource}")
    }
}

fn texts(value: &Value) -> Vec<&str> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

/// Every right in the roles of the operator that deploy/base ships.
fn granted(objects: &[Value]) -> BTreeSet<Right> {
    let mut rights = BTreeSet::new();
    for role in objects {
        let name = role["metadata"]["name"].as_str().unwrap_or_default();
        let is_role = ["Role", "ClusterRole"].contains(&install::kind(role));
        if !is_role || !name.starts_with("dualwrite-operator") {
            continue;
        }
        for rule in role["rules"].as_array().unwrap() {
            for group in texts(&rule["apiGroups"]) {
                for resource in texts(&rule["resources"]) {
                    for verb in texts(&rule["verbs"]) {
                        rights.insert((named(group, resource), verb.to_owned()));
                    }
                }
            }
        }
    }
    rights
}

/// What was asked for, and what of it was refused, with how it was asked.
fn asked(log: &Path) -> (BTreeSet<Right>, BTreeMap<Right, String>) {
    let (mut used, mut refused) = (BTreeSet::new(), BTreeMap::new());
    // The last line may be half written.
    let text = std::fs::read_to_string(log).unwrap();
    let events = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    for event in events {
        assert_eq!(event["user"]["username"], OPERATOR_USER);
        let about = &event["objectRef"];
        // Discovery, which everybody may read.
        let Some(resource) = about["resource"].as_str() else {
            continue;
        };
        let mut what = named(about["apiGroup"].as_str().unwrap_or_default(), resource);
        if let Some(part) = about["subresource"].as_str() {
            what = format!("{what}/{part}");
        }
        let right = (what, event["verb"].as_str().unwrap().to_owned());
        if event["annotations"]["authorization.k8s.io/decision"] != "allow" {
            refused.insert(right.clone(), event.to_string());
        }
        used.insert(right);
    }
    (used, refused)
}

/// Federated, with an account by refresh token: the identities that need the most.
async fn identities(world: &World) {
    let account = account(json!({"password": "", "refreshTokens": ["first"]}));
    let issued = world.kubectl(&["get", "--raw", "/openid/v1/jwks"]).await;
    let issued: Value = serde_json::from_str(&issued.ok()).unwrap();
    let subject = format!("system:serviceaccount:{}:contoso-erp", world.namespace);
    let trust =
        json!({"issuer": "https://kubernetes.default.svc", "subject": subject, "keys": issued});
    let application = application(json!({"secrets": [], "federated": [trust]}));
    let short = json!({"settings": {"tokenLifetime": "3s"}});
    world
        .patch_state(both(both(account, application), short))
        .await;
    world
        .kubectl(&["create", "serviceaccount", "contoso-erp"])
        .await
        .ok();
    let (client, place) = (world.client(), &world.namespace);
    let role = "dualwrite-operator-federation";
    let can = ["", "serviceaccounts/token", "create"];
    namespace::grant(&client, place, role, can).await;
    let role = "dualwrite-operator-refresh-tokens";
    namespace::grant(&client, place, role, ["", "secrets", "update"]).await;
    namespace::let_elect(&client, world.admin(), place).await;
    give_account(world).await;
}

/// Five backups of earlier resets, as the operator makes them: the next one is the sixth.
async fn old_backups(world: &World) {
    for number in 1..=5 {
        let name = format!("{NAME}-earlier-{number}");
        let labels = json!({"dualwrite.dev/backup": "true", "dualwrite.dev/connection": NAME});
        let annotations =
            json!({"dualwrite.dev/connection": NAME, "dualwrite.dev/operation": name});
        let metadata = json!({"name": name, "labels": labels, "annotations": annotations});
        let backup = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata});
        world.apply(&backup.to_string()).await;
    }
}

/// Ten operations that ended: with each one more, the oldest goes, and the oldest is the setup.
async fn long_history(world: &World, like: &str) {
    let operations = world.operations().await;
    let setup = operations
        .iter()
        .find(|one| one["spec"]["action"] == "Setup");
    let setup = name_of(setup.expect("a setup came first"));
    let model = world.get(&format!("dwo/{like}")).await;
    for number in 1..=10 {
        let name = format!("{like}-{number}");
        let kept = json!({"name": name, "ownerReferences": model["metadata"]["ownerReferences"]});
        let mut operation = model.clone();
        operation["metadata"] = kept;
        world.apply(&operation.to_string()).await;
        let status = json!({"status": model["status"]}).to_string();
        let what = format!("dwo/{name}");
        let args = [
            "patch",
            &what,
            "--subresource=status",
            "--type=merge",
            "-p",
            &status,
        ];
        world.kubectl(&args).await.ok();
    }
    world.wait_gone(&format!("dwo/{setup}"), SOON).await;
}

async fn give_account(world: &World) {
    let first = json!({"refreshToken": "first"});
    secret(world, "contoso-dual-write-account", first).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_right_is_used_and_none_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("policy.yaml");
    std::fs::write(&policy, POLICY).unwrap();
    let options = Options {
        audit_policy: Some(policy),
        ..Options::default()
    };
    let control_plane = ControlPlane::start(options).await;
    let log = control_plane.folder().join("audit.log");
    let granted = granted(&install::rendered(control_plane.admin(), "deploy/base"));
    let mut world = builder().control_plane(control_plane).start().await;
    identities(&world).await;
    let flags = [
        &FLAGS[..],
        &["--leader-election=true", "--lease-duration", "120s"],
    ]
    .concat();
    world.start_operator(&flags).await;
    // Before another stands by, the one that goes through the proxy leads.
    let led = |lease: &Value| lease["spec"]["holderIdentity"].is_string();
    world.wait_for("lease/dualwrite-operator", SOON, led).await;
    let reviewing = [&flags[..], &["--metrics-auth", "kubernetes"]].concat();
    let standing_by = world.replica(&reviewing).await;
    let scraper = world
        .kubectl(&["create", "token", "contoso-erp"])
        .await
        .ok();
    assert_eq!(standing_by.scrape(Some(scraper.trim())).await.0, 403);

    // Setup and link; the answer to the first intent gets lost, so that the operator looks for it.
    let intent = Match::status("dualwriteoperations").body_contains("Intended");
    let lost = world.api.when(intent).then(Moment::After, Action::Drop);
    connect(&world, both(asks(), federated())).await;
    ready(&world).await;
    lost.fired(SOON).await;
    // The same trouble twice, so that its event is counted on the first.
    for _ in 0..2 {
        delete(&world, "secret/contoso-dual-write-account").await;
        says(&world, "Ready", "False", "SecretNotFound", &[]).await;
        give_account(&world).await;
        ready(&world).await;
    }
    // A reset with its backup, the sixth.
    old_backups(&world).await;
    world.patch_state(drifted()).await;
    let name = plan(&world).await;
    approve(&world, &name).await;
    ended(&world, &name, &["Succeeded"], ACT).await;
    ready(&world).await;
    long_history(&world, &name).await;
    // A deletion that stops the maps.
    change(&world, json!({"deletionPolicy": "StopMaps"})).await;
    let confirm = json!({"metadata": {"annotations": {"dualwrite.dev/confirm-stop": NAME}}});
    let what = format!("dwc/{NAME}");
    patch(&world, &what, confirm).await;
    world
        .wait_for(&what, SOON, |object| {
            object["metadata"]["finalizers"] != Value::Null
        })
        .await;
    delete(&world, &what).await;
    world.wait_gone(&what, SOON).await;
    let stopped = |operation: &Value| {
        operation["spec"]["action"] == "StopMaps" && operation["status"]["phase"] == "Succeeded"
    };
    world.wait_for("dwo", ACT, stopped).await;
    world.stop_operator().await;

    // The log is written a moment after the answer.
    let complete = || async { (asked(&log).0 == granted).then_some(()) };
    let waited = wait::polling("the audit log", SOON, complete);
    let _ = tokio::time::timeout(SOON / 3, waited).await;
    let (used, refused) = asked(&log);
    assert!(refused.is_empty(), "refused: {refused:#?}");
    let more: Vec<_> = used.difference(&granted).collect();
    assert!(more.is_empty(), "used without a rule of ours: {more:#?}");
    let unused: Vec<_> = granted.difference(&used).collect();
    assert!(unused.is_empty(), "granted, and not used: {unused:#?}");
}
