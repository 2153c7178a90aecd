//! A reset from its first step to its end, one story at a time: what is done, in which order, and what a person reads.

use std::collections::BTreeMap;

use crate::reset_support::*;
use dualwrite_api::operation::{IntegrationKey, MapState, Phase, StepState};
use dualwrite_plan::{
    maps::{self, TableMap},
    observed::Fact,
    operation::{BackupView, Request},
    world::after,
};

fn reset(starts: bool, with: impl FnOnce(&mut Operator)) -> Operator {
    let mut run = Operator::new(planned_reset(starts), Behaviour::default());
    with(&mut run);
    run.run();
    run.check(&"");
    run
}

/// How it has ended; the message is a snapshot, because an administrator reads it at night.
fn ends(run: &Operator, phase: Phase, reason: Option<&str>) {
    let status = &run.api.stored.status;
    assert_eq!(
        (status.phase, status.reason.as_deref()),
        (Some(phase), reason),
        "{status:#?}"
    );
}

fn sent(run: &Operator) -> Vec<&str> {
    run.journal.iter().map(|sent| sent.step.as_str()).collect()
}

fn state_of(run: &Operator, step: &str) -> StepState {
    let steps = &run.api.stored.status.steps;
    steps.iter().find(|known| known.name == step).unwrap().state
}

/// The number of the first request of a step in an undisturbed run.
fn number_of(step: &str) -> usize {
    let run = reset(true, |_| {});
    sent(&run).iter().position(|sent| *sent == step).unwrap()
}

// ---- the way ----

#[test]
fn everything_is_put_back_in_order() {
    let run = reset(true, |_| {});
    ends(&run, Phase::Succeeded, None);
    assert_eq!(
        sent(&run),
        [
            "backup",
            "stop-maps",
            "reset",
            "solution/ContosoMaps",
            "solution/FabrikamMaps",
            "integration-keys",
            "initialise-maps",
            "map-version/Customers",
            "start-maps/1",
            "start-maps/2",
            "pause-maps",
        ]
    );
    for (name, state, version) in [
        ("Groups", MapState::Running, "1.0.0.2"),
        ("Customers", MapState::Running, "1.0.0.1"),
        ("Vendors", MapState::Paused, "1.0.0.2"),
        ("Units", MapState::Stopped, "1.0.0.2"),
        ("Warehouses", MapState::Stopped, "1.0.0.2"),
    ] {
        let map = run.service.maps.iter().find(|map| map.name == name);
        let map = map.unwrap();
        assert_eq!(
            (map.state, map.version.as_deref()),
            (state, Some(version)),
            "{name}"
        );
    }
    assert_eq!(run.service.keys, keys());
    assert!(!run.api.finalizer);
    insta::assert_snapshot!("reset_as_before", run.message());
}

#[test]
fn each_step_is_done_only_once_it_was_read_back() {
    let mut run = Operator::new(planned_reset(true), Behaviour::default());
    run.run_to("reset");
    assert!(run.service.all_stopped());
    assert_eq!(run.backup, BackupView::Intact);
    run.run_to("solution/ContosoMaps");
    assert_eq!(run.service.link.as_ref().unwrap().0, TARGET);
    run.run_to("integration-keys");
    assert_eq!(run.service.maps.len(), 5);
    run.run_to("start-maps/2");
    assert_eq!(run.service.state("Groups"), Some(MapState::Running));
}

#[test]
fn a_map_that_is_there_twice_does_not_keep_a_reset_from_being_sent() {
    let twin = |name| TableMap {
        project: None,
        ..map(name, MapState::Stopped, "1.0.0.2")
    };
    let run = reset(true, |run| {
        let mut maps = contoso_maps();
        maps.extend([twin("Customers"), twin("Warehouses")]);
        let none = BTreeMap::new();
        run.api.stored.spec.relies_on.maps = maps::planned(&maps, &prerequisites(), &none);
        run.service.meddle(start(), |service| service.maps = maps);
    });
    assert_eq!(sent(&run)[2], "reset");
}

#[test]
fn maps_that_are_not_to_start_stay_stopped_and_the_end_names_their_order() {
    let run = reset(false, |_| {});
    ends(&run, Phase::Succeeded, None);
    assert!(run.service.all_stopped());
    assert!(!sent(&run).iter().any(|step| step.starts_with("start")));
    assert_eq!(state_of(&run, "by-person"), StepState::Pending);
    insta::assert_snapshot!("reset_maps_stay_stopped", run.message());
}

#[test]
fn a_reset_to_where_the_link_is_already_is_sent_and_seen_in_the_maps() {
    let mut operation = planned_reset(true);
    operation.spec.target.environment_id = OLD.into();
    let mut run = Operator::new(operation, Behaviour::default());
    run.service.behaviour.ends = Ends::Stays;
    run.run();
    ends(&run, Phase::Succeeded, None);
    assert_eq!(run.service.resets, 1);
}

#[test]
fn a_same_destination_whose_reset_was_lost_is_not_taken_for_done() {
    let mut operation = planned_reset(true);
    operation.spec.target.environment_id = OLD.into();
    let mut run = Operator::new(operation, Behaviour::default());
    run.answers.insert(2, Answer::LostUndone);
    run.run();
    ends(&run, Phase::Unknown, Some("OutcomeUnknown"));
    assert_eq!(run.service.maps.len(), 6);
}

// ---- what has not come back ----

#[test]
fn a_map_that_the_plan_gave_up_does_not_count() {
    let run = reset(true, |_| {});
    assert!(run.message().contains(LEGACY));
    ends(&run, Phase::Succeeded, None);
}

#[test]
fn a_map_that_was_promised_and_is_missing_is_named() {
    let run = reset(true, |run| run.service.forget("Vendors"));
    ends(&run, Phase::Failed, Some("RestoreIncomplete"));
    insta::assert_snapshot!("reset_promised_map_missing", run.message());
}

#[test]
fn a_map_that_does_not_start_is_named_and_what_needs_it_is_not_asked_for() {
    let run = reset(true, |run| {
        run.service.behaviour.never_start.insert("Groups".into());
    });
    ends(&run, Phase::Failed, Some("MapsNotRunning"));
    assert_eq!(run.service.state("Vendors"), Some(MapState::Paused));
    assert!(!sent(&run).contains(&"start-maps/2"));
    insta::assert_snapshot!("reset_map_does_not_start", run.message());
}

#[test]
fn a_version_that_is_gone_is_named() {
    let run = reset(true, |run| {
        for (_, maps) in &mut run.service.behaviour.solutions {
            for map in maps.iter_mut().filter(|map| map.name == "Customers") {
                map.versions.retain(|version| version.version == "1.0.0.2");
            }
        }
    });
    ends(&run, Phase::Failed, Some("RestoreIncomplete"));
    assert_eq!(run.service.state("Customers"), Some(MapState::Running));
    insta::assert_snapshot!("reset_version_missing", run.message());
}

/// It has no project, so no version of it can be chosen.
#[test]
fn a_map_that_was_never_started_is_waited_for_by_nobody() {
    let run = reset(true, |run| {
        let planned = run.api.stored.spec.relies_on.maps.iter_mut();
        for planned in planned.filter(|planned| planned.name == "Warehouses") {
            planned.version = Some("1.0.0.1".into());
        }
        let now = run.now;
        run.service.meddle(now, |service| {
            let maps = service.maps.iter_mut();
            for map in maps.filter(|map| map.name == "Warehouses") {
                map.version = Some("1.0.0.1".into());
            }
        });
    });
    ends(&run, Phase::Succeeded, None);
    assert!(!sent(&run).contains(&"map-version/Warehouses"));
    assert_eq!(run.now, reset(true, |_| {}).now);
}

#[test]
fn a_solution_whose_answer_was_lost_is_applied_once_and_named_if_nothing_came() {
    let number = number_of("solution/ContosoMaps");
    let run = reset(true, |run| {
        run.answers.insert(number, Answer::LostUndone);
    });
    ends(&run, Phase::Failed, Some("RestoreIncomplete"));
    let times = sent(&run)
        .iter()
        .filter(|step| **step == "solution/ContosoMaps")
        .count();
    assert_eq!(times, 1);
    // The independent ones went on.
    assert_eq!(run.service.state("Units"), Some(MapState::Stopped));
    insta::assert_snapshot!("reset_solution_lost", run.message());
    for answer in [Answer::LostDone, Answer::LostLate, Answer::BrokenDone] {
        let run = reset(true, |run| {
            run.answers.insert(number, answer);
        });
        ends(&run, Phase::Succeeded, None);
    }
}

#[test]
fn a_request_that_never_ends_by_what_the_service_says_holds_nothing_up() {
    let run = reset(true, |run| run.service.behaviour.stuck = true);
    ends(&run, Phase::Succeeded, None);
    assert!(run.took_less_than(2));
}

#[test]
fn maps_that_come_late_are_credited_to_the_solution_that_brought_them() {
    let run = reset(true, |run| {
        run.service.behaviour.ids = false;
        run.service.behaviour.takes = minutes(4);
        run.service.behaviour.lag = seconds(100);
    });
    ends(&run, Phase::Succeeded, None);
    let steps = &run.api.stored.status.steps;
    let of = |name: &str| &steps.iter().find(|step| step.name == name).unwrap().maps;
    assert_eq!(of("solution/ContosoMaps").len(), 3);
    assert_eq!(of("solution/FabrikamMaps").len(), 2);
}

#[test]
fn what_is_refused_is_named_with_where_to_do_it() {
    let keys = number_of("integration-keys");
    let solution = number_of("solution/FabrikamMaps");
    let run = reset(true, |run| {
        run.answers.insert(keys, Answer::Refused);
        run.answers.insert(solution, Answer::Forbidden);
    });
    ends(&run, Phase::Failed, Some("RestoreIncomplete"));
    insta::assert_snapshot!("reset_steps_refused", run.message());
}

// ---- before anything is destroyed ----

#[test]
fn a_map_that_does_not_stop_ends_it_and_the_others_are_started_again() {
    let run = reset(true, |run| {
        run.service.behaviour.never_stop.insert("Groups".into());
    });
    ends(&run, Phase::Failed, Some("MapsNotStopped"));
    assert_eq!(run.not_as_before(), Vec::<String>::new());
    assert_eq!(run.service.resets, 0);
    insta::assert_snapshot!("reset_map_does_not_stop", run.message());
}

#[test]
fn with_force_a_map_that_does_not_stop_is_reset_all_the_same() {
    let mut operation = planned_reset(true);
    operation.spec.options.force = true;
    let mut run = Operator::new(operation, Behaviour::default());
    run.service.behaviour.never_stop.insert("Groups".into());
    run.run();
    run.check(&"");
    ends(&run, Phase::Succeeded, None);
    let resets = run.journal.iter().filter_map(|sent| match &sent.request {
        Request::Reset { force, .. } => Some(*force),
        _ => None,
    });
    assert_eq!(resets.collect::<Vec<_>>(), [true]);
    insta::assert_snapshot!("reset_forced", run.message());
}

#[test]
fn a_linked_dataverse_that_was_deleted_needs_microsoft() {
    let run = reset(true, |run| {
        let set = run.api.stored.spec.relies_on.connection_set.as_mut();
        set.unwrap().environment_visible = false;
        run.answers.insert(1, Answer::Forbidden);
    });
    ends(&run, Phase::Failed, Some("LinkedDataverseGone"));
    insta::assert_snapshot!("reset_linked_dataverse_gone", run.message());
}

#[test]
fn a_reset_that_is_refused_has_destroyed_nothing() {
    let run = reset(true, |run| {
        run.answers.insert(2, Answer::Refused);
    });
    ends(&run, Phase::Failed, Some("ResetFailed"));
    assert_eq!(run.not_as_before(), Vec::<String>::new());
    insta::assert_snapshot!("reset_refused", run.message());
}

/// A proxy or a policy in between has refused it, and the service has done it.
#[test]
fn a_refused_reset_is_not_believed_before_it_was_looked_for() {
    let run = reset(true, |run| {
        run.answers.insert(2, Answer::RefusedDone);
    });
    ends(&run, Phase::Succeeded, None);
    let run = reset(true, |run| {
        run.answers.insert(2, Answer::RefusedDone);
        run.service.behaviour.ends = Ends::Stays;
    });
    ends(&run, Phase::Unknown, Some("OutcomeUnknown"));
    assert!(!run.has_sent("restart-maps/1"));
    insta::assert_snapshot!("reset_refused_and_changed", run.message());
}

/// Stalled is what the connection makes of it.
#[test]
fn what_only_a_person_can_mend_is_the_reason_while_it_lasts() {
    let mut run = Operator::new(planned_reset(true), Behaviour::default());
    run.run_past("stop-maps");
    run.befall(Event::IntegrationUnseen).unwrap();
    run.pass();
    ends(&run, Phase::Running, Some("AccessDenied"));
    run.integrated = Fact::Known(true);
    run.pass();
    ends(&run, Phase::Running, None);
}

#[test]
fn an_integration_key_whose_table_has_no_map_any_more_is_named() {
    let run = reset(true, |run| {
        let mut keys = keys();
        keys.push(IntegrationKey {
            entity: "vendors".into(),
            fields: vec!["vendornumber".into()],
        });
        run.service.keys.clone_from(&keys);
        run.api.stored.spec.relies_on.integration_keys = keys;
        for (_, maps) in &mut run.service.behaviour.solutions {
            for map in maps.iter_mut().filter(|map| map.name == "Customers") {
                map.table = Some("accounts".into());
            }
        }
    });
    ends(&run, Phase::Succeeded, None);
    let said = run.message();
    let part = "no table map of them has come back: vendors.";
    assert!(said.contains(part), "{said}");
}

#[test]
fn what_a_solution_is_told_by_is_kept_only_until_it_is_told() {
    let mut run = Operator::new(planned_reset(true), Behaviour::default());
    let seen = |run: &Operator| {
        let steps = run.api.stored.status.steps.iter();
        steps.map(|step| step.seen.len()).sum::<usize>()
    };
    while !run.has_sent("solution/FabrikamMaps") {
        run.pass();
    }
    assert_eq!(seen(&run), 3);
    run.run();
    assert_eq!(seen(&run), 0);
}

/// Names of 2 KiB are the longest that are kept of what the service says.
#[test]
fn an_operation_never_grows_beyond_what_can_be_stored() {
    let mut run = Operator::new(planned_reset(true), Behaviour::default());
    run.run_past("solution/ContosoMaps");
    run.service.meddle(start(), |service| {
        let long = |number: usize| {
            map(
                &format!("{number} {}", "n".repeat(2000)),
                MapState::Stopped,
                "1.0.0.1",
            )
        };
        service.maps.extend((0..400).map(long));
    });
    while !run.phase().is_some_and(Phase::is_finished) {
        run.pass();
        let stored = serde_json::to_vec(&run.api.stored.status).unwrap();
        assert!(stored.len() <= 256 * 1024, "{}", stored.len());
    }
    ends(&run, Phase::Failed, Some("RestoreIncomplete"));
    assert!(
        run.message().contains("than one operation can record"),
        "{}",
        run.message()
    );
    assert!(!run.has_sent("solution/FabrikamMaps"));
}

#[test]
fn a_company_that_the_link_does_not_show_is_named() {
    let mut run = Operator::new(planned_reset(true), Behaviour::default());
    run.run_past("reset");
    run.service.companies.retain(|company| company == "USMF");
    run.run();
    ends(&run, Phase::Failed, Some("RestoreIncomplete"));
    assert!(run.message().contains("company DEMF"), "{}", run.message());
}

#[test]
fn a_reset_that_can_never_be_sent_is_given_up() {
    for answer in [Answer::Busy, Answer::NotSent] {
        let run = reset(true, |run| {
            run.answers.extend((2..60).map(|number| (number, answer)));
        });
        // The requests that start the maps again meet the same.
        ends(&run, Phase::Failed, Some("ResetFailed"));
        insta::assert_snapshot!(format!("reset_never_sent_{answer:?}"), run.message());
    }
}

/// Only a map in a state that nobody knows was asked to stop, so there is nothing to start again.
#[test]
fn what_is_given_up_without_anything_to_take_back_ends_at_once() {
    for (event, phase, reason) in [
        (Event::Changed, Phase::Void, None),
        (Event::LinkMoved, Phase::Void, None),
        (Event::LinkGone, Phase::Failed, Some("ResetFailed")),
    ] {
        let mut operation = planned_reset(true);
        let mut maps = contoso_maps();
        for map in &mut maps {
            map.state = MapState::Stopped;
        }
        maps[0].state = MapState::Other;
        operation.spec.relies_on.maps = maps::planned(&maps, &prerequisites(), &BTreeMap::new());
        let mut run = Operator::new(operation, Behaviour::default());
        run.service.meddle(start(), |service| service.maps = maps);
        run.run_past("stop-maps");
        let began = run.now;
        run.befall(event).unwrap();
        run.run();
        ends(&run, phase, reason);
        assert!(
            run.now <= after(began, minutes(20)),
            "{event:?}: {}",
            run.now
        );
    }
}

#[test]
fn a_map_that_somebody_starts_before_the_reset_ends_it() {
    let run = when_stopped(Event::MapStarted);
    ends(&run, Phase::Failed, Some("MapsNotStopped"));
    insta::assert_snapshot!("reset_map_started_by_somebody", run.message());
}

/// Suspended for hours before anything was touched: what somebody has done to a map meanwhile is not undone.
#[test]
fn a_map_that_is_another_one_before_the_stop_ends_it() {
    for state in [MapState::Stopped, MapState::Running] {
        let mut run = Operator::new(planned_reset(true), Behaviour::default());
        run.run_past("backup");
        let now = run.now;
        run.service.meddle(now, |service| {
            for map in &mut service.maps {
                if map.name == "Groups" || map.name == "Units" {
                    map.state = state;
                }
            }
        });
        run.run();
        ends(&run, Phase::Void, None);
        assert_eq!(sent(&run), ["backup"]);
        assert_eq!(run.service.state("Groups"), Some(state));
    }
}

/// Something happens once everything is stopped.
fn when_stopped(event: Event) -> Operator {
    let mut run = Operator::new(planned_reset(true), Behaviour::default());
    run.run_past("stop-maps");
    let number = run.writes.len() - 1;
    reset(true, |run| run.events = vec![(When::After(number), event)])
}

#[test]
fn what_moves_between_the_stop_and_the_reset_ends_it_and_the_maps_run_again() {
    for event in [
        Event::IntegrationMoved,
        Event::MapChanged,
        Event::KeyChanged,
        Event::Suspended(hours(30)),
        Event::Changed,
        Event::Recreated,
        Event::ConnectionDeleted,
        Event::OperationDeleted,
    ] {
        let run = when_stopped(event);
        ends(&run, Phase::Void, None);
        assert_eq!(run.service.resets, 0, "{event:?}");
        assert_eq!(run.not_as_before(), Vec::<String>::new(), "{event:?}");
        assert!(
            run.message().contains("Nothing was reset or deleted"),
            "{event:?}"
        );
    }
    let run = when_stopped(Event::Suspended(hours(30)));
    insta::assert_snapshot!("reset_suspended_when_stopped", run.message());
}

#[test]
fn a_link_that_moves_before_the_reset_is_left_alone() {
    for event in [Event::LinkMoved, Event::SetMoved, Event::LinkGone] {
        let run = when_stopped(event);
        assert_eq!(run.phase(), Some(Phase::Failed), "{event:?}");
        assert_eq!(run.service.resets, 0, "{event:?}");
        // Nothing is asked for at a link that the plan is not about.
        assert_eq!(sent(&run), ["backup", "stop-maps"], "{event:?}");
        insta::assert_snapshot!(format!("reset_{event:?}_before"), run.message());
    }
}

#[test]
fn the_backup_is_written_again_if_it_is_gone_and_ends_it_if_it_was_changed() {
    let run = when_stopped(Event::BackupDeleted);
    ends(&run, Phase::Succeeded, None);
    assert_eq!(
        sent(&run).iter().filter(|step| **step == "backup").count(),
        2
    );
    let run = when_stopped(Event::BackupAltered);
    ends(&run, Phase::Failed, Some("ResetFailed"));
    assert_eq!(run.not_as_before(), Vec::<String>::new());
    insta::assert_snapshot!("reset_backup_altered", run.message());
}

/// Somebody deletes it as often as it is written.
#[test]
fn a_backup_that_never_stays_ends_it_with_its_name() {
    let mut run = Operator::new(planned_reset(true), Behaviour::default());
    while !run.phase().is_some_and(Phase::is_finished) {
        run.pass();
        let steps = run.api.stored.status.steps.iter();
        if steps
            .clone()
            .any(|step| step.name == "stop-maps" && step.state == StepState::Done)
        {
            run.run_past("backup");
            run.backup = BackupView::Missing;
        }
    }
    run.run();
    run.check(&"");
    ends(&run, Phase::Failed, Some("ResetFailed"));
    assert_eq!(run.not_as_before(), Vec::<String>::new());
    insta::assert_snapshot!("reset_backup_vanishes", run.message());
}

#[test]
fn maps_do_not_stay_stopped_because_something_cannot_be_seen() {
    for event in [Event::IntegrationUnseen, Event::Blind(minutes(40))] {
        let run = when_stopped(event);
        ends(&run, Phase::Failed, Some("ResetFailed"));
        assert_eq!(run.not_as_before(), Vec::<String>::new(), "{event:?}");
    }
    let run = when_stopped(Event::Blind(minutes(4)));
    ends(&run, Phase::Succeeded, None);
    let run = when_stopped(Event::IntegrationUnseen);
    insta::assert_snapshot!("reset_not_seen_for_too_long", run.message());
}

#[test]
fn while_nothing_can_be_seen_the_message_says_that_maps_are_stopped() {
    let mut run = Operator::new(planned_reset(true), Behaviour::default());
    run.run_to("solution/ContosoMaps");
    run.service.behaviour.blind = Some((run.now, after(run.now, hours(2))));
    run.pass();
    run.pass();
    insta::assert_snapshot!("reset_blind", run.message());
    run.run();
    ends(&run, Phase::Succeeded, None);
}

// ---- a request to stop that lands late ----

/// Given up by `event` once maps were asked to stop, in a world that is like this.
fn given_up_after(
    step: &str,
    event: Event,
    behaviour: Behaviour,
    answers: &[(usize, Answer)],
) -> Operator {
    let mut run = Operator::new(planned_reset(true), behaviour);
    run.answers = answers.iter().copied().collect();
    run.run_past(step);
    run.befall(event).unwrap();
    run.run();
    run.check(&(step, event));
    run
}

fn slow(ids: bool, takes: u64) -> Behaviour {
    Behaviour {
        ids,
        takes: seconds(takes),
        ..Behaviour::default()
    }
}

/// The first request is lost and done late; the second one, which was made because nothing had come of the first, later still.
#[test]
fn a_second_stop_that_lands_late_does_not_hide_behind_the_first() {
    for ids in [false, true] {
        let answers = [(1, Answer::LostDone), (2, Answer::LostLate)];
        let run = given_up_after("stop-maps", Event::Changed, slow(ids, 400), &answers);
        ends(&run, Phase::Void, None);
        assert_eq!(run.not_as_before(), Vec::<String>::new());
        let stops = sent(&run).into_iter().filter(|step| *step == "stop-maps");
        assert_eq!(stops.count(), 2);
    }
}

/// The first request stops the maps, while the service still works on the second.
#[test]
fn a_second_stop_that_is_still_worked_on_is_waited_for() {
    let answers = [(1, Answer::LostDone)];
    let run = given_up_after("stop-maps", Event::Changed, slow(true, 400), &answers);
    ends(&run, Phase::Void, None);
    assert_eq!(run.not_as_before(), Vec::<String>::new());
    let restart = run
        .journal
        .iter()
        .find(|sent| sent.step == "restart-maps/1");
    assert!(restart.unwrap().at > after(run.journal[2].at, seconds(400)));
}

/// A list that is served by several copies shows the maps stopped, and at the next look running as before.
#[test]
fn a_list_that_goes_back_does_not_show_that_maps_run_again() {
    for ids in [false, true] {
        let mut run = Operator::new(planned_reset(true), slow(ids, 40));
        run.run_past("stop-maps");
        run.service.behaviour.lag = seconds(50);
        run.befall(Event::Changed).unwrap();
        run.run();
        run.check(&ids);
        ends(&run, Phase::Void, None);
        assert_eq!(run.not_as_before(), Vec::<String>::new());
    }
}

/// It was not done in its time, so the operation is given up; the service is still working on it.
#[test]
fn a_stop_that_goes_on_when_it_is_given_up_is_waited_for() {
    for ids in [true, false] {
        let mut run = Operator::new(planned_reset(true), slow(ids, 1000));
        while run.api.stored.status.ending.is_none() {
            run.pass();
        }
        run.service.behaviour.takes = seconds(40);
        run.run();
        run.check(&ids);
        assert_eq!(run.not_as_before(), Vec::<String>::new());
        assert_eq!(run.service.resets, 0);
    }
}

/// Somebody starts a map while the others are being stopped, so that it is stopped too: the plan knows nothing of it.
#[test]
fn a_map_that_was_started_meanwhile_and_is_stopped_too_is_named() {
    let mut run = Operator::new(planned_reset(true), Behaviour::default());
    run.run_to("stop-maps");
    while state_of(&run, "stop-maps") != StepState::Sent {
        run.pass();
    }
    let now = run.now;
    run.service.meddle(now, |service| {
        let units = service.maps.iter_mut().find(|map| map.name == "Units");
        units.unwrap().state = MapState::Running;
    });
    run.run_past("stop-maps");
    run.befall(Event::Changed).unwrap();
    run.run();
    ends(&run, Phase::Failed, Some("MapsNotRunning"));
    assert_eq!(run.service.state("Units"), Some(MapState::Stopped));
    insta::assert_snapshot!("reset_stopped_more", run.message());
}

/// Nothing is started that an earlier request may stop again.
#[test]
fn nothing_is_started_again_while_a_stop_may_still_land() {
    let mut run = Operator::new(planned_reset(true), slow(false, 400));
    run.answers = [(1, Answer::LostDone)].into_iter().collect();
    run.events = vec![(When::Received(1), Event::Changed)];
    run.run();
    run.check(&"");
    ends(&run, Phase::Void, None);
    assert_eq!(run.not_as_before(), Vec::<String>::new());
    let starts = run
        .journal
        .iter()
        .filter(|sent| sent.step.starts_with("restart-maps"));
    let (stopped, first) = (run.journal[1].at, run.journal[1].before);
    for start in starts {
        assert!(start.at > after(stopped, seconds(400)));
        assert!(start.at >= after(after(first, minutes(15)), seconds(30)));
    }
}

// ---- when the reset itself goes wrong ----

#[test]
fn a_reset_that_does_not_end_at_its_target_stays_as_it_is() {
    for end in [Ends::Stays, Ends::Elsewhere, Ends::NoLink] {
        let run = reset(true, |run| run.service.behaviour.ends = end);
        ends(&run, Phase::Failed, Some("ResetDidNotRetarget"));
        assert_eq!(sent(&run), ["backup", "stop-maps", "reset"]);
        insta::assert_snapshot!(format!("reset_ends_{end:?}"), run.message());
    }
    let run = reset(true, |run| run.service.behaviour.ends = Ends::Stays);
    let answered = run.journal[2].at;
    assert!(run.now > after(answered, minutes(15)) && run.now < after(answered, minutes(18)));
}

#[test]
fn a_reset_whose_answer_was_lost_is_looked_for_and_never_sent_again() {
    for answer in [Answer::LostDone, Answer::LostLate, Answer::BrokenDone] {
        let run = reset(true, |run| {
            run.answers.insert(2, answer);
        });
        ends(&run, Phase::Succeeded, None);
    }
    let mut run = reset(true, |run| {
        run.answers.insert(2, Answer::LostUndone);
    });
    ends(&run, Phase::Unknown, Some("OutcomeUnknown"));
    assert_eq!(sent(&run), ["backup", "stop-maps", "reset"]);
    insta::assert_snapshot!("reset_outcome_unknown", run.message());

    // A person uses the wizard of the portal: what is left of the plan is done.
    let now = run.now;
    run.service.meddle(now, |service| {
        service.maps.clear();
        service.keys.clear();
        service.link = Some((TARGET.into(), "set-2".into()));
    });
    run.pass();
    ends(&run, Phase::Running, None);
    run.run_until(after(now, hours(3)));
    ends(&run, Phase::Succeeded, None);
    assert_eq!(run.not_as_before(), [LEGACY]);
}

#[test]
fn a_lost_reset_that_ends_elsewhere_does_not_pass_for_accepted() {
    let run = reset(true, |run| {
        run.service.behaviour.ends = Ends::Elsewhere;
        run.answers.insert(2, Answer::LostDone);
    });
    ends(&run, Phase::Failed, Some("ResetDidNotRetarget"));
    insta::assert_snapshot!("reset_lost_and_elsewhere", run.message());
}

#[test]
fn from_its_intent_on_a_reset_goes_through_whatever_becomes_of_its_connection() {
    let mut before = Operator::new(planned_reset(true), Behaviour::default());
    before.run_to("solution/ContosoMaps");
    let number = before.writes.len() - 1;
    for event in [
        Event::Suspended(hours(30)),
        Event::Changed,
        Event::Recreated,
        Event::ConnectionDeleted,
        Event::OperationDeleted,
    ] {
        let run = reset(true, |run| run.events = vec![(When::After(number), event)]);
        ends(&run, Phase::Succeeded, None);
        assert_eq!(run.not_as_before(), [LEGACY], "{event:?}");
    }
}

#[test]
fn a_link_that_moves_after_the_reset_gets_nothing() {
    let mut before = Operator::new(planned_reset(true), Behaviour::default());
    before.run_to("integration-keys");
    let number = before.writes.len() - 1;
    for event in [Event::LinkMoved, Event::LinkGone] {
        let run = reset(true, |run| run.events = vec![(When::After(number), event)]);
        ends(&run, Phase::Failed, Some("RestoreIncomplete"));
        assert!(!sent(&run).contains(&"start-maps/1"), "{event:?}");
        insta::assert_snapshot!(format!("reset_{event:?}_after"), run.message());
    }
}

#[test]
fn a_deleted_operation_that_sees_nothing_is_let_go_with_the_name_of_its_backup() {
    let mut run = Operator::new(planned_reset(true), Behaviour::default());
    run.run_to("solution/ContosoMaps");
    let number = run.writes.len();
    let run = reset(true, |run| {
        run.events = vec![
            (When::After(number), Event::OperationDeleted),
            (When::After(number), Event::Blind(hours(30))),
        ];
    });
    assert!(!run.api.exists);
    ends(&run, Phase::Unknown, Some("OutcomeUnknown"));
    insta::assert_snapshot!("reset_abandoned", run.message());
}

#[test]
fn after_a_long_absence_a_deleted_operation_still_starts_what_it_has_stopped() {
    let mut run = Operator::new(planned_reset(true), Behaviour::default());
    run.run_past("stop-maps");
    run.api.stored.deleted = Some(run.now);
    run.now = after(run.now, hours(9));
    run.run_until(after(run.now, hours(2)));
    assert!(!run.api.exists);
    ends(&run, Phase::Void, None);
    assert_eq!(run.not_as_before(), Vec::<String>::new());
}

// ---- another version ----

#[test]
fn a_step_that_is_not_known_is_named_and_nothing_is_left_stopped() {
    let mut run = Operator::new(planned_reset(true), Behaviour::default());
    run.run_past("stop-maps");
    let mut later = run.api.stored.status.steps[1].clone();
    later.name = "look-twice".into();
    later.state = StepState::Pending;
    run.api.stored.status.steps.insert(2, later.clone());
    run.run();
    ends(&run, Phase::Failed, Some("ResetFailed"));
    assert_eq!(run.not_as_before(), Vec::<String>::new());

    let mut run = Operator::new(planned_reset(true), Behaviour::default());
    run.run_to("integration-keys");
    run.api.stored.status.steps.insert(5, later);
    run.run();
    ends(&run, Phase::Failed, Some("RestoreIncomplete"));
    assert_eq!(run.not_as_before(), [LEGACY]);
    insta::assert_snapshot!("reset_unknown_step", run.message());
}
