//! Secrets and identities that are not what they should be.

use serde_json::{Value, json};

use crate::support::contoso::*;
use crate::support::{World, keys};

struct Case {
    state: Value,
    application: Value,
    account: Value,
    spec: Value,
    reason: &'static str,
    parts: &'static [&'static str],
}

/// The condition says what to do; nothing is changed, and nothing is written again and again.
async fn is_said(case: Case) {
    let mut world = builder().start().await;
    if case.state != Value::Null {
        world.patch_state(case.state).await;
    }
    secret(&world, "contoso-entra", case.application).await;
    secret(&world, "contoso-dual-write-account", case.account).await;
    world.start_operator(&[]).await;
    connect(&world, case.spec).await;
    let connection = says(&world, "CredentialsValid", "False", case.reason, case.parts).await;
    assert_says(&connection, "Ready", "False", case.reason, case.parts);
    assert_says(&connection, "Stalled", "True", case.reason, &[]);
    quiet(&world, 3).await;
    assert_eq!(mutations(&world).await, Vec::<String>::new());
    assert_eq!(world.calls().await["unknown"], Value::Null);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn credentials_that_do_not_work_say_why() {
    let good = || json!({"clientId": CLIENT, "clientSecret": "contoso-secret"});
    let person = || json!({"username": ACCOUNT, "password": "contoso-password"});
    let case = |name: &str, state, application, account, spec, reason, parts| {
        let case = Case {
            state,
            application,
            account,
            spec,
            reason,
            parts,
        };
        (name.to_owned(), case)
    };
    let (null, nothing) = (|| Value::Null, || json!({}));
    #[rustfmt::skip]
    let cases = vec![
        case("wrong secret", null(), json!({"clientId": CLIENT, "clientSecret": "wrong"}), person(), nothing(), "ClientSecretInvalid", &["AADSTS7000215", "not its Secret ID"]),
        case("expired secret", application(json!({"expired": true})), good(), person(), nothing(), "ClientSecretExpired", &["AADSTS7000222", "Create a new client secret"]),
        case("unknown application", null(), json!({"clientId": "00000000-0000-4000-8000-00000000dead", "clientSecret": "contoso-secret"}), person(), nothing(), "ApplicationNotFound", &["AADSTS700016", "clientId and tenantId"]),
        case("wrong tenant", null(), good(), person(), json!({"credentials": {"tenantId": "00000000-0000-4000-8000-00000000dead"}}), "TenantNotFound", &["AADSTS90002", "Check tenantId and cloud"]),
        case("no consent", application(json!({"consent": false})), good(), person(), nothing(), "ConsentMissing", &["AADSTS65001", "grant admin consent"]),
        case("no Secret", null(), good(), person(), json!({"credentials": {"secretRef": {"name": "not-there"}}}), "SecretNotFound", &["'not-there'", "create it there"]),
        case("no account Secret", null(), good(), person(), json!({"dualWriteService": {"secretRef": {"name": "not-there"}}}), "SecretNotFound", &["'not-there'"]),
        case("no key", null(), json!({"clientId": CLIENT}), person(), nothing(), "SecretInvalid", &["'contoso-entra'", "lacks the key clientSecret"]),
        case("an empty key", null(), json!({"clientId": CLIENT, "clientSecret": "\n"}), person(), nothing(), "SecretInvalid", &["empty clientSecret"]),
        case("a certificate", null(), json!({"clientId": CLIENT, "clientCertificate": "PEM"}), person(), nothing(), "SecretInvalid", &["'contoso-entra'", "clientCertificate that has no PEM certificate"]),
        case("two credentials", null(), json!({"clientId": CLIENT, "clientSecret": "contoso-secret", "clientCertificate": "PEM"}), person(), nothing(), "SecretInvalid", &["remove one"]),
        case("a certificate of somebody else's", null(), certificate_secret(keys::FABRIKAM, 90), person(), nothing(), "ClientCertificateRefused", &["AADSTS700027", "Upload the certificate's public part"]),
        case("an expired certificate", null(), certificate_secret(keys::CONTOSO, -1), person(), nothing(), "ClientCertificateExpired", &["'contoso-entra'", "expired on"]),
        case("no ServiceAccount", null(), good(), person(), federated(), "NamespaceNotGranted", &["--clusterrole=dualwrite-operator-federation"]),
        case("two ways to sign in", null(), good(), json!({"username": ACCOUNT, "password": "contoso-password", "refreshToken": "0.token"}), nothing(), "SecretInvalid", &["refreshToken too: remove one"]),
        case("no password", null(), good(), json!({"username": ACCOUNT}), nothing(), "SecretInvalid", &["lacks the key password"]),
        case("multi-factor", account(json!({"mfa": true})), good(), person(), nothing(), "MfaRequired", &["AADSTS50076", "no multifactor or conditional access policy"]),
        case("a locked account", account(json!({"locked": true})), good(), person(), nothing(), "AccountLocked", &["AADSTS50053"]),
    ];
    side_by_side(cases, is_said).await;
}

/// Accounts lock: a refused password is tried once, and again when the Secret has changed.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_password_is_tried_once() {
    let world = world(linked(SPEC)).await;
    let wrong = json!({"username": ACCOUNT, "password": "wrong"});
    secret(&world, "contoso-dual-write-account", wrong).await;
    connect(&world, json!({})).await;
    let parts = ["AADSTS50126", "does not try a refused password again"];
    says(&world, "Ready", "False", "PasswordInvalid", &parts).await;
    quiet(&world, 3).await;
    let failed = |world: &World| {
        let control = world.simulator().control().clone();
        async move {
            control.state().await["tenants"][TENANT]["accounts"][ACCOUNT]["failedSignIns"].clone()
        }
    };
    assert_eq!(failed(&world).await, 1);
    // Not even when somebody asks, within ten minutes.
    reconcile_at(&world, "again").await;
    world
        .wait_for(&format!("dwc/{NAME}"), SOON, |connection| {
            connection["status"]["lastHandledReconcileAt"] == "again"
        })
        .await;
    quiet(&world, 2).await;
    assert_eq!(failed(&world).await, 1);
    let right = json!({"username": ACCOUNT, "password": "contoso-password"});
    secret(&world, "contoso-dual-write-account", right).await;
    ready(&world).await;
}

/// The message has the exact command; running it makes the operator go on.
#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_did_not_opt_in_is_told_how() {
    let mut world = builder().not_opted_in().start().await;
    world.patch_state(linked(SPEC)).await;
    create_secrets(&world).await;
    world.start_operator(&[]).await;
    connect(&world, json!({})).await;
    let connection = says(
        &world,
        "CredentialsValid",
        "False",
        "NamespaceNotGranted",
        &["kubectl create rolebinding"],
    )
    .await;
    assert_says(&connection, "Stalled", "True", "NamespaceNotGranted", &[]);
    quiet(&world, 3).await;
    let text = message(&connection, "CredentialsValid");
    let at = text.find("kubectl ").unwrap();
    let command: Vec<&str> = text[at..].split_whitespace().skip(1).collect();
    world.kubectl(&command).await.ok();
    ready(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_mended_is_used_within_an_interval() {
    let world = world(linked(SPEC)).await;
    secret(
        &world,
        "contoso-entra",
        json!({"clientId": CLIENT, "clientSecret": "wrong"}),
    )
    .await;
    connect(&world, json!({})).await;
    says(&world, "Ready", "False", "ClientSecretInvalid", &[]).await;
    create_secrets(&world).await;
    ready(&world).await;
}

/// Only Entra itself refuses a password: a bare 401 of something in between is tried again.
#[tokio::test(flavor = "multi_thread")]
async fn a_bare_401_is_no_refused_password() {
    let world = world(linked(SPEC)).await;
    // One for the application, one for the account, in whichever order they come.
    let fault = json!({"call": "token", "times": 2, "effect": {"status": 401}});
    let fault = world.fault(fault).await;
    connect(&world, json!({})).await;
    let control = world.simulator().control();
    control.fault_fired(&fault, 2, SOON).await;
    ready(&world).await;
}
