//! The dual-write account by refresh token: rotation, crashes, sharing, and what happens when one is refused.

use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::nothing_leaked;
use crate::support::contoso::*;
use crate::support::operator::program;
use crate::support::{Action, Match, Moment, World, namespace};

const STORE: &str = "contoso-dual-write-account-refresh-tokens";

/// Tokens of Entra that are fetched anew at every second look, and an account whose refresh tokens work once.
fn once(tokens: &[&str]) -> Value {
    let account =
        account(json!({"password": "", "refreshTokens": tokens, "refreshTokensOnce": true}));
    both(account, json!({"settings": {"tokenLifetime": "3s"}}))
}

async fn granted(state: Value) -> World {
    let mut world = builder().start().await;
    world.patch_state(both(linked(SPEC), state)).await;
    create_secrets(&world).await;
    grant(&world).await;
    secret(&world, "contoso-dual-write-account", first("first")).await;
    world.start_operator(&[]).await;
    world
}

async fn grant(world: &World) {
    let role = "dualwrite-operator-refresh-tokens";
    let can = ["", "secrets", "update"];
    namespace::grant(&world.client(), &world.namespace, role, can).await;
}

fn first(token: &str) -> Value {
    json!({"refreshToken": token})
}

/// A key of the store, as text.
fn key(store: &Value, key: &str) -> String {
    let text = store["data"][key].as_str().unwrap_or_default();
    String::from_utf8(STANDARD.decode(text).unwrap()).unwrap()
}

/// Waits until the store has another current token than this one.
async fn renewed(world: &World, from: &str) -> Value {
    let from = from.to_owned();
    world
        .wait_for(&format!("secret/{STORE}"), SOON, move |store| {
            let current = key(store, "refreshToken");
            current != from && !current.is_empty()
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn refresh_tokens_rotate_in_a_secret_beside_the_persons() {
    let world = granted(once(&["first"])).await;
    connect(&world, json!({})).await;
    ready(&world).await;
    let store = renewed(&world, "first").await;
    let person = world.get("secret/contoso-dual-write-account").await;
    assert_eq!(
        store["metadata"]["ownerReferences"][0]["uid"],
        person["metadata"]["uid"]
    );
    let next = renewed(&world, &key(&store, "refreshToken")).await;
    assert_eq!(
        key(&next, "previousRefreshToken"),
        key(&store, "refreshToken")
    );
    assert_eq!(
        key(&person, "refreshToken"),
        "first",
        "the person's is never written"
    );

    // A restart goes on with the newest.
    let mut world = world;
    world.restart_operator(&[]).await;
    renewed(&world, &key(&next, "refreshToken")).await;
    ready(&world).await;
    nothing_leaked(&world, &["simulated."]).await;
}

/// Between the write of the store and the first use of what it holds nothing is lost; and neither before the write, because
/// the token that was used is still there.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_around_the_write_of_the_store_loses_no_account() {
    for (moment, single_use) in [(Moment::After, true), (Moment::Before, false)] {
        let state = both(
            once(&["first"]),
            account(json!({"refreshTokensOnce": single_use})),
        );
        let mut world = granted(state).await;
        let write = Match::method("PUT").path_ends(&format!("/secrets/{STORE}"));
        let crash = world.api.when(write).then(moment, Action::Kill);
        connect(&world, json!({})).await;
        crash.fired(SOON).await;
        world.kill_operator();
        world.start_operator(&[]).await;
        ready(&world).await;
        renewed(&world, "first").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_connections_share_a_store_and_each_token_is_used_once() {
    let world = granted(once(&["first"])).await;
    connect(&world, json!({})).await;
    let other = json!({"mode": "Observe", "link": {"method": "Manual"}});
    create(&world, "dwc", connection("contoso-uat-2", other)).await;
    let mut store = renewed(&world, "first").await;
    for _ in 0..3 {
        store = renewed(&world, &key(&store, "refreshToken")).await;
    }
    // A second use of a token would have been refused, and said.
    let refused = |text: &Value| text.to_string().contains("cannot sign in");
    for object in world.list("dwc").await {
        assert!(!refused(&object["status"]), "{:#}", object["status"]);
    }
}

/// The newest, the one before, the person's: in this order.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_token_gives_way_to_the_one_before_and_then_to_the_persons() {
    let world = granted(both(
        once(&["first"]),
        account(json!({"refreshTokensOnce": false})),
    ))
    .await;
    connect(&world, json!({})).await;
    ready(&world).await;
    let store = renewed(&world, "first").await;
    let store = renewed(&world, &key(&store, "refreshToken")).await;
    let only = |token: &str| account(json!({"refreshTokens": [token]}));
    world
        .patch_state(only(&key(&store, "previousRefreshToken")))
        .await;
    let store = renewed(&world, &key(&store, "refreshToken")).await;
    ready(&world).await;
    world.patch_state(only("first")).await;
    let store = renewed(&world, &key(&store, "refreshToken")).await;
    ready(&world).await;

    // None is left: a person has to sign in, and is told once.
    world
        .patch_state(account(json!({"refreshTokens": []})))
        .await;
    let parts = ["'contoso-dual-write-account'", "AADSTS9002313"];
    says(
        &world,
        "CredentialsValid",
        "False",
        "CredentialRefused",
        &parts,
    )
    .await;
    quiet(&world, 3).await;
    // What the person puts in wins, although the store has newer ones.
    world
        .patch_state(account(
            json!({"refreshTokens": ["second", key(&store, "refreshToken")]}),
        ))
        .await;
    let data = json!({"stringData": first("second")});
    patch(&world, "secret/contoso-dual-write-account", data).await;
    ready(&world).await;
    let after = world.get(&format!("secret/{STORE}")).await;
    assert_ne!(key(&after, "grownFrom"), key(&store, "grownFrom"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_role_no_token_is_used_up() {
    let mut world = builder().start().await;
    world
        .patch_state(both(linked(SPEC), once(&["first"])))
        .await;
    create_secrets(&world).await;
    secret(&world, "contoso-dual-write-account", first("first")).await;
    world.start_operator(&[]).await;
    connect(&world, json!({})).await;
    let parts = ["--clusterrole=dualwrite-operator-refresh-tokens"];
    says(
        &world,
        "CredentialsValid",
        "False",
        "NamespaceNotGranted",
        &parts,
    )
    .await;
    let state = world.simulator().control().state().await;
    assert_eq!(
        state["tenants"][TENANT]["accounts"][ACCOUNT]["refreshTokens"],
        json!(["first"])
    );
    grant(&world).await;
    ready(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_of_somebody_elses_is_not_written() {
    let world = builder().start().await;
    world
        .patch_state(both(linked(SPEC), once(&["first"])))
        .await;
    create_secrets(&world).await;
    secret(&world, "contoso-dual-write-account", first("first")).await;
    secret(&world, STORE, json!({"precious": "yes"})).await;
    grant(&world).await;
    let mut world = world;
    world.start_operator(&[]).await;
    connect(&world, json!({})).await;
    let parts = [STORE, "is not the operator's"];
    says(&world, "CredentialsValid", "False", "SecretInvalid", &parts).await;
    assert_eq!(
        key(&world.get(&format!("secret/{STORE}")).await, "precious"),
        "yes"
    );
}

/// An account with a second factor: the message names the command, the command makes the Secret, the Secret works.
#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_in_once_where_a_second_factor_is_in_the_way() {
    let world = world(both(linked(SPEC), account(json!({"mfa": true})))).await;
    grant(&world).await;
    connect(&world, json!({})).await;
    says(
        &world,
        "CredentialsValid",
        "False",
        "MfaRequired",
        &["dualwrite-operator sign-in"],
    )
    .await;

    world
        .patch_state(account(json!({"signsInByDeviceCode": true})))
        .await;
    let ca = world.simulator().ca_file().display().to_string();
    let signed_in = tokio::process::Command::new(program("dualwrite-operator"))
        .args([
            "sign-in",
            "--tenant-id",
            TENANT,
            "--name",
            "contoso-dual-write-account",
        ])
        .args(["-n", &world.namespace, "--extra-ca", &ca])
        .args(["--connect-to", world.simulator().listen()])
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let (said, manifest) = (
        String::from_utf8(signed_in.stderr).unwrap(),
        String::from_utf8(signed_in.stdout).unwrap(),
    );
    assert!(signed_in.status.success(), "{said}");
    assert!(said.contains("https://microsoft.com/devicelogin"), "{said}");
    assert!(
        !said.contains("simulated.") && manifest.contains("simulated."),
        "{said}"
    );
    delete(&world, "secret/contoso-dual-write-account").await;
    world.apply(&manifest).await;
    ready(&world).await;
    nothing_leaked(&world, &["simulated."]).await;
}
