//! Rows 0 and 10b for a reset and for the stopping of maps: while they are under way, and when they have failed.

use crate::support::*;
use dualwrite_api::{
    Reason,
    conditions::ConditionType::{Linked, LinkingMismatch, Ready, Reconciling, Stalled},
    operation::{Action, MapState, Phase},
};
use dualwrite_plan::{
    maps::TableMap,
    observed::{Fact, LinkView},
    verdict::Row,
    world::KnownOperation,
};

/// While an operation is under way, the world still as it was when that was planned.
fn during(operation: &KnownOperation, phase: Phase) -> Case {
    let case = if operation.spec.action == Action::Reset {
        to_reset()
    } else {
        mixed()
    };
    case.settled()
        .operation(in_phase(operation.clone(), phase, start()))
}

// ---- row 0 ----

#[test]
fn row_0_a_reset_that_is_under_way_is_followed_and_the_link_shown_as_it_is() {
    let case = during(&planned_reset(), Phase::Running);
    let decision = case.decide();
    expect(
        &decision,
        Row::Occupied,
        &[
            (Ready, "False/Resetting"),
            (Reconciling, "True/Resetting"),
            (Stalled, "-"),
            (Linked, "False/LinkedElsewhere"),
            (LinkingMismatch, "True/DifferentDestination"),
        ],
    );
    assert_eq!(
        (decision.effect.clone(), case.wait(&decision)),
        (None, POLL)
    );
    insta::assert_snapshot!("resetting", show(&decision, case.now));
    // The link has moved, and the maps are not back yet.
    let moved = case.link(link_to(S)).maps(vec![]).decide();
    expect(
        &moved,
        Row::Occupied,
        &[
            (Ready, "False/Resetting"),
            (Linked, "True/Linked"),
            (LinkingMismatch, "False/Matched"),
        ],
    );
}

#[test]
fn row_0_a_stop_that_is_under_way_is_followed() {
    let case = during(&planned_stop(), Phase::Running);
    let decision = case.decide();
    expect(
        &decision,
        Row::Occupied,
        &[
            (Ready, "False/StoppingMaps"),
            (Reconciling, "True/StoppingMaps"),
            (Stalled, "-"),
            (LinkingMismatch, "True/SandboxProductionMix"),
        ],
    );
    assert_eq!(decision.effect, None);
}

#[test]
fn row_0_an_unknown_outcome_of_a_reset_says_where_to_look() {
    let case = during(&planned_reset(), Phase::Unknown);
    let decision = case.decide();
    expect(
        &decision,
        Row::Occupied,
        &[
            (Ready, "False/OutcomeUnknown"),
            (Stalled, "True/OutcomeUnknown"),
            (Linked, "Unknown/OutcomeUnknown"),
            (LinkingMismatch, "True/DifferentDestination"),
        ],
    );
    assert_eq!(decision.effect, None);
    let delete = format!("kubectl delete dwo {} -n contoso", planned_reset().name);
    reads(&decision, Ready, &["Dual-write page", ADMIN, &delete]);
    insta::assert_snapshot!("unknown", show(&decision, case.now));
}

#[test]
fn row_0_a_plan_that_waits_outlives_what_is_under_way() {
    let foreign = |phase| {
        let mut other = in_phase(planned_setup(), phase, start());
        other.spec.connection.uid = "another".into();
        other
    };
    let waits = to_reset().settled().waiting_for_approval();
    let occupied = waits.operation(foreign(Phase::Running)).later(INTERVAL);
    expect(
        &occupied.decide(),
        Row::Occupied,
        &[(Ready, "False/Installing")],
    );
    assert_eq!(occupied.decide().effect, None);
    let mut over = occupied.later(INTERVAL);
    over.operations[1] = foreign(Phase::Succeeded);
    over.operations[1].status.finished_at = Some(over.now);
    for _ in 0..3 {
        assert_eq!(over.decide().effect, None);
        expect(
            &over.decide(),
            Row::LinkedElsewhere,
            &[(Reconciling, "True/AwaitingApproval")],
        );
        over = over.settled();
    }
}

#[test]
fn what_was_under_way_is_not_shown_when_it_has_ended() {
    for operation in [planned_reset(), planned_stop()] {
        let mut case = during(&operation, Phase::Running).later(minutes(1));
        let ready = word(&case.decide(), Ready);
        case.operations[0] = in_phase(operation, Phase::Succeeded, case.now);
        let unseen = case.link(LinkView::HostDown("502".into()));
        let decision = unseen.decide();
        assert_eq!(decision.row, Some(Row::LinkUnknown));
        assert_ne!(word(&decision, Ready), ready);
    }
}

// ---- row 10b: a reset ----

fn failed(operation: KnownOperation, reason: Reason) -> KnownOperation {
    let mut failed = in_phase(operation, Phase::Failed, start());
    failed.status.reason = Some(reason.as_ref().into());
    failed
}

/// A reset has failed before the link moved.
fn failed_before(reason: Reason) -> Case {
    to_reset()
        .settled()
        .operation(failed(planned_reset(), reason))
        .later(SETTLE)
        .later(SETTLE)
}

/// A reset has moved the link, and not everything is back.
fn failed_after(reason: Reason, maps: Vec<TableMap>) -> Case {
    failed_before(reason).link(link_to(S)).maps(maps)
}

#[test]
fn row_10b_each_reason_of_a_failed_reset_is_shown() {
    for reason in [
        Reason::ResetFailed,
        Reason::ResetDidNotRetarget,
        Reason::MapsNotStopped,
        Reason::LinkedDataverseGone,
        Reason::TimedOut,
    ] {
        let decision = failed_before(reason).decide();
        let expected = [
            (Ready, format!("False/{reason}")),
            (Stalled, format!("True/{reason}")),
            (Linked, "False/LinkedElsewhere".into()),
            (LinkingMismatch, "True/DifferentDestination".into()),
        ];
        for (kind, wanted) in expected {
            assert_eq!(word(&decision, kind), wanted);
        }
        assert_eq!(decision.row, Some(Row::OperationFailed));
        assert_eq!(decision.effect, None);
    }
    let case = failed_before(Reason::ResetFailed);
    insta::assert_snapshot!("reset_failed", show(&case.decide(), case.now));
}

#[test]
fn row_10b_what_a_reset_that_missed_its_target_says_is_not_contradicted() {
    // Its own message has the commands in their order; "to try again" at once would be wrong.
    let decision = failed_before(Reason::ResetDidNotRetarget).decide();
    assert_eq!(
        message(&decision, Ready),
        "Resetting failed: DW0815 no capacity."
    );
}

#[test]
fn row_10b_a_reset_that_lost_maps_is_shown_until_they_run() {
    for reason in [Reason::MapsNotRunning, Reason::RestoreIncomplete] {
        let case = failed_after(reason, vec![]);
        // Maps that were not promised need not come back.
        let mut promised = case.clone();
        promised.operations[0].status.missing = vec!["map 'customers' has not come back".into()];
        let decision = promised.decide();
        let expected = [
            (Ready, format!("False/{reason}")),
            (Stalled, format!("True/{reason}")),
            (Linked, "True/Linked".into()),
            (LinkingMismatch, "False/Matched".into()),
        ];
        for (kind, wanted) in expected {
            assert_eq!(word(&decision, kind), wanted);
        }
        let delete = format!("kubectl delete dwo {} -n contoso", planned_reset().name);
        reads(&decision, Ready, &[&delete, "run again"]);
        assert!(!message(&decision, Ready).contains("To try again"));
    }
    let case = failed_after(
        Reason::MapsNotRunning,
        vec![map("customers", MapState::Stopped)],
    );
    insta::assert_snapshot!("maps_not_running", show(&case.decide(), case.now));
}

#[test]
fn row_10b_a_failed_reset_stops_to_matter_when_the_maps_run() {
    let running = ["currencies", "customers", "groups"].map(|name| map(name, MapState::Running));
    let matters = |case: Case| case.decide().row == Some(Row::OperationFailed);
    let with = |maps: &[TableMap]| failed_after(Reason::MapsNotRunning, maps.to_vec());
    assert!(!matters(with(&running)));
    expect(
        &with(&running).decide(),
        Row::Connected,
        &[(Ready, "True/Connected")],
    );
    // Which of them is paused, and what else there is, does not matter.
    let mut other = running.to_vec();
    other[0].state = MapState::Paused;
    other.push(map("units", MapState::Stopped));
    assert!(!matters(with(&other)));
    for (state, expected) in [
        (MapState::Stopped, true),
        (MapState::None, true),
        (MapState::NotRunning, true),
        (MapState::Other, true),
    ] {
        let mut maps = running.to_vec();
        maps[1].state = state;
        assert_eq!(matters(with(&maps)), expected, "{state}");
    }
    // A solution that came twice has brought it twice; one of them is enough.
    for state in [MapState::None, MapState::Stopped, MapState::NotRunning] {
        let mut twins = running.to_vec();
        twins.push(map("customers", state));
        assert!(!matters(with(&twins)), "{state}");
        twins[1].state = MapState::Stopped;
        assert!(matters(with(&twins)), "{state}");
    }
    // Unknown is not running.
    assert!(matters(with(&running).maps_unknown(down())));
    assert!(matters(with(&running).link(LinkView::Unknown(down()))));
}

#[test]
fn row_10b_a_failed_reset_is_released_superseded_or_tried_again() {
    let ends: [fn(Case) -> Case; 3] = [
        |case| case.with(|case| case.operations.clear()),
        Case::new_generation,
        |case| case.with(|case| case.desired.reconcile_at = Some("now".into())),
    ];
    for end in ends {
        let case = failed_before(Reason::ResetFailed);
        assert_eq!(case.decide().row, Some(Row::OperationFailed));
        let case = end(case);
        assert_eq!(case.decide().row, Some(Row::LinkedElsewhere));
        let again = case.later(seconds(1)).settled().planned();
        assert_eq!(again.spec.action, Action::Reset);
        // Where the link has moved already, nothing is planned.
        let moved = end(failed_after(Reason::MapsNotRunning, some_maps()));
        let decision = moved.settled().decide();
        assert_eq!(
            (decision.row, decision.effect),
            (Some(Row::Connected), None)
        );
    }
}

#[test]
fn row_10b_an_operation_in_deletion_still_counts_until_it_is_gone() {
    let mut case = failed_before(Reason::ResetFailed);
    case.operations[0].deleted = Some(case.now);
    assert_eq!(case.decide().effect, None);
}

// ---- row 10b: a stop ----

#[test]
fn row_10b_a_failed_stop_is_shown_while_maps_pass_something_on() {
    let case = mixed()
        .settled()
        .operation(failed(planned_stop(), Reason::MapsNotStopped))
        .later(SETTLE);
    let decision = case.decide();
    expect(
        &decision,
        Row::OperationFailed,
        &[
            (Ready, "False/MapsNotStopped"),
            (Stalled, "True/MapsNotStopped"),
            (LinkingMismatch, "True/SandboxProductionMix"),
        ],
    );
    assert_eq!(decision.effect, None);
    insta::assert_snapshot!("stop_failed", show(&decision, case.now));
    // A blip changes nothing.
    for blip in [
        case.clone().maps_unknown(down()),
        case.clone()
            .with(|case| case.observed.tenant = Fact::Unknown(down())),
    ] {
        let decision = blip.decide();
        assert_eq!(decision.row, Some(Row::OperationFailed));
        for kind in [Ready, Stalled, LinkingMismatch] {
            assert_eq!(message(&decision, kind), message(&case.decide(), kind));
        }
    }
}

// ---- what Ready says of maps ----

#[test]
fn a_connection_whose_maps_are_stopped_says_so() {
    let case = |maps| Case::happy().maps(maps).decide();
    let all = case(vec![
        map("a", MapState::Running),
        map("b", MapState::Running),
    ]);
    reads(&all, Ready, &["All 2 table maps run."]);
    let some = case(some_maps());
    reads(&some, Ready, &["2 of 5 table maps run."]);
    let none = case(vec![map("a", MapState::Stopped), map("b", MapState::None)]);
    reads(
        &none,
        Ready,
        &["0 of 2 table maps run: ", "Dual-write page"],
    );
    let broken = case(vec![
        map("a", MapState::Running),
        map("b", MapState::NotRunning),
    ]);
    reads(
        &broken,
        Ready,
        &["1 of 2 table maps run", "should run and do not", ": b."],
    );
    for decision in [all, some, none, broken, case(vec![])] {
        expect(&decision, Row::Connected, &[(Ready, "True/Connected")]);
    }
    let unread = Case::happy().maps_unknown(busy()).decide();
    assert_eq!(message(&unread, Ready), message(&case(vec![]), Ready));
}
