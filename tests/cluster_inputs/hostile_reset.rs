//! Hostile texts in what a reset reads: table maps, solutions, companies, the connection set. They come into the plan, the
//! status, events and the backup: short, and without anything that a terminal or a page would obey.

use serde_json::{Value, json};

use super::hostile::is_harmless;
use crate::support::contoso::*;
use crate::support::reset::{ACT, FLAGS, SALES, approve, asks, drifted, ended, plan};

/// Control characters, terminal codes, text that runs backwards, markdown, and a quarter of a megabyte: all of it has to fit into one answer.
fn hostile(name: &str) -> String {
    let codes = "\u{1b}[31m\u{7}\u{202e}\r\n[press](https://attacker.example) <b>`x`</b>";
    format!("{name} {codes}{}", "x".repeat(1 << 18))
}

fn state() -> Value {
    let id = "0aa5c2a1-0000-4000-8000-000000000409";
    let map = json!({
        "tName": hostile("Contoso"), "left": {"name": hostile("Left")}, "right": {"name": "contoso_right"}, "state": "running",
        "templates": {id: {"author": hostile("Author"), "version": "1.0.0.0"}}, "activeTemplate": id,
        "pid": "1bb6d3b2-0000-4000-8000-000000000409",
    });
    let host = finance_operations(json!({
        "maps": {id: map},
        "solutions": {SALES: {"friendlyName": hostile("Solution")}},
        "legalEntities": ["USMF", "DEMF", hostile("Company")],
        "link": {"linkedBy": hostile("Somebody")},
    }));
    let companies = json!({"companies": [{"code": "USMF", "name": hostile("Contoso")}, {"code": hostile("X"), "name": "X"}]});
    both(both(drifted(), host), environment(SPEC, companies))
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_texts_in_a_reset_are_cut_and_cleaned() {
    let world = world_with(state(), &FLAGS).await;
    connect(&world, asks()).await;
    let name = plan(&world).await;
    approve(&world, &name).await;
    let operation = ended(&world, &name, &["Succeeded", "Failed"], ACT).await;
    quiet(&world, INTERVAL * 2).await;
    let shown = operation["spec"].to_string();
    assert!(
        shown.contains("Contoso [31m"),
        "the map is in the plan: {shown}"
    );
    for kind in ["dwc", "dwo", "event", "configmap"] {
        let objects = world.list(kind).await;
        assert!(!objects.is_empty(), "no {kind}");
        for object in objects {
            let text = object.to_string();
            assert!(text.len() < 100_000, "{kind}: {} bytes", text.len());
            let escaped = ["\\u00", "\\u202e", "\\r"];
            assert!(
                !escaped.iter().any(|code| text.contains(code)),
                "{kind}: {text}"
            );
            assert!(is_harmless(&text), "{kind}: {text:?}");
        }
    }
    assert!(world.operator_log().iter().all(|line| is_harmless(line)));
}
