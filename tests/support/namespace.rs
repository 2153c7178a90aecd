//! A test's namespace, and who may do what in it.

use std::time::Duration;

use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::Client;
use kube::api::{Api, PostParams};
use serde_json::{Value, json};

use super::control_plane::{OPERATOR_USER, SYSTEM_NAMESPACE};
use super::{install, kubectl::Kubectl, wait};

/// The roles that deploy/ ships for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Viewer,
    Editor,
    Approver,
}

/// Gives a new person this role in the namespace; returns the user's name.
pub async fn add_person(client: &Client, namespace: &str, role: Role) -> String {
    let name = format!("{role:?}").to_lowercase();
    let user = format!("{name}@{namespace}");
    let subject = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user});
    bind(
        client,
        namespace,
        &name,
        &format!("dualwrite-{name}"),
        subject,
    )
    .await;
    // Every role can read operations, so that shows that the binding works.
    let read = ["dualwrite.dev", "dualwriteoperations", "get"];
    wait_until_allowed(client, namespace, &user, read).await;
    user
}

pub async fn create(client: &Client, name: &str) {
    let namespace =
        serde_json::from_value(json!({"metadata": {"name": name}})).expect("a namespace");
    let api: Api<Namespace> = Api::all(client.clone());
    api.create(&PostParams::default(), &namespace)
        .await
        .expect("an admin can create a namespace");
}

/// What deploy/opt-in says, and waits until it has an effect.
pub async fn opt_in(client: &Client, namespace: &str) {
    let role = "dualwrite-operator-namespace";
    grant(client, namespace, role, ["", "secrets", "get"]).await;
}

/// Binds one of the operator's roles, and waits until that lets it do something (group, resource, verb).
pub async fn grant(client: &Client, namespace: &str, role: &str, can: [&str; 3]) {
    let subject = json!({"kind": "ServiceAccount", "name": "dualwrite-operator", "namespace": SYSTEM_NAMESPACE});
    bind(client, namespace, role, role, subject).await;
    wait_until_allowed(client, namespace, OPERATOR_USER, can).await;
}

/// What deploy/base lets the operator do with its lease, in this namespace: each world
/// has an election of its own.
pub async fn let_elect(client: &Client, admin: &Kubectl, namespace: &str) {
    let mut objects = install::rendered(admin, "deploy/base");
    objects.retain(|object| object["metadata"]["name"] == "dualwrite-operator-leases");
    assert_eq!(objects.len(), 2, "a Role and its binding: {objects:#?}");
    for object in &mut objects {
        object["metadata"]["namespace"] = namespace.into();
    }
    admin.apply(&install::list(&objects)).await.ok();
    let create = ["coordination.k8s.io", "leases", "create"];
    wait_until_allowed(client, namespace, OPERATOR_USER, create).await;
}

async fn bind(client: &Client, namespace: &str, name: &str, role: &str, subject: Value) {
    let binding = json!({
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [subject],
    });
    let binding = serde_json::from_value(binding).expect("a role binding");
    let api: Api<RoleBinding> = Api::namespaced(client.clone(), namespace);
    api.create(&PostParams::default(), &binding)
        .await
        .expect("an admin can bind roles");
}

/// The API server's authorizer learns of a new binding a moment after it was made.
async fn wait_until_allowed(
    client: &Client,
    namespace: &str,
    user: &str,
    [group, resource, verb]: [&str; 3],
) {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let review = json!({"metadata": {}, "spec": {"user": user, "groups": ["system:authenticated"], "resourceAttributes": {
        "namespace": namespace, "group": group, "resource": resource, "subresource": subresource, "verb": verb,
    }}});
    let review: SubjectAccessReview = serde_json::from_value(review).expect("an access review");
    let api: Api<SubjectAccessReview> = Api::all(client.clone());
    wait::polling("a new role binding", Duration::from_secs(10), || async {
        let answer = api.create(&PostParams::default(), &review).await.ok()?;
        answer
            .status
            .is_some_and(|status| status.allowed)
            .then_some(())
    })
    .await;
}
