//! Every write to Kubernetes. Each carries the resourceVersion that the decision was made from, and one field manager.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::api::core::v1::{ConfigMap, ObjectReference};
use kube::{
    Api, Resource, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions},
    core::{DeserializeGuard, ObjectMeta},
    runtime::events::{Event as KubeEvent, EventType},
};
use serde::Serialize;
use serde_json::json;

use super::context::Context;
use dualwrite_api::{
    DualWriteConnection, DualWriteOperation, DualWriteOperationSpec, FIELD_MANAGER,
    OPERATION_FINALIZER, STOP_MAPS_FINALIZER, conditions,
};
use dualwrite_plan::{decision::Event, world::KnownOperation};
use dualwrite_protocol::shell::Failure;

/// kube retries for minutes by default; a pass that has waited that long acts on an old observation.
const WRITE_TIMEOUT: Duration = Duration::from_secs(20);

/// How many `ConfigMap`s are listed at once.
const CONFIG_MAPS_AT_ONCE: u32 = 20;

/// What the API server takes for an event's note, in bytes.
const NOTE_LIMIT: usize = 1000;

/// Why something could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Somebody else has written since; the pass is dropped and made again from the newer state.
    #[error("the object has changed since it was read")]
    Conflict,
    /// The API server did not answer in time; whether it has written is not known.
    #[error("the API server did not answer within {} s", WRITE_TIMEOUT.as_secs())]
    Timeout,
    /// The API server refused, or could not be asked.
    #[error("{0}")]
    Refused(#[source] Box<kube::Error>),
}

impl WriteError {
    /// The HTTP status with which the API server refused.
    pub fn status(&self) -> Option<u16> {
        self.refusal().map(|status| status.code)
    }

    /// What the API server said when it refused.
    fn refusal(&self) -> Option<&kube::core::Status> {
        match self {
            Self::Refused(error) => match error.as_ref() {
                kube::Error::Api(status) => Some(status),
                _ => None,
            },
            Self::Conflict | Self::Timeout => None,
        }
    }

    /// What is known of the call. A server error, a broken connection or a refusal of a repeated write leave it open. An API
    /// server that has just started knows nobody, and nobody's rights, until it has read them: its 401 and 403 may be over
    /// in a moment.
    pub fn failure(&self) -> Failure {
        match (self, self.status()) {
            (Self::Conflict, _) => Failure::Conflict,
            (Self::Refused(_), Some(404)) => Failure::Gone,
            (Self::Refused(_), _) if self.is_of_an_ending_namespace() => Failure::Refused,
            (Self::Refused(_), Some(401 | 403)) => Failure::RefusedForNow,
            (Self::Refused(_), Some(code)) if (400..500).contains(&code) && code != 429 => {
                Failure::Refused
            }
            (Self::Timeout | Self::Refused(_), _) => Failure::Uncertain,
        }
    }

    /// Whether the namespace is being deleted, and takes no new objects.
    fn is_of_an_ending_namespace(&self) -> bool {
        let details = self.refusal().and_then(|status| status.details.as_ref());
        let mut causes = details.into_iter().flat_map(|details| &details.causes);
        causes.any(|cause| cause.reason == "NamespaceTerminating")
    }
}

/// Waits for a call to the API server, within bounds.
///
/// # Errors
/// See [`WriteError`].
pub async fn bounded<T>(call: impl Future<Output = kube::Result<T>>) -> Result<T, WriteError> {
    match tokio::time::timeout(WRITE_TIMEOUT, call).await {
        Err(_) => Err(WriteError::Timeout),
        Ok(Ok(written)) => Ok(written),
        Ok(Err(kube::Error::Api(status))) if status.is_conflict() => Err(WriteError::Conflict),
        Ok(Err(error)) => Err(WriteError::Refused(Box::new(error))),
    }
}

/// Writes a status, if nobody else has written since `read_from` was read.
///
/// # Errors
/// See [`WriteError`].
pub async fn status<K>(
    context: &Context,
    read_from: &ObjectMeta,
    status: &impl Serialize,
) -> Result<K, WriteError>
where
    K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned,
{
    let name = read_from.name.clone().unwrap_or_default();
    let api: Api<K> = Api::namespaced(
        context.client.clone(),
        read_from.namespace.as_deref().unwrap_or_default(),
    );
    let patch = json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": { "name": name, "resourceVersion": read_from.resource_version },
        "status": status,
    });
    let params = PatchParams::apply(FIELD_MANAGER).force();
    bounded(api.patch_status(&name, &params, &Patch::Apply(&patch))).await
}

/// Creates an operation for a connection.
///
/// # Errors
/// See [`WriteError`]; `AlreadyExists` is a refusal with status 409 and becomes [`WriteError::Conflict`].
pub async fn create_operation(
    context: &Context,
    owner: &DualWriteConnection,
    name: &str,
    spec: DualWriteOperationSpec,
) -> Result<DualWriteOperation, WriteError> {
    let mut operation = DualWriteOperation::new(name, spec);
    operation.metadata.namespace = owner.namespace();
    operation.metadata.labels = Some(BTreeMap::from([(
        "dualwrite.dev/action".to_owned(),
        operation.spec.action.to_string(),
    )]));
    // No blockOwnerDeletion: deleting the connection must never wait for an operation.
    operation.metadata.owner_references = owner.controller_owner_ref(&()).map(|mut reference| {
        reference.block_owner_deletion = None;
        vec![reference]
    });
    // Its connection is about to go, and the garbage collector comes after it: from the first moment on it is held.
    if operation.spec.options.on_deletion {
        operation.metadata.finalizers = Some(vec![OPERATION_FINALIZER.to_owned()]);
    }
    let namespace = owner.namespace().unwrap_or_default();
    bounded(operations(context, &namespace).create(&creating(), &operation)).await
}

fn creating() -> PostParams {
    PostParams {
        field_manager: Some(FIELD_MANAGER.into()),
        ..PostParams::default()
    }
}

/// Reads an operation live, past every cache.
///
/// # Errors
/// See [`WriteError`].
pub async fn live_operation(
    context: &Context,
    namespace: &str,
    name: &str,
) -> Result<Option<DualWriteOperation>, WriteError> {
    bounded(operations(context, namespace).get_opt(name)).await
}

/// Reads a connection live, past every cache.
///
/// # Errors
/// See [`WriteError`].
pub async fn live_connection(
    context: &Context,
    namespace: &str,
    name: &str,
) -> Result<Option<DeserializeGuard<DualWriteConnection>>, WriteError> {
    let connections: Api<DeserializeGuard<DualWriteConnection>> =
        Api::namespaced(context.client.clone(), namespace);
    bounded(connections.get_opt(name)).await
}

/// Puts the finalizer on an operation, or takes it off; the answer's resourceVersion is the one to go on with.
///
/// # Errors
/// See [`WriteError`]; the API server refuses a new finalizer on an object that is being deleted.
pub async fn hold(
    context: &Context,
    operation: &DualWriteOperation,
    held: bool,
) -> Result<DualWriteOperation, WriteError> {
    set_finalizer(context, operation, OPERATION_FINALIZER, held).await
}

/// Puts the finalizer on a connection, or takes it off.
///
/// # Errors
/// See [`WriteError`].
pub async fn hold_connection(
    context: &Context,
    connection: &DualWriteConnection,
    held: bool,
) -> Result<(), WriteError> {
    let written = set_finalizer(context, connection, STOP_MAPS_FINALIZER, held).await;
    written.map(|_| ())
}

/// The finalizers of others stay, and are read for that: a store does not keep them.
async fn set_finalizer<K>(
    context: &Context,
    object: &K,
    finalizer: &str,
    held: bool,
) -> Result<K, WriteError>
where
    K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned,
{
    let name = object.name_any();
    let namespace = object.namespace().unwrap_or_default();
    let api: Api<K> = Api::namespaced(context.client.clone(), &namespace);
    let live = bounded(api.get_metadata(&name)).await?;
    if live.resource_version() != object.resource_version() {
        return Err(WriteError::Conflict);
    }
    let mut finalizers = live.metadata.finalizers.unwrap_or_default();
    finalizers.retain(|known| known != finalizer);
    if held {
        finalizers.push(finalizer.to_owned());
    }
    let patch = json!({ "metadata": {
        "resourceVersion": object.resource_version(),
        "finalizers": finalizers,
    }});
    let params = PatchParams {
        field_manager: Some(FIELD_MANAGER.into()),
        ..PatchParams::default()
    };
    bounded(api.patch(&name, &params, &Patch::Merge(&patch))).await
}

/// Reads a `ConfigMap`.
///
/// # Errors
/// See [`WriteError`].
pub async fn config_map(
    context: &Context,
    namespace: &str,
    name: &str,
) -> Result<Option<ConfigMap>, WriteError> {
    bounded(backups(context, namespace).get_opt(name)).await
}

/// What is to be kept of each `ConfigMap` with these labels. Page by page and without the data: whoever may write them may
/// write a thousand of a megabyte.
///
/// # Errors
/// See [`WriteError`].
pub async fn config_maps<T>(
    context: &Context,
    namespace: &str,
    selector: &str,
    keep: impl Fn(ObjectMeta) -> T,
) -> Result<Vec<T>, WriteError> {
    let api = backups(context, namespace);
    let mut page = ListParams::default()
        .labels(selector)
        .limit(CONFIG_MAPS_AT_ONCE);
    let mut kept = Vec::new();
    loop {
        let list = bounded(api.list_metadata(&page)).await?;
        kept.extend(list.items.into_iter().map(|found| keep(found.metadata)));
        match list.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => return Ok(kept),
        }
    }
}

/// Creates a `ConfigMap`; one that is there already is a [`WriteError::Conflict`].
///
/// # Errors
/// See [`WriteError`].
pub async fn create_config_map(
    context: &Context,
    namespace: &str,
    config_map: &ConfigMap,
) -> Result<(), WriteError> {
    bounded(backups(context, namespace).create(&creating(), config_map))
        .await
        .map(|_| ())
}

/// Deletes a `ConfigMap`. That it is gone already is fine.
///
/// # Errors
/// See [`WriteError`].
pub async fn delete_config_map(
    context: &Context,
    namespace: &str,
    name: &str,
    uid: &str,
) -> Result<(), WriteError> {
    gone(bounded(backups(context, namespace).delete(name, &this_one(uid))).await)
}

fn backups(context: &Context, namespace: &str) -> Api<ConfigMap> {
    Api::namespaced(context.client.clone(), namespace)
}

fn this_one(uid: &str) -> DeleteParams {
    DeleteParams {
        preconditions: Some(Preconditions {
            uid: Some(uid.to_owned()),
            resource_version: None,
        }),
        ..DeleteParams::default()
    }
}

fn gone<T>(deleted: Result<T, WriteError>) -> Result<(), WriteError> {
    match deleted {
        Ok(_) | Err(WriteError::Conflict) => Ok(()),
        Err(error) if error.status() == Some(404) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Deletes a finished operation that is no longer kept. That it is gone already is fine.
///
/// # Errors
/// See [`WriteError`].
pub async fn forget_operation(
    context: &Context,
    operation: &KnownOperation,
) -> Result<(), WriteError> {
    let KnownOperation {
        namespace, name, ..
    } = operation;
    let this_one = this_one(&operation.uid);
    gone(bounded(operations(context, namespace).delete(name, &this_one)).await)
}

fn operations(context: &Context, namespace: &str) -> Api<DualWriteOperation> {
    Api::namespaced(context.client.clone(), namespace)
}

/// Publishes events, best effort: the status already says it, so a lost event loses nothing.
pub async fn events(context: &Context, about: &ObjectReference, events: &[Event]) {
    for event in events {
        let event = KubeEvent {
            type_: if event.warning {
                EventType::Warning
            } else {
                EventType::Normal
            },
            reason: event.reason.as_ref().to_owned(),
            note: Some(conditions::cut(&event.note, NOTE_LIMIT)),
            action: "Reconcile".into(),
            secondary: None,
        };
        if let Err(error) = bounded(context.recorder.publish(&event, about)).await {
            tracing::debug!(%error, reason = event.reason, "an event could not be published");
        }
    }
}
