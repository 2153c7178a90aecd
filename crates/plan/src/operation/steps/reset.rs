//! Resets the link, so that it ends at the target. From its intent on nothing can be taken back.

use std::collections::BTreeMap;

use super::{
    backup::{Backup, MOST_BACKUPS},
    maps::keeps_a_project,
    step::{About, Asking, At, Clock, Failure, Gate, Refusal, Repeat, Step, Target, reads_maps},
};
use crate::{
    desired::same_id,
    maps::{self, TableMap},
    messages::{self, PlanWords},
    observed::{Fact, LinkView, Problem},
    operation::{
        changed_facts,
        model::{BackupView, Reads, Request, Situation},
    },
};
use dualwrite_api::{
    Reason,
    operation::{MapState, Phase, ReliesOn},
};

/// Resets the link.
#[derive(Default)]
pub struct Reset;

impl Step for Reset {
    fn name(&self) -> String {
        "reset".into()
    }

    fn words(&self, words: &PlanWords<'_>, _: usize) -> (String, &'static str) {
        let PlanWords { host, from, to, .. } = words;
        let what = format!(
            "Resetting dual-write of {host}: linked to {from} before, and for good to {to} after. Deletes table maps, \
             integration keys, legal-entity mappings, alert settings, activity log and initial-sync history"
        );
        (what, "up to 5 minutes")
    }

    fn reads(&self) -> Reads {
        Reads {
            integration: true,
            connection_set: true,
            solutions: true,
            backup: true,
            ..reads_maps()
        }
    }

    fn link(&self) -> About {
        About::Itself
    }

    /// The last look before something is destroyed.
    fn gate(&self, at: &At<'_>) -> Gate {
        match holds(at) {
            Err(gate) => gate,
            Ok(()) => backup_holds(at),
        }
    }

    /// The link names the target. While it still names what it named before, the reset may be on its way.
    fn target(&self, at: &At<'_>) -> Target {
        let situation = at.situation;
        let before = &situation.operation.spec.relies_on.link;
        match &situation.observed.link {
            LinkView::To(link) if situation.is_target(&link.environment_id) => {
                if situation.is_target(before) {
                    refreshed(at)
                } else {
                    Target::Reached
                }
            }
            LinkView::To(link) if same_id(&link.environment_id, before) => Target::Missing(None),
            LinkView::To(link) => Target::Taken(link.environment_id.clone()),
            LinkView::Absent => {
                Target::Missing(Some("The dual-write service shows no link at all.".into()))
            }
            LinkView::Unknown(problem) => Target::Unseen(Some(problem.clone())),
            LinkView::NotObserved | LinkView::HostDown(_) => Target::Unseen(None),
        }
    }

    fn request(&self, at: &At<'_>) -> Option<Asking> {
        let set = at.situation.connection_set()?;
        let maps = at.situation.observed.maps.known();
        let runs = maps.is_some_and(|maps| maps.iter().any(|map| !map.state.is_stopped()));
        let force = runs && at.situation.operation.spec.options.force;
        Some(Asking::of(Request::Reset { set, force }))
    }

    fn repeat(&self) -> Repeat {
        Repeat::Never
    }

    fn is_slow(&self) -> bool {
        true
    }

    fn clock(&self) -> Clock {
        Clock::OwnFromAnswer
    }

    fn can_be_given_up(&self) -> bool {
        true
    }

    fn is_point_of_no_return(&self) -> bool {
        true
    }

    fn shows_early(&self) -> bool {
        true
    }

    /// What the list shows of the maps that were there would pass for what the first solution has not brought.
    fn is_ripe(&self, at: &At<'_>) -> bool {
        let maps = at.situation.observed.maps.known();
        maps.is_some_and(|maps| {
            maps.is_empty() || (at.is_quiet() && !keeps_a_project(at.situation, maps))
        })
    }

    fn is_working(&self, at: &At<'_>) -> bool {
        self.target(at) != Target::Reached
    }

    /// A proxy or a policy in between may refuse what the service has done all the same.
    fn refused(&self, _: &At<'_>, _: &str) -> Refusal {
        Refusal::Doubted
    }

    fn taken(&self, at: &At<'_>, other: &str) -> Failure {
        if at.record.asked.attempts > 0 {
            return not_retargeted(at);
        }
        void(&messages::linked_to_another(other))
    }

    fn lost(&self, at: &At<'_>) -> Failure {
        let why = at.record.record.error();
        let how = match at.record.asked.send_before {
            Some(sent) => messages::sent_and_lost(sent, why),
            None if is_untouched(at) => {
                let why = why.unwrap_or_default();
                return given_up(Some(why.to_owned()), messages::reset_refused(why));
            }
            None => messages::refused_and_changed(why),
        };
        let spec = &at.situation.operation.spec;
        let message = messages::reset_outcome_unknown(spec, at.status, &how);
        Failure::Unknown { message }
    }

    fn exhausted(&self, at: &At<'_>, why: &str) -> Failure {
        if at.record.asked.attempts > 0 {
            return not_retargeted(at);
        }
        let why = messages::reset_not_sent(why);
        given_up(Some(why.clone()), why)
    }
}

/// Whether the link and its maps are read back as they were, so that nothing has come of a reset.
fn is_untouched(at: &At<'_>) -> bool {
    let before = &at.situation.operation.spec.relies_on.link;
    let observed = at.situation.observed;
    let is_linked =
        matches!(&observed.link, LinkView::To(link) if same_id(&link.environment_id, before));
    let changed = observed.maps.known();
    let changed = changed.map(|maps| changed_since_stopped(at.situation, maps));
    is_linked && matches!(changed, Some(Ok(changed)) if changed.is_empty())
}

fn given_up(error: Option<String>, why: String) -> Failure {
    Failure::GiveUp {
        error,
        phase: Phase::Failed,
        reason: Some(Reason::ResetFailed),
        why,
    }
}

fn void(why: &str) -> Failure {
    Failure::GiveUp {
        error: None,
        phase: Phase::Void,
        reason: None,
        why: why.to_owned(),
    }
}

/// The reset was sent, and the link does not name the target: what was taken away cannot be put back at the old one without
/// knowing what the reset has done, so a person decides.
fn not_retargeted(at: &At<'_>) -> Failure {
    let link = match &at.situation.observed.link {
        LinkView::To(link) => Some(link.environment_id.as_str()),
        LinkView::NotObserved | LinkView::Unknown(_) | LinkView::HostDown(_) | LinkView::Absent => {
            None
        }
    };
    let is_accepted = at.record.asked.sent_at.is_some();
    let operation = at.situation.operation;
    Failure::End {
        error: messages::not_linked_to_target(link),
        reason: Reason::ResetDidNotRetarget,
        message: messages::did_not_retarget(operation, at.status, link, is_accepted),
    }
}

/// A reset that ends where it began shows in the maps alone: it takes their projects away for good.
fn refreshed(at: &At<'_>) -> Target {
    if at.record.asked.attempts == 0 {
        return Target::Missing(None);
    }
    Target::from(&at.situation.observed.maps, |maps| {
        Target::of(!keeps_a_project(at.situation, maps))
    })
}

// ---- what must hold before ----

/// Integration, link, maps, and all that the plan relies on.
fn holds(at: &At<'_>) -> Result<(), Gate> {
    let observed = at.situation.observed;
    if !*known(&observed.integrated)? {
        return Err(Gate::Closed(void(messages::NOT_INTEGRATED_ANY_MORE)));
    }
    let spec = &at.situation.operation.spec;
    if let (LinkView::To(link), Some(set)) = (&observed.link, &spec.relies_on.connection_set)
        && !at.situation.is_target(&link.environment_id)
        && link.connection_set_id != set.id
    {
        let why = messages::another_connection_set(&set.id, &link.connection_set_id);
        return Err(Gate::Closed(void(&why)));
    }
    let maps = known(&observed.maps)?;
    let running = maps::names(maps.iter().filter(|map| !map.state.is_stopped()));
    if !running.is_empty() && !spec.options.force {
        return Err(Gate::Closed(Failure::GiveUp {
            error: None,
            phase: Phase::Failed,
            reason: Some(Reason::MapsNotStopped),
            why: messages::maps_run_again(&running),
        }));
    }
    let changed = changed_since_stopped(at.situation, maps);
    let changed = changed.map_err(|problem| Gate::Unseen(problem.clone()))?;
    if changed.is_empty() {
        Ok(())
    } else {
        Err(Gate::Closed(void(&changed.join("; "))))
    }
}

fn known<T>(fact: &Fact<T>) -> Result<&T, Gate> {
    match fact {
        Fact::Known(value) => Ok(value),
        Fact::Unknown(problem) => Err(Gate::Unseen(problem.clone())),
    }
}

fn backup_holds(at: &At<'_>) -> Gate {
    let backup = at.status.backup.as_ref();
    match &at.situation.observed.backup {
        BackupView::Intact => Gate::Open,
        BackupView::Unknown(problem) => Gate::Unseen(problem.clone()),
        BackupView::Missing => Gate::Again(
            Backup.name(),
            MOST_BACKUPS,
            given_up(None, messages::backup_vanishes(backup)),
        ),
        BackupView::Altered => Gate::Closed(given_up(None, messages::backup_altered(backup))),
    }
}

/// What has changed since the plan was made, but for the states of maps, which the operation itself has changed.
fn changed_since_stopped<'a>(
    situation: &Situation<'a>,
    maps: &[TableMap],
) -> Result<Vec<String>, &'a Problem> {
    let before = &situation.operation.spec.relies_on;
    // Whoever else has reset the link meanwhile has cleared all of it.
    let is_as_before = matches!(&situation.observed.link, LinkView::To(link) if same_id(&link.environment_id, &before.link));
    if !is_as_before {
        return Ok(Vec::new());
    }
    let mut changed = changed_facts::details(before, &situation.observed.details)?;
    let as_before = maps.iter().map(|map| TableMap {
        state: planned_state(before, map).unwrap_or(map.state),
        ..map.clone()
    });
    let as_before: Vec<TableMap> = as_before.collect();
    let now = maps::planned(&as_before, &BTreeMap::new(), &BTreeMap::new());
    changed.extend(changed_facts::planned_maps(&before.maps, &now));
    Ok(changed)
}

/// The state that a map had when the plan was made; of maps with the same name, that of the one that it can have been.
fn planned_state(before: &ReliesOn, map: &TableMap) -> Option<MapState> {
    let twins = || {
        before
            .maps
            .iter()
            .filter(|planned| planned.name == map.name)
    };
    let same = || twins().filter(|planned| planned.project == map.project);
    let untouched = same().find(|planned| planned.state == map.state);
    let was = untouched.or(same().next()).or(twins().next());
    was.map(|planned| planned.state)
}
