use HostKind::{Authority, Dataverse, DualWriteService, FinanceOperations};
use dualwrite_microsoft::power_platform::{environment, environments};
use dualwrite_microsoft::{Cloud, HostKind, HostPolicy};

use crate::support::*;

#[test]
fn only_known_hosts_are_allowed_and_the_refusal_says_how_to_add_one() {
    let policy = HostPolicy {
        extra_suffixes: vec!["*.fabrikam.example".into()],
    };
    let check = |kind, host: &str| policy.check(Cloud::Public, kind, host);
    for (kind, good) in [
        (Dataverse, "contoso.crm.dynamics.com"),
        (Dataverse, "Contoso.CRM19.dynamics.com"),
        (FinanceOperations, "contoso.operations.dynamics.com"),
        (
            FinanceOperations,
            "contoso.sandbox.operations.eu.dynamics.com",
        ),
        (FinanceOperations, "contoso-devaos.axcloud.dynamics.com"),
        (DualWriteService, DUAL_WRITE),
        (DualWriteService, ELSEWHERE),
        (Authority, AUTHORITY),
    ] {
        assert!(check(kind, good).is_ok(), "{good}");
    }
    for (kind, bad) in [
        (Dataverse, "contoso.crmx.dynamics.com"),
        (Dataverse, "crm4.dynamics.com"),
        (Dataverse, "contoso.crm4.dynamics.com.fabrikam.org"),
        (Dataverse, "contoso.evilcrm4.dynamics.com"),
        (Dataverse, "contoso.crm4.dynamics.com."),
        (Dataverse, "contoso.crm4.dynamics.com:8443"),
        (Dataverse, "a@contoso.crm4.dynamics.com"),
        (Dataverse, "xn--cntoso-yxa.crm4.dynamics.com"),
        (Dataverse, "c\u{43e}ntoso.crm4.dynamics.com"),
        (Dataverse, "127.0.0.1"),
        (Dataverse, "[::1]"),
        (Dataverse, "0x7f.1"),
        (Dataverse, "a..crm4.dynamics.com"),
        (Dataverse, ""),
        (FinanceOperations, "operations.dynamics.com"),
        (FinanceOperations, "contoso.operations.a.b.dynamics.com"),
        (
            DualWriteService,
            "projectmanagementservice2.x.gateway.prod.island.powerapps.com",
        ),
        (
            DualWriteService,
            "x.projectmanagementservice.gateway.prod.island.powerapps.com",
        ),
        (Authority, ELSEWHERE),
    ] {
        assert!(check(kind, bad).is_err(), "{bad}");
    }
    let refusal = check(DualWriteService, "gateway.fabrikam.org")
        .unwrap_err()
        .to_string();
    for part in [
        "gateway.fabrikam.org",
        "dualWriteService.url",
        "gateway.prod.island.powerapps.com",
        "--allow-host-suffix",
    ] {
        assert!(refusal.contains(part), "{part} in {refusal}");
    }
    assert!(
        HostPolicy {
            extra_suffixes: vec![String::new(), ".".into()]
        }
        .check(Cloud::Public, Dataverse, "a.b")
        .is_err()
    );
}

#[tokio::test]
async fn an_id_cannot_leave_its_place_in_the_path() {
    let server = Server::start(|_, _| json(404, "{}")).await;
    let session = server.application();
    assert!(
        environment(&session, "..")
            .await
            .unwrap_err()
            .message
            .contains("path")
    );
    environment(&session, "a/../b?c=%2e%2e#d")
        .await
        .unwrap_err();
    let target = &server.seen_at(POWER_PLATFORM)[0].target;
    assert_eq!(
        target,
        "/environmentmanagement/environments/a%2F..%2Fb%3Fc=%252e%252e%23d?api-version=2024-10-01"
    );
    assert!(environments(&session).await.is_err());
}
