//! Every sentence that a person reads in a condition or an operation.
//!
//! Each names what is wrong, where, and what to do next, in the words of Lifecycle Services (LCS) and the Power Platform
//! admin center. Times are absolute, so that a message stays the same while nothing happens. No sentence advises an
//! irreversible step from missing visibility.

use jiff::Timestamp;

use super::{
    desired::Desired,
    observed::{Environment, LinkFacts, Problem, Readiness, Tier},
    world::{Disagreement, KnownOperation},
};
use crate::api::{DualWriteOperationSpec, connection::IntegrationKind, operation::Action};

/// The sentence with which Lifecycle Services warns of a mismatch, word for word [D].
pub const LCS_MISMATCH: &str = "Microsoft has detected that your environment is linked via Dual-write to a different \
                                destination than specified in Power Platform Integration, which is not recommended.";

const PERMANENT: &str = "Power Platform integration is permanent: one finance and operations environment and one Power \
                         Platform environment, in the same tenant and geography, for good.";

/// A point in time, as messages show it.
pub fn clock(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// An environment with its name, id and address.
pub fn environment(environment: &Environment) -> String {
    match &environment.dataverse_url {
        Some(url) => format!("'{}' ({}, {url})", environment.name, environment.id),
        None => format!("'{}' ({})", environment.name, environment.id),
    }
}

/// An environment that may not be visible.
pub fn environment_or_id(visible: Option<&Environment>, id: &str) -> String {
    visible.map_or_else(
        || format!("{id} (an environment that this application does not see)"),
        environment,
    )
}

/// A problem, with what to do.
pub fn problem(problem: &Problem) -> String {
    problem.message.clone()
}

// ---- reading ----

/// A second read will confirm.
pub fn confirming(what: &str, due: Timestamp) -> String {
    format!(
        "{what} It counts only if a second look agrees, at {} or later.",
        clock(due)
    )
}

/// Nothing was read yet.
pub fn first_look() -> String {
    "Looking at the environments for the first time.".into()
}

/// Something else comes first.
pub fn not_judged() -> String {
    "Not known yet: the condition Ready says what comes first.".into()
}

/// The first read has failed.
pub fn first_look_failed(why: &Problem) -> String {
    format!(
        "The environments could not be read yet; it is tried again by itself. {}",
        why.message
    )
}

/// Reads have been failing for longer than an interval.
pub fn retrying(since: Timestamp, why: &Problem) -> String {
    format!(
        "Reads have failed since {}; they are tried again by itself. The last error: {}",
        clock(since),
        why.message
    )
}

/// What is shown is old.
pub fn stale(since: Timestamp, last: &str) -> String {
    format!(
        "This could not be read since {}. What was seen last: {last}",
        clock(since)
    )
}

/// The resource is suspended.
pub fn suspended() -> String {
    "spec.suspend is true: nothing is read and nothing is started. Set it to false to go on.".into()
}

/// The stored resource cannot be used.
pub fn spec_invalid(why: &str) -> String {
    format!("The stored resource cannot be used: {why}")
}

// ---- credentials ----

/// Entra accepts the credentials.
pub fn authenticated() -> String {
    "Microsoft Entra ID accepts the credentials.".into()
}

// ---- integration ----

/// P = S.
pub fn integrated(
    desired: &Desired,
    with: &Environment,
    confirmed: Result<(), &Problem>,
) -> String {
    let base = format!(
        "Power Platform integration joins {} with {}.",
        desired.host,
        environment(with)
    );
    match confirmed {
        Ok(()) => base,
        Err(why) => format!("{base} Its Dataverse did not confirm it: {}", why.message),
    }
}

/// S is not there for this application.
pub fn environment_not_found(desired: &Desired) -> String {
    format!(
        "This application sees no Power Platform environment {}. Compare the id with the environment's details in the \
         Power Platform admin center; if it is right, give the application a role that includes this environment (or \
         register it as a Power Platform management application). If the environment was deleted, name another one in \
         spec.dataverse.environmentId.",
        desired.environment_id
    )
}

/// The Power Platform refuses.
pub fn access_denied(desired: &Desired, why: &Problem) -> String {
    format!(
        "The Power Platform API refuses this application (tenant {}): an administrator must register it as a Power \
         Platform management application, or give it a Power Platform role that may read environments. {}",
        desired.credentials.tenant_id, why.message
    )
}

/// S cannot be used for dual-write.
pub fn environment_unusable(with: &Environment) -> String {
    if with.readiness == Readiness::Disabled {
        return format!(
            "The environment {} is disabled: enable it in the Power Platform admin center.",
            environment(with)
        );
    }
    format!(
        "The environment {} has no Dataverse, so dual-write cannot use it: add a Dataverse database to it in the Power \
         Platform admin center, or name another environment in spec.dataverse.environmentId.",
        environment(with)
    )
}

/// S is being worked on.
pub fn environment_busy(with: &Environment) -> String {
    let what = match &with.readiness {
        Readiness::AdministrationMode => {
            "is in administration mode: it goes on when an administrator ends that".into()
        }
        Readiness::Busy(state) => {
            format!("is being worked on (state {state}): it goes on when that has ended")
        }
        Readiness::Ready | Readiness::Disabled => "cannot be used right now".to_owned(),
    };
    format!("The environment {} {what}.", environment(with))
}

/// S belongs to another finance and operations environment.
pub fn integrated_with_other(desired: &Desired, with: &Environment, other: &str) -> String {
    format!(
        "The environment {} is integrated with another finance and operations environment, {other}, not with {}. {PERMANENT} \
         Name in spec.dataverse.environmentId the environment that belongs to {}.",
        environment(with),
        desired.host,
        desired.host
    )
}

/// The sources contradict each other.
pub fn sources_disagree(desired: &Desired, how: &Disagreement) -> String {
    let how = match how {
        Disagreement::SeveralEnvironments(names) => format!(
            "several Power Platform environments name {}: {}",
            desired.host,
            names.join(", ")
        ),
        Disagreement::DataverseDenies(None) => format!(
            "the Power Platform says that environment {} is integrated with {}, and its Dataverse says that it is not \
             integrated",
            desired.environment_id, desired.host
        ),
        Disagreement::DataverseDenies(Some(url)) => format!(
            "the Power Platform says that environment {} is integrated with {}, and its Dataverse names {url}",
            desired.environment_id, desired.host
        ),
        Disagreement::DataverseClaims => format!(
            "the Dataverse of environment {} says that it is integrated with {}, and the Power Platform does not",
            desired.environment_id, desired.host
        ),
        Disagreement::DataverseNamesOther(url) => format!(
            "the Dataverse of environment {} names {url}, not {}, and the Power Platform names nothing",
            desired.environment_id, desired.host
        ),
    };
    format!(
        "The sources contradict each other: {how}. After a change this settles within minutes. If it stays, look at Power \
         Platform integration in LCS ({}) and ask Microsoft support; nothing is changed until they agree.",
        desired.lcs_page()
    )
}

/// P = E, which is not S.
pub fn integrated_elsewhere(desired: &Desired, with: &Environment, linked_to_spec: bool) -> String {
    let base = format!(
        "Power Platform integration joins {} with {}, not with the environment {} of the spec. {PERMANENT}",
        desired.host,
        environment(with),
        desired.environment_id
    );
    if linked_to_spec {
        return format!(
            "{base} Dual-write still uses {}: changing the spec to {} and resetting dual-write leaves {} for good. Decide \
             first which Dataverse has the right data.",
            desired.environment_id, with.id, desired.environment_id
        );
    }
    format!(
        "{base} If that is the right one, set spec.dataverse.environmentId: {}.",
        with.id
    )
}

/// No integration is visible, which proves nothing.
pub fn integration_not_visible(
    desired: &Desired,
    visible: usize,
    complete: bool,
    why: Option<&Problem>,
) -> String {
    let mut text = format!(
        "This application sees {visible} Power Platform environment{}{}, and none of them names {}. That does not prove that \
         there is no integration: check in LCS ({}) under Power Platform integration before you integrate; it is permanent.",
        if visible == 1 { "" } else { "s" },
        if complete {
            ""
        } else {
            " (the list could not be read to its end)"
        },
        desired.host,
        desired.lcs_page(),
    );
    if let Some(why) = why {
        text.push_str(" The Dataverse of the spec could not say: ");
        text.push_str(&why.message);
    }
    text
}

/// Nothing is integrated.
pub fn not_integrated(desired: &Desired, with: &Environment, tier: Tier) -> String {
    let what = format!(
        "No Power Platform environment is integrated with {}.",
        desired.host
    );
    if tier == Tier::Development {
        return format!(
            "{what} A cloud-hosted environment cannot be integrated later: redeploy it in LCS ({}) with Power Platform \
             integration chosen in the deployment's advanced settings, then name the new environment in the spec.",
            desired.lcs_page()
        );
    }
    format!(
        "{what} In LCS ({}), on the environment's page under Power Platform integration, press Setup and choose {}; for a \
         unified environment, the Power Platform admin center shows it under Dynamics 365 apps. Before: you need to be \
         administrator of both environments, and both must be in the same tenant and geography. {PERMANENT}",
        desired.lcs_page(),
        environment(with)
    )
}

/// Dual-write is linked although nothing is integrated: remedy A, or why it must not be followed.
pub fn linked_without_integration(
    desired: &Desired,
    linked: &str,
    remedy: Result<(), &str>,
) -> String {
    let base = format!(
        "{LCS_MISMATCH} Power Platform integration of {} was never set up, but dual-write is linked to {linked}.",
        desired.host
    );
    match remedy {
        Ok(()) => format!(
            "{base} Remedy: in LCS ({}), on the environment's page under Power Platform integration, press Setup and choose \
             the environment that dual-write already uses, {linked}. {PERMANENT}",
            desired.lcs_page()
        ),
        Err(why) => format!(
            "{base} Do NOT integrate with {linked}: that is permanent, and {why}. Find out first why dual-write is linked \
             there (a copied or restored environment is often the cause), and ask Microsoft support if you are not sure."
        ),
    }
}

// ---- setup ----

/// Everything is installed.
pub fn installed(names: &[String]) -> String {
    format!(
        "The dual-write application is installed: {}.",
        names.join(", ")
    )
}

/// Updates exist.
pub fn updates(names: &[String]) -> String {
    format!(
        " Newer versions can be installed in the Power Platform admin center, under Dynamics 365 apps: {}.",
        names.join(", ")
    )
}

/// Something is missing.
pub fn not_installed(missing: &[String], with: &str) -> String {
    format!(
        "The dual-write application is not installed in {with}: {}.",
        missing.join(", ")
    )
}

/// The terms are not accepted.
pub fn terms_not_accepted(missing: &[String], with: &str) -> String {
    format!(
        "{} Read the terms of service that LCS shows under \"Dual-write application\"; if you accept them, set \
         spec.setup.acceptTerms: true, and the operator installs it. To press the button yourself, set spec.setup.method: \
         Manual.",
        not_installed(missing, with)
    )
}

/// A person installs.
pub fn awaiting_manual_setup(
    desired: &Desired,
    missing: &[String],
    with: &str,
    kind: IntegrationKind,
) -> String {
    if kind == IntegrationKind::Unified {
        return format!(
            "{} This is a unified environment, which LCS does not show: in the Power Platform admin center, under Dynamics 365 \
             apps of that environment, install them and accept the terms; it is followed here. Or let the operator do it \
             with spec.setup.method: Install.",
            not_installed(missing, with)
        );
    }
    format!(
        "{} In LCS ({}), on the environment's page under Power Platform integration, press \"Dual-write application\", accept \
         the terms and press Configure; it usually takes up to half an hour and is followed here.",
        not_installed(missing, with),
        desired.lcs_page()
    )
}

/// The operator would install, but only observes.
pub fn would_install(missing: &[String], with: &str) -> String {
    format!(
        "{} The operator only observes this resource; with spec.mode: Manage it would install them in this order.",
        not_installed(missing, with)
    )
}

/// Somebody is installing.
pub fn installing_elsewhere(progress: &[String], with: &str) -> String {
    format!(
        "The dual-write application is being installed in {with}: {}.",
        progress.join(", ")
    )
}

/// The installation has failed.
pub fn install_failed(failed: &[String], with: &str) -> String {
    format!(
        "The installation of the dual-write application in {with} has failed: {}. Mend the cause (the Power Platform admin \
         center, under Dynamics 365 apps, shows details), then try again there or in LCS, which shows Resume.",
        failed.join("; ")
    )
}

/// Packages cannot be read.
pub fn applications_unknown(why: &Problem) -> String {
    format!(
        "The application packages could not be read. {}",
        why.message
    )
}

/// Packages are not looked at before the environment is integrated.
pub fn waiting_for_integration() -> String {
    "The dual-write application is looked at once Power Platform integration is complete.".into()
}

// ---- link ----

/// L = S.
pub fn linked(link: &LinkFacts, to: &str, differing: Option<(&[String], &[String])>) -> String {
    let base = format!(
        "Dual-write is linked to {to} (connection set {}).",
        link.connection_set_id
    );
    match differing {
        None => base,
        Some((wanted, actual)) => format!(
            "{base} Its companies differ from spec.link.legalEntities: linked are {}, wanted are {}. On a live link the \
             operator changes nothing; edit them on the Dual-write page under Legal entities.",
            actual.join(", "),
            wanted.join(", ")
        ),
    }
}

/// L is another environment than S.
pub fn linked_elsewhere(desired: &Desired, to: &str) -> String {
    format!(
        "Dual-write is linked to {to}, not to the environment {} of the spec.",
        desired.environment_id
    )
}

/// No link, and setup comes first.
pub fn waiting_for_setup() -> String {
    "No link yet: the dual-write application comes first.".into()
}

/// No link, once.
pub fn no_link_seen() -> String {
    "The dual-write service shows no link.".into()
}

/// A person links.
pub fn awaiting_manual_link(desired: &Desired, with: &str, kind: IntegrationKind) -> String {
    if kind == IntegrationKind::Unified {
        return format!(
            "Set up, but not linked. This is a unified environment, which LCS does not show, and Microsoft documents no other \
             place for the link: open the Dual-write page ({}) as the account that is to own the link, and ask Microsoft \
             support if it offers none. The link should go to {with}, and is seen here.",
            super::desired::admin_url(&desired.finance_operations_url)
        );
    }
    format!(
        "Set up, but not linked. In LCS ({}), on the environment's page under Power Platform integration, press \"Link to Power \
         Platform environment\"; it usually takes less than five minutes, and is seen here. The link goes to {with}. If LCS \
         still shows \"Dual-write application\", press it and Configure first.",
        desired.lcs_page()
    )
}

/// The operator would link, but only observes.
pub fn would_link(desired: &Desired, with: &str) -> String {
    format!(
        "Set up, but not linked. The operator only observes this resource; with spec.mode: Manage it would link {} to {with} \
         for the companies {}.",
        desired.host,
        desired.legal_entities.join(", ")
    )
}

/// The link is not observed, and should be.
pub fn link_not_observable(desired: &Desired) -> String {
    format!(
        "The link cannot be seen: spec.dualWriteService is missing. Add its url (the address that the Dual-write page of {} \
         talks to: the browser's developer tools, Network, on that page) and a secretRef with username and password; or set \
         spec.link.observe: Never to be Ready without it.",
        desired.host
    )
}

/// The link is not observed, as the spec asks.
pub fn link_unverified() -> String {
    "Integrated and set up. The link is not looked at, because spec.link.observe is Never.".into()
}

/// The service refuses to show the link.
pub fn link_refused(why: &Problem) -> String {
    format!(
        "The dual-write service refuses this account: it must be system administrator in both environments and have the \
         licences that docs/credentials.md lists. {}",
        why.message
    )
}

/// The link could not be read.
pub fn link_unknown(why: &Problem) -> String {
    format!("The link could not be read. {}", why.message)
}

/// No link is seen while the environment is stopped.
pub fn host_down(desired: &Desired, why: &str) -> String {
    format!(
        "No link is seen, and {} does not answer ({why}): the environment may be stopped. Nothing is concluded from that, and \
         nothing is changed; it is looked at again by itself.",
        desired.host
    )
}

/// A link that was seen is seen no more.
pub fn link_vanished(desired: &Desired, environment_id: &str) -> String {
    format!(
        "The link of {} to environment {environment_id} was seen before and is not seen now: the environment may be stopped, \
         being restored, or was unlinked. The operator never makes it again by itself. If it is gone for good, press \"Link to \
         Power Platform environment\" in LCS ({}).",
        desired.host,
        desired.lcs_page()
    )
}

/// Everything is as it should be.
pub fn connected(desired: &Desired, with: &str) -> String {
    format!(
        "{} and {with} are integrated and linked by dual-write.",
        desired.host
    )
}

// ---- mismatch ----

/// Link and integration agree.
pub fn matched() -> String {
    "Dual-write is linked to the Dataverse that Power Platform integration names.".into()
}

/// There is no link that could be wrong.
pub fn not_linked() -> String {
    "Dual-write is not linked.".into()
}

/// Link or integration cannot be seen.
pub fn mismatch_not_observable() -> String {
    "Link and integration cannot be compared: at least one of them is not visible.".into()
}

/// L and P name different environments, in one sentence.
pub fn different_destination(linked: &str, integration: &str) -> String {
    format!(
        "{LCS_MISMATCH} Dual-write is linked to {linked}; Power Platform integration names {integration}."
    )
}

/// Remedy B.
pub fn remedy_reset(desired: &Desired, linked: &str, integration: &str) -> String {
    format!(
        "{} Remedy: a reset of dual-write, on the Dual-write page of {} (System administration > Dual-write, or {}), links it \
         to {integration}. That is permanent, and it deletes table maps, integration keys, company mappings, alert settings, \
         the activity log and the history of initial syncs: note your maps and solutions first, stop all maps, and afterwards \
         apply the solutions and start the maps again. The operator changes nothing (mismatch.policy: Report).",
        different_destination(linked, integration),
        desired.finance_operations_url,
        super::desired::admin_url(&desired.finance_operations_url),
    )
}

/// A sandbox is linked with a production environment.
pub fn mix(desired: &Desired, host: Tier, linked: &str) -> String {
    let (this, other) = if host == Tier::Production {
        ("a production", "not a production")
    } else {
        ("not a production", "a production")
    };
    format!(
        "Sandbox and production are mixed: {} is {this} environment, and dual-write is linked to {linked}, which is {other} \
         environment. Data may flow between test and production: stop the maps on the Dual-write page until this is settled.",
        desired.host
    )
}

// ---- operations ----

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
        return format!("{said} Each step: kubectl describe dwo {}", operation.name);
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
    format!(
        "{said} Check in LCS whether it happened, then let go of the operation: kubectl delete dwo {} -n {}",
        operation.name, operation.namespace
    )
    .trim_start()
    .to_owned()
}

/// An operation has failed.
pub fn operation_failed(operation: &KnownOperation) -> String {
    let said = operation
        .status
        .message
        .clone()
        .unwrap_or_else(|| format!("{} has failed.", word(operation.spec.action)));
    format!(
        "{said} To try again: kubectl annotate dwc {} -n {} --overwrite dualwrite.dev/reconcile-at=\"$(date)\", or change the \
         spec, or kubectl delete dwo {} -n {}",
        operation.spec.connection.name, operation.namespace, operation.name, operation.namespace
    )
}

/// Another connection has the host.
pub fn conflict(host: &str, same_namespace: Option<&str>) -> String {
    let who = same_namespace.map_or_else(
        || "in another namespace".to_owned(),
        |name| format!("'{name}'"),
    );
    format!(
        "Another, older DualWriteConnection {who} manages {host}. One finance and operations environment has one connection: \
         delete this one, or the other, or set one of them to spec.mode: Observe."
    )
}

/// What an action is called.
pub const fn word(action: Action) -> &'static str {
    match action {
        Action::Setup => "The installation of the dual-write application",
        Action::Link => "Linking to the Power Platform environment",
    }
}

/// Why an operation was given up before it started.
pub fn void(why: &str) -> String {
    format!("Never started: {why}.")
}

// ---- acts ----

/// A step is being worked on.
pub fn act_running(
    spec: &DualWriteOperationSpec,
    step: &str,
    since: Timestamp,
    deadline: Timestamp,
) -> String {
    let what = spec
        .steps
        .iter()
        .find(|planned| planned.name == step)
        .map_or(step, |planned| planned.what.as_str());
    let usually = spec
        .steps
        .iter()
        .find(|planned| planned.name == step)
        .map_or("", |planned| &planned.usually_takes);
    format!(
        "{what}: since {}, usually {usually}, deadline {}.",
        clock(since),
        clock(deadline)
    )
}

/// The act is done.
pub fn act_succeeded(spec: &DualWriteOperationSpec) -> String {
    match spec.action {
        Action::Setup => format!(
            "The dual-write application is installed in '{}'.",
            spec.target.environment_name
        ),
        Action::Link => format!(
            "{} is linked to '{}' ({}).",
            spec.finance_operations_host, spec.target.environment_name, spec.target.environment_id
        ),
    }
}

/// The act was refused or has failed, in Microsoft's words and ours.
pub fn act_failed(spec: &DualWriteOperationSpec, step: &str, why: &str) -> String {
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
    }
}

/// The act took longer than allowed.
pub fn act_timed_out(spec: &DualWriteOperationSpec, step: &str, deadline: Timestamp) -> String {
    let after = match spec.action {
        Action::Setup => {
            "Microsoft has no way to cancel it, and it may still end: then this resource goes on by itself. See the Power \
             Platform admin center, under Dynamics 365 apps."
        }
        Action::Link => {
            "It may still appear: then this resource goes on by itself. Look at LCS before you try again."
        }
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
pub fn act_waiting(why: &str) -> String {
    format!("Waiting to try again: {why}")
}

/// The environment is busy with another package.
pub fn environment_installs_other(environment: &str, package: &str, state: &str) -> String {
    act_waiting(&format!(
        "Microsoft is working on another application package in '{environment}', {package} ({state}), and does one at a time."
    ))
}
