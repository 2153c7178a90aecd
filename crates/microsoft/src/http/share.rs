//! What answers take of the memory of the process: small ones are free, large ones wait for each other.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What everybody may hold at once, in bytes.
const SMALL: usize = 256 << 10;
/// The most that one list may take, with all of its pages.
const MOST: usize = 16 << 20;
/// How many may be larger than small at once.
const LARGE_AT_ONCE: usize = 2;

/// The memory that all answers share. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Memory(Arc<Semaphore>);

impl Default for Memory {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(LARGE_AT_ONCE)))
    }
}

/// The part of it that one answer, or one list with its pages, holds.
pub(crate) struct Share {
    memory: Memory,
    /// Of pages that were read before.
    before: usize,
    large: Option<OwnedSemaphorePermit>,
}

/// There is more in an answer than is read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooMuch;

impl TooMuch {
    pub(crate) fn in_words() -> String {
        format!(
            "there is more in it than is read of one answer or list ({} MiB).",
            MOST >> 20
        )
    }
}

impl Share {
    pub(crate) fn of(memory: &Memory) -> Self {
        Self {
            memory: memory.clone(),
            before: 0,
            large: None,
        }
    }

    /// So many bytes are held by the page that is read. Who is no longer small waits for a place.
    pub(crate) async fn grow(&mut self, held: usize) -> Result<(), TooMuch> {
        let all = self.before + held;
        if all > MOST {
            return Err(TooMuch);
        }
        if all > SMALL && self.large.is_none() {
            let place = Arc::clone(&self.memory.0).acquire_owned().await;
            // The semaphore is never closed.
            self.large = place.ok();
        }
        Ok(())
    }

    /// So many bytes are kept of a page that was read.
    pub(crate) async fn keep(&mut self, kept: usize) -> Result<(), TooMuch> {
        self.grow(kept).await?;
        self.before += kept;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn large_answers_wait_for_each_other_and_small_ones_for_nobody() {
        let memory = Memory::default();
        let mut large: Vec<Share> = (0..LARGE_AT_ONCE).map(|_| Share::of(&memory)).collect();
        for share in &mut large {
            assert_eq!(share.grow(SMALL + 1).await, Ok(()));
        }
        let mut small = Share::of(&memory);
        assert_eq!(small.keep(SMALL / 2).await, Ok(()));
        assert_eq!(small.grow(SMALL / 2).await, Ok(()));
        {
            let mut waits = std::pin::pin!(small.grow(SMALL));
            let now = futures::poll!(waits.as_mut());
            assert!(now.is_pending());
            large.pop();
            assert_eq!(waits.await, Ok(()));
        }
        assert_eq!(small.grow(MOST).await, Err(TooMuch));
    }
}
