//! The two listeners, from start to end.

use std::convert::Infallible;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use axum::body::Body;
use axum_server::tls_rustls::RustlsConfig;
use http::Request;
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};
use uuid::Uuid;

use crate::cli::Cli;
use crate::clock::Clock;
use crate::control;
use crate::service::{Broken, Simulator};
use crate::state::{State, parse};
use crate::tls::Certificates;
use crate::world::World;

/// The scenario that needs no file.
const CONTOSO: &str = include_str!("../../../examples/scenarios/contoso.yaml");

/// Runs until a signal, or until the end of standard input if that is asked for.
pub(crate) async fn run(cli: Cli) -> anyhow::Result<()> {
    let certificates = Arc::new(Certificates::new()?);
    let state = scenario(cli.scenario.as_deref())?;
    let simulator = Simulator::new(World::new(Clock::new(cli.time_scale), state));
    let services = bind(cli.listen)?;
    let control = bind(cli.control)?;
    // Listened for before there is anything to leave behind, and before anybody can know that it runs.
    let signals = Signals::new()?;
    let ca = CaFile::write(cli.ca_file, certificates.ca_pem())?;
    announce(services.local_addr()?, control.local_addr()?, &ca.path)?;

    let tls = RustlsConfig::from_config(Arc::new(certificates.server_config()?));
    let outcome = tokio::select! {
        served = serve(services, tls, Arc::clone(&simulator)) => served.context("the simulated services"),
        served = serve_control(control, simulator) => served.context("the control API"),
        () = end(signals, cli.exit_with_stdin) => Ok(()),
    };
    drop(ca);
    outcome
}

fn scenario(file: Option<&Path>) -> anyhow::Result<State> {
    let text = match file {
        Some(path) => std::fs::read_to_string(path)
            .with_context(|| format!("the scenario {} could not be read", path.display()))?,
        None => CONTOSO.to_owned(),
    };
    parse(&text)
        .and_then(State::from_value)
        .map_err(|message| anyhow::anyhow!("the scenario cannot be used: {message}"))
}

fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let listener =
        TcpListener::bind(address).with_context(|| format!("{address} could not be bound"))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn announce(listen: SocketAddr, control: SocketAddr, ca_file: &Path) -> std::io::Result<()> {
    let line =
        json!({"listen": listen.to_string(), "control": control.to_string(), "caFile": ca_file});
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}

async fn serve(
    listener: TcpListener,
    tls: RustlsConfig,
    simulator: Arc<Simulator>,
) -> anyhow::Result<()> {
    let service = tower::service_fn(move |request: Request<_>| {
        // A task of its own: what was received is done, also when nobody waits for the answer any more.
        let answer = tokio::spawn(Arc::clone(&simulator).serve(request.map(Body::new)));
        async move { answer.await.map_err(|_| Broken).flatten() }
    });
    let make = tower::service_fn(move |_: SocketAddr| {
        let service = service.clone();
        async move { Ok::<_, Infallible>(service) }
    });
    axum_server::from_tcp_rustls(listener, tls)?
        .serve(make)
        .await?;
    Ok(())
}

async fn serve_control(listener: TcpListener, simulator: Arc<Simulator>) -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    axum::serve(listener, control::routes(simulator)).await?;
    Ok(())
}

/// The signals that end it; they do so at once until they are listened for.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }
}

/// Returns when it is time to end.
async fn end(mut signals: Signals, with_stdin: bool) {
    tokio::select! {
        _ = signals.terminate.recv() => tracing::info!("ending: SIGTERM"),
        _ = signals.interrupt.recv() => tracing::info!("ending: SIGINT"),
        () = stdin_ends(), if with_stdin => tracing::info!("ending: standard input ended"),
    }
}

/// Waits on a thread of its own: a read of standard input cannot be cancelled.
async fn stdin_ends() {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut buffer = [0_u8; 1024];
        let mut stdin = std::io::stdin().lock();
        while matches!(std::io::Read::read(&mut stdin, &mut buffer), Ok(read) if read > 0) {}
        let _ = sender.send(());
    });
    let _ = receiver.await;
}

/// The file with the certificate of the authority; a temporary one goes away with this value.
struct CaFile {
    path: PathBuf,
    directory: Option<PathBuf>,
}

impl CaFile {
    fn write(asked: Option<PathBuf>, pem: &str) -> anyhow::Result<Self> {
        let (path, directory) = if let Some(path) = asked {
            (std::path::absolute(path)?, None)
        } else {
            let directory =
                std::env::temp_dir().join(format!("dualwrite-simulator-{}", Uuid::new_v4()));
            std::fs::create_dir(&directory)
                .with_context(|| format!("{} could not be made", directory.display()))?;
            (directory.join("ca.pem"), Some(directory))
        };
        let file = Self { path, directory };
        std::fs::write(&file.path, pem)
            .with_context(|| format!("{} could not be written", file.path.display()))?;
        Ok(file)
    }
}

impl Drop for CaFile {
    fn drop(&mut self) {
        if let Some(directory) = &self.directory
            && let Err(error) = std::fs::remove_dir_all(directory)
        {
            tracing::warn!(%error, directory = %directory.display(), "a temporary directory stays behind");
        }
    }
}
