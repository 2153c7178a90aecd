//! A deterministic simulation: the real decisions and the real protocol, in a world of several connections, processes,
//! people, faults and virtual time. A seed makes a world and all that happens in it, and replays it exactly:
//! `SIMULATION_SEED=7 cargo test --workspace --test simulation`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::struct_excessive_bools,
    clippy::unnecessary_wraps, // everything that can be done has one signature
    missing_docs
)]

mod api;
mod checks;
#[path = "../../../plan/tests/plan/support/coverage.rs"]
#[allow(dead_code)] // each binary uses its own part of this
mod coverage;
mod microsoft;
mod people;
mod reads;
mod run;
mod sends;
mod shell;
#[path = "../../../plan/tests/plan/support/mod.rs"]
mod support;
mod world;

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex},
};

use run::Simulation;
use world::{Shared, World, lock};

/// What a run came to.
struct Run {
    world: Shared,
    violations: Vec<String>,
}

/// Makes the world of a seed, and lets it run.
fn run(seed: u64) -> Run {
    let (world, peace) = World::of_seed(seed, support::start());
    let world = Arc::new(Mutex::new(world));
    let mut simulation = Simulation::new(Arc::clone(&world));
    let panicked = catch_unwind(AssertUnwindSafe(|| simulation.run(peace))).is_err();
    let mut violations = lock(&world).ledger.violations.clone();
    if panicked {
        violations.push("a pass has panicked".into());
    }
    Run { world, violations }
}

/// What has happened, to be read.
fn show(seed: u64, run: &Run) -> String {
    let trace = lock(&run.world).trace.join("\n");
    let violations = run.violations.join("\n");
    format!(
        "{trace}\n{violations}\nSIMULATION_SEED={seed} cargo test --workspace --test simulation"
    )
}

/// Runs these seeds, and tells the numbers of what has happened.
fn run_all(seeds: impl Iterator<Item = u64>) {
    let mut failed = Vec::new();
    let (mut worlds, mut passes, mut requests) = (0_u64, 0, 0);
    let mut ends: BTreeMap<String, u64> = BTreeMap::new();
    for seed in seeds {
        let run = run(seed);
        let world = lock(&run.world);
        worlds += 1;
        passes += world.passes;
        requests += world.ledger.sendings.len();
        for (end, count) in &world.ledger.ends {
            *ends.entry(end.clone()).or_default() += count;
        }
        if let Some(violation) = run.violations.first() {
            println!("SIMULATION_SEED={seed}: {violation}");
            failed.push(seed);
        }
    }
    println!(
        "{worlds} worlds, {passes} passes, {requests} requests; operations that ended: {ends:?}"
    );
    assert!(failed.is_empty(), "SIMULATION_SEED={failed:?}");
}

/// How many worlds `make test` looks at.
const WORLDS: u64 = 300;

/// How many `make matrix` looks at, other ones each time.
const MORE_WORLDS: u64 = 10_000;

#[test]
fn nothing_goes_wrong_in_any_world() {
    if let Ok(seed) = std::env::var("SIMULATION_SEED") {
        let seed = seed.parse().expect("SIMULATION_SEED is a number");
        let run = run(seed);
        println!("{}", show(seed, &run));
        assert!(run.violations.is_empty(), "{}", run.violations.join("\n"));
    } else if std::env::var_os("DUALWRITE_MATRIX").is_some() {
        let first = fastrand::u64(1_000_000..1_000_000_000);
        println!("the first seed is {first}");
        run_all(first..first + MORE_WORLDS);
    } else {
        run_all(0..WORLDS);
    }
}

/// Seeds in which something went wrong once, with a word on what.
const FOUND: &str = include_str!("seeds.txt");

#[test]
fn what_was_found_stays_mended() {
    let lines = FOUND.lines().filter(|line| !line.starts_with('#'));
    run_all(lines.map(|line| {
        let (seed, _) = line.split_once(' ').expect("a seed and what it found");
        seed.parse().expect("a seed is a number")
    }));
}
