//! An API server that answers late, wrongly or not at all, and watches that stand still: nothing of it may cost a person
//! anything, and no request is sent twice.

use std::{
    pin::pin,
    sync::Arc,
    task::{Context, Waker},
};

use crate::reset_support::*;
use dualwrite_api::operation::{Phase, StepState};
use dualwrite_plan::{operation::Owner, world::KnownOperation};
use dualwrite_protocol::shell::Failure;

fn scenario() -> Scenario {
    Scenario {
        operation: planned_reset(true),
        behaviour: Behaviour::default(),
        deleted: false,
    }
}

fn sent(run: &Operator) -> Vec<&str> {
    run.journal.iter().map(|sent| sent.step.as_str()).collect()
}

fn untroubled() -> Operator {
    let mut run = scenario().operator();
    run.run();
    run
}

fn goes_well(name: &str, cells: &[Cell]) {
    let expected = untroubled();
    run_all(name, &scenario(), cells, |run, _| {
        assert_eq!(run.phase(), Some(Phase::Succeeded), "{}", run.message());
        assert_eq!(sent(run), sent(&expected));
    });
}

#[test]
fn each_write_of_a_reset_that_the_api_server_takes_badly() {
    goes_well("trouble", &scenario().trouble());
}

#[test]
fn a_write_that_is_answered_badly_twice() {
    let (writes, _) = scenario().size();
    let mut cells = Vec::new();
    for number in 0..writes {
        for when in [When::Before, When::After] {
            let first = (when(number), Event::Answered(Failure::Uncertain));
            for next in [Event::Delayed, Event::Answered(Failure::Conflict)] {
                cells.push(Cell {
                    answers: Vec::new(),
                    events: vec![first, (When::Before(number + 1), next)],
                });
            }
        }
    }
    goes_well("trouble twice", &cells);
}

/// What became of it is not known, and the operator's copy shows it as not yet begun.
#[test]
fn a_lost_answer_and_an_old_copy_do_not_make_a_second_request() {
    let intents = untroubled();
    let intents = (0..intents.writes.len())
        .filter(|number| matches!(intents.writes[*number], Write::Intent(_)));
    let cells: Vec<_> = intents
        .enumerate()
        .map(|(request, write)| Cell {
            answers: vec![(request, Answer::LostDone)],
            events: vec![(When::Before(write), Event::Stale(minutes(4)))],
        })
        .collect();
    goes_well("lost and stale", &cells);
}

/// Longer than it is asked again about an outcome: what was sent is looked for, as after a crash.
#[test]
fn an_api_server_that_is_away_for_long() {
    let scenario = scenario();
    let cells = scenario.events(&[Event::Away(minutes(1))]);
    run_all("away", &scenario, &cells, |run, cell| {
        // An intent that nobody knows to be unsent.
        let is_doomed = match cell.events[..] {
            [(When::After(number), _)] => matches!(
                &run.writes[number],
                Write::Intent(step) if step == "reset" || step.starts_with("solution/")
            ),
            _ => false,
        };
        if !is_doomed {
            assert_eq!(run.phase(), Some(Phase::Succeeded), "{}", run.message());
        }
    });
}

// ---- before the first intent ----

fn never_begins(with: impl FnOnce(&mut Operator)) -> Operator {
    let mut run = scenario().operator();
    with(&mut run);
    for _ in 0..3 {
        run.pass();
    }
    assert_eq!(run.writes, []);
    assert!(run.journal.is_empty() && !run.api.finalizer);
    run
}

/// Another operation of the same host, which the watches have not shown.
fn another(phase: Phase, host: &str) -> KnownOperation {
    let mut other = planned_stop(false);
    other.uid = "uid-of-another".into();
    other.status.phase = Some(phase);
    other.spec.finance_operations_host = host.into();
    other
}

#[test]
fn nothing_begins_while_another_operation_of_the_host_is_under_way() {
    for phase in [Phase::Running, Phase::Unknown] {
        let mut run = never_begins(|run| run.unwatched = Some(another(phase, HOST)));
        run.unwatched = None;
        run.run();
        assert_eq!(run.phase(), Some(Phase::Succeeded));
    }
}

#[test]
fn what_has_ended_or_is_of_another_host_holds_nothing_up() {
    let others = [
        another(Phase::Succeeded, HOST),
        another(Phase::Running, "fabrikam.sandbox.operations.dynamics.com"),
    ];
    for other in others {
        let mut run = scenario().operator();
        run.unwatched = Some(other);
        run.pass();
        assert_eq!(sent(&run), ["backup"]);
    }
}

/// Only the first intent can take the host from somebody; what is under way waits for nobody.
#[test]
fn a_turn_is_taken_once_and_for_the_host_alone() {
    let run = untroubled();
    assert!(sent(&run).len() > 1);
    assert_eq!(run.turns, [HOST]);
}

/// What was read before a long wait may be wrong by now, and what is left of the window may not do for the request.
#[test]
fn what_waited_for_its_turn_for_long_is_worked_out_anew() {
    for (waited, writes) in [(14, 3), (16, 1), (3600, 1)] {
        let mut run = scenario().operator();
        run.next_turn_takes = seconds(waited);
        run.pass();
        assert_eq!(run.writes.len(), writes, "{waited} s: {:?}", run.writes);
        assert_eq!(sent(&run).is_empty(), writes == 1);
        run.run();
        assert_eq!(run.phase(), Some(Phase::Succeeded), "{}", run.message());
        assert_eq!(sent(&run), sent(&untroubled()));
    }
}

#[test]
fn nothing_begins_once_the_process_is_ending() {
    let mut run = never_begins(|run| {
        let process = Arc::clone(&run.process);
        let mut end = pin!(process.end());
        let polled = end.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_ready());
    });
    run.new_process();
    run.run();
    assert_eq!(run.phase(), Some(Phase::Succeeded), "{}", run.message());
}

#[test]
fn nothing_begins_for_a_connection_that_is_no_more_what_the_watches_show() {
    let suspended = Owner::Present {
        suspended: true,
        reconcile_at: None,
    };
    for live in [suspended, Owner::Changed, Owner::Gone] {
        never_begins(|run| {
            run.owner = live;
            run.shown_owner = Some(present());
        });
    }
}

/// An object that is being deleted takes no new finalizer, and what has none is not begun.
#[test]
fn nothing_begins_once_the_operation_is_deleted_unseen() {
    let mut run = scenario().operator();
    run.events = vec![(When::Before(0), Event::OperationDeleted)];
    run.run();
    assert!(!run.api.exists && run.journal.is_empty());
    assert_eq!(run.writes, [Write::Finalizer(true)]);
}

// ---- after a request ----

/// A label, a deletion: it changes the resourceVersion, and nothing of the step.
#[test]
fn an_outcome_is_recorded_whatever_else_has_changed() {
    let mut run = scenario().operator();
    run.events = vec![(When::Received(0), Event::OperationDeleted)];
    run.pass();
    assert_eq!(run.api.stored.status.steps[0].state, StepState::Sent);
    let backup = || "backup".to_owned();
    assert_eq!(
        run.writes,
        [
            Write::Finalizer(true),
            Write::Intent(backup()),
            Write::Outcome(backup()),
            Write::Outcome(backup()),
        ]
    );
}

#[test]
fn an_intent_that_somebody_else_has_taken_over_gets_no_outcome_of_ours() {
    let mut run = scenario().operator();
    run.events = vec![(When::Received(0), Event::Rival)];
    run.pass();
    let outcomes = run
        .writes
        .iter()
        .filter(|write| matches!(write, Write::Outcome(_)));
    assert_eq!(outcomes.count(), 1, "{:?}", run.writes);
}

#[test]
fn an_intent_that_is_refused_for_good_is_said_and_nothing_is_sent() {
    let mut run = scenario().operator();
    run.run_past("stop-maps");
    run.refuses_intents = true;
    let (requests, writes) = (run.journal.len(), run.writes.len());
    for _ in 0..10 {
        run.pass();
    }
    assert_eq!(run.journal.len(), requests);
    assert!(
        run.message().contains("refuses the record"),
        "{}",
        run.message()
    );
    let said = run.writes[writes..]
        .iter()
        .filter(|write| **write == Write::Outcome("reset".into()));
    assert_eq!(said.count(), 1, "{:?}", run.writes);
    run.refuses_intents = false;
    run.run();
    assert_eq!(run.phase(), Some(Phase::Succeeded));
}
