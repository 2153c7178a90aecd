//! The two ports of the process: what strangers can take of it, who may read the metrics, and how much they tell.

use futures::future::join_all;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::contoso::{SOON, connection};
use crate::support::{Action, Match, Moment, Operator, World, wait};

const CLIENTS: usize = 200;

/// In KiB. With 400 kB for each client it was more than twice as much.
const MOST_GROWTH: u64 = 16 * 1024;

/// Many that never end their request, half of them with headers that never end.
#[tokio::test(flavor = "multi_thread")]
async fn strangers_hold_neither_memory_nor_connections_nor_liveness() {
    let mut world = World::builder().start().await;
    world.start_operator(&[]).await;
    let operator = world.operator();
    operator.metrics().await;
    let before = resident(operator);
    for address in [operator.admin_address(), operator.metrics_address()] {
        let clients = join_all((0..CLIENTS).map(|number| stranger(address, number))).await;
        assert_eq!(operator.ask("/healthz").await.0, 200);
        operator.metrics().await;
        let growth = resident(operator).saturating_sub(before);
        assert!(growth < MOST_GROWTH, "{growth} KiB more");
        let ends = join_all(clients.into_iter().map(closed));
        let all = tokio::time::timeout(SOON / 2, ends).await;
        assert!(all.is_ok(), "{address} is held open");
    }
}

/// Resident memory in KiB.
fn resident(operator: &Operator) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", operator.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let size = line.unwrap().split_whitespace().next().unwrap();
    size.parse().unwrap()
}

async fn stranger(address: &str, number: usize) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let header = format!("X-Padding: {}\r\n", "a".repeat(9_000));
    let headers = match number % 2 {
        0 => String::new(),
        _ => header.repeat(42),
    };
    let head = format!("GET /metrics HTTP/1.1\r\nHost: contoso\r\n{headers}");
    // The server may close before it has read all of it.
    let _ = stream.write_all(head.as_bytes()).await;
    stream
}

/// That the server resets the connection is an end, too.
async fn closed(mut stream: TcpStream) {
    let _ = stream.read_to_end(&mut Vec::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_are_for_whom_kubernetes_lets_read_them() {
    let mut world = World::builder().start().await;
    world
        .start_operator(&["--metrics-auth", "kubernetes"])
        .await;
    let prometheus = token(&world, "prometheus").await;
    let other = token(&world, "other").await;
    let late = token(&world, "late").await;
    let_read(&world, "prometheus").await;
    let operator = world.operator();
    for (token, expected) in [
        (None, 401),
        (Some("nobody's"), 401),
        (Some(other.as_str()), 403),
    ] {
        let (status, text) = operator.scrape(token).await;
        assert_eq!(status, expected, "{text}");
        assert!(!text.contains("dualwrite_"), "{text}");
    }
    let (status, text) = operator.scrape(Some(&prometheus)).await;
    assert_eq!(status, 200, "{text}");
    assert!(text.ends_with("# EOF\n"), "{text}");

    // Who was let in is let in, and of others nothing is known, nor said why.
    let reviews = world.api.when(Match::create("tokenreviews")).times(1000);
    let failure = Action::Answer {
        status: 500,
        retry_after: None,
    };
    let failing = reviews.then(Moment::Before, failure);
    assert_eq!(operator.scrape(Some(&prometheus)).await.0, 200);
    assert_eq!(operator.scrape(Some(&late)).await, (500, String::new()));
    assert_eq!(operator.ask("/healthz").await.0, 200);
    failing.cancel();
    assert_eq!(operator.scrape(Some(&late)).await.0, 403);
}

/// A token of a new `ServiceAccount`.
async fn token(world: &World, name: &str) -> String {
    let create = ["create", "serviceaccount", name];
    world.kubectl(&create).await.ok();
    let token = world.kubectl(&["create", "token", name]).await.ok();
    token.trim().to_owned()
}

/// Grants the role that deploy/base ships, and waits until it has an effect.
async fn let_read(world: &World, name: &str) {
    let account = format!("{}:{name}", world.namespace);
    let create = [
        "create",
        "clusterrolebinding",
        &world.namespace,
        "--clusterrole=dualwrite-metrics-reader",
        &format!("--serviceaccount={account}"),
    ];
    world.kubectl(&create).await.ok();
    let who = format!("--as=system:serviceaccount:{account}");
    wait::polling("the right to read metrics", SOON, || async {
        let may = world.admin().can_i("get", "/metrics", &[&who]).await;
        may.then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_connections_have_series_of_their_own_and_others_are_counted() {
    let mut world = World::builder().start().await;
    world.start_operator(&["--connection-metrics", "2"]).await;
    for name in ["first", "second", "third"] {
        world.apply(&connection(name, json!({})).to_string()).await;
    }
    let has = |text: &str, name: &str| text.contains(&format!("name=\"{name}\""));
    wait::polling("series of two connections", SOON, || async {
        let text = world.metrics().await;
        let shown = has(&text, "first") && has(&text, "second");
        let counted = text.contains("\ndualwrite_connections_left_out 1\n");
        assert!(!(counted && has(&text, "third")), "{text}");
        (shown && counted).then_some(())
    })
    .await;

    world.restart_operator(&["--connection-metrics", "0"]).await;
    wait::polling("a count of all connections", SOON, || async {
        let text = world.metrics().await;
        assert!(!text.contains("dualwrite_condition{"), "{text}");
        text.contains("\ndualwrite_connections_left_out 3\n")
            .then_some(())
    })
    .await;
}
