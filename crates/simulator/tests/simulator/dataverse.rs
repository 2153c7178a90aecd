//! What Dataverse says, and the root of finance and operations.

use anyhow::Result;
use serde_json::{Value, json};

use crate::harness::{CLIENT, Simulator, TENANT, UAT, UAT_DATAVERSE, UAT_HOST};

fn url(rest: &str) -> String {
    format!("https://{UAT_DATAVERSE}/api/data/v9.2/{rest}")
}

#[tokio::test]
async fn dataverse_has_its_own_word_on_the_integration() -> Result<()> {
    let simulator = Simulator::start().await?;
    let details = url("RetrieveFinanceAndOperationsIntegrationDetails");
    let (status, body) = simulator.get(&details).await?;
    assert_eq!((status, &body["TenantId"]), (200, &json!(TENANT)));
    assert_eq!(body["Url"], format!("https://{UAT_HOST}/"));

    let say = |word: Value| json!({"environments": {UAT: {"dataverseIntegration": word}}});
    simulator
        .patch(say(
            json!({"url": "https://fabrikam.operations.dynamics.com"}),
        ))
        .await?;
    assert_eq!(
        simulator.get(&details).await?.1["Url"],
        "https://fabrikam.operations.dynamics.com"
    );
    simulator.patch(say(json!("none"))).await?;
    let not_integrated = json!({"error": {
        "code": "0x80048d0b",
        "message": "Dataverse instance isn't integrated with finance and operations.",
    }});
    assert_eq!(simulator.get(&details).await?, (400, not_integrated));
    Ok(())
}

#[tokio::test]
async fn an_application_that_is_no_user_is_refused() -> Result<()> {
    let simulator = Simulator::start().await?;
    simulator
        .patch(json!({"tenants": {TENANT: {"applications": {CLIENT: {"dataverse": []}}}}}))
        .await?;
    assert_eq!(simulator.get(&url("WhoAmI")).await?.0, 403);
    Ok(())
}

#[tokio::test]
async fn users_companies_and_who_am_i() -> Result<()> {
    let simulator = Simulator::start().await?;
    let filter = "systemusers?$select=applicationid,isdisabled&$filter=applicationid eq \
                  33976c19-1db5-4c02-810e-c243db79efde";
    let (_, users) = simulator.get(&url(filter)).await?;
    assert_eq!(users["value"].as_array().map(Vec::len), Some(1));
    assert_eq!(users["value"][0]["isdisabled"], json!(false));
    let (_, companies) = simulator
        .get(&url("cdm_companies?$select=cdm_companycode,cdm_name"))
        .await?;
    assert_eq!(companies["value"][0]["cdm_companycode"], "USMF");
    let (_, me) = simulator.get(&url("WhoAmI")).await?;
    assert_eq!(me["OrganizationId"], "6f2c8d0e-0000-4000-8000-000000000011");
    Ok(())
}

#[tokio::test]
async fn finance_and_operations_redirects_or_is_silent() -> Result<()> {
    let simulator = Simulator::start().await?;
    let root = format!("https://{UAT_HOST}/");
    let response = simulator.client.get(&root).send().await?;
    assert_eq!(response.status(), 302);
    simulator
        .patch(json!({"financeOperations": {UAT_HOST: {"running": false}}}))
        .await?;
    assert!(simulator.client.get(&root).send().await.is_err());
    Ok(())
}

#[tokio::test]
async fn no_other_host_is_answered() -> Result<()> {
    let simulator = Simulator::start().await?;
    let response = simulator
        .client
        .get("https://login.fabrikam.com/")
        .send()
        .await?;
    assert_eq!(response.status(), 421);
    let lost = simulator
        .client
        .post("https://login.fabrikam.com/token")
        .form(&[("client_secret", "contoso-secret")]);
    assert_eq!(lost.send().await?.status(), 421);
    let journal = serde_json::to_string(&simulator.journal().await?)?;
    assert!(journal.contains("login.fabrikam.com") && !journal.contains("contoso-secret"));
    let calls = simulator
        .control(reqwest::Method::GET, "/calls", Value::Null)
        .await?;
    assert_eq!(calls["unknown"], 2);
    assert_eq!(calls["hosts"]["login.fabrikam.com"], json!({"unknown": 2}));
    Ok(())
}
