//! What can be seen from outside before a link is made, and later from time to time: is everything in place that
//! dual-write needs?
//!
//! A check advises and blocks nothing. One that cannot be read says so; what is known stays through a blip.

mod findings;
#[cfg(test)]
mod tests;

pub use findings::{DATA_INTEGRATOR, DUAL_WRITE, FINANCE_AND_OPERATIONS, MOST_COMPANIES};
use findings::{
    Finding, application_users, company_count, company_names, legal_entities, linking_identity,
    package_versions, reachable,
};

use super::{
    messages,
    observed::{Companies, Fact},
    picture::Picture,
};
use dualwrite_api::{
    conditions,
    connection::{Check, CheckName, CheckStatus},
};

/// The checks as they are shown, in the order of [`CheckName`].
pub fn all(picture: &Picture<'_>) -> Vec<Check> {
    let world = picture.world;
    let known = &world.memory.checks;
    // Without S there is nothing to check; what was known stays.
    if world.environment().is_none() {
        return known.clone();
    }
    let preflight = &world.observed.preflight;
    let wanted = &world.desired.legal_entities;
    let of_companies = |check: fn(&Companies, &[String]) -> Finding| match &preflight.companies {
        Fact::Known(companies) => check(companies, wanted),
        Fact::Unknown(problem) => Finding::unknown(problem),
    };
    let findings = [
        (CheckName::DataverseReachable, Some(reachable(world))),
        (
            CheckName::ApplicationUsers,
            Some(application_users(picture)),
        ),
        (CheckName::CompanyNames, Some(of_companies(company_names))),
        (CheckName::CompanyCount, Some(of_companies(company_count))),
        (
            CheckName::LegalEntities,
            (!wanted.is_empty()).then(|| of_companies(legal_entities)),
        ),
        (
            CheckName::PackageVersions,
            Some(package_versions(&picture.setup)),
        ),
        (CheckName::LinkingIdentity, linking_identity(picture)),
        (
            CheckName::FinanceOperations,
            Some(Finding::Open(messages::check_finance_operations())),
        ),
    ];
    findings
        .into_iter()
        .filter_map(|(name, finding)| Some(kept(name, finding?, known)))
        .collect()
}

/// What is to be mended before a link is made, in one sentence; `None` if nothing is known to be.
pub fn to_mend(checks: &[Check]) -> Option<String> {
    let failed: Vec<&str> = checks
        .iter()
        .filter(|check| check.status == CheckStatus::Failed && check.name.matters_for_a_link())
        .map(|check| check.message.as_str())
        .collect();
    (!failed.is_empty()).then(|| messages::mend_first(&failed))
}

/// What was not read stays as it was, and another correlation id is no other finding.
fn kept(name: CheckName, finding: Finding, known: &[Check]) -> Check {
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
