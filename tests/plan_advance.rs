//! What an act does next: what keeps it from starting, what it adopts, when it waits, and how it ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod plan_support;

use dualwrite_operator::{
    api::operation::{Approval, Phase, StepState},
    plan::{
        advance::{
            Act, ActObserved, Next, Owner, RemoteState, SEND_WINDOW, Sent, advance, after_sending,
            needs_finalizer,
        },
        observed::{Fact, LinkView, Package, PackageState, Problem},
        world::{KnownOperation, Settings, after},
    },
};
use jiff::{SignedDuration, Timestamp};
use plan_support::*;

struct Scene {
    operation: KnownOperation,
    observed: ActObserved,
    owner: Owner,
    others: Vec<KnownOperation>,
    now: Timestamp,
    settings: Settings,
}

impl Scene {
    fn of(operation: KnownOperation) -> Self {
        Self {
            operation,
            observed: ActObserved {
                began: start(),
                integrated: Fact::Known(true),
                applications: Fact::Known(vec![]),
                remote: Fact::Unknown(busy()),
                link: LinkView::Absent,
            },
            owner: Owner::Present {
                suspended: false,
                reconcile_at: Some("then".into()),
            },
            others: vec![],
            now: start(),
            settings: Settings::default(),
        }
    }

    fn setup() -> Self {
        Self::of(planned_setup())
    }

    fn link() -> Self {
        Self::of(planned_link())
    }

    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn packages(self, packages: Vec<Package>) -> Self {
        self.with(|scene| scene.observed.applications = Fact::Known(packages))
    }

    fn sees(self, link: LinkView) -> Self {
        self.with(|scene| scene.observed.link = link)
    }

    fn act(&self) -> Act<'_> {
        Act {
            operation: &self.operation,
            observed: &self.observed,
            owner: &self.owner,
            others: &self.others,
            incarnation: "me",
            now: self.now,
            settings: &self.settings,
        }
    }

    fn next(&self) -> Next {
        advance(&self.act())
    }

    fn wait(&self) -> Option<u64> {
        let next = self.next().next?;
        Some(u64::try_from(next.duration_since(self.now).as_secs()).unwrap())
    }

    /// The step is intended, written, and this became of its request.
    fn sent(mut self, sent: &Sent) -> Self {
        let next = self.next();
        let send = next.send.expect("it wants to send");
        self.operation.status = after_sending(&self.act(), next.status, &send, sent).status;
        self
    }

    fn accepted(self) -> Self {
        self.sent(&Sent::Accepted { remote_id: None })
    }

    fn later(mut self, seconds: i64) -> Self {
        self.now += SignedDuration::from_secs(seconds);
        self.observed.began = self.now;
        self
    }

    /// What was decided is written.
    fn written(mut self) -> Self {
        self.operation.status = self.next().status;
        self
    }
}

fn installing(name: &str) -> Package {
    package(name, PackageState::InProgress("Installing".into()))
}

fn installed(name: &str) -> Package {
    package(name, PackageState::Installed)
}

#[track_caller]
fn ends(next: &Next, phase: Phase, parts: &[&str]) {
    assert_eq!(next.status.phase, Some(phase), "{:#?}", next.status);
    assert_eq!(next.send, None);
    let message = next.status.message.as_deref().unwrap_or_default();
    for part in parts {
        assert!(message.contains(part), "'{part}' is not in: {message}");
    }
    assert!(!message.contains(".."), "{message}");
}

#[track_caller]
fn waits(next: &Next) {
    assert_eq!(next.send, None, "{:#?}", next.status);
    assert!(
        next.status.phase.is_none_or(|phase| !phase.is_finished()),
        "{:#?}",
        next.status
    );
}

// ---- before the first step ----

#[test]
fn the_first_step_is_intended_before_it_is_sent() {
    let next = Scene::setup().next();
    let send = next.send.unwrap();
    assert_eq!(
        (send.step.as_str(), send.before),
        (CORE, after(start(), SEND_WINDOW))
    );
    let step = &next.status.steps[0];
    assert_eq!((step.state, step.attempt), (StepState::Intended, 1));
    assert_eq!(
        (step.incarnation.as_deref(), step.send_before),
        (Some("me"), Some(send.before))
    );
    assert_eq!(next.status.phase, Some(Phase::Running));
    assert_eq!(next.status.started_at, Some(start()));
    assert_eq!(next.status.deadline, Some(after(start(), minutes(90))));
    assert!(needs_finalizer(&next.status));
    assert_eq!(next.status.steps[1].state, StepState::Pending);
    insta::assert_snapshot!("act_running", next.status.message.unwrap());
}

#[test]
fn without_approval_it_waits_and_a_refusal_ends_it() {
    let pending = |approval| Scene::setup().with(|scene| scene.operation.spec.approval = approval);
    let next = pending(Approval::Pending).next();
    assert_eq!(
        (next.status.phase, next.send, next.next),
        (Some(Phase::AwaitingApproval), None, None)
    );
    ends(
        &pending(Approval::Rejected).next(),
        Phase::Void,
        &["rejected"],
    );
    assert!(pending(Approval::Approved).next().send.is_some());
    let approved = pending(Approval::Pending)
        .written()
        .with(|scene| scene.operation.spec.approval = Approval::Approved);
    assert!(approved.next().send.is_some());
}

#[test]
fn a_suspended_owner_holds_an_approved_plan() {
    let scene = Scene::setup().with(|scene| {
        scene.owner = Owner::Present {
            suspended: true,
            reconcile_at: None,
        }
    });
    waits(&scene.next());
    assert!(!needs_finalizer(&scene.next().status));
}

#[test]
fn without_its_owner_a_plan_is_void() {
    for approval in [Approval::NotRequired, Approval::Pending, Approval::Approved] {
        let scene = Scene::setup().with(|scene| {
            scene.owner = Owner::Gone;
            scene.operation.spec.approval = approval;
        });
        ends(&scene.next(), Phase::Void, &["the connection is gone"]);
    }
}

#[test]
fn a_deleted_plan_is_left_alone() {
    let scene = Scene::setup().with(|scene| scene.operation.deleted = Some(start()));
    assert_eq!(
        (scene.next().status, scene.next().send),
        (scene.operation.status.clone(), None)
    );
}

#[test]
fn another_operation_of_the_host_is_waited_for() {
    for phase in [Phase::Running, Phase::Unknown] {
        let mut other = in_phase(planned_link(), phase, start());
        other.spec.connection.uid = "another".into();
        let scene = Scene::setup().with(|scene| scene.others = vec![other]);
        waits(&scene.next());
        assert_eq!(scene.wait(), Some(10));
    }
}

/// Another plan for the same host, created so many seconds later, with this uid.
fn rival(seconds: i64, uid: &str) -> KnownOperation {
    let mut other = planned_link();
    other.created = planned_setup().created + SignedDuration::from_secs(seconds);
    other.uid = uid.into();
    other
}

#[test]
fn of_two_plans_the_younger_is_void() {
    let among = |other| {
        Scene::setup()
            .with(|scene| scene.others = vec![other])
            .next()
    };
    ends(&among(rival(-1, "z")), Phase::Void, &["older operation"]);
    assert!(among(rival(1, "a")).send.is_some());
    ends(&among(rival(0, "a")), Phase::Void, &["older operation"]);
    assert!(among(rival(0, "z")).send.is_some());
}

#[test]
fn an_older_plan_that_is_going_or_over_is_no_rival() {
    let mut going = rival(-1, "a");
    going.deleted = Some(start());
    let over = in_phase(rival(-1, "a"), Phase::Void, start());
    for other in [going, over] {
        assert!(
            Scene::setup()
                .with(|scene| scene.others = vec![other])
                .next()
                .send
                .is_some()
        );
    }
}

#[test]
fn a_plan_needs_the_integration_that_it_relies_on() {
    let moved = Scene::setup().with(|scene| scene.observed.integrated = Fact::Known(false));
    ends(
        &moved.next(),
        Phase::Void,
        &["does not join the two environments any more"],
    );
    let unread = Scene::setup().with(|scene| scene.observed.integrated = Fact::Unknown(down()));
    waits(&unread.next());
    assert_eq!(unread.wait(), Some(10));
}

#[test]
fn nothing_starts_from_what_could_not_be_read() {
    waits(
        &Scene::setup()
            .with(|scene| scene.observed.applications = Fact::Unknown(down()))
            .next(),
    );
    for link in [
        LinkView::Unknown(down()),
        LinkView::HostDown("502".into()),
        LinkView::NotObserved,
    ] {
        waits(&Scene::link().sees(link).next());
    }
}

#[test]
fn a_link_to_another_environment_voids_the_plan() {
    ends(
        &Scene::link().sees(link_to(E)).next(),
        Phase::Void,
        &[E, "changes no existing link"],
    );
}

#[test]
fn what_is_there_already_needs_no_request() {
    ends(
        &Scene::link().sees(link_to(S)).next(),
        Phase::Succeeded,
        &[HOST, S],
    );
    let scene = Scene::setup()
        .packages(vec![installed(CORE), installed(APP)])
        .written();
    assert_eq!(scene.operation.status.steps[0].state, StepState::Done);
    ends(&scene.written().next(), Phase::Succeeded, &["Contoso UAT"]);
}

// ---- on its way ----

#[test]
fn an_installation_that_runs_is_adopted() {
    let scene = Scene::setup().packages(vec![installing(CORE)]).written();
    let step = &scene.operation.status.steps[0];
    assert_eq!(
        (step.state, step.attempt, scene.operation.status.phase),
        (StepState::Sent, 0, Some(Phase::Running))
    );
    waits(&scene.next());
    let scene = scene.later(60).packages(vec![installed(CORE)]).written();
    let next = scene.next();
    assert_eq!(next.send.unwrap().step, APP);
}

#[test]
fn an_adopted_installation_that_fails_is_a_failure() {
    let failing = Scene::setup()
        .packages(vec![installing(CORE)])
        .written()
        .packages(vec![failed_package(CORE, "0x1: full")]);
    waits(&failing.next());
    ends(
        &failing.later(120).next(),
        Phase::Failed,
        &["0x1: full", CORE, "Contoso UAT"],
    );
}

#[test]
fn one_step_a_pass_and_the_second_after_the_first() {
    let scene = Scene::setup()
        .accepted()
        .later(10)
        .packages(vec![installing(CORE)]);
    waits(&scene.next());
    assert_eq!(scene.wait(), Some(10));
    let scene = scene.packages(vec![installed(CORE)]);
    waits(&scene.next());
    assert_eq!(scene.wait(), Some(0));
    assert!(!needs_finalizer(&scene.next().status));
    assert_eq!(scene.written().next().send.unwrap().step, APP);
}

#[test]
fn done_means_observed() {
    let said = |remote| {
        Scene::setup()
            .sent(&Sent::Accepted {
                remote_id: Some("op-1".into()),
            })
            .later(10)
            .with(|scene| scene.observed.remote = Fact::Known(remote))
    };
    waits(&said(RemoteState::Succeeded).next());
    waits(&said(RemoteState::Running).next());
    ends(
        &said(RemoteState::Failed("0x1: full.".into())).next(),
        Phase::Failed,
        &["0x1: full."],
    );
    let failed_and_there = said(RemoteState::Failed("0x1".into())).packages(vec![installed(CORE)]);
    assert_eq!(
        failed_and_there.next().status.steps[0].state,
        StepState::Done
    );
}

#[test]
fn an_old_failure_that_still_shows_is_not_ours() {
    let scene = Scene::setup()
        .packages(vec![failed_package(CORE, "0x1: old")])
        .accepted();
    waits(&scene.later(119).next());
    let gone = Scene::setup()
        .packages(vec![failed_package(CORE, "0x1: full")])
        .sent(&Sent::Accepted {
            remote_id: Some("op-1".into()),
        });
    waits(&gone.later(600).next());
    let gone = Scene::setup()
        .packages(vec![failed_package(CORE, "0x1: full")])
        .sent(&Sent::Accepted {
            remote_id: Some("op-1".into()),
        });
    let gone = gone
        .later(600)
        .with(|scene| scene.observed.remote = Fact::Known(RemoteState::Gone));
    ends(&gone.next(), Phase::Failed, &["0x1: full"]);
}

#[test]
fn a_link_that_microsoft_reports_as_failed_is_a_failed_link() {
    let scene = Scene::link()
        .sent(&Sent::Accepted {
            remote_id: Some("op-1".into()),
        })
        .later(10);
    let next = scene
        .with(|scene| scene.observed.remote = Fact::Known(RemoteState::Failed("DW9003.".into())))
        .next();
    ends(&next, Phase::Failed, &["DW9003."]);
    assert_eq!(next.status.reason.as_deref(), Some("LinkFailed"));
}

#[test]
fn a_link_that_goes_elsewhere_meanwhile_is_left_alone() {
    for scene in [
        Scene::link().accepted(),
        Scene::link().sent(&Sent::Lost(down())),
    ] {
        let next = scene.later(10).sees(link_to(E)).next();
        ends(&next, Phase::Failed, &[E, "changes no existing link"]);
        assert_eq!(next.status.reason.as_deref(), Some("LinkFailed"));
    }
}

#[test]
fn a_refusal_is_the_end_and_keeps_microsofts_words() {
    let scene = Scene::link().sent(&Sent::Refused(refused(
        "400: DW9003 Failed to connect to CRM.",
    )));
    ends(
        &scene.next(),
        Phase::Failed,
        &["DW9003 Failed to connect to CRM.", HOST, S],
    );
    assert_eq!(scene.operation.status.reconcile_at.as_deref(), Some("then"));
    assert!(!needs_finalizer(&scene.operation.status));
}

#[test]
fn what_was_certainly_not_done_does_not_count() {
    for sent in [
        Sent::Refused(busy()),
        Sent::Refused(down()),
        Sent::NotSent(down()),
    ] {
        for scene in [Scene::link(), Scene::setup()] {
            let mut scene = scene;
            for _ in 0..5 {
                scene = scene.sent(&sent).later(60);
                let step = &scene.operation.status.steps[0];
                assert_eq!(
                    (step.state, step.attempt, step.send_before),
                    (StepState::Pending, 0, None)
                );
                assert!(!needs_finalizer(&scene.operation.status));
            }
            assert!(scene.next().send.is_some());
        }
    }
}

#[test]
fn whoever_asks_an_act_to_wait_is_obeyed() {
    let wait = |problem: Problem| {
        let scene = Scene::setup();
        let next = scene.next();
        let next = after_sending(
            &scene.act(),
            next.status,
            &next.send.unwrap(),
            &Sent::Refused(problem),
        );
        next.next.unwrap().duration_since(start()).as_secs()
    };
    assert_eq!((wait(down()), wait(busy())), (10, 30));
    assert_eq!(
        wait(Problem {
            retry_after: Some(seconds(99)),
            ..busy()
        }),
        99
    );
}

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
    assert_eq!((status.finished_at, needs_finalizer(status)), (None, false));
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
    assert!(needs_finalizer(&scene.next().status));
    ends(&scene.sees(link_to(S)).next(), Phase::Succeeded, &[S]);
}

#[test]
fn deleted_in_flight_it_is_held_ten_minutes_or_to_its_deadline() {
    let deleted = |scene: Scene| scene.with(|scene| scene.operation.deleted = Some(start()));
    let scene = deleted(Scene::link().accepted()).later(899);
    waits(&scene.next());
    assert!(needs_finalizer(&scene.next().status));
    let scene = deleted(Scene::link().sent(&Sent::Lost(down())))
        .sees(LinkView::Unknown(down()))
        .later(901);
    let next = scene.next();
    ends(&next, Phase::Unknown, &["deleted", "link"]);
    assert!(!needs_finalizer(&next.status));
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
