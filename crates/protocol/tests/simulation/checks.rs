//! What must hold: during a run, when an operation says how it has ended, and when everything has settled.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::{
    api::{Key, Write, key_of, uid_of},
    microsoft::{Actor, Effect, Host, Landed},
    sends::Answer,
    support::minutes,
    world::World,
};
use dualwrite_api::{
    DualWriteOperation, DualWriteOperationStatus,
    connection::ApprovalPolicy,
    operation::{Action, Approval, MapState, Phase, StepState},
};
use dualwrite_plan::{
    desired::Desired,
    maps,
    operation::{MapChange, Request, Send},
    world::{Claim, KnownOperation, after},
};
use dualwrite_protocol as protocol;
use jiff::Timestamp;

/// How long a claim must have been there before everybody has to know of it.
const KNOWN_AFTER: Duration = minutes(10);

/// How long a deletion may take that has nothing to put back: ten minutes, and some for calls.
const MOST_OF_A_DELETION: Duration = minutes(15);

/// How many operations a connection may have made without a change from outside.
const MOST_CREATIONS: usize = 8;

/// What an operation says at its end when nothing is different from before.
const AS_BEFORE: &str = "The table maps are in the states that they had";

/// What it says when it does not name the maps that are stopped: nobody knows, or the backup does.
const ALL_OF_THEM: [&str; 2] = [
    "those that are left stay stopped",
    "may still run, or may be stopped",
];

/// One request, as it was sent.
#[derive(Clone, Debug)]
pub struct Sending {
    /// Its operation.
    pub uid: String,
    pub request: Request,
    pub answer: Answer,
}

/// What is kept of a run to judge it by.
#[derive(Default)]
pub struct Ledger {
    pub sendings: Vec<Sending>,
    /// The operations whose backup is written.
    pub backups: BTreeSet<String>,
    /// Those that are collected.
    pub orphans: BTreeSet<Key>,
    /// What people were told, by host.
    pub told: Vec<(String, String)>,
    /// The plans that a person has approved.
    pub approved: BTreeSet<String>,
    /// The operations that a person has deleted, or that were held too long: nobody answers for them any more.
    pub released: BTreeSet<String>,
    /// How operations have ended.
    pub ended: BTreeMap<String, (Phase, String)>,
    /// Since when connections have a claim.
    pub claims: BTreeMap<String, (Claim, String, Timestamp)>,
    /// Operations that connections have made since something changed from outside.
    pub created: BTreeMap<String, usize>,
    /// The maps of hosts that somebody else has changed while an operation was under way.
    pub contested: BTreeSet<(String, String)>,
    /// When somebody else last changed something at a host.
    pub meddled: BTreeMap<String, Timestamp>,
    /// Since when what is being deleted, by uid: its name, and how long it may take.
    pub deletions: BTreeMap<String, (String, Timestamp, Option<Duration>)>,
    /// Since when connections are suspended, by uid.
    pub suspended: BTreeMap<String, Timestamp>,
    /// The operations whose approval was taken back by a suspension.
    pub taken_back: BTreeSet<String>,
    /// When a process, or the API server, was last away.
    pub away: Option<Timestamp>,
    /// Why an operation was given up last.
    pub voided: String,
    pub violations: Vec<String>,
    pub ends: BTreeMap<String, u64>,
}

impl World {
    pub fn violation(&mut self, what: impl AsRef<str>) {
        self.note("VIOLATION", &what);
        self.ledger.violations.push(what.as_ref().to_owned());
    }

    pub fn tell(&mut self, host: &str, message: &str) {
        self.ledger.told.push((host.to_owned(), message.to_owned()));
    }

    /// Something has changed that is not our doing: plans may be made anew.
    pub fn changed_from_outside(&mut self) {
        self.ledger.created.clear();
    }

    /// Somebody who has to act is away: until then nobody can be said to be late.
    pub fn note_away(&mut self) {
        self.ledger.away = Some(self.now);
    }

    // ---- writes ----

    pub fn check_write(&mut self, write: &Write) {
        self.look();
        match write {
            Write::Create(owner, name, spec) => {
                let uid = uid_of(&owner.metadata).to_owned();
                let policy = owner.spec.mismatch.approval;
                let made = self.ledger.created.entry(uid).or_default();
                *made += 1;
                if *made > MOST_CREATIONS {
                    let why = self.ledger.voided.clone();
                    self.violation(format!(
                        "operations are made without end, such as {name}: {why}"
                    ));
                }
                let is_automatic = spec.approval == Approval::NotRequired;
                if spec.action == Action::Reset
                    && is_automatic
                    && policy == ApprovalPolicy::Required
                {
                    self.violation(format!("{name} needs nobody's approval"));
                }
            }
            Write::OperationStatus(key, _, status) => {
                let found = self.api.operations.get(key).cloned();
                if let Some(operation) = found {
                    self.check_status(&operation, status);
                }
            }
            Write::ConnectionStatus(..)
            | Write::ConnectionHold(..)
            | Write::OperationHold(..)
            | Write::Forget(..) => {}
        }
    }

    /// Looks at what takes time: claims, suspensions, deletions.
    pub fn look(&mut self) {
        self.note_claims();
        self.note_suspensions();
        self.note_deletions();
    }

    /// Whoever was there the whole time must have seen what has been so for long enough.
    fn must_be_known(&self, since: Timestamp) -> bool {
        let since = self.ledger.away.map_or(since, |away| away.max(since));
        self.now >= after(since, KNOWN_AFTER)
    }

    fn note_suspensions(&mut self) {
        let now = self.now;
        let suspended: Vec<String> = self
            .api
            .connections
            .values()
            .filter(|connection| connection.spec.suspend)
            .map(|connection| uid_of(&connection.metadata).to_owned())
            .collect();
        self.ledger
            .suspended
            .retain(|uid, _| suspended.contains(uid));
        for uid in suspended {
            self.ledger.suspended.entry(uid).or_insert(now);
        }
        let known: Vec<String> = self
            .ledger
            .suspended
            .iter()
            .filter(|(_, since)| self.must_be_known(**since))
            .map(|(uid, _)| uid.clone())
            .collect();
        let taken_back: Vec<String> = self
            .api
            .operations
            .values()
            .filter(|operation| {
                operation.spec.approval == Approval::Approved
                    && known.contains(&operation.spec.connection.uid)
                    && protocol::known(operation).is_unstarted()
            })
            .map(|operation| uid_of(&operation.metadata).to_owned())
            .collect();
        self.ledger.taken_back.extend(taken_back);
    }

    fn note_deletions(&mut self) {
        let mut there = BTreeMap::new();
        for (key, connection) in &self.api.connections {
            if connection.metadata.deletion_timestamp.is_some() {
                let uid = uid_of(&connection.metadata).to_owned();
                there.insert(uid, (key.1.clone(), Some(MOST_OF_A_DELETION)));
            }
        }
        for (key, operation) in &self.api.operations {
            if operation.metadata.deletion_timestamp.is_some() {
                let most = match operation.spec.action {
                    Action::Setup | Action::Link => Some(MOST_OF_A_DELETION),
                    Action::Reset | Action::StopMaps => None,
                };
                let uid = uid_of(&operation.metadata).to_owned();
                there.insert(uid, (key.1.clone(), most));
            }
        }
        let before = std::mem::take(&mut self.ledger.deletions);
        let now = self.now;
        for (uid, (name, since, most)) in &before {
            let is_late = most.is_some_and(|most| now > after(*since, most));
            let was_there = self.ledger.away.is_none_or(|away| away < *since)
                && self.processes.iter().all(Option::is_some);
            if is_late && was_there {
                self.violation(format!("the deletion of {name} {uid} took since {since}"));
            }
        }
        self.ledger.deletions = there
            .into_iter()
            .map(|(uid, (name, most))| {
                let since = before.get(&uid).map_or(now, |(_, since, _)| *since);
                (uid, (name, since, most))
            })
            .collect();
    }

    /// Since when who has a claim.
    fn note_claims(&mut self) {
        let mut claims = BTreeMap::new();
        for connection in self.api.connections.values() {
            let Some(claim) = Claim::of(connection) else {
                continue;
            };
            let host = crate::shell::desired(connection).host;
            let before = self.ledger.claims.get(&claim.uid);
            let since = before.map_or(self.now, |(_, _, since)| *since);
            claims.insert(claim.uid.clone(), (claim, host, since));
        }
        self.ledger.claims = claims;
    }

    fn check_status(&mut self, operation: &DualWriteOperation, status: &DualWriteOperationStatus) {
        let Some(phase) = status.phase else { return };
        let uid = uid_of(&operation.metadata).to_owned();
        let message = status.message.clone().unwrap_or_default();
        if !phase.is_finished() && phase != Phase::Unknown {
            return;
        }
        let host = operation.spec.finance_operations_host.clone();
        self.tell(&host, &message);
        if phase == Phase::Unknown {
            if operation.metadata.deletion_timestamp.is_some() {
                self.ledger.released.insert(uid);
            }
            return;
        }
        if phase == Phase::Void {
            self.ledger.voided.clone_from(&message);
        }
        let ended = (phase, message.clone());
        if self.ledger.ended.insert(uid.clone(), ended).is_none() {
            let action = operation.spec.action;
            *self
                .ledger
                .ends
                .entry(format!("{action} {phase}"))
                .or_default() += 1;
            self.check_end(operation, phase, &message, &uid, status.started_at);
        }
    }

    /// Whether what an operation says at its end is true.
    fn check_end(
        &mut self,
        operation: &DualWriteOperation,
        phase: Phase,
        message: &str,
        uid: &str,
        started: Option<Timestamp>,
    ) {
        let name = operation.metadata.name.clone().unwrap_or_default();
        if message.is_empty() {
            self.violation(format!("{name} ends without a word"));
        }
        let spec = &operation.spec;
        let host = &self.hosts[&spec.finance_operations_host];
        let meddled = self.ledger.meddled.get(&host.name);
        // What was changed right before may not have been shown yet.
        let known = |meddled: &Timestamp| after(*meddled, minutes(2)) < started.unwrap_or(self.now);
        if !meddled.is_none_or(known) || !self.ledger.released.is_empty() {
            return;
        }
        let different = different(host, operation);
        let runs = host.maps.iter().find(|map| !map.state.is_stopped());
        let wrong = match (spec.action, phase) {
            (Action::Reset | Action::Link, Phase::Succeeded)
                if !host.is_linked_to(&spec.target.environment_id) =>
            {
                Some("is not linked to its target".to_owned())
            }
            (Action::Reset, Phase::Succeeded) if spec.options.start_maps => {
                let silent = different.iter().find(|map| !message.contains(*map));
                silent.map(|map| format!("says nothing of {map}"))
            }
            (Action::Reset, _) if message.contains(AS_BEFORE) => different
                .first()
                .map(|map| format!("{map} is not as before")),
            (Action::StopMaps, Phase::Succeeded) => runs.map(|map| format!("{} runs", map.name)),
            _ => None,
        };
        let was_sent = self.ledger.sendings.iter().any(|sending| {
            sending.uid == uid && sending.answer.is_possible() && sending.request != Request::Backup
        });
        if let Some(wrong) = wrong {
            self.violation(format!("{name} ends {phase}, but {wrong}: {message}"));
        } else if message.starts_with("Never started") && was_sent {
            self.violation(format!("{name} has started, and denies it"));
        }
    }

    // ---- requests ----

    pub fn check_sending(&mut self, operation: &KnownOperation, send: &Send, answer: Answer) {
        if send.request == Request::Backup || !answer.is_possible() {
            return;
        }
        let name = &operation.name;
        if let Some(other) = self.other_at_work(operation) {
            self.violation(format!(
                "{name} asks while something of {other} is still to come"
            ));
        }
        if let Request::Reset { .. } = send.request {
            self.check_reset(operation);
        }
        if self.ledger.taken_back.contains(&operation.uid) {
            self.violation(format!(
                "{name} uses an approval that a suspension has taken back"
            ));
        }
        if let Some(rival) = self.rival_of(operation, &send.request) {
            self.violation(format!("{name} stops the maps of {rival}"));
        }
    }

    fn other_at_work(&self, operation: &KnownOperation) -> Option<String> {
        let host = &self.hosts[&operation.spec.finance_operations_host];
        let uids = host
            .to_come()
            .map(|coming| &self.ledger.sendings[coming.request].uid);
        let mut others = uids.filter(|uid| **uid != operation.uid);
        others
            .find(|uid| !self.ledger.released.contains(*uid))
            .cloned()
    }

    fn check_reset(&mut self, operation: &KnownOperation) {
        let name = &operation.name;
        let may_reset = match operation.spec.approval {
            Approval::Approved => self.ledger.approved.contains(&operation.uid),
            Approval::NotRequired => true,
            Approval::Pending | Approval::Rejected => false,
        };
        if !may_reset {
            self.violation(format!("{name} resets, and nobody has approved it"));
        }
        let is_again = self.ledger.sendings.iter().any(|sending| {
            sending.uid == operation.uid
                && sending.answer.is_possible()
                && matches!(sending.request, Request::Reset { .. })
        });
        if is_again {
            self.violation(format!("{name} resets twice"));
        }
    }

    /// A connection that has had a claim on the host for long enough, whose maps an operation of another stops.
    fn rival_of(&self, operation: &KnownOperation, request: &Request) -> Option<String> {
        let stops = matches!(
            request,
            Request::Maps {
                change: MapChange::Stop,
                ..
            }
        );
        if !stops {
            return None;
        }
        let spec = &operation.spec;
        let mut rivals = self.ledger.claims.values().filter(|(claim, host, since)| {
            claim.uid != spec.connection.uid
                && *host == spec.finance_operations_host
                && operation.created >= after(*since, KNOWN_AFTER)
        });
        let own = self.ledger.claims.get(&spec.connection.uid);
        let own = own.map(|(own, ..)| (own.created, own.uid.clone()));
        // A deletion stops nothing of anybody's; who lives has to be the elder.
        let rival = rivals.find(|(claim, ..)| {
            spec.options.on_deletion
                || own
                    .as_ref()
                    .is_some_and(|own| (claim.created, claim.uid.clone()) < *own)
        });
        rival.map(|(claim, ..)| format!("{} {}", claim.name, claim.uid))
    }

    /// Nothing of ours lands after the end that was claimed.
    pub fn check_landing(&mut self, landed: &Landed) {
        let sending = &self.ledger.sendings[landed.request];
        let uid = sending.uid.clone();
        let ended = self.ledger.ended.get(&uid).cloned();
        let Some((phase, message)) = ended.filter(|_| landed.changed) else {
            return;
        };
        if self.ledger.released.contains(&uid) {
            return;
        }
        let is_wrong = match &landed.effect {
            Effect::Change(MapChange::Stop, _) => {
                phase != Phase::Failed || message.contains(AS_BEFORE)
            }
            Effect::Reset(..) => true,
            Effect::Link(_) => phase == Phase::Failed,
            Effect::Change(..)
            | Effect::Bring(_)
            | Effect::Keys(_)
            | Effect::Version(..)
            | Effect::Installing(_)
            | Effect::Installed(_) => false,
        };
        if is_wrong {
            let effect = &landed.effect;
            self.violation(format!(
                "{effect:?} after the end of {uid}: {phase}, {message}"
            ));
        }
    }

    // ---- when everything has settled ----

    /// What has not settled yet.
    pub fn unsettled(&self) -> Vec<String> {
        let mut all = Vec::new();
        for connection in self.api.connections.values() {
            if connection.metadata.deletion_timestamp.is_some() {
                all.push(format!(
                    "{} is being deleted",
                    key_of(&connection.metadata).1
                ));
            }
        }
        for operation in self.api.operations.values() {
            if let Some(why) = self.is_open(operation) {
                all.push(format!("{}: {why}", key_of(&operation.metadata).1));
            }
        }
        for host in self.hosts.values() {
            if let Some(coming) = host.to_come().next() {
                all.push(format!("{:?} is to come", coming.effect));
            }
        }
        all
    }

    fn is_open(&self, operation: &DualWriteOperation) -> Option<String> {
        if operation.metadata.deletion_timestamp.is_some() {
            return Some("it is being deleted".into());
        }
        let status = operation.status.clone().unwrap_or_default();
        let waits = || {
            operation.spec.approval == Approval::Pending
                || self.is_suspended(operation)
                || self.is_host_unknown(operation)
        };
        match status.phase {
            Some(Phase::Succeeded | Phase::Failed | Phase::Void | Phase::Unknown) => None,
            None | Some(Phase::AwaitingApproval) if waits() => None,
            Some(Phase::Running) if self.is_held_back(operation) => None,
            None | Some(Phase::AwaitingApproval | Phase::Running) => {
                let message = status.message.unwrap_or_default();
                Some(format!("{:?}: {message}", status.phase))
            }
        }
    }

    fn is_suspended(&self, operation: &DualWriteOperation) -> bool {
        let namespace = operation.metadata.namespace.clone().unwrap_or_default();
        let key = (namespace, operation.spec.connection.name.clone());
        let owner = self.api.connections.get(&key);
        owner.is_some_and(|owner| owner.spec.suspend)
    }

    /// Whether it waits between two steps for its connection to be resumed.
    fn is_held_back(&self, operation: &DualWriteOperation) -> bool {
        let steps = operation.status.iter().flat_map(|status| &status.steps);
        let mut open = steps.filter(|step| step.state != StepState::Done);
        self.is_suspended(operation) && open.all(|step| step.state == StepState::Pending)
    }

    fn is_host_unknown(&self, operation: &DualWriteOperation) -> bool {
        let host = &operation.spec.finance_operations_host;
        self.api.operations.values().any(|other| {
            let phase = other.status.as_ref().and_then(|status| status.phase);
            other.spec.finance_operations_host == *host && phase == Some(Phase::Unknown)
        })
    }

    /// Whether somebody has changed a map while an operation worked on it: then the plan holds.
    fn is_contested(&self, host: &Host, map: &str) -> bool {
        let contested = &self.ledger.contested;
        contested.contains(&(host.name.clone(), map.to_owned()))
    }

    /// Nothing that we have stopped stays stopped without a word; every connection speaks of its newest spec.
    pub fn check_settled(&mut self) {
        for connection in self.api.connections.values() {
            for condition in connection
                .status
                .iter()
                .flat_map(|status| &status.conditions)
            {
                let host = crate::shell::desired(connection).host;
                self.ledger.told.push((host, condition.message.clone()));
            }
        }
        let mut silent = Vec::new();
        for host in self.hosts.values() {
            for (name, (actor, wanted)) in &host.actors {
                let is_ours =
                    matches!(actor, Actor::Operation(_)) && !self.is_contested(host, name);
                if is_ours && runs(Some(*wanted)) && !runs(host.state(name)) {
                    let is_of = |text: &str| {
                        text.contains(name.as_str())
                            || ALL_OF_THEM.iter().any(|all| text.contains(all))
                    };
                    let mut told = self.ledger.told.iter();
                    if !told.any(|(of, text)| *of == host.name && is_of(text)) {
                        silent.push(format!(
                            "{name} of {} stays stopped, and nobody was told",
                            host.name
                        ));
                    }
                }
            }
        }
        for connection in self.api.connections.values() {
            let status = connection.status.as_ref();
            let observed = status.and_then(|status| status.observed_generation);
            if observed != connection.metadata.generation {
                silent.push(format!(
                    "{} does not speak of its spec",
                    key_of(&connection.metadata).1
                ));
            }
        }
        silent.extend(self.untrue());
        for what in silent {
            self.violation(what);
        }
    }

    /// What connections say that is not so, or that has not come to an end.
    fn untrue(&self) -> Vec<String> {
        let mut untrue = Vec::new();
        let held_back = self.api.operations.values();
        let is_held_back = held_back.filter(|one| self.is_held_back(one)).count() > 0;
        for connection in self.api.connections.values() {
            let name = key_of(&connection.metadata).1;
            let desired = crate::shell::desired(connection);
            let host = &self.hosts[&desired.host];
            let conditions = connection
                .status
                .iter()
                .flat_map(|status| &status.conditions);
            for said in conditions.filter(|said| said.status == "True") {
                let is_wrong = match said.type_.as_str() {
                    "Ready" => {
                        !host.is_linked_to(&desired.environment_id) || self.has_elder(&desired)
                    }
                    "Reconciling" => {
                        !is_held_back
                            && !["AwaitingPerson", "AwaitingApproval"]
                                .contains(&said.reason.as_str())
                    }
                    _ => false,
                };
                if is_wrong {
                    untrue.push(format!("{name} says {}: {}", said.type_, said.reason));
                }
            }
        }
        untrue
    }

    /// Whether an older connection has a claim on the host of one that has a claim.
    fn has_elder(&self, desired: &Desired) -> bool {
        let claims = &self.ledger.claims;
        claims.contains_key(&desired.uid)
            && claims.values().any(|(claim, host, _)| {
                *host == desired.host
                    && (claim.created, &claim.uid) < (desired.created, &desired.uid)
            })
    }
}

const fn runs(state: Option<MapState>) -> bool {
    matches!(state, Some(MapState::Running | MapState::Paused))
}

/// The maps that ran or were paused when the plan was made, and are otherwise now.
fn different(host: &Host, operation: &DualWriteOperation) -> Vec<String> {
    let planned = maps::to_start(&operation.spec.relies_on.maps);
    let different = planned.filter(|planned| host.state(&planned.name) != Some(planned.state));
    different.map(|planned| planned.name.clone()).collect()
}
