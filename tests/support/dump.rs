//! What somebody needs to see after a test has failed.

use super::kubectl::Kubectl;
use super::simulator::Simulator;

const LOG_LINES: usize = 200;

/// Writes it all to stderr. Blocking, as it runs in `Drop`.
pub fn dump(namespace: &str, admin: &Kubectl, log: &[String], simulator: Option<&Simulator>) {
    eprintln!("===== the world of {namespace} =====");
    for what in ["dwc,dwo", "events.events.k8s.io"] {
        let output = admin.run_blocking(&["get", what, "-n", namespace, "-o", "yaml"], "");
        eprintln!("--- {}\n{}{}", output.command, output.stdout, output.stderr);
    }
    let last = &log[log.len().saturating_sub(LOG_LINES)..];
    eprintln!("--- the operator's last lines\n{}", last.join("\n"));
    if let Some(simulator) = simulator {
        eprintln!("--- the simulator's journal\n{}", journal(simulator));
    }
}

/// A thread and a runtime of its own: the test's runtime is ending.
fn journal(simulator: &Simulator) -> String {
    let control = simulator.control().clone();
    let asking = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let entries = runtime.expect("a runtime").block_on(control.journal());
        let lines: Vec<String> = entries.iter().map(ToString::to_string).collect();
        lines.join(
            "
",
        )
    });
    asking
        .join()
        .unwrap_or_else(|_| "(could not be read)".to_owned())
}
