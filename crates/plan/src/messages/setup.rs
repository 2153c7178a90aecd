//! Sentences about the dual-write application.

use crate::{desired::Desired, observed::Problem};
use dualwrite_api::connection::IntegrationKind;

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
