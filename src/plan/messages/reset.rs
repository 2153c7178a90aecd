//! Sentences about a reset, and about stopping maps: while it goes on, when it goes wrong, and how it has ended.

use jiff::Timestamp;

use super::{act_waiting, clock, list};
use crate::{
    api::{
        DualWriteOperationSpec, DualWriteOperationStatus,
        operation::{Action, Backup, MapState, PlannedMap, StepState},
    },
    plan::{
        desired,
        maps::{self, TableMap},
        observed::Problem,
        operation::StepKind,
        world::KnownOperation,
    },
};

/// How many names a sentence has at the most.
const NAMES: usize = 20;

/// Power Platform integration has moved.
pub const NOT_INTEGRATED_ANY_MORE: &str =
    "Power Platform integration does not join the two environments any more";

/// A step whose name this version does not know.
pub fn unknown_step(name: &str) -> String {
    format!(
        "this version of the operator does not know the step {name}; an operation is carried on by the version that has \
         planned it, or a later one."
    )
}

/// The answer to a request was lost, and nothing came of it.
pub fn answer_lost() -> String {
    "the answer to the request was lost, and nothing has come of it.".into()
}

/// A request was accepted and has changed nothing.
pub fn no_effect() -> String {
    "the dual-write service accepted the request, and nothing has come of it.".into()
}

/// A step is not finished in its time.
pub fn took_too_long(patience: std::time::Duration) -> String {
    format!(
        "it was not done after {}.",
        humantime::format_duration(patience)
    )
}

/// The connection set is another one.
pub fn another_connection_set(planned: &str, now: &str) -> String {
    format!("the connection set was {planned} and is {now}")
}

/// A map was started while its act was going on.
pub fn maps_run_again(running: &[String]) -> String {
    format!(
        "a reset needs every map stopped, and these run again: {}. Somebody has started them.",
        list(running, NAMES)
    )
}

/// The written backup is not what it was.
pub fn backup_altered(backup: Option<&Backup>) -> String {
    let names = backup
        .map(|backup| backup.config_maps.join(", "))
        .unwrap_or_default();
    format!(
        "the backup in ConfigMap {names} is not what the operator has written; delete it, and try again for a new one."
    )
}

/// A map has another version than before, and that one is not offered any more.
pub fn version_missing(map: &TableMap, wanted: Option<&str>) -> String {
    format!(
        "map '{}': version {} is not offered any more, {} is active; choose it on the Dual-write page under Table map version",
        map.name,
        wanted.unwrap_or("unknown"),
        map.version.as_deref().unwrap_or("another")
    )
}

/// A map that a solution was proven to bring has not come back.
pub fn map_missing(map: &PlannedMap) -> String {
    format!(
        "map '{}' has not come back with solution {}; apply the solution again on the Dual-write page",
        map.name,
        map.solution.as_deref().unwrap_or("unknown")
    )
}

/// A step of putting things back could not be done.
pub fn step_missing(kind: &StepKind, maps: &[String], why: &str) -> String {
    let why = why.trim_end_matches('.');
    match kind {
        StepKind::Solution(name) => {
            format!("solution {name} ({why}); apply it on the Dual-write page under Apply solution")
        }
        StepKind::IntegrationKeys => format!(
            "the integration keys ({why}); set them on the Dual-write page under Integration key, from the backup"
        ),
        StepKind::InitialiseMaps => {
            format!(
                "maps that were not initialised: {} ({why})",
                list(maps, NAMES)
            )
        }
        StepKind::MapVersion(name) => format!("the version of map '{name}' ({why})"),
        StepKind::StartMaps(_) | StepKind::RestartMaps(_) => {
            format!("maps that do not start: {} ({why})", list(maps, NAMES))
        }
        StepKind::PauseMaps | StepKind::RepauseMaps => {
            format!(
                "maps that are not paused as before: {} ({why})",
                list(maps, NAMES)
            )
        }
        StepKind::Verify => format!("maps that do not run: {} ({why})", list(maps, NAMES)),
        other => format!("{other} ({why})"),
    }
}

/// The reset goes on although maps run.
pub fn forced(maps: &[String], why: &str) -> String {
    format!(
        "maps that did not stop, reset all the same because of mismatch.force: {} ({})",
        list(maps, NAMES),
        why.trim_end_matches('.')
    )
}

/// A map does not stop.
pub fn maps_not_stopped(maps: &[String], why: &str) -> String {
    format!(
        "these table maps do not stop: {}. {why} Look at them on the Dual-write page; a map in initial write can be stopped \
         once that has ended",
        list(maps, NAMES)
    )
}

/// A map does not stop, and the Dataverse that it writes to is not visible.
pub fn linked_dataverse_gone(spec: &DualWriteOperationSpec, why: &str) -> String {
    format!(
        "the table maps do not stop, and the Dataverse environment that dual-write is linked to, {}, is not visible: if it was \
         deleted, only Microsoft can stop the maps. Open a support request that names {} and this environment. {why}",
        spec.relies_on.link, spec.finance_operations_host
    )
}

/// The reset was refused.
pub fn reset_refused(why: &str) -> String {
    format!("the dual-write service has refused the reset: {why}")
}

/// An act is given up and takes back what it has done.
pub fn giving_up(why: &str) -> String {
    format!(
        "Given up, nothing was deleted; the maps that were stopped are being started again. Why: {why}"
    )
}

/// An act was given up before anything was destroyed.
pub fn given_up_unharmed(why: &str) -> String {
    format!("Nothing was reset or deleted. {}", super::sentence(why))
}

/// An act was given up, and what it had stopped runs again, apart from what is named.
pub fn gave_up(why: &str, missing: &[String]) -> String {
    let maps = if missing.is_empty() {
        "The maps that had been stopped run again as before.".to_owned()
    } else {
        format!(
            "Not everything runs as before; start it on the Dual-write page: {}.",
            list(missing, NAMES)
        )
    };
    format!("{why} {maps}")
}

/// What is decisive cannot be read in the middle of an act.
pub fn act_cannot_see(
    spec: &DualWriteOperationSpec,
    status: &DualWriteOperationStatus,
    problem: &Problem,
) -> String {
    let stop = StepKind::StopMaps.to_string();
    let stopped = status
        .steps
        .iter()
        .any(|step| step.name == stop && step.attempt > 0);
    let meanwhile = if stopped && spec.action == Action::Reset {
        " Meanwhile table maps are stopped: what is changed on either side is not passed on."
    } else {
        ""
    };
    act_waiting(&format!("{}{meanwhile}", super::sentence(&problem.message)))
}

/// An operation was deleted, and its act could not be ended in time.
pub fn abandoned(step: &str, backup: Option<&Backup>) -> String {
    let backup = backup.map(|backup| {
        format!(
            " Table maps may be stopped or missing; what was there stands in ConfigMap {}.",
            backup.config_maps.join(", ")
        )
    });
    format!(
        "The operation was deleted, and what became of its step {step} was not seen in time.{}",
        backup.unwrap_or_default()
    )
}

/// Where what was taken away stands.
fn backup_note(status: &DualWriteOperationStatus) -> String {
    status.backup.as_ref().map_or_else(String::new, |backup| {
        format!(
            " What was there before stands in ConfigMap {}.",
            backup.config_maps.join(", ")
        )
    })
}

/// A reset was accepted, and the link names something else than its target.
pub fn did_not_retarget(
    operation: &KnownOperation,
    status: &DualWriteOperationStatus,
    link: &str,
) -> String {
    let spec = &operation.spec;
    let connection = &spec.connection.name;
    let namespace = &operation.namespace;
    format!(
        "The dual-write service has accepted the reset, and dual-write is still linked to {link}, not to '{}' ({}). The table \
         maps may be cleared, and those that are left stay stopped.{} On the Dual-write page ({}) choose Reset and, as the \
         destination, the Dataverse that Power Platform integration names. When that is done: kubectl annotate dwc {connection} \
         -n {namespace} --overwrite dualwrite.dev/reconcile-at=\"$(date)\". To stay with {link} instead, set mismatch.policy: \
         Report, apply your solutions and start the maps on the Dual-write page, then: kubectl delete dwo {} -n {namespace}",
        spec.target.environment_name,
        spec.target.environment_id,
        backup_note(status),
        desired::admin_url(&spec.access.finance_operations_url),
        operation.name,
    )
}

/// The answer to a reset was lost, and the link does not name its target.
pub fn reset_outcome_unknown(
    spec: &DualWriteOperationSpec,
    status: &DualWriteOperationStatus,
    sent: Timestamp,
    why: Option<&str>,
) -> String {
    let why = why
        .map(|why| format!(" ({})", why.trim_end_matches('.')))
        .unwrap_or_default();
    format!(
        "A reset of {} was recorded to be sent before {}, its answer was lost{why}, and dual-write is not linked to '{}' ({}). \
         It is not sent again by itself, because it may still take effect: then the maps are put back. Until then table maps \
         are stopped or missing.{}",
        spec.finance_operations_host,
        clock(sent),
        spec.target.environment_name,
        spec.target.environment_id,
        backup_note(status),
    )
}

/// The link was reset; what is missing, what runs, and what a person still has to do.
pub fn reset_ended(
    operation: &KnownOperation,
    status: &DualWriteOperationStatus,
    lost: &[&str],
    laggards: &[String],
) -> String {
    let spec = &operation.spec;
    let mut text = vec![format!(
        "Dual-write of {} was reset and is linked to '{}' ({}).",
        spec.finance_operations_host, spec.target.environment_name, spec.target.environment_id
    )];
    if !laggards.is_empty() {
        text.push(format!(
            "These table maps do not run although they should: {}. Look at them on the Dual-write page ({}).",
            list(laggards, NAMES),
            desired::admin_url(&spec.access.finance_operations_url)
        ));
    }
    if !status.missing.is_empty() {
        text.push(format!("Not put back: {}.", status.missing.join("; ")));
    }
    if !lost.is_empty() {
        text.push(format!(
            "These maps have not come back, as the plan said they may not: {}.",
            list(lost, NAMES)
        ));
    }
    text.push(of_maps(spec, status, laggards));
    let note = backup_note(status);
    if !note.is_empty() {
        text.push(note.trim_start().to_owned());
    }
    text.retain(|sentence| !sentence.is_empty());
    text.join(" ")
}

fn of_maps(
    spec: &DualWriteOperationSpec,
    status: &DualWriteOperationStatus,
    laggards: &[String],
) -> String {
    let waves = maps::waves(maps::to_start(&spec.relies_on.maps));
    if waves.is_empty() {
        return "No table map ran before, and none was started.".into();
    }
    if spec.options.start_maps {
        let failed = status
            .steps
            .iter()
            .any(|step| step.state == StepState::Failed);
        return if laggards.is_empty() && !failed {
            "The table maps are in the states that they had.".into()
        } else {
            String::new()
        };
    }
    format!(
        "The table maps are stopped, because the destination has changed (mismatch.startMaps: Never): compare the data, then \
         start them on the Dual-write page in this order: {}.",
        order(&waves)
    )
}

/// The order of starting, in one line.
pub fn order(waves: &[Vec<&PlannedMap>]) -> String {
    let waves: Vec<String> = waves
        .iter()
        .map(|wave| {
            let names: Vec<String> = wave
                .iter()
                .map(|map| match map.state {
                    MapState::Paused => format!("{} (was paused)", map.name),
                    _ => map.name.clone(),
                })
                .collect();
            list(&names, NAMES)
        })
        .collect();
    waves.join("; then ")
}

/// A connection was deleted, and its maps could not be stopped.
pub fn maps_not_stopped_in_time() -> String {
    "the table maps could not be stopped within 10 minutes of the deletion of their connection, and go on as they are; stop \
     them on the Dual-write page"
        .into()
}

/// Every table map is stopped.
pub fn maps_stopped(spec: &DualWriteOperationSpec) -> String {
    let waves = maps::waves(maps::to_start(&spec.relies_on.maps));
    format!(
        "Every table map of {} is stopped: what is changed on either side is not passed on. To start them again, on the \
         Dual-write page, in this order: {}.",
        spec.finance_operations_host,
        order(&waves)
    )
}

/// Nothing is to be stopped.
pub const NOTHING_TO_STOP: &str = "No table map runs, so none was stopped.";

/// The connection does not confirm that its maps are to be stopped.
pub const STOP_NOT_CONFIRMED: &str = "deletionPolicy: StopMaps, mode: Manage and the annotation dualwrite.dev/confirm-stop \
                                      with the connection's own name are not all set any more";

/// The operator may do nothing.
pub const ONLY_OBSERVES: &str = "the operator only observes (--observe-only)";

/// The link or its maps could not be seen while a deletion waited.
pub fn unseen_for_deletion(why: &str) -> String {
    format!(
        "they could not be seen within 10 minutes ({})",
        why.trim_end_matches('.')
    )
}

/// The operation of a deletion is recorded.
pub const STOPPING_FOR_DELETION: &str =
    "The table maps are being stopped by a DualWriteOperation that outlives this connection.";

/// A connection is deleted and its maps go on.
pub fn maps_left(why: &str) -> String {
    format!(
        "The connection is deleted and its table maps go on as they are, because {}. Stop them on the Dual-write page if they \
         should not.",
        why.trim_end_matches('.')
    )
}
