//! What every row shares: suspension, first passes, blips, outages, age, events, and when to look again.

use std::time::Duration;

use crate::support::*;
use dualwrite_api::{
    conditions::ConditionType::{
        CredentialsValid, Linked, LinkingMismatch, PowerPlatformIntegrated, Ready, Reconciling,
        SetupComplete, Stalled,
    },
    connection::FailureClass,
    operation::Phase,
};
use dualwrite_plan::{
    desired::Desired,
    observed::{LinkView, Problem},
    verdict::Row,
};
use serde_json::json;

// ---- suspend ----

#[test]
fn a_suspended_resource_says_only_that() {
    let case = Case::happy()
        .link(link_to(E))
        .later(INTERVAL)
        .new_generation();
    let case = case.with(|case| case.desired.suspend = true);
    let decision = case.decide();
    assert_eq!((decision.row, decision.effect.clone()), (None, None));
    assert_eq!(word(&decision, Ready), "Unknown/Suspended");
    assert_eq!(
        (word(&decision, Stalled), word(&decision, Reconciling)),
        ("-".into(), "-".into())
    );
    assert_eq!(
        word(&decision, Linked),
        "False/LinkedElsewhere",
        "the last known stays"
    );
    assert_eq!(decision.status.observed_generation, Some(2));
    assert_eq!(case.wait(&decision), INTERVAL);
    reads(&decision, Ready, &["spec.suspend"]);
    insta::assert_snapshot!("suspended", show(&decision, case.now));
}

#[test]
fn a_suspended_resource_creates_and_voids_nothing() {
    for case in [
        Case::bare().settled(),
        Case::happy().operation(planned_link()),
    ] {
        let case = case.with(|case| case.desired.suspend = true);
        assert_eq!(case.decide().effect, None);
    }
}

#[test]
fn after_a_suspension_it_goes_on() {
    let case = Case::happy()
        .with(|case| case.desired.suspend = true)
        .later(INTERVAL);
    let case = case
        .new_generation()
        .with(|case| case.desired.suspend = false);
    expect(&case.decide(), Row::Connected, &[(Ready, "True/Connected")]);
    let blind = case.blind(&down()).decide();
    expect(
        &blind,
        Row::IntegrationUnknown,
        &[(Ready, "Unknown/Observing")],
    );
}

// ---- generations ----

#[test]
fn the_first_pass_of_a_generation_that_sees_nothing_is_observing() {
    let case = Case::happy()
        .later(INTERVAL)
        .new_generation()
        .blind(&down());
    let decision = case.decide();
    expect(
        &decision,
        Row::IntegrationUnknown,
        &[
            (Ready, "Unknown/Observing"),
            (Reconciling, "True/Observing"),
            (Linked, "True/Linked"),
        ],
    );
    assert_eq!(decision.status.observed_generation, Some(2));
}

#[test]
fn a_new_generation_is_on_every_condition() {
    let decision = Case::happy().later(INTERVAL).new_generation().decide();
    for condition in &decision.status.conditions {
        assert_eq!(
            condition.observed_generation,
            Some(2),
            "{}",
            condition.type_
        );
    }
}

#[test]
fn reconcile_at_is_echoed() {
    let case = Case::happy().with(|case| case.desired.reconcile_at = Some("12:00".into()));
    assert_eq!(
        case.decide().status.last_handled_reconcile_at.as_deref(),
        Some("12:00")
    );
}

/// An annotation may have 256 KiB.
#[test]
fn a_long_reconcile_at_is_echoed_by_its_digest() {
    let asked = |value: &str| {
        let mut connection = manifest();
        connection["metadata"]["annotations"] = json!({"dualwrite.dev/reconcile-at": value});
        let connection = serde_json::from_value(connection).unwrap();
        let desired = Desired::from_resource(&connection, seconds(30)).unwrap();
        let decision = Case::happy().with(|case| case.desired = desired).decide();
        decision.status.last_handled_reconcile_at.unwrap()
    };
    let (long, longer) = ("x".repeat(200_000), "x".repeat(200_001));
    assert_eq!(asked(&long).len(), "sha256:".len() + 64);
    assert_ne!(asked(&long), asked(&longer));
    assert_eq!(asked(&asked(&long)), asked(&long));
    let short = "x".repeat(128);
    assert_eq!(asked(&short), short);
}

// ---- outages ----

/// Everything was well, and then nothing could be read for this long, looked at once in between.
fn outage(how_long: Duration) -> Case {
    Case::happy().later(INTERVAL).blind(&down()).later(how_long)
}

#[test]
fn retrying_appears_after_one_interval_of_failure() {
    let almost = outage(INTERVAL - seconds(1)).decide();
    expect(
        &almost,
        Row::IntegrationUnknown,
        &[(Ready, "True/Connected"), (Reconciling, "-")],
    );
    let decision = outage(INTERVAL).decide();
    expect(
        &decision,
        Row::IntegrationUnknown,
        &[(Ready, "True/Connected"), (Reconciling, "True/Retrying")],
    );
    reads(
        &decision,
        Reconciling,
        &["since 2026-03-02 10:05:00 UTC", "503 Service Unavailable"],
    );
    insta::assert_snapshot!("retrying", show(&decision, start()));
}

#[test]
fn an_outage_is_one_write_and_its_end_another() {
    let before = outage(seconds(1));
    let written = before.decide().status;
    assert_eq!(before.later(seconds(60)).decide().status, written);
    let over = outage(INTERVAL)
        .later(seconds(5))
        .seeing(&Case::happy())
        .decide();
    expect(
        &over,
        Row::Connected,
        &[(Ready, "True/Connected"), (Reconciling, "-")],
    );
    assert_eq!(over.status.failure, None);
}

#[test]
fn what_is_older_than_three_intervals_and_fifteen_minutes_is_stale() {
    for (interval, stale) in [
        (minutes(1), minutes(15)),
        (minutes(5), minutes(15)),
        (minutes(30), minutes(90)),
    ] {
        let case = |how_long| {
            Case::happy()
                .with(|case| case.desired.interval = interval)
                .later(interval)
                .blind(&down())
                .later(how_long)
        };
        let almost = case(stale - seconds(1)).decide();
        expect(
            &almost,
            Row::IntegrationUnknown,
            &[(Ready, "True/Connected"), (Linked, "True/Linked")],
        );
        let decision = case(stale).decide();
        expect(
            &decision,
            Row::IntegrationUnknown,
            &[
                (Ready, "Unknown/ObservationStale"),
                (Linked, "Unknown/ObservationStale"),
                (SetupComplete, "Unknown/ObservationStale"),
                (PowerPlatformIntegrated, "Unknown/ObservationStale"),
                (CredentialsValid, "True/Authenticated"),
                (Reconciling, "True/Retrying"),
            ],
        );
        reads(
            &decision,
            Ready,
            &["could not be read since", "What was seen last"],
        );
    }
    insta::assert_snapshot!("stale", show(&outage(minutes(15)).decide(), start()));
}

/// That nothing is known yet, or that no link is seen, claims nothing that could be too old.
#[test]
fn what_claims_nothing_does_not_grow_old() {
    let unseen = Case::happy().link(LinkView::Unknown(down()));
    let decision = unseen.later(minutes(15)).decide();
    expect(
        &decision,
        Row::LinkUnknown,
        &[
            (Ready, "Unknown/ObservationStale"),
            (Linked, "Unknown/LinkNotSeen"),
            (LinkingMismatch, "Unknown/NotObservable"),
            (PowerPlatformIntegrated, "True/Integrated"),
        ],
    );
}

/// What the operator said of an error of its own is over with the first pass that ends, also where it sees nothing.
#[test]
fn an_error_of_the_operators_own_is_not_remembered_in_an_outage() {
    let mut case = outage(seconds(1));
    for condition in &mut case.memory.conditions {
        if condition.type_ == "Ready" {
            condition.status = "Unknown".into();
            condition.reason = "InternalError".into();
        }
    }
    let decision = case.decide();
    let ready = decision
        .status
        .conditions
        .iter()
        .find(|one| one.type_ == "Ready");
    assert_ne!(ready.unwrap().reason, "InternalError");
}

#[test]
fn what_is_stale_is_fresh_again_after_one_good_read() {
    let case = outage(minutes(15)).later(minutes(5)).seeing(&Case::happy());
    expect(
        &case.decide(),
        Row::Connected,
        &[
            (Ready, "True/Connected"),
            (Linked, "True/Linked"),
            (Reconciling, "-"),
        ],
    );
}

#[test]
fn what_is_wrong_stays_stalled_during_a_short_outage() {
    let case = Case::happy()
        .link(link_to(E))
        .later(INTERVAL)
        .blind(&down());
    let decision = case.later(INTERVAL).decide();
    expect(
        &decision,
        Row::IntegrationUnknown,
        &[(Stalled, "True/DifferentDestination"), (Reconciling, "-")],
    );
}

#[test]
fn another_correlation_id_is_not_a_write() {
    let failing = |id| {
        Problem::transient(format!(
            "{} (correlation id {})",
            "GET environments: 503.", id
        ))
    };
    let case = Case::happy().blind(&failing("1")).later(INTERVAL);
    let written = case.later(seconds(1));
    let again = written.clone().blind(&failing("2")).decide();
    assert_eq!(again.status, written.memory);
}

#[test]
fn a_read_that_was_not_needed_is_no_outage() {
    let case = Case::happy().packages_unknown(busy());
    let decision = case.decide();
    assert_eq!(
        (decision.status.failure.clone(), case.wait(&decision)),
        (None, INTERVAL)
    );
}

#[test]
fn the_failure_remembers_its_class_and_beginning() {
    let unexpected = Problem {
        class: FailureClass::Unexpected,
        ..down()
    };
    let decision = Case::happy().blind(&unexpected).later(minutes(1)).decide();
    let failure = decision.status.failure.unwrap();
    assert_eq!(
        (failure.since, failure.class, failure.generation),
        (start(), FailureClass::Unexpected, 1)
    );
}

// ---- when to look again ----

#[test]
fn the_wait_after_a_failure_is_half_of_how_long_it_has_lasted() {
    for (lasted, wait) in [(0, 5), (60, 30), (400, 200), (6000, 300)] {
        let case = Case::happy().blind(&down()).later(seconds(lasted));
        assert_eq!(case.wait(&case.decide()), seconds(wait));
    }
}

#[test]
fn whoever_asks_us_to_wait_is_obeyed() {
    for wait in [20, 4000] {
        let problem = Problem {
            retry_after: Some(seconds(wait)),
            ..down()
        };
        let case = Case::happy().blind(&problem);
        assert_eq!(case.wait(&case.decide()), seconds(wait));
    }
}

#[test]
fn what_a_person_must_mend_is_read_again_each_interval() {
    let case = Case::happy().blind(&refused("403."));
    assert_eq!(case.wait(&case.decide()), INTERVAL);
}

// ---- events and memory ----

#[test]
fn an_event_tells_of_a_change_and_of_nothing_else() {
    let first = Case::happy().decide();
    assert_eq!(first.events.len(), 1);
    assert!(!first.events[0].warning);
    assert_eq!(Case::happy().later(INTERVAL).decide().events, vec![]);
    let mismatch = Case::happy().later(INTERVAL).link(link_to(E)).decide();
    assert_eq!(
        mismatch.events.len(),
        1,
        "Ready and LinkingMismatch say the same"
    );
    assert!(mismatch.events[0].warning);
}

#[test]
fn since_is_kept_while_a_truth_stays_the_same() {
    let observed = Case::happy().later(INTERVAL).decide().status.observed;
    assert_eq!(observed.integration.unwrap().since, start());
    assert_eq!(observed.dataverse.unwrap().since, start());
    let moved = Case::happy()
        .later(INTERVAL)
        .link(link_to(E))
        .decide()
        .status
        .observed
        .link
        .unwrap();
    assert_eq!(moved.first_seen, start());
    assert_ne!(moved.since, start());
}

#[test]
fn the_current_operation_is_shown_and_ten_finished_ones_are_kept() {
    let mut case = Case::happy();
    for at in 0..12 {
        let mut old = in_phase(planned_link(), Phase::Void, start());
        old.name = format!("contoso-uat-link-{at:02}");
        old.uid = format!("uid-{at:02}");
        old.created = start() + jiff::SignedDuration::from_secs(at);
        case = case.operation(old);
    }
    let decision = case.decide();
    assert_eq!(
        decision.forget,
        ["contoso-uat-link-00", "contoso-uat-link-01"]
    );
    assert_eq!(
        decision.status.operation.unwrap().name,
        "contoso-uat-link-11"
    );
}

#[test]
fn the_admin_url_appears_with_the_link() {
    assert_eq!(Case::unlinked().settled().decide().status.admin_url, None);
    assert!(Case::happy().decide().status.admin_url.is_some());
}

#[test]
fn waiting_starts_again_when_something_else_is_waited_for() {
    let case = Case::nothing().settled().later(hours(6 * 24));
    let case = case.seeing(&Case::unlinked()).settled().settled();
    expect(
        &case.decide(),
        Row::NotLinked,
        &[(Reconciling, "True/AwaitingPerson")],
    );
    let longer = case.later(hours(6 * 24)).decide();
    expect(&longer, Row::NotLinked, &[(Stalled, "-")]);
}

#[test]
fn a_blip_does_not_interrupt_waiting() {
    let case = Case::unlinked().settled().later(hours(6 * 24));
    let blip = case
        .blind(&down())
        .later(seconds(10))
        .seeing(&Case::unlinked());
    let decision = blip.later(hours(24)).decide();
    expect(
        &decision,
        Row::NotLinked,
        &[(Stalled, "True/AwaitingManualLink")],
    );
}

#[test]
fn an_absence_that_a_link_interrupts_starts_again() {
    let case = Case::nothing().later(seconds(60)).seeing(&Case::happy());
    let case = case
        .later(seconds(60))
        .seeing(&Case::nothing().link(link_to(S)));
    expect(
        &case.decide(),
        Row::LinkedWithoutIntegration,
        &[(Ready, "True/Connected")],
    );
}

#[test]
fn a_host_that_is_down_interrupts_nothing_and_proves_nothing() {
    let case = Case::unlinked()
        .later(seconds(60))
        .link(LinkView::HostDown("502".into()));
    let decision = case.decide();
    assert_eq!(
        (decision.row, decision.effect),
        (Some(Row::LinkUnknown), None)
    );
}

#[test]
fn what_stays_the_same_keeps_its_time_however_often_a_pass_sets_it() {
    let unread_list = |case: Case| {
        case.with(|case| {
            case.observed.tenant = dualwrite_plan::observed::Fact::Unknown(down());
        })
    };
    let unknown = in_phase(planned_link(), Phase::Unknown, start());
    let cases = [
        by_service(Case::unlinked()).settled().operation(unknown),
        unread_list(Case::happy()).later(INTERVAL),
    ];
    for case in cases {
        let case = case.later(seconds(1));
        assert_eq!(case.decide().status, case.memory);
        assert_eq!(
            case.clone().later(seconds(1)).decide().status.conditions,
            case.memory.conditions
        );
    }
}

/// The definition holds them to being durations; of an object from before that the usual ones are taken.
#[test]
fn times_that_cannot_be_read_are_the_usual_ones() {
    let mut manifest = manifest();
    for (part, name) in [
        ("setup", "timeout"),
        ("link", "timeout"),
        ("link", "manualTimeout"),
    ] {
        manifest["spec"][part][name] = serde_json::json!("soon");
    }
    let connection = serde_json::from_value(manifest).unwrap();
    let desired =
        dualwrite_plan::desired::Desired::from_resource(&connection, seconds(30)).unwrap();
    assert_eq!(desired.setup_timeout, minutes(90));
    assert_eq!(desired.link_timeout, minutes(15));
    assert_eq!(desired.manual_timeout, minutes(7 * 24 * 60));
}
