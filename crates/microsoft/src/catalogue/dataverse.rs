//! The Web API of one Dataverse.

use super::{Area, Entry, Evidence, Sign};
use crate::Call;
use crate::error::{Api, Class};

pub(super) const AREA: Area = Area {
    title: "Dataverse",
    about: "The Dataverse of the environment answers these.",
    entries: ENTRIES,
};

const CODES: &str = "https://learn.microsoft.com/power-apps/developer/data-platform/reference/web-service-error-codes";
const INTEGRATION: &str = "https://learn.microsoft.com/dynamics365/fin-ops-core/dev-itpro/power-platform/enable-power-platform-integration";
const LIMITS: &str = "https://learn.microsoft.com/power-apps/developer/data-platform/api-limits";
const APPLICATION_USERS: &str =
    "https://learn.microsoft.com/power-platform/admin/manage-application-users";
const INTEGRATION_CALL: &str = "https://learn.microsoft.com/power-apps/developer/data-platform/webapi/reference/retrievefinanceandoperationsintegrationdetails";
const SETUP: &str = "https://learn.microsoft.com/dynamics365/fin-ops-core/dev-itpro/data-entities/dual-write/requirements-and-prerequisites";

const fn told(
    sign: Sign,
    reason: &'static str,
    cause: &'static str,
    remedy: &'static str,
    source: &'static str,
) -> Entry {
    Entry::new(Api::Dataverse, sign, reason, cause, remedy, source)
}

static ENTRIES: &[Entry] = &[
    told(
        Sign::Codes(&["0x80048d0b"]),
        "NotIntegrated",
        "this Dataverse is not integrated with finance and operations.",
        "Set up Power Platform integration in LCS, or in the Power Platform admin center for a unified environment.",
        INTEGRATION,
    )
    .definitive(),
    told(
        Sign::Codes(&["0x80072560"]),
        "AccessDenied",
        "this application is not a user of this Dataverse; a new organisation may answer so for some minutes.",
        "Add the application as an application user in the Power Platform admin center (the environment, Settings, Users + permissions, Application users), with a role that may read the integration and the companies.",
        APPLICATION_USERS,
    ),
    told(
        Sign::Codes(&["0x80040225", "0x8004d24b"]),
        "AccessDenied",
        "the application user is disabled.",
        "Activate it in the Power Platform admin center, the environment, Settings, Users + permissions, Application users.",
        CODES,
    )
    .marked(Evidence::Observed),
    told(
        Sign::Codes(&["0x80040220", "0x80048306"]),
        "AccessDenied",
        "the application user lacks a privilege: the message names it.",
        "Edit the security roles of the application user in the Power Platform admin center, the environment, Settings, Users + permissions, Application users, and choose one that may read the integration and the companies.",
        CODES,
    )
    .marked(Evidence::Observed),
    told(
        Sign::Codes(&["0x80072321", "0x80072322", "0x80072326"]),
        "TooManyRequests",
        "too many requests: Dataverse protects itself, and asks to be left alone for a while.",
        "Wait: it is tried again by itself, when Dataverse allows.",
        LIMITS,
    )
    .class(Class::Transient),
    told(
        Sign::Status,
        "CompanyTableMissing",
        "this Dataverse has no table Company (cdm_company); the dual-write application brings it.",
        "Install the dual-write application first: in LCS, press \"Dual-write application\".",
        SETUP,
    )
    .of_calls(&[Call::ListCompanies])
    .with_status(&[404])
    .marked(Evidence::Inferred),
    told(
        Sign::Status,
        "IntegrationCallMissing",
        "this address is no Dataverse, or one that is too old to say what it is integrated with.",
        "Compare the environment's URL in the Power Platform admin center with the host that was asked.",
        INTEGRATION_CALL,
    )
    .of_calls(&[Call::RetrieveIntegrationDetails])
    .with_status(&[404])
    .marked(Evidence::Inferred),
    told(
        Sign::Status,
        "AccessDenied",
        "this application may not read the integration in Dataverse; a new organisation may answer so for some minutes.",
        "Add the application, if it stays so, as an application user in the Power Platform admin center (the environment, Settings, Users + permissions, Application users), with a role that may read the integration and the companies.",
        APPLICATION_USERS,
    )
    .with_status(&[401, 403]),
    told(
        Sign::Status,
        "TooManyRequests",
        "too many requests: Dataverse asks to be left alone for a while.",
        "Wait: it is tried again by itself, when Dataverse allows.",
        LIMITS,
    )
    .with_status(&[429])
    .class(Class::Transient),
];
