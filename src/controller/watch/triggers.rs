//! What makes passes due: a change of one object, over others that it matters for.

use std::sync::Arc;

use futures::channel::mpsc::UnboundedSender;
use kube::{
    ResourceExt,
    runtime::{
        reflector::{self, ObjectRef},
        watcher,
    },
};

use super::{
    GuardedConnection, GuardedOperation, Scope,
    claims::{self, Age, HostClaims, Older, ShownOperations},
};
use dualwrite_api::{
    DualWriteConnection, DualWriteOperationStatus,
    operation::{Phase, StepState, StepStatus},
};
use dualwrite_plan::world::Claim;

/// What a watch tells.
pub(super) type Changed<'a, K> = &'a Result<watcher::Event<K>, watcher::Error>;

/// `anew` are the claims of a list that is being read.
pub(super) fn connection_changed(
    scope: &Scope,
    scopes: &[Arc<Scope>],
    event: Changed<'_, GuardedConnection>,
    anew: &mut HostClaims,
) {
    match event {
        Err(error) => {
            tracing::warn!(%error, "the watch of connections was interrupted; it is taken up again");
        }
        Ok(watcher::Event::Init) => *anew = HostClaims::default(),
        Ok(watcher::Event::InitApply(connection)) => {
            let connection = connection.0.as_ref().ok();
            if let Some((connection, claim)) = connection.and_then(with_claim) {
                anew.set(connection, claim);
            }
        }
        Ok(watcher::Event::InitDone) => claims_listed(scope, scopes, std::mem::take(anew)),
        Ok(watcher::Event::Apply(connection)) => one_changed(scope, scopes, connection, false),
        Ok(watcher::Event::Delete(connection)) => one_changed(scope, scopes, connection, true),
    }
}

/// Takes the claims of a list, whole, as the store is from now on: one that is missing for a moment would let a younger one
/// act. What changed before it, while nobody watched, wakes the others as any change does.
fn claims_listed(scope: &Scope, scopes: &[Arc<Scope>], anew: HostClaims) {
    let before = std::mem::replace(&mut *scope.claims(), anew);
    // At first everything is due anyway.
    if !scope.connections_listed.was_waited_for() {
        return;
    }
    let otherwise = scope.claims().decide_otherwise_than(&before);
    if otherwise.is_empty() {
        return;
    }
    wake(scopes, |connection| {
        let (host, namespace) = (host_of(connection), connection.namespace());
        otherwise.contains(&(host.clone(), None)) || otherwise.contains(&(host, namespace))
    });
}

fn with_claim(connection: &DualWriteConnection) -> Option<(&DualWriteConnection, Claim)> {
    Claim::of(connection).map(|claim| (connection, claim))
}

/// A connection has changed, or is gone.
fn one_changed(scope: &Scope, scopes: &[Arc<Scope>], guarded: &GuardedConnection, gone: bool) {
    let uid = guarded.uid().unwrap_or_default();
    for operation in scope.operations.state() {
        let Ok(known) = &operation.0 else { continue };
        let idle = known.status.as_ref().is_none_or(waits_for_its_connection);
        if known.spec.connection.uid == uid && (gone || idle) {
            send(
                &scope.operations_due,
                ObjectRef::from_obj(operation.as_ref()),
            );
        }
    }
    let there = guarded.0.as_ref().ok().filter(|_| !gone);
    // Nor does one that cannot be read claim anything: nobody could say what, and a restart would forget it too.
    let changed = match there.and_then(with_claim) {
        Some((connection, claim)) => scope.claims().set(connection, claim),
        None => scope.claims().forget(&uid),
    };
    if let Some((host, age)) = changed {
        let namespace = guarded.namespace().unwrap_or_default();
        claim_changed(scopes, &namespace, &host, &age);
    }
}

/// The oldest claim decides for all younger connections of its host, and the oldest of a namespace for those there: whoever
/// does not see the host is told of that one. Any other claim decides for none.
fn claim_changed(scopes: &[Arc<Scope>], namespace: &str, host: &str, own: &Age) {
    let of_scope = |scope: &Arc<Scope>| scope.claims().older(host, own, namespace);
    let older = scopes.iter().map(of_scope).max().unwrap_or(Older::None);
    if older == Older::Near {
        return;
    }
    wake(scopes, |other| {
        claims::age(other) > *own
            && (older == Older::None || other.namespace().as_deref() == Some(namespace))
            && host_of(other) == host
    });
}

/// Makes passes due over connections, of whichever scope.
fn wake(scopes: &[Arc<Scope>], matters: impl Fn(&DualWriteConnection) -> bool) {
    for scope in scopes {
        for connection in scope.connections.state() {
            if connection.0.as_ref().is_ok_and(&matters) {
                let reference = ObjectRef::from_obj(connection.as_ref());
                send(&scope.connections_due, reference);
            }
        }
    }
}

/// Whether an operation is before its first step, or between two: what comes next depends on the connection.
fn waits_for_its_connection(status: &DualWriteOperationStatus) -> bool {
    let in_flight = |step: &StepStatus| matches!(step.state, StepState::Intended | StepState::Sent);
    match status.phase {
        None | Some(Phase::AwaitingApproval) => true,
        Some(Phase::Running) => !status.steps.iter().any(in_flight),
        Some(Phase::Succeeded | Phase::Failed | Phase::Unknown | Phase::Void) => false,
    }
}

pub(super) fn operation_changed(
    scope: &Scope,
    scopes: &[Arc<Scope>],
    event: Changed<'_, GuardedOperation>,
    shown: &mut ShownOperations,
) {
    let concerned = match event {
        Err(error) => {
            tracing::warn!(%error, "the watch of operations was interrupted; it is taken up again");
            return;
        }
        Ok(watcher::Event::Init) => return shown.list_begins(),
        Ok(watcher::Event::InitApply(operation)) => return shown.list_has(operation),
        Ok(watcher::Event::InitDone) => shown.list_ends(),
        Ok(watcher::Event::Apply(operation)) => shown.set(operation),
        Ok(watcher::Event::Delete(operation)) => shown.remove(operation),
    };
    let first =
        matches!(event, Ok(watcher::Event::InitDone)) && !scope.operations_listed.was_waited_for();
    // At first everything is due anyway.
    if !first && !concerned.is_empty() {
        wake(scopes, |connection| concerned.has(connection));
    }
}

fn send<K>(due: &UnboundedSender<ObjectRef<K>>, object: ObjectRef<K>)
where
    K: reflector::Lookup,
    K::DynamicType: Default,
{
    // The receiver is gone only when the process ends.
    let _ended = due.unbounded_send(object);
}

/// The address of a connection, as all of the same host have it.
pub(super) fn host_of(connection: &DualWriteConnection) -> String {
    host_key(&connection.spec.finance_operations.url)
}

/// What an address of an environment is known by.
pub(super) fn host_key(url: &str) -> String {
    url.trim_end_matches('/').to_ascii_lowercase()
}
