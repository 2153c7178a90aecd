//! What keeps a table map from being saved, started or synchronised.
//!
//! Sources: Learn, "Error codes for dual-write and Data Integrator" [D] for `DIPV…`; the troubleshooting pages for
//! initial synchronization, live synchronization, the dual-write module and upgrades [D] for the texts.

use super::{Area, Entry, Evidence, Sign};
use crate::error::Api;

pub(super) const AREA: Area = Area {
    title: "Table maps",
    about: "The dual-write service shows these when a map is saved, started or synchronised.",
    entries: ENTRIES,
};

const VALIDATION: &str = "https://learn.microsoft.com/dynamics365/fin-ops-core/dev-itpro/data-entities/dual-write/dual-write-error-codes";
const KEYS: &str = "https://learn.microsoft.com/dynamics365/fin-ops-core/dev-itpro/data-entities/dual-write/dual-write-integration-keys";
const MODULE: &str = "https://learn.microsoft.com/dynamics365/fin-ops-core/dev-itpro/data-entities/dual-write/dual-write-troubleshooting-dual-write-module";
const UPGRADES: &str = "https://learn.microsoft.com/dynamics365/fin-ops-core/dev-itpro/data-entities/dual-write/dual-write-troubleshooting-finops-upgrades";
const INITIAL_SYNC: &str = "https://learn.microsoft.com/dynamics365/fin-ops-core/dev-itpro/data-entities/dual-write/dual-write-troubleshooting-initial-sync";
const LIVE_SYNC: &str = "https://learn.microsoft.com/dynamics365/fin-ops-core/dev-itpro/data-entities/dual-write/dual-write-troubleshooting-live-sync";
const SETUP: &str = "https://learn.microsoft.com/dynamics365/fin-ops-core/dev-itpro/data-entities/dual-write/dual-write-troubleshooting-initial-setup";
const RELINK: &str =
    "https://github.com/MicrosoftDocs/dynamics-365-unified-operations-public/issues/2427";

const fn told(
    sign: Sign,
    reason: &'static str,
    cause: &'static str,
    remedy: &'static str,
    source: &'static str,
) -> Entry {
    Entry::new(Api::DualWrite, sign, reason, cause, remedy, source)
}

/// A code of the validation of maps.
const fn code(
    codes: &'static [&'static str],
    reason: &'static str,
    cause: &'static str,
    remedy: &'static str,
) -> Entry {
    told(Sign::Codes(codes), reason, cause, remedy, VALIDATION)
}

static ENTRIES: &[Entry] = &[
    code(
        &["DIPV1000"],
        "DualWriteConnectionMissing",
        "the connections that dual-write uses are no longer valid; the message has the cause.",
        "Mend the connections in Power Apps, Connections, as the account that made the link; otherwise reset the link on the Dual-write page.",
    ),
    code(
        &["DIPV1001", "DIPV1006"],
        "TableMapFault",
        "the validation of the map has met a fault of its own.",
        "Ask Microsoft support, with the text and the correlation id.",
    ),
    code(
        &["DIPV1002"],
        "TableMapInvalid",
        "one side of the map is shared by all companies, and the other belongs to single ones.",
        "Turn off cross-company data sharing for the table in finance and operations, or choose another table for the map on the Dual-write page.",
    ),
    told(
        Sign::Codes(&["DIPV1003"]),
        "IntegrationKeyInvalid",
        "the Dataverse table of the map has no integration key.",
        "Add an alternate key to the table in Power Apps, then press Refresh tables in the map on the Dual-write page.",
        KEYS,
    ),
    told(
        Sign::Codes(&["DIPV1004"]),
        "IntegrationKeyInvalid",
        "a column of the integration key is mapped in one direction only.",
        "Open the map on the Dual-write page, and map every column of the integration key in both directions.",
        KEYS,
    ),
    code(
        &["DIPV1005", "DIPV1016", "DIPV1017"],
        "ConnectionSetBroken",
        "the connection set of dual-write is incomplete or broken.",
        "Reset the link on the Dual-write page, which clears the configuration of dual-write: note maps and solutions first.",
    ),
    code(
        &["DIPV1007"],
        "TableMapInvalid",
        "the project names an environment that its connection set does not have.",
        "Make the data integration project anew in the Power Platform admin center, Data integration.",
    ),
    code(
        &["DIPV1008"],
        "CompanyMismatch",
        "a company or a business unit of the link was deleted or renamed.",
        "Give it its old name again in finance and operations or in Dataverse; otherwise reset the link on the Dual-write page.",
    ),
    code(
        &["DIPV1010"],
        "TableMapInvalid",
        "a mandatory column of the target is not mapped.",
        "Open the map on the Dual-write page, and map every mandatory column.",
    ),
    code(
        &["DIPV1011"],
        "TableMapInvalid",
        "a read-only column of the target is mapped.",
        "Open the map on the Dual-write page, and map read-only columns away from the target only.",
    ),
    code(
        &["DIPV1012"],
        "TableMapInvalid",
        "the filter on the Dataverse side cannot be read.",
        "Open the map on the Dual-write page, press the filter of the Dataverse side, and correct its syntax and its column names.",
    ),
    told(
        Sign::Codes(&["DIPV1014", "DIPV1015", "DIPV1027", "DIPV1028"]),
        "IntegrationKeyInvalid",
        "a column of the integration key, or of the key of a table that it looks up, is not mapped.",
        "Open the map on the Dual-write page, and map every column of the key; for a lookup also the key columns of the other table.",
        KEYS,
    ),
    code(
        &["DIPV1018", "DIPV1020", "DIPV1022", "DIPV1025"],
        "SchemaOutdated",
        "dual-write does not know the present columns of a table.",
        "Press Refresh tables in the map on the Dual-write page; for finance and operations before that Data management, Framework parameters, Entity settings, Refresh entity list.",
    ),
    code(
        &["DIPV1019"],
        "TableMapInvalid",
        "the Dataverse table is of a kind that dual-write does not support: it has no versionnumber column.",
        "Choose another table for the map on the Dual-write page; virtual and elastic tables do not work.",
    ),
    code(
        &["DIPV1021", "DIPV1024"],
        "TableMapInvalid",
        "a row of the map has no source or no destination column.",
        "Open the map on the Dual-write page, and fill in or delete the row; a source that is not needed can be a default value.",
    ),
    code(
        &["DIPV1023", "DIPV1026", "DIPV1029"],
        "TableMapInvalid",
        "a column, or a pair of columns, is mapped twice.",
        "Open the map on the Dual-write page, and delete the row that is double.",
    ),
    code(
        &["DIPV1030"],
        "TableMapInvalid",
        "two columns of the map have types that do not fit.",
        "Open the map on the Dual-write page, and choose columns whose types fit, or add a value map.",
    ),
    code(
        &["DIPV1031"],
        "TableMapInvalid",
        "a mandatory column has no default value.",
        "Open the map on the Dual-write page, and add a default value to the column.",
    ),
    told(
        Sign::Words(&["Exceeds the maximum partitions allowed"]),
        "TooManyCompanies",
        "more than about 250 companies are linked.",
        "Remove companies on the Dual-write page, Environment details, Legal entities, until at most 250 are left.",
        SETUP,
    ),
    told(
        Sign::Words(&["has version mismatch"]),
        "SolutionOutdated",
        "a dual-write solution in Dataverse is older than the map needs.",
        "Update the solution that the message names in the Power Platform admin center, Dynamics 365 apps of the environment; then press Apply solution on the Dual-write page.",
        MODULE,
    ),
    told(
        Sign::Words(&["Unable to build dual-write lookup metadata"]),
        "TableMapPrerequisite",
        "a map that this one depends on does not run, or a column is missing.",
        "Start the related table maps first on the Dual-write page, then press Refresh tables in this map.",
        MODULE,
    ),
    told(
        Sign::Words(&["Missing source field"]),
        "SchemaOutdated",
        "a column of the map does not exist in finance and operations, or is not known to dual-write.",
        "Press Refresh entity list in finance and operations (Data management, Framework parameters, Entity settings), then Refresh tables in the map on the Dual-write page.",
        UPGRADES,
    ),
    told(
        Sign::Words(&["(403) Forbidden", "AX export encountered an error"]),
        "DualWriteConnectionFailed",
        "finance and operations refuses the Data Integrator application.",
        "Delete the Data Integrator client (2e49aa60-1bd3-43b6-8ab6-03ada3d9f08b) in finance and operations, System administration, Microsoft Entra ID applications, and add it again.",
        INITIAL_SYNC,
    ),
    told(
        Sign::Words(&["AX export encountered an error"]),
        "ExportFailed",
        "finance and operations could not export the rows, most often because its import and export service does not run.",
        "Look at the job in finance and operations, Data management; restart the Data import export framework service of a development machine, and ask Microsoft support about any other environment.",
        INITIAL_SYNC,
    ),
    told(
        Sign::Words(&["Couldn't resolve the guid for the field"]),
        "ReferenceMissing",
        "a row refers to another one that is not in Dataverse yet; maps that refer to themselves or to each other do so in their first synchronisation.",
        "Synchronise the referred table first on the Dual-write page; for a circle, take the referring columns out of the map, synchronise, and put them in again.",
        INITIAL_SYNC,
    ),
    told(
        Sign::Words(&["Unable to write data to entity"]),
        "ReferenceMissing",
        "Dataverse refuses a row, most often because reference data is missing there, and finance and operations then refuses to save it.",
        "Look on the Dual-write page, Activity log, for the row; create the reference data in Dataverse or synchronise its map first.",
        LIVE_SYNC,
    ),
    told(
        Sign::Words(&["SecureConfig"]),
        "StaleConfiguration",
        "the plug-ins of dual-write still have the configuration of another environment, most often after a copy or restore.",
        "Delete the rows of the other link from the table Dual Write Runtime Configurations in Power Apps, then stop and start the maps on the Dual-write page.",
        RELINK,
    )
    .marked(Evidence::Observed),
    told(
        Sign::Words(&["Unable to generate payload for entity"]),
        "StaleConfiguration",
        "the configuration of dual-write in finance and operations does not name the Dataverse of today, because it was reset or exchanged.",
        "Delete the rows with the wrong address from DualWriteProjectConfiguration and DualWriteProjectFieldConfiguration in finance and operations, then stop and start the map on the Dual-write page.",
        LIVE_SYNC,
    ),
    told(
        Sign::Codes(&["0x80072560"]),
        "DualWriteConnectionFailed",
        "an application user of dual-write is missing in Dataverse, or lacks its role.",
        "Add the application users that docs/credentials.md lists in the Power Platform admin center, the environment, Settings, Users + permissions, Application users, as system administrators.",
        LIVE_SYNC,
    ),
];
