//! An API server that holds one operation, in memory.

use dualwrite_api::{
    DualWriteOperation, DualWriteOperationStatus, OPERATION_FINALIZER, operation::StepState,
};
use dualwrite_plan::world::KnownOperation;
use dualwrite_protocol::shell::{CallError, Failure};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// Why a call does not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The process dies.
    Died,
    /// The API server does not say yes.
    Refused(Failure),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?}")]
pub struct Refused(pub Failure);

impl CallError for Refused {
    fn failure(&self) -> Failure {
        self.0
    }
}

impl From<Refused> for Stop {
    fn from(Refused(failure): Refused) -> Self {
        Self::Refused(failure)
    }
}

/// The step whose intent is new in a status.
pub fn new_intent(
    before: &DualWriteOperationStatus,
    status: &DualWriteOperationStatus,
) -> Option<String> {
    let known = intents(before);
    let mut all = intents(status).into_iter();
    let new = all.find(|intent| !known.contains(intent));
    new.map(|(step, ..)| step.to_owned())
}

/// The intents in a status: step, attempt, and the process that means it.
fn intents(status: &DualWriteOperationStatus) -> Vec<(&str, u32, Option<&str>)> {
    let steps = status.steps.iter();
    steps
        .filter(|step| step.state == StepState::Intended)
        .map(|step| {
            (
                step.name.as_str(),
                step.attempt,
                step.incarnation.as_deref(),
            )
        })
        .collect()
}

pub struct ApiServer {
    pub stored: KnownOperation,
    /// It still does once it is deleted and nothing holds it: then only `stored` tells what it was.
    pub exists: bool,
    pub finalizer: bool,
    pub version: u64,
}

impl ApiServer {
    pub fn new(stored: KnownOperation, finalizer: bool) -> Self {
        Self {
            stored,
            exists: true,
            finalizer,
            version: 1,
        }
    }

    pub fn get(&self) -> Option<DualWriteOperation> {
        self.exists.then(|| self.object())
    }

    fn object(&self) -> DualWriteOperation {
        let stored = &self.stored;
        let mut object = DualWriteOperation::new(&stored.name, stored.spec.clone());
        let meta = &mut object.metadata;
        meta.namespace = Some(stored.namespace.clone());
        meta.uid = Some(stored.uid.clone());
        meta.creation_timestamp = Some(Time(stored.created));
        meta.deletion_timestamp = stored.deleted.map(Time);
        meta.resource_version = Some(self.version.to_string());
        meta.finalizers = self.finalizer.then(|| vec![OPERATION_FINALIZER.to_owned()]);
        object.status = Some(stored.status.clone());
        object
    }

    pub fn delete(&mut self, now: Timestamp) {
        self.version += 1;
        self.stored.deleted.get_or_insert(now);
        self.exists = self.finalizer;
    }

    /// Puts the finalizer on or takes it off; none can be added to what is being deleted.
    pub fn hold(
        &mut self,
        read: &DualWriteOperation,
        held: bool,
    ) -> Result<DualWriteOperation, Stop> {
        self.check(read)?;
        if held && !self.finalizer && self.stored.deleted.is_some() {
            return Err(Stop::Refused(Failure::Refused));
        }
        self.finalizer = held;
        self.version += 1;
        self.exists = self.finalizer || self.stored.deleted.is_none();
        Ok(self.object())
    }

    pub fn write_status(
        &mut self,
        read: &DualWriteOperation,
        status: &DualWriteOperationStatus,
    ) -> Result<DualWriteOperation, Stop> {
        self.check(read)?;
        self.stored.status = status.clone();
        self.version += 1;
        Ok(self.object())
    }

    fn check(&self, read: &DualWriteOperation) -> Result<(), Stop> {
        if !self.exists {
            return Err(Stop::Refused(Failure::Gone));
        }
        if read.metadata.resource_version != Some(self.version.to_string()) {
            return Err(Stop::Refused(Failure::Conflict));
        }
        Ok(())
    }
}
