//! Rows 9 to 16 of the decision table: the way to a link, and what can be wrong with one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod plan_support;

use dualwrite_operator::{
    api::{
        conditions::ConditionType::{
            Linked, LinkingMismatch, PowerPlatformIntegrated, Ready, Reconciling, SetupComplete,
            Stalled,
        },
        connection::{IntegrationKind, LinkObservation, Mode, SetupMethod},
        operation::{Action, Approval, Phase},
    },
    plan::{
        assemble::Effect,
        observed::{
            Environment, Fact, FinanceOperationsReference, LinkView, PackageState, SpecEnvironment,
        },
        verdict::Row,
        world::KnownOperation,
    },
};
use plan_support::*;

const DEVELOPMENT: &str = "contosodev.cloudax.dynamics.com";
const PRODUCTION: &str = "contoso.operations.eu.dynamics.com";

fn of_host(case: Case, host: &str) -> Case {
    case.with(|case| {
        case.desired.host = host.into();
        case.desired.finance_operations_url = format!("https://{host}");
    })
}

fn in_production(environment: Environment) -> Environment {
    Environment {
        kind: "Production".into(),
        ..environment
    }
}

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

// ---- row 11: setup ----

#[test]
fn row_11_setup_starts_once_the_missing_link_is_confirmed() {
    let first = Case::bare();
    let decision = first.decide();
    expect(
        &decision,
        Row::SetupIncomplete,
        &[
            (Ready, "Unknown/Observing"),
            (SetupComplete, "False/NotInstalled"),
        ],
    );
    assert_eq!(
        (decision.effect.clone(), first.wait(&decision)),
        (None, SETTLE)
    );

    let case = first.settled();
    let decision = case.decide();
    expect(
        &decision,
        Row::SetupIncomplete,
        &[
            (Ready, "False/Installing"),
            (Reconciling, "True/Installing"),
            (SetupComplete, "False/Installing"),
            (Linked, "False/WaitingForSetup"),
            (LinkingMismatch, "False/NotLinked"),
        ],
    );
    let operation = case.planned();
    reads(&decision, Ready, &[&operation.name]);
    insta::assert_snapshot!("row_11_install", show(&decision, case.now));

    let spec = operation.spec;
    assert_eq!(
        (spec.action, spec.approval),
        (Action::Setup, Approval::NotRequired)
    );
    assert_eq!(
        spec.steps
            .iter()
            .map(|step| step.name.as_str())
            .collect::<Vec<_>>(),
        [CORE, APP]
    );
    assert_eq!(spec.target.environment_id, S);
    assert_eq!(spec.relies_on.link, "NotLinked");
    assert_eq!(spec.timeout, "5400s");
    assert!(operation.name.starts_with("contoso-uat-setup-"));
}

#[test]
fn row_11_only_what_is_missing_is_installed() {
    let case = Case::unlinked().packages(vec![package(CORE, PackageState::Installed)]);
    let spec = case.settled().planned().spec;
    assert_eq!(spec.relies_on.applications, [APP]);
}

#[test]
fn row_11_an_installation_that_runs_is_adopted_by_an_operation() {
    let running = package(CORE, PackageState::InProgress("Installing".into()));
    let spec = Case::unlinked()
        .packages(vec![running])
        .settled()
        .planned()
        .spec;
    assert_eq!(spec.relies_on.applications, [CORE, APP]);
}

#[test]
fn row_11_an_existing_operation_is_not_created_again() {
    let case = Case::bare().settled();
    let planned = case.planned();
    assert_eq!(case.operation(planned).decide().effect, None);
}

#[test]
fn row_11_without_a_view_of_the_link_setup_goes_on() {
    let case = Case::bare().link(LinkView::NotObserved);
    let decision = case.decide();
    expect(
        &decision,
        Row::SetupIncomplete,
        &[
            (Ready, "False/Installing"),
            (Linked, "Unknown/WaitingForSetup"),
        ],
    );
    assert_eq!(case.planned().spec.relies_on.link, "NotObserved");
}

#[test]
fn row_11_nothing_is_installed_without_the_terms() {
    let case = Case::bare()
        .with(|case| case.desired.accept_terms = false)
        .settled();
    let decision = case.decide();
    expect(
        &decision,
        Row::SetupIncomplete,
        &[
            (Ready, "False/TermsNotAccepted"),
            (Reconciling, "True/AwaitingPerson"),
            (SetupComplete, "False/TermsNotAccepted"),
        ],
    );
    assert_eq!(decision.effect, None);
    reads(
        &decision,
        Ready,
        &[
            "acceptTerms: true",
            "Contoso UAT",
            CORE,
            APP,
            "spec.setup.method: Manual",
        ],
    );
    insta::assert_snapshot!("row_11_terms", show(&decision, start()));
}

fn manual_setup() -> Case {
    Case::bare().with(|case| case.desired.setup_method = SetupMethod::Manual)
}

#[test]
fn row_11_a_person_is_told_what_to_press() {
    let case = manual_setup().settled();
    let decision = case.decide();
    expect(
        &decision,
        Row::SetupIncomplete,
        &[
            (Ready, "False/AwaitingManualSetup"),
            (Reconciling, "True/AwaitingPerson"),
            (SetupComplete, "False/AwaitingManualSetup"),
        ],
    );
    assert_eq!(decision.effect, None);
    reads(
        &decision,
        Ready,
        &["\"Dual-write application\"", "Configure", LCS, S],
    );
    let late = case.later(hours(7 * 24)).decide();
    expect(
        &late,
        Row::SetupIncomplete,
        &[(Stalled, "True/AwaitingManualSetup")],
    );
    insta::assert_snapshot!("row_11_manual", show(&decision, start()));
}

#[test]
fn row_11_a_person_s_installation_is_followed() {
    let running = package(CORE, PackageState::InProgress("InstallScheduled".into()));
    let case = manual_setup().packages(vec![running]).settled();
    let decision = case.decide();
    let expected = [
        (Ready, "False/Installing"),
        (SetupComplete, "False/Installing"),
        (Reconciling, "True/Installing"),
    ];
    expect(&decision, Row::SetupIncomplete, &expected);
    assert_eq!(
        (decision.effect.clone(), case.wait(&decision)),
        (None, POLL)
    );
    reads(&decision, Ready, &["InstallScheduled", CORE]);
    let late = case.later(minutes(90)).decide();
    expect(&late, Row::SetupIncomplete, &[(Stalled, "True/Installing")]);
}

#[test]
fn row_11_a_person_s_failed_installation_is_shown_with_microsofts_message() {
    let case = manual_setup().packages(vec![failed_package(APP, "0x80040216: no capacity")]);
    let decision = case.settled().decide();
    let expected = [
        (Ready, "False/InstallFailed"),
        (Stalled, "True/InstallFailed"),
        (SetupComplete, "False/InstallFailed"),
    ];
    expect(&decision, Row::SetupIncomplete, &expected);
    reads(
        &decision,
        Ready,
        &["0x80040216: no capacity", APP, "Resume"],
    );
}

#[test]
fn row_11_observe_shows_what_would_be_installed() {
    for observe in [
        (|case: &mut Case| case.desired.mode = Mode::Observe) as fn(&mut Case),
        |case| case.settings.observe_only = true,
    ] {
        let decision = Case::bare().with(observe).settled().decide();
        let expected = [
            (Ready, "False/NotInstalled"),
            (Reconciling, "True/AwaitingPerson"),
        ];
        expect(&decision, Row::SetupIncomplete, &expected);
        assert_eq!(decision.effect, None);
        reads(&decision, Ready, &["would install", CORE]);
    }
}

#[test]
fn row_11_packages_that_cannot_be_read_are_not_missing() {
    let blip = Case::unlinked().packages_unknown(down()).settled().decide();
    expect(&blip, Row::SetupIncomplete, &[(Ready, "Unknown/Observing")]);
    assert_eq!(blip.effect, None);
    let denied = Case::unlinked()
        .packages_unknown(refused("403 on packages."))
        .settled()
        .decide();
    let expected = [
        (Ready, "False/AccessDenied"),
        (Stalled, "True/AccessDenied"),
        (SetupComplete, "Unknown/AccessDenied"),
    ];
    expect(&denied, Row::SetupIncomplete, &expected);
    assert_eq!(denied.effect, None);
}

// ---- row 12: the link ----

#[test]
fn row_12_a_person_is_told_to_press_link() {
    let first = Case::unlinked();
    let decision = first.decide();
    expect(&decision, Row::NotLinked, &[(Ready, "Unknown/Observing")]);
    assert_eq!(first.wait(&decision), SETTLE);
    let case = first.settled();
    let decision = case.decide();
    expect(
        &decision,
        Row::NotLinked,
        &[
            (Ready, "False/AwaitingManualLink"),
            (Reconciling, "True/AwaitingPerson"),
            (Linked, "False/AwaitingManualLink"),
            (SetupComplete, "True/Installed"),
            (LinkingMismatch, "False/NotLinked"),
        ],
    );
    assert_eq!(decision.effect, None);
    let says = [
        "\"Link to Power Platform environment\"",
        LCS,
        "Contoso UAT",
        S,
        "still shows \"Dual-write application\", press it and Configure first",
    ];
    reads(&decision, Ready, &says);
    insta::assert_snapshot!("row_12_manual", show(&decision, case.now));
    let late = case.later(hours(7 * 24)).decide();
    expect(
        &late,
        Row::NotLinked,
        &[(Stalled, "True/AwaitingManualLink"), (Reconciling, "-")],
    );
}

#[test]
fn row_12_the_service_is_asked_for_a_link() {
    let case = by_service(Case::unlinked());
    assert_eq!(case.decide().effect, None, "by one read");
    let case = case.settled();
    let decision = case.decide();
    let expected = [
        (Ready, "False/Linking"),
        (Reconciling, "True/Linking"),
        (Linked, "False/Linking"),
    ];
    expect(&decision, Row::NotLinked, &expected);
    let operation = case.planned();
    reads(&decision, Ready, &[&operation.name]);
    let spec = operation.spec;
    assert_eq!(
        (spec.action, spec.approval),
        (Action::Link, Approval::NotRequired)
    );
    assert_eq!(spec.relies_on.legal_entities, ["USMF", "DEMF"]);
    assert_eq!(spec.target.domain_name.as_deref(), Some("contoso-uat"));
    assert!(spec.access.dual_write_service.is_some());
    insta::assert_snapshot!("row_12_service", show(&decision, case.now));
}

#[test]
fn row_12_observe_shows_what_would_be_linked() {
    let case = by_service(Case::unlinked()).with(|case| case.desired.mode = Mode::Observe);
    let decision = case.settled().decide();
    let expected = [
        (Ready, "False/AwaitingManualLink"),
        (Reconciling, "True/AwaitingPerson"),
    ];
    expect(&decision, Row::NotLinked, &expected);
    assert_eq!(decision.effect, None);
    reads(&decision, Ready, &["would link", "USMF, DEMF"]);
}

#[test]
fn row_12_reads_from_before_the_last_effect_do_not_count() {
    let mut done = in_phase(planned_setup(), Phase::Succeeded, start());
    done.status.finished_at = Some(start() + jiff::SignedDuration::from_secs(60));
    let case = by_service(Case::unlinked()).settled().operation(done);
    assert_eq!(
        case.decide().effect,
        None,
        "the first of the two reads was made before the setup ended"
    );
    assert!(case.settled().decide().effect.is_some());
}

// ---- row 13: the link cannot be observed ----

fn unobserved() -> Case {
    Case::happy().link(LinkView::NotObserved)
}

#[test]
fn row_13_says_how_to_add_the_service() {
    let decision = unobserved().decide();
    expect(
        &decision,
        Row::LinkNotObserved,
        &[
            (Ready, "False/LinkNotObservable"),
            (Stalled, "True/LinkNotObservable"),
            (Linked, "Unknown/LinkNotObservable"),
            (LinkingMismatch, "Unknown/NotObservable"),
        ],
    );
    reads(
        &decision,
        Ready,
        &[
            "spec.dualWriteService",
            "secretRef",
            "link.observe: Never",
            HOST,
        ],
    );
    insta::assert_snapshot!("row_13", show(&decision, start()));
}

#[test]
fn row_13_never_observing_is_ready_and_says_so() {
    let case = unobserved().with(|case| case.desired.link_observation = LinkObservation::Never);
    let decision = case.decide();
    expect(
        &decision,
        Row::LinkNotObserved,
        &[
            (Ready, "True/ConnectedLinkUnverified"),
            (Reconciling, "-"),
            (Stalled, "-"),
            (Linked, "Unknown/LinkNotObservable"),
        ],
    );
    reads(&decision, Ready, &["spec.link.observe is Never"]);
}

#[test]
fn row_13_a_refusal_by_the_service_names_the_roles() {
    let decision = Case::happy()
        .link(LinkView::Unknown(refused("GET Environments: 403.")))
        .decide();
    let expected = [
        (Ready, "False/LinkNotObservable"),
        (Stalled, "True/LinkNotObservable"),
        (Linked, "Unknown/LinkNotObservable"),
    ];
    expect(&decision, Row::LinkNotObserved, &expected);
    reads(
        &decision,
        Ready,
        &["system administrator", "licences", "403."],
    );
}

#[test]
fn row_13_a_refusal_by_the_service_starts_nothing() {
    let case = by_service(Case::bare().link(LinkView::Unknown(refused("403.")))).settled();
    assert_eq!(
        (case.decide().row, case.decide().effect),
        (Some(Row::LinkNotObserved), None)
    );
}

// ---- row 14: the link is unknown ----

#[test]
fn row_14_the_first_time_the_link_is_not_seen() {
    let host_down = LinkView::HostDown("timed out".into());
    for case in [Case::happy(), Case::nothing()] {
        for link in [host_down.clone(), LinkView::Unknown(down())] {
            let decision = case.clone().link(link).decide();
            expect(
                &decision,
                Row::LinkUnknown,
                &[
                    (Ready, "Unknown/LinkNotSeen"),
                    (Linked, "Unknown/LinkNotSeen"),
                ],
            );
            assert_eq!(decision.effect, None);
        }
    }
    let decision = Case::happy().link(host_down).decide();
    reads(&decision, Ready, &[HOST, "timed out", "may be stopped"]);
    insta::assert_snapshot!("row_14", show(&decision, start()));
}

#[test]
fn row_14_the_last_known_stays() {
    let before = Case::happy().later(INTERVAL);
    for link in [
        LinkView::HostDown("502".into()),
        LinkView::Absent,
        LinkView::Unknown(down()),
    ] {
        let decision = before.clone().link(link).decide();
        expect(
            &decision,
            Row::LinkUnknown,
            &[(Ready, "True/Connected"), (Linked, "True/Linked")],
        );
        assert_eq!(decision.status.conditions, before.memory.conditions);
        assert_eq!(decision.effect, None);
    }
}

#[test]
fn row_14_a_vanished_link_is_never_made_again_by_itself() {
    let mut case = by_service(Case::happy())
        .later(INTERVAL)
        .link(LinkView::Absent);
    for _ in 0..20 {
        assert_eq!(case.decide().row, Some(Row::LinkUnknown));
        assert_eq!(case.decide().effect, None);
        case = case.later(SETTLE);
    }
    let decision = case.decide();
    let expected = [
        (Ready, "Unknown/LinkNotSeen"),
        (Linked, "Unknown/LinkNotSeen"),
        (Stalled, "-"),
    ];
    expect(&decision, Row::LinkUnknown, &expected);
    let says = [
        HOST,
        S,
        "never makes it again",
        "\"Link to Power Platform environment\"",
        LCS,
    ];
    reads(&decision, Ready, &says);
    insta::assert_snapshot!("row_14_vanished", show(&decision, case.now));
}

#[test]
fn row_14_an_unseen_link_is_said_after_three_intervals_and_not_before() {
    let case = Case::happy()
        .later(INTERVAL)
        .link(LinkView::HostDown("502".into()));
    let almost = case.later(minutes(15) - seconds(1));
    expect(
        &almost.decide(),
        Row::LinkUnknown,
        &[(Ready, "True/Connected")],
    );
    let stale = almost.later(seconds(1)).decide();
    expect(
        &stale,
        Row::LinkUnknown,
        &[
            (Ready, "Unknown/LinkNotSeen"),
            (Linked, "Unknown/LinkNotSeen"),
        ],
    );
}

#[test]
fn row_14_a_stopped_environment_is_never_linked() {
    let mut case = by_service(Case::unlinked()).link(LinkView::HostDown("502".into()));
    for _ in 0..10 {
        case = case.later(SETTLE);
        assert_eq!(case.decide().effect, None);
    }
}

// ---- row 15: connected ----

#[test]
fn row_15_all_is_well() {
    let case = Case::happy();
    let decision = case.decide();
    expect(
        &decision,
        Row::Connected,
        &[
            (Ready, "True/Connected"),
            (Reconciling, "-"),
            (Stalled, "-"),
            (PowerPlatformIntegrated, "True/Integrated"),
            (SetupComplete, "True/Installed"),
            (Linked, "True/Linked"),
            (LinkingMismatch, "False/Matched"),
        ],
    );
    assert_eq!(
        (decision.effect.clone(), case.wait(&decision)),
        (None, INTERVAL)
    );
    reads(&decision, Ready, &[HOST, "Contoso UAT", S, S_URL]);
    reads(&decision, Linked, &["cs-0001"]);
    assert_eq!(decision.status.admin_url.as_deref(), Some(ADMIN));
    insta::assert_snapshot!("row_15", show(&decision, start()));
}

#[test]
fn row_15_ready_does_not_depend_on_packages_once_linked() {
    let cases = [
        (vec![], "False/NotInstalled"),
        (
            vec![failed_package(CORE, "no capacity")],
            "False/InstallFailed",
        ),
        (
            vec![package(CORE, PackageState::InProgress("Installing".into()))],
            "False/Installing",
        ),
    ];
    for (packages, setup) in cases {
        let decision = Case::happy().packages(packages).settled().decide();
        expect(
            &decision,
            Row::Connected,
            &[(Ready, "True/Connected"), (SetupComplete, setup)],
        );
        assert_eq!(decision.effect, None);
    }
}

#[test]
fn row_15_updates_are_shown() {
    let mut newer = package(APP, PackageState::Installed);
    newer.available_version = Some("2.0.0.0".into());
    let packages = vec![package(CORE, PackageState::Installed), newer];
    let decision = Case::happy().packages(packages).decide();
    expect(
        &decision,
        Row::Connected,
        &[(Ready, "True/Connected"), (SetupComplete, "True/Installed")],
    );
    reads(
        &decision,
        SetupComplete,
        &[&format!("{APP} 2.0.0.0"), "admin center", "1.2.3.4"],
    );
    assert_eq!(
        decision.status.applications[1].available_version.as_deref(),
        Some("2.0.0.0")
    );
}

fn for_companies(companies: &[&str]) -> Case {
    Case::happy().with(|case| {
        if let LinkView::To(link) = &mut case.observed.link {
            link.legal_entities = Some(companies.iter().map(|&name| name.into()).collect());
        }
    })
}

#[test]
fn row_15_differing_companies_are_shown_and_nothing_is_changed() {
    let decision = for_companies(&["USMF", "FRRT"]).decide();
    expect(
        &decision,
        Row::Connected,
        &[(Ready, "True/Connected"), (Linked, "True/Linked")],
    );
    reads(
        &decision,
        Linked,
        &[
            "linked are USMF, FRRT",
            "wanted are USMF, DEMF",
            "Legal entities",
        ],
    );
    assert_eq!(decision.effect, None);
    let same = for_companies(&["demf", "USMF"]).decide();
    assert!(!message(&same, Linked).contains("differ"));
}

#[test]
fn row_15_an_operation_that_is_not_needed_any_more_becomes_void() {
    let decision = Case::happy().operation(planned_link()).decide();
    let Some(Effect::Void { name, message }) = decision.effect else {
        panic!("{:?}", decision.effect)
    };
    assert_eq!(name, planned_link().name);
    assert_eq!(
        message,
        "Never started: the connection no longer asks for it."
    );
}

#[test]
fn row_15_no_operation_is_voided_twice_or_after_its_start() {
    let mut deleted = planned_link();
    deleted.deleted = Some(start());
    let kept: Vec<KnownOperation> = [Phase::Void, Phase::Succeeded, Phase::Failed]
        .map(|phase| in_phase(planned_link(), phase, start()))
        .into();
    for operation in kept.into_iter().chain([deleted]) {
        assert_eq!(Case::happy().operation(operation).decide().effect, None);
    }
}

#[test]
fn what_has_moved_is_said_when_a_plan_becomes_void() {
    let case = by_service(Case::unlinked()).settled();
    let planned = case.planned();
    let moved = case
        .with(|case| case.desired.legal_entities = vec!["FRRT".into()])
        .operation(planned);
    let Some(Effect::Void { message, .. }) = moved.decide().effect else {
        panic!("the plan is kept")
    };
    assert_eq!(
        message,
        "Never started: the companies was USMF, DEMF and is FRRT."
    );
}

// ---- row 16: linked elsewhere ----

#[test]
fn row_16_another_destination_is_reported_with_remedy_b() {
    let case = Case::happy().link(link_to(E));
    let decision = case.decide();
    expect(
        &decision,
        Row::LinkedElsewhere,
        &[
            (Ready, "False/DifferentDestination"),
            (Stalled, "True/DifferentDestination"),
            (Reconciling, "-"),
            (Linked, "False/LinkedElsewhere"),
            (LinkingMismatch, "True/DifferentDestination"),
            (PowerPlatformIntegrated, "True/Integrated"),
        ],
    );
    assert_eq!(
        (decision.effect.clone(), case.wait(&decision)),
        (None, INTERVAL)
    );
    let says = [
        "Microsoft has detected that your environment is linked via Dual-write to a different destination than \
         specified in Power Platform Integration, which is not recommended.",
        "Contoso Production",
        E,
        "Contoso UAT",
        S,
        "reset",
        ADMIN,
        "permanent",
        "table maps",
    ];
    reads(&decision, LinkingMismatch, &says);
    insta::assert_snapshot!("row_16", show(&decision, start()));
}

#[test]
fn row_16_an_environment_that_is_not_visible_is_named_by_its_id() {
    let unseen = "6f2c8d0e-0000-4000-8000-000000000009";
    let decision = Case::happy().link(link_to(unseen)).decide();
    expect(
        &decision,
        Row::LinkedElsewhere,
        &[(LinkingMismatch, "True/DifferentDestination")],
    );
    reads(&decision, Ready, &[unseen, "does not see"]);
}

// ---- the overlay ----

#[test]
fn a_mix_of_sandbox_and_production_overlays_every_row_with_a_known_link() {
    let mixed = |case: Case| {
        case.with(|case| case.tenant().linked = Some(in_production(other_environment())))
    };
    let cases = [
        (mixed(Case::happy().link(link_to(E))), Row::LinkedElsewhere),
        (
            mixed(Case::nothing().link(link_to(E)).settled()),
            Row::LinkedWithoutIntegration,
        ),
        (
            Case::happy().environment(in_production(spec_environment())),
            Row::Connected,
        ),
        (
            mixed(Case::happy().link(link_to(E))).operation(in_phase(
                planned_setup(),
                Phase::Running,
                start(),
            )),
            Row::Occupied,
        ),
    ];
    for (case, row) in cases {
        let decision = case.decide();
        expect(
            &decision,
            row,
            &[(LinkingMismatch, "True/SandboxProductionMix")],
        );
        reads(
            &decision,
            LinkingMismatch,
            &[HOST, "not a production", "stop the maps"],
        );
        assert!(
            decision
                .events
                .iter()
                .any(|event| event.reason.as_ref() == "SandboxProductionMix")
        );
    }
    let decision = mixed(Case::happy().link(link_to(E))).decide();
    reads(
        &decision,
        LinkingMismatch,
        &["Microsoft has detected", "Contoso Production"],
    );
    insta::assert_snapshot!("mix", show(&decision, start()));
}

#[test]
fn an_unknown_tier_is_never_a_mix() {
    let unseen = "6f2c8d0e-0000-4000-8000-000000000009";
    let decision = Case::happy().link(link_to(unseen)).decide();
    expect(
        &decision,
        Row::LinkedElsewhere,
        &[(LinkingMismatch, "True/DifferentDestination")],
    );
}

#[test]
fn a_unified_environment_has_the_tier_of_its_type() {
    let host = "contoso-unified.operations.dynamics.com";
    let unified = Environment {
        finance_operations: Some(FinanceOperationsReference {
            kind: IntegrationKind::Unified,
            ..named(host)
        }),
        ..spec_environment()
    };
    let case = of_host(Case::happy(), host)
        .dataverse(Some(host))
        .with(|case| {
            case.observed.environment = Fact::Known(SpecEnvironment::Visible(unified));
            case.tenant().naming_host.clear();
        });
    expect(
        &case.decide(),
        Row::Connected,
        &[(LinkingMismatch, "False/Matched")],
    );
}
