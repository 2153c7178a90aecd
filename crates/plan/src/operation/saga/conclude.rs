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
        event::Event,
        model::Next,
        record::Record,
        steps::{Solution, Step, Verify},
    },
    world::after,
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
fn taken_back(mut pass: Pass<'_>, maps: &[TableMap], ending: &Ending) -> Next {
    let still = not_as_before(&pass, maps);
    if !still.is_empty() && reopen(&mut pass, maps) {
        return pass.now();
    }
    if stop_may_still_come(&pass) {
        pass.tell(messages::undoing(&ending.message));
        return pass.soon();
    }
    let reason = ending.reason.as_deref();
    let reason = reason.and_then(|reason| reason.parse().ok());
    let head = &pass.progress.head;
    let message = messages::gave_up(pass.spec(), head, &ending.message, &still);
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

/// Opens the steps again that start what has stopped after all, as long as they may ask for it.
fn reopen(pass: &mut Pass<'_>, maps: &[TableMap]) -> bool {
    let is_due = |index: &usize| {
        let record = pass.record(*index);
        let step = pass.step(*index).filter(|step| step.undoes());
        step.is_some_and(|step| {
            record.record == Record::Done
                && step.repeat().allows(record.asked.attempts)
                && !step.unreached(pass.situation, maps).is_empty()
        })
    };
    let due: Vec<usize> = (0..pass.progress.steps().len()).filter(is_due).collect();
    for index in &due {
        let event = Event::Reopened { anew: true };
        pass.progress.apply(*index, event);
    }
    !due.is_empty()
}

/// Whether a request to stop maps, of which nothing was seen and nothing is known, may still show: a map that runs now may
/// be stopped by it later.
fn stop_may_still_come(pass: &Pass<'_>) -> bool {
    let stop = pass.undoable().filter(|stop| stop.record != Record::Done);
    let Some(stop) = stop else {
        return false;
    };
    let situation = pass.situation;
    let sent = stop.asked.send_before;
    let sent = sent.filter(|_| stop.asked.remote_id.is_none());
    let lost = sent.map(|sent| after(sent, situation.patience()));
    // The list lags: what it shows right after giving up may be what was before the stop.
    let is_begun = |index: &usize| {
        pass.record(*index).began.is_some() && pass.step(*index).is_some_and(|step| step.undoes())
    };
    let begun = (0..pass.progress.steps().len()).find(is_begun);
    let begun = begun.and_then(|index| pass.record(index).began);
    let shown = begun.map(|began| after(began, situation.settings.settle));
    lost.max(shown)
        .is_some_and(|until| situation.observed.began < until)
}

// ---- it was gone through with ----

fn restored(mut pass: Pass<'_>, maps: &[TableMap]) -> Next {
    let is_back = |planned: &&PlannedMap| maps.iter().any(|map| map.name == planned.name);
    let planned = pass.spec().relies_on.maps.iter();
    let (promised, lost): (Vec<_>, Vec<_>) = planned
        .filter(|planned| !is_back(planned))
        .partition(|planned| planned.solution.is_some());
    note_promised(&mut pass, &promised);
    let laggards = maps::names(Verify.unreached(pass.situation, maps).into_iter());
    let lost: Vec<&str> = lost.iter().map(|map| map.name.as_str()).collect();
    let head = &pass.progress.head;
    let forced = forced(&pass);
    let text = messages::reset_ended(pass.situation.operation, head, forced, &lost, &laggards);
    if !laggards.is_empty() {
        pass.finish(Phase::Failed, Some(Reason::MapsNotRunning), text)
    } else if head.missing.is_empty() {
        pass.finish(Phase::Succeeded, None, text)
    } else {
        pass.finish(Phase::Failed, Some(Reason::RestoreIncomplete), text)
    }
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
