//! The intent protocol when the API server, the operator's view of it, or a second operator misbehaves: nothing is sent
//! without a recorded intent, and nothing is sent twice.

use std::time::Duration;

use crate::support::crash::{self, AFTER_ABSENCE, Act, CONNECTION, SOON};
use crate::support::{Action, Moment, Seen, World};
use futures::FutureExt as _;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const BOTH: [Act; 2] = [Act::Install, Act::Link];

/// What the API server does with the write of an intent. None of it may cost a person anything: the intent is recorded
/// once, the request is sent once.
#[rustfmt::skip] // a table
const TROUBLE: [(&str, Moment, Action); 12] = [
    ("409, not taken", Moment::Before, Action::Answer { status: 409, retry_after: None }),
    ("409, taken", Moment::After, Action::Answer { status: 409, retry_after: None }),
    ("429, not taken", Moment::Before, Action::Answer { status: 429, retry_after: Some(1) }),
    ("429, taken", Moment::After, Action::Answer { status: 429, retry_after: Some(1) }),
    ("500, not taken", Moment::Before, Action::Answer { status: 500, retry_after: None }),
    ("500, taken", Moment::After, Action::Answer { status: 500, retry_after: None }),
    ("503, taken", Moment::After, Action::Answer { status: 503, retry_after: None }),
    ("connection broken, not taken", Moment::Before, Action::Drop),
    ("connection broken, taken", Moment::After, Action::Drop),
    ("no answer in time, not taken", Moment::Before, Action::Hold),
    ("no answer in time, taken", Moment::After, Action::Hold),
    ("unreachable, taken", Moment::After, Action::Unreachable(Duration::from_secs(3))),
];

#[tokio::test(flavor = "multi_thread")]
async fn trouble_with_the_write_of_an_intent() {
    let mut cells = Vec::new();
    for (name, moment, action) in TROUBLE {
        for act in BOTH {
            let cell = trouble(act, moment, action.clone());
            cells.push((format!("{act:?}, {name}"), cell.boxed()));
        }
    }
    crate::support::cells::all_of(cells).await;
}

async fn trouble(act: Act, moment: Moment, action: Action) {
    let held = matches!(action, Action::Hold);
    let mut world = crash::about_to(act).await;
    crash::start(&mut world).await;
    let rule = world
        .api
        .when(crash::step(act, "Intended"))
        .then(moment, action);
    world.apply(&crash::manifest()).await;
    rule.fired(SOON).await;
    if held {
        assert_eq!(
            crash::received(&world, act).await,
            0,
            "sent before recorded"
        );
        if moment == Moment::Before {
            // The operator has given up and starts over; the first write arrives after all.
            let again = |seen: &Seen| crash::is_step_write(seen, "Intended");
            assert!(world.api.next(again, SOON).await.is_some());
        } else {
            world
                .simulator()
                .control()
                .called(act.call(), 1, SOON)
                .await;
        }
        rule.release();
    }
    let connection = crash::ready(&world, "Connected", AFTER_ABSENCE).await;
    assert_eq!(connection["status"]["operation"]["phase"], "Succeeded");
    crash::each_sent_at_most_once(&world).await;
    crash::all_operations_succeed(&world).await;
    let taken = world.api.writes();
    let first = |seen: &&Seen| {
        let step = &seen.body["status"]["steps"][0];
        crash::is_step_write(seen, "Intended")
            && step["state"] == "Intended"
            && seen.status == Some(200)
    };
    let part = if act == Act::Install {
        "-setup-"
    } else {
        "-link-"
    };
    let intents = taken
        .iter()
        .filter(|seen| seen.path.contains(part))
        .filter(first);
    assert_eq!(intents.count(), 1, "one intent, and no second");
}

#[tokio::test(flavor = "multi_thread")]
async fn stale_unobserved_and_doubled() {
    let mut cells = Vec::new();
    for act in BOTH {
        let mut add = |name: &str, cell| cells.push((format!("{act:?}, {name}"), cell));
        add(
            "stopped between intent and request, another goes on",
            stopped_before_sending(act).boxed(),
        );
        add(
            "stopped while its request is under way, another goes on",
            stopped_while_sending(act).boxed(),
        );
        add(
            "an old copy of the operation",
            old_copy_of_the_operation(act).boxed(),
        );
        add(
            "an old copy of the connection",
            old_copy_of_the_connection(act).boxed(),
        );
        add(
            "done by hand while the operator was down",
            done_by_hand(act, false).boxed(),
        );
        add(
            "done by hand after the intent, while the operator was down",
            done_by_hand(act, true).boxed(),
        );
        add(
            "the API server is away when Sent is to be recorded",
            away(act).boxed(),
        );
        add("two operators", two_operators(act).boxed());
        add("SIGTERM during the request", terminated(act).boxed());
    }
    crate::support::cells::all_of(cells).await;
}

async fn ends_well(world: &World) {
    crash::ready(world, "Connected", AFTER_ABSENCE).await;
    crash::each_sent_at_most_once(world).await;
    crash::all_operations_succeed(world).await;
}

/// The operator's copy is from before its own intent, again and again: it is refused each time.
async fn old_copy_of_the_operation(act: Act) {
    let mut world = crash::about_to(act).await;
    crash::start(&mut world).await;
    let first = world
        .api
        .when(crash::finalizer(act, true))
        .then(Moment::Before, Action::Hold);
    world.apply(&crash::manifest()).await;
    first.fired(SOON).await;
    let stale = world.api.stale_watch("dualwriteoperations");
    first.release();
    world
        .simulator()
        .control()
        .called(act.call(), 1, SOON)
        .await;
    stale.holding(SOON).await;
    // It tries to write what it knows already, and is refused each time.
    let refused = async || {
        let writes = world.api.writes();
        let refused = writes
            .iter()
            .filter(|seen| seen.path.contains("/dualwriteoperations/") && seen.status == Some(409));
        (refused.count() >= 3).then_some(())
    };
    crate::support::wait::polling("three refused writes", SOON, refused).await;
    assert_eq!(crash::received(&world, act).await, 1);
    stale.release();
    ends_well(&world).await;
}

/// A person suspends, and the operator has not seen it when it would begin.
async fn old_copy_of_the_connection(act: Act) {
    let mut world = crash::about_to(act).await;
    crash::start(&mut world).await;
    let creation = world
        .api
        .when(crash::creation(act))
        .then(Moment::Before, Action::Hold);
    world.apply(&crash::manifest()).await;
    creation.fired(SOON).await;
    let stale = world.api.stale_watch("dualwriteconnections");
    suspend(&world, true).await;
    stale.holding(SOON).await;
    creation.release();
    crash::operation(&world, act, SOON, |_| true).await;
    crash::looked(&world, act, 5).await;
    assert_eq!(
        crash::received(&world, act).await,
        0,
        "sent although suspended"
    );
    stale.release();
    crash::ready(&world, "Suspended", SOON).await;
    suspend(&world, false).await;
    ends_well(&world).await;
}

async fn suspend(world: &World, suspended: bool) {
    let patch = format!("{{\"spec\":{{\"suspend\":{suspended}}}}}");
    let args = ["patch", "dwc", CONNECTION, "--type=merge", "-p", &patch];
    world.kubectl(&args).await.ok();
}

async fn done_by_hand(act: Act, after_intent: bool) {
    let mut world = crash::about_to(act).await;
    crash::start(&mut world).await;
    let (matching, moment) = if after_intent {
        (crash::step(act, "Intended"), Moment::After)
    } else {
        (crash::creation(act), Moment::After)
    };
    let rule = world.api.when(matching).then(moment, Action::Kill);
    world.apply(&crash::manifest()).await;
    rule.fired(SOON).await;
    world.kill_operator();
    match act {
        Act::Install => crash::install_by_hand(&world).await,
        Act::Link => crash::link_by_hand(&world).await,
    }
    crash::start(&mut world).await;
    ends_well(&world).await;
    assert_eq!(crash::received(&world, act).await, 0);
}

async fn away(act: Act) {
    let mut world = crash::about_to(act).await;
    crash::start(&mut world).await;
    let away = Action::Unreachable(Duration::from_secs(5));
    let rule = world
        .api
        .when(crash::step(act, "Sent"))
        .then(Moment::Before, away);
    world.apply(&crash::manifest()).await;
    rule.fired(SOON).await;
    ends_well(&world).await;
}

async fn two_operators(act: Act) {
    let mut world = crash::about_to(act).await;
    crash::start(&mut world).await;
    let other = world.another_operator(&crash::FLAGS).await;
    world.apply(&crash::manifest()).await;
    ends_well(&world).await;
    assert!(other.is_running() && world.operator().is_running());
}

fn signal(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

/// It has recorded its intent and stands still until after its time to send. The other one, which cannot know whether it
/// has sent, waits; then it installs, or leaves the link to a person. The first must not send any more when it goes on.
async fn stopped_before_sending(act: Act) {
    let mut world = crash::about_to(act).await;
    world.start_operator(&crash::SHORT).await;
    let intent = world
        .api
        .when(crash::step(act, "Intended"))
        .then(Moment::After, Action::Hold);
    world.apply(&crash::manifest()).await;
    intent.fired(SOON).await;
    let stopped = world.operator().pid();
    signal(stopped, Signal::STOP);
    intent.release();
    let _other = world.another_operator(&crash::SHORT).await;
    match act {
        Act::Install => {
            let control = world.simulator().control();
            control.called(act.call(), 1, AFTER_ABSENCE).await;
        }
        Act::Link => {
            crash::ready(&world, "OutcomeUnknown", AFTER_ABSENCE).await;
        }
    }
    signal(stopped, Signal::CONT);
    assert_eq!(world.operator().ask("/readyz").await.0, 200);
    crash::looked(&world, act, 5).await;
    if act == Act::Link {
        let connection = crash::ready(&world, "OutcomeUnknown", SOON).await;
        assert_eq!(crash::received(&world, act).await, 0);
        crash::release_as_told(&world, &connection).await;
    }
    ends_well(&world).await;
}

async fn stopped_while_sending(act: Act) {
    let mut world = crash::about_to(act).await;
    crash::start(&mut world).await;
    let apply = async || world.apply(&crash::manifest()).await;
    let fault = crash::held_request(&world, act, "before", apply).await;
    let stopped = world.operator().pid();
    signal(stopped, Signal::STOP);
    let _other = world.another_operator(&crash::FLAGS).await;
    crash::looked(&world, act, 5).await;
    assert_eq!(crash::received(&world, act).await, 1);
    world.simulator().control().release(&fault).await;
    crash::ready(&world, "Connected", AFTER_ABSENCE).await;
    signal(stopped, Signal::CONT);
    ends_well(&world).await;
}

/// The pass ends by the request's own timeout; its outcome stays open, and the next process reads it back.
async fn terminated(act: Act) {
    let mut world = crash::about_to(act).await;
    crash::start(&mut world).await;
    let apply = async || world.apply(&crash::manifest()).await;
    let fault = crash::held_request(&world, act, "before", apply).await;
    assert_eq!(world.stop_operator().await, 0);
    let is_open = |operation: &Value| {
        crash::has_step(&operation["status"], "Intended")
            && operation["metadata"]["finalizers"] != Value::Null
    };
    crash::operation(&world, act, SOON, is_open).await;
    crash::start(&mut world).await;
    crash::looked(&world, act, 3).await;
    assert_eq!(crash::received(&world, act).await, 1);
    world.simulator().control().release(&fault).await;
    ends_well(&world).await;
}
