//! A panic is told by its place alone: what it says may be a secret.

use std::process::Command;

use dualwrite_operator::runtime::{cli::LogFormat, panics, telemetry};

const ROLE: &str = "DUALWRITE_TEST_PANICS";

/// Runs a test of this file again, in a process of its own that plays the role; what it wrote to stderr.
fn play(test: &str) -> String {
    let played = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(ROLE, "1")
        .env("RUST_BACKTRACE", "1")
        .output()
        .unwrap();
    assert!(!played.status.success(), "it did not panic");
    let told = [played.stdout, played.stderr].concat();
    String::from_utf8(told).unwrap()
}

fn panic_if_told_to() {
    let secret = std::env::var(ROLE).map(|role| format!("marker-{role}"));
    assert!(secret.is_err(), "{secret:?}");
}

fn tells_the_place_only(told: &str) {
    assert!(told.contains("has an error of its own"), "{told}");
    assert!(told.contains("tests/project/panics.rs:"), "{told}");
    assert!(!told.contains("marker-"), "{told}");
}

#[test]
fn the_operator_logs_the_place_only() {
    if std::env::var_os(ROLE).is_some() {
        telemetry::start(LogFormat::Json).unwrap();
        panics::log_places_only();
        return panic_if_told_to();
    }
    let told = play("panics::the_operator_logs_the_place_only");
    tells_the_place_only(&told);
    assert!(told.contains("\"backtrace\":"), "{told}");
}

#[test]
fn a_command_tells_the_place_only() {
    if std::env::var_os(ROLE).is_some() {
        panics::tell_places_only();
        return panic_if_told_to();
    }
    tells_the_place_only(&play("panics::a_command_tells_the_place_only"));
}
