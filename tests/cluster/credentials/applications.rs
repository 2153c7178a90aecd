//! The application: certificate and federation.

use serde_json::{Value, json};

use super::nothing_leaked;
use crate::support::contoso::*;
use crate::support::{keys, namespace};

/// Tokens that are fetched anew at nearly every look, so that a change at Entra's side shows soon.
fn short_tokens() -> Value {
    json!({"settings": {"tokenLifetime": "3s"}})
}

fn trusts(certificates: &[String]) -> Value {
    application(json!({"secrets": [], "certificates": certificates}))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_signs_in_and_is_rotated_while_the_operator_runs() {
    let world = world(both(linked(SPEC), short_tokens())).await;
    let contoso = certificate_secret(keys::CONTOSO, 90);
    let pem = |secret: &Value| secret["clientCertificate"].as_str().unwrap().to_owned();
    world.patch_state(trusts(&[pem(&contoso)])).await;
    secret(&world, "contoso-entra", contoso.clone()).await;
    connect(&world, json!({})).await;
    ready(&world).await;

    // Somebody removes the certificate from the app registration.
    world.patch_state(trusts(&[])).await;
    let parts = ["AADSTS700027", "Upload the certificate's public part"];
    says(
        &world,
        "CredentialsValid",
        "False",
        "ClientCertificateRefused",
        &parts,
    )
    .await;

    // A new one: first at Entra, then in the Secret.
    let fabrikam = certificate_secret(keys::FABRIKAM, 90);
    world
        .patch_state(trusts(&[pem(&contoso), pem(&fabrikam)]))
        .await;
    ready(&world).await;
    world.patch_state(trusts(&[pem(&fabrikam)])).await;
    says(
        &world,
        "CredentialsValid",
        "False",
        "ClientCertificateRefused",
        &[],
    )
    .await;
    secret(&world, "contoso-entra", fabrikam).await;
    ready(&world).await;
    nothing_leaked(&world, &["PRIVATE KEY", "eyJ"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_account_signs_in_without_any_secret() {
    let world = world(both(linked(SPEC), short_tokens())).await;
    delete(&world, "secret/contoso-entra").await;
    connect(&world, federated()).await;
    // The namespace has to grant it, and the message is the command.
    let parts = ["kubectl create rolebinding dualwrite-operator-federation"];
    let object = says(
        &world,
        "CredentialsValid",
        "False",
        "NamespaceNotGranted",
        &parts,
    )
    .await;
    let text = message(&object, "CredentialsValid");
    let command: Vec<&str> = text[text.find("kubectl ").unwrap()..]
        .split_whitespace()
        .skip(1)
        .collect();
    world.kubectl(&command).await.ok();
    let parts = ["The ServiceAccount 'contoso-erp' does not exist"];
    says(
        &world,
        "CredentialsValid",
        "False",
        "ServiceAccountNotFound",
        &parts,
    )
    .await;
    world
        .kubectl(&["create", "serviceaccount", "contoso-erp"])
        .await
        .ok();
    let subject = format!("system:serviceaccount:{}:contoso-erp", world.namespace);
    says(
        &world,
        "CredentialsValid",
        "False",
        "FederationRefused",
        &[&subject, "AADSTS700211"],
    )
    .await;

    let keys = world.kubectl(&["get", "--raw", "/openid/v1/jwks"]).await;
    let keys: Value = serde_json::from_str(&keys.ok()).unwrap();
    let issuer = "https://kubernetes.default.svc";
    let credential = json!({"issuer": issuer, "subject": subject, "keys": keys});
    let trusts = |credentials: Value| application(json!({"secrets": [], "federated": credentials}));
    world.patch_state(trusts(json!([credential]))).await;
    ready(&world).await;

    world.patch_state(trusts(json!([]))).await;
    says(
        &world,
        "CredentialsValid",
        "False",
        "FederationRefused",
        &[],
    )
    .await;
    world.patch_state(trusts(json!([credential]))).await;
    ready(&world).await;
    nothing_leaked(&world, &["eyJ"]).await;
}

/// The one `ServiceAccount` of a namespace says nothing about another's.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_account_of_another_namespace_is_not_used() {
    let world = world(both(linked(SPEC), short_tokens())).await;
    let role = "dualwrite-operator-federation";
    let can = ["", "serviceaccounts/token", "create"];
    namespace::grant(&world.client(), &world.namespace, role, can).await;
    // dualwrite-system has one of this name: the operator's own.
    let spec = json!({"credentials": {"secretRef": null, "serviceAccountRef": {"name": "dualwrite-operator"}, "clientId": CLIENT}});
    connect(&world, spec).await;
    says(
        &world,
        "CredentialsValid",
        "False",
        "ServiceAccountNotFound",
        &[],
    )
    .await;
    quiet(&world, 3).await;
}
