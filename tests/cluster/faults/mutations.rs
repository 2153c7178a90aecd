//! Requests that change something, and go wrong: sent once, read back, and never sent blindly.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::contoso::*;
use crate::support::crash::SHORT;

/// Until an absence counts, also where the machine is busy.
const LONG: Duration = Duration::from_mins(2);

enum End {
    /// Ready, and so often the faulty call had been sent.
    Ready(usize),
    /// The first of these conditions, with this in its message, and sent once.
    Says(&'static str, &'static str),
    /// Nobody knows; a person lets go of it, and then it is done once.
    Unknown,
}
use End::{Ready, Says, Unknown};

struct Case {
    call: &'static str,
    effect: Value,
    end: End,
}

async fn ends(case: Case) {
    let mut world = builder().time_scale(6000.0).start().await;
    let link = case.call == "createLink";
    if link {
        world.patch_state(set_up()).await;
    } else {
        // One package is enough.
        world
            .patch_state(environment(
                SPEC,
                json!({"packages": {CORE: {"state": "Installed"}}}),
            ))
            .await;
    }
    create_secrets(&world).await;
    world.start_operator(&SHORT).await;
    let fault = json!({"call": case.call, "effect": case.effect});
    let fault = world.fault(fault).await;
    let manual = json!({"link": {"method": "Manual"}});
    connect(&world, if link { json!({}) } else { manual }).await;
    let control = world.simulator().control();
    control.fault_fired(&fault, 1, SOON).await;
    let arrived = || async {
        world
            .wait_for(&format!("dwc/{NAME}"), LONG, move |connection| {
                let done = if link { "Linked" } else { "SetupComplete" };
                let conditions = connection["status"]["conditions"].as_array();
                conditions
                    .into_iter()
                    .flatten()
                    .any(|one| one["type"] == done && one["status"] == "True")
            })
            .await
    };
    let mut sent = match case.end {
        Ready(times) => {
            arrived().await;
            times
        }
        Says(reason, part) => {
            says(&world, "Ready", "False", reason, &[part]).await;
            says(&world, "Stalled", "True", reason, &[part]).await;
            1
        }
        Unknown => {
            let connection = world
                .wait_for(&format!("dwc/{NAME}"), LONG, |connection| {
                    message(connection, "Stalled").contains("its answer was lost")
                })
                .await;
            let parts = ["Check in LCS", "kubectl delete dwo contoso-uat-link-"];
            assert_says(&connection, "Ready", "False", "OutcomeUnknown", &parts);
            assert_says(&connection, "Linked", "Unknown", "OutcomeUnknown", &[]);
            quiet(&world, 3).await;
            assert_eq!(mutations(&world).await, [case.call]);
            let operation = world.operations().await.remove(0);
            let name = operation["metadata"]["name"].as_str().unwrap();
            delete(&world, &format!("dwo/{name}")).await;
            arrived().await;
            2
        }
    };
    quiet(&world, 2).await;
    if matches!(case.end, Says(..)) {
        assert_eq!(applied(&world).await, Vec::<String>::new());
    } else {
        assert_eq!(applied(&world).await, [case.call]);
    }
    let all = mutations(&world).await;
    sent = sent.max(1);
    assert_eq!(all, vec![case.call; sent]);
}

fn case(call: &'static str, name: &str, effect: Value, end: End) -> (String, Case) {
    (format!("{call}: {name}"), Case { call, effect, end })
}

#[rustfmt::skip]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_installation_is_asked_for_once_unless_it_is_certain_that_none_began() {
    let install = |name, effect, end| case("installApplication", name, effect, end);
    let cases = vec![
        install("lost after the effect", json!("lostAfterEffect"), Ready(1)),
        install("500 after the effect", json!({"statusAfterEffect": {"status": 500}}), Ready(1)),
        install("504 after the effect", json!({"statusAfterEffect": {"status": 504}}), Ready(1)),
        install("HTML after the effect", json!({"statusAfterEffect": {"status": 200, "body": "<html>Sign in</html>", "contentType": "text/html"}}), Ready(1)),
        install("accepted without a body", json!("emptyBody"), Ready(1)),
        install("another casing", json!("wrongCasing"), Ready(1)),
        install("[]", json!({"statusAfterEffect": {"status": 200, "body": []}}), Ready(1)),
        install("done, and answered after we gave up", json!({"hold": {"holdAt": "after"}}), Ready(1)),
        install("done after we gave up", json!({"delay": "1500ms"}), Ready(1)),
        install("busy, a bare 400", json!({"status": 400}), Ready(2)),
        install("busy, 409", json!({"status": 409}), Ready(2)),
        install("429 with seconds", json!({"status": 429, "retryAfterSeconds": 1}), Ready(2)),
        install("429 with a date", json!({"status": 429, "retryAfterDate": "1s"}), Ready(2)),
        install("a token that is not accepted", json!("unauthorizedOnce"), Ready(2)),
        install("refused", json!({"status": 400, "body": {"error": {"code": "Terms", "message": "The terms of this package changed."}}}), Says("InstallFailed", "The terms of this package changed.")),
        install("forbidden", json!({"status": 403, "body": {"error": {"code": "Forbidden", "message": "No."}}}), Says("InstallFailed", "management application")),
        install("no such package", json!({"status": 404, "body": {"error": {"code": "ApplicationPackageNotFound", "message": "There is none."}}}), Says("InstallFailed", "There is none.")),
        install("lost before the effect", json!("lostBeforeEffect"), Ready(2)),
        install("500", json!({"status": 500}), Ready(2)),
        install("503", json!({"status": 503, "retryAfterSeconds": 1}), Ready(2)),
        install("a sign-in page", json!("html"), Ready(2)),
        install("a redirect", json!({"redirect": "https://attacker.example/"}), Ready(2)),
        install("an answer without an end", json!("endlessBody"), Ready(2)),
    ];
    side_by_side(cases, ends).await;
}

#[rustfmt::skip]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_link_is_asked_for_once() {
    let link = |name, effect, end| case("createLink", name, effect, end);
    let cases = vec![
        link("lost after the effect", json!("lostAfterEffect"), Ready(1)),
        link("500 after the effect", json!({"statusAfterEffect": {"status": 500}}), Ready(1)),
        link("HTML after the effect", json!({"statusAfterEffect": {"status": 200, "body": "<html>Sign in</html>", "contentType": "text/html"}}), Ready(1)),
        link("accepted without a body", json!("emptyBody"), Ready(1)),
        link("slow", json!({"delay": "3s"}), Ready(1)),
        link("busy, 409", json!({"status": 409}), Ready(2)),
        link("429 with a date", json!({"status": 429, "retryAfterDate": "1s"}), Ready(2)),
        link("a token that is not accepted", json!("unauthorizedOnce"), Ready(2)),
        link("forbidden", json!({"status": 403}), Says("LinkFailed", "Power Apps licence")),
        link("refused", json!({"status": 400, "body": {"message": "Not today."}}), Says("LinkFailed", "Not today.")),
        link("a refusal that says that nothing was saved, as 500", json!({"status": 500, "body": {"message": "Saving connection set failed! An item with the same key has already been added."}}), Says("LinkFailed", "cdm_company")),
        link("lost before the effect", json!("lostBeforeEffect"), Unknown),
        link("500", json!({"status": 500}), Unknown),
        link("503", json!({"status": 503, "retryAfterSeconds": 1}), Unknown),
        link("a sign-in page", json!("html"), Unknown),
        link("a redirect", json!({"redirect": "https://attacker.example/"}), Unknown),
        link("an answer of 20 MB", json!({"hugeBody": 20_000_000}), Unknown),
    ];
    side_by_side(cases, ends).await;
}
