//! The process dies, or an answer is lost, at every moment of every step.

use serde_json::{Value, json};

use super::steps::*;
use crate::support::contoso::*;
use crate::support::reset::*;
use crate::support::{Action, Match, Moment, World};

/// What happens at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The process dies at a write of the step's state: before it is taken, or after that and before it is heard.
    Dies(Moment, &'static str),
    /// The process dies while its request is with Microsoft, which goes on with it.
    DiesDuring(At),
    /// Done, and answered with 500.
    ErrorAfterEffect,
    /// Neither done nor answered.
    Vanishes,
    /// The answer is slow, and comes.
    SlowAnswer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    BeforeEffect,
    AfterEffect,
}

use At::{AfterEffect, BeforeEffect};
use Kind::{Dies, DiesDuring, ErrorAfterEffect, SlowAnswer, Vanishes};
use Moment::{After, Before};

/// What can happen at a step that asks for something.
#[rustfmt::skip] // a table
const KINDS: [(&str, Kind); 11] = [
    ("dies before the intent", Dies(Before, "Intended")),
    ("dies after the intent, unheard", Dies(After, "Intended")),
    ("dies, request received and done later", DiesDuring(BeforeEffect)),
    ("dies, request done and not answered", DiesDuring(AfterEffect)),
    ("dies before Sent is recorded", Dies(Before, "Sent")),
    ("dies after Sent is recorded, unheard", Dies(After, "Sent")),
    ("dies before the end of the step", Dies(Before, "Done")),
    ("dies after the end of the step, unheard", Dies(After, "Done")),
    ("500 after the effect", ErrorAfterEffect),
    ("the request vanishes", Vanishes),
    ("a slow answer", SlowAnswer),
];

/// How the act ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expect {
    Restored,
    /// One thing is missing, and named.
    Incomplete,
    /// Nobody can know whether the request is still to arrive, and a person decides.
    Unknown,
}

/// A request of which nothing comes: what sets a state is asked for once more, a solution is named, a reset is for a person.
fn expected(step: &Step, kind: Kind) -> Expect {
    let nothing_comes = matches!(kind, Dies(After, "Intended") | Vanishes);
    if !nothing_comes {
        Expect::Restored
    } else if step.name == "reset" {
        Expect::Unknown
    } else if step.name.starts_with("solution/") {
        Expect::Incomplete
    } else {
        Expect::Restored
    }
}

/// Every kind of death at every step.
pub fn cells(steps: &[Step]) -> Vec<Cell> {
    let asking: Vec<&Step> = steps
        .iter()
        .filter(|step| step.asks != Asks::Nothing)
        .collect();
    let mut cells = Vec::new();
    for (place, step) in asking.iter().enumerate() {
        for (number, (name, kind)) in KINDS.into_iter().enumerate() {
            // Each kind with a step of its own, and each step with one kind; the reset with all that concern its request.
            let is_chosen = number % asking.len() == place || place % KINDS.len() == number;
            let is_vital = step.name == "reset" && (2..9).contains(&number);
            if all() || is_chosen || is_vital {
                let cell = at_step((*step).clone(), kind);
                let slow = expected(step, kind) == Expect::Unknown
                    || matches!(kind, Vanishes | Dies(After, "Intended"));
                cells.push(Cell::new(slow, format!("{}: {name}", step.name), cell));
            }
        }
    }
    for step in steps.iter().filter(|step| step.asks == Asks::Nothing) {
        for (name, moment) in [("before", Before), ("after", After)] {
            if all() || name == "before" {
                let cell = at_step(step.clone(), Dies(moment, "Done"));
                let name = format!("{}: dies {name} the end of the step", step.name);
                cells.push(Cell::new(false, name, cell));
            }
        }
    }
    for (number, (name, moment, matching)) in of_the_operation().into_iter().enumerate() {
        if all() || number % 2 == 1 {
            let name = format!("the operation: dies {name}");
            cells.push(Cell::new(false, name, at_write(moment, matching)));
        }
    }
    cells
}

/// A write, with its name, and on which side of it the process dies.
type Write = (&'static str, Moment, fn() -> Match);

/// The writes that are no step's.
fn of_the_operation() -> Vec<Write> {
    vec![
        ("before it is created", Before, creation),
        ("after it is created", After, creation),
        ("before the finalizer", Before, || finalizer(true)),
        ("after the finalizer", After, || finalizer(true)),
        ("before its end", Before, end),
        ("after its end, unheard", After, end),
        ("after the finalizer is removed", After, || finalizer(false)),
        ("before the finalizer is removed", Before, || {
            finalizer(false)
        }),
    ]
}

async fn at_write(moment: Moment, matching: fn() -> Match) {
    let mut world = world_with(drifted(), &FLAGS).await;
    let rule = world.api.when(matching()).then(moment, Action::Kill);
    connect(&world, asks()).await;
    let before = std::ptr::fn_addr_eq(matching, creation as fn() -> Match);
    if before {
        rule.fired(SOON).await;
        again(&mut world).await;
    }
    let plan = plan(&world).await;
    approve(&world, &plan).await;
    if !before {
        rule.fired(ACT).await;
        again(&mut world).await;
    }
    let operation = ended(&world, &plan, &["Succeeded"], ACT).await;
    holds(&world, &operation, Expect::Restored, "").await;
}

/// The next process.
async fn again(world: &mut World) {
    world.kill_operator();
    world.start_operator(&FLAGS).await;
}

async fn at_step(step: Step, kind: Kind) {
    let (mut world, plan) = world_for(&step.name).await;
    match kind {
        Dies(moment, state) => {
            let writes = world.api.when(write_of(&step.name, state));
            let rule = writes.then(moment, Action::Kill);
            approve(&world, &plan).await;
            rule.fired(ACT).await;
            again(&mut world).await;
        }
        DiesDuring(at) => die_during(&mut world, &plan, &step, at).await,
        ErrorAfterEffect => {
            let status = json!({"status": 500, "body": {"error": {"message": "Internal error."}}});
            let effect = json!({"statusAfterEffect": status});
            let error = Action::Answer {
                status: 500,
                retry_after: None,
            };
            disturb(&world, &plan, &step, effect, After, error).await;
        }
        Vanishes => {
            let effect = json!("lostBeforeEffect");
            disturb(&world, &plan, &step, effect, Before, Action::Drop).await;
        }
        SlowAnswer => {
            let delay = std::time::Duration::from_millis(700);
            let effect = json!({"delay": "700ms"});
            disturb(&world, &plan, &step, effect, After, Action::Delay(delay)).await;
        }
    }
    let expect = expected(&step, kind);
    let phases: &[&str] = match expect {
        Expect::Restored => &["Succeeded"],
        Expect::Incomplete => &["Failed"],
        Expect::Unknown => &["Unknown"],
    };
    let operation = ended(&world, &plan, phases, SLOW_ACT).await;
    holds(&world, &operation, expect, &step.name).await;
}

/// A fault on the request of the step, wherever it goes.
async fn disturb(
    world: &World,
    plan: &str,
    step: &Step,
    effect: Value,
    moment: Moment,
    action: Action,
) {
    if let Some(fault) = fault(step, &effect) {
        let fault = world.fault(fault).await;
        approve(world, plan).await;
        world
            .simulator()
            .control()
            .fault_fired(&fault, 1, ACT)
            .await;
    } else {
        let rule = world
            .api
            .when(Match::create("configmaps"))
            .then(moment, action);
        approve(world, plan).await;
        rule.fired(ACT).await;
    }
}

async fn die_during(world: &mut World, plan: &str, step: &Step, at: At) {
    let hold_at = match at {
        BeforeEffect => "before",
        AfterEffect => "after",
    };
    let Some(fault) = fault(step, &json!({"hold": {"holdAt": hold_at}})) else {
        let moment = match at {
            BeforeEffect => Before,
            AfterEffect => After,
        };
        let creation = world.api.when(Match::create("configmaps"));
        let rule = creation.then(moment, Action::Kill);
        approve(world, plan).await;
        rule.fired(ACT).await;
        return again(world).await;
    };
    let fault = world.fault(fault).await;
    approve(world, plan).await;
    let control = world.simulator().control().clone();
    control.fault_fired(&fault, 1, ACT).await;
    if at == AfterEffect {
        let done = async || {
            let last = requests(world).await.pop()?;
            (last["applied"] == true).then_some(())
        };
        crate::support::wait::polling("the effect", SOON, done).await;
    }
    world.kill_operator();
    control.release(&fault).await;
    world.start_operator(&FLAGS).await;
}

/// What must hold in the end, and what must never have happened.
async fn holds(world: &World, operation: &Value, expect: Expect, step: &str) {
    nothing_is_asked_too_often(world).await;
    let name = name_of(operation);
    match expect {
        Expect::Restored => {
            is_restored(world, operation).await;
            ready(world).await;
        }
        Expect::Incomplete => {
            assert_eq!(operation["status"]["reason"], "RestoreIncomplete");
            assert_tells(
                operation,
                &[step.trim_start_matches("solution/"), "apply it"],
            );
            says(
                world,
                "Stalled",
                "True",
                "RestoreIncomplete",
                &["Not put back", &format!("kubectl delete dwo {name}")],
            )
            .await;
            has_backup(world, operation).await;
        }
        Expect::Unknown => {
            let way_out = format!("kubectl delete dwo {name}");
            let parts = ["not sent again by itself", "ConfigMap", &way_out];
            says(world, "Stalled", "True", "OutcomeUnknown", &parts).await;
            assert!(resets(world).await <= 1);
        }
    }
    nobody_is_left_in_the_dark(world).await;
}
