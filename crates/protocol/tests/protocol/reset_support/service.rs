//! The dual-write service, in virtual time.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    CONTOSO_MAPS, OLD, SET, TARGET, THIRD, companies, contoso_maps, keys, prerequisites, seconds,
    start,
};
use dualwrite_api::operation::{IntegrationKey, MapState};
use dualwrite_plan::{
    maps::TableMap,
    operation::{MapChange, MapTarget, RemoteState, Request},
    world::after,
};
use jiff::{SignedDuration, Timestamp};

/// Where the link is after a reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    AtTarget,
    /// Everything is cleared, and the link is what it was.
    Stays,
    Elsewhere,
    NoLink,
}

/// How the service behaves.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// Requests have ids.
    pub ids: bool,
    /// The list of maps shows what was so long ago.
    pub lag: Duration,
    /// A change of the state of a map takes so long.
    pub takes: Duration,
    pub reset_takes: Duration,
    pub ends: Ends,
    pub never_stop: BTreeSet<String>,
    pub never_start: BTreeSet<String>,
    /// What it says of a request never ends.
    pub stuck: bool,
    /// What the solutions bring.
    pub solutions: Vec<(String, Vec<TableMap>)>,
    /// It shows nothing in this time.
    pub blind: Option<(Timestamp, Timestamp)>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            ids: true,
            lag: Duration::ZERO,
            takes: seconds(40),
            reset_takes: seconds(90),
            ends: Ends::AtTarget,
            never_stop: BTreeSet::new(),
            never_start: BTreeSet::new(),
            stuck: false,
            solutions: super::solutions(),
            blind: None,
        }
    }
}

/// Something that is about to happen.
#[derive(Clone, Debug)]
enum Coming {
    Change(MapChange, MapTarget, String),
    Reset,
    Bring(TableMap),
    Keys(Vec<IntegrationKey>),
    Version(String, String),
}

#[derive(Clone, Debug)]
pub struct Service {
    pub behaviour: Behaviour,
    /// The environment and the connection set that dual-write is linked to.
    pub link: Option<(String, String)>,
    pub maps: Vec<TableMap>,
    pub keys: Vec<IntegrationKey>,
    pub companies: Vec<String>,
    pub resets: u32,
    coming: Vec<(Timestamp, Coming)>,
    history: Vec<(Timestamp, Vec<TableMap>)>,
    requests: BTreeMap<String, (Timestamp, Option<String>)>,
}

impl Service {
    pub fn new(behaviour: Behaviour) -> Self {
        let mut service = Self {
            behaviour,
            link: Some((OLD.into(), SET.into())),
            maps: contoso_maps(),
            keys: keys(),
            companies: companies(),
            resets: 0,
            coming: Vec::new(),
            history: Vec::new(),
            requests: BTreeMap::new(),
        };
        let before = start() - SignedDuration::from_hours(1);
        service.history.push((before, service.maps.clone()));
        service
    }

    /// Lets everything happen that is due.
    pub fn settle(&mut self, now: Timestamp) {
        self.coming.sort_by_key(|(due, _)| *due);
        while self.coming.first().is_some_and(|(due, _)| *due <= now) {
            let (due, what) = self.coming.remove(0);
            self.happen(what);
            self.history.push((due, self.maps.clone()));
        }
    }

    /// Somebody else does something.
    pub fn meddle(&mut self, now: Timestamp, how: impl FnOnce(&mut Self)) {
        how(self);
        self.history.push((now, self.maps.clone()));
    }

    fn happen(&mut self, what: Coming) {
        match what {
            Coming::Change(change, target, request) => {
                if let Err(why) = self.change(change, &target)
                    && let Some((_, failure)) = self.requests.get_mut(&request)
                {
                    *failure = Some(why);
                }
            }
            Coming::Reset => self.reset(),
            Coming::Bring(map) => self.maps.push(map),
            Coming::Keys(keys) => self.keys = keys,
            Coming::Version(template, project) => {
                let found = self
                    .maps
                    .iter_mut()
                    .find(|map| map.project.as_ref() == Some(&project));
                if let Some(map) = found {
                    let version = map
                        .versions
                        .iter()
                        .find(|version| version.template == template)
                        .unwrap()
                        .clone();
                    map.version = Some(version.version);
                    map.template = Some(template);
                }
            }
        }
    }

    fn reset(&mut self) {
        self.resets += 1;
        self.maps.clear();
        self.keys.clear();
        self.link = match self.behaviour.ends {
            Ends::AtTarget => Some((TARGET.into(), "set-2".into())),
            Ends::Stays => self.link.take(),
            Ends::Elsewhere => Some((THIRD.into(), "set-3".into())),
            Ends::NoLink => None,
        };
    }

    fn change(&mut self, change: MapChange, target: &MapTarget) -> Result<(), String> {
        let needed = prerequisites();
        let running: BTreeSet<String> = self
            .maps
            .iter()
            .filter(|map| map.state == MapState::Running)
            .map(|map| map.name.clone())
            .collect();
        let names: BTreeSet<String> = self.maps.iter().map(|map| map.name.clone()).collect();
        let Some(map) = self.maps.iter_mut().find(|map| {
            map.template.as_ref() == Some(&target.template)
                && (change == MapChange::Initialise || map.project == target.project)
        }) else {
            return Err("500: there is no such map.".into());
        };
        let name = map.name.clone();
        let refuse = |why: &str| Err(format!("'{name}': {why}"));
        match change {
            MapChange::Stop if self.behaviour.never_stop.contains(&name) => {
                return refuse("the initial write goes on.");
            }
            MapChange::Stop => map.state = MapState::Stopped,
            MapChange::Start if map.project.is_none() => return refuse("it has no project."),
            MapChange::Start if self.behaviour.never_start.contains(&name) => {
                return refuse("Project validation failed: DIPV1012.");
            }
            MapChange::Start => {
                let missing = needed
                    .get(&name)
                    .into_iter()
                    .flatten()
                    .any(|needed| names.contains(needed) && !running.contains(needed));
                if missing {
                    return refuse("a prerequisite does not run.");
                }
                map.state = MapState::Running;
            }
            MapChange::Pause if map.state != MapState::Running => {
                return refuse("only a running map can be paused.");
            }
            MapChange::Pause => map.state = MapState::Paused,
            MapChange::Initialise => {
                map.project.get_or_insert(format!("new project of {name}"));
            }
        }
        Ok(())
    }

    /// A request arrives; the id of what is done for it.
    pub fn arrive(&mut self, request: &Request, at: Timestamp) -> String {
        let id = format!("request-{}", self.requests.len());
        let due = after(at, self.behaviour.takes);
        let mut done = due;
        match request {
            Request::Maps { change, maps, .. } => {
                for target in maps {
                    let what = Coming::Change(*change, target.clone(), id.clone());
                    self.coming.push((due, what));
                }
            }
            Request::Reset { .. } => {
                done = after(at, self.behaviour.reset_takes);
                self.coming.push((done, Coming::Reset));
            }
            Request::Solution { name, .. } => {
                let of = self.behaviour.solutions.iter().find(|(of, _)| of == name);
                let brings = of.map(|(_, maps)| maps.clone()).unwrap_or_default();
                for map in brings {
                    self.coming.push((done, Coming::Bring(map)));
                    done = after(done, seconds(15));
                }
            }
            Request::IntegrationKeys { keys, .. } => {
                self.coming.push((at, Coming::Keys(keys.clone())));
            }
            Request::Version {
                template, project, ..
            } => {
                let what = Coming::Version(template.clone(), project.clone());
                self.coming.push((at, what));
            }
            Request::Install(_) | Request::Link | Request::Backup => panic!("not for the service"),
        }
        self.requests.insert(id.clone(), (done, None));
        id
    }

    // ---- what it shows ----

    pub fn is_blind(&self, now: Timestamp) -> bool {
        let (from, until) = self.behaviour.blind.unwrap_or((now, now));
        from <= now && now < until
    }

    pub fn shown_maps(&self, now: Timestamp) -> Vec<TableMap> {
        let at = now - SignedDuration::try_from(self.behaviour.lag).unwrap();
        let shown = self.history.iter().rev().find(|(since, _)| *since <= at);
        shown.map(|(_, maps)| maps.clone()).unwrap_or_default()
    }

    pub fn request(&self, id: &str, now: Timestamp) -> RemoteState {
        match self.requests.get(id) {
            None => RemoteState::Gone,
            Some(_) if self.behaviour.stuck => RemoteState::Running,
            Some((done, _)) if now < *done => RemoteState::Running,
            Some((_, Some(why))) => RemoteState::Failed(why.clone()),
            Some((_, None)) => RemoteState::Succeeded,
        }
    }

    pub fn state(&self, name: &str) -> Option<MapState> {
        let found = self.maps.iter().find(|map| map.name == name);
        found.map(|map| map.state)
    }

    pub fn all_stopped(&self) -> bool {
        self.maps.iter().all(|map| map.state.is_stopped())
    }

    /// Whether something that was asked for is still to come.
    pub fn is_quiet(&self) -> bool {
        self.coming.is_empty()
    }

    /// The first solution brings this one no more.
    pub fn forget(&mut self, name: &str) {
        for (solution, maps) in &mut self.behaviour.solutions {
            if solution == CONTOSO_MAPS {
                maps.retain(|map| map.name != name);
            }
        }
    }
}
