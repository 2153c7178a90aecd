//! Linking, resetting and reading dual-write. The last file of its API: it ends with statuses.
//!
//! Sources: Learn, "Troubleshoot issues during initial setup", "Dual-write setup from Lifecycle Services", "System
//! requirements and prerequisites", "Troubleshoot dual-write issues in finance and operations apps" [D]. The service
//! itself is not documented, so what a status of one of its calls means is inferred [I].

use super::{Area, Entry, Evidence, Sign};
use crate::Call;
use crate::error::{Api, Class};

pub(super) const AREA: Area = Area {
    title: "Linking and reading dual-write",
    about: "The dual-write service answers these. Its API is not documented: what a status means is inferred where the mark says so.",
    entries: ENTRIES,
};

const SETUP: &str = "https://learn.microsoft.com/dynamics365/fin-ops-core/dev-itpro/data-entities/dual-write/dual-write-troubleshooting-initial-setup";
const LCS: &str = "https://learn.microsoft.com/dynamics365/fin-ops-core/dev-itpro/data-entities/dual-write/lcs-setup";
const MODULE: &str = "https://learn.microsoft.com/dynamics365/fin-ops-core/dev-itpro/data-entities/dual-write/dual-write-troubleshooting-dual-write-module";
const PREREQUISITES: &str = "https://learn.microsoft.com/dynamics365/fin-ops-core/dev-itpro/data-entities/dual-write/requirements-and-prerequisites";
const CLIENTS: &str = "https://github.com/microsoft/Dual-write-automations";

/// The calls that name a link by its connection set, or something that belongs to it.
const READS_OF_A_LINK: &[Call] = &[
    Call::GetConnectionSet,
    Call::ListMaps,
    Call::ListSolutions,
    Call::GetPrerequisites,
    Call::GetMapStatus,
    Call::GetSolutionStatus,
];
const CHANGES_OF_A_LINK: &[Call] = &[
    Call::ResetLink,
    Call::StartMaps,
    Call::SwitchActiveVersion,
    Call::ApplySolution,
];
const LINKS: &[Call] = &[Call::CreateLink, Call::ResetLink];
/// What is never sent again by itself when its answer does not say what became of it.
const SENT_ONCE: &[Call] = &[Call::CreateLink, Call::ResetLink, Call::ApplySolution];

const fn told(
    sign: Sign,
    reason: &'static str,
    cause: &'static str,
    remedy: &'static str,
    source: &'static str,
) -> Entry {
    Entry::new(Api::DualWrite, sign, reason, cause, remedy, source)
}

/// What a status of these calls means, as far as it can be inferred.
const fn status(
    calls: &'static [Call],
    statuses: &'static [u16],
    reason: &'static str,
    cause: &'static str,
    remedy: &'static str,
) -> Entry {
    told(Sign::Status, reason, cause, remedy, CLIENTS)
        .of_calls(calls)
        .with_status(statuses)
        .marked(Evidence::Inferred)
}

static ENTRIES: &[Entry] = &[
    told(
        Sign::Words(&["DW9003", "connect to AX"]),
        "DualWriteConnectionFailed",
        "dual-write cannot get into finance and operations: its application there is missing, or lacks permissions.",
        "Check in finance and operations, System administration, Microsoft Entra ID applications, that 2e49aa60-1bd3-43b6-8ab6-03ada3d9f08b and 6f7d0213-62b1-43a8-b7f4-ff2bb8b7b452 have an enabled user with the roles of dual-write.",
        LCS,
    ),
    told(
        Sign::Words(&["DW9003", "connect to CRM"]),
        "DualWriteConnectionFailed",
        "dual-write cannot get into Dataverse: one of its application users there is missing, disabled, or lacks permissions.",
        "Check in the Power Platform admin center, the environment, Settings, Users + permissions, Application users, that 00000015-0000-0000-c000-000000000000 and 2e49aa60-1bd3-43b6-8ab6-03ada3d9f08b are active system administrators.",
        LCS,
    ),
    told(
        Sign::Codes(&["DW9003"]),
        "DualWriteConnectionFailed",
        "the dual-write service could not connect to one of the two sides.",
        "Check the application users of dual-write and their roles: in finance and operations under Microsoft Entra ID applications, for Dataverse in the Power Platform admin center under Application users.",
        LCS,
    ),
    told(
        Sign::Words(&["An item with the same key has already been added"]),
        "DuplicateCompanies",
        "two companies in Dataverse have the same name or code, or a blank one.",
        "Open the table Company (cdm_company) of the Dataverse in Power Apps, make names and codes unique and not blank, and try again.",
        SETUP,
    )
    .definitive(),
    told(
        Sign::Words(&["Saving connection set failed"]),
        "ConnectionSetNotSaved",
        "the dual-write service could not save the connection set.",
        "Read what the service says, and check companies (Power Apps, table Company), roles and licences of the account.",
        SETUP,
    )
    .definitive(),
    told(
        Sign::Words(&["is not discoverable"]),
        "EnvironmentNotDiscoverable",
        "the account does not see the finance and operations environment: it is of another tenant, or the environment is too old.",
        "Use an account of the environment's own tenant in the Kubernetes Secret; if it is one, update the finance and operations environment in LCS.",
        SETUP,
    ),
    told(
        Sign::Words(&["isn't discoverable"]),
        "EnvironmentNotDiscoverable",
        "the account does not see the finance and operations environment: it is of another tenant, or the environment is too old.",
        "Use an account of the environment's own tenant in the Kubernetes Secret; if it is one, update the finance and operations environment in LCS.",
        SETUP,
    ),
    told(
        Sign::Words(&["Failed to setup dual write environment", "403 (Forbidden)"]),
        "LicenceMissing",
        "two connections are made in Power Apps in the name of the account, and it has no licence for that.",
        "Assign a Power Apps licence to the account in the Microsoft 365 admin center, Users, then try again.",
        SETUP,
    ),
    told(
        Sign::Words(&["Error from token exchange"]),
        "LinkedDataverseGone",
        "the Dataverse that dual-write is linked to is not available, or was deleted.",
        "Enable or restore the environment in the Power Platform admin center; if it is gone for good, ask Microsoft support to mark the maps as not running.",
        MODULE,
    ),
    told(
        Sign::Words(&["tokenexchange"]),
        "AccessDenied",
        "the account has too few permissions on one side, or the Dataverse was reset while it was linked.",
        "Make the account system administrator in finance and operations and in the Power Platform admin center for the Dataverse; only the account that made the link can add maps.",
        MODULE,
    ),
    status(
        &[Call::GetLink],
        &[404],
        "DualWriteNotFound",
        "the dual-write service does not know this address, so it is that of another service or region, or dual-write has no consent in the tenant.",
        "Compare spec.dualWriteService.url with what the Dual-write page talks to; if it is right, look for 33976c19-1db5-4c02-810e-c243db79efde under Enterprise applications in the Microsoft Entra admin center, and have a tenant administrator consent to it.",
    ),
    // Learn, initial setup: a 404 while linking means that the consent is missing.
    told(
        Sign::Status,
        "DualWriteConsentMissing",
        "the dual-write service knows no such thing; while linking that means that dual-write has no consent in the tenant, or that its call has changed.",
        "Look for 33976c19-1db5-4c02-810e-c243db79efde under Enterprise applications in the Microsoft Entra admin center, and have a tenant administrator consent to it; if it is there, press \"Link to Power Platform environment\" in LCS instead.",
        SETUP,
    )
    .of_calls(&[Call::CreateLink])
    .with_status(&[404]),
    status(
        READS_OF_A_LINK,
        &[404],
        "LinkChanged",
        "the dual-write service does not know this connection set, map or request any more: the link was changed or reset since it was read.",
        "Wait: the link is read anew by itself. If it stays, open the Dual-write page and look whether the environment is linked.",
    )
    .class(Class::Transient),
    status(
        &[Call::SetIntegrationKeys],
        &[404],
        "DatasetNotFound",
        "the dual-write service has no tables of this environment under the name that its connection set gives.",
        "Press Refresh tables in a map on the Dual-write page, then set the integration keys there by hand (Integration key), or try again.",
    ),
    status(
        CHANGES_OF_A_LINK,
        &[404],
        "LinkChanged",
        "the dual-write service does not know this connection set, solution or map version: the link was changed or reset since the plan was made.",
        "Open the Dual-write page and look whether the environment is linked, and to which Dataverse; then try again.",
    ),
    status(
        &[Call::CreateLink],
        &[400, 405, 415, 422],
        "LinkCallRefused",
        "the dual-write service does not understand the request. No public source shows this call, so it may be wrong.",
        "Press \"Link to Power Platform environment\" in LCS, with spec.link.method: Manual; docs/linking.md says how to correct the call.",
    ),
    status(
        &[Call::ResetLink],
        &[400, 405, 415, 422],
        "ResetCallRefused",
        "the dual-write service does not understand the request.",
        "Reset the link on the Dual-write page by hand, and let the operator look again.",
    ),
    told(
        Sign::Status,
        "AccessDenied",
        "the dual-write account may not make this link.",
        "Make it system administrator in finance and operations and in Dataverse, give it a Power Apps licence in the Microsoft 365 admin center, and have a tenant administrator consent to dual-write.",
        PREREQUISITES,
    )
    .of_calls(LINKS)
    .with_status(&[403]),
    told(
        Sign::Status,
        "AccessDenied",
        "the dual-write account may not change maps, or the linked Dataverse is not available.",
        "Check that the linked Dataverse is enabled in the Power Platform admin center, and that the account is system administrator on both sides.",
        MODULE,
    )
    .of_calls(&[Call::StartMaps])
    .with_status(&[403]),
    told(
        Sign::Status,
        "AccessDenied",
        "only the account that made the link may add or change maps.",
        "Put the account that made the link into the Kubernetes Secret, or do this on the Dual-write page as that account.",
        MODULE,
    )
    .of_calls(&[Call::StartMaps, Call::SwitchActiveVersion, Call::ApplySolution, Call::SetIntegrationKeys])
    .with_status(&[401]),
    told(
        Sign::Status,
        "AccessDenied",
        "the dual-write account may not do this.",
        "Make it system administrator in finance and operations and, in the Power Platform admin center, in Dataverse, and give it a Power Apps licence.",
        SETUP,
    )
    .with_status(&[403]),
    told(
        Sign::Status,
        "AccessDenied",
        "the dual-write service did not accept the account.",
        "Sign in to the Dual-write page with the account once, and check its roles in finance and operations and in Dataverse.",
        MODULE,
    )
    .with_status(&[401]),
    status(
        SENT_ONCE,
        &[503],
        "TooManyRequests",
        "the dual-write service is busy; whether it has begun is not known.",
        "Wait: the operator looks whether it has taken effect, and says what it finds.",
    )
    .class(Class::Transient),
    status(
        &[],
        &[429, 503],
        "TooManyRequests",
        "the dual-write service is busy, or asks to be left alone for a while.",
        "Wait: it is tried again by itself, when the service allows.",
    )
    .class(Class::Transient),
    status(
        &[],
        &[409, 423],
        "DualWriteBusy",
        "something else is running for this link.",
        "Wait: it is tried again by itself.",
    )
    .class(Class::Busy),
];
