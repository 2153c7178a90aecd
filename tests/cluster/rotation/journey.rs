//! One operation, and a change of an identity at each of its moments.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::acts::{self, Act};
use super::changes::{self, Change};
use super::forms::{Form, Identity};
use crate::support::contoso::*;
use crate::support::reset::{ACT, PATIENT, approve, ended, name_of};
use crate::support::{Action, Moment, Rule, World, wait};

/// A second connection that signs in with the same: a refused password is not tried by each of them.
const OTHER: &str = "contoso-uat-observed";

pub async fn go(act: Act, form: Form, first: usize, stride: u64) {
    let mut world = builder().start().await;
    let tokens = json!({"settings": {"tokenLifetime": "2s"}});
    world.patch_state(both(act.state(), tokens)).await;
    create_secrets(&world).await;
    let mut identity = Identity::new(form, &world).await;
    world.start_operator(&PATIENT).await;
    let mut changes = changes::of(form).into_iter().cycle().skip(first);
    let mut next = || changes.next().unwrap();
    let mut met = Vec::new();

    let created = world
        .api
        .when(act.creation())
        .then(Moment::Before, Action::Hold);
    connect(&world, both(act.spec(), identity.spec())).await;
    let observed = both(
        json!({"mode": "Observe", "link": {"method": "Manual"}}),
        identity.spec(),
    );
    create(&world, "dwc", connection(OTHER, observed)).await;
    created.fired(ACT).await;
    let mut held = hold(&world, act, 1);
    let change = next();
    change.make(&mut identity, &world).await;
    created.release();
    see_through(&world, act, change, &mut identity, &held).await;
    met.push(format!("created: {change:?}"));

    let operation = begun(&world, act).await;
    let name = name_of(&operation);
    while is_held(&world, &name, &held).await {
        let live = world.get(&format!("dwo/{name}")).await;
        let (place, is_intended) = acts::place(&live["status"]);
        world.simulator().control().clear_faults().await;
        let now = held;
        held = hold(&world, act, acts::progress(&live["status"]) + stride);
        let change = next();
        if is_intended {
            forget_tokens(&world).await;
        }
        change.make(&mut identity, &world).await;
        now.release();
        see_through(&world, act, change, &mut identity, &held).await;
        met.push(format!("{place}: {change:?}"));
    }
    held.cancel();
    let operation = ended(&world, &name, &["Succeeded"], ACT).await;
    world.simulator().control().clear_faults().await;
    act.is_done(&world, &operation).await;
    each_password_was_refused_once(&world, &identity).await;
    everything_was_done_once(&world).await;
    nothing_leaked(&world).await;
    println!(
        "{act:?} by {form:?}, {} cases: {}",
        met.len(),
        met.join("; ")
    );
}

fn hold(world: &World, act: Act, progress: u64) -> Rule {
    let write = act.progress(progress);
    world.api.when(write).then(Moment::After, Action::Hold)
}

/// The operation as it begins; a plan is approved.
async fn begun(world: &World, act: Act) -> Value {
    let is_it = |operation: &Value| act.is_operation(operation);
    if act != Act::Reset {
        return world.wait_for("dwo", ACT, is_it).await;
    }
    let plan = crate::support::reset::plan(world).await;
    approve(world, &plan).await;
    world.get(&format!("dwo/{plan}")).await
}

/// Whether the operation comes to the next moment, and not to its end.
async fn is_held(world: &World, name: &str, held: &Rule) -> bool {
    let what = format!("dwo/{name}");
    let is_over = |operation: &Value| {
        let phase = operation["status"]["phase"].as_str().unwrap_or_default();
        ["Succeeded", "Failed", "Unknown", "Void"].contains(&phase)
    };
    tokio::select! {
        biased;
        () = held.fired(ACT) => true,
        _ = world.wait_for(&what, ACT, is_over) => false,
    }
}

/// The next request that changes something meets a token that is good no more, so that it is not sent with what was
/// fetched before.
async fn forget_tokens(world: &World) {
    for call in acts::CHANGES {
        world
            .fault(json!({"call": call, "effect": "unauthorizedOnce"}))
            .await;
    }
}

/// What is broken is said, by the connection and by an operation that cannot go on without it; then it is mended.
///
/// What was fetched before may carry the operation to its next moment, where it is held.
async fn see_through(
    world: &World,
    act: Act,
    change: Change,
    identity: &mut Identity,
    held: &Rule,
) {
    if change.is_smooth() {
        return;
    }
    let form = identity.form;
    let place = identity.kept_in.clone();
    says(
        world,
        "CredentialsValid",
        "False",
        change.reason(form),
        &[&place],
    )
    .await;
    // Or it needs nothing more, and is at its end.
    let waits = |operation: &Value| {
        let phase = operation["status"]["phase"].as_str().unwrap_or_default();
        let said = operation["status"]["message"].as_str().unwrap_or_default();
        let is_unstarted = ["", "AwaitingApproval"].contains(&phase);
        act.is_operation(operation)
            && (is_unstarted
                || phase == "Succeeded"
                || (phase == "Running" && said.contains(&place)))
    };
    if act.rests_on(form) {
        tokio::select! {
            _ = world.wait_for("dwo", SOON, waits) => {}
            () = held.fired(ACT) => {}
        }
    }
    each_password_was_refused_once(world, identity).await;
    world.simulator().control().clear_faults().await;
    change.mend(identity, world).await;
    let again = |object: &Value| {
        let found = wait::condition(object, "CredentialsValid");
        found["status"] == "True" && found["observedGeneration"] == object["metadata"]["generation"]
    };
    world.wait_for(&format!("dwc/{NAME}"), SOON, again).await;
}

/// Accounts lock: whoever uses a Secret, what it holds is refused once.
async fn each_password_was_refused_once(world: &World, identity: &Identity) {
    let state = world.simulator().control().state().await;
    let account = &state["tenants"][TENANT]["accounts"][ACCOUNT];
    let refused = account["wrongPasswords"].as_u64().unwrap();
    let held = identity.passwords();
    assert!(
        usize::try_from(refused).unwrap() <= held,
        "{refused} refusals of {held} passwords"
    );
}

/// Each change at Microsoft's was made once. A request whose token was not taken any more is none.
async fn everything_was_done_once(world: &World) {
    let mut made = BTreeMap::<String, (usize, usize)>::new();
    for entry in crate::support::reset::requests(world).await {
        let what = format!("{} {} {}", entry["call"], entry["path"], entry["body"]);
        let (received, applied) = made.entry(what).or_default();
        *received += usize::from(entry["status"] != 401);
        *applied += usize::from(entry["applied"] == true);
    }
    assert!(!made.is_empty());
    for (what, counts) in &made {
        assert_eq!(*counts, (1, 1), "{what}: {made:#?}");
    }
}

async fn nothing_leaked(world: &World) {
    let mut texts = world.operator_log();
    for kind in ["dwc", "dwo", "event"] {
        texts.extend(world.list(kind).await.iter().map(Value::to_string));
    }
    texts.push(world.metrics().await);
    for text in texts {
        for marker in ["marker-", "PRIVATE KEY", "simulated.", "eyJ"] {
            assert!(!text.contains(marker), "{marker} in {text}");
        }
    }
}
