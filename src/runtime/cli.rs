//! The command line. Every flag can also be given in the environment.

#![allow(clippy::doc_markdown, reason = "--help shows these texts as they are")]

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};

use dualwrite_api::values;

/// Joins Dynamics 365 finance and operations with Dataverse by dual-write, and watches that they stay joined.
#[derive(Debug, Parser)]
#[command(name = "dualwrite-operator", version, about)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the operator against the cluster of KUBECONFIG, or the one it runs in.
    Run(Box<Run>),
    /// Sign the dual-write account in once, and print a Secret with its refresh token.
    SignIn(Box<SignIn>),
    /// Print the CustomResourceDefinitions, as they stand in crds/.
    Crd(Crd),
}

/// Flags of `sign-in`.
#[derive(Debug, Args)]
pub struct SignIn {
    /// The Entra tenant that the account belongs to
    #[arg(long, value_name = "UUID")]
    pub tenant_id: Option<String>,

    /// The Microsoft cloud
    #[arg(long, value_enum, default_value = "public")]
    pub cloud: CloudName,

    /// The public client to sign in to; without it, the one of the dual-write service
    #[arg(long, value_name = "UUID")]
    pub client_id: Option<String>,

    /// The name of the Secret
    #[arg(long, value_name = "NAME")]
    pub name: String,

    /// The namespace of the Secret
    #[arg(long, short, value_name = "NAMESPACE")]
    pub namespace: String,

    /// Take the refresh token from this file instead of signing in; - is standard input
    #[arg(long, value_name = "FILE")]
    pub from_file: Option<PathBuf>,

    /// Write the Secret into this new file, which only you can read; without it, to standard output
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Connect every host name to this address instead, with proxies off (for the simulator)
    #[arg(long, env = "DUALWRITE_CONNECT_TO", value_name = "IP:PORT")]
    pub connect_to: Option<SocketAddr>,

    /// Trust the certificates in this PEM file beside the system's
    #[arg(long, env = "DUALWRITE_EXTRA_CA", value_name = "FILE")]
    pub extra_ca: Option<PathBuf>,
}

/// A Microsoft cloud, as it is written on a command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CloudName {
    /// The public cloud.
    Public,
    /// US Government Community Cloud.
    Gcc,
    /// US Government Community Cloud High.
    Gcchigh,
    /// US Department of Defense.
    Dod,
    /// China, operated by 21Vianet.
    China,
}

impl From<CloudName> for dualwrite_microsoft::Cloud {
    fn from(name: CloudName) -> Self {
        match name {
            CloudName::Public => Self::Public,
            CloudName::Gcc => Self::Gcc,
            CloudName::Gcchigh => Self::GccHigh,
            CloudName::Dod => Self::DoD,
            CloudName::China => Self::China,
        }
    }
}

/// Which definition to print.
#[derive(Debug, Args)]
pub struct Crd {
    /// Only this one.
    #[arg(value_enum)]
    pub only: Option<Kind>,
}

/// A resource of the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// `DualWriteConnection`
    Connections,
    /// `DualWriteOperation`
    Operations,
}

/// How logs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Who may read the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MetricsAuth {
    /// Everybody who reaches the port.
    None,
    /// Whoever has a token that Kubernetes lets read them.
    Kubernetes,
}

/// Flags of `run`.
#[derive(Debug, Args)]
pub struct Run {
    /// Connect every host name to this address instead, with proxies off (for the simulator)
    #[arg(long, env = "DUALWRITE_CONNECT_TO", value_name = "IP:PORT")]
    pub connect_to: Option<SocketAddr>,

    /// Trust the certificates in this PEM file beside the system's
    #[arg(long, env = "DUALWRITE_EXTRA_CA", value_name = "FILE")]
    pub extra_ca: Option<PathBuf>,

    /// How often an unfinished operation is looked at
    #[arg(long, env = "DUALWRITE_POLL_INTERVAL", default_value = "10s", value_parser = duration)]
    pub poll_interval: Duration,

    /// How long an absence must last before it counts
    #[arg(long, env = "DUALWRITE_SETTLE_TIME", default_value = "2m", value_parser = duration)]
    pub settle_time: Duration,

    /// The shortest interval at which a resource's truth is read again
    #[arg(long, env = "DUALWRITE_MIN_INTERVAL", default_value = "30s", value_parser = duration)]
    pub min_interval: Duration,

    /// How long one request may take; ten times that for a link or a reset
    #[arg(long, env = "DUALWRITE_REQUEST_TIMEOUT", default_value = "30s", value_parser = duration)]
    pub request_timeout: Duration,

    /// How long after the record of its intent a request may still be sent (for tests, which cannot wait for long)
    #[arg(long, env = "DUALWRITE_SEND_WINDOW", default_value = "30s", value_parser = duration, hide = true)]
    pub send_window: Duration,

    /// How many times longer than others a link or a reset may take (for tests)
    #[arg(long, env = "DUALWRITE_SLOW_FACTOR", default_value = "10", value_parser = clap::value_parser!(u32).range(1..), hide = true)]
    pub slow_factor: u32,

    /// How many passes of each controller run at once; of one namespace at most half as many, rounded up
    #[arg(long, env = "DUALWRITE_CONCURRENCY", default_value = "64", value_parser = clap::value_parser!(u16).range(1..))]
    pub concurrency: u16,

    /// Watch these namespaces only, separated by commas; without it, all
    #[arg(
        long,
        env = "DUALWRITE_WATCH_NAMESPACES",
        value_delimiter = ',',
        value_name = "NAMESPACE"
    )]
    pub watch_namespaces: Vec<String>,

    /// Where /healthz and /readyz are served
    #[arg(
        long,
        env = "DUALWRITE_ADMIN_ADDR",
        default_value = "0.0.0.0:8080",
        value_name = "IP:PORT"
    )]
    pub admin_addr: SocketAddr,

    /// Where /metrics is served
    #[arg(
        long,
        env = "DUALWRITE_METRICS_ADDR",
        default_value = "0.0.0.0:8082",
        value_name = "IP:PORT"
    )]
    pub metrics_addr: SocketAddr,

    /// Who may read /metrics: with kubernetes, whoever has a token that may get the non-resource URL /metrics; with none, everybody
    #[arg(
        long,
        env = "DUALWRITE_METRICS_AUTH",
        value_enum,
        default_value = "kubernetes"
    )]
    pub metrics_auth: MetricsAuth,

    /// For how many connections /metrics has series of their own; 0 for none
    #[arg(
        long,
        env = "DUALWRITE_CONNECTION_METRICS",
        default_value = "1000",
        value_name = "COUNT"
    )]
    pub connection_metrics: usize,

    /// Let one of several replicas lead, by a Lease; if not said, true in a pod and false outside of one
    #[arg(
        long,
        env = "DUALWRITE_LEADER_ELECTION",
        value_name = "BOOL",
        num_args = 0..=1,
        default_missing_value = "true"
    )]
    pub leader_election: Option<bool>,

    /// How long a leader that is not heard of stays the leader; whole seconds from 3s to 5m
    #[arg(long, env = "DUALWRITE_LEASE_DURATION", default_value = "15s", value_parser = lease_duration)]
    pub lease_duration: Duration,

    /// Create no operation, whatever the resources say
    #[arg(long, env = "DUALWRITE_OBSERVE_ONLY")]
    pub observe_only: bool,

    /// Allow hosts under this suffix for URLs of resources, beside Microsoft's; may be given several times
    #[arg(
        long,
        env = "DUALWRITE_ALLOW_HOST_SUFFIX",
        value_delimiter = ',',
        value_name = "SUFFIX"
    )]
    pub allow_host_suffix: Vec<String>,

    /// Let connections in this namespace use the workload identity of the operator's own pod; may be given several times
    #[arg(
        long,
        env = "DUALWRITE_ALLOW_AMBIENT_IDENTITY_IN",
        value_delimiter = ',',
        value_name = "NAMESPACE",
        value_parser = namespace
    )]
    pub allow_ambient_identity_in: Vec<String>,

    /// A YAML file that says which namespace may claim which hosts and environments; without it, each may claim all
    #[arg(long, env = "DUALWRITE_CLAIMS", value_name = "FILE")]
    pub claims: Option<PathBuf>,

    /// A JSON file with method, path and body of the call that makes a link, which no public source shows
    #[arg(long, env = "DUALWRITE_LINK_TEMPLATE", value_name = "FILE")]
    pub link_template: Option<PathBuf>,

    /// The same for the call that resets a link
    #[arg(long, env = "DUALWRITE_RESET_TEMPLATE", value_name = "FILE")]
    pub reset_template: Option<PathBuf>,

    /// The operator's own ServiceAccount, for messages that say what to grant
    #[arg(
        long,
        env = "DUALWRITE_SERVICE_ACCOUNT",
        default_value = "dualwrite-system:dualwrite-operator",
        value_name = "NAMESPACE:NAME"
    )]
    pub service_account: String,

    /// How logs are written; RUST_LOG says how much
    #[arg(long, env = "DUALWRITE_LOG_FORMAT", value_enum, default_value = "text")]
    pub log_format: LogFormat,
}

/// One namespace by its name: there is no pattern that allows all.
fn namespace(text: &str) -> Result<String, String> {
    if values::is_namespace(text) {
        Ok(text.to_owned())
    } else {
        Err("write the name of one namespace, as `kubectl get namespaces` shows it".into())
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|error| format!("write a duration such as 30s or 5m ({error})"))
}

/// A Lease counts in whole seconds. A shorter one is lost at each hiccup of the API server; with a longer one nobody
/// leads for minutes after a crash.
fn lease_duration(text: &str) -> Result<Duration, String> {
    let duration = duration(text)?;
    let bounds = Duration::from_secs(3)..=Duration::from_secs(300);
    if bounds.contains(&duration) && duration.subsec_nanos() == 0 {
        Ok(duration)
    } else {
        Err("write whole seconds from 3s to 5m".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use dualwrite_plan::world::Settings;

    #[test]
    fn the_command_line_is_consistent_and_documented() {
        Cli::command().debug_assert();
        let run = Cli::command();
        let run = run
            .find_subcommand("run")
            .into_iter()
            .flat_map(clap::Command::get_arguments);
        for argument in run.filter(|argument| argument.get_id() != "help") {
            assert!(
                argument.get_help().is_some(),
                "{} has no help",
                argument.get_id()
            );
            assert!(
                argument.get_env().is_some(),
                "{} is not in the environment",
                argument.get_id()
            );
        }
    }

    fn parsed(args: &[&str]) -> Result<Run, String> {
        let program = ["dualwrite-operator", "run"];
        let cli =
            Cli::try_parse_from(program.iter().chain(args)).map_err(|error| error.to_string())?;
        match cli.command {
            Command::Run(run) => Ok(*run),
            Command::Crd(_) | Command::SignIn(_) => Err("not `run`".into()),
        }
    }

    #[test]
    fn leader_election_can_be_said_either_way_or_not() {
        let elects = |args: &[&str]| parsed(args).map(|run| run.leader_election);
        assert_eq!(elects(&[]), Ok(None));
        assert_eq!(
            elects(&["--leader-election", "--observe-only"]),
            Ok(Some(true))
        );
        assert_eq!(elects(&["--leader-election=true"]), Ok(Some(true)));
        assert_eq!(elects(&["--leader-election", "false"]), Ok(Some(false)));
        assert_eq!(elects(&["--leader-election=false"]), Ok(Some(false)));
        assert!(elects(&["--leader-election=maybe"]).is_err());
    }

    /// An operator that believes an absence too early may do something twice.
    #[test]
    fn what_only_tests_change_is_what_the_decisions_take_for_granted() {
        let run = parsed(&[]).unwrap();
        let settings = Settings::default();
        assert_eq!(run.send_window, settings.send_window);
        assert_eq!(run.slow_factor, settings.slow_factor);
        assert!(parsed(&["--slow-factor", "0"]).is_err());
    }

    #[test]
    fn the_ambient_identity_is_allowed_in_no_namespace_or_in_those_that_are_named() {
        let allowed = |args: &[&str]| parsed(args).map(|run| run.allow_ambient_identity_in);
        let flag = "--allow-ambient-identity-in";
        assert_eq!(allowed(&[]), Ok(Vec::new()));
        assert_eq!(
            allowed(&[flag, "erp", flag, "crm,hr"]),
            Ok(["erp", "crm", "hr"].map(str::to_owned).to_vec())
        );
        for bad in ["*", "", "erp,", "ERP", "erp-*"] {
            let refused = allowed(&[flag, bad]).err().unwrap_or_default();
            assert!(refused.contains("one namespace"), "{bad}: {refused}");
        }
    }

    #[test]
    fn a_lease_lasts_whole_seconds_within_bounds() {
        let lasts = |text: &str| parsed(&["--lease-duration", text]).map(|run| run.lease_duration);
        for (text, seconds) in [("3s", 3), ("15s", 15), ("5m", 300)] {
            assert_eq!(lasts(text), Ok(Duration::from_secs(seconds)));
        }
        for text in ["0s", "2s", "2999ms", "3500ms", "301s", "1h"] {
            let refused = lasts(text).err().unwrap_or_default();
            assert!(
                refused.contains("whole seconds from 3s to 5m"),
                "{text}: {refused}"
            );
        }
    }
}
