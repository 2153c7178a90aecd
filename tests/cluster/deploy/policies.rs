//! Who may approve, and what the operator may not touch: the admission policies of deploy/base, asked by real users.

use std::time::Duration;

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::support::install::{PROBES, documents, kind};
use crate::support::{Kubectl, Output, Role, World, wait};

const APPROVAL: &str = "'dualwrite-approval'";
const AUTOMATIC: &str = "'dualwrite-automatic-approval'";
const OPERATOR: &str = "'dualwrite-operator'";

/// An object of the harness's probes, with another name.
fn object(kind_: &str, name: &str) -> Value {
    let mut objects = documents(PROBES).into_iter();
    let mut object = objects.find(|object| kind(object) == kind_).unwrap();
    object["metadata"] = json!({"name": name});
    object
}

fn connection(name: &str, mismatch: &Value) -> Value {
    let mut connection = object("DualWriteConnection", name);
    connection["spec"]["mismatch"] = mismatch.clone();
    connection
}

fn operation(name: &str, approval: &str) -> Value {
    let mut operation = object("DualWriteOperation", name);
    operation["spec"]["approval"] = approval.into();
    operation
}

async fn create(kubectl: &Kubectl, object: &Value) -> Output {
    let args = ["create", "-f", "-"];
    kubectl.run_with_input(&args, &object.to_string()).await
}

async fn patch(kubectl: &Kubectl, what: &str, patch: Value) -> Output {
    let (kind, name) = what.split_once('/').unwrap();
    let patch = patch.to_string();
    let args = ["patch", kind, name, "--type=merge", "-p", &patch];
    kubectl.run(&args).await
}

fn approval(is: &str) -> Value {
    json!({"spec": {"approval": is}})
}

#[track_caller]
fn refused_by(policy: &str, output: Output) -> String {
    let why = output.err();
    let by = format!("ValidatingAdmissionPolicy {policy}");
    assert!(why.contains(&by) && why.contains("Forbidden"), "{why}");
    why
}

#[track_caller]
fn refused_by_rbac(output: Output) {
    let why = output.err();
    assert!(why.contains("cannot") && !why.contains("Policy"), "{why}");
}

/// The operator's own `ServiceAccount`, by its token.
fn operator(world: &World) -> Kubectl {
    let name = format!("{}-as-operator", world.namespace);
    let control_plane = &world.control_plane;
    control_plane.kubectl(&control_plane.operator_kubeconfig(&name, &world.namespace, None))
}

/// Binds the role of approvers in the namespace of this administrator.
async fn bind_approver(admin: &Kubectl, name: &str, subject: &str) {
    let role = "--clusterrole=dualwrite-approver";
    let bind = ["create", "rolebinding", name, role, subject];
    admin.run(&bind).await.ok();
}

/// A new person with these verbs on this resource in the namespace, beside what a viewer may.
async fn person_who_may(world: &World, name: &str, verbs: &str, resource: &str) -> Kubectl {
    let user = format!("{name}@{}", world.namespace);
    grant(world, name, verbs, resource, &format!("--user={user}")).await;
    let control_plane = &world.control_plane;
    let person = control_plane.kubectl(&control_plane.person_kubeconfig(&user, &world.namespace));
    may(&person, verbs, resource, &[]).await;
    person
}

async fn grant(world: &World, name: &str, verbs: &str, resource: &str, to: &str) {
    let (verbs, resource) = (format!("--verb={verbs}"), format!("--resource={resource}"));
    let admin = world.admin();
    admin
        .run(&["create", "role", name, &verbs, &resource])
        .await
        .ok();
    let role = format!("--role={name}");
    admin
        .run(&["create", "rolebinding", name, &role, to])
        .await
        .ok();
}

/// Waits until the API server's authorizer knows it.
async fn may(kubectl: &Kubectl, verbs: &str, resource: &str, more: &[&str]) {
    let verb = verbs.split(',').next().unwrap();
    let asked = || async { kubectl.can_i(verb, resource, more).await.then_some(()) };
    wait::polling("a new right", Duration::from_secs(10), asked).await;
}

/// Binds one more of the roles that deploy/ ships.
async fn also(
    world: &World,
    person: &Kubectl,
    user: Role,
    role: &str,
    [verb, resource]: [&str; 2],
) {
    let user = format!("{user:?}@{}", world.namespace).to_lowercase();
    let (role, user) = (format!("--clusterrole={role}"), format!("--user={user}"));
    let bind = ["create", "rolebinding", "also", &role, &user];
    world.admin().run(&bind).await.ok();
    may(person, verb, resource, &[]).await;
}

#[tokio::test]
async fn an_operation_is_approved_by_approvers_only() {
    let world = World::builder().start().await;
    for name in ["one", "two", "three"] {
        create(world.admin(), &operation(name, "Pending"))
            .await
            .ok();
    }
    let editor = world.person(Role::Editor).await;
    refused_by_rbac(patch(&editor, "dwo/one", approval("Approved")).await);

    // The right to patch alone is not enough, for nobody.
    let patcher = person_who_may(&world, "patcher", "patch,get", "dualwriteoperations").await;
    for who in [&patcher, &operator(&world)] {
        for decision in ["Approved", "Rejected"] {
            let why = refused_by(APPROVAL, patch(who, "dwo/one", approval(decision)).await);
            for part in [
                "verb approve",
                "dualwrite-approver",
                "create rolebinding",
                &world.namespace,
            ] {
                assert!(why.contains(part), "{part}: {why}");
            }
        }
        // Everything else is not this policy's business.
        let held = json!({"metadata": {"finalizers": ["dualwrite.dev/act"], "labels": {"contoso": "yes"}}});
        patch(who, "dwo/one", held).await.ok();
        patch(who, "dwo/one", json!({"metadata": {"finalizers": null}}))
            .await
            .ok();
    }
    let one = world.get("dwo/one").await;
    assert_eq!(one["spec"]["approval"], "Pending");

    let approver = world.person(Role::Approver).await;
    patch(&approver, "dwo/one", approval("Approved")).await.ok();
    patch(&approver, "dwo/two", approval("Rejected")).await.ok();
    assert_eq!(world.get("dwo/one").await["spec"]["approval"], "Approved");
    assert_eq!(world.get("dwo/two").await["spec"]["approval"], "Rejected");
    // The cluster's administrator has every verb.
    patch(world.admin(), "dwo/three", approval("Approved"))
        .await
        .ok();
}

/// Another namespace's approver is none here, and one operation's approver is none of another.
#[tokio::test]
async fn an_approver_is_one_of_a_namespace_or_of_one_operation() {
    let (world, other) = tokio::join!(World::builder().start(), World::builder().start());
    for name in ["one", "two"] {
        create(world.admin(), &operation(name, "Pending"))
            .await
            .ok();
    }
    let person = person_who_may(&world, "patcher", "patch,get", "dualwriteoperations").await;
    let user = format!("--user=patcher@{}", world.namespace);
    bind_approver(other.admin(), "elsewhere", &user).await;
    may(&person, "approve", "dwo", &["-n", &other.namespace]).await;
    refused_by(
        APPROVAL,
        patch(&person, "dwo/one", approval("Approved")).await,
    );

    let role = [
        "create",
        "role",
        "of-one",
        "--verb=approve",
        "--resource=dualwriteoperations",
        "--resource-name=one",
    ];
    world.admin().run(&role).await.ok();
    let bind = ["create", "rolebinding", "of-one", "--role=of-one", &user];
    world.admin().run(&bind).await.ok();
    may(&person, "approve", "dwo/one", &[]).await;
    refused_by(
        APPROVAL,
        patch(&person, "dwo/two", approval("Approved")).await,
    );
    patch(&person, "dwo/one", approval("Approved")).await.ok();
}

/// The operator plans, and never something that is approved already.
#[tokio::test]
async fn the_operator_makes_no_operation_that_is_approved() {
    let world = World::builder().start().await;
    let operator = operator(&world);
    refused_by(
        APPROVAL,
        create(&operator, &operation("one", "Approved")).await,
    );
    refused_by(
        APPROVAL,
        create(&operator, &operation("one", "Rejected")).await,
    );
    create(&operator, &operation("one", "Pending")).await.ok();
    create(&operator, &operation("two", "NotRequired"))
        .await
        .ok();
}

/// What waits for nobody is made by the operator, or by whoever could approve it.
#[tokio::test]
async fn an_operation_that_waits_for_nobody_is_made_by_the_operator_or_an_approver() {
    let world = World::builder().start().await;
    let creator = person_who_may(&world, "creator", "create,get", "dualwriteoperations").await;
    for decided in ["NotRequired", "Approved", "Rejected"] {
        let created = create(&creator, &operation("one", decided)).await;
        let why = refused_by(APPROVAL, created);
        for part in [
            &format!("approval {decided} instead of Pending"),
            "verb approve",
            "dualwrite-approver",
            &world.namespace,
        ] {
            assert!(why.contains(part), "{part}: {why}");
        }
    }
    create(&creator, &operation("one", "Pending")).await.ok();

    // A namesake in another namespace, with a right to create, is not the operator.
    let account = format!("{}:dualwrite-operator", world.namespace);
    let subject = format!("--serviceaccount={account}");
    grant(
        &world,
        "namesake",
        "create",
        "dualwriteoperations",
        &subject,
    )
    .await;
    let as_account = format!("--as=system:serviceaccount:{account}");
    let admin = world.admin();
    may(admin, "create", "dwo", &[&as_account]).await;
    let create_as = ["create", "-f", "-", &as_account];
    for decided in ["NotRequired", "Approved"] {
        let operation = operation("two", decided).to_string();
        refused_by(APPROVAL, admin.run_with_input(&create_as, &operation).await);
    }

    let user = format!("--user=creator@{}", world.namespace);
    bind_approver(admin, "creator-approves", &user).await;
    may(&creator, "approve", "dwo", &[]).await;
    create(&creator, &operation("two", "NotRequired"))
        .await
        .ok();
}

#[tokio::test]
async fn what_needs_no_approver_is_written_by_approvers_only() {
    let world = World::builder().start().await;
    let editor = world.person(Role::Editor).await;
    let approver = world.person(Role::Approver).await;
    let automatic = json!({"approval": "Automatic"});
    let production = json!({"allowProduction": true});
    create(
        &editor,
        &connection("plain", &json!({"approval": "Required"})),
    )
    .await
    .ok();
    let asked = |mismatch: &Value| json!({"spec": {"mismatch": mismatch}});

    for mismatch in [&automatic, &production] {
        let created = create(&editor, &connection("new", mismatch)).await;
        let why = refused_by(AUTOMATIC, created);
        for part in [
            "mismatch.approval",
            "allowProduction",
            "verb approve",
            "dualwrite-approver",
            &world.namespace,
        ] {
            assert!(why.contains(part), "{part}: {why}");
        }
        refused_by(
            AUTOMATIC,
            patch(&editor, "dwc/plain", asked(mismatch)).await,
        );
    }
    // Who approves does not edit, unless both are granted.
    refused_by_rbac(create(&approver, &connection("new", &automatic)).await);
    also(
        &world,
        &approver,
        Role::Approver,
        "dualwrite-editor",
        ["create", "dwc"],
    )
    .await;
    for (name, mismatch) in [("automatic", &automatic), ("production", &production)] {
        create(&approver, &connection(name, mismatch)).await.ok();
        let what = format!("dwc/{name}");
        patch(&approver, &what, json!({"spec": {"interval": "7m"}}))
            .await
            .ok();

        // An editor steers nothing of it, with or without words about the approval,
        let elsewhere = json!({"spec": {"dataverse": {"environmentId": "c0a8f00d-0000-4000-8000-000000000020"}}});
        refused_by(AUTOMATIC, patch(&editor, &what, elsewhere.clone()).await);
        refused_by(
            AUTOMATIC,
            patch(&editor, &what, json!({"spec": {"suspend": true}})).await,
        );
        // but may ask for a look, and may take the two out, together with anything else.
        let look = json!({"metadata": {"annotations": {"dualwrite.dev/reconcile-at": "now"}, "labels": {"contoso": "yes"}}});
        patch(&editor, &what, look).await.ok();
        let back = json!({"mismatch": {"approval": "Required", "allowProduction": false}, "suspend": true});
        patch(&editor, &what, json!({"spec": back})).await.ok();
        patch(&editor, &what, elsewhere).await.ok();
        let now = world.get(&what).await;
        assert_eq!(now["spec"]["suspend"], true);
    }
}

/// A pipeline's `ServiceAccount` is a user like others.
#[tokio::test]
async fn service_accounts_are_asked_too() {
    let world = World::builder().start().await;
    let account = format!("system:serviceaccount:{}:flux", world.namespace);
    let subject = format!("--serviceaccount={}:flux", world.namespace);
    let admin = world.admin();
    let bind = [
        "create",
        "rolebinding",
        "flux",
        "--clusterrole=dualwrite-editor",
        &subject,
    ];
    admin.run(&bind).await.ok();
    let as_account = format!("--as={account}");
    may(admin, "create", "dwc", &[&as_account]).await;
    let automatic = connection("one", &json!({"approval": "Automatic"})).to_string();
    let create_as = ["create", "-f", "-", &as_account];
    refused_by(
        AUTOMATIC,
        admin.run_with_input(&create_as, &automatic).await,
    );
    grant(
        &world,
        "patch-operations",
        "patch,get",
        "dualwriteoperations",
        &subject,
    )
    .await;
    may(admin, "patch", "dwo", &[&as_account]).await;
    create(admin, &operation("one", "Pending")).await.ok();
    let approve = [
        "patch",
        "dwo",
        "one",
        "--type=merge",
        "-p",
        r#"{"spec":{"approval":"Approved"}}"#,
        &as_account,
    ];
    refused_by(APPROVAL, admin.run(&approve).await);

    bind_approver(admin, "flux-approves", &subject).await;
    may(admin, "approve", "dwo", &[&as_account]).await;
    admin.run_with_input(&create_as, &automatic).await.ok();
    admin.run(&approve).await.ok();
}

/// Where it was let in and where it was not: a namespace that is being deleted may lose its `RoleBinding` first.
#[tokio::test]
async fn the_operator_touches_nothing_of_a_connection_but_its_own_finalizers() {
    let outside = World::builder().not_opted_in();
    let (world, outside) = tokio::join!(World::builder().start(), outside.start());
    for world in [world, outside] {
        let operator = operator(&world);
        let mut connection = connection("one", &json!({}));
        let owner = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "contoso", "uid": "1"});
        connection["metadata"] = json!({
            "name": "one", "labels": {"team": "contoso"}, "annotations": {"team": "contoso"},
            "ownerReferences": [owner], "finalizers": ["contoso.example/kept"],
        });
        create(world.admin(), &connection).await.ok();

        let kept = "contoso.example/kept";
        for change in [
            json!({"spec": {"suspend": true}}),
            json!({"spec": {"dataverse": {"environmentId": "c0a8f00d-0000-4000-8000-000000000020"}}}),
            json!({"metadata": {"labels": {"team": "fabrikam"}}}),
            json!({"metadata": {"labels": null}}),
            json!({"metadata": {"annotations": {"team": null}}}),
            json!({"metadata": {"annotations": {"dualwrite.dev/reconcile-at": "now"}}}),
            json!({"metadata": {"ownerReferences": null}}),
            json!({"metadata": {"finalizers": null}}),
            json!({"metadata": {"finalizers": ["dualwrite.dev/stop-maps"]}}),
            json!({"metadata": {"finalizers": [kept, "fabrikam.example/new"]}}),
        ] {
            let why = refused_by(OPERATOR, patch(&operator, "dwc/one", change.clone()).await);
            assert!(why.contains("its own finalizers"), "{change}: {why}");
        }
        for finalizers in [json!([kept, "dualwrite.dev/stop-maps"]), json!([kept])] {
            let change = json!({"metadata": {"finalizers": finalizers}});
            patch(&operator, "dwc/one", change).await.ok();
        }
        // What it reports is not asked about.
        let reports =
            wait::Target::parse("dwc").api(world.operator_client().await, &world.namespace);
        let status = Patch::Merge(json!({"status": {"observedGeneration": 1}}));
        let reported = reports
            .patch_status("one", &PatchParams::default(), &status)
            .await;
        reported.unwrap();

        // People are not bound by this.
        let editor = world.person(Role::Editor).await;
        patch(
            &editor,
            "dwc/one",
            json!({"spec": {"suspend": true}, "metadata": {"finalizers": null}}),
        )
        .await
        .ok();
        create(world.admin(), &operation("one", "Pending"))
            .await
            .ok();
        for finalizers in [json!(["dualwrite.dev/act"]), json!(null)] {
            let change = json!({"metadata": {"finalizers": finalizers}});
            patch(&operator, "dwo/one", change).await.ok();
        }
        refused_by(
            APPROVAL,
            patch(&operator, "dwo/one", approval("Approved")).await,
        );
    }
}
