//! The harness proves itself: what it promises to the other tests holds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a failed test stops where it failed

mod support;

use support::{OPERATOR_USER, World};

#[tokio::test]
async fn the_operator_reads_secrets_only_where_a_namespace_opted_in() {
    let (inside, outside) = tokio::join!(
        World::builder().start(),
        World::builder().not_opted_in().start()
    );
    let operator = format!("--as={OPERATOR_USER}");
    assert!(inside.admin().can_i("get", "secrets", &[&operator]).await);
    assert!(!inside.admin().can_i("list", "secrets", &[&operator]).await);
    assert!(!outside.admin().can_i("get", "secrets", &[&operator]).await);
}
