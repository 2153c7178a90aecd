//! The table of calls: which host, method and path is which call, and who answers it.
//!
//! Adding a call is one row here and its handler.

use http::Method;

use crate::reply::Reply;
use crate::world::{Identity, World};
use crate::{dataverse, dual_write, entra, finance_operations, packages, power_platform};

/// What kind of service answers at a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HostKind {
    Authority,
    PowerPlatform,
    Dataverse,
    DualWrite,
    FinanceOperations,
    Unknown,
}

/// One call in hand.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) host: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: &'a [(String, String)],
    pub(crate) body: &'a [u8],
    /// The parts of the path that the row leaves open, in order.
    pub(crate) open: Vec<String>,
    pub(crate) identity: Identity,
}

impl Call<'_> {
    /// An open part of the path.
    pub(crate) fn part(&self, position: usize) -> &str {
        self.open.get(position).map_or("", String::as_str)
    }

    /// A query parameter, its name in any casing.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The body as JSON; none if it is not.
    pub(crate) fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(self.body).ok()
    }
}

type Handler = fn(&mut World, &Call<'_>) -> Reply;

/// A row of the table.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) call: &'static str,
    pub(crate) host: HostKind,
    pub(crate) method: Method,
    path: &'static str,
    /// It changes something, and so goes into the journal.
    pub(crate) mutates: bool,
    pub(crate) handler: Handler,
}

/// The name under which everything else is counted.
pub(crate) const UNKNOWN: &str = "unknown";

const fn read(call: &'static str, host: HostKind, path: &'static str, handler: Handler) -> Route {
    Route {
        call,
        host,
        method: Method::GET,
        path,
        mutates: false,
        handler,
    }
}

const fn ask(call: &'static str, host: HostKind, path: &'static str, handler: Handler) -> Route {
    Route {
        call,
        host,
        method: Method::POST,
        path,
        mutates: false,
        handler,
    }
}

const fn change(call: &'static str, host: HostKind, path: &'static str, handler: Handler) -> Route {
    Route {
        call,
        host,
        method: Method::POST,
        path,
        mutates: true,
        handler,
    }
}

use HostKind::{Authority, Dataverse, DualWrite, FinanceOperations, PowerPlatform};

#[rustfmt::skip]
static ROUTES: &[Route] = &[
    ask("deviceCode", Authority, "/{tenant}/oauth2/v2.0/devicecode", entra::device_code),
    ask("token", Authority, "/{tenant}/oauth2/v2.0/token", entra::token),

    read("listEnvironments", PowerPlatform, "/environmentmanagement/environments", power_platform::list),
    read("getEnvironment", PowerPlatform, "/environmentmanagement/environments/{id}", power_platform::get),
    read("listApplicationPackages", PowerPlatform, "/appmanagement/environments/{id}/applicationPackages", packages::list),
    change("installApplication", PowerPlatform, "/appmanagement/environments/{id}/applicationPackages/{name}/install", packages::install),
    read("getOperation", PowerPlatform, "/appmanagement/environments/{id}/operations/{operation}", packages::operation),

    read("retrieveIntegrationDetails", Dataverse, "/api/data/v9.2/RetrieveFinanceAndOperationsIntegrationDetails", dataverse::integration_details),
    read("retrieveIntegrationDetails", Dataverse, "/api/data/v9.2/RetrieveFinanceAndOperationsIntegrationDetails()", dataverse::integration_details),
    read("listSystemUsers", Dataverse, "/api/data/v9.2/systemusers", dataverse::system_users),
    read("listCompanies", Dataverse, "/api/data/v9.2/cdm_companies", dataverse::companies),
    read("whoAmI", Dataverse, "/api/data/v9.2/WhoAmI", dataverse::who_am_i),
    read("whoAmI", Dataverse, "/api/data/v9.2/WhoAmI()", dataverse::who_am_i),

    read("version", DualWrite, "/api/DualWriteManagement/1.0/Version", dual_write::link::version),
    read("getLink", DualWrite, "/api/DualWriteManagement/1.0/Environments", dual_write::link::get),
    change("createLink", DualWrite, "/api/DualWriteManagement/1.0/Environments", dual_write::link::create),
    read("getConnectionSet", DualWrite, "/api/ConnectionSet/{cname}", dual_write::connection_set::get),
    change("resetLink", DualWrite, "/api/ConnectionSet/{cid}/Reset", dual_write::reset::reset),
    read("listMaps", DualWrite, "/api/DualWriteManagement/1.0/Entities", dual_write::maps::list),
    change("startMaps", DualWrite, "/api/DualWriteManagement/1.0/Start", dual_write::map_actions::start),
    read("getMapStatus", DualWrite, "/api/DualWriteManagement/1.0/Status/{request}", dual_write::maps::status),
    read("listSolutions", DualWrite, "/api/DualWriteManagement/1.0/SolutionAware/{cid}/Solutions", dual_write::solutions::list),
    change("applySolution", DualWrite, "/api/DualWriteManagement/1.0/SolutionAware/{cid}/RestoreTemplates", dual_write::solutions::apply),
    read("getSolutionStatus", DualWrite, "/api/DualWriteManagement/1.0/SolutionAware/{cid}/Status/{request}", dual_write::solutions::status),
    change("switchActiveVersion", DualWrite, "/api/DualWriteManagement/1.0/SolutionAware/{cid}/SwitchActive/{template}", dual_write::maps::switch_active),
    ask("getPrerequisites", DualWrite, "/api/DualWriteManagement/1.0/GetTemplatePrerequisiteSequences/{cid}", dual_write::maps::prerequisites),
    read("getFieldMappings", DualWrite, "/api/DualWriteManagement/1.0/{pid}/FieldMappings", dual_write::projects::field_mappings),
    change("refreshFieldMapping", DualWrite, "/api/Project/{name}/Refresh", dual_write::projects::refresh),
    change("setIntegrationKeys", DualWrite, "/api/dataset/{name}/IntegrationKeys", dual_write::projects::set_keys),
    read("getCompanyExecutions", DualWrite, "/api/ProjectExecutionWithCompanies/{pid}", dual_write::projects::executions),

    read("financeOperationsRoot", FinanceOperations, "/", finance_operations::root),
];

/// All names of calls.
pub(crate) fn names() -> Vec<&'static str> {
    let mut names: Vec<_> = ROUTES.iter().map(|route| route.call).collect();
    names.push(UNKNOWN);
    names.dedup();
    names
}

/// The row of a request and the open parts of its path.
pub(crate) fn find(
    kind: HostKind,
    method: &Method,
    path: &str,
) -> Option<(&'static Route, Vec<String>)> {
    ROUTES
        .iter()
        .filter(|route| route.host == kind && route.method == *method)
        .find_map(|route| Some((route, open_parts(route.path, path)?)))
}

fn open_parts(pattern: &str, path: &str) -> Option<Vec<String>> {
    let mut open = Vec::new();
    let mut wanted = segments(pattern);
    let mut given = segments(path);
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(open),
            (Some(pattern), Some(part)) if pattern.starts_with('{') => open.push(decoded(part)),
            (Some(pattern), Some(part)) if pattern.eq_ignore_ascii_case(part) => {}
            _ => return None,
        }
    }
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|segment| !segment.is_empty())
}

/// Undoes percent encoding.
fn decoded(part: &str) -> String {
    // A plus sign is itself in a path, and a space in the form encoding that is used to decode it.
    let escaped = format!("_={}", part.replace('+', "%2B"));
    url::form_urlencoded::parse(escaped.as_bytes())
        .next()
        .map_or_else(|| part.to_owned(), |(_, value)| value.into_owned())
}
