//! The lease: one replica leads, the others stand by.
//!
//! Nothing is safe because of it. An operation is fenced by its recorded intent, whoever leads; the lease only keeps replicas
//! from working in vain against each other. The decision is in [`election`], the requests are here.
//!
//! kube-lease-manager would have been the crate for this. In 0.13 a leader that cannot reach the API server is never
//! told that its lease has run out, a standby notices a released lease only when it would have expired, and releasing
//! can take the lease from another who has got it meanwhile. So this is our own.

mod election;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use futures::{StreamExt, stream::BoxStream};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Api, Client,
    api::PostParams,
    runtime::{WatchStreamExt, watcher},
};
use tokio::sync::watch;

use self::election::{Election, Next};
use crate::metrics::Metrics;
use dualwrite_api::FIELD_MANAGER;

/// The lease's name, in the operator's own namespace.
pub const LEASE: &str = "dualwrite-operator";

/// How long letting go may take. It only spares the others the rest of the lease, so it is worth a few tries.
const RELEASE_PATIENCE: Duration = Duration::from_secs(5);

/// Between two tries to let go.
const BEFORE_ANOTHER_TRY: Duration = Duration::from_millis(100);

/// Where a pod finds its namespace, unless `POD_NAMESPACE` says it.
const NAMESPACE_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

/// What this replica is at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has not read the lease yet.
    Undecided,
    /// Another leads.
    StandingBy,
    /// It leads, until then unless it renews; without a time, for good.
    Leading(Option<Instant>),
    /// It led, and ends.
    Lost,
}

/// Whether this replica leads. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Leadership(watch::Receiver<Standing>);

impl Leadership {
    /// For an operator without leader election.
    pub fn without_election(metrics: &Metrics) -> Self {
        metrics.leads(true);
        Self(watch::Sender::new(Standing::Leading(None)).subscribe())
    }

    /// What this replica is at the moment.
    pub fn standing(&self) -> Standing {
        *self.0.borrow()
    }

    /// Whether a pass may begin. The time is looked at, too: a process that stood still for a while may come here before
    /// it has noticed that its lease is over.
    pub fn may_begin(&self) -> bool {
        match self.standing() {
            Standing::Leading(until) => until.is_none_or(|until| Instant::now() < until),
            Standing::Undecided | Standing::StandingBy | Standing::Lost => false,
        }
    }
}

/// A replica that takes part in the election.
pub struct Candidate {
    leases: Api<Lease>,
    /// `namespace/name`, for the log.
    lease: String,
    election: Election,
    standing: watch::Sender<Standing>,
    metrics: Metrics,
    /// What was logged last, so that it is not logged again at each attempt.
    trouble: Option<String>,
    holder: Option<String>,
}

impl Candidate {
    /// A replica that has not yet looked.
    pub fn new(client: Client, namespace: &str, duration: Duration, metrics: Metrics) -> Self {
        let identity = identity();
        tracing::info!(lease = %format_args!("{namespace}/{LEASE}"), identity, "taking part in the leader election");
        Self {
            leases: Api::namespaced(client, namespace),
            lease: format!("{namespace}/{LEASE}"),
            election: Election::new(identity, duration),
            standing: watch::Sender::new(Standing::Undecided),
            metrics,
            trouble: None,
            holder: None,
        }
    }

    /// What others may know of it.
    pub fn leadership(&self) -> Leadership {
        Leadership(self.standing.subscribe())
    }

    /// Stands by until this replica leads.
    pub async fn win(&mut self) {
        // The watch only makes it quick: without it, a lease is taken over when it has run out.
        let mut changes = self.changes();
        while self.election.leads_until().is_none() {
            match self.election.next(Instant::now()) {
                Next::Wait(until) => tokio::select! {
                    () = tokio::time::sleep_until(until.into()) => {}
                    Some(lease) = changes.next() => self.election.saw(lease, Instant::now()),
                },
                next => self.act(next).await,
            }
            self.show();
        }
        tracing::info!(
            lease = self.lease,
            identity = self.election.identity(),
            "leading"
        );
    }

    /// Keeps the lease until it is lost.
    pub async fn keep(&mut self) {
        loop {
            match self.election.next(Instant::now()) {
                Next::Lost => break,
                // The watch is not followed: what it brings may be older than what was written.
                Next::Wait(until) => tokio::time::sleep_until(until.into()).await,
                next => self.act(next).await,
            }
            self.show();
        }
        self.stand(Standing::Lost);
        tracing::error!(
            lease = self.lease,
            identity = self.election.identity(),
            holder = self.election.other_holder(),
            "the lease is lost: no more passes are started, those under way are completed, then this process ends"
        );
    }

    /// Lets go of the lease, so that another leads at once.
    pub async fn release(&mut self) {
        let released = tokio::time::timeout(RELEASE_PATIENCE, self.let_go()).await;
        self.stand(Standing::StandingBy);
        if released.is_err() {
            tracing::warn!(
                lease = self.lease,
                "the lease could not be released: another replica leads when it has run out"
            );
        }
    }

    async fn let_go(&mut self) {
        let over = |until: Instant| Instant::now() >= until;
        while !self.election.leads_until().is_none_or(over) {
            let began = Instant::now();
            if !self.election.is_known() {
                self.act(Next::Read).await;
            } else if let Some(lease) = self.election.release(Timestamp::now()) {
                let (leases, parameters) = (self.leases.clone(), parameters());
                let write = leases.replace(LEASE, &parameters, &lease);
                if self.answered(began, write).await.is_some() {
                    tracing::info!(lease = self.lease, "released the lease");
                    return;
                }
            } else {
                // Another has it already.
                return;
            }
            tokio::time::sleep(BEFORE_ANOTHER_TRY).await;
        }
    }

    /// One request.
    async fn act(&mut self, next: Next) {
        let began = Instant::now();
        if next == Next::Read {
            let leases = self.leases.clone();
            if let Some(lease) = self.answered(began, leases.get_opt(LEASE)).await {
                self.election.saw(lease, Instant::now());
            }
            return;
        }
        if let Some(holder) = self.election.other_holder() {
            tracing::info!(
                lease = self.lease,
                holder,
                "the lease has run out: taking over"
            );
        }
        let mut lease = self.election.claim(Timestamp::now());
        let (leases, parameters) = (self.leases.clone(), parameters());
        let written = if lease.metadata.resource_version.is_some() {
            let write = leases.replace(LEASE, &parameters, &lease);
            self.answered(began, write).await
        } else {
            lease.metadata.name = Some(LEASE.into());
            let write = leases.create(&parameters, &lease);
            self.answered(began, write).await
        };
        if let Some(lease) = written {
            self.election.wrote(lease, began);
        }
    }

    /// Waits for an answer, not for long; without a good one the election is told.
    async fn answered<T>(
        &mut self,
        began: Instant,
        request: impl Future<Output = kube::Result<T>>,
    ) -> Option<T> {
        let patience = self.election.patience(began);
        let why = match tokio::time::timeout(patience, request).await {
            Ok(Ok(answer)) => {
                self.trouble = None;
                return Some(answer);
            }
            // Somebody else was quicker.
            Ok(Err(kube::Error::Api(status))) if status.code == 409 => {
                self.election.refused();
                return None;
            }
            // It is gone, or its namespace is: look again, but not at once.
            Ok(Err(kube::Error::Api(status))) if status.code == 404 => {
                self.election.refused();
                status.message
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {patience:?}"),
        };
        self.election.failed(Instant::now());
        if self.trouble.as_ref() != Some(&why) {
            tracing::warn!(lease = self.lease, error = why, "no access to the lease");
            self.trouble = Some(why);
        }
        None
    }

    fn changes(&self) -> BoxStream<'static, Option<Lease>> {
        watcher::watch_object(self.leases.clone(), LEASE)
            .default_backoff()
            // What is wrong with the API server shows in our own requests.
            .filter_map(async |event| event.ok())
            .boxed()
    }

    /// Tells the others what this replica is now.
    fn show(&mut self) {
        let undecided = self.standing.borrow().eq(&Standing::Undecided);
        let standing = match self.election.leads_until() {
            Some(until) => Standing::Leading(Some(until)),
            None if undecided && !self.election.is_known() => Standing::Undecided,
            None => Standing::StandingBy,
        };
        self.stand(standing);
        let holder = self.election.other_holder();
        if holder.is_some() && self.holder.as_deref() != holder {
            tracing::info!(lease = self.lease, holder, "standing by");
            self.holder = holder.map(str::to_owned);
        }
    }

    fn stand(&self, standing: Standing) {
        self.metrics.leads(matches!(standing, Standing::Leading(_)));
        self.standing.send_replace(standing);
    }
}

fn parameters() -> PostParams {
    PostParams {
        field_manager: Some(FIELD_MANAGER.into()),
        ..PostParams::default()
    }
}

/// The pod's name, or the machine's, and something random: a container that starts again in the same pod is another.
fn identity() -> String {
    let variable = |name| std::env::var(name).ok();
    let file = || std::fs::read_to_string("/etc/hostname").ok();
    let name = variable("POD_NAME")
        .or_else(|| variable("HOSTNAME"))
        .or_else(file);
    let name = name.map(|name| name.trim().to_owned());
    let name = name.filter(|name| !name.is_empty());
    let random = uuid::Uuid::new_v4().simple().to_string();
    let random = random.get(..8).unwrap_or_default().to_owned();
    format!("{}_{random}", name.as_deref().unwrap_or(LEASE))
}

/// Whether this process runs in a pod.
pub fn in_a_pod() -> bool {
    std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() || Path::new(NAMESPACE_FILE).exists()
}

/// The operator's own namespace: the pod's, else that of `--service-account`.
pub fn own_namespace(service_account: &str) -> String {
    let file = || std::fs::read_to_string(NAMESPACE_FILE).ok();
    let of_pod = std::env::var("POD_NAMESPACE").ok().or_else(file);
    namespace_of(of_pod, service_account)
}

fn namespace_of(pod: Option<String>, service_account: &str) -> String {
    let pod = pod.map(|namespace| namespace.trim().to_owned());
    pod.filter(|namespace| !namespace.is_empty())
        .unwrap_or_else(|| {
            let (namespace, _) = service_account
                .split_once(':')
                .unwrap_or((service_account, ""));
            namespace.to_owned()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_may_begin_only_while_the_lease_lasts() {
        let standing = watch::Sender::new(Standing::Undecided);
        let leadership = Leadership(standing.subscribe());
        let now = Instant::now();
        for (is, may) in [
            (Standing::Undecided, false),
            (Standing::StandingBy, false),
            (Standing::Leading(Some(now + Duration::from_secs(60))), true),
            // A process that stood still for longer than its lease.
            (Standing::Leading(Some(now)), false),
            (Standing::Leading(None), true),
            (Standing::Lost, false),
        ] {
            standing.send_replace(is);
            assert_eq!(leadership.may_begin(), may, "{is:?}");
        }
    }

    #[test]
    fn the_namespace_of_the_service_account_is_told_from_its_name() {
        let of = |account: &str| namespace_of(None, account);
        assert_eq!(
            of("dualwrite-system:dualwrite-operator"),
            "dualwrite-system"
        );
        assert_eq!(of("contoso"), "contoso");
        let pod = namespace_of(Some(" fabrikam\n".into()), "contoso:operator");
        assert_eq!(pod, "fabrikam");
        assert_eq!(
            namespace_of(Some("\n".into()), "contoso:operator"),
            "contoso"
        );
    }
}
