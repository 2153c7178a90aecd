//! The control API, and the life of the process.

use std::time::Duration;

use anyhow::{Context as _, Result};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Simulator, UAT, environments_url, packages_url};

#[tokio::test]
async fn a_patch_that_does_not_fit_changes_nothing() -> Result<()> {
    let simulator = Simulator::start().await?;
    let before = simulator.state().await?;
    for (patch, word) in [
        (json!({"environments": {UAT: {"stat": "Enabled"}}}), "stat"),
        (
            json!({"environments": {UAT: {"packages": {"DualWriteCoreAnchor": {"installTakes": "soon"}}}}}),
            "installTakes",
        ),
        (
            json!({"environments": {UAT: {"tenantId": "fabrikam"}}}),
            "fabrikam",
        ),
        (
            json!({"settings": {"nextLinkCasing": "other"}}),
            "nextLinkCasing",
        ),
    ] {
        let (status, body) = simulator
            .try_control(Method::PATCH, "/state", patch)
            .await?;
        let message = body["error"].as_str().unwrap_or_default();
        assert_eq!(status, 422);
        assert!(
            message.contains(word) && message.ends_with('.'),
            "{message}"
        );
    }
    assert_eq!(simulator.state().await?, before);
    Ok(())
}

#[tokio::test]
async fn a_whole_state_can_be_put_as_yaml_or_as_json() -> Result<()> {
    let simulator = Simulator::start().await?;
    let before = simulator.state().await?;
    let yaml = "tenants: {fabrikam: {}}\nenvironments: {}\n";
    let response = reqwest::Client::new()
        .put(format!("{}/state", simulator.control))
        .body(yaml)
        .send()
        .await?;
    assert_eq!(response.status(), 200);
    assert_eq!(simulator.state().await?["environments"], json!({}));
    simulator
        .control(Method::PUT, "/state", before.clone())
        .await?;
    assert_eq!(simulator.state().await?, before);
    Ok(())
}

#[tokio::test]
async fn waiting_ends_when_it_happened_or_in_time() -> Result<()> {
    let simulator = Simulator::start().await?;
    let (status, _) = simulator
        .try_control(
            Method::GET,
            "/wait?call=listEnvironments&timeout=10ms",
            Value::Null,
        )
        .await?;
    assert_eq!(status, 408);
    let waiting = simulator.control(
        Method::GET,
        "/wait?call=listEnvironments&count=2&timeout=20s",
        Value::Null,
    );
    let calling = async {
        simulator.get(&environments_url()).await?;
        simulator.get(&environments_url()).await
    };
    let (waited, called) = tokio::join!(waiting, calling);
    called?;
    assert_eq!(waited?, json!({"count": 2}));
    let (status, _) = simulator
        .try_control(Method::GET, "/wait?call=nothing", Value::Null)
        .await?;
    assert_eq!(status, 422);
    let (status, _) = simulator
        .try_control(Method::GET, "/wait?fault=nothing", Value::Null)
        .await?;
    assert_eq!(status, 404);
    Ok(())
}

#[tokio::test]
async fn journal_and_counts_can_be_cleared() -> Result<()> {
    let simulator = Simulator::start().await?;
    simulator
        .post(
            &packages_url("/DualWriteCoreAnchor/install?"),
            &json!({"a": 1}),
        )
        .await?;
    let journal = simulator.journal().await?;
    assert_eq!(journal.len(), 1);
    assert_eq!(
        (&journal[0]["body"], &journal[0]["status"]),
        (&json!({"a": 1}), &json!(200))
    );
    simulator
        .control(Method::DELETE, "/journal", Value::Null)
        .await?;
    simulator
        .control(Method::DELETE, "/calls", Value::Null)
        .await?;
    assert!(simulator.journal().await?.is_empty());
    let calls = simulator
        .control(Method::GET, "/calls", Value::Null)
        .await?;
    assert_eq!(calls, json!({"hosts": {}}));
    Ok(())
}

#[tokio::test]
async fn time_is_scaled() -> Result<()> {
    let simulator = Simulator::start_with(&["--time-scale", "1000000"]).await?;
    simulator
        .post(&packages_url("/DualWriteCoreAnchor/install?"), &json!({}))
        .await?;
    let state = simulator.state().await?;
    assert_eq!(
        state["environments"][UAT]["packages"]["DualWriteCoreAnchor"]["state"],
        "Installed"
    );
    Ok(())
}

#[tokio::test]
async fn the_end_of_standard_input_ends_it_and_leaves_nothing() -> Result<()> {
    let mut simulator = Simulator::start().await?;
    let directory = simulator
        .ca_file
        .parent()
        .context("no directory")?
        .to_owned();
    assert!(directory.exists());
    drop(simulator.process.stdin.take());
    let status = tokio::time::timeout(Duration::from_secs(20), simulator.process.wait()).await??;
    assert!(status.success());
    assert!(!directory.exists());
    Ok(())
}

#[tokio::test]
async fn a_signal_ends_it_and_leaves_nothing() -> Result<()> {
    let mut simulator = Simulator::start().await?;
    let id = simulator.process.id().context("no process")?;
    let directory = simulator
        .ca_file
        .parent()
        .context("no directory")?
        .to_owned();
    let killed = tokio::process::Command::new("kill")
        .arg(id.to_string())
        .status()
        .await?;
    assert!(killed.success());
    let status = tokio::time::timeout(Duration::from_secs(20), simulator.process.wait()).await??;
    assert!(status.success() && !directory.exists());
    Ok(())
}

#[tokio::test]
async fn a_scenario_that_does_not_fit_is_refused_in_words() -> Result<()> {
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), "environments: {one: {tenantId: nowhere}}")?;
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_dualwrite-simulator"))
        .arg("--scenario")
        .arg(file.path())
        .output()
        .await?;
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("nowhere"));
    Ok(())
}
