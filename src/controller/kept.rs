//! What is kept from one pass to the next, within a bound: of the namespace that has most, what was used longest ago goes
//! first. So whoever has much pushes out his own.

use std::{
    collections::HashMap,
    mem::size_of,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What can be kept.
pub trait Weighed {
    /// About how much memory it takes, in bytes; 1 where only the number counts.
    fn weight(&self) -> usize;
}

/// How many bytes texts take.
pub fn of_texts<'a>(texts: impl IntoIterator<Item = &'a String>) -> usize {
    let each = texts
        .into_iter()
        .map(|text| size_of::<String>() + text.len());
    each.sum()
}

/// What is kept of one kind, by a key.
pub struct Kept<V> {
    most: usize,
    all: Mutex<All<V>>,
}

struct All<V> {
    entries: HashMap<String, Entry<V>>,
    /// How often something was used: what is lower was used longer ago.
    uses: u64,
}

struct Entry<V> {
    value: Arc<V>,
    weight: usize,
    namespace: String,
    used: u64,
}

impl<V: Weighed> Kept<V> {
    /// Keeps so much at the most, by its weight.
    pub fn new(most: usize) -> Self {
        let all = All {
            entries: HashMap::new(),
            uses: 0,
        };
        Self {
            most,
            all: Mutex::new(all),
        }
    }

    /// What is kept for a key.
    pub fn get(&self, key: &str) -> Option<Arc<V>> {
        let mut all = self.locked();
        all.uses += 1;
        let now = all.uses;
        let entry = all.entries.get_mut(key)?;
        entry.used = now;
        Some(Arc::clone(&entry.value))
    }

    /// Keeps this in place of what was kept; unless it takes too much by itself.
    pub fn keep(&self, key: &str, namespace: &str, value: Arc<V>) {
        let mut all = self.locked();
        all.entries.remove(key);
        all.insert(self.most, key, namespace, value);
    }

    /// What is kept for a key, or this; and whether it was made. From then on it is that of this namespace.
    pub fn get_or_keep(
        &self,
        key: &str,
        namespace: &str,
        make: impl FnOnce() -> V,
    ) -> (Arc<V>, bool) {
        let mut all = self.locked();
        all.uses += 1;
        let now = all.uses;
        if let Some(entry) = all.entries.get_mut(key) {
            entry.used = now;
            namespace.clone_into(&mut entry.namespace);
            return (Arc::clone(&entry.value), false);
        }
        let value = Arc::new(make());
        all.insert(self.most, key, namespace, Arc::clone(&value));
        (value, true)
    }

    /// Drops what is kept for a key.
    pub fn forget(&self, key: &str) {
        self.locked().entries.remove(key);
    }

    /// A poisoned lock holds a collection that is still whole: every change is a single insert or remove.
    fn locked(&self) -> MutexGuard<'_, All<V>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V: Weighed> All<V> {
    fn insert(&mut self, most: usize, key: &str, namespace: &str, value: Arc<V>) {
        let weight = value.weight();
        if weight > most {
            return;
        }
        self.make_room(most - weight);
        self.uses += 1;
        let entry = Entry {
            value,
            weight,
            namespace: namespace.to_owned(),
            used: self.uses,
        };
        self.entries.insert(key.to_owned(), entry);
    }

    fn weight(&self) -> usize {
        self.entries.values().map(|entry| entry.weight).sum()
    }

    fn make_room(&mut self, most: usize) {
        while self.weight() > most {
            let Some(key) = self.superfluous() else {
                return;
            };
            self.entries.remove(&key);
        }
    }

    fn superfluous(&self) -> Option<String> {
        let mut weights: HashMap<&str, usize> = HashMap::new();
        for entry in self.entries.values() {
            *weights.entry(&entry.namespace).or_default() += entry.weight;
        }
        let (most, _) = weights.into_iter().max_by_key(|(_, weight)| *weight)?;
        let of_it = self.entries.iter();
        let of_it = of_it.filter(|(_, entry)| entry.namespace == most);
        of_it
            .min_by_key(|(_, entry)| entry.used)
            .map(|(key, _)| key.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Of(usize);

    impl Weighed for Of {
        fn weight(&self) -> usize {
            self.0
        }
    }

    fn keys(kept: &Kept<Of>) -> Vec<String> {
        let mut keys: Vec<String> = kept.locked().entries.keys().cloned().collect();
        keys.sort();
        keys
    }

    #[test]
    fn who_has_most_gives_way_with_what_was_used_longest_ago() {
        let kept = Kept::new(100);
        for (key, namespace, bytes) in [("a1", "a", 30), ("a2", "a", 30), ("b1", "b", 30)] {
            kept.keep(key, namespace, Arc::new(Of(bytes)));
        }
        assert!(kept.get("a1").is_some());
        kept.keep("b2", "b", Arc::new(Of(30)));
        assert_eq!(keys(&kept), ["a1", "b1", "b2"]);
        kept.keep("c1", "c", Arc::new(Of(20)));
        assert_eq!(keys(&kept), ["a1", "b2", "c1"]);
    }

    /// As sessions are counted.
    #[test]
    fn whoever_makes_thousands_of_credentials_pushes_out_his_own() {
        let kept = Kept::new(4);
        let make = |key, namespace| kept.get_or_keep(key, namespace, || Of(1)).1;
        for (key, namespace) in [
            ("good", "contoso"),
            ("oldest", "fabrikam"),
            ("newer", "fabrikam"),
            ("newest", "fabrikam"),
        ] {
            assert!(make(key, namespace));
        }
        assert!(!make("good", "contoso"));
        assert!(make("one more", "fabrikam"));
        assert_eq!(keys(&kept), ["good", "newer", "newest", "one more"]);
        // It is that of whoever used it last.
        assert!(!make("newer", "contoso"));
        assert!(!make("newest", "contoso"));
        assert!(make("another", "fabrikam"));
        assert_eq!(keys(&kept), ["another", "newer", "newest", "one more"]);
    }

    #[test]
    fn what_is_too_much_by_itself_is_not_kept_and_pushes_out_nobody() {
        let kept = Kept::new(100);
        kept.keep("a", "a", Arc::new(Of(60)));
        kept.keep("b", "b", Arc::new(Of(101)));
        assert_eq!(keys(&kept), ["a"]);
        // What it replaces is old.
        kept.keep("a", "a", Arc::new(Of(101)));
        assert!(kept.get("a").is_none());
        kept.keep("a", "a", Arc::new(Of(100)));
        kept.forget("a");
        assert!(keys(&kept).is_empty());
    }
}
