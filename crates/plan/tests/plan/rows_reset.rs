//! Row 16 with policy Reset: the life of a plan, from the first sight of a link that is elsewhere to its approval.

use crate::support::*;
use dualwrite_api::{
    conditions::ConditionType::{Linked, LinkingMismatch, Ready, Reconciling, Stalled},
    connection::{FailureClass, Mode, StartMaps},
    operation::{Action, Approval, MapState, Phase},
};
use dualwrite_plan::{
    maps::{LinkDetails, TableMap},
    observed::{Environment, Fact, LinkView, Problem},
    verdict::Row,
    world::KnownOperation,
};

/// A plan exists, waits for approval, and was seen to wait.
fn waiting() -> Case {
    to_reset().settled().waiting_for_approval()
}

fn change_map(case: &mut Case, name: &str, change: impl FnOnce(&mut TableMap)) {
    let Fact::Known(maps) = &mut case.observed.maps else {
        panic!("maps are unknown")
    };
    change(maps.iter_mut().find(|map| map.name == name).unwrap());
}

fn details(case: &mut Case) -> &mut LinkDetails {
    &mut case.observed.details
}

fn known<T>(fact: &mut Fact<T>) -> &mut T {
    match fact {
        Fact::Known(value) => value,
        Fact::Unknown(problem) => panic!("{problem:?}"),
    }
}

// ---- to the plan ----

#[test]
fn nothing_is_planned_at_first_sight() {
    let case = to_reset();
    let decision = case.decide();
    expect(
        &decision,
        Row::LinkedElsewhere,
        &[
            (Ready, "False/DifferentDestination"),
            (Reconciling, "True/AwaitingApproval"),
            (Stalled, "-"),
            (Linked, "False/LinkedElsewhere"),
            (LinkingMismatch, "True/DifferentDestination"),
        ],
    );
    assert_eq!(
        (decision.effect.clone(), case.wait(&decision)),
        (None, SETTLE)
    );
    insta::assert_snapshot!("first_sight", show(&decision, case.now));
}

#[test]
fn a_reset_is_planned_when_a_second_look_agrees() {
    let almost = to_reset().later(SETTLE - seconds(1));
    assert_eq!(almost.decide().effect, None);
    let case = almost.later(seconds(1));
    let decision = case.decide();
    expect(
        &decision,
        Row::LinkedElsewhere,
        &[
            (Ready, "False/DifferentDestination"),
            (Reconciling, "True/AwaitingApproval"),
            (Stalled, "-"),
            (LinkingMismatch, "True/DifferentDestination"),
        ],
    );
    let planned = case.planned();
    assert_eq!(
        (planned.spec.action, planned.spec.approval),
        (Action::Reset, Approval::Pending)
    );
    let approve = format!(
        "kubectl patch dwo {} -n contoso --type=merge -p '{{\"spec\":{{\"approval\":\"Approved\"}}}}'",
        planned.name
    );
    let describe = format!("kubectl describe dwo {} -n contoso", planned.name);
    reads(&decision, Ready, &[&approve, &describe, "permanent"]);
    insta::assert_snapshot!("planned", show(&decision, case.now));
}

#[test]
fn a_mismatch_is_bad_news_whatever_is_done_about_it() {
    let decision = to_reset().decide();
    assert!(decision.events.iter().all(|event| event.warning));
    assert_eq!(decision.events.len(), 1);
}

// ---- a plan that waits ----

#[test]
fn a_plan_stays_while_its_facts_do() {
    let mut case = waiting();
    let before = case.memory.clone();
    for _ in 0..5 {
        case = case.later(INTERVAL);
        let decision = case.decide();
        assert_eq!((decision.effect, decision.events), (None, vec![]));
        assert_eq!(decision.status, before);
    }
}

#[test]
fn the_order_in_which_the_service_lists_things_is_no_fact() {
    let twice = |case: &mut Case| {
        let maps = known(&mut case.observed.maps);
        maps.push(TableMap {
            version: Some("9.9.9.9".into()),
            ..map("customers", MapState::Stopped)
        });
        let set = known(&mut case.observed.details.connection_set);
        set.integration_keys
            .push(integration_key("contacts", &["contactid"]));
    };
    let case = to_reset().with(twice).settled().waiting_for_approval();
    let other_way_round = case.with(|case| {
        known(&mut case.observed.maps).reverse();
        let set = known(&mut case.observed.details.connection_set);
        set.legal_entities.reverse();
        set.integration_keys.reverse();
    });
    assert_eq!(other_way_round.decide().effect, None);
}

/// What may move, the words that say so, and the change.
type Move = (&'static str, fn(&mut Case));

const MOVES: [Move; 24] = [
    ("the map customers was running and is stopped", |case| {
        change_map(case, "customers", |map| map.state = MapState::Stopped);
    }),
    ("the map groups was paused and is running", |case| {
        change_map(case, "groups", |map| map.state = MapState::Running);
    }),
    ("the map customers has another version", |case| {
        change_map(case, "customers", |map| map.version = Some("2.0".into()));
    }),
    ("the map customers has another version", |case| {
        change_map(case, "customers", |map| map.author = Some("Contoso".into()));
    }),
    ("the map customers was made anew", |case| {
        change_map(case, "customers", |map| map.project = Some("p-2".into()));
    }),
    ("the map parties is new", |case| {
        known(&mut case.observed.maps).push(map("parties", MapState::Running));
    }),
    ("the map units is gone", |case| {
        known(&mut case.observed.maps).retain(|map| map.name != "units");
    }),
    ("the map units is there 2 times", |case| {
        known(&mut case.observed.maps).push(map("units", MapState::Stopped));
    }),
    ("the order in which table maps can be started", |case| {
        let prerequisites = known(&mut details(case).prerequisites);
        prerequisites.insert("units".into(), vec!["currencies".into()]);
    }),
    ("the integration keys have changed", |case| {
        let set = known(&mut details(case).connection_set);
        set.integration_keys[0].fields.pop();
    }),
    (
        "the solutions were ContosoMaps, DualWriteBase and are DualWriteBase",
        |case| {
            known(&mut details(case).solutions).pop();
        },
    ),
    (
        "the companies of the link were DEMF, FRRT, USMF and are DEMF, FRRT",
        |case| {
            known(&mut details(case).connection_set)
                .legal_entities
                .pop();
        },
    ),
    ("the connection set was cs-0001 and is cs-0002", |case| {
        let LinkView::To(link) = &mut case.observed.link else {
            panic!()
        };
        link.connection_set_id = "cs-0002".into();
    }),
    (
        "the environment that dual-write is linked to is not visible any more",
        |case| case.tenant().linked = None,
    ),
    (
        "the link was 6f2c8d0e-0000-4000-8000-000000000002 and is 6f2c8d0e-0000-4000-8000-000000000009",
        |case| {
            let LinkView::To(link) = &mut case.observed.link else {
                panic!()
            };
            link.environment_id = "6f2c8d0e-0000-4000-8000-000000000009".into();
            case.tenant().linked = None;
        },
    ),
    (
        "the name or the address of the Dataverse environment",
        |case| {
            *case = case.clone().environment(Environment {
                name: "Contoso Test".into(),
                ..spec_environment()
            });
        },
    ),
    (
        "the companies after the reset were USMF, DEMF and are USMF",
        |case| {
            case.desired.legal_entities.pop();
        },
    ),
    ("mismatch.force was false and is true", |case| {
        case.desired.mismatch.force = true;
    }),
    ("mismatch.startMaps was Never and is AsBefore", |case| {
        case.desired.mismatch.start_maps = StartMaps::AsBefore;
    }),
    ("how long a step may take", |case| {
        case.desired.link_timeout = minutes(20);
    }),
    ("how it is reached has changed", |case| {
        let service = case.desired.dual_write_service.as_mut().unwrap();
        service.url = service.url.replace("weu-il107", "neu-il108");
    }),
    ("whether it needs an approval", |case| {
        case.desired.mismatch.approval = dualwrite_api::connection::ApprovalPolicy::Automatic;
    }),
    ("no longer asks for it", |case| {
        case.desired.mismatch.policy = dualwrite_api::connection::MismatchPolicy::Report;
    }),
    ("no longer asks for it", |case| {
        case.desired.mode = Mode::Observe;
    }),
];

#[test]
fn a_plan_becomes_void_when_what_it_relies_on_moves() {
    for (index, (says, change)) in MOVES.iter().enumerate() {
        let case = waiting().later(INTERVAL);
        assert_eq!(case.decide().effect, None);
        let message = voided(&case.with(change).decide());
        assert!(message.contains(says), "{index}: '{says}': {message}");
        assert!(message.starts_with("Never started: "), "{message}");
        assert!(!message.contains(".."), "{message}");
        assert!(!message.contains("; "), "one thing has moved: {message}");
    }
}

/// Names of Secrets change with their content, for example with kustomize; what is planned does not.
#[test]
fn a_plan_stays_when_its_credentials_are_kept_elsewhere() {
    let case = waiting().later(INTERVAL).with(|case| {
        let service = case.desired.dual_write_service.as_mut().unwrap();
        service.secret_ref.name = "contoso-account-7f9c".into();
        let application = &mut case.desired.credentials.secret_ref;
        *application = application.take().map(|mut secret| {
            secret.name = "contoso-entra-7f9c".into();
            secret
        });
    });
    assert_eq!(case.decide().effect, None);
    let elsewhere = case.with(|case| case.desired.credentials.tenant_id.push('0'));
    assert!(voided(&elsewhere.decide()).contains("how it is reached has changed"));
}

#[test]
fn after_a_void_plan_another_one_follows_under_another_name_when_that_has_settled() {
    let case = waiting();
    let first = case.operations[0].name.clone();
    let moved = case.with(|case| {
        change_map(case, "customers", |map| map.version = Some("2.0".into()));
    });
    voided(&moved.decide());
    // And back again: the same facts on another occasion are another act.
    for facts in [
        moved.clone(),
        moved.with(|case| {
            change_map(case, "customers", |map| {
                map.version = Some("1.0.0.1".into());
            });
        }),
    ] {
        let mut facts = facts;
        facts.operations[0] = in_phase(facts.operations[0].clone(), Phase::Void, facts.now);
        let at_once = facts.later(seconds(1));
        assert_eq!(at_once.decide().effect, None);
        let settled = at_once.later(seconds(1)).later(SETTLE);
        let planned = settled.planned();
        assert_ne!(planned.name, first);
        assert_eq!(planned.spec.approval, Approval::Pending);
    }
}

/// What it is called, and how a pass fails to read it.
type Unread = (&'static str, fn(&mut Case, Problem));

/// Each fact of a plan that a pass may fail to read.
const UNREAD: [Unread; 11] = [
    ("maps", |case, why| case.observed.maps = Fact::Unknown(why)),
    ("set", |case, why| {
        case.observed.details.connection_set = Fact::Unknown(why);
    }),
    ("solutions", |case, why| {
        case.observed.details.solutions = Fact::Unknown(why);
    }),
    ("prerequisites", |case, why| {
        case.observed.details.prerequisites = Fact::Unknown(why);
    }),
    ("environments", |case, why| {
        case.observed.tenant = Fact::Unknown(why);
    }),
    ("link", |case, why| {
        case.observed.link = LinkView::Unknown(why);
    }),
    ("host", |case, _| {
        case.observed.link = LinkView::HostDown("502".into());
    }),
    ("no link", |case, _| case.observed.link = LinkView::Absent),
    ("environment", |case, why| {
        case.observed.environment = Fact::Unknown(why);
    }),
    ("credentials", |case, why| {
        case.observed.credentials = Fact::Unknown(refused(&why.message));
    }),
    ("everything", |case, why| *case = case.clone().blind(&why)),
];

#[test]
fn what_cannot_be_read_neither_ends_a_plan_nor_makes_one() {
    for (what, unread) in UNREAD {
        for why in [down(), busy(), refused("GET maps: 403.")] {
            let before = waiting();
            let case = before.clone().with(|case| unread(case, why.clone()));
            assert_eq!(case.decide().effect, None, "{what} {why:?}");
            // Neither when it can be read again: it is the same plan, whatever was seen in between.
            let mut again = case.later(INTERVAL).seeing(&before);
            for _ in 0..3 {
                assert_eq!(again.decide().effect, None, "{what} {why:?}");
                expect(
                    &again.decide(),
                    Row::LinkedElsewhere,
                    &[
                        (Ready, "False/DifferentDestination"),
                        (Reconciling, "True/AwaitingApproval"),
                    ],
                );
                reads(&again.decide(), Ready, &["waits for approval"]);
                again = again.later(SETTLE);
            }
            // Without a plan none is made.
            let none = to_reset().settled().with(|case| unread(case, why.clone()));
            assert_eq!(none.decide().effect, None, "{what} {why:?}");
        }
    }
}

#[test]
fn a_blip_of_what_a_plan_relies_on_shows_nothing() {
    for (what, unread) in &UNREAD[..4] {
        let before = waiting();
        let blip = before.clone().with(|case| unread(case, down()));
        let decision = blip.decide();
        assert_eq!(
            decision.status.conditions, before.memory.conditions,
            "{what}"
        );
        assert_eq!(decision.status.waiting, before.memory.waiting, "{what}");
        assert!(decision.status.failure.is_some(), "{what}");
        // After an interval it is said.
        let later = blip.later(INTERVAL).decide();
        let expected = [
            (Ready, "False/DifferentDestination"),
            (Reconciling, "True/Retrying"),
        ];
        expect(&later, Row::LinkedElsewhere, &expected);
    }
}

/// An outage of what a plan relies on lasts for days, with one error or another.
#[test]
fn a_long_outage_of_what_a_plan_relies_on_is_a_few_writes() {
    let mut case = waiting();
    let mut writes = 0;
    for pass in 0..600 {
        let why = Problem::transient(format!("GET maps: 50{}.", pass % 3));
        case = case.maps_unknown(why);
        let decision = case.decide();
        assert_eq!(decision.effect, None);
        writes += u32::from(decision.status != case.memory);
        case = case.later(INTERVAL);
    }
    let expected = [
        (Ready, "False/DifferentDestination"),
        (Reconciling, "True/Retrying"),
    ];
    expect(&case.decide(), Row::LinkedElsewhere, &expected);
    reads(&case.decide(), Ready, &["tried again by itself"]);
    assert!(writes <= 4, "{writes}");
}

#[test]
fn what_a_person_has_to_mend_before_a_plan_is_said() {
    let case = to_reset().maps_unknown(refused(
        "The dual-write service refuses to list the table maps: 403.",
    ));
    let decision = case.decide();
    let expected = [
        (Ready, "False/DifferentDestination"),
        (Stalled, "True/DifferentDestination"),
    ];
    expect(&decision, Row::LinkedElsewhere, &expected);
    reads(&decision, Ready, &["No reset is planned", "403."]);
    insta::assert_snapshot!("needs", show(&decision, case.now));
}

#[test]
fn the_first_time_that_facts_cannot_be_read_is_not_ready() {
    // It was connected, the link moved, and the maps cannot be read: what is known of the link is said.
    let case = with_policy_reset(Case::happy())
        .later(INTERVAL)
        .link(link_to(E))
        .maps_unknown(down());
    let decision = case.decide();
    expect(
        &decision,
        Row::LinkedElsewhere,
        &[
            (Ready, "False/DifferentDestination"),
            (LinkingMismatch, "True/DifferentDestination"),
            (Stalled, "-"),
        ],
    );
    assert_eq!(decision.effect, None);
}

// ---- the person ----

#[test]
fn waiting_too_long_for_an_approval_stalls() {
    let patience = waiting().desired.manual_timeout;
    let almost = waiting().later(patience - seconds(10));
    let expected = [(Stalled, "-"), (Reconciling, "True/AwaitingApproval")];
    expect(&almost.decide(), Row::LinkedElsewhere, &expected);
    let over = almost.later(seconds(10));
    let decision = over.decide();
    expect(
        &decision,
        Row::LinkedElsewhere,
        &[
            (Ready, "False/DifferentDestination"),
            (Stalled, "True/DifferentDestination"),
            (Reconciling, "-"),
        ],
    );
    assert_eq!(decision.effect, None, "the plan can still be approved");
}

fn rejected(mut operation: KnownOperation) -> KnownOperation {
    operation.spec.approval = Approval::Rejected;
    in_phase(operation, Phase::Void, start())
}

/// The plan was rejected, and some time has passed.
fn refused_plan() -> Case {
    let mut case = waiting();
    case.operations[0] = rejected(case.operations[0].clone());
    case.later(INTERVAL).later(INTERVAL)
}

#[test]
fn a_rejected_plan_is_not_made_again() {
    let case = refused_plan();
    let decision = case.decide();
    expect(
        &decision,
        Row::LinkedElsewhere,
        &[
            (Ready, "False/PlanRejected"),
            (Stalled, "True/PlanRejected"),
            (Reconciling, "-"),
            (LinkingMismatch, "True/DifferentDestination"),
        ],
    );
    assert_eq!(decision.effect, None);
    insta::assert_snapshot!("rejected", show(&decision, case.now));
    // Not later either, and without a word.
    let later = case.clone().later(hours(100));
    assert_eq!(later.decide().effect, None);
    assert_eq!(later.decide().status, case.later(seconds(1)).memory);
}

#[test]
fn a_rejected_plan_is_made_again_for_another_generation_or_on_demand() {
    let asked = |case: Case| case.with(|case| case.desired.reconcile_at = Some("now".into()));
    for case in [refused_plan().new_generation(), asked(refused_plan())] {
        assert_eq!(case.decide().effect, None);
        let again = case.later(SETTLE).later(SETTLE).planned();
        assert_ne!(again.name, refused_plan().operations[0].name);
        assert_eq!(again.spec.approval, Approval::Pending);
    }
}

#[test]
fn other_facts_than_the_rejected_ones_are_planned() {
    let case = refused_plan().with(|case| {
        change_map(case, "customers", |map| map.state = MapState::Stopped);
    });
    assert_eq!(
        case.later(SETTLE).later(SETTLE).planned().spec.action,
        Action::Reset
    );
}

#[test]
fn an_approved_plan_is_left_to_its_own_controller() {
    let mut case = waiting();
    case.operations[0].spec.approval = Approval::Approved;
    assert_eq!(case.decide().effect, None);
    assert_eq!(case.later(INTERVAL).decide().effect, None);
}

// ---- who does not act ----

#[test]
fn whoever_only_observes_is_shown_the_plan() {
    let observe = |case: Case| case.with(|case| case.desired.mode = Mode::Observe);
    let flagged = |case: Case| case.with(|case| case.settings.observe_only = true);
    for case in [observe(to_reset()), flagged(to_reset())] {
        let decision = case.decide();
        expect(
            &decision,
            Row::LinkedElsewhere,
            &[
                (Ready, "False/DifferentDestination"),
                (Stalled, "True/DifferentDestination"),
                (Reconciling, "-"),
            ],
        );
        reads(
            &decision,
            Ready,
            &["ContosoMaps", "FRRT", "May not come back", "permanent"],
        );
        assert_eq!(case.settled().decide().effect, None);
    }
    let case = observe(to_reset());
    insta::assert_snapshot!("observe", show(&case.decide(), case.now));
    let flagged = flagged(to_reset()).decide();
    reads(&flagged, Ready, &["--observe-only"]);
}

#[test]
fn a_problem_of_another_class_is_no_absence_of_facts() {
    let unexpected = Problem {
        class: FailureClass::Unexpected,
        ..down()
    };
    let case = waiting().maps_unknown(unexpected);
    assert_eq!(case.decide().effect, None);
}
