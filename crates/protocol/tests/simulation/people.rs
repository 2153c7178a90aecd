//! The world that a seed makes, and what people and everybody else do in it.

use std::{collections::BTreeSet, time::Duration};

use crate::{
    api::{Key, key_of, second, uid_of},
    microsoft::{Behaviour, ENVIRONMENTS, Host, PRODUCTION, SOLUTIONS, some_maps},
    support::{E, HOST, OTHER_HOST, S, hours, minutes, seconds},
    world::{Event, Faults, World},
};
use dualwrite_api::{
    CONFIRM_STOP, DualWriteConnection, DualWriteOperation, RECONCILE_AT,
    connection::{MixPolicy, Mode},
    operation::{Approval, MapState, Phase},
};
use dualwrite_plan::world::after;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry, Time};
use serde_json::json;

/// Something that somebody does.
#[derive(Clone, Copy, Debug)]
pub enum Deed {
    /// Whatever comes to somebody's mind.
    Something,
    /// Nothing goes wrong any more, and nobody does anything.
    Peace,
}

/// For how long things happen.
pub const UNREST: Duration = hours(8);

type Act = fn(&mut World) -> Option<String>;

/// What can be done, and how often it is.
const ACTS: [(u32, Act); 24] = [
    (8, approve),
    (2, reject),
    (2, suspend),
    (4, resume),
    (2, edit_target),
    (2, edit_force),
    (2, edit_mix_policy),
    (1, edit_mode),
    (3, delete_connection),
    (3, create_connection),
    (2, delete_operation),
    (2, break_credentials),
    (3, mend_credentials),
    (2, ask_anew),
    (2, stop_a_map),
    (2, start_a_map),
    (1, unlink),
    (2, link_elsewhere),
    (3, crash),
    (2, restart_api),
    (2, blind),
    (1, refuse_maps),
    (1, apply_a_solution),
    (1, integrate_elsewhere),
];

impl World {
    /// The world of a seed, and when peace comes.
    pub fn of_seed(seed: u64, now: Timestamp) -> (Self, Timestamp) {
        let mut world = Self::new(seed, now);
        world.faults = Faults {
            api: world.pick(&[0, 2, 10]).unwrap(),
            answers: world.pick(&[0, 10, 35]).unwrap(),
            watch_lag: world.pick(&[seconds(1), seconds(20), minutes(2)]).unwrap(),
            call: world.pick(&[seconds(1), seconds(10)]).unwrap(),
        };
        let hosts: &[&str] = if world.chance(15) {
            &[HOST, OTHER_HOST]
        } else {
            &[HOST]
        };
        for name in hosts {
            world.add_host(name);
        }
        let connections = world.rng.u32(1..=3);
        for index in 0..connections {
            let at = world.up_to(minutes(if index == 0 { 1 } else { 90 }));
            let (namespace, name) = (world.namespace(), format!("c{index}"));
            let connection = world.connection(&namespace, &name);
            world.schedule_connection(at, connection);
        }
        for process in 0..if world.chance(30) { 2 } else { 1 } {
            world.processes.push(None);
            world.after(Duration::from_millis(1), Event::Start(process));
        }
        for _ in 0..world.rng.u32(0..16) {
            let at = world.up_to(UNREST);
            world.after(at, Event::Person(Deed::Something));
        }
        let peace = after(now, UNREST);
        world.at(peace, Event::Person(Deed::Peace));
        (world, peace)
    }

    fn add_host(&mut self, name: &str) {
        let mut never = |percent| {
            let maps = some_maps().into_iter().map(|map| map.name);
            let some: BTreeSet<String> = maps.filter(|_| self.rng.u32(0..100) < percent).collect();
            some
        };
        let (never_stop, never_start) = (never(4), never(4));
        let behaviour = Behaviour {
            shuffles: self.chance(20),
            ids: self.chance(60),
            lag: self
                .pick(&[Duration::ZERO, seconds(15), seconds(50)])
                .unwrap(),
            // Not drawn: the seeds that were found stay what they are.
            flickers: self.seed.is_multiple_of(3),
            takes: self
                .pick(&[seconds(1), seconds(20), seconds(55), minutes(4)])
                .unwrap(),
            reset_takes: self.pick(&[seconds(5), seconds(60)]).unwrap(),
            reset_stays: self.chance(8),
            never_stop,
            never_start,
        };
        let linked = self
            .pick(&[None, Some(S), Some(S), Some(E), Some(E), Some(PRODUCTION)])
            .unwrap();
        let mut host = Host::new(name, behaviour, self.now);
        if self.chance(10) {
            host.packages.clear();
        }
        let host = host.begin(linked, self.now);
        self.hosts.insert(name.to_owned(), host);
    }

    fn namespace(&mut self) -> String {
        self.pick(&["near", "near", "far"]).unwrap().to_owned()
    }

    /// Somebody's wishes.
    fn connection(&mut self, namespace: &str, name: &str) -> DualWriteConnection {
        let hosts: Vec<String> = self.hosts.keys().cloned().collect();
        let host = self.pick(&hosts).unwrap();
        let mut either = |percent, one: &'static str, other: &'static str| {
            if self.rng.u32(0..100) < percent {
                one
            } else {
                other
            }
        };
        let spec = json!({
            "mode": either(90, "Manage", "Observe"),
            "interval": "20m",
            "financeOperations": {"url": format!("https://{host}")},
            "dataverse": {"environmentId": either(85, S, E)},
            "credentials": {
                "tenantId": "72f988bf-0000-4000-8000-000000000001",
                "secretRef": {"name": format!("secret-of-{namespace}-{name}")},
            },
            "dualWriteService": {
                "url": "https://projectmanagementservice.weu-il107.gateway.prod.island.powerapps.com",
                "secretRef": {"name": "account"},
            },
            "setup": {"acceptTerms": either(90, "yes", "no") == "yes"},
            "link": {
                "method": either(70, "Service", "Manual"),
                "legalEntities": ["USMF", "DEMF"],
            },
            "mismatch": {
                "policy": either(75, "Reset", "Report"),
                "approval": either(50, "Automatic", "Required"),
                "startMaps": either(70, "AsBefore", "Never"),
                "force": either(20, "yes", "no") == "yes",
                "onMix": either(50, "StopMaps", "Report"),
            },
            "deletionPolicy": either(60, "StopMaps", "Retain"),
        });
        let manifest = json!({
            "apiVersion": "dualwrite.dev/v1alpha1",
            "kind": "DualWriteConnection",
            "metadata": {"name": name, "namespace": namespace, "annotations": {CONFIRM_STOP: name}},
            "spec": spec,
        });
        serde_json::from_value(manifest).unwrap()
    }

    fn schedule_connection(&mut self, wait: Duration, connection: DualWriteConnection) {
        self.after(wait, Event::Born(Box::new(connection)));
    }

    /// A connection is created, unless there is one of its name.
    pub fn be_born(&mut self, connection: DualWriteConnection) {
        let key = key_of(&connection.metadata);
        if self.api.connections.contains_key(&key) {
            return;
        }
        let spec = serde_json::to_string(&connection.spec).unwrap();
        self.note("somebody", format!("creates {key:?}: {spec}"));
        let now = self.now;
        self.api.add_connection(connection, now);
        self.changed_from_outside();
        self.publish();
    }

    pub fn act(&mut self, deed: Deed) {
        match deed {
            Deed::Peace => self.make_peace(),
            Deed::Something => {
                let all: u32 = ACTS.iter().map(|(weight, _)| weight).sum();
                let mut chosen = self.rng.u32(0..all);
                let act = ACTS.iter().find(|(weight, _)| {
                    let is_it = chosen < *weight;
                    chosen = chosen.saturating_sub(*weight);
                    is_it
                });
                if let Some(what) = act.and_then(|(_, act)| act(self)) {
                    self.note("somebody", what);
                    self.changed_from_outside();
                }
            }
        }
        self.publish();
        self.look();
    }

    fn make_peace(&mut self) {
        self.note("everybody", "lets it be");
        self.faults = Faults::none();
        self.broken.clear();
        let now = self.now;
        self.api_down_until = now;
        self.api_refuses_until = now;
        for host in self.hosts.values_mut() {
            host.blind_until = now;
            host.down_until = now;
            host.refuses_maps_until = now;
        }
        self.changed_from_outside();
    }

    // ---- choosing ----

    fn some_connection(&mut self) -> Option<(Key, DualWriteConnection)> {
        let all: Vec<_> = self.api.connections.clone().into_iter().collect();
        self.pick(&all)
    }

    fn some_operation(
        &mut self,
        of: impl Fn(&DualWriteOperation) -> bool,
    ) -> Option<(Key, DualWriteOperation)> {
        let all = self.api.operations.clone().into_iter();
        let all: Vec<_> = all.filter(|(_, operation)| of(operation)).collect();
        self.pick(&all)
    }

    fn some_host(&mut self) -> String {
        let all: Vec<String> = self.hosts.keys().cloned().collect();
        self.pick(&all).unwrap()
    }

    /// Edits the spec of a connection.
    fn edit(&mut self, how: impl FnOnce(&mut DualWriteConnection)) -> Option<String> {
        let (key, mut connection) = self.some_connection()?;
        let before = connection.spec.clone();
        how(&mut connection);
        if connection.spec == before {
            return None;
        }
        let generation = connection.metadata.generation.unwrap_or_default();
        connection.metadata.generation = Some(generation + 1);
        self.api.put_connection(connection);
        Some(key.1)
    }

    fn decide(&mut self, approval: Approval) -> Option<String> {
        let (key, mut operation) = self.some_operation(|operation| {
            operation.spec.approval == Approval::Pending
                && operation.metadata.deletion_timestamp.is_none()
                && phase(operation) == Some(Phase::AwaitingApproval)
        })?;
        operation.spec.approval = approval;
        let generation = operation.metadata.generation.unwrap_or_default();
        operation.metadata.generation = Some(generation + 1);
        operation.metadata.managed_fields = Some(vec![ManagedFieldsEntry {
            manager: Some("kubectl-edit".into()),
            time: Some(Time(second(self.now))),
            fields_v1: Some(FieldsV1(json!({"f:spec": {"f:approval": {}}}))),
            ..ManagedFieldsEntry::default()
        }]);
        if approval == Approval::Approved {
            let uid = uid_of(&operation.metadata).to_owned();
            self.ledger.approved.insert(uid);
        }
        self.api.put_operation(operation);
        Some(key.1)
    }

    /// Somebody else does something at a host.
    fn meddle(&mut self, how: impl FnOnce(&mut Host)) -> String {
        let name = self.some_host();
        let now = self.now;
        let is_busy = self.api.operations.values().any(|operation| {
            operation.spec.finance_operations_host == name
                && phase(operation) == Some(Phase::Running)
        });
        let host = self.hosts.get_mut(&name).unwrap();
        let changed = host.meddle(now, how).into_iter().filter(|_| is_busy);
        let contested = changed.map(|map| (name.clone(), map));
        self.ledger.contested.extend(contested);
        self.ledger.meddled.insert(name.clone(), now);
        name
    }

    fn some_map(&mut self) -> Option<String> {
        let maps: Vec<String> = some_maps().into_iter().map(|map| map.name).collect();
        self.pick(&maps)
    }
}

fn phase(operation: &DualWriteOperation) -> Option<Phase> {
    operation.status.as_ref().and_then(|status| status.phase)
}

// ---- what is done ----

fn approve(world: &mut World) -> Option<String> {
    let name = world.decide(Approval::Approved)?;
    Some(format!("approves {name}"))
}

fn reject(world: &mut World) -> Option<String> {
    let name = world.decide(Approval::Rejected)?;
    Some(format!("rejects {name}"))
}

fn suspend(world: &mut World) -> Option<String> {
    let name = world.edit(|connection| connection.spec.suspend = true)?;
    Some(format!("suspends {name}"))
}

fn resume(world: &mut World) -> Option<String> {
    let name = world.edit(|connection| connection.spec.suspend = false)?;
    Some(format!("resumes {name}"))
}

fn edit_target(world: &mut World) -> Option<String> {
    let to = world.pick(&[S, S, E])?;
    let name = world.edit(|connection| connection.spec.dataverse.environment_id = to.into())?;
    Some(format!("sets the environment of {name} to {to}"))
}

fn edit_force(world: &mut World) -> Option<String> {
    let name = world.edit(|connection| {
        let force = &mut connection.spec.mismatch.force;
        *force = !*force;
    })?;
    Some(format!("changes mismatch.force of {name}"))
}

fn edit_mix_policy(world: &mut World) -> Option<String> {
    let name = world.edit(|connection| connection.spec.mismatch.on_mix = MixPolicy::StopMaps)?;
    Some(format!("asks {name} to stop the maps of a mix"))
}

fn edit_mode(world: &mut World) -> Option<String> {
    let name = world.edit(|connection| {
        let mode = &mut connection.spec.mode;
        *mode = match mode {
            Mode::Manage => Mode::Observe,
            Mode::Observe => Mode::Manage,
        };
    })?;
    Some(format!("changes the mode of {name}"))
}

fn delete_connection(world: &mut World) -> Option<String> {
    let (key, _) = world.some_connection()?;
    let now = world.now;
    world.api.delete_connection(&key, now);
    Some(format!("deletes {}", key.1))
}

/// Of a name that is free by now: a new one, or one that there was.
fn create_connection(world: &mut World) -> Option<String> {
    let namespace = world.namespace();
    let name = world.pick(&["c0", "c1", "c2"])?;
    if world
        .api
        .connections
        .contains_key(&(namespace.clone(), name.to_owned()))
    {
        return None;
    }
    let connection = world.connection(&namespace, name);
    world.schedule_connection(Duration::ZERO, connection);
    Some(format!("wants {name} in {namespace}"))
}

fn delete_operation(world: &mut World) -> Option<String> {
    let (key, operation) = world.some_operation(|_| true)?;
    if matches!(phase(&operation), Some(Phase::Running | Phase::Unknown)) {
        let uid = uid_of(&operation.metadata).to_owned();
        world.ledger.released.insert(uid);
    }
    let now = world.now;
    world.api.delete_operation(&key, now);
    Some(format!("deletes operation {}", key.1))
}

fn break_credentials(world: &mut World) -> Option<String> {
    let (_, connection) = world.some_connection()?;
    let secret = connection.spec.credentials.secret_ref?.name;
    world.broken.insert(secret.clone());
    Some(format!("lets {secret} expire"))
}

fn mend_credentials(world: &mut World) -> Option<String> {
    let secret = world.broken.pop_first()?;
    Some(format!("renews {secret}"))
}

fn ask_anew(world: &mut World) -> Option<String> {
    let (key, mut connection) = world.some_connection()?;
    let annotations = connection.metadata.annotations.get_or_insert_default();
    annotations.insert(RECONCILE_AT.into(), world.now.to_string());
    world.api.put_connection(connection);
    Some(format!("asks {} to look anew", key.1))
}

fn stop_a_map(world: &mut World) -> Option<String> {
    let name = world.some_map()?;
    let host = world.meddle(|host| set_state(host, &name, MapState::Stopped));
    Some(format!("stops {name} of {host}"))
}

fn start_a_map(world: &mut World) -> Option<String> {
    let name = world.some_map()?;
    let host = world.meddle(|host| set_state(host, &name, MapState::Running));
    Some(format!("starts {name} of {host}"))
}

fn set_state(host: &mut Host, name: &str, state: MapState) {
    let mut maps = host.maps.iter_mut();
    if let Some(map) = maps.find(|map| map.name == name && map.project.is_some()) {
        map.state = state;
    }
}

fn unlink(world: &mut World) -> Option<String> {
    let host = world.meddle(|host| {
        host.link = None;
        host.maps.clear();
    });
    Some(format!("unlinks {host}"))
}

fn link_elsewhere(world: &mut World) -> Option<String> {
    let to = world.pick(&ENVIRONMENTS)?;
    let host = world.meddle(|host| host.somebody_links(to));
    Some(format!("links {host} to {to}"))
}

fn apply_a_solution(world: &mut World) -> Option<String> {
    let solution = world.pick(&SOLUTIONS)?;
    let host = world.meddle(|host| host.somebody_applies(solution));
    Some(format!("applies {solution} to {host}"))
}

fn integrate_elsewhere(world: &mut World) -> Option<String> {
    let with = world.pick(&[None, Some(E), Some(S)])?;
    let host = world.meddle(|host| host.integrated = with.map(str::to_owned));
    Some(format!("integrates {host} with {with:?}"))
}

fn crash(world: &mut World) -> Option<String> {
    let process = world.rng.usize(0..world.processes.len());
    let down = world.mostly_short(hours(1));
    world.after(Duration::ZERO, Event::Crash(process, down));
    Some(format!("kills the process at place {process}"))
}

/// An API server that has just started knows nobody.
fn restart_api(world: &mut World) -> Option<String> {
    let down = world.up_to(minutes(2));
    let refuses = world.up_to(minutes(1));
    world.note_away();
    world.api_down_until = after(world.now, down);
    world.api_refuses_until = after(world.api_down_until, refuses);
    Some(format!("restarts the API server: {down:?}"))
}

fn blind(world: &mut World) -> Option<String> {
    let name = world.some_host();
    let wait = world.mostly_short(hours(3));
    let until = after(world.now, wait);
    let host = world.hosts.get_mut(&name)?;
    host.blind_until = until;
    Some(format!("{name} shows nothing for {wait:?}"))
}

fn refuse_maps(world: &mut World) -> Option<String> {
    let name = world.some_host();
    let wait = world.up_to(hours(2));
    let until = after(world.now, wait);
    let host = world.hosts.get_mut(&name)?;
    host.refuses_maps_until = until;
    Some(format!("{name} refuses to show maps for {wait:?}"))
}
