//! Two connections of a host, their operations, and what people do to them.

use std::{
    hash::{Hash, Hasher},
    sync::LazyLock,
};

use crate::{
    clock::{TICK, hash_status},
    support::{manifest, start},
};
use dualwrite_api::{
    DualWriteConnection, DualWriteConnectionStatus, DualWriteOperationSpec,
    DualWriteOperationStatus,
    operation::{Approval, Phase},
};
use dualwrite_plan::{
    desired::Desired,
    world::{Claim, KnownOperation, after},
};
use jiff::Timestamp;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    Suspend(usize),
    Resume(usize),
    /// Its credentials are refused, or taken again.
    Refuse(usize),
    Take(usize),
    Delete(usize),
    Decide(usize, Approval),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Connection {
    pub exists: bool,
    pub is_suspended: bool,
    pub is_refused: bool,
    pub generation: i64,
    pub memory: DualWriteConnectionStatus,
    pub is_due: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    pub known: KnownOperation,
    pub owner: usize,
    pub is_due: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct State {
    pub now: u8,
    pub connections: [Connection; 2],
    pub operations: Vec<Operation>,
    pub is_reset: bool,
    /// How many operations each has created since somebody has changed something, or one that was under way has ended.
    pub created: [u8; 2],
    /// A plan that could have started was given up for one that could not.
    pub is_wronged: bool,
    pub events: u8,
}

impl Hash for State {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        (
            self.now,
            self.is_reset,
            self.created,
            self.is_wronged,
            self.events,
        )
            .hash(hasher);
        for connection in &self.connections {
            (
                connection.exists,
                connection.is_suspended,
                connection.is_refused,
            )
                .hash(hasher);
            (connection.generation, connection.is_due).hash(hasher);
            hash_memory(&connection.memory, hasher);
        }
        for operation in &self.operations {
            (
                &operation.known.name,
                operation.known.created,
                operation.is_due,
            )
                .hash(hasher);
            (operation.known.spec.approval as u8, operation.owner).hash(hasher);
            hash_status(&operation.known.status, hasher);
        }
    }
}

/// All of a connection's status that decides anything: no words.
fn hash_memory(memory: &DualWriteConnectionStatus, hasher: &mut impl Hasher) {
    for condition in &memory.conditions {
        (&condition.type_, &condition.status, &condition.reason).hash(hasher);
        condition.observed_generation.hash(hasher);
    }
    for since in [&memory.settling, &memory.waiting].into_iter().flatten() {
        (&since.what, since.since).hash(hasher);
    }
    memory
        .failure
        .as_ref()
        .map(|failure| failure.since)
        .hash(hasher);
    memory
        .observed
        .link
        .as_ref()
        .map(|link| (&link.environment_id, link.since))
        .hash(hasher);
    memory.observed.seen_with.hash(hasher);
}
impl State {
    pub fn time(&self) -> Timestamp {
        after(start(), TICK * u32::from(self.now))
    }

    /// The claim of a connection, as the operator takes it from its resource.
    pub fn claim(&self, index: usize, desired: &Desired) -> Option<Claim> {
        static RESOURCE: LazyLock<DualWriteConnection> =
            LazyLock::new(|| serde_json::from_value(manifest()).unwrap());
        let connection = &self.connections[index];
        let mut resource = RESOURCE.clone();
        resource.spec.suspend = connection.is_suspended;
        resource.metadata.uid = Some(desired.uid.clone());
        resource.metadata.name = Some(desired.name.clone());
        resource.status = Some(connection.memory.clone());
        let claim = Claim::of(&resource).filter(|_| connection.exists)?;
        Some(Claim {
            created: desired.created,
            ..claim
        })
    }

    /// An operation is created, unless its name is taken.
    pub fn create(
        &mut self,
        owner: usize,
        name: String,
        spec: DualWriteOperationSpec,
        namespace: String,
    ) {
        if self.operations.iter().any(|one| one.known.name == name) {
            return;
        }
        let known = KnownOperation {
            uid: format!("uid-{}", self.operations.len()),
            name,
            namespace,
            created: self.time(),
            deleted: None,
            spec,
            status: DualWriteOperationStatus::default(),
            approved: None,
        };
        self.created[owner] += 1;
        self.operations.push(Operation {
            known,
            owner,
            is_due: true,
        });
        self.wake();
    }

    /// An operation that has not started is given up.
    pub fn void(&mut self, name: &str, message: String) {
        let time = self.time();
        let mut operations = self.operations.iter_mut();
        let found = operations.find(|one| one.known.name == name && one.known.is_unstarted());
        if let Some(found) = found {
            let status = &mut found.known.status;
            status.phase = Some(Phase::Void);
            status.finished_at = Some(time);
            status.message = Some(message);
            self.wake();
        }
    }

    /// Something has changed that all of them watch.
    pub fn wake(&mut self) {
        self.connections
            .iter_mut()
            .for_each(|one| one.is_due = true);
        self.operations.iter_mut().for_each(|one| one.is_due = true);
    }

    pub fn wake_others(&mut self, index: usize) {
        self.connections[1 - index].is_due = true;
        self.operations.iter_mut().for_each(|one| one.is_due = true);
    }

    pub fn end(&mut self, index: usize, phase: Phase) {
        let time = self.time();
        self.created = [0; 2];
        self.is_reset |= phase == Phase::Succeeded;
        let status = &mut self.operations[index].known.status;
        status.phase = Some(phase);
        status.finished_at = Some(time);
        self.wake();
    }

    pub fn happen(&mut self, event: Event) {
        self.events -= 1;
        self.created = [0; 2];
        let connections = &mut self.connections;
        match event {
            Event::Suspend(index) | Event::Resume(index) => {
                connections[index].is_suspended = matches!(event, Event::Suspend(_));
                connections[index].generation += 1;
            }
            Event::Refuse(index) => connections[index].is_refused = true,
            Event::Take(index) => connections[index].is_refused = false,
            Event::Delete(index) => connections[index].exists = false,
            Event::Decide(index, approval) => self.operations[index].known.spec.approval = approval,
        }
    }
}

pub fn events(state: &State) -> Vec<Event> {
    let mut all = Vec::new();
    for (index, connection) in state.connections.iter().enumerate() {
        if !connection.exists {
            continue;
        }
        all.extend([
            if connection.is_suspended {
                Event::Resume(index)
            } else {
                Event::Suspend(index)
            },
            if connection.is_refused {
                Event::Take(index)
            } else {
                Event::Refuse(index)
            },
            Event::Delete(index),
        ]);
    }
    for (index, operation) in state.operations.iter().enumerate() {
        let known = &operation.known;
        if known.is_unstarted() && known.spec.approval == Approval::Pending {
            let either = [Approval::Approved, Approval::Rejected];
            all.extend(either.map(|approval| Event::Decide(index, approval)));
        }
    }
    all
}
