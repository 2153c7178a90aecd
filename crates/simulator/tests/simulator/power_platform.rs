//! Environments, as Power Platform lists them.

use anyhow::Result;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{
    CLIENT, POWER_PLATFORM, PRODUCTION, Simulator, TENANT, UAT, environments_url,
};

fn see(environments: &Value) -> Value {
    json!({"tenants": {TENANT: {"applications": {CLIENT: {"environments": environments}}}}})
}

#[tokio::test]
async fn environments_are_flat_and_name_their_integration() -> Result<()> {
    let simulator = Simulator::start().await?;
    let (status, body) = simulator.get(&environments_url()).await?;
    assert_eq!(status, 200);
    assert_eq!(body["value"].as_array().map(Vec::len), Some(2));
    assert!(body.get("@odata.nextLink").is_none());
    let one =
        format!("{POWER_PLATFORM}/environmentmanagement/environments/{UAT}?api-version=2024-10-01");
    let (_, environment) = simulator.get(&one).await?;
    assert_eq!(environment, body["value"][0]);
    assert_eq!(environment["finOpsMetadata"]["type"], "Linked");
    assert_eq!(environment["state"], "Enabled");

    simulator
        .patch(json!({"environments": {UAT: {"finOpsMetadata": null, "dataverseId": null}}}))
        .await?;
    let (_, environment) = simulator.get(&one).await?;
    assert!(
        environment.get("finOpsMetadata").is_none() && environment.get("dataverseId").is_none()
    );
    Ok(())
}

#[tokio::test]
async fn lists_come_in_pages_with_either_casing() -> Result<()> {
    let simulator = Simulator::start().await?;
    for key in ["@odata.nextLink", "@odata.nextlink"] {
        simulator
            .patch(json!({"settings": {"pageSize": 1, "nextLinkCasing": key}}))
            .await?;
        let (_, first) = simulator.get(&environments_url()).await?;
        let next = first[key].as_str().unwrap_or_default();
        assert!(
            next.starts_with("https://api.powerplatform.com/environmentmanagement/environments?")
        );
        let (_, second) = simulator.get(next).await?;
        assert!(second.get(key).is_none());
        assert_eq!(
            (&first["value"][0]["id"], &second["value"][0]["id"]),
            (&json!(UAT), &json!(PRODUCTION))
        );
    }
    Ok(())
}

#[tokio::test]
async fn query_options_narrow_the_list() -> Result<()> {
    let simulator = Simulator::start().await?;
    let names = async |query: &str| -> Result<Vec<String>> {
        let (_, body) = simulator
            .get(&format!("{}&{query}", environments_url()))
            .await?;
        let rows = body["value"].as_array().cloned().unwrap_or_default();
        Ok(rows
            .iter()
            .filter_map(|row| row["id"].as_str())
            .map(str::to_owned)
            .collect())
    };
    assert_eq!(names("$top=1").await?, [UAT]);
    assert_eq!(names("$skip=1").await?, [PRODUCTION]);
    assert_eq!(names("$orderby=displayName").await?, [PRODUCTION, UAT]);
    assert_eq!(names(&format!("ids={PRODUCTION}")).await?, [PRODUCTION]);
    assert_eq!(names("$filter=type eq 'Sandbox'").await?, [UAT]);
    let (_, body) = simulator
        .get(&format!("{}&$select=url&$top=1", environments_url()))
        .await?;
    assert_eq!(
        body["value"][0],
        json!({"id": UAT, "url": "https://contoso-uat.crm4.dynamics.com"})
    );
    Ok(())
}

#[tokio::test]
async fn a_role_limits_what_is_seen() -> Result<()> {
    let simulator = Simulator::start().await?;
    let one = |id: &str| {
        format!("{POWER_PLATFORM}/environmentmanagement/environments/{id}?api-version=2024-10-01")
    };
    simulator.patch(see(&json!([PRODUCTION]))).await?;
    let (_, body) = simulator.get(&environments_url()).await?;
    assert_eq!(body["value"].as_array().map(Vec::len), Some(1));
    assert_eq!(simulator.get(&one(UAT)).await?.0, 403);
    assert_eq!(simulator.get(&one(PRODUCTION)).await?.0, 200);
    assert_eq!(
        simulator
            .get(&one("00000000-0000-4000-8000-000000000099"))
            .await?
            .0,
        404
    );
    simulator.patch(see(&json!([]))).await?;
    assert_eq!(
        simulator.get(&environments_url()).await?,
        (200, json!({"value": []}))
    );
    simulator.patch(see(&json!("none"))).await?;
    assert_eq!(simulator.get(&environments_url()).await?.0, 403);
    Ok(())
}

#[tokio::test]
async fn answers_carry_correlation_ids_and_versions_are_checked() -> Result<()> {
    let simulator = Simulator::start().await?;
    let request = simulator
        .as_application(Method::GET, &environments_url())
        .await?;
    let response = request.send().await?;
    assert!(
        response
            .headers()
            .contains_key("x-ms-correlation-request-id")
    );
    assert!(response.headers().contains_key("x-ms-request-id"));
    let without = format!("{POWER_PLATFORM}/environmentmanagement/environments");
    assert_eq!(simulator.get(&without).await?.0, 400);
    Ok(())
}

#[tokio::test]
async fn the_list_can_lag_behind() -> Result<()> {
    let simulator = Simulator::start().await?;
    simulator
        .patch(json!({"settings": {"lag": {"environments": "5m"}}}))
        .await?;
    let one =
        format!("{POWER_PLATFORM}/environmentmanagement/environments/{UAT}?api-version=2024-10-01");
    simulator
        .patch(json!({"environments": {UAT: {"displayName": "Renamed"}}}))
        .await?;
    assert_eq!(simulator.get(&one).await?.1["displayName"], "Contoso UAT");
    simulator.advance("6m").await?;
    assert_eq!(simulator.get(&one).await?.1["displayName"], "Renamed");
    Ok(())
}
