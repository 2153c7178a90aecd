//! When dual-write is linked to something else than the step at hand is about: nothing is asked for there.

use super::{
    Act, Next,
    ends::finish,
    failures::{give_up, has_stopped_maps},
    follow::is_past_patience,
    steps,
    targets::is_target,
};
use crate::{
    desired::same_id,
    messages,
    observed::{LinkFacts, LinkView, Problem},
    operation::StepKind,
};
use dualwrite_api::{
    DualWriteOperationStatus, Reason,
    operation::{Action, Phase, StepState},
};

/// What a step that belongs to another link comes to; `None` when the link is the right one, or the step looks itself.
pub(super) fn away(
    act: &Act<'_>,
    status: &DualWriteOperationStatus,
    index: usize,
    kind: &StepKind,
) -> Option<Next> {
    let is_of_setup = matches!(act.operation.spec.action, Action::Setup | Action::Link);
    if is_of_setup || *kind == StepKind::Reset {
        return None;
    }
    let is_for_now = matches!(kind, StepKind::Backup | StepKind::StopMaps);
    let found = match &act.observed.link {
        LinkView::To(link) if is_expected(act, kind, link) => return None,
        LinkView::To(link) => Some(link),
        LinkView::Absent if !is_for_now || act.operation.spec.action == Action::StopMaps => None,
        LinkView::Absent | LinkView::NotObserved | LinkView::Unknown(_) | LinkView::HostDown(_) => {
            return None;
        }
    };
    Some(match found {
        Some(link) if is_for_now => not_begun(act, status, link),
        _ => wait_or_end(act, status.clone(), index, kind, found),
    })
}

/// The maps of another link say nothing about how the act has ended: the last step is open again as long as one is shown.
pub(super) fn at_the_end(act: &Act<'_>, status: &DualWriteOperationStatus) -> Option<Next> {
    let action = act.operation.spec.action;
    let kind_of = |index: usize| StepKind::parse(action, &status.steps[index].name);
    let ours = |index: &usize| !matches!(kind_of(*index), None | Some(StepKind::ByPerson));
    let last = (0..status.steps.len()).rev().find(ours)?;
    let mut next = away(act, status, last, &kind_of(last)?)?;
    if next.status.phase == Some(Phase::Running) {
        next.status.steps[last].state = StepState::Pending;
    }
    Some(next)
}

/// Up to the reset, and when it is given up, a step is about the link of the plan; after it about the target.
fn is_expected(act: &Act<'_>, kind: &StepKind, link: &LinkFacts) -> bool {
    let relies_on = &act.operation.spec.relies_on;
    let is_before = matches!(
        kind,
        StepKind::Backup | StepKind::StopMaps | StepKind::RestartMaps(_) | StepKind::RepauseMaps
    );
    if !is_before {
        return is_target(act, &link.environment_id);
    }
    let set = relies_on.connection_set.as_ref();
    same_id(&link.environment_id, &relies_on.link)
        && set.is_none_or(|set| set.id == link.connection_set_id)
}

/// Nothing was destroyed, and nothing is begun at another link.
fn not_begun(act: &Act<'_>, status: &DualWriteOperationStatus, link: &LinkFacts) -> Next {
    let why = messages::link_has_moved(&link.environment_id, &link.connection_set_id);
    if act.operation.spec.action == Action::StopMaps && has_stopped_maps(status) {
        let text = messages::partly_stopped(&act.operation.spec, status, &messages::sentence(&why));
        let reason = Some(Reason::MapsNotStopped);
        return finish(act, status.clone(), Phase::Failed, reason, text);
    }
    give_up(act, status.clone(), Phase::Void, None, &why)
}

/// A list that lags may show for a moment what was there before; what lasts ends the act.
fn wait_or_end(
    act: &Act<'_>,
    mut status: DualWriteOperationStatus,
    index: usize,
    kind: &StepKind,
    found: Option<&LinkFacts>,
) -> Next {
    status.steps[index].began.get_or_insert(act.now);
    let link = found.map(|link| link.environment_id.as_str());
    if !is_past_patience(act, &status.steps[index], kind) {
        let problem = Problem::transient(messages::another_link(link));
        return steps::unseen(act, status, Some(&problem));
    }
    if let Some(ending) = status.ending.clone() {
        let text = messages::cannot_take_back(&act.operation.spec, &status, &ending.message, link);
        let reason = ending.reason.as_deref();
        let reason = reason.and_then(|reason| reason.parse().ok());
        let reason = reason.or(Some(Reason::MapsNotRunning));
        return finish(act, status, Phase::Failed, reason, text);
    }
    let spec = &act.operation.spec;
    let (reason, text) = if spec.action == Action::StopMaps {
        let text = messages::partly_stopped(spec, &status, &messages::another_link(link));
        (Reason::MapsNotStopped, text)
    } else {
        let text = messages::moved_after_reset(spec, &status, link);
        (Reason::RestoreIncomplete, text)
    };
    finish(act, status, Phase::Failed, Some(reason), text)
}
