//! The API server is restarted, away, or refuses, at every step. None of it costs a person anything: the act ends restored,
//! and everything was asked for once.

use std::time::Duration;

use super::steps::*;
use crate::support::contoso::*;
use crate::support::reset::*;
use crate::support::{Action, Moment};

use Moment::{After, Before};

/// At which write of a step, and what the API server does with it.
struct Trouble {
    name: &'static str,
    state: &'static str,
    moment: Moment,
    action: Action,
    /// How often in a row.
    times: u32,
}

const fn refuses(status: u16) -> Action {
    let retry_after = if status == 429 { Some(1) } else { None };
    Action::Answer {
        status,
        retry_after,
    }
}

fn troubles() -> Vec<Trouble> {
    let trouble = |name, state, moment, action, times| Trouble {
        name,
        state,
        moment,
        action,
        times,
    };
    let restarted = Action::Unreachable(Duration::ZERO);
    let away = Action::Unreachable(Duration::from_secs(if all() { 60 } else { 3 }));
    vec![
        trouble(
            "restarted after the intent",
            "Intended",
            After,
            restarted,
            1,
        ),
        trouble("away when Sent is to be recorded", "Sent", Before, away, 1),
        trouble("429 for the intent", "Intended", Before, refuses(429), 2),
        trouble(
            "409 for an intent that is taken",
            "Intended",
            After,
            refuses(409),
            1,
        ),
        trouble(
            "429 for an end that is taken",
            "Done",
            After,
            refuses(429),
            2,
        ),
        trouble("409 for Sent", "Sent", Before, refuses(409), 1),
        trouble("500 for Sent that is taken", "Sent", After, refuses(500), 1),
    ]
}

/// Every trouble at every step.
pub fn cells(steps: &[Step]) -> Vec<Cell> {
    let asking: Vec<&Step> = steps
        .iter()
        .filter(|step| step.asks != Asks::Nothing)
        .collect();
    let mut cells = Vec::new();
    for (place, step) in asking.iter().enumerate() {
        for (number, trouble) in troubles().into_iter().enumerate() {
            let is_chosen = place == number % asking.len();
            let is_vital = step.name == "reset" && matches!(number, 1 | 3 | 5);
            if all() || is_chosen || is_vital {
                let name = format!("{}: {}", step.name, trouble.name);
                let slow = matches!(trouble.action, Action::Unreachable(_));
                cells.push(Cell::new(slow, name, ends_well((*step).clone(), trouble)));
            }
        }
    }
    cells
}

async fn ends_well(step: Step, trouble: Trouble) {
    let (world, plan) = patiently_planned_world().await;
    let writes = world.api.when(write_of(&step.name, trouble.state));
    let rule = writes
        .times(trouble.times)
        .then(trouble.moment, trouble.action);
    approve(&world, &plan).await;
    rule.fired(ACT).await;
    let operation = ended(&world, &plan, &["Succeeded"], SLOW_ACT).await;
    for (what, (received, _)) in counted(&world).await {
        assert_eq!(received, 1, "{what}");
    }
    is_restored(&world, &operation).await;
    ready(&world).await;
}
