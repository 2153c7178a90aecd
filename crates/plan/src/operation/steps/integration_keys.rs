//! Puts the integration keys back.

use super::step::{Asking, At, Step, Target, reads_maps};
use crate::{
    messages::{self, PlanWords},
    observed::{Fact, Problem},
    operation::model::{Reads, Request, Situation},
};
use dualwrite_api::operation::IntegrationKey;

/// Puts the integration keys back.
#[derive(Default)]
pub struct IntegrationKeys;

impl Step for IntegrationKeys {
    fn name(&self) -> String {
        "integration-keys".into()
    }

    fn words(&self, _: &PlanWords<'_>, keys: usize) -> (String, &'static str) {
        let keys = messages::counted(keys, "integration key");
        (format!("Setting {keys} as before"), "seconds")
    }

    fn missing(&self, _: &[String], why: &str) -> Option<String> {
        let why = why.trim_end_matches('.');
        Some(format!(
            "the integration keys ({why}); set them on the Dual-write page under Integration key, from the backup"
        ))
    }

    fn reads(&self) -> Reads {
        Reads {
            connection_set: true,
            ..reads_maps()
        }
    }

    fn target(&self, at: &At<'_>) -> Target {
        Target::from(&at.situation.observed.details.connection_set, |set| {
            let is_there = |key: &&IntegrationKey| {
                set.integration_keys.iter().any(|there| {
                    there.entity.eq_ignore_ascii_case(&key.entity) && there.fields == key.fields
                })
            };
            match keys_in_use(at.situation) {
                Ok(wanted) => Target::of(wanted.iter().all(is_there)),
                Err(problem) => Target::Unseen(Some(problem.clone())),
            }
        })
    }

    fn request(&self, at: &At<'_>) -> Option<Asking> {
        let set = at.situation.observed.details.connection_set.known()?;
        let keys = keys_in_use(at.situation).ok()?;
        Some(Asking::of(Request::IntegrationKeys {
            dataverse_name: set.dataverse_name.clone()?,
            keys: keys.into_iter().cloned().collect(),
        }))
    }
}

/// The keys that can be put back: those of tables that maps are about. A table whose map has not come back has no schema
/// in the new connection set, and one key that is refused takes the others with it.
fn keys_in_use<'a>(situation: &Situation<'a>) -> Result<Vec<&'a IntegrationKey>, &'a Problem> {
    let maps = match &situation.observed.maps {
        Fact::Known(maps) => maps,
        Fact::Unknown(problem) => return Err(problem),
    };
    let tables: Vec<&str> = maps.iter().filter_map(|map| map.table.as_deref()).collect();
    let is_used = |key: &&IntegrationKey| {
        let mut tables_of_key = tables.iter();
        // Where the service names no table at all, nothing is known against a key.
        tables.is_empty() || tables_of_key.any(|table| table.eq_ignore_ascii_case(&key.entity))
    };
    let keys = &situation.operation.spec.relies_on.integration_keys;
    Ok(keys.iter().filter(is_used).collect())
}

/// The tables whose keys are not put back, because no map of them has come back.
pub fn keys_left_out<'a>(situation: &Situation<'a>) -> Vec<&'a str> {
    let Ok(used) = keys_in_use(situation) else {
        return Vec::new();
    };
    let keys = &situation.operation.spec.relies_on.integration_keys;
    let left = keys.iter().filter(|key| !used.contains(key));
    left.map(|key| key.entity.as_str()).collect()
}
