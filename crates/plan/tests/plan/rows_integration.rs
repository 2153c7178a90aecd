//! Rows 9, 10 and 10b of the decision table: nothing is integrated, or the newest operation has failed.

use crate::support::*;
use dualwrite_api::{
    conditions::ConditionType::{
        Linked, LinkingMismatch, PowerPlatformIntegrated, Ready, Reconciling, SetupComplete,
        Stalled,
    },
    operation::Phase,
};
use dualwrite_plan::{
    decision::Effect,
    observed::{Environment, Fact, LinkView},
    verdict::Row,
};

// ---- row 9: nothing is integrated ----

#[test]
fn row_9_a_person_is_told_where_to_integrate() {
    let case = Case::nothing();
    let first = case.decide();
    expect(
        &first,
        Row::NotIntegrated,
        &[(Ready, "Unknown/Observing"), (Stalled, "-")],
    );
    assert_eq!(case.wait(&first), SETTLE);

    let case = case.settled();
    let decision = case.decide();
    expect(
        &decision,
        Row::NotIntegrated,
        &[
            (Ready, "False/NotIntegrated"),
            (Reconciling, "True/AwaitingPerson"),
            (Stalled, "-"),
            (PowerPlatformIntegrated, "False/NotIntegrated"),
            (SetupComplete, "False/WaitingForIntegration"),
            (LinkingMismatch, "False/NotLinked"),
        ],
    );
    assert_eq!(
        (decision.effect.clone(), case.wait(&decision)),
        (None, INTERVAL)
    );
    let says = [
        HOST,
        "LCS",
        LCS,
        "Setup",
        "Contoso UAT",
        S,
        "permanent",
        "admin center",
        "same tenant",
    ];
    reads(&decision, Ready, &says);
    insta::assert_snapshot!("row_9", show(&decision, case.now));
}

#[test]
fn row_9_needs_no_sight_of_the_link() {
    for link in [LinkView::NotObserved, LinkView::Unknown(refused("403."))] {
        let decision = Case::nothing().link(link).settled().decide();
        let expected = [
            (Ready, "False/NotIntegrated"),
            (Linked, "Unknown/LinkNotObservable"),
        ];
        expect(&decision, Row::NotIntegrated, &expected);
    }
}

#[test]
fn row_9_a_cloud_hosted_environment_must_be_deployed_again() {
    let decision = of_host(Case::nothing(), DEVELOPMENT).settled().decide();
    expect(
        &decision,
        Row::NotIntegrated,
        &[(Ready, "False/NotIntegrated")],
    );
    reads(
        &decision,
        Ready,
        &["redeploy", "Power Platform integration", LCS],
    );
    assert!(!message(&decision, Ready).contains("press Setup"));
}

#[test]
fn row_9_a_second_read_before_the_settle_time_confirms_nothing() {
    let case = Case::nothing().later(SETTLE - seconds(1));
    let decision = case.decide();
    expect(
        &decision,
        Row::NotIntegrated,
        &[(Ready, "Unknown/Observing")],
    );
    assert_eq!(case.wait(&decision), seconds(1));
}

#[test]
fn row_9_waiting_for_a_person_is_normal_for_the_manual_timeout() {
    let week = Case::nothing().settled().later(hours(7 * 24) - seconds(1));
    expect(
        &week.decide(),
        Row::NotIntegrated,
        &[(Reconciling, "True/AwaitingPerson")],
    );
    let longer = week.later(seconds(1)).decide();
    let expected = [
        (Ready, "False/NotIntegrated"),
        (Stalled, "True/NotIntegrated"),
        (Reconciling, "-"),
    ];
    expect(&longer, Row::NotIntegrated, &expected);
}

// ---- row 10: linked, not integrated ----

fn linked_only() -> Case {
    Case::nothing().link(link_to(S))
}

#[test]
fn row_10_remedy_a_names_the_environment_that_dual_write_uses() {
    let first = linked_only().decide();
    let expected = [(Ready, "Unknown/Observing"), (Stalled, "-")];
    expect(&first, Row::LinkedWithoutIntegration, &expected);
    let decision = linked_only().settled().decide();
    expect(
        &decision,
        Row::LinkedWithoutIntegration,
        &[
            (Ready, "False/IntegrationNotSetUp"),
            (Stalled, "True/IntegrationNotSetUp"),
            (LinkingMismatch, "True/IntegrationNotSetUp"),
            (PowerPlatformIntegrated, "False/NotIntegrated"),
            (Linked, "True/Linked"),
        ],
    );
    let says = [
        "Microsoft has detected",
        "Remedy",
        "press Setup",
        "Contoso UAT",
        S,
        LCS,
        "permanent",
    ];
    reads(&decision, LinkingMismatch, &says);
    assert!(decision.events.iter().any(|event| event.warning));
    insta::assert_snapshot!("row_10", show(&decision, start()));
}

#[test]
fn row_10_remedy_a_is_withheld_where_it_could_be_wrong() {
    let production = |case: Case| {
        case.environment(in_production(Environment {
            finance_operations: None,
            ..spec_environment()
        }))
    };
    let unknown_tier = |case: Case| {
        case.environment(Environment {
            finance_operations: None,
            kind: "Default".into(),
            ..spec_environment()
        })
    };
    let cases = [
        (
            linked_only().link(link_to(E)),
            "not the environment of the spec",
        ),
        (
            production(linked_only()),
            "not certain that both are production",
        ),
        (
            unknown_tier(linked_only()),
            "not certain that both are production",
        ),
        (
            of_host(linked_only(), "erp.contoso.example"),
            "not certain that both are production",
        ),
        (of_host(linked_only(), DEVELOPMENT), "cloud-hosted"),
    ];
    for (case, why) in cases {
        let decision = case.settled().decide();
        let expected = [
            (Ready, "False/IntegrationNotSetUp"),
            (Stalled, "True/IntegrationNotSetUp"),
        ];
        expect(&decision, Row::LinkedWithoutIntegration, &expected);
        reads(&decision, Ready, &["Do NOT integrate", why, "permanent"]);
        assert!(!message(&decision, Ready).contains("Remedy"));
    }
}

#[test]
fn row_10_remedy_a_holds_where_both_are_production() {
    let production = in_production(Environment {
        finance_operations: None,
        ..spec_environment()
    });
    let case = of_host(linked_only().environment(production), PRODUCTION);
    reads(&case.settled().decide(), Ready, &["Remedy"]);
}

// ---- row 10b: the newest operation failed ----

fn failed_setup() -> Case {
    Case::bare()
        .settled()
        .operation(in_phase(planned_setup(), Phase::Failed, start()))
}

#[test]
fn row_10b_a_failed_setup_is_shown_and_not_repeated() {
    let decision = failed_setup().decide();
    expect(
        &decision,
        Row::OperationFailed,
        &[
            (Ready, "False/InstallFailed"),
            (Stalled, "True/InstallFailed"),
            (SetupComplete, "False/InstallFailed"),
            (Reconciling, "-"),
        ],
    );
    assert_eq!(decision.effect, None);
    let name = planned_setup().name;
    let says = [
        "DW0815",
        "kubectl annotate dwc contoso-uat -n contoso --overwrite dualwrite.dev/reconcile-at=",
        &format!("kubectl delete dwo {name} -n contoso"),
    ];
    reads(&decision, Ready, &says);
    insta::assert_snapshot!("row_10b", show(&decision, start()));
}

#[test]
fn row_10b_a_failed_link_is_shown_on_linked() {
    let failed = in_phase(planned_link(), Phase::Failed, start());
    let decision = by_service(Case::unlinked())
        .settled()
        .operation(failed)
        .decide();
    let expected = [
        (Ready, "False/LinkFailed"),
        (Stalled, "True/LinkFailed"),
        (Linked, "False/LinkFailed"),
    ];
    expect(&decision, Row::OperationFailed, &expected);
    assert_eq!(decision.effect, None);
}

#[test]
fn row_10b_the_reason_of_the_operation_is_the_reason() {
    let mut failed = in_phase(planned_setup(), Phase::Failed, start());
    failed.status.reason = Some("TimedOut".into());
    let case = Case::bare().settled().operation(failed.clone());
    expect(
        &case.decide(),
        Row::OperationFailed,
        &[(Ready, "False/TimedOut"), (SetupComplete, "False/TimedOut")],
    );
    failed.status.reason = Some("nonsense".into());
    let case = Case::bare().settled().operation(failed);
    expect(
        &case.decide(),
        Row::OperationFailed,
        &[(Ready, "False/InstallFailed")],
    );
}

/// A decision later, once the absence of a link is confirmed by reads after the failure.
fn asks_again(case: Case) -> Option<String> {
    let decision = case.settled().settled().decide();
    match decision.effect {
        Some(Effect::Create { name, .. }) => Some(name),
        _ => None,
    }
}

#[test]
fn row_10b_a_new_generation_or_annotation_tries_again_under_another_name() {
    let old = planned_setup().name;
    assert_eq!(asks_again(failed_setup()), None);
    let again = asks_again(failed_setup().new_generation()).unwrap();
    assert_ne!(again, old);
    let again =
        asks_again(failed_setup().with(|case| case.desired.reconcile_at = Some("now".into())));
    assert_ne!(again.unwrap(), old);
    let mut same = failed_setup().with(|case| case.desired.reconcile_at = Some("now".into()));
    same.operations[0].status.reconcile_at = Some("now".into());
    assert_eq!(asks_again(same), None);
}

#[test]
fn row_10b_a_deleted_operation_is_released() {
    assert!(asks_again(failed_setup().with(|case| case.operations.clear())).is_some());
}

#[test]
fn row_10b_a_success_that_came_late_counts() {
    let case = failed_setup().seeing(&Case::unlinked()).settled();
    assert_eq!(case.settled().decide().row, Some(Row::NotLinked));
    let failed = in_phase(planned_link(), Phase::Failed, start());
    assert_eq!(
        Case::happy().operation(failed).decide().row,
        Some(Row::Connected)
    );
}

#[test]
fn row_10b_a_failed_setup_no_longer_matters_once_linked() {
    let case = failed_setup().seeing(&Case::bare().link(link_to(S)));
    expect(
        &case.decide(),
        Row::Connected,
        &[
            (Ready, "True/Connected"),
            (SetupComplete, "False/NotInstalled"),
        ],
    );
}

#[test]
fn row_10b_only_the_newest_operation_counts() {
    let mut newer = in_phase(planned_setup(), Phase::Succeeded, start());
    newer.uid = "newer".into();
    newer.created = start() + jiff::SignedDuration::from_hours(9);
    let case = failed_setup().operation(newer);
    assert_eq!(case.decide().row, Some(Row::SetupIncomplete));
}

/// What another environment says decides nothing while that of the spec is not seen.
#[test]
fn an_environment_that_is_not_seen_keeps_every_other_row_away() {
    let case = Case::happy().integrated_elsewhere();
    assert_eq!(
        case.clone().settled().decide().row,
        Some(Row::IntegratedElsewhere)
    );
    let unseen = case.with(|case| case.observed.environment = Fact::Unknown(down()));
    assert_eq!(unseen.settled().decide().row, Some(Row::IntegrationUnknown));
}
