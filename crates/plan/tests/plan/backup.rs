//! The backup of a reset: all of it, in parts that a `ConfigMap` can hold.

use crate::support::*;
use dualwrite_api::operation::{MapState, PlannedMap};
use dualwrite_plan::{
    backup::{self, Part},
    world::KnownOperation,
};
use serde_json::Value;

/// A `ConfigMap` holds 1 MiB.
const HOLDS: usize = 1024 * 1024;

fn with_maps(count: usize, length: usize) -> KnownOperation {
    let mut operation = planned_reset();
    let after = vec!["a".repeat(length)];
    operation.spec.relies_on.maps = (0..count)
        .map(|number| PlannedMap {
            name: format!("map-{number:04}"),
            state: MapState::Running,
            version: None,
            author: None,
            project: None,
            solution: None,
            after: after.clone(),
        })
        .collect();
    operation
}

fn maps_in(part: &Part) -> Vec<String> {
    let page: Value = serde_norway::from_str(&part.text).unwrap();
    let maps = page["tableMaps"].as_array().unwrap().iter();
    maps.map(|map| map["name"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn every_map_is_in_one_part_and_every_part_fits() {
    for (count, length, several) in [
        (0, 1, false),
        (3, 1, false),
        (1000, 2_000, true),
        (7, 400_000, true),
    ] {
        let operation = with_maps(count, length);
        let parts = backup::parts(&operation).unwrap();
        assert_eq!(parts.len() > 1, several, "{count} x {length}");
        assert!(parts.iter().all(|part| part.text.len() < HOLDS));
        let found: Vec<String> = parts.iter().flat_map(maps_in).collect();
        let maps = operation.spec.relies_on.maps.iter();
        let planned: Vec<String> = maps.map(|map| map.name.clone()).collect();
        assert_eq!(found, planned);
    }
}

#[test]
fn parts_are_numbered_and_the_first_has_what_there_is_once() {
    let operation = with_maps(1000, 2_000);
    let parts = backup::parts(&operation).unwrap();
    for (index, part) in parts.iter().enumerate() {
        let page: Value = serde_norway::from_str(&part.text).unwrap();
        assert_eq!(page["part"], format!("{} of {}", index + 1, parts.len()));
        assert_eq!(page.get("head").is_some(), index == 0);
    }
    let names: Vec<&str> = parts.iter().map(|part| part.name.as_str()).collect();
    let name = &operation.name;
    assert_eq!(
        names[..2],
        [format!("{name}-backup"), format!("{name}-backup-2")]
    );
}

#[test]
fn a_backup_is_known_by_its_digest() {
    let parts = backup::parts(&with_maps(1000, 2_000)).unwrap();
    let reference = backup::reference(&parts);
    assert_eq!(reference.config_maps.len(), parts.len());
    let texts: Vec<&str> = parts.iter().map(|part| part.text.as_str()).collect();
    assert_eq!(backup::digest(texts.iter().copied()), reference.sha256);
    // A line that has moved from one part to the next is a change.
    let joined = texts.concat();
    assert_ne!(
        backup::digest([joined.as_str()].into_iter()),
        reference.sha256
    );
    let fewer = backup::parts(&with_maps(999, 2_000)).unwrap();
    assert_ne!(backup::reference(&fewer).sha256, reference.sha256);
}
