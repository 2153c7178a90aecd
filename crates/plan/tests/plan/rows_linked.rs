//! Rows 13 to 16 of the decision table: what is seen of a link, and what can be wrong with one.

use crate::support::*;
use dualwrite_api::{
    conditions::ConditionType::{
        Linked, LinkingMismatch, PowerPlatformIntegrated, Ready, Reconciling, SetupComplete,
        Stalled,
    },
    connection::{IntegrationKind, LinkObservation},
    operation::Phase,
};
use dualwrite_plan::{
    decision::Effect,
    observed::{
        Environment, Fact, FinanceOperationsReference, LinkView, PackageState, SpecEnvironment,
    },
    verdict::Row,
    world::KnownOperation,
};

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
        "Never started: the companies were USMF, DEMF and are FRRT."
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
