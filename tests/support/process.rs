//! A child process that cannot outlive this one.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Older lines of a long run are let go of.
const KEPT_LINES: usize = 50_000;

/// What the operator or a cluster's own tools would otherwise pick up from the
/// developer's machine: proxies break loopback addresses, and a kubeconfig or a
/// setting of the same name must come from the test alone.
const FOREIGN_VARIABLES: [&str; 16] = [
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "KUBECONFIG",
    // Where the tests themselves run in a pod.
    "KUBERNETES_SERVICE_HOST",
    "POD_NAME",
    "POD_NAMESPACE",
    // Where that pod has an identity of its own.
    "AZURE_CLIENT_ID",
    "AZURE_TENANT_ID",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_AUTHORITY_HOST",
];

/// A running program under `supervise.sh`, with its output kept line by line.
pub struct Process {
    name: String,
    pid: Pid,
    shared: Arc<Shared>,
    /// Nothing is ever written: the program lives for as long as this is open.
    lifeline: Option<ChildStdin>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// What is known of a process: its output so far, and its exit status once it ended.
#[derive(Default)]
pub struct State {
    pub stdout: VecDeque<String>,
    pub stderr: VecDeque<String>,
    /// 128 + n when signal n ended it, as a shell reports it.
    pub exit: Option<i32>,
}

/// Lets something else (the proxy's `Kill`) end the process without owning it.
#[derive(Clone)]
pub struct Killer {
    pid: Pid,
    shared: Arc<Shared>,
}

impl Process {
    /// Starts `command` (its program, arguments and environment). `remove` is a
    /// folder that goes away together with the process when this one ends.
    pub fn start(name: &str, command: &Command, remove: Option<&Path>) -> Self {
        let mut wrapper = Command::new("sh");
        wrapper
            .args(["-c", include_str!("supervise.sh"), "supervise.sh"])
            .arg(remove.map_or(OsStr::new(""), Path::as_os_str))
            .arg(command.get_program())
            .args(command.get_args());
        forget_foreign_variables(&mut wrapper);
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => wrapper.env(key, value),
                None => wrapper.env_remove(key),
            };
        }
        // A group of its own: Ctrl-C in a terminal must reach this process only,
        // or the wrapper would die of it before it has cleaned up.
        let mut child = wrapper
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start a shell for {name}: {error}"));
        let lifeline = child.stdin.take();
        let mut stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let stderr = BufReader::new(child.stderr.take().expect("stderr is piped"));
        let pid = read_pid(name, &mut stdout);
        let shared = Arc::<Shared>::default();
        let readers = [
            keep_lines(stdout, Arc::clone(&shared), |state| &mut state.stdout),
            keep_lines(stderr, Arc::clone(&shared), |state| &mut state.stderr),
        ];
        let exit = Arc::clone(&shared);
        std::thread::spawn(move || {
            let code = child.wait().ok().and_then(|status| status.code());
            // Its last words first: who learns of the end asks for them.
            for reader in readers {
                let _ = reader.join();
            }
            exit.change(|state| state.exit = Some(code.unwrap_or(-1)));
        });
        Self {
            name: name.to_owned(),
            pid,
            shared,
            lifeline,
        }
    }

    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    pub fn killer(&self) -> Killer {
        Killer {
            pid: self.pid,
            shared: Arc::clone(&self.shared),
        }
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill(&self) {
        self.killer().kill();
        self.exited_within(Duration::from_secs(10));
    }

    /// SIGTERM, and nothing more.
    pub fn terminate(&self) {
        self.killer().signal(Signal::TERM);
    }

    pub fn exit_status(&self) -> Option<i32> {
        self.shared.state().exit
    }

    pub fn exited_within(&self, timeout: Duration) -> Option<i32> {
        self.wait_until(timeout, |state| state.exit)
    }

    pub fn stderr(&self) -> Vec<String> {
        self.shared.state().stderr.iter().cloned().collect()
    }

    pub fn stdout(&self) -> Vec<String> {
        self.shared.state().stdout.iter().cloned().collect()
    }

    /// Waits until `found` returns something; None at the timeout. `found` is
    /// asked at each new line and at the exit.
    pub fn wait_until<T>(
        &self,
        timeout: Duration,
        found: impl FnMut(&State) -> Option<T>,
    ) -> Option<T> {
        self.shared.wait_until(timeout, found)
    }

    /// The same without blocking the test's runtime.
    pub async fn until<T: Send + 'static>(
        &self,
        timeout: Duration,
        found: impl FnMut(&State) -> Option<T> + Send + 'static,
    ) -> Option<T> {
        let shared = Arc::clone(&self.shared);
        let waited = tokio::task::spawn_blocking(move || shared.wait_until(timeout, found));
        waited.await.expect("waiting for a process does not panic")
    }

    /// The end of what it wrote, for messages.
    pub fn tail(&self, lines: usize) -> String {
        let all = self.stderr();
        let skipped = all.len().saturating_sub(lines);
        format!(
            "{}'s last lines:\n  {}",
            self.name,
            all[skipped..].join("\n  ")
        )
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        self.exited_within(Duration::from_secs(10));
    }
}

impl Killer {
    /// SIGKILL. From here on the process executes nothing more.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
    }

    fn signal(&self, signal: Signal) {
        // Under the lock, so that an id is not used once its end is known.
        let state = self.shared.state();
        if state.exit.is_none() {
            // It may have ended by itself at this very moment, which is as good.
            let _ = kill_process(self.pid, signal);
        }
    }
}

impl Shared {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_all();
    }

    fn wait_until<T>(
        &self,
        timeout: Duration,
        mut found: impl FnMut(&State) -> Option<T>,
    ) -> Option<T> {
        let deadline = Instant::now() + timeout;
        let mut state = self.state();
        loop {
            if let Some(value) = found(&state) {
                return Some(value);
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            state = self
                .changed
                .wait_timeout(state, left)
                .expect("no holder panics")
                .0;
        }
    }
}

/// A command of the host without what only the developer's own shell needs.
pub fn forget_foreign_variables(command: &mut Command) {
    for name in FOREIGN_VARIABLES {
        command.env_remove(name);
    }
}

fn read_pid(name: &str, stdout: &mut impl BufRead) -> Pid {
    let mut line = String::new();
    stdout
        .read_line(&mut line)
        .unwrap_or_else(|error| panic!("{name} says nothing: {error}"));
    let pid = line.trim().parse().ok().and_then(Pid::from_raw);
    pid.unwrap_or_else(|| panic!("{name}: expected a process id first, got {line:?}"))
}

fn keep_lines(
    from: BufReader<impl Read + Send + 'static>,
    shared: Arc<Shared>,
    to: impl Fn(&mut State) -> &mut VecDeque<String> + Send + 'static,
) -> JoinHandle<()> {
    std::thread::spawn(move || {
        for line in from.split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).into_owned();
            shared.change(|state| {
                let lines = to(state);
                lines.push_back(line);
                if lines.len() > KEPT_LINES {
                    lines.pop_front();
                }
            });
        }
    })
}
