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
use tokio::net::TcpListener;

use super::{admin, cli, metrics::Metrics};
use crate::{
    api::FIELD_MANAGER,
    controller::{
        context::{Context, Options, Parts},
        watch::{self, Shutdown},
    },
    microsoft::{
        HostPolicy, Http, HttpOptions,
        dual_write::{CallTemplate, TemplateError},
    },
    plan::world::Settings,
};

/// How long passes that are under way may take to end; what is left is resumed by the next process.
const GRACE: Duration = Duration::from_secs(45);

/// The longest silence of the API server within one read; watches are made to end before.
const READ_TIMEOUT: Duration = Duration::from_secs(310);

/// Runs the operator.
///
/// # Errors
/// When it cannot start: a file, the API server or the admin address is not what the flags say.
pub async fn run(flags: cli::Run) -> anyhow::Result<()> {
    let shutdown = signals()?;
    let metrics = Metrics::default();
    let listener = TcpListener::bind(flags.admin_addr)
        .await
        .with_context(|| format!("the admin server cannot listen on {}", flags.admin_addr))?;
    let address = listener.local_addr()?;
    tracing::info!(%address, "admin server listening");

    let unwatched = watch::scopes(&flags.watch_namespaces);
    let scopes: Vec<_> = unwatched
        .iter()
        .map(|unwatched| Arc::clone(&unwatched.scope))
        .collect();
    metrics.show_conditions(scopes.clone());
    let client = client().await?;
    let reporter = Reporter {
        controller: FIELD_MANAGER.into(),
        instance: std::env::var("POD_NAME").ok(),
    };
    let context = Arc::new(Context::new(Parts {
        recorder: Recorder::new(client.clone(), reporter),
        client,
        http: http(&flags, &metrics)?,
        hosts: HostPolicy {
            extra_suffixes: flags.allow_host_suffix.clone(),
        },
        link_template: link_template(&flags)?,
        reset_template: reset_template(&flags)?,
        options: options(&flags),
        metrics: metrics.clone(),
        scopes: scopes.clone(),
    }));

    let ready = Arc::new(AtomicBool::new(false));
    let admin = admin::serve(
        listener,
        admin::Admin {
            ready: Arc::clone(&ready),
            metrics,
        },
        shutdown.clone(),
    );
    let readiness = async {
        future::join_all(scopes.iter().map(|scope| scope.wait_until_ready())).await;
        ready.store(true, Ordering::Relaxed);
        tracing::info!("watching");
    };
    let controllers = future::join_all(
        unwatched
            .into_iter()
            .map(|unwatched| watch::run(Arc::clone(&context), unwatched, shutdown.clone())),
    );
    let all = async {
        let (served, _, ()) = future::join3(admin, controllers, readiness).await;
        served.context("the admin server has failed")
    };
    tokio::select! {
        ended = all => ended,
        () = shutdown.clone().then(|()| tokio::time::sleep(GRACE)) => {
            tracing::warn!("some passes did not end in time; the next process goes on with them");
            Ok(())
        }
    }
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

fn http(flags: &cli::Run, metrics: &Metrics) -> anyhow::Result<Http> {
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
        request_timeout: flags.request_timeout,
        connect_timeout: HttpOptions::default()
            .connect_timeout
            .min(flags.request_timeout),
    };
    Http::new(options, Arc::new(metrics.clone()))
        .context("the client of Microsoft's APIs cannot be made")
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

fn options(flags: &cli::Run) -> Options {
    Options {
        settings: Settings {
            settle: flags.settle_time,
            poll: flags.poll_interval,
            request_timeout: flags.request_timeout,
            observe_only: flags.observe_only,
        },
        least_interval: flags.min_interval,
        concurrency: flags.concurrency,
        service_account: flags.service_account.clone(),
    }
}
