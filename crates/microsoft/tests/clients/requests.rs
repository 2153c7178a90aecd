use dualwrite_microsoft::dual_write::*;
use dualwrite_microsoft::{CallError, Class, HostKind};

use crate::support::*;

const CID: &str = "e0aa5d1c-4444-4c1e-9d51-5b1f0a000005";

async fn maps(
    reply: impl Fn() -> Reply + Send + Sync + 'static,
) -> Result<RequestState, CallError> {
    let server = Server::start(move |_, _| reply()).await;
    let service = host(HostKind::DualWriteService, DUAL_WRITE);
    let state = map_request(&server.account(), &service, "Ours/1").await;
    assert_eq!(
        server.seen_at(DUAL_WRITE)[0].target,
        "/api/DualWriteManagement/1.0/Status/Ours%2F1"
    );
    state
}

/// A map whose newest request is not the one that is asked for.
fn map(name: &str, state: &str, error: &str) -> String {
    format!(
        r#"{{"detail":{{"tName":"{name}","state":"4","lastRequests":[
            {{"requestId":"another","state":"3","errorMessage":"of another request"}},
            {{"requestId":"ours/1","state":{state},"errorMessage":{error}}}]}}}}"#
    )
}

async fn of(maps_told: &[String]) -> RequestState {
    let body = format!("[{}]", maps_told.join(","));
    maps(move || json(200, &body)).await.unwrap()
}

#[tokio::test]
async fn a_request_has_succeeded_when_every_map_says_so() {
    let done = map("a", "\"2\"", "null");
    let done_as_number = map("b", "2", "null");
    let waiting = map("c", "\"1\"", "null");
    let unknown = map("d", "\"Marinating\"", "null");
    let silent = r#"{"detail":{"tName":"e","lastRequests":[]}}"#.to_owned();
    let without_list = r#"{"detail":{"tName":"f"}}"#.to_owned();
    assert_eq!(
        of(&[done.clone(), done_as_number]).await,
        RequestState::Succeeded
    );
    for other in [waiting, unknown, silent, without_list] {
        assert_eq!(
            of(&[done.clone(), other.clone()]).await,
            RequestState::Running,
            "{other}"
        );
    }
    assert_eq!(of(&[]).await, RequestState::Running);
}

#[tokio::test]
async fn one_failure_fails_the_request_and_names_its_map() {
    let failed = map("Customers V3 - accounts", "\"3\"", "\"DIPV1001: no key\"");
    let (waiting, done) = (map("b", "\"1\"", "null"), map("c", "\"2\"", "null"));
    assert_eq!(
        of(&[waiting, failed, done]).await,
        RequestState::Failed("Customers V3 - accounts: DIPV1001: no key".into())
    );
    let nameless = r#"{"detail":{"lastRequests":[{"requestId":"ours/1","state":"3"}]}}"#;
    assert_eq!(
        of(&[nameless.to_owned()]).await,
        RequestState::Failed("a table map without a name: the service gives no reason".into())
    );
    let long = format!("\"{}\"", "no room ".repeat(10_000));
    let many: Vec<String> = (0..40)
        .map(|n| map(&format!("map {n}"), "3", &long))
        .collect();
    let RequestState::Failed(why) = of(&many).await else {
        panic!("failed")
    };
    assert!(
        why.contains("map 4: no room") && why.ends_with("; and 35 more"),
        "{why}"
    );
    assert!(why.len() < 2_000, "{}", why.len());
}

#[tokio::test]
async fn only_404_means_that_a_request_is_not_known() {
    assert_eq!(maps(|| json(404, "{}")).await, Ok(RequestState::Gone));
    for unknown in [
        (|| json(200, "")) as fn() -> Reply,
        || json(200, "{}"),
        || json(200, "[1]"),
        || json(200, "[{}]"),
        || json(200, r#"[{"detail":{"lastRequests":{}}}]"#),
        || html(200, "<html>"),
        || json(400, ""),
        || json(500, ""),
    ] {
        assert!(maps(unknown).await.is_err());
    }
    let busy = maps(|| json(409, "{}")).await.unwrap_err();
    assert_eq!(busy.class, Class::Busy);
    let server = Server::start(|_, _| json(200, "[]")).await;
    let service = host(HostKind::DualWriteService, DUAL_WRITE);
    for bad in ["", ".", ".."] {
        map_request(&server.account(), &service, bad)
            .await
            .unwrap_err();
    }
    assert!(server.seen().is_empty());
}

async fn solution(body: &'static str, status: u16) -> Result<RequestState, CallError> {
    let server = Server::start(move |_, _| json(status, body)).await;
    let service = host(HostKind::DualWriteService, DUAL_WRITE);
    let state = solution_request(&server.account(), &service, CID, "ours/1").await;
    assert_eq!(
        server.seen_at(DUAL_WRITE)[0].target,
        format!("/api/DualWriteManagement/1.0/SolutionAware/{CID}/Status/ours%2F1")
    );
    state
}

#[tokio::test]
async fn a_solution_is_applied_only_when_the_service_says_so() {
    for (body, state) in [
        (
            r#"{"state":"2","result":{"status":"2"}}"#,
            RequestState::Succeeded,
        ),
        (r#"{"State":2}"#, RequestState::Succeeded),
        (r#"{"state":"1"}"#, RequestState::Running),
        (r#"{"state":"9"}"#, RequestState::Running),
        (r#"{"state":null}"#, RequestState::Running),
        ("{}", RequestState::Running),
        (
            r#"{"state":"3","result":{"message":"A map\n is missing."}}"#,
            RequestState::Failed("A map is missing.".into()),
        ),
        (
            r#"{"state":3,"result":null}"#,
            RequestState::Failed("the service gives no reason".into()),
        ),
    ] {
        assert_eq!(solution(body, 200).await, Ok(state), "{body}");
    }
    assert_eq!(solution("{}", 404).await, Ok(RequestState::Gone));
    for (body, status) in [
        ("", 200),
        ("[]", 200),
        (r#"{"state":{}}"#, 200),
        (r#"{"state":"3","result":"x"}"#, 200),
        ("{}", 500),
    ] {
        assert!(solution(body, status).await.is_err(), "{body}");
    }
}
