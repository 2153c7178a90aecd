//! `dualwrite-operator run`: everything put together, until SIGTERM or SIGINT.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use futures::{FutureExt, future};
use kube::{
    Client, Config,
    runtime::events::{Recorder, Reporter},
};
use tokio::sync::Notify;

use super::{admin, cli};
use crate::{
    controller::{
        allowed_claims::AllowedClaims,
        condition_metrics::ConditionMetrics,
        context::{Context, Options, Parts},
        identities::Ambient,
        watch::{self, Shutdown, Unwatched},
    },
    leader_election::{self, Candidate, Leadership},
    metrics::Metrics,
};
use dualwrite_api::FIELD_MANAGER;
use dualwrite_microsoft::{
    HostPolicy, Http, HttpOptions,
    dual_write::{CallTemplate, TemplateError},
};
use dualwrite_plan::world::Settings;
use dualwrite_protocol::OUTCOME_PATIENCE;

/// How long passes that change nothing at Microsoft's may take to end; the next process makes them anew.
const GRACE: Duration = Duration::from_secs(2);

/// The longest silence of the API server within one read; watches are made to end before.
const READ_TIMEOUT: Duration = Duration::from_secs(310);

/// Runs the operator.
///
/// # Errors
/// When it cannot start: a file, the API server or an address to listen on is not what the flags say.
pub async fn run(flags: cli::Run) -> anyhow::Result<()> {
    let shutdown = signals()?;
    let metrics = Metrics::default();
    let listeners = admin::Listeners::bind(&flags).await?;

    let unwatched = watch::scopes(&flags.watch_namespaces);
    let scopes: Vec<_> = unwatched
        .iter()
        .map(|unwatched| Arc::clone(&unwatched.scope))
        .collect();
    metrics.show(ConditionMetrics {
        scopes: scopes.clone(),
        most: flags.connection_metrics,
    });
    let client = client().await?;
    let candidate = candidate(&flags, &client, &metrics);
    let leadership = candidate.as_ref().map_or_else(
        || Leadership::without_election(&metrics),
        Candidate::leadership,
    );
    let reporter = Reporter {
        controller: FIELD_MANAGER.into(),
        instance: std::env::var("POD_NAME").ok(),
    };
    let context = Arc::new(Context::new(Parts {
        recorder: Recorder::new(client.clone(), reporter),
        client,
        http: http(&flags, &settings(&flags), &metrics)?,
        hosts: HostPolicy {
            extra_suffixes: flags.allow_host_suffix.clone(),
        },
        allowed_claims: allowed_claims(&flags)?,
        ambient: ambient(&flags),
        link_template: link_template(&flags)?,
        reset_template: reset_template(&flags)?,
        options: options(&flags),
        metrics: metrics.clone(),
        leadership: leadership.clone(),
        scopes,
    }));

    let listed = Arc::new(AtomicBool::new(false));
    let health = admin::Health {
        leadership,
        listed: Arc::clone(&listed),
    };
    let shown = admin::Shown {
        metrics,
        auth: flags.metrics_auth,
        client: context.client.clone(),
    };
    let work = Work {
        context,
        unwatched,
        listed,
        shutdown,
    };
    tokio::select! {
        never = admin::serve(listeners, health, shown) => match never {},
        ended = lead(candidate, work) => ended,
    }
}

/// What only the leader does.
struct Work {
    context: Arc<Context>,
    unwatched: Vec<Unwatched>,
    listed: Arc<AtomicBool>,
    /// The end of the process.
    shutdown: Shutdown,
}

/// Stands by until this replica leads, works for as long as it does, and lets go only when nothing is under way.
async fn lead(candidate: Option<Candidate>, work: Work) -> anyhow::Result<()> {
    let shutdown = work.shutdown.clone();
    let Some(mut candidate) = candidate else {
        work.until(shutdown).await;
        return Ok(());
    };
    tokio::select! {
        biased;
        () = shutdown.clone() => return Ok(()),
        () = candidate.win() => {}
    }
    let lost = Arc::new(Notify::new());
    let stop = {
        let lost = Arc::clone(&lost);
        async move {
            tokio::select! {
                () = shutdown => {}
                () = lost.notified() => {}
            }
        }
    };
    let mut working = Box::pin(work.until(stop.boxed().shared()));
    tokio::select! {
        () = &mut working => {
            candidate.release().await;
            Ok(())
        }
        () = candidate.keep() => {
            lost.notify_one();
            working.await;
            anyhow::bail!("the lease is lost; this replica starts again and stands by")
        }
    }
}

impl Work {
    /// Works until told to stop, and completes the passes that are under way then.
    async fn until(self, stop: Shutdown) {
        let scopes = self.context.scopes.clone();
        let readiness = async {
            future::join_all(scopes.iter().map(|scope| scope.wait_until_ready())).await;
            self.listed.store(true, Ordering::Relaxed);
            tracing::info!("watching");
            future::pending::<()>().await;
        };
        let controllers = future::join_all(
            self.unwatched
                .into_iter()
                .map(|unwatched| watch::run(Arc::clone(&self.context), unwatched, stop.clone())),
        );
        tokio::select! {
            _ended = controllers => {}
            () = readiness => {}
            () = stop.then(|()| ended(&self.context)) => {}
        }
    }
}

/// Lets nothing new begin, and waits until what became of each request under way is recorded: of a link or a reset whose
/// answer nobody hears only a person could say what became of it.
async fn ended(context: &Context) {
    let longest = longest_request(&context.options.settings);
    if tokio::time::timeout(longest, context.process.end())
        .await
        .is_err()
    {
        tracing::warn!(
            "a request did not end in time; the next process looks for what became of it"
        );
    }
    tokio::time::sleep(GRACE).await;
}

/// How long it may take from an intent until what became of its request is recorded. The pod must be given longer
/// (`terminationGracePeriodSeconds`).
fn longest_request(settings: &Settings) -> Duration {
    settings.send_window + settings.request_timeout * settings.slow_factor + OUTCOME_PATIENCE
}

/// This replica in the election; `None` without one.
fn candidate(flags: &cli::Run, client: &Client, metrics: &Metrics) -> Option<Candidate> {
    let elects = flags
        .leader_election
        .unwrap_or_else(leader_election::in_a_pod);
    let namespace = leader_election::own_namespace(&flags.service_account);
    elects.then(|| {
        Candidate::new(
            client.clone(),
            &namespace,
            flags.lease_duration,
            metrics.clone(),
        )
    })
}

/// SIGTERM or SIGINT.
fn signals() -> anyhow::Result<Shutdown> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be waited for")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be waited for")?;
    let ended = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("ending: passes that are under way are completed");
    };
    Ok(ended.boxed().shared())
}

async fn client() -> anyhow::Result<Client> {
    let mut config = Config::infer()
        .await
        .context("no cluster: set KUBECONFIG, or run in one")?;
    config.connect_timeout = Some(Duration::from_secs(10));
    config.read_timeout = Some(READ_TIMEOUT);
    config.write_timeout = Some(Duration::from_secs(30));
    Client::try_from(config).context("the Kubernetes client cannot be made")
}

fn http(flags: &cli::Run, settings: &Settings, metrics: &Metrics) -> anyhow::Result<Http> {
    let extra_ca_pem = match &flags.extra_ca {
        Some(file) => Some(
            std::fs::read(file)
                .with_context(|| format!("--extra-ca {} cannot be read", file.display()))?,
        ),
        None => None,
    };
    let options = HttpOptions {
        connect_to: flags.connect_to,
        extra_ca_pem,
        request_timeout: settings.request_timeout,
        slow_factor: settings.slow_factor,
        connect_timeout: HttpOptions::default()
            .connect_timeout
            .min(flags.request_timeout),
    };
    Http::new(options, Arc::new(metrics.clone()))
        .context("the client of Microsoft's APIs cannot be made")
}

/// Read once: of a list that changed under a running operator nobody could say since when it holds.
fn allowed_claims(flags: &cli::Run) -> anyhow::Result<AllowedClaims> {
    let Some(file) = &flags.claims else {
        return Ok(AllowedClaims::default());
    };
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("--claims {} cannot be read", file.display()))?;
    AllowedClaims::parse(&text).with_context(|| format!("--claims {}", file.display()))
}

/// The one place where the process looks for an identity of its own, and only if somebody may use it.
fn ambient(flags: &cli::Run) -> Ambient {
    let namespaces = &flags.allow_ambient_identity_in;
    let ambient = Ambient::allowed_in(namespaces, |name| std::env::var(name).ok());
    if let Some(why) = ambient.missing() {
        tracing::warn!(%why, ?namespaces, "this pod has no workload identity that namespaces could use");
    }
    ambient
}

fn link_template(flags: &cli::Run) -> anyhow::Result<CallTemplate> {
    match &flags.link_template {
        None => CallTemplate::first_link().context("the built-in link template"),
        Some(file) => template("--link-template", file, CallTemplate::parse),
    }
}

fn reset_template(flags: &cli::Run) -> anyhow::Result<CallTemplate> {
    match &flags.reset_template {
        None => CallTemplate::reset().context("the built-in reset template"),
        Some(file) => template("--reset-template", file, CallTemplate::parse_reset),
    }
}

fn template(
    flag: &str,
    file: &Path,
    parse: fn(&str) -> Result<CallTemplate, TemplateError>,
) -> anyhow::Result<CallTemplate> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("{flag} {} cannot be read", file.display()))?;
    parse(&text).with_context(|| format!("{flag} {}", file.display()))
}

fn settings(flags: &cli::Run) -> Settings {
    Settings {
        settle: flags.settle_time,
        poll: flags.poll_interval,
        request_timeout: flags.request_timeout,
        slow_factor: flags.slow_factor,
        send_window: flags.send_window,
        observe_only: flags.observe_only,
    }
}

fn options(flags: &cli::Run) -> Options {
    Options {
        settings: settings(flags),
        least_interval: flags.min_interval,
        concurrency: flags.concurrency,
        service_account: flags.service_account.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// deploy/base/deployment.yaml gives the pod longer, as tests/cluster/deploy.rs holds.
    #[test]
    fn the_longest_request_ends_within_the_grace_of_the_pod() {
        let longest = longest_request(&Settings::default());
        assert_eq!(longest, Duration::from_mins(6));
    }
}
