//! `dualwrite-simulator`: a stand-in for the Microsoft services that dual-write needs, at their real
//! host names, with a state that can be looked at and changed while it runs.
//!
//! It shares nothing with the operator's own clients, so that a mistake about Microsoft's side is
//! not made twice in the same way. The calls carry the evidence marks of the project's notes:
//! \[D\] documented by Microsoft, \[O\] observed in a public client, \[I\] inferred.

mod access;
mod cli;
mod clock;
mod control;
mod dataverse;
mod dual_write;
mod entra;
mod faults;
mod finance_operations;
mod journal;
mod packages;
mod power_platform;
mod reply;
mod rewrite;
mod router;
mod server;
mod service;
mod state;
mod tls;
mod world;

use std::io::IsTerminal as _;

use clap::Parser as _;
use tracing_subscriber::EnvFilter;

fn main() -> anyhow::Result<()> {
    let cli = cli::Cli::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(server::run(cli))
}
