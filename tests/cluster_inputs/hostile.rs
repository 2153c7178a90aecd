//! Names and errors that are made to confuse; objects that cannot be read; secrets that must stay secret.

use serde_json::{Value, json};

use crate::support::contoso::*;
use crate::support::{ControlPlane, Options, wait};

/// What no terminal should be sent.
pub(crate) fn is_harmless(text: &str) -> bool {
    text.chars()
        .all(|c| (!c.is_control() || c == '\n') && !('\u{202a}'..='\u{202e}').contains(&c))
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_names_and_errors_are_tamed() {
    let name = format!("\u{1b}[31mContoso\u{7}\u{202e}UAT\n{}", "x".repeat(1 << 20));
    let fails = json!({"errorName": "\u{1b}[2J", "message": format!("\u{1b}]0;owned\u{7}{}", "no ".repeat(1 << 18))});
    let packages = json!({CORE: {"failsWith": fails, "installTakes": "1m"}});
    let world = world(environment(
        SPEC,
        json!({"displayName": name, "packages": packages}),
    ))
    .await;
    connect(&world, json!({})).await;
    let connection = says(&world, "Ready", "False", "InstallFailed", &["Contoso"]).await;
    quiet(&world, INTERVAL * 2).await;
    let texts = [
        connection["status"].to_string(),
        Value::from(world.operations().await).to_string(),
        Value::from(world.events().await).to_string(),
    ];
    for text in texts {
        assert!(text.len() < 100_000, "{} bytes", text.len());
        assert!(
            !text.contains("\\u001b") && !text.contains("\\u0007"),
            "{text}"
        );
        assert!(is_harmless(&text), "{text:?}");
    }
    assert!(world.operator_log().iter().all(|line| is_harmless(line)));
}

/// Unique markers for everything that is secret, and every way in which it could come out.
#[tokio::test(flavor = "multi_thread")]
async fn secrets_never_come_out() {
    let (client_secret, password) = ("marker-client-secret-4711", "marker-password-0815");
    let tenant = json!({"applications": {CLIENT: {"secrets": [client_secret]}}, "accounts": {ACCOUNT: {"password": password}}});
    let mut world = builder().start().await;
    world
        .patch_state(json!({"tenants": {TENANT: tenant}}))
        .await;
    let application = json!({"clientId": CLIENT, "clientSecret": client_secret});
    secret(&world, "contoso-entra", application).await;
    let account = json!({"username": ACCOUNT, "password": password});
    secret(&world, "contoso-dual-write-account", account).await;
    // A service that echoes what it was sent: first to the application, which is alone then, and then to the account.
    let echo = |secret: &str| {
        let text = format!("no {secret} client_secret={secret}&password={secret}");
        let body = json!({"error": "invalid_request", "error_description": text});
        json!({"call": "token", "effect": {"status": 400, "body": body}})
    };
    world.fault(echo(client_secret)).await;
    world.start_operator(&[]).await;
    connect(
        &world,
        json!({"link": {"observe": "Never", "method": "Manual"}, "setup": {"acceptTerms": false}}),
    )
    .await;
    world
        .wait_for("event", SOON, |event| {
            event["note"].to_string().contains("[redacted]")
        })
        .await;
    says(&world, "Ready", "False", "TermsNotAccepted", &[]).await;
    change(&world, json!({"setup": {"acceptTerms": true}})).await;
    says(&world, "Ready", "True", "ConnectedLinkUnverified", &[]).await;
    world.fault(echo(password)).await;
    change(
        &world,
        json!({"link": {"observe": "Always", "method": "Service"}}),
    )
    .await;
    says(
        &world,
        "Ready",
        "False",
        "CredentialRefused",
        &["[redacted]"],
    )
    .await;
    let wrong = json!({"clientId": CLIENT, "clientSecret": "marker-wrong-secret"});
    secret(&world, "contoso-entra", wrong).await;
    says(&world, "Ready", "False", "ClientSecretInvalid", &[]).await;
    quiet(&world, INTERVAL).await;
    let objects = [
        world.list("dwc").await,
        world.operations().await,
        world.events().await,
    ]
    .concat();
    let requests: Vec<_> = world.api.requests();
    let places = [
        ("objects and events", Value::from(objects).to_string()),
        ("log", world.operator_log().join("\n")),
        ("metrics", world.metrics().await),
        ("requests to Kubernetes", format!("{requests:?}")),
    ];
    for (place, text) in places {
        for marker in ["marker-", "simulated.", "Bearer"] {
            assert!(!text.contains(marker), "{marker} in {place}: {text}");
        }
    }
}

/// One object that nobody can parse does not stop the others.
#[tokio::test(flavor = "multi_thread")]
async fn a_stored_object_that_cannot_be_read_does_not_stop_the_others() {
    // Of its own, because its definition is loosened.
    let control_plane = ControlPlane::start(Options::default()).await;
    let mut crd: Value = control_plane
        .admin()
        .run(&[
            "get",
            "crd",
            "dualwriteconnections.dualwrite.dev",
            "-o",
            "json",
        ])
        .await
        .json();
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"] =
        json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let _ = crd["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("managedFields");
    let replaced = control_plane
        .admin()
        .run_with_input(&["replace", "-f", "-"], &crd.to_string())
        .await;
    replaced.ok();
    let mut world = builder().control_plane(control_plane).start().await;
    world.patch_state(linked(SPEC)).await;
    create_secrets(&world).await;
    let mut poison = connection("aaa-poison", json!({}));
    poison["spec"]["interval"] = json!({"not": "a text"});
    poison["spec"]["credentials"] = json!(5);
    // The API server goes over to the looser definition a moment later.
    let poison = poison.to_string();
    wait::polling("the looser definition", SOON, || async {
        let applied = world.admin().apply(&poison).await;
        applied.success().then_some(())
    })
    .await;
    // Without the schema there are no defaults either, so everything is given.
    let defaults = json!({
        "mode": "Manage", "suspend": false, "cloud": "Public", "deletionPolicy": "Retain",
        "setup": {"method": "Install", "timeout": "90m"},
        "link": {"observe": "Always", "timeout": "15m", "manualTimeout": "7d"},
        "mismatch": {"policy": "Report", "approval": "Required", "startMaps": "Never", "onMix": "Report", "force": false, "allowProduction": false},
    });
    world.start_operator(&[]).await;
    connect(&world, defaults).await;
    ready(&world).await;
    let said = world
        .wait_condition("aaa-poison", "Stalled", "True", Some("SpecInvalid"))
        .await;
    assert_says(&said, "Ready", "False", "SpecInvalid", &["cannot be used"]);
}
