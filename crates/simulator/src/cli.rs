//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;

/// A stand-in for the Microsoft services that dual-write needs.
///
/// It answers the calls of Microsoft Entra ID, the Power Platform API, Dataverse, the dual-write
/// service and finance and operations at their real host names, over TLS, from a scenario that you
/// can change while it runs. Point the operator at it with `--connect-to` and `--extra-ca`; nothing
/// leaves this machine and no tenant is needed.
///
/// When both listeners are bound it prints one line of JSON on standard output:
/// {"listen":"127.0.0.1:40001","control":"127.0.0.1:40002","caFile":"/tmp/…/ca.pem"}.
/// Logs go to standard error (`RUST_LOG`).
#[derive(Debug, Parser)]
#[command(name = "dualwrite-simulator", version, max_term_width = 100)]
pub(crate) struct Cli {
    /// Where the simulated Microsoft services listen (TLS); port 0 picks a free one
    #[arg(
        long,
        env = "DUALWRITE_SIMULATOR_LISTEN",
        default_value = "127.0.0.1:0",
        value_name = "ADDRESS"
    )]
    pub(crate) listen: SocketAddr,

    /// Where the control API listens (plain HTTP, no sign-in: keep it on loopback)
    #[arg(
        long,
        env = "DUALWRITE_SIMULATOR_CONTROL",
        default_value = "127.0.0.1:0",
        value_name = "ADDRESS"
    )]
    pub(crate) control: SocketAddr,

    /// The scenario to start with, YAML or JSON; without it the built-in `contoso` scenario
    #[arg(long, env = "DUALWRITE_SIMULATOR_SCENARIO", value_name = "FILE")]
    pub(crate) scenario: Option<PathBuf>,

    /// How fast installs, links and other work of the Microsoft side go: with 600, half an hour
    /// takes three seconds. HTTP dates, Retry-After and the life of tokens stay real time
    #[arg(long, env = "DUALWRITE_SIMULATOR_TIME_SCALE", default_value_t = 1.0, value_parser = scale, value_name = "FACTOR")]
    pub(crate) time_scale: f64,

    /// Where the certificate of the certificate authority is written (PEM); without it a temporary
    /// file, which is removed at the end
    #[arg(long, env = "DUALWRITE_SIMULATOR_CA_FILE", value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,

    /// End when standard input reaches its end, so that a test that dies leaves nothing running
    #[arg(long, env = "DUALWRITE_SIMULATOR_EXIT_WITH_STDIN")]
    pub(crate) exit_with_stdin: bool,
}

fn scale(text: &str) -> Result<f64, String> {
    let factor: f64 = text
        .parse()
        .map_err(|_| "the factor has to be a number, such as 600".to_owned())?;
    if factor.is_finite() && (0.001..=1_000_000.0).contains(&factor) {
        Ok(factor)
    } else {
        Err("the factor has to be between 0.001 and 1000000".to_owned())
    }
}
