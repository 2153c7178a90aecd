//! Hostile texts in what a reset reads: table maps, solutions, companies, the connection set. They come into the plan, the
//! status, events and the backup: short, and without anything that a terminal or a page would obey.

use serde_json::{Value, json};

use super::hostile::{all_is_tame, hostile, is_harmless};
use crate::support::contoso::*;
use crate::support::reset::{ACT, FLAGS, SALES, approve, asks, drifted, ended, plan};

/// Of each text: all of them have to fit into one answer.
const LONG: usize = 1 << 18;

fn state() -> Value {
    let id = "0aa5c2a1-0000-4000-8000-000000000409";
    let map = json!({
        "tName": hostile("Contoso", LONG), "left": {"name": hostile("Left", LONG)}, "right": {"name": "contoso_right"}, "state": "running",
        "templates": {id: {"author": hostile("Author", LONG), "version": "1.0.0.0"}}, "activeTemplate": id,
        "pid": "1bb6d3b2-0000-4000-8000-000000000409",
    });
    let host = finance_operations(json!({
        "maps": {id: map},
        "solutions": {SALES: {"friendlyName": hostile("Solution", LONG)}},
        "integrationKeys": {"accounts": ["accountnumber", hostile("key", 1000)], hostile("entity", 1000): ["x"]},
        "legalEntities": ["USMF", "DEMF", hostile("Company", LONG)],
        "link": {"linkedBy": hostile("Somebody", LONG)},
    }));
    let companies = json!({"companies": [{"code": "USMF", "name": hostile("Contoso", LONG)}, {"code": hostile("X", LONG), "name": "X"}]});
    both(both(drifted(), host), environment(SPEC, companies))
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_texts_in_a_reset_are_cut_and_cleaned() {
    let world = world_with(state(), &FLAGS).await;
    connect(&world, asks()).await;
    let name = plan(&world).await;
    approve(&world, &name).await;
    let operation = ended(&world, &name, &["Succeeded", "Failed"], ACT).await;
    quiet(&world, 2).await;
    let shown = operation["spec"].to_string();
    assert!(
        shown.contains("Contoso [31m"),
        "the map is in the plan: {shown}"
    );
    all_is_tame(&world, &["dwc", "dwo", "event", "configmap"]).await;
    // In a terminal too: what is in the backup is YAML inside of YAML.
    let printed = world
        .kubectl(&["get", "dwc,dwo,cm", "-o", "yaml"])
        .await
        .ok();
    assert!(is_harmless(&printed));
    let backups = world.list("configmap").await;
    let backup = backups
        .iter()
        .find_map(|map| map["data"]["backup.yaml"].as_str());
    let backup: Value = serde_norway::from_str(backup.unwrap()).unwrap();
    let names: Vec<_> = backup["tableMaps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|map| &map["name"])
        .collect();
    assert!(
        names
            .iter()
            .any(|name| name.as_str().unwrap().starts_with("Contoso [31m2J[press]")),
        "{names:?}"
    );
}
