//! Every form of identity, end to end: it works, it breaks while the operator runs, it is mended, and nobody restarts
//! anything.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // a failed test stops where it failed

use serde_json::Value;

mod support;

#[path = "cluster_credentials/ambient.rs"]
mod ambient;
#[path = "cluster_credentials/applications.rs"]
mod applications;
#[path = "cluster_credentials/lifetimes.rs"]
mod lifetimes;
#[path = "cluster_credentials/refresh_tokens.rs"]
mod refresh_tokens;

/// In no log, no event and no object but Secrets.
async fn nothing_leaked(world: &support::World, markers: &[&str]) {
    let mut texts = world.operator_log();
    for kind in ["dwc", "dwo", "event"] {
        texts.extend(world.list(kind).await.iter().map(Value::to_string));
    }
    texts.push(world.metrics().await);
    for text in texts {
        for marker in markers {
            assert!(!text.contains(marker), "{marker} in {text}");
        }
    }
}
