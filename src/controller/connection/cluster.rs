//! The API server, as the protocol of a connection needs it.

use kube::{Resource, ResourceExt};

use super::observe;
use crate::controller::{
    context::Context,
    identities,
    report::{self, WriteError},
    watch,
};
use dualwrite_api::{
    DualWriteConnection, DualWriteConnectionStatus, DualWriteOperation, DualWriteOperationSpec,
    Reason, connection::CredentialStatus,
};
use dualwrite_plan::{
    decision::Event,
    desired::Desired,
    observed::Observed,
    world::{Claim, KnownOperation},
};
use dualwrite_protocol::shell::Connections;

impl Connections for Context {
    async fn observe(
        &self,
        desired: &Desired,
        memory: &DualWriteConnectionStatus,
    ) -> (Observed, Vec<CredentialStatus>) {
        Box::pin(observe::connection(self, desired, memory)).await
    }

    fn unobserved(&self) -> Observed {
        observe::unobserved(crate::controller::now())
    }

    fn watched_neighbours(&self, desired: &Desired) -> (Vec<KnownOperation>, Vec<Claim>) {
        watch::neighbours(self, desired)
    }

    async fn write_connection_status(
        &self,
        connection: &DualWriteConnection,
        status: &DualWriteConnectionStatus,
    ) -> Result<(), WriteError> {
        let written =
            report::status::<DualWriteConnection>(self, &connection.metadata, status).await;
        written.map(|_| ())
    }

    async fn hold_connection(
        &self,
        connection: &DualWriteConnection,
        held: bool,
    ) -> Result<(), WriteError> {
        report::hold_connection(self, connection, held).await
    }

    async fn create_operation(
        &self,
        owner: &DualWriteConnection,
        name: &str,
        spec: &DualWriteOperationSpec,
    ) -> Result<(), WriteError> {
        report::create_operation(self, owner, name, spec.clone()).await?;
        let connection = owner.name_any();
        tracing::info!(operation = name, connection, "created an operation");
        Ok(())
    }

    async fn operation_named(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<DualWriteOperation>, WriteError> {
        report::live_operation(self, namespace, name).await
    }

    async fn forget_operation(&self, operation: &KnownOperation) -> Result<(), WriteError> {
        report::forget_operation(self, operation).await
    }

    async fn tell_events(&self, connection: &DualWriteConnection, events: &[Event]) {
        report::events(self, &connection.object_ref(&()), events).await;
    }

    async fn tell_not_created(&self, connection: &DualWriteConnection, error: &WriteError) {
        if error.status() != Some(403) {
            return;
        }
        let namespace = connection.namespace().unwrap_or_default();
        let event = Event {
            warning: true,
            reason: Reason::NamespaceNotGranted,
            note: identities::not_granted(self, &namespace).message,
        };
        self.tell_events(connection, &[event]).await;
    }
}
