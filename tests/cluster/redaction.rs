//! Every secret is marked, the operator logs all that it can, services echo what they were sent; and no mark is found
//! anywhere but in Secrets.

use crate::support::contoso::*;
use crate::support::reset::{ACT, FLAGS, approve, asks, drifted, ended, has_backup, plan};
use crate::support::{World, keys, namespace};
use serde_json::{Value, json};

const SECRET: &str = "marker-client-secret";
const PASSWORD: &str = "marker-password+&=%";
const REFRESH: &str = "marker-refresh-token";
/// What no text may contain: the marks above, those of faults, the tokens that the simulator issues (access and refresh
/// tokens), and signed assertions.
const MARKS: [&str; 4] = ["marker-", "simulated.", "eyJ", "PRIVATE KEY"];

/// Posts faults, each for some calls; their ids.
async fn faults(world: &World, faults: Vec<(&str, u32, Value)>) -> Vec<(String, u32)> {
    let mut ids = Vec::new();
    for (call, times, effect) in faults {
        let fault = json!({"call": call, "times": times, "effect": effect});
        ids.push((world.fault(fault).await, times));
    }
    ids
}

async fn all_fired(world: &World, faults: &[(String, u32)]) {
    for (id, times) in faults {
        let control = world.simulator().control();
        control.fault_fired(id, *times, ACT).await;
    }
}

fn echo(status: u16) -> Value {
    json!({"echo": status})
}

/// A redirect and an answer that carry secrets of somebody else's: in a query, and in a cookie.
fn redirect() -> Value {
    json!({"redirect": "https://attacker.example/a?sig=marker-query"})
}

fn cookie() -> Value {
    let headers = json!({"set-cookie": "session=marker-cookie", "www-authenticate": "Bearer error=\"marker-header\""});
    let body = "Look at https://a.example/b?sig=marker-query and session_token=marker-cookie.";
    json!({"status": 503, "headers": headers, "body": body})
}

/// Every place where something of the operator's can be read by somebody who may not read Secrets.
async fn nothing_is_found(world: &World, more: &[&str]) {
    let log = world.operator().output();
    let debug = |line: &&String| line.contains("\"DEBUG\"");
    assert!(log.iter().filter(debug).count() > 50, "it logs little");
    let mut places = vec![
        ("the log".to_owned(), log.join("\n")),
        ("the metrics".to_owned(), world.metrics().await),
    ];
    for kind in ["dwc", "dwo", "event", "configmap"] {
        let objects = world.list(kind).await;
        places.push((kind.to_owned(), Value::from(objects).to_string()));
    }
    for request in world.api.requests() {
        // Its own store of refresh tokens is a Secret.
        if !request.path.contains("/secrets") {
            places.push((request.path.clone(), format!("{request:?}")));
        }
    }
    for (place, text) in places {
        for mark in MARKS.iter().chain(more) {
            if let Some(at) = text.find(mark) {
                let from = text.floor_char_boundary(at.saturating_sub(300));
                let to = text.floor_char_boundary(at + 100);
                panic!("{mark} in {place}: {}", &text[from..to]);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_secret_comes_out_of_the_way_to_ready_and_of_a_reset() {
    let mut world = builder().log_level("debug").start().await;
    let marked = both(
        application(json!({"secrets": [SECRET]})),
        account(json!({"password": PASSWORD})),
    );
    world.patch_state(marked).await;
    let application = json!({"clientId": CLIENT, "clientSecret": SECRET});
    secret(&world, "contoso-entra", application).await;
    let account = json!({"username": ACCOUNT, "password": PASSWORD});
    secret(&world, "contoso-dual-write-account", account).await;
    let on_the_way = faults(
        &world,
        vec![
            ("token", 2, echo(500)),
            ("listEnvironments", 1, echo(500)),
            ("listEnvironments", 1, redirect()),
            ("listEnvironments", 1, json!("html")),
            ("retrieveIntegrationDetails", 1, echo(403)),
            ("listApplicationPackages", 1, cookie()),
            ("getLink", 1, echo(401)),
            ("getLink", 1, redirect()),
            ("installApplication", 1, echo(403)),
        ],
    )
    .await;
    world.start_operator(&FLAGS).await;
    connect(&world, asks()).await;
    says(&world, "Ready", "False", "InstallFailed", &[]).await;
    all_fired(&world, &on_the_way).await;
    reconcile_at(&world, "again").await;
    ready(&world).await;

    let in_the_reset = faults(
        &world,
        vec![
            ("listMaps", 1, echo(500)),
            ("listSolutions", 1, echo(500)),
            ("getConnectionSet", 1, cookie()),
            ("getMapStatus", 1, echo(500)),
            ("getSolutionStatus", 1, redirect()),
        ],
    )
    .await;
    world.patch_state(drifted()).await;
    let name = plan(&world).await;
    approve(&world, &name).await;
    let operation = ended(&world, &name, &["Succeeded"], ACT).await;
    all_fired(&world, &in_the_reset).await;
    has_backup(&world, &operation).await;
    ready(&world).await;
    nothing_is_found(&world, &[]).await;
}

/// A certificate and a refresh token; then a federated token. Each is sent again every few seconds.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_secret_comes_out_of_the_other_forms_of_identity() {
    let mut world = builder().log_level("debug").start().await;
    let certificate = certificate_secret(keys::CONTOSO, 90);
    let trusted = json!({"secrets": [], "certificates": [certificate["clientCertificate"]]});
    let signed_in = account(json!({"password": "", "refreshTokens": [REFRESH]}));
    let short = json!({"settings": {"tokenLifetime": "3s"}});
    let state = both(
        both(linked(SPEC), signed_in),
        both(application(trusted), short),
    );
    world.patch_state(state).await;
    secret(&world, "contoso-entra", certificate).await;
    let account = json!({"refreshToken": REFRESH});
    secret(&world, "contoso-dual-write-account", account).await;
    let can = ["", "secrets", "update"];
    let role = "dualwrite-operator-refresh-tokens";
    namespace::grant(&world.client(), &world.namespace, role, can).await;
    let echoes = faults(
        &world,
        vec![("token", 3, echo(500)), ("token", 1, cookie())],
    )
    .await;
    world.start_operator(&[]).await;
    connect(&world, json!({})).await;
    all_fired(&world, &echoes).await;
    ready(&world).await;

    world
        .kubectl(&["create", "serviceaccount", "contoso-erp"])
        .await
        .ok();
    let role = "dualwrite-operator-federation";
    let can = ["", "serviceaccounts/token", "create"];
    namespace::grant(&world.client(), &world.namespace, role, can).await;
    let issued = world.kubectl(&["get", "--raw", "/openid/v1/jwks"]).await;
    let issued: Value = serde_json::from_str(&issued.ok()).unwrap();
    let subject = format!("system:serviceaccount:{}:contoso-erp", world.namespace);
    let trust =
        json!({"issuer": "https://kubernetes.default.svc", "subject": subject, "keys": issued});
    world
        .patch_state(application(
            json!({"certificates": [], "federated": [trust]}),
        ))
        .await;
    let echoes = faults(&world, vec![("token", 3, echo(500))]).await;
    change(&world, federated()).await;
    all_fired(&world, &echoes).await;
    ready(&world).await;

    // Any line of the key is as good as the key.
    let lines: Vec<&str> = keys::CONTOSO
        .lines()
        .filter(|line| line.len() > 60 && !line.starts_with("-----"))
        .collect();
    nothing_is_found(&world, &lines).await;
}
