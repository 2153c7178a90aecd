//! Every cell of the transition table is met by an operation that is carried out.

use crate::{
    coverage,
    model::{self, Model},
    reset_support::*,
    scene::*,
    support::{CORE, planned_link, planned_setup},
};
use dualwrite_api::operation::Action;

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
    let (legal, met) = (coverage::legal(), coverage::met());
    let missed: Vec<_> = legal.iter().filter(|cell| !met.contains(cell)).collect();
    println!("{} of {} legal cells are met", met.len(), legal.len());
    assert!(missed.is_empty(), "{missed:?}");
}
