//! The workload identity of the operator's own pod: in the namespaces that are allowed, and nowhere else.
//!
//! The statement is a real token of the API server, in a file as the kubelet would keep it, and the simulator's Entra looks
//! at its issuer, subject, audience and signature.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::nothing_leaked;
use crate::support::contoso::*;
use crate::support::{Seen, World};

const ALLOW: &str = "--allow-ambient-identity-in";
const POD: &str = "operator-identity";

/// A spec that asks for the identity of the operator's own pod.
fn ambient() -> Value {
    json!({"credentials": {"secretRef": null, "ambient": true}})
}

/// A world in which the operator's process has the variables of a workload identity, and Entra trusts it. The operator is not
/// started.
struct Pod {
    world: World,
    /// Gone when the test ends.
    folder: tempfile::TempDir,
    /// How often a Secret was read before this run of the operator; `None`: there was none yet.
    secrets_before: Option<usize>,
}

impl Pod {
    /// Linked, with tokens that are fetched anew at nearly every look, so that a change shows soon.
    async fn new() -> Self {
        let short = json!({"settings": {"tokenLifetime": "3s"}});
        Self::of(builder().start().await, both(linked(SPEC), short)).await
    }

    async fn of(mut world: World, state: Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        if state != Value::Null {
            world.patch_state(state).await;
        }
        create_secrets(&world).await;
        world.set_variable("AZURE_CLIENT_ID", CLIENT);
        world.set_variable("AZURE_TENANT_ID", TENANT);
        let authority = "https://login.microsoftonline.com/";
        world.set_variable("AZURE_AUTHORITY_HOST", authority);
        let mut pod = Self {
            world,
            folder,
            secrets_before: None,
        };
        let file = pod.file().display().to_string();
        pod.world.set_variable("AZURE_FEDERATED_TOKEN_FILE", &file);
        pod.trusts(POD).await;
        pod.rotate(POD).await;
        pod
    }

    /// How often a Secret was read until now.
    fn secrets_read(&self) -> usize {
        let secrets = |request: &&Seen| request.path.contains("/secrets");
        self.world.api.requests().iter().filter(secrets).count()
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("azure-identity-token")
    }

    /// A new token of this `ServiceAccount`, put in place of the old one at once, as the kubelet does it.
    async fn rotate(&self, account: &str) {
        let create = ["create", "serviceaccount", account];
        self.world.kubectl(&create).await;
        let audience = "--audience=api://AzureADTokenExchange";
        let create = ["create", "token", account, audience];
        let token = self.world.kubectl(&create).await.ok();
        let new = self.folder.path().join("new");
        std::fs::write(&new, token).unwrap();
        std::fs::rename(new, self.file()).unwrap();
    }

    /// Entra trusts this `ServiceAccount` alone: no secret, no certificate.
    async fn trusts(&self, account: &str) {
        let keys = self.world.kubectl(&["get", "--raw", "/openid/v1/jwks"]);
        let keys: Value = serde_json::from_str(&keys.await.ok()).unwrap();
        let subject = format!("system:serviceaccount:{}:{account}", self.world.namespace);
        let issuer = "https://kubernetes.default.svc";
        let credential = json!({"issuer": issuer, "subject": subject, "keys": keys});
        let trust = json!({"secrets": [], "federated": [credential]});
        self.world.patch_state(application(trust)).await;
    }

    async fn start(&mut self, allowed: &[&str]) {
        if self.secrets_before.is_some() {
            self.world.stop_operator().await;
        }
        self.secrets_before = Some(self.secrets_read());
        self.world.simulator().control().clear_calls().await;
        let flags: Vec<&str> = allowed.iter().flat_map(|name| [ALLOW, name]).collect();
        self.world.start_operator(&flags).await;
    }

    async fn is_refused(&self, reason: &str, parts: &[&str]) -> Value {
        let object = says(&self.world, "CredentialsValid", "False", reason, parts).await;
        assert_says(&object, "Ready", "False", reason, parts);
        assert_says(&object, "Stalled", "True", reason, &[]);
        object
    }

    /// Nothing was called, and no Secret was read, in a whole run of the operator.
    async fn nothing_was_used(&self) {
        quiet(&self.world, 2).await;
        assert_eq!(self.world.calls().await, json!({"hosts": {}}));
        assert_eq!(Some(self.secrets_read()), self.secrets_before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_identity_of_the_pod_signs_in_and_its_file_is_read_anew() {
    let mut pod = Pod::new().await;
    let own = pod.world.namespace.clone();
    pod.start(&["fabrikam", &own]).await;
    let world = &pod.world;
    delete(world, "secret/contoso-entra").await;
    connect(world, ambient()).await;
    let object = ready(world).await;
    let known = &object["status"]["credentials"][0];
    assert_eq!(
        (&known["usedFor"], &known["kind"], &known["source"]),
        (
            &json!("Application"),
            &json!("WorkloadIdentity"),
            &json!(CLIENT)
        )
    );

    // Another statement is needed by now, and none is there; then it is.
    pod.trusts("rotated").await;
    let refused = "FederationRefused";
    says(world, "CredentialsValid", "False", refused, &[POD]).await;
    std::fs::write(pod.file(), "").unwrap();
    let parts = ["is empty", "AZURE_FEDERATED_TOKEN_FILE"];
    let missing = "AmbientIdentityMissing";
    says(world, "CredentialsValid", "False", missing, &parts).await;
    std::fs::remove_file(pod.file()).unwrap();
    let parts = ["cannot be read", "azure-identity-token"];
    says(world, "CredentialsValid", "False", missing, &parts).await;
    pod.rotate("rotated").await;
    ready(world).await;
    nothing_leaked(world, &["eyJ"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_is_not_allowed_gets_nothing() {
    let mut pod = Pod::new().await;
    let own = pod.world.namespace.clone();
    pod.start(&[]).await;
    connect(&pod.world, ambient()).await;
    let flag = format!("{ALLOW} {own}");
    let reason = "AmbientIdentityNotAllowed";
    let parts = [&own, &flag, "credentials.secretRef", "administrator"];
    let object = pod
        .is_refused(reason, &parts.map(|part| part as &str))
        .await;
    assert!(!message(&object, "Ready").contains(CLIENT));
    pod.nothing_was_used().await;
    // One of a longer name, and one of a shorter.
    let (longer, shorter) = (format!("{own}-2"), own[..own.len() - 1].to_owned());
    pod.start(&[&longer, &shorter]).await;
    quiet(&pod.world, 3).await;
    pod.is_refused(reason, &[&flag]).await;
    pod.nothing_was_used().await;
    pod.start(&[&own]).await;
    ready(&pod.world).await;
}

/// An installation is under way when the administrator takes the namespace off the flag: it stands still, says what is
/// missing, and goes on when that is back; nothing is sent twice.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_under_way_stands_still_when_its_namespace_is_not_allowed_any_more() {
    // In real time: an installation takes half an hour, unless the clock is moved.
    let world = builder().time_scale(1.0).start().await;
    let mut pod = Pod::of(world, Value::Null).await;
    let own = pod.world.namespace.clone();
    pod.start(&[&own]).await;
    connect(
        &pod.world,
        both(ambient(), json!({"setup": {"timeout": "24h"}})),
    )
    .await;
    let sent = |object: &Value| object["status"]["steps"][0]["state"] == "Sent";
    pod.world.wait_for("dwo", SOON, sent).await;

    pod.start(&[]).await;
    let flag = format!("{ALLOW} {own}");
    let tells = |object: &Value| {
        let text = object["status"]["message"].as_str().unwrap_or_default();
        text.contains(&flag) && object["status"]["phase"] == "Running"
    };
    pod.world.wait_for("dwo", SOON, tells).await;
    pod.nothing_was_used().await;

    pod.start(&[&own]).await;
    let control = pod.world.simulator().control();
    control.called("listApplicationPackages", 1, SOON).await;
    control.advance("1h").await;
    control.called("installApplication", 1, SOON).await;
    control.advance("1h").await;
    control.called("createLink", 1, SOON).await;
    control.advance("10m").await;
    ready(&pod.world).await;
    let everything = ["installApplication", "installApplication", "createLink"];
    assert_eq!(applied(&pod.world).await, everything);
}

/// The statement never leaves for another tenant or cloud than its own.
#[tokio::test(flavor = "multi_thread")]
async fn an_identity_that_does_not_fit_is_not_sent() {
    let mut pod = Pod::new().await;
    let own = pod.world.namespace.clone();
    let fabrikam = "fab71ca0-0000-4000-8000-000000000001";
    pod.start(&[&own]).await;
    let tenant = json!({"credentials": {"tenantId": fabrikam}});
    connect(&pod.world, both(ambient(), tenant)).await;
    let mismatch = "AmbientIdentityMismatch";
    let parts = [TENANT, fabrikam, "AZURE_TENANT_ID", "credentials.tenantId"];
    pod.is_refused(mismatch, &parts).await;
    pod.nothing_was_used().await;

    change(&pod.world, json!({"credentials": {"tenantId": TENANT}})).await;
    ready(&pod.world).await;
    let usual = "https://login.microsoftonline.com/";
    let missing = "AmbientIdentityMissing";
    for (name, value, reason, part) in [
        ("AZURE_TENANT_ID", fabrikam, mismatch, fabrikam),
        ("AZURE_TENANT_ID", TENANT, "", ""),
        (
            "AZURE_AUTHORITY_HOST",
            "https://login.microsoftonline.us/",
            mismatch,
            "login.microsoftonline.us",
        ),
        (
            "AZURE_AUTHORITY_HOST",
            "https://attacker.example/",
            mismatch,
            "attacker.example",
        ),
        (
            "AZURE_AUTHORITY_HOST",
            "attacker.example",
            missing,
            "AZURE_AUTHORITY_HOST",
        ),
        ("AZURE_AUTHORITY_HOST", usual, "", ""),
        ("AZURE_CLIENT_ID", "", missing, "AZURE_CLIENT_ID"),
    ] {
        pod.world.set_variable(name, value);
        if !reason.is_empty() {
            pod.start(&[&own]).await;
            pod.is_refused(reason, &[part]).await;
            quiet(&pod.world, 2).await;
            assert_eq!(
                pod.world.calls().await,
                json!({"hosts": {}}),
                "{name}={value}"
            );
        }
    }
}

/// Entra would take the identity of the pod, and the namespace may use it; but these resources do not ask for it.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_falls_back_on_the_identity_of_the_pod() {
    let mut pod = Pod::new().await;
    let own = pod.world.namespace.clone();
    pod.start(&[&own]).await;
    let world = &pod.world;
    connect(world, json!({})).await;
    pod.is_refused("ClientSecretInvalid", &["contoso-entra"])
        .await;
    delete(world, "secret/contoso-entra").await;
    pod.is_refused("SecretNotFound", &["contoso-entra"]).await;

    change(world, federated()).await;
    pod.is_refused("NamespaceNotGranted", &["dualwrite-operator-federation"])
        .await;
    let role = "dualwrite-operator-federation";
    let can = ["", "serviceaccounts/token", "create"];
    crate::support::namespace::grant(&world.client(), &own, role, can).await;
    pod.is_refused("ServiceAccountNotFound", &["contoso-erp"])
        .await;
    let create = ["create", "serviceaccount", "contoso-erp"];
    world.kubectl(&create).await.ok();
    // Its own subject was presented, not that of the pod.
    let object = pod.is_refused("FederationRefused", &["contoso-erp"]).await;
    assert!(!message(&object, "Ready").contains(POD));
    quiet(world, 2).await;
    let environments = &world.calls().await["hosts"]["api.powerplatform.com"];
    assert_eq!(environments, &Value::Null, "nobody got a token");

    change(
        world,
        json!({"credentials": {"serviceAccountRef": null, "clientId": null, "ambient": true}}),
    )
    .await;
    ready(world).await;
}
