//! Application packages: listing, installing, polling.

use anyhow::{Context as _, Result};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{POWER_PLATFORM, Simulator, UAT, packages_url};

const CORE: &str = "DualWriteCoreAnchor";
const APPLICATION: &str = "msdyn_DualWriteAppCoreAnchor";

fn install_url(name: &str) -> String {
    packages_url(&format!("/{name}/install?"))
}

#[expect(clippy::needless_pass_by_value, reason = "calls read better")]
fn change(name: &str, package: Value) -> Value {
    json!({"environments": {UAT: {"packages": {name: package}}}})
}

async fn rows(simulator: &Simulator, filter: &str, name: &str) -> Result<Vec<Value>> {
    let (_, body) = simulator
        .get(&packages_url(&format!("?appInstallState={filter}&")))
        .await?;
    let rows: Vec<Value> = serde_json::from_value(body["value"].clone())?;
    Ok(rows
        .into_iter()
        .filter(|row| row["uniqueName"] == name)
        .collect())
}

async fn state(simulator: &Simulator, name: &str) -> Result<Value> {
    let rows = rows(simulator, "All", name).await?;
    Ok(rows.first().context("no such package")?["state"].clone())
}

fn operation_url(id: &Value) -> String {
    let id = id.as_str().unwrap_or_default();
    format!(
        "{POWER_PLATFORM}/appmanagement/environments/{UAT}/operations/{id}?api-version=2022-03-01-preview"
    )
}

#[tokio::test]
async fn an_install_goes_through_its_states() -> Result<()> {
    let simulator = Simulator::start().await?;
    assert_eq!(state(&simulator, CORE).await?, "None");
    let (status, instance) = simulator.post(&install_url(CORE), &json!({})).await?;
    assert_eq!(status, 200);
    let operation = operation_url(&instance["lastOperation"]["operationId"]);
    assert_eq!(state(&simulator, CORE).await?, "InstallRequested");
    assert_eq!(simulator.get(&operation).await?.1["status"], "NotStarted");
    simulator.advance("5m").await?;
    assert_eq!(state(&simulator, CORE).await?, "Installing");
    assert_eq!(simulator.get(&operation).await?.1["status"], "Running");
    simulator.advance("10m").await?;
    assert_eq!(state(&simulator, CORE).await?, "Installed");
    assert_eq!(simulator.get(&operation).await?.1["status"], "Succeeded");
    assert_eq!(
        simulator.state().await?["environments"][UAT]["packages"][CORE]["state"],
        "Installed"
    );
    assert_eq!(simulator.journal().await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_failed_install_says_why() -> Result<()> {
    let simulator = Simulator::start().await?;
    let failure =
        json!({"errorCode": 42, "errorName": "Nope", "message": "A dependency is missing."});
    simulator
        .patch(change(CORE, json!({"failsWith": failure})))
        .await?;
    let (_, instance) = simulator.post(&install_url(CORE), &json!({})).await?;
    simulator.advance("1h").await?;
    let (_, operation) = simulator
        .get(&operation_url(&instance["lastOperation"]["operationId"]))
        .await?;
    assert_eq!(operation["status"], "Failed");
    assert_eq!(operation["error"]["message"], "A dependency is missing.");
    let row = rows(&simulator, "All", CORE).await?;
    assert_eq!(row[0]["state"], "InstallFailed");
    assert_eq!(row[0]["lastError"]["errorName"], "Nope");
    Ok(())
}

#[tokio::test]
async fn one_operation_at_a_time() -> Result<()> {
    let simulator = Simulator::start().await?;
    simulator.post(&install_url(CORE), &json!({})).await?;
    assert_eq!(
        simulator
            .post(&install_url(APPLICATION), &json!({}))
            .await?,
        (400, Value::Null)
    );
    simulator
        .patch(json!({"settings": {"busyInstallStatus": 409}}))
        .await?;
    let (status, body) = simulator
        .post(&install_url(APPLICATION), &json!({}))
        .await?;
    assert_eq!((status, body["error"]["message"].is_string()), (409, true));
    let journal = simulator.journal().await?;
    let applied: Vec<&Value> = journal.iter().map(|entry| &entry["applied"]).collect();
    assert_eq!(applied, [&json!(true), &json!(false), &json!(false)]);
    Ok(())
}

#[tokio::test]
async fn the_install_call_answers_in_three_ways() -> Result<()> {
    let simulator = Simulator::start().await?;
    simulator
        .patch(change(CORE, json!({"answer": "operationLocation"})))
        .await?;
    simulator
        .patch(change(APPLICATION, json!({"answer": "bare"})))
        .await?;
    let request = simulator
        .as_application(Method::POST, &install_url(CORE))
        .await?;
    let response = request.send().await?;
    assert_eq!(response.status(), 202);
    let location = response.headers()["operation-location"]
        .to_str()?
        .to_owned();
    assert_eq!(response.text().await?, "");
    assert_eq!(simulator.get(&location).await?.0, 200);
    simulator.advance("1h").await?;
    let request = simulator
        .as_application(Method::POST, &install_url(APPLICATION))
        .await?;
    let response = request.send().await?;
    assert_eq!(response.status(), 202);
    assert!(!response.headers().contains_key("operation-location"));
    assert_eq!(state(&simulator, APPLICATION).await?, "InstallRequested");
    Ok(())
}

#[tokio::test]
async fn a_busy_operation_can_answer_with_a_conflict() -> Result<()> {
    let simulator = Simulator::start().await?;
    simulator
        .patch(json!({"settings": {"busyPollConflict": true}}))
        .await?;
    let (_, instance) = simulator.post(&install_url(CORE), &json!({})).await?;
    let operation = operation_url(&instance["lastOperation"]["operationId"]);
    assert_eq!(simulator.get(&operation).await?.0, 409);
    simulator.advance("1h").await?;
    assert_eq!(simulator.get(&operation).await?.1["status"], "Succeeded");
    Ok(())
}

#[tokio::test]
async fn an_update_is_the_same_name_with_a_higher_version() -> Result<()> {
    let simulator = Simulator::start().await?;
    let installed = json!({"state": "Installed", "availableVersion": "1.0.26000.1"});
    simulator.patch(change(CORE, installed)).await?;
    let version = |rows: &[Value]| rows.first().map(|row| row["version"].clone());
    assert_eq!(
        version(&rows(&simulator, "Installed", CORE).await?),
        Some(json!("1.0.25104.1"))
    );
    assert_eq!(
        version(&rows(&simulator, "NotInstalled", CORE).await?),
        Some(json!("1.0.26000.1"))
    );
    assert_eq!(rows(&simulator, "All", CORE).await?.len(), 2);
    simulator.post(&install_url(CORE), &json!({})).await?;
    simulator.advance("1h").await?;
    assert_eq!(
        version(&rows(&simulator, "Installed", CORE).await?),
        Some(json!("1.0.26000.1"))
    );
    assert_eq!(rows(&simulator, "NotInstalled", CORE).await?.len(), 0);
    Ok(())
}

#[tokio::test]
async fn nothing_is_installed_where_it_cannot_be() -> Result<()> {
    let simulator = Simulator::start().await?;
    assert_eq!(
        simulator
            .post(&install_url("NoSuchPackage"), &json!({}))
            .await?
            .0,
        404
    );
    simulator
        .patch(json!({"environments": {UAT: {"state": "Preparing"}}}))
        .await?;
    assert_eq!(simulator.post(&install_url(CORE), &json!({})).await?.0, 409);
    assert_eq!(state(&simulator, CORE).await?, "None");
    Ok(())
}
