//! Deleting a connection whose deletion is to stop its maps: only where it is asked for twice, by an operation that outlives
//! it; and whatever is gone already, the deletion does not hang. Without `deletionPolicy: StopMaps`: `rows/deletion.rs`.

mod gone;
mod stopping;

use crate::support::World;
use crate::support::contoso::*;
use crate::support::reset::*;
use serde_json::{Value, json};

const FINALIZER: &str = "dualwrite.dev/stop-maps";

/// A connection that is Ready, with running maps, and that asks for their stop at its deletion by spec and annotation.
async fn confirmed(state: Value) -> World {
    let world = unconfirmed(state).await;
    confirm(&world, json!(NAME)).await;
    held(&world, true).await;
    world
}

/// The same, without the annotation.
async fn unconfirmed(state: Value) -> World {
    let all = match state {
        Value::Null => with_maps(SPEC),
        change => both(with_maps(SPEC), change),
    };
    let world = world_with(all, &FLAGS).await;
    connect(&world, json!({"deletionPolicy": "StopMaps"})).await;
    ready(&world).await;
    world
}

async fn confirm(world: &World, value: Value) {
    let annotation = json!({"metadata": {"annotations": {"dualwrite.dev/confirm-stop": value}}});
    patch(world, &format!("dwc/{NAME}"), annotation).await;
}

/// Waits until the connection is held by the finalizer, or is not.
async fn held(world: &World, held: bool) {
    let is_so = move |connection: &Value| {
        let finalizers = &connection["metadata"]["finalizers"];
        if held {
            *finalizers == json!([FINALIZER])
        } else {
            finalizers.is_null()
        }
    };
    world.wait_for(&format!("dwc/{NAME}"), SOON, is_so).await;
}

/// As `kubectl delete` does; returns once the deletion is asked for.
async fn delete_connection(world: &World) {
    delete(world, &format!("dwc/{NAME}")).await;
}

async fn is_gone(world: &World) {
    world.wait_gone(&format!("dwc/{NAME}"), SOON).await;
}

/// The maps go on, nothing was asked for, and no operation was made.
async fn nothing_was_stopped(world: &World) {
    assert_eq!(maps_now(world).await, as_before());
    assert_eq!(requests(world).await, Vec::<Value>::new());
    assert_eq!(world.operations().await, Vec::<Value>::new());
}
