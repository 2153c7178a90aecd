//! Microsoft's side of one finance and operations host: its link, packages and table maps. Requests take effect later, lists
//! lag, answers are lost.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::support::{self, APP, CORE, E, S, map, package};
use dualwrite_api::operation::{IntegrationKey, MapState};
use dualwrite_plan::{
    maps::{MapVersion, TableMap},
    observed::{Package, PackageState},
    operation::{MapChange, MapTarget, RemoteState, Request},
    world::after,
};
use jiff::{SignedDuration, Timestamp};

/// An environment for production.
pub const PRODUCTION: &str = "6f2c8d0e-0000-4000-8000-000000000003";
pub const SOLUTIONS: [&str; 2] = ["ContosoMaps", "FabrikamMaps"];

/// The environment and the connection set that dual-write is linked to.
pub type Link = Option<(String, String)>;

/// Who has changed a map last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    Nobody,
    /// An operation, by its uid.
    Operation(String),
    SomebodyElse,
}

/// How the service behaves.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// Requests have ids.
    pub ids: bool,
    /// Lists show what was so long ago.
    pub lag: Duration,
    /// Only every other look shows what was then; the others show what is.
    pub flickers: bool,
    /// A change takes so long.
    pub takes: Duration,
    pub reset_takes: Duration,
    /// The order of a list is no fact.
    pub shuffles: bool,
    /// A reset leaves the link where it is.
    pub reset_stays: bool,
    pub never_stop: BTreeSet<String>,
    pub never_start: BTreeSet<String>,
}

/// What one request does.
#[derive(Clone, Debug)]
pub enum Effect {
    Change(MapChange, MapTarget),
    /// To which environment, of which connection set.
    Reset(String, String),
    Bring(String),
    Keys(Vec<IntegrationKey>),
    Version(String, String),
    Link(String),
    Installing(String),
    Installed(String),
}

/// Something that is about to happen, and for which request.
#[derive(Clone, Debug)]
pub struct Coming {
    pub at: Timestamp,
    pub effect: Effect,
    /// The number of the request in the journal.
    pub request: usize,
}

/// What has happened: for checks.
#[derive(Clone, Debug)]
pub struct Landed {
    pub request: usize,
    pub effect: Effect,
    /// It has changed something.
    pub changed: bool,
}

#[derive(Clone, Debug)]
pub struct Host {
    pub name: String,
    /// The environment that it is integrated with.
    pub integrated: Option<String>,
    pub behaviour: Behaviour,
    pub link: Link,
    pub maps: Vec<TableMap>,
    pub keys: Vec<IntegrationKey>,
    pub packages: BTreeMap<String, Package>,
    /// Who changed a map last, and the state that it is to be in as far as anybody but us has a say.
    pub actors: BTreeMap<String, (Actor, MapState)>,
    /// It shows nothing until then.
    pub blind_until: Timestamp,
    /// It refuses to show maps until then.
    pub refuses_maps_until: Timestamp,
    /// The finance and operations environment is stopped until then.
    pub down_until: Timestamp,
    coming: Vec<Coming>,
    history: Vec<(Timestamp, Link, Vec<TableMap>)>,
    requests: BTreeMap<String, (Timestamp, Option<String>)>,
    sets: u32,
}

pub fn some_maps() -> Vec<TableMap> {
    let mut maps = vec![
        map("Customers", MapState::Running),
        map("Groups", MapState::Running),
        map("Vendors", MapState::Paused),
        map("Units", MapState::Stopped),
        map("Orders", MapState::None),
    ];
    for map in &mut maps {
        map.versions.push(MapVersion {
            template: format!("newer-template-of-{}", map.name),
            author: Some("Microsoft".into()),
            version: "1.0.0.2".into(),
        });
    }
    maps
}

pub fn prerequisites() -> BTreeMap<String, Vec<String>> {
    support::prerequisites(&[("Customers", &["Groups"])])
}

/// What each solution brings: not started, without a project, in its newest version.
fn brought_by(solution: &str) -> Vec<TableMap> {
    let fresh = |name: &&str| {
        let of = some_maps().into_iter().find(|map| map.name == **name);
        let mut map = of.unwrap();
        let was_used = map.project.is_some();
        map.state = MapState::Stopped;
        map.project = None;
        // Without a project there is no version to choose.
        if was_used {
            map.template = Some(format!("newer-template-of-{name}"));
            map.version = Some("1.0.0.2".into());
        }
        map
    };
    let names: &[&str] = match solution {
        "ContosoMaps" => &["Customers", "Groups", "Vendors"],
        _ => &["Units", "Orders"],
    };
    names.iter().map(fresh).collect()
}

impl Host {
    pub fn new(name: &str, behaviour: Behaviour, now: Timestamp) -> Self {
        let state = || PackageState::Installed;
        Self {
            name: name.into(),
            integrated: Some(S.into()),
            behaviour,
            link: None,
            maps: Vec::new(),
            keys: Vec::new(),
            packages: [CORE, APP]
                .map(|name| (name.to_owned(), package(name, state())))
                .into(),
            actors: BTreeMap::new(),
            blind_until: now,
            refuses_maps_until: now,
            down_until: now,
            coming: Vec::new(),
            history: Vec::new(),
            requests: BTreeMap::new(),
            sets: 0,
        }
    }

    /// What is there at the beginning.
    pub fn begin(mut self, linked: Option<&str>, now: Timestamp) -> Self {
        if let Some(environment) = linked {
            self.link_to(environment);
            self.maps = some_maps();
            self.keys = vec![support::integration_key("accounts", &["number", "company"])];
        }
        for map in &self.maps {
            let actor = (Actor::Nobody, map.state);
            self.actors.insert(map.name.clone(), actor);
        }
        let long_ago = now - SignedDuration::from_hours(1);
        self.remember(long_ago);
        self
    }

    fn link_to(&mut self, environment: &str) {
        self.sets += 1;
        self.link = Some((environment.into(), format!("set-{}", self.sets)));
    }

    fn remember(&mut self, at: Timestamp) {
        self.history
            .push((at, self.link.clone(), self.maps.clone()));
    }

    /// When the next thing happens.
    pub fn next(&self) -> Option<Timestamp> {
        self.coming.iter().map(|coming| coming.at).min()
    }

    /// What is still to come of requests, by their numbers.
    pub fn to_come(&self) -> impl Iterator<Item = &Coming> {
        self.coming.iter()
    }

    /// Lets the next thing happen, which is due.
    pub fn happen(
        &mut self,
        now: Timestamp,
        operation: impl Fn(usize) -> String,
    ) -> Option<Landed> {
        let due = (0..self.coming.len())
            .filter(|index| self.coming[*index].at <= now)
            .min_by_key(|index| self.coming[*index].at)?;
        let coming = self.coming.remove(due);
        let uid = operation(coming.request);
        let (link, maps) = (self.link.clone(), self.maps.clone());
        let packages = self.packages.clone();
        if let Err(why) = self.take_effect(&coming.effect, &uid)
            && let Some((_, failure)) = self.requests.get_mut(&id(coming.request))
        {
            *failure = Some(why);
        }
        let changed = link != self.link || maps != self.maps || packages != self.packages;
        self.remember(now);
        Some(Landed {
            request: coming.request,
            effect: coming.effect,
            changed,
        })
    }

    /// Somebody else does something; to which maps.
    pub fn meddle(&mut self, now: Timestamp, how: impl FnOnce(&mut Self)) -> Vec<String> {
        let before = self.maps.clone();
        how(self);
        let is_gone = |map: &&TableMap| !self.maps.iter().any(|now| now.name == map.name);
        let gone = before.iter().filter(is_gone);
        let new = self.maps.iter().filter(|map| !before.contains(map));
        let changed: Vec<(String, MapState)> = new
            .map(|map| (map.name.clone(), map.state))
            .chain(gone.map(|map| (map.name.clone(), MapState::None)))
            .collect();
        for (name, state) in &changed {
            self.actors
                .insert(name.clone(), (Actor::SomebodyElse, *state));
        }
        self.remember(now);
        changed.into_iter().map(|(name, _)| name).collect()
    }

    /// A solution that is applied again brings its maps again.
    pub fn somebody_applies(&mut self, solution: &str) {
        if self.link.is_some() {
            self.maps.extend(brought_by(solution));
        }
    }

    pub fn somebody_links(&mut self, environment: &str) {
        self.link_to(environment);
        self.maps = some_maps();
        for map in &mut self.maps {
            map.project = map
                .project
                .take()
                .map(|of| format!("{of} in set-{}", self.sets));
        }
    }

    fn acted(&mut self, name: &str, uid: &str) {
        let entry = self.actors.entry(name.to_owned());
        let actor = entry.or_insert((Actor::Nobody, MapState::None));
        actor.0 = Actor::Operation(uid.to_owned());
    }

    fn take_effect(&mut self, effect: &Effect, uid: &str) -> Result<(), String> {
        match effect {
            Effect::Change(change, target) => self.change(*change, target, uid)?,
            Effect::Reset(target, set) => self.reset(target, set, uid)?,
            Effect::Bring(name) => {
                let all = SOLUTIONS.iter().flat_map(|solution| brought_by(solution));
                self.maps.extend(all.filter(|map| map.name == *name));
            }
            Effect::Keys(keys) => self.keys.clone_from(keys),
            Effect::Version(template, project) => self.choose_version(template, project),
            Effect::Link(environment) => {
                if self.link.is_none() {
                    self.link_to(environment);
                    self.maps = some_maps();
                    for map in &mut self.maps {
                        map.state = MapState::Stopped;
                    }
                }
            }
            Effect::Installing(name) => {
                self.package(name, PackageState::InProgress("Installing".into()));
            }
            Effect::Installed(name) => self.package(name, PackageState::Installed),
        }
        Ok(())
    }

    fn package(&mut self, name: &str, state: PackageState) {
        self.packages.insert(name.into(), package(name, state));
    }

    fn reset(&mut self, target: &str, set: &str, uid: &str) -> Result<(), String> {
        if self.link.as_ref().is_none_or(|(_, linked)| linked != set) {
            return Err("404: there is no such connection set.".into());
        }
        for map in std::mem::take(&mut self.maps) {
            self.acted(&map.name, uid);
        }
        self.keys.clear();
        let link = self.link.take();
        if self.behaviour.reset_stays {
            self.link = link;
        } else {
            self.link_to(target);
        }
        Ok(())
    }

    fn choose_version(&mut self, template: &str, project: &str) {
        let is_it = |map: &&mut TableMap| map.project.as_deref() == Some(project);
        if let Some(map) = self.maps.iter_mut().find(is_it) {
            let mut versions = map.versions.iter();
            if let Some(version) = versions.find(|version| version.template == template) {
                map.version = Some(version.version.clone());
                map.template = Some(template.to_owned());
            }
        }
    }

    fn change(&mut self, change: MapChange, target: &MapTarget, uid: &str) -> Result<(), String> {
        let running: BTreeSet<String> = self
            .maps
            .iter()
            .filter(|map| map.state == MapState::Running)
            .map(|map| map.name.clone())
            .collect();
        let sets = self.sets;
        let found = self.maps.iter_mut().find(|map| {
            map.template.as_ref() == Some(&target.template)
                && (change == MapChange::Initialise || map.project == target.project)
        });
        let Some(map) = found else {
            return Err("500: there is no such map.".into());
        };
        let name = map.name.clone();
        match change {
            MapChange::Stop if self.behaviour.never_stop.contains(&name) => {
                return Err(format!("'{name}': the initial write goes on."));
            }
            MapChange::Stop => map.state = MapState::Stopped,
            MapChange::Start if self.behaviour.never_start.contains(&name) => {
                return Err(format!("'{name}': project validation failed."));
            }
            MapChange::Start if name == "Customers" && !running.contains("Groups") => {
                return Err(format!("'{name}': a prerequisite does not run."));
            }
            MapChange::Start => map.state = MapState::Running,
            MapChange::Pause if map.state != MapState::Running => {
                return Err(format!("'{name}': only a running map can be paused."));
            }
            MapChange::Pause => map.state = MapState::Paused,
            MapChange::Initialise => {
                map.project
                    .get_or_insert(format!("project-of-{name} in set-{sets}"));
            }
        }
        self.acted(&name, uid);
        Ok(())
    }

    /// A request arrives at this time: what is to come of it, and the id of what is done for it.
    pub fn arrive(
        &mut self,
        request: &Request,
        target: &str,
        at: Timestamp,
        number: usize,
    ) -> String {
        let takes = match request {
            // What is never asked for again is not worked at for long.
            Request::Link => self.behaviour.takes.min(Duration::from_secs(55)),
            _ => self.behaviour.takes,
        };
        let mut done = after(at, takes);
        let mut effects = Vec::new();
        match request {
            Request::Maps { change, maps, .. } => {
                let each = maps.iter();
                effects.extend(each.map(|map| (done, Effect::Change(*change, map.clone()))));
            }
            Request::Reset { set, .. } => {
                done = after(at, self.behaviour.reset_takes);
                effects.push((done, Effect::Reset(target.to_owned(), set.clone())));
            }
            Request::Solution { name, .. } => {
                for map in brought_by(name) {
                    effects.push((done, Effect::Bring(map.name)));
                    done = after(done, Duration::from_secs(15));
                }
            }
            Request::IntegrationKeys { keys, .. } => effects.push((at, Effect::Keys(keys.clone()))),
            Request::Version {
                template, project, ..
            } => effects.push((at, Effect::Version(template.clone(), project.clone()))),
            Request::Link => effects.push((done, Effect::Link(target.to_owned()))),
            Request::Install(name) => {
                done = after(at, Duration::from_mins(20));
                effects.push((at, Effect::Installing(name.clone())));
                effects.push((done, Effect::Installed(name.clone())));
            }
            Request::Backup => {}
        }
        for (at, effect) in effects {
            self.coming.push(Coming {
                at,
                effect,
                request: number,
            });
        }
        self.requests.insert(id(number), (done, None));
        id(number)
    }

    // ---- what it shows ----

    fn shown(&self, now: Timestamp) -> (Link, Vec<TableMap>) {
        let is_up_to_date = self.behaviour.flickers && now.as_second() % 2 == 0;
        let lag = SignedDuration::try_from(self.behaviour.lag).unwrap();
        let at = if is_up_to_date { now } else { now - lag };
        let shown = self.history.iter().rev().find(|(since, ..)| *since <= at);
        shown
            .map(|(_, link, maps)| (link.clone(), maps.clone()))
            .unwrap_or_default()
    }

    pub fn shown_link(&self, now: Timestamp) -> Link {
        self.shown(now).0
    }

    pub fn shown_maps(&self, now: Timestamp) -> Vec<TableMap> {
        self.shown(now).1
    }

    pub fn request(&self, id: &str, now: Timestamp) -> RemoteState {
        match self.requests.get(id) {
            None => RemoteState::Gone,
            Some((done, _)) if now < *done => RemoteState::Running,
            Some((_, Some(why))) => RemoteState::Failed(why.clone()),
            Some((_, None)) => RemoteState::Succeeded,
        }
    }

    pub fn state(&self, name: &str) -> Option<MapState> {
        let twins = self.maps.iter().filter(|map| map.name == name);
        // It is enough that one of them is as it should be.
        twins.map(|map| map.state).max_by_key(|state| match state {
            MapState::Running => 2,
            MapState::Paused => 1,
            _ => 0,
        })
    }

    pub fn is_linked_to(&self, environment: &str) -> bool {
        let mut link = self.link.iter();
        link.any(|(linked, _)| linked == environment)
    }
}

fn id(number: usize) -> String {
    format!("request-{number}")
}

/// The environments that dual-write can be linked to.
pub const ENVIRONMENTS: [&str; 3] = [S, E, PRODUCTION];
