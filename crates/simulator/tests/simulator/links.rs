//! Links and resets.

use anyhow::Result;
use serde_json::{Value, json};

use crate::harness::{MANAGEMENT, PRODUCTION, PRODUCTION_HOST, SERVICE, Simulator, UAT, UAT_HOST};

const CID: &str = "9b7c1de2-0000-4000-8000-000000000030";

fn link_url(host: &str) -> String {
    format!("{MANAGEMENT}/Environments?targetType=AX&identifier={host}")
}

fn body(environment: &str, host: &str) -> Value {
    json!({
        "powerAppsEnvironmentName": environment,
        "environments": [
            {"targetType": "CRM", "name": "contoso", "displayName": "Contoso", "id": environment,
             "isDevInstance": false, "directUrl": "https://contoso.crm4.dynamics.com"},
            {"targetType": "AX", "name": host, "displayName": host, "id": environment,
             "isDevInstance": false, "directUrl": format!("https://{host}")},
        ],
        "legalEntities": ["USMF"],
    })
}

fn create_url() -> String {
    format!("{MANAGEMENT}/Environments?targetType=AX")
}

fn reset_url(force: bool) -> String {
    format!("{SERVICE}/ConnectionSet/{CID}/Reset?targetType=AX&forceReset={force}")
}

#[expect(clippy::needless_pass_by_value, reason = "calls read better")]
fn change(host: &str, patch: Value) -> Value {
    json!({"financeOperations": {host: patch}})
}

#[tokio::test]
async fn a_link_appears_after_a_while() -> Result<()> {
    let simulator = Simulator::start().await?;
    assert_eq!(simulator.get(&link_url(UAT_HOST)).await?, (200, json!([])));
    let (status, _) = simulator.post(&create_url(), &body(UAT, UAT_HOST)).await?;
    assert_eq!(status, 202);
    assert_eq!(simulator.get(&link_url(UAT_HOST)).await?, (200, json!([])));
    simulator.advance("5m").await?;
    let (_, link) = simulator.get(&link_url(UAT_HOST)).await?;
    assert_eq!(link[0]["powerAppsEnvironment"], UAT);
    let name = link[0]["cname"].as_str().unwrap_or_default();
    let (_, set) = simulator
        .get(&format!("{SERVICE}/ConnectionSet/{name}"))
        .await?;
    assert_eq!(set["id"], link[0]["cid"]);
    let dataverse = &set["environments"]["contoso-uat.crm4.dynamics.com"];
    assert_eq!(
        (&dataverse["targetType"], &dataverse["powerAppsEnvironment"]),
        (&json!("CRM"), &json!(UAT))
    );
    assert_eq!(
        set["dualWriteDetail"]["legalEntityMappings"]["mappings"][0]["left"]["name"],
        "USMF"
    );
    let journal = simulator.journal().await?;
    assert_eq!(
        (&journal[0]["call"], &journal[0]["identity"]),
        (&json!("createLink"), &json!("dualwrite@contoso.com"))
    );
    Ok(())
}

#[tokio::test]
async fn a_link_is_refused_where_it_cannot_be() -> Result<()> {
    let simulator = Simulator::start().await?;
    let linked = simulator
        .post(&create_url(), &body(PRODUCTION, PRODUCTION_HOST))
        .await?;
    assert_eq!(linked.0, 400);
    let rename = json!({"companies": [{"code": "USMF", "name": "Contoso"}, {"code": "DEMF", "name": "contoso"}]});
    simulator
        .patch(json!({"environments": {UAT: rename}}))
        .await?;
    let (status, doubled) = simulator.post(&create_url(), &body(UAT, UAT_HOST)).await?;
    assert_eq!(status, 400);
    assert_eq!(
        doubled["message"],
        "Saving connection set failed! An item with the same key has already been added."
    );
    simulator
        .patch(json!({"environments": {UAT: {"companies": [], "finOpsMetadata": null}}}))
        .await?;
    assert_eq!(
        simulator.post(&create_url(), &body(UAT, UAT_HOST)).await?.0,
        400
    );
    assert!(
        simulator
            .journal()
            .await?
            .iter()
            .all(|entry| entry["applied"] == json!(false))
    );
    Ok(())
}

#[tokio::test]
async fn a_link_can_get_lost_or_be_refused_by_the_scenario() -> Result<()> {
    let simulator = Simulator::start().await?;
    simulator
        .patch(change(
            UAT_HOST,
            json!({"linkFailsWith": "DW9003 Failed to connect to CRM"}),
        ))
        .await?;
    let (status, refused) = simulator.post(&create_url(), &body(UAT, UAT_HOST)).await?;
    assert_eq!(
        (status, &refused["message"]),
        (400, &json!("DW9003 Failed to connect to CRM"))
    );
    simulator
        .patch(change(
            UAT_HOST,
            json!({"linkFailsWith": null, "linkGetsLost": true}),
        ))
        .await?;
    assert_eq!(
        simulator.post(&create_url(), &body(UAT, UAT_HOST)).await?.0,
        202
    );
    simulator.advance("1h").await?;
    assert_eq!(simulator.get(&link_url(UAT_HOST)).await?, (200, json!([])));
    Ok(())
}

#[tokio::test]
async fn not_linked_has_several_faces() -> Result<()> {
    let simulator = Simulator::start().await?;
    simulator
        .patch(change(
            UAT_HOST,
            json!({"notLinkedAnswer": "entryWithoutCid"}),
        ))
        .await?;
    let (_, entry) = simulator.get(&link_url(UAT_HOST)).await?;
    assert!(entry[0].is_object() && entry[0].get("cid").is_none());
    let (_, as_url) = simulator
        .get(&link_url(&format!("https://{PRODUCTION_HOST}")))
        .await?;
    assert_eq!(as_url, json!([]));
    simulator
        .patch(change(PRODUCTION_HOST, json!({"running": false})))
        .await?;
    assert_eq!(
        simulator.get(&link_url(PRODUCTION_HOST)).await?,
        (200, json!([]))
    );
    Ok(())
}

#[tokio::test]
async fn a_patch_can_make_a_drift() -> Result<()> {
    let simulator = Simulator::start().await?;
    simulator
        .patch(change(
            UAT_HOST,
            json!({"link": {"environmentId": PRODUCTION}}),
        ))
        .await?;
    let (_, link) = simulator.get(&link_url(UAT_HOST)).await?;
    assert_eq!(link[0]["powerAppsEnvironment"], PRODUCTION);
    assert!(link[0]["cid"].as_str().is_some_and(|cid| !cid.is_empty()));
    Ok(())
}

#[tokio::test]
async fn accounts_see_what_they_administer() -> Result<()> {
    let simulator = Simulator::start().await?;
    let accounts = json!({"dualwrite@contoso.com": {"financeOperations": [UAT_HOST]}});
    simulator
        .patch(json!({"tenants": {crate::harness::TENANT: {"accounts": accounts}}}))
        .await?;
    assert_eq!(simulator.get(&link_url(PRODUCTION_HOST)).await?.0, 403);
    assert_eq!(simulator.get(&link_url(UAT_HOST)).await?.0, 200);
    assert_eq!(
        simulator.get(&format!("{MANAGEMENT}/Version")).await?.0,
        200
    );
    Ok(())
}

#[tokio::test]
async fn a_reset_takes_the_configuration_away() -> Result<()> {
    let simulator = Simulator::start().await?;
    let drift = json!({"link": {"environmentId": UAT}, "alertSettings": [{"name": "Errors"}]});
    simulator.patch(change(PRODUCTION_HOST, drift)).await?;
    let running = simulator
        .post(&reset_url(false), &body(UAT, PRODUCTION_HOST))
        .await?;
    assert_eq!(running.0, 400);
    let (status, _) = simulator
        .post(&reset_url(true), &body(UAT, PRODUCTION_HOST))
        .await?;
    assert_eq!(status, 200);
    let maps = format!("{MANAGEMENT}/Entities?targetType=AX&cid={CID}");
    assert_eq!(simulator.get(&maps).await?, (200, json!([])));
    assert_eq!(
        simulator.get(&link_url(PRODUCTION_HOST)).await?.1[0]["powerAppsEnvironment"],
        UAT
    );
    simulator.advance("5m").await?;
    // Where the integration points, whatever the body says.
    let (_, link) = simulator.get(&link_url(PRODUCTION_HOST)).await?;
    assert_eq!(link[0]["powerAppsEnvironment"], PRODUCTION);
    let state = simulator.state().await?;
    let financials = &state["financeOperations"][PRODUCTION_HOST];
    assert_eq!(financials["legalEntities"], json!(["USMF"]));
    assert_eq!(
        (&financials["integrationKeys"], &financials["alertSettings"]),
        (&json!({}), &json!([]))
    );
    Ok(())
}

#[tokio::test]
async fn a_reset_can_end_elsewhere() -> Result<()> {
    for (ends_at, expected) in [("current", UAT), ("body", UAT), ("integration", PRODUCTION)] {
        let simulator = Simulator::start().await?;
        let drift = json!({"link": {"environmentId": UAT}, "resetEndsAt": ends_at, "maps": null});
        simulator.patch(change(PRODUCTION_HOST, drift)).await?;
        let (status, _) = simulator
            .post(&reset_url(false), &body(UAT, PRODUCTION_HOST))
            .await?;
        assert_eq!(status, 200);
        simulator.advance("5m").await?;
        let (_, link) = simulator.get(&link_url(PRODUCTION_HOST)).await?;
        assert_eq!(link[0]["powerAppsEnvironment"], expected, "{ends_at}");
    }
    Ok(())
}

#[tokio::test]
async fn a_reset_needs_an_integration() -> Result<()> {
    let simulator = Simulator::start().await?;
    simulator
        .patch(json!({"environments": {PRODUCTION: {"finOpsMetadata": null}}}))
        .await?;
    let (status, _) = simulator
        .post(&reset_url(true), &body(PRODUCTION, PRODUCTION_HOST))
        .await?;
    assert_eq!(status, 400);
    Ok(())
}
