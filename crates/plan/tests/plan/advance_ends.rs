//! What an operation does next: after a lost answer, past its deadline, and when it is suspended, orphaned or deleted.

use crate::scene::*;
use crate::support::*;
use dualwrite_api::operation::{Phase, StepState};
use dualwrite_plan::{
    observed::{Fact, LinkView, Package},
    operation::{Owner, Sent, needs_finalizer},
};
use jiff::SignedDuration;

// ---- a lost answer ----

#[test]
fn a_lost_answer_is_read_back_at_once_and_absence_counts_late() {
    let scene = Scene::setup().sent(&Sent::Lost(down()));
    assert_eq!(scene.operation.status.steps[0].state, StepState::Intended);
    assert_eq!(scene.wait(), Some(10));
    assert_eq!(
        scene
            .later(10)
            .packages(vec![installing(CORE)])
            .next()
            .status
            .steps[0]
            .state,
        StepState::Sent
    );
    // 30 s to send, 30 s for the request, 120 s to settle; then a second look after another 120 s.
    let first = Scene::setup().sent(&Sent::Lost(down())).later(179);
    assert_eq!(
        (first.next().status.steps[0].absent_since, first.wait()),
        (None, Some(1))
    );
    let first = first.later(1);
    assert_eq!(first.wait(), Some(120));
    let second = first.written().later(119);
    waits(&second.next());
    assert_eq!(second.later(1).next().send.unwrap().step, CORE);
}

#[test]
fn an_absence_counts_by_when_it_was_read_and_not_by_when_it_is_judged() {
    let mut scene = Scene::setup().sent(&Sent::Lost(down())).later(1000);
    scene.observed.began = start() + SignedDuration::from_secs(179);
    assert_eq!(scene.next().status.steps[0].absent_since, None);
    scene.observed.began = start() + SignedDuration::from_secs(180);
    let seen = Some(scene.observed.began);
    assert_eq!(scene.next().status.steps[0].absent_since, seen);
}

#[test]
fn a_link_s_request_may_take_ten_times_longer() {
    // 30 s to send, 300 s for the request, 120 s to settle.
    let lost = || Scene::link().sent(&Sent::Lost(down()));
    assert_eq!(lost().later(449).next().status.steps[0].absent_since, None);
    let first = lost().later(450).next().status;
    assert!(first.steps[0].absent_since.is_some());
}

#[test]
fn a_read_that_fails_is_no_absence() {
    let scene = Scene::setup().sent(&Sent::Lost(down())).later(9000);
    waits(
        &scene
            .with(|scene| scene.observed.applications = Fact::Unknown(down()))
            .next(),
    );
    let scene = Scene::link()
        .sent(&Sent::Lost(down()))
        .later(9000)
        .sees(LinkView::HostDown("502".into()));
    waits(&scene.next());
}

/// The effect was found missing twice.
fn missing(scene: Scene) -> Scene {
    scene.later(1000).written().later(1000)
}

#[test]
fn an_installation_is_asked_for_twice_at_most() {
    let scene = missing(Scene::setup().sent(&Sent::Lost(down()))).sent(&Sent::Lost(down()));
    assert_eq!(scene.operation.status.steps[0].attempt, 2);
    ends(
        &missing(scene).next(),
        Phase::Failed,
        &["two requests were lost"],
    );
}

#[test]
fn an_installation_that_failed_behind_a_lost_answer_is_not_asked_for_again() {
    let scene = Scene::setup()
        .sent(&Sent::Lost(down()))
        .packages(vec![failed_package(CORE, "0x1: full")]);
    waits(&scene.next());
    ends(&missing(scene).next(), Phase::Failed, &["0x1: full"]);
}

#[test]
fn a_link_whose_outcome_cannot_be_known_is_unknown_until_it_appears() {
    let scene = missing(Scene::link().sent(&Sent::Lost(down()))).written();
    let status = &scene.operation.status;
    assert_eq!(
        (status.phase, status.reason.as_deref()),
        (Some(Phase::Unknown), Some("OutcomeUnknown"))
    );
    assert_eq!(
        (
            status.finished_at,
            needs_finalizer(&scene.operation.spec, status)
        ),
        (None, false)
    );
    insta::assert_snapshot!("act_unknown", status.message.clone().unwrap());
    let scene = scene.later(100_000);
    waits(&scene.next());
    assert_eq!(scene.wait(), Some(60));
    waits(&scene.with(|scene| scene.observed.link = link_to(E)).next());
    let late = missing(Scene::link().sent(&Sent::Lost(down())))
        .written()
        .later(100_000)
        .sees(link_to(S));
    ends(&late.next(), Phase::Succeeded, &[S]);
}

// ---- deadlines ----

#[test]
fn a_deadline_is_judged_only_after_a_good_read_made_past_it() {
    let late = |seen: Vec<Package>| Scene::setup().accepted().later(5401).packages(seen);
    ends(
        &late(vec![installing(CORE)]).next(),
        Phase::Failed,
        &["not finished at its deadline, 2026-03-02 11:30:00 UTC"],
    );
    assert_eq!(
        late(vec![]).next().status.reason.as_deref(),
        Some("TimedOut")
    );
    assert_eq!(
        late(vec![installed(CORE)]).next().status.steps[0].state,
        StepState::Done
    );
    waits(
        &late(vec![])
            .with(|scene| scene.observed.applications = Fact::Unknown(down()))
            .next(),
    );
    let began_before =
        late(vec![]).with(|scene| scene.observed.began = start() + SignedDuration::from_secs(5400));
    waits(&began_before.next());
}

#[test]
fn a_link_that_takes_too_long_times_out_and_says_so() {
    let scene = Scene::link().accepted().later(901);
    let next = scene.next();
    ends(
        &next,
        Phase::Failed,
        &["deadline", "may still appear", "Look at LCS"],
    );
    assert_eq!(next.status.reason.as_deref(), Some("TimedOut"));
}

#[test]
fn a_step_that_never_could_start_times_out() {
    let scene = Scene::setup().sent(&Sent::Refused(busy())).later(5401);
    ends(&scene.next(), Phase::Failed, &["deadline"]);
}

// ---- suspended, orphaned, deleted on the way ----

/// The first package is installed, the second not begun.
fn between_steps() -> Scene {
    Scene::setup()
        .accepted()
        .later(60)
        .packages(vec![installed(CORE)])
        .written()
}

#[test]
fn suspended_between_steps_it_waits_and_goes_on() {
    let scene = between_steps().with(|scene| {
        scene.owner = Owner::Present {
            suspended: true,
            reconcile_at: None,
        }
    });
    waits(&scene.next());
    let scene = scene.later(60).with(|scene| {
        scene.owner = Owner::Present {
            suspended: false,
            reconcile_at: None,
        }
    });
    assert_eq!(scene.next().send.unwrap().step, APP);
}

#[test]
fn what_it_relies_on_is_looked_at_again_before_each_request() {
    let moved = |scene: &mut Scene| scene.observed.integrated = Fact::Known(false);
    let why = "does not join the two environments any more";
    ends(
        &between_steps().with(moved).next(),
        Phase::Void,
        &[why, "1 of 2 steps"],
    );
    let refused_for_now = Scene::link().sent(&Sent::Refused(busy())).later(3600);
    ends(&refused_for_now.with(moved).next(), Phase::Void, &[why]);
    let unseen = between_steps().with(|scene| scene.observed.integrated = Fact::Unknown(down()));
    waits(&unseen.next());
}

#[test]
fn suspended_in_flight_it_is_followed_to_its_end() {
    let scene = Scene::setup().accepted().with(|scene| {
        scene.owner = Owner::Present {
            suspended: true,
            reconcile_at: None,
        }
    });
    let scene = scene.later(60).packages(vec![installed(CORE)]);
    assert_eq!(scene.next().status.steps[0].state, StepState::Done);
}

#[test]
fn suspended_between_steps_it_says_what_it_waits_for() {
    let scene = between_steps().with(|scene| {
        scene.owner = Owner::Present {
            suspended: true,
            reconcile_at: None,
        };
    });
    let next = scene.next();
    waits(&next);
    let said = next.status.message.unwrap();
    assert!(
        said.contains("suspended") && said.contains("spec.suspend"),
        "{said}"
    );
}

#[test]
fn orphaned_or_deleted_between_steps_it_ends_and_says_how_far_it_came() {
    let orphan = between_steps().with(|scene| scene.owner = Owner::Gone);
    let deleted = between_steps().with(|scene| scene.operation.deleted = Some(start()));
    for scene in [orphan, deleted] {
        let next = scene.next();
        ends(&next, Phase::Void, &["1 of 2 steps"]);
        assert!(!next.status.message.unwrap().contains("Never started"));
    }
}

#[test]
fn orphaned_in_flight_it_is_followed_to_the_end_of_the_step() {
    let scene = Scene::link()
        .accepted()
        .with(|scene| scene.owner = Owner::Gone)
        .later(60);
    waits(&scene.next());
    assert!(needs_finalizer(&scene.operation.spec, &scene.next().status));
    ends(&scene.sees(link_to(S)).next(), Phase::Succeeded, &[S]);
}

/// There is nothing to put back, however long an installation or a link may take.
#[test]
fn deleted_in_flight_it_is_held_ten_minutes() {
    let deleted = |scene: Scene| scene.with(|scene| scene.operation.deleted = Some(start()));
    let accepted = || {
        [
            deleted(Scene::link().accepted()),
            deleted(Scene::setup().accepted()),
        ]
    };
    for scene in accepted() {
        let scene = scene.later(599);
        waits(&scene.next());
        assert!(needs_finalizer(&scene.operation.spec, &scene.next().status));
    }
    let blind = deleted(Scene::link().sent(&Sent::Lost(down()))).sees(LinkView::Unknown(down()));
    for scene in accepted().into_iter().chain([blind]) {
        let scene = scene.later(600);
        let next = scene.next();
        ends(&next, Phase::Unknown, &["deleted"]);
        assert!(!needs_finalizer(&scene.operation.spec, &next.status));
    }
}

#[test]
fn deleted_in_flight_and_seen_late_is_still_a_success() {
    let scene = Scene::link()
        .accepted()
        .with(|scene| scene.operation.deleted = Some(start()));
    ends(
        &scene.later(100_000).sees(link_to(S)).next(),
        Phase::Succeeded,
        &[S],
    );
}

#[test]
fn deleted_after_a_lost_answer_nothing_is_sent_again() {
    let scene = Scene::setup()
        .sent(&Sent::Lost(down()))
        .with(|scene| scene.operation.deleted = Some(start()));
    ends(&missing(scene).next(), Phase::Void, &[]);
}

#[test]
fn what_has_ended_stays_ended() {
    for phase in [Phase::Succeeded, Phase::Failed, Phase::Void] {
        let scene = Scene::of(in_phase(planned_setup(), phase, start()))
            .packages(vec![installed(CORE), installed(APP)]);
        assert_eq!(
            (scene.next().status, scene.next().send, scene.next().next),
            (scene.operation.status.clone(), None, None)
        );
    }
}
