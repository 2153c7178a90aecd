//! The real operator process.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use serde_json::Value;

use super::process::{Killer, Process};

const START_TIMEOUT: Duration = Duration::from_secs(60);
/// Above the operator's own grace period for what is in flight.
const STOP_TIMEOUT: Duration = Duration::from_mins(1);

/// `127.0.0.1:PORT`, twice.
struct Addresses {
    /// Of /healthz and /readyz.
    admin: String,
    /// Of /metrics.
    metrics: String,
}

/// One run of `dualwrite-operator run`. Dropping it fails the test if it has ended by itself, or has logged an error, where
/// nobody expects that.
pub struct Operator {
    process: Process,
    addresses: Addresses,
    end_expected: AtomicBool,
    /// Errors that have such a part in their log line are expected.
    errors_expected: Mutex<Vec<String>>,
}

impl Operator {
    /// Starts `PROGRAM run ARGS` as if in a pod of this namespace, and waits until its
    /// admin server listens, which is the one thing that its log is asked for.
    pub async fn start(
        program: &Path,
        kubeconfig: &Path,
        namespace: &str,
        args: &[String],
        variables: &[(String, String)],
    ) -> Self {
        let mut command = Command::new(program);
        command
            .arg("run")
            .args(args)
            .env("KUBECONFIG", kubeconfig)
            .env("POD_NAMESPACE", namespace);
        for (name, value) in variables {
            command.env(name, value);
        }
        let process = Process::start("the operator", &command, None);
        let listening = process
            .until(START_TIMEOUT, |state| {
                let listening = state.stderr.iter().find_map(|line| addresses(line));
                (listening.is_some() || state.exit.is_some()).then_some(listening)
            })
            .await
            .flatten();
        let addresses = listening.unwrap_or_else(|| {
            panic!(
                "the operator did not start (exit status {:?}). {}",
                process.exit_status(),
                process.tail(50)
            )
        });
        Self {
            process,
            addresses,
            end_expected: AtomicBool::new(false),
            errors_expected: Mutex::default(),
        }
    }

    /// From now on it may log errors with this in their line.
    pub fn expect_error(&self, part: &str) {
        locked(&self.errors_expected).push(part.to_owned());
    }

    /// From now on it may end: the test sees to that, and says so.
    pub fn expect_end(&self) {
        self.end_expected.store(true, Ordering::Relaxed);
    }

    /// What nobody expected of it: an end, or an error of its own.
    pub fn misbehaviour(&self) -> Option<String> {
        if let Some(status) = self.process.exit_status()
            && !self.end_expected.load(Ordering::Relaxed)
        {
            return Some(format!("the operator has ended with {status}"));
        }
        let expected = locked(&self.errors_expected);
        let log = self.process.stderr();
        let error = log.iter().find(|line| {
            is_error(line) && !expected.iter().any(|part| line.contains(part.as_str()))
        });
        Some(format!("the operator has an error of its own: {}", error?))
    }

    pub fn killer(&self) -> Killer {
        self.process.killer()
    }

    pub fn pid(&self) -> i32 {
        self.process.pid()
    }

    /// `127.0.0.1:PORT` of /healthz and /readyz.
    pub fn admin_address(&self) -> &str {
        &self.addresses.admin
    }

    /// `127.0.0.1:PORT` of /metrics.
    pub fn metrics_address(&self) -> &str {
        &self.addresses.metrics
    }

    /// SIGKILL.
    pub fn kill(self) {
        self.expect_end();
        self.process.kill();
    }

    /// SIGTERM, as the kubelet sends it; returns the exit status.
    pub async fn stop(&self) -> i32 {
        self.terminate();
        self.exited(STOP_TIMEOUT).await
    }

    /// SIGTERM, and nothing more.
    pub fn terminate(&self) {
        self.expect_end();
        self.process.terminate();
    }

    /// It does not end within this time.
    pub async fn runs_for(&self, time: Duration) {
        let exit = self.process.until(time, |state| state.exit).await;
        assert_eq!(exit, None, "it has ended. {}", self.process.tail(50));
    }

    /// Waits until it ends by itself; returns the exit status.
    pub async fn exited(&self, timeout: Duration) -> i32 {
        self.expect_end();
        let exit = self.process.until(timeout, |state| state.exit).await;
        exit.unwrap_or_else(|| {
            panic!(
                "the operator still runs after {timeout:?}. {}",
                self.process.tail(50)
            )
        })
    }

    pub fn is_running(&self) -> bool {
        self.process.exit_status().is_none()
    }

    /// All lines that it wrote so far.
    pub fn log(&self) -> Vec<String> {
        self.process.stderr()
    }

    /// The same, and what it wrote to standard output, where it should write nothing.
    pub fn output(&self) -> Vec<String> {
        [self.process.stdout(), self.process.stderr()].concat()
    }

    /// Waits until one of its log lines is accepted, and returns that.
    pub async fn logged(
        &self,
        timeout: Duration,
        accepts: impl Fn(&str) -> bool + Send + 'static,
    ) -> String {
        let found = move |state: &super::process::State| {
            state.stderr.iter().find(|line| accepts(line)).cloned()
        };
        let line = self.process.until(timeout, found).await;
        line.unwrap_or_else(|| {
            panic!(
                "no such log line within {timeout:?}. {}",
                self.process.tail(50)
            )
        })
    }

    /// Asks the admin server, such as for `/readyz`; returns status and text.
    pub async fn ask(&self, path: &str) -> (u16, String) {
        self.get(self.admin_address(), path, None).await
    }

    /// Asks for `/metrics`, with this bearer token if there is one; returns status and text.
    pub async fn scrape(&self, token: Option<&str>) -> (u16, String) {
        self.get(self.metrics_address(), "/metrics", token).await
    }

    async fn get(&self, address: &str, path: &str, token: Option<&str>) -> (u16, String) {
        let url = format!("http://{address}{path}");
        let mut request = super::http().get(&url);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await;
        let response =
            response.unwrap_or_else(|error| panic!("{url}: {error}. {}", self.process.tail(20)));
        (
            response.status().as_u16(),
            response.text().await.expect("a whole answer"),
        )
    }

    /// The text of /metrics.
    pub async fn metrics(&self) -> String {
        let (status, text) = self.scrape(None).await;
        assert_eq!(status, 200, "/metrics: {text}");
        text
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        if let Some(misbehaviour) = self.misbehaviour()
            && !std::thread::panicking()
        {
            panic!("{misbehaviour}. {}", self.process.tail(50));
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a line of the log, which is JSON in tests, tells an error of the operator. What its client says of a request
/// that the API server has failed is none.
fn is_error(line: &str) -> bool {
    let line: Value = serde_json::from_str(line).unwrap_or_default();
    let message = line["message"].as_str().unwrap_or_default();
    line["level"] == "ERROR" && !message.starts_with("failed with ")
}

/// A binary of this workspace: what cargo built for an integration test, else what
/// lies beside the running program (an example is one folder further down).
pub fn program(name: &str) -> PathBuf {
    match option_env!("CARGO_BIN_EXE_dualwrite-operator") {
        Some(operator) if name == "dualwrite-operator" => operator.into(),
        Some(operator) => up_to_date(Path::new(operator).with_file_name(name)),
        None => beside_this_program(name),
    }
}

/// The simulator is a package of its own, which cargo does not build for the tests of
/// this one alone: without `--workspace` it may be missing, or of before a change.
fn up_to_date(simulator: PathBuf) -> PathBuf {
    static CHECKED: OnceLock<()> = OnceLock::new();
    CHECKED.get_or_init(|| {
        if is_older_than_its_sources(&simulator) {
            let built = std::process::Command::new(env!("CARGO"))
                .args(["test", "--locked", "--workspace", "--no-run", "--quiet"])
                .status();
            assert!(
                built.is_ok_and(|status| status.success()),
                "the simulator does not build: run `cargo test --workspace --no-run`"
            );
        }
    });
    simulator
}

fn is_older_than_its_sources(program: &Path) -> bool {
    let time = |path: &Path| path.metadata().and_then(|meta| meta.modified()).ok();
    let built = time(program);
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/simulator/src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the simulator's sources") {
            let path = entry.expect("an entry of a folder").path();
            if path.is_dir() {
                folders.push(path);
            } else if time(&path) > built {
                return true;
            }
        }
    }
    false
}

fn beside_this_program(name: &str) -> PathBuf {
    let running = std::env::current_exe().expect("the path of this program");
    let mut folders = running
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join(name));
    folders.find(|path| path.is_file()).unwrap_or_else(|| {
        panic!(
            "no {name} near {}: run `cargo build --workspace` first",
            running.display()
        )
    })
}

fn addresses(line: &str) -> Option<Addresses> {
    let line: Value = serde_json::from_str(line).ok()?;
    // tracing's JSON keeps message and fields one level down unless flattened.
    let fields = if line["message"].is_string() {
        &line
    } else {
        &line["fields"]
    };
    let address = |name: &str| fields[name].as_str().map(str::to_owned);
    (fields["message"] == "admin server listening").then(|| {
        Some(Addresses {
            admin: address("address")?,
            metrics: address("metrics_address")?,
        })
    })?
}
