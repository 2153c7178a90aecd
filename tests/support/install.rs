//! What a cluster administrator applies before the operator runs.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Deserialize as _;
use serde_json::Value;

use super::control_plane::{OPERATOR_USER, SYSTEM_NAMESPACE};
use super::kubectl::Kubectl;

/// A connection, an operation that waits for approval, and an editor.
pub const PROBES: &str = include_str!("policy-probes.yaml");

/// Applies the CRDs, the roles and the policies, and returns a token for the operator's
/// `ServiceAccount`. Not the Deployment: nothing here runs pods.
pub fn install(admin: &Kubectl) -> String {
    let roles = rendered(admin, "deploy/base")
        .into_iter()
        .filter(|object| {
            !["Deployment", "Service", "CustomResourceDefinition"].contains(&kind(object))
        })
        .collect::<Vec<_>>();
    let crds = crds();
    let apply = ["apply", "--server-side", "-f", "-"];
    admin
        .run_blocking(&apply, &list(&[crds.clone(), roles].concat()))
        .ok();
    for crd in &crds {
        let name = format!(
            "crd/{}",
            crd["metadata"]["name"].as_str().expect("a CRD has a name")
        );
        admin
            .run_blocking(
                &[
                    "wait",
                    "--for=condition=Established",
                    "--timeout=60s",
                    &name,
                ],
                "",
            )
            .ok();
    }
    wait_until_discovered(admin, &crds);
    wait_until_policies_hold(admin);
    let token = [
        "create",
        "token",
        "dualwrite-operator",
        "-n",
        SYSTEM_NAMESPACE,
        "--duration=12h",
    ];
    admin.run_blocking(&token, "").ok().trim().to_owned()
}

/// An established CRD is in the API server's discovery a moment later. kubectl keeps
/// what it discovers, so without this it may not know the resources for hours.
fn wait_until_discovered(admin: &Kubectl, crds: &[Value]) {
    let names = crds
        .iter()
        .filter_map(|crd| crd["metadata"]["name"].as_str());
    let names: Vec<&str> = names.collect();
    let deadline = Instant::now() + Duration::from_secs(60);
    let ask = ["api-resources", "--cached=false", "-o", "name"];
    loop {
        let known = admin.run_blocking(&ask, "").ok();
        if names
            .iter()
            .all(|name| known.lines().any(|line| line == *name))
        {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "the API server does not offer {names:?}, only:\n{known}"
        );
        // Discovery cannot be watched.
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The API server heeds a policy and its binding a moment after they were made. Each of
/// those that deploy/ ships is asked something that nothing else refuses.
fn wait_until_policies_hold(admin: &Kubectl) {
    let apply = ["apply", "--server-side", "-f", "-"];
    admin.run_blocking(&apply, PROBES).ok();
    let patch = |what: &'static str, patch: &'static str, user: &str| {
        let user = format!("--as={user}");
        [
            "patch",
            what,
            "policy-probe",
            "--type=merge",
            "--dry-run=server",
            "-p",
            patch,
            &user,
        ]
        .map(str::to_owned)
    };
    let probes = [
        (
            "dualwrite-approval",
            patch("dwo", r#"{"spec":{"approval":"Approved"}}"#, OPERATOR_USER),
        ),
        (
            "dualwrite-operator",
            patch("dwc", r#"{"spec":{"suspend":true}}"#, OPERATOR_USER),
        ),
        (
            "dualwrite-automatic-approval",
            patch(
                "dwc",
                r#"{"spec":{"mismatch":{"allowProduction":true}}}"#,
                "policy-probe",
            ),
        ),
    ];
    let deadline = Instant::now() + Duration::from_secs(60);
    for (policy, args) in probes {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        loop {
            let answer = admin.run_blocking(&args, "");
            if answer
                .stderr
                .contains(&format!("ValidatingAdmissionPolicy '{policy}'"))
            {
                break;
            }
            assert!(
                Instant::now() < deadline,
                "{policy} does not hold: {answer:?}"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    let delete = ["delete", "--wait=false", "-f", "-"];
    admin.run_blocking(&delete, PROBES).ok();
}

/// What `kubectl kustomize` makes of a folder of this repository.
pub fn rendered(kubectl: &Kubectl, folder: &str) -> Vec<Value> {
    let path = repository().join(folder);
    let path = path.to_str().expect("a UTF-8 path");
    documents(&kubectl.run_blocking(&["kustomize", path], "").ok())
}

/// The objects of a YAML stream.
pub fn documents(yaml: &str) -> Vec<Value> {
    serde_norway::Deserializer::from_str(yaml)
        .map(|document| Value::deserialize(document).expect("valid YAML"))
        .filter(|object| !object.is_null())
        .collect()
}

/// The objects as one manifest that kubectl takes.
pub fn list(objects: &[Value]) -> String {
    serde_json::json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string()
}

pub fn kind(object: &Value) -> &str {
    object["kind"].as_str().unwrap_or_default()
}

/// The committed CRDs, whatever their files are called.
fn crds() -> Vec<Value> {
    let folder = repository().join("crds");
    let files = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("no {}: {error}", folder.display()));
    let crds: Vec<Value> = files
        .map(|file| file.expect("a readable folder").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .flat_map(|path| documents(&std::fs::read_to_string(path).expect("a readable file")))
        .filter(|object| kind(object) == "CustomResourceDefinition")
        .collect();
    assert!(
        !crds.is_empty(),
        "{} holds no CRD: run `dualwrite-operator crd`",
        folder.display()
    );
    crds
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}
