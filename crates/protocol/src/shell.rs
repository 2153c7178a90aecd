//! What the protocol needs: the API server, Microsoft's side, time.

use std::{error::Error, time::Duration};

use dualwrite_api::{
    DualWriteConnection, DualWriteConnectionStatus, DualWriteOperation, DualWriteOperationSpec,
    DualWriteOperationStatus, connection::CredentialStatus,
};
use dualwrite_plan::{
    decision::Event,
    desired::Desired,
    observed::Observed,
    operation::{Next, Observations, Other, Owner, Send as Sending, Sent},
    world::{Claim, KnownOperation},
};
use jiff::Timestamp;

/// What is known of a call to the API server that did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Somebody else has written since the object was read; or this very write was taken, and its repetition refused.
    Conflict,
    /// The object is not there.
    Gone,
    /// Refused, and asking again changes nothing.
    Refused,
    /// Refused by an API server that may know the caller in a moment. Certainly not taken.
    RefusedForNow,
    /// Whether it was taken is not known.
    Uncertain,
}

impl Failure {
    /// Whether the API server has certainly not taken the write.
    pub const fn is_certain(self) -> bool {
        match self {
            Self::Gone | Self::Refused | Self::RefusedForNow => true,
            Self::Conflict | Self::Uncertain => false,
        }
    }

    /// Whether asking again changes nothing.
    pub const fn is_final(self) -> bool {
        match self {
            Self::Gone | Self::Refused => true,
            Self::Conflict | Self::RefusedForNow | Self::Uncertain => false,
        }
    }
}

/// An error of a call to the API server.
pub trait CallError: Error + Send + 'static {
    /// What is known of the call.
    fn failure(&self) -> Failure;
}

/// The API server. Every write succeeds only if nobody has written since its object was read.
pub trait Cluster: Sync {
    /// Why a call did not succeed.
    type Error: CallError;

    /// The connection that asked for an operation, as the watches have shown it.
    fn watched_owner(&self, operation: &KnownOperation) -> Owner;

    /// The other operations of the same host, as the watches have shown them.
    fn watched_others(&self, operation: &KnownOperation) -> Vec<Other>;

    /// The connection that asked for an operation, past every cache.
    fn live_owner(
        &self,
        operation: &KnownOperation,
    ) -> impl Future<Output = Result<Owner, Self::Error>> + Send;

    /// The operations of a host that may be under way, past every cache; others may be among them.
    fn live_operations(
        &self,
        host: &str,
    ) -> impl Future<Output = Result<Vec<KnownOperation>, Self::Error>> + Send;

    /// An operation, past every cache; `None` if it is not there any more.
    fn live_operation(
        &self,
        operation: &KnownOperation,
    ) -> impl Future<Output = Result<Option<DualWriteOperation>, Self::Error>> + Send;

    /// Puts the finalizer on an operation, or takes it off; refused for good if it is new to an object that is being deleted.
    fn hold(
        &self,
        operation: &DualWriteOperation,
        held: bool,
    ) -> impl Future<Output = Result<DualWriteOperation, Self::Error>> + Send;

    /// Writes a status.
    fn write_status(
        &self,
        operation: &DualWriteOperation,
        status: &DualWriteOperationStatus,
    ) -> impl Future<Output = Result<DualWriteOperation, Self::Error>> + Send;

    /// Tells people how a status differs from the one that the operation had. Best effort: the status says it too.
    fn tell(
        &self,
        before: &DualWriteOperation,
        status: &DualWriteOperationStatus,
    ) -> impl Future<Output = ()> + Send;
}

/// Microsoft's side.
pub trait Service: Sync {
    /// Hosts that may be called and identities that are signed in.
    type Reach: Send + Sync;

    /// Reads what the next step needs. Without a reach nothing was read, and nothing can be sent.
    fn read(
        &self,
        operation: &KnownOperation,
    ) -> impl Future<Output = (Observations, Option<Self::Reach>)> + Send;

    /// Sends the one request of a step whose intent is recorded: once, and only before its time to be sent by is over.
    fn send(
        &self,
        reach: &Self::Reach,
        operation: &KnownOperation,
        request: &Sending,
    ) -> impl Future<Output = Sent> + Send;
}

/// The process that a pass runs in.
pub trait Runtime: Sync {
    /// The time.
    fn now(&self) -> Timestamp;

    /// How long the process runs; nothing that is done to the clock of the machine changes it.
    fn uptime(&self) -> Duration;

    /// Is told what has happened to the steps of an operation. Nothing is decided by it.
    fn worked_out(
        &self,
        operation: &KnownOperation,
        before: &DualWriteOperationStatus,
        next: &Next,
    );

    /// Waits.
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send;

    /// Does something while no other pass of this process does so for this host.
    fn alone<T: Send>(
        &self,
        host: &str,
        work: impl Future<Output = T> + Send,
    ) -> impl Future<Output = T> + Send;
}

/// All that the protocol needs.
pub trait Shell: Cluster + Service + Runtime {}

impl<S: Cluster + Service + Runtime> Shell for S {}

/// What the protocol of a connection needs beside that of its operations.
pub trait Connections: Cluster + Runtime {
    /// Reads everything that the decision needs at Microsoft's, and what can be told of the credentials. Never fails: what
    /// cannot be read is unknown.
    fn observe(
        &self,
        desired: &Desired,
        memory: &DualWriteConnectionStatus,
    ) -> impl Future<Output = (Observed, Vec<CredentialStatus>)> + Send;

    /// What a pass looks at that reads nothing.
    fn unobserved(&self) -> Observed;

    /// The operations that matter for a connection, and the claims of the other connections of its host, as the watches have
    /// shown them.
    fn watched_neighbours(&self, desired: &Desired) -> (Vec<KnownOperation>, Vec<Claim>);

    /// Writes the status of a connection.
    fn write_connection_status(
        &self,
        connection: &DualWriteConnection,
        status: &DualWriteConnectionStatus,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Puts the finalizer on a connection, or takes it off.
    fn hold_connection(
        &self,
        connection: &DualWriteConnection,
        held: bool,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Creates an operation that its connection owns; a name that is taken is a conflict.
    fn create_operation(
        &self,
        owner: &DualWriteConnection,
        name: &str,
        spec: &DualWriteOperationSpec,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// The operation of a name, past every cache; `None` if there is none.
    fn operation_named(
        &self,
        namespace: &str,
        name: &str,
    ) -> impl Future<Output = Result<Option<DualWriteOperation>, Self::Error>> + Send;

    /// Deletes an operation that is no longer kept. That it is gone already is fine.
    fn forget_operation(
        &self,
        operation: &KnownOperation,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Tells people of a connection. Best effort: the status says it too.
    fn tell_events(
        &self,
        connection: &DualWriteConnection,
        events: &[Event],
    ) -> impl Future<Output = ()> + Send;

    /// Tells people why an operation could not be created, where somebody has to mend it. Best effort.
    fn tell_not_created(
        &self,
        connection: &DualWriteConnection,
        error: &Self::Error,
    ) -> impl Future<Output = ()> + Send;
}
