//! The API server, as the protocol of an operation needs it.

use kube::{Api, ResourceExt, api::ListParams, core::DeserializeGuard};

use super::tell::tell;
use crate::controller::{
    context::Context,
    report::{self, WriteError},
    watch::{self, GuardedOperation},
};
use dualwrite_api::{DualWriteConnection, DualWriteOperation, DualWriteOperationStatus};
use dualwrite_plan::{
    desired::Desired,
    operation::{Other, Owner, is_asked_for},
    world::KnownOperation,
};
use dualwrite_protocol::{
    known,
    shell::{CallError, Cluster, Failure},
};

/// How many operations of a live list are held in memory at once.
const PAGE: u32 = 50;

impl CallError for WriteError {
    fn failure(&self) -> Failure {
        self.failure()
    }
}

impl Cluster for Context {
    type Error = WriteError;

    fn watched_owner(&self, operation: &KnownOperation) -> Owner {
        let name = &operation.spec.connection.name;
        let found = watch::connection(self, &operation.namespace, name);
        owner_of(self, operation, found.as_deref())
    }

    fn watched_others(&self, operation: &KnownOperation) -> Vec<Other> {
        let mut others = Vec::new();
        for scope in &self.scopes {
            others.extend(scope.operations.state().iter().filter_map(|other| {
                let other = other.0.as_ref().ok()?;
                let same_host =
                    other.spec.finance_operations_host == operation.spec.finance_operations_host;
                (same_host && other.uid().as_ref() != Some(&operation.uid)).then(|| known(other))
            }));
        }
        let with_owner = |operation| Other {
            owner: self.watched_owner(&operation),
            operation,
        };
        others.into_iter().map(with_owner).collect()
    }

    async fn live_owner(&self, operation: &KnownOperation) -> Result<Owner, WriteError> {
        let name = &operation.spec.connection.name;
        let live = report::live_connection(self, &operation.namespace, name).await?;
        Ok(owner_of(self, operation, live.as_ref()))
    }

    async fn live_operations(&self, host: &str) -> Result<Vec<KnownOperation>, WriteError> {
        let of_host = ListParams::default().fields(&format!("spec.financeOperationsHost={host}"));
        let mut live = Vec::new();
        for scope in &self.scopes {
            let api = scope.operations_api(&self.client);
            live.extend(match under_way(&api, of_host.clone()).await {
                // A definition from before this field could be selected by, or Kubernetes before 1.31: all are read.
                Err(error) if error.status() == Some(400) => {
                    under_way(&api, ListParams::default()).await?
                }
                found => found?,
            });
        }
        Ok(live)
    }

    async fn live_operation(
        &self,
        operation: &KnownOperation,
    ) -> Result<Option<DualWriteOperation>, WriteError> {
        report::live_operation(self, &operation.namespace, &operation.name).await
    }

    async fn hold(
        &self,
        operation: &DualWriteOperation,
        held: bool,
    ) -> Result<DualWriteOperation, WriteError> {
        report::hold(self, operation, held).await
    }

    async fn write_status(
        &self,
        operation: &DualWriteOperation,
        status: &DualWriteOperationStatus,
    ) -> Result<DualWriteOperation, WriteError> {
        report::status(self, &operation.metadata, status).await
    }

    async fn tell(&self, before: &DualWriteOperation, status: &DualWriteOperationStatus) {
        tell(self, before, status).await;
    }
}

/// Those of a live list that may be under way. Page by page, and no more is kept of it: a plan can be large.
async fn under_way(
    api: &Api<GuardedOperation>,
    mut page: ListParams,
) -> Result<Vec<KnownOperation>, WriteError> {
    page = page.limit(PAGE);
    let mut found = Vec::new();
    loop {
        let list = report::bounded(api.list(&page)).await?;
        let readable = list.items.iter().filter_map(|found| found.0.as_ref().ok());
        found.extend(readable.map(known).filter(KnownOperation::occupies_host));
        match list.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => return Ok(found),
        }
    }
}

fn owner_of(
    context: &Context,
    operation: &KnownOperation,
    connection: Option<&DeserializeGuard<DualWriteConnection>>,
) -> Owner {
    // It is there, but cannot be read: nothing new is started for it.
    let unreadable = Owner::Present {
        suspended: true,
        reconcile_at: None,
    };
    let gone = || {
        if watch::is_managed_by_another(context, operation) {
            Owner::Replaced
        } else {
            Owner::Gone
        }
    };
    let found = match connection.map(|guarded| &guarded.0) {
        None => return gone(),
        Some(Err(_)) => return unreadable,
        Some(Ok(found)) => found,
    };
    if found.uid().as_deref() != Some(&operation.spec.connection.uid)
        || found.metadata.deletion_timestamp.is_some()
    {
        return gone();
    }
    match Desired::from_resource(found, context.options.least_interval) {
        Err(_) => unreadable,
        Ok(desired) if !is_asked_for(&desired, &operation.spec) => Owner::Changed,
        Ok(desired) => Owner::Present {
            suspended: desired.suspend || context.options.settings.observe_only,
            reconcile_at: desired.reconcile_at,
        },
    }
}
