//! A real etcd and a real kube-apiserver, with the CRDs and the roles of deploy/.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use kube::Client;
use serde_json::json;

use super::authority::{Authority, new_keys};
use super::binaries::binaries;
use super::kubectl::Kubectl;
use super::process::Process;
use super::{install, kubeconfig};

/// Where the operator's `ServiceAccount` lives, as deploy/base says.
pub const SYSTEM_NAMESPACE: &str = "dualwrite-system";
/// The operator's user name for RBAC.
pub const OPERATOR_USER: &str = "system:serviceaccount:dualwrite-system:dualwrite-operator";

const START_TIMEOUT: Duration = Duration::from_secs(90);

/// How a control plane is started.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Without CRDs and roles.
    pub bare: bool,
    /// An audit policy; the log then is `audit.log` in the control plane's folder.
    pub audit_policy: Option<PathBuf>,
}

/// A running control plane. Everything it has on disk is in one folder, which is
/// removed when this process ends, in whatever way it ends.
pub struct ControlPlane {
    folder: PathBuf,
    url: String,
    authority: Authority,
    admin: Kubectl,
    admin_token: String,
    operator_token: String,
    // In this order: the API server is told to go before its store.
    api_server: Mutex<Process>,
    /// How it was started.
    api_server_command: Command,
    etcd: Process,
}

impl ControlPlane {
    /// The one that the tests of a binary share; started by the first that asks.
    pub async fn shared() -> &'static Arc<Self> {
        let shared = tokio::task::spawn_blocking(|| {
            static SHARED: OnceLock<Arc<ControlPlane>> = OnceLock::new();
            SHARED.get_or_init(|| Arc::new(ControlPlane::start_blocking(&Options::default())))
        });
        shared.await.expect("the control plane starts")
    }

    /// One of its own.
    pub async fn start(options: Options) -> Self {
        let started = tokio::task::spawn_blocking(move || Self::start_blocking(&options));
        started.await.expect("the control plane starts")
    }

    pub fn start_blocking(options: &Options) -> Self {
        let binaries = binaries();
        let folder = tempfile::Builder::new()
            .prefix("dualwrite-test-")
            .tempdir()
            .expect("a temp folder")
            .keep();
        let etcd = start_etcd(&binaries, &folder);
        let authority = Authority::new();
        let token = uuid::Uuid::new_v4().to_string();
        write_secrets(&folder, &authority, &token);
        let (api_server, url, api_server_command) =
            start_api_server(&binaries, &folder, &etcd.1, options, &token);
        let admin = kubeconfig::write(
            &folder.join("admin.kubeconfig"),
            &json!({"server": url, "certificate-authority": folder.join("ca.pem")}),
            &json!({"token": token}),
            "default",
        );
        let admin = Kubectl::new(
            &binaries.join("kubectl"),
            &admin,
            &folder.join("kubectl-cache"),
        );
        let operator_token = if options.bare {
            String::new()
        } else {
            install::install(&admin)
        };
        Self {
            folder,
            url,
            authority,
            admin,
            admin_token: token,
            operator_token,
            api_server: Mutex::new(api_server),
            api_server_command,
            etcd: etcd.0,
        }
    }

    /// Holds everything of this control plane; gone after it.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Kills the API server, and starts it again on the same port and store: what comes back has empty caches, as after an
    /// upgrade of a control plane. Returns when it is ready.
    pub fn restart_api_server(&self) {
        let mut api_server = self
            .api_server
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        api_server.kill();
        *api_server = Process::start(
            "kube-apiserver",
            &self.api_server_command,
            Some(&self.folder),
        );
        let (binaries, token) = (binaries(), &self.admin_token);
        let ready = is_ready(&api_server, &self.url, &binaries, &self.folder, token);
        assert!(ready, "not ready again: {}", api_server.tail(30));
    }

    /// The process ids of etcd and kube-apiserver.
    pub fn process_ids(&self) -> [i32; 2] {
        let api_server = self.api_server.lock();
        let api_server = api_server.unwrap_or_else(PoisonError::into_inner).pid();
        [self.etcd.pid(), api_server]
    }

    /// kubectl as a member of system:masters.
    pub fn admin(&self) -> &Kubectl {
        &self.admin
    }

    pub async fn admin_client(&self) -> Client {
        kubeconfig::client(self.admin.kubeconfig()).await
    }

    /// The admin's kubeconfig with another default namespace.
    pub fn admin_kubeconfig(&self, namespace: &str) -> PathBuf {
        let path = self.folder.join(format!("admin-{namespace}.kubeconfig"));
        kubeconfig::write(
            &path,
            &self.cluster(),
            &json!({"token": self.admin_token}),
            namespace,
        )
    }

    /// A kubeconfig for the operator's `ServiceAccount`, under the very roles that
    /// deploy/ ships. `server` is the address of a proxy, or None for the API
    /// server itself. `name` tells the files of several worlds apart.
    pub fn operator_kubeconfig(
        &self,
        name: &str,
        namespace: &str,
        server: Option<&str>,
    ) -> PathBuf {
        assert!(
            !self.operator_token.is_empty(),
            "a bare control plane has no operator"
        );
        let cluster = match server {
            Some(server) => json!({"server": server}),
            None => self.cluster(),
        };
        let path = self.folder.join(format!("{name}.kubeconfig"));
        kubeconfig::write(
            &path,
            &cluster,
            &json!({"token": self.operator_token}),
            namespace,
        )
    }

    /// A kubeconfig for a person of that name, who may do nothing yet.
    pub fn person_kubeconfig(&self, user: &str, namespace: &str) -> PathBuf {
        let pair = self.authority.person(user);
        let path = |end: &str| self.folder.join(format!("{user}.{end}"));
        write(&path("crt"), &pair.certificate);
        write(&path("key"), &pair.key);
        let user = json!({"client-certificate": path("crt"), "client-key": path("key")});
        kubeconfig::write(&path("kubeconfig"), &self.cluster(), &user, namespace)
    }

    /// kubectl with another kubeconfig.
    pub fn kubectl(&self, kubeconfig: &Path) -> Kubectl {
        Kubectl::new(
            &binaries().join("kubectl"),
            kubeconfig,
            &self.folder.join("kubectl-cache"),
        )
    }

    fn cluster(&self) -> serde_json::Value {
        json!({"server": self.url, "certificate-authority": self.folder.join("ca.pem")})
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        // The shared one is never dropped; for it the wrappers do this.
        let api_server = self.api_server.get_mut();
        api_server.unwrap_or_else(PoisonError::into_inner).kill();
        self.etcd.kill();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn write_secrets(folder: &Path, authority: &Authority, token: &str) {
    let server = authority.server();
    write(&folder.join("ca.pem"), &authority.pem());
    write(&folder.join("server.crt"), &server.certificate);
    write(&folder.join("server.key"), &server.key);
    let (private, public) = new_keys();
    write(&folder.join("service-accounts.key"), &private);
    write(&folder.join("service-accounts.pub"), &public);
    write(
        &folder.join("tokens.csv"),
        &format!("{token},admin,admin,system:masters\n"),
    );
}

/// Starts etcd; returns it with its URL.
fn start_etcd(binaries: &Path, folder: &Path) -> (Process, String) {
    let (process, url, _) = start_on_free_ports(
        "etcd",
        folder,
        |ports| {
            let [client, peer] = ports.map(|port| format!("http://127.0.0.1:{port}"));
            let mut command = Command::new(binaries.join("etcd"));
            command
                .arg(format!("--data-dir={}", folder.join("etcd").display()))
                .arg(format!("--listen-client-urls={client}"))
                .arg(format!("--advertise-client-urls={client}"))
                .arg(format!("--listen-peer-urls={peer}"))
                .arg(format!("--initial-advertise-peer-urls={peer}"))
                .arg(format!("--initial-cluster=default={peer}"))
                // Nobody needs this data after a crash of the machine.
                .arg("--unsafe-no-fsync");
            (command, client)
        },
        |process, _| {
            // Its own word, not an answer on the port: that might be another's etcd.
            process.wait_until(START_TIMEOUT, |state| {
                let ready = state
                    .stderr
                    .iter()
                    .any(|line| line.contains("ready to serve client requests"));
                (ready || state.exit.is_some()).then_some(ready)
            }) == Some(true)
        },
    );
    (process, url)
}

fn start_api_server(
    binaries: &Path,
    folder: &Path,
    etcd: &str,
    options: &Options,
    token: &str,
) -> (Process, String, Command) {
    let path = |name: &str| folder.join(name).display().to_string();
    start_on_free_ports(
        "kube-apiserver",
        folder,
        |[port, _]| {
            let mut command = Command::new(binaries.join("kube-apiserver"));
            command
                // It collects garbage half as often: that costs memory, and saves the cores.
                .env("GOGC", "200")
                .arg(format!("--etcd-servers={etcd}"))
                .args([
                    "--bind-address=127.0.0.1",
                    "--endpoint-reconciler-type=none",
                ])
                .arg(format!("--secure-port={port}"))
                .arg(format!("--cert-dir={}", path("api-server")))
                .arg(format!("--tls-cert-file={}", path("server.crt")))
                .arg(format!("--tls-private-key-file={}", path("server.key")))
                .arg(format!("--client-ca-file={}", path("ca.pem")))
                .arg(format!("--token-auth-file={}", path("tokens.csv")))
                .arg("--authorization-mode=RBAC")
                .arg("--service-account-issuer=https://kubernetes.default.svc")
                .arg(format!(
                    "--service-account-signing-key-file={}",
                    path("service-accounts.key")
                ))
                .arg(format!(
                    "--service-account-key-file={}",
                    path("service-accounts.pub")
                ))
                .arg("--service-cluster-ip-range=10.0.0.0/24")
                // No controller makes the ServiceAccounts that this plugin insists on.
                .arg("--disable-admission-plugins=ServiceAccount")
                // So that a privileged pod is refused by Pod Security, which tests
                // check, and not by this older switch.
                .arg("--allow-privileged=true");
            if let Some(policy) = &options.audit_policy {
                command.arg(format!("--audit-policy-file={}", policy.display()));
                command.arg(format!("--audit-log-path={}", path("audit.log")));
            }
            (command, format!("https://127.0.0.1:{port}"))
        },
        |process, url| is_ready(process, url, binaries, folder, token),
    )
}

/// Asks /readyz until it agrees. Another's API server on this port would refuse
/// the token, and be signed by another authority.
fn is_ready(process: &Process, url: &str, binaries: &Path, folder: &Path, token: &str) -> bool {
    let file = kubeconfig::write(
        &folder.join("readyz.kubeconfig"),
        &json!({"server": url, "certificate-authority": folder.join("ca.pem")}),
        &json!({"token": token}),
        "default",
    );
    let kubectl = Kubectl::new(
        &binaries.join("kubectl"),
        &file,
        &folder.join("kubectl-cache"),
    );
    let deadline = Instant::now() + START_TIMEOUT;
    // It says when it listens; what it starts after that has no line of its own.
    process.wait_until(START_TIMEOUT, |state| {
        let listens = state
            .stderr
            .iter()
            .any(|line| line.contains("Serving securely"));
        (listens || state.exit.is_some()).then_some(())
    });
    while Instant::now() < deadline {
        if kubectl
            .run_blocking(&["get", "--raw", "/readyz"], "")
            .success()
        {
            return true;
        }
        if process.exited_within(Duration::from_millis(100)).is_some() {
            return false;
        }
    }
    false
}

/// Between picking a free port and the program's listening on it another process
/// may take it; then the program ends at once, and others are picked.
fn start_on_free_ports(
    name: &str,
    folder: &Path,
    command: impl Fn([u16; 2]) -> (Command, String),
    ready: impl Fn(&Process, &str) -> bool,
) -> (Process, String, Command) {
    let mut last = String::new();
    for _ in 0..5 {
        let (command, url) = command(free_ports());
        let process = Process::start(name, &command, Some(folder));
        if ready(&process, &url) {
            return (process, url, command);
        }
        last = process.tail(30);
        if process.exit_status().is_none() || !last.contains("address already in use") {
            break;
        }
    }
    let _ = std::fs::remove_dir_all(folder);
    panic!("{name} did not become ready. {last}");
}

fn free_ports() -> [u16; 2] {
    // Both held at once, so that they differ.
    let listeners =
        [(), ()].map(|()| std::net::TcpListener::bind("127.0.0.1:0").expect("a free port"));
    listeners.map(|listener| listener.local_addr().expect("a bound address").port())
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text)
        .unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
}
