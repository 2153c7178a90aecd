//! The plan of a reset, and that of stopping the maps: from what was read, in the order in which it is done.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    approval,
    frame::{frame, planned_step},
    seconds,
};
use crate::{
    maps::{self, ConnectionSetDetails, TableMap},
    messages::{self, PlanWords},
    observed::{Environment, Fact, LinkFacts, Problem, Readiness},
    operation::steps::{self, Step},
    picture::{Link, Picture},
    world::{KnownOperation, World},
};
use dualwrite_api::{
    DualWriteOperationSpec, Reason,
    connection::StartMaps,
    operation::{Action, ConnectionSetReference, MapState, Options, PlannedMap, PlannedStep},
};

/// How many maps, and how many keys, an operation carries at the most; its definition says the same.
const MOST_MAPS: usize = 1000;

/// How many solutions; each is a step.
const MOST_SOLUTIONS: usize = 200;

/// The longest time that an operation may take as a whole.
const LONGEST: Duration = Duration::from_hours(24);

/// Everything that a reset takes away or needs, all of it known.
#[derive(Clone, Copy, Debug)]
pub struct ResetFacts<'a> {
    maps: &'a [TableMap],
    set: &'a ConnectionSetDetails,
    solutions: &'a [String],
    prerequisites: &'a BTreeMap<String, Vec<String>>,
}

impl<'a> ResetFacts<'a> {
    /// What was read, if all of it was.
    ///
    /// # Errors
    /// The first thing that could not be read.
    pub fn of(picture: &Picture<'a>) -> Result<Self, Problem> {
        fn read<T>(fact: &Fact<T>) -> Result<&T, Problem> {
            match fact {
                Fact::Known(value) => Ok(value),
                Fact::Unknown(problem) => Err(problem.clone()),
            }
        }
        let world = picture.world;
        let details = &world.observed.details;
        // While the list of environments is unread, nobody can say that the linked one is not visible.
        if let Link::To(link) = picture.link
            && world.visible_environment(&link.environment_id).is_none()
        {
            read(&world.observed.tenant)?;
        }
        let facts = Self {
            maps: read(&world.observed.maps)?,
            set: read(&details.connection_set)?,
            solutions: read(&details.solutions)?,
            prerequisites: read(&details.prerequisites)?,
        };
        match facts.is_more_than_a_plan_holds() {
            None => Ok(facts),
            Some(what) => Err(Self::too_many(what)),
        }
    }

    /// That there is more of something than an operation can carry: no waiting changes that.
    pub fn too_many(what: &str) -> Problem {
        let message = messages::more_than_a_plan_holds(what);
        Problem::needs_person(Reason::DifferentDestination, message)
    }

    /// What there is more of than an operation can carry, if anything.
    fn is_more_than_a_plan_holds(&self) -> Option<&'static str> {
        let counts = [
            ("table maps", self.maps.len(), MOST_MAPS),
            (
                "integration keys",
                self.set.integration_keys.len(),
                MOST_MAPS,
            ),
            ("solutions", self.solutions.len(), MOST_SOLUTIONS),
        ];
        let over = counts.into_iter().find(|(_, count, most)| count > most);
        over.map(|(what, ..)| what)
    }
}

/// The plan to reset the link, so that it ends at the environment that Power Platform integration names.
pub fn reset(
    picture: &Picture<'_>,
    environment: &Environment,
    link: &LinkFacts,
    facts: &ResetFacts<'_>,
) -> DualWriteOperationSpec {
    let world = picture.world;
    let desired = world.desired;
    // Row 16 resets only a link that goes elsewhere, so the destination always changes.
    let starts = desired.mismatch.start_maps == StartMaps::AsBefore;
    let mut brought_by = brought_by(world);
    // One that is not offered any more brings nothing.
    brought_by.retain(|_, solution| facts.solutions.contains(solution));
    let planned = maps::planned(facts.maps, facts.prerequisites, &brought_by);
    let words = Words::of(world, environment, link);
    let steps = steps_of(&planned, facts, starts, &words.get());
    let mut spec = frame(picture, environment, Action::Reset, Vec::new());
    let companies = facts.set.companies();
    spec.losses = messages::losses(desired, &words.get(), &planned, &companies);
    spec.timeout = seconds(
        desired
            .link_timeout
            .saturating_mul(u32::try_from(steps.len()).unwrap_or(u32::MAX))
            .min(LONGEST),
    );
    spec.steps = steps;
    spec.relies_on.connection_set = Some(set_reference(world, link, &companies));
    spec.relies_on
        .legal_entities
        .clone_from(&desired.legal_entities);
    spec.relies_on.maps = planned;
    spec.relies_on.solutions = facts.solutions.to_vec();
    spec.relies_on.integration_keys = facts.set.keys();
    spec.options = Options {
        force: desired.mismatch.force,
        start_maps: starts,
        step_timeout: seconds(desired.link_timeout),
        ..Options::default()
    };
    approval::decide(picture, environment, link, &mut spec);
    spec
}

/// The plan to stop every table map.
pub fn stop_maps(
    picture: &Picture<'_>,
    link: &LinkFacts,
    found: &[TableMap],
    on_deletion: bool,
) -> DualWriteOperationSpec {
    let world = picture.world;
    let planned = maps::planned(found, &BTreeMap::new(), &BTreeMap::new());
    let linked = linked_environment(world, link);
    let words = Words::of(world, &linked, link);
    let step = planned_step(&steps::StopMaps, &words.get(), to_stop(&planned));
    let mut spec = frame(picture, &linked, Action::StopMaps, vec![step]);
    spec.losses = vec![format!(
        "Why: {}. Changes on either side from the stop of the maps until somebody starts them are not passed on, then or later.",
        messages::stop_cause(on_deletion)
    )];
    spec.timeout = seconds(world.desired.link_timeout);
    // It does not depend on it, and there may be none.
    spec.relies_on.integration.clear();
    spec.relies_on.connection_set = Some(set_reference(world, link, &[]));
    spec.relies_on.maps = planned;
    spec.options = Options {
        on_deletion,
        step_timeout: seconds(world.desired.link_timeout),
        ..Options::default()
    };
    spec
}

/// The environment that dual-write is linked to; of one that is not visible only the id is known.
fn linked_environment(world: &World<'_>, link: &LinkFacts) -> Environment {
    let visible = world.visible_environment(&link.environment_id);
    visible.cloned().unwrap_or_else(|| Environment {
        id: link.environment_id.clone(),
        name: link.environment_id.clone(),
        kind: String::new(),
        readiness: Readiness::Ready,
        has_dataverse: true,
        dataverse_url: None,
        domain_name: None,
        finance_operations: None,
    })
}

fn set_reference(
    world: &World<'_>,
    link: &LinkFacts,
    legal_entities: &[String],
) -> ConnectionSetReference {
    ConnectionSetReference {
        id: link.connection_set_id.clone(),
        name: link.connection_set_name.clone(),
        legal_entities: legal_entities.to_vec(),
        environment_visible: world.visible_environment(&link.environment_id).is_some(),
    }
}

/// The texts that [`PlanWords`] borrows.
struct Words<'a> {
    host: &'a str,
    from: String,
    to: String,
    account: &'static str,
    from_is_visible: bool,
}

impl<'a> Words<'a> {
    fn of(world: &World<'a>, environment: &Environment, link: &LinkFacts) -> Self {
        let desired = world.desired;
        let linked = world.visible_environment(&link.environment_id);
        Self {
            host: &desired.host,
            from: messages::environment_or_id(linked, &link.environment_id),
            to: messages::environment(environment),
            // Not where it is kept: the plan stays the same when that changes.
            account: "the dual-write account of this connection (spec.dualWriteService)",
            from_is_visible: linked.is_some(),
        }
    }

    fn get(&self) -> PlanWords<'_> {
        PlanWords {
            host: self.host,
            from: &self.from,
            to: &self.to,
            account: self.account,
            from_is_visible: self.from_is_visible,
            ..PlanWords::default()
        }
    }
}

/// By the name of a map, the solution that was seen to bring it when this operator applied it. Nothing else proves it: the
/// service does not say what a solution holds.
fn brought_by(world: &World<'_>) -> BTreeMap<String, String> {
    let mut brought = BTreeMap::new();
    // The newest operation has the last word.
    for operation in world.own_operations().into_iter().rev() {
        brought.extend(brought_in(operation));
    }
    brought
}

/// Which maps an operation has seen which solution bring: map, solution.
pub fn brought_in(operation: &KnownOperation) -> Vec<(String, String)> {
    let mut brought = Vec::new();
    for record in &operation.status.steps {
        let step = steps::parse(operation.spec.action, &record.name);
        if let Some(solution) = step.as_ref().and_then(|step| step.solution()) {
            let maps = record.maps.iter().cloned();
            brought.extend(maps.map(|map| (map, solution.to_owned())));
        }
    }
    brought
}

fn to_stop(maps: &[PlannedMap]) -> Vec<String> {
    names(maps, |map| !map.state.is_stopped())
}

/// The names of some of the maps, each once.
fn names(maps: &[PlannedMap], of: impl Fn(&PlannedMap) -> bool) -> Vec<String> {
    let some = maps.iter().filter(|map| of(map));
    let names: BTreeSet<&String> = some.map(|map| &map.name).collect();
    names.into_iter().cloned().collect()
}

fn steps_of(
    planned: &[PlannedMap],
    facts: &ResetFacts<'_>,
    starts: bool,
    words: &PlanWords<'_>,
) -> Vec<PlannedStep> {
    let of = |step: &dyn Step, maps: Vec<String>| planned_step(step, words, maps);
    let plain = |step: &dyn Step| of(step, Vec::new());
    let mut steps = vec![
        plain(&steps::Backup),
        of(&steps::StopMaps, to_stop(planned)),
        plain(&steps::Reset),
    ];
    let mut seen = BTreeSet::new();
    let solutions = facts.solutions.iter().filter(|name| seen.insert(*name));
    steps.extend(solutions.map(|name| plain(&steps::Solution(name.clone()))));
    if !facts.set.integration_keys.is_empty() {
        let keys = facts.set.keys();
        let entities = keys.into_iter().map(|key| key.entity).collect();
        steps.push(of(&steps::IntegrationKeys, entities));
    }
    steps.push(plain(&steps::InitialiseMaps));
    steps.push(plain(&steps::MapVersions));
    let waves = maps::waves(maps::to_start(planned));
    if starts {
        steps.extend(waves.iter().enumerate().map(|(index, wave)| {
            let names = wave.iter().map(|map| map.name.clone()).collect();
            of(&steps::StartMaps::of(index + 1), names)
        }));
        let paused = names(planned, |map| map.state == MapState::Paused);
        if !paused.is_empty() {
            steps.push(of(&steps::PauseMaps::of_plan(), paused));
        }
    }
    steps.push(plain(&steps::Verify));
    if !starts && !waves.is_empty() {
        steps.push(plain(&steps::ByPerson));
    }
    steps
}
