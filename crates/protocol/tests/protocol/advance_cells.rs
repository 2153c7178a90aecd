//! Every crash, every lost answer: an operation is driven in process, in virtual time, by a small model of Microsoft's side and
//! of the API server, through every combination.

use std::collections::BTreeMap;

use crate::model::*;
use crate::support::*;
use dualwrite_api::operation::Action;

fn cells(action: Action, steps: usize) -> Vec<Cell> {
    let mut all = Vec::new();
    for step in 0..steps {
        for crash in CRASHES {
            for crashes in if crash == Crash::Never { 0..=0 } else { 1..=2 } {
                for down_for in [seconds(1), seconds(100), hours(1)] {
                    for (answer, effect) in ANSWERS {
                        for reads in READS {
                            for bits in 0..8 {
                                all.push(Cell {
                                    action,
                                    step,
                                    crash,
                                    crashes,
                                    down_for,
                                    answer,
                                    effect,
                                    late: bits & 1 != 0,
                                    again: bits & 2 != 0,
                                    reads,
                                    ends_well: bits & 4 == 0,
                                });
                            }
                        }
                    }
                }
            }
        }
    }
    // A service that always says "later" is not a cell: it ends at the deadline, which has a test of its own.
    all.retain(|cell| {
        !cell.again || !matches!(cell.answer, Answer::RefusedForLater | Answer::NotSent)
    });
    all.retain(|cell| cell.ends_well || (action == Action::Setup && cell.effect));
    all.retain(|cell| {
        !cell.late || (cell.effect && matches!(cell.answer, Answer::Lost | Answer::Broken))
    });
    all
}

fn enumerate(action: Action, steps: usize) {
    let mut ends: BTreeMap<String, u32> = BTreeMap::new();
    let all = cells(action, steps);
    let planned = match action {
        Action::Setup => planned_setup(),
        Action::Link => planned_link(),
        Action::Reset | Action::StopMaps => panic!("{action} has cells of its own"),
    };
    for cell in &all {
        let mut model = Model::new(*cell, &planned);
        model.run();
        let end = model.phase().unwrap().to_string();
        model.check_end();
        *ends.entry(end).or_default() += 1;
    }
    println!("{action}: {} cells, {ends:?}", all.len());
    assert!(all.len() > 1500, "{}", all.len());
    let known = if action == Action::Link { 3 } else { 2 };
    assert_eq!(ends.len(), known, "{ends:?}");
}

#[test]
fn an_installation_of_two_packages_through_every_crash() {
    enumerate(Action::Setup, 2);
}

#[test]
fn a_link_through_every_crash() {
    enumerate(Action::Link, 1);
}
