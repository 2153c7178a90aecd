//! Starts and ends of the process.

use std::time::Duration;

use serde_json::json;

use crate::support::contoso::*;
use crate::support::{Action, Match, Moment};

/// Whichever of the two resources is listed later, what was there before the start is looked at.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_there_before_the_start_is_looked_at() {
    for late in ["dualwriteconnections", "dualwriteoperations"] {
        let mut world = builder().start().await;
        world.patch_state(linked(SPEC)).await;
        create_secrets(&world).await;
        connect(&world, json!({})).await;
        let list = Match::method("GET").path_ends(&format!("/{late}"));
        let rule = world.api.when(list);
        rule.then(Moment::Before, Action::Delay(Duration::from_secs(1)));
        world.start_operator(&[]).await;
        ready(&world).await;
    }
}
