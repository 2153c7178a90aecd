//! The API server itself goes down and comes back: with empty caches, so that at first it knows nobody's rights.

use super::steps::write_of;
use crate::support::contoso::*;
use crate::support::reset::*;
use crate::support::{Action, ControlPlane, Moment, Options};

/// At each of these the answer to the intent is lost, and the API server with it.
const AT: [&str; 3] = ["stop-maps", "reset", "start-maps/1"];

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_restarts_again_and_again_in_a_reset() {
    let control_plane = ControlPlane::start(Options::default()).await;
    let mut world = builder().control_plane(control_plane).start().await;
    world.patch_state(drifted()).await;
    create_secrets(&world).await;
    world.start_operator(&PATIENT).await;
    connect(&world, asks()).await;
    let plan = plan(&world).await;
    let losses = AT.map(|step| {
        let intent = write_of(step, "Intended");
        world.api.when(intent).then(Moment::After, Action::Drop)
    });
    approve(&world, &plan).await;
    for lost in losses {
        lost.fired(ACT).await;
        tokio::task::block_in_place(|| world.control_plane.restart_api_server());
    }
    let operation = ended(&world, &plan, &["Succeeded"], SLOW_ACT).await;
    nothing_is_asked_too_often(&world).await;
    is_restored(&world, &operation).await;
    ready(&world).await;
}
