//! What the plan of a reset says.

use crate::rows_approval::{allowed, automatic, on_host};
use crate::support::*;
use dualwrite_api::{
    DualWriteOperationSpec,
    conditions::ConditionType::Ready,
    connection::{ApprovalPolicy, IntegrationKind, StartMaps},
    operation::{Approval, MapState, Phase, StepState, StepStatus},
};
use dualwrite_plan::{maps::ConnectionSetDetails, observed::Fact, operation};

fn plan(case: Case) -> DualWriteOperationSpec {
    case.settled().planned().spec
}

fn as_before(case: Case) -> Case {
    case.with(|case| case.desired.mismatch.start_maps = StartMaps::AsBefore)
}

fn names(plan: &DualWriteOperationSpec) -> Vec<&str> {
    plan.steps.iter().map(|step| step.name.as_str()).collect()
}

/// The maps that a step names.
fn maps_of<'a>(plan: &'a DualWriteOperationSpec, step: &str) -> Vec<&'a str> {
    let step = plan.steps.iter().find(|planned| planned.name == step);
    step.unwrap().maps.iter().map(String::as_str).collect()
}

#[track_caller]
fn loses(plan: &DualWriteOperationSpec, part: &str) {
    assert!(
        plan.losses.iter().any(|loss| loss.contains(part)),
        "'{part}' in {:#?}",
        plan.losses
    );
}

#[track_caller]
fn does_not_lose(plan: &DualWriteOperationSpec, part: &str) {
    assert!(
        !plan.losses.iter().any(|loss| loss.contains(part)),
        "'{part}' in {:#?}",
        plan.losses
    );
}

// ---- the steps ----

#[test]
fn maps_stay_stopped_after_the_destination_has_changed() {
    let plan = plan(to_reset());
    assert_eq!(
        names(&plan),
        [
            "backup",
            "stop-maps",
            "reset",
            "solution/DualWriteBase",
            "solution/ContosoMaps",
            "integration-keys",
            "initialise-maps",
            "map-versions",
            "verify",
            "by-person",
        ]
    );
    assert_eq!(
        maps_of(&plan, "stop-maps"),
        ["currencies", "customers", "groups"]
    );
    insta::assert_snapshot!("never", show_plan(&plan));
}

#[test]
fn maps_are_started_in_the_order_of_their_prerequisites_if_the_spec_says_so() {
    let plan = plan(as_before(to_reset()));
    assert_eq!(
        names(&plan)[8..],
        [
            "start-maps/1",
            "start-maps/2",
            "start-maps/3",
            "pause-maps",
            "verify",
        ]
    );
    assert_eq!(maps_of(&plan, "start-maps/1"), ["currencies"]);
    assert_eq!(maps_of(&plan, "start-maps/2"), ["groups"]);
    assert_eq!(maps_of(&plan, "start-maps/3"), ["customers"]);
    assert_eq!(maps_of(&plan, "pause-maps"), ["groups"]);
    assert!(plan.steps.iter().all(|step| !step.needs_person));
    insta::assert_snapshot!("as_before", show_plan(&plan));
}

#[test]
fn only_the_reset_itself_destroys_and_only_the_last_step_is_a_persons() {
    for case in [to_reset(), as_before(to_reset())] {
        let plan = plan(case);
        for step in &plan.steps {
            assert_eq!(step.destructive, step.name == "reset");
            assert_eq!(step.needs_person, step.name == "by-person");
            assert!(!step.usually_takes.is_empty());
        }
    }
}

#[test]
fn a_link_without_maps_solutions_and_keys_has_a_short_plan() {
    let bare = with_policy_reset(Case::happy().link(link_to(E)));
    for case in [bare.clone(), as_before(bare)] {
        let plan = plan(case);
        assert_eq!(
            names(&plan),
            [
                "backup",
                "stop-maps",
                "reset",
                "initialise-maps",
                "map-versions",
                "verify"
            ]
        );
        assert_eq!(
            plan.steps[1].what,
            format!("Making sure that no table map of {HOST} runs")
        );
        does_not_lose(&plan, "May not come back");
        does_not_lose(&plan, "queued");
    }
}

#[test]
fn a_map_that_did_not_run_is_neither_stopped_nor_started() {
    let idle = vec![
        map("a", MapState::Stopped),
        map("b", MapState::None),
        map("c", MapState::NotRunning),
    ];
    let plan = plan(as_before(to_reset().maps(idle)));
    assert!(maps_of(&plan, "stop-maps").is_empty());
    assert!(!names(&plan).iter().any(|name| name.contains("start")));
    // What is unknown may pass changes on; nobody knows that it ran.
    let odd = vec![map("a", MapState::Other)];
    let plan = self::plan(as_before(to_reset().maps(odd)));
    assert_eq!(maps_of(&plan, "stop-maps"), ["a"]);
    assert!(!names(&plan).iter().any(|name| name.contains("start")));
}

#[test]
fn a_map_that_is_there_twice_is_started_once() {
    let twice = vec![map("a", MapState::Running), map("a", MapState::Running)];
    let plan = plan(as_before(to_reset().maps(twice)));
    assert_eq!(maps_of(&plan, "start-maps/1"), ["a"]);
    assert_eq!(maps_of(&plan, "stop-maps"), ["a"]);
    assert_eq!(plan.relies_on.maps.len(), 2);
}

#[test]
fn a_solution_that_is_listed_twice_is_applied_once() {
    let twice = ["Base", "Maps", "Base"].map(str::to_owned).to_vec();
    let plan = plan(to_reset().with(|case| case.observed.details.solutions = Fact::Known(twice)));
    assert_eq!(names(&plan)[3..5], ["solution/Base", "solution/Maps"]);
    assert_eq!(names(&plan)[5], "integration-keys");
}

#[test]
fn one_of_a_thing_is_not_many() {
    let one = |state| as_before(to_reset().maps(vec![map("a", state)]));
    let plan = plan(one(MapState::Paused));
    let what: Vec<&str> = plan.steps.iter().map(|step| step.what.as_str()).collect();
    assert_eq!(
        what[1],
        format!("Stopping the one table map of {HOST} that runs or is paused")
    );
    assert!(what.contains(&"Setting 1 integration key as before"));
    assert!(what.contains(&"Starting 1 table map without initial sync, group 1"));
    assert!(what.contains(&"Pausing 1 table map as before"));
}

#[test]
fn the_time_of_a_plan_grows_with_its_steps_and_ends_at_a_day() {
    let short = plan(to_reset());
    assert_eq!(short.timeout, format!("{}s", 10 * 15 * 60));
    assert_eq!(short.options.step_timeout, "900s");
    let many = (0..150).map(|number| format!("Solution{number}")).collect();
    let long = plan(to_reset().with(|case| case.observed.details.solutions = Fact::Known(many)));
    assert_eq!(long.timeout, format!("{}s", 24 * 3600));
}

// ---- the losses ----

#[test]
fn what_is_lost_is_said() {
    let plan = plan(to_reset());
    for part in [
        "permanent: no reset leads back to 'Contoso Production'",
        "Alert settings, the activity log and the history of initial syncs",
        "no solution is proven to bring them: currencies, customers, groups, units, vendors.",
        "from the stop of the maps until you start them",
        "queued for paused maps are dropped: groups.",
        "Rows that exist only in 'Contoso Production'",
        "Reference data that 'Contoso UAT'",
        "link.legalEntities lacks them: FRRT.",
        "only the dual-write account of this connection (spec.dualWriteService)",
    ] {
        loses(&plan, part);
    }
    for part in ["mismatch.force", "not visible"] {
        does_not_lose(&plan, part);
    }
}

#[test]
fn what_a_spec_asks_for_has_its_price() {
    let forced = plan(to_reset().with(|case| case.desired.mismatch.force = true));
    loses(&forced, "reset while it runs (mismatch.force)");
    assert!(forced.options.force);
    let started = plan(as_before(to_reset()));
    loses(&started, "between the stop and the start of the maps");
    assert!(started.options.start_maps);
}

#[test]
fn a_destination_that_is_not_visible_may_be_gone() {
    let unseen = plan(to_reset().with(|case| case.tenant().linked = None));
    loses(&unseen, "only Microsoft can help");
    let set = unseen.relies_on.connection_set.unwrap();
    assert!(!set.environment_visible);
}

#[test]
fn companies_that_stay_are_not_lost_whatever_their_casing() {
    let case = to_reset().with(|case| {
        case.observed.details.connection_set = Fact::Known(ConnectionSetDetails {
            legal_entities: vec!["usmf".into(), "demf".into()],
            ..ConnectionSetDetails::default()
        });
    });
    does_not_lose(&plan(case), "companies");
}

#[test]
fn many_maps_are_several_losses_and_few_names_in_a_condition() {
    let many = (0..120)
        .map(|number| map(&format!("map{number:03}"), MapState::Running))
        .collect();
    let case = to_reset().maps(many).settled();
    let plan = case.planned().spec;
    let unproven = plan
        .losses
        .iter()
        .filter(|loss| loss.starts_with("May not come back"));
    assert_eq!(unproven.count(), 3);
    loses(&plan, "map119.");
    let said = message(&case.decide(), Ready);
    assert!(said.contains("map009 and 110 more"), "{said}");
}

/// An earlier reset, whose step for this solution has brought these maps.
fn proof(solution: &str, maps: &[&str]) -> dualwrite_plan::world::KnownOperation {
    let mut earlier = in_phase(planned_reset(), Phase::Failed, start());
    earlier.name = format!("earlier-{solution}");
    earlier.uid.clone_from(&earlier.name);
    earlier.spec.connection.generation = 0;
    earlier.status.steps = vec![StepStatus {
        state: StepState::Done,
        maps: maps.iter().map(|name| (*name).to_owned()).collect(),
        ..StepStatus::pending(&format!("solution/{solution}"))
    }];
    earlier
}

#[test]
fn a_solution_that_was_seen_to_bring_a_map_is_proven_to() {
    let case = to_reset().operation(proof("ContosoMaps", &["customers", "groups"]));
    let plan = plan(case.later(seconds(1)));
    let proven: Vec<_> = plan
        .relies_on
        .maps
        .iter()
        .map(|map| (map.name.as_str(), map.solution.as_deref()))
        .collect();
    assert_eq!(
        proven,
        [
            ("currencies", None),
            ("customers", Some("ContosoMaps")),
            ("groups", Some("ContosoMaps")),
            ("units", None),
            ("vendors", None),
        ]
    );
    loses(&plan, "to bring them: currencies, units, vendors.");
}

#[test]
fn the_newest_proof_counts() {
    let newer = |mut operation: dualwrite_plan::world::KnownOperation| {
        operation.created = crate::support::start();
        operation
    };
    let mut older = proof("DualWriteBase", &["customers"]);
    older.created = start() - jiff::SignedDuration::from_hours(1);
    for operations in [
        vec![older.clone(), newer(proof("ContosoMaps", &["customers"]))],
        vec![newer(proof("ContosoMaps", &["customers"])), older],
    ] {
        let case = to_reset().with(|case| case.operations = operations);
        let plan = plan(case.later(seconds(1)));
        let customers = &plan.relies_on.maps[1];
        assert_eq!(customers.solution.as_deref(), Some("ContosoMaps"));
    }
}

#[test]
fn a_solution_that_is_not_offered_any_more_proves_nothing() {
    let case = to_reset().operation(proof("Gone", &["customers"]));
    let plan = plan(case.later(seconds(1)));
    assert_eq!(plan.relies_on.maps[1].solution, None);
    loses(&plan, "customers");
}

// ---- its name ----

/// A plan that somebody has read and let go of: whatever it would do otherwise the next time, it has another name.
#[test]
fn the_name_of_a_plan_comes_from_all_that_it_would_do() {
    let planned = to_reset().settled().planned();
    let changes: [fn(&mut Case); 6] = [
        |case| case.desired.mismatch.force = true,
        |case| case.desired.mismatch.start_maps = StartMaps::AsBefore,
        |case| case.desired.mismatch.approval = ApprovalPolicy::Automatic,
        |case| case.desired.mismatch.approval_timeout = "2h".into(),
        |case| case.desired.link_timeout = minutes(20),
        |case| case.desired.credentials.tenant_id.push('0'),
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let other = to_reset().with(change).settled().planned();
        assert_ne!(other.name, planned.name, "{index}");
        assert!(
            !operation::does_the_same(&other.spec, &planned.spec),
            "{index}"
        );
    }
    let elsewhere = to_reset().with(|case| {
        let secret = case.desired.credentials.secret_ref.as_mut().unwrap();
        secret.name.push_str("-2");
        case.desired.generation += 1;
    });
    assert_eq!(elsewhere.settled().planned().name, planned.name);
}

#[test]
fn the_order_in_which_solutions_are_listed_is_no_fact() {
    let turned = |case: &mut Case| {
        let Fact::Known(solutions) = &mut case.observed.details.solutions else {
            panic!("they are known")
        };
        solutions.reverse();
    };
    let waiting = to_reset().settled().waiting_for_approval();
    assert_eq!(waiting.clone().with(turned).decide().effect, None);
    let rejected = waiting.with(|case| {
        let operation = in_phase(case.operations[0].clone(), Phase::Void, case.now);
        case.operations[0] = operation;
        case.operations[0].spec.approval = Approval::Rejected;
        turned(case);
    });
    let decision = rejected.later(SETTLE).decide();
    assert_eq!(
        (decision.effect.clone(), word(&decision, Ready)),
        (None, "False/PlanRejected".into())
    );
}

/// As long as it has not started: its owner must not be taken for one that still asks for it.
#[test]
fn what_needs_allow_production_is_not_asked_for_without_it() {
    let production = on_host(PRODUCTION, IntegrationKind::LifecycleServices, "Production");
    let case = allowed(production).settled();
    let plan = case.planned().spec;
    assert!(operation::is_asked_for(&case.desired, &plan));
    let taken = case.with(|case| case.desired.mismatch.allow_production = false);
    assert!(!operation::is_asked_for(&taken.desired, &plan));
    // Where nothing is production nobody needs it.
    let sandbox = automatic(to_reset()).settled();
    assert!(operation::is_asked_for(
        &sandbox.desired,
        &sandbox.planned().spec
    ));
}
