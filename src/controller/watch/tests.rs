//! Stores and triggers without an API server.

use serde_json::{Value, json};

use super::*;

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
    serde_json::from_value(json!({
        "apiVersion": "dualwrite.dev/v1alpha1", "kind": "DualWriteConnection",
        "metadata": metadata(namespace, name), "spec": spec, "status": status,
    }))
    .unwrap()
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
        let reads = super::super::act::needs_reading(&known(one.0.as_ref().unwrap()));
        assert_eq!(is_over(&one), !reads, "{phase}");
        one.meta_mut().finalizers = Some(vec![ACT_FINALIZER.into()]);
        assert!(!is_over(&one), "{phase}");
    }
}
