//! The end of an operation: every step is done or given up, so what has come of it?

use std::ops::ControlFlow::{Break, Continue};

use super::{
    link,
    pass::{Pass, unchanged},
};
use crate::{
    maps::{self, TableMap},
    messages,
    observed::Fact,
    operation::{
        model::Next,
        record::Record,
        steps::{Solution, Step, Verify, keys_left_out},
    },
};
use dualwrite_api::{
    Reason,
    operation::{Action, Ending, Phase, PlannedMap},
};

/// Ends an operation of which no step is open.
pub(super) fn conclude(pass: Pass<'_>) -> Next {
    let mut steps = pass.progress.steps().iter();
    match pass.spec().action {
        Action::Setup | Action::Link => {
            if steps.any(|step| matches!(step.record, Record::Failed { .. })) {
                unchanged(pass.situation, None)
            } else {
                pass.succeed()
            }
        }
        Action::StopMaps => pass.succeed(),
        Action::Reset => conclude_reset(pass),
    }
}

fn conclude_reset(pass: Pass<'_>) -> Next {
    let pass = match link::check_the_end(pass) {
        Break(next) => return next,
        Continue(pass) => pass,
    };
    match (
        &pass.situation.observed.maps,
        pass.progress.head.ending.clone(),
    ) {
        (Fact::Unknown(problem), _) => pass.unseen(Some(problem)),
        (Fact::Known(maps), Some(ending)) => taken_back(pass, maps, &ending),
        (Fact::Known(maps), None) => restored(pass, maps),
    }
}

// ---- it was given up ----

/// What the operation had stopped was started again: does it run?
fn taken_back(pass: Pass<'_>, maps: &[TableMap], ending: &Ending) -> Next {
    if let Some(until) = pass.claims_nothing_before() {
        return pass.wait_for_what_may_land(until);
    }
    let mut unplanned = pass.stopped_unplanned();
    let is_stopped = |name: &String| {
        maps.iter()
            .any(|map| map.name == *name && map.state.is_stopped())
    };
    unplanned.retain(is_stopped);
    let mut still = not_as_before(&pass, maps);
    still.extend(unplanned.iter().cloned());
    let reason = ending.reason.as_deref();
    let reason = reason.and_then(|reason| reason.parse().ok());
    let head = &pass.progress.head;
    let message = messages::gave_up(pass.spec(), head, &ending.message, &still, &unplanned);
    if still.is_empty() {
        return pass.finish(ending.phase, reason, message);
    }
    // Whoever asked for it may be gone: that maps are stopped is told all the same.
    let reason = reason.or(Some(Reason::MapsNotRunning));
    pass.finish(Phase::Failed, reason, message)
}

/// The maps that ran or were paused, and are not in the state that they had.
fn not_as_before(pass: &Pass<'_>, maps: &[TableMap]) -> Vec<String> {
    let is_as_before =
        |planned: &PlannedMap| maps::is_one_in(maps, &planned.name, &[planned.state]);
    let planned = maps::to_start(&pass.spec().relies_on.maps);
    planned
        .filter(|planned| !is_as_before(planned))
        .map(|planned| planned.name.clone())
        .collect()
}

// ---- it was gone through with ----

fn restored(mut pass: Pass<'_>, maps: &[TableMap]) -> Next {
    let is_back = |planned: &&PlannedMap| maps.iter().any(|map| map.name == planned.name);
    let planned = pass.spec().relies_on.maps.iter();
    let (promised, lost): (Vec<_>, Vec<_>) = planned
        .filter(|planned| !is_back(planned))
        .partition(|planned| planned.solution.is_some());
    let laggards = maps::names(Verify.unreached(pass.situation, maps).into_iter());
    let companies = companies_left_out(&pass);
    let is_whole = promised.is_empty()
        && companies.is_empty()
        && laggards.is_empty()
        && pass.progress.head.missing.is_empty();
    if let Some(until) = pass.claims_nothing_before().filter(|_| !is_whole) {
        return pass.wait_for_what_may_land(until);
    }
    note_promised(&mut pass, &promised);
    for company in companies {
        pass.note_missing(messages::company_left_out(&company));
    }
    let lost: Vec<&str> = lost.iter().map(|map| map.name.as_str()).collect();
    let head = &pass.progress.head;
    let forced = forced(&pass);
    let keys = keys_left_out(pass.situation);
    let operation = pass.situation.operation;
    let text = messages::reset_ended(operation, head, forced, &lost, &keys, &laggards);
    if !laggards.is_empty() {
        pass.finish(Phase::Failed, Some(Reason::MapsNotRunning), text)
    } else if head.missing.is_empty() {
        pass.finish(Phase::Succeeded, None, text)
    } else {
        pass.finish(Phase::Failed, Some(Reason::RestoreIncomplete), text)
    }
}

/// The companies that the link was reset for and does not show, if it shows any.
fn companies_left_out(pass: &Pass<'_>) -> Vec<String> {
    let Fact::Known(set) = &pass.situation.observed.details.connection_set else {
        return Vec::new();
    };
    let shown = &set.legal_entities;
    let is_shown = |company: &&String| {
        let is_it = |other: &String| other.eq_ignore_ascii_case(company);
        shown.is_empty() || shown.iter().any(is_it)
    };
    let wanted = pass.spec().relies_on.legal_entities.iter();
    wanted
        .filter(|company| !is_shown(company))
        .cloned()
        .collect()
}

/// The maps that did not stop and were reset all the same, and why they did not.
fn forced<'p>(pass: &'p Pass<'_>) -> Option<(&'p [String], Option<&'p str>)> {
    let stop = pass.undoable()?;
    let has_failed = matches!(stop.record, Record::Failed { .. });
    has_failed.then(|| (stop.asked.maps.as_slice(), stop.record.error()))
}

/// Names the maps that have not come back although they were promised, by the solution that was to bring them.
fn note_promised(pass: &mut Pass<'_>, promised: &[&PlannedMap]) {
    let solutions = &pass.spec().relies_on.solutions;
    for solution in solutions {
        let of = promised
            .iter()
            .filter(|map| map.solution.as_ref() == Some(solution));
        let names: Vec<&str> = of.map(|map| map.name.as_str()).collect();
        if names.is_empty() {
            continue;
        }
        let step = pass.position(&Solution(solution.clone()).name());
        let was_applied = step.is_some_and(|index| pass.record(index).record == Record::Done);
        pass.note_missing(messages::maps_missing(solution, &names, was_applied));
    }
    // The solution itself may be gone.
    for map in promised {
        let solution = map.solution.as_ref();
        if !solution.is_some_and(|solution| solutions.contains(solution)) {
            let solution = map.solution.as_deref().unwrap_or_default();
            pass.note_missing(messages::maps_missing(solution, &[&map.name], false));
        }
    }
}
