//! Rows 3 to 8 of the decision table: what the sources say of the integration.

use crate::support::*;
use dualwrite_api::{
    conditions::ConditionType::{
        CredentialsValid, Linked, LinkingMismatch, PowerPlatformIntegrated, Ready, Reconciling,
        SetupComplete, Stalled,
    },
    connection::LinkObservation,
};
use dualwrite_plan::{
    observed::{Environment, Fact, LinkView, PackageState, Readiness, SpecEnvironment},
    verdict::Row,
};

// ---- row 3: the Power Platform refuses ----

#[test]
fn row_3_a_refusal_names_the_role_that_is_missing() {
    let case = Case::happy().blind(&refused("GET environments: 403 Forbidden."));
    let decision = case.decide();
    expect(
        &decision,
        Row::AccessRefused,
        &[
            (Ready, "False/AccessDenied"),
            (Stalled, "True/AccessDenied"),
            (PowerPlatformIntegrated, "Unknown/AccessDenied"),
            (CredentialsValid, "True/Authenticated"),
        ],
    );
    reads(
        &decision,
        Ready,
        &[
            "Power Platform management application",
            "Power Platform role",
            "403 Forbidden",
        ],
    );
    insta::assert_snapshot!("row_3_refused", show(&decision, start()));
}

fn not_found() -> Case {
    Case::happy().with(|case| {
        case.observed.environment = Fact::Known(SpecEnvironment::NotFound);
        case.tenant().naming_host.clear();
        case.observed.dataverse = Fact::Unknown(busy());
        case.observed.applications = Fact::Unknown(busy());
        case.observed.link = LinkView::Absent;
    })
}

#[test]
fn row_3_an_environment_that_is_not_there_is_believed_at_the_second_read() {
    let first = not_found();
    let decision = first.decide();
    expect(
        &decision,
        Row::AccessRefused,
        &[(Ready, "Unknown/Observing"), (Stalled, "-")],
    );
    assert_eq!(first.wait(&decision), SETTLE);

    let decision = first.settled().decide();
    expect(
        &decision,
        Row::AccessRefused,
        &[
            (Ready, "False/EnvironmentNotFound"),
            (Stalled, "True/EnvironmentNotFound"),
            (PowerPlatformIntegrated, "False/EnvironmentNotFound"),
        ],
    );
    reads(
        &decision,
        Ready,
        &[S, "Power Platform admin center", "role", "environmentId"],
    );
    insta::assert_snapshot!("row_3_not_found", show(&decision, start()));
}

// ---- row 4: P unknown ----

#[test]
fn row_4_the_last_known_stays_across_a_blip() {
    let before = Case::happy().later(INTERVAL);
    let decision = before.clone().blind(&down()).decide();
    assert_eq!(decision.row, Some(Row::IntegrationUnknown));
    assert_eq!(decision.status.conditions, before.memory.conditions);
    assert_eq!(decision.status.observed, before.memory.observed);
    assert_eq!((decision.effect, decision.events), (None, vec![]));
}

#[test]
fn row_4_the_first_time_it_says_that_nothing_could_be_read_yet() {
    let case = Case::happy().blind(&down());
    let decision = case.decide();
    expect(
        &decision,
        Row::IntegrationUnknown,
        &[
            (Ready, "Unknown/Observing"),
            (Reconciling, "True/Observing"),
            (Stalled, "-"),
        ],
    );
    reads(
        &decision,
        Ready,
        &["could not be read yet", "503 Service Unavailable"],
    );
    assert_eq!(case.wait(&decision), seconds(5));
    insta::assert_snapshot!("row_4", show(&decision, start()));
}

#[test]
fn row_4_an_incomplete_list_proves_no_absence() {
    let mut case = Case::nothing();
    case.tenant().complete = false;
    let first = case.decide();
    expect(
        &first,
        Row::IntegrationUnknown,
        &[(Ready, "Unknown/Observing")],
    );
    let decision = case.settled().decide();
    expect(
        &decision,
        Row::IntegrationUnknown,
        &[
            (Ready, "Unknown/IntegrationNotVisible"),
            (PowerPlatformIntegrated, "Unknown/IntegrationNotVisible"),
            (Reconciling, "True/AwaitingPerson"),
        ],
    );
    reads(
        &decision,
        Ready,
        &[
            "sees 2 Power Platform environments",
            "not be read to its end",
            LCS,
            "permanent",
        ],
    );
    insta::assert_snapshot!("row_4_not_visible", show(&decision, start()));
}

#[test]
fn row_4_without_the_word_of_the_dataverse_nothing_is_absent() {
    let case = Case::nothing();
    let case = case.with(|case| case.observed.dataverse = Fact::Unknown(refused("403.")));
    let decision = case.settled().decide();
    expect(
        &decision,
        Row::IntegrationUnknown,
        &[(Ready, "Unknown/IntegrationNotVisible")],
    );
    let blip = Case::nothing().with(|case| case.observed.dataverse = Fact::Unknown(down()));
    expect(
        &blip.settled().decide(),
        Row::IntegrationUnknown,
        &[(Ready, "Unknown/Observing")],
    );
}

#[test]
fn row_4_an_unread_list_decides_nothing_where_s_names_no_host() {
    let case = Case::nothing().with(|case| case.observed.tenant = Fact::Unknown(down()));
    let decision = case.settled().decide();
    expect(
        &decision,
        Row::IntegrationUnknown,
        &[(Ready, "Unknown/Observing")],
    );
    assert_eq!(decision.effect, None);
}

#[test]
fn row_4_an_integrated_environment_that_is_busy_keeps_the_last_known() {
    let mut case = Case::happy().integrated_elsewhere();
    case.tenant().naming_host[0].readiness = Readiness::Busy("Copying".into());
    let decision = case.decide();
    expect(
        &decision,
        Row::IntegrationUnknown,
        &[(Ready, "Unknown/EnvironmentBusy")],
    );
    reads(&decision, Ready, &["Contoso Production", "Copying"]);
}

// ---- row 5: S cannot be used ----

#[test]
fn row_5_an_environment_without_dataverse_is_unusable() {
    let placeholder = Environment {
        has_dataverse: false,
        dataverse_url: None,
        ..spec_environment()
    };
    let case = Case::unlinked().environment(placeholder);
    let decision = case
        .with(|case| case.observed.dataverse = Fact::Unknown(busy()))
        .decide();
    expect(
        &decision,
        Row::EnvironmentUnusable,
        &[
            (Ready, "False/EnvironmentUnusable"),
            (Stalled, "True/EnvironmentUnusable"),
            (PowerPlatformIntegrated, "False/EnvironmentUnusable"),
        ],
    );
    reads(
        &decision,
        Ready,
        &[
            "Contoso UAT",
            S,
            "has no Dataverse",
            "Power Platform admin center",
        ],
    );
    insta::assert_snapshot!("row_5_unusable", show(&decision, start()));
}

fn in_state(readiness: Readiness) -> Case {
    Case::happy().environment(Environment {
        readiness,
        ..spec_environment()
    })
}

#[test]
fn row_5_a_disabled_environment_is_unusable() {
    let decision = in_state(Readiness::Disabled).decide();
    expect(
        &decision,
        Row::EnvironmentUnusable,
        &[(Stalled, "True/EnvironmentUnusable")],
    );
    reads(&decision, Ready, &["is disabled", S_URL]);
}

#[test]
fn row_5_a_busy_environment_is_waited_for_three_hours() {
    let states = [
        (Readiness::AdministrationMode, "administration mode"),
        (Readiness::Busy("Restoring".into()), "Restoring"),
    ];
    for (readiness, says) in states {
        let case = in_state(readiness);
        let decision = case.decide();
        expect(
            &decision,
            Row::EnvironmentUnusable,
            &[
                (Ready, "False/EnvironmentBusy"),
                (Reconciling, "True/EnvironmentBusy"),
                (Stalled, "-"),
                (PowerPlatformIntegrated, "Unknown/EnvironmentBusy"),
            ],
        );
        reads(&decision, Ready, &[says, "Contoso UAT"]);
        let almost = case.later(hours(3) - seconds(1));
        expect(
            &almost.decide(),
            Row::EnvironmentUnusable,
            &[(Stalled, "-")],
        );
        let long = almost.later(seconds(1)).decide();
        expect(
            &long,
            Row::EnvironmentUnusable,
            &[(Stalled, "True/EnvironmentBusy"), (Reconciling, "-")],
        );
    }
    insta::assert_snapshot!(
        "row_5_busy",
        show(&in_state(Readiness::AdministrationMode).decide(), start())
    );
}

// ---- row 6: S belongs to another ----

#[test]
fn row_6_an_environment_of_another_host_is_named() {
    let taken = Environment {
        finance_operations: Some(named(OTHER_HOST)),
        ..spec_environment()
    };
    let decision = Case::unlinked()
        .environment(taken)
        .dataverse(Some(OTHER_HOST))
        .decide();
    expect(
        &decision,
        Row::IntegratedWithOther,
        &[
            (Ready, "False/IntegratedWithOther"),
            (Stalled, "True/IntegratedWithOther"),
            (PowerPlatformIntegrated, "False/IntegratedWithOther"),
        ],
    );
    reads(
        &decision,
        Ready,
        &[OTHER_HOST, HOST, S, "permanent", "environmentId"],
    );
    insta::assert_snapshot!("row_6", show(&decision, start()));
}

// ---- row 7: the sources disagree ----

fn disagreeing() -> Vec<(&'static str, Case, &'static str)> {
    let mut several = Case::happy().integrated_elsewhere();
    several = several
        .environment(spec_environment())
        .dataverse(Some(HOST));
    vec![
        (
            "denies",
            Case::happy().dataverse(None),
            "says that it is not integrated",
        ),
        (
            "names another",
            Case::happy().dataverse(Some(OTHER_HOST)),
            OTHER_HOST,
        ),
        (
            "claims",
            Case::nothing().dataverse(Some(HOST)),
            "the Power Platform does not",
        ),
        (
            "claims, and P = E",
            Case::happy().integrated_elsewhere().dataverse(Some(HOST)),
            S,
        ),
        ("several", several, "several Power Platform environments"),
        (
            "names another, P none",
            Case::nothing().dataverse(Some(OTHER_HOST)),
            OTHER_HOST,
        ),
    ]
}

#[test]
fn row_7_a_disagreement_is_believed_at_the_second_read() {
    for (name, case, says) in disagreeing() {
        let decision = case.decide();
        expect(
            &decision,
            Row::SourcesDisagree,
            &[(Ready, "Unknown/Observing"), (Stalled, "-")],
        );
        assert_eq!(case.wait(&decision), SETTLE, "{name}");

        let decision = case.settled().decide();
        expect(
            &decision,
            Row::SourcesDisagree,
            &[
                (Ready, "False/SourcesDisagree"),
                (Reconciling, "True/SourcesDisagree"),
                (PowerPlatformIntegrated, "Unknown/SourcesDisagree"),
            ],
        );
        reads(&decision, Ready, &[says, HOST, LCS, "Microsoft support"]);
    }
    let (_, case, _) = disagreeing().remove(0);
    insta::assert_snapshot!("row_7", show(&case.settled().decide(), start()));
}

#[test]
fn row_7_a_disagreement_of_three_hours_stalls() {
    let (_, case, _) = disagreeing().remove(0);
    let almost = case.settled().later(hours(3) - seconds(1));
    expect(&almost.decide(), Row::SourcesDisagree, &[(Stalled, "-")]);
    let long = almost.later(seconds(1)).decide();
    expect(
        &long,
        Row::SourcesDisagree,
        &[(Stalled, "True/SourcesDisagree")],
    );
}

#[test]
fn row_7_a_dataverse_that_cannot_be_asked_contradicts_nothing() {
    let case = Case::happy().with(|case| case.observed.dataverse = Fact::Unknown(refused("403.")));
    let decision = case.decide();
    expect(
        &decision,
        Row::Connected,
        &[(PowerPlatformIntegrated, "True/Integrated")],
    );
    reads(
        &decision,
        PowerPlatformIntegrated,
        &["did not confirm it", "403."],
    );
}

// ---- row 8: P = E ----

#[test]
fn row_8_another_environment_is_suggested_for_the_spec() {
    let case = Case::happy()
        .integrated_elsewhere()
        .link(LinkView::NotObserved);
    let decision = case.decide();
    expect(
        &decision,
        Row::IntegratedElsewhere,
        &[
            (Ready, "False/IntegratedElsewhere"),
            (Stalled, "True/IntegratedElsewhere"),
            (PowerPlatformIntegrated, "False/IntegratedElsewhere"),
            (SetupComplete, "False/WaitingForIntegration"),
        ],
    );
    reads(
        &decision,
        Ready,
        &[
            "Contoso Production",
            E,
            &format!("set spec.dataverse.environmentId: {E}"),
            "permanent",
        ],
    );
    insta::assert_snapshot!("row_8", show(&decision, start()));
}

#[test]
fn row_8_nobody_is_sent_to_e_while_dual_write_uses_s() {
    let decision = Case::happy().integrated_elsewhere().decide();
    expect(
        &decision,
        Row::IntegratedElsewhere,
        &[
            (Ready, "False/IntegratedElsewhere"),
            (Linked, "True/Linked"),
            (LinkingMismatch, "True/DifferentDestination"),
        ],
    );
    reads(
        &decision,
        Ready,
        &["Dual-write still uses", "leaves", "for good", "Decide"],
    );
    assert!(!message(&decision, Ready).contains("set spec.dataverse.environmentId"));
}

#[test]
fn row_8_nothing_is_made_towards_s() {
    let case = Case::bare().integrated_elsewhere().settled();
    assert_eq!(
        (case.decide().row, case.decide().effect),
        (Some(Row::IntegratedElsewhere), None)
    );
}

// ---- host names ----

#[test]
fn ids_and_hosts_are_compared_without_case() {
    let shouted = Environment {
        id: S.to_uppercase(),
        ..spec_environment()
    };
    let case = Case::happy()
        .environment(shouted)
        .link(link_to(&S.to_uppercase()));
    assert_eq!(case.decide().row, Some(Row::Connected));
}

#[test]
fn row_13_needs_no_second_look_at_a_link_that_nobody_asks_for() {
    let case = Case::happy().link(LinkView::NotObserved);
    let case = case.with(|case| case.desired.link_observation = LinkObservation::Never);
    assert_eq!(
        case.packages(vec![package(CORE, PackageState::Installed)])
            .decide()
            .row,
        Some(Row::SetupIncomplete)
    );
}
