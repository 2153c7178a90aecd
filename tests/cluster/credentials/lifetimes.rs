//! Credentials that end, and refusals that outlive the process.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::support::contoso::*;
use crate::support::{World, keys};

const METRIC: &str = "dualwrite_credential_expires_timestamp_seconds";

fn day(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d").to_string()
}

/// The sample of a connection's credential, if there is one.
async fn expiry(world: &World, kind: &str) -> Option<String> {
    let text = world.metrics().await;
    let line = text.lines().find(|line| {
        line.starts_with(METRIC)
            && line.contains(&format!("kind=\"{kind}\""))
            && line.contains(&format!("namespace=\"{}\"", world.namespace))
    })?;
    line.rsplit(' ').next().map(str::to_owned)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_ends_soon_is_spoken_of_until_it_is_renewed() {
    let world = world(linked(SPEC)).await;
    let (soon, later) = (
        certificate_secret(keys::CONTOSO, 20),
        certificate_secret(keys::FABRIKAM, 90),
    );
    let trusted = json!([soon["clientCertificate"], later["clientCertificate"]]);
    world
        .patch_state(application(json!({"secrets": [], "certificates": trusted})))
        .await;
    secret(&world, "contoso-entra", soon).await;
    connect(&world, json!({})).await;
    let ends = keys::midnight(20);
    let parts = [
        "'contoso-entra' expires on",
        &day(ends),
        "upload the public part",
    ];
    let object = says(&world, "CredentialsValid", "True", "Authenticated", &parts).await;
    assert_eq!(
        object["status"]["credentials"][0]["expiresAt"],
        json!(ends.to_string())
    );
    ready(&world).await;
    quiet(&world, 3).await;
    let sample = expiry(&world, "ClientCertificate").await;
    assert_eq!(sample, Some(ends.as_second().to_string()));

    secret(&world, "contoso-entra", later).await;
    world
        .wait_for(&format!("dwc/{NAME}"), SOON, |object| {
            let text = message(object, "CredentialsValid");
            !text.is_empty() && !text.contains("expires on")
        })
        .await;
}

/// Of a client secret only a person knows the day, and notes it.
#[tokio::test(flavor = "multi_thread")]
async fn a_noted_day_is_spoken_of() {
    let world = world(linked(SPEC)).await;
    let ends = day(keys::midnight(10));
    for name in ["contoso-entra", "contoso-dual-write-account"] {
        let noted = json!({"metadata": {"annotations": {"dualwrite.dev/expires-on": ends}}});
        patch(&world, &format!("secret/{name}"), noted).await;
    }
    connect(&world, json!({})).await;
    let secret = format!("The client secret of Secret 'contoso-entra' expires on {ends}");
    let password = format!("The password of Secret 'contoso-dual-write-account' expires on {ends}");
    says(
        &world,
        "CredentialsValid",
        "True",
        "Authenticated",
        &[&secret, &password],
    )
    .await;
}

async fn failed_sign_ins(world: &World) -> Value {
    let state = world.simulator().control().state().await;
    state["tenants"][TENANT]["accounts"][ACCOUNT]["failedSignIns"].clone()
}

/// Accounts lock: neither a restart nor another connection tries a refused password again.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_password_is_not_tried_again_by_the_next_process() {
    let mut world = world(linked(SPEC)).await;
    let wrong = json!({"username": ACCOUNT, "password": "marker-wrong"});
    secret(&world, "contoso-dual-write-account", wrong).await;
    connect(&world, json!({})).await;
    let object = says(&world, "CredentialsValid", "False", "PasswordInvalid", &[]).await;
    let told = message(&object, "CredentialsValid");
    world
        .wait_for(&format!("dwc/{NAME}"), SOON, |object| {
            object["status"]["credentials"][1]["refused"].is_object()
        })
        .await;
    quiet(&world, 2).await;
    for round in ["first", "second"] {
        world.restart_operator(&[]).await;
        let spec = json!({"mode": "Observe", "link": {"method": "Manual"}});
        let name = format!("contoso-{round}");
        create(&world, "dwc", connection(&name, spec)).await;
        world
            .wait_condition(&name, "CredentialsValid", "False", Some("PasswordInvalid"))
            .await;
        reconcile_at(&world, round).await;
        let round = round.to_owned();
        let object = world
            .wait_for(&format!("dwc/{NAME}"), SOON, move |object| {
                object["status"]["lastHandledReconcileAt"] == *round
            })
            .await;
        assert_eq!(message(&object, "CredentialsValid"), told);
        assert_eq!(failed_sign_ins(&world).await, 1);
    }
    let status = world.connection(NAME).await["status"].to_string();
    assert!(!status.contains("marker"), "{status}");

    let right = json!({"username": ACCOUNT, "password": "contoso-password"});
    secret(&world, "contoso-dual-write-account", right).await;
    ready(&world).await;
    let object = world.connection(NAME).await;
    assert_eq!(object["status"]["credentials"][1]["refused"], Value::Null);
}
