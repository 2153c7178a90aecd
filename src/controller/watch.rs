//! Streams, stores and triggers.
//!
//! One watch for each resource and scope. A change of an operation makes a pass over its connection due (and, when its
//! phase changes, over the others of the same host, which wait for it); a change of a connection makes passes due over
//! those of its operations that are before a step, and, when its claim decides for the others of its host, over those. Not
//! at every change: somebody may create ten thousand resources for one host.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{
    StreamExt,
    channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded},
    future::{self, BoxFuture, Shared},
    stream::BoxStream,
};
use kube::{
    Api, Client, Resource, ResourceExt,
    core::DeserializeGuard,
    runtime::{
        Controller, Predicate, PredicateConfig, WatchStreamExt, controller, predicates,
        reflector::{self, ObjectRef, Store},
        watcher,
    },
};

mod claims;
mod metadata;
mod triggers;

use super::{
    connection,
    context::Context,
    fair_queue::{FairQueue, Place},
    operation,
};
use claims::{HostClaims, ShownOperations};
use triggers::{Changed, connection_changed, host_of, operation_changed};

use dualwrite_api::{DualWriteConnection, DualWriteOperation, operation::Phase};
use dualwrite_plan::{
    desired::Desired,
    world::{Claim, KnownOperation},
};
use dualwrite_protocol::{is_held, known};

/// A connection that may not be readable; one such object must not stop the others.
pub type GuardedConnection = DeserializeGuard<DualWriteConnection>;
/// An operation that may not be readable.
pub type GuardedOperation = DeserializeGuard<DualWriteOperation>;

/// How long to wait after a pass that could not be completed.
const AFTER_ERROR: Duration = Duration::from_secs(5);

/// How long to wait, and up to twice as long, where too many of the same namespace wait already.
const IN_A_CROWD: Duration = Duration::from_secs(20);

/// How long the passes of all scopes wait for the first list of each.
const PATIENCE: Duration = Duration::from_mins(1);

/// How many connections are listed at once: each may have 1.5 MB, which takes ten times as much while it is read.
const CONNECTIONS_AT_ONCE: u32 = 5;

/// The same of operations, which only the operator and cluster administrators make.
const OPERATIONS_AT_ONCE: u32 = 20;

/// How much later than asked for a pass may be, as a part of the wait: so that many resources do not come at once.
const JITTER: f64 = 0.1;
/// The most that a pass may be later than asked for.
const MOST_JITTER: Duration = Duration::from_secs(30);

/// What is watched: all namespaces, or one.
pub struct Scope {
    namespace: Option<String>,
    /// The connections there.
    pub connections: Store<GuardedConnection>,
    /// The operations there.
    pub operations: Store<GuardedOperation>,
    /// Makes passes due over connections of this scope; a change in another one may do so too.
    connections_due: UnboundedSender<ObjectRef<GuardedConnection>>,
    operations_due: UnboundedSender<ObjectRef<GuardedOperation>>,
    claims: Mutex<HostClaims>,
    connections_listed: Listed,
    operations_listed: Listed,
}

/// Whether a store holds what the API server has. A store's own future wakes only the last that waits for it, and passes
/// wait in tasks of their own.
struct Listed(tokio::sync::watch::Sender<Progress>);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Progress {
    /// It is being listed.
    Awaited,
    /// So for a long time that others do not wait for it any more.
    Overdue,
    /// The store is what the API server has.
    Complete,
}

impl Listed {
    fn new() -> Self {
        Self(tokio::sync::watch::Sender::new(Progress::Awaited))
    }

    fn see<K>(&self, event: Changed<'_, K>) {
        if matches!(event, Ok(watcher::Event::InitDone)) {
            self.0.send_replace(Progress::Complete);
        }
    }

    /// Whether nobody waits any more who waited for this list.
    fn give_up(&self) -> bool {
        self.0.send_if_modified(|progress| {
            let is_late = *progress == Progress::Awaited;
            if is_late {
                *progress = Progress::Overdue;
            }
            is_late
        })
    }

    /// Whether passes may have begun, here or in other scopes.
    fn was_waited_for(&self) -> bool {
        *self.0.borrow() != Progress::Awaited
    }

    async fn wait(&self, least: Progress) {
        // An error means that the sender is gone, and this holds it.
        let mut listed = self.0.subscribe();
        let _ended = listed.wait_for(|progress| *progress >= least).await;
    }
}

/// A scope whose watches have not begun.
pub struct Unwatched {
    /// The scope.
    pub scope: Arc<Scope>,
    connections: reflector::store::Writer<GuardedConnection>,
    operations: reflector::store::Writer<GuardedOperation>,
    connections_due: UnboundedReceiver<ObjectRef<GuardedConnection>>,
    operations_due: UnboundedReceiver<ObjectRef<GuardedOperation>>,
}

/// The end of the process.
pub type Shutdown = Shared<BoxFuture<'static, ()>>;

/// The scopes for the namespaces of `--watch-namespaces`; none means all. A variable that is set to nothing is none.
pub fn scopes(namespaces: &[String]) -> Vec<Unwatched> {
    let named: Vec<_> = namespaces
        .iter()
        .map(|namespace| namespace.trim())
        .filter(|namespace| !namespace.is_empty())
        .map(|namespace| Unwatched::new(Some(namespace.to_owned())))
        .collect();
    if named.is_empty() {
        return vec![Unwatched::new(None)];
    }
    named
}

impl Unwatched {
    fn new(namespace: Option<String>) -> Self {
        let (connections, connection_writer) = reflector::store();
        let (operations, operation_writer) = reflector::store();
        let (connection_sender, connections_due) = unbounded();
        let (operation_sender, operations_due) = unbounded();
        Self {
            scope: Arc::new(Scope {
                namespace,
                connections,
                operations,
                connections_due: connection_sender,
                operations_due: operation_sender,
                claims: Mutex::default(),
                connections_listed: Listed::new(),
                operations_listed: Listed::new(),
            }),
            connections: connection_writer,
            operations: operation_writer,
            connections_due,
            operations_due,
        }
    }
}

impl Scope {
    /// Waits until both stores hold what the API server has.
    pub async fn wait_until_ready(&self) {
        self.wait(Progress::Complete).await;
    }

    async fn wait(&self, least: Progress) {
        future::join(
            self.connections_listed.wait(least),
            self.operations_listed.wait(least),
        )
        .await;
    }

    /// From now on the passes of other scopes do not wait for this one.
    fn give_up(&self) {
        // Both, so no `||`.
        if self.connections_listed.give_up() | self.operations_listed.give_up() {
            let namespace = self.namespace.as_deref().unwrap_or_default();
            tracing::warn!(
                namespace,
                "a namespace could not be listed; others do not wait for it any longer, and what it claims is not seen"
            );
        }
    }

    /// The operations of this scope, live.
    pub fn operations_api(&self, client: &Client) -> Api<GuardedOperation> {
        self.api(client)
    }

    fn claims(&self) -> MutexGuard<'_, HostClaims> {
        // A claim that is in one of the two maps only is as if it were in none.
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn api<K>(&self, client: &Client) -> Api<K>
    where
        K: Resource<Scope = kube::core::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        match &self.namespace {
            Some(namespace) => Api::namespaced(client.clone(), namespace),
            None => Api::all(client.clone()),
        }
    }
}

/// Runs both controllers of a scope until the process ends.
pub async fn run(context: Arc<Context>, unwatched: Unwatched, shutdown: Shutdown) {
    let Unwatched {
        scope,
        connections,
        operations,
        connections_due,
        operations_due,
    } = unwatched;
    let connection_stream = {
        let (scope, context) = (Arc::clone(&scope), Arc::clone(&context));
        let mut anew = HostClaims::default();
        watcher(
            scope.api::<GuardedConnection>(&context.client),
            in_pages_of(CONNECTIONS_AT_ONCE),
        )
        .default_backoff()
        .modify(metadata::trim)
        .reflect(connections)
        .inspect(move |event| {
            if let Ok(watcher::Event::Delete(gone)) = event {
                context.forget(&gone.uid().unwrap_or_default());
            }
            connection_changed(&scope, &context.scopes, event, &mut anew);
            scope.connections_listed.see(event);
        })
        .boxed()
    };
    let operation_stream = {
        let (scope, context) = (Arc::clone(&scope), Arc::clone(&context));
        let mut shown = ShownOperations::default();
        watcher(
            scope.api::<GuardedOperation>(&context.client),
            in_pages_of(OPERATIONS_AT_ONCE),
        )
        .default_backoff()
        .modify(metadata::trim)
        .reflect(operations)
        .inspect(move |event| {
            operation_changed(&scope, &context.scopes, event, &mut shown);
            scope.operations_listed.see(event);
        })
        .boxed()
    };
    let patience = {
        let (scope, shutdown) = (Arc::clone(&scope), shutdown.clone());
        async move {
            tokio::select! {
                () = shutdown => {}
                () = tokio::time::sleep(PATIENCE) => scope.give_up(),
            }
        }
    };
    let connections = connection_controller(
        &context,
        &scope,
        connection_stream,
        connections_due,
        shutdown.clone(),
    );
    let operations =
        operation_controller(&context, &scope, operation_stream, operations_due, shutdown);
    future::join3(connections, operations, patience).await;
}

/// A list comes in pages, because a whole one is in memory before anything is dropped of it. A list that is streamed would do
/// without pages, but not every API server that this runs with can: Kubernetes has it since 1.32, and not always switched on.
fn in_pages_of(objects: u32) -> watcher::Config {
    watcher::Config::default().page_size(objects)
}

/// Waits until a pass over something of this scope knows all that decides.
///
/// Without the operations nobody knows what is under way, without the connections every operation would look abandoned,
/// and the oldest claim may be in any scope. Its own scope is waited for without end. The others only for a while: one that
/// the operator may not list would silence all of them for ever. The replica does not become ready then, and when the list
/// comes after all it wakes those whom it concerns.
async fn all_listed(scope: &Scope, scopes: &[Arc<Scope>]) {
    scope.wait_until_ready().await;
    for other in scopes {
        other.wait(Progress::Overdue).await;
    }
}

/// What makes a pass over an object itself due: its spec, its annotations, its finalizers, its deletion; not its status.
fn due<K: Resource>() -> impl Predicate<K> {
    predicates::generation
        .combine(predicates::annotations)
        .combine(predicates::finalizers)
}

/// Waits until a pass over something in this namespace may begin; otherwise says when to come again.
async fn place(
    queue: &FairQueue,
    namespace: Option<String>,
    scope: &Scope,
    context: &Context,
    shutdown: Shutdown,
) -> Result<Place, controller::Action> {
    let namespace = namespace.unwrap_or_default();
    let place = async {
        all_listed(scope, &context.scopes).await;
        queue.wait(&namespace).await
    };
    let place = tokio::select! {
        biased;
        () = shutdown => return Err(controller::Action::await_change()),
        place = place => place,
    };
    match place {
        Some(place) if context.leadership.may_begin() => Ok(place),
        Some(_) => Err(controller::Action::requeue(AFTER_ERROR)),
        None => Err(controller::Action::requeue(
            IN_A_CROWD.mul_f64(1.0 + fastrand::f64()),
        )),
    }
}

/// An object as the store has it after a wait: minutes may have passed, and what was written meanwhile holds. `None` when
/// it is gone.
fn as_it_is_now<K>(store: &Store<K>, object: &K) -> Option<Arc<K>>
where
    K: reflector::Lookup + Clone,
    K::DynamicType: Default + Eq + std::hash::Hash + Clone,
{
    store.get(&ObjectRef::from_obj(object))
}

fn connection_controller(
    context: &Arc<Context>,
    scope: &Arc<Scope>,
    stream: BoxStream<'static, Result<watcher::Event<GuardedConnection>, watcher::Error>>,
    triggers: UnboundedReceiver<ObjectRef<GuardedConnection>>,
    shutdown: Shutdown,
) -> impl Future<Output = ()> + use<> {
    let passes = stream
        .applied_objects()
        .predicate_filter(due(), PredicateConfig::default());
    let scope = Arc::clone(scope);
    Controller::for_stream(passes, scope.connections.clone())
        .reconcile_on(triggers)
        .graceful_shutdown_on(shutdown.clone())
        .run(
            move |connection, context| {
                let (scope, shutdown) = (Arc::clone(&scope), shutdown.clone());
                async move {
                    let queue = &context.connection_queue;
                    let _place =
                        match place(queue, connection.namespace(), &scope, &context, shutdown).await {
                            Err(later) => return Ok(later),
                            Ok(place) => place,
                        };
                    let Some(connection) = as_it_is_now(&scope.connections, &connection) else {
                        return Ok(controller::Action::await_change());
                    };
                    // In a box, so that those who wait need no room for it.
                    Box::pin(connection::reconcile(connection, Arc::clone(&context))).await
                }
            },
            |connection, error, _| {
                tracing::warn!(name = connection.name_any(), %error, "a pass over a connection could not be completed");
                controller::Action::requeue(with_jitter(AFTER_ERROR))
            },
            Arc::clone(context),
        )
        .for_each(|_| future::ready(()))
}

/// Whether a pass over an operation reads and writes nothing.
fn is_over(operation: &GuardedOperation) -> bool {
    operation.0.as_ref().is_ok_and(|operation| {
        let phase = operation.status.as_ref().and_then(|status| status.phase);
        phase.is_some_and(Phase::is_finished) && !is_held(operation)
    })
}

fn operation_controller(
    context: &Arc<Context>,
    scope: &Arc<Scope>,
    stream: BoxStream<'static, Result<watcher::Event<GuardedOperation>, watcher::Error>>,
    triggers: UnboundedReceiver<ObjectRef<GuardedOperation>>,
    shutdown: Shutdown,
) -> impl Future<Output = ()> + use<> {
    let passes = stream
        .applied_objects()
        .predicate_filter(due(), PredicateConfig::default());
    let scope = Arc::clone(scope);
    Controller::for_stream(passes, scope.operations.clone())
        .reconcile_on(triggers)
        .graceful_shutdown_on(shutdown.clone())
        .run(
            move |operation, context| {
                let (scope, shutdown) = (Arc::clone(&scope), shutdown.clone());
                async move {
                    // Ten of them are kept for each connection: at the start they would take all places to wait in.
                    if is_over(&operation) {
                        return Box::pin(operation::reconcile(operation, context)).await;
                    }
                    let queue = &context.operation_queue;
                    let _place = match place(queue, operation.namespace(), &scope, &context, shutdown).await {
                        Err(later) => return Ok(later),
                        Ok(place) => place,
                    };
                    let Some(operation) = as_it_is_now(&scope.operations, &operation) else {
                        return Ok(controller::Action::await_change());
                    };
                    Box::pin(operation::reconcile(operation, Arc::clone(&context))).await
                }
            },
            |operation, error, _| {
                tracing::warn!(name = operation.name_any(), %error, "a pass over an operation could not be completed");
                controller::Action::requeue(with_jitter(AFTER_ERROR))
            },
            Arc::clone(context),
        )
        .for_each(|_| future::ready(()))
}

// ---- stores ----

/// The operations that matter for a connection, and the claims of the other connections of its host. Whoever may not claim
/// the host learns nothing of what others do with it.
pub fn neighbours(context: &Context, desired: &Desired) -> (Vec<KnownOperation>, Vec<Claim>) {
    let mut operations = Vec::new();
    let mut rivals = Vec::new();
    let (claims, namespace) = (&context.allowed_claims, &desired.namespace);
    let may_claim = claims.check_host(namespace, &desired.host).is_ok();
    for scope in &context.scopes {
        operations.extend(scope.operations.state().iter().filter_map(|operation| {
            let operation = operation.0.as_ref().ok()?;
            let spec = &operation.spec;
            let same_host = may_claim && spec.finance_operations_host == desired.host;
            let matters = same_host || spec.connection.uid == desired.uid;
            matters.then(|| known(operation))
        }));
        if may_claim {
            rivals.extend(scope.claims().rivals(desired));
        }
    }
    (operations, rivals)
}

/// Whether another connection than the one that asked for an operation manages its environment.
pub fn is_managed_by_another(context: &Context, operation: &KnownOperation) -> bool {
    let spec = &operation.spec;
    let (url, uid) = (&spec.access.finance_operations_url, &spec.connection.uid);
    let mut scopes = context.scopes.iter();
    scopes.any(|scope| scope.claims().others(url, uid).next().is_some())
}

/// The connection with this uid, if it is there.
pub fn connection(
    context: &Context,
    namespace: &str,
    name: &str,
) -> Option<Arc<GuardedConnection>> {
    let reference = ObjectRef::new(name).within(namespace);
    context
        .scopes
        .iter()
        .find_map(|scope| scope.connections.get(&reference))
}

/// A wait that is never shorter than asked for, and a little longer for most.
pub fn with_jitter(wait: Duration) -> Duration {
    wait + wait.mul_f64(JITTER * fastrand::f64()).min(MOST_JITTER)
}

#[cfg(test)]
mod tests;
