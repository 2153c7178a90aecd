//! Manifests, and what the API server says to them.

use std::{collections::BTreeSet, sync::Mutex};

use crate::support::ControlPlane;
use dualwrite_api::{DualWriteConnection, DualWriteOperation};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client, CustomResourceExt as _,
    api::{DynamicObject, PostParams},
    core::ApiResource,
};
use serde_json::{Value, json};

/// An admin's client. The definitions are the committed ones, which `generated` holds equal to those of the code.
pub async fn client() -> Client {
    ControlPlane::shared().await.admin_client().await
}

pub fn definitions_of_the_code() -> [CustomResourceDefinition; 2] {
    [DualWriteConnection::crd(), DualWriteOperation::crd()]
}

// ---- manifests ----

pub fn connection() -> Value {
    let mut connection = super::plan_support::manifest();
    connection["metadata"] = json!({"name": "contoso-uat", "namespace": "default"});
    connection
}

pub fn operation() -> Value {
    let spec = super::plan_support::planned_link().spec;
    json!({
        "apiVersion": "dualwrite.dev/v1alpha1",
        "kind": "DualWriteOperation",
        "metadata": {"name": "contoso-uat-link-0123456789", "namespace": "default"},
        "spec": spec,
    })
}

/// Sets a field by its path from `spec` on; null takes it away.
pub fn set(mut manifest: Value, path: &str, value: Value) -> Value {
    let mut at = &mut manifest["spec"];
    let mut names: Vec<&str> = path.split('.').collect();
    let last = names.pop().unwrap();
    for name in names {
        if at.get(name).is_none() {
            at[name] = json!({});
        }
        at = &mut at[name];
    }
    match value {
        Value::Null => {
            at.as_object_mut().unwrap().remove(last);
        }
        value => at[last] = value,
    }
    manifest
}

pub fn changed(changes: &[(&str, Value)]) -> Value {
    changes
        .iter()
        .fold(connection(), |manifest, (path, value)| {
            set(manifest, path, value.clone())
        })
}

pub fn api(client: &Client, manifest: &Value) -> Api<DynamicObject> {
    let resource = match manifest["kind"].as_str().unwrap() {
        "DualWriteConnection" => ApiResource::erase::<DualWriteConnection>(&()),
        _ => ApiResource::erase::<DualWriteOperation>(&()),
    };
    Api::namespaced_with(client.clone(), "default", &resource)
}

/// What the API server says to a new object; nothing is stored.
pub async fn create(client: &Client, manifest: &Value) -> Result<(), String> {
    let object: DynamicObject = serde_json::from_value(manifest.clone()).unwrap();
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    api(client, manifest)
        .create(&dry, &object)
        .await
        .map(drop)
        .map_err(|error| error.to_string())
}

/// What the API server says to a change of what is stored; the change is not.
pub async fn replace(client: &Client, manifest: &Value) -> Result<(), String> {
    let api = api(client, manifest);
    let name = manifest["metadata"]["name"].as_str().unwrap();
    let mut object: DynamicObject = serde_json::from_value(manifest.clone()).unwrap();
    object.metadata.resource_version = api.get(name).await.unwrap().metadata.resource_version;
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    api.replace(name, &dry, &object)
        .await
        .map(drop)
        .map_err(|error| error.to_string())
}

pub async fn store(client: &Client, manifest: &Value, name: &str) -> Value {
    let mut manifest = manifest.clone();
    manifest["metadata"]["name"] = name.into();
    let object: DynamicObject = serde_json::from_value(manifest.clone()).unwrap();
    api(client, &manifest)
        .create(&PostParams::default(), &object)
        .await
        .unwrap();
    manifest
}

// ---- the rules ----

/// Every message of a rule of a definition.
pub fn messages(schema: &Value, into: &mut BTreeSet<String>) {
    match schema {
        Value::Object(fields) => {
            for rule in fields
                .get("x-kubernetes-validations")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
            {
                into.insert(
                    rule["message"]
                        .as_str()
                        .expect("each rule has a message")
                        .to_owned(),
                );
            }
            fields.values().for_each(|value| messages(value, into));
        }
        Value::Array(values) => values.iter().for_each(|value| messages(value, into)),
        _ => {}
    }
}

pub fn messages_of(definition: &CustomResourceDefinition) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    messages(&serde_json::to_value(definition).unwrap(), &mut all);
    all
}

/// Refusals so far, in the API server's words.
#[derive(Default)]
pub struct Refusals(Mutex<Vec<String>>);

impl Refusals {
    pub fn refused(&self, case: &str, answer: Result<(), String>, part: &str) {
        let why = answer.expect_err(&format!("{case} is accepted"));
        assert!(
            why.contains(part),
            "{case} is refused without '{part}': {why}"
        );
        self.0.lock().unwrap().push(why);
    }

    pub fn cover(&self, definition: &CustomResourceDefinition) {
        let said = self.0.lock().unwrap().concat();
        let all = messages_of(definition);
        let untested: Vec<_> = all
            .iter()
            .filter(|message| !said.contains(message.as_str()))
            .collect();
        assert!(
            untested.is_empty(),
            "no manifest is refused by: {untested:#?}"
        );
        println!(
            "{} refusals cover {} rules",
            self.0.lock().unwrap().len(),
            all.len()
        );
    }
}
