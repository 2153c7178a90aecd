//! The proxy does what its rules say, at the boundary that they name.

use std::path::Path;
use std::time::Duration;

use futures::TryStreamExt as _;
use kube::Api;
use kube::api::{DynamicObject, Patch, PatchParams, WatchEvent, WatchParams};
use serde_json::{Value, json};

use crate::support::{Action, Match, Moment, Seen, World, wait};

const SOON: Duration = Duration::from_secs(20);
const STATUS: &str = "dualwriteconnections";

#[tokio::test]
async fn writes_are_recorded_with_their_answers() {
    let world = world().await;
    let api = operator(&world).await;
    world.no_writes_during(Duration::from_millis(200)).await;
    api.get("contoso").await.unwrap();

    let (next, patched) = tokio::join!(world.api.next(Seen::is_write, SOON), patch(&api, "one"));
    patched.unwrap();
    assert!(
        next.unwrap()
            .path
            .ends_with("/dualwriteconnections/contoso/status")
    );
    let first = world.api.asked(|seen| seen.method == "GET", SOON).await;
    assert!(first.path.ends_with("/dualwriteconnections/contoso"));
    assert!(patch_missing(&api).await.is_err());

    let writes = world.api.writes();
    let statuses: Vec<_> = writes
        .iter()
        .map(|write| (write.method.as_str(), write.status))
        .collect();
    assert_eq!(statuses, [("PATCH", Some(200)), ("PATCH", Some(404))]);
    assert_eq!(writes[0].body, json!({"status": {"adminUrl": "one"}}));
    assert_eq!(world.api.requests().len(), 3);
}

#[tokio::test]
async fn a_write_is_lost_before_or_its_answer_after_the_api_server() {
    let world = world().await;
    let api = operator(&world).await;

    let lost = world
        .api
        .when(Match::status(STATUS))
        .then(Moment::Before, Action::Drop);
    assert!(patch(&api, "lost").await.is_err());
    lost.fired(SOON).await;
    assert_eq!(admin_url(&world).await, Value::Null);
    assert_eq!(world.api.writes()[0].status, None);

    let unheard = world
        .api
        .when(Match::status(STATUS))
        .then(Moment::After, Action::Drop);
    assert!(patch(&api, "unheard").await.is_err());
    unheard.fired(SOON).await;
    assert_eq!(admin_url(&world).await, "unheard");

    patch(&api, "heard").await.unwrap();
    assert_eq!((lost.count(), unheard.count()), (1, 1));
}

#[tokio::test]
async fn the_nth_write_that_matches_is_answered_in_the_api_servers_stead() {
    let world = world().await;
    let api = operator(&world).await;
    let about = |value| Match::status(STATUS).body(move |body| body["status"]["adminUrl"] == value);
    let conflict = Action::Answer {
        status: 409,
        retry_after: None,
    };
    let rule = world
        .api
        .when(about("b"))
        .nth(2)
        .times(2)
        .then(Moment::Before, conflict);

    for (value, expected) in [
        ("b", None),
        ("a", None),
        ("b", Some(409)),
        ("b", Some(409)),
        ("b", None),
    ] {
        assert_eq!(refusal(patch(&api, value).await), expected, "{value}");
    }
    assert_eq!(rule.count(), 2);

    let busy = Action::Answer {
        status: 429,
        retry_after: Some(1),
    };
    world.api.when(Match::write()).then(Moment::After, busy);
    assert_eq!(refusal(patch(&api, "done").await), Some(429));
    assert_eq!(admin_url(&world).await, "done");
}

#[tokio::test]
async fn a_held_write_waits_and_arrives_even_if_nobody_waits_for_it_any_more() {
    let world = world().await;
    let api = operator(&world).await;
    let held = world
        .api
        .when(Match::status(STATUS))
        .then(Moment::Before, Action::Hold);

    let late = tokio::spawn(async move { patch(&api, "late").await });
    held.fired(SOON).await;
    assert_eq!(admin_url(&world).await, Value::Null);
    late.abort();
    assert!(late.await.unwrap_err().is_cancelled());

    held.release();
    world
        .wait_for("dwc/contoso", SOON, |object| {
            object["status"]["adminUrl"] == "late"
        })
        .await;
}

#[tokio::test]
async fn the_operator_dies_before_or_after_its_write_was_taken() {
    let mut world = world().await;
    for (moment, expected) in [
        (Moment::Before, Value::Null),
        (Moment::After, json!("after")),
    ] {
        world.start_operator(&[]).await;
        let api = operator(&world).await;
        let killed = world
            .api
            .when(Match::status(STATUS))
            .then(moment, Action::Kill);
        assert!(patch(&api, "after").await.is_err());
        killed.fired(SOON).await;
        assert_eq!(world.operator().exited(SOON).await, 128 + 9);
        assert_eq!(admin_url(&world).await, expected);
    }
}

#[tokio::test]
async fn the_api_server_cannot_be_reached_for_a_while() {
    let world = world().await;
    let api = operator(&world).await;
    let mut events = std::pin::pin!(
        api.watch(&WatchParams::default().disable_bookmarks(), "0")
            .await
            .unwrap()
    );
    assert!(events.try_next().await.unwrap().is_some());

    let cut = world.api.unreachable();
    // An error or an end: the watch is broken either way.
    let next = events.try_next().await;
    assert!(!matches!(next, Ok(Some(_))), "{next:?}");
    assert!(api.get("contoso").await.is_err());
    drop(cut);
    api.get("contoso").await.unwrap();

    let while_ = Duration::from_millis(300);
    let rule = world
        .api
        .when(Match::status(STATUS))
        .then(Moment::Before, Action::Unreachable(while_));
    assert!(patch(&api, "lost").await.is_err());
    rule.fired(SOON).await;
    assert!(api.get("contoso").await.is_err());
    wait::polling("the API server's return", SOON, || async {
        api.get("contoso").await.ok()
    })
    .await;
    assert_eq!(admin_url(&world).await, Value::Null);
}

#[tokio::test]
async fn a_stale_watch_hears_nothing_until_it_is_released_and_then_everything() {
    let world = world().await;
    let api = operator(&world).await;
    let mut events = std::pin::pin!(
        api.watch(&WatchParams::default().disable_bookmarks(), "0")
            .await
            .unwrap()
    );
    assert!(events.try_next().await.unwrap().is_some());

    let stale = world.api.stale_watch(STATUS);
    for value in ["one", "two"] {
        patch(&api, value).await.unwrap();
    }
    stale.holding(SOON).await;
    // A list is fresh all the same.
    assert_eq!(
        api.get("contoso").await.unwrap().data["status"]["adminUrl"],
        "two"
    );
    let silent = tokio::time::timeout(Duration::from_millis(200), events.try_next()).await;
    assert!(silent.is_err(), "{silent:?}");

    stale.release();
    for value in ["one", "two"] {
        match events.try_next().await.unwrap() {
            Some(WatchEvent::Modified(object)) => {
                assert_eq!(object.data["status"]["adminUrl"], value);
            }
            other => panic!("expected a change, got {other:?}"),
        }
    }
}

/// A world with one connection, whose operator is a stand-in.
async fn world() -> World {
    let stand_in =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/stand-ins/operator.sh");
    let world = World::builder().operator_program(stand_in).start().await;
    world.apply(&super::connection("contoso")).await;
    world
}

/// What the operator uses: its identity, through the proxy, one try for each call.
async fn operator(world: &World) -> Api<DynamicObject> {
    wait::Target::parse("dwc").api(world.operator_client().await, &world.namespace)
}

async fn patch(api: &Api<DynamicObject>, value: &str) -> kube::Result<DynamicObject> {
    let patch = json!({"status": {"adminUrl": value}});
    api.patch_status("contoso", &PatchParams::default(), &Patch::Merge(patch))
        .await
}

async fn patch_missing(api: &Api<DynamicObject>) -> kube::Result<DynamicObject> {
    let patch = json!({"status": {"adminUrl": "nobody"}});
    api.patch_status("fabrikam", &PatchParams::default(), &Patch::Merge(patch))
        .await
}

async fn admin_url(world: &World) -> Value {
    world.connection("contoso").await["status"]["adminUrl"].clone()
}

fn refusal(result: kube::Result<DynamicObject>) -> Option<u16> {
    match result {
        Ok(_) => None,
        Err(kube::Error::Api(status)) => Some(status.code),
        Err(other) => panic!("no answer at all: {other}"),
    }
}
