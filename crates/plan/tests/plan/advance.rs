//! What an operation does next: what keeps it from starting, what it adopts, and what it makes of an answer.

use crate::scene::*;
use crate::support::*;
use dualwrite_api::{
    Reason,
    operation::{Approval, Approved, Phase, StepState},
};
use dualwrite_plan::{
    observed::{Fact, LinkView, PackageState, Problem},
    operation::{BackupView, Other, Owner, RemoteState, Sent, after_sending, needs_finalizer},
    world::{KnownOperation, SEND_WINDOW, after},
};
use jiff::SignedDuration;

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
    assert!(needs_finalizer(&planned_setup().spec, &next.status));
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

fn suspended(scene: &mut Scene) {
    scene.owner = Owner::Present {
        suspended: true,
        reconcile_at: None,
    };
}

#[test]
fn a_suspended_owner_holds_what_needs_no_approval() {
    let scene = Scene::setup().with(suspended);
    waits(&scene.next());
    assert!(!needs_finalizer(
        &scene.operation.spec,
        &scene.next().status
    ));
}

/// An approved plan, by its operation.
fn approved(change: impl FnOnce(&mut KnownOperation)) -> Scene {
    let mut operation = planned_reset();
    operation.spec.approval = Approval::Approved;
    operation.created = start();
    change(&mut operation);
    Scene::of(operation).with(|scene| scene.observed.link = LinkView::Unknown(down()))
}

#[test]
fn suspending_takes_an_approval_back() {
    let scene = approved(|_| ()).with(suspended);
    ends(
        &scene.next(),
        Phase::Void,
        &["approval is taken back", "suspended", "approved anew"],
    );
    let pending = approved(|operation| operation.spec.approval = Approval::Pending);
    waits(&pending.with(suspended).next());
}

#[test]
fn an_approval_is_good_for_as_long_as_the_plan_says() {
    let at = |seconds: i64| Approved {
        field_manager: "kubectl-patch".into(),
        at: Some(start() + SignedDuration::from_secs(seconds)),
    };
    let day = 24 * 3600;
    let used = |approved_at: Option<i64>, timeout: &str, later: i64| {
        let scene = approved(|operation| {
            operation.approved = approved_at.map(at);
            operation.spec.options.approval_timeout = timeout.into();
        });
        scene.later(later).next()
    };
    let over = [
        "2026-03-03 10:00:00 UTC",
        "approvalTimeout",
        "approved anew",
    ];
    waits(&used(None, "86400s", day - 1));
    ends(&used(None, "86400s", day), Phase::Void, &over);
    waits(&used(Some(50), "86400s", day + 49));
    ends(
        &used(Some(50), "86400s", day + 50),
        Phase::Void,
        &["10:00:50"],
    );
    ends(&used(None, "3600s", 3600), Phase::Void, &["11:00:00"]);
    // A plan of an earlier release does not say.
    waits(&used(None, "", day - 1));
    ends(&used(None, "", day), Phase::Void, &over);
}

#[test]
fn a_reset_whose_backup_cannot_be_looked_at_says_the_same_in_each_pass() {
    let scene = approved(|_| ()).sees(link_to(E)).with(|scene| {
        scene.observed.maps = Fact::Known(some_maps());
        scene.observed.details = some_details();
        scene.observed.backup = BackupView::Unknown(down());
    });
    let written = scene.written();
    assert_eq!(written.operation.status.steps[0].began, None);
    let later = written.later(60);
    waits(&later.next());
    assert_eq!(later.next().status, later.operation.status);
    let readable = later.with(|scene| scene.observed.backup = BackupView::Missing);
    let next = readable.next();
    assert_eq!(next.send.unwrap().step, "backup");
    assert_eq!(next.status.steps[0].began, Some(readable.now));
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
        let scene = Scene::setup().with(|scene| scene.others = vec![owned(other)]);
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

/// Another operation, whose connection is there.
fn owned(operation: KnownOperation) -> Other {
    let owner = Owner::Present {
        suspended: false,
        reconcile_at: None,
    };
    Other { operation, owner }
}

fn beside(other: Other) -> Scene {
    Scene::setup().with(|scene| scene.others = vec![other])
}

#[test]
fn of_two_plans_the_younger_waits() {
    for elder in [rival(-1, "z"), rival(0, "a")] {
        let scene = beside(owned(elder));
        waits(&scene.next());
        assert_eq!(scene.wait(), Some(10));
        let said = scene.next().status.message.unwrap();
        assert!(said.contains("starts first"), "{said}");
        assert!(said.contains("kubectl delete dwo"), "{said}");
        let written = scene.written();
        assert_eq!(written.next().status, written.operation.status);
    }
    for younger in [rival(1, "a"), rival(0, "z")] {
        assert!(beside(owned(younger)).next().send.is_some());
    }
}

#[test]
fn an_operation_of_another_namespace_is_not_named() {
    let mut elder = rival(-1, "a");
    elder.namespace = "fabrikam".into();
    let said = beside(owned(elder.clone())).next().status.message.unwrap();
    assert!(
        !said.contains("fabrikam") && !said.contains(&elder.name),
        "{said}"
    );
}

#[test]
fn an_older_plan_that_cannot_start_holds_nobody_up() {
    let with = |change: fn(&mut Other)| {
        let mut other = owned(rival(-1, "a"));
        change(&mut other);
        beside(other)
    };
    let cannot: [fn(&mut Other); 7] = [
        |other| other.operation.deleted = Some(start()),
        |other| other.operation = in_phase(other.operation.clone(), Phase::Void, start()),
        |other| other.operation.spec.approval = Approval::Pending,
        |other| other.operation.spec.approval = Approval::Rejected,
        |other| other.owner = Owner::Gone,
        |other| other.owner = Owner::Changed,
        |other| {
            other.owner = Owner::Present {
                suspended: true,
                reconcile_at: None,
            }
        },
    ];
    for change in cannot {
        assert!(with(change).next().send.is_some());
    }
    // The deletion of its connection is reason enough for one that stops maps.
    waits(
        &with(|other| {
            other.operation.spec.options.on_deletion = true;
            other.owner = Owner::Gone;
        })
        .next(),
    );
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

/// Such as a claim that the administrator has taken away: the operation stands still, says why as long as that holds, and then
/// again what it does.
#[test]
fn what_only_a_person_can_mend_is_said_while_it_lasts() {
    let refuse = |scene: &mut Scene| {
        let problem = Problem::needs_person(Reason::ClaimNotAllowed, "It may not be claimed.");
        scene.observed.integrated = Fact::Unknown(problem.clone());
        scene.observed.applications = Fact::Unknown(problem.clone());
        scene.observed.link = LinkView::Unknown(problem);
    };
    let text = |scene: &Scene| scene.next().status.message.unwrap_or_default();
    let refused = "Waiting to try again: It may not be claimed.";
    for plan in [Scene::setup(), Scene::link()] {
        let unstarted = Scene::of(plan.operation.clone()).with(refuse);
        waits(&unstarted.next());
        assert_eq!(text(&unstarted), refused);
        assert!(unstarted.next().status.started_at.is_none());

        let under_way = plan.accepted().later(10);
        let said = text(&under_way);
        let steps = under_way.operation.status.steps.clone();
        let hours_later = under_way.with(refuse).later(100_000).written();
        waits(&hours_later.next());
        assert_eq!(text(&hours_later), refused);
        assert_eq!(hours_later.operation.status.steps, steps);
        assert_eq!(hours_later.next().status, hours_later.operation.status);
        let back = hours_later.with(|scene| {
            scene.now -= SignedDuration::from_secs(100_000);
            scene.observed.began = scene.now;
            scene.observed.applications = Fact::Known(vec![installing(CORE)]);
            scene.observed.link = LinkView::Absent;
        });
        assert_eq!(text(&back), said);
    }
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
    assert!(!needs_finalizer(
        &scene.operation.spec,
        &scene.next().status
    ));
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
    assert!(!needs_finalizer(
        &scene.operation.spec,
        &scene.operation.status
    ));
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
                assert!(!needs_finalizer(
                    &scene.operation.spec,
                    &scene.operation.status
                ));
            }
            assert!(scene.next().send.is_some());
        }
    }
}

#[test]
fn whoever_asks_an_operation_to_wait_is_obeyed() {
    let wait = |problem: Problem| {
        let scene = Scene::setup();
        let next = scene.next();
        let next = after_sending(
            &scene.situation(),
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

/// Whoever asks to be left alone while something is read is, but not for as long as somebody may wish.
#[test]
fn a_read_that_asks_to_wait_is_obeyed() {
    for (asked, waits) in [(None, 10), (Some(1), 10), (Some(90), 90), (Some(3600), 300)] {
        let problem = Problem {
            retry_after: asked.map(seconds),
            ..down()
        };
        let unseen =
            |scene: &mut Scene| scene.observed.applications = Fact::Unknown(problem.clone());
        let next = Scene::setup().with(unseen).next();
        assert_eq!(next.next, Some(after(start(), seconds(waits))), "{asked:?}");
        assert_eq!(next.send, None);
    }
}

/// Only one operation runs in an environment at a time; a state that nobody knows could block for ever.
#[test]
fn another_package_that_is_being_installed_is_waited_for_and_a_strange_one_is_not() {
    let beside = |state: &str| {
        let other = package("Other", PackageState::InProgress(state.into()));
        Scene::setup().packages(vec![other])
    };
    waits(&beside("Installing").next());
    assert!(beside("Pondering").next().send.is_some());
}
