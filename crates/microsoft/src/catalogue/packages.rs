//! The Power Platform API: environments, and installing application packages. Also what a package says about its last
//! failure, which stands in the list of packages.

use super::{Area, Entry, Evidence, Sign};
use crate::Call;
use crate::error::{Api, Class};

pub(super) const AREA: Area = Area {
    title: "Environments and application packages",
    about: "The Power Platform API answers these, or a package shows them as its last failure.",
    entries: ENTRIES,
};

const CODES: &str = "https://learn.microsoft.com/power-apps/developer/data-platform/reference/web-service-error-codes";
const APPS: &str = "https://learn.microsoft.com/power-platform/admin/manage-apps";
const SERVICE_PRINCIPAL: &str =
    "https://learn.microsoft.com/power-platform/admin/powerplatform-api-create-service-principal";
const LIMITS: &str =
    "https://learn.microsoft.com/power-platform/admin/api-request-limits-allocations";
/// A 409 with this code for another lifecycle operation of the environment.
const BUSY_ISSUE: &str =
    "https://github.com/microsoft/terraform-provider-power-platform/issues/717";
/// The words of a solution import beside another.
const IMPORT_ISSUE: &str = "https://github.com/microsoft/powerplatform-build-tools/issues/276";
const CANCELED_ISSUE: &str = "https://github.com/microsoft/coe-starter-kit/issues/7615";
const FAULT_ISSUE: &str = "https://github.com/microsoft/powerplatform-build-tools/issues/769";

const WAIT: &str = "Wait: it is tried again by itself.";

const fn told(
    sign: Sign,
    reason: &'static str,
    cause: &'static str,
    remedy: &'static str,
    source: &'static str,
) -> Entry {
    Entry::new(Api::PowerPlatform, sign, reason, cause, remedy, source)
}

static ENTRIES: &[Entry] = &[
    told(
        Sign::Codes(&["OperationNotStartable"]),
        "EnvironmentBusy",
        "another operation is running in the environment: an installation, a copy, a restore or the like.",
        WAIT,
        BUSY_ISSUE,
    )
    .class(Class::Busy)
    .definitive()
    .marked(Evidence::Observed),
    told(
        Sign::Words(&["Cannot start the requested operation"]),
        "EnvironmentBusy",
        "another solution was being installed or removed in the environment at the same time.",
        "Wait until nothing is being installed there (Power Platform admin center, the environment, Dynamics 365 apps), then try again.",
        IMPORT_ISSUE,
    )
    .class(Class::Busy)
    .marked(Evidence::Observed),
    told(
        Sign::Words(&["Some dependencies are missing"]),
        "PackageDependencyMissing",
        "the package needs another one that is missing in the environment, or is too old there.",
        "Install or update what the message names in the Power Platform admin center, Dynamics 365 apps of the environment; then try again.",
        CODES,
    ),
    told(
        Sign::Words(&["A task was canceled"]),
        "InstallTimedOut",
        "Microsoft gave the installation up, because it took too long.",
        "Try again when the environment is quiet; if it fails again, open Dynamics 365 apps of the environment in the Power Platform admin center for the details, and ask Microsoft support.",
        CANCELED_ISSUE,
    )
    .marked(Evidence::Observed),
    told(
        Sign::Codes(&["UnexpectedError"]),
        "PowerPlatformFault",
        "the Power Platform API has a passing problem.",
        WAIT,
        FAULT_ISSUE,
    )
    .with_status(&[500, 502, 503, 504])
    .class(Class::Transient)
    .marked(Evidence::Observed),
    told(
        Sign::Status,
        "PackageNotFound",
        "the environment offers no package of this name, or this application does not see the environment.",
        "Compare spec.setup.applications with the list in the Power Platform admin center, Dynamics 365 apps of the environment.",
        APPS,
    )
    .of_calls(&[Call::InstallApplication])
    .with_status(&[404])
    .marked(Evidence::Inferred),
    told(
        Sign::Status,
        "AccessDenied",
        "this application does not see the packages of the environment.",
        "Compare spec.dataverse.environmentId with the environment's details in the Power Platform admin center; if it is right, give the application a role for that environment.",
        SERVICE_PRINCIPAL,
    )
    .of_calls(&[Call::ListApplicationPackages])
    .with_status(&[404])
    .marked(Evidence::Inferred),
    told(
        Sign::Status,
        "AccessDenied",
        "this application may not install in the environment.",
        "Have a Power Platform administrator register the application as a management application, or give it a role that may install in this environment, in the Power Platform admin center.",
        SERVICE_PRINCIPAL,
    )
    .of_calls(&[Call::InstallApplication])
    .with_status(&[403]),
    told(
        Sign::Status,
        "AccessDenied",
        "this application may not do this.",
        "Have a Power Platform administrator register the application as a management application, or give it a role for the environment in the Power Platform admin center.",
        SERVICE_PRINCIPAL,
    )
    .with_status(&[403]),
    told(
        Sign::Status,
        "AccessDenied",
        "the Power Platform API does not accept this application, also not with a new token.",
        "Have a Power Platform administrator register the application as a management application, or give it a role in the Power Platform admin center; check spec.cloud.",
        SERVICE_PRINCIPAL,
    )
    .with_status(&[401])
    .marked(Evidence::Inferred),
    told(
        Sign::Status,
        "EnvironmentBusy",
        "something else is running in the environment.",
        WAIT,
        BUSY_ISSUE,
    )
    .with_status(&[409])
    .class(Class::Busy)
    .marked(Evidence::Observed),
    told(
        Sign::Status,
        "TooManyRequests",
        "too many requests: the Power Platform asks to be left alone for a while.",
        WAIT,
        LIMITS,
    )
    .with_status(&[429])
    .class(Class::Transient),
];
