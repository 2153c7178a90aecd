//! What the tests of crashes and of the intent protocol share: worlds that are about to act, the writes of the
//! protocol as the proxy sees them, and what must never happen.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::api_rules::{Match, Seen};
use super::wait;
use super::world::World;

const CONTOSO: &str = include_str!("../../examples/contoso-uat.yaml");
pub const HOST: &str = "contoso-uat.sandbox.operations.dynamics.com";
pub const TARGET: &str = "6f2c8d0e-0000-4000-8000-000000000010";
pub const CONNECTION: &str = "contoso-uat";
const PACKAGES: [&str; 2] = ["DualWriteCoreAnchor", "msdyn_DualWriteAppCoreAnchor"];

/// For what takes a moment.
pub const SOON: Duration = Duration::from_secs(60);
/// For what waits until an absence counts, also with [`FLAGS`] and where the machine is busy.
pub const AFTER_ABSENCE: Duration = Duration::from_secs(110);

/// Which of the two acts a test is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Install,
    Link,
}

impl Act {
    /// The call that changes Microsoft's side.
    pub const fn call(self) -> &'static str {
        match self {
            Self::Install => "installApplication",
            Self::Link => "createLink",
        }
    }

    /// The call that is made again and again while Microsoft works.
    pub const fn poll(self) -> &'static str {
        match self {
            Self::Install => "getOperation",
            Self::Link => "getLink",
        }
    }

    const fn part_of_name(self) -> &'static str {
        match self {
            Self::Install => "-setup-",
            Self::Link => "-link-",
        }
    }

    pub fn is_operation(self, object: &Value) -> bool {
        let name = object["metadata"]["name"].as_str();
        name.is_some_and(|name| name.contains(self.part_of_name()))
    }
}

/// The example, read again so often that tests need not wait.
pub fn manifest() -> String {
    CONTOSO.replace("interval: 5m", "interval: 2s")
}

/// A world in which this act is the next thing to do. Its time is slow enough for an act to be seen under way.
pub async fn about_to(act: Act) -> World {
    let world = World::builder().simulator().time_scale(600.0).start().await;
    if act == Act::Link {
        install_by_hand(&world).await;
    }
    world
}

/// An absence counts as early as it does where nothing is held for long: 30 s to send, and ten request timeouts for a link.
pub const FLAGS: [&str; 2] = ["--request-timeout", "1s"];

/// An absence counts after some ten seconds, for tests that wait for it: a request that is held, or an intent that cannot
/// be written for that long, would be taken for lost.
pub const SHORT: [&str; 6] = [
    "--request-timeout",
    "1s",
    "--send-window",
    "8s",
    "--slow-factor",
    "5",
];

/// An absence does not count for minutes, for tests that hold a request while the operator looks and looks.
pub const PATIENT: [&str; 4] = ["--request-timeout", "1s", "--send-window", "5m"];

pub async fn start(world: &mut World) {
    world.start_operator(&FLAGS).await;
}

pub async fn install_by_hand(world: &World) {
    let packages: BTreeMap<_, _> = PACKAGES
        .iter()
        .map(|name| (*name, json!({"state": "Installed"})))
        .collect();
    let patch = json!({"environments": {TARGET: {"packages": packages}}});
    world.patch_state(patch).await;
}

pub async fn link_by_hand(world: &World) {
    let link = json!({"environmentId": TARGET, "cid": "9b7c1de2-0000-4000-8000-000000000099", "cname": "contoso-by-hand"});
    world
        .patch_state(json!({"financeOperations": {HOST: {"link": link}}}))
        .await;
}

// ---- the writes of the protocol ----

const OPERATIONS: &str = "dualwriteoperations";

/// The write that puts the finalizer on, or takes it off.
pub fn finalizer(act: Act, on: bool) -> Match {
    Match::method("PATCH")
        .path_contains(&format!("/{OPERATIONS}/"))
        .path_contains(act.part_of_name())
        .that(|seen| !seen.path.ends_with("/status"))
        .body(move |body| {
            body["metadata"]["finalizers"]
                .as_array()
                .is_some_and(|finalizers| finalizers.is_empty() != on)
        })
}

pub fn creation(act: Act) -> Match {
    let part = act.part_of_name();
    Match::create(OPERATIONS).body(move |body| {
        body["metadata"]["name"]
            .as_str()
            .is_some_and(|name| name.contains(part))
    })
}

/// The write of a step's state.
pub fn step(act: Act, state: &'static str) -> Match {
    Match::status(OPERATIONS)
        .path_contains(act.part_of_name())
        .body(move |body| has_step(&body["status"], state))
}

/// The write of the operation's end.
pub fn phase(act: Act, phase: &'static str) -> Match {
    Match::status(OPERATIONS)
        .path_contains(act.part_of_name())
        .body(move |body| body["status"]["phase"] == phase)
}

pub fn has_step(status: &Value, state: &str) -> bool {
    let steps = status["steps"].as_array().map_or(&[][..], Vec::as_slice);
    steps.iter().any(|step| step["state"] == state)
}

/// Whether this is the write of a step's state, for `ApiProxy::asked`.
pub fn is_step_write(seen: &Seen, state: &str) -> bool {
    seen.is_write()
        && seen.path.contains("/dualwriteoperations/")
        && seen.path.ends_with("/status")
        && has_step(&seen.body["status"], state)
}

// ---- waiting ----

/// Waits for the operation of this act in a state that is accepted; returns it.
pub async fn operation(
    world: &World,
    act: Act,
    timeout: Duration,
    mut found: impl FnMut(&Value) -> bool,
) -> Value {
    world
        .wait_for("dwo", timeout, |object| {
            act.is_operation(object) && found(object)
        })
        .await
}

/// Waits for Ready to have this reason on the current generation; returns the connection.
pub async fn ready(world: &World, reason: &str, timeout: Duration) -> Value {
    let what = format!("dwc/{CONNECTION}");
    world
        .wait_for(&what, timeout, |object| {
            let ready = wait::condition(object, "Ready");
            ready["reason"] == *reason
                && ready["observedGeneration"] == object["metadata"]["generation"]
        })
        .await
}

/// Follows the way out that the message names, as a person would: by the command that stands in it.
pub async fn release_as_told(world: &World, connection: &Value) {
    let message = wait::condition(connection, "Ready")["message"]
        .as_str()
        .unwrap_or_default();
    let (_, command) = message
        .split_once("kubectl delete dwo ")
        .unwrap_or_else(|| panic!("the message names no way out: {message}"));
    let name = command.split_whitespace().next().expect("a name");
    let name = name.trim_end_matches(['.', ',', ';', ')']);
    world
        .kubectl(&["delete", "dwo", name, "--wait=false"])
        .await
        .ok();
}

/// Holds the request of an act at Microsoft's, before or after its effect, and waits until one is held. Returns the
/// fault, by which it is let go.
pub async fn held_request(world: &World, act: Act, at: &str, begin: impl AsyncFnOnce()) -> String {
    let fault = json!({"call": act.call(), "effect": {"hold": {"holdAt": at}}});
    let fault = world.fault(fault).await;
    begin().await;
    let control = world.simulator().control();
    control.fault_fired(&fault, 1, SOON).await;
    if at == "after" {
        let applied = async || {
            let mutations = mutations(world).await;
            let done = mutations.values().any(|(_, applied)| *applied > 0);
            done.then_some(())
        };
        wait::polling("the effect", SOON, applied).await;
    }
    fault
}

/// Waits until the operator has looked so often whether the act is done.
pub async fn looked(world: &World, act: Act, times: u32) {
    let call = match act {
        Act::Install => "listApplicationPackages",
        Act::Link => "getLink",
    };
    let control = world.simulator().control();
    control.clear_calls().await;
    control.called(call, times, SOON).await;
}

/// The request is still held at Microsoft's: the operator looks for its effect, again and again for longer than it takes
/// to confirm an absence, and concludes nothing.
pub async fn nothing_is_concluded(world: &World, act: Act) {
    let is_ours = |operation: &Value| has_step(&operation["status"], "Intended");
    looked(world, act, 30).await;
    let intended = operation(world, act, SOON, |_| true).await;
    assert!(is_ours(&intended), "{intended:#}");
    assert_eq!(intended["status"]["phase"], "Running", "{intended:#}");
    assert_ne!(
        intended["metadata"]["finalizers"],
        Value::Null,
        "{intended:#}"
    );
    assert_eq!(received(world, act).await, 1, "sent again");
}

/// Waits until the process that sent the request waits for its answer no more.
pub async fn answer_is_given_up(world: &World, act: Act) {
    let lost = |operation: &Value| operation["status"]["steps"][0]["error"] != Value::Null;
    operation(world, act, SOON, lost).await;
}

// ---- what must never happen ----

/// The requests that changed Microsoft's side, or tried to, by what they were for: `(received, applied)`.
pub async fn mutations(world: &World) -> BTreeMap<String, (usize, usize)> {
    let mut mutations = BTreeMap::<String, (usize, usize)>::new();
    for entry in world.journal().await {
        let call = entry["call"].as_str().unwrap_or_default();
        let path = entry["path"].as_str().unwrap_or_default();
        let what = match call {
            "token" => continue,
            // The package is the part before the last one.
            "installApplication" => path.rsplit('/').nth(1).unwrap_or(path),
            other => other,
        };
        let (received, applied) = mutations.entry(what.to_owned()).or_default();
        *received += 1;
        *applied += usize::from(entry["applied"] == true);
    }
    mutations
}

/// How many requests of this act were received.
pub async fn received(world: &World, act: Act) -> usize {
    let journal = world.journal().await;
    journal
        .iter()
        .filter(|entry| entry["call"] == act.call())
        .count()
}

/// Nothing was done twice at Microsoft's, and nothing was even asked for twice.
pub async fn each_sent_at_most_once(world: &World) {
    let mutations = mutations(world).await;
    let twice = mutations.iter().find(|(_, (received, _))| *received > 1);
    assert!(twice.is_none(), "sent more than once: {mutations:?}");
    let twice = mutations.iter().find(|(_, (_, applied))| *applied > 1);
    assert!(twice.is_none(), "done more than once: {mutations:?}");
}

/// Every operation ends well, and none stays held.
pub async fn all_operations_succeed(world: &World) {
    for operation in world.operations().await {
        let name = operation["metadata"]["name"].as_str().expect("a name");
        let what = format!("dwo/{name}");
        let ended = |operation: &Value| {
            operation["status"]["phase"] == "Succeeded"
                && operation["metadata"]["finalizers"] == Value::Null
        };
        world.wait_for(&what, SOON, ended).await;
    }
}
