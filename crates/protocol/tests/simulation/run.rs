//! The scheduler: what is due happens, one thing after the other, and a pass goes on until its next call.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use crate::{
    api::{Change, uid_of},
    shell::{Refused, Shell, desired},
    support::{hours, minutes, seconds},
    world::{About, Event, Running, Shared, World, lock},
};
use dualwrite_api::{DualWriteConnection, DualWriteOperation};
use dualwrite_plan::world::{Claim, after};
use dualwrite_protocol::{self as protocol, Again, Failed, Process, shell::Failure};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// The longest that the world takes to settle once nothing goes wrong any more.
const FAIR: Duration = hours(40);

type Pass = Pin<Box<dyn Future<Output = Result<Again, Failed<Refused>>> + Send>>;

struct Task {
    process: usize,
    about: About,
    pass: Pass,
}

pub struct Simulation {
    pub world: Shared,
    tasks: BTreeMap<u64, Task>,
    began: u64,
}

impl Simulation {
    pub fn new(world: Shared) -> Self {
        Self {
            world,
            tasks: BTreeMap::new(),
            began: 0,
        }
    }

    fn world(&self) -> std::sync::MutexGuard<'_, World> {
        lock(&self.world)
    }

    /// Until the world has settled, or something was not as it must be.
    pub fn run(&mut self, peace: Timestamp) {
        self.run_until(peace);
        let end = after(peace, FAIR);
        let mut settled = None;
        loop {
            let now = self.world().now;
            self.run_until(after(now, minutes(10)));
            let mut world = self.world();
            if !world.ledger.violations.is_empty() {
                return;
            }
            let open = world.unsettled();
            settled = if open.is_empty() {
                settled.or(Some(now))
            } else {
                None
            };
            if settled.is_some_and(|since| now >= after(since, hours(2))) {
                world.check_settled();
                return;
            }
            if now >= end {
                world.violation(format!("it does not settle: {}", open.join("; ")));
                return;
            }
        }
    }

    fn run_until(&mut self, end: Timestamp) {
        loop {
            let mut world = self.world();
            let is_over = !world.ledger.violations.is_empty();
            let Some(entry) = world.queue.first_entry() else {
                world.now = end;
                return;
            };
            let (at, _) = *entry.key();
            if is_over || at > end {
                world.now = world.now.max(end);
                return;
            }
            let event = entry.remove();
            world.now = at;
            drop(world);
            self.happen(event);
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Resume(task) => self.resume(task),
            Event::Pass(process, about) => self.pass(process, about),
            Event::Shown(process, index) => self.world().show(process, index),
            Event::LateWrite(write) => {
                let _unheard = self.world().write("a late write", &write);
            }
            Event::Landing(host) => self.world().land(&host),
            Event::Person(deed) => self.world().act(deed),
            Event::Born(connection) => self.world().be_born(*connection),
            Event::Crash(process, down) => self.crash(process, down),
            Event::Start(process) => self.world().start(process),
            Event::CollectGarbage(key) => {
                let mut world = self.world();
                let now = world.now;
                world.note("garbage collector", format!("deletes {}", key.1));
                world.api.delete_operation(&key, now);
                world.publish();
            }
        }
    }

    // ---- passes ----

    fn pass(&mut self, process: usize, about: About) {
        let mut world = self.world();
        let now = world.now;
        let Some(Some(running)) = world.processes.get_mut(process) else {
            return;
        };
        if running.due.get(&about).is_none_or(|due| *due > now) {
            return;
        }
        running.due.remove(&about);
        if let Some(again) = running.busy.get_mut(&about) {
            *again = true;
            return;
        }
        let shell = Shell {
            world: Arc::clone(&self.world),
            process: Arc::clone(&running.process),
            number: process,
        };
        let settings = world.settings.clone();
        let Some(Some(running)) = world.processes.get_mut(process) else {
            return;
        };
        let pass: Option<Pass> = match &about {
            About::Connection(key) => running.connections.get(key).cloned().map(|connection| {
                let pass = connection_pass(shell, settings, connection);
                Box::pin(pass) as Pass
            }),
            About::Operation(key) => running.operations.get(key).cloned().map(|operation| {
                let pass = async move {
                    let process = Arc::clone(&shell.process);
                    protocol::pass(&shell, &process, &settings, &operation).await
                };
                Box::pin(pass) as Pass
            }),
        };
        let Some(pass) = pass else { return };
        running.busy.insert(about.clone(), false);
        world.passes += 1;
        drop(world);
        self.began += 1;
        let task = Task {
            process,
            about,
            pass,
        };
        self.tasks.insert(self.began, task);
        self.resume(self.began);
    }

    fn resume(&mut self, id: u64) {
        let Some(task) = self.tasks.get_mut(&id) else {
            return;
        };
        let polled = task
            .pass
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        match polled {
            Poll::Pending => {
                let mut world = self.world();
                let at = world.wake.take().expect("it waits for something");
                world.at(at, Event::Resume(id));
            }
            Poll::Ready(again) => {
                let task = self.tasks.remove(&id).unwrap();
                self.world().ended(task.process, task.about, &again);
            }
        }
    }

    /// Whatever it was at, it does not go on with.
    fn crash(&mut self, process: usize, down: Duration) {
        self.tasks.retain(|_, task| task.process != process);
        let mut world = self.world();
        if let Some(running) = world.processes[process].take() {
            let who = format!("process {}", running.process.incarnation());
            world.note(&who, "dies");
            world.note_away();
            world.after(down, Event::Start(process));
        }
    }
}

async fn connection_pass(
    shell: Shell,
    settings: dualwrite_plan::world::Settings,
    connection: DualWriteConnection,
) -> Result<Again, Failed<Refused>> {
    let desired = desired(&connection);
    match connection.metadata.deletion_timestamp.as_ref() {
        Some(deleted) => {
            let deleted = deleted.0;
            protocol::deletion::pass(&shell, &settings, &connection, Some(&desired), deleted).await
        }
        None => protocol::connection::pass(&shell, &settings, &connection, &desired).await,
    }
}

impl World {
    /// When the next pass is due, as the controllers do it.
    fn ended(&mut self, process: usize, about: About, again: &Result<Again, Failed<Refused>>) {
        let now = self.now;
        let is_operation = matches!(about, About::Operation(_));
        if let Err(failed) = again {
            self.note("a pass", format!("over {about:?} fails: {failed}"));
        }
        let next = match again {
            Ok(Again::At(at)) => {
                let jitter = self.up_to(seconds(2));
                Some(after((*at).max(now), jitter))
            }
            Ok(Again::OnTrigger) => Some(after(now, minutes(1))),
            Ok(Again::OnChange) => None,
            Err(Failed::Overtaken(_)) => Some(after(now, Duration::from_millis(200))),
            Err(Failed::Call { source, .. }) if is_operation && source.0 == Failure::Conflict => {
                Some(after(now, Duration::from_millis(200)))
            }
            Err(Failed::Call { .. }) => Some(after(now, seconds(5))),
        };
        let Some(Some(running)) = self.processes.get_mut(process) else {
            return;
        };
        let next = match running.busy.remove(&about) {
            Some(true) => Some(now),
            _ => next,
        };
        if let Some(next) = next {
            self.due(process, about, next);
        }
    }

    /// A process begins: it lists everything, and looks at everything.
    pub fn start(&mut self, process: usize) {
        if self.is_api_away().is_some() {
            return self.after(seconds(5), Event::Start(process));
        }
        self.incarnations += 1;
        let incarnation = self.incarnations.to_string();
        self.note(&format!("process {incarnation}"), "begins");
        self.note_away();
        let running = Running {
            process: Arc::new(Process::new(incarnation)),
            connections: self.api.connections.clone(),
            operations: self.api.operations.clone(),
            due: BTreeMap::new(),
            busy: BTreeMap::new(),
            starting: BTreeSet::new(),
            began: self.now,
            shown_until: self.now,
            listed: self.api.log.len(),
        };
        let connections = running.connections.keys().cloned().map(About::Connection);
        let operations = running.operations.keys().cloned().map(About::Operation);
        let all: Vec<About> = connections.chain(operations).collect();
        self.processes[process] = Some(running);
        for about in all {
            let wait = self.up_to(seconds(3));
            self.due(process, about, after(self.now, wait));
        }
    }

    /// A watch shows a change, and passes are due.
    fn show(&mut self, process: usize, index: usize) {
        let change = self.change(index);
        let Some(Some(running)) = self.processes.get_mut(process) else {
            return;
        };
        if index < running.listed {
            return;
        }
        let due = match change {
            Change::Connection(key, new) => {
                let old = match &new {
                    Some(new) => running
                        .connections
                        .insert(key.clone(), new.as_ref().clone()),
                    None => running.connections.remove(&key),
                };
                let (old, new) = (old.as_ref(), new.as_deref());
                connection_changed(running, &About::Connection(key), old, new)
            }
            Change::Operation(key, new) => {
                let old = match &new {
                    Some(new) => running.operations.insert(key.clone(), new.as_ref().clone()),
                    None => running.operations.remove(&key),
                };
                let (old, new) = (old.as_ref(), new.as_deref());
                operation_changed(running, &About::Operation(key), old, new)
            }
        };
        for about in due {
            self.due(process, about, self.now);
        }
    }

    /// What is due at a host happens.
    fn land(&mut self, name: &str) {
        let mut host = self.hosts.remove(name).unwrap();
        let mut landed = Vec::new();
        while let Some(one) = {
            let sendings = &self.ledger.sendings;
            host.happen(self.now, |request| sendings[request].uid.clone())
        } {
            landed.push(one);
        }
        self.hosts.insert(name.to_owned(), host);
        for one in landed {
            self.note(
                name,
                format!("#{} has its effect: {:?}", one.request, one.effect),
            );
            self.check_landing(&one);
        }
        self.plan_landings();
    }
}

/// What makes a pass over an object itself due: not its status.
fn is_news(old: Option<&ObjectMeta>, new: Option<&ObjectMeta>) -> bool {
    let (Some(old), Some(new)) = (old, new) else {
        return new.is_some();
    };
    old.generation != new.generation
        || old.annotations != new.annotations
        || old.finalizers != new.finalizers
        || old.deletion_timestamp != new.deletion_timestamp
        || old.uid != new.uid
}

fn connection_changed(
    running: &Running,
    about: &About,
    old: Option<&DualWriteConnection>,
    new: Option<&DualWriteConnection>,
) -> Vec<About> {
    let mut due = Vec::new();
    if is_news(old.map(|old| &old.metadata), new.map(|new| &new.metadata)) {
        due.push(about.clone());
    }
    let either = new.or(old);
    let uid = either.map(|found| uid_of(&found.metadata));
    let operations = running.operations.iter();
    let own = operations.filter(|(_, known)| Some(known.spec.connection.uid.as_str()) == uid);
    due.extend(own.map(|(key, _)| About::Operation(key.clone())));
    if old.and_then(Claim::of) != new.and_then(Claim::of) {
        let others = running.connections.keys().cloned().map(About::Connection);
        due.extend(others.filter(|other| other != about));
    }
    due
}

fn operation_changed(
    running: &Running,
    about: &About,
    old: Option<&DualWriteOperation>,
    new: Option<&DualWriteOperation>,
) -> Vec<About> {
    let mut due = Vec::new();
    if is_news(old.map(|old| &old.metadata), new.map(|new| &new.metadata)) {
        due.push(about.clone());
    }
    let Some(either) = new.or(old) else {
        return due;
    };
    let phase = |found: Option<&DualWriteOperation>| {
        let status = found.and_then(|found| found.status.as_ref());
        status.and_then(|status| status.phase)
    };
    let is_new_phase = phase(old) != phase(new) || old.is_none() || new.is_none();
    let concerned = running.connections.iter().filter(|(_, connection)| {
        either.spec.connection.uid == uid_of(&connection.metadata)
            || is_new_phase && desired(connection).host == either.spec.finance_operations_host
    });
    due.extend(concerned.map(|(key, _)| About::Connection(key.clone())));
    due
}
