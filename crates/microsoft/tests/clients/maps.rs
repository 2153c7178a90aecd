use dualwrite_microsoft::dual_write::*;
use dualwrite_microsoft::{CallError, Class, HostKind, MutationError};
use jiff::Timestamp;
use serde_json::{Value, json as value};

use crate::support::*;

const CID: &str = "e0aa5d1c-4444-4c1e-9d51-5b1f0a000005";
const TID: &str = "0aa5c2a1-0000-4000-8000-000000000101";
const PID: &str = "1bb6d3b2-0000-4000-8000-000000000201";

async fn list(
    reply: impl Fn() -> Reply + Send + Sync + 'static,
) -> Result<Vec<TableMap>, CallError> {
    let server = Server::start(move |_, _| reply()).await;
    let service = host(HostKind::DualWriteService, DUAL_WRITE);
    let maps = table_maps(&server.account(), &service, CID).await;
    assert_eq!(
        server.seen_at(DUAL_WRITE)[0].target,
        format!("/api/DualWriteManagement/1.0/Entities?targetType=AX&cid={CID}")
    );
    maps
}

#[tokio::test]
async fn maps_are_read_with_their_versions_and_their_newest_failure() {
    let maps = list(|| json(200, include_str!("../fixtures/table-maps.json")))
        .await
        .unwrap();
    let [companies, customers, vendors, twin] = maps.as_slice() else {
        panic!("{maps:?}")
    };
    let version = |template_id: &str, author: &str, version: &str| MapVersion {
        template_id: template_id.into(),
        author: Some(author.into()),
        version: Some(version.into()),
    };
    let active = version(TID, "Microsoft", "1.0.0.3");
    let other = version("0aa5c2a1-0000-4000-8000-000000000999", "Contoso", "2.1");
    assert_eq!(
        *companies,
        TableMap {
            name: "Companies - cdm_companies".into(),
            template_id: Some(TID.into()),
            project_id: Some(PID.into()),
            state: TableMapState::Running,
            active: Some(active.clone()),
            versions: vec![active, other],
            left: Some("Legal entities".into()),
            right: Some("cdm_companies".into()),
            last_error: None,
        }
    );
    assert_eq!(
        (
            customers.name.as_str(),
            &customers.state,
            customers.project_id.as_deref()
        ),
        ("Customers V3 - accounts", &TableMapState::NotRunning, None)
    );
    assert_eq!(customers.left.as_deref(), Some("Customers V3"));
    assert_eq!(
        customers.last_error.as_deref(),
        Some("DIPV1001: the key is missing")
    );
    assert_eq!(vendors.state, TableMapState::Other("Marinating".into()));
    assert_eq!(
        vendors.last_error.as_deref(),
        Some("the service gives no reason"),
        "without times the first request is the newest"
    );
    assert_eq!(vendors.name, twin.name, "a map can be there twice");
    assert_eq!(twin.state, TableMapState::Other("not reported".into()));
}

#[tokio::test]
async fn every_documented_state_is_known_and_no_other() {
    let states = [
        ("\"0\"", TableMapState::None),
        ("1", TableMapState::Stopped),
        ("\"2\"", TableMapState::InitialSync),
        ("3", TableMapState::CatchUp),
        ("\"4\"", TableMapState::Running),
        ("5", TableMapState::Paused),
        ("\"6\"", TableMapState::NotRunning),
        ("\"44\"", TableMapState::Other("44".into())),
        ("\"running\"", TableMapState::Other("running".into())),
        ("true", TableMapState::Other("true".into())),
    ];
    for (told, state) in states {
        let body = format!(r#"[{{"detail":{{"tName":"a","state":{told}}}}}]"#);
        assert_eq!(
            list(move || json(200, &body)).await.unwrap()[0].state,
            state
        );
    }
}

#[tokio::test]
async fn only_an_empty_list_is_no_maps() {
    assert_eq!(list(|| json(200, "[]")).await, Ok(Vec::new()));
    for unknown in [
        (|| json(200, "")) as fn() -> Reply,
        || json(200, "{}"),
        || json(200, "null"),
        || json(200, "[null]"),
        || json(200, "[{}]"),
        || json(200, r#"[{"detail":{"tid":"a","state":"4"}}]"#),
        || json(200, r#"[{"detail":{"tName":"","state":"4"}}]"#),
        || json(200, r#"[{"detail":{"tName":"a","state":{}}}]"#),
        || json(200, r#"[{"detail":{"tName":"a","templates":{}}}]"#),
        || json(200, r#"[{"detail":{"tName":"a","lastRequests":[1]}}]"#),
        || json(200, r#"[{"detail":{"tName":"a"},"leftEntity":"x"}]"#),
        || html(200, "<html>"),
        || with(200, &[], "[]"),
        || json(404, ""),
        || json(500, ""),
    ] {
        assert!(list(unknown).await.is_err());
    }
    let denied = list(|| json(403, "{}")).await.unwrap_err();
    assert_eq!(
        (denied.class, denied.reason),
        (Class::NeedsPerson, Some("AccessDenied"))
    );
    // Without the id every connection set, or none, could be meant.
    let server = Server::start(|_, _| json(200, "[]")).await;
    let service = host(HostKind::DualWriteService, DUAL_WRITE);
    for empty in ["", " "] {
        table_maps(&server.account(), &service, empty)
            .await
            .unwrap_err();
    }
    assert!(server.seen().is_empty());
}

fn target(pid: Option<&str>) -> MapTarget {
    MapTarget {
        template_id: TID.into(),
        project_id: pid.map(Into::into),
    }
}

type Changed = Result<Option<String>, MutationError>;

async fn act(
    change: MapChange,
    maps: &[MapTarget],
    reply: impl Fn() -> Reply + Send + Sync + 'static,
) -> (Changed, Vec<Seen>) {
    let server = Server::start(move |_, _| reply()).await;
    let service = host(HostKind::DualWriteService, DUAL_WRITE);
    let result = change_maps(&server.account(), &service, CID, change, maps, soon()).await;
    (result, server.seen_at(DUAL_WRITE))
}

#[tokio::test]
async fn each_change_sends_what_clients_send_and_never_asks_for_an_initial_sync() {
    let parameters =
        value!({"skipInitialSync": true, "conflictResolution": {"option": "1", "master": "CRM"}});
    let with_parameters = value!({"tid": TID, "pid": PID, "cid": CID, "parameters": parameters});
    let plain = value!({"tid": TID, "pid": PID, "cid": CID});
    for (change, action, detail) in [
        (MapChange::Start, "1", &with_parameters),
        (MapChange::Stop, "4", &with_parameters),
        (MapChange::Pause, "5", &plain),
        (MapChange::Resume, "6", &plain),
        (
            MapChange::Initialise,
            "8",
            &value!({"tid": TID, "cid": CID}),
        ),
    ] {
        let (result, seen) = act(change, &[target(Some(PID)), target(Some(PID))], || {
            json(200, r#"{"requestId":"2cc7e4c3-1"}"#)
        })
        .await;
        assert_eq!(result, Ok(Some("2cc7e4c3-1".into())));
        assert_eq!(
            (seen[0].method.as_str(), seen[0].target.as_str(), seen.len()),
            ("POST", "/api/DualWriteManagement/1.0/Start", 1)
        );
        let body: Value = serde_json::from_str(&seen[0].body).unwrap();
        assert_eq!(
            body,
            value!({"action": action, "details": [detail, detail]})
        );
    }
    let (result, _) = act(MapChange::Initialise, &[target(None)], || json(202, "")).await;
    assert_eq!(result, Ok(None));
}

/// Also of [`apply_solution`], which understands answers in the same way.
#[tokio::test]
async fn an_acceptance_is_understood_in_all_its_forms() {
    let long = format!("\"{}\"", "1".repeat(257));
    for (reply, id) in [
        (
            json(200, r#"{"requestId":"2cc7e4c3-0000"}"#),
            Some("2cc7e4c3-0000"),
        ),
        (
            json(202, r#"{"RequestID":"2cc7e4c3-0000","x":1}"#),
            Some("2cc7e4c3-0000"),
        ),
        (json(200, r#"{"requestId":17}"#), Some("17")),
        (json(200, "\"2cc7e4c3-0000\""), Some("2cc7e4c3-0000")),
        (
            json(200, "\u{feff}\"2cc7e4c3-0000\""),
            Some("2cc7e4c3-0000"),
        ),
        (
            with(200, &[("content-type", "text/plain")], "2cc7e4c3-0000\r\n"),
            Some("2cc7e4c3-0000"),
        ),
        (with(202, &[], "2cc7e4c3-0000"), Some("2cc7e4c3-0000")),
        (json(200, "17"), Some("17")),
        (json(202, ""), None),
        (json(200, ""), None),
        (with(204, &[], ""), None),
        (json(200, "null"), None),
        (json(200, "true"), None),
        (json(200, "[]"), None),
        (json(200, "{}"), None),
        (json(200, "{"), None),
        (json(200, r#"{"requestId":""}"#), None),
        (json(200, r#"{"requestId":{"id":"2cc7e4c3-0000"}}"#), None),
        (json(200, r#"{"requestId":"../Start"}"#), None),
        (json(200, r#"{"requestId":".."}"#), None),
        (with(200, &[("content-type", "text/plain")], "OK"), None),
        (json(200, "\"Request 17 was accepted.\""), None),
        (json(200, "\"17\\u0000\""), None),
        (json(200, long), None),
    ] {
        let reply = std::sync::Mutex::new(Some(reply));
        let (result, _) = act(MapChange::Stop, &[target(Some(PID))], move || {
            reply.lock().unwrap().take().unwrap()
        })
        .await;
        assert_eq!(result, Ok(id.map(Into::into)));
    }
}

#[tokio::test]
async fn not_sent_refused_and_lost_are_told_apart() {
    for (reply, wanted) in [
        (
            (|| json(400, r#"{"message":"no"}"#)) as fn() -> Reply,
            "Refused",
        ),
        (|| json(403, r#"{"message":"token exchange"}"#), "Refused"),
        (|| json(404, "{}"), "Refused"),
        (|| json(409, "{}"), "Refused"),
        (|| json(429, "{}"), "Refused"),
        (|| json(408, "{}"), "Lost"),
        (|| json(500, "{}"), "Lost"),
        (|| json(503, ""), "Lost"),
        (|| html(200, "<html>"), "Lost"),
        (|| json(202, "<!doctype html>"), "Lost"),
        (
            || {
                with(
                    302,
                    &[("location", "https://elsewhere.fabrikam.example/")],
                    "",
                )
            },
            "Lost",
        ),
        (|| Reply::Close, "Lost"),
        (|| Reply::Half, "Lost"),
    ] {
        let (result, seen) = act(MapChange::Stop, &[target(Some(PID))], reply).await;
        let error = result.unwrap_err();
        assert!(
            format!("{error:?}").starts_with(wanted),
            "{wanted}: {error:?}"
        );
        assert_eq!(seen.len(), 1, "sent exactly once");
        assert_eq!(
            error.call_error().call,
            dualwrite_microsoft::Call::StartMaps
        );
    }
}

#[tokio::test]
async fn a_denied_change_keeps_the_words_and_names_the_other_cause() {
    let (result, _) = act(MapChange::Stop, &[target(Some(PID))], || {
        json(403, r#"{"message":"The token exchange failed."}"#)
    })
    .await;
    let Err(MutationError::Refused(error)) = result else {
        panic!("{result:?}")
    };
    assert_eq!(
        (error.class, error.reason),
        (Class::NeedsPerson, Some("AccessDenied"))
    );
    for part in [
        "The token exchange failed.",
        "was deleted",
        "system administrator",
    ] {
        assert!(error.to_string().contains(part), "{part} in {error}");
    }
}

#[tokio::test]
async fn what_would_make_the_service_fail_is_not_sent() {
    let no_tid = MapTarget {
        template_id: String::new(),
        project_id: Some(PID.into()),
    };
    let whole = target(Some(PID));
    for (change, maps, what) in [
        (MapChange::Stop, vec![], "no table map"),
        (MapChange::Stop, vec![whole.clone(), target(None)], "(pid)"),
        (MapChange::Start, vec![target(Some(" "))], "(pid)"),
        (MapChange::Pause, vec![target(Some(""))], "(pid)"),
        (MapChange::Resume, vec![target(None)], "(pid)"),
        (
            MapChange::Stop,
            vec![whole.clone(), no_tid.clone()],
            "(tid)",
        ),
        (MapChange::Initialise, vec![no_tid], "(tid)"),
    ] {
        let (result, seen) = act(change, &maps, || json(200, "{}")).await;
        let Err(MutationError::NotSent(error)) = result else {
            panic!("{change:?}: {result:?}")
        };
        assert_eq!(error.class, Class::Unexpected);
        assert!(error.message.contains(what), "{what}: {error}");
        assert!(seen.is_empty());
    }
    let server = Server::start(|_, _| json(200, "{}")).await;
    let (session, service) = (
        server.account(),
        host(HostKind::DualWriteService, DUAL_WRITE),
    );
    let late = Timestamp::now();
    let maps = [whole];
    for (cid, send_by) in [("", soon()), (CID, late)] {
        let result = change_maps(&session, &service, cid, MapChange::Stop, &maps, send_by).await;
        assert!(
            matches!(result, Err(MutationError::NotSent(_))),
            "{result:?}"
        );
    }
    for (cid, tid, pid) in [
        (CID, "", PID),
        (CID, TID, ""),
        (CID, TID, " "),
        ("", TID, PID),
    ] {
        let result = switch_version(&session, &service, cid, tid, pid, soon()).await;
        assert!(
            matches!(result, Err(MutationError::NotSent(_))),
            "{result:?}"
        );
    }
    assert!(server.seen_at(DUAL_WRITE).is_empty());
}

#[tokio::test]
async fn a_version_is_activated_by_its_bare_id() {
    let server = Server::start(|_, before| {
        if before == 0 {
            json(200, "")
        } else {
            html(200, "<html>")
        }
    })
    .await;
    let (session, service) = (
        server.account(),
        host(HostKind::DualWriteService, DUAL_WRITE),
    );
    let switch = || switch_version(&session, &service, CID, TID, PID, soon());
    switch().await.unwrap();
    let seen = &server.seen_at(DUAL_WRITE)[0];
    assert_eq!(
        (
            seen.method.as_str(),
            seen.target.clone(),
            seen.body.as_str()
        ),
        (
            "POST",
            format!(
                "/api/DualWriteManagement/1.0/SolutionAware/{CID}/SwitchActive/{TID}?pid={PID}"
            ),
            TID
        )
    );
    let page = switch().await;
    assert!(matches!(page, Err(MutationError::Lost(_))), "{page:?}");
}

#[tokio::test]
async fn no_token_reaches_an_error_or_a_map() {
    let echo = |seen: &Seen| seen.authorization.clone().unwrap_or_default();
    let server = Server::start(move |seen, _| match seen.method.as_str() {
        "GET" => json(
            200,
            format!(
                r#"[{{"detail":{{"tName":"a","lastRequests":[{{"state":"3","errorMessage":"sent {} to https://x.example/?sig=marker-query"}}]}}}}]"#,
                echo(seen)
            ),
        ),
        _ => json(500, format!(r#"{{"errorMessage":"you sent {}"}}"#, echo(seen))),
    })
    .await;
    let (session, service) = (
        server.account(),
        host(HostKind::DualWriteService, DUAL_WRITE),
    );
    let maps = table_maps(&session, &service, CID).await.unwrap();
    let error = change_maps(
        &session,
        &service,
        CID,
        MapChange::Stop,
        &[target(Some(PID))],
        soon(),
    )
    .await
    .unwrap_err();
    let told = format!("{maps:?} {error} {error:?}");
    assert!(
        told.contains("you sent") && told.contains("sent Bearer"),
        "{told}"
    );
    assert!(!told.contains("marker"), "{told}");
}

#[tokio::test]
async fn an_id_is_the_same_in_every_casing() {
    let in_capitals = include_str!("../fixtures/table-maps.json")
        .replace(TID, &TID.to_uppercase())
        .replace(PID, &PID.to_uppercase());
    let maps = list(move || json(200, &in_capitals)).await.unwrap();
    assert_eq!(maps[0].template_id.as_deref(), Some(TID));
    assert_eq!(maps[0].project_id.as_deref(), Some(PID));
    assert_eq!(maps[0].versions[0].template_id, TID);
}

#[tokio::test]
async fn a_map_that_is_listed_twice_word_for_word_is_one() {
    let one = r#"{"detail": {"tName": "a", "tid": "1", "pid": "2", "state": "4"}}"#;
    let other = r#"{"detail": {"tName": "a", "tid": "3", "pid": "4", "state": "4"}}"#;
    let maps = list(move || json(200, format!("[{one}, {other}, {one}]"))).await;
    let projects: Vec<_> = maps
        .unwrap()
        .into_iter()
        .map(|map| map.project_id)
        .collect();
    assert_eq!(projects, [Some("2".into()), Some("4".into())]);
}
