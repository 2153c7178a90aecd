//! SIGKILL at every boundary of the intent protocol, for both acts: the next process goes on, nothing is done twice, and
//! what cannot be known is said, with a way out.
//!
//! A new boundary is one row of [`CELLS`]. `DUALWRITE_CELLS=part-of-a-name` runs only some.

use crate::support::crash::{self, AFTER_ABSENCE, Act, SOON};
use crate::support::{Action, Match, Moment, World};
use futures::FutureExt as _;

struct Cell {
    name: &'static str,
    place: Place,
    /// Whether a request may have been received when the process dies.
    sent: bool,
    expect: Expect,
}

/// Where the process dies.
#[derive(Clone, Copy)]
enum Place {
    /// At a write to the API server: before it is taken, or after that and before the operator hears.
    Write(Moment, Write),
    /// While its request is with Microsoft, which does it in the end.
    Request(Held),
    /// While it asks how far Microsoft is.
    Polling,
}

#[derive(Clone, Copy)]
enum Write {
    Creation,
    Hold,
    Intent,
    Sent,
    End,
    Release,
}

/// Where the request is when the process dies, and when Microsoft goes on with it.
#[derive(Clone, Copy, PartialEq, Eq)]
#[allow(
    clippy::enum_variant_names,
    reason = "each is a moment around the effect"
)]
enum Held {
    BeforeEffect,
    /// Only after the next process has looked several times, and seen nothing.
    LongBeforeEffect,
    AfterEffect,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Expect {
    Ready,
    /// Nobody can know whether the request is still to arrive. An installation is asked for once more when it cannot any
    /// more; for a link a person decides.
    Lost(Way),
}

/// What the person does about a link whose outcome is unknown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    LetTheOperatorAskAgain,
    LinkByHand,
}

const fn cell(name: &'static str, place: Place, sent: bool, expect: Expect) -> Cell {
    Cell {
        name,
        place,
        sent,
        expect,
    }
}

use Expect::{Lost, Ready};
use Held::{AfterEffect, BeforeEffect, LongBeforeEffect};
use Moment::{After, Before};
use Place::{Polling, Request, Write as At};
use Way::{LetTheOperatorAskAgain, LinkByHand};
use Write::{Creation, End, Hold, Intent, Release, Sent};

#[rustfmt::skip] // a table
const CELLS: [Cell; 17] = [
    cell("before the operation is created", At(Before, Creation), false, Ready),
    cell("after the operation is created", At(After, Creation), false, Ready),
    cell("before the finalizer", At(Before, Hold), false, Ready),
    cell("after the finalizer", At(After, Hold), false, Ready),
    cell("before the intent", At(Before, Intent), false, Ready),
    cell("after the intent, unheard", At(After, Intent), false, Lost(LetTheOperatorAskAgain)),
    cell("after the intent, unheard, then by hand", At(After, Intent), false, Lost(LinkByHand)),
    cell("request received, not done yet", Request(BeforeEffect), true, Ready),
    cell("request received, done much later", Request(LongBeforeEffect), true, Ready),
    cell("request done, answer not given", Request(AfterEffect), true, Ready),
    cell("before Sent is recorded", At(Before, Sent), true, Ready),
    cell("after Sent is recorded, unheard", At(After, Sent), true, Ready),
    cell("during polling", Polling, true, Ready),
    cell("before the end is recorded", At(Before, End), true, Ready),
    cell("after the end is recorded, unheard", At(After, End), true, Ready),
    cell("before the finalizer is removed", At(Before, Release), true, Ready),
    cell("after the finalizer is removed, unheard", At(After, Release), true, Ready),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_every_boundary() {
    let mut all = Vec::new();
    // Those that wait longest come first.
    let mut cells: Vec<&'static Cell> = CELLS.iter().collect();
    cells.sort_by_key(|cell| cell.expect == Ready);
    for cell in cells {
        for act in [Act::Install, Act::Link] {
            let nothing_new = act == Act::Install && cell.expect == Lost(LinkByHand);
            if !nothing_new {
                let name = format!("{act:?}, {}", cell.name);
                all.push((name, run(act, cell).boxed()));
            }
        }
    }
    crate::support::cells::all_of(all).await;
}

async fn run(act: Act, cell: &'static Cell) {
    let mut world = crash::about_to(act).await;
    world.start_operator(cell.flags()).await;
    die(&mut world, act, cell).await;
    let received = crash::received(&world, act).await;
    assert!(
        cell.sent || received == 0,
        "{}: sent before the intent was recorded and known",
        cell.name
    );
    world.start_operator(cell.flags()).await;
    let by_hand = match (act, cell.expect) {
        (Act::Link, Lost(way)) => ask_a_person(&world, way).await,
        (Act::Link | Act::Install, _) => false,
    };
    if cell.is_late() {
        // It has looked, has seen nothing, and does not ask again.
        crash::nothing_is_concluded(&world, act).await;
        world.simulator().control().clear_faults().await;
    }
    let connection = crash::ready(&world, "Connected", AFTER_ABSENCE).await;
    assert_eq!(
        crate::support::wait::condition(&connection, "Ready")["status"],
        "True"
    );
    crash::each_sent_at_most_once(&world).await;
    let mutations = crash::mutations(&world).await;
    let links = mutations
        .get("createLink")
        .map_or(0, |(_, applied)| *applied);
    assert_eq!(links, usize::from(!by_hand), "{mutations:?}");
    crash::all_operations_succeed(&world).await;
    world.stop_operator().await;
}

impl Cell {
    const fn flags(&self) -> &'static [&'static str] {
        match self.expect {
            Lost(_) => &crash::SHORT,
            Ready if self.is_late() => &crash::PATIENT,
            Ready => &crash::FLAGS,
        }
    }

    const fn is_late(&self) -> bool {
        matches!(self.place, Request(LongBeforeEffect))
    }
}

/// Lets the operator come to the place, and kills it there.
async fn die(world: &mut World, act: Act, cell: &Cell) {
    match cell.place {
        At(moment, write) => {
            let rule = world
                .api
                .when(matching(act, write))
                .then(moment, Action::Kill);
            world.apply(&crash::manifest()).await;
            rule.fired(SOON * 2).await;
            world.kill_operator();
        }
        Request(held) => {
            let at = if held == AfterEffect {
                "after"
            } else {
                "before"
            };
            let begin = async || world.apply(&crash::manifest()).await;
            crash::held_request(world, act, at, begin).await;
            let control = world.simulator().control().clone();
            world.kill_operator();
            if held != LongBeforeEffect {
                control.clear_faults().await;
            }
        }
        Polling => {
            world.apply(&crash::manifest()).await;
            let sent = |seen: &crate::support::Seen| crash::is_step_write(seen, "Sent");
            world.api.asked(sent, SOON * 2).await;
            let control = world.simulator().control();
            control.clear_calls().await;
            control.called(act.poll(), 2, SOON).await;
            world.kill_operator();
        }
    }
}

fn matching(act: Act, write: Write) -> Match {
    match write {
        Creation => crash::creation(act),
        Hold => crash::finalizer(act, true),
        Intent => crash::step(act, "Intended"),
        Sent => crash::step(act, "Sent"),
        End => crash::phase(act, "Succeeded"),
        Release => crash::finalizer(act, false),
    }
}

/// The outcome is unknown, the message says the way out, and the person goes it. Returns whether the link is theirs.
async fn ask_a_person(world: &World, way: Way) -> bool {
    let connection = crash::ready(world, "OutcomeUnknown", AFTER_ABSENCE).await;
    let stalled = crate::support::wait::condition(&connection, "Stalled");
    assert_eq!(stalled["reason"], "OutcomeUnknown", "{connection:#}");
    assert_eq!(crash::received(world, Act::Link).await, 0);
    // It stays so: nothing is asked for while nobody has decided.
    crash::looked(world, Act::Link, 2).await;
    assert_eq!(crash::received(world, Act::Link).await, 0);
    if way == LinkByHand {
        crash::link_by_hand(world).await;
    }
    crash::release_as_told(world, &connection).await;
    way == LinkByHand
}
