//! What happens to a step is told, and what must not happen changes nothing.

use crate::{scene::*, support::down};
use dualwrite_api::operation::StepState;
use dualwrite_plan::{
    observed::{Fact, Problem},
    operation::Sent,
};

/// A request that nobody has intended cannot have been answered: nothing is changed, and it is told.
#[test]
fn an_answer_to_a_request_that_was_not_intended_changes_nothing() {
    let scene = Scene::setup();
    let intended = scene.next();
    let send = intended.send.unwrap();
    let mut pending = intended.status;
    pending.steps[0].state = StepState::Pending;
    let situation = scene.situation();
    for sent in [
        Sent::Accepted { remote_id: None },
        Sent::Lost(down()),
        Sent::NotSent(down()),
    ] {
        let next =
            dualwrite_plan::operation::after_sending(&situation, pending.clone(), &send, &sent);
        assert_eq!(next.status.steps, pending.steps, "{sent:?}");
        let told: Vec<_> = next.transitions.iter().map(|told| told.to).collect();
        assert_eq!(told, [None], "{sent:?}");
    }
}

/// What could not be read changes no step.
#[test]
fn nothing_happens_to_a_step_that_cannot_be_seen() {
    let scene = Scene::setup().accepted().later(10).with(|scene| {
        scene.observed.applications = Fact::Unknown(Problem::transient("503."));
    });
    assert_eq!(scene.next().transitions, []);
}
