//! How large an operation may become: the API server refuses what is too large, also an intent, and then nothing goes on.

use serde::Serialize;

use crate::messages;
use dualwrite_api::{
    DualWriteOperationSpec, DualWriteOperationStatus,
    operation::{StepState, StepStatus},
};

/// How many bytes a plan may take, and as many again its status: 512 KiB in all, a third of what etcd takes.
const MOST: usize = 256 * 1024;

/// How many bytes of a long list in words are kept when there is no room for all of it.
const MOST_WORDS: usize = 32 * 1024;

/// How many bytes of one text.
const MOST_TEXT: usize = 512;

/// Whether a plan is larger than one that an operation can carry.
pub fn is_too_large(plan: &DualWriteOperationSpec) -> bool {
    bytes(plan) > MOST
}

/// Whether so many more bytes of evidence fit into a status.
pub(super) fn has_room(status: &DualWriteOperationStatus, for_more: usize) -> bool {
    bytes(&bounded(status.clone())) + for_more <= MOST
}

/// The bytes of a list of names in a status.
pub(super) fn of_names(names: &[String]) -> usize {
    bytes(&names)
}

/// A status that fits. What is cut are words; whatever decides stays.
pub(super) fn bounded(mut status: DualWriteOperationStatus) -> DualWriteOperationStatus {
    if bytes(&status) <= MOST {
        return status;
    }
    cut_missing(&mut status.missing);
    cut(&mut status.message, MOST_WORDS);
    for step in &mut status.steps {
        cut(&mut step.error, MOST_TEXT);
        if is_only_told(step) {
            step.maps.clear();
        }
    }
    status
}

/// Whether the maps of a step decide nothing any more: it is done, and has brought none of them.
fn is_only_told(step: &StepStatus) -> bool {
    step.state == StepState::Done && !step.name.starts_with("solution/")
}

fn cut_missing(missing: &mut Vec<String>) {
    let mut kept = 0;
    let mut fits = |what: &String| {
        kept += what.len();
        kept <= MOST_WORDS && what != messages::MORE_IS_MISSING
    };
    let (all, fitting) = (
        missing.len(),
        missing.iter().take_while(|&what| fits(what)).count(),
    );
    if fitting < all {
        missing.truncate(fitting);
        missing.push(messages::MORE_IS_MISSING.to_owned());
    }
}

fn cut(text: &mut Option<String>, most: usize) {
    if let Some(text) = text.as_mut().filter(|text| text.len() > most) {
        text.truncate(text.floor_char_boundary(most));
        text.push('…');
    }
}

/// How many bytes it takes as JSON. Everything here can be written as JSON.
fn bytes(value: &impl Serialize) -> usize {
    serde_json::to_vec(value).map_or(usize::MAX, |json| json.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(name: &str, state: StepState) -> StepStatus {
        StepStatus {
            state,
            maps: (0..500)
                .map(|number| format!("map {number} of {name}"))
                .collect(),
            error: Some("x".repeat(4000)),
            ..StepStatus::pending(name)
        }
    }

    #[test]
    fn what_is_cut_are_words() {
        let fitting = DualWriteOperationStatus {
            steps: vec![step("start-maps/1", StepState::Done)],
            ..DualWriteOperationStatus::default()
        };
        assert_eq!(bounded(fitting.clone()), fitting);

        let names = [
            "stop-maps",
            "solution/ContosoMaps",
            "start-maps/1",
            "start-maps/2",
        ];
        let states = [
            StepState::Done,
            StepState::Done,
            StepState::Done,
            StepState::Sent,
        ];
        let steps = names.into_iter().zip(states);
        let large = DualWriteOperationStatus {
            steps: steps.map(|(name, state)| step(name, state)).collect(),
            missing: (0..900)
                .map(|number| format!("{number}: {}", "é".repeat(1000)))
                .collect(),
            message: Some("é".repeat(100_000)),
            ..DualWriteOperationStatus::default()
        };
        let small = bounded(large.clone());
        assert!(bytes(&small) <= MOST, "{}", bytes(&small));
        assert_eq!(small.missing.last().unwrap(), messages::MORE_IS_MISSING);
        assert_eq!(small.missing[..10], large.missing[..10]);
        let maps = |index: usize| small.steps[index].maps.len();
        assert_eq!([maps(0), maps(1), maps(2), maps(3)], [0, 500, 0, 500]);
        // Nothing is cut twice, or written anew in each pass.
        assert_eq!(bounded(small.clone()), small);
        let mut more = small.clone();
        more.missing.extend(large.missing);
        assert_eq!(bounded(more), small);
    }

    #[test]
    fn evidence_that_does_not_fit_is_noticed_before_it_is_needed() {
        let status = DualWriteOperationStatus::default();
        let names: Vec<String> = (0..100).map(|_| "n".repeat(2048)).collect();
        assert!(has_room(&status, of_names(&names)));
        assert!(!has_room(&status, 2 * of_names(&names)));
    }
}
