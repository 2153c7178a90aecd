//! Table maps: what is read of them, and what a plan makes of it.

use std::collections::{BTreeMap, BTreeSet};

use super::fact::{Fact, Problem};
use dualwrite_api::operation::{IntegrationKey, MapState, PlannedMap};

/// A table map, as the dual-write service shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableMap {
    /// Its name, which tells it from every other.
    pub name: String,
    /// The Dataverse table that it is about.
    pub table: Option<String>,
    /// The id of the version that is active; no request can name the map without it.
    pub template: Option<String>,
    /// The id of its project; there is none before it was initialised.
    pub project: Option<String>,
    /// Its state.
    pub state: MapState,
    /// The version that is active.
    pub version: Option<String>,
    /// The author of that version.
    pub author: Option<String>,
    /// Every version that could be active.
    pub versions: Vec<MapVersion>,
    /// What the service says about the newest request for it, if that has failed.
    pub error: Option<String>,
}

/// A version of a table map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapVersion {
    /// Its id.
    pub template: String,
    /// Its author.
    pub author: Option<String>,
    /// Its number.
    pub version: String,
}

/// What a reset takes away beside the table maps, and what is needed to put things back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkDetails {
    /// The connection set.
    pub connection_set: Fact<ConnectionSetDetails>,
    /// The solutions that bring table maps, by unique name, in the order in which the service lists them; a plan applies them so,
    /// and does not fall with it.
    pub solutions: Fact<Vec<String>>,
    /// By the name of a table map, the names of those that must run before it may be started.
    pub prerequisites: Fact<BTreeMap<String, Vec<String>>>,
}

impl LinkDetails {
    /// Nothing of it was read.
    pub fn unread(problem: &Problem) -> Self {
        Self {
            connection_set: Fact::Unknown(problem.clone()),
            solutions: Fact::Unknown(problem.clone()),
            prerequisites: Fact::Unknown(problem.clone()),
        }
    }
}

/// A connection set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionSetDetails {
    /// The name by which the service knows the Dataverse environment.
    pub dataverse_name: Option<String>,
    /// The companies that take part.
    pub legal_entities: Vec<String>,
    /// The integration keys of Dataverse tables, by table.
    pub integration_keys: Vec<IntegrationKey>,
}

impl ConnectionSetDetails {
    /// The companies in an order of ours: that in which the service lists them is no fact.
    pub fn companies(&self) -> Vec<String> {
        sorted(&self.legal_entities)
    }

    /// The integration keys in an order of ours. The order of the fields of a key is that of the key.
    pub fn keys(&self) -> Vec<IntegrationKey> {
        let mut keys = self.integration_keys.clone();
        keys.sort_by(|one, other| (&one.entity, &one.fields).cmp(&(&other.entity, &other.fields)));
        keys
    }
}

/// Names, each once, in an order of ours: that in which the service lists them is no fact.
pub fn sorted(names: &[String]) -> Vec<String> {
    let mut sorted = names.to_vec();
    sorted.sort();
    sorted.dedup();
    sorted
}

/// What a plan takes for true of the maps that were read, by name; whatever a plan does not depend on is left out.
pub fn planned(
    maps: &[TableMap],
    prerequisites: &BTreeMap<String, Vec<String>>,
    brought_by: &BTreeMap<String, String>,
) -> Vec<PlannedMap> {
    let mut planned: Vec<PlannedMap> = maps
        .iter()
        .map(|map| PlannedMap {
            name: map.name.clone(),
            state: map.state,
            version: map.version.clone(),
            author: map.author.clone(),
            project: map.project.clone(),
            solution: brought_by.get(&map.name).cloned(),
            after: prerequisites
                .get(&map.name)
                .map(|all| sorted(all))
                .unwrap_or_default(),
        })
        .collect();
    // Of maps with the same name, too: the order in which the service lists them is no fact.
    planned.sort_by(|one, other| key(one).cmp(&key(other)));
    planned
}

fn key(map: &PlannedMap) -> impl Ord + '_ {
    (
        &map.name,
        map.state,
        &map.version,
        &map.author,
        &map.project,
    )
}

/// The names of maps, each once, in order.
pub fn names<'m>(maps: impl Iterator<Item = &'m TableMap>) -> Vec<String> {
    let mut names: Vec<String> = maps.map(|map| map.name.clone()).collect();
    names.sort();
    names.dedup();
    names
}

/// The maps in the order in which they are started, each name once: each wave needs only maps of earlier ones. Maps that wait for each
/// other in a circle come last, together: somebody has to be first.
pub fn waves<'a>(maps: impl IntoIterator<Item = &'a PlannedMap>) -> Vec<Vec<&'a PlannedMap>> {
    let mut seen = BTreeSet::new();
    let mut left: Vec<&PlannedMap> = maps
        .into_iter()
        .filter(|map| seen.insert(map.name.as_str()))
        .collect();
    let mut waves = Vec::new();
    while !left.is_empty() {
        let names: Vec<&str> = left.iter().map(|map| map.name.as_str()).collect();
        let (ready, waiting): (Vec<_>, Vec<_>) = left.iter().copied().partition(|map| {
            let mut before = map.after.iter().filter(|name| **name != map.name);
            !before.any(|name| names.contains(&name.as_str()))
        });
        if ready.is_empty() {
            waves.push(waiting);
            break;
        }
        waves.push(ready);
        left = waiting;
    }
    waves
}

/// Whether one of the maps of this name is in one of these states.
///
/// A solution that came twice brings a map twice. It is enough that one of them runs, for it passes on what the other would;
/// that a map is stopped takes all of them.
pub fn is_one_in(maps: &[TableMap], name: &str, states: &[MapState]) -> bool {
    let mut twins = maps.iter().filter(|map| map.name == name);
    twins.any(|map| states.contains(&map.state))
}

/// The maps of a plan that are to run again, paused ones too: they are started first and paused then.
pub fn to_start(maps: &[PlannedMap]) -> impl Iterator<Item = &PlannedMap> {
    maps.iter()
        .filter(|map| matches!(map.state, MapState::Running | MapState::Paused))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(name: &str, after: &[&str]) -> PlannedMap {
        PlannedMap {
            name: name.into(),
            state: MapState::Running,
            version: None,
            author: None,
            project: None,
            solution: None,
            after: after.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    fn names(waves: &[Vec<&PlannedMap>]) -> Vec<Vec<String>> {
        waves
            .iter()
            .map(|wave| wave.iter().map(|map| map.name.clone()).collect())
            .collect()
    }

    #[test]
    fn a_map_comes_after_its_prerequisites() {
        let maps = [
            map("customers", &["groups", "customers"]),
            map("groups", &["currencies"]),
            map("currencies", &[]),
            map("units", &[]),
        ];
        assert_eq!(
            names(&waves(&maps)),
            [
                vec!["currencies", "units"],
                vec!["groups"],
                vec!["customers"]
            ]
        );
    }

    #[test]
    fn a_prerequisite_that_is_not_started_holds_nothing_up() {
        let maps = [map("customers", &["groups"])];
        assert_eq!(names(&waves(&maps)), [vec!["customers"]]);
    }

    #[test]
    fn a_circle_is_one_wave() {
        let maps = [map("a", &["b"]), map("b", &["a"]), map("c", &[])];
        assert_eq!(names(&waves(&maps)), [vec!["c"], vec!["a", "b"]]);
    }
}
