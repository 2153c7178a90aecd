//! Every cell of a scenario: from the writes and requests that one undisturbed run makes.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
};

use super::{ANSWERS, Answer, Behaviour, Event, Operator, TROUBLE, When, hours, minutes, seconds};
use dualwrite_plan::{operation::Owner, world::KnownOperation};

/// What is run through every cell.
#[derive(Clone)]
pub struct Scenario {
    pub operation: KnownOperation,
    pub behaviour: Behaviour,
    /// Its connection is deleted, and it with it, before it has begun.
    pub deleted: bool,
}

/// One disturbed run.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    pub answers: Vec<(usize, Answer)>,
    pub events: Vec<(When, Event)>,
}

impl Scenario {
    pub fn operator(&self) -> Operator {
        let mut run = Operator::new(self.operation.clone(), self.behaviour.clone());
        if self.deleted {
            run.api.stored.deleted = Some(run.now);
            run.owner = Owner::Gone;
        }
        run
    }

    pub fn run(&self, cell: &Cell) -> Operator {
        let mut run = self.operator();
        run.answers = cell.answers.iter().copied().collect();
        run.events.clone_from(&cell.events);
        run.run();
        run
    }

    /// How many writes and requests an undisturbed run makes.
    pub fn size(&self) -> (usize, usize) {
        let run = self.run(&Cell {
            answers: Vec::new(),
            events: Vec::new(),
        });
        (run.writes.len(), run.journal.len())
    }

    /// Each request with each answer, and a process that dies before, while and after it is sent.
    pub fn answers_and_crashes(&self) -> Vec<Cell> {
        let (writes, requests) = self.size();
        let mut cells = Vec::new();
        for number in 0..requests {
            for answer in ANSWERS {
                for times in 1..=2 {
                    let answers = (number..number + times).map(|at| (at, answer)).collect();
                    let calm = Cell {
                        answers,
                        events: Vec::new(),
                    };
                    for down in [seconds(1), minutes(10)] {
                        let mut died = calm.clone();
                        died.events = vec![(When::Received(number), Event::Crash(down))];
                        cells.push(died);
                    }
                    cells.push(calm);
                }
            }
        }
        for number in 0..writes {
            for when in [When::Before(number), When::After(number)] {
                for down in [seconds(1), minutes(10), hours(5)] {
                    cells.push(Cell {
                        answers: Vec::new(),
                        events: vec![(when, Event::Crash(down))],
                    });
                }
                cells.push(Cell {
                    answers: Vec::new(),
                    events: vec![(when, Event::Rival)],
                });
            }
        }
        cells
    }

    /// Each write, and whatever the API server may do with it.
    pub fn trouble(&self) -> Vec<Cell> {
        let (writes, _) = self.size();
        let each = (0..writes).flat_map(|number| {
            TROUBLE.map(|(when, event)| Cell {
                answers: Vec::new(),
                events: vec![(when(number), event)],
            })
        });
        each.collect()
    }

    /// Each of these events before and after each write, alone and with a request whose answer is lost.
    pub fn events(&self, events: &[Event]) -> Vec<Cell> {
        let (writes, _) = self.size();
        let mut cells = Vec::new();
        for number in 0..writes {
            for when in [When::Before(number), When::After(number)] {
                for event in events {
                    cells.push(Cell {
                        answers: Vec::new(),
                        events: vec![(when, *event)],
                    });
                }
            }
        }
        cells
    }
}

/// Runs the cells and checks each; prints how many there are and how they ended.
pub fn run_all(
    name: &str,
    scenario: &Scenario,
    cells: &[Cell],
    check: impl Fn(&Operator, &Cell) + Sync,
) {
    let workers = std::thread::available_parallelism()
        .map_or(2, usize::from)
        .min(4);
    let share = cells.len().div_ceil(workers).max(1);
    let results: Vec<(String, Option<String>)> = std::thread::scope(|scope| {
        let check = &check;
        let threads: Vec<_> = cells
            .chunks(share)
            .map(|chunk| {
                scope.spawn(move || {
                    let each = chunk.iter().map(|cell| outcome(scenario, cell, check));
                    each.collect::<Vec<_>>()
                })
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    let mut ends: BTreeMap<String, u32> = BTreeMap::new();
    let mut failures = Vec::new();
    for (end, failure) in results {
        *ends.entry(end).or_default() += 1;
        failures.extend(failure);
    }
    println!("{name}: {} cells, {ends:?}", cells.len());
    let shown: Vec<&str> = failures.iter().take(5).map(String::as_str).collect();
    assert!(
        failures.is_empty(),
        "{} of {} cells fail:\n{}",
        failures.len(),
        cells.len(),
        shown.join("\n---\n")
    );
}

fn outcome(
    scenario: &Scenario,
    cell: &Cell,
    check: &impl Fn(&Operator, &Cell),
) -> (String, Option<String>) {
    let result = catch_unwind(AssertUnwindSafe(|| {
        let run = scenario.run(cell);
        run.check(cell);
        check(&run, cell);
        let phase = run
            .phase()
            .map_or("none".to_owned(), |phase| phase.to_string());
        match &run.api.stored.status.reason {
            Some(reason) => format!("{phase}/{reason}"),
            None => phase,
        }
    }));
    match result {
        Ok(end) => (end, None),
        Err(panic) => {
            let text = panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
                .unwrap_or_default();
            ("broken".into(), Some(format!("{cell:?}: {text}")))
        }
    }
}
