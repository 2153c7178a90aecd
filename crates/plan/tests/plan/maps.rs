//! What a status says of table maps.

use crate::support::*;
use dualwrite_api::{
    connection::{MapAttention, Maps},
    operation::MapState,
};
use dualwrite_plan::{
    maps::TableMap,
    observed::{Fact, LinkView},
};

fn maps_of(case: &Case) -> Option<Maps> {
    case.decide().status.maps
}

fn names(maps: &Maps) -> Vec<&str> {
    maps.attention.iter().map(|map| map.name.as_str()).collect()
}

#[test]
fn maps_are_counted_by_state() {
    let all = [
        MapState::None,
        MapState::Stopped,
        MapState::Stopped,
        MapState::Running,
        MapState::Running,
        MapState::Running,
        MapState::Paused,
        MapState::NotRunning,
        MapState::Other,
    ];
    let maps = all
        .iter()
        .enumerate()
        .map(|(number, state)| map(&format!("map{number}"), *state));
    let counted = maps_of(&Case::happy().maps(maps.collect())).unwrap();
    assert_eq!(
        (
            counted.total,
            counted.running,
            counted.paused,
            counted.stopped,
            counted.not_running
        ),
        (9, 3, 1, 3, 1)
    );
    assert_eq!(names(&counted), ["map7", "map8"]);
}

#[test]
fn a_link_without_maps_has_none() {
    assert_eq!(maps_of(&Case::happy()), Some(Maps::default()));
}

#[test]
fn what_needs_attention_is_named_in_order_and_with_its_error() {
    let failing = TableMap {
        error: Some("Field 'msdyn_x' is missing.".into()),
        ..map("customers", MapState::Running)
    };
    let maps = vec![
        map("units", MapState::NotRunning),
        failing,
        map("areas", MapState::Other),
        map("fine", MapState::Running),
        map("idle", MapState::Stopped),
    ];
    let counted = maps_of(&Case::happy().maps(maps.clone())).unwrap();
    assert_eq!(names(&counted), ["areas", "customers", "units"]);
    assert_eq!(
        counted.attention[1],
        MapAttention {
            name: "customers".into(),
            state: MapState::Running,
            error: Some("Field 'msdyn_x' is missing.".into()),
        }
    );
    // The order in which the service lists them is not news.
    let mut reversed = maps;
    reversed.reverse();
    assert_eq!(maps_of(&Case::happy().maps(reversed)), Some(counted));
}

#[test]
fn a_status_does_not_grow_without_end() {
    let many: Vec<TableMap> = (0..500)
        .map(|number| TableMap {
            error: Some("ä".repeat(10_000)),
            ..map(&format!("map{number:03}"), MapState::NotRunning)
        })
        .collect();
    let counted = maps_of(&Case::happy().maps(many)).unwrap();
    assert_eq!((counted.total, counted.not_running), (500, 500));
    assert_eq!(counted.attention.len(), 20);
    assert_eq!(counted.attention[19].name, "map019");
    assert!(
        counted
            .attention
            .iter()
            .all(|map| map.error.as_ref().unwrap().len() <= 800)
    );
}

#[test]
fn a_map_that_is_there_twice_is_named_once() {
    let twice = vec![
        map("a", MapState::NotRunning),
        map("b", MapState::NotRunning),
        map("a", MapState::NotRunning),
    ];
    let counted = maps_of(&Case::happy().maps(twice)).unwrap();
    assert_eq!(names(&counted), ["a", "b"]);
    assert_eq!(counted.not_running, 3);
}

#[test]
fn what_was_counted_stays_while_it_cannot_be_read() {
    let before = Case::happy().maps(some_maps()).later(INTERVAL);
    let counted = before.memory.maps.clone();
    assert!(counted.is_some());
    let cases = vec![
        before.clone().maps_unknown(down()),
        before.clone().link(LinkView::Unknown(down())),
        before.clone().link(LinkView::HostDown("502".into())),
        before.clone().link(LinkView::Absent),
        before.clone().blind(&down()),
        before.clone().with(|case| case.desired.suspend = true),
    ];
    for case in cases {
        assert_eq!(maps_of(&case), counted);
        assert_eq!(maps_of(&case.later(hours(10))), counted);
    }
}

#[test]
fn nothing_is_said_of_maps_that_are_not_looked_at() {
    let before = Case::happy().maps(some_maps()).later(INTERVAL);
    for case in [
        before.clone().link(LinkView::NotObserved),
        before.clone().link(LinkView::Unknown(refused("403."))),
    ] {
        assert_eq!(maps_of(&case.maps_unknown(busy())), None);
    }
    assert_eq!(maps_of(&Case::unlinked()), None);
}

#[test]
fn the_maps_of_another_link_are_not_those_that_were_counted() {
    let before = Case::happy().maps(some_maps()).later(INTERVAL);
    let moved = before.link(link_to(E)).maps_unknown(down());
    assert_eq!(maps_of(&moved), None);
    assert_eq!(maps_of(&moved.later(INTERVAL)), None);
}

#[test]
fn a_change_of_a_map_is_the_only_thing_that_is_written() {
    let case = Case::happy().maps(some_maps()).later(INTERVAL);
    assert_eq!(case.decide().status, case.memory);
    let changed = case.clone().with(|case| {
        let Fact::Known(maps) = &mut case.observed.maps else {
            panic!()
        };
        maps[0].state = MapState::NotRunning;
    });
    let status = changed.decide().status;
    assert_eq!(status.maps.unwrap().not_running, 1);
    assert_eq!(changed.decide().events, vec![]);
    // What a status does not show of a map is no reason to write.
    let version = case.clone().with(|case| {
        let Fact::Known(maps) = &mut case.observed.maps else {
            panic!()
        };
        maps[0].version = Some("2.0".into());
    });
    assert_eq!(version.decide().status, case.memory);
}
