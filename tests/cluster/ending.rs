//! SIGTERM: a change at Microsoft's that is under way is waited for, nothing new begins, and nothing else holds the process
//! up.

use std::time::{Duration, Instant};

use futures::FutureExt as _;
use serde_json::{Value, json};

use crate::support::World;
use crate::support::contoso::SOON;
use crate::support::crash::{self, Act};
use crate::support::reset::{ACT, approve, drifted_world_with, ended, plan, step};

/// Longer than a pass is waited for that changes nothing.
const LONG: Duration = Duration::from_secs(15);

/// Longer than the kubelet waits by default, and shorter than a reset may take here.
const HELD: Duration = Duration::from_secs(50);

#[rustfmt::skip] // pairs
const PATIENT: [&str; 6] = ["--request-timeout", "1s", "--settle-time", "500ms", "--slow-factor", "120"];

#[tokio::test(flavor = "multi_thread")]
async fn on_sigterm() {
    let cells = vec![
        ("during a reset".to_owned(), during_a_reset().boxed()),
        ("during a read".to_owned(), during_a_read().boxed()),
        ("with nothing to do".to_owned(), idle().boxed()),
    ];
    crate::support::cells::all_of(cells).await;
}

/// The answer comes late, and is recorded. A lost one would be a person's decision.
async fn during_a_reset() {
    let mut world = drifted_world_with(&PATIENT, Value::Null, json!({})).await;
    let name = plan(&world).await;
    let fault = json!({"call": "resetLink", "effect": {"hold": {"holdAt": "before"}}});
    let fault = world.fault(fault).await;
    approve(&world, &name).await;
    let control = world.simulator().control();
    control.fault_fired(&fault, 1, ACT).await;
    world.operator().terminate();
    world.operator().runs_for(HELD).await;
    control.release(&fault).await;
    assert_eq!(world.operator().exited(SOON).await, 0);
    assert_eq!(world.stop_operator().await, 0);
    let operation = world.get(&format!("dwo/{name}")).await;
    assert_eq!(step(&operation, "reset")["state"], "Sent", "{operation:#}");
    let begun = operation["status"]["steps"].as_array().unwrap().iter();
    let begun = begun.filter(|step| step["state"] == "Intended");
    assert_eq!(begun.count(), 0, "{operation:#}");
    world.start_operator(&PATIENT).await;
    ended(&world, &name, &["Succeeded"], ACT).await;
}

/// A read is made again by the next process.
async fn during_a_read() {
    let mut world = crash::about_to(Act::Install).await;
    world.start_operator(&["--request-timeout", "60s"]).await;
    let fault =
        json!({"call": "listApplicationPackages", "effect": {"hold": {"holdAt": "before"}}});
    let fault = world.fault(fault).await;
    world.apply(&crash::manifest()).await;
    world
        .simulator()
        .control()
        .fault_fired(&fault, 1, SOON)
        .await;
    ends_at_once(&world).await;
    assert_eq!(crash::received(&world, Act::Install).await, 0);
}

async fn idle() {
    let mut world = crash::about_to(Act::Install).await;
    crash::start(&mut world).await;
    ends_at_once(&world).await;
}

/// Seconds, where the machine is busy; a read would last a minute.
async fn ends_at_once(world: &World) {
    let began = Instant::now();
    assert_eq!(world.operator().stop().await, 0);
    assert!(began.elapsed() < LONG, "{:?}", began.elapsed());
}
