//! Applies a solution, which brings table maps.

use super::step::{Asking, At, Gate, Repeat, Step, Target, of_kind};
use crate::{
    messages::PlanWords,
    observed::Fact,
    operation::model::{RemoteRequest, RemoteState, Request},
};
use dualwrite_api::operation::Action;

/// Applies this solution.
pub struct Solution(pub String);

impl Solution {
    pub(super) fn parse(action: Action, name: &str) -> Option<Box<dyn Step>> {
        let name = of_kind(action, name, "solution")?;
        Some(Box::new(Self(name.to_owned())))
    }
}

impl Step for Solution {
    fn name(&self) -> String {
        format!("solution/{}", self.0)
    }

    fn words(&self, _: &PlanWords<'_>, _: usize) -> (String, &'static str) {
        let what = format!("Applying solution {}, which may bring table maps", self.0);
        (what, "1 to 10 minutes")
    }

    fn missing(&self, _: &[String], why: &str) -> Option<String> {
        let (name, why) = (&self.0, why.trim_end_matches('.'));
        Some(format!(
            "solution {name} ({why}); apply it on the Dual-write page under Apply solution"
        ))
    }

    fn remote(&self, id: String) -> RemoteRequest {
        RemoteRequest::Solution(id)
    }

    /// What it brings is told by what was not there before it.
    fn gate(&self, at: &At<'_>) -> Gate {
        match &at.situation.observed.maps {
            Fact::Known(_) => Gate::Open,
            Fact::Unknown(problem) => Gate::Unseen(problem.clone()),
        }
    }

    /// It was applied when the service says so, or when maps have appeared since its intent.
    fn target(&self, at: &At<'_>) -> Target {
        Target::from(&at.situation.observed.maps, |_| {
            // Before its intent nothing can have come of it.
            if at.record.asked.attempts == 0 {
                return Target::Missing(None);
            }
            if self.brought(at).is_some_and(|maps| !maps.is_empty()) {
                return Target::Reached;
            }
            match at.remote() {
                Some(RemoteState::Failed(why)) => Target::Missing(Some(why.clone())),
                _ => Target::Missing(None),
            }
        })
    }

    fn request(&self, at: &At<'_>) -> Option<Asking> {
        let set = at.situation.connection_set()?;
        let maps = at.situation.observed.maps.known()?;
        let name = self.0.clone();
        Some(Asking {
            seen: maps.iter().map(|map| map.name.clone()).collect(),
            ..Asking::of(Request::Solution { set, name })
        })
    }

    fn repeat(&self) -> Repeat {
        Repeat::Never
    }

    fn solution(&self) -> Option<&str> {
        Some(&self.0)
    }

    fn shows_early(&self) -> bool {
        true
    }

    /// Its maps come one after the other; a late one would pass for the work of the next solution.
    fn is_ripe(&self, at: &At<'_>) -> bool {
        at.is_quiet()
    }

    /// The maps that were not there when its intent was recorded, which is the only proof of what it holds.
    fn brought(&self, at: &At<'_>) -> Option<Vec<String>> {
        let maps = at.situation.observed.maps.known()?.iter();
        let new = maps.filter(|map| !at.record.asked.seen.contains(&map.name));
        Some(new.map(|map| map.name.clone()).collect())
    }
}
