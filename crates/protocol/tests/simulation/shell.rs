//! What the protocol meets: every call is a point at which everybody else may go on, or the process may die.

use std::{future::poll_fn, sync::Arc, task::Poll, time::Duration};

use crate::{
    api::{Api, Key, Write, key_of, uid_of},
    coverage, reads,
    support::seconds,
    world::{Fate, Shared, WRITE_TIMEOUT, lock},
};
use dualwrite_api::{
    DualWriteConnection, DualWriteConnectionStatus, DualWriteOperation, DualWriteOperationSpec,
    DualWriteOperationStatus, connection::CredentialStatus,
};
use dualwrite_plan::{
    decision,
    desired::Desired,
    observed::Observed,
    operation::{self, Next, Observations, Other, Owner, Send as Sending, Sent},
    world::{Claim, KnownOperation, after, between},
};
use dualwrite_protocol::{
    Process, known,
    shell::{CallError, Cluster, Connections, Failure, Runtime, Service},
};
use jiff::Timestamp;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?}")]
pub struct Refused(pub Failure);

impl CallError for Refused {
    fn failure(&self) -> Failure {
        self.0
    }
}

/// A process, as its passes have it.
#[derive(Clone)]
pub struct Shell {
    pub world: Shared,
    pub process: Arc<Process>,
    /// Its place.
    pub number: usize,
}

/// What the connection that asked for an operation asks for by now.
pub fn owner_of(operation: &KnownOperation, found: Option<&DualWriteConnection>) -> Owner {
    let Some(found) = found else {
        return Owner::Gone;
    };
    if found.metadata.uid.as_deref() != Some(&operation.spec.connection.uid)
        || found.metadata.deletion_timestamp.is_some()
    {
        return Owner::Gone;
    }
    let desired = desired(found);
    if !operation::is_asked_for(&desired, &operation.spec) {
        return Owner::Changed;
    }
    Owner::Present {
        suspended: desired.suspend,
        reconcile_at: desired.reconcile_at,
    }
}

pub fn desired(connection: &DualWriteConnection) -> Desired {
    Desired::from_resource(connection, seconds(30)).unwrap()
}

impl Shell {
    pub fn who(&self) -> String {
        format!("process {}", self.process.incarnation())
    }

    /// Others go on until then.
    async fn until(&self, at: Timestamp) {
        poll_fn(|_| {
            let mut world = lock(&self.world);
            if world.now >= at {
                return Poll::Ready(());
            }
            world.wake = Some(at);
            Poll::Pending
        })
        .await;
    }

    /// A call is on its way.
    async fn pause(&self) {
        let at = {
            let mut world = lock(&self.world);
            let most = world.faults.call;
            let wait = world.mostly_short(most);
            after(world.now, wait)
        };
        self.until(at).await;
    }

    async fn wait(&self, wait: Duration) {
        let at = after(lock(&self.world).now, wait);
        self.until(at).await;
    }

    /// A read past every cache.
    async fn live<T>(&self, read: impl Fn(&Api) -> T) -> Result<T, Refused> {
        self.pause().await;
        let away = lock(&self.world).is_api_away();
        match away {
            Some(Failure::Uncertain) => {
                self.wait(WRITE_TIMEOUT).await;
                Err(Refused(Failure::Uncertain))
            }
            Some(failure) => Err(Refused(failure)),
            None => {
                let read = read(&lock(&self.world).api);
                self.pause().await;
                Ok(read)
            }
        }
    }

    /// Writes; what is there then, as the answer has it.
    async fn write<T>(&self, write: Write, answer: impl Fn(&Api) -> T) -> Result<T, Refused> {
        self.pause().await;
        let fate = lock(&self.world).fate();
        match fate {
            Fate::Answered => {
                let written = {
                    let mut world = lock(&self.world);
                    let written = world.write(&self.who(), &write);
                    written.map(|()| answer(&world.api))
                };
                self.pause().await;
                written.map_err(Refused)
            }
            Fate::RefusedForNow => {
                lock(&self.world).note(&self.who(), "a write is refused for now");
                Err(Refused(Failure::RefusedForNow))
            }
            Fate::Unheard(arrives) => {
                self.unheard(write, arrives);
                self.wait(WRITE_TIMEOUT).await;
                Err(Refused(Failure::Uncertain))
            }
        }
    }

    fn unheard(&self, write: Write, arrives: Option<Duration>) {
        let mut world = lock(&self.world);
        let when = arrives.map_or("never".to_owned(), |after| format!("in {after:?}"));
        world.note(
            &self.who(),
            format!("a write is not answered, and arrives {when}"),
        );
        if let Some(wait) = arrives {
            world.after(wait, crate::world::Event::LateWrite(Box::new(write)));
        }
    }

    fn watched<T>(&self, look: impl FnOnce(&crate::world::Running) -> T) -> Option<T> {
        let world = lock(&self.world);
        world.processes[self.number].as_ref().map(look)
    }
}

fn operation_key(operation: &KnownOperation) -> Key {
    (operation.namespace.clone(), operation.name.clone())
}

fn owner_key(operation: &KnownOperation) -> Key {
    let name = operation.spec.connection.name.clone();
    (operation.namespace.clone(), name)
}

impl Cluster for Shell {
    type Error = Refused;

    fn watched_owner(&self, operation: &KnownOperation) -> Owner {
        let found = self.watched(|seen| seen.connections.get(&owner_key(operation)).cloned());
        self.or_replaced(operation, owner_of(operation, found.flatten().as_ref()))
    }

    fn watched_others(&self, operation: &KnownOperation) -> Vec<Other> {
        let host = &operation.spec.finance_operations_host;
        let others = self.watched(|seen| seen.operations.values().map(known).collect::<Vec<_>>());
        let mut others = others.unwrap_or_default();
        others.retain(|other| {
            other.uid != operation.uid && other.spec.finance_operations_host == *host
        });
        let with_owner = |operation| Other {
            owner: self.watched_owner(&operation),
            operation,
        };
        others.into_iter().map(with_owner).collect()
    }

    async fn live_owner(&self, operation: &KnownOperation) -> Result<Owner, Refused> {
        let key = owner_key(operation);
        let found = self.live(|api| api.connections.get(&key).cloned()).await?;
        Ok(self.or_replaced(operation, owner_of(operation, found.as_ref())))
    }

    async fn live_operations(&self, _: &str) -> Result<Vec<KnownOperation>, Refused> {
        self.live(|api| api.operations.values().map(known).collect())
            .await
    }

    async fn live_operation(
        &self,
        operation: &KnownOperation,
    ) -> Result<Option<DualWriteOperation>, Refused> {
        let key = operation_key(operation);
        self.live(|api| api.operations.get(&key).cloned()).await
    }

    async fn hold(
        &self,
        operation: &DualWriteOperation,
        held: bool,
    ) -> Result<DualWriteOperation, Refused> {
        let key = key_of(&operation.metadata);
        let version = operation.metadata.resource_version.clone();
        let write = Write::OperationHold(key.clone(), version, held);
        let there = self.write(write, |api| api.operations.get(&key).cloned());
        // Nothing is there when that was all that held it.
        Ok(there.await?.unwrap_or_else(|| operation.clone()))
    }

    async fn write_status(
        &self,
        operation: &DualWriteOperation,
        status: &DualWriteOperationStatus,
    ) -> Result<DualWriteOperation, Refused> {
        let key = key_of(&operation.metadata);
        let version = operation.metadata.resource_version.clone();
        let write = Write::OperationStatus(key.clone(), version, Box::new(status.clone()));
        let there = self.write(write, |api| api.operations.get(&key).cloned());
        there.await?.ok_or(Refused(Failure::Gone))
    }

    async fn tell(&self, operation: &DualWriteOperation, status: &DualWriteOperationStatus) {
        let mut world = lock(&self.world);
        let before = operation.status.as_ref().and_then(|before| before.phase);
        if let (Some(message), true) = (&status.message, status.phase != before) {
            let host = operation.spec.finance_operations_host.clone();
            world.tell(&host, message);
        }
    }
}

impl Service for Shell {
    type Reach = ();

    async fn read(&self, operation: &KnownOperation) -> (Observations, Option<()>) {
        let began = lock(&self.world).now;
        self.pause().await;
        let mut observed = lock(&self.world).read_before_maps(operation, began);
        self.pause().await;
        let is_reached = lock(&self.world).read_maps(operation, &mut observed);
        (observed, is_reached.then_some(()))
    }

    async fn send(&self, (): &(), operation: &KnownOperation, request: &Sending) -> Sent {
        self.pause().await;
        let sent = lock(&self.world).send(&self.who(), operation, request);
        let (sent, wait) = sent;
        self.wait(wait).await;
        sent
    }
}

impl Runtime for Shell {
    fn now(&self) -> Timestamp {
        lock(&self.world).now
    }

    fn uptime(&self) -> Duration {
        let began = self.watched(|running| running.began);
        let now = lock(&self.world).now;
        between(began.unwrap_or(now), now)
    }

    fn worked_out(&self, _: &KnownOperation, before: &DualWriteOperationStatus, next: &Next) {
        coverage::check(before, next);
    }

    async fn sleep(&self, duration: Duration) {
        self.wait(duration).await;
    }

    async fn alone<T: Send>(&self, host: &str, work: impl Future<Output = T> + Send) -> T {
        while !self.take_turn(host) {
            self.wait(Duration::from_millis(20)).await;
        }
        let done = work.await;
        if let Some(running) = &mut lock(&self.world).processes[self.number] {
            running.starting.remove(host);
        }
        done
    }
}

impl Shell {
    /// Whose connection is gone may find another one in its place, as the watches show it.
    fn or_replaced(&self, operation: &KnownOperation, owner: Owner) -> Owner {
        let host = &operation.spec.finance_operations_host;
        let is_other = |other: &&DualWriteConnection| {
            desired(other).host == *host
                && uid_of(&other.metadata) != operation.spec.connection.uid
                && Claim::of(other).is_some()
        };
        let managed = self.watched(|seen| seen.connections.values().find(is_other).is_some());
        match owner {
            Owner::Gone if managed == Some(true) => Owner::Replaced,
            owner => owner,
        }
    }

    fn take_turn(&self, host: &str) -> bool {
        let mut world = lock(&self.world);
        let running = world.processes[self.number].as_mut().unwrap();
        running.starting.insert(host.to_owned())
    }
}

impl Connections for Shell {
    async fn observe(
        &self,
        desired: &Desired,
        memory: &DualWriteConnectionStatus,
    ) -> (Observed, Vec<CredentialStatus>) {
        let began = lock(&self.world).now;
        self.pause().await;
        let mut observed = lock(&self.world).observe_link(desired, began);
        self.pause().await;
        lock(&self.world).observe_rest(desired, &mut observed);
        (observed, memory.credentials.clone())
    }

    fn unobserved(&self) -> Observed {
        reads::unread(self.now(), &reads::not_read())
    }

    fn watched_neighbours(&self, desired: &Desired) -> (Vec<KnownOperation>, Vec<Claim>) {
        let neighbours = self.watched(|seen| {
            let operations = seen.operations.values().map(known).filter(|known| {
                known.spec.finance_operations_host == desired.host
                    || known.spec.connection.uid == desired.uid
            });
            let connections = seen.connections.values();
            let of_host = connections.filter(|other| {
                crate::shell::desired(other).host == desired.host
                    && uid_of(&other.metadata) != desired.uid
            });
            (
                operations.collect(),
                of_host.filter_map(Claim::of).collect(),
            )
        });
        neighbours.unwrap_or_default()
    }

    async fn write_connection_status(
        &self,
        connection: &DualWriteConnection,
        status: &DualWriteConnectionStatus,
    ) -> Result<(), Refused> {
        let meta = &connection.metadata;
        let version = meta.resource_version.clone();
        let status = Box::new(status.clone());
        let write = Write::ConnectionStatus(key_of(meta), version, status);
        self.write(write, |_| ()).await
    }

    async fn hold_connection(
        &self,
        connection: &DualWriteConnection,
        held: bool,
    ) -> Result<(), Refused> {
        let meta = &connection.metadata;
        let version = meta.resource_version.clone();
        let write = Write::ConnectionHold(key_of(meta), version, held);
        self.write(write, |_| ()).await
    }

    async fn create_operation(
        &self,
        owner: &DualWriteConnection,
        name: &str,
        spec: &DualWriteOperationSpec,
    ) -> Result<(), Refused> {
        let (owner, spec) = (Box::new(owner.clone()), Box::new(spec.clone()));
        let write = Write::Create(owner, name.to_owned(), spec);
        self.write(write, |_| ()).await
    }

    async fn operation_named(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<DualWriteOperation>, Refused> {
        let key = (namespace.to_owned(), name.to_owned());
        self.live(|api| api.operations.get(&key).cloned()).await
    }

    async fn forget_operation(&self, operation: &KnownOperation) -> Result<(), Refused> {
        let write = Write::Forget(operation_key(operation), operation.uid.clone());
        match self.write(write, |_| ()).await {
            Err(Refused(Failure::Gone | Failure::Conflict)) => Ok(()),
            written => written,
        }
    }

    async fn tell_events(&self, connection: &DualWriteConnection, events: &[decision::Event]) {
        let host = desired(connection).host;
        let mut world = lock(&self.world);
        for event in events {
            let name = connection.metadata.name.clone().unwrap_or_default();
            world.note("event", format!("{name} {}: {}", event.reason, event.note));
            world.tell(&host, &event.note);
        }
    }

    async fn tell_not_created(&self, _: &DualWriteConnection, _: &Refused) {}
}
