//! Whatever the service does and whatever happens meanwhile: nothing is destroyed without an approval, and without all that
//! it relies on; nothing is asked for too often; and the end says what a person has to know.

use std::time::Duration;

use crate::reset_support::*;
use dualwrite_api::operation::{Approval, Phase};
use dualwrite_plan::operation::BackupView;
use proptest::{prelude::*, test_runner::RngSeed};

fn one_of(choices: &'static [u64]) -> impl Strategy<Value = Duration> {
    prop::sample::select(choices).prop_map(seconds)
}

fn some_maps() -> impl Strategy<Value = Vec<String>> {
    let none = Just(Vec::new()).boxed();
    let names = ["Customers", "Groups", "Vendors"].map(str::to_owned);
    let some = prop::sample::subsequence(names.to_vec(), 1..=2).boxed();
    prop_oneof![3 => none, 1 => some]
}

prop_compose! {
    fn behaviours()(
        ids in any::<bool>(),
        lag in one_of(&[0, 30, 100]),
        takes in one_of(&[5, 40, 400]),
        reset_takes in one_of(&[10, 90, 600, 1200]),
        ends in prop_oneof![
            5 => Just(Ends::AtTarget),
            1 => Just(Ends::Stays),
            1 => Just(Ends::Elsewhere),
            1 => Just(Ends::NoLink),
        ],
        stuck in prop::bool::weighted(0.1),
        never_stop in some_maps(),
        never_start in some_maps(),
    ) -> Behaviour {
        Behaviour {
            ids,
            lag,
            takes,
            reset_takes,
            ends,
            stuck,
            never_stop: never_stop.into_iter().collect(),
            never_start: never_start.into_iter().collect(),
            ..Behaviour::default()
        }
    }
}

fn events() -> impl Strategy<Value = Event> {
    let crashes = [seconds(1), minutes(7), hours(2)].map(Event::Crash);
    prop::sample::select([&crashes[..], &OWNERS, &MOVES].concat())
}

fn moments() -> impl Strategy<Value = When> {
    prop_oneof![
        (0_usize..40).prop_map(When::Before),
        (0_usize..40).prop_map(When::After),
        (0_usize..14).prop_map(When::Received),
    ]
}

/// What the API server does with some writes.
fn trouble() -> impl Strategy<Value = (When, Event)> {
    let some = prop::sample::select(TROUBLE.to_vec());
    (0_usize..40, some).prop_map(|(number, (when, event))| (when(number), event))
}

/// The same worlds in each run; with `make matrix` others each time.
fn seed() -> RngSeed {
    if std::env::var_os("DUALWRITE_MATRIX").is_some() {
        RngSeed::Random
    } else {
        RngSeed::Fixed(7)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, max_shrink_iters: 400, failure_persistence: None, rng_seed: seed(), ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_destroyed_without_all_that_it_relies_on(
        behaviour in behaviours(),
        approval in prop_oneof![
            6 => Just(Approval::Approved),
            2 => Just(Approval::NotRequired),
            1 => Just(Approval::Pending),
            1 => Just(Approval::Rejected),
        ],
        force in any::<bool>(),
        starts in any::<bool>(),
        answers in prop::collection::vec((0_usize..14, prop::sample::select(ANSWERS.to_vec())), 0..4),
        events in prop::collection::vec((moments(), events()), 0..4),
    ) {
        let mut operation = planned_reset(starts);
        operation.spec.approval = approval;
        operation.spec.options.force = force;
        let mut run = Operator::new(operation, behaviour);
        run.answers = answers.into_iter().collect();
        run.events = events;
        run.run();
        // Each reset that was sent was checked when it arrived.
        run.check_journal(&run.events);
        run.check_words(&run.events);
        let is_used = matches!(approval, Approval::Approved | Approval::NotRequired);
        prop_assert!(is_used || run.journal.is_empty());
    }

    #[test]
    fn nothing_is_destroyed_without_it_when_the_api_server_misbehaves(
        behaviour in behaviours(),
        answers in prop::collection::vec((0_usize..14, prop::sample::select(ANSWERS.to_vec())), 0..3),
        events in prop::collection::vec((moments(), events()), 0..3),
        trouble in prop::collection::vec(trouble(), 1..5),
    ) {
        let mut run = Operator::new(planned_reset(true), behaviour);
        run.answers = answers.into_iter().collect();
        run.events = [events, trouble].concat();
        run.run();
        run.check_journal(&run.events);
        run.check_words(&run.events);
    }

    #[test]
    fn a_plan_that_has_ended_never_fires_again(
        phase in prop::sample::select(vec![Phase::Succeeded, Phase::Failed, Phase::Void]),
        number in 0_usize..12,
    ) {
        let mut run = Operator::new(planned_reset(true), Behaviour::default());
        for _ in 0..number {
            run.pass();
        }
        run.api.stored.status.phase = Some(phase);
        run.backup = BackupView::Intact;
        let sent = run.journal.len();
        for _ in 0..20 {
            run.pass();
        }
        prop_assert_eq!(run.journal.len(), sent);
        prop_assert!(number > 0 || !run.has_sent("reset"));
    }
}

/// Its outcome was given up as unknown, and shows late: from then on the act must not get lost any more.
#[test]
fn a_reset_that_shows_late_is_held_before_it_goes_on() {
    for number in 8..24 {
        for event in [Event::ConnectionDeleted, Event::OperationDeleted] {
            let behaviour = Behaviour {
                reset_takes: seconds(1200),
                ..Behaviour::default()
            };
            let mut run = Operator::new(planned_reset(false), behaviour);
            run.answers = [(2, Answer::LostDone)].into_iter().collect();
            run.events = vec![(When::Before(number), event)];
            run.run();
            run.check_words(&run.events);
        }
    }
}
