//! Two namespaces: nothing of one is to be had in the other, neither by a name nor by what is shared inside the operator.

use serde_json::{Value, json};

use super::hosts::refusal;
use crate::support::World;
use crate::support::contoso::*;

/// Contoso's namespace with a connection that is Ready, and Fabrikam's; one operator, so one memory of sessions.
async fn neighbours() -> (World, World) {
    let mut contoso = builder().start().await;
    contoso.patch_state(linked(SPEC)).await;
    create_secrets(&contoso).await;
    let fabrikam = World::builder().start().await;
    let namespaces = format!("{},{}", contoso.namespace, fabrikam.namespace);
    contoso
        .start_operator(&["--watch-namespaces", &namespaces])
        .await;
    connect(&contoso, json!({})).await;
    ready(&contoso).await;
    (contoso, fabrikam)
}

/// Nothing that Microsoft has answered to Contoso.
async fn sees_nothing(fabrikam: &World, contoso: &World) {
    let object = fabrikam.connection(NAME).await;
    assert_eq!(object["status"]["observed"], Value::Null, "{object:#}");
    let mut places = fabrikam.list("event").await;
    places.push(object["status"].clone());
    for place in places {
        let text = place.to_string();
        for secret in [
            "Contoso UAT",
            "crm4.dynamics.com",
            "contoso-uat-set",
            &contoso.namespace,
        ] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
    }
    assert_eq!(fabrikam.operations().await, Vec::<Value>::new());
}

/// Who names the tenant and the application, but does not have the secret, gets nothing: neither a token that is in
/// memory nor a list that was read with it. The Secrets have the names that they have in the other namespace.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_names_in_another_namespace_open_nothing() {
    let (contoso, fabrikam) = neighbours().await;
    connect(&fabrikam, json!({})).await;
    let object = fabrikam
        .wait_condition(NAME, "Ready", "False", Some("SecretNotFound"))
        .await;
    assert_says(
        &object,
        "CredentialsValid",
        "False",
        "SecretNotFound",
        &["'contoso-entra'", &fabrikam.namespace],
    );
    sees_nothing(&fabrikam, &contoso).await;

    let guess = json!({"clientId": CLIENT, "clientSecret": "not-it"});
    secret(&fabrikam, "contoso-entra", guess).await;
    let guess = json!({"username": ACCOUNT, "password": "not-it"});
    secret(&fabrikam, "contoso-dual-write-account", guess).await;
    let object = fabrikam
        .wait_condition(NAME, "Ready", "False", Some("ClientSecretInvalid"))
        .await;
    assert_says(
        &object,
        "CredentialsValid",
        "False",
        "ClientSecretInvalid",
        &["AADSTS7000215"],
    );
    sees_nothing(&fabrikam, &contoso).await;
    // The other one is neither disturbed, nor locked out.
    reconcile_at(&contoso, "now").await;
    let read = |object: &Value| object["status"]["lastHandledReconcileAt"] == "now";
    contoso.wait_for(&format!("dwc/{NAME}"), SOON, read).await;
    ready(&contoso).await;
}

/// A name is the name of something in the same namespace, whatever is written into it.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_cannot_reach_into_another_namespace() {
    let (contoso, fabrikam) = neighbours().await;
    let there = &contoso.namespace;
    let mut names: Vec<String> = [
        "..", ".", "../x", "a/b", "a%2fb", "%2e%2e", "..%2f", "a\\b", "a b", "a?b", "a#b", "a;b",
        "A", "ä", "a\u{0}b", "a\nb", "-a", "a-", ".a", "a.", "",
    ]
    .map(str::to_owned)
    .into();
    names.push(format!("{there}/contoso-entra"));
    names.push(format!("../../{there}/secrets/contoso-entra"));
    names.push(format!(
        "..%2F..%2Fnamespaces%2F{there}%2Fsecrets%2Fcontoso-entra"
    ));
    names.push("a".repeat(254));
    for name in names {
        for spec in [
            json!({"credentials": {"secretRef": {"name": name}}}),
            json!({"credentials": {"secretRef": null, "serviceAccountRef": {"name": name}, "clientId": CLIENT}}),
            json!({"dualWriteService": {"secretRef": {"name": name}}}),
        ] {
            let refused = refusal(&fabrikam, connection(NAME, spec)).await;
            let said = [
                "name of an object in this namespace",
                "may not be more than 253",
                "at least 1 chars",
            ];
            assert!(
                said.iter().any(|part| refused.contains(part)),
                "{name:?}: {refused}"
            );
        }
    }
    // Dots are allowed in names of Secrets: what the API server would make of them is one segment of a path.
    connect(
        &fabrikam,
        json!({"credentials": {"secretRef": {"name": "a..b"}}}),
    )
    .await;
    fabrikam
        .wait_condition(NAME, "Ready", "False", Some("SecretNotFound"))
        .await;
    let asked: Vec<_> = contoso
        .api
        .requests()
        .into_iter()
        .map(|seen| seen.path)
        .filter(|path| path.contains("/secrets/"))
        .collect();
    let own = |path: &&String| path.contains(&fabrikam.namespace);
    for path in asked.iter().filter(own) {
        assert_eq!(
            *path,
            format!("/api/v1/namespaces/{}/secrets/a..b", fabrikam.namespace)
        );
    }
    assert!(asked.iter().any(|path| own(&path)));
}
