//! What the checks before a link say in the status and in the message, and that they decide nothing.

use crate::support::*;
use dualwrite_api::{
    conditions::ConditionType::Ready,
    connection::{CheckName, CheckStatus, LinkMethod},
};
use dualwrite_plan::{
    checks::DATA_INTEGRATOR,
    decision::Decision,
    observed::{ApplicationUser, Companies, Company, Fact, Preflight},
    verdict::Row,
};

const FIRST: &str = "To be mended first:";

/// A disabled user and a blank company.
fn spoilt() -> Preflight {
    Preflight {
        users: Fact::Known(vec![ApplicationUser {
            application_id: DATA_INTEGRATOR.into(),
            disabled: true,
        }]),
        companies: Fact::Known(Companies {
            rows: vec![Company::default()],
            complete: true,
        }),
        account: None,
    }
}

fn seeing(mut case: Case, preflight: Preflight) -> Case {
    case.observed.preflight = preflight;
    case
}

fn check(decision: &Decision, name: CheckName) -> CheckStatus {
    let checks = &decision.status.checks;
    checks
        .iter()
        .find(|check| check.name == name)
        .unwrap()
        .status
}

#[test]
fn the_rows_before_a_link_say_what_is_to_be_mended_first() {
    for (row, case) in [
        (Row::NotIntegrated, Case::nothing()),
        (Row::SetupIncomplete, Case::bare()),
        (Row::NotLinked, Case::unlinked()),
    ] {
        let decision = seeing(case, spoilt()).settled().decide();
        assert_eq!(decision.row, Some(row));
        reads(&decision, Ready, &[FIRST, DATA_INTEGRATOR, "cdm_company"]);
        assert_eq!(
            check(&decision, CheckName::CompanyNames),
            CheckStatus::Failed
        );
    }
}

#[test]
fn a_link_that_is_there_is_ready_whatever_the_checks_say() {
    let decision = seeing(Case::happy(), spoilt()).decide();
    assert_eq!(decision.row, Some(Row::Connected));
    assert_eq!(
        check(&decision, CheckName::ApplicationUsers),
        CheckStatus::Failed
    );
    assert!(!format!("{:?}", decision.status.conditions).contains(FIRST));
}

#[test]
fn failed_checks_hold_no_plan_up() {
    let mut case = seeing(Case::unlinked(), spoilt());
    case.desired.link_method = LinkMethod::Service;
    let plain = seeing(case.clone(), Preflight::unread(&busy()))
        .settled()
        .decide();
    assert_eq!(case.settled().decide().effect, plain.effect);
    assert!(plain.effect.is_some());
}

#[test]
fn a_blip_changes_nothing_and_a_refusal_is_unknown() {
    let first = seeing(Case::happy(), spoilt());
    let status = first.decide().status;
    let mut later = seeing(Case::happy(), Preflight::unread(&down()));
    later.memory = status.clone();
    assert_eq!(later.decide().status.checks, status.checks);
    later.observed.preflight = Preflight::unread(&refused("Refused."));
    let refused = later.decide();
    assert_eq!(
        check(&refused, CheckName::CompanyNames),
        CheckStatus::Unknown
    );
}

#[test]
fn packages_that_are_up_to_date_are_said_to_be() {
    let decision = Case::happy().decide();
    let checks = decision.status.checks.iter();
    let said = checks.map(|check| check.message.as_str());
    let newer = "No newer version of the application packages is offered.";
    assert_eq!(said.filter(|said| *said == newer).count(), 1);
}
