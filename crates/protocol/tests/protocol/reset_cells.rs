//! A crash before and after each write, and each answer that a request can have, at every step of a reset: generated from
//! what an undisturbed run writes and sends, so that a new effect is a new row by existing.

use crate::reset_support::*;
use dualwrite_api::operation::Phase;

fn scenario(starts: bool, with: impl FnOnce(&mut Behaviour)) -> Scenario {
    let mut behaviour = Behaviour::default();
    with(&mut behaviour);
    Scenario {
        operation: planned_reset(starts),
        behaviour,
        deleted: false,
    }
}

fn through_crashes(name: &str, scenario: &Scenario) {
    let cells = scenario.answers_and_crashes();
    run_all(name, scenario, &cells, |run, cell| {
        // What was done, or may be asked for again, comes to a good end whenever the process dies.
        // A request that nobody sent, or knows of, is never sent again if it is a reset or a solution.
        let is_doomed = match cell.events[..] {
            [(When::After(number), Event::Crash(_))] => matches!(
                &run.writes[number],
                Write::Intent(step) if step == "reset" || step.starts_with("solution/")
            ),
            _ => false,
        };
        let is_alive = !matches!(cell.events[..], [(When::Received(_), _)]);
        let is_harmless = |(_, answer): &(usize, Answer)| match answer {
            Answer::Delivered | Answer::LostDone | Answer::LostLate | Answer::BrokenDone => true,
            // Who dies before he reads that nothing was sent cannot know it.
            Answer::NotSent | Answer::Busy => is_alive,
            _ => false,
        };
        if !is_doomed && cell.answers.iter().all(is_harmless) {
            assert_eq!(run.phase(), Some(Phase::Succeeded), "{}", run.message());
        }
    });
}

#[test]
fn a_reset_that_starts_its_maps_through_every_crash() {
    through_crashes("as before", &scenario(true, |_| {}));
}

#[test]
fn a_reset_without_request_ids_through_every_crash() {
    through_crashes("no ids", &scenario(true, |behaviour| behaviour.ids = false));
}

#[test]
fn a_reset_with_a_list_that_lags_through_every_crash() {
    let lags = scenario(true, |behaviour| behaviour.lag = seconds(90));
    through_crashes("lag", &lags);
}

#[test]
fn a_reset_that_leaves_its_maps_stopped_through_every_crash() {
    through_crashes("never", &scenario(false, |_| {}));
}

#[test]
fn a_reset_whose_connection_changes_at_each_step() {
    let scenario = scenario(true, |_| {});
    let cells = scenario.events(&OWNERS);
    run_all("owners", &scenario, &cells, |_, _| {});
}

#[test]
fn a_reset_whose_connection_changes_while_the_operator_is_down() {
    let scenario = scenario(true, |_| {});
    let (writes, _) = scenario.size();
    let mut cells = Vec::new();
    for number in 0..writes {
        for event in OWNERS {
            for down in [minutes(20), hours(5)] {
                let when = When::After(number);
                cells.push(Cell {
                    answers: Vec::new(),
                    events: vec![(when, event), (when, Event::Crash(down))],
                });
            }
        }
    }
    run_all("owners, down", &scenario, &cells, |_, _| {});
}

#[test]
fn a_reset_in_a_world_that_moves() {
    let scenario = scenario(true, |_| {});
    let cells = scenario.events(&MOVES);
    run_all("world", &scenario, &cells, |_, _| {});
}
