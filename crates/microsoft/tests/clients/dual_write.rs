use dualwrite_microsoft::dual_write::*;
use dualwrite_microsoft::{CallError, HostKind, MutationError};

use crate::support::*;

async fn ask(reply: fn() -> Reply) -> Result<LinkAnswer, CallError> {
    let server = Server::start(move |_, _| reply()).await;
    link(
        &server.account(),
        &host(HostKind::DualWriteService, DUAL_WRITE),
        FINANCE,
    )
    .await
}

#[tokio::test]
async fn a_link_is_read_from_the_entries_of_this_host() {
    let server = Server::start(|_, _| json(200, include_str!("../fixtures/link.json"))).await;
    let answer = link(
        &server.account(),
        &host(HostKind::DualWriteService, DUAL_WRITE),
        FINANCE,
    )
    .await
    .unwrap();
    let LinkAnswer::Linked(link) = answer else {
        panic!("{answer:?}")
    };
    assert_eq!(
        (link.cid.as_str(), link.cname.as_deref()),
        (
            "e0aa5d1c-4444-4c1e-9d51-5b1f0a000005",
            Some("contoso uat/set")
        )
    );
    assert_eq!(
        link.environment_id.as_deref(),
        Some("6f2c8d0e-1111-4c1e-9d51-5b1f0a000001")
    );
    let target = &server.seen_at(DUAL_WRITE)[0].target;
    assert_eq!(
        target,
        &format!("/api/DualWriteManagement/1.0/Environments?targetType=AX&identifier={FINANCE}")
    );
}

#[tokio::test]
async fn only_what_is_understood_is_not_linked() {
    assert_eq!(ask(|| json(200, "[]")).await, Ok(LinkAnswer::None));
    assert_eq!(
        ask(|| json(200, r#"[{"targetType":"AX"}]"#)).await,
        Ok(LinkAnswer::EntryWithoutId)
    );
    assert_eq!(
        ask(|| json(200, r#"[{"cid":"","targetType":"ax"}]"#)).await,
        Ok(LinkAnswer::EntryWithoutId)
    );
    for unknown in [
        (|| json(200, "")) as fn() -> Reply,
        || with(200, &[], ""),
        || json(200, "{}"),
        || json(200, "null"),
        || json(200, "[null]"),
        || json(200, r#"[{"cid":{"odd":1}}]"#),
        || json(200, r#"[{"cid":"a","targetType":"CRM"}]"#),
        || {
            json(
                200,
                r#"[{"cid":"a","name":"other.operations.dynamics.com"}]"#,
            )
        },
        || json(200, r#"[{"cid":"a"},{"cid":"b"}]"#),
        || {
            json(
                200,
                r#"[{"cid":"a","powerAppsEnvironment":"x"},{"cid":"a","powerAppsEnvironment":"y"}]"#,
            )
        },
        || html(200, "<html>"),
        || json(404, ""),
    ] {
        assert!(ask(unknown).await.is_err());
    }
}

/// An entry, alone in the answer, with these names.
async fn ask_with_names(names: &str) -> Result<LinkAnswer, CallError> {
    let body = format!(r#"[{{"cid":"a",{names}}}]"#);
    let server = Server::start(move |_, _| json(200, &body)).await;
    let service = host(HostKind::DualWriteService, DUAL_WRITE);
    link(&server.account(), &service, FINANCE).await
}

#[tokio::test]
async fn an_entry_that_names_another_host_in_any_field_is_not_about_this_one() {
    const OTHER: &str = "other.sandbox.operations.dynamics.com";
    for names in [
        format!(r#""displayName":"{OTHER}""#),
        format!(r#""displayName":"https://{}/""#, OTHER.to_uppercase()),
        format!(r#""identifier":"{FINANCE}","displayName":"{OTHER}""#),
        format!(r#""identifier":"{FINANCE}","name":"{OTHER}""#),
        format!(r#""identifier":"{OTHER}","displayName":"{FINANCE}""#),
        format!(r#""name":"{OTHER}","displayName":"Contoso UAT""#),
    ] {
        let why = ask_with_names(&names).await.unwrap_err().to_string();
        assert!(
            why.contains("links in it, but none for this"),
            "{names}: {why}"
        );
    }
    for names in [
        format!(r#""displayName":"{FINANCE}""#),
        format!(
            r#""identifier":"https://{}/","name":"{FINANCE}""#,
            FINANCE.to_uppercase()
        ),
        r#""displayName":"Contoso UAT""#.to_owned(),
        r#""displayName":"Contoso.UAT""#.to_owned(),
        r#""displayName":"v1.0 of dynamics.com""#.to_owned(),
        r#""identifier":"contoso-uat","name":"display-only""#.to_owned(),
    ] {
        let answer = ask_with_names(&names).await;
        assert!(
            matches!(answer, Ok(LinkAnswer::Linked(_))),
            "{names}: {answer:?}"
        );
    }
}

#[tokio::test]
async fn a_connection_set_is_read_by_its_encoded_name() {
    let server =
        Server::start(|_, _| json(200, include_str!("../fixtures/connection-set.json"))).await;
    let service = host(HostKind::DualWriteService, DUAL_WRITE);
    let set = connection_set(&server.account(), &service, "contoso uat/set")
        .await
        .unwrap();
    assert_eq!(
        server.seen_at(DUAL_WRITE)[0].target,
        "/api/ConnectionSet/contoso%20uat%2Fset"
    );
    assert_eq!(set.legal_entities, ["USMF", "DEMF"]);
    let finance_operations = set.finance_operations().unwrap();
    assert_eq!(finance_operations.name.as_deref(), Some(FINANCE));
    let dataverse = set.dataverse().unwrap();
    assert_eq!(
        (dataverse.display_name.as_deref(), dataverse.is_dev_instance),
        (Some("Contoso UAT"), Some(false))
    );
    let keys: Vec<_> = set
        .integration_keys
        .iter()
        .map(|(table, columns)| (table.as_str(), columns.join(",")))
        .collect();
    assert_eq!(
        keys,
        [
            ("accounts", "accountnumber,_msdyn_company_value".to_owned()),
            ("cdm_companies", "cdm_companycode".to_owned()),
        ]
    );
}

async fn sides(environments: &'static str) -> Result<ConnectionSet, CallError> {
    let body = format!(r#"{{"environments":{environments}}}"#);
    let server = Server::start(move |_, _| json(200, &body)).await;
    let service = host(HostKind::DualWriteService, DUAL_WRITE);
    connection_set(&server.account(), &service, "a-set").await
}

#[tokio::test]
async fn which_side_is_meant_is_never_guessed() {
    let set = sides(r#"[{"name":"a","targetType":"CDSDataverse"},{"name":"b","targetType":"ax"}]"#)
        .await
        .unwrap();
    assert_eq!(set.dataverse().unwrap().name.as_deref(), Some("a"));
    assert_eq!(set.finance_operations().unwrap().name.as_deref(), Some("b"));
    assert!(set.integration_keys.is_empty());
    for unclear in [
        "{}",
        r#"{"a":{},"b":{"targetType":"SQL"}}"#,
        r#"{"a":{"targetType":"CRM"},"b":{"targetType":"cds"},"c":{"targetType":"AX"},"d":{"targetType":"AX"}}"#,
    ] {
        let set = sides(unclear).await.unwrap();
        assert!(set.dataverse().is_none() && set.finance_operations().is_none());
    }
    for odd in [
        "null",
        "[1]",
        r#"[{"targetType":"CRM","schemas":{}}]"#,
        r#"[{"targetType":"CRM","schemas":[{"name":"a","keys":"x"}]}]"#,
        r#"[{"targetType":"CRM","schemas":[{"name":"a","keys":[{"name":"userKeys","fields":[1]}]}]}]"#,
    ] {
        assert!(sides(odd).await.is_err(), "{odd}");
    }
}

fn request() -> LinkRequest {
    LinkRequest {
        environment_id: "6f2c8d0e-1111-4c1e-9d51-5b1f0a000001".into(),
        environment_name: "Contoso \"UAT\", \\ {{legalEntities}}".into(),
        domain_name: "contoso-uat".into(),
        dataverse_url: "https://contoso-uat.crm4.dynamics.com/".into(),
        finance_operations_host: FINANCE.into(),
        finance_operations_url: format!("https://{FINANCE}/"),
        is_dev_instance: true,
        legal_entities: vec!["USMF".into(), "DE\"MF".into()],
    }
}

async fn send(template: &CallTemplate, reply: fn() -> Reply) -> (Result<(), MutationError>, Seen) {
    let server = Server::start(move |_, _| reply()).await;
    let service = host(HostKind::DualWriteService, DUAL_WRITE);
    let result = create_link(&server.account(), &service, &request(), template, soon()).await;
    (result, server.seen_at(DUAL_WRITE).remove(0))
}

#[tokio::test]
async fn the_first_link_has_the_documented_body() {
    let (result, seen) = send(&CallTemplate::first_link().unwrap(), || with(202, &[], "")).await;
    result.unwrap();
    assert_eq!(
        (seen.method.as_str(), seen.target.as_str()),
        (
            "POST",
            "/api/DualWriteManagement/1.0/Environments?targetType=AX"
        )
    );
    let body: serde_json::Value = serde_json::from_str(&seen.body).unwrap();
    let wanted = serde_json::json!({
        "powerAppsEnvironmentName": "6f2c8d0e-1111-4c1e-9d51-5b1f0a000001",
        "environments": [
            {"targetType": "CRM", "name": "contoso-uat", "displayName": "Contoso \"UAT\", \\ {{legalEntities}}",
             "id": "6f2c8d0e-1111-4c1e-9d51-5b1f0a000001", "isDevInstance": false, "directUrl": "https://contoso-uat.crm4.dynamics.com"},
            {"targetType": "AX", "name": FINANCE, "displayName": FINANCE,
             "id": "6f2c8d0e-1111-4c1e-9d51-5b1f0a000001", "isDevInstance": true, "directUrl": format!("https://{FINANCE}")}
        ],
        "legalEntities": ["USMF", "DE\"MF"]
    });
    assert_eq!(body, wanted);
    let (page, _) = send(&CallTemplate::first_link().unwrap(), || html(200, "<html>")).await;
    assert!(matches!(page, Err(MutationError::Lost(_))));
}

#[tokio::test]
async fn a_known_text_makes_a_500_a_refusal() {
    let (result, _) = send(&CallTemplate::first_link().unwrap(), || {
        json(500, r#"{"errorMessage":"Saving connection set failed! An item with the same key has already been added."}"#)
    })
    .await;
    assert!(
        matches!(&result, Err(MutationError::Refused(e)) if e.reason == Some("DuplicateCompanies")),
        "{result:?}"
    );
}

#[tokio::test]
async fn a_template_can_replace_the_call_and_no_value_can_change_its_shape() {
    let template = CallTemplate::parse(
        r#"{"method":"put","path":"/api/x/{{ environmentName }}?name={{environmentName}}","body":{"a":["dev={{isDevInstance}}"]}}"#,
    )
    .unwrap();
    let (result, seen) = send(&template, || json(200, "{}")).await;
    result.unwrap();
    assert_eq!(seen.method, "PUT");
    assert_eq!(
        path(&seen.target),
        "/api/x/Contoso%20%22UAT%22,%20%5C%20%7B%7BlegalEntities%7D%7D"
    );
    assert_eq!(seen.body, r#"{"a":["dev=true"]}"#);
}

#[test]
fn a_template_that_cannot_work_is_refused_at_once() {
    for bad in [
        "nonsense",
        r#"{"method":"POST","path":"a","extra":1}"#,
        r#"{"method":"DELETE","path":"a"}"#,
        r#"{"method":"GET","path":"a"}"#,
        r#"{"method":"POST","path":""}"#,
        r#"{"method":"POST","path":"//elsewhere.fabrikam.example/a"}"#,
        r#"{"method":"POST","path":"https://elsewhere.fabrikam.example/a"}"#,
        r#"{"method":"POST","path":"a/../b"}"#,
        r#"{"method":"POST","path":"a/{{unknown}}"}"#,
        r#"{"method":"POST","path":"a/{{legalEntities}}"}"#,
        r#"{"method":"POST","path":"a","body":{"x":"only {{legalEntities}}"}}"#,
        r#"{"method":"POST","path":"a","body":[{"x":"{{ password }}"}]}"#,
    ] {
        assert!(CallTemplate::parse(bad).is_err(), "{bad}");
    }
}
