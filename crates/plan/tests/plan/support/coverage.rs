//! The transition table: every driver of an operation checks each pass against it, and notes the cells that it meets.

use std::cell::RefCell;

use dualwrite_api::{DualWriteOperationStatus, operation::StepState};
use dualwrite_plan::operation::{Happened, Next, STATES, TABLE, after_event};

pub type Cells = Vec<(StepState, Happened)>;

thread_local! {
    /// The cells that this test has met so far.
    static MET: RefCell<Cells> = const { RefCell::new(Vec::new()) };
}

/// What a pass tells of its steps is all that has happened to them: nothing but the table writes how far a step is, and
/// nothing happened that must not.
pub fn check(before: &DualWriteOperationStatus, next: &Next) {
    let mut steps: Vec<(&str, StepState)> = Vec::new();
    for step in &next.status.steps {
        let mut known = before.steps.iter();
        let known = known.find(|known| known.name == step.name);
        // One that this pass has added begins as pending.
        let state = known.map_or(StepState::Pending, |known| known.state);
        steps.push((&step.name, state));
    }
    for transition in &next.transitions {
        let step = steps.iter_mut().find(|(name, _)| *name == transition.step);
        let (_, state) = step.expect("a step of the operation");
        assert_eq!(*state, transition.from, "{transition:?}");
        assert_eq!(transition.to, after_event(*state, transition.event));
        *state = transition.to.expect("nothing that must not happen");
        let cell = (transition.from, transition.event);
        MET.with_borrow_mut(|met| {
            if !met.contains(&cell) {
                met.push(cell);
            }
        });
    }
    let told: Vec<StepState> = steps.iter().map(|(_, state)| *state).collect();
    let written: Vec<StepState> = next.status.steps.iter().map(|step| step.state).collect();
    assert_eq!(told, written, "{:#?}", next.transitions);
}

/// The cells that may be met.
pub fn legal() -> Cells {
    let cells = TABLE.iter().flat_map(|(event, row)| {
        let states = STATES.iter().zip(row).filter(|(_, to)| to.is_some());
        states.map(|(state, _)| (*state, *event))
    });
    cells.collect()
}

/// The cells that this test has met.
pub fn met() -> Cells {
    MET.take()
}
