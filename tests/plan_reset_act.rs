//! A reset from its first step to its end, one story at a time: what is done, in which order, and what a person reads.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod plan_reset_support;

use plan_reset_support::*;

#[test]
fn a_reset_puts_everything_back_as_it_was() {
    let mut run = Operator::new(planned_reset(true), Behaviour::default());
    run.run();
    for write in &run.writes {
        println!("{write:?}");
    }
    for sent in &run.journal {
        println!("{} {} {:?}", sent.at, sent.step, sent.request);
    }
    println!("{:#?}", run.stored.status);
    println!("{:?} {}", run.phase(), run.message());
    run.check(&"");
}
