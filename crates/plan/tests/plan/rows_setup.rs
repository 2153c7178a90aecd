//! Rows 11 and 12 of the decision table: the way to a link.

use crate::support::*;
use dualwrite_api::{
    conditions::ConditionType::{
        Linked, LinkingMismatch, Ready, Reconciling, SetupComplete, Stalled,
    },
    connection::{Mode, SetupMethod},
    operation::{Action, Approval, Phase},
};
use dualwrite_plan::{
    observed::{LinkView, PackageState},
    verdict::Row,
};

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

/// Whatever gives up one plan could give up the next one at once, and so on.
#[test]
fn after_a_void_plan_the_next_one_waits_for_the_settle_time() {
    for case in [
        Case::bare().settled(),
        by_service(Case::unlinked()).settled(),
        mixed().settled(),
    ] {
        let planned = case.planned();
        let void = in_phase(planned.clone(), Phase::Void, case.now);
        let void = case.operation(void).later(seconds(1));
        let decision = void.decide();
        assert_eq!(decision.effect, None, "{}", planned.name);
        assert!(void.wait(&decision) < SETTLE);
        let next = void.later(SETTLE).planned();
        assert_ne!(next.name, planned.name);
        assert_eq!(next.spec.action, planned.spec.action);
    }
}
