//! A whole reset, judged against a dual-write service that was made without a look at the simulator, with all the moods of
//! the real one at once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::support::World;
use crate::support::contoso::{self, NAME, SANDBOX, SPEC};
use crate::support::double::{
    Double, FINANCE, FLEET, Oddities, Oddity, Original, SUPPLY, originals,
};
use serde_json::{Value, json};

/// A reset against the double takes a quarter of this on two busy cores.
const PATIENCE: Duration = Duration::from_secs(100);

/// The operator, the double, and what the test knows of both.
struct Stage {
    world: World,
    double: Double,
}

impl Stage {
    async fn start(oddities: Oddities) -> Self {
        let mut world = World::builder().start().await;
        let folder = world.control_plane.folder().join(&world.namespace);
        let double = Double::start(&folder, oddities).await;
        contoso::create_secrets(&world).await;
        let flags = double.flags();
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        world.start_operator(&flags).await;
        Self { world, double }
    }

    /// Asks for a reset, and waits for its plan.
    async fn plan(&self, start_maps: &str) -> Value {
        let spec = json!({"mismatch": {"policy": "Reset", "startMaps": start_maps}});
        contoso::connect(&self.world, spec).await;
        let is_plan = |operation: &Value| {
            operation["spec"]["action"] == "Reset"
                && operation["status"]["phase"] == "AwaitingApproval"
        };
        self.world.wait_for("dwo", PATIENCE, is_plan).await
    }

    /// Approves it, and waits for its end.
    async fn carry_out(&self, plan: &Value) -> Value {
        let name = format!("dwo/{}", plan["metadata"]["name"].as_str().unwrap());
        contoso::patch(
            &self.world,
            &name,
            json!({"spec": {"approval": "Approved"}}),
        )
        .await;
        let has_ended = |operation: &Value| {
            let phase = operation["status"]["phase"].as_str().unwrap_or_default();
            !["", "AwaitingApproval", "Running"].contains(&phase)
        };
        self.world.wait_for(&name, PATIENCE, has_ended).await
    }

    fn journal(&self, call: &str) -> Vec<Value> {
        let journal = self.double.journal();
        journal
            .into_iter()
            .filter(|entry| entry["call"] == call)
            .collect()
    }

    /// What no run may have done, whatever it was about.
    fn assert_tidy(&self) {
        assert_eq!(self.double.violations(), [""; 0]);
        assert_eq!(self.double.unknown(), [""; 0]);
        let resets = self.journal("reset");
        assert_eq!(resets.len(), 1, "{resets:#?}");
        let solutions: Vec<Value> = self
            .journal("solution")
            .iter()
            .map(|entry| entry["name"].clone())
            .collect();
        assert_eq!(solutions, [FINANCE, SUPPLY]);
        let mut acts: BTreeMap<String, u32> = BTreeMap::new();
        for entry in self.journal("start") {
            *acts
                .entry(format!("{} of {}", entry["action"], entry["map"]))
                .or_default() += 1;
        }
        assert!(acts.values().all(|count| *count <= 2), "{acts:#?}");
    }

    fn assert_reset(&self) {
        let reset = &self.journal("reset")[0];
        assert_eq!(reset["targetType"], "AX");
        assert_eq!(reset["force"], false);
        let body = &reset["body"];
        assert_eq!(body["powerAppsEnvironmentName"], SPEC);
        assert_eq!(body["environments"][0]["targetType"], "CRM");
        assert_eq!(body["environments"][0]["id"], SPEC);
        assert_eq!(body["environments"][1]["targetType"], "AX");
        assert_eq!(body["legalEntities"], json!(["USMF", "DEMF"]));
    }

    /// Every map but the one that nothing brings back is in the state that it should have, in the version that it had.
    fn assert_maps(&self, wanted: impl Fn(&Original) -> u8) {
        // Of a map that a solution has brought twice one is enough.
        let mut found: BTreeMap<String, (u8, String)> = BTreeMap::new();
        for (name, state, version) in self.double.maps() {
            let best = found.entry(name).or_default();
            *best = (state, version).max(best.clone());
        }
        let expected: BTreeMap<_, _> = originals()
            .iter()
            .filter(|map| map.name != FLEET)
            .map(|map| {
                let version = map.version.map(|part| part.to_string()).join(".");
                (map.name.to_owned(), (wanted(map), version))
            })
            .collect();
        assert_eq!(found, expected, "{:#?}", self.double.journal());
    }

    fn assert_keys(&self) {
        let keys = self.double.keys();
        for map in originals().iter().filter(|map| map.name != FLEET) {
            if let Some((_, fields)) = map.key {
                assert_eq!(keys[map.right][1], json!(fields), "{keys:#}");
            }
        }
    }

    async fn backup(&self, operation: &Value) -> String {
        let mut text = String::new();
        for name in operation["status"]["backup"]["configMaps"]
            .as_array()
            .unwrap()
        {
            let args = [
                "get",
                "configmap",
                name.as_str().unwrap(),
                "-o",
                "jsonpath={.data}",
            ];
            text.push_str(&self.world.kubectl(&args).await.ok());
        }
        text
    }

    /// For the eyes of whoever looks into a failure.
    fn tell(&self) {
        println!("calls {:#}", self.double.calls());
        println!("troubles {:#}", self.double.troubles());
        for entry in self.double.journal() {
            println!("journal {entry}");
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.tell();
            println!("violations {:#?}", self.double.violations());
        }
    }
}

fn message(operation: &Value) -> &str {
    operation["status"]["message"].as_str().unwrap_or_default()
}

/// Each solution is credited with the maps that it holds, also with those that were listed late.
fn assert_solutions(operation: &Value) {
    for solution in [FINANCE, SUPPLY] {
        let steps = operation["status"]["steps"].as_array().unwrap();
        let name = format!("solution/{solution}");
        let step = steps.iter().find(|step| step["name"] == name).unwrap();
        let maps = step["maps"].as_array().unwrap();
        let brought: BTreeSet<&str> = maps.iter().filter_map(Value::as_str).collect();
        let held = originals()
            .into_iter()
            .filter(|map| map.solution == Some(solution));
        let held: BTreeSet<&str> = held.map(|map| map.name).collect();
        assert_eq!(brought, held, "{solution}");
    }
}

/// Side by side: most of each is waiting.
#[tokio::test(flavor = "multi_thread")]
async fn a_reset_ends_as_it_should() {
    let cases = [
        "with all the moods",
        "that starts nothing",
        "whose answer is lost",
    ];
    let cases = cases.map(|name| (name.to_owned(), name));
    contoso::side_by_side(cases.into(), |name| async move {
        match name {
            "with all the moods" => a_reset_with_all_the_moods().await,
            "that starts nothing" => a_reset_that_starts_nothing().await,
            _ => a_reset_whose_answer_is_lost().await,
        }
    })
    .await;
}

async fn a_reset_with_all_the_moods() {
    let stage = Stage::start(Oddities::usual()).await;
    let plan = stage.plan("AsBefore").await;
    let relies_on = &plan["spec"]["reliesOn"];
    assert_eq!(relies_on["link"], SANDBOX);
    assert_eq!(relies_on["solutions"], json!([FINANCE, SUPPLY]));
    let ended = stage.carry_out(&plan).await;
    assert_eq!(
        ended["status"]["phase"], "Succeeded",
        "{:#}",
        ended["status"]
    );
    assert!(message(&ended).contains(FLEET), "{}", message(&ended));
    stage.assert_tidy();
    stage.assert_reset();
    stage.assert_maps(|map| map.state);
    stage.assert_keys();
    assert_solutions(&ended);
    let backup = stage.backup(&ended).await;
    for map in originals() {
        assert!(backup.contains(map.name), "{} is not in {backup}", map.name);
        for field in map.key.map_or(&[][..], |(_, fields)| fields) {
            assert!(backup.contains(field), "{field} is not in {backup}");
        }
    }
    for part in [
        FINANCE,
        SUPPLY,
        SANDBOX,
        "USMF",
        "DEMF",
        "contoso-uat-20240311",
        "2.0.1.0",
        "Paused",
    ] {
        assert!(backup.contains(part), "{part} is not in {backup}");
    }
    stage.tell();
}

async fn a_reset_that_starts_nothing() {
    let stage = Stage::start(Oddities::usual().with(Oddity::GatewayTimeout)).await;
    let plan = stage.plan("Never").await;
    let ended = stage.carry_out(&plan).await;
    assert_eq!(
        ended["status"]["phase"], "Succeeded",
        "{:#}",
        ended["status"]
    );
    stage.assert_tidy();
    stage.assert_reset();
    let started = |entry: &Value| entry["action"] == "1" || entry["action"] == "6";
    let starts: Vec<Value> = stage.journal("start").into_iter().filter(started).collect();
    assert_eq!(starts, [Value::Null; 0]);
    // One that never had a project gets none.
    stage.assert_maps(|map| map.state.min(1));
    stage.assert_keys();
    stage.tell();
}

async fn a_reset_whose_answer_is_lost() {
    let stage = Stage::start(Oddities::usual().with(Oddity::LostReset)).await;
    let plan = stage.plan("AsBefore").await;
    let ended = stage.carry_out(&plan).await;
    assert_eq!(
        ended["status"]["phase"], "Succeeded",
        "{:#}",
        ended["status"]
    );
    stage.assert_tidy();
    stage.assert_reset();
    stage.assert_maps(|map| map.state);
    stage.assert_keys();
    let connection = stage.world.connection(NAME).await;
    assert_eq!(
        connection["status"]["observed"]["link"]["environmentId"], SPEC,
        "{connection:#}"
    );
    stage.tell();
}
