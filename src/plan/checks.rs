//! What can be seen from outside before a link is made, and later from time to time: is everything in place that
//! dual-write needs?
//!
//! A check advises and blocks nothing. One that cannot be read says so; what is known stays through a blip.

use std::collections::BTreeMap;

use super::{
    messages,
    observed::{DataverseSays, Fact, PackageState, Problem, Tier},
    world::{Link, World},
};
use crate::api::{
    conditions,
    connection::{Check, CheckName, CheckStatus, FailureClass},
};

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

/// What was read for the checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preflight {
    /// The users of dual-write's applications in the Dataverse of the spec; those that do not exist are missing.
    pub users: Fact<Vec<ApplicationUser>>,
    /// The companies in the Dataverse of the spec.
    pub companies: Fact<Companies>,
    /// The account that uses the dual-write service now.
    pub account: Option<String>,
}

impl Preflight {
    /// Nothing of it was read.
    pub fn unread(problem: &Problem) -> Self {
        Self {
            users: Fact::Unknown(problem.clone()),
            companies: Fact::Unknown(problem.clone()),
            account: None,
        }
    }
}

/// An application user of a Dataverse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplicationUser {
    /// The id of its application.
    pub application_id: String,
    /// Whether it is disabled.
    pub disabled: bool,
}

/// The companies of a Dataverse.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Companies {
    /// Those that were read.
    pub rows: Vec<Company>,
    /// Whether these are all.
    pub complete: bool,
}

/// A company.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Company {
    /// Its code; a blank one is none.
    pub code: Option<String>,
    /// Its name; a blank one is none.
    pub name: Option<String>,
}

/// What one check finds.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Finding {
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
    fn unknown(problem: &Problem) -> Self {
        match problem.class {
            FailureClass::Transient | FailureClass::Busy => Self::Unread,
            FailureClass::NeedsPerson | FailureClass::Unexpected => {
                Self::Open(problem.message.clone())
            }
        }
    }
}

/// The checks as they are shown, in the order of [`CheckName`].
pub fn judge(world: &World<'_>) -> Vec<Check> {
    let known = &world.memory.checks;
    // Without S there is nothing to check; what was known stays.
    if world.environment().is_none() {
        return known.clone();
    }
    let preflight = &world.observed.preflight;
    let wanted = &world.desired.legal_entities;
    let of_companies = |judge: fn(&Companies, &[String]) -> Finding| match &preflight.companies {
        Fact::Known(companies) => judge(companies, wanted),
        Fact::Unknown(problem) => Finding::unknown(problem),
    };
    let findings = [
        (CheckName::DataverseReachable, Some(reachable(world))),
        (CheckName::ApplicationUsers, Some(application_users(world))),
        (CheckName::CompanyNames, Some(of_companies(company_names))),
        (CheckName::CompanyCount, Some(of_companies(company_count))),
        (
            CheckName::LegalEntities,
            (!wanted.is_empty()).then(|| of_companies(legal_entities)),
        ),
        (CheckName::PackageVersions, Some(package_versions(world))),
        (CheckName::LinkingIdentity, linking_identity(world)),
        (
            CheckName::FinanceOperations,
            Some(Finding::Open(messages::check_finance_operations())),
        ),
    ];
    findings
        .into_iter()
        .filter_map(|(name, finding)| Some(placed(name, finding?, known)))
        .collect()
}

/// What is to be mended before a link is made, in one sentence; `None` if nothing is known to be.
pub fn to_mend(world: &World<'_>) -> Option<String> {
    let failed: Vec<String> = judge(world)
        .into_iter()
        .filter(|check| check.status == CheckStatus::Failed && check.name.matters_for_a_link())
        .map(|check| check.message)
        .collect();
    (!failed.is_empty()).then(|| messages::mend_first(&failed))
}

/// A finding in time: what was not read stays as it was, and another correlation id is no other finding.
fn placed(name: CheckName, finding: Finding, known: &[Check]) -> Check {
    let old = known.iter().find(|check| check.name == name);
    let (status, message) = match finding {
        Finding::Passed(message) => (CheckStatus::Passed, message),
        Finding::Failed(message) => (CheckStatus::Failed, message),
        Finding::Open(message) => (CheckStatus::Unknown, message),
        Finding::Unread => {
            return old.cloned().unwrap_or_else(|| Check {
                name,
                status: CheckStatus::Unknown,
                message: messages::check_unread(),
            });
        }
    };
    let same =
        old.filter(|old| old.status == status && conditions::same_message(&old.message, &message));
    same.cloned().unwrap_or(Check {
        name,
        status,
        message,
    })
}

fn reachable(world: &World<'_>) -> Finding {
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

fn application_users(world: &World<'_>) -> Finding {
    match &world.observed.preflight.users {
        Fact::Known(users) => {
            let is_development = world.host_tier() == Tier::Development;
            users_in_place(users, is_development, world.setup_complete() == Some(true))
        }
        Fact::Unknown(problem) => Finding::unknown(problem),
    }
}

/// A user that is disabled is a fault at any time. One that is missing is a fault only once setup is complete: LCS makes
/// them with the dual-write application.
fn users_in_place(users: &[ApplicationUser], is_development: bool, set_up: bool) -> Finding {
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

fn company_names(companies: &Companies, _: &[String]) -> Finding {
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
fn company_count(companies: &Companies, wanted: &[String]) -> Finding {
    let count = companies.rows.len();
    if wanted.len() > MOST_COMPANIES || (wanted.is_empty() && count > MOST_COMPANIES) {
        return Finding::Failed(messages::check_company_count(count.max(wanted.len())));
    }
    Finding::Passed(messages::check_company_count_fine(count, wanted.len()))
}

/// An empty table says nothing: dual-write itself brings the companies, with the map of companies.
fn legal_entities(companies: &Companies, wanted: &[String]) -> Finding {
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

fn package_versions(world: &World<'_>) -> Finding {
    let packages = match &world.observed.applications {
        Fact::Known(packages) => packages,
        Fact::Unknown(problem) => return Finding::unknown(problem),
    };
    let needed = world.desired.applications.iter().map(|name| {
        packages
            .iter()
            .find(|package| package.name.eq_ignore_ascii_case(name))
    });
    let mut outdated = Vec::new();
    for package in needed {
        match package {
            Some(package) if package.state == PackageState::Installed => {
                if let Some(newer) = &package.available_version {
                    let version = package.version.as_deref().unwrap_or("?");
                    outdated.push(format!("{} {version}, offered {newer}", package.name));
                }
            }
            _ => return Finding::Open(messages::check_packages_not_installed()),
        }
    }
    if outdated.is_empty() {
        Finding::Passed(messages::check_packages_fine())
    } else {
        Finding::Failed(messages::check_packages(&outdated))
    }
}

/// Only the account that made the link may add maps [D]. Who made it is known only where this operator did.
fn linking_identity(world: &World<'_>) -> Option<Finding> {
    let seen = world.memory.observed.link.as_ref()?;
    let linked_by = seen.linked_by.as_deref()?;
    let still_there = match world.link() {
        Link::To(link) => {
            link.connection_set_id == seen.connection_set_id
                && super::desired::same_id(&link.environment_id, &seen.environment_id)
        }
        _ => true,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Reason;

    fn user(id: &str, disabled: bool) -> ApplicationUser {
        ApplicationUser {
            application_id: id.to_uppercase(),
            disabled,
        }
    }

    fn companies(rows: &[(&str, &str)]) -> Companies {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Companies {
            rows: rows
                .iter()
                .map(|(code, name)| Company {
                    code: text(code),
                    name: text(name),
                })
                .collect(),
            complete: true,
        }
    }

    fn many(count: usize) -> Companies {
        let rows: Vec<(String, String)> = (0..count)
            .map(|n| (format!("C{n}"), format!("Company {n}")))
            .collect();
        let rows: Vec<(&str, &str)> = rows
            .iter()
            .map(|(code, name)| (code.as_str(), name.as_str()))
            .collect();
        companies(&rows)
    }

    fn failed(finding: &Finding) -> &str {
        match finding {
            Finding::Failed(message) => message,
            _ => "",
        }
    }

    fn wanted(codes: &[&str]) -> Vec<String> {
        codes.iter().map(|code| (*code).to_owned()).collect()
    }

    #[test]
    fn users_must_be_there_once_set_up_and_never_disabled() {
        let both = [
            user(FINANCE_AND_OPERATIONS, false),
            user(DATA_INTEGRATOR, false),
        ];
        for set_up in [true, false] {
            assert!(matches!(
                users_in_place(&both, false, set_up),
                Finding::Passed(_)
            ));
        }
        let one = [user(DATA_INTEGRATOR, false)];
        assert!(matches!(
            users_in_place(&one, false, false),
            Finding::Open(_)
        ));
        assert!(failed(&users_in_place(&one, false, true)).contains(FINANCE_AND_OPERATIONS));
        // A cloud-hosted environment does without it.
        assert!(matches!(
            users_in_place(&one, true, true),
            Finding::Passed(_)
        ));
        for set_up in [true, false] {
            let disabled = [
                user(FINANCE_AND_OPERATIONS, false),
                user(DATA_INTEGRATOR, false),
                user(DUAL_WRITE[0], true),
            ];
            let finding = users_in_place(&disabled, false, set_up);
            assert!(failed(&finding).contains(DUAL_WRITE[0]), "{finding:?}");
        }
        // Of two users of one application one suffices.
        let twice = [
            user(FINANCE_AND_OPERATIONS, true),
            user(FINANCE_AND_OPERATIONS, false),
            user(DATA_INTEGRATOR, false),
        ];
        assert!(matches!(
            users_in_place(&twice, false, true),
            Finding::Passed(_)
        ));
    }

    #[test]
    fn names_may_be_neither_blank_nor_doubled() {
        let fine = companies(&[("USMF", "Contoso US"), ("DEMF", "Contoso DE")]);
        assert!(matches!(company_names(&fine, &[]), Finding::Passed(_)));
        assert!(matches!(
            company_names(&companies(&[]), &[]),
            Finding::Passed(_)
        ));
        for (rows, says) in [
            (vec![("USMF", "Contoso"), ("", "Fabrikam")], "1 "),
            (vec![("USMF", "Contoso"), ("DEMF", "")], "1 "),
            (vec![("DAT", "Contoso"), ("dat", "Fabrikam")], "DAT"),
            (vec![("USMF", "Contoso "), ("DEMF", "contoso")], "Contoso"),
        ] {
            let finding = company_names(&companies(&rows), &[]);
            assert!(failed(&finding).contains(says), "{rows:?}: {finding:?}");
        }
        let cut = Companies {
            complete: false,
            ..fine
        };
        assert!(matches!(company_names(&cut, &[]), Finding::Open(_)));
    }

    #[test]
    fn more_than_250_matter_where_nobody_has_chosen() {
        assert!(matches!(company_count(&many(250), &[]), Finding::Passed(_)));
        assert!(failed(&company_count(&many(251), &[])).contains("251"));
        let some = wanted(&["C1"]);
        assert!(matches!(
            company_count(&many(251), &some),
            Finding::Passed(_)
        ));
    }

    #[test]
    fn wanted_companies_must_exist_where_any_do() {
        let some = companies(&[("usmf", "Contoso US"), ("DEMF", "Contoso DE")]);
        let of = |companies: &Companies, codes: &[&str]| legal_entities(companies, &wanted(codes));
        assert!(matches!(of(&some, &["USMF"]), Finding::Passed(_)));
        assert!(failed(&of(&some, &["USMF", "FRSI"])).contains("FRSI"));
        assert!(matches!(of(&companies(&[]), &["USMF"]), Finding::Open(_)));
        let cut = Companies {
            complete: false,
            ..some
        };
        assert!(matches!(of(&cut, &["FRSI"]), Finding::Open(_)));
    }

    #[test]
    fn what_is_not_read_stays_and_another_correlation_id_is_no_news() {
        let known = [Check {
            name: CheckName::CompanyNames,
            status: CheckStatus::Failed,
            message: "Double. (correlation id 1)".into(),
        }];
        let of = |finding| placed(CheckName::CompanyNames, finding, &known);
        assert_eq!(of(Finding::Unread), known[0]);
        assert_eq!(
            of(Finding::Failed("Double. (correlation id 2)".into())),
            known[0]
        );
        assert_eq!(
            of(Finding::Passed("Fine.".into())).status,
            CheckStatus::Passed
        );
        let first = placed(CheckName::CompanyNames, Finding::Unread, &[]);
        assert_eq!(first.status, CheckStatus::Unknown);
        assert_eq!(
            Finding::unknown(&Problem::transient("503")),
            Finding::Unread
        );
        let denied = Problem::needs_person(Reason::AccessDenied, "Denied.");
        assert_eq!(Finding::unknown(&denied), Finding::Open("Denied.".into()));
    }
}
