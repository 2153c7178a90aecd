use dualwrite_microsoft::dual_write::*;
use dualwrite_microsoft::{Class, HostKind, MutationError};
use serde_json::{Value, json as value};

use crate::support::*;

const CID: &str = "e0aa5d1c-4444-4c1e-9d51-5b1f0a000005";
const TID: &str = "0aa5c2a1-0000-4000-8000-000000000101";
const SOLUTION: &str = "msdyn_Dynamics365SupplyChainExtended";

#[tokio::test]
async fn solutions_are_their_unique_names_in_order() {
    let list = r#"[{"uniquename":"b","friendlyname":"B","version":"1.0"},{"uniqueName":"a"},{"uniquename":"b"}]"#;
    let server = Server::start(move |_, before| match before {
        0 => json(200, list),
        1 => json(200, "[]"),
        2 => json(200, r#"[{"friendlyname":"B"}]"#),
        3 => json(200, r#"{"value":[]}"#),
        4 => json(200, "[null]"),
        5 => html(200, "<html>"),
        _ => json(200, ""),
    })
    .await;
    let service = host(HostKind::DualWriteService, DUAL_WRITE);
    let session = server.account();
    let ask = || solutions(&session, &service, CID);
    assert_eq!(ask().await.unwrap(), ["b", "a", "b"]);
    assert_eq!(
        server.seen_at(DUAL_WRITE)[0].target,
        format!("/api/DualWriteManagement/1.0/SolutionAware/{CID}/Solutions/")
    );
    assert!(ask().await.unwrap().is_empty());
    for _ in 2..7 {
        ask().await.unwrap_err();
    }
    solutions(&session, &service, "").await.unwrap_err();
    assert_eq!(server.seen_at(DUAL_WRITE).len(), 7);
}

#[tokio::test]
async fn one_solution_is_applied_at_a_time() {
    let server = Server::start(|_, before| match before {
        0 => json(200, r#"{"requestId":"3dd8f5d4-1"}"#),
        1 => json(202, ""),
        2 => html(200, "<html>"),
        _ => json(400, r#"{"message":"no"}"#),
    })
    .await;
    let (session, service) = (
        server.account(),
        host(HostKind::DualWriteService, DUAL_WRITE),
    );
    let apply = || apply_solution(&session, &service, CID, SOLUTION, soon());
    assert_eq!(apply().await, Ok(Some("3dd8f5d4-1".into())));
    let seen = &server.seen_at(DUAL_WRITE)[0];
    assert_eq!(
        (seen.method.as_str(), seen.target.clone()),
        (
            "POST",
            format!("/api/DualWriteManagement/1.0/SolutionAware/{CID}/RestoreTemplates")
        )
    );
    let body: Value = serde_json::from_str(&seen.body).unwrap();
    assert_eq!(
        body,
        value!({"action": "2", "solutions": [{"criteria": {"uniquename": SOLUTION}}]})
    );
    assert_eq!(apply().await, Ok(None));
    assert!(matches!(apply().await, Err(MutationError::Lost(_))));
    assert!(matches!(apply().await, Err(MutationError::Refused(_))));
    let nameless = apply_solution(&session, &service, CID, "", soon()).await;
    assert!(
        matches!(nameless, Err(MutationError::NotSent(_))),
        "{nameless:?}"
    );
    assert_eq!(server.seen_at(DUAL_WRITE).len(), 4);
}

#[tokio::test]
async fn prerequisites_are_asked_for_as_a_read() {
    let server = Server::start(|_, before| match before {
        0 => json(401, ""),
        1 => json(200, r#"[["a","b"],[]]"#),
        2 => json(200, r#"["a"]"#),
        3 => json(200, "[[1]]"),
        4 => json(200, "null"),
        5 => json(200, ""),
        6 => html(200, "<html>"),
        _ => json(500, "{}"),
    })
    .await;
    let (session, service) = (
        server.account(),
        host(HostKind::DualWriteService, DUAL_WRITE),
    );
    let ask = || prerequisites(&session, &service, CID, TID);
    assert_eq!(ask().await.unwrap(), [vec!["a", "b"], vec![]]);
    let seen = server.seen_at(DUAL_WRITE);
    assert_eq!(seen.len(), 2, "once more, with a new token");
    assert_ne!(seen[0].authorization, seen[1].authorization);
    assert_eq!(
        (
            seen[1].method.as_str(),
            seen[1].target.clone(),
            seen[1].body.clone()
        ),
        (
            "POST",
            format!("/api/DualWriteManagement/1.0/GetTemplatePrerequisiteSequences/{CID}"),
            format!(r#"["{TID}"]"#)
        )
    );
    for _ in 2..7 {
        assert_eq!(ask().await.unwrap_err().class, Class::Unexpected);
    }
    assert_eq!(ask().await.unwrap_err().class, Class::Transient);
    prerequisites(&session, &service, CID, " ")
        .await
        .unwrap_err();
    assert_eq!(server.seen_at(DUAL_WRITE).len(), 8);
}

#[tokio::test]
async fn integration_keys_are_set_by_table() {
    let server = Server::start(|_, before| match before {
        0 => json(200, ""),
        1 => html(200, "<html>"),
        2 => json(500, "{}"),
        _ => json(404, "{}"),
    })
    .await;
    let (session, service) = (
        server.account(),
        host(HostKind::DualWriteService, DUAL_WRITE),
    );
    let keys = [
        (
            "accounts".to_owned(),
            vec![
                "accountnumber".to_owned(),
                "_msdyn_company_value".to_owned(),
            ],
        ),
        (
            "cdm_companies".to_owned(),
            vec!["cdm_companycode".to_owned()],
        ),
    ];
    let set = || set_integration_keys(&session, &service, "contoso uat/set", &keys, soon());
    set().await.unwrap();
    let seen = &server.seen_at(DUAL_WRITE)[0];
    assert_eq!(
        (seen.method.as_str(), seen.target.as_str()),
        ("POST", "/api/dataset/contoso%20uat%2Fset/IntegrationKeys")
    );
    let body: Value = serde_json::from_str(&seen.body).unwrap();
    assert_eq!(
        body,
        value!({
            "integrationKeys": {"accounts": ["accountnumber", "_msdyn_company_value"], "cdm_companies": ["cdm_companycode"]},
            "datasetName": "contoso uat/set"
        })
    );
    assert!(matches!(set().await, Err(MutationError::Lost(_))));
    assert!(matches!(set().await, Err(MutationError::Lost(_))));
    assert!(matches!(set().await, Err(MutationError::Refused(_))));

    let no_columns = [("accounts".to_owned(), Vec::new())];
    for (name, keys) in [("a", &[][..]), ("a", &no_columns[..]), ("", &keys[..])] {
        let result = set_integration_keys(&session, &service, name, keys, soon()).await;
        assert!(
            matches!(result, Err(MutationError::NotSent(_))),
            "{result:?}"
        );
    }
    assert_eq!(server.seen_at(DUAL_WRITE).len(), 4);
}
