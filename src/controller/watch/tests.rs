//! Stores and triggers without an API server.

use futures::FutureExt as _;
use serde_json::{Value, json};

use super::*;
use dualwrite_api::OPERATION_FINALIZER;
use dualwrite_plan::world::present_sight;

fn metadata(namespace: &str, name: &str) -> Value {
    json!({"name": name, "namespace": namespace, "uid": name, "creationTimestamp": "2026-01-01T00:00:05Z"})
}

/// A connection that claims Contoso's host.
fn connection(namespace: &str, name: &str) -> GuardedConnection {
    let spec = json!({
        "financeOperations": {"url": "https://contoso.operations.dynamics.com"},
        "dataverse": {"environmentId": "a"},
        "credentials": {"tenantId": "b"},
    });
    let at = "2026-01-01T00:00:00Z";
    let status = json!({
        "conditions": [{"type": "CredentialsValid", "status": "True", "reason": "Authenticated", "message": "", "lastTransitionTime": at}],
        "observed": {"link": {"connectionSetId": "c", "environmentId": "a", "firstSeen": at, "since": at}},
    });
    let mut connection: DualWriteConnection = serde_json::from_value(json!({
        "apiVersion": "dualwrite.dev/v1alpha1", "kind": "DualWriteConnection",
        "metadata": metadata(namespace, name), "spec": spec, "status": status,
    }))
    .unwrap();
    let seen_with = present_sight(&connection);
    connection.status.as_mut().unwrap().observed.seen_with = Some(seen_with);
    DeserializeGuard(Ok(connection))
}

#[test]
fn a_pass_that_has_waited_sees_what_was_written_meanwhile() {
    let (store, mut writer) = reflector::store();
    let before = connection("contoso", "uat");
    writer.apply_watcher_event(&watcher::Event::Apply(before.clone()));
    let mut suspended = before.clone();
    suspended.0.as_mut().unwrap().spec.suspend = true;
    writer.apply_watcher_event(&watcher::Event::Apply(suspended));
    let now = as_it_is_now(&store, &before).unwrap();
    assert!(now.0.as_ref().unwrap().spec.suspend);
    writer.apply_watcher_event(&watcher::Event::Delete(before.clone()));
    assert!(as_it_is_now(&store, &before).is_none());
}

/// An operation of a connection of the same namespace, for Contoso's host.
fn operation(namespace: &str, name: &str, of: &str, phase: Phase) -> GuardedOperation {
    let host = "contoso.operations.dynamics.com";
    let spec = json!({
        "action": "Link", "approval": "Pending", "timeout": "1h", "steps": [],
        "connection": {"name": of, "uid": of, "generation": 1},
        "financeOperationsHost": host,
        "target": {"environmentId": "a", "environmentName": "a", "dataverseUrl": "https://a.crm4.dynamics.com"},
        "access": {"cloud": "Public", "financeOperationsUrl": format!("https://{host}"), "credentials": {"tenantId": "b"}},
        "reliesOn": {"integration": "a", "link": "None"},
    });
    let operation: GuardedOperation = serde_json::from_value(json!({
        "apiVersion": "dualwrite.dev/v1alpha1", "kind": "DualWriteOperation",
        "metadata": metadata(namespace, name), "spec": spec, "status": {"phase": phase},
    }))
    .unwrap();
    assert!(operation.0.is_ok(), "{operation:?}");
    operation
}

#[test]
fn only_an_operation_with_nothing_left_to_do_needs_no_turn() {
    use Phase::{AwaitingApproval, Failed, Running, Succeeded, Unknown, Void};
    for phase in [Succeeded, Failed, Void, AwaitingApproval, Running, Unknown] {
        let mut one = operation("contoso", "link", "uat", phase);
        let is_finished = known(one.0.as_ref().unwrap()).is_finished();
        assert_eq!(is_over(&one), is_finished, "{phase}");
        one.meta_mut().finalizers = Some(vec![OPERATION_FINALIZER.into()]);
        assert!(!is_over(&one), "{phase}");
    }
}

/// What is watched, each namespace as a scope of its own, and whose passes are due.
struct Watched {
    scopes: Vec<Arc<Scope>>,
    unwatched: Vec<Unwatched>,
    anew: HostClaims,
    shown: ShownOperations,
}

impl Watched {
    fn new(namespaces: &[&str]) -> Self {
        let namespaces: Vec<_> = namespaces.iter().map(ToString::to_string).collect();
        let unwatched = scopes(&namespaces);
        Self {
            scopes: unwatched.iter().map(|it| Arc::clone(&it.scope)).collect(),
            unwatched,
            anew: HostClaims::default(),
            shown: ShownOperations::default(),
        }
    }

    /// Something happens to connections of a scope.
    fn connections(&mut self, scope: usize, event: watcher::Event<GuardedConnection>) {
        let watched = &mut self.unwatched[scope];
        watched.connections.apply_watcher_event(&event);
        let event = Ok(event);
        connection_changed(&watched.scope, &self.scopes, &event, &mut self.anew);
        watched.scope.connections_listed.see(&event);
    }

    /// Something happens to operations of a scope.
    fn operations(&mut self, scope: usize, event: watcher::Event<GuardedOperation>) {
        let watched = &mut self.unwatched[scope];
        watched.operations.apply_watcher_event(&event);
        let event = Ok(event);
        operation_changed(&watched.scope, &self.scopes, &event, &mut self.shown);
        watched.scope.operations_listed.see(&event);
    }

    /// The connections over which passes have become due, by name.
    fn due(&mut self) -> Vec<String> {
        let mut due = Vec::new();
        for watched in &mut self.unwatched {
            while let Ok(reference) = watched.connections_due.try_recv() {
                due.push(reference.name);
            }
        }
        due.sort();
        due
    }

    fn list_connections(&mut self, scope: usize, connections: &[GuardedConnection]) {
        self.connections(scope, watcher::Event::Init);
        for connection in connections {
            self.connections(scope, watcher::Event::InitApply(connection.clone()));
        }
        self.connections(scope, watcher::Event::InitDone);
    }

    fn list_operations(&mut self, scope: usize, operations: &[GuardedOperation]) {
        self.operations(scope, watcher::Event::Init);
        for operation in operations {
            self.operations(scope, watcher::Event::InitApply(operation.clone()));
        }
        self.operations(scope, watcher::Event::InitDone);
    }
}

/// The connection, created in this second.
fn aged(mut connection: GuardedConnection, second: u32) -> GuardedConnection {
    let created = format!("2026-01-01T00:00:{second:02}Z");
    connection.meta_mut().creation_timestamp =
        Some(serde_json::from_value(json!(created)).unwrap());
    connection
}

#[test]
fn a_claim_that_goes_wakes_the_younger_ones_of_other_scopes_too() {
    let mut watched = Watched::new(&["contoso", "fabrikam"]);
    let old = aged(connection("contoso", "old"), 1);
    let young = aged(connection("fabrikam", "young"), 2);
    let youngest = aged(connection("contoso", "youngest"), 3);
    watched.list_connections(0, &[old.clone(), youngest.clone()]);
    watched.list_connections(1, std::slice::from_ref(&young));
    watched.due();
    watched.connections(0, watcher::Event::Delete(youngest));
    assert!(watched.due().is_empty());
    watched.connections(0, watcher::Event::Delete(old));
    assert_eq!(watched.due(), ["young"]);
    // Its operation is of its host, and so of interest to all of them.
    let act = operation("fabrikam", "act", "young", Phase::Running);
    watched.connections(
        0,
        watcher::Event::Apply(aged(connection("contoso", "new"), 4)),
    );
    watched.operations(1, watcher::Event::Apply(act));
    assert_eq!(watched.due(), ["new", "young"]);
}

/// As after an upgrade of the definitions before that of the operator.
fn unreadable(mut connection: GuardedConnection) -> GuardedConnection {
    connection.0 = Err(kube::core::error_boundary::InvalidObject {
        error: "unknown variant".into(),
        metadata: connection.meta().clone(),
    });
    connection
}

#[test]
fn the_claim_of_what_cannot_be_read_any_more_is_given_up() {
    for then in [watcher::Event::Apply, watcher::Event::Delete] {
        let mut watched = Watched::new(&["contoso"]);
        let old = aged(connection("contoso", "old"), 1);
        let young = aged(connection("contoso", "young"), 2);
        watched.list_connections(0, &[old.clone(), young]);
        let link = operation("contoso", "link", "old", Phase::AwaitingApproval);
        watched.list_operations(0, &[link]);
        watched.due();
        watched.connections(0, then(unreadable(old)));
        assert_eq!(watched.due(), ["young"]);
        let operations = &mut watched.unwatched[0].operations_due;
        assert_eq!(operations.try_recv().unwrap().name, "link");
    }
}

/// Whoever does not see the host is told of the claims of his own namespace only.
#[test]
fn a_claim_behind_one_of_another_namespace_decides_for_its_own() {
    let mut watched = Watched::new(&[]);
    let far = aged(connection("fabrikam", "far"), 1);
    let near = aged(connection("contoso", "near"), 2);
    let nearer = aged(connection("contoso", "nearer"), 3);
    let young = aged(connection("contoso", "young"), 4);
    let other = aged(connection("fabrikam", "other"), 5);
    watched.list_connections(0, &[far, near.clone(), nearer.clone(), young, other]);
    watched.due();
    watched.connections(0, watcher::Event::Delete(nearer));
    assert!(watched.due().is_empty(), "an older one is near");
    watched.connections(0, watcher::Event::Delete(near));
    assert_eq!(watched.due(), ["young"]);
}

#[test]
fn a_claim_that_changed_while_the_watch_was_interrupted_wakes_the_others() {
    let mut watched = Watched::new(&["contoso", "fabrikam"]);
    let old = aged(connection("contoso", "old"), 1);
    let near = aged(connection("contoso", "near"), 2);
    let young = aged(connection("contoso", "young"), 3);
    let far = aged(connection("fabrikam", "far"), 4);
    watched.list_connections(1, std::slice::from_ref(&far));
    watched.list_connections(0, &[old.clone(), near.clone(), young.clone()]);
    assert!(watched.due().is_empty(), "everything is due at first");
    watched.list_connections(0, &[old.clone(), near.clone(), young.clone()]);
    assert!(watched.due().is_empty(), "nothing has changed");
    watched.list_connections(0, &[near.clone(), young.clone()]);
    assert_eq!(watched.due(), ["far", "near", "young"]);
    watched.list_connections(0, &[near, unreadable(young.clone())]);
    assert!(watched.due().is_empty(), "it decided for nobody");
    watched.list_connections(0, &[old, young]);
    assert_eq!(watched.due(), ["far", "old", "young"]);
}

#[test]
fn an_operation_that_changed_while_the_watch_was_interrupted_wakes_the_others() {
    let mut watched = Watched::new(&["contoso"]);
    let owner = aged(connection("contoso", "owner"), 1);
    let other = aged(connection("contoso", "other"), 2);
    watched.list_connections(0, &[owner, other]);
    let link = |phase| operation("contoso", "link", "owner", phase);
    watched.list_operations(0, &[link(Phase::Running)]);
    watched.list_operations(0, &[link(Phase::Running)]);
    assert!(watched.due().is_empty());
    // An interruption in the middle of a list loses nothing either.
    watched.operations(0, watcher::Event::Init);
    watched.operations(0, watcher::Event::InitApply(link(Phase::Succeeded)));
    watched.list_operations(0, &[link(Phase::Succeeded)]);
    assert_eq!(watched.due(), ["other", "owner"]);
    watched.list_operations(0, &[]);
    assert_eq!(watched.due(), ["other", "owner"]);
    watched.list_operations(0, &[link(Phase::AwaitingApproval)]);
    assert_eq!(watched.due(), ["other", "owner"]);
    let mut written = link(Phase::AwaitingApproval);
    written.meta_mut().resource_version = Some("2".into());
    watched.list_operations(0, &[written]);
    assert_eq!(watched.due(), ["owner"], "nothing that others see");
}

/// A claim of any scope may be the older one; but one that cannot be listed must not silence the others.
#[test]
fn a_pass_waits_for_the_lists_of_all_scopes_and_for_others_not_for_ever() {
    let mut watched = Watched::new(&["contoso", "fabrikam"]);
    let scopes = watched.scopes.clone();
    let may_begin = |of: usize| {
        let listed = all_listed(&scopes[of], &scopes);
        listed.now_or_never().is_some()
    };
    let old = aged(connection("fabrikam", "old"), 1);
    let young = aged(connection("contoso", "young"), 2);
    watched.list_connections(0, std::slice::from_ref(&young));
    assert!(!may_begin(0));
    watched.list_operations(0, &[]);
    assert!(!may_begin(0), "the other scope is not listed");
    for scope in &scopes {
        scope.give_up();
    }
    assert!(may_begin(0) && !may_begin(1), "its own is waited for");
    // When it comes after all, a younger one may have acted as if there was none.
    watched.list_connections(1, &[old]);
    assert_eq!(watched.due(), ["old", "young"]);
    watched.list_operations(1, &[operation("fabrikam", "link", "old", Phase::Running)]);
    assert_eq!(watched.due(), ["old", "young"]);
    assert!(may_begin(0) && may_begin(1));
}
