//! Sentences about operations: in a connection, and in themselves.

use jiff::Timestamp;

use super::words::clock;
use crate::{
    desired::{self, Desired},
    world::{Claim, KnownOperation},
};
use dualwrite_api::{
    DualWriteOperationSpec, Reason,
    operation::{Action, PlannedStep},
};

/// An operation is planned and will start.
pub fn starting(action: Action, operation: &str) -> String {
    format!("{} starts as DualWriteOperation {operation}.", word(action))
}

/// An operation of another namespace, of which no more is shown.
fn hidden(operation: &KnownOperation, what: &str) -> String {
    format!(
        "An operation of a DualWriteConnection in another namespace for {} {what}; nothing else starts until it is settled \
         there.",
        operation.spec.finance_operations_host
    )
}

/// An operation is under way; `shown` when it is in the namespace of the reader.
pub fn under_way(operation: &KnownOperation, mine: bool, shown: bool) -> String {
    if !shown {
        return hidden(operation, "is not finished");
    }
    let said = operation
        .status
        .message
        .clone()
        .unwrap_or_else(|| format!("{} is under way.", word(operation.spec.action)));
    if mine {
        return format!(
            "{said} Each step: kubectl describe dwo {} -n {}",
            operation.name, operation.namespace
        );
    }
    format!(
        "An operation of another DualWriteConnection for {} is not finished ({} {}); nothing else starts until it is.",
        operation.spec.finance_operations_host, operation.spec.action, operation.name
    )
}

/// What became of an operation cannot be known; `shown` when it is in the namespace of the reader.
pub fn outcome_unknown(operation: &KnownOperation, shown: bool) -> String {
    if !shown {
        return hidden(operation, "has an outcome that is not known");
    }
    let said = operation.status.message.clone().unwrap_or_default();
    let delete = delete_command(operation);
    let then = match operation.spec.action {
        Action::Setup | Action::Link => {
            format!("Check in LCS whether it happened, then let go of the operation: {delete}")
        }
        Action::Reset | Action::StopMaps => format!(
            "Check on the Dual-write page ({}) where dual-write is linked to and which table maps run. To let go of the operation, \
             so that putting them back is up to you: {delete}",
            desired::admin_url(&operation.spec.access.finance_operations_url)
        ),
    };
    format!("{said} {then}").trim_start().to_owned()
}

/// An operation has failed.
pub fn operation_failed(operation: &KnownOperation, reason: Reason) -> String {
    let said = operation
        .status
        .message
        .clone()
        .unwrap_or_else(|| format!("{} has failed.", word(operation.spec.action)));
    let delete = delete_command(operation);
    match (operation.spec.action, reason) {
        // It names the commands itself, each with what comes before it.
        (Action::Reset, Reason::ResetDidNotRetarget) => said,
        // There is nothing to try again: the link is where it should be.
        (Action::Reset, Reason::MapsNotRunning | Reason::RestoreIncomplete) => format!(
            "{said} This is shown until the table maps that ran before run again. To be done with it sooner: {delete}"
        ),
        _ => format!(
            "{said} To try again: kubectl annotate dwc {} -n {} --overwrite dualwrite.dev/reconcile-at=\"$(date)\", or change \
             the spec, or {delete}",
            operation.spec.connection.name, operation.namespace
        ),
    }
}

fn delete_command(operation: &KnownOperation) -> String {
    format!(
        "kubectl delete dwo {} -n {}",
        operation.name, operation.namespace
    )
}

/// Another connection has the host.
pub fn conflict(desired: &Desired, manager: &Claim) -> String {
    let (who, host) = (another(desired, manager), &desired.host);
    format!(
        "Another, older DualWriteConnection {who} manages {host}. One finance and operations environment has one connection: \
         delete this one, or the other, or set one of them to spec.mode: Observe."
    )
}

/// Another connection has the host, so the deletion of this one stops nothing.
pub fn managed_by_another(desired: &Desired, manager: &Claim) -> String {
    let who = another(desired, manager);
    format!("another DualWriteConnection {who} manages {}", desired.host)
}

/// Another connection, by its name where that is for the reader.
fn another(desired: &Desired, other: &Claim) -> String {
    if other.namespace == desired.namespace {
        format!("'{}'", other.name)
    } else {
        "in another namespace".into()
    }
}

/// What an action is called.
pub const fn word(action: Action) -> &'static str {
    match action {
        Action::Setup => "The installation of the dual-write application",
        Action::Link => "Linking to the Power Platform environment",
        Action::Reset => "The reset of dual-write",
        Action::StopMaps => "Stopping the table maps",
    }
}

/// Why an operation does not start, or goes on no more.
pub const NO_LONGER_ASKED_FOR: &str = "the connection does not ask for it any more";

/// Its connection was deleted before it started.
pub const CONNECTION_GONE: &str = "the connection is gone";

/// Its connection was deleted, and another one has the environment by now.
pub const TAKEN_OVER: &str = "another DualWriteConnection manages the finance and operations environment by now, and its table \
                              maps run on";

/// The same, after it had asked for maps to be stopped.
pub const TAKEN_OVER_MEANWHILE: &str =
    "another DualWriteConnection manages the finance and operations environment by now";

/// It, or its connection, was deleted after it started.
pub const OWNER_GONE: &str = "the connection is gone, or this operation was deleted";

/// Its connection was suspended after it had stopped maps.
pub const OWNER_SUSPENDED: &str = "the connection was suspended";

/// Its connection was suspended after it was approved and before it started.
pub const APPROVAL_TAKEN_BACK: &str = "its approval is taken back, because the connection was suspended or cannot be read, or \
                                       the operator runs with --observe-only; once that is over it is planned again, to be \
                                       approved anew";

/// It was approved so long ago that it is not known whether that still holds.
pub fn approval_expired(end: Timestamp) -> String {
    format!(
        "it did not start before its approval ran out, {} (mismatch.approvalTimeout); it is planned again, to be approved anew",
        clock(end)
    )
}

/// Its connection was suspended between two of its steps, and nothing needs to be taken back.
pub const WAITS_FOR_RESUME: &str =
    "Waiting: the connection is suspended. It goes on once spec.suspend is false.";

/// A person does not want it.
pub const REJECTED: &str = "the plan was rejected";

/// An older operation comes first; of one in another namespace nothing is shown.
pub fn older_comes_first(own: &KnownOperation, older: &KnownOperation) -> String {
    let host = &own.spec.finance_operations_host;
    if older.namespace != own.namespace {
        return format!("an older operation for {host}, in another namespace, starts first.");
    }
    format!(
        "the older DualWriteOperation {} for {host} starts first. To let go of that one: {}",
        older.name,
        delete_command(older)
    )
}

/// An operation has the name of another plan.
pub fn name_is_taken(name: &str, namespace: &str) -> String {
    format!(
        "A DualWriteOperation {name} exists with another plan than the one of this name: delete it if nobody needs it: \
         kubectl delete dwo {name} -n {namespace}"
    )
}

/// Why an operation was given up before it started.
pub fn void(why: &str) -> String {
    format!("Never started: {}.", why.trim_end_matches('.'))
}

/// A plan is given up because its connection shows something else by now.
pub fn overtaken(ready: Reason) -> String {
    format!(
        "what it relies on does not hold any more; the connection's condition Ready says why ({ready})"
    )
}

/// A plan is given up because table maps are stopped before anything else.
pub const MAPS_ARE_STOPPED_FIRST: &str = "the table maps are stopped first, because sandbox and production are mixed; it is \
                                          planned again afterwards";

/// Why an operation was given up between its steps.
pub fn given_up(done: usize, steps: usize, why: &str) -> String {
    format!(
        "Ended after {done} of {steps} steps: {}.",
        why.trim_end_matches('.')
    )
}

/// A step of the plan is being worked on.
pub fn step_running(step: &PlannedStep, since: Timestamp, deadline: Timestamp) -> String {
    let PlannedStep {
        what,
        usually_takes,
        ..
    } = step;
    format!(
        "{what}: since {}, usually {usually_takes}, deadline {}.",
        clock(since),
        clock(deadline)
    )
}

/// The operation is done.
pub fn operation_succeeded(spec: &DualWriteOperationSpec, unplanned: &[String]) -> String {
    match spec.action {
        Action::Setup => format!(
            "The dual-write application is installed in '{}'.",
            spec.target.environment_name
        ),
        Action::Link => format!(
            "{} is linked to '{}' ({}).",
            spec.finance_operations_host, spec.target.environment_name, spec.target.environment_id
        ),
        // The end of a reset has more to say, see `reset_ended`.
        Action::Reset => format!("Dual-write of {} was reset.", spec.finance_operations_host),
        Action::StopMaps => super::maps_stopped(spec, unplanned),
    }
}

/// A step was refused or has failed, in Microsoft's words and ours.
pub fn step_failed(spec: &DualWriteOperationSpec, step: &str, why: &str) -> String {
    match spec.action {
        Action::Setup => format!(
            "Installing {step} in '{}' has failed: {why} The Power Platform admin center, under Dynamics 365 apps, shows \
             details; LCS shows Resume. Mend the cause, then try again.",
            spec.target.environment_name
        ),
        Action::Link => format!(
            "Linking {} to '{}' ({}) has failed: {why}",
            spec.finance_operations_host, spec.target.environment_name, spec.target.environment_id
        ),
        Action::Reset => format!(
            "The reset of dual-write of {} has failed at its step {step}, before anything was reset: {why}",
            spec.finance_operations_host
        ),
        Action::StopMaps => format!(
            "The table maps of {} could not all be stopped: {}",
            spec.finance_operations_host,
            super::sentence(why)
        ),
    }
}

/// A step took longer than allowed.
pub fn step_timed_out(spec: &DualWriteOperationSpec, step: &str, deadline: Timestamp) -> String {
    let after = match spec.action {
        Action::Setup => {
            "Microsoft has no way to cancel it, and it may still end: then this resource goes on by itself. See the Power \
             Platform admin center, under Dynamics 365 apps."
        }
        Action::Link => {
            "It may still appear: then this resource goes on by itself. Look at LCS before you try again."
        }
        Action::Reset | Action::StopMaps => "Look at the Dual-write page before you try again.",
    };
    format!(
        "{} was not finished at its deadline, {}. {after}",
        step_word(spec, step),
        clock(deadline)
    )
}

fn step_word(spec: &DualWriteOperationSpec, step: &str) -> String {
    match spec.action {
        Action::Setup => format!("Installing {step} in '{}'", spec.target.environment_name),
        Action::Link => format!("Linking {}", spec.finance_operations_host),
        Action::Reset | Action::StopMaps => {
            format!("Step {step} for {}", spec.finance_operations_host)
        }
    }
}

/// The answer to the request for a link was lost, and no link has appeared.
pub fn link_outcome_unknown(
    spec: &DualWriteOperationSpec,
    sent: Timestamp,
    why: Option<&str>,
) -> String {
    let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
    format!(
        "A request to link {} to '{}' ({}) was recorded to be sent before {}, its answer was lost{why}, and no link has \
         appeared. It is not sent again by itself, because it may still take effect.",
        spec.finance_operations_host,
        spec.target.environment_name,
        spec.target.environment_id,
        clock(sent)
    )
}

/// The answers to both requests for an installation were lost, and nothing has started.
pub fn install_lost_twice() -> String {
    "the answers to two requests were lost, and no installation has appeared.".into()
}

/// Dual-write was linked to another environment meanwhile.
pub fn linked_to_another(environment_id: &str) -> String {
    format!(
        "dual-write is linked to another environment, {environment_id}. The operator changes no existing link."
    )
}

/// A request could not be sent, or was refused for now.
pub fn waiting(why: &str) -> String {
    format!("Waiting to try again: {why}")
}

/// The API server does not take the record of what is to be sent next, and never will.
pub fn cannot_be_recorded(why: &str) -> String {
    format!(
        "The API server refuses the record of what comes next, so nothing is sent: {why} Until it takes one the operation \
         stays as it is; to let go of it, delete it."
    )
}

/// The environment is busy with another package.
pub fn environment_installs_other(environment: &str, package: &str, state: &str) -> String {
    waiting(&format!(
        "Microsoft is working on another application package in '{environment}', {package} ({state}), and does one at a time."
    ))
}
