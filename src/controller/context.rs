//! What every pass shares.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use kube::{Client, runtime::events::Recorder};

use super::{
    allowed_claims::AllowedClaims,
    fair_queue::FairQueue,
    identities::{Ambient, Identities},
    kept::{Kept, Weighed, of_texts},
    turns::Turns,
    watch::Scope,
};
use crate::{leader_election::Leadership, metrics::Metrics};
use dualwrite_microsoft::{HostPolicy, Http, dual_write::CallTemplate};
use dualwrite_plan::{
    observed::{Company, Package, Preflight},
    world::Settings,
};
use dualwrite_protocol::Process;

/// How much is kept of what is read slowly, in bytes; of each of three kinds.
const MOST_KEPT: usize = 4 << 20;

/// What the operator's administrator has set, beside what decisions depend on.
#[derive(Clone, Debug)]
pub struct Options {
    /// What decisions depend on.
    pub settings: Settings,
    /// The shortest interval of reads.
    pub least_interval: Duration,
    /// How many passes of each controller run at once; of one namespace half as many, rounded up, see [`FairQueue`].
    pub concurrency: u16,
    /// The operator's own `ServiceAccount`, `namespace:name`, for messages that say what to grant.
    pub service_account: String,
}

/// What every pass shares.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// Events of both controllers; repeats are folded by it, so there is one.
    pub recorder: Recorder,
    /// Microsoft's side.
    pub http: Http,
    /// Which hosts credentials may be sent to.
    pub hosts: HostPolicy,
    /// Which namespace may claim what.
    pub allowed_claims: AllowedClaims,
    /// The identity of the operator's own pod, and who may use it.
    pub ambient: Ambient,
    /// The call that makes a link.
    pub link_template: CallTemplate,
    /// The call that resets a link.
    pub reset_template: CallTemplate,
    /// Sessions, shared by resources with the same credential.
    pub identities: Identities,
    /// What the operator's administrator has set.
    pub options: Options,
    /// Numbers.
    pub metrics: Metrics,
    /// Whether this replica leads, and so may begin a pass.
    pub leadership: Leadership,
    /// This process: its id in intents, and the requests that it has begun to send.
    pub process: Process,
    /// When it began.
    pub started: Instant,
    /// What is watched: every namespace, or some.
    pub scopes: Vec<Arc<Scope>>,
    /// Which passes over connections run.
    pub connection_queue: FairQueue,
    /// Which passes over operations run.
    pub operation_queue: FairQueue,
    /// Reads that change slowly, by the uid of their connection.
    slow_reads: Kept<SlowReads>,
    /// What the checks before a link have read, and when, by the uid of their connection.
    preflights: Kept<(Timestamp, Preflight)>,
    /// What must run before a version of a table map, as the service says: templates by template, by the uid of their
    /// connection.
    sequences: Kept<Sequences>,
    /// Held while an operation makes sure that no other of its host is under way and records its first intent, so that two
    /// of this process cannot do so at once.
    pub turns: Turns,
}

/// Reads that cannot change the decision once a connection is ready, and are therefore made less often.
#[derive(Clone, Debug)]
pub struct SlowReads {
    /// When they were made.
    pub at: Timestamp,
    /// The application packages.
    pub applications: Vec<Package>,
    /// The connection set that the companies belong to.
    pub connection_set: Option<String>,
    /// The companies of the link.
    pub legal_entities: Option<Vec<String>>,
}

/// By the id of a map's version, the ids of the versions that must run before it.
pub type Sequences = HashMap<String, Vec<String>>;

/// The parts of a [`Context`] that come from the process.
pub struct Parts {
    /// The API server.
    pub client: Client,
    /// Events.
    pub recorder: Recorder,
    /// Microsoft's side.
    pub http: Http,
    /// Which hosts credentials may be sent to.
    pub hosts: HostPolicy,
    /// Which namespace may claim what.
    pub allowed_claims: AllowedClaims,
    /// The identity of the operator's own pod, and who may use it.
    pub ambient: Ambient,
    /// The call that makes a link.
    pub link_template: CallTemplate,
    /// The call that resets a link.
    pub reset_template: CallTemplate,
    /// What the operator's administrator has set.
    pub options: Options,
    /// Numbers.
    pub metrics: Metrics,
    /// Whether this replica leads.
    pub leadership: Leadership,
    /// What is watched.
    pub scopes: Vec<Arc<Scope>>,
}

impl Context {
    /// A context for a new process.
    pub fn new(parts: Parts) -> Self {
        let Parts {
            client,
            recorder,
            http,
            hosts,
            allowed_claims,
            ambient,
            link_template,
            reset_template,
            options,
            metrics,
            leadership,
            scopes,
        } = parts;
        Self {
            identities: Identities::default(),
            process: Process::new(uuid::Uuid::new_v4().to_string()),
            started: Instant::now(),
            slow_reads: Kept::new(MOST_KEPT),
            preflights: Kept::new(MOST_KEPT),
            sequences: Kept::new(MOST_KEPT),
            turns: Turns::default(),
            connection_queue: FairQueue::new(options.concurrency),
            operation_queue: FairQueue::new(options.concurrency),
            client,
            recorder,
            http,
            hosts,
            allowed_claims,
            ambient,
            link_template,
            reset_template,
            options,
            metrics,
            leadership,
            scopes,
        }
    }

    /// What was read slowly for a connection, if that is recent enough.
    pub fn slow_reads(&self, uid: &str, not_before: Timestamp) -> Option<Arc<SlowReads>> {
        let kept = self.slow_reads.get(uid);
        kept.filter(|reads| reads.at >= not_before)
    }

    /// Keeps what was read slowly.
    pub fn keep_slow_reads(&self, uid: &str, namespace: &str, reads: SlowReads) {
        self.slow_reads.keep(uid, namespace, Arc::new(reads));
    }

    /// What the checks of a connection have read, if that is recent enough.
    pub fn preflight(&self, uid: &str, not_before: Timestamp) -> Option<Preflight> {
        let kept = self.preflights.get(uid);
        let kept = kept.filter(|kept| kept.0 >= not_before);
        kept.map(|kept| kept.1.clone())
    }

    /// Keeps what the checks of a connection have read.
    pub fn keep_preflight(&self, uid: &str, namespace: &str, at: Timestamp, read: Preflight) {
        self.preflights.keep(uid, namespace, Arc::new((at, read)));
    }

    /// Drops what is kept for a connection that is gone.
    pub fn forget(&self, uid: &str) {
        self.slow_reads.forget(uid);
        self.preflights.forget(uid);
        self.sequences.forget(uid);
    }

    /// The sequences of starting that were read for a connection.
    pub fn sequences(&self, uid: &str) -> Option<Arc<Sequences>> {
        self.sequences.get(uid)
    }

    /// Keeps the sequences of starting of a connection, in place of those that were kept.
    pub fn keep_sequences(&self, uid: &str, namespace: &str, sequences: Sequences) {
        self.sequences.keep(uid, namespace, Arc::new(sequences));
    }
}

impl Weighed for SlowReads {
    fn weight(&self) -> usize {
        let of_package = |package: &Package| {
            let texts = [&package.version, &package.available_version, &package.error];
            let texts = texts.into_iter().flatten().chain([&package.name]);
            size_of::<Package>() + of_texts(texts)
        };
        let packages: usize = self.applications.iter().map(of_package).sum();
        packages + of_texts(self.legal_entities.iter().flatten())
    }
}

impl Weighed for (Timestamp, Preflight) {
    fn weight(&self) -> usize {
        let users = self.1.users.known().into_iter().flatten();
        let companies = self.1.companies.known().into_iter();
        let of_company = |company: &Company| {
            size_of::<Company>() + of_texts(company.code.iter().chain(&company.name))
        };
        let companies = companies
            .flat_map(|companies| &companies.rows)
            .map(of_company);
        of_texts(users.map(|user| &user.application_id)) + companies.sum::<usize>()
    }
}

impl Weighed for Sequences {
    fn weight(&self) -> usize {
        let each = self
            .iter()
            .map(|(id, before)| of_texts([id]) + of_texts(before));
        each.sum()
    }
}
