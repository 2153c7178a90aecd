//! Everything that there is: time, the API server, Microsoft's side, people, and what has happened.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{
    api::{Api, Change, Key, Write},
    checks::Ledger,
    microsoft::Host,
    people::Deed,
    support::seconds,
};
use dualwrite_api::{DualWriteConnection, DualWriteOperation};
use dualwrite_plan::world::{Settings, after};
use dualwrite_protocol::{Process, shell::Failure};
use jiff::Timestamp;

/// How long a write waits for an answer.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(20);

/// What a pass is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum About {
    Connection(Key),
    Operation(Key),
}

/// Something that is due.
#[derive(Clone, Debug)]
pub enum Event {
    /// A pass goes on.
    Resume(u64),
    /// A pass begins, in this process.
    Pass(usize, About),
    /// A process sees the change of this number.
    Shown(usize, usize),
    /// A write arrives that nobody waits for any more.
    LateWrite(Box<Write>),
    /// Something happens at the host.
    Landing(String),
    /// Somebody does something.
    Person(Deed),
    /// Somebody creates a connection.
    Born(Box<DualWriteConnection>),
    /// A process dies, and another begins so much later.
    Crash(usize, Duration),
    Start(usize),
    CollectGarbage(Key),
}

/// A process, with what its watches have shown.
pub struct Running {
    pub process: Arc<Process>,
    pub connections: BTreeMap<Key, DualWriteConnection>,
    pub operations: BTreeMap<Key, DualWriteOperation>,
    /// When passes are due.
    pub due: BTreeMap<About, Timestamp>,
    /// Passes that run; whether they are to be made again at once.
    pub busy: BTreeMap<About, bool>,
    /// The hosts whose first intent a pass records just now.
    pub starting: BTreeSet<String>,
    pub began: Timestamp,
    /// How many changes were there when it listed everything.
    pub listed: usize,
    /// When the last change is shown that is on its way.
    pub shown_until: Timestamp,
}

/// How much goes wrong while things go wrong, as parts of a hundred.
#[derive(Clone, Debug)]
pub struct Faults {
    pub api: u32,
    pub answers: u32,
    /// The longest that a watch lags.
    pub watch_lag: Duration,
    /// The longest that a call takes.
    pub call: Duration,
}

impl Faults {
    pub const fn none() -> Self {
        Self {
            api: 0,
            answers: 0,
            watch_lag: seconds(1),
            call: seconds(1),
        }
    }
}

/// How a write to the API server fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Answered,
    /// Nobody hears of it; and it arrives now, later, or never.
    Unheard(Option<Duration>),
    RefusedForNow,
}

pub struct World {
    pub now: Timestamp,
    pub seed: u64,
    pub rng: fastrand::Rng,
    pub settings: Settings,
    pub api: Api,
    pub hosts: BTreeMap<String, Host>,
    /// None while it is down.
    pub processes: Vec<Option<Running>>,
    pub incarnations: u32,
    pub faults: Faults,
    /// The API server answers nobody, or knows nobody, until then.
    pub api_down_until: Timestamp,
    pub api_refuses_until: Timestamp,
    /// The Secrets that are no good.
    pub broken: BTreeSet<String>,
    /// What is due, in order.
    pub queue: BTreeMap<(Timestamp, u64), Event>,
    events: u64,
    /// How many changes every process knows to be coming.
    pub published: usize,
    /// When the pass that runs goes on.
    pub wake: Option<Timestamp>,
    pub ledger: Ledger,
    pub trace: Vec<String>,
    pub passes: u64,
}

/// What the passes of all processes and the scheduler share.
pub type Shared = Arc<Mutex<World>>;

pub fn lock(world: &Shared) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    pub fn new(seed: u64, now: Timestamp) -> Self {
        Self {
            now,
            seed,
            rng: fastrand::Rng::with_seed(seed),
            settings: Settings {
                poll: seconds(60),
                ..Settings::default()
            },
            api: Api::default(),
            hosts: BTreeMap::new(),
            processes: Vec::new(),
            incarnations: 0,
            faults: Faults::none(),
            api_down_until: now,
            api_refuses_until: now,
            broken: BTreeSet::new(),
            queue: BTreeMap::new(),
            events: 0,
            published: 0,
            wake: None,
            ledger: Ledger::default(),
            trace: Vec::new(),
            passes: 0,
        }
    }

    pub fn note(&mut self, who: &str, what: impl AsRef<str>) {
        let mut line = self.now.strftime("%dT%H:%M:%S%.3f").to_string();
        let _ = write!(line, " {who}: {}", what.as_ref());
        self.trace.push(line);
    }

    // ---- chance ----

    pub fn chance(&mut self, percent: u32) -> bool {
        self.rng.u32(0..100) < percent
    }

    /// Up to so long.
    pub fn up_to(&mut self, most: Duration) -> Duration {
        let most = u64::try_from(most.as_millis()).unwrap();
        Duration::from_millis(self.rng.u64(1..=most.max(1)))
    }

    /// Mostly short, at times long.
    pub fn mostly_short(&mut self, most: Duration) -> Duration {
        let part = if self.chance(85) { most / 20 } else { most };
        self.up_to(part)
    }

    pub fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        self.rng.choice(from).cloned()
    }

    // ---- time ----

    pub fn at(&mut self, at: Timestamp, event: Event) {
        self.events += 1;
        self.queue.insert((at.max(self.now), self.events), event);
    }

    pub fn after(&mut self, wait: Duration, event: Event) {
        self.at(after(self.now, wait), event);
    }

    /// A pass is due at this time, unless it is due sooner.
    pub fn due(&mut self, process: usize, about: About, at: Timestamp) {
        let Some(Some(running)) = self.processes.get_mut(process) else {
            return;
        };
        let due = running.due.get(&about);
        if due.is_none_or(|due| at < *due) {
            running.due.insert(about.clone(), at);
            self.at(at, Event::Pass(process, about));
        }
    }

    // ---- the API server ----

    pub fn is_api_away(&mut self) -> Option<Failure> {
        if self.now < self.api_refuses_until {
            self.note_away();
        }
        if self.now < self.api_down_until {
            Some(Failure::Uncertain)
        } else if self.now < self.api_refuses_until {
            Some(Failure::RefusedForNow)
        } else {
            None
        }
    }

    /// How the next write fares.
    pub fn fate(&mut self) -> Fate {
        match self.is_api_away() {
            Some(Failure::RefusedForNow) => return Fate::RefusedForNow,
            Some(_) => return Fate::Unheard(None),
            None => {}
        }
        if !self.chance(self.faults.api) {
            return Fate::Answered;
        }
        match self.rng.u32(0..4) {
            0 => Fate::RefusedForNow,
            1 => Fate::Unheard(None),
            2 => Fate::Unheard(Some(Duration::ZERO)),
            _ => Fate::Unheard(Some(self.up_to(seconds(50)))),
        }
    }

    /// Carries a write out.
    pub fn write(&mut self, who: &str, write: &Write) -> Result<(), Failure> {
        let written = self.api.apply(write, self.now);
        let what = told(write);
        match written {
            Ok(()) => self.note(who, format!("wrote {what}")),
            Err(failure) => self.note(who, format!("{failure:?}: {what}")),
        }
        if written.is_ok() {
            self.check_write(write);
        }
        self.publish();
        written
    }

    /// Every change comes to every process, in order, after a while.
    pub fn publish(&mut self) {
        for index in self.published..self.api.log.len() {
            for process in 0..self.processes.len() {
                let lag = self.faults.watch_lag;
                let lag = self.mostly_short(lag);
                let now = self.now;
                let Some(running) = &mut self.processes[process] else {
                    continue;
                };
                let at = after(now, lag).max(running.shown_until);
                running.shown_until = at;
                self.at(at, Event::Shown(process, index));
            }
        }
        self.published = self.api.log.len();
        self.collect_garbage();
    }

    fn collect_garbage(&mut self) {
        for key in self.api.orphans() {
            if self.ledger.orphans.insert(key.clone()) {
                let wait = self.up_to(seconds(60));
                self.after(wait, Event::CollectGarbage(key));
            }
        }
    }

    /// The newest change of this number.
    pub fn change(&self, index: usize) -> Change {
        self.api.log[index].clone()
    }

    // ---- Microsoft's side ----

    pub fn plan_landings(&mut self) {
        let next: Vec<_> = self
            .hosts
            .values()
            .filter_map(|host| Some((host.next()?, host.name.clone())))
            .collect();
        for (at, host) in next {
            self.at(at, Event::Landing(host));
        }
    }
}

/// A write, for the trace.
fn told(write: &Write) -> String {
    match write {
        Write::ConnectionStatus((_, name), _, status) => {
            let said = status.conditions.iter();
            let said: Vec<_> = said
                .filter(|said| ["Ready", "Stalled", "Reconciling"].contains(&said.type_.as_str()))
                .map(|said| format!("{}={}/{}", said.type_, said.status, said.reason))
                .collect();
            format!("status of {name}: {}", said.join(" "))
        }
        Write::OperationStatus((_, name), _, status) => {
            let phase = status
                .phase
                .map_or("-".to_owned(), |phase| phase.to_string());
            let steps = status.steps.iter().filter(|step| step.attempt > 0);
            let steps: Vec<_> = steps
                .map(|step| format!("{}={:?}#{}", step.name, step.state, step.attempt))
                .collect();
            let message = status.message.clone().unwrap_or_default();
            let message: String = message.chars().take(300).collect();
            format!("status of {name}: {phase} [{}] {message}", steps.join(" "))
        }
        Write::ConnectionHold((_, name), _, held) | Write::OperationHold((_, name), _, held) => {
            format!("finalizer of {name}: {held}")
        }
        Write::Create(owner, name, spec) => {
            let owner = owner.metadata.uid.as_deref().unwrap_or_default();
            format!("operation {name} of {owner}, {:?}", spec.approval)
        }
        Write::Forget((_, name), _) => format!("forgot {name}"),
    }
}
