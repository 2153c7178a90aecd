use std::time::Duration;

use dualwrite_microsoft::dual_write::*;
use dualwrite_microsoft::{HostKind, MutationError};
use serde_json::{Value, json as value};

use crate::support::*;

const CID: &str = "e0aa5d1c-4444-4c1e-9d51-5b1f0a000005";
const ENVIRONMENT: &str = "6f2c8d0e-1111-4c1e-9d51-5b1f0a000001";

fn to_another() -> ResetRequest {
    ResetRequest {
        link: LinkRequest {
            environment_id: ENVIRONMENT.into(),
            environment_name: "Contoso UAT".into(),
            domain_name: "contoso-uat".into(),
            dataverse_url: "https://contoso-uat.crm4.dynamics.com/".into(),
            finance_operations_host: FINANCE.into(),
            finance_operations_url: format!("https://{FINANCE}/"),
            is_dev_instance: true,
            legal_entities: vec!["USMF".into(), "DEMF".into()],
        },
        dataverse_side: None,
        finance_operations_side: None,
    }
}

async fn to_current() -> ResetRequest {
    let set = include_str!("../fixtures/connection-set.json");
    let set = set.replace("\"CRM\"", "\"CDSDataverse\"");
    let server = Server::start(move |_, _| json(200, &set)).await;
    let service = host(HostKind::DualWriteService, DUAL_WRITE);
    let set = connection_set(&server.account(), &service, "contoso uat/set")
        .await
        .unwrap();
    let mut request = to_another();
    request.link.environment_name = "another name".into();
    request.link.domain_name = "another-name".into();
    request.dataverse_side = set.dataverse().cloned();
    request.finance_operations_side = set.finance_operations().cloned();
    request
}

async fn send(
    request: &ResetRequest,
    template: &CallTemplate,
    reply: fn() -> Reply,
) -> (Result<(), MutationError>, Vec<Seen>) {
    let server = Server::start(move |_, _| reply()).await;
    let service = host(HostKind::DualWriteService, DUAL_WRITE);
    let session = server.account();
    let result = reset(&session, &service, CID, request, false, template, soon()).await;
    (result, server.seen_at(DUAL_WRITE))
}

fn built_in() -> CallTemplate {
    CallTemplate::reset().unwrap()
}

#[tokio::test]
async fn a_reset_to_the_current_destination_copies_the_connection_set() {
    let (result, seen) = send(&to_current().await, &built_in(), || json(200, "")).await;
    result.unwrap();
    assert_eq!(
        (seen[0].method.as_str(), seen[0].target.clone(), seen.len()),
        (
            "POST",
            format!("/api/ConnectionSet/{CID}/Reset?targetType=AX&forceReset=false"),
            1
        )
    );
    let body: Value = serde_json::from_str(&seen[0].body).unwrap();
    assert_eq!(
        body,
        value!({
            "powerAppsEnvironmentName": ENVIRONMENT,
            "environments": [
                {"targetType": "CDSDataverse", "name": "contoso-uat", "displayName": "Contoso UAT", "id": ENVIRONMENT,
                 "isDevInstance": false, "directUrl": "https://contoso-uat.crm4.dynamics.com"},
                // What this side does not say is filled in.
                {"targetType": "AX", "name": FINANCE, "displayName": FINANCE, "id": ENVIRONMENT,
                 "isDevInstance": true, "directUrl": format!("https://{FINANCE}")}
            ],
            "legalEntities": ["USMF", "DEMF"]
        })
    );
}

#[tokio::test]
async fn a_reset_to_another_destination_names_it_as_a_first_link_would() {
    let server = Server::start(|_, _| json(202, "")).await;
    let service = host(HostKind::DualWriteService, DUAL_WRITE);
    let (session, request) = (server.account(), to_another());
    reset(&session, &service, CID, &request, true, &built_in(), soon())
        .await
        .unwrap();
    let seen = &server.seen_at(DUAL_WRITE)[0];
    assert!(seen.target.ends_with("?targetType=AX&forceReset=true"));
    let body: Value = serde_json::from_str(&seen.body).unwrap();
    let template = CallTemplate::first_link().unwrap();
    create_link(&session, &service, &request.link, &template, soon())
        .await
        .unwrap();
    let as_link: Value = serde_json::from_str(&server.seen_at(DUAL_WRITE)[1].body).unwrap();
    assert_eq!(body, as_link);
}

#[tokio::test]
async fn a_copied_side_cannot_change_the_destination() {
    let mut request = to_current().await;
    request.link.environment_id = "c0a8f00d-0000-4000-8000-000000000020".into();
    let (result, seen) = send(&request, &built_in(), || json(200, "")).await;
    let Err(MutationError::NotSent(error)) = result else {
        panic!("{result:?}")
    };
    assert!(
        error.message.contains("another Power Platform environment"),
        "{error}"
    );
    assert!(seen.is_empty());
    // One side of each destination in one body.
    let mut half = to_current().await;
    half.dataverse_side = None;
    let (result, seen) = send(&half, &built_in(), || json(200, "")).await;
    assert!(
        matches!(result, Err(MutationError::NotSent(_))),
        "{result:?}"
    );
    assert!(seen.is_empty());
    // The same id in another casing is the same.
    request.link.environment_id = ENVIRONMENT.to_uppercase();
    send(&request, &built_in(), || json(200, ""))
        .await
        .0
        .unwrap();
}

#[tokio::test]
async fn the_outcomes_of_a_reset_are_told_apart() {
    for (reply, wanted) in [
        ((|| json(200, "\"accepted\"")) as fn() -> Reply, "Ok"),
        (|| json(204, ""), "Ok"),
        (
            || json(400, r#"{"message":"All table maps have to be stopped."}"#),
            "Err(Refused",
        ),
        (|| json(403, "{}"), "Err(Refused"),
        (|| json(500, "{}"), "Err(Lost"),
        (|| json(504, ""), "Err(Lost"),
        (|| html(200, "<html>"), "Err(Lost"),
        (|| Reply::Close, "Err(Lost"),
        (
            || {
                json(
                    500,
                    r#"{"message":"Saving connection set failed! An item with the same key has already been added."}"#,
                )
            },
            "Err(Refused",
        ),
    ] {
        let (result, seen) = send(&to_another(), &built_in(), reply).await;
        assert!(
            format!("{result:?}").starts_with(wanted),
            "{wanted}: {result:?}"
        );
        assert_eq!(seen.len(), 1);
    }
    let server = Server::start(|_, _| json(200, "")).await;
    let service = host(HostKind::DualWriteService, DUAL_WRITE);
    let (session, request) = (server.account(), to_another());
    for cid in ["", ".", ".."] {
        let result = reset(&session, &service, cid, &request, true, &built_in(), soon()).await;
        assert!(
            matches!(result, Err(MutationError::NotSent(_))),
            "{result:?}"
        );
    }
    assert!(server.seen_at(DUAL_WRITE).is_empty());
}

#[tokio::test]
async fn a_reset_may_take_ten_times_the_usual_time() {
    let server = Server::start(|_, _| Reply::Stall).await;
    let service = host(HostKind::DualWriteService, DUAL_WRITE);
    let (session, request, template) = (server.account(), to_another(), built_in());
    let call = reset(&session, &service, CID, &request, false, &template, soon());
    let mut call = std::pin::pin!(call);
    let sent = async {
        while server.seen_at(DUAL_WRITE).is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        () = sent => {}
        early = &mut call => panic!("{early:?}"),
    }
    // The usual time of these tests is 20 s.
    pass(Duration::from_secs(190)).await;
    assert!(futures::poll!(&mut call).is_pending());
    pass(Duration::from_secs(15)).await;
    let Err(MutationError::Lost(error)) = call.await else {
        panic!("lost")
    };
    assert!(error.message.contains("within 200 s"), "{error}");
}

#[tokio::test]
async fn the_call_can_be_replaced() {
    let template = CallTemplate::parse_reset(
        r#"{"method":"put","path":"/api/x/{{connectionSetId}}?f={{force}}","body":{"force":"{{force}}","text":"f={{force}}","le":"{{legalEntities}}"}}"#,
    )
    .unwrap();
    let (result, seen) = send(&to_another(), &template, || json(200, "{}")).await;
    result.unwrap();
    assert_eq!(
        (seen[0].method.as_str(), seen[0].target.clone()),
        ("PUT", format!("/api/x/{CID}?f=false"))
    );
    assert_eq!(
        seen[0].body,
        r#"{"force":false,"le":["USMF","DEMF"],"text":"f=false"}"#
    );
    let only_for_a_reset = r#"{"method":"POST","path":"a/{{connectionSetId}}"}"#;
    CallTemplate::parse_reset(only_for_a_reset).unwrap();
    let refused = CallTemplate::parse(only_for_a_reset)
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("connectionSetId") && refused.contains("financeOperationsHost"),
        "{refused}"
    );
}
