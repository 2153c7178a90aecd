//! Sentences about Power Platform integration.

use super::words::{LCS_MISMATCH, PERMANENT, environment};
use crate::{
    desired::Desired,
    observed::{Environment, Problem, Readiness, Tier},
    picture::Disagreement,
    world::World,
};

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
pub fn sources_disagree(desired: &Desired, how: &Disagreement<'_>) -> String {
    let how = match how {
        Disagreement::SeveralEnvironments(several) => {
            let named: Vec<String> = several.iter().map(|one| environment(one)).collect();
            format!(
                "several Power Platform environments name {}: {}",
                desired.host,
                named.join(", ")
            )
        }
        Disagreement::DataverseDenies(None) => format!(
            "the Power Platform says that environment {} is integrated with {}, and its Dataverse says that it is not \
             integrated",
            desired.environment_id, desired.host
        ),
        Disagreement::DataverseDenies(Some(url)) => format!(
            "the Power Platform says that environment {} is integrated with {}, and its Dataverse names {url}",
            desired.environment_id, desired.host
        ),
        Disagreement::DataverseAffirms => format!(
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
pub fn integration_not_visible(world: &World<'_>, why: Option<&Problem>) -> String {
    let desired = world.desired;
    let tenant = world.observed.tenant.known();
    let (visible, complete) = tenant.map_or((0, false), |tenant| (tenant.visible, tenant.complete));
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
