//! Whether what a plan relies on still holds: in a connection's pass while the plan waits, and in an operation's own pass,
//! right before its first step.

use std::{collections::BTreeMap, fmt::Display};

use crate::{
    desired::same_id,
    maps::{self, LinkDetails, TableMap},
    observed::{Fact, LinkFacts, LinkView, Problem},
};
use dualwrite_api::{
    DualWriteOperationSpec,
    operation::{Action, Approval, ConnectionSetReference, PlannedMap, ReliesOn},
};

const KEYS_CHANGED: &str = "the integration keys have changed";

/// What differs between a plan and the one that would be made now, in words.
pub fn between_plans(before: &DualWriteOperationSpec, now: &DualWriteOperationSpec) -> String {
    let mut changed: Vec<String> = facts(before, now);
    changed.extend(wishes(before, now));
    if changed.is_empty() {
        changed.extend(text(
            "the time that it may take",
            &before.timeout,
            &now.timeout,
        ));
    }
    if changed.is_empty() && (before.steps != now.steps || before.losses != now.losses) {
        changed.push("its steps, or what would be lost, are different now".into());
    }
    if changed.is_empty() {
        "another operation has ended since".into()
    } else {
        changed.join("; ")
    }
}

/// What is different at Microsoft's.
fn facts(before: &DualWriteOperationSpec, now: &DualWriteOperationSpec) -> Vec<String> {
    let (old, new) = (&before.relies_on, &now.relies_on);
    let (old_target, new_target) = (&before.target, &now.target);
    let mut changed = Vec::new();
    changed.extend(text(
        "the Dataverse environment",
        &old_target.environment_id,
        &new_target.environment_id,
    ));
    if changed.is_empty() && old_target != new_target {
        changed.push("the name or the address of the Dataverse environment has changed".into());
    }
    changed.extend(text(
        "Power Platform integration",
        &old.integration,
        &new.integration,
    ));
    changed.extend(text("the link", &old.link, &new.link));
    changed.extend(names(
        "the packages to be installed",
        &old.applications,
        &new.applications,
    ));
    if let (Some(old), Some(new)) = (&old.connection_set, &new.connection_set) {
        let is_same_link = before.relies_on.link == now.relies_on.link;
        changed.extend(connection_set(old, new, is_same_link));
    }
    let maps = planned_maps(&old.maps, &new.maps);
    if maps.is_empty() && order(&old.maps) != order(&new.maps) {
        changed.push("the order in which table maps can be started has changed".into());
    }
    changed.extend(maps);
    changed.extend(solutions(&old.solutions, &new.solutions));
    if old.integration_keys != new.integration_keys {
        changed.push(KEYS_CHANGED.into());
    }
    changed
}

/// What the connection's spec says otherwise.
fn wishes(before: &DualWriteOperationSpec, now: &DualWriteOperationSpec) -> Vec<String> {
    let (old, new) = (&before.options, &now.options);
    let start = |starts| if starts { "AsBefore" } else { "Never" };
    let mut changed = Vec::new();
    changed.extend(names(
        companies(before.action),
        &before.relies_on.legal_entities,
        &now.relies_on.legal_entities,
    ));
    changed.extend(text("mismatch.force", &old.force, &new.force));
    changed.extend(text(
        "mismatch.startMaps",
        start(old.start_maps),
        start(new.start_maps),
    ));
    if !before.access.reaches_the_same(&now.access) {
        changed.push("how it is reached has changed".into());
    }
    changed.extend(text(
        "how long a step may take",
        &old.step_timeout,
        &new.step_timeout,
    ));
    if is_automatic(before) == is_automatic(now) {
        changed.extend(text(
            "whether mismatch.allowProduction is needed",
            &old.allow_production,
            &new.allow_production,
        ));
        changed.extend(text(
            "how long an approval is good for",
            &old.approval_timeout,
            &new.approval_timeout,
        ));
    } else {
        changed.push("whether it needs an approval has changed".into());
    }
    changed
}

const fn companies(action: Action) -> &'static str {
    match action {
        Action::Reset => "the companies after the reset",
        Action::Setup | Action::Link | Action::StopMaps => "the companies",
    }
}

fn is_automatic(plan: &DualWriteOperationSpec) -> bool {
    plan.approval == Approval::NotRequired
}

fn text<T: PartialEq + Display + ?Sized>(what: &str, before: &T, now: &T) -> Option<String> {
    (before != now).then(|| format!("{what} was {before} and is {now}"))
}

fn names(what: &str, before: &[String], now: &[String]) -> Option<String> {
    let list = |names: &[String]| match names {
        [] => "none".to_owned(),
        names => names.join(", "),
    };
    (before != now).then(|| format!("{what} were {} and are {}", list(before), list(now)))
}

fn solutions(before: &[String], now: &[String]) -> Option<String> {
    names("the solutions", &maps::sorted(before), &maps::sorted(now))
}

fn connection_set(
    before: &ConnectionSetReference,
    now: &ConnectionSetReference,
    is_same_link: bool,
) -> impl Iterator<Item = String> {
    let id = text("the connection set", &before.id, &now.id);
    let companies = names(
        "the companies of the link",
        &before.legal_entities,
        &now.legal_entities,
    );
    let visible = match (before.environment_visible, now.environment_visible) {
        _ if !is_same_link => None,
        (true, false) => {
            Some("the environment that dual-write is linked to is not visible any more")
        }
        (false, true) => Some("the environment that dual-write is linked to is visible now"),
        (true, true) | (false, false) => None,
    };
    [id, companies, visible.map(str::to_owned)]
        .into_iter()
        .flatten()
}

/// By the name of each map, what must run before it.
fn order(maps: &[PlannedMap]) -> Vec<(&str, &[String])> {
    maps.iter()
        .map(|map| (map.name.as_str(), map.after.as_slice()))
        .collect()
}

/// Whether a link is the one that a plan was made for.
pub fn is_link_of(plan: &ReliesOn, link: &LinkFacts) -> bool {
    let set = plan.connection_set.as_ref();
    same_id(&link.environment_id, &plan.link)
        && set.is_none_or(|set| set.id == link.connection_set_id)
}

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

/// What has changed since a plan was made, in words; nothing when all of it holds.
pub fn since_planned(plan: &DualWriteOperationSpec, now: &Now<'_>) -> Fact<Vec<String>> {
    match compare(plan, now) {
        Ok(changed) => Fact::Known(changed),
        Err(problem) => Fact::Unknown(problem.clone()),
    }
}

fn compare<'a>(plan: &DualWriteOperationSpec, now: &Now<'a>) -> Result<Vec<String>, &'a Problem> {
    let mut changed = link(&plan.relies_on, now.link)?;
    if plan.action != Action::Reset || !changed.is_empty() {
        return Ok(changed);
    }
    changed.extend(maps(&plan.relies_on.maps, read(now.maps)?));
    changed.extend(details(&plan.relies_on, now.details)?);
    Ok(changed)
}

/// What has changed beside the link and its maps: keys, companies, solutions.
///
/// # Errors
/// One of them could not be read.
pub fn details<'a>(plan: &ReliesOn, now: &'a LinkDetails) -> Result<Vec<String>, &'a Problem> {
    let set = read(&now.connection_set)?;
    let listed = read(&now.solutions)?;
    let mut changed = Vec::new();
    if plan.integration_keys != set.keys() {
        changed.push(KEYS_CHANGED.into());
    }
    let planned = plan.connection_set.as_ref();
    let before = planned.map_or(&[][..], |planned| &planned.legal_entities);
    changed.extend(names("the companies of the link", before, &set.companies()));
    changed.extend(solutions(&plan.solutions, listed));
    Ok(changed)
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
            let changed = (!is_same).then(|| {
                format!(
                    "the connection set is another one, {}",
                    link.connection_set_id
                )
            });
            Ok(changed.into_iter().collect())
        }
        // It may be the environment that is stopped, but nothing can be done to a link that is not seen.
        LinkView::Absent | LinkView::HostDown(_) | LinkView::NotObserved => {
            Ok(vec!["the link is not seen any more".into()])
        }
    }
}

/// What has changed among the maps that were read.
pub fn maps(planned: &[PlannedMap], now: &[TableMap]) -> Vec<String> {
    planned_maps(
        planned,
        &maps::planned(now, &BTreeMap::new(), &BTreeMap::new()),
    )
}

/// What has changed among the maps of two plans. The order of starting and the solutions are no facts that a plan falls with.
pub fn planned_maps(before: &[PlannedMap], now: &[PlannedMap]) -> Vec<String> {
    let by_name = |maps: &[PlannedMap]| -> BTreeMap<String, Vec<PlannedMap>> {
        let mut named: BTreeMap<String, Vec<PlannedMap>> = BTreeMap::new();
        for map in maps {
            named.entry(map.name.clone()).or_default().push(map.clone());
        }
        named
    };
    let (before, now) = (by_name(before), by_name(now));
    let mut changed: Vec<String> = before
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
    changed.extend(new.map(|name| format!("the map {name} is new")));
    changed
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
