//! Stopping every table map: because its connection is deleted, which the operation outlives, or because production and
//! sandbox are mixed.

use crate::reset_support::*;
use dualwrite_api::operation::{MapState, Phase};
use dualwrite_plan::{operation::Owner, world::after};

fn scenario(on_deletion: bool) -> Scenario {
    Scenario {
        operation: planned_stop(on_deletion),
        behaviour: Behaviour::default(),
        deleted: on_deletion,
    }
}

fn run(on_deletion: bool, with: impl FnOnce(&mut Operator)) -> Operator {
    let mut run = scenario(on_deletion).operator();
    with(&mut run);
    run.run();
    run.check(&"");
    run
}

#[test]
fn an_operation_that_is_deleted_from_its_creation_on_stops_the_maps() {
    let run = run(true, |run| assert!(run.api.finalizer));
    assert_eq!(run.phase(), Some(Phase::Succeeded));
    assert!(run.service.all_stopped() && !run.api.exists);
    assert_eq!(run.journal.len(), 1);
    insta::assert_snapshot!("maps_stopped", run.message());
}

#[test]
fn a_deletion_waits_ten_minutes_for_what_it_cannot_see() {
    let blind = |long| {
        run(true, |run| {
            run.service.behaviour.blind = Some((start(), after(start(), long)));
        })
    };
    let soon = blind(minutes(6));
    assert_eq!(soon.phase(), Some(Phase::Succeeded));
    let late = blind(minutes(30));
    assert_eq!(late.phase(), Some(Phase::Void));
    assert!(!late.api.exists && late.journal.is_empty());
    assert!(late.now <= after(start(), minutes(12)));
    insta::assert_snapshot!("maps_not_stopped_in_time", late.message());
}

#[test]
fn a_deletion_that_loses_sight_of_its_request_says_where_to_look() {
    let run = run(true, |run| {
        run.answers.insert(0, Answer::LostUndone);
        run.events = vec![(When::Received(0), Event::Blind(hours(30)))];
    });
    assert_eq!(run.phase(), Some(Phase::Unknown));
    assert!(!run.api.exists);
    insta::assert_snapshot!("maps_stop_abandoned", run.message());
}

#[test]
fn a_map_that_does_not_stop_is_named_with_what_is_stopped() {
    let run = run(false, |run| {
        run.service.behaviour.never_stop.insert("Groups".into());
    });
    assert_eq!(run.phase(), Some(Phase::Failed));
    assert_eq!(run.service.state("Customers"), Some(MapState::Stopped));
    insta::assert_snapshot!("maps_partly_stopped", run.message());
}

#[test]
fn a_map_that_was_started_after_the_plan_was_made_is_named_at_the_end() {
    let run = run(false, |run| {
        let units = run.service.maps.iter_mut().find(|map| map.name == "Units");
        units.unwrap().state = MapState::Running;
        let now = run.now;
        run.service.meddle(now, |_| {});
    });
    assert_eq!(run.phase(), Some(Phase::Succeeded));
    insta::assert_snapshot!("maps_stopped_and_more", run.message());
}

#[test]
fn stopping_that_is_called_off_in_the_middle_tells_what_it_has_stopped() {
    let run = run(false, |run| {
        run.service.behaviour.never_stop.insert("Groups".into());
        run.service.behaviour.ids = false;
        run.owner = present();
        run.events = vec![(When::Received(0), Event::Changed)];
    });
    assert_eq!(
        (run.phase(), run.api.stored.status.reason.as_deref()),
        (Some(Phase::Failed), Some("MapsNotStopped"))
    );
    insta::assert_snapshot!("maps_stop_called_off", run.message());
}

#[test]
fn a_link_that_has_moved_is_left_alone() {
    let run = run(false, |run| {
        run.service.link = Some((THIRD.into(), "set-3".into()));
    });
    assert_eq!(run.phase(), Some(Phase::Void));
    assert!(run.journal.is_empty());
}

#[test]
fn a_connection_that_is_gone_ends_what_was_not_asked_for_by_its_deletion() {
    let run = run(false, |run| run.owner = Owner::Gone);
    assert_eq!(run.phase(), Some(Phase::Void));
    assert!(run.journal.is_empty());
}

#[test]
fn stopping_through_every_crash() {
    for (name, on_deletion) in [("stop, deletion", true), ("stop, mix", false)] {
        let scenario = scenario(on_deletion);
        let mut cells = scenario.answers_and_crashes();
        cells.extend(scenario.events(&[
            Event::Changed,
            Event::Recreated,
            Event::ConnectionDeleted,
            Event::OperationDeleted,
            Event::LinkMoved,
            Event::LinkGone,
            Event::Blind(minutes(4)),
            Event::Blind(hours(30)),
        ]));
        run_all(name, &scenario, &cells, |_, _| {});
    }
}
