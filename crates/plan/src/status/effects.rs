//! What to do: at most one thing; and what to tell.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::{
    decision::{Effect, Event},
    messages,
    operation::{self, changed_facts},
    verdict::{Plans, Verdict},
    world::{KnownOperation, World},
};
use dualwrite_api::{
    DualWriteConnectionStatus, DualWriteOperationSpec, Reason,
    conditions::{self, ConditionType, Status},
    operation::{Action, Phase, StepState},
};

/// How many finished operations of a connection are kept.
const HISTORY: usize = 10;

/// At most one thing: create the operation that is asked for, or give up one that is not asked for any more.
pub(super) fn effect(world: &World<'_>, verdict: &Verdict) -> Option<Effect> {
    // Of a resource that is being deleted nothing is asked any more.
    let wanted = match &verdict.plans {
        Plans::Keep => return None,
        Plans::Void => None,
        Plans::Want(spec) => {
            Some((operation::name(world, spec), spec.as_ref())).filter(|_| !world.desired.deleting)
        }
    };
    let own = world.own_operations();
    let unstarted = own
        .iter()
        .filter(|operation| operation.is_unstarted() && operation.deleted.is_none());
    let mut obsolete = unstarted.filter(|operation| {
        wanted.as_ref().is_none_or(|(name, spec)| {
            *name != operation.name || !operation::does_the_same(spec, &operation.spec)
        })
    });
    if let Some(operation) = obsolete.next() {
        let message = messages::void(&why_void(
            world,
            operation,
            wanted.as_ref().map(|(_, spec)| *spec),
            verdict.ready.reason,
        ));
        return Some(Effect::Void {
            name: operation.name.clone(),
            message,
        });
    }
    let (name, spec) = wanted?;
    let exists = own.iter().any(|operation| operation.name == name);
    (!exists).then(|| Effect::Create {
        name,
        spec: Box::new(spec.clone()),
    })
}

fn why_void(
    world: &World<'_>,
    operation: &KnownOperation,
    wanted: Option<&DualWriteOperationSpec>,
    ready: Reason,
) -> String {
    match wanted {
        Some(wanted) if wanted.action == operation.spec.action => {
            changed_facts::between_plans(&operation.spec, wanted)
        }
        Some(wanted) if wanted.action == Action::StopMaps => {
            messages::MAPS_ARE_STOPPED_FIRST.into()
        }
        _ if world.desired.deleting || !operation::is_asked_for(world.desired, &operation.spec) => {
            "the connection no longer asks for it".into()
        }
        _ => messages::overtaken(ready),
    }
}

/// Finished operations beyond ten: plans that were given up first, then the oldest.
pub(super) fn forget(world: &World<'_>) -> Vec<String> {
    let own = world.own_operations();
    let finished = own
        .iter()
        .filter(|operation| operation.is_finished() && operation.deleted.is_none());
    let finished: Vec<&KnownOperation> = finished.copied().collect();
    let too_many = finished.len().saturating_sub(HISTORY);
    let kept = still_needed(world, &finished);
    let mut oldest: Vec<_> = finished
        .iter()
        .rev()
        .filter(|operation| !kept.contains(&operation.uid.as_str()))
        .collect();
    oldest.sort_by_key(|operation| operation.status.phase != Some(Phase::Void));
    let names = oldest.into_iter().map(|operation| operation.name.clone());
    names.take(too_many).collect()
}

/// What nothing else remembers: the newest operation, which the names of plans rest on; a request that may still land; the
/// proof of which solution brings which map; what to put back after a reset that did not succeed; that a plan was rejected, or
/// was given up after it had stopped maps.
fn still_needed<'a>(world: &World<'_>, finished: &[&'a KnownOperation]) -> Vec<&'a str> {
    let newest = finished.first();
    let proof = finished
        .iter()
        .find(|operation| !operation::brought_in(operation).is_empty());
    let given_up = operation::given_up(world).map(|operation| operation.uid.as_str());
    let others = finished.iter().filter(|operation| {
        is_intended(operation)
            || has_what_is_lost(operation)
            || world.is_rejected(operation)
            || given_up == Some(operation.uid.as_str())
    });
    let kept = newest.into_iter().chain(proof);
    let kept = kept.chain(others.take(HISTORY));
    kept.map(|operation| operation.uid.as_str()).collect()
}

fn is_intended(operation: &KnownOperation) -> bool {
    let mut steps = operation.status.steps.iter();
    steps.any(|step| step.state == StepState::Intended)
}

fn has_what_is_lost(operation: &KnownOperation) -> bool {
    operation.status.phase == Some(Phase::Failed) && operation.status.backup.is_some()
}

/// A change of `Ready`, and a mismatch that has appeared, are worth an event each.
pub(super) fn events(world: &World<'_>, status: &DualWriteConnectionStatus) -> Vec<Event> {
    let old = &world.memory.conditions;
    let mut events = Vec::new();
    let changed = |kind| {
        let now = conditions::find(&status.conditions, kind)?;
        let before = conditions::find(old, kind);
        let same =
            before.is_some_and(|before| before.reason == now.reason && before.status == now.status);
        (!same).then_some(now)
    };
    if let Some(ready) = changed(ConditionType::Ready) {
        let warning = conditions::find(&status.conditions, ConditionType::Stalled).is_some();
        events.extend(event(ready, warning));
    }
    let told_again = status.mix_told_at.is_some() && status.mix_told_at != world.memory.mix_told_at;
    let mismatch = changed(ConditionType::LinkingMismatch).or_else(|| {
        conditions::find(&status.conditions, ConditionType::LinkingMismatch).filter(|_| told_again)
    });
    if let Some(mismatch) = mismatch {
        let bad = conditions::is(
            &status.conditions,
            ConditionType::LinkingMismatch,
            Status::True,
        );
        let said = events
            .iter_mut()
            .find(|said: &&mut Event| said.reason.as_ref() == mismatch.reason);
        match said {
            // It is bad news, also while something is done about it.
            Some(said) => said.warning |= bad,
            None if bad => events.extend(event(mismatch, true)),
            None => {}
        }
    }
    events
}

fn event(condition: &Condition, warning: bool) -> Option<Event> {
    let reason = condition.reason.parse().ok()?;
    Some(Event {
        warning,
        reason,
        note: condition.message.clone(),
    })
}
