//! The operator's program.

use std::process::ExitCode;

use clap::Parser;
use dualwrite_api::{DualWriteConnection, DualWriteOperation};
use dualwrite_operator::runtime::{
    cli::{Cli, Command, Crd, Kind},
    panics, run, sign_in, telemetry,
};
use kube::CustomResourceExt;

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Crd(which) => print_definitions(&which),
        Command::Run(flags) => operate(*flags),
        Command::SignIn(flags) => sign_in(*flags),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dualwrite-operator: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn operate(flags: dualwrite_operator::runtime::cli::Run) -> anyhow::Result<()> {
    telemetry::start(flags.log_format)?;
    panics::log_places_only();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(run::run(flags));
    // A request that is still under way must not keep the process; its intent is recorded.
    runtime.shutdown_background();
    result
}

/// Without logs: what is said is for the person in front of it.
fn sign_in(flags: dualwrite_operator::runtime::cli::SignIn) -> anyhow::Result<()> {
    panics::tell_places_only();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(sign_in::sign_in(flags))
}

fn print_definitions(which: &Crd) -> anyhow::Result<()> {
    let all = [
        (Kind::Connections, DualWriteConnection::crd()),
        (Kind::Operations, DualWriteOperation::crd()),
    ];
    let wanted = all
        .iter()
        .filter(|(kind, _)| which.only.is_none_or(|only| only == *kind));
    let documents = wanted
        .map(|(_, definition)| serde_norway::to_string(definition))
        .collect::<Result<Vec<_>, _>>()?;
    print!("{}", documents.join("---\n"));
    Ok(())
}
