//! Sentences about a link that is not where it should be.

use super::words::{LCS_MISMATCH, environment};
use crate::{
    desired::{self, Desired},
    observed::{Environment, Tier},
};
use dualwrite_api::connection::MixPolicy;

/// Link and integration agree.
pub fn matched() -> String {
    "Dual-write is linked to the Dataverse that Power Platform integration names.".into()
}

/// There is no link that could be wrong.
pub fn not_linked() -> String {
    "Dual-write is not linked.".into()
}

/// Link or integration cannot be seen.
pub fn mismatch_not_observable() -> String {
    "Link and integration cannot be compared: at least one of them is not visible.".into()
}

/// L and P name different environments, in one sentence.
pub fn different_destination(linked: &str, integration: &str) -> String {
    format!(
        "{LCS_MISMATCH} Dual-write is linked to {linked}; Power Platform integration names {integration}."
    )
}

/// Remedy B.
pub fn remedy_reset(desired: &Desired, linked: &str, integration: &str) -> String {
    format!(
        "{} Remedy: a reset of dual-write, on its Dual-write page ({}), links it \
         to {integration}. That is permanent, and it deletes table maps, integration keys, legal-entity mappings, alert \
         settings, the activity log and the history of initial syncs: note your maps and solutions first, stop all maps, and afterwards \
         apply the solutions and start the maps again. The operator does not do that (mismatch.policy: Report); with \
         mismatch.policy: Reset it plans all of it as one act, and waits for approval.",
        different_destination(linked, integration),
        desired::admin_url(&desired.finance_operations_url),
    )
}

/// A sandbox is linked with a production environment.
pub fn mix(desired: &Desired, host: Tier, linked: &Environment) -> String {
    let linked = environment(linked);
    let (this, other) = if host == Tier::Production {
        ("a production", "not a production")
    } else {
        ("not a production", "a production")
    };
    let what = match desired.mismatch.on_mix {
        MixPolicy::Report => {
            "stop the maps on the Dual-write page until this is settled, or set mismatch.onMix: StopMaps."
        }
        MixPolicy::StopMaps => {
            "every map is to be stopped until this is settled (mismatch.onMix: StopMaps)."
        }
    };
    format!(
        "Sandbox and production are mixed: {} is {this} environment, and dual-write is linked to {linked}, which is {other} \
         environment. Data may flow between test and production: {what}",
        desired.host
    )
}
