use dualwrite_microsoft::power_platform::*;
use dualwrite_microsoft::{CallError, Class, MutationError};
use rstest::rstest;

use crate::support::*;

const PAGE_1: &str = include_str!("../fixtures/environments-1.json");
const PAGE_2: &str = include_str!("../fixtures/environments-2.json");

#[rstest]
#[tokio::test]
async fn pages_are_followed_in_every_casing(
    #[values("@odata.nextLink", "@odata.nextlink", "nextLink")] next: &'static str,
) {
    let server = Server::start(move |seen, _| {
        json(
            200,
            if seen.target.contains("page2") {
                PAGE_2.to_owned()
            } else {
                PAGE_1.replace("NEXT", next)
            },
        )
    })
    .await;
    let list = environments(&server.application()).await.unwrap();
    assert!(list.complete);
    let [uat, dev] = list.environments.as_slice() else {
        panic!("{list:?}")
    };
    assert_eq!(uat.readiness(), Readiness::Ready);
    assert_eq!(uat.finops.as_ref().unwrap().kind.as_deref(), Some("Linked"));
    assert_eq!(uat.domain_name.as_deref(), Some("contoso-uat"));
    assert_eq!(dev.display_name.as_deref(), Some("Fabrikam[31m Dev"));
    assert_eq!(
        (dev.finops.as_ref(), dev.readiness()),
        (None, Readiness::Busy("Preparing".into()))
    );
}

#[tokio::test]
async fn a_link_to_another_host_is_refused_and_no_token_goes_there() {
    for link in [
        "https://elsewhere.fabrikam.example/next",
        "http://api.powerplatform.com/next",
        "https://api.powerplatform.com:8443/next",
        "https://user@api.powerplatform.com/next",
        "https://api.powerplatform.com@elsewhere.fabrikam.example/next",
        "https://api.powerplatform.com./next",
        "https://api.powerplatform.com.elsewhere.fabrikam.example/next",
        "https://xn--api-powerplatform.com/next",
        "https://127.0.0.1/next",
        "//elsewhere.fabrikam.example/next",
        "/relative",
    ] {
        let server =
            Server::start(move |_, _| json(200, format!(r#"{{"value":[],"nextLink":"{link}"}}"#)))
                .await;
        assert!(environments(&server.application()).await.is_err(), "{link}");
        assert_eq!(
            (server.seen().len(), server.seen_at(ELSEWHERE).len()),
            (2, 0),
            "{link}"
        );
    }
}

#[tokio::test]
async fn a_list_is_complete_only_when_everything_was_read() {
    async fn list(reply: fn() -> Reply) -> Result<EnvironmentList, CallError> {
        let server = Server::start(move |_, _| reply()).await;
        let list = environments(&server.application()).await;
        assert!(server.seen_at(POWER_PLATFORM).len() <= 2);
        list
    }
    let repeated = list(|| {
        json(
            200,
            r#"{"value":[{"id":"a"}],"nextLink":"https://api.powerplatform.com/x"}"#,
        )
    })
    .await
    .unwrap();
    assert!(!repeated.complete);
    let odd = list(|| {
        json(
            200,
            r#"{"value":[{"id":"a"},"b",{"id":null},{"id":"c","finOpsMetadata":"odd"}]}"#,
        )
    })
    .await
    .unwrap();
    assert_eq!(
        (odd.environments.len(), odd.unreadable, odd.complete),
        (1, 3, false)
    );
    let none = list(|| json(200, r#"{"value":[]}"#)).await.unwrap();
    assert!(none.complete && none.environments.is_empty());
    for unknown in [
        (|| json(200, "[]")) as fn() -> Reply,
        || json(200, "{}"),
        || json(200, r#"{"value":null}"#),
        || json(200, "null"),
    ] {
        assert!(list(unknown).await.is_err());
    }
}

#[test]
fn readiness_knows_the_states() {
    let of = |state: &str, admin: Option<&str>| {
        Environment {
            state: Some(state.into()),
            admin_mode: admin.map(Into::into),
            ..Environment::default()
        }
        .readiness()
    };
    assert_eq!(of("READY", None), Readiness::Ready);
    assert_eq!(of("enabled", Some("whatever")), Readiness::Ready);
    assert_eq!(
        of("Enabled", Some("ENABLED")),
        Readiness::AdministrationMode
    );
    assert_eq!(of("disabled", Some("Enabled")), Readiness::Disabled);
    assert_eq!(
        of("Copying", Some("Enabled")),
        Readiness::Busy("Copying".into())
    );
    assert!(matches!(
        Environment::default().readiness(),
        Readiness::Busy(_)
    ));
}

#[tokio::test]
async fn packages_tell_state_error_and_update() {
    let server = Server::start(|_, _| json(200, include_str!("../fixtures/packages.json"))).await;
    let list = application_packages(&server.application(), "an-id")
        .await
        .unwrap();
    assert!(list.complete && list.packages.len() == 3);
    assert!(
        server.seen_at(POWER_PLATFORM)[0]
            .target
            .contains("appInstallState=All")
    );
    let core = list.find("DUALWRITECOREANCHOR").unwrap();
    assert_eq!(
        (
            &core.state,
            core.version.as_deref(),
            core.available_version.as_deref()
        ),
        (
            &PackageState::Installed,
            Some("1.0.26.4"),
            Some("1.0.100.0")
        )
    );
    let app = list.find("msdyn_DualWriteAppCoreAnchor").unwrap();
    assert_eq!(
        (&app.state, app.last_error.as_ref().unwrap().code.as_deref()),
        (&PackageState::Failed, Some("2147746581"))
    );
    let asset = list.find("msdyn_DualWriteAssetManagementAnchor").unwrap();
    assert_eq!(asset.state, PackageState::InProgress("Marinating".into()));
}

#[rstest]
#[case::in_the_body(|| json(200, include_str!("../fixtures/install-200.json")), Some("0b5d9f4a-8888-4c1e-9d51-5b1f0a000008"))]
#[case::top_level(|| json(200, r#"{"operationId":"op-1"}"#), Some("op-1"))]
#[case::in_the_header(|| with(202, &[("operation-location", "https://api.powerplatform.com/appmanagement/environments/e/operations/op-2?api-version=1")], ""), Some("op-2"))]
#[case::odd_header(|| with(202, &[("operation-location", "https://api.powerplatform.com/other/op-3?x=1")], ""), Some("https://api.powerplatform.com/other/op-3?x=1"))]
#[case::header_on_another_port(|| with(202, &[("operation-location", "https://api.powerplatform.com:8443/operations/op-4")], ""), None)]
#[case::header_without_tls(|| with(202, &[("operation-location", "http://api.powerplatform.com/operations/op-4")], ""), None)]
#[case::header_with_a_user(|| with(202, &[("operation-location", "https://a:b@api.powerplatform.com/operations/op-4")], ""), None)]
#[case::header_elsewhere(|| with(202, &[("operation-location", "https://elsewhere.fabrikam.example/operations/op-4")], ""), None)]
#[case::neither(|| json(200, "{}"), None)]
#[case::empty(|| with(200, &[], ""), None)]
#[tokio::test]
async fn an_install_names_its_operation(#[case] reply: fn() -> Reply, #[case] id: Option<&str>) {
    let server = Server::start(move |_, _| reply()).await;
    let accepted = install(
        &server.application(),
        "an-id",
        "DualWriteCoreAnchor",
        soon(),
    )
    .await
    .unwrap();
    assert_eq!(accepted.operation.as_ref().map(RemoteOperation::as_str), id);
    let seen = &server.seen_at(POWER_PLATFORM)[0];
    assert_eq!(
        (seen.method.as_str(), path(&seen.target)),
        (
            "POST",
            "/appmanagement/environments/an-id/applicationPackages/DualWriteCoreAnchor/install"
        )
    );
}

#[tokio::test]
async fn a_bare_400_is_busy_and_one_with_words_is_not() {
    for (body, class) in [
        ("", Class::Busy),
        (r#"{"message":"no such package"}"#, Class::Unexpected),
    ] {
        let server = Server::start(move |_, _| json(400, body)).await;
        let error = install(&server.application(), "an-id", "X", soon())
            .await
            .unwrap_err();
        assert!(
            matches!(&error, MutationError::Refused(e) if e.class == class),
            "{error:?}"
        );
    }
}

#[rstest]
#[case(|| json(200, r#"{"status":"succeeded"}"#), OperationState::Succeeded)]
#[case(|| json(200, r#"{"status":"CANCELED"}"#), OperationState::Canceled)]
#[case(|| json(200, r#"{"status":"Failed","error":{"errorCode":"7","message":"why"}}"#), OperationState::Failed)]
#[case(|| json(200, r#"{"status":"Sleeping"}"#), OperationState::Running)]
#[case(|| json(200, "{}"), OperationState::Running)]
#[case(|| json(409, ""), OperationState::Running)]
#[case(|| json(404, ""), OperationState::Gone)]
#[tokio::test]
async fn an_operation_is_followed(#[case] reply: fn() -> Reply, #[case] state: OperationState) {
    let server = Server::start(move |_, _| reply()).await;
    let status = operation(
        &server.application(),
        "an-id",
        &RemoteOperation::recorded("op-1"),
    )
    .await
    .unwrap();
    assert_eq!(status.state, state);
    assert_eq!(status.error.is_some(), state == OperationState::Failed);
    assert_eq!(
        path(&server.seen_at(POWER_PLATFORM)[0].target),
        "/appmanagement/environments/an-id/operations/op-1"
    );
}

#[tokio::test]
async fn a_recorded_operation_elsewhere_gets_no_token() {
    let server = Server::start(|_, _| json(200, "{}")).await;
    let session = server.application();
    let elsewhere = RemoteOperation::recorded("https://elsewhere.fabrikam.example/op");
    operation(&session, "an-id", &elsewhere).await.unwrap_err();
    assert!(server.seen().is_empty());
    let here = RemoteOperation::recorded("https://api.powerplatform.com/op?x=1");
    operation(&session, "an-id", &here).await.unwrap();
    assert_eq!(
        (
            server.seen_at(POWER_PLATFORM)[0].target.as_str(),
            here.to_string().contains('?')
        ),
        ("/op?x=1", false)
    );
}
