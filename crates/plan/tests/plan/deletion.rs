//! What the deletion of a connection does: the table of `src/plan/deletion.rs`, row by row.

use crate::support::*;
use dualwrite_api::{
    Reason,
    connection::{DeletionPolicy, Mode},
    operation::{Action, Approval, MapState, Phase},
};
use dualwrite_plan::{
    deletion::{self, Deletion, SHUT_OUT_PATIENCE, is_to_be_held},
    observed::{Fact, LinkView, Problem},
    operation::DELETION_PATIENCE,
    world::{Claim, KnownOperation, after},
};
use jiff::Timestamp;

/// Deleted just now, with everything that stopping needs.
fn asked() -> Case {
    Case::happy().maps(some_maps()).with(|case| {
        case.desired.deletion_policy = DeletionPolicy::StopMaps;
        case.desired.confirms_stop = true;
        case.desired.deleting = true;
    })
}

fn decide_since(case: &Case, deleted: Timestamp) -> Deletion {
    deletion::decide(&case.world(), deleted)
}

fn decide(case: &Case) -> Deletion {
    decide_since(case, case.now)
}

#[track_caller]
fn released(deletion: &Deletion, warning: bool, reason: Reason, part: &str) -> String {
    let Deletion::Release(event) = deletion else {
        panic!("{deletion:#?}")
    };
    assert_eq!(
        (event.warning, event.reason),
        (warning, reason),
        "{event:?}"
    );
    assert!(event.note.contains(part), "'{part}': {}", event.note);
    assert!(!event.note.contains(".."), "{}", event.note);
    event.note.clone()
}

#[track_caller]
fn stops(deletion: Deletion) -> KnownOperation {
    let Deletion::Stop { name, spec } = deletion else {
        panic!("{deletion:#?}")
    };
    KnownOperation {
        name,
        spec: *spec,
        ..planned_stop()
    }
}

type Change = fn(&mut Case);

// ---- asked for? ----

#[test]
fn a_connection_is_held_only_if_spec_and_annotation_ask_for_it() {
    assert!(is_to_be_held(&asked().desired));
    let unasked: [Change; 3] = [
        |case| case.desired.deletion_policy = DeletionPolicy::Retain,
        |case| case.desired.confirms_stop = false,
        |case| case.desired.mode = Mode::Observe,
    ];
    for unasked in unasked {
        let case = asked().with(unasked);
        assert!(!is_to_be_held(&case.desired));
        let note = released(
            &decide(&case),
            false,
            Reason::MapsLeftAsTheyAre,
            "go on as they are",
        );
        assert!(note.contains("dualwrite.dev/confirm-stop"), "{note}");
    }
}

#[test]
fn the_annotation_has_to_name_the_very_connection() {
    let confirms = |value: &str| {
        let mut manifest = manifest();
        manifest["metadata"]["annotations"] =
            serde_json::json!({"dualwrite.dev/confirm-stop": value});
        let connection = serde_json::from_value(manifest).unwrap();
        dualwrite_plan::desired::Desired::from_resource(&connection, seconds(30))
            .unwrap()
            .confirms_stop
    };
    assert!(confirms("contoso-uat"));
    for other in ["", "true", "contoso-production", "Contoso-UAT"] {
        assert!(!confirms(other), "{other}");
    }
}

#[test]
fn an_operator_that_only_observes_says_so() {
    let case = asked().with(|case| case.settings.observe_only = true);
    let decision = decide(&case);
    released(&decision, true, Reason::MapsLeftAsTheyAre, "--observe-only");
}

#[test]
fn a_suspended_connection_goes_with_a_warning() {
    let case = asked().with(|case| case.desired.suspend = true);
    let decision = decide(&case);
    released(&decision, true, Reason::MapsLeftAsTheyAre, "suspended");
}

#[test]
fn maps_that_another_connection_manages_run_on() {
    for (created, namespace, named) in [
        ("2020-01-01T00:00:00Z", "contoso", true),
        ("2026-12-01T00:00:00Z", "contoso", true),
        ("2026-12-01T00:00:00Z", "fabrikam", false),
    ] {
        let case = asked().with(|case| {
            case.rivals = vec![Claim {
                name: "contoso-again".into(),
                namespace: namespace.into(),
                uid: "another".into(),
                created: created.parse().unwrap(),
            }];
        });
        let decision = decide(&case);
        let part = "manages";
        let note = released(&decision, true, Reason::MapsLeftAsTheyAre, part);
        assert_eq!(note.contains("contoso-again"), named, "{note}");
        assert!(!note.contains("fabrikam"), "{note}");
        // It is the same connection that is seen, and nobody else.
        let own = case.with(|case| case.rivals[0].uid = UID.into());
        stops(decide(&own));
    }
}

#[test]
fn whoever_does_not_see_the_host_is_not_told_of_another_namespace() {
    let mut case = asked().blind(&down());
    case.rivals = vec![Claim {
        name: "contoso-again".into(),
        namespace: "fabrikam".into(),
        uid: "another".into(),
        created: start(),
    }];
    assert!(matches!(decide(&case), Deletion::Wait(_)));
}

// ---- no map runs, or no link ----

#[test]
fn nothing_that_runs_is_nothing_to_stop() {
    let idle = vec![
        map("a", MapState::Stopped),
        map("b", MapState::None),
        map("c", MapState::NotRunning),
    ];
    let absent = asked().link(LinkView::Absent).maps_unknown(busy());
    for case in [asked().maps(idle), asked().maps(vec![]), absent] {
        released(
            &decide(&case),
            false,
            Reason::MapsLeftAsTheyAre,
            "No table map runs",
        );
    }
}

// ---- maps run ----

#[test]
fn maps_that_run_are_stopped_by_an_operation_that_outlives_the_connection() {
    for state in [MapState::Running, MapState::Paused, MapState::Other] {
        let case = asked().maps(vec![
            map("units", MapState::Stopped),
            map("customers", state),
        ]);
        let operation = stops(decide(&case));
        let spec = &operation.spec;
        assert_eq!(
            (spec.action, spec.approval),
            (Action::StopMaps, Approval::NotRequired)
        );
        assert!(spec.options.on_deletion);
        assert_eq!(spec.steps[0].maps, ["customers"], "{state}");
        assert!(spec.access.dual_write_service.is_some());
        // It is made once; then the connection may go.
        for phase in [
            None,
            Some(Phase::Running),
            Some(Phase::Failed),
            Some(Phase::Succeeded),
        ] {
            let existing = match phase {
                None => operation.clone(),
                Some(phase) => in_phase(operation.clone(), phase, start()),
            };
            let case = case.clone().operation(existing);
            released(
                &decide(&case),
                false,
                Reason::StoppingMaps,
                "outlives this connection",
            );
        }
    }
    let case = asked();
    insta::assert_snapshot!("plan", show_plan(&stops(decide(&case)).spec));
}

#[test]
fn a_stop_for_another_reason_or_of_another_connection_is_none_for_this_deletion() {
    let mut foreign = stops(decide(&asked()));
    foreign.spec.connection.uid = "another".into();
    for other in [planned_stop(), foreign, planned_reset()] {
        let case = asked().operation(in_phase(other, Phase::Succeeded, start()));
        stops(decide(&case));
    }
}

#[test]
fn a_deletion_stops_maps_of_any_link() {
    stops(decide(&asked().link(link_to(E))));
    let unseen = asked().link(link_to("6f2c8d0e-0000-4000-8000-000000000009"));
    let spec = stops(decide(&unseen)).spec;
    assert!(!spec.relies_on.connection_set.unwrap().environment_visible);
}

// ---- cannot be seen ----

#[test]
fn what_cannot_be_seen_is_looked_at_for_ten_minutes() {
    let unseen: [(Change, &str); 7] = [
        (|case| case.observed.maps = Fact::Unknown(down()), "503"),
        (|case| case.observed.link = LinkView::Unknown(down()), "503"),
        (
            |case| case.observed.link = LinkView::Unknown(refused("403.")),
            "403",
        ),
        (
            |case| case.observed.link = LinkView::HostDown("502".into()),
            "link was not seen",
        ),
        (
            |case| case.observed.link = LinkView::NotObserved,
            "link was not seen",
        ),
        (
            |case| {
                case.memory = Case::happy().decide().status;
                case.observed.link = LinkView::Absent;
            },
            "link was not seen",
        ),
        (
            |case| {
                let why = refused("AADSTS7000222: the client secret has expired.");
                *case = case.clone().blind(&why);
                case.observed.credentials = Fact::Unknown(why);
            },
            "AADSTS7000222",
        ),
    ];
    for (unseen, why) in unseen {
        let deleted = start();
        let case = asked().with(unseen);
        assert_eq!(
            decide_since(&case, deleted),
            Deletion::Wait(after(case.now, POLL)),
            "{why}"
        );
        let end = after(deleted, DELETION_PATIENCE);
        let at = |now: Timestamp| {
            let case = case.clone().with(|case| case.now = now);
            decide_since(&case, deleted)
        };
        let almost = after(deleted, DELETION_PATIENCE - seconds(1));
        assert_eq!(at(almost), Deletion::Wait(end), "no longer than that");
        released(&at(end), true, Reason::MapsLeftAsTheyAre, why);
        // Seen in the last moment is seen.
        let seen = asked().with(|case| case.now = end);
        stops(decide_since(&seen, deleted));
    }
}

/// An API server that has just started knows nobody's rights: its refusal may be over in a moment.
#[test]
fn a_namespace_that_does_not_let_the_operator_in_is_asked_again_for_a_moment() {
    let why = Problem::needs_person(Reason::NamespaceNotGranted, "may not read Secrets");
    let case = asked().with(|case| {
        *case = case.clone().blind(&why);
        case.observed.credentials = Fact::Unknown(why.clone());
    });
    let deleted = case.now;
    let at = |now: Timestamp| decide_since(&case.clone().with(|case| case.now = now), deleted);
    let last = after(deleted, SHUT_OUT_PATIENCE - seconds(1));
    assert_eq!(at(last), Deletion::Wait(after(last, POLL)));
    let lasting = at(after(deleted, SHUT_OUT_PATIENCE));
    released(&lasting, true, Reason::MapsLeftAsTheyAre, "may not read");
}

#[test]
fn a_warning_says_where_to_stop_the_maps() {
    let case = asked().maps_unknown(down());
    let decision = decide_since(&case, start() - jiff::SignedDuration::from_mins(10));
    let note = released(
        &decision,
        true,
        Reason::MapsLeftAsTheyAre,
        "Stop them on the Dual-write page",
    );
    insta::assert_snapshot!("left", note);
}

/// What a mix has stopped is not taken for what a deletion is to stop, or the other way round.
#[test]
fn the_stop_of_a_deletion_has_a_name_of_its_own() {
    let mixed = mixed().with(|case| {
        case.desired.deletion_policy = DeletionPolicy::StopMaps;
        case.desired.confirms_stop = true;
    });
    let of_mix = mixed.clone().settled().planned();
    let of_deletion = stops(decide(&mixed.with(|case| case.desired.deleting = true)));
    assert_eq!(of_deletion.spec.target, of_mix.spec.target);
    assert_ne!(of_deletion.name, of_mix.name);
}
