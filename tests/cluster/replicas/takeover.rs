//! The leader dies, stands still or is cut off in the midst of an act: the other finishes it, and nothing is sent twice,
//! not even when the first comes back. The lease only says when the other begins.

use std::time::{Duration, Instant};

use futures::FutureExt as _;
use rustix::process::{Pid, Signal, kill_process};

use super::*;
use crate::support::crash::{self, AFTER_ABSENCE, Act, SOON};
use crate::support::{Action, Match, Moment, Seen, World};

const BOTH: [Act; 2] = [Act::Install, Act::Link];

/// A busy machine may need so much longer than the lease.
const SLACK: Duration = Duration::from_secs(10);

/// Where the leader is when it stops.
#[derive(Clone, Copy, Debug)]
enum At {
    /// Its intent is on the way to the API server, and arrives after the other has begun.
    BeforeIntent,
    /// Its intent is recorded, and it has not heard.
    AfterIntent,
    /// Its request is with Microsoft, which has not done it.
    Request,
    /// It is about to record that its request was accepted.
    BeforeSent,
    /// Microsoft works.
    Polling,
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_goes_on() {
    let mut cells = Vec::new();
    for act in BOTH {
        // Of those that take half a minute to end, one for each.
        let while_cut_off = match act {
            Act::Install => At::Polling,
            Act::Link => At::BeforeSent,
        };
        let mut add = |name: String, cell| cells.push((format!("{act:?}, {name}"), cell));
        add("stopped for long".into(), stopped_for_long(act).boxed());
        add(
            format!("cut off {while_cut_off:?}"),
            cut_off(act, while_cut_off).boxed(),
        );
        for at in [
            At::BeforeIntent,
            At::AfterIntent,
            At::Request,
            At::BeforeSent,
            At::Polling,
        ] {
            add(format!("stopped {at:?}"), stopped(act, at).boxed());
        }
        for at in [At::Request, At::BeforeSent, At::Polling] {
            add(format!("killed {at:?}"), killed(act, at).boxed());
        }
    }
    // Those that wait longest come first.
    cells.sort_by_key(|(name, _)| !name.contains("stopped for long") && !name.contains("cut off"));
    crate::support::cells::all_of(cells).await;
}

/// Two replicas, the leader of which is at this point of the act, and what is held there.
async fn two_at(act: Act, at: At) -> (World, Operator, Held) {
    let mut world = crash::about_to(act).await;
    let other = two(&mut world, "5s").await;
    let held = arrive(&world, act, at).await;
    (world, other, held)
}

enum Held {
    Nothing,
    Write(crate::support::Rule),
    Request(String),
}

async fn arrive(world: &World, act: Act, at: At) -> Held {
    let (matching, moment): (Match, Moment) = match at {
        At::BeforeIntent => (crash::step(act, "Intended"), Moment::Before),
        At::AfterIntent => (crash::step(act, "Intended"), Moment::After),
        At::BeforeSent => (crash::step(act, "Sent"), Moment::Before),
        At::Request => {
            let begin = async || world.apply(&crash::manifest()).await;
            return Held::Request(crash::held_request(world, act, "before", begin).await);
        }
        At::Polling => {
            world.apply(&crash::manifest()).await;
            let sent = |seen: &Seen| crash::is_step_write(seen, "Sent");
            world.api.asked(sent, SOON).await;
            return Held::Nothing;
        }
    };
    let rule = world.api.when(matching).then(moment, Action::Hold);
    world.apply(&crash::manifest()).await;
    rule.fired(SOON).await;
    Held::Write(rule)
}

async fn let_go(world: &World, held: &Held) {
    match held {
        Held::Nothing => {}
        Held::Write(rule) => rule.release(),
        Held::Request(fault) => world.simulator().control().release(fault).await,
    }
}

fn signal(replica: &Operator, signal: Signal) {
    kill_process(Pid::from_raw(replica.pid()).unwrap(), signal).unwrap();
}

/// SIGKILL: the other leads within about a lease, and finishes.
async fn killed(act: Act, at: At) {
    let (mut world, other, held) = two_at(act, at).await;
    let died = Instant::now();
    world.kill_operator();
    world.api.break_connections();
    leads(&world, &other, LEASE + SLACK).await;
    assert!(died.elapsed() < LEASE + SLACK);
    if act == Act::Link && matches!(at, At::Request) {
        // It has looked, has seen nothing, and does not ask again.
        crash::looked(&world, act, 5).await;
        assert_eq!(crash::received(&world, act).await, 1);
    }
    let_go(&world, &held).await;
    ends_well(&world).await;
}

/// It stands still for longer than the lease, comes back while the other is at it, and ends.
async fn stopped(act: Act, at: At) {
    let (world, other, held) = two_at(act, at).await;
    signal(world.operator(), Signal::STOP);
    leads(&world, &other, LEASE + SLACK).await;
    match at {
        // The other has not heard of any intent, and does it all by itself.
        At::BeforeIntent => {
            let control = world.simulator().control();
            control.called(act.call(), 1, SOON).await;
        }
        At::AfterIntent | At::Request | At::BeforeSent | At::Polling => {
            crash::looked(&world, act, 3).await;
        }
    }
    let_go(&world, &held).await;
    signal(world.operator(), Signal::CONT);
    ends_for_its_lease(world.operator(), AFTER_ABSENCE).await;
    ends_well(&world).await;
    assert!(other.is_running());
}

/// It has recorded its intent, and stands still until the other has waited for as long as a request may take. Then the
/// other installs, or leaves the link to a person. The first one comes back, and must send nothing any more.
async fn stopped_for_long(act: Act) {
    let mut world = crash::about_to(act).await;
    let other = two_with(&mut world, &with_election(&crash::SHORT, "5s")).await;
    let held = arrive(&world, act, At::AfterIntent).await;
    signal(world.operator(), Signal::STOP);
    let_go(&world, &held).await;
    leads(&world, &other, LEASE + SLACK).await;
    match act {
        Act::Install => {
            let control = world.simulator().control();
            control.called(act.call(), 1, AFTER_ABSENCE).await;
        }
        Act::Link => {
            crash::ready(&world, "OutcomeUnknown", AFTER_ABSENCE).await;
        }
    }
    signal(world.operator(), Signal::CONT);
    ends_for_its_lease(world.operator(), SOON).await;
    if act == Act::Link {
        let connection = crash::ready(&world, "OutcomeUnknown", SOON).await;
        assert_eq!(crash::received(&world, act).await, 0);
        crash::release_as_told(&world, &connection).await;
    }
    ends_well(&world).await;
}

/// Its API server cannot be reached for longer than the lease: it ends, and the other goes on.
async fn cut_off(act: Act, at: At) {
    let (world, other, held) = two_at(act, at).await;
    let cut = Instant::now();
    let unreachable = world.api.unreachable();
    leads(&world, &other, LEASE + SLACK).await;
    assert!(cut.elapsed() < LEASE + SLACK);
    crash::looked(&world, act, 3).await;
    crash::each_sent_at_most_once(&world).await;
    let_go(&world, &held).await;
    ends_for_its_lease(world.operator(), AFTER_ABSENCE).await;
    ends_well(&world).await;
    drop(unreachable);
}
