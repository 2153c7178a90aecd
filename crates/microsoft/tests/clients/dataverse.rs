//! Application users and companies of a Dataverse: pages, bounds, refusals, odd shapes.

use dualwrite_microsoft::dataverse::{
    ApplicationUser, Company, Rows, application_users, companies,
};
use dualwrite_microsoft::{CallError, Class, HostKind};

use crate::support::*;

const FIRST: &str = "00000015-0000-0000-c000-000000000000";
const SECOND: &str = "2e49aa60-1bd3-43b6-8ab6-03ada3d9f08b";

async fn ask_companies(
    reply: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static,
) -> (Result<Rows<Company>, CallError>, Vec<Seen>) {
    let server = Server::start(reply).await;
    let answer = companies(&server.application(), &host(HostKind::Dataverse, DATAVERSE)).await;
    (answer, server.seen_at(DATAVERSE))
}

fn company(code: Option<&str>, name: Option<&str>) -> Company {
    Company {
        code: code.map(str::to_owned),
        name: name.map(str::to_owned),
    }
}

#[tokio::test]
async fn only_the_users_that_matter_are_asked_for() {
    let server = Server::start(|_, _| {
        json(
            200,
            format!(
                r#"{{"value":[{{"applicationid":"{FIRST}","isdisabled":false,"more":1}},{{"applicationid":"{SECOND}","isdisabled":true}}]}}"#
            ),
        )
    })
    .await;
    let dataverse = host(HostKind::Dataverse, DATAVERSE);
    let found = application_users(&server.application(), &dataverse, &[FIRST, SECOND])
        .await
        .unwrap();
    let user = |id: &str, disabled| ApplicationUser {
        application_id: id.to_owned(),
        disabled,
    };
    assert_eq!(found.rows, [user(FIRST, false), user(SECOND, true)]);
    assert!(found.complete);
    let asked = &server.seen_at(DATAVERSE)[0];
    assert_eq!(path(&asked.target), "/api/data/v9.2/systemusers");
    let query = asked.target.split_once('?').unwrap().1.replace('+', " ");
    assert_eq!(
        query.replace("%24", "$").replace("%2C", ","),
        format!(
            "$select=applicationid,isdisabled&$filter=applicationid eq {FIRST} or applicationid eq {SECOND}"
        )
    );
}

#[tokio::test]
async fn a_user_that_cannot_be_understood_makes_the_list_incomplete() {
    for odd in [
        r#"{"value":[{"isdisabled":false}]}"#,
        r#"{"value":["x"]}"#,
        r#"{"value":[{"applicationid":"a","isdisabled":{}}]}"#,
    ] {
        let server = Server::start(move |_, _| json(200, odd)).await;
        let dataverse = host(HostKind::Dataverse, DATAVERSE);
        let found = application_users(&server.application(), &dataverse, &[FIRST])
            .await
            .unwrap();
        assert_eq!((found.rows.len(), found.complete), (0, false), "{odd}");
    }
}

#[tokio::test]
async fn companies_come_in_pages_and_a_blank_text_is_none() {
    let (found, seen) = ask_companies(|_, before| match before {
        0 => json(
            200,
            format!(r#"{{"@odata.nextLink":"https://{DATAVERSE}/api/data/v9.2/cdm_companies?$skiptoken=2","value":[{{"cdm_companycode":"USMF","cdm_name":"Contoso"}}]}}"#),
        ),
        _ => json(200, r#"{"value":[{"cdm_companycode":"","cdm_name":"  "},{"cdm_companycode":null}]}"#),
    })
    .await;
    let found = found.unwrap();
    assert_eq!(
        found.rows,
        [
            company(Some("USMF"), Some("Contoso")),
            company(None, None),
            company(None, None)
        ]
    );
    assert!(found.complete);
    assert_eq!(seen.len(), 2);
}

#[tokio::test]
async fn no_company_is_an_answer_too() {
    let (found, _) = ask_companies(|_, _| json(200, r#"{"value":[]}"#)).await;
    let found = found.unwrap();
    assert!(found.rows.is_empty() && found.complete);
}

#[tokio::test]
async fn a_list_without_end_is_not_followed_for_ever() {
    let (found, seen) = ask_companies(|_, before| {
        let row = r#"{"cdm_companycode":"USMF","cdm_name":"Contoso"}"#;
        let rows = vec![row; 500].join(",");
        json(
            200,
            format!(r#"{{"@odata.nextLink":"https://{DATAVERSE}/api/data/v9.2/cdm_companies?page={before}","value":[{rows}]}}"#),
        )
    })
    .await;
    let found = found.unwrap();
    assert!(
        !found.complete && found.rows.len() == 2_500,
        "{}",
        found.rows.len()
    );
    assert_eq!(seen.len(), 5);
}

#[tokio::test]
async fn refusals_and_odd_shapes_are_errors_that_say_what_to_do() {
    for (reply, reason, class, says) in [
        (
            (|| {
                json(
                    403,
                    r#"{"error":{"code":"0x80072560","message":"The user is not a member of the organization."}}"#,
                )
            }) as fn() -> Reply,
            Some("AccessDenied"),
            Class::NeedsPerson,
            "new organisation",
        ),
        (
            || {
                json(
                    403,
                    r#"{"error":{"code":"0x80040220","message":"Principal user is missing prvReadcdm_Company privilege."}}"#,
                )
            },
            Some("AccessDenied"),
            Class::NeedsPerson,
            "prvReadcdm_Company",
        ),
        (
            || {
                json(
                    404,
                    r#"{"error":{"code":"0x80060888","message":"Resource not found for the segment 'cdm_companies'."}}"#,
                )
            },
            Some("CompanyTableMissing"),
            Class::NeedsPerson,
            "Dual-write application",
        ),
        (|| json(200, "[]"), None, Class::Unexpected, "not a list"),
        (|| json(200, "{}"), None, Class::Unexpected, "no list"),
        (|| html(200, "<html>"), None, Class::Unexpected, "page"),
        (|| json(503, ""), None, Class::Transient, "failed"),
        (
            || {
                json(
                    200,
                    r#"{"value":[],"@odata.nextLink":"https://elsewhere.fabrikam.example/x"}"#,
                )
            },
            None,
            Class::Unexpected,
            "host",
        ),
    ] {
        let (answer, _) = ask_companies(move |_, _| reply()).await;
        let error = answer.unwrap_err();
        assert_eq!((error.reason, error.class), (reason, class), "{error}");
        assert!(error.to_string().contains(says), "{says}: {error}");
    }
}
