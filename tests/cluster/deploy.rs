//! What deploy/ holds is what a real API server takes, within the strictest pod
//! security, and gives each role just what it should have.

mod ambient;
mod policies;

use std::path::Path;
use std::process::Command;

use crate::support::install::{documents, kind, list};
use crate::support::{ControlPlane, Kubectl, OPERATOR_USER, Role, SYSTEM_NAMESPACE, World};
use futures::future::join_all;
use serde_json::{Value, json};

const OVERLAYS: [&str; 4] = [
    "deploy/base",
    "deploy/overlays/simulator",
    CLUSTER_WIDE,
    OPENSHIFT,
];
const CLUSTER_WIDE: &str = "deploy/overlays/cluster-wide";
const OPENSHIFT: &str = "deploy/overlays/openshift";
const DRY_RUN: [&str; 5] = ["apply", "--server-side", "--dry-run=server", "-f", "-"];

#[tokio::test]
async fn the_api_server_takes_everything() {
    let admin = ControlPlane::shared().await.admin();
    admin
        .run(&["create", "namespace", "contoso-erp"])
        .await
        .ok();
    for folder in OVERLAYS.iter().chain(&["deploy/opt-in"]) {
        let objects = render(admin, folder).await;
        let taken = admin.run_with_input(&DRY_RUN, &list(&objects)).await.ok();
        assert_eq!(taken.lines().count(), objects.len(), "{folder}: {taken}");
    }
}

#[tokio::test]
async fn the_pods_keep_to_the_restricted_profile() {
    let admin = ControlPlane::shared().await.admin();
    let system = find(
        &render(admin, "deploy/base").await,
        "Namespace",
        "dualwrite-system",
    );
    let namespace = restricted_namespace(admin, &system).await;
    for folder in OVERLAYS {
        let pod = pod(&render(admin, folder).await, &namespace);
        admin.run_with_input(&DRY_RUN, &pod.to_string()).await.ok();

        for (path, loosened) in LOOSENINGS {
            let mut pod = pod.clone();
            *pod.pointer_mut(path).unwrap() = serde_json::from_str(loosened).unwrap();
            let why = admin.run_with_input(&DRY_RUN, &pod.to_string()).await.err();
            assert!(
                why.contains("violates PodSecurity"),
                "{path} = {loosened}: {why}"
            );
        }
    }
}

/// Each of them alone must be refused, or the test above proves nothing.
const LOOSENINGS: [(&str, &str); 5] = [
    ("/spec/securityContext/runAsNonRoot", "false"),
    ("/spec/securityContext/seccompProfile", "null"),
    ("/spec/containers/0/securityContext/capabilities", "null"),
    (
        "/spec/containers/0/securityContext/allowPrivilegeEscalation",
        "null",
    ),
    (
        "/spec/containers/0/securityContext",
        r#"{"privileged": true}"#,
    ),
];

/// What the restricted profile does not ask for.
#[tokio::test]
async fn nothing_is_written_in_a_container_and_no_shell_is_in_it() {
    let admin = ControlPlane::shared().await.admin();
    for folder in OVERLAYS {
        let objects = render(admin, folder).await;
        let deployment = find(&objects, "Deployment", "dualwrite-operator");
        let pod = &deployment["spec"]["template"]["spec"];
        let lists = [&pod["containers"], &pod["initContainers"]];
        let containers = lists.into_iter().filter_map(Value::as_array).flatten();
        for container in containers {
            let context = &container["securityContext"];
            assert_eq!(context["readOnlyRootFilesystem"], true, "{folder}");
            assert_eq!(context["capabilities"], json!({"drop": ["ALL"]}));
        }
    }

    // One file is added to an image that has neither a shell nor a package manager.
    let dockerfile = std::fs::read_to_string(repository().join("Dockerfile")).unwrap();
    let (_, last) = dockerfile.rsplit_once("\nFROM ").unwrap();
    assert!(last.starts_with("gcr.io/distroless/"), "{last}");
    let adds = |line: &&str| ["COPY", "ADD", "RUN"].contains(&line.split(' ').next().unwrap());
    let added: Vec<&str> = last.lines().filter(adds).collect();
    assert_eq!(added.len(), 1, "{added:?}");
    assert!(added[0].ends_with(" /dualwrite-operator /usr/local/bin/dualwrite-operator"));
}

/// Resource, verb, and who may: the operator where it was let in, the operator
/// elsewhere, viewer, editor, approver.
const RIGHTS: [(&str, &str, [bool; 5]); 35] = {
    const Y: bool = true;
    const N: bool = false;
    [
        ("dwc", "get", [Y, Y, Y, Y, Y]),
        ("dwc", "watch", [Y, Y, Y, Y, Y]),
        ("dwc", "create", [N, N, N, Y, N]),
        // Everywhere, and kept to finalizers by a policy: see policies.rs.
        ("dwc", "patch", [Y, Y, N, Y, N]),
        ("dwc", "update", [N, N, N, Y, N]),
        ("dwc", "delete", [N, N, N, Y, N]),
        ("dwc/status", "patch", [Y, Y, N, N, N]),
        ("dwo", "get", [Y, Y, Y, Y, Y]),
        ("dwo", "list", [Y, Y, Y, Y, Y]),
        ("dwo", "create", [Y, N, N, N, N]),
        ("dwo", "patch", [Y, Y, N, N, Y]),
        ("dwo", "approve", [N, N, N, N, Y]),
        ("dwo", "update", [N, N, N, N, N]),
        ("dwo", "delete", [Y, N, N, N, Y]),
        ("dwo/status", "patch", [Y, Y, N, N, N]),
        ("dwo/status", "update", [N, N, N, N, N]),
        ("secrets", "get", [Y, N, N, N, N]),
        ("secrets", "list", [N, N, N, N, N]),
        ("secrets", "watch", [N, N, N, N, N]),
        ("secrets", "create", [N, N, N, N, N]),
        ("secrets", "update", [N, N, N, N, N]),
        ("configmaps", "create", [Y, N, N, N, N]),
        ("configmaps", "get", [Y, N, N, N, N]),
        ("configmaps", "list", [Y, N, N, N, N]),
        ("configmaps", "delete", [Y, N, N, N, N]),
        ("configmaps", "watch", [N, N, N, N, N]),
        ("configmaps", "patch", [N, N, N, N, N]),
        ("configmaps", "update", [N, N, N, N, N]),
        ("leases", "get", [N, N, N, N, N]),
        ("leases", "create", [N, N, N, N, N]),
        ("events.events.k8s.io", "create", [Y, Y, N, N, N]),
        ("events.events.k8s.io", "patch", [Y, Y, N, N, N]),
        ("serviceaccounts/token", "create", [N, N, N, N, N]),
        (
            "tokenreviews.authentication.k8s.io",
            "create",
            [Y, Y, N, N, N],
        ),
        (
            "subjectaccessreviews.authorization.k8s.io",
            "create",
            [Y, Y, N, N, N],
        ),
    ]
};

#[tokio::test]
async fn each_role_may_do_just_what_it_should() {
    let outside = World::builder().not_opted_in();
    let (world, outside) = tokio::join!(World::builder().start(), outside.start());
    let people =
        join_all([Role::Viewer, Role::Editor, Role::Approver].map(|role| world.person(role))).await;
    let operator = format!("--as={OPERATOR_USER}");
    for (resource, verb, expected) in RIGHTS {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let subresource = format!("--subresource={subresource}");
        let [as_operator, as_person] = [vec![operator.as_str(), &subresource], vec![&subresource]];
        let operators = [world.admin(), outside.admin()].map(|kubectl| (kubectl, &as_operator));
        let people = people.iter().map(|kubectl| (kubectl, &as_person));
        let asked = operators.into_iter().chain(people);
        let answers =
            join_all(asked.map(|(kubectl, more)| kubectl.can_i(verb, resource, more))).await;
        assert_eq!(answers, expected, "{verb} {resource} {subresource}");
    }
}

/// What the election needs of the one Lease, and nothing of another.
#[tokio::test]
async fn the_operator_may_hold_its_own_lease_only() {
    let admin = ControlPlane::shared().await.admin();
    let who = [&format!("--as={OPERATOR_USER}"), "-n", SYSTEM_NAMESPACE];
    for (verb, lease, expected) in [
        ("create", "leases", true),
        ("get", "leases/dualwrite-operator", true),
        ("list", "leases/dualwrite-operator", true),
        ("watch", "leases/dualwrite-operator", true),
        ("update", "leases/dualwrite-operator", true),
        ("patch", "leases/dualwrite-operator", false),
        ("delete", "leases/dualwrite-operator", false),
        ("get", "leases/another", false),
        ("update", "leases/another", false),
        ("list", "leases", false),
    ] {
        let may = admin.can_i(verb, lease, &who).await;
        assert_eq!(may, expected, "{verb} {lease}");
    }
}

#[tokio::test]
async fn there_is_always_a_replica_to_hand_over_to() {
    let admin = ControlPlane::shared().await.admin();
    let objects = render(admin, "deploy/base").await;
    let spec = find(&objects, "Deployment", "dualwrite-operator")["spec"].clone();
    let pod = &spec["template"]["spec"];
    assert_eq!(spec["replicas"], 2);
    assert_eq!(
        spec["strategy"],
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}})
    );
    let budget = find(&objects, "PodDisruptionBudget", "dualwrite-operator")["spec"].clone();
    assert_eq!(budget["maxUnavailable"], 1);
    let spread = &pod["topologySpreadConstraints"][0];
    // Soft: both run also where there is one node.
    assert_eq!(spread["whenUnsatisfiable"], "ScheduleAnyway");
    for selector in [
        &budget["selector"],
        &spread["labelSelector"],
        &spec["selector"],
    ] {
        let labels = spec["template"]["metadata"]["labels"].as_object().unwrap();
        let wanted = selector["matchLabels"].as_object().unwrap();
        assert!(!wanted.is_empty());
        assert!(
            wanted
                .iter()
                .all(|(key, value)| labels.get(key) == Some(value))
        );
    }
    // 360 s for a request that is under way, 2 s for other passes, and 5 s to release the lease.
    assert!(pod["terminationGracePeriodSeconds"].as_u64().unwrap() > 367);
    let env = |name: &str| {
        let env = pod["containers"][0]["env"].as_array().unwrap();
        let found = env.iter().find(|variable| variable["name"] == name);
        found.map(|variable| variable["valueFrom"]["fieldRef"]["fieldPath"].clone())
    };
    assert_eq!(env("POD_NAME"), Some(json!("metadata.name")));
    assert_eq!(env("POD_NAMESPACE"), Some(json!("metadata.namespace")));
}

#[tokio::test]
async fn approving_never_comes_with_the_right_to_edit() {
    let admin = ControlPlane::shared().await.admin();
    let objects = render(admin, "deploy/base").await;
    let aggregates = |role: &str| {
        let labels = find(&objects, "ClusterRole", role)["metadata"]["labels"].clone();
        let labels = labels.as_object().cloned().unwrap_or_default();
        labels
            .keys()
            .filter_map(|key| key.split_once("aggregate-to-"))
            .map(|(_, to)| to.to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(aggregates("dualwrite-viewer"), ["view"]);
    assert_eq!(aggregates("dualwrite-editor"), ["edit"]);
    for alone in [
        "dualwrite-approver",
        "dualwrite-operator",
        "dualwrite-operator-namespace",
        "dualwrite-operator-federation",
        "dualwrite-operator-refresh-tokens",
        "dualwrite-metrics-reader",
    ] {
        assert!(aggregates(alone).is_empty(), "{alone}");
    }
}

#[tokio::test]
async fn the_one_line_opt_in_is_the_manifest() {
    let admin = ControlPlane::shared().await.admin();
    let manifest = find(
        &render(admin, "deploy/opt-in").await,
        "RoleBinding",
        "dualwrite-operator",
    );
    let text =
        std::fs::read_to_string(repository().join("deploy/opt-in/rolebinding.yaml")).unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("#   kubectl "))
        .unwrap();
    let line = line.replace("TEAM", "contoso-erp");
    let args: Vec<&str> = line
        .split(' ')
        .chain(["--dry-run=client", "-o", "json"])
        .collect();
    let made = admin.run(&args).await.json();
    assert_eq!(
        made["metadata"]["namespace"],
        manifest["metadata"]["namespace"]
    );
    assert_eq!(made["roleRef"], manifest["roleRef"]);
    assert_eq!(made["subjects"], manifest["subjects"]);
}

/// The overlay lets the operator in everywhere, and does nothing else: no tokens of other `ServiceAccount`s, no writing of
/// Secrets.
#[tokio::test]
async fn the_cluster_wide_overlay_is_one_binding_more() {
    let admin = ControlPlane::shared().await.admin();
    let base = render(admin, "deploy/base").await;
    let mut more = render(admin, CLUSTER_WIDE).await;
    more.retain(|object| !base.contains(object));
    assert_eq!(more.len(), 1, "{more:#?}");
    let opt_in = find(
        &render(admin, "deploy/opt-in").await,
        "RoleBinding",
        "dualwrite-operator",
    );
    assert_eq!(kind(&more[0]), "ClusterRoleBinding");
    assert_eq!(more[0]["roleRef"], opt_in["roleRef"]);
    assert_eq!(more[0]["subjects"], opt_in["subjects"]);
}

/// On `OpenShift` the pods ask for no user of their own, may reach DNS at its port, and are otherwise the same.
#[tokio::test]
async fn on_openshift_the_pods_take_the_user_that_they_are_given() {
    let admin = ControlPlane::shared().await.admin();
    let mut base = render(admin, "deploy/base").await;
    let mut more = render(admin, OPENSHIFT).await;
    more.retain(|object| !base.contains(object));
    let policy = find(&more, "NetworkPolicy", "dualwrite-operator-dns")["spec"].clone();
    let deployment = find(&more, "Deployment", "dualwrite-operator");
    assert_eq!(more.len(), 2, "{more:#?}");
    assert_eq!(policy["podSelector"], deployment["spec"]["selector"]);
    let ports =
        json!([{"ports": [{"protocol": "UDP", "port": 5353}, {"protocol": "TCP", "port": 5353}]}]);
    assert_eq!(policy["egress"], ports);
    let with_user = base
        .iter_mut()
        .find(|object| kind(object) == "Deployment")
        .unwrap();
    let security = &mut with_user["spec"]["template"]["spec"]["securityContext"];
    let security = security.as_object_mut().unwrap();
    assert!(security.remove("runAsUser").is_some() && security.remove("runAsGroup").is_some());
    assert_eq!(*with_user, deployment);
}

/// The policy is about the operator's pods, lets Prometheus in at the port of the metrics, and names ports in all that it
/// lets out.
#[tokio::test]
async fn the_network_policy_fits_the_pods() {
    let admin = ControlPlane::shared().await.admin();
    let objects = render(admin, "deploy/base").await;
    let policy = find(&objects, "NetworkPolicy", "dualwrite-operator")["spec"].clone();
    let deployment = find(&objects, "Deployment", "dualwrite-operator")["spec"].clone();
    assert_eq!(policy["podSelector"], deployment["selector"]);
    assert_eq!(policy["policyTypes"], json!(["Ingress", "Egress"]));
    let operator = &deployment["template"]["spec"]["containers"][0];
    let port = port(operator, "metrics");
    let ingress = json!([{"ports": [{"protocol": port["protocol"].as_str().unwrap_or("TCP"), "port": port["name"]}]}]);
    assert_eq!(policy["ingress"], ingress);
    let service = find(&objects, "Service", "dualwrite-operator")["spec"].clone();
    assert_eq!(service["selector"], deployment["selector"]["matchLabels"]);
    assert_eq!(service["ports"][0]["targetPort"], port["name"]);
    assert_eq!(service["ports"][0]["port"], port["containerPort"]);
    // The probes share nothing with it.
    for probe in ["livenessProbe", "readinessProbe"] {
        assert_eq!(operator[probe]["httpGet"]["port"], "admin");
    }
    assert_eq!(argument(operator, "--metrics-auth"), "kubernetes");
    let mut ports: Vec<u64> = policy["egress"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|rule| rule["ports"].as_array().expect("each names its ports"))
        .map(|port| port["port"].as_u64().unwrap())
        .collect();
    ports.sort_unstable();
    assert_eq!(ports, [53, 53, 443, 6443]);
}

#[tokio::test]
async fn what_the_containers_are_told_fits_together() {
    let admin = ControlPlane::shared().await.admin();
    let objects = render(admin, "deploy/overlays/simulator").await;
    let spec = find(&objects, "Deployment", "dualwrite-operator")["spec"].clone();
    let pod = &spec["template"]["spec"];
    let (operator, simulator) = (&pod["containers"][0], &pod["initContainers"][0]);

    // Each pod has a simulator, and a truth, of its own.
    assert_eq!(spec["replicas"], 1);
    assert_eq!(spec["strategy"], json!({"type": "Recreate"}));
    assert_eq!(operator["args"][0], "run");
    for (flag, name) in [("--admin-addr", "admin"), ("--metrics-addr", "metrics")] {
        let port = port(operator, name)["containerPort"].clone();
        assert_eq!(argument(operator, flag), format!("0.0.0.0:{port}"));
    }
    let microsoft = port(simulator, "microsoft")["containerPort"].clone();
    assert_eq!(
        argument(operator, "--connect-to"),
        format!("127.0.0.1:{microsoft}")
    );
    assert!(argument(simulator, "--listen").ends_with(&format!(":{microsoft}")));
    assert!(argument(simulator, "--control").starts_with("127.0.0.1:"));

    let ca = argument(operator, "--extra-ca");
    assert_eq!(ca, argument(simulator, "--ca-file"));
    let folder = Path::new(&ca).parent().unwrap().to_str().unwrap();
    for container in [operator, simulator] {
        assert_eq!(container["volumeMounts"][0]["mountPath"], folder);
        assert_eq!(
            container["volumeMounts"][0]["name"],
            pod["volumes"][0]["name"]
        );
    }
}

#[test]
fn the_image_is_built_with_our_toolchain_from_files_that_cargo_accepts() {
    let read = |name: &str| std::fs::read_to_string(repository().join(name)).unwrap();
    let toolchain = read("rust-toolchain.toml");
    let version = toolchain
        .lines()
        .find_map(|line| line.strip_prefix("channel = "))
        .unwrap()
        .trim_matches('"');
    let (minor, _) = version.rsplit_once('.').unwrap();
    let dockerfile = read("Dockerfile");
    assert!(dockerfile.contains(&format!("FROM rust:{minor}-")));
    assert!(dockerfile.contains(&format!("RUSTUP_TOOLCHAIN={version}\n")));

    let context = tempfile::tempdir().unwrap();
    let ignore = read(".dockerignore");
    for name in ignore.lines().filter_map(|line| line.strip_prefix('!')) {
        let from = repository().join(name);
        // What the package does not have yet is not missed yet.
        if from.exists() {
            let copied = Command::new("cp")
                .arg("-R")
                .arg(from)
                .arg(context.path())
                .status();
            assert!(copied.unwrap().success());
        }
    }
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--edges=normal"])
        .current_dir(context.path())
        .output()
        .unwrap();
    assert!(
        tree.status.success(),
        "{}",
        String::from_utf8_lossy(&tree.stderr)
    );
}

async fn render(kubectl: &Kubectl, folder: &str) -> Vec<Value> {
    let path = repository().join(folder);
    documents(
        &kubectl
            .run(&["kustomize", path.to_str().unwrap()])
            .await
            .ok(),
    )
}

fn find(objects: &[Value], kind_: &str, name: &str) -> Value {
    let found = objects
        .iter()
        .find(|object| kind(object) == kind_ && object["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("no {kind_} {name}")).clone()
}

/// A namespace with the labels of the operator's own.
async fn restricted_namespace(admin: &Kubectl, like: &Value) -> String {
    let name = format!("restricted-{}", uuid::Uuid::new_v4().simple());
    let namespace = json!({
        "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": like["metadata"]["labels"]},
    });
    admin.apply(&namespace.to_string()).await.ok();
    name
}

/// The Deployment's pod, as its controller would make it.
fn pod(objects: &[Value], namespace: &str) -> Value {
    let template = &find(objects, "Deployment", "dualwrite-operator")["spec"]["template"];
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "dualwrite-operator", "namespace": namespace, "labels": template["metadata"]["labels"]},
        "spec": template["spec"],
    })
}

fn port<'a>(container: &'a Value, name: &str) -> &'a Value {
    let ports = container["ports"].as_array().unwrap();
    let port = ports.iter().find(|port| port["name"] == name);
    port.unwrap_or_else(|| panic!("no port {name} in {container}"))
}

fn argument(container: &Value, flag: &str) -> String {
    let args = container["args"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str);
    let value = { args }.find_map(|arg| arg.strip_prefix(flag)?.strip_prefix('='));
    value
        .unwrap_or_else(|| panic!("no {flag} in {container}"))
        .to_owned()
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
