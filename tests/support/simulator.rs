//! The real simulator process, and its control API.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::process::Process;

const START_TIMEOUT: Duration = Duration::from_secs(60);

/// One run of `dualwrite-simulator`: Microsoft's side of one test.
pub struct Simulator {
    process: Process,
    control: Control,
    listen: String,
    ca_file: PathBuf,
}

/// Its control API. Cheap to clone, and good for as long as the simulator runs.
#[derive(Clone, Debug)]
pub struct Control {
    address: String,
}

impl Simulator {
    /// Starts it with a scenario, or with its built-in one; its files go into `folder`.
    pub async fn start(
        program: &Path,
        folder: &Path,
        scenario: Option<&Value>,
        time_scale: f64,
    ) -> Self {
        let mut command = Command::new(program);
        command
            .args([
                "--listen",
                "127.0.0.1:0",
                "--control",
                "127.0.0.1:0",
                "--exit-with-stdin",
            ])
            .args(["--time-scale", &time_scale.to_string()])
            .arg("--ca-file")
            .arg(folder.join("simulator-ca.pem"));
        if let Some(scenario) = scenario {
            let file = folder.join("scenario.json");
            std::fs::write(&file, scenario.to_string()).expect("a writable folder");
            command.arg("--scenario").arg(file);
        }
        let process = Process::start("the simulator", &command, None);
        let first = process
            .until(START_TIMEOUT, |state| {
                let line = state.stdout.front().cloned();
                (line.is_some() || state.exit.is_some()).then_some(line)
            })
            .await
            .flatten();
        let started = first.and_then(|line| serde_json::from_str::<Value>(&line).ok());
        let text = |key: &str| started.as_ref()?[key].as_str().map(str::to_owned);
        let (Some(listen), Some(control), Some(ca_file)) =
            (text("listen"), text("control"), text("caFile"))
        else {
            panic!(
                "the simulator did not start: {started:?}. {}",
                process.tail(50)
            );
        };
        Self {
            process,
            control: Control { address: control },
            listen,
            ca_file: ca_file.into(),
        }
    }

    /// For the operator's `--connect-to`.
    pub fn listen(&self) -> &str {
        &self.listen
    }

    /// For the operator's `--extra-ca`.
    pub fn ca_file(&self) -> &Path {
        &self.ca_file
    }

    pub fn control(&self) -> &Control {
        &self.control
    }

    /// The address of the control API, for people.
    pub fn control_url(&self) -> String {
        format!("http://{}", self.control.address)
    }

    pub fn log(&self) -> Vec<String> {
        self.process.stderr()
    }

    /// SIGKILL: Microsoft's side cannot be reached any more.
    pub fn kill(&self) {
        self.process.kill();
    }
}

impl Control {
    /// All mutations in the order of their arrival.
    pub async fn journal(&self) -> Vec<Value> {
        match self.ask(Method::GET, "/journal", None).await {
            Value::Array(entries) => entries,
            other => panic!("the journal is no array: {other}"),
        }
    }

    pub async fn clear_journal(&self) {
        self.ask(Method::DELETE, "/journal", None).await;
    }

    /// How often each call was made, by name.
    pub async fn calls(&self) -> Value {
        self.ask(Method::GET, "/calls", None).await
    }

    pub async fn clear_calls(&self) {
        self.ask(Method::DELETE, "/calls", None).await;
    }

    pub async fn state(&self) -> Value {
        self.ask(Method::GET, "/state", None).await
    }

    /// Replaces the whole state by another.
    pub async fn put_state(&self, state: &Value) {
        self.ask(Method::PUT, "/state", Some(state)).await;
    }

    /// Changes the state by a JSON merge patch.
    pub async fn patch_state(&self, patch: &Value) {
        self.ask(Method::PATCH, "/state", Some(patch)).await;
    }

    /// Adds a fault; returns its id.
    pub async fn fault(&self, fault: &Value) -> String {
        let answer = self.ask(Method::POST, "/faults", Some(fault)).await;
        // Several may be added at once, so the answer is a list.
        match answer["ids"].as_array().map(Vec::as_slice) {
            Some([Value::String(id)]) => id.clone(),
            _ => panic!("expected one new fault with an id: {answer}"),
        }
    }

    /// Takes a fault away, and lets go of what it holds.
    pub async fn remove_fault(&self, fault: &str) {
        self.ask(Method::DELETE, &format!("/faults/{fault}"), None)
            .await;
    }

    /// Lets go of what a `hold` fault holds.
    pub async fn release(&self, fault: &str) {
        self.ask(Method::POST, &format!("/faults/{fault}/release"), None)
            .await;
    }

    pub async fn clear_faults(&self) {
        self.ask(Method::DELETE, "/faults", None).await;
    }

    /// Moves the simulator's clock, such as by `10m`.
    pub async fn advance(&self, by: &str) {
        self.ask(Method::POST, "/advance", Some(&json!({"by": by})))
            .await;
    }

    /// Waits until a call was made so often since the counts were last cleared.
    pub async fn called(&self, call: &str, count: u32, timeout: Duration) {
        self.wait(&format!("call={call}&count={count}"), timeout)
            .await;
    }

    /// Waits until a fault has fired so often.
    pub async fn fault_fired(&self, fault: &str, fired: u32, timeout: Duration) {
        self.wait(&format!("fault={fault}&fired={fired}"), timeout)
            .await;
    }

    async fn wait(&self, condition: &str, timeout: Duration) {
        let path = format!("/wait?{condition}&timeout={}ms", timeout.as_millis());
        let (status, text) = self.send(Method::GET, &path, None).await;
        assert!(
            status.is_success(),
            "waited {timeout:?} in vain for {condition}: {status} {text}"
        );
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        let (status, text) = self.send(method.clone(), path, body).await;
        assert!(
            status.is_success(),
            "the simulator refuses {method} {path}: {status} {text}"
        );
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> (StatusCode, String) {
        let url = format!("http://{}{path}", self.address);
        let mut request = super::http().request(method, &url);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request
            .send()
            .await
            .unwrap_or_else(|error| panic!("{url}: {error}"));
        let status = response.status();
        (status, response.text().await.expect("a whole answer"))
    }
}
