//! Names and errors that are made to confuse; objects that cannot be read; secrets that must stay secret.

use serde_json::{Value, json};

use super::hosts::{FORMS, only_known_hosts};
use crate::support::contoso::*;
use crate::support::wait::condition;
use crate::support::{ControlPlane, Options, World, wait};

/// What no terminal should be sent: controls, marks of direction, and what nobody sees.
pub(crate) fn is_harmless(text: &str) -> bool {
    let hidden = |c| {
        matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
            || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
    };
    text.chars()
        .all(|c| (!c.is_control() || c == '\n') && !hidden(c))
}

/// Terminal codes of both kinds, bells, line ends, text that runs backwards or is not seen, markup of every page that may
/// show it, what YAML and templates would obey; and then so many letters more.
pub(crate) fn hostile(name: &str, more: usize) -> String {
    let codes = "\u{1b}[31m\u{9b}2J\u{7}\u{8}\u{202e}\u{2066}\u{61c}\u{200b}\u{feff}\u{e0041}\r\n\u{2028}\u{85}";
    let markup = "[press](https://attacker.example) ![x](https://attacker.example/x.png) <b onload='x'>`x`</b> {{x}} ${x} %s '\": - #";
    format!("{name} {codes}{markup} {}", "x".repeat(more))
}

/// Holds every object and log line to being short and harmless. Far below what etcd takes, which is 1.5 MiB.
pub(crate) async fn all_is_tame(world: &World, kinds: &[&str]) {
    for kind in kinds {
        let objects = world.list(kind).await;
        assert!(!objects.is_empty(), "no {kind}");
        for object in objects {
            let text = object.to_string();
            assert!(text.len() < 100_000, "{kind}: {} bytes", text.len());
            each_text(&object, &mut |text| {
                assert!(is_harmless(text), "{kind}: {text:?}");
            });
        }
    }
    assert!(world.operator_log().iter().all(|line| is_harmless(line)));
    for request in world.api.requests().iter().filter(|seen| seen.is_write()) {
        each_text(&request.body, &mut |text| {
            assert!(is_harmless(text), "{}: {text:?}", request.path);
        });
    }
}

fn each_text(value: &Value, test: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => test(text),
        Value::Array(items) => items.iter().for_each(|item| each_text(item, test)),
        Value::Object(fields) => {
            for (name, value) in fields {
                test(name);
                each_text(value, test);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_names_and_errors_are_tamed() {
    let name = hostile("Contoso", 1 << 20);
    let fails = json!({"errorName": hostile("Error", 10), "message": hostile("no", 1 << 19)});
    let packages = json!({CORE: {"failsWith": fails, "localizedName": hostile("Core", 1 << 18), "installTakes": "1m"}});
    let companies = json!([{"code": "USMF", "name": hostile("Contoso", 1 << 18)}, {"code": hostile("X", 10), "name": ""}]);
    let change = json!({"displayName": name, "packages": packages, "companies": companies});
    let world = world(environment(SPEC, change)).await;
    connect(&world, json!({})).await;
    let parts = ["Contoso [31m2J[press](https://attacker.example)"];
    says(
        &world,
        "PowerPlatformIntegrated",
        "True",
        "Integrated",
        &parts,
    )
    .await;
    says(&world, "Ready", "False", "InstallFailed", &["Error"]).await;
    quiet(&world, 2).await;
    all_is_tame(&world, &["dwc", "dwo", "event"]).await;
}

/// The same in what is said when something is refused: by Entra, and by each service.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn hostile_refusals_are_tamed() {
    let entra = |code: &str| {
        json!({"error": hostile("invalid_client", 10), "error_description": hostile(code, 1 << 20), "error_codes": [7_000_215],
            "correlation_id": hostile("id", 1000), "trace_id": hostile("id", 1000), "error_uri": hostile("https://attacker.example", 10)})
    };
    let service = || {
        let text = hostile("no", 1 << 20);
        json!({"error": {"code": hostile("code", 1000), "message": text, "innererror": {"message": text}}, "Message": text, "ErrorId": text})
    };
    let headers = || json!({"x-ms-correlation-request-id": "\u{e9}".repeat(4000), "x-ms-request-id": "[press](https://attacker.example)"});
    let fault = |call: &str, status: u16, body: Value| {
        let effect = json!({"status": status, "headers": headers(), "body": body});
        (
            format!("{call} {status}"),
            json!({"call": call, "times": null, "effect": effect}),
        )
    };
    let cases = vec![
        fault("token", 401, entra("AADSTS7000215")),
        fault("token", 400, entra("Somebody")),
        fault("listEnvironments", 500, service()),
        fault("retrieveIntegrationDetails", 400, service()),
        fault("getLink", 500, service()),
        fault("installApplication", 400, json!(hostile("text", 1 << 20))),
    ];
    side_by_side(cases, |fault| async move {
        // Only what is changed needs somebody who changes something.
        let mode = match fault["call"].as_str() {
            Some("installApplication") => "Manage",
            _ => "Observe",
        };
        let world = world(Value::Null).await;
        let fault = world.fault(fault).await;
        connect(&world, json!({"mode": mode})).await;
        world
            .simulator()
            .control()
            .fault_fired(&fault, 1, SOON)
            .await;
        let said = |object: &Value| {
            let texts = &object["status"].to_string();
            texts.contains("attacker.example")
        };
        let object = world.wait_for(&format!("dwc/{NAME}"), SOON, said).await;
        assert_kstatus(&object);
        // The longer it lasts, the later it is tried again.
        quiet(&world, 1).await;
        all_is_tame(&world, &["dwc"]).await;
    })
    .await;
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
        let body = json!({"error": "invalid_grant", "error_description": text});
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
    quiet(&world, 1).await;
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
    // Nor does one whose address is more than a host, however it came to be stored.
    let forms: Vec<Value> = FORMS
        .iter()
        .enumerate()
        .flat_map(|(n, url)| {
            ["financeOperations", "dualWriteService"].map(|field| {
                let name = format!("{}-{n}", field.to_ascii_lowercase());
                connection(&name, json!({field: {"url": url}}))
            })
        })
        .collect();
    for form in &forms {
        create(&world, "dwc", form.clone()).await;
    }
    // Without the schema there are no defaults either, so everything is given.
    let defaults = json!({
        "mode": "Manage", "suspend": false, "cloud": "Public", "deletionPolicy": "Retain",
        "setup": {"method": "Install", "timeout": "90m"},
        "link": {"observe": "Always", "timeout": "15m", "manualTimeout": "7d"},
        "mismatch": {"policy": "Report", "approval": "Required", "startMaps": "Never", "onMix": "Report", "force": false, "allowProduction": false},
    });
    world.start_operator(&[]).await;
    world
        .operator()
        .expect_error("a DualWriteConnection cannot be read");
    connect(&world, defaults).await;
    ready(&world).await;
    let said = world
        .wait_condition("aaa-poison", "Stalled", "True", Some("SpecInvalid"))
        .await;
    assert_says(&said, "Ready", "False", "SpecInvalid", &["cannot be used"]);
    for form in &forms {
        let name = form["metadata"]["name"].as_str().unwrap();
        let said = world.wait_condition(name, "Ready", "False", None).await;
        let reason = condition(&said, "Ready")["reason"].as_str().unwrap();
        // What parsers mend has a host of Microsoft's then.
        let known = [
            "SpecInvalid",
            "HostNotAllowed",
            "IntegratedWithOther",
            "Conflict",
        ];
        assert!(known.contains(&reason), "{reason}: {form}");
    }
    only_known_hosts(&world).await;
}
