//! The real kubectl, as one user.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::process::forget_foreign_variables;

/// kubectl with the identity and the namespace of one kubeconfig.
#[derive(Clone, Debug)]
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
    cache: PathBuf,
}

/// How a kubectl run ended.
#[derive(Clone, Debug)]
pub struct Output {
    pub command: String,
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Kubectl {
    pub fn new(program: &Path, kubeconfig: &Path, cache: &Path) -> Self {
        Self {
            program: program.into(),
            kubeconfig: kubeconfig.into(),
            cache: cache.into(),
        }
    }

    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Runs `kubectl ARGS`.
    pub async fn run(&self, args: &[&str]) -> Output {
        self.run_with_input(args, "").await
    }

    /// Runs `kubectl ARGS` with `input` on stdin.
    pub async fn run_with_input(&self, args: &[&str], input: &str) -> Output {
        let (this, input) = (self.clone(), input.to_owned());
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let run = tokio::task::spawn_blocking(move || {
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            this.run_blocking(&args, &input)
        });
        run.await.expect("running kubectl does not panic")
    }

    /// For where there is no runtime: the start of a control plane, and `Drop`.
    pub fn run_blocking(&self, args: &[&str], input: &str) -> Output {
        let mut command = Command::new(&self.program);
        forget_foreign_variables(&mut command);
        let mut child = command
            .args(args)
            .env("KUBECONFIG", &self.kubeconfig)
            // Its discovery cache would land in the developer's home.
            .env("KUBECACHEDIR", &self.cache)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {}: {error}", self.program.display()));
        let mut stdin = child.stdin.take().expect("stdin is piped");
        let input = input.to_owned();
        // A thread of its own: kubectl may answer before it has read everything.
        let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
        let output = child.wait_with_output().expect("kubectl can be waited for");
        // kubectl need not read what it is given, so a broken pipe is no failure.
        let _ = writer.join();
        Output {
            command: format!("kubectl {}", args.join(" ")),
            status: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// `kubectl apply --server-side` of manifests.
    pub async fn apply(&self, manifests: &str) -> Output {
        self.run_with_input(&["apply", "--server-side", "-f", "-"], manifests)
            .await
    }

    /// `kubectl auth can-i VERB RESOURCE`, with `more` such as `--as=...`.
    pub async fn can_i(&self, verb: &str, resource: &str, more: &[&str]) -> bool {
        let output = self
            .run(&[&["auth", "can-i", verb, resource], more].concat())
            .await;
        // Otherwise a misspelt resource would pass for a right that is not given.
        let known = !output.stderr.contains("doesn't have a resource type");
        assert!(known, "{}: {}", output.command, output.stderr);
        // A reason may come after the word.
        match output.stdout.split_whitespace().next() {
            Some("yes") => true,
            Some("no") => false,
            _ => panic!("{} did not answer: {}", output.command, output.stderr),
        }
    }
}

impl Output {
    pub fn success(&self) -> bool {
        self.status == 0
    }

    /// Its stdout; a panic that shows stderr if it failed.
    #[track_caller]
    pub fn ok(self) -> String {
        assert!(
            self.success(),
            "{} failed ({}):\n{}",
            self.command,
            self.status,
            self.stderr
        );
        self.stdout
    }

    /// Its stderr; a panic if it succeeded.
    #[track_caller]
    pub fn err(self) -> String {
        assert!(
            !self.success(),
            "{} should have been refused, but said:\n{}",
            self.command,
            self.stdout
        );
        self.stderr
    }

    /// Its stdout as JSON (`-o json`).
    #[track_caller]
    pub fn json(self) -> Value {
        let text = self.ok();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("not JSON ({error}): {text}"))
    }
}
