//! Sentences about the dual-write application.

use crate::{
    desired::Desired,
    observed::{Package, PackageState, Problem},
    picture::Needed,
};
use dualwrite_api::connection::IntegrationKind;

/// Everything is installed, and what could be newer.
pub fn installed(needed: &[Needed<'_>]) -> String {
    let installed = each(needed, |name, package| {
        let version = package.version.as_deref();
        let version = version.map(|version| format!(" {version}"));
        Some(format!("{name}{}", version.unwrap_or_default()))
    });
    let newer = each(needed, |name, package| {
        let newer = package.available_version.as_ref()?;
        Some(format!("{name} {newer}"))
    });
    let base = format!(
        "The dual-write application is installed: {}.",
        installed.join(", ")
    );
    if newer.is_empty() {
        return base;
    }
    format!(
        "{base} Newer versions can be installed in the Power Platform admin center, under Dynamics 365 apps: {}.",
        newer.join(", ")
    )
}

/// What there is to say of each package that is listed.
fn each(needed: &[Needed<'_>], say: impl Fn(&str, &Package) -> Option<String>) -> Vec<String> {
    let listed = needed.iter();
    listed
        .filter_map(|needed| say(needed.name, needed.package?))
        .collect()
}

/// Something is missing.
pub fn not_installed(needed: &[Needed<'_>], with: &str) -> String {
    let missing = needed.iter().filter(|needed| match needed.state() {
        PackageState::NotInstalled | PackageState::Failed => true,
        PackageState::Installed | PackageState::InProgress(_) => false,
    });
    let missing: Vec<&str> = missing.map(|needed| needed.name).collect();
    format!(
        "The dual-write application is not installed in {with}: {}.",
        missing.join(", ")
    )
}

/// The terms are not accepted.
pub fn terms_not_accepted(needed: &[Needed<'_>], with: &str) -> String {
    format!(
        "{} Read the terms of service that LCS shows under \"Dual-write application\"; if you accept them, set \
         spec.setup.acceptTerms: true, and the operator installs it. To press the button yourself, set spec.setup.method: \
         Manual.",
        not_installed(needed, with)
    )
}

/// A person installs.
pub fn awaiting_manual_setup(
    desired: &Desired,
    needed: &[Needed<'_>],
    with: &str,
    kind: IntegrationKind,
) -> String {
    if kind == IntegrationKind::Unified {
        return format!(
            "{} This is a unified environment, which LCS does not show: in the Power Platform admin center, under Dynamics 365 \
             apps of that environment, install them and accept the terms; it is followed here. Or let the operator do it \
             with spec.setup.method: Install.",
            not_installed(needed, with)
        );
    }
    format!(
        "{} In LCS ({}), on the environment's page under Power Platform integration, press \"Dual-write application\", accept \
         the terms and press Configure; it usually takes up to half an hour and is followed here.",
        not_installed(needed, with),
        desired.lcs_page()
    )
}

/// The operator would install, but only observes.
pub fn would_install(needed: &[Needed<'_>], with: &str) -> String {
    format!(
        "{} The operator only observes this resource; with spec.mode: Manage it would install them in this order.",
        not_installed(needed, with)
    )
}

/// Somebody is installing.
pub fn installing_elsewhere(needed: &[Needed<'_>], with: &str) -> String {
    let progress = each(needed, |name, package| match &package.state {
        PackageState::InProgress(word) => Some(format!("{name} ({word})")),
        PackageState::NotInstalled | PackageState::Installed | PackageState::Failed => None,
    });
    format!(
        "The dual-write application is being installed in {with}: {}.",
        progress.join(", ")
    )
}

/// The installation has failed.
pub fn install_failed(needed: &[Needed<'_>], with: &str) -> String {
    let failed = each(needed, |name, package| {
        let error = package.error.as_deref();
        (package.state == PackageState::Failed)
            .then(|| format!("{name}: {}", error.unwrap_or("Microsoft gives no reason")))
    });
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
