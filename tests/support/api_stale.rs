//! Watches that say nothing for a while: a cache that has fallen behind.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use http_body_util::{BodyExt as _, BodyStream, StreamBody};
use hyper::Response;
use tokio::sync::watch;

use super::api_forward::Body;
use super::api_rules::Seen;

/// The plural names whose watches are held back.
#[derive(Clone, Default)]
pub(super) struct Gate(Arc<watch::Sender<Vec<Held>>>);

#[derive(Clone)]
struct Held {
    id: uuid::Uuid,
    plural: String,
    /// How many watch streams have something that they may not pass on.
    waiting: Arc<watch::Sender<u32>>,
}

/// Watches of one plural name are held back for as long as this lives. Nothing is
/// lost: what was held back is passed on afterwards, in order.
pub struct StaleWatch {
    gate: Gate,
    held: Held,
}

impl StaleWatch {
    /// Waits until something is being held back, so the operator's view is old.
    pub async fn holding(&self, timeout: Duration) {
        let mut waiting = self.held.waiting.subscribe();
        let waited = tokio::time::timeout(timeout, waiting.wait_for(|waiting| *waiting > 0)).await;
        assert!(
            waited.is_ok(),
            "no watch of {} had news within {timeout:?}",
            self.held.plural
        );
    }

    /// The same as dropping it.
    pub fn release(self) {
        drop(self);
    }
}

impl Drop for StaleWatch {
    fn drop(&mut self) {
        self.gate
            .0
            .send_modify(|held| held.retain(|other| other.id != self.held.id));
    }
}

impl Gate {
    pub(super) fn close(&self, plural: &str) -> StaleWatch {
        let waiting = Arc::new(watch::Sender::new(0));
        let held = Held {
            id: uuid::Uuid::new_v4(),
            plural: plural.to_owned(),
            waiting,
        };
        self.0.send_modify(|all| all.push(held.clone()));
        StaleWatch {
            gate: self.clone(),
            held,
        }
    }

    /// Lets the answer to a watch pass piece by piece, and only while it is open.
    pub(super) fn guard(&self, seen: &Seen, response: Response<Body>) -> Response<Body> {
        if !seen.is_watch() {
            return response;
        }
        let (gate, path) = (self.clone(), seen.path.clone());
        response.map(|body| {
            let pieces = BodyStream::new(body).then(move |piece| {
                let (gate, path) = (gate.clone(), path.clone());
                async move {
                    gate.opened(&path).await;
                    piece
                }
            });
            StreamBody::new(pieces).boxed_unsync()
        })
    }

    async fn opened(&self, path: &str) {
        let mut all = self.0.subscribe();
        while let Some(held) = self.holder(path) {
            held.waiting.send_modify(|waiting| *waiting += 1);
            // The sender lives in self.
            let _ = all
                .wait_for(|all| all.iter().all(|other| other.id != held.id))
                .await;
        }
    }

    fn holder(&self, path: &str) -> Option<Held> {
        let plural_of = |held: &Held| path.split('/').any(|part| part == held.plural);
        self.0.borrow().iter().find(|held| plural_of(held)).cloned()
    }
}
