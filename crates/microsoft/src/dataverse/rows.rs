//! Rows of a Dataverse that matter before a link: the application users that dual-write needs, and the companies.

use super::super::auth::{Audience, Session, bad_url};
use super::super::clouds::AllowedHost;
use super::super::error::{Call, CallError};
use super::super::paging::{self, Pages};

const USERS: Call = Call::ListSystemUsers;
const COMPANIES: Call = Call::ListCompanies;
/// More companies than anybody links; those beyond are not read, and then nothing is said to be missing.
const MOST_COMPANIES: usize = 2_000;
/// Each application has one user, as a rule.
const MOST_USERS: usize = 500;

/// An application user of a Dataverse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplicationUser {
    /// The id of its application.
    pub application_id: String,
    /// Whether it is disabled.
    pub disabled: bool,
}

/// A company of the table `cdm_company`. A blank text is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Company {
    /// Its code, such as USMF.
    pub code: Option<String>,
    /// Its name.
    pub name: Option<String>,
}

/// Rows, and whether they are all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows<T> {
    /// Those that were read.
    pub rows: Vec<T>,
    /// Whether every row was read and understood.
    pub complete: bool,
}

/// `GET {instance}/api/data/v9.2/systemusers`, of these applications only.
///
/// \[D\] Learn, Dataverse Web API and its table `SystemUser`; which applications dual-write needs: Learn, "System
/// requirements and prerequisites" of dual-write.
///
/// # Errors
/// A page could not be read; a 403 has the reason `AccessDenied`.
pub async fn application_users(
    session: &Session,
    host: &AllowedHost,
    applications: &[&str],
) -> Result<Rows<ApplicationUser>, CallError> {
    let filter: Vec<String> = applications
        .iter()
        .map(|id| format!("applicationid eq {id}"))
        .collect();
    let query = [
        ("$select", "applicationid,isdisabled"),
        ("$filter", &filter.join(" or ")),
    ];
    let table = (USERS, "systemusers");
    rows(session, host, table, &query, MOST_USERS, |fields| {
        Some(ApplicationUser {
            application_id: fields.text("applicationid").ok()??,
            disabled: fields.flag("isdisabled").ok()?.unwrap_or(false),
        })
    })
    .await
}

/// `GET {instance}/api/data/v9.2/cdm_companies`
///
/// \[D\] Learn, Dataverse Web API; the table comes with dual-write's own solutions.
///
/// # Errors
/// A page could not be read; a 404 says that there is no such table.
pub async fn companies(session: &Session, host: &AllowedHost) -> Result<Rows<Company>, CallError> {
    let query = [("$select", "cdm_companycode,cdm_name")];
    let table = (COMPANIES, "cdm_companies");
    rows(session, host, table, &query, MOST_COMPANIES, |fields| {
        let text = |name| {
            let text = fields.text(name).ok()?;
            Some(text.filter(|text| !text.trim().is_empty()))
        };
        Some(Company {
            code: text("cdm_companycode")?,
            name: text("cdm_name")?,
        })
    })
    .await
}

async fn rows<T>(
    session: &Session,
    host: &AllowedHost,
    (call, table): (Call, &str),
    query: &[(&str, &str)],
    most: usize,
    parse: impl Fn(crate::json::Fields<'_>) -> Option<T>,
) -> Result<Rows<T>, CallError> {
    let first = host
        .url(&["api", "data", "v9.2", table], query)
        .map_err(|bad| bad_url(call, host, bad))?;
    let audience = Audience::Dataverse(host.clone());
    let Pages {
        items,
        unreadable,
        reached_end,
    } = paging::all(session, call, &audience, first, most, parse).await?;
    Ok(Rows {
        complete: reached_end && unreadable == 0,
        rows: items,
    })
}
