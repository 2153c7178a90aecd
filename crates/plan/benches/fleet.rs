//! What a fleet costs the operator's own processor: a thousand decisions, and a thousand comparisons of statuses.
//! `make bench` measures; nothing is asserted, because times differ from machine to machine.
#![allow(
    missing_docs,
    reason = "criterion's macros write functions without documents"
)]

#[path = "../tests/plan/support/mod.rs"]
mod plan_support;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dualwrite_api::DualWriteConnectionStatus;
use dualwrite_plan::decide::decide;
use plan_support::{Case, E, down, link_to, minutes};

const FLEET: usize = 1_000;

/// A fleet as it is in life: nearly all are as they should be, some are not.
fn fleet() -> Vec<Case> {
    let worlds = [
        Case::happy().later(minutes(5)),
        Case::bare().settled(),
        Case::unlinked().settled(),
        Case::happy().later(minutes(5)).link(link_to(E)),
        Case::happy().later(minutes(5)).blind(&down()),
    ];
    (0..FLEET)
        .map(|index| {
            let kind = if index % 50 < 46 { 0 } else { index % 50 - 45 };
            let mut case = worlds[kind].clone();
            case.desired.name = format!("contoso-{index}");
            case.desired.uid = format!("11111111-0000-4000-8000-{index:012}");
            case
        })
        .collect()
}

fn measure(criterion: &mut Criterion) {
    let fleet = fleet();
    let mut group = criterion.benchmark_group("fleet of 1000");
    group.throughput(Throughput::Elements(FLEET as u64));
    group.bench_function("decide", |bencher| {
        bencher.iter(|| {
            for case in &fleet {
                black_box(decide(&black_box(case).world()));
            }
        });
    });
    // The operator compares each new status with the old one, and writes only what differs.
    let statuses: Vec<(&DualWriteConnectionStatus, DualWriteConnectionStatus)> = fleet
        .iter()
        .map(|case| (&case.memory, decide(&case.world()).status))
        .collect();
    group.bench_function("compare statuses", |bencher| {
        bencher.iter(|| {
            let differing = statuses
                .iter()
                .filter(|(old, new)| black_box(old) != &black_box(new));
            black_box(differing.count())
        });
    });
    group.finish();
}

criterion_group!(benches, measure);
criterion_main!(benches);
