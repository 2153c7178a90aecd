//! A person suspends, edits, deletes or takes the credentials away, at every step. Before the reset the act is given up and
//! the maps run as before; from the reset on it goes on to its end, whatever becomes of the connection.

use std::sync::Arc;

use serde_json::{Value, json};

use super::steps::*;
use crate::support::contoso::*;
use crate::support::reset::*;
use crate::support::{Action, Moment, World, wait};

/// What a person does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Edit {
    Suspend,
    OnlyReport,
    OnlyObserve,
    OtherCompanies,
    DeleteTheConnection,
    MakeTheConnectionAnew,
    TakeTheSecretsAway,
    DeleteTheOperation,
}

const EDITS: [Edit; 8] = [
    Edit::Suspend,
    Edit::OnlyReport,
    Edit::OnlyObserve,
    Edit::OtherCompanies,
    Edit::DeleteTheConnection,
    Edit::MakeTheConnectionAnew,
    Edit::TakeTheSecretsAway,
    Edit::DeleteTheOperation,
];

impl Edit {
    async fn make(self, world: &World, plan: &str) {
        match self {
            Self::Suspend => change(world, json!({"suspend": true})).await,
            Self::OnlyReport => change(world, json!({"mismatch": {"policy": "Report"}})).await,
            Self::OnlyObserve => change(world, json!({"mode": "Observe"})).await,
            Self::OtherCompanies => {
                change(world, json!({"link": {"legalEntities": ["USMF"]}})).await;
            }
            Self::DeleteTheConnection => {
                delete(world, &format!("dwc/{NAME}")).await;
                world.wait_gone(&format!("dwc/{NAME}"), SOON).await;
            }
            Self::MakeTheConnectionAnew => {
                delete(world, &format!("dwc/{NAME}")).await;
                world.wait_gone(&format!("dwc/{NAME}"), SOON).await;
                connect(world, asks()).await;
            }
            Self::TakeTheSecretsAway => {
                collect(world, "secret/contoso-entra").await;
                collect(world, "secret/contoso-dual-write-account").await;
            }
            Self::DeleteTheOperation => delete(world, &format!("dwo/{plan}")).await,
        }
    }
}

/// Every edit at every step.
pub fn cells(steps: &[Step]) -> Vec<Cell> {
    let steps = Arc::new(steps.to_vec());
    let reset = steps.iter().position(|step| step.name == "reset").unwrap();
    let after = steps.len() - reset - 1;
    let mut cells = Vec::new();
    for place in 1..steps.len() {
        for (number, edit) in EDITS.into_iter().enumerate() {
            let is_chosen = place == reset || place == reset + 1 + number % after;
            let is_early =
                place + 1 == reset && matches!(edit, Edit::Suspend | Edit::DeleteTheOperation);
            if all() || is_chosen || is_early {
                let name = format!("{}: {edit:?}", steps[place].name);
                let cell = before_a_step(Arc::clone(&steps), place, edit);
                cells.push(Cell::new(false, name, cell));
            }
        }
    }
    cells
}

/// The edit is in force before this step begins: the end of the one before it is held meanwhile.
async fn before_a_step(steps: Arc<Vec<Step>>, place: usize, edit: Edit) {
    let (world, plan) = planned_world(Value::Null, json!({})).await;
    let earlier = write_of(&steps[place - 1].name, "Done");
    let rule = world.api.when(earlier).then(Moment::Before, Action::Hold);
    approve(&world, &plan).await;
    rule.fired(ACT).await;
    edit.make(&world, &plan).await;
    rule.release();
    let what = format!("dwo/{plan}");
    if edit == Edit::TakeTheSecretsAway {
        waits_for_the_secrets(&world, &what, steps[place - 1].name != "backup").await;
        create_secrets(&world).await;
        ended(&world, &plan, &["Succeeded"], ACT).await;
        maps_become(&world, as_before()).await;
    } else if !is_before_the_reset(&steps, place) {
        goes_on(&world, &plan, edit).await;
    } else if edit == Edit::Suspend && steps[place].name == "stop-maps" {
        waits_while_suspended(&world, &plan).await;
    } else {
        is_given_up(&world, &plan, edit).await;
    }
    nothing_is_asked_too_often(&world).await;
    nobody_is_left_in_the_dark(&world).await;
}

async fn waits_for_the_secrets(world: &World, what: &str, maps_are_stopped: bool) {
    let said = |operation: &Value| {
        let message = operation["status"]["message"].as_str().unwrap_or_default();
        message.contains("Waiting to try again")
            && message.contains("contoso-")
            && (!maps_are_stopped || message.contains("table maps are stopped"))
    };
    world.wait_for(what, SOON, said).await;
}

/// Nothing has been stopped yet, so there is nothing to take back: it waits as a plan does.
async fn waits_while_suspended(world: &World, plan: &str) {
    let suspended = Some("Suspended");
    world
        .wait_condition(NAME, "Ready", "Unknown", suspended)
        .await;
    assert_eq!(requests(world).await, Vec::<Value>::new());
    change(world, json!({"suspend": false})).await;
    // At once, and not when it is looked at the next time.
    let stops = |operation: &Value| step(operation, "stop-maps")["attempt"] == 1;
    world.wait_for(&format!("dwo/{plan}"), SOON, stops).await;
    let operation = ended(world, plan, &["Succeeded"], ACT).await;
    is_restored(world, &operation).await;
}

async fn is_given_up(world: &World, plan: &str, edit: Edit) {
    if edit == Edit::DeleteTheOperation {
        world.wait_gone(&format!("dwo/{plan}"), ACT).await;
    } else {
        let operation = ended(world, plan, &["Void"], ACT).await;
        let stopped = step(&operation, "stop-maps")["attempt"] != 0;
        if stopped {
            assert_tells(
                &operation,
                &[
                    "Nothing was reset or deleted",
                    "in the states that they had",
                ],
            );
        }
    }
    is_unharmed(world).await;
    match edit {
        Edit::Suspend => {
            change(world, json!({"suspend": false})).await;
            plans_anew(world, plan).await;
        }
        Edit::OtherCompanies | Edit::MakeTheConnectionAnew => plans_anew(world, plan).await,
        Edit::OnlyReport | Edit::OnlyObserve => {
            says(world, "Ready", "False", "DifferentDestination", &[]).await;
        }
        Edit::DeleteTheConnection | Edit::TakeTheSecretsAway | Edit::DeleteTheOperation => {}
    }
}

/// An approval never carries over: there is a new plan, and it waits.
async fn plans_anew(world: &World, old: &str) {
    let waits = |operation: &Value| {
        operation["status"]["phase"] == "AwaitingApproval" && name_of(operation) != old
    };
    world.wait_for("dwo", ACT, waits).await;
    assert_eq!(resets(world).await, 0);
}

/// The reset was made: what it took away is put back, for whomever.
async fn goes_on(world: &World, plan: &str, edit: Edit) {
    if edit == Edit::DeleteTheOperation {
        world.wait_gone(&format!("dwo/{plan}"), ACT).await;
    } else {
        let operation = ended(world, plan, &["Succeeded"], ACT).await;
        is_restored(world, &operation).await;
    }
    assert_eq!(maps_now(world).await, as_before());
    match edit {
        Edit::DeleteTheConnection => {
            assert!(world.list("dwc").await.is_empty());
        }
        Edit::Suspend => {
            let connection = world.connection(NAME).await;
            assert_eq!(wait::condition(&connection, "Ready")["reason"], "Suspended");
        }
        _ => {
            ready(world).await;
        }
    }
    assert_eq!(resets(world).await, 1);
}
