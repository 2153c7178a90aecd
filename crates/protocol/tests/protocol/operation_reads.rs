//! What an operation's pass has to read: before its first step, at each step, and at its end.

use crate::{
    reset_support::*,
    support::{APP, CORE, planned_link, planned_setup},
};
use dualwrite_api::operation::{Approval, Ending, Phase, StepState, StepStatus};
use dualwrite_plan::{
    operation::{Reads, RemoteRequest, reads},
    world::KnownOperation,
};

/// Under way, with every step before this one done.
fn at(mut operation: KnownOperation, step: &str) -> KnownOperation {
    operation.status.phase = Some(Phase::Running);
    let planned = operation.spec.steps.iter();
    operation.status.steps = planned
        .map(|planned| StepStatus::pending(&planned.name))
        .collect();
    for known in &mut operation.status.steps {
        if known.name == step {
            return operation;
        }
        known.state = StepState::Done;
    }
    operation
}

/// Every step is done.
fn at_the_end(operation: KnownOperation) -> KnownOperation {
    at(operation, "")
}

/// What is read, by name.
fn names(reads: &Reads) -> String {
    let all = [
        ("integration", reads.integration),
        ("applications", reads.applications),
        ("link", reads.link),
        ("maps", reads.maps),
        ("set", reads.connection_set),
        ("solutions", reads.solutions),
        ("backup", reads.backup),
    ];
    let read = all.iter().filter(|(_, is_read)| *is_read);
    let names: Vec<&str> = read.map(|(name, _)| *name).collect();
    names.join(" ")
}

#[test]
fn before_the_first_step_all_that_a_plan_relies_on() {
    let of = |operation: &KnownOperation| names(&reads(operation));
    assert_eq!(of(&planned_setup()), "integration applications");
    assert_eq!(of(&planned_link()), "integration link");
    assert_eq!(
        of(&planned_reset(true)),
        "integration link maps set solutions"
    );
    assert_eq!(of(&planned_stop(true)), "link maps");
}

#[test]
fn nothing_for_a_plan_that_waits_for_a_person() {
    for approval in [Approval::Pending, Approval::Rejected] {
        let mut operation = planned_reset(true);
        operation.spec.approval = approval;
        assert!(reads(&operation).is_empty());
    }
}

#[test]
fn at_each_step_what_it_needs() {
    let of = |step| names(&reads(&at(planned_reset(true), step)));
    assert_eq!(of("backup"), "link maps backup");
    assert_eq!(of("reset"), "integration link maps set solutions backup");
    assert_eq!(of("integration-keys"), "link maps set");
    let others = [
        "stop-maps",
        "solution/ContosoMaps",
        "initialise-maps",
        "map-versions",
        "start-maps/1",
        "pause-maps",
        "verify",
    ];
    for step in others {
        assert_eq!(of(step), "link maps", "{step}");
    }
    assert_eq!(
        names(&reads(&at(planned_setup(), APP))),
        "integration applications"
    );
    assert_eq!(
        names(&reads(&at(planned_link(), "link"))),
        "integration link"
    );
    // What was lost may be asked for again.
    let mut lost = at(planned_setup(), APP);
    let steps = lost.status.steps.iter_mut();
    for step in steps.filter(|step| step.name == APP) {
        step.state = StepState::Intended;
    }
    assert_eq!(names(&reads(&lost)), "integration applications");
    assert_eq!(
        names(&reads(&at(planned_stop(false), "stop-maps"))),
        "link maps"
    );
}

#[test]
fn once_it_is_given_up_only_what_taking_back_needs() {
    let mut operation = at(planned_reset(true), "reset");
    operation.status.ending = Some(Ending {
        phase: Phase::Void,
        reason: None,
        message: "the connection was suspended".into(),
    });
    let restart = StepStatus::pending("restart-maps/1");
    operation.status.steps.push(restart);
    assert_eq!(names(&reads(&operation)), "link maps");
}

#[test]
fn at_the_end_what_tells_how_it_went() {
    let of = |operation| names(&reads(&at_the_end(operation)));
    assert_eq!(of(planned_setup()), "applications");
    assert_eq!(of(planned_link()), "link");
    assert_eq!(of(planned_reset(true)), "link maps set");
    assert_eq!(of(planned_reset(false)), "link maps set");
}

#[test]
fn only_a_pass_that_may_still_write_a_backup_reads_it() {
    let mut unknown = at(planned_reset(true), "reset");
    unknown.status.phase = Some(Phase::Unknown);
    let read = names(&reads(&unknown));
    assert_eq!(read, "integration link maps set solutions");
}

#[test]
fn a_request_that_was_accepted_is_asked_about_by_its_kind() {
    let accepted = |operation: KnownOperation, step: &str| {
        let mut operation = at(operation, step);
        let mut steps = operation.status.steps.iter_mut();
        let step = steps.find(|known| known.name == step).unwrap();
        step.state = StepState::Sent;
        step.remote_id = Some("7".into());
        reads(&operation).remote
    };
    let id = || "7".to_owned();
    assert_eq!(
        accepted(planned_setup(), CORE),
        Some(RemoteRequest::Installation(id()))
    );
    assert_eq!(
        accepted(planned_reset(true), "solution/ContosoMaps"),
        Some(RemoteRequest::Solution(id()))
    );
    assert_eq!(
        accepted(planned_reset(true), "start-maps/1"),
        Some(RemoteRequest::Maps(id()))
    );
    assert_eq!(reads(&at(planned_reset(true), "reset")).remote, None);
}
