//! An API server in memory: connections and operations, versions, finalizers, owners, and a log that watches follow.

use std::collections::BTreeMap;

use dualwrite_api::{
    DualWriteConnection, DualWriteConnectionStatus, DualWriteOperation, DualWriteOperationSpec,
    DualWriteOperationStatus, OPERATION_FINALIZER, STOP_MAPS_FINALIZER,
};
use dualwrite_protocol::shell::Failure;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};

/// Namespace and name.
pub type Key = (String, String);

/// What a watch tells: the object as it is by now, or that it is gone.
#[derive(Clone, Debug)]
pub enum Change {
    Connection(Key, Option<Box<DualWriteConnection>>),
    Operation(Key, Option<Box<DualWriteOperation>>),
}

/// One write, with the version of what it was made from.
#[derive(Clone, Debug)]
pub enum Write {
    ConnectionStatus(Key, Option<String>, Box<DualWriteConnectionStatus>),
    ConnectionHold(Key, Option<String>, bool),
    OperationStatus(Key, Option<String>, Box<DualWriteOperationStatus>),
    OperationHold(Key, Option<String>, bool),
    Create(
        Box<DualWriteConnection>,
        String,
        Box<DualWriteOperationSpec>,
    ),
    Forget(Key, String),
}

#[derive(Default)]
pub struct Api {
    version: u64,
    objects: u64,
    pub connections: BTreeMap<Key, DualWriteConnection>,
    pub operations: BTreeMap<Key, DualWriteOperation>,
    pub log: Vec<Change>,
}

pub fn key_of(meta: &ObjectMeta) -> Key {
    (
        meta.namespace.clone().unwrap_or_default(),
        meta.name.clone().unwrap_or_default(),
    )
}

pub fn uid_of(meta: &ObjectMeta) -> &str {
    meta.uid.as_deref().unwrap_or_default()
}

impl Api {
    fn stamp(&mut self, meta: &mut ObjectMeta) {
        self.version += 1;
        meta.resource_version = Some(self.version.to_string());
    }

    fn new_uid(&mut self) -> String {
        self.objects += 1;
        format!("uid-{:04}", self.objects)
    }

    /// What a write comes to.
    pub fn apply(&mut self, write: &Write, now: Timestamp) -> Result<(), Failure> {
        match write {
            Write::ConnectionStatus(key, version, status) => {
                let mut found = self.connection(key, version.as_ref())?;
                found.status = Some(status.as_ref().clone());
                self.put_connection(found);
            }
            Write::ConnectionHold(key, version, held) => {
                let mut found = self.connection(key, version.as_ref())?;
                set_finalizer(&mut found.metadata, STOP_MAPS_FINALIZER, *held)?;
                self.put_connection(found);
            }
            Write::OperationStatus(key, version, status) => {
                let mut found = self.operation(key, version.as_ref())?;
                found.status = Some(status.as_ref().clone());
                self.put_operation(found);
            }
            Write::OperationHold(key, version, held) => {
                let mut found = self.operation(key, version.as_ref())?;
                set_finalizer(&mut found.metadata, OPERATION_FINALIZER, *held)?;
                self.put_operation(found);
            }
            Write::Create(owner, name, spec) => self.create(owner, name, spec, now)?,
            Write::Forget(key, uid) => {
                let found = self.operations.get(key).ok_or(Failure::Gone)?;
                if uid_of(&found.metadata) != uid {
                    return Err(Failure::Conflict);
                }
                self.delete_operation(key, now);
            }
        }
        Ok(())
    }

    fn connection(
        &self,
        key: &Key,
        version: Option<&String>,
    ) -> Result<DualWriteConnection, Failure> {
        let found = self.connections.get(key).ok_or(Failure::Gone)?;
        if found.metadata.resource_version.as_ref() != version {
            return Err(Failure::Conflict);
        }
        Ok(found.clone())
    }

    fn operation(
        &self,
        key: &Key,
        version: Option<&String>,
    ) -> Result<DualWriteOperation, Failure> {
        let found = self.operations.get(key).ok_or(Failure::Gone)?;
        if found.metadata.resource_version.as_ref() != version {
            return Err(Failure::Conflict);
        }
        Ok(found.clone())
    }

    fn create(
        &mut self,
        owner: &DualWriteConnection,
        name: &str,
        spec: &DualWriteOperationSpec,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let namespace = owner.metadata.namespace.clone().unwrap_or_default();
        if self
            .operations
            .contains_key(&(namespace.clone(), name.to_owned()))
        {
            return Err(Failure::Conflict);
        }
        let mut operation = DualWriteOperation::new(name, spec.clone());
        let meta = &mut operation.metadata;
        meta.namespace = Some(namespace);
        meta.uid = Some(self.new_uid());
        meta.generation = Some(1);
        meta.creation_timestamp = Some(Time(second(now)));
        meta.owner_references = Some(vec![OwnerReference {
            uid: uid_of(&owner.metadata).to_owned(),
            ..OwnerReference::default()
        }]);
        if spec.options.on_deletion {
            meta.finalizers = Some(vec![OPERATION_FINALIZER.to_owned()]);
        }
        self.put_operation(operation);
        Ok(())
    }

    /// A person creates a connection.
    pub fn add_connection(&mut self, mut connection: DualWriteConnection, now: Timestamp) {
        connection.metadata.uid = Some(self.new_uid());
        connection.metadata.generation = Some(1);
        connection.metadata.creation_timestamp = Some(Time(second(now)));
        self.put_connection(connection);
    }

    /// Stores it, or drops it where nothing holds what is being deleted.
    pub fn put_connection(&mut self, mut connection: DualWriteConnection) {
        self.stamp(&mut connection.metadata);
        let key = key_of(&connection.metadata);
        if is_gone(&connection.metadata) {
            self.connections.remove(&key);
            self.log.push(Change::Connection(key, None));
        } else {
            let copy = Box::new(connection.clone());
            self.connections.insert(key.clone(), connection);
            self.log.push(Change::Connection(key, Some(copy)));
        }
    }

    pub fn put_operation(&mut self, mut operation: DualWriteOperation) {
        self.stamp(&mut operation.metadata);
        let key = key_of(&operation.metadata);
        if is_gone(&operation.metadata) {
            self.operations.remove(&key);
            self.log.push(Change::Operation(key, None));
        } else {
            let copy = Box::new(operation.clone());
            self.operations.insert(key.clone(), operation);
            self.log.push(Change::Operation(key, Some(copy)));
        }
    }

    pub fn delete_connection(&mut self, key: &Key, now: Timestamp) {
        if let Some(mut found) = self.connections.get(key).cloned() {
            found
                .metadata
                .deletion_timestamp
                .get_or_insert(Time(second(now)));
            self.put_connection(found);
        }
    }

    pub fn delete_operation(&mut self, key: &Key, now: Timestamp) {
        if let Some(mut found) = self.operations.get(key).cloned() {
            found
                .metadata
                .deletion_timestamp
                .get_or_insert(Time(second(now)));
            self.put_operation(found);
        }
    }

    /// The operations whose owner is gone.
    pub fn orphans(&self) -> Vec<Key> {
        let is_there = |uid: &str| {
            let mut all = self.connections.values();
            all.any(|connection| uid_of(&connection.metadata) == uid)
        };
        let orphans = self.operations.iter().filter(|(_, operation)| {
            operation.metadata.deletion_timestamp.is_none()
                && !is_there(&operation.spec.connection.uid)
        });
        orphans.map(|(key, _)| key.clone()).collect()
    }
}

fn is_gone(meta: &ObjectMeta) -> bool {
    meta.deletion_timestamp.is_some() && meta.finalizers.iter().flatten().next().is_none()
}

/// None can be added to what is being deleted.
fn set_finalizer(meta: &mut ObjectMeta, finalizer: &str, held: bool) -> Result<(), Failure> {
    let finalizers = meta.finalizers.get_or_insert_default();
    let is_there = finalizers.iter().any(|known| known == finalizer);
    if held && !is_there && meta.deletion_timestamp.is_some() {
        return Err(Failure::Refused);
    }
    finalizers.retain(|known| known != finalizer);
    if held {
        finalizers.push(finalizer.to_owned());
    }
    Ok(())
}

/// Kubernetes' own times have no parts of seconds.
pub fn second(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap()
}
