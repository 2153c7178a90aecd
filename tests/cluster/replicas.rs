//! Two replicas: one leads, the other stands by and takes over; and whatever the lease does, nothing is sent twice.

mod election;
mod takeover;

use std::time::Duration;

use crate::support::crash::{self, SOON};
use crate::support::{Operator, World, namespace, wait};
use serde_json::Value;

/// Long enough for a busy machine to renew in time, and short enough to wait for.
pub const LEASE: Duration = Duration::from_secs(5);

/// Never runs out in a test: what happens within it is not for its end.
pub const LONG: &str = "120s";

/// The flags of a replica.
pub fn flags(lease: &'static str) -> Vec<&'static str> {
    with_election(&crash::FLAGS, lease)
}

/// These flags, and those of an election.
pub fn with_election(flags: &[&'static str], lease: &'static str) -> Vec<&'static str> {
    let election = ["--leader-election=true", "--lease-duration", lease];
    [flags, &election].concat()
}

/// The first replica, behind the proxy, leads; the other, past the proxy, stands by.
pub async fn two(world: &mut World, lease: &'static str) -> Operator {
    two_with(world, &flags(lease)).await
}

pub async fn two_with(world: &mut World, flags: &[&str]) -> Operator {
    namespace::let_elect(&world.client(), world.admin(), &world.namespace).await;
    world.start_operator(flags).await;
    leads(world, world.operator(), SOON).await;
    let other = world.replica(flags).await;
    answers(&other, "/readyz", 200).await;
    other
}

/// The name of a replica in the lease, from its log.
pub async fn identity(replica: &Operator) -> String {
    let line = replica.logged(SOON, |line| {
        line.contains("taking part in the leader election")
    });
    let line: Value = serde_json::from_str(&line.await).unwrap();
    line["identity"].as_str().expect("an identity").to_owned()
}

/// Waits until this replica holds the lease; returns the lease.
pub async fn leads(world: &World, replica: &Operator, timeout: Duration) -> Value {
    let identity = identity(replica).await;
    let holds = |lease: &Value| lease["spec"]["holderIdentity"] == *identity;
    world
        .wait_for("lease/dualwrite-operator", timeout, holds)
        .await
}

/// Waits until the admin server answers so.
pub async fn answers(replica: &Operator, path: &str, status: u16) -> String {
    let ask = || async {
        let (found, text) = replica.ask(path).await;
        (found == status).then_some(text)
    };
    wait::polling(path, SOON, ask).await
}

/// The end of a leader that has lost its lease: said clearly, and not with success, so that the kubelet starts it again.
pub async fn ends_for_its_lease(replica: &Operator, timeout: Duration) {
    replica.expect_error("the lease is lost");
    assert_eq!(replica.exited(timeout).await, 1);
    let log = replica.log();
    let said = log
        .iter()
        .any(|line| line.contains("the lease is lost") && line.contains("ERROR"));
    assert!(said, "{log:#?}");
}

/// The act is done, and each request of it was received once.
pub async fn ends_well(world: &World) {
    crash::ready(world, "Connected", crash::AFTER_ABSENCE).await;
    crash::each_sent_at_most_once(world).await;
    crash::all_operations_succeed(world).await;
}
