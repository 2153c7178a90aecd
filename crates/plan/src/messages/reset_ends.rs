//! Sentences about how a reset, or the stopping of maps, has ended. They are read at night, by somebody who has to decide
//! what to do next.

use jiff::Timestamp;

use super::{
    reset::NAMES,
    words::{clock, list, sentence},
};
use crate::{desired, maps, world::KnownOperation};
use dualwrite_api::{
    DualWriteOperationSpec, DualWriteOperationStatus,
    operation::{Action, MapState, PlannedMap},
};

/// An operation was given up, and what it had stopped runs again, apart from what is named.
pub fn gave_up(
    spec: &DualWriteOperationSpec,
    status: &DualWriteOperationStatus,
    why: &str,
    still: &[String],
    unplanned: &[String],
) -> String {
    if still.is_empty() {
        return format!("{why} The table maps are in the states that they had.");
    }
    let causes = if status.missing.is_empty() {
        String::new()
    } else {
        format!(" What was tried: {}.", status.missing.join("; "))
    };
    format!(
        "{why} These table maps are not in the states that they had, and what is changed on either side is not passed on: {}. \
         Start them on the Dual-write page ({}), in this order: {}.{causes}{}",
        list(still, NAMES),
        page(spec),
        start_order_with(spec, unplanned),
        backup_note(status),
    )
}

/// An operation was given up, and what it had stopped cannot be started again, because the link is another one.
pub fn cannot_take_back(
    spec: &DualWriteOperationSpec,
    status: &DualWriteOperationStatus,
    why: &str,
    link: Option<&str>,
) -> String {
    format!(
        "{why} The table maps that had been stopped could not be started again: {} Look at them on the Dual-write page ({}); \
         these ran or were paused, in the order of starting: {}.{}",
        super::another_link(link),
        page(spec),
        start_order(spec),
        backup_note(status),
    )
}

/// After the reset somebody else has changed the link, so that nothing more can be put back: not by these steps.
pub fn moved_after_reset(
    spec: &DualWriteOperationSpec,
    status: &DualWriteOperationStatus,
    open: &[&str],
    link: Option<&str>,
) -> String {
    let mut text = format!(
        "Dual-write of {} was reset and linked to '{}' ({}), but {} Steps that were not done: {}.",
        spec.finance_operations_host,
        spec.target.environment_name,
        spec.target.environment_id,
        super::another_link(link),
        list(open, NAMES),
    );
    if !status.missing.is_empty() {
        text = format!("{text} Not put back: {}.", status.missing.join("; "));
    }
    format!(
        "{text} Look at the Dual-write page ({}); these maps ran or were paused, in the order of starting: {}.{}",
        page(spec),
        start_order(spec),
        backup_note(status)
    )
}

/// An operation was deleted, and could not be ended in time.
pub fn abandoned(spec: &DualWriteOperationSpec, status: &DualWriteOperationStatus) -> String {
    let step = status.step.clone().unwrap_or_default();
    let about = match spec.action {
        Action::Setup | Action::Link => String::new(),
        Action::StopMaps => format!(
            " Table maps of {} may still run, or may be stopped. Look at them on the Dual-write page ({}).",
            spec.finance_operations_host,
            page(spec)
        ),
        Action::Reset => format!(
            " Table maps of {} may be stopped or missing. Look at them on the Dual-write page ({}); these ran or were paused, \
             in the order of starting: {}.{}",
            spec.finance_operations_host,
            page(spec),
            start_order(spec),
            backup_note(status)
        ),
    };
    format!(
        "The operation was deleted, and what became of its step {step} was not seen in time.{about}"
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

fn page(spec: &DualWriteOperationSpec) -> String {
    desired::admin_url(&spec.access.finance_operations_url)
}

/// A reset was sent, and the link does not name its target.
pub fn did_not_retarget(
    operation: &KnownOperation,
    status: &DualWriteOperationStatus,
    link: Option<&str>,
    is_accepted: bool,
) -> String {
    let spec = &operation.spec;
    let connection = &spec.connection.name;
    let namespace = &operation.namespace;
    let answer = if is_accepted {
        "The dual-write service has accepted the reset"
    } else {
        "The answer to the reset was lost"
    };
    let found = match link {
        Some(link) if desired::same_id(link, &spec.relies_on.link) => {
            format!("dual-write is still linked to {link}, not to")
        }
        Some(link) => format!("dual-write is linked to {link}, not to"),
        None => "no link is shown any more, neither the one that was there nor one to".to_owned(),
    };
    let stay = link.map_or_else(String::new, |link| {
        format!(
            " To stay with {link} instead, set mismatch.policy: Report, apply your solutions and start the maps on the \
             Dual-write page, then: kubectl delete dwo {} -n {namespace}",
            operation.name
        )
    });
    format!(
        "{answer}, and {found} '{}' ({}). The table maps may be cleared, and those that are left stay stopped.{} On the \
         Dual-write page ({}) choose Reset and, as the destination, the Dataverse that Power Platform integration names. When \
         that is done: kubectl annotate dwc {connection} -n {namespace} --overwrite \
         dualwrite.dev/reconcile-at=\"$(date)\".{stay}",
        spec.target.environment_name,
        spec.target.environment_id,
        backup_note(status),
        page(spec),
    )
}

/// The answer to a reset was lost, and the link does not name its target.
pub fn reset_outcome_unknown(
    spec: &DualWriteOperationSpec,
    status: &DualWriteOperationStatus,
    how: &str,
) -> String {
    format!(
        "A reset of {} {how}, and dual-write is not linked to '{}' ({}). \
         It is not sent again by itself, because it may still take effect: then the maps are put back. Until then table maps \
         are stopped or missing.{} If the Dual-write page ({}) still shows all of them, nothing was reset: start them there, in \
         this order: {}. If it does not, reset there and choose the Dataverse that Power Platform integration names: then the \
         maps are put back as well.",
        spec.finance_operations_host,
        spec.target.environment_name,
        spec.target.environment_id,
        backup_note(status),
        page(spec),
        start_order(spec),
    )
}

/// A reset of which nobody knows whether it arrived.
pub fn sent_and_lost(sent: Timestamp, why: Option<&str>) -> String {
    format!(
        "was recorded to be sent before {}, its answer was lost{}",
        clock(sent),
        in_brackets(why)
    )
}

/// A reset that was refused, and after which the link or its maps are not what they were.
pub fn refused_and_changed(why: Option<&str>) -> String {
    format!(
        "was refused{}, the link or its table maps are not what they were before all the same",
        in_brackets(why)
    )
}

fn in_brackets(why: Option<&str>) -> String {
    why.map(|why| format!(" ({})", why.trim_end_matches('.')))
        .unwrap_or_default()
}

/// The link was reset; what is missing, what runs, and what a person still has to do.
pub fn reset_ended(
    operation: &KnownOperation,
    status: &DualWriteOperationStatus,
    forced: Option<(&[String], Option<&str>)>,
    lost: &[&str],
    keys: &[&str],
    laggards: &[String],
) -> String {
    let spec = &operation.spec;
    let mut text = vec![format!(
        "Dual-write of {} was reset and is linked to '{}' ({}).",
        spec.finance_operations_host, spec.target.environment_name, spec.target.environment_id
    )];
    if !laggards.is_empty() {
        text.push(format!(
            "These table maps are not in the states that they should have: {}. Look at them on the Dual-write page ({}).",
            list(&with_what_they_need(spec, laggards), NAMES),
            page(spec)
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
    if !keys.is_empty() {
        text.push(format!(
            "The integration keys of these tables were not put back, because no table map of them has come back: {}. Once there \
             is one, set them on the Dual-write page under Integration key, from the backup.",
            list(keys, NAMES)
        ));
    }
    text.extend(forced.map(|(maps, why)| reset_while_running(maps, why)));
    text.push(of_maps(spec, status, lost, laggards));
    text.push(backup_note(status).trim_start().to_owned());
    text.retain(|sentence| !sentence.is_empty());
    text.join(" ")
}

/// Maps that do not run, each with those of them that it waits for.
fn with_what_they_need(spec: &DualWriteOperationSpec, laggards: &[String]) -> Vec<String> {
    let needs = |name: &String| {
        let maps = &spec.relies_on.maps;
        let planned = maps.iter().find(|planned| planned.name == *name)?;
        let needed = planned.after.iter();
        let needed: Vec<&String> = needed
            .filter(|other| *other != name && laggards.contains(other))
            .collect();
        (!needed.is_empty()).then(|| format!("{name} (needs {})", list(&needed, NAMES)))
    };
    let named = laggards.iter();
    named
        .map(|name| needs(name).unwrap_or_else(|| name.clone()))
        .collect()
}

/// The reset has gone on although maps did not stop.
fn reset_while_running(maps: &[String], why: Option<&str>) -> String {
    let why = why.unwrap_or("no reason is known");
    format!(
        "Maps that did not stop, reset all the same because of mismatch.force: {} ({}).",
        list(maps, NAMES),
        why.trim_end_matches('.')
    )
}

fn of_maps(
    spec: &DualWriteOperationSpec,
    status: &DualWriteOperationStatus,
    lost: &[&str],
    laggards: &[String],
) -> String {
    let waves = maps::waves(maps::to_start(&spec.relies_on.maps));
    if waves.is_empty() {
        return "No table map ran before, and none was started.".into();
    }
    if spec.options.start_maps {
        return if !laggards.is_empty() || !status.missing.is_empty() {
            format!(
                "Those that are stopped or come back later are started in this order: {}.",
                order(&waves)
            )
        } else if lost.is_empty() {
            "The table maps are in the states that they had.".into()
        } else {
            "The others are in the states that they had.".into()
        };
    }
    format!(
        "The table maps are stopped, because the destination has changed (mismatch.startMaps: Never): compare the data, then \
         start them on the Dual-write page in this order: {}.",
        order(&waves)
    )
}

/// The order in which the maps of a plan are started.
fn start_order(spec: &DualWriteOperationSpec) -> String {
    start_order_with(spec, &[])
}

/// The same, and after them those that were stopped although the plan does not say that they ran.
fn start_order_with(spec: &DualWriteOperationSpec, unplanned: &[String]) -> String {
    let planned = order(&maps::waves(maps::to_start(&spec.relies_on.maps)));
    if unplanned.is_empty() {
        return planned;
    }
    let unplanned = format!(
        "{} (started after the plan was made)",
        list(unplanned, NAMES)
    );
    let both = [planned, unplanned].into_iter();
    let both: Vec<String> = both.filter(|names| !names.is_empty()).collect();
    both.join("; then ")
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

/// Every table map is stopped.
pub fn maps_stopped(spec: &DualWriteOperationSpec, unplanned: &[String]) -> String {
    format!(
        "Every table map of {} is stopped: what is changed on either side is not passed on. To start them again, on the \
         Dual-write page, in this order: {}.",
        spec.finance_operations_host,
        start_order_with(spec, unplanned)
    )
}

/// Stopping the maps was given up in the middle.
pub fn partly_stopped(spec: &DualWriteOperationSpec, unplanned: &[String], why: &str) -> String {
    format!(
        "{} The other table maps are, or may be, stopped, and what is changed on either side is not passed on. To start them \
         again, on the Dual-write page ({}), in this order: {}.",
        sentence(why),
        page(spec),
        start_order_with(spec, unplanned)
    )
}
