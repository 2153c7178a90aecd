//! One at a time of each name.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::OwnedMutexGuard;

/// Who comes second for a name waits until the first is done; other names do not matter.
#[derive(Debug, Default)]
pub struct Turns {
    locks: Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>,
}

impl Turns {
    /// Waits until it is alone with this name, for as long as it holds what it is given.
    pub async fn take(&self, name: &str) -> OwnedMutexGuard<()> {
        self.lock(name).lock_owned().await
    }

    fn lock(&self, name: &str) -> Arc<tokio::sync::Mutex<()>> {
        // A poisoned lock holds a map that is still whole.
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = locks.get(name).and_then(Weak::upgrade) {
            return known;
        }
        locks.retain(|_, lock| lock.strong_count() > 0);
        let new = Arc::default();
        locks.insert(name.to_owned(), Arc::downgrade(&new));
        new
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn only_the_same_name_waits_and_nothing_is_kept_of_what_is_over() {
        let turns = Turns::default();
        let first = turns.take("contoso").await;
        assert!(turns.take("fabrikam").now_or_never().is_some());
        let mut second = Box::pin(turns.take("contoso"));
        assert!(second.as_mut().now_or_never().is_none());
        drop(first);
        let second = second.await;
        assert!(turns.take("contoso").now_or_never().is_none());
        drop(second);
        drop(turns.take("fabrikam").await);
        assert_eq!(turns.locks.lock().unwrap().len(), 1);
    }
}
