//! Table maps and solutions.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::harness::{MANAGEMENT, PRODUCTION, PRODUCTION_HOST, SERVICE, Simulator};
use reqwest::Method;

const CID: &str = "9b7c1de2-0000-4000-8000-000000000030";
const COMPANIES: &str = "0aa5c2a1-0000-4000-8000-000000000101";
const CUSTOMERS: &str = "0aa5c2a1-0000-4000-8000-000000000102";
const COMPANIES_PID: &str = "1bb6d3b2-0000-4000-8000-000000000201";
const CUSTOMERS_PID: &str = "1bb6d3b2-0000-4000-8000-000000000202";
const SOLUTION: &str = "msdyn_Dynamics365SupplyChainExtended";

fn start_url() -> String {
    format!("{MANAGEMENT}/Start")
}

fn act(action: &str, tid: &str, pid: &str) -> Value {
    let parameters =
        json!({"skipInitialSync": true, "conflictResolution": {"option": "1", "master": "CRM"}});
    json!({"action": action, "details": [{"tid": tid, "pid": pid, "cid": CID, "parameters": parameters}]})
}

#[expect(clippy::needless_pass_by_value, reason = "calls read better")]
fn change(patch: Value) -> Value {
    json!({"financeOperations": {PRODUCTION_HOST: patch}})
}

async fn maps(simulator: &Simulator) -> Result<Vec<Value>> {
    let (_, body) = simulator
        .get(&format!("{MANAGEMENT}/Entities?targetType=AX&cid={CID}"))
        .await?;
    Ok(serde_json::from_value(body)?)
}

async fn map(simulator: &Simulator, tid: &str) -> Result<Value> {
    let maps = maps(simulator).await?;
    let found = maps.into_iter().find(|map| map["detail"]["tid"] == tid);
    Ok(found.context("no such map")?["detail"].clone())
}

/// Acts and says how the request ends after a while.
async fn outcome(simulator: &Simulator, body: &Value) -> Result<Value> {
    let (status, answer) = simulator.post(&start_url(), body).await?;
    assert_eq!(status, 200, "{answer}");
    simulator.advance("10m").await?;
    let id = answer["requestId"].as_str().context("no request id")?;
    let (_, maps) = simulator.get(&format!("{MANAGEMENT}/Status/{id}")).await?;
    assert_eq!(maps[0]["detail"]["lastRequests"][0]["requestId"], id);
    Ok(maps[0]["detail"]["lastRequests"][0].clone())
}

#[tokio::test]
async fn maps_go_through_their_states() -> Result<()> {
    let simulator = Simulator::start().await?;
    let customers = map(&simulator, CUSTOMERS).await?;
    assert_eq!(
        (&customers["state"], &customers["actions"]),
        (&json!("4"), &json!(["4", "5"]))
    );
    assert_eq!(customers["tName"], "Customers V3 - accounts");
    assert_eq!(customers["template"]["version"]["major"], 1);
    for (action, state) in [("5", "5"), ("6", "4"), ("4", "1"), ("1", "4")] {
        let request = outcome(&simulator, &act(action, CUSTOMERS, CUSTOMERS_PID)).await?;
        assert_eq!(request["state"], "2", "{request}");
        assert_eq!(map(&simulator, CUSTOMERS).await?["state"], state);
    }
    let request = outcome(&simulator, &act("6", CUSTOMERS, CUSTOMERS_PID)).await?;
    assert_eq!(
        (&request["state"], request["errorMessage"].is_string()),
        (&json!("3"), true)
    );
    Ok(())
}

#[tokio::test]
async fn an_initial_sync_takes_its_time_and_is_counted_by_company() -> Result<()> {
    let simulator = Simulator::start().await?;
    let stopped = json!({"state": "stopped", "errorRows": 2});
    simulator
        .patch(change(json!({"maps": {CUSTOMERS: stopped}})))
        .await?;
    let mut body = act("1", CUSTOMERS, CUSTOMERS_PID);
    body["details"][0]["parameters"]["skipInitialSync"] = json!(false);
    simulator.post(&start_url(), &body).await?;
    assert_eq!(map(&simulator, CUSTOMERS).await?["state"], "2");
    simulator.advance("5m 5s").await?;
    assert_eq!(map(&simulator, CUSTOMERS).await?["state"], "3");
    simulator.advance("1m").await?;
    assert_eq!(map(&simulator, CUSTOMERS).await?["state"], "4");
    let executions = format!("{SERVICE}/ProjectExecutionWithCompanies/{CUSTOMERS_PID}");
    let (_, executions) = simulator.get(&executions).await?;
    let first = &executions["projectExecutionResponses"][0];
    assert_eq!(
        (&first["legalEntityId"], &first["upsertCount"]),
        (&json!("USMF"), &json!(1200))
    );
    assert_eq!(first["errorCount"], 2);
    Ok(())
}

#[tokio::test]
async fn a_start_can_fail() -> Result<()> {
    let simulator = Simulator::start().await?;
    let failing = json!({"state": "stopped", "failsWith": "DIPV1001: the key is missing"});
    simulator
        .patch(change(json!({"maps": {CUSTOMERS: failing}})))
        .await?;
    let request = outcome(&simulator, &act("1", CUSTOMERS, CUSTOMERS_PID)).await?;
    assert_eq!(
        (&request["state"], &request["errorMessage"]),
        (&json!("3"), &json!("DIPV1001: the key is missing"))
    );
    assert_eq!(map(&simulator, CUSTOMERS).await?["state"], "6");
    Ok(())
}

#[tokio::test]
async fn empty_ids_make_the_service_fail() -> Result<()> {
    let simulator = Simulator::start().await?;
    for body in [
        act("4", CUSTOMERS, ""),
        act("4", "", CUSTOMERS_PID),
        act("8", "", ""),
    ] {
        assert_eq!(simulator.post(&start_url(), &body).await?.0, 500);
    }
    Ok(())
}

#[tokio::test]
async fn start_answers_in_four_ways() -> Result<()> {
    let simulator = Simulator::start().await?;
    simulator
        .patch(change(json!({"startAnswer": "bareId"})))
        .await?;
    let (status, id) = simulator
        .post(&start_url(), &act("4", CUSTOMERS, CUSTOMERS_PID))
        .await?;
    assert_eq!((status, id.is_string()), (200, true));
    simulator.advance("10m").await?;
    simulator
        .patch(change(json!({"startAnswer": "plainId"})))
        .await?;
    let request = simulator.as_account(Method::POST, &start_url()).await?;
    let body = act("1", CUSTOMERS, CUSTOMERS_PID);
    let response = request.json(&body).send().await?;
    let kind = response.headers()["content-type"].to_str()?.to_owned();
    let id = response.text().await?;
    assert!(
        kind.starts_with("text/plain") && id.len() == 36,
        "{kind}: {id}"
    );
    simulator.advance("10m").await?;
    simulator
        .patch(change(json!({"startAnswer": "empty"})))
        .await?;
    let empty = simulator
        .post(&start_url(), &act("4", CUSTOMERS, CUSTOMERS_PID))
        .await?;
    assert_eq!(empty, (202, Value::Null));
    Ok(())
}

#[tokio::test]
async fn the_list_of_maps_lags_behind_the_status() -> Result<()> {
    let simulator = Simulator::start().await?;
    simulator
        .patch(json!({"settings": {"lag": {"maps": "2m"}}}))
        .await?;
    let (_, answer) = simulator
        .post(&start_url(), &act("4", CUSTOMERS, CUSTOMERS_PID))
        .await?;
    simulator.advance("40s").await?;
    let id = answer["requestId"].as_str().context("no request id")?;
    let (_, status) = simulator.get(&format!("{MANAGEMENT}/Status/{id}")).await?;
    assert_eq!(status[0]["detail"]["state"], "1");
    assert_eq!(map(&simulator, CUSTOMERS).await?["state"], "4");
    simulator.advance("3m").await?;
    assert_eq!(map(&simulator, CUSTOMERS).await?["state"], "1");
    Ok(())
}

#[tokio::test]
async fn the_list_of_maps_lags_behind_solutions_projects_and_versions() -> Result<()> {
    let simulator = Simulator::start().await?;
    simulator
        .patch(json!({"settings": {"lag": {"maps": "2m"}}}))
        .await?;
    simulator.patch(change(json!({"maps": null}))).await?;
    apply(&simulator).await?;
    simulator.advance("2m 30s").await?;
    assert!(maps(&simulator).await?.is_empty(), "applied, not listed");
    simulator.advance("2m").await?;
    assert_eq!(maps(&simulator).await?.len(), 2);

    let initialise = json!({"action": "8", "details": [{"tid": CUSTOMERS, "cid": CID}]});
    let (_, answer) = simulator.post(&start_url(), &initialise).await?;
    simulator.advance("40s").await?;
    let id = answer["requestId"].as_str().context("no request id")?;
    let (_, status) = simulator.get(&format!("{MANAGEMENT}/Status/{id}")).await?;
    let pid = status[0]["detail"]["pid"].as_str().context("no project")?;
    assert_eq!(map(&simulator, CUSTOMERS).await?["pid"], Value::Null);
    simulator.advance("2m").await?;
    assert_eq!(map(&simulator, CUSTOMERS).await?["pid"], pid);

    let newer = "0aa5c2a1-0000-4000-8000-000000000999";
    let templates = json!({newer: {"version": "2.0.0.1"}});
    simulator
        .patch(change(
            json!({"maps": {CUSTOMERS: {"templates": templates}}}),
        ))
        .await?;
    let url = format!("{MANAGEMENT}/SolutionAware/{CID}/SwitchActive/{newer}?pid={pid}");
    assert_eq!(simulator.post(&url, &json!(newer)).await?.0, 200);
    assert_eq!(
        map(&simulator, CUSTOMERS).await?["template"]["id"],
        CUSTOMERS
    );
    simulator.advance("3m").await?;
    assert_eq!(map(&simulator, newer).await?["template"]["id"], newer);
    Ok(())
}

#[tokio::test]
async fn without_the_linked_dataverse_maps_cannot_be_stopped() -> Result<()> {
    let simulator = Simulator::start().await?;
    simulator
        .patch(json!({"environments": {PRODUCTION: null}}))
        .await?;
    let stop = act("4", CUSTOMERS, CUSTOMERS_PID);
    let (status, answer) = simulator.post(&start_url(), &stop).await?;
    assert_eq!(status, 403);
    let message = answer["message"].as_str().unwrap_or_default();
    assert!(message.contains("token exchange"), "{answer}");
    simulator.advance("10m").await?;
    assert_eq!(map(&simulator, CUSTOMERS).await?["state"], "4");
    Ok(())
}

async fn apply(simulator: &Simulator) -> Result<String> {
    let body = json!({"action": "2", "solutions": [{"criteria": {"uniquename": SOLUTION}}]});
    let (status, answer) = simulator
        .post(
            &format!("{MANAGEMENT}/SolutionAware/{CID}/RestoreTemplates"),
            &body,
        )
        .await?;
    assert_eq!(status, 200, "{answer}");
    Ok(answer["requestId"]
        .as_str()
        .context("no request id")?
        .to_owned())
}

#[tokio::test]
async fn a_solution_brings_maps_that_have_to_be_initialised() -> Result<()> {
    let simulator = Simulator::start().await?;
    simulator.patch(change(json!({"maps": null}))).await?;
    let (_, solutions) = simulator
        .get(&format!("{MANAGEMENT}/SolutionAware/{CID}/Solutions/"))
        .await?;
    assert_eq!(solutions[0]["uniquename"], SOLUTION);
    let id = apply(&simulator).await?;
    let status = format!("{MANAGEMENT}/SolutionAware/{CID}/Status/{id}");
    assert_eq!(simulator.get(&status).await?.1["state"], "1");
    assert!(maps(&simulator).await?.is_empty());
    simulator.advance("3m").await?;
    assert_eq!(simulator.get(&status).await?.1["state"], "2");
    let customers = map(&simulator, CUSTOMERS).await?;
    assert_eq!(
        (&customers["pid"], &customers["actions"]),
        (&Value::Null, &json!(["8"]))
    );
    let initialise = json!({"action": "8", "details": [{"tid": CUSTOMERS, "cid": CID}]});
    assert_eq!(outcome(&simulator, &initialise).await?["state"], "2");
    assert!(map(&simulator, CUSTOMERS).await?["pid"].is_string());
    Ok(())
}

#[tokio::test]
async fn two_solutions_at_once_make_duplicates() -> Result<()> {
    let simulator = Simulator::start().await?;
    simulator.patch(change(json!({"maps": null}))).await?;
    apply(&simulator).await?;
    apply(&simulator).await?;
    simulator.advance("10m").await?;
    let names: Vec<Value> = maps(&simulator)
        .await?
        .iter()
        .map(|map| map["detail"]["tName"].clone())
        .collect();
    assert_eq!(
        names
            .iter()
            .filter(|name| **name == json!("Customers V3 - accounts"))
            .count(),
        2
    );
    Ok(())
}

#[tokio::test]
async fn a_solution_can_fail() -> Result<()> {
    let simulator = Simulator::start().await?;
    simulator
        .patch(change(
            json!({"solutions": {SOLUTION: {"failsWith": "A map is missing."}}}),
        ))
        .await?;
    let id = apply(&simulator).await?;
    simulator.advance("3m").await?;
    let (_, status) = simulator
        .get(&format!("{MANAGEMENT}/SolutionAware/{CID}/Status/{id}"))
        .await?;
    assert_eq!(
        (&status["state"], &status["result"]["message"]),
        (&json!("3"), &json!("A map is missing."))
    );
    Ok(())
}

#[tokio::test]
async fn versions_are_switched_on_stopped_maps() -> Result<()> {
    let simulator = Simulator::start().await?;
    let newer = "0aa5c2a1-0000-4000-8000-000000000999";
    let templates = json!({newer: {"version": "2.0.0.1", "author": "Contoso"}});
    simulator
        .patch(change(
            json!({"maps": {CUSTOMERS: {"templates": templates}}}),
        ))
        .await?;
    let url = format!("{MANAGEMENT}/SolutionAware/{CID}/SwitchActive/{newer}?pid=");
    assert_eq!(simulator.post(&url, &json!(newer)).await?.0, 500);
    let url = format!("{url}{CUSTOMERS_PID}");
    assert_eq!(simulator.post(&url, &json!(newer)).await?.0, 400);
    outcome(&simulator, &act("4", CUSTOMERS, CUSTOMERS_PID)).await?;
    // As it is observed: the bare id, called JSON.
    let request = simulator.as_account(Method::POST, &url).await?;
    let request = request
        .header("content-type", "application/json")
        .body(newer);
    assert_eq!(request.send().await?.status(), 200);
    assert_eq!(
        map(&simulator, newer).await?["template"]["version"]["major"],
        2
    );
    Ok(())
}

#[tokio::test]
async fn prerequisites_come_first() -> Result<()> {
    let simulator = Simulator::start().await?;
    let url = format!("{MANAGEMENT}/GetTemplatePrerequisiteSequences/{CID}");
    let (_, sequences) = simulator.post(&url, &json!([CUSTOMERS])).await?;
    assert_eq!(sequences, json!([[COMPANIES, CUSTOMERS]]));
    Ok(())
}

#[tokio::test]
async fn field_mappings_keys_and_refreshes() -> Result<()> {
    let simulator = Simulator::start().await?;
    let (_, mapping) = simulator
        .get(&format!("{MANAGEMENT}/{COMPANIES_PID}/FieldMappings"))
        .await?;
    let name = mapping["name"].as_str().context("no name")?;
    let refresh = format!("{SERVICE}/Project/{name}/Refresh");
    assert_eq!(
        simulator.post(&refresh, &json!({"tokens": [""]})).await?.0,
        200
    );
    let keys = format!("{SERVICE}/dataset/contoso.crm4.dynamics.com/IntegrationKeys");
    let body = json!({"integrationKeys": {"accounts": ["accountnumber"]}, "datasetName": "contoso.crm4.dynamics.com"});
    assert_eq!(simulator.post(&keys, &body).await?.0, 200);
    let (_, set) = simulator
        .get(&format!("{SERVICE}/ConnectionSet/contoso-9b7c1de2"))
        .await?;
    let schema = &set["environments"]["contoso.crm4.dynamics.com"]["schemas"][0];
    assert_eq!(
        (&schema["name"], &schema["keys"][0]["fields"]),
        (&json!("accounts"), &json!(["accountnumber"]))
    );
    let state = simulator.state().await?;
    assert!(
        state["financeOperations"][PRODUCTION_HOST]["maps"][COMPANIES]["refreshedAt"].is_string()
    );
    Ok(())
}
