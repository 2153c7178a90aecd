//! What the stores keep of an object's metadata: whoever may write one may put a megabyte of labels, annotations and
//! finalizers on it, and the API server notes in as much again who has written each of them.
//!
//! So nothing may be written back from a kept object but its status: a finalizer is put on by what is there then
//! ([`crate::controller::report`]).

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry, ObjectMeta};
use kube::{Resource, core::DeserializeGuard};
use serde_json::json;

use dualwrite_api::{
    CONFIRM_STOP, OPERATION_FINALIZER, RECONCILE_AT, STOP_MAPS_FINALIZER, conditions,
};
use dualwrite_plan::desired;
use dualwrite_protocol::approval_write;

/// The longest name of an object, in bytes: what confirms a stop is one.
const LONGEST_NAME: usize = 253;

/// How much is kept of why an object cannot be read, in bytes: it may cite the object.
const LONGEST_ERROR: usize = 1024;

/// Drops of an object what no pass looks at.
pub(super) fn trim<K: Resource>(object: &mut DeserializeGuard<K>) {
    if let Err(invalid) = &mut object.0 {
        invalid.error = conditions::cut(&invalid.error, LONGEST_ERROR);
    }
    let meta = object.meta_mut();
    *meta = kept(std::mem::take(meta));
}

fn kept(meta: ObjectMeta) -> ObjectMeta {
    ObjectMeta {
        managed_fields: approval_write(&meta).map(|write| vec![of_approval(write)]),
        name: meta.name,
        namespace: meta.namespace,
        uid: meta.uid,
        generation: meta.generation,
        resource_version: meta.resource_version,
        creation_timestamp: meta.creation_timestamp,
        deletion_timestamp: meta.deletion_timestamp,
        finalizers: meta.finalizers.map(own_finalizers),
        annotations: meta.annotations.map(own_annotations),
        ..ObjectMeta::default()
    }
}

/// Who approved a plan, without what else was written with it.
fn of_approval(write: &ManagedFieldsEntry) -> ManagedFieldsEntry {
    ManagedFieldsEntry {
        fields_v1: Some(FieldsV1(json!({"f:spec": {"f:approval": {}}}))),
        ..write.clone()
    }
}

fn own_finalizers(all: Vec<String>) -> Vec<String> {
    let own = [OPERATION_FINALIZER, STOP_MAPS_FINALIZER];
    let all = all.into_iter();
    all.filter(|name| own.contains(&name.as_str())).collect()
}

fn own_annotations(mut all: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let request = all.remove(RECONCILE_AT);
    let request = request.map(|value| (RECONCILE_AT, desired::request(&value)));
    let confirmed = all.remove(CONFIRM_STOP);
    let confirmed = confirmed.filter(|name| name.len() <= LONGEST_NAME);
    let confirmed = confirmed.map(|name| (CONFIRM_STOP, name));
    let own = request.into_iter().chain(confirmed);
    own.map(|(key, value)| (key.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use dualwrite_api::{DualWriteConnection, DualWriteOperation};
    use dualwrite_plan::desired::Desired;
    use dualwrite_protocol::known;

    /// Metadata of a megabyte, with all that is the operator's in it.
    fn metadata() -> Value {
        let many =
            |prefix: &'static str| (0..5000).map(move |number| format!("{prefix}/{number:050}"));
        let pairs = |prefix| {
            many(prefix)
                .map(|key| (key, Value::from("contoso")))
                .collect()
        };
        let mut annotations: serde_json::Map<String, Value> = pairs("annotation");
        annotations.insert(RECONCILE_AT.into(), "x".repeat(200_000).into());
        annotations.insert(CONFIRM_STOP.into(), "contoso-uat".into());
        let labels: serde_json::Map<String, Value> = pairs("label");
        let mut finalizers: Vec<String> = many("finalizer").collect();
        finalizers.insert(7, OPERATION_FINALIZER.into());
        finalizers.push(STOP_MAPS_FINALIZER.into());
        let owned: serde_json::Map<String, Value> = many("f").map(|key| (key, json!({}))).collect();
        let write = |manager: &str, minute: u8, fields: Value| {
            json!({
                "manager": manager, "operation": "Update", "apiVersion": "dualwrite.dev/v1alpha1",
                "time": format!("2026-01-01T00:{minute:02}:00Z"), "fieldsType": "FieldsV1", "fieldsV1": fields,
            })
        };
        let approves = json!({"f:metadata": {"f:labels": owned}, "f:spec": {"f:approval": {}}});
        json!({
            "name": "contoso-uat", "namespace": "contoso", "uid": "an-uid", "generation": 3, "resourceVersion": "7",
            "creationTimestamp": "2026-01-01T00:00:00Z", "deletionTimestamp": "2026-01-02T00:00:00Z",
            "labels": labels, "annotations": annotations, "finalizers": finalizers,
            "managedFields": [
                write("early", 1, approves.clone()),
                write("late", 5, approves),
                write("labels", 9, json!({"f:metadata": {"f:labels": owned}})),
            ],
        })
    }

    fn parsed<K: serde::de::DeserializeOwned + Resource>(
        kind: &str,
        spec: &Value,
    ) -> DeserializeGuard<K> {
        let object = json!({
            "apiVersion": "dualwrite.dev/v1alpha1", "kind": kind, "metadata": metadata(), "spec": spec,
        });
        serde_json::from_value(object).unwrap()
    }

    fn connection() -> DeserializeGuard<DualWriteConnection> {
        let spec = json!({
            "financeOperations": {"url": "https://contoso.operations.dynamics.com"},
            "dataverse": {"environmentId": "a"}, "credentials": {"tenantId": "b"},
        });
        parsed("DualWriteConnection", &spec)
    }

    fn operation() -> DeserializeGuard<DualWriteOperation> {
        let host = "contoso.operations.dynamics.com";
        let spec = json!({
            "action": "Link", "approval": "Approved", "timeout": "1h", "steps": [],
            "connection": {"name": "contoso-uat", "uid": "an-uid", "generation": 1},
            "financeOperationsHost": host,
            "target": {"environmentId": "a", "environmentName": "a", "dataverseUrl": "https://a.crm4.dynamics.com"},
            "access": {
                "cloud": "Public", "financeOperationsUrl": format!("https://{host}"), "credentials": {"tenantId": "b"},
            },
            "reliesOn": {"integration": "a", "link": "None"},
        });
        parsed("DualWriteOperation", &spec)
    }

    fn trimmed<K: Resource + Clone>(object: &DeserializeGuard<K>) -> DeserializeGuard<K>
    where
        DeserializeGuard<K>: Clone,
    {
        let mut trimmed = object.clone();
        trim(&mut trimmed);
        trimmed
    }

    fn bytes<K: Resource>(object: &DeserializeGuard<K>) -> usize {
        serde_json::to_string(object.meta()).unwrap().len()
    }

    #[test]
    fn a_connection_is_kept_without_what_others_put_on_it() {
        let whole = connection();
        let kept = trimmed(&whole);
        assert!(bytes(&whole) > 1_000_000 && bytes(&kept) < 1000);
        let desired = |object: &DeserializeGuard<DualWriteConnection>| {
            Desired::from_resource(object.0.as_ref().unwrap(), std::time::Duration::ZERO).unwrap()
        };
        assert!(desired(&kept).confirms_stop && desired(&kept).deleting);
        assert_eq!(desired(&kept), desired(&whole));
        let connection = kept.0.as_ref().unwrap();
        assert!(dualwrite_protocol::deletion::is_held(connection));
        assert_eq!(bytes(&trimmed(&kept)), bytes(&kept));
    }

    #[test]
    fn an_operation_is_kept_with_who_approved_it() {
        let whole = operation();
        let kept = trimmed(&whole);
        assert!(bytes(&kept) < 1000);
        let (whole, kept) = (whole.0.unwrap(), kept.0.unwrap());
        assert_eq!(known(&kept), known(&whole));
        assert_eq!(known(&kept).approved.unwrap().field_manager, "late");
        assert!(dualwrite_protocol::is_held(&kept));
    }

    #[test]
    fn an_object_that_cannot_be_read_is_kept_by_its_name() {
        let mut odd: DeserializeGuard<DualWriteConnection> =
            parsed("DualWriteConnection", &json!({"mode": "x".repeat(100_000)}));
        trim(&mut odd);
        let invalid = odd.0.unwrap_err();
        assert!(invalid.error.len() <= LONGEST_ERROR);
        assert_eq!(invalid.metadata.name.as_deref(), Some("contoso-uat"));
        assert_eq!(invalid.metadata.labels, None);
    }
}
