//! The intent protocol while people edit, suspend, delete and make anew: before a request is sent it is not sent any
//! more, and one that is under way is followed to its end.

use std::time::Duration;

use crate::support::crash::{self, AFTER_ABSENCE, Act, CONNECTION, HOST, SOON};
use crate::support::{Action, Moment, Seen, World};
use futures::FutureExt as _;
use serde_json::{Value, json};

/// The environment of Contoso's production.
const OTHER: &str = "c0a8f00d-0000-4000-8000-000000000020";

/// What a person changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Edit {
    Suspend,
    Observe,
    Manual,
    OtherEnvironment,
    Delete,
}

impl Edit {
    async fn make(self, world: &World, act: Act, on: bool) {
        let spec = match (self, act) {
            (Self::Suspend, _) => json!({"suspend": on}),
            (Self::Observe, _) => json!({"mode": if on { "Observe" } else { "Manage" }}),
            (Self::Manual, Act::Install) => {
                json!({"setup": {"method": if on { "Manual" } else { "Install" }}})
            }
            (Self::Manual, Act::Link) => {
                json!({"link": {"method": if on { "Manual" } else { "Service" }}})
            }
            (Self::OtherEnvironment, _) => {
                json!({"dataverse": {"environmentId": if on { OTHER } else { crash::TARGET }}})
            }
            (Self::Delete, _) if on => {
                let args = ["delete", "dwc", CONNECTION, "--wait=false"];
                world.kubectl(&args).await.ok();
                return;
            }
            (Self::Delete, _) => return world.apply(&crash::manifest()).await,
        };
        let patch = json!({"spec": spec}).to_string();
        let args = ["patch", "dwc", CONNECTION, "--type=merge", "-p", &patch];
        world.kubectl(&args).await.ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_change_their_minds() {
    let edits = [
        Edit::Suspend,
        Edit::Observe,
        Edit::Manual,
        Edit::OtherEnvironment,
        Edit::Delete,
    ];
    let mut cells = Vec::new();
    for act in [Act::Install, Act::Link] {
        for edit in edits {
            let cell = before(act, edit).boxed();
            cells.push((format!("{act:?}, {edit:?} before the act has begun"), cell));
            let cell = during(act, edit).boxed();
            cells.push((
                format!("{act:?}, {edit:?} while the request is under way"),
                cell,
            ));
        }
        let mut add = |name: &str, cell| cells.push((format!("{act:?}, {name}"), cell));
        add(
            "deleted during the request",
            operation_deleted(act, "after").boxed(),
        );
        add(
            "deleted while the request may still arrive",
            operation_deleted(act, "before").boxed(),
        );
        add(
            "connection made anew, without an owner",
            made_anew(act, "after").boxed(),
        );
        add(
            "connection made anew while the request may still arrive",
            made_anew(act, "before").boxed(),
        );
        add(
            "touched during a request that is refused",
            touched(act, false).boxed(),
        );
        add(
            "deleted during a request that is refused",
            touched(act, true).boxed(),
        );
    }
    for edit in [
        Edit::Suspend,
        Edit::Observe,
        Edit::Manual,
        Edit::OtherEnvironment,
        Edit::Delete,
    ] {
        let cell = between_two_packages(edit).boxed();
        cells.push((format!("{edit:?} between two packages"), cell));
    }
    crate::support::cells::all_of(cells).await;
}

async fn ends_well(world: &World) {
    crash::ready(world, "Connected", AFTER_ABSENCE).await;
    crash::each_sent_at_most_once(world).await;
}

/// The plan exists and has not begun; the edit is in force before the operator could begin.
async fn before(act: Act, edit: Edit) {
    let mut world = crash::about_to(act).await;
    crash::start(&mut world).await;
    let creation = world
        .api
        .when(crash::creation(act))
        .then(Moment::Before, Action::Hold);
    world.apply(&crash::manifest()).await;
    creation.fired(SOON).await;
    edit.make(&world, act, true).await;
    if edit == Edit::Delete {
        world.wait_gone(&format!("dwc/{CONNECTION}"), SOON).await;
    }
    creation.release();
    let settled = |operation: &Value| match edit {
        Edit::Suspend => true,
        _ => operation["status"]["phase"] == "Void",
    };
    crash::operation(&world, act, SOON, settled).await;
    if edit == Edit::Suspend {
        crash::ready(&world, "Suspended", SOON).await;
    }
    assert_eq!(
        crash::received(&world, act).await,
        0,
        "sent in spite of the edit"
    );
    edit.make(&world, act, false).await;
    ends_well(&world).await;
}

/// A request that was sent is followed to its end, whatever becomes of the connection.
async fn during(act: Act, edit: Edit) {
    let mut world = crash::about_to(act).await;
    crash::start(&mut world).await;
    let apply = async || world.apply(&crash::manifest()).await;
    let fault = crash::held_request(&world, act, "after", apply).await;
    edit.make(&world, act, true).await;
    world.simulator().control().release(&fault).await;
    let followed = |operation: &Value| operation["status"]["steps"][0]["state"] == "Done";
    crash::operation(&world, act, SOON, followed).await;
    assert_eq!(
        crash::received(&world, act).await,
        1,
        "nothing new was begun"
    );
    edit.make(&world, act, false).await;
    ends_well(&world).await;
}

/// The second package is only asked for while the connection still asks for it.
async fn between_two_packages(edit: Edit) {
    let act = Act::Install;
    let mut world = crash::about_to(act).await;
    crash::start(&mut world).await;
    let second = world
        .api
        .when(
            crash::step(act, "Intended").body(|body| body["status"]["steps"][0]["state"] == "Done"),
        )
        .then(
            Moment::Before,
            Action::Answer {
                status: 409,
                retry_after: None,
            },
        );
    let done = world
        .api
        .when(crash::step(act, "Done"))
        .then(Moment::Before, Action::Hold);
    world.apply(&crash::manifest()).await;
    done.fired(SOON).await;
    edit.make(&world, act, true).await;
    done.release();
    if edit == Edit::Suspend {
        crash::ready(&world, "Suspended", SOON).await;
        let waits_for_the_second = |operation: &Value| {
            operation["metadata"]["finalizers"] == Value::Null
                && operation["status"]["step"] == "msdyn_DualWriteAppCoreAnchor"
        };
        crash::operation(&world, act, SOON, waits_for_the_second).await;
        let intent = |seen: &Seen| crash::is_step_write(seen, "Intended");
        assert!(
            world
                .api
                .next(intent, Duration::from_secs(1))
                .await
                .is_none()
        );
    } else {
        crash::operation(&world, act, SOON, |operation| {
            operation["status"]["phase"] == "Void"
        })
        .await;
    }
    assert_eq!(crash::received(&world, act).await, 1);
    assert_eq!(second.count(), 0, "not even intended");
    edit.make(&world, act, false).await;
    ends_well(&world).await;
}

async fn delete_operation(world: &World, act: Act) -> String {
    let operation = crash::operation(world, act, SOON, |_| true).await;
    let name = operation["metadata"]["name"].as_str().unwrap().to_owned();
    world
        .kubectl(&["delete", "dwo", &name, "--wait=false"])
        .await
        .ok();
    format!("dwo/{name}")
}

/// The finalizer holds the operation until its outcome is recorded; nothing else begins meanwhile.
async fn operation_deleted(act: Act, at: &str) {
    let mut world = crash::about_to(act).await;
    world.start_operator(&crash::PATIENT).await;
    let apply = async || world.apply(&crash::manifest()).await;
    let fault = crash::held_request(&world, act, at, apply).await;
    let operation = delete_operation(&world, act).await;
    if at == "before" {
        crash::answer_is_given_up(&world, act).await;
        crash::nothing_is_concluded(&world, act).await;
    }
    world.simulator().control().release(&fault).await;
    world.wait_gone(&operation, SOON).await;
    ends_well(&world).await;
}

/// The connection is deleted and made again, and its operation is deleted with it, as garbage collection does.
async fn made_anew(act: Act, at: &str) {
    let mut world = crash::about_to(act).await;
    world.start_operator(&crash::PATIENT).await;
    let apply = async || world.apply(&crash::manifest()).await;
    let fault = crash::held_request(&world, act, at, apply).await;
    Edit::Delete.make(&world, act, true).await;
    world.wait_gone(&format!("dwc/{CONNECTION}"), SOON).await;
    let operation = delete_operation(&world, act).await;
    world.apply(&crash::manifest()).await;
    let reason = match act {
        Act::Install => "Installing",
        Act::Link => "Linking",
    };
    crash::ready(&world, reason, SOON).await;
    if at == "before" {
        crash::answer_is_given_up(&world, act).await;
        crash::nothing_is_concluded(&world, act).await;
    }
    world.simulator().control().release(&fault).await;
    world.wait_gone(&operation, SOON).await;
    ends_well(&world).await;
}

/// An answer that is certain is recorded, although the operation has changed since its intent.
async fn touched(act: Act, deleted: bool) {
    let mut world = crash::about_to(act).await;
    // Long enough for a person to do something while the request is held.
    world.start_operator(&["--request-timeout", "8s"]).await;
    let apply = async || world.apply(&crash::manifest()).await;
    let fault = crash::held_request(&world, act, "before", apply).await;
    let refuses = match act {
        Act::Install => {
            json!({"environments": {crash::TARGET: {"packages": {"DualWriteCoreAnchor": null}}}})
        }
        Act::Link => {
            json!({"financeOperations": {HOST: {"linkFailsWith": "Failed to connect to AX"}}})
        }
    };
    world.patch_state(refuses).await;
    if deleted {
        let operation = delete_operation(&world, act).await;
        world.simulator().control().release(&fault).await;
        world.wait_gone(&operation, SOON).await;
        return;
    }
    let args = ["annotate", "dwo", "--all", "contoso.com/seen=yes"];
    world.kubectl(&args).await.ok();
    world.simulator().control().release(&fault).await;
    let failed = |operation: &Value| operation["status"]["phase"] == "Failed";
    let failed = crash::operation(&world, act, SOON, failed).await;
    assert_eq!(failed["status"]["steps"][0]["attempt"], 1, "{failed:#}");
    assert_eq!(crash::received(&world, act).await, 1);
}
