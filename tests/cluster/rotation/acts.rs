//! The kinds of operations, and which identities take part in them.

use std::ops::Range;

use serde_json::{Value, json};

use super::forms::Form;
use crate::support::contoso::*;
use crate::support::reset::*;
use crate::support::{Match, World};

#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::EnumIter)]
pub enum Act {
    Reset,
    Setup,
    Link,
    StopMaps,
}

/// Every call that changes something at Microsoft's.
pub const CHANGES: [&str; 7] = [
    "installApplication",
    "createLink",
    "startMaps",
    "resetLink",
    "applySolution",
    "setIntegrationKeys",
    "switchActiveVersion",
];

impl Act {
    /// An installation knows no dual-write account; the others look with the application.
    pub fn takes(self, form: Form) -> bool {
        self != Self::Setup || form.is_application()
    }

    /// Whether nothing of it can be read or done without this identity.
    pub fn rests_on(self, form: Form) -> bool {
        (self == Self::Setup) == form.is_application()
    }

    /// With which changes the journeys of `make test` begin.
    pub fn first(self, form: Form) -> Range<usize> {
        let first = self as usize + form as usize;
        first..first + 1
    }

    /// How much further an operation is to be until the next change in `make test`. A reset has many steps, and most are
    /// alike for an identity that it needs only once.
    pub const fn stride(self, form: Form) -> u64 {
        match (self, form.is_application()) {
            (Self::Reset, false) => 4,
            (Self::Reset, true) => 5,
            _ => 1,
        }
    }

    pub fn state(self) -> Value {
        match self {
            Self::Setup => Value::Null,
            Self::Link => set_up(),
            Self::Reset => drifted(),
            Self::StopMaps => mixed(),
        }
    }

    pub fn spec(self) -> Value {
        match self {
            Self::Setup => json!({"link": {"method": "Manual"}}),
            Self::Link => json!({}),
            Self::Reset => asks(),
            Self::StopMaps => json!({"mismatch": {"onMix": "StopMaps"}}),
        }
    }

    fn action(self) -> &'static str {
        match self {
            Self::Setup => "Setup",
            Self::Link => "Link",
            Self::Reset => "Reset",
            Self::StopMaps => "StopMaps",
        }
    }

    fn part_of_name(self) -> String {
        format!("{NAME}-{}-", self.action().to_lowercase())
    }

    pub fn is_operation(self, object: &Value) -> bool {
        object["spec"]["action"] == self.action() && object["status"]["phase"] != "Void"
    }

    pub fn creation(self) -> Match {
        let part = self.part_of_name();
        Match::create("dualwriteoperations").body(move |body| {
            body["metadata"]["name"]
                .as_str()
                .is_some_and(|name| name.starts_with(&part))
        })
    }

    /// The first write that records so much progress.
    pub fn progress(self, wanted: u64) -> Match {
        Match::status("dualwriteoperations")
            .path_contains(&self.part_of_name())
            .body(move |body| progress(&body["status"]) >= wanted)
    }

    /// What is so at the end.
    pub async fn is_done(self, world: &World, operation: &Value) {
        match self {
            Self::Setup => {
                world
                    .wait_condition(NAME, "SetupComplete", "True", Some("Installed"))
                    .await;
            }
            Self::Link => {
                ready(world).await;
                assert_eq!(linked_to(world).await, SPEC);
            }
            Self::Reset => {
                ready(world).await;
                is_restored(world, operation).await;
            }
            Self::StopMaps => assert_eq!(maps_now(world).await, all_stopped()),
        }
    }
}

/// How far an operation is: it only ever grows, but for a step that is tried again.
pub fn progress(status: &Value) -> u64 {
    let steps = status["steps"].as_array();
    let of = |step: &Value| match step["state"].as_str() {
        Some("Intended") => 1,
        Some("Sent") => 2,
        Some("Done" | "Failed" | "Unknown") => 3,
        _ => 0,
    };
    steps.into_iter().flatten().map(of).sum()
}

/// Where an operation is, in words.
pub fn place(status: &Value) -> (String, bool) {
    let steps = status["steps"].as_array();
    let begun = |step: &&Value| step["state"] != "Pending";
    let last = steps.into_iter().flatten().rfind(begun);
    let text = |key: &str| last.and_then(|step| step[key].as_str()).unwrap_or("-");
    let is_intended = text("state") == "Intended";
    (format!("{} {}", text("name"), text("state")), is_intended)
}
