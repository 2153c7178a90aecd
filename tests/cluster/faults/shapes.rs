//! Answers as the real services have given them.

use serde_json::{Value, json};

use crate::support::contoso::*;

struct Shape {
    state: Value,
    faults: Value,
}

async fn works(shape: Shape) {
    let mut world = builder().time_scale(1800.0).start().await;
    world.patch_state(shape.state).await;
    create_secrets(&world).await;
    if shape.faults != Value::Null {
        world.fault(shape.faults).await;
    }
    world.start_operator(&[]).await;
    connect(&world, json!({})).await;
    ready(&world).await;
    quiet(&world, 2).await;
    assert_eq!(
        mutations(&world).await,
        ["installApplication", "installApplication", "createLink"]
    );
}

#[rustfmt::skip]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_shapes_that_were_seen_live_are_understood() {
    let answer = |answer: &str| environment(SPEC, json!({"packages": {CORE: {"answer": answer}, APPLICATION: {"answer": answer}}}));
    let pages = |casing: &str| both(other_sandbox(), json!({"settings": {"pageSize": 1, "nextLinkCasing": casing}}));
    let shape = |name: &str, state, faults| (name.to_owned(), Shape { state, faults });
    let cases = vec![
        shape("pages by @odata.nextLink", pages("@odata.nextLink"), Value::Null),
        shape("pages by @odata.nextlink", pages("@odata.nextlink"), Value::Null),
        shape("200 with an operation id", answer("operationId"), Value::Null),
        shape("202 with Operation-Location", answer("operationLocation"), Value::Null),
        shape("202 with neither", answer("bare"), Value::Null),
        shape("409 while polling", both(answer("operationLocation"), json!({"settings": {"busyPollConflict": true}})), Value::Null),
        shape("an operation that is forgotten", json!({}), json!({"call": "getOperation", "times": null, "effect": {"status": 404}})),
        shape("an operation that cannot be read", json!({}), json!({"call": "getOperation", "times": null, "effect": {"status": 500}})),
        shape("an operation with a status that nobody knows", json!({}), json!({"call": "getOperation", "times": null, "effect": {"unknownState": "Pondering"}})),
        shape("a package in a state that nobody knows", json!({}), json!({"call": "listApplicationPackages", "after": 4, "times": 2, "effect": {"unknownState": "Pondering"}})),
        shape("states in another casing", json!({}), json!({"call": "listApplicationPackages", "times": null, "effect": "wrongCasing"})),
        shape("an entry without cid", finance_operations(json!({"notLinkedAnswer": "entryWithoutCid"})), Value::Null),
        shape("no administration mode in the answer", environment(SPEC, json!({"adminMode": null, "state": "Ready"})), Value::Null),
        shape("a URL with a slash and capitals", environment(SPEC, json!({"finOpsMetadata": {"url": "https://Contoso-UAT.sandbox.operations.dynamics.com/"}})), Value::Null),
        shape("lists that lag behind", json!({"settings": {"lag": {"environments": "10m"}}}), Value::Null),
        shape("tokens that live for a second", json!({"settings": {"tokenLifetime": "1s"}}), Value::Null),
    ];
    side_by_side(cases, works).await;
}
