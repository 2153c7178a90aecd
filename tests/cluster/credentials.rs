//! Every form of identity, end to end: it works, it breaks while the operator runs, it is mended, and nobody restarts
//! anything.

use serde_json::Value;

mod ambient;
mod applications;
mod lifetimes;
mod refresh_tokens;

/// In no log, no event and no object but Secrets.
async fn nothing_leaked(world: &crate::support::World, markers: &[&str]) {
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
