//! What other connections, other operations, time and an edited spec do to a decision that is right by itself.

use crate::{
    scene::{Scene, ends, waits},
    support::*,
};
use dualwrite_api::{
    conditions::ConditionType::{Linked, LinkingMismatch, Ready, Reconciling, Stalled},
    connection::{DeletionPolicy, MixPolicy},
    operation::{Action, Approval, Backup, MapState, Phase, StepState},
};
use dualwrite_plan::{
    decision::{Decision, Effect},
    deletion::{self, Deletion},
    observed::{Environment, Fact, LinkView, Problem, Readiness},
    operation::{Owner, Sent},
    verdict::Row,
    world::{Claim, KnownOperation, after},
};
use jiff::SignedDuration;

fn creates(decision: &Decision) -> Option<Action> {
    match &decision.effect {
        Some(Effect::Create { spec, .. }) => Some(spec.action),
        _ => None,
    }
}

fn with_stop_of_a_mix(case: Case) -> Case {
    case.with(|case| {
        case.tenant().linked = Some(in_production(other_environment()));
        case.desired.mismatch.on_mix = MixPolicy::StopMaps;
    })
}

/// A reset has failed, and the link is where it was.
fn reset_failed() -> Case {
    let failed = in_phase(planned_reset(), Phase::Failed, start());
    to_reset().settled().operation(failed).later(SETTLE)
}

/// The maps could not be stopped.
fn stop_failed(case: Case) -> Case {
    let mut failed = in_phase(planned_stop(), Phase::Failed, case.now);
    failed.created = case.now;
    case.operation(failed)
}

// ---- a failure stops nothing but its own kind ----

#[test]
fn a_failed_reset_does_not_keep_the_maps_of_a_mix_running() {
    let case = with_stop_of_a_mix(reset_failed()).later(SETTLE);
    let decision = case.decide();
    expect(
        &decision,
        Row::OperationFailed,
        &[
            (Ready, "False/ResetFailed"),
            (Reconciling, "True/StoppingMaps"),
            (LinkingMismatch, "True/SandboxProductionMix"),
        ],
    );
    assert_eq!(creates(&decision), Some(Action::StopMaps));
}

#[test]
fn a_failed_reset_is_not_forgotten_because_the_maps_were_stopped_since() {
    let case = with_stop_of_a_mix(reset_failed()).later(SETTLE);
    let mut stop = in_phase(case.planned(), Phase::Succeeded, case.now);
    stop.created = case.now;
    let stopped = some_maps().into_iter().map(|mut map| {
        map.state = MapState::Stopped;
        map
    });
    let case = case.operation(stop).maps(stopped.collect()).later(SETTLE);
    let decision = case.settled().decide();
    expect(
        &decision,
        Row::OperationFailed,
        &[(Ready, "False/ResetFailed")],
    );
    assert_eq!(decision.effect, None);
}

#[test]
fn of_a_failed_stop_beside_a_failed_reset_the_stop_is_said() {
    let case = stop_failed(with_stop_of_a_mix(reset_failed()).later(SETTLE)).later(SETTLE);
    let decision = case.decide();
    expect(
        &decision,
        Row::OperationFailed,
        &[
            (Ready, "False/MapsNotStopped"),
            (Stalled, "True/MapsNotStopped"),
        ],
    );
    assert_eq!(decision.effect, None);
    assert_eq!(
        message(&decision, Ready)
            .matches("Stopping maps failed")
            .count(),
        1
    );
}

#[test]
fn a_failed_stop_is_over_when_a_reset_has_succeeded_since() {
    let case = stop_failed(mixed().settled()).later(SETTLE);
    expect(
        &case.decide(),
        Row::OperationFailed,
        &[(Ready, "False/MapsNotStopped")],
    );
    let mut reset = in_phase(planned_reset(), Phase::Succeeded, case.now);
    reset.created = case.now;
    // Somebody links it to production again, and starts maps.
    let case = case.operation(reset).later(SETTLE).later(SETTLE);
    assert_eq!(creates(&case.decide()), Some(Action::StopMaps));
}

#[test]
fn a_failed_reset_is_over_when_the_link_has_moved_since() {
    let elsewhere = |id: &str, set: &str| {
        let mut link = link_to(id);
        if let LinkView::To(link) = &mut link {
            link.connection_set_id = set.into();
        }
        link
    };
    let third = "6f2c8d0e-0000-4000-8000-000000000003";
    for moved in [elsewhere(third, "cs-0001"), elsewhere(E, "cs-0002")] {
        let case = reset_failed().link(moved).later(SETTLE);
        assert_eq!(case.decide().row, Some(Row::LinkedElsewhere));
    }
    let stays = reset_failed().link(elsewhere(E, "cs-0001"));
    assert_eq!(stays.decide().row, Some(Row::OperationFailed));
}

// ---- what is settling or waited for belongs to the spec it was seen under ----

#[test]
fn an_absence_that_was_seen_under_another_spec_confirms_nothing() {
    let cases: [fn() -> Case; 3] = [Case::nothing, Case::unlinked, to_reset];
    for case in cases {
        let before = case().settled();
        let edited = before.clone().new_generation();
        assert_eq!(edited.decide().effect, None);
        let is_confirmed = |case: &Case| {
            let settling = case.decide().status.settling;
            settling.is_some_and(|settling| {
                case.now.duration_since(settling.since) >= SignedDuration::try_from(SETTLE).unwrap()
            })
        };
        assert!(is_confirmed(&before));
        assert!(!is_confirmed(&edited));
        assert!(is_confirmed(&edited.settled()));
    }
}

#[test]
fn what_was_settling_is_not_carried_through_a_blip_or_a_suspension_into_another_spec() {
    let first = Case::nothing().later(seconds(1));
    let blind = first.clone().new_generation().blind(&down());
    assert_eq!(blind.decide().status.settling, None);
    let suspended = first
        .new_generation()
        .with(|case| case.desired.suspend = true);
    let status = suspended.decide().status;
    assert_eq!((status.settling, status.waiting), (None, None));
}

#[test]
fn waiting_for_a_person_starts_again_with_another_spec() {
    let case = Case::unlinked().settled();
    let since = |case: &Case| case.decide().status.waiting.unwrap().since;
    let edited = case
        .clone()
        .later(hours(1))
        .new_generation()
        .later(SETTLE)
        .settled();
    assert!(since(&edited) > since(&case));
}

// ---- a map list that is refused ----

fn maps_refused(case: Case) -> Case {
    case.maps_unknown(refused(
        "The dual-write service refuses to list the table maps (403).",
    ))
}

#[test]
fn a_refused_map_list_is_said_and_old_counts_are_not() {
    let case = Case::happy().maps(some_maps()).later(INTERVAL);
    assert!(case.memory.maps.is_some());
    let decision = maps_refused(case).decide();
    expect(&decision, Row::Connected, &[(Linked, "True/Linked")]);
    reads(
        &decision,
        Linked,
        &["table maps cannot be read", "refuses to list"],
    );
    assert_eq!(decision.status.maps, None);
}

#[test]
fn a_blip_of_the_map_list_says_nothing_of_it() {
    let case = Case::happy().maps(some_maps()).later(INTERVAL);
    let before = message(&case.decide(), Linked);
    let decision = case.maps_unknown(down()).decide();
    assert_eq!(message(&decision, Linked), before);
    assert!(decision.status.maps.is_some());
}

#[test]
fn a_mix_whose_maps_cannot_be_read_is_stalled_if_they_are_to_be_stopped() {
    let decision = maps_refused(mixed()).settled().decide();
    expect(
        &decision,
        Row::LinkedElsewhere,
        &[
            (Ready, "False/AccessDenied"),
            (Stalled, "True/AccessDenied"),
        ],
    );
    reads(&decision, Ready, &["cannot be stopped", "refuses to list"]);
    let reported = mixed().with(|case| case.desired.mismatch.on_mix = MixPolicy::Report);
    let decision = maps_refused(reported).settled().decide();
    expect(
        &decision,
        Row::LinkedElsewhere,
        &[(Stalled, "True/DifferentDestination")],
    );
}

// ---- an environment that is disabled for good ----

#[test]
fn a_disabled_environment_that_is_integrated_is_integrated() {
    let case = Case::unlinked().integrated_elsewhere().with(|case| {
        case.tenant().naming_host[0] = Environment {
            finance_operations: Some(named(HOST)),
            readiness: Readiness::Disabled,
            ..other_environment()
        };
    });
    expect(
        &case.settled().decide(),
        Row::IntegratedElsewhere,
        &[
            (Ready, "False/IntegratedElsewhere"),
            (Stalled, "True/IntegratedElsewhere"),
        ],
    );
}

// ---- an operation that is under way, and cannot see ----

fn resetting() -> Case {
    let running = in_phase(planned_reset(), Phase::Running, start());
    to_reset().settled().operation(running)
}

#[test]
fn an_outage_shows_beside_a_reset_and_not_instead_of_it() {
    let case = resetting().later(POLL).blind(&down()).later(INTERVAL);
    let decision = case.decide();
    expect(
        &decision,
        Row::Occupied,
        &[(Ready, "False/Resetting"), (Reconciling, "True/Resetting")],
    );
    reads(
        &decision,
        Reconciling,
        &["Resetting since 10:00.", "Reads have failed since"],
    );
    // Another error of the same outage is not another write.
    let other = Problem::transient("GET maps: 500.");
    let again = case.later(POLL).blind(&other);
    assert_eq!(again.decide().status, again.memory);
}

#[test]
fn a_reset_that_is_refused_what_it_must_read_is_stalled() {
    let mut case = resetting();
    case.operations[0].status.reason = Some("AccessDenied".into());
    let decision = case.decide();
    expect(
        &decision,
        Row::Occupied,
        &[
            (Ready, "False/Resetting"),
            (Stalled, "True/AccessDenied"),
            (Reconciling, "-"),
        ],
    );
}

// ---- what is kept of finished operations ----

fn finished(case: &Case, number: i64, action: Action, phase: Phase) -> KnownOperation {
    let planned = match action {
        Action::Reset => planned_reset(),
        Action::Setup | Action::Link | Action::StopMaps => planned_link(),
    };
    let mut finished = in_phase(planned, phase, case.now);
    finished.name = format!("{action}-{number:02}");
    finished.uid = format!("uid-{number:02}");
    finished.created = start() + SignedDuration::from_secs(number);
    finished
}

fn forgotten(of: &[(Action, Phase)], change: impl Fn(usize, &mut KnownOperation)) -> Vec<String> {
    let mut case = Case::happy();
    for (number, (action, phase)) in of.iter().enumerate() {
        let number_then = i64::try_from(number).unwrap();
        let mut operation = finished(&case, number_then, *action, *phase);
        change(number, &mut operation);
        case = case.operation(operation);
    }
    case.decide().forget
}

const LINKED: (Action, Phase) = (Action::Link, Phase::Succeeded);
const VOID: (Action, Phase) = (Action::Link, Phase::Void);
const RESET: (Action, Phase) = (Action::Reset, Phase::Succeeded);
const NOT_RESET: (Action, Phase) = (Action::Reset, Phase::Failed);

#[test]
fn void_plans_are_pruned_first_and_the_newest_operation_never() {
    let mut history = vec![LINKED; 5];
    history.extend([VOID; 2]);
    history.extend([LINKED; 5]);
    assert_eq!(forgotten(&history, |_, _| {}), ["Link-05", "Link-06"]);
    let mut history = vec![LINKED; 11];
    history.push(VOID);
    assert_eq!(forgotten(&history, |_, _| {}), ["Link-00", "Link-01"]);
}

#[test]
fn the_proof_of_which_solution_brings_which_map_is_kept() {
    let mut history = vec![RESET, RESET];
    history.extend([LINKED; 10]);
    let proves = |number: usize, operation: &mut KnownOperation| {
        if number < 2 {
            operation.status.steps.iter_mut().for_each(|step| {
                if step.name.starts_with("solution/") {
                    step.state = StepState::Done;
                    step.maps = vec!["customers".into()];
                }
            });
        }
    };
    assert_eq!(forgotten(&history, proves), ["Reset-00", "Link-02"]);
    assert_eq!(forgotten(&history, |_, _| {}), ["Reset-00", "Reset-01"]);
}

#[test]
fn backups_of_resets_that_did_not_succeed_are_kept() {
    let mut history = vec![NOT_RESET, RESET];
    history.extend([LINKED; 10]);
    let backed_up = |number: usize, operation: &mut KnownOperation| {
        if number < 2 {
            operation.status.backup = Some(Backup {
                config_maps: vec!["contoso-uat-backup".into()],
                sha256: String::new(),
            });
        }
    };
    assert_eq!(forgotten(&history, backed_up), ["Reset-01", "Link-02"]);
}

#[test]
fn a_rejected_plan_is_kept_for_as_long_as_it_keeps_its_facts_from_being_planned_again() {
    let mut history = vec![(Action::Reset, Phase::Void)];
    history.extend([LINKED; 11]);
    let rejected = |number: usize, operation: &mut KnownOperation| {
        if number == 0 {
            operation.spec.approval = Approval::Rejected;
        }
    };
    assert_eq!(forgotten(&history, rejected), ["Link-01", "Link-02"]);
}

// ---- a stop that its connection's deletion has asked for ----

fn stop_of_a_deletion() -> Scene {
    let mut stop = planned_stop();
    stop.created = start();
    stop.spec.options.on_deletion = true;
    Scene::of(stop).with(|scene| {
        scene.owner = Owner::Gone;
        scene.observed.link = link_to(E);
        scene.observed.maps = Fact::Known(some_maps());
    })
}

#[test]
fn a_stop_of_a_deletion_waits_for_whoever_takes_over() {
    let scene = stop_of_a_deletion();
    waits(&scene.next());
    assert_eq!(scene.wait(), Some(SETTLE.as_secs()));
    let settled = scene.with(|scene| {
        scene.now = after(start(), SETTLE);
        scene.observed.began = scene.now;
    });
    assert!(settled.next().send.is_some());
    let replaced = settled.with(|scene| scene.owner = Owner::Replaced);
    ends(
        &replaced.next(),
        Phase::Void,
        &["another DualWriteConnection manages"],
    );
}

/// What was certainly refused cannot land, so nobody waits for it.
#[test]
fn a_stop_that_is_refused_ends_at_once() {
    let scene = stop_of_a_deletion().with(|scene| {
        scene.now = after(start(), SETTLE);
        scene.observed.began = scene.now;
    });
    let refused = scene.sent(&Sent::Refused(refused("403.")));
    assert_eq!(refused.operation.status.phase, Some(Phase::Failed));
}

#[test]
fn a_plan_whose_connection_was_replaced_is_void() {
    let scene = Scene::link().with(|scene| scene.owner = Owner::Replaced);
    ends(&scene.next(), Phase::Void, &["the connection is gone"]);
}

// ---- a plan that no operation can carry ----

#[test]
fn no_reset_is_planned_that_takes_more_bytes_than_an_operation_holds() {
    let long = |length: usize| {
        let maps = (0..900).map(|number| {
            let name = format!("{number:03}{}", "x".repeat(length));
            map(&name, MapState::Running)
        });
        to_reset().maps(maps.collect()).settled()
    };
    let decision = long(400).decide();
    assert_eq!(decision.effect, None);
    reads(
        &decision,
        Ready,
        &["more names than one operation can carry"],
    );
    assert_eq!(creates(&long(10).decide()), Some(Action::Reset));
}

// ---- a witness that another read contradicts ----

/// A link of the host is shown, though S or its Dataverse belongs to another host.
fn contradicted() -> [Case; 3] {
    let taken = Environment {
        finance_operations: Some(named(OTHER_HOST)),
        ..spec_environment()
    };
    [
        Case::happy().environment(taken).dataverse(Some(OTHER_HOST)),
        Case::happy().dataverse(Some(OTHER_HOST)),
        Case::nothing().link(link_to(E)).dataverse(Some(OTHER_HOST)),
    ]
}

/// Whether the status of a case makes a claim.
fn claims(case: &Case) -> bool {
    let mut connection = manifest();
    connection["status"] = serde_json::to_value(&case.memory).unwrap();
    Claim::of(&serde_json::from_value(connection).unwrap()).is_some()
}

fn of_another_namespace() -> Claim {
    Claim {
        name: "fabrikam-uat".into(),
        namespace: "fabrikam".into(),
        uid: "22222222-0000-4000-8000-000000000001".into(),
        created: "2026-02-01T00:00:00Z".parse().unwrap(),
    }
}

#[test]
fn a_link_that_the_own_environment_contradicts_claims_nothing() {
    for case in contradicted() {
        assert!(!claims(&case.clone().settled()), "{:?}", case.observed);
        // Nor does what was seen before, or a pass in which nothing answers.
        let before = Case::happy().later(SETTLE);
        assert!(claims(&before));
        let since = before.seeing(&case).later(SETTLE);
        assert!(!claims(&since));
        assert!(!claims(&since.blind(&down()).later(SETTLE)));
    }
}

#[test]
fn a_link_claims_nothing_while_what_contradicted_it_does_not_answer() {
    for case in contradicted() {
        let outage = case.settled().with(|case| {
            case.observed.environment = Fact::Unknown(down());
            case.observed.dataverse = Fact::Unknown(down());
        });
        assert!(!claims(&outage.clone().later(SETTLE)));
        // Once it answers otherwise, the host is seen.
        let mended = outage.seeing(&Case::happy());
        assert!(claims(&mended.later(SETTLE)));
    }
}

#[test]
fn a_link_alone_claims_where_nothing_contradicts_it() {
    let alone = Case::happy().with(|case| {
        case.observed.environment = Fact::Unknown(refused("403."));
        case.observed.tenant = Fact::Unknown(refused("403."));
        case.observed.dataverse = Fact::Unknown(busy());
    });
    assert!(claims(&alone.later(SETTLE)));
    let not_integrated = Case::nothing().link(link_to(S));
    assert!(claims(&not_integrated.later(SETTLE)));
}

#[test]
fn whoever_is_contradicted_learns_nothing_of_another_namespace() {
    let mut foreign = in_phase(planned_link(), Phase::Running, start());
    foreign.spec.connection.uid = "another".into();
    foreign.namespace = "fabrikam".into();
    for case in contradicted() {
        let alone = case.settled();
        let beside = alone
            .clone()
            .operation(foreign.clone())
            .with(|case| case.rivals.push(of_another_namespace()));
        assert_eq!(beside.decide(), alone.decide());
    }
}

/// Whom it may not know of it must not disturb.
#[test]
fn whoever_is_contradicted_stops_no_maps() {
    for case in contradicted() {
        let case = with_stop_of_a_mix(case.link(link_to(E)).maps(some_maps()));
        assert_eq!(case.clone().settled().decide().effect, None);
        let deleted = case.with(|case| {
            case.desired.deletion_policy = DeletionPolicy::StopMaps;
            case.desired.confirms_stop = true;
            case.desired.deleting = true;
            case.rivals.push(of_another_namespace());
        });
        let Deletion::Release(event) = deletion_of(&deleted) else {
            panic!("the maps are stopped, or waited for")
        };
        assert!(event.warning);
        let why = "integrated with another finance and operations environment";
        assert!(event.note.contains(why), "{}", event.note);
    }
}

fn deletion_of(case: &Case) -> Deletion {
    deletion::decide(&case.world(), case.now)
}
