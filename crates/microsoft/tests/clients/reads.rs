use dualwrite_microsoft::dataverse::{DataverseIntegration, integration};
use dualwrite_microsoft::finance_operations::{Up, is_up};
use dualwrite_microsoft::{CallError, Class, HostKind};

use crate::support::*;

#[tokio::test]
async fn finance_and_operations_is_up_below_500() {
    let finance = host(HostKind::FinanceOperations, FINANCE);
    for status in [200, 302, 401, 404] {
        let server = Server::start(move |_, _| {
            with(
                status,
                &[("location", "https://elsewhere.fabrikam.example/")],
                "",
            )
        })
        .await;
        assert_eq!(is_up(&server.http(), &finance).await, Up::Yes, "{status}");
        let seen = server.seen();
        assert_eq!(
            (
                seen.len(),
                seen[0].host.as_str(),
                seen[0].authorization.as_deref()
            ),
            (1, FINANCE, None)
        );
    }
    for reply in [(|| json(503, "")) as fn() -> Reply, || Reply::Close] {
        let server = Server::start(move |_, _| reply()).await;
        assert!(matches!(is_up(&server.http(), &finance).await, Up::No(_)));
    }
    let other = host(HostKind::Dataverse, DATAVERSE);
    assert!(matches!(
        is_up(&Server::start(|_, _| json(200, "")).await.http(), &other).await,
        Up::No(_)
    ));
}

#[tokio::test]
async fn dataverse_tells_integrated_from_not_from_unknown() {
    async fn ask(reply: fn() -> Reply) -> Result<DataverseIntegration, CallError> {
        let server = Server::start(move |_, _| reply()).await;
        let answer =
            integration(&server.application(), &host(HostKind::Dataverse, DATAVERSE)).await;
        let scope = &server.seen_at(AUTHORITY)[0].body;
        assert!(
            scope.contains("scope=https%3A%2F%2Fcontoso-uat.crm4.dynamics.com%2F.default"),
            "{scope}"
        );
        answer
    }
    let integrated = ask(|| json(200, r#"{"Url":"https://contoso-uat.sandbox.operations.dynamics.com","TenantId":"t","Id":"i"}"#)).await;
    assert!(
        matches!(integrated, Ok(DataverseIntegration::IntegratedWith { id: Some(id), .. }) if id == "i")
    );
    let not = ask(|| json(400, r#"{"error":{"code":"0X80048D0B","message":"Dataverse instance isn't integrated with finance and operations."}}"#)).await;
    assert_eq!(not, Ok(DataverseIntegration::NotIntegrated));
    for unknown in [
        (|| json(200, "{}")) as fn() -> Reply,
        || json(400, r#"{"error":{"code":"0x0","message":"0x80048d0b"}}"#),
        || json(200, "[]"),
        || json(404, ""),
    ] {
        assert!(ask(unknown).await.is_err());
    }
    let denied = ask(|| json(403, "{}")).await.unwrap_err();
    assert_eq!(
        (denied.reason, denied.class),
        (Some("AccessDenied"), Class::NeedsPerson)
    );
    assert!(denied.message.contains("new organisation"), "{denied}");
}
