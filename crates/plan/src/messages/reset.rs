//! Sentences about a reset, and about stopping maps: while it goes on, and when something goes wrong.

use jiff::Timestamp;

use super::{
    operations::waiting,
    words::{clock, list},
};
use crate::{maps::TableMap, observed::Problem};
use dualwrite_api::{
    DualWriteOperationSpec,
    operation::{Action, Backup},
};

/// How many names a sentence has at the most.
pub(super) const NAMES: usize = 20;

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

/// A map was started while its operation was going on.
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

/// Maps that a solution was proven to bring have not come back.
pub fn maps_missing(solution: &str, maps: &[&str], was_applied: bool) -> String {
    let maps = list(maps, NAMES);
    if was_applied {
        format!(
            "maps that have not come back with solution {solution}: {maps}; apply the solution again on the Dual-write page"
        )
    } else {
        format!("maps that are missing without solution {solution}: {maps}")
    }
}

/// The backup could not be written.
pub fn backup_failed(why: &str) -> String {
    format!("The backup could not be written: {why}")
}

/// The backup was deleted each time that it was written.
pub fn backup_vanishes(backup: Option<&Backup>) -> String {
    let names = backup
        .map(|backup| backup.config_maps.join(", "))
        .unwrap_or_default();
    format!("The backup in ConfigMap {names} is deleted by somebody each time that it is written.")
}

/// The reset could not be sent.
pub fn reset_not_sent(why: &str) -> String {
    format!("The reset could not be sent: {why}")
}

/// What decides could not be seen for longer than a step may take.
pub fn not_seen(problem: &str) -> String {
    format!("What has to be seen before a reset could not be read for too long: {problem}")
}

/// The finance and operations environment does not answer.
pub fn environment_stopped(why: &str) -> String {
    format!(
        "the finance and operations environment does not answer, so its link is not seen: {why}"
    )
}

/// The link that the plan is about is another one by now.
pub fn link_has_moved(environment: &str, set: &str) -> String {
    format!(
        "dual-write is linked to {environment} now (connection set {set}), which is not the link that the plan is about"
    )
}

/// The link is not the one that a step is about.
pub fn another_link(link: Option<&str>) -> String {
    match link {
        Some(link) => format!("dual-write is linked to {link} now, and nothing is changed there."),
        None => {
            "the dual-write service shows no link, so nothing of it can be read or changed.".into()
        }
    }
}

/// What the link is, where it is not the target.
pub fn not_linked_to_target(link: Option<&str>) -> String {
    match link {
        Some(link) => format!("dual-write is linked to {link}."),
        None => "the dual-write service shows no link.".into(),
    }
}

/// A step that is not in the plan, because what it is about was not known then.
pub fn unplanned_running(what: &str, since: Timestamp, deadline: Timestamp) -> String {
    format!(
        "{what}: since {}, deadline {}.",
        clock(since),
        clock(deadline)
    )
}

/// Maps that something is the matter with, and why.
pub fn maps_with(what: &str, maps: &[String], why: &str) -> String {
    let why = why.trim_end_matches('.');
    format!("{what}: {} ({why})", list(maps, NAMES))
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

/// An operation is given up and takes back what it has done.
pub fn giving_up(why: &str) -> String {
    undoing(&given_up_unharmed(why))
}

/// An operation is given up, and takes back what it has done; with how it ends.
pub fn undoing(ending: &str) -> String {
    format!("{ending} The table maps that were stopped are being started again.")
}

/// More is missing than an operation can name.
pub const MORE_IS_MISSING: &str =
    "more, which there is no room to name here: compare the Dual-write page with the backup";

/// What would have to be recorded of a request does not fit.
pub fn no_room_for_a_record() -> String {
    "its table maps have more and longer names than one operation can record".into()
}

/// A company that a link was reset for.
pub fn company_left_out(company: &str) -> String {
    format!(
        "company {company} (the link does not show it; look at the companies on the Dual-write page)"
    )
}

/// A request may take effect later than what was to follow.
pub fn may_still_land(until: Timestamp) -> String {
    format!(
        "A request that was sent may still take effect, or show, until {}: what follows waits for that.",
        clock(until)
    )
}

/// An operation was given up before anything was destroyed.
pub fn given_up_unharmed(why: &str) -> String {
    format!("Nothing was reset or deleted. {}", super::sentence(why))
}

/// What is decisive cannot be read in the middle of an operation.
pub fn cannot_see(
    spec: &DualWriteOperationSpec,
    has_stopped_maps: bool,
    problem: &Problem,
) -> String {
    let meanwhile = match spec.action {
        Action::Reset if has_stopped_maps => {
            " Meanwhile table maps are stopped: what is changed on either side is not passed on."
        }
        Action::StopMaps if has_stopped_maps => {
            " Meanwhile some table maps may be stopped and others run."
        }
        Action::Setup | Action::Link | Action::Reset | Action::StopMaps => "",
    };
    waiting(&format!("{}{meanwhile}", super::sentence(&problem.message)))
}

/// A connection was deleted, and its maps could not be stopped.
pub fn maps_not_stopped_in_time() -> String {
    "the table maps could not be stopped within 10 minutes of the deletion of their connection, and go on as they are; stop \
     them on the Dual-write page"
        .into()
}

/// Nothing is to be stopped.
pub const NOTHING_TO_STOP: &str = "No table map runs, so none was stopped.";

/// The connection does not confirm that its maps are to be stopped.
pub const STOP_NOT_CONFIRMED: &str = "deletionPolicy: StopMaps, mode: Manage and the annotation dualwrite.dev/confirm-stop \
                                      with the connection's own name are not all set any more";

/// The operator may do nothing.
pub const ONLY_OBSERVES: &str = "the operator only observes (--observe-only)";

/// The connection's own environment denies that it belongs to the host.
pub const OF_ANOTHER_HOST: &str =
    "the environment of its spec is integrated with another finance and operations environment";

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
