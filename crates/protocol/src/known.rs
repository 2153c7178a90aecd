//! An operation of the API server, as decisions know it.

use dualwrite_api::{DualWriteOperation, FIELD_MANAGER, operation::Approved};
use dualwrite_plan::world::KnownOperation;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};

/// An operation as decisions know it.
pub fn known(operation: &DualWriteOperation) -> KnownOperation {
    let meta = &operation.metadata;
    KnownOperation {
        name: meta.name.clone().unwrap_or_default(),
        namespace: meta.namespace.clone().unwrap_or_default(),
        uid: meta.uid.clone().unwrap_or_default(),
        created: meta
            .creation_timestamp
            .as_ref()
            .map_or(Timestamp::UNIX_EPOCH, |time| time.0),
        deleted: meta.deletion_timestamp.as_ref().map(|time| time.0),
        spec: operation.spec.clone(),
        status: operation.status.clone().unwrap_or_default(),
        approved: approved(meta),
    }
}

/// Who approved a plan and when, by [`approval_write`].
fn approved(meta: &ObjectMeta) -> Option<Approved> {
    let write = approval_write(meta)?;
    Some(Approved {
        field_manager: write.manager.clone().unwrap_or_default(),
        at: write.time.as_ref().map(|time| time.0),
    })
}

/// The write that approved a plan, as the API server has recorded it: the newest one that owns the field.
pub fn approval_write(meta: &ObjectMeta) -> Option<&ManagedFieldsEntry> {
    let writes = meta.managed_fields.iter().flatten();
    let of_approval = writes.filter(|write| {
        write.subresource.as_deref().unwrap_or_default().is_empty()
            && write.manager.as_deref() != Some(FIELD_MANAGER)
            && write
                .fields_v1
                .as_ref()
                .is_some_and(|fields| fields.0.pointer("/f:spec/f:approval").is_some())
    });
    of_approval.max_by_key(|write| write.time.as_ref().map(|time| time.0))
}
