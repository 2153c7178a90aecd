//! Sentences of a plan: what its steps do, what cannot be brought back, and how it is approved. They are read by the one
//! who has to decide.

use super::{mismatch::different_destination, words::list};
use crate::{
    desired::Desired,
    observed::Problem,
    world::{KnownOperation, Settings},
};
use dualwrite_api::{
    DualWriteOperationSpec,
    connection::StartMaps,
    operation::{Approval, Approved, MapState, PlannedMap},
};

/// How many names a loss has at the most; a longer list is several losses.
const NAMES_OF_A_LOSS: usize = 50;

/// How many names a condition has at the most.
const NAMES_OF_A_CONDITION: usize = 10;

/// What the facts of a plan are called in its sentences.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlanWords<'a> {
    /// The finance and operations host.
    pub host: &'a str,
    /// The environment that dual-write is linked to.
    pub from: &'a str,
    /// The environment that the operation ends at.
    pub to: &'a str,
    /// Its name alone.
    pub to_name: &'a str,
    /// The account that the dual-write service is used with.
    pub account: &'a str,
    /// Whether the environment that dual-write is linked to is visible.
    pub from_is_visible: bool,
}

/// So many of something.
pub fn counted(number: usize, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}

/// What a reset takes away that nobody can bring back, and what may not come back.
pub fn losses(
    desired: &Desired,
    words: &PlanWords<'_>,
    maps: &[PlannedMap],
    companies_now: &[String],
) -> Vec<String> {
    let PlanWords {
        from, to, account, ..
    } = words;
    let mut losses = vec![
        format!("The move to {to} is permanent: no reset leads back to {from}."),
        "Alert settings, the activity log and the history of initial syncs are deleted; nobody can restore them.".into(),
    ];
    let unproven: Vec<&str> = maps
        .iter()
        .filter(|map| map.solution.is_none())
        .map(|map| map.name.as_str())
        .collect();
    losses.extend(unproven.chunks(NAMES_OF_A_LOSS).map(|names| {
        format!(
            "May not come back, because no solution is proven to bring them: {}.",
            names.join(", ")
        )
    }));
    losses.push(between_stop_and_start(desired).into());
    let paused: Vec<&str> = of_state(maps, MapState::Paused);
    if !paused.is_empty() {
        losses.push(format!(
            "The changes that are queued for paused maps are dropped: {}.",
            list(&paused, NAMES_OF_A_LOSS)
        ));
    }
    losses.push(format!(
        "Rows that exist only in {from} stay there; nothing is copied to {to}."
    ));
    losses.push(format!(
        "Reference data that {to} lacks makes saves in finance and operations fail (\"Unable to write data to entity\") once \
         the maps run."
    ));
    let dropped: Vec<&str> = companies_now
        .iter()
        .map(String::as_str)
        .filter(|name| {
            let mut kept = desired.legal_entities.iter();
            !kept.any(|kept| kept.eq_ignore_ascii_case(name))
        })
        .collect();
    if !dropped.is_empty() {
        losses.push(format!(
            "These companies take part now and do not afterwards, because link.legalEntities lacks them: {}.",
            dropped.join(", ")
        ));
    }
    losses.push(format!(
        "Afterwards only {account}, which makes the link, may add table maps."
    ));
    if desired.mismatch.force {
        losses.push("A map that does not stop is reset while it runs (mismatch.force).".into());
    }
    if !words.from_is_visible {
        losses.push(format!(
            "The environment {from} is not visible: if it exists, give the application a role that includes it. If it was \
             deleted, its maps cannot be stopped; without mismatch.force this act then ends before the reset, and only \
             Microsoft can help."
        ));
    }
    losses
}

const fn between_stop_and_start(desired: &Desired) -> &'static str {
    match desired.mismatch.start_maps {
        StartMaps::AsBefore => {
            "Changes on either side between the stop and the start of the maps are not passed on, then or later."
        }
        StartMaps::Never => {
            "Changes on either side from the stop of the maps until you start them are not passed on, then or later."
        }
    }
}

/// The names of the maps in a state.
fn of_state(maps: &[PlannedMap], state: MapState) -> Vec<&str> {
    maps.iter()
        .filter(|map| map.state == state)
        .map(|map| map.name.as_str())
        .collect()
}

/// A plan was approved, and its operation begins.
pub fn approved(approved: &Approved) -> String {
    let at = approved
        .at
        .map(|at| format!(" at {}", super::clock(at)))
        .unwrap_or_default();
    format!(
        "Approved{at}, through the field manager '{}'.",
        approved.field_manager
    )
}

/// The command that approves a plan, or refuses it.
fn approve_command(name: &str, namespace: &str, approval: &str) -> String {
    format!(
        "kubectl patch dwo {name} -n {namespace} --type=merge -p '{{\"spec\":{{\"approval\":\"{approval}\"}}}}'"
    )
}

/// A plan waits for a person, in the words of the operation.
pub fn plan_awaits_approval(operation: &KnownOperation) -> String {
    let KnownOperation {
        name, namespace, ..
    } = operation;
    format!(
        "Nothing has been done. Read under Losses what cannot be brought back, then approve exactly this plan: {}. To refuse \
         it: {}. Either needs the role dualwrite-approver. The plan becomes Void when link, maps, companies, keys or solutions \
         change before that.",
        approve_command(name, namespace, "Approved"),
        approve_command(name, namespace, "Rejected"),
    )
}

/// A reset is planned and waits for approval, in the words of the connection.
pub fn reset_awaits_approval(
    linked: &str,
    integration: &str,
    plan: &DualWriteOperationSpec,
    name: &str,
    namespace: &str,
    refused: Option<&str>,
) -> String {
    let refused = refused.map(|why| format!(" {why}")).unwrap_or_default();
    format!(
        "{} A reset is planned as DualWriteOperation {name} and waits for approval.{refused} {} Read it: kubectl describe dwo {name} -n \
         {namespace}. Approve it: {}",
        different_destination(linked, integration),
        in_short(plan),
        approve_command(name, namespace, "Approved"),
    )
}

/// A reset would be planned, if the operator were to act.
pub fn would_reset(
    settings: &Settings,
    linked: &str,
    integration: &str,
    plan: &DualWriteOperationSpec,
) -> String {
    let steps: Vec<&str> = plan.steps.iter().map(|step| step.what.as_str()).collect();
    let but_for = if settings.observe_only {
        "Without its flag --observe-only, and with spec.mode: Manage,"
    } else {
        "With spec.mode: Manage"
    };
    let how = match plan.approval {
        Approval::NotRequired => "do without approval",
        Approval::Pending | Approval::Approved | Approval::Rejected => "plan, for approval",
    };
    format!(
        "{} The operator only observes, so it makes no operation. {but_for} it would {how}: {}. What would be lost or may not \
         come back: {}",
        different_destination(linked, integration),
        steps.join("; "),
        plan.losses.join(" "),
    )
}

/// A reset is about to be planned; the facts that it relies on are read twice.
pub fn reset_is_being_planned(linked: &str, integration: &str, due: jiff::Timestamp) -> String {
    format!(
        "{} A reset is planned once this has been seen again, after {}.",
        different_destination(linked, integration),
        super::clock(due)
    )
}

/// What a plan would rely on cannot be read.
pub fn plan_needs(linked: &str, integration: &str, problem: &str) -> String {
    format!(
        "{} No reset is planned, and none that waits is begun, before everything that it would take away was read: {problem}",
        different_destination(linked, integration),
    )
}

/// There is more than one operation can carry.
pub fn more_than_a_plan_holds(what: &str) -> String {
    format!(
        "There are more {what} than one operation can carry, so no reset is planned: use the wizard of the Dual-write page."
    )
}

/// What cannot be read is read again.
pub const TRIED_AGAIN: &str = "this is tried again by itself.";

/// A plan starts without approval.
pub fn starts_without_approval(linked: &str, integration: &str, name: &str) -> String {
    format!(
        "{} A reset starts as DualWriteOperation {name} without approval (mismatch.approval: Automatic).",
        different_destination(linked, integration),
    )
}

/// Why an automatic approval is not taken: this is, or may be, production.
pub fn automatic_refused(guarded: &[String]) -> String {
    format!(
        "mismatch.approval: Automatic does not hold where production is, or may be, concerned ({}); \
         mismatch.allowProduction: true would allow it, set by somebody who may approve.",
        guarded.join("; ")
    )
}

/// Why an automatic approval is not taken: the reset before has stopped the maps for nothing.
pub fn automatic_given_up(given_up: &KnownOperation) -> String {
    let KnownOperation {
        name,
        namespace,
        spec,
        ..
    } = given_up;
    format!(
        "mismatch.approval: Automatic does not hold after DualWriteOperation {name}, which was given up after it had stopped table \
         maps: what gave it up may do so again (kubectl describe dwo {name} -n {namespace}). Approve this one, or, for Automatic \
         to hold again: kubectl annotate dwc {} -n {namespace} --overwrite dualwrite.dev/reconcile-at=\"$(date)\".",
        spec.connection.name,
    )
}

/// A plan was rejected.
pub fn plan_rejected(operation: &KnownOperation, linked: &str, integration: &str) -> String {
    let KnownOperation {
        name,
        namespace,
        spec,
        ..
    } = operation;
    format!(
        "{} The plan of a reset, DualWriteOperation {name}, was rejected, and the same facts are not planned again. To plan again, \
         change the spec, or: kubectl annotate dwc {} -n {namespace} --overwrite dualwrite.dev/reconcile-at=\"$(date)\". To be \
         asked no more: mismatch.policy: Report.",
        different_destination(linked, integration),
        spec.connection.name,
    )
}

/// The maps are being stopped because sandbox and production are mixed.
pub fn stopping_mixed(name: &str) -> String {
    format!(
        "Sandbox and production are mixed, and the table maps are being stopped (mismatch.onMix: StopMaps): DualWriteOperation \
         {name}. From then on changes are not passed on until a person runs the maps again."
    )
}

/// The maps of a mix are to be stopped, and are not shown.
pub fn cannot_stop_mixed(why: &Problem) -> String {
    format!(
        "Sandbox and production are mixed, and the table maps cannot be stopped (mismatch.onMix: StopMaps), because they cannot \
         be read. {} Until then, stop them on the Dual-write page.",
        super::sentence(&why.message)
    )
}

/// A plan in a sentence.
fn in_short(plan: &DualWriteOperationSpec) -> String {
    let maps = &plan.relies_on.maps;
    let unproven: Vec<&str> = maps
        .iter()
        .filter(|map| map.solution.is_none())
        .map(|map| map.name.as_str())
        .collect();
    let back = if unproven.is_empty() {
        String::new()
    } else {
        format!(
            "; may not come back: {}",
            list(&unproven, NAMES_OF_A_CONDITION)
        )
    };
    format!(
        "The link has {}{back}. A reset is permanent, and deletes alert settings, activity log and initial-sync history for good.",
        counted(maps.len(), "table map")
    )
}

/// Why maps are stopped.
pub const fn stop_cause(on_deletion: bool) -> &'static str {
    if on_deletion {
        "the connection is being deleted (deletionPolicy: StopMaps)"
    } else {
        "sandbox and production are mixed (mismatch.onMix: StopMaps)"
    }
}
