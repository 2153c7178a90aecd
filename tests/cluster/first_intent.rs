//! Before its first intent an operation asks the API server, past every cache, whether another one of its host is under
//! way.

use futures::FutureExt as _;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::support::crash::{self, AFTER_ABSENCE, Act, HOST, SOON};
use crate::support::{Action, Match, Moment, Seen, World, wait};
use dualwrite_api::DualWriteOperation;

#[tokio::test(flavor = "multi_thread")]
async fn the_other_operations_of_the_host() {
    let cells = vec![
        ("asked for by host".to_owned(), by_host().boxed()),
        (
            "a definition that cannot select".to_owned(),
            unselectable().boxed(),
        ),
        ("on a later page".to_owned(), on_a_later_page().boxed()),
        ("refused".to_owned(), refused().boxed()),
    ];
    crate::support::cells::all_of(cells).await;
}

fn is_list(seen: &Seen) -> bool {
    seen.method == "GET"
        && seen.path.ends_with("/dualwriteoperations")
        && seen.query.split('&').any(|part| part == "limit=50")
}

fn is_of_host(seen: &Seen) -> bool {
    is_list(seen)
        && seen.query.contains(&format!(
            "fieldSelector=spec.financeOperationsHost%3D{HOST}"
        ))
}

async fn begun() -> World {
    let mut world = crash::about_to(Act::Install).await;
    crash::start(&mut world).await;
    world
}

async fn ends_well(world: &World) {
    crash::ready(world, "Connected", AFTER_ABSENCE).await;
    crash::each_sent_at_most_once(world).await;
}

/// Before and after the first intent of each operation, and never all operations of the cluster.
async fn by_host() {
    let world = begun().await;
    world.apply(&crash::manifest()).await;
    ends_well(&world).await;
    let lists: Vec<_> = world.api.requests().into_iter().filter(is_list).collect();
    assert!(lists.iter().all(is_of_host), "{lists:#?}");
    assert_eq!(
        lists.len(),
        2 * world.operations().await.len(),
        "{lists:#?}"
    );
}

async fn unselectable() {
    let world = begun().await;
    let answer = Action::Answer {
        status: 400,
        retry_after: None,
    };
    let rule = world
        .api
        .when(Match::any().that(is_of_host))
        .times(100)
        .then(Moment::Before, answer);
    world.apply(&crash::manifest()).await;
    ends_well(&world).await;
    assert!(rule.count() > 0);
    assert!(
        world
            .api
            .requests()
            .iter()
            .any(|seen| is_list(seen) && !is_of_host(seen))
    );
}

/// Sixty others, and the last of them is under way.
async fn on_a_later_page() {
    let world = begun().await;
    let list = world
        .api
        .when(Match::any().that(is_list))
        .then(Moment::Before, Action::Hold);
    world.apply(&crash::manifest()).await;
    list.fired(SOON).await;
    let ours = crash::operation(&world, Act::Install, SOON, |_| true).await;
    let api: Api<DualWriteOperation> = Api::namespaced(world.client(), &world.namespace);
    for number in 0..60 {
        api.create(&PostParams::default(), &copy(&ours, &format!("a-{number}")))
            .await
            .unwrap();
    }
    let last = copy(&ours, "z");
    api.create(&PostParams::default(), &last).await.unwrap();
    let running = json!({"status": {"phase": "Running"}});
    api.patch_status("z", &PatchParams::default(), &Patch::Merge(&running))
        .await
        .unwrap();
    // Nobody ends it.
    let end = Match::write().path_contains("/dualwriteoperations/z");
    let answer = Action::Answer {
        status: 409,
        retry_after: None,
    };
    world
        .api
        .when(end)
        .times(100_000)
        .then(Moment::Before, answer);
    list.release();
    let second = |seen: &Seen| is_of_host(seen) && seen.query.contains("continue=");
    world.api.asked(second, SOON).await;
    crash::looked(&world, Act::Install, 3).await;
    let begun = world
        .api
        .writes()
        .into_iter()
        .find(|seen| crash::is_step_write(seen, "Intended"));
    assert!(begun.is_none(), "{begun:#?}");
    api.delete("z", &DeleteParams::default()).await.unwrap();
    ends_well(&world).await;
}

/// The same plan, for a connection that is not there.
fn copy(operation: &Value, name: &str) -> DualWriteOperation {
    let mut spec = operation["spec"].clone();
    spec["connection"]["uid"] = json!("of-nobody");
    DualWriteOperation::new(name, serde_json::from_value(spec).unwrap())
}

/// A person sees why nothing begins.
async fn refused() {
    let world = begun().await;
    let answer = Action::Answer {
        status: 403,
        retry_after: None,
    };
    world
        .api
        .when(Match::any().that(is_list))
        .times(2)
        .then(Moment::Before, answer);
    world.apply(&crash::manifest()).await;
    let told = async || {
        let events = world.events().await;
        let mut notes = events.iter().filter_map(|event| event["note"].as_str());
        notes
            .any(|note| note.contains("refused a look at the other operations"))
            .then_some(())
    };
    wait::polling("an event", SOON, told).await;
    ends_well(&world).await;
}
