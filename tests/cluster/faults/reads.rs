//! Reads that go wrong once heal by themselves; reads that go on being wrong are said, and change nothing.

use serde_json::{Value, json};

use crate::support::contoso::*;
use crate::support::{World, wait::condition};

/// Where a case begins.
#[derive(Clone, Copy, PartialEq)]
enum From {
    Nothing,
    SetUp,
    Linked,
}

/// What can be wrong with an answer, and what comes of none.
fn effects() -> Vec<(&'static str, Value)> {
    vec![
        ("500", json!({"status": 500})),
        (
            "502 with HTML",
            json!({"status": 502, "body": "<html>Bad gateway</html>", "contentType": "text/html"}),
        ),
        (
            "503 with Retry-After",
            json!({"status": 503, "retryAfterSeconds": 1}),
        ),
        (
            "429 with a date",
            json!({"status": 429, "retryAfterDate": "1s"}),
        ),
        ("429 without a word", json!({"status": 429})),
        ("409", json!({"status": 409})),
        ("lost before", json!("lostBeforeEffect")),
        ("lost after", json!("lostAfterEffect")),
        ("HTML with 200", json!("html")),
        ("empty body", json!("emptyBody")),
        ("another casing", json!("wrongCasing")),
        ("a token that is not accepted", json!("unauthorizedOnce")),
        ("an answer that is late", json!({"delay": "2500ms"})),
        ("an answer without an end", json!("endlessBody")),
        ("an answer of 20 MB", json!({"hugeBody": 20_000_000})),
        (
            "a redirect elsewhere",
            json!({"redirect": "https://attacker.example/"}),
        ),
        ("an empty list", json!({"status": 200, "body": []})),
        ("an empty object", json!({"status": 200, "body": {}})),
        (
            "null",
            json!({"status": 200, "body": null, "contentType": "application/json"}),
        ),
        (
            "half of an answer",
            json!({"status": 200, "body": "{\"value\": [", "contentType": "application/json"}),
        ),
    ]
}

async fn begin(from: From) -> World {
    let state = match from {
        From::Nothing => Value::Null,
        From::SetUp => set_up(),
        From::Linked => linked(SPEC),
    };
    let mut world = builder().time_scale(6000.0).start().await;
    if state != Value::Null {
        world.patch_state(state).await;
    }
    create_secrets(&world).await;
    world.start_operator(&[]).await;
    world
}

/// A world for one call: its faults come one after the other, each to a connection that is new and to Microsoft's side as
/// it was at the beginning.
struct Fresh {
    world: World,
    from: From,
    call: &'static str,
    state: Value,
}

impl Fresh {
    async fn start(call: &'static str, from: From) -> Self {
        let world = begin(from).await;
        let state = world.simulator().control().state().await;
        Self {
            world,
            from,
            call,
            state,
        }
    }

    /// One wrong answer, and then good ones.
    async fn heals(&mut self, name: &str, effect: Value) {
        println!("{}: {name}", self.call);
        let world = &self.world;
        let fault = json!({"call": self.call, "effect": effect});
        let fault = world.fault(fault).await;
        connect(world, json!({})).await;
        ready(world).await;
        let control = world.simulator().control();
        control.fault_fired(&fault, 1, INTERVAL * 10).await;
        quiet(world, 2).await;
        ready(world).await;
        let expected: &[&str] = match self.from {
            From::Nothing => &["installApplication", "installApplication", "createLink"],
            From::SetUp => &["createLink"],
            From::Linked => &[],
        };
        assert_eq!(mutations(world).await, expected);
        let hosts = world.calls().await["hosts"].to_string();
        assert!(!hosts.contains("attacker"), "{hosts}");
        self.start_over().await;
    }

    async fn start_over(&mut self) {
        let world = &mut self.world;
        let connection = format!("dwc/{NAME}");
        delete(world, &connection).await;
        world.wait_gone(&connection, SOON).await;
        for operation in world.operations().await {
            // What the garbage collector does.
            let name = operation["metadata"]["name"].as_str().expect("a name");
            delete(world, &format!("dwo/{name}")).await;
            world.wait_gone(&format!("dwo/{name}"), SOON).await;
        }
        let control = world.simulator().control();
        control.clear_faults().await;
        control.put_state(&self.state).await;
        control.clear_journal().await;
        control.clear_calls().await;
        if self.call == "token" {
            // Tokens are kept for as long as the process runs.
            world.restart_operator(&[]).await;
        }
    }
}

/// Some of the faults of one call.
struct Share {
    call: &'static str,
    from: From,
    effects: Vec<(&'static str, Value)>,
}

async fn one_after_the_other(share: Share) {
    let mut fresh = Fresh::start(share.call, share.from).await;
    for (name, effect) in share.effects {
        fresh.heals(name, effect).await;
    }
}

/// Two worlds a call, so that no world takes the longest of all tests.
async fn all_heal(calls: &[&'static str], from: From) {
    let mut shares = Vec::new();
    for call in calls {
        let mut first = effects();
        let second = first.split_off(first.len() / 2);
        for effects in [first, second] {
            let name = format!(
                "{call}: {} to {}",
                effects[0].0,
                effects[effects.len() - 1].0
            );
            shares.push((
                name,
                Share {
                    call,
                    from,
                    effects,
                },
            ));
        }
    }
    side_by_side(shares, one_after_the_other).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_wrong_answer_to_a_read_heals() {
    let calls = [
        "token",
        "listEnvironments",
        "listApplicationPackages",
        "retrieveIntegrationDetails",
        "getLink",
        "getConnectionSet",
    ];
    all_heal(&calls, From::Linked).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_wrong_answer_before_a_link_heals() {
    all_heal(&["financeOperationsRoot"], From::SetUp).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_wrong_answer_while_something_is_made_heals() {
    all_heal(&["getEnvironment", "getOperation"], From::Nothing).await;
}

struct Lasting {
    from: From,
    call: &'static str,
    effect: Value,
    says: (&'static str, &'static str, &'static str, &'static str),
    /// The rest of the conditions.
    linked: Option<(&'static str, &'static str)>,
}

/// The condition says so, and whatever cannot be seen is not made.
async fn is_said(case: Lasting) {
    let world = begin(case.from).await;
    let fault = json!({"call": case.call, "times": null, "effect": case.effect});
    world.fault(fault).await;
    connect(&world, json!({})).await;
    let (kind, status, reason, part) = case.says;
    let connection = says(&world, kind, status, reason, &[part]).await;
    if let Some((status, reason)) = case.linked {
        let linked = condition(&connection, "Linked");
        assert_eq!(
            (&linked["status"], &linked["reason"]),
            (&json!(status), &json!(reason))
        );
    }
    quiet(&world, 2).await;
    assert_eq!(mutations(&world).await, Vec::<String>::new());
}

#[rustfmt::skip]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn answers_that_stay_wrong_are_said_and_nothing_is_made() {
    let unavailable = || json!({"status": 503});
    let forbidden = || json!({"status": 403});
    let lasting = |from, call, effect, says, linked| (format!("{call}: {effect}"), Lasting { from, call, effect, says, linked });
    let cases = vec![
        lasting(From::Linked, "token", unavailable(), ("Reconciling", "True", "Retrying", "503"), None),
        lasting(From::Linked, "token", json!("html"), ("Reconciling", "True", "Retrying", "sign-in page"), None),
        lasting(From::Linked, "listEnvironments", json!("lostBeforeEffect"), ("Reconciling", "True", "Retrying", "listEnvironments"), None),
        lasting(From::Linked, "listEnvironments", json!({"status": 200, "body": {"value": []}}), ("Ready", "True", "Connected", ""), None),
        lasting(From::Linked, "retrieveIntegrationDetails", forbidden(), ("PowerPlatformIntegrated", "True", "Integrated", "did not confirm it"), Some(("True", "Linked"))),
        lasting(From::Linked, "retrieveIntegrationDetails", unavailable(), ("Ready", "True", "Connected", ""), None),
        lasting(From::Linked, "listApplicationPackages", forbidden(), ("Ready", "True", "Connected", ""), Some(("True", "Linked"))),
        lasting(From::Nothing, "listApplicationPackages", forbidden(), ("Ready", "False", "AccessDenied", "management application"), None),
        lasting(From::Nothing, "listApplicationPackages", unavailable(), ("Reconciling", "True", "Retrying", "listApplicationPackages"), None),
        lasting(From::Nothing, "listApplicationPackages", json!({"status": 200, "body": {"value": [{"odd": 1}]}}), ("Ready", "Unknown", "Observing", "could not be read to its end"), None),
        lasting(From::SetUp, "getLink", forbidden(), ("Ready", "False", "LinkNotObservable", "refuses this account"), Some(("Unknown", "LinkNotObservable"))),
        lasting(From::SetUp, "getLink", unavailable(), ("Ready", "Unknown", "LinkNotSeen", "503"), Some(("Unknown", "LinkNotSeen"))),
        lasting(From::SetUp, "getLink", json!("html"), ("Ready", "Unknown", "LinkNotSeen", "sign-in page"), None),
        lasting(From::SetUp, "getLink", json!("emptyBody"), ("Ready", "Unknown", "LinkNotSeen", "empty"), None),
        lasting(From::SetUp, "getLink", json!({"status": 200, "body": [{"cid": 5}]}), ("Ready", "Unknown", "LinkNotSeen", "does not say which environment"), None),
        lasting(From::SetUp, "financeOperationsRoot", unavailable(), ("Ready", "Unknown", "LinkNotSeen", "may be stopped"), Some(("Unknown", "LinkNotSeen"))),
        lasting(From::SetUp, "financeOperationsRoot", json!({"delay": "5s"}), ("Ready", "Unknown", "LinkNotSeen", "may be stopped"), None),
        lasting(From::Linked, "getConnectionSet", unavailable(), ("Ready", "True", "Connected", ""), None),
    ];
    side_by_side(cases, is_said).await;
}
