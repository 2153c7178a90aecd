//! What was true when: so that an answer can be behind the truth.

use std::time::{Duration, Instant};

/// Values with the moment from which each holds; some of them lie ahead.
#[derive(Clone, Debug)]
pub struct Timeline<T>(Vec<(Instant, T)>);

impl<T> Timeline<T> {
    /// From now on.
    pub fn new(value: T) -> Self {
        Self::from(Instant::now(), value)
    }

    pub fn from(at: Instant, value: T) -> Self {
        Self(vec![(at, value)])
    }

    pub fn then(&mut self, at: Instant, value: T) {
        self.0.push((at, value));
    }

    /// What held at that moment, if anything did yet.
    pub fn at(&self, moment: Instant) -> Option<&T> {
        let mut held = self.0.iter().filter(|(since, _)| *since <= moment);
        held.next_back().map(|(_, value)| value)
    }

    /// What holds so long ago; what was there at the very start always did.
    pub fn behind(&self, lag: Duration) -> Option<&T> {
        Instant::now().checked_sub(lag).and_then(|at| self.at(at))
    }

    /// What will hold in the end.
    pub fn last(&self) -> &T {
        &self.0[self.0.len() - 1].1
    }
}
