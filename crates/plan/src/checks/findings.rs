//! What each check finds.

use std::collections::BTreeMap;

use crate::{
    messages,
    observed::{ApplicationUser, Companies, Company, DataverseSays, Fact, Problem, Tier},
    picture::{Link, Picture, Setup},
    world::World,
};

use dualwrite_api::connection::FailureClass;

/// More companies than these cannot be linked [D].
pub const MOST_COMPANIES: usize = 250;

/// The application of finance and operations; not needed by cloud-hosted development environments [D].
pub const FINANCE_AND_OPERATIONS: &str = "00000015-0000-0000-c000-000000000000";

/// The Data Integrator.
pub const DATA_INTEGRATOR: &str = "2e49aa60-1bd3-43b6-8ab6-03ada3d9f08b";

/// Dual-write's own applications. Microsoft's pages ask for them in finance and operations, and the health check has
/// been seen to look for them in Dataverse too: so one that is there has to be enabled, and one that is not is no fault.
pub const DUAL_WRITE: [&str; 2] = [
    "6f7d0213-62b1-43a8-b7f4-ff2bb8b7b452",
    "33976c19-1db5-4c02-810e-c243db79efde",
];

/// What one check finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// As it should be.
    Passed(String),
    /// Not as it should be, and how to mend it.
    Failed(String),
    /// It cannot be said, and why.
    Open(String),
    /// It was not read in this pass.
    Unread,
}

impl Finding {
    /// Why nothing can be said. What heals by itself says nothing, so that what was known stays.
    pub(super) fn unknown(problem: &Problem) -> Self {
        match problem.class {
            FailureClass::Transient | FailureClass::Busy => Self::Unread,
            FailureClass::NeedsPerson | FailureClass::Unexpected => {
                Self::Open(problem.message.clone())
            }
        }
    }
}

pub(super) fn reachable(world: &World<'_>) -> Finding {
    match &world.observed.dataverse {
        Fact::Known(DataverseSays::IntegratedWith { .. } | DataverseSays::NotIntegrated) => {
            Finding::Passed(messages::check_dataverse_reachable())
        }
        Fact::Unknown(problem) if problem.is_for_a_person() => {
            Finding::Failed(problem.message.clone())
        }
        Fact::Unknown(problem) => Finding::unknown(problem),
    }
}

pub(super) fn application_users(picture: &Picture<'_>) -> Finding {
    match &picture.world.observed.preflight.users {
        Fact::Known(users) => {
            let is_development = picture.host_tier == Tier::Development;
            let is_set_up = picture.setup.is_complete() == Some(true);
            users_in_place(users, is_development, is_set_up)
        }
        Fact::Unknown(problem) => Finding::unknown(problem),
    }
}

/// A user that is disabled is a fault at any time. One that is missing is a fault only once setup is complete: LCS makes
/// them with the dual-write application.
pub(super) fn users_in_place(
    users: &[ApplicationUser],
    is_development: bool,
    set_up: bool,
) -> Finding {
    let of = |id: &str| {
        users
            .iter()
            .filter(|user| user.application_id.eq_ignore_ascii_case(id))
            .map(|user| user.disabled)
            .min()
    };
    let needed: Vec<&str> = [FINANCE_AND_OPERATIONS, DATA_INTEGRATOR]
        .into_iter()
        .filter(|id| !(is_development && *id == FINANCE_AND_OPERATIONS))
        .collect();
    let missing: Vec<&str> = needed
        .iter()
        .copied()
        .filter(|id| of(id).is_none())
        .collect();
    let disabled: Vec<&str> = needed
        .iter()
        .copied()
        .chain(DUAL_WRITE)
        .filter(|id| of(id) == Some(true))
        .collect();
    match (missing.is_empty(), disabled.is_empty(), set_up) {
        (true, true, _) => Finding::Passed(messages::check_users_in_place()),
        (false, true, false) => Finding::Open(messages::check_users_not_yet(&missing)),
        (_, false, false) => Finding::Failed(messages::check_users(&[], &disabled)),
        (_, _, true) => Finding::Failed(messages::check_users(&missing, &disabled)),
    }
}

pub(super) fn company_names(companies: &Companies, _: &[String]) -> Finding {
    let blank = companies
        .rows
        .iter()
        .filter(|company| company.code.is_none() || company.name.is_none())
        .count();
    let mut doubled = doubled(companies, |company| company.code.as_deref());
    doubled.extend(self::doubled(companies, |company| company.name.as_deref()));
    if blank > 0 || !doubled.is_empty() {
        return Finding::Failed(messages::check_company_names(blank, &doubled));
    }
    if companies.complete {
        Finding::Passed(messages::check_company_names_fine())
    } else {
        Finding::Open(messages::check_companies_incomplete(companies.rows.len()))
    }
}

/// What several companies have in common; people tell neither case nor spaces around.
fn doubled(
    companies: &Companies,
    of: impl for<'a> Fn(&'a Company) -> Option<&'a str>,
) -> Vec<String> {
    let mut seen = BTreeMap::new();
    for text in companies.rows.iter().filter_map(of) {
        let (times, _) = seen
            .entry(text.trim().to_lowercase())
            .or_insert((0_usize, text.trim()));
        *times += 1;
    }
    seen.into_values()
        .filter(|(times, _)| *times > 1)
        .map(|(_, text)| text.to_owned())
        .collect()
}

/// Too many matter only where nobody has chosen some of them.
pub(super) fn company_count(companies: &Companies, wanted: &[String]) -> Finding {
    let count = companies.rows.len();
    if wanted.len() > MOST_COMPANIES || (wanted.is_empty() && count > MOST_COMPANIES) {
        return Finding::Failed(messages::check_company_count(count.max(wanted.len())));
    }
    Finding::Passed(messages::check_company_count_fine(count, wanted.len()))
}

/// An empty table says nothing: dual-write itself brings the companies, with the map of companies.
pub(super) fn legal_entities(companies: &Companies, wanted: &[String]) -> Finding {
    let codes: Vec<&str> = companies
        .rows
        .iter()
        .filter_map(|company| company.code.as_deref())
        .map(str::trim)
        .collect();
    let missing: Vec<&String> = wanted
        .iter()
        .filter(|code| !codes.iter().any(|known| known.eq_ignore_ascii_case(code)))
        .collect();
    if missing.is_empty() {
        Finding::Passed(messages::check_legal_entities_fine())
    } else if companies.rows.is_empty() {
        Finding::Open(messages::check_no_companies_yet())
    } else if companies.complete {
        Finding::Failed(messages::check_legal_entities(&missing))
    } else {
        Finding::Open(messages::check_companies_incomplete(companies.rows.len()))
    }
}

pub(super) fn package_versions(setup: &Setup<'_>) -> Finding {
    let needed = match setup {
        Setup::Known(needed) => needed,
        Setup::Unknown(problem) => return Finding::unknown(problem),
    };
    let mut outdated = Vec::new();
    for needed in needed {
        let Some(package) = needed.package.filter(|_| needed.is_installed()) else {
            return Finding::Open(messages::check_packages_not_installed());
        };
        if let Some(newer) = &package.available_version {
            let version = package.version.as_deref().unwrap_or("?");
            outdated.push(format!("{} {version}, offered {newer}", package.name));
        }
    }
    if outdated.is_empty() {
        Finding::Passed(messages::check_packages_fine())
    } else {
        Finding::Failed(messages::check_packages(&outdated))
    }
}

/// Only the account that made the link may add maps [D]. Who made it is known only where this operator did.
pub(super) fn linking_identity(picture: &Picture<'_>) -> Option<Finding> {
    let world = picture.world;
    let seen = world.memory.observed.link.as_ref()?;
    let linked_by = seen.linked_by.as_deref()?;
    let still_there = match picture.link {
        Link::To(link) => world.seen_before(link).is_some(),
        Link::NotObserved
        | Link::Refused(_)
        | Link::Unknown(_)
        | Link::NotSeen(..)
        | Link::Absent(_) => true,
    };
    let finding = match world.observed.preflight.account.as_deref() {
        None => Finding::Unread,
        Some(account) if account.eq_ignore_ascii_case(linked_by) => {
            Finding::Passed(messages::check_linking_identity_fine(linked_by))
        }
        Some(account) => Finding::Failed(messages::check_linking_identity(linked_by, account)),
    };
    still_there.then_some(finding)
}
