//! The transition table: every driver of an operation checks each pass against it, and every cell of it is met.

use std::cell::RefCell;

use crate::{
    model,
    model::Model,
    reset_support::*,
    scene::*,
    support::{CORE, down, planned_link, planned_setup},
};
use dualwrite_api::{
    DualWriteOperationStatus,
    operation::{Action, StepState},
};
use dualwrite_plan::{
    observed::{Fact, Problem},
    operation::{Happened, Next, STATES, Sent, TABLE, after_event},
};

type Cells = Vec<(StepState, Happened)>;

thread_local! {
    /// The cells that this test has met so far.
    static MET: RefCell<Cells> = const { RefCell::new(Vec::new()) };
}

/// What a pass tells of its steps is all that has happened to them: nothing but the table writes how far a step is, and
/// nothing happened that must not.
pub fn check(before: &DualWriteOperationStatus, next: &Next) {
    let mut steps: Vec<(&str, StepState)> = Vec::new();
    for step in &next.status.steps {
        let mut known = before.steps.iter();
        let known = known.find(|known| known.name == step.name);
        // One that this pass has added begins as pending.
        let state = known.map_or(StepState::Pending, |known| known.state);
        steps.push((&step.name, state));
    }
    for transition in &next.transitions {
        let step = steps.iter_mut().find(|(name, _)| *name == transition.step);
        let (_, state) = step.expect("a step of the operation");
        assert_eq!(*state, transition.from, "{transition:?}");
        assert_eq!(transition.to, after_event(*state, transition.event));
        *state = transition.to.expect("nothing that must not happen");
        let cell = (transition.from, transition.event);
        MET.with_borrow_mut(|met| {
            if !met.contains(&cell) {
                met.push(cell);
            }
        });
    }
    let told: Vec<StepState> = steps.iter().map(|(_, state)| *state).collect();
    let written: Vec<StepState> = next.status.steps.iter().map(|step| step.state).collect();
    assert_eq!(told, written, "{:#?}", next.transitions);
}

fn legal() -> Cells {
    let cells = TABLE.iter().flat_map(|(event, row)| {
        let states = STATES.iter().zip(row).filter(|(_, to)| to.is_some());
        states.map(|(state, _)| (*state, *event))
    });
    cells.collect()
}

/// Installations and links, with each answer.
fn drive_setup_and_link() {
    for (action, planned) in [
        (Action::Setup, planned_setup()),
        (Action::Link, planned_link()),
    ] {
        for (answer, effect) in model::ANSWERS {
            let again = !matches!(
                answer,
                model::Answer::RefusedForLater | model::Answer::NotSent
            );
            let cell = model::Cell {
                action,
                step: 0,
                crash: model::Crash::Never,
                crashes: 0,
                down_for: seconds(1),
                answer,
                effect,
                late: false,
                again,
                reads: model::Reads::Good,
                ends_well: true,
            };
            let mut model = Model::new(cell, &planned);
            model.run();
            model.check_end();
        }
    }
    Scene::setup().packages(vec![installing(CORE)]).next();
}

fn drive(behaviour: Behaviour, answers: &[(usize, Answer)], events: &[(When, Event)]) {
    let mut run = Operator::new(planned_reset(true), behaviour);
    run.answers = answers.iter().copied().collect();
    run.events = events.to_vec();
    run.run();
}

/// Resets with each answer, and whatever moves meanwhile.
fn drive_resets() {
    let calm = Behaviour::default;
    for number in 0..12 {
        for answer in [
            Answer::Hollow,
            Answer::LostUndone,
            Answer::LostDone,
            Answer::Refused,
        ] {
            drive(calm(), &[(number, answer), (number + 1, answer)], &[]);
        }
    }
    // Up to the reset: its backup is gone, or nothing is seen any more, also of a stop whose answer was lost.
    for number in 0..14 {
        let at = When::After(number);
        drive(calm(), &[], &[(at, Event::BackupDeleted)]);
        drive(calm(), &[], &[(at, Event::Blind(hours(3)))]);
        let lost = [(1, Answer::LostUndone)];
        drive(calm(), &lost, &[(at, Event::Blind(hours(3)))]);
    }
    let slow = Behaviour {
        reset_takes: seconds(1200),
        ..calm()
    };
    drive(slow, &[(2, Answer::LostDone)], &[]);
    for number in 8..30 {
        drive_a_link_that_moves_while_maps_are_not_started_again(number);
    }
}

/// What is given up cannot start a map again, and then the link is another one for a moment.
fn drive_a_link_that_moves_while_maps_are_not_started_again(number: usize) {
    let mut operation = planned_reset(true);
    let planned = &mut operation.spec.relies_on.maps;
    planned.retain(|map| map.name != "Vendors");
    let mut run = Operator::new(operation, Behaviour::default());
    run.service.meddle(run.now, |service| {
        service.maps.retain(|map| map.name != "Vendors");
    });
    run.service.behaviour.never_start.insert("Customers".into());
    run.events = vec![
        (When::After(6), Event::Changed),
        (When::After(number), Event::LinkMoved),
    ];
    run.run();
}

#[test]
fn every_cell_of_the_table_is_met() {
    drive_setup_and_link();
    drive_resets();
    let (legal, met) = (legal(), MET.take());
    let missed: Vec<_> = legal.iter().filter(|cell| !met.contains(cell)).collect();
    println!("{} of {} legal cells are met", met.len(), legal.len());
    assert!(missed.is_empty(), "{missed:?}");
}

/// A request that nobody has intended cannot have been answered: nothing is changed, and it is told.
#[test]
fn an_answer_to_a_request_that_was_not_intended_changes_nothing() {
    let scene = Scene::setup();
    let intended = scene.next();
    let send = intended.send.unwrap();
    let mut pending = intended.status;
    pending.steps[0].state = StepState::Pending;
    let situation = scene.situation();
    for sent in [
        Sent::Accepted { remote_id: None },
        Sent::Lost(down()),
        Sent::NotSent(down()),
    ] {
        let next =
            dualwrite_plan::operation::after_sending(&situation, pending.clone(), &send, &sent);
        assert_eq!(next.status.steps, pending.steps, "{sent:?}");
        let told: Vec<_> = next.transitions.iter().map(|told| told.to).collect();
        assert_eq!(told, [None], "{sent:?}");
    }
}

/// What could not be read changes no step.
#[test]
fn nothing_happens_to_a_step_that_cannot_be_seen() {
    let scene = Scene::setup().accepted().later(10).with(|scene| {
        scene.observed.applications = Fact::Unknown(Problem::transient("503."));
    });
    assert_eq!(scene.next().transitions, []);
}
