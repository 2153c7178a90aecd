//! The overlay of a sandbox that is linked with production: told every day and, if the spec says so, its maps are stopped.

use crate::support::*;
use dualwrite_api::{
    Reason,
    conditions::ConditionType::{LinkingMismatch, Ready, Reconciling, Stalled},
    connection::{MismatchPolicy, MixPolicy, Mode},
    operation::{Action, Approval, MapState, Phase},
};
use dualwrite_plan::{
    decision::{Decision, Effect},
    observed::{Environment, Fact, LinkView, SpecEnvironment},
    verdict::Row,
    world::KnownOperation,
};

fn creates(decision: &Decision) -> Option<Action> {
    match &decision.effect {
        Some(Effect::Create { spec, .. }) => Some(spec.action),
        _ => None,
    }
}

const STOP: Option<Action> = Some(Action::StopMaps);

/// The operation has ended, and its end was seen.
fn ended(case: Case, mut operation: KnownOperation, phase: Phase) -> Case {
    operation = in_phase(operation, phase, case.now);
    case.operation(operation).later(seconds(1))
}

// ---- when maps are stopped ----

#[test]
fn the_maps_of_a_mix_are_stopped_when_a_second_look_agrees() {
    let first = mixed().decide();
    assert_eq!((creates(&first), mixed().wait(&first)), (None, SETTLE));
    let almost = mixed().later(SETTLE - seconds(1));
    assert_eq!(creates(&almost.decide()), None);
    let case = almost.later(seconds(1));
    let decision = case.decide();
    expect(
        &decision,
        Row::LinkedElsewhere,
        &[
            (Ready, "False/DifferentDestination"),
            (Reconciling, "True/StoppingMaps"),
            (Stalled, "-"),
            (LinkingMismatch, "True/SandboxProductionMix"),
        ],
    );
    let plan = case.planned().spec;
    assert_eq!(
        (plan.action, plan.approval),
        (Action::StopMaps, Approval::NotRequired)
    );
    assert_eq!(plan.target.environment_id, E);
    assert_eq!(plan.steps[0].maps, ["currencies", "customers", "groups"]);
    insta::assert_snapshot!("stop", show(&decision, case.now));
    insta::assert_snapshot!("stop_plan", show_plan(&plan));
}

#[test]
fn a_link_that_has_been_there_for_long_is_no_second_look_at_a_mix() {
    // The link is old; that its other end is for production is seen for the first time.
    let old = Case::happy()
        .link(link_to(E))
        .maps(some_maps())
        .with(|case| case.desired.mismatch.on_mix = MixPolicy::StopMaps)
        .later(hours(5));
    let case = old.with(|case| case.tenant().linked = Some(in_production(other_environment())));
    assert_eq!(creates(&case.decide()), None);
    let almost = case.later(SETTLE - seconds(1));
    assert_eq!(creates(&almost.decide()), None);
    assert_eq!(creates(&almost.later(seconds(1)).decide()), STOP);
}

#[test]
fn another_link_is_looked_at_twice_again() {
    let case = mixed().settled();
    assert_eq!(creates(&case.decide()), STOP);
    let other = case.with(|case| {
        let LinkView::To(link) = &mut case.observed.link else {
            panic!()
        };
        link.connection_set_id = "cs-0002".into();
    });
    assert_eq!(creates(&other.decide()), None);
    let almost = other.later(SETTLE - seconds(1));
    assert_eq!(creates(&almost.decide()), None);
    assert_eq!(creates(&almost.later(seconds(1)).decide()), STOP);
}

#[test]
fn only_maps_that_pass_something_on_are_stopped() {
    for (state, expected) in [
        (MapState::Running, STOP),
        (MapState::Paused, STOP),
        (MapState::Other, STOP),
        (MapState::Stopped, None),
        (MapState::None, None),
        (MapState::NotRunning, None),
    ] {
        let case = mixed().maps(vec![map("customers", state)]).settled();
        assert_eq!(creates(&case.decide()), expected, "{state}");
    }
    for case in [mixed().maps(vec![]), mixed().maps_unknown(down())] {
        assert_eq!(creates(&case.settled().decide()), None);
    }
}

#[test]
fn nothing_is_stopped_unless_somebody_has_asked() {
    type Unasked = fn(&mut Case);
    let unasked: [Unasked; 4] = [
        |case| case.desired.mismatch.on_mix = MixPolicy::Report,
        |case| case.desired.mode = Mode::Observe,
        |case| case.settings.observe_only = true,
        |case| case.desired.suspend = true,
    ];
    for unasked in unasked {
        assert_eq!(creates(&mixed().with(unasked).settled().decide()), None);
    }
}

#[test]
fn an_unknown_tier_stops_nothing() {
    let unknown = |case: &mut Case| {
        case.tenant().linked.as_mut().unwrap().kind = "Default".into();
    };
    assert_eq!(creates(&mixed().with(unknown).settled().decide()), None);
    let unseen = |case: &mut Case| case.tenant().linked = None;
    assert_eq!(creates(&mixed().with(unseen).settled().decide()), None);
}

#[test]
fn maps_are_stopped_over_any_row_in_which_the_operator_may_act() {
    let mix = |case: Case| {
        case.maps(some_maps()).with(|case| {
            case.desired.mismatch.on_mix = MixPolicy::StopMaps;
            if let LinkView::To(link) = &case.observed.link
                && link.environment_id == E
            {
                case.tenant().linked = Some(in_production(other_environment()));
            }
        })
    };
    let cases = [
        (mix(Case::happy().link(link_to(E))), Row::LinkedElsewhere),
        (
            mix(Case::happy().environment(in_production(spec_environment()))),
            Row::Connected,
        ),
        (
            mix(Case::nothing().link(link_to(E))),
            Row::LinkedWithoutIntegration,
        ),
        (
            mix(Case::happy().integrated_elsewhere().link(link_to(E))),
            Row::IntegratedElsewhere,
        ),
    ];
    for (case, row) in cases {
        let decision = case.settled().decide();
        assert_eq!((decision.row, creates(&decision)), (Some(row), STOP));
        reads(&decision, Ready, &["the table maps are being stopped"]);
        expect(&decision, row, &[(Reconciling, "True/StoppingMaps")]);
    }
}

#[test]
fn nothing_is_stopped_while_something_else_comes_first() {
    let ready = mixed().settled();
    assert_eq!(creates(&ready.decide()), STOP);
    let occupied = ready
        .clone()
        .operation(in_phase(planned_setup(), Phase::Running, start()));
    assert_eq!(occupied.decide().row, Some(Row::Occupied));
    let refused = ready
        .clone()
        .with(|case| case.observed.credentials = Fact::Unknown(refused("AADSTS7000222.")));
    assert_eq!(refused.decide().row, Some(Row::CredentialsRefused));
    let conflict = ready.clone().with(|case| {
        case.rivals = vec![dualwrite_plan::world::Claim {
            name: "fabrikam-uat".into(),
            namespace: "contoso".into(),
            uid: "older".into(),
            created: "2020-01-01T00:00:00Z".parse().unwrap(),
        }];
    });
    assert_eq!(conflict.decide().row, Some(Row::Conflict));
    for case in [occupied, refused, conflict] {
        assert_eq!(creates(&case.decide()), None);
    }
}

// ---- before a reset ----

#[test]
fn maps_are_stopped_before_a_reset_is_planned() {
    let case = with_policy_reset(mixed()).details(some_details()).settled();
    assert_eq!(creates(&case.decide()), STOP);
    let planned = case.planned();
    let stopped = ["currencies", "customers", "groups"].map(|name| map(name, MapState::Stopped));
    let after = ended(case.maps(stopped.to_vec()), planned, Phase::Succeeded);
    assert_eq!(creates(&after.decide()), None);
    let settled = after.later(seconds(1)).settled();
    assert_eq!(creates(&settled.decide()), Some(Action::Reset));
}

#[test]
fn a_reset_that_waits_for_approval_gives_way_to_the_stop() {
    let case = to_reset()
        .with(|case| case.desired.mismatch.on_mix = MixPolicy::StopMaps)
        .settled()
        .waiting_for_approval();
    // Its patience is over; that is not what is said now.
    let case = case
        .later(hours(8 * 24))
        .with(|case| case.tenant().linked = Some(in_production(other_environment())))
        .settled();
    let decision = case.decide();
    assert_eq!(
        voided(&decision),
        "Never started: the table maps are stopped first, because sandbox and production are mixed; it is planned again \
         afterwards."
    );
    expect(
        &decision,
        Row::LinkedElsewhere,
        &[(Reconciling, "True/StoppingMaps"), (Stalled, "-")],
    );
}

// ---- after a stop ----

#[test]
fn a_read_from_before_the_end_of_a_stop_starts_no_other() {
    let case = mixed().settled();
    let planned = case.planned();
    let mut after = case
        .clone()
        .operation(in_phase(planned, Phase::Succeeded, case.now));
    after.now = dualwrite_plan::world::after(case.now, seconds(5));
    after.operations[0].status.finished_at = Some(after.now);
    assert_eq!(creates(&after.decide()), None);
}

#[test]
fn maps_that_somebody_starts_again_are_stopped_again_under_another_name() {
    let case = mixed().settled();
    let planned = case.planned();
    let first = planned.name.clone();
    let again = ended(case, planned, Phase::Succeeded);
    // The list may still show what was before the stop.
    assert_eq!(again.decide().effect, None);
    let second = again.settled().planned();
    assert_eq!(second.spec.action, Action::StopMaps);
    assert_ne!(second.name, first);
}

/// Every row over which maps may be stopped, and whose stop has failed.
fn failed_stops() -> Vec<Case> {
    let elsewhere = mixed();
    let without = mixed().seeing(&Case::nothing().link(link_to(E)).maps(some_maps()));
    let other = mixed().seeing(
        &Case::happy()
            .integrated_elsewhere()
            .link(link_to(E))
            .maps(some_maps()),
    );
    [elsewhere, without, other]
        .map(|case| {
            let case = case.with(|case| {
                case.tenant().linked = Some(in_production(other_environment()));
            });
            let case = case.settled();
            let planned = case.planned();
            ended(case, planned, Phase::Failed).settled()
        })
        .into()
}

#[test]
fn a_failed_stop_is_said_and_not_tried_again_by_itself() {
    for case in failed_stops() {
        let mut case = case;
        for _ in 0..3 {
            let decision = case.decide();
            assert_eq!(creates(&decision), None, "{:?}", decision.row);
            let row = decision.row.unwrap();
            let expected = [
                (Ready, "False/MapsNotStopped"),
                (Stalled, "True/MapsNotStopped"),
                (LinkingMismatch, "True/SandboxProductionMix"),
            ];
            expect(&decision, row, &expected);
            let delete = format!("kubectl delete dwo {} -n contoso", case.operations[0].name);
            reads(&decision, Ready, &[&delete, "dualwrite.dev/reconcile-at"]);
            case = case.settled();
        }
        let asked = case
            .clone()
            .with(|case| case.desired.reconcile_at = Some("now".into()));
        assert_eq!(creates(&asked.decide()), STOP);
        let edited = case.clone().new_generation().settled();
        assert_eq!(creates(&edited.decide()), STOP);
        // Released.
        let released = case.with(|case| case.operations.clear());
        assert_eq!(creates(&released.decide()), STOP);
    }
}

#[test]
fn a_failed_stop_does_not_matter_once_nothing_is_passed_on() {
    for case in failed_stops() {
        let stopped = case.clone().maps(vec![map("customers", MapState::Stopped)]);
        assert_ne!(word(&stopped.decide(), Ready), "False/MapsNotStopped");
        let unmixed = case.with(|case| case.tenant().linked = Some(other_environment()));
        assert_ne!(word(&unmixed.decide(), Ready), "False/MapsNotStopped");
    }
}

// ---- telling ----

fn told(decision: &Decision) -> usize {
    let mix = decision
        .events
        .iter()
        .filter(|event| event.reason == Reason::SandboxProductionMix);
    mix.inspect(|event| assert!(event.warning)).count()
}

fn only_told() -> Case {
    mixed().with(|case| case.desired.mismatch.on_mix = MixPolicy::Report)
}

#[test]
fn a_mix_is_told_at_once_and_then_every_day() {
    let mut case = only_told();
    let first = case.decide();
    assert_eq!(told(&first), 1);
    assert_eq!(first.status.mix_told_at, Some(start()));
    let mut times = 0;
    for _ in 0..(3 * 24 * 12) {
        case = case.later(INTERVAL);
        times += told(&case.decide());
    }
    assert_eq!(times, 3);
}

#[test]
fn a_mix_is_told_after_a_day_and_not_before() {
    let case = only_told().later(hours(24) - seconds(1));
    assert_eq!(told(&case.decide()), 0);
    assert_eq!(case.decide().status.mix_told_at, Some(start()));
    let case = case.later(seconds(1));
    assert_eq!(told(&case.decide()), 1);
    assert_eq!(case.decide().status.mix_told_at, Some(case.now));
}

#[test]
fn a_mix_that_ends_and_begins_again_is_told_again() {
    let case = only_told().later(hours(1));
    let over = case
        .clone()
        .with(|case| case.tenant().linked = Some(other_environment()));
    assert_eq!(over.decide().status.mix_told_at, None);
    let again = over.later(hours(1)).seeing(&case);
    assert_eq!(told(&again.decide()), 1);
}

#[test]
fn a_mix_that_is_not_seen_for_a_while_is_not_told_anew() {
    let case = only_told().later(hours(1));
    let unseen = case.clone().link(LinkView::HostDown("502".into()));
    assert_eq!(unseen.decide().status.mix_told_at, Some(start()));
    let again = unseen.later(hours(1)).seeing(&case);
    assert_eq!(told(&again.decide()), 0);
}

#[test]
fn a_blip_of_the_list_of_environments_tells_nothing_anew() {
    let case = only_told().later(hours(1));
    let blind = case
        .clone()
        .with(|case| case.observed.tenant = Fact::Unknown(down()));
    assert_eq!(told(&blind.decide()), 0);
    let again = blind.later(INTERVAL).seeing(&case);
    assert_eq!(told(&again.decide()), 0);
}

#[test]
fn a_report_of_a_mix_names_the_way_out_of_it() {
    let decision = only_told().decide();
    reads(
        &decision,
        LinkingMismatch,
        &["stop the maps on the Dual-write page", "mismatch.onMix"],
    );
    let asked = mixed().decide();
    reads(&asked, LinkingMismatch, &["is to be stopped until"]);
}

#[test]
fn a_production_that_is_linked_with_a_sandbox_is_a_mix_too() {
    let case = of_host(mixed(), PRODUCTION)
        .with(|case| {
            case.observed.environment = Fact::Known(SpecEnvironment::Visible(Environment {
                finance_operations: Some(named(PRODUCTION)),
                ..in_production(spec_environment())
            }));
            case.tenant().naming_host.clear();
            case.tenant().linked = Some(other_environment());
            case.desired.mismatch.policy = MismatchPolicy::Report;
        })
        .dataverse(Some(PRODUCTION))
        .settled();
    assert_eq!(creates(&case.decide()), STOP);
}
