//! What answers take of the memory of the process: small ones are free, large ones wait for each other.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// What everybody may hold at once, in bytes.
const SMALL: usize = 256 << 10;
/// The most that one list may take, with all of its pages.
const MOST: usize = 16 << 20;
/// How many may be larger than small at once.
const LARGE_AT_ONCE: usize = 2;
/// How long one may be large: others wait for its place.
const LONGEST: Duration = Duration::from_mins(1);

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
    large: Option<Large>,
}

struct Large {
    since: Instant,
    _place: OwnedSemaphorePermit,
}

/// Why an answer is not read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TooMuch {
    /// There is more in it than is read.
    Bytes,
    /// It is large, and takes too long.
    Time,
}

impl TooMuch {
    pub(crate) fn in_words(self) -> String {
        match self {
            Self::Bytes => more_than_is_read(MOST),
            Self::Time => format!(
                "it is large, and did not come within {} s.",
                LONGEST.as_secs()
            ),
        }
    }
}

/// There is more in an answer, or a list, than so many bytes of memory.
pub(super) fn more_than_is_read(most: usize) -> String {
    format!("there is more in it than is read ({} MiB).", most >> 20)
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
            return Err(TooMuch::Bytes);
        }
        match &self.large {
            Some(large) if large.since.elapsed() > LONGEST => return Err(TooMuch::Time),
            None if all > SMALL => self.wait_for_a_place().await,
            Some(_) | None => {}
        }
        Ok(())
    }

    async fn wait_for_a_place(&mut self) {
        let place = Arc::clone(&self.memory.0).acquire_owned().await;
        // The semaphore is never closed.
        self.large = place.ok().map(|place| Large {
            since: Instant::now(),
            _place: place,
        });
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
        assert_eq!(small.grow(MOST).await, Err(TooMuch::Bytes));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_large_for_long() {
        let mut share = Share::of(&Memory::default());
        assert_eq!(share.grow(SMALL + 1).await, Ok(()));
        tokio::time::advance(LONGEST).await;
        assert_eq!(share.grow(SMALL + 2).await, Ok(()));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(share.grow(SMALL + 3).await, Err(TooMuch::Time));
    }
}
