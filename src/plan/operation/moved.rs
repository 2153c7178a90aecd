//! Whether what a plan relies on still holds: in an operation's own pass, right before its first step.

use std::collections::BTreeMap;

use crate::{
    api::{
        DualWriteOperationSpec,
        operation::{Action, PlannedMap, ReliesOn},
    },
    plan::{
        desired::same_id,
        maps::{self, LinkDetails, TableMap},
        observed::{Fact, LinkView, Problem},
    },
};

/// What was read now.
#[derive(Clone, Copy, Debug)]
pub struct Now<'a> {
    /// Where dual-write is linked to.
    pub link: &'a LinkView,
    /// Its table maps.
    pub maps: &'a Fact<Vec<TableMap>>,
    /// What else a reset takes away.
    pub details: &'a LinkDetails,
}

/// What has moved since a plan was made, in words; nothing when all of it holds.
pub fn since_planned(plan: &DualWriteOperationSpec, now: &Now<'_>) -> Fact<Vec<String>> {
    match compare(plan, now) {
        Ok(moved) => Fact::Known(moved),
        Err(problem) => Fact::Unknown(problem.clone()),
    }
}

fn compare<'a>(plan: &DualWriteOperationSpec, now: &Now<'a>) -> Result<Vec<String>, &'a Problem> {
    let mut moved = link(&plan.relies_on, now.link)?;
    if plan.action != Action::Reset || !moved.is_empty() {
        return Ok(moved);
    }
    moved.extend(maps(&plan.relies_on.maps, read(now.maps)?));
    let set = read(&now.details.connection_set)?;
    if plan.relies_on.integration_keys != set.integration_keys {
        moved.push("the integration keys have changed".into());
    }
    let planned = plan.relies_on.connection_set.as_ref();
    if planned.is_some_and(|planned| planned.legal_entities != set.legal_entities) {
        moved.push(format!(
            "the companies of the link are now {}",
            set.legal_entities.join(", ")
        ));
    }
    let solutions = read(&now.details.solutions)?;
    if plan.relies_on.solutions != *solutions {
        moved.push(format!("the solutions are now {}", solutions.join(", ")));
    }
    Ok(moved)
}

const fn read<T>(fact: &Fact<T>) -> Result<&T, &Problem> {
    match fact {
        Fact::Known(value) => Ok(value),
        Fact::Unknown(problem) => Err(problem),
    }
}

fn link<'a>(plan: &ReliesOn, now: &'a LinkView) -> Result<Vec<String>, &'a Problem> {
    match now {
        LinkView::Unknown(problem) => Err(problem),
        LinkView::To(link) if !same_id(&link.environment_id, &plan.link) => Ok(vec![format!(
            "dual-write was linked to {} and is linked to {}",
            plan.link, link.environment_id
        )]),
        LinkView::To(link) => {
            let planned = plan.connection_set.as_ref().map(|set| set.id.as_str());
            let is_same = planned == Some(link.connection_set_id.as_str());
            let moved = (!is_same).then(|| {
                format!(
                    "the connection set is another one, {}",
                    link.connection_set_id
                )
            });
            Ok(moved.into_iter().collect())
        }
        // It may be the environment that is stopped, but nothing can be done to a link that is not seen.
        LinkView::Absent | LinkView::HostDown(_) | LinkView::NotObserved => {
            Ok(vec!["the link is not seen any more".into()])
        }
    }
}

/// What has moved among the maps that were read.
fn maps(planned: &[PlannedMap], now: &[TableMap]) -> Vec<String> {
    planned_maps(
        planned,
        &maps::planned(now, &BTreeMap::new(), &BTreeMap::new()),
    )
}

/// What has moved among the maps of two plans. The order of starting and the solutions are no facts that a plan falls with.
pub fn planned_maps(before: &[PlannedMap], now: &[PlannedMap]) -> Vec<String> {
    let by_name = |maps: &[PlannedMap]| -> BTreeMap<String, Vec<PlannedMap>> {
        let mut named: BTreeMap<String, Vec<PlannedMap>> = BTreeMap::new();
        for map in maps {
            named.entry(map.name.clone()).or_default().push(map.clone());
        }
        named
    };
    let (before, now) = (by_name(before), by_name(now));
    let mut moved: Vec<String> = before
        .iter()
        .filter_map(|(name, planned)| match now.get(name) {
            None => Some(format!("the map {name} is gone")),
            Some(found) if found.len() != planned.len() => {
                Some(format!("the map {name} is there {} times", found.len()))
            }
            Some(found) => planned
                .iter()
                .zip(found)
                .find_map(|(one, other)| map(one, other)),
        })
        .collect();
    let new = now.keys().filter(|name| !before.contains_key(*name));
    moved.extend(new.map(|name| format!("the map {name} is new")));
    moved
}

fn map(before: &PlannedMap, now: &PlannedMap) -> Option<String> {
    let name = &before.name;
    if before.state != now.state {
        Some(format!(
            "the map {name} was {} and is {}",
            before.state, now.state
        ))
    } else if before.version != now.version || before.author != now.author {
        Some(format!("the map {name} has another version"))
    } else if before.project != now.project {
        Some(format!("the map {name} was made anew"))
    } else {
        None
    }
}
