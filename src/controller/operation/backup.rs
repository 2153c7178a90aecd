//! The backup of a reset, as `ConfigMap`s beside the connection.
//!
//! They are immutable and have no owner, so that nobody changes them by accident and deleting the connection keeps them.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::core::ObjectMeta;
use sha2::{Digest, Sha256};

use crate::controller::{
    context::Context,
    report::{self, WriteError},
};
use dualwrite_api::{Reason, values};
use dualwrite_plan::{
    backup::{self, FILE, Part},
    observed::Problem,
    operation::{BackupView, Sent},
    world::KnownOperation,
};

/// How many backups of a connection are kept.
const KEPT: usize = 5;

/// The longest name of an object.
const NAME_LIMIT: usize = 253;

/// The longest value of a label.
const LABEL_LIMIT: usize = 63;

/// The backup of an operation, as it stands.
pub async fn view(context: &Context, operation: &KnownOperation) -> BackupView {
    let Some(recorded) = &operation.status.backup else {
        return BackupView::Missing;
    };
    let mut texts = Vec::new();
    for name in &recorded.config_maps {
        match report::config_map(context, &operation.namespace, name).await {
            Ok(None) => return BackupView::Missing,
            Ok(Some(found)) => texts.push(
                found
                    .data
                    .and_then(|mut data| data.remove(FILE))
                    .unwrap_or_default(),
            ),
            Err(error) => return BackupView::Unknown(cannot(operation, &error)),
        }
    }
    if backup::digest(texts.iter().map(String::as_str)) == recorded.sha256 {
        BackupView::Intact
    } else {
        BackupView::Altered
    }
}

/// Writes the backup of an operation; a part that is there already is left as it is, and judged when it is read.
pub async fn write(context: &Context, operation: &KnownOperation) -> Sent {
    let parts = match backup::parts(operation) {
        Ok(parts) => parts,
        Err(error) => {
            return Sent::NotSent(Problem::transient(format!(
                "The backup could not be written as YAML ({error})."
            )));
        }
    };
    for part in &parts {
        let config_map = config_map(operation, part);
        match report::create_config_map(context, &operation.namespace, &config_map).await {
            Ok(()) | Err(WriteError::Conflict) => {}
            Err(error) if error.failure().is_final() => {
                return Sent::Refused(cannot(operation, &error));
            }
            Err(error) if error.failure().is_certain() => {
                return Sent::NotSent(cannot(operation, &error));
            }
            Err(error) => return Sent::Lost(cannot(operation, &error)),
        }
    }
    Sent::Accepted { remote_id: None }
}

/// Deletes all but the last backups of a connection. Best effort: the next reset tries again.
pub async fn prune(context: &Context, operation: &KnownOperation) {
    let connection = label(&operation.spec.connection.name);
    let selector = format!("{BACKUP}=true,{CONNECTION}={connection}");
    let found =
        match report::config_maps(context, &operation.namespace, &selector, Stored::of).await {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(%error, "old backups could not be listed, so none is deleted");
                return;
            }
        };
    for Stored { name, uid, .. } in superfluous(&found, &operation.name) {
        match report::delete_config_map(context, &operation.namespace, name, uid).await {
            Ok(()) => tracing::info!(config_map = name, "deleted an old backup"),
            Err(error) => {
                tracing::warn!(config_map = name, %error, "an old backup could not be deleted");
            }
        }
    }
}

/// What is kept of a part of a backup that was found.
struct Stored {
    name: String,
    uid: String,
    /// The name of its operation; empty where it has none that could be one.
    operation: String,
    created: Option<Timestamp>,
}

impl Stored {
    fn of(meta: ObjectMeta) -> Self {
        let operation = meta
            .annotations
            .and_then(|mut annotations| annotations.remove(OPERATION));
        Self {
            name: meta.name.unwrap_or_default(),
            uid: meta.uid.unwrap_or_default(),
            operation: operation
                .filter(|name| name.len() <= NAME_LIMIT)
                .unwrap_or_default(),
            created: meta.creation_timestamp.map(|time| time.0),
        }
    }
}

/// The parts of all but the newest backups, of which this operation's is always one: creation times have whole seconds, and
/// clocks go wrong.
fn superfluous<'a>(found: &'a [Stored], own: &str) -> Vec<&'a Stored> {
    let mut newest: BTreeMap<&str, Option<Timestamp>> = BTreeMap::new();
    for part in found {
        let at = newest.entry(&part.operation).or_default();
        *at = (*at).max(part.created);
    }
    newest.remove(own);
    let mut by_age: Vec<_> = newest.into_iter().collect();
    by_age.sort_by_key(|(name, at)| Reverse((*at, *name)));
    let old = by_age.into_iter().skip(KEPT - 1);
    let old: BTreeSet<&str> = old.map(|(name, _)| name).collect();
    let is_old = |part: &&Stored| old.contains(part.operation.as_str());
    found.iter().filter(is_old).collect()
}

const BACKUP: &str = "dualwrite.dev/backup";
const CONNECTION: &str = "dualwrite.dev/connection";
const OPERATION: &str = "dualwrite.dev/operation";

fn config_map(operation: &KnownOperation, part: &Part) -> ConfigMap {
    let connection = &operation.spec.connection.name;
    let labels = [
        (BACKUP, "true".to_owned()),
        (CONNECTION, label(connection)),
        (
            "app.kubernetes.io/managed-by",
            "dualwrite-operator".to_owned(),
        ),
    ];
    let annotations = [
        (CONNECTION, connection.clone()),
        (OPERATION, operation.name.clone()),
    ];
    let owned = |pairs: Vec<(&str, String)>| -> BTreeMap<String, String> {
        pairs
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect()
    };
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(part.name.clone()),
            namespace: Some(operation.namespace.clone()),
            labels: Some(owned(labels.into())),
            annotations: Some(owned(annotations.into())),
            ..ObjectMeta::default()
        },
        immutable: Some(true),
        data: Some([(FILE.to_owned(), part.text.clone())].into()),
        ..ConfigMap::default()
    }
}

/// A name as the value of a label; one that is too long is cut, and told from others by a digest.
fn label(name: &str) -> String {
    if name.len() <= LABEL_LIMIT {
        return name.to_owned();
    }
    let digest = Sha256::digest(name.as_bytes());
    let cut: String = name.chars().take(LABEL_LIMIT - 9).collect();
    let digest = values::hex(&digest[..4]);
    format!("{}-{digest}", cut.trim_end_matches(['-', '.']))
}

fn cannot(operation: &KnownOperation, error: &WriteError) -> Problem {
    let message = match error.status() {
        Some(403) => format!(
            "The operator may not handle ConfigMaps in the namespace {}, where the backup of the reset belongs: bind the role \
             dualwrite-operator-namespace of this version there (README, Install, step 3).",
            operation.namespace
        ),
        _ => format!(
            "The backup of the reset cannot be written or read as a ConfigMap in the namespace {}: {error}.",
            operation.namespace
        ),
    };
    match error.status() {
        Some(403) => Problem::needs_person(Reason::NamespaceNotGranted, message),
        _ => Problem::transient(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(operation: &str, name: &str, second: i64) -> Stored {
        let at = Timestamp::from_second(second).unwrap();
        Stored::of(ObjectMeta {
            name: Some(name.into()),
            annotations: Some([(OPERATION.to_owned(), operation.to_owned())].into()),
            creation_timestamp: Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at)),
            ..ObjectMeta::default()
        })
    }

    #[test]
    fn the_last_five_backups_are_kept_with_all_their_parts() {
        let mut found: Vec<Stored> = (1..=7)
            .map(|number| {
                stored(
                    &format!("reset-{number}"),
                    &format!("reset-{number}-backup"),
                    number,
                )
            })
            .collect();
        found.push(stored("reset-1", "reset-1-backup-2", 100));
        let names_but_for = |own| -> Vec<&str> {
            let superfluous = superfluous(&found, own).into_iter();
            superfluous.map(|part| part.name.as_str()).collect()
        };
        let names = names_but_for("reset-7");
        assert_eq!(names, ["reset-2-backup", "reset-3-backup"]);
        let all = names_but_for("reset-2");
        assert_eq!(all, ["reset-3-backup", "reset-4-backup"], "its own stays");
    }

    #[test]
    fn a_long_name_becomes_a_label_of_its_own() {
        let one = label(&format!("{}-one", "contoso".repeat(20)));
        let other = label(&format!("{}-other", "contoso".repeat(20)));
        assert!(one.len() <= LABEL_LIMIT && other.len() <= LABEL_LIMIT && one != other);
        assert_eq!(label("contoso-uat"), "contoso-uat");
    }
}
