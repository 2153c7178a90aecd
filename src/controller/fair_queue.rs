//! A fair queue: which pass is next. No namespace can keep the others from theirs.
//!
//! kube's own limit knows objects only, and takes any of those that wait. So whoever creates ten thousand resources, or
//! a few whose answers never end, would have every place for himself. Here a namespace gets a place only while it has
//! fewer of them than are free: alone it can have half, rounded up, two of them a third each, and so on. Where none is
//! left, the next that is free goes to a namespace that has none, before those that have some. Within a namespace the
//! first to come is the first to go.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

/// How many passes of one namespace wait for a place; more come again later. So that neither memory nor the
/// controller's own loop, which looks at each of them, grows with what somebody creates.
const WAITING: usize = 512;

/// The places of one controller.
#[derive(Clone)]
pub struct FairQueue(Arc<Inner>);

struct Inner {
    places: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    taken: usize,
    namespaces: HashMap<String, Namespace>,
    /// Those with somebody waiting, in the order in which they are next.
    order: VecDeque<String>,
}

#[derive(Default)]
struct Namespace {
    taken: usize,
    waiting: VecDeque<oneshot::Sender<Place>>,
}

/// A place, until it is dropped.
pub struct Place(Option<Of>);

struct Of {
    queue: FairQueue,
    namespace: String,
}

impl FairQueue {
    /// So many places.
    pub fn new(places: u16) -> Self {
        Self(Arc::new(Inner {
            places: usize::from(places.max(1)),
            state: Mutex::default(),
        }))
    }

    /// Waits for a place; `None` when too many of this namespace do so already.
    pub async fn wait(&self, namespace: &str) -> Option<Place> {
        let place = {
            let mut state = self.state();
            let here = state.namespaces.entry(namespace.to_owned()).or_default();
            if here.waiting.len() >= WAITING {
                return None;
            }
            let (sender, place) = oneshot::channel();
            here.waiting.push_back(sender);
            if here.waiting.len() == 1 {
                state.order.push_back(namespace.to_owned());
            }
            place
        };
        self.give();
        // Its sender is dropped only after it was used.
        place.await.ok()
    }

    /// Gives what is free to those who are next.
    fn give(&self) {
        loop {
            let given = self.state().next(self);
            let mut came_back = false;
            for (waiting, place) in given {
                // Whoever has stopped waiting since. Not left to the place's own end, which would come here again, and so
                // as deep as there are such.
                let gone = waiting.send(place).err();
                if let Some(of) = gone.and_then(|mut place| place.0.take()) {
                    self.state().take_back(&of.namespace);
                    came_back = true;
                }
            }
            if !came_back {
                return;
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is complete before anything can panic.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next(&mut self, queue: &FairQueue) -> Vec<(oneshot::Sender<Place>, Place)> {
        let mut given = Vec::new();
        let mut passed_over = 0;
        while passed_over < self.order.len() {
            let free = queue.0.places.saturating_sub(self.taken);
            let Some(name) = self.order.pop_front() else {
                break;
            };
            let Some(here) = self.namespaces.get_mut(&name) else {
                continue;
            };
            while here.waiting.front().is_some_and(oneshot::Sender::is_closed) {
                here.waiting.pop_front();
            }
            if here.waiting.is_empty() {
                self.remove_if_empty(&name);
                continue;
            }
            if here.taken >= free {
                self.order.push_back(name);
                passed_over += 1;
                continue;
            }
            if let Some(waiting) = here.waiting.pop_front() {
                here.taken += 1;
                self.taken += 1;
                passed_over = 0;
                let of = Of {
                    queue: queue.clone(),
                    namespace: name.clone(),
                };
                given.push((waiting, Place(Some(of))));
            }
            if !here.waiting.is_empty() {
                self.order.push_back(name);
            }
        }
        given
    }

    fn take_back(&mut self, namespace: &str) {
        self.taken = self.taken.saturating_sub(1);
        if let Some(here) = self.namespaces.get_mut(namespace) {
            here.taken = here.taken.saturating_sub(1);
        }
        self.remove_if_empty(namespace);
    }

    fn remove_if_empty(&mut self, namespace: &str) {
        let here = self.namespaces.get(namespace);
        if here.is_some_and(|here| here.taken == 0 && here.waiting.is_empty()) {
            self.namespaces.remove(namespace);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(Of { queue, namespace }) = self.0.take() {
            queue.state().take_back(&namespace);
            queue.give();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt;

    use super::*;

    fn now(queue: &FairQueue, namespace: &str) -> Option<Place> {
        queue.wait(namespace).now_or_never().flatten()
    }

    fn as_many_as_go(queue: &FairQueue, namespace: &str) -> Vec<Place> {
        std::iter::from_fn(|| now(queue, namespace)).collect()
    }

    #[test]
    fn alone_a_namespace_has_half_of_the_places_and_the_next_ones_half_of_what_is_left() {
        let queue = FairQueue::new(64);
        let contoso = as_many_as_go(&queue, "contoso");
        assert_eq!(contoso.len(), 32);
        let fabrikam = as_many_as_go(&queue, "fabrikam");
        assert_eq!(fabrikam.len(), 16);
        let others: Vec<_> = (0..5)
            .map(|n| as_many_as_go(&queue, &n.to_string()))
            .collect();
        let each: Vec<_> = others.iter().map(Vec::len).collect();
        assert_eq!(each, [8, 4, 2, 1, 1]);
    }

    #[test]
    fn one_place_is_shared_too() {
        let queue = FairQueue::new(1);
        let place = now(&queue, "contoso");
        assert!(place.is_some());
        assert!(now(&queue, "fabrikam").is_none());
        drop(place);
        assert!(now(&queue, "fabrikam").is_some());
        assert!(queue.state().namespaces.is_empty(), "nothing is kept");
    }

    #[tokio::test]
    async fn namespaces_take_turns_whatever_their_numbers() {
        let queue = FairQueue::new(1);
        let first = now(&queue, "contoso");
        let (said, mut order) = tokio::sync::mpsc::unbounded_channel();
        for namespace in ["contoso", "contoso", "contoso", "fabrikam"] {
            let (queue, said) = (queue.clone(), said.clone());
            tokio::spawn(async move {
                let place = queue.wait(namespace).await;
                said.send(namespace).unwrap();
                drop(place);
            });
            tokio::task::yield_now().await;
        }
        drop((first, said));
        let mut went = Vec::new();
        while let Some(namespace) = order.recv().await {
            went.push(namespace);
        }
        assert_eq!(went, ["contoso", "fabrikam", "contoso", "contoso"]);
    }

    #[tokio::test]
    async fn few_wait_and_whoever_gives_up_loses_nobodys_place() {
        let queue = FairQueue::new(2);
        let place = now(&queue, "contoso").unwrap();
        let mut waiting: Vec<_> = (0..WAITING)
            .map(|_| Box::pin(queue.wait("contoso")))
            .collect();
        for wait in &mut waiting {
            assert!(wait.now_or_never().is_none());
        }
        assert!(queue.wait("contoso").now_or_never().unwrap().is_none());
        let last = waiting.pop().unwrap();
        drop(waiting);
        drop(place);
        let place = tokio::time::timeout(Duration::from_secs(10), last).await;
        assert!(place.unwrap().is_some());
        assert!(now(&queue, "contoso").is_some());
    }

    /// As at the end of the process: all who wait stop, and only then a pass ends.
    #[test]
    fn those_who_have_stopped_waiting_are_passed_over_whatever_their_number() {
        let leave = || {
            let queue = FairQueue::new(1);
            let place = now(&queue, "contoso");
            let names: Vec<_> = (0..20).map(|n| n.to_string()).collect();
            let waiting: Vec<_> = names
                .iter()
                .flat_map(|name| std::iter::repeat_n(name, WAITING))
                .map(|name| {
                    let mut wait = Box::pin(queue.wait(name));
                    assert!((&mut wait).now_or_never().is_none());
                    wait
                })
                .collect();
            drop(waiting);
            drop(place);
            let state = queue.state();
            assert_eq!(state.taken, 0);
            assert!(state.namespaces.is_empty() && state.order.is_empty());
        };
        let small = std::thread::Builder::new().stack_size(256 << 10);
        small.spawn(leave).unwrap().join().unwrap();
    }
}
