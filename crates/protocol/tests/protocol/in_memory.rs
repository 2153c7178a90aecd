//! A shell of the protocol in memory and in virtual time, for any world that says what it stores, shows and answers.

use std::{
    pin::pin,
    sync::{Mutex, MutexGuard},
    task::{Context, Poll, Waker},
    time::Duration,
};

use crate::{
    api_server::{ApiServer, Refused, Stop},
    coverage,
};
use dualwrite_api::{DualWriteOperation, DualWriteOperationStatus};
use dualwrite_plan::{
    operation::{Next, Observations, Other, Owner, Send as Sending, Sent},
    world::{KnownOperation, Settings, after, between},
};
use dualwrite_protocol::{
    self as protocol, Again, Process,
    shell::{Cluster, Runtime, Service},
};
use jiff::Timestamp;

/// A process with its API server and its Microsoft side.
pub trait World: Send {
    fn now(&mut self) -> &mut Timestamp;

    fn api(&self) -> &ApiServer;

    /// The operation, as the watches have shown it.
    fn watched(&self) -> Option<DualWriteOperation> {
        self.api().get()
    }

    fn owner(&self) -> Owner;

    /// The connection, as the watches have shown it.
    fn watched_owner(&self) -> Owner {
        self.owner()
    }

    /// Other operations, as a live list shows them.
    fn others(&self) -> Vec<KnownOperation>;

    /// Waits until no other pass begins an operation of this host.
    fn take_turn(&mut self, _host: &str) {}

    /// Whether the API server answers.
    fn reach_api(&self) -> Result<(), Refused>;

    fn hold(
        &mut self,
        operation: &DualWriteOperation,
        held: bool,
    ) -> Result<DualWriteOperation, Stop>;

    fn write_status(
        &mut self,
        operation: &DualWriteOperation,
        status: &DualWriteOperationStatus,
    ) -> Result<DualWriteOperation, Stop>;

    fn read(&mut self) -> Observations;

    fn send(&mut self, request: &Sending) -> Result<Sent, Stop>;
}

/// One pass; `None`: it could not be completed, or its process has died.
///
/// What is in memory is there at once, so only the dead are waited for.
pub fn pass(world: &mut impl World, process: &Process, settings: &Settings) -> Option<Again> {
    let operation = world.watched()?;
    let began = *world.now();
    let shell = InMemory {
        world: Mutex::new(world),
        began,
    };
    let pass = pin!(protocol::pass(&shell, process, settings, &operation));
    match pass.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(again) => again.ok(),
        Poll::Pending => None,
    }
}

/// What a call comes to. A process that has died never hears of it.
async fn heard<T>(called: Result<T, Stop>) -> Result<T, Refused> {
    match called {
        Ok(answer) => Ok(answer),
        Err(Stop::Refused(failure)) => Err(Refused(failure)),
        Err(Stop::Died) => std::future::pending().await,
    }
}

struct InMemory<'a, W> {
    world: Mutex<&'a mut W>,
    began: Timestamp,
}

impl<'a, W> InMemory<'a, W> {
    fn world(&self) -> MutexGuard<'_, &'a mut W> {
        self.world.lock().unwrap()
    }
}

impl<W: World> Cluster for InMemory<'_, W> {
    type Error = Refused;

    fn watched_owner(&self, _: &KnownOperation) -> Owner {
        self.world().watched_owner()
    }

    fn watched_others(&self, _: &KnownOperation) -> Vec<Other> {
        Vec::new()
    }

    async fn live_owner(&self, _: &KnownOperation) -> Result<Owner, Refused> {
        let world = self.world();
        world.reach_api()?;
        Ok(world.owner())
    }

    async fn live_operations(&self, _: &str) -> Result<Vec<KnownOperation>, Refused> {
        let world = self.world();
        world.reach_api()?;
        let mut all = world.others();
        all.push(world.api().stored.clone());
        Ok(all)
    }

    async fn live_operation(
        &self,
        _: &KnownOperation,
    ) -> Result<Option<DualWriteOperation>, Refused> {
        let world = self.world();
        world.reach_api()?;
        Ok(world.api().get())
    }

    async fn hold(
        &self,
        operation: &DualWriteOperation,
        held: bool,
    ) -> Result<DualWriteOperation, Refused> {
        let written = self.world().hold(operation, held);
        heard(written).await
    }

    async fn write_status(
        &self,
        operation: &DualWriteOperation,
        status: &DualWriteOperationStatus,
    ) -> Result<DualWriteOperation, Refused> {
        let written = self.world().write_status(operation, status);
        heard(written).await
    }

    async fn tell(&self, _: &DualWriteOperation, _: &DualWriteOperationStatus) {}
}

impl<W: World> Service for InMemory<'_, W> {
    type Reach = ();

    async fn read(&self, _: &KnownOperation) -> (Observations, Option<()>) {
        (self.world().read(), Some(()))
    }

    async fn send(&self, (): &(), _: &KnownOperation, request: &Sending) -> Sent {
        let sent = self.world().send(request);
        match heard(sent).await {
            Ok(sent) => sent,
            Err(refused) => panic!("{refused} is no answer of Microsoft's"),
        }
    }
}

impl<W: World> Runtime for InMemory<'_, W> {
    fn now(&self) -> Timestamp {
        *self.world().now()
    }

    fn worked_out(&self, _: &KnownOperation, before: &DualWriteOperationStatus, next: &Next) {
        coverage::check(before, next);
    }

    fn uptime(&self) -> Duration {
        between(self.began, self.now())
    }

    async fn sleep(&self, duration: Duration) {
        let mut world = self.world();
        let now = world.now();
        *now = after(*now, duration);
    }

    async fn alone<T: Send>(&self, host: &str, work: impl Future<Output = T> + Send) -> T {
        self.world().take_turn(host);
        work.await
    }
}
