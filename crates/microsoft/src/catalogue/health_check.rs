//! The codes of the dual-write health check. The service also shows them when a link or a reset fails.
//!
//! Source: Learn, "Dual-write health check" [D].

use super::{Area, Entry, Sign};
use crate::error::Api;

pub(super) const AREA: Area = Area {
    title: "Health check of dual-write",
    about: "\"Health check\" on the Dual-write page shows these, and so does a link or a reset that fails.",
    entries: ENTRIES,
};

const HEALTH_CHECK: &str = "https://learn.microsoft.com/dynamics365/fin-ops-core/dev-itpro/data-entities/dual-write/dual-write-health-check";
const LIVE_SYNC: &str = "https://learn.microsoft.com/dynamics365/fin-ops-core/dev-itpro/data-entities/dual-write/dual-write-troubleshooting-live-sync";

const fn code(
    codes: &'static [&'static str],
    reason: &'static str,
    cause: &'static str,
    remedy: &'static str,
    source: &'static str,
) -> Entry {
    Entry::new(
        Api::DualWrite,
        Sign::Codes(codes),
        reason,
        cause,
        remedy,
        source,
    )
}

static ENTRIES: &[Entry] = &[
    code(
        &["DWDVEV1001"],
        "DualWriteConnectionMissing",
        "the connection that dual-write uses for Dataverse is gone, most often because somebody deleted it in Power Apps.",
        "Reset the link on the Dual-write page, which makes the connection anew and clears the configuration of dual-write: note maps and solutions first.",
        HEALTH_CHECK,
    ),
    code(
        &["DWFOEV1001"],
        "DualWriteConnectionMissing",
        "the connection that dual-write uses for finance and operations is gone, most often because somebody deleted it in Power Apps.",
        "Reset the link on the Dual-write page, which makes the connection anew and clears the configuration of dual-write: note maps and solutions first.",
        HEALTH_CHECK,
    ),
    code(
        &["DWDVEV1003"],
        "CompanyMismatch",
        "a company of the link does not exist in the table Company (cdm_company) of Dataverse.",
        "Remove the companies that the message names on the Dual-write page, Environment details, Legal entities; or add them in Dataverse.",
        HEALTH_CHECK,
    ),
    code(
        &["DWFOEV1003"],
        "CompanyMismatch",
        "a company of the link does not exist in finance and operations.",
        "Remove the companies that the message names on the Dual-write page, Environment details, Legal entities.",
        HEALTH_CHECK,
    ),
    code(
        &["DWDVEV1004"],
        "StaleConfiguration",
        "Dataverse still has runtime configurations of another link, most often after a copy, a restore or an unlinking.",
        "Delete the rows of the other link from the table Dual Write Runtime Configurations in Power Apps, then stop and start the maps on the Dual-write page.",
        LIVE_SYNC,
    ),
    code(
        &["DWFOEV1004"],
        "StaleConfiguration",
        "finance and operations still has configurations of another link, most often after a copy, a restore or an unlinking.",
        "Delete the rows of the other link from DualWriteProjectConfiguration and DualWriteProjectFieldConfiguration in finance and operations, then stop and start the maps on the Dual-write page.",
        LIVE_SYNC,
    ),
    code(
        &["DWFOEV1006"],
        "TeamName",
        "the default team of the root business unit was renamed after the link was made; rows of an initial sync would get no owner.",
        "Give the team the name of its business unit again (Power Platform admin center, the environment, Settings, Teams); otherwise reset the link, or ask Microsoft support to correct the connection.",
        HEALTH_CHECK,
    ),
    code(
        &["DWDVEV1007"],
        "DefaultOwningTeam",
        "a company in Dataverse has no default owning team.",
        "Set Default owning team for each company in the table Company in Power Apps, and give that team the security roles that dual-write needs.",
        HEALTH_CHECK,
    ),
];
