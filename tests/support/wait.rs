//! Waiting for what the cluster says, by watches.

use std::future::Future;
use std::time::Duration;

use futures::TryStreamExt as _;
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, watcher};
use serde_json::Value;

/// A kind, and the name of one object of it or none: `dwc/contoso`, `dwo`.
pub struct Target {
    pub resource: ApiResource,
    pub name: Option<String>,
}

impl Target {
    /// Panics on a kind that nobody has needed yet: add it here.
    pub fn parse(what: &str) -> Self {
        let (kind, name) = match what.split_once('/') {
            Some((kind, name)) => (kind, Some(name.to_owned())),
            None => (what, None),
        };
        let (group, version, kind, plural) = match kind {
            "dwc" => (
                "dualwrite.dev",
                "v1alpha1",
                "DualWriteConnection",
                "dualwriteconnections",
            ),
            "dwo" => (
                "dualwrite.dev",
                "v1alpha1",
                "DualWriteOperation",
                "dualwriteoperations",
            ),
            "event" => ("events.k8s.io", "v1", "Event", "events"),
            "configmap" => ("", "v1", "ConfigMap", "configmaps"),
            "secret" => ("", "v1", "Secret", "secrets"),
            "serviceaccount" => ("", "v1", "ServiceAccount", "serviceaccounts"),
            "lease" => ("coordination.k8s.io", "v1", "Lease", "leases"),
            other => panic!("the harness does not know the kind {other:?}"),
        };
        let kind = GroupVersionKind::gvk(group, version, kind);
        Self {
            resource: ApiResource::from_gvk_with_plural(&kind, plural),
            name,
        }
    }

    pub fn api(&self, client: Client, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(client, namespace, &self.resource)
    }
}

/// Watches until `found` accepts an object (any of the kind, if no name is given)
/// and returns it. Panics at the timeout, with the last state that was seen.
pub async fn for_object(
    client: Client,
    namespace: &str,
    what: &str,
    timeout: Duration,
    mut found: impl FnMut(&Value) -> bool,
) -> Value {
    let target = Target::parse(what);
    let mut config = watcher::Config::default();
    if let Some(name) = &target.name {
        config = config.fields(&format!("metadata.name={name}"));
    }
    let mut last = Vec::new();
    let search = async {
        let mut events =
            std::pin::pin!(watcher(target.api(client, namespace), config).default_backoff());
        loop {
            match events.try_next().await {
                Ok(Some(watcher::Event::Apply(object) | watcher::Event::InitApply(object))) => {
                    let object = serde_json::to_value(object).expect("an object is JSON");
                    if found(&object) {
                        return object;
                    }
                    last.retain(|other: &Value| {
                        other["metadata"]["name"] != object["metadata"]["name"]
                    });
                    let mut object = object;
                    if let Some(fields) = object["metadata"].as_object_mut() {
                        fields.remove("managedFields");
                    }
                    last.push(object);
                }
                Ok(_) => {}
                // The watcher starts over by itself; what was wrong shows below.
                Err(error) => eprintln!("watching {what}: {error}"),
            }
        }
    };
    let result = tokio::time::timeout(timeout, search).await;
    result.unwrap_or_else(|_| {
        panic!(
            "{what} did not become what was waited for within {timeout:?}; last seen: {:#}",
            Value::from(last.clone())
        )
    })
}

/// Watches until the object is gone.
pub async fn for_absence(client: Client, namespace: &str, what: &str, timeout: Duration) {
    let target = Target::parse(what);
    let name = target.name.clone().expect("which object is to go");
    let api = target.api(client, namespace);
    let gone =
        kube::runtime::wait::await_condition(api, &name, |object: Option<&DynamicObject>| {
            object.is_none()
        });
    let result = tokio::time::timeout(timeout, gone).await;
    let result = result.unwrap_or_else(|_| panic!("{what} is still there after {timeout:?}"));
    drop(result.expect("the object can be watched"));
}

/// Asks again and again, for what nothing can be watched for: the API server's
/// own authorizer catching up, another process's end.
pub async fn polling<T, F: Future<Output = Option<T>>>(
    what: &str,
    timeout: Duration,
    mut ask: impl FnMut() -> F,
) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(timeout, asking)
        .await
        .unwrap_or_else(|_| panic!("{what}: not within {timeout:?}"))
}

/// The condition of this type, or null.
pub fn condition<'a>(object: &'a Value, kind: &str) -> &'a Value {
    let conditions = object["status"]["conditions"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    conditions
        .iter()
        .find(|condition| condition["type"] == kind)
        .unwrap_or(&Value::Null)
}
