//! What the demo runs on: a control plane, the simulated Microsoft services and the operator, each a real process.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::bail;
use serde_json::Value;

use crate::support::operator::program;
use crate::support::{ControlPlane, Kubectl, Operator, Options, Output, Simulator};

pub(crate) const NAMESPACE: &str = "contoso";

/// How many times faster than in life Microsoft's side works.
pub(crate) const TIME_SCALE: f64 = 120.0;

/// Everything that runs. It lives outside of the story, so that it is still there when the story fails.
#[derive(Clone, Default)]
pub(crate) struct Stage(Arc<Mutex<Running>>);

#[derive(Default)]
struct Running {
    // In this order they end: whoever needs the next one goes first.
    operator: Option<Arc<Operator>>,
    simulator: Option<Arc<Simulator>>,
    control_plane: Option<Arc<ControlPlane>>,
}

impl Stage {
    fn running(&self) -> std::sync::MutexGuard<'_, Running> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) async fn start_control_plane(&self) -> Arc<ControlPlane> {
        // Its panic is the sentence that says what went wrong: it goes on as it is.
        let started =
            tokio::task::spawn_blocking(|| ControlPlane::start_blocking(&Options::default())).await;
        let control_plane = match started.map_err(tokio::task::JoinError::try_into_panic) {
            Ok(control_plane) => Arc::new(control_plane),
            Err(Ok(panic)) => std::panic::resume_unwind(panic),
            Err(Err(_)) => std::future::pending().await, // being ended
        };
        self.running().control_plane = Some(Arc::clone(&control_plane));
        control_plane
    }

    pub(crate) async fn start_simulator(&self, folder: &Path) -> Arc<Simulator> {
        let program = program("dualwrite-simulator");
        let simulator = Arc::new(Simulator::start(&program, folder, None, TIME_SCALE).await);
        self.running().simulator = Some(Arc::clone(&simulator));
        simulator
    }

    /// With the identity and the roles that the Deployment has in a cluster.
    pub(crate) async fn start_operator(
        &self,
        control_plane: &ControlPlane,
        simulator: &Simulator,
    ) -> Arc<Operator> {
        let kubeconfig = control_plane.operator_kubeconfig("operator", NAMESPACE, None);
        let args = operator_args(simulator);
        let operator = Arc::new(
            Operator::start(
                &program("dualwrite-operator"),
                &kubeconfig,
                NAMESPACE,
                &args,
                &[],
            )
            .await,
        );
        self.running().operator = Some(Arc::clone(&operator));
        operator
    }

    pub(crate) fn operator_has_ended(&self) -> bool {
        let operator = self.running().operator.clone();
        operator.is_some_and(|operator| !operator.is_running())
    }

    /// The end of the operator's log, as people read it.
    pub(crate) fn log_tail(&self, lines: usize) -> Vec<String> {
        let operator = self.running().operator.clone();
        let log = operator.map(|operator| operator.log()).unwrap_or_default();
        let skipped = log.len().saturating_sub(lines);
        log[skipped..].iter().map(|line| readable(line)).collect()
    }

    /// Ends everything and waits until it has ended. Blocking.
    pub(crate) fn tear_down(&self) {
        let running = std::mem::take(&mut *self.running());
        drop(running);
    }
}

/// The operator as in production, but with the simulator's address and in a hurry.
fn operator_args(simulator: &Simulator) -> Vec<String> {
    let ca = simulator.ca_file().display().to_string();
    let pairs = [
        ("--connect-to", simulator.listen()),
        ("--extra-ca", &ca),
        ("--poll-interval", "500ms"),
        ("--settle-time", "2s"),
        ("--min-interval", "1s"),
        ("--admin-addr", "127.0.0.1:0"),
        ("--metrics-addr", "127.0.0.1:0"),
        ("--metrics-auth", "none"),
        ("--log-format", "json"),
        // There is one, also where the demo itself runs in a pod.
        ("--leader-election", "false"),
    ];
    pairs
        .iter()
        .flat_map(|(flag, value)| [(*flag).to_owned(), (*value).to_owned()])
        .collect()
}

/// A JSON log line as text; another line as it is.
fn readable(line: &str) -> String {
    let Ok(Value::Object(entry)) = serde_json::from_str(line) else {
        return line.to_owned();
    };
    let mut text = format!(
        "{} {} ",
        entry.get("timestamp").and_then(Value::as_str).unwrap_or(""),
        entry.get("level").and_then(Value::as_str).unwrap_or("")
    );
    let nested = entry.get("fields").and_then(Value::as_object);
    let fields = nested.unwrap_or(&entry);
    text.push_str(fields.get("message").and_then(Value::as_str).unwrap_or(""));
    let skipped = ["timestamp", "level", "target", "message", "span", "spans"];
    for (name, value) in fields {
        if !skipped.contains(&name.as_str()) {
            let _ = write!(text, " {name}={value}");
        }
    }
    text
}

/// kubectl in the demo's namespace; a refusal is an error that says what was refused.
pub(crate) struct Cluster {
    pub(crate) kubectl: Kubectl,
    pub(crate) program: PathBuf,
}

impl Cluster {
    pub(crate) fn new(control_plane: &ControlPlane) -> Self {
        let kubeconfig = control_plane.admin_kubeconfig(NAMESPACE);
        Self {
            kubectl: control_plane.kubectl(&kubeconfig),
            program: crate::support::binaries::binaries().join("kubectl"),
        }
    }

    pub(crate) async fn run(&self, args: &[&str]) -> anyhow::Result<String> {
        said(self.kubectl.run(args).await)
    }
}

fn said(output: Output) -> anyhow::Result<String> {
    if output.success() {
        return Ok(output.stdout);
    }
    bail!("`{}` failed: {}", output.command, output.stderr.trim());
}
