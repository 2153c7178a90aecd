//! How a model is gone through, and what is told of it.

use std::{fmt::Debug, hash::Hash};

use stateright::{Checker, Model};

/// Whether the bounds are those of `make matrix`.
pub fn is_wide() -> bool {
    std::env::var_os("DUALWRITE_MATRIX").is_some()
}

/// Goes through every state of a model, and fails with the shortest way to what must not be, or with what is never met.
pub fn check<M>(name: &str, model: M)
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync,
    M::Action: Clone + Debug + PartialEq,
{
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let checked = model.checker().threads(threads).spawn_bfs().join();
    let (unique, depth) = (checked.unique_state_count(), checked.max_depth());
    eprintln!("{name}: {unique} unique states, at most {depth} steps from the beginning");
    let mut wrong = Vec::new();
    for property in checked.model().properties() {
        let found = checked.discovery(property.name);
        match (property.expectation.discovery_is_failure(), found) {
            (true, Some(path)) => {
                let is_right = |state| (property.condition)(checked.model(), state);
                let way = path.into_vec();
                let right = way.iter().take_while(|(state, _)| is_right(state));
                let actions = right.filter_map(|(_, action)| action.as_ref());
                let actions: Vec<String> = actions.map(|action| format!("{action:?}")).collect();
                wrong.push(format!("{}:\n  {}", property.name, actions.join("\n  ")));
            }
            (false, None) => wrong.push(format!("never: {}", property.name)),
            (true, None) | (false, Some(_)) => {}
        }
    }
    assert!(wrong.is_empty(), "{name}:\n{}", wrong.join("\n"));
}
