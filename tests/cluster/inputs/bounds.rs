//! Answers that are made to take memory: the process keeps what its manifest gives it, others are served meanwhile, and whoever
//! sent for the answer reads what was too much.

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::{Value, json};

use super::crowd::{FABRIKAM, PRODUCTION_HOST, create_all, memory, neighbours, of_fabrikam};
use crate::support::World;
use crate::support::contoso::*;

/// The memory limit of the Deployment, in MiB; a test holds the manifests to it.
const LIMIT: u64 = 256;

/// Eight megabytes of this, again and again.
fn repeated(status: u16, begin: &str, each: &str, end: &str) -> Value {
    let times = (8 << 20) / each.len() - 1000;
    json!({"repeatedBody": {"status": status, "begin": begin, "each": each, "times": times, "end": end}})
}

/// From the process on: no page more than the pod would have. An allocation beyond that aborts it.
fn limit_memory(world: &World) {
    let bytes = Some(LIMIT << 20);
    let pid = Pid::from_raw(world.operator().pid());
    let limit = Rlimit {
        current: bytes,
        maximum: bytes,
    };
    prlimit(pid, Resource::Data, limit).unwrap();
}

/// What takes most for its bytes: values with nothing in them, and fields that are needed; and what is said of it.
fn answers() -> [(&'static str, u16, String, &'static str); 4] {
    let (nothing, field) = ("{\"\":0},".to_owned(), "{\"id\":0},".to_owned());
    let (list, details) = ("listEnvironments", "retrieveIntegrationDetails");
    let too_much = "there is more in it than is read";
    [
        (list, 200, nothing.clone(), too_much),
        (list, 400, nothing, "400"),
        (list, 200, field.clone(), too_much),
        (details, 200, field, too_much),
    ]
}

/// Several connections at once are answered so.
#[tokio::test(flavor = "multi_thread")]
async fn no_answer_takes_more_than_its_share() {
    let (good, bad) = neighbours(&["--concurrency", "64"]).await;
    limit_memory(&good);
    let credentials = json!({"clientId": FABRIKAM, "clientSecret": "fabrikam-secret"});
    secret(&bad, "contoso-entra", credentials).await;
    for (round, (call, status, each, said)) in answers().into_iter().enumerate() {
        let body = repeated(status, "{\"value\":[", &each, "{}]}");
        good.fault(json!({"call": call, "times": null, "effect": body}))
            .await;
        let name = |n: usize| format!("fabrikam-{round}-{n}");
        let many = (0..4).map(|n| of_fabrikam(&name(n), PRODUCTION_HOST, PRODUCTION));
        create_all(&bad, many.collect()).await;
        bad.wait_for(&format!("dwc/{}", name(3)), SOON * 3, |object| {
            object["status"]["conditions"].to_string().contains(said)
        })
        .await;
        assert!(good.operator().is_running(), "{call} {status} {each:.20}");
        eprintln!("{call} {status} {each:.20}: {} MiB", memory(&good));
        good.simulator().control().clear_faults().await;
    }
    connect(&good, json!({})).await;
    ready(&good).await;
    let memory = memory(&good);
    assert!(memory < LIMIT, "{memory} MiB");
}
