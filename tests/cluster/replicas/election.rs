//! Who leads, and how it goes from one to the other.

use std::time::{Duration, Instant};

use futures::FutureExt as _;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use super::*;
use crate::support::crash::{self, Act, SOON};
use crate::support::{Seen, World, wait};

#[tokio::test(flavor = "multi_thread")]
async fn who_leads() {
    let cells = vec![
        (
            "one leads, the other stands by".to_owned(),
            one_leads().boxed(),
        ),
        ("a hand-over on SIGTERM".to_owned(), handed_over().boxed()),
        (
            "SIGTERM to the one that stands by".to_owned(),
            standby_ends().boxed(),
        ),
        ("a lease that is deleted".to_owned(), deleted().boxed()),
        (
            "a lease that is taken away".to_owned(),
            taken_away().boxed(),
        ),
        ("no access to leases".to_owned(), no_access().boxed()),
        ("without leader election".to_owned(), without().boxed()),
    ];
    crate::support::cells::all_of(cells).await;
}

fn leases(world: &World) -> Api<Lease> {
    Api::namespaced(world.client(), &world.namespace)
}

fn is_lease(seen: &Seen) -> bool {
    seen.path.contains("/leases")
}

async fn gauge(replica: &Operator) -> String {
    let metrics = replica.metrics().await;
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix("dualwrite_leader "));
    line.expect("the gauge").to_owned()
}

async fn one_leads() {
    let mut world = crash::about_to(Act::Install).await;
    let other = two(&mut world, LONG).await;
    let leader = world.operator();
    let lease = leads(&world, leader, SOON).await;
    assert_eq!(lease["spec"]["leaseDurationSeconds"], 120);
    for replica in [leader, &other] {
        answers(replica, "/readyz", 200).await;
        answers(replica, "/healthz", 200).await;
    }
    world.apply(&crash::manifest()).await;
    ends_well(&world).await;
    assert_eq!(
        (gauge(leader).await, gauge(&other).await),
        ("1".into(), "0".into())
    );
    let (works, stands_by) = (leader.metrics().await, other.metrics().await);
    for sign in [
        "dualwrite_reconciles_total{",
        "dualwrite_condition{",
        "dualwrite_api_calls_total{",
    ] {
        assert!(works.contains(sign), "{sign}: {works}");
        assert!(!stands_by.contains(sign), "{sign}: {stands_by}");
    }
    let name = identity(leader).await;
    let said = |line: &str| line.contains("standing by") && line.contains(&name);
    assert!(
        other.log().iter().any(|line| said(line)),
        "{:#?}",
        other.log()
    );
}

/// What is under way is completed and recorded, then the lease is released, then the other leads, long before the lease
/// would have run out.
async fn handed_over() {
    let mut world = crash::about_to(Act::Install).await;
    let other = two(&mut world, LONG).await;
    let slow = json!({"call": Act::Install.call(), "effect": {"delay": "700ms"}});
    world.fault(slow).await;
    world.apply(&crash::manifest()).await;
    let intended = |seen: &Seen| crash::is_step_write(seen, "Intended");
    world.api.asked(intended, SOON).await;
    assert_eq!(world.operator().stop().await, 0);
    leads(&world, &other, Duration::from_secs(10)).await;
    let writes = world.api.writes();
    let place = |what: &dyn Fn(&Seen) -> bool| writes.iter().rposition(what);
    let recorded = place(&|seen| crash::is_step_write(seen, "Sent"));
    let released =
        |seen: &Seen| is_lease(seen) && seen.body["spec"]["holderIdentity"] == Value::Null;
    let released = place(&released);
    assert!(recorded.is_some() && recorded < released, "{writes:#?}");
    assert_eq!(
        released,
        Some(writes.len() - 1),
        "nothing is written after it: {writes:#?}"
    );
    ends_well(&world).await;
    assert_eq!(gauge(&other).await, "1");
}

async fn standby_ends() {
    let mut world = crash::about_to(Act::Install).await;
    let other = two(&mut world, LONG).await;
    let began = Instant::now();
    assert_eq!(other.stop().await, 0);
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    leads(&world, world.operator(), SOON).await;
}

/// Somebody tidies up: the leader writes its lease anew and goes on.
async fn deleted() {
    let mut world = crash::about_to(Act::Install).await;
    let other = two(&mut world, "5s").await;
    let leader = identity(world.operator()).await;
    let before = leads(&world, world.operator(), SOON).await;
    leases(&world)
        .delete("dualwrite-operator", &DeleteParams::default())
        .await
        .unwrap();
    // Either may be quicker; the other one stands by, or ends and would start again.
    let anew = |lease: &Value| {
        lease["metadata"]["uid"] != before["metadata"]["uid"]
            && lease["spec"]["holderIdentity"].is_string()
    };
    let lease = world.wait_for("lease/dualwrite-operator", SOON, anew).await;
    if lease["spec"]["holderIdentity"] != *leader {
        ends_for_its_lease(world.operator(), SOON).await;
    }
    world.apply(&crash::manifest()).await;
    ends_well(&world).await;
    assert!(other.is_running());
}

/// Somebody gives the lease to another: the leader ends.
async fn taken_away() {
    let mut world = crash::about_to(Act::Install).await;
    let other = two(&mut world, "5s").await;
    let to = json!({"spec": {"holderIdentity": "contoso"}});
    let patch = Patch::Merge(&to);
    leases(&world)
        .patch("dualwrite-operator", &PatchParams::default(), &patch)
        .await
        .unwrap();
    ends_for_its_lease(world.operator(), SOON).await;
    // Nobody renews it.
    leads(&world, &other, SOON * 2).await;
}

/// Not ready, and it says why; once it may, it leads.
async fn no_access() {
    let mut world = crash::about_to(Act::Install).await;
    world.start_operator(&flags("3s")).await;
    let operator = world.operator();
    let refused =
        |line: &str| line.contains("no access to the lease") && line.contains("forbidden");
    operator.logged(SOON, refused).await;
    let why = answers(operator, "/readyz", 503).await;
    assert!(why.contains("lease"), "{why}");
    answers(operator, "/healthz", 200).await;
    assert_eq!(gauge(operator).await, "0");
    namespace::let_elect(&world.client(), world.admin(), &world.namespace).await;
    leads(&world, operator, SOON).await;
    answers(operator, "/readyz", 200).await;
}

/// As before there was one: it needs no lease, and asks for none.
async fn without() {
    let mut world = crash::about_to(Act::Install).await;
    world
        .start_operator(&[&crash::FLAGS[..], &["--leader-election=false"]].concat())
        .await;
    assert_eq!(gauge(world.operator()).await, "1");
    world.apply(&crash::manifest()).await;
    ends_well(&world).await;
    let asked = world.api.requests().into_iter().find(is_lease);
    assert!(asked.is_none(), "{asked:#?}");
    assert_eq!(world.stop_operator().await, 0);
    wait::polling("no lease", SOON, async || {
        let lease = leases(&world).get_opt("dualwrite-operator").await.unwrap();
        lease.is_none().then_some(())
    })
    .await;
}
