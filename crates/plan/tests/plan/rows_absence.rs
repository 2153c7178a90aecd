//! Unknown is not absent: nothing that one read does not show is said, advised or done, and what was seen last is kept.

use crate::support::*;
use dualwrite_api::{
    Reason,
    conditions::ConditionType::{
        Linked, LinkingMismatch, PowerPlatformIntegrated, Ready, Reconciling, SetupComplete,
        Stalled,
    },
    connection::{Credentials, IntegrationKind},
    operation::Phase,
};
use dualwrite_plan::{
    decision::Effect,
    observed::{Environment, Fact, FinanceOperationsReference, LinkView, Problem, SpecEnvironment},
    verdict::Row,
};

#[test]
fn row_2_the_rest_stays_as_last_known() {
    let expired = Problem::needs_person(Reason::ClientSecretExpired, "AADSTS7000222.");
    let before = Case::happy().later(INTERVAL);
    let case = before.blind(&expired);
    let decision = case
        .with(|case| case.observed.credentials = Fact::Unknown(expired))
        .decide();
    expect(
        &decision,
        Row::CredentialsRefused,
        &[
            (Ready, "False/ClientSecretExpired"),
            (PowerPlatformIntegrated, "True/Integrated"),
            (SetupComplete, "True/Installed"),
            (Linked, "True/Linked"),
            (LinkingMismatch, "False/Matched"),
        ],
    );
    insta::assert_snapshot!("row_2", show(&decision, start()));
}

fn not_found(case: Case) -> Case {
    case.with(|case| {
        case.observed.environment = Fact::Known(SpecEnvironment::NotFound);
        case.tenant().naming_host.clear();
        case.observed.dataverse = Fact::Unknown(busy());
        case.observed.applications = Fact::Unknown(busy());
    })
}

#[test]
fn one_read_of_an_absence_changes_no_condition() {
    let before = Case::happy().later(INTERVAL);
    let blips = vec![
        not_found(before.clone()),
        before.clone().no_integration(),
        before
            .clone()
            .no_integration()
            .with(|case| case.tenant().complete = false),
        before.clone().dataverse(None),
        before.clone().dataverse(Some(OTHER_HOST)),
        before.clone().no_integration().dataverse(Some(HOST)),
        before.clone().link(LinkView::Absent),
    ];
    for blip in blips {
        let decision = blip.decide();
        let row = decision.row.unwrap();
        assert_eq!(
            decision.status.conditions, before.memory.conditions,
            "{row}"
        );
        assert_eq!((decision.effect, decision.events), (None, vec![]), "{row}");
    }
}

#[test]
fn a_list_that_showed_nothing_does_not_confirm_one_that_proves_it() {
    let partial = Case::nothing().with(|case| case.tenant().complete = false);
    let whole = partial.settled().seeing(&Case::nothing());
    expect(
        &whole.decide(),
        Row::NotIntegrated,
        &[(PowerPlatformIntegrated, "Unknown/Observing")],
    );
    expect(
        &whole.settled().decide(),
        Row::NotIntegrated,
        &[(Ready, "False/NotIntegrated")],
    );
}

#[test]
fn a_condition_says_that_it_is_looked_at_only_while_it_is() {
    let unusable = Environment {
        has_dataverse: false,
        dataverse_url: None,
        ..spec_environment()
    };
    let taken = Environment {
        finance_operations: Some(named(OTHER_HOST)),
        ..spec_environment()
    };
    let expired = Problem::needs_person(Reason::ClientSecretExpired, "AADSTS7000222.");
    let verdicts = vec![
        Case::nothing().settled(),
        not_found(Case::unlinked()).settled(),
        Case::happy().blind(&refused("403.")),
        Case::unlinked()
            .environment(unusable)
            .packages_unknown(busy()),
        Case::unlinked().environment(taken).packages_unknown(busy()),
        Case::unlinked().dataverse(None).settled(),
        Case::unlinked().integrated_elsewhere(),
        Case::nothing()
            .with(|case| case.tenant().complete = false)
            .settled(),
        Case::happy()
            .blind(&expired)
            .with(|case| case.observed.credentials = Fact::Unknown(expired.clone())),
    ];
    for case in verdicts {
        let decision = case.decide();
        for condition in &decision.status.conditions {
            assert_ne!(
                condition.reason,
                "Observing",
                "{}",
                show(&decision, case.now)
            );
            assert!(
                !condition.message.contains("first time"),
                "{}",
                show(&decision, case.now)
            );
        }
    }
}

#[test]
fn row_9_no_link_waits_for_setup() {
    let decision = Case::nothing().settled().decide();
    expect(
        &decision,
        Row::NotIntegrated,
        &[(Linked, "False/WaitingForSetup")],
    );
}

#[test]
fn row_8_the_advice_stays_while_the_link_is_not_seen() {
    let before = Case::happy().integrated_elsewhere().later(INTERVAL);
    for link in [
        LinkView::Unknown(down()),
        LinkView::Absent,
        LinkView::HostDown("502".into()),
    ] {
        let decision = before.clone().link(link).decide();
        reads(&decision, Ready, &["Dual-write still uses"]);
        assert_eq!(decision.status.conditions, before.memory.conditions);
    }
}

#[test]
fn a_blip_makes_no_mix_of_a_unified_sandbox() {
    let host = "contoso-unified.operations.dynamics.com";
    let unified = Environment {
        finance_operations: Some(FinanceOperationsReference {
            kind: IntegrationKind::Unified,
            ..named(host)
        }),
        ..spec_environment()
    };
    let case = Case::happy().dataverse(Some(host)).with(|case| {
        case.desired.host = host.into();
        case.observed.environment = Fact::Known(SpecEnvironment::Visible(unified.clone()));
        case.tenant().naming_host = vec![unified];
    });
    let unread = case
        .clone()
        .with(|case| case.observed.environment = Fact::Unknown(down()));
    let vanished = case.clone().later(INTERVAL).no_integration();
    let denied = case.clone().dataverse(None).settled();
    let invisible = case
        .no_integration()
        .with(|case| case.tenant().complete = false)
        .settled();
    for case in [
        unread,
        vanished.clone(),
        vanished.settled(),
        denied,
        invisible,
    ] {
        let decision = case.decide();
        assert_ne!(
            word(&decision, LinkingMismatch),
            "True/SandboxProductionMix",
            "{decision:#?}"
        );
    }
}

#[test]
fn two_reads_are_the_settle_time_apart_also_where_a_list_was_old() {
    let mut case = by_service(Case::unlinked());
    case.observed.began = start() - jiff::SignedDuration::from_mins(4);
    let again = case.later(seconds(1));
    assert_eq!(again.decide().effect, None);
    assert_eq!(again.later(SETTLE - seconds(2)).decide().effect, None);
}

#[test]
fn a_read_that_began_before_the_last_effect_is_not_the_first_of_two() {
    let mut done = in_phase(planned_setup(), Phase::Succeeded, start());
    done.status.finished_at = Some(start() - jiff::SignedDuration::from_secs(5));
    let mut case = by_service(Case::unlinked()).operation(done);
    case.observed.began = start() - jiff::SignedDuration::from_secs(10);
    assert_eq!(case.settled().decide().effect, None);
}

#[test]
fn the_next_look_is_never_in_the_past() {
    let mut case = Case::unlinked().later(SETTLE + seconds(1));
    case.observed.began = start() + jiff::SignedDuration::from_secs(119);
    assert_eq!(case.wait(&case.decide()), POLL);
}

#[test]
fn the_end_of_patience_is_looked_at_when_it_comes() {
    let case = Case::unlinked()
        .with(|case| case.desired.interval = hours(24))
        .settled();
    let decision = case.later(hours(7 * 24 - 1)).decide();
    assert_eq!(
        decision.next,
        start() + jiff::SignedDuration::from_secs(120 + 7 * 24 * 3600)
    );
}

#[test]
fn a_plan_of_another_tenant_is_not_carried_out_and_one_of_a_renamed_secret_is() {
    let case = Case::bare().settled();
    let planned = case.planned();
    let edited = |edit: fn(&mut Credentials)| {
        let edited = case.clone().operation(planned.clone()).new_generation();
        let edited = edited.with(|case| edit(&mut case.desired.credentials));
        edited.settled().decide().effect
    };
    let other_tenant: fn(&mut Credentials) =
        |credentials| credentials.tenant_id = "fab71ca0-0000-4000-8000-000000000001".into();
    let another_kind: fn(&mut Credentials) = |credentials| {
        credentials.secret_ref = None;
        credentials.ambient = Some(true);
    };
    for edit in [other_tenant, another_kind] {
        let Some(Effect::Void { message, .. }) = edited(edit) else {
            panic!("the plan is kept")
        };
        assert_eq!(message, "Never started: how it is reached has changed.");
    }
    let renamed: fn(&mut Credentials) =
        |credentials| credentials.secret_ref.as_mut().unwrap().name = "contoso-entra-2".into();
    assert_eq!(edited(renamed), None);
}

#[test]
fn nothing_is_created_for_a_resource_that_is_being_deleted() {
    let case = Case::bare()
        .settled()
        .with(|case| case.desired.deleting = true);
    assert_eq!(case.decide().effect, None);
    let planned = planned_setup();
    let case = case.operation(planned);
    assert!(matches!(case.decide().effect, Some(Effect::Void { .. })));
}

#[test]
fn an_outcome_that_somebody_let_go_of_is_not_shown_any_more() {
    let unknown = in_phase(planned_link(), Phase::Unknown, start());
    let case = by_service(Case::unlinked())
        .settled()
        .operation(unknown)
        .later(hours(1));
    let decision = case.with(|case| case.operations.clear()).decide();
    let expected = [
        (Ready, "Unknown/Observing"),
        (Stalled, "-"),
        (Reconciling, "True/Observing"),
    ];
    expect(&decision, Row::NotLinked, &expected);
}

#[test]
fn row_0_names_of_another_namespace_are_not_shown() {
    for phase in [Phase::Running, Phase::Unknown] {
        let mut foreign = in_phase(planned_link(), phase, start());
        foreign.namespace = "fabrikam".into();
        foreign.name = "fabrikam-uat-link-0123456789".into();
        foreign.spec.connection.uid = "another".into();
        foreign.status.message = Some("The request to fabrikam was lost.".into());
        let decision = by_service(Case::unlinked())
            .settled()
            .operation(foreign)
            .decide();
        reads(&decision, Ready, &["another namespace", HOST]);
        assert!(
            !message(&decision, Ready).contains("fabrikam"),
            "{decision:#?}"
        );
    }
}
