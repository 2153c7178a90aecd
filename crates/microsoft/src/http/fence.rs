//! The last look at the clock before a mutation is written.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use jiff::Timestamp;
use tower::{BoxError, Layer, Service};

const WAITING: u8 = 0;
const PASSED: u8 = 1;
const REFUSED: u8 = 2;

/// Stands between the connection and the request: it lets the connection through only before the deadline, and
/// remembers whether it did. While it has not, nothing of the request can have been written.
#[derive(Clone)]
pub(super) struct Fence {
    send_by: Timestamp,
    state: Arc<AtomicU8>,
}

#[derive(Debug, thiserror::Error)]
#[error("the deadline for sending has passed")]
struct TooLate;

impl Fence {
    pub(super) fn new(send_by: Timestamp) -> Self {
        Self {
            send_by,
            state: Arc::new(AtomicU8::new(WAITING)),
        }
    }

    pub(super) fn too_late(&self) -> bool {
        Timestamp::now() >= self.send_by
    }

    /// A connection was handed to the request: from here on it may have been written.
    pub(super) fn passed(&self) -> bool {
        self.state.load(Ordering::SeqCst) == PASSED
    }

    /// A connection stood, and was not used because the deadline had passed.
    pub(super) fn refused(&self) -> bool {
        self.state.load(Ordering::SeqCst) == REFUSED
    }

    pub(super) fn layer(&self) -> FenceLayer {
        FenceLayer(self.clone())
    }

    fn pass(&self) -> Result<(), TooLate> {
        let state = if self.too_late() { REFUSED } else { PASSED };
        self.state.store(state, Ordering::SeqCst);
        if state == PASSED {
            Ok(())
        } else {
            Err(TooLate)
        }
    }
}

/// Puts a [`Fence`] behind the connector of an HTTP client.
#[derive(Clone)]
pub(super) struct FenceLayer(Fence);

impl<S> Layer<S> for FenceLayer {
    type Service = Fenced<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Fenced {
            inner,
            fence: self.0.clone(),
        }
    }
}

/// A connector behind a [`Fence`].
#[derive(Clone)]
pub(super) struct Fenced<S> {
    inner: S,
    fence: Fence,
}

impl<S, R> Service<R> for Fenced<S>
where
    S: Service<R, Error = BoxError>,
    S::Future: Send + 'static,
    S::Response: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, target: R) -> Self::Future {
        let connecting = self.inner.call(target);
        let fence = self.fence.clone();
        Box::pin(async move {
            let connection = connecting.await?;
            fence.pass()?;
            Ok(connection)
        })
    }
}
