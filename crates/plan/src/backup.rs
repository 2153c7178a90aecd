//! What a reset takes away, written down for people: as YAML, in as many parts as it needs.
//!
//! All of it comes from the plan, which cannot change; so the same operation always has the same backup, and its digest
//! can be checked whenever it matters.

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::world::KnownOperation;
use dualwrite_api::{
    DualWriteOperationSpec,
    operation::{Backup, ConnectionSetReference, IntegrationKey, PlannedMap, Target},
    values,
};

/// The name of the file in each `ConfigMap`.
pub const FILE: &str = "backup.yaml";

/// How large a part is at the most, in bytes: a `ConfigMap` holds 1 MiB.
const PART: usize = 600 * 1024;

/// One `ConfigMap` of a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub text: String,
}

/// What a part shows.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Page<'a> {
    operation: &'a str,
    connection: &'a str,
    finance_operations: &'a str,
    part: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    head: Option<Head<'a>>,
    table_maps: &'a [PlannedMap],
}

/// What there is only once.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Head<'a> {
    linked_to: &'a str,
    reset_to: &'a Target,
    connection_set: Option<&'a ConnectionSetReference>,
    companies_afterwards: &'a [String],
    solutions: &'a [String],
    integration_keys: &'a [IntegrationKey],
}

/// The parts of an operation's backup, in order.
///
/// # Errors
/// Never in practice: plain data becomes YAML.
pub fn parts(operation: &KnownOperation) -> Result<Vec<Part>, serde_norway::Error> {
    let spec = &operation.spec;
    let pages = pages(&spec.relies_on.maps)?;
    let total = pages.len();
    let mut parts = Vec::with_capacity(total);
    for (index, maps) in pages.into_iter().enumerate() {
        let number = index + 1;
        let page = Page {
            operation: &operation.name,
            connection: &spec.connection.name,
            finance_operations: &spec.finance_operations_host,
            part: format!("{number} of {total}"),
            head: (index == 0).then(|| head(spec)),
            table_maps: maps,
        };
        let name = match number {
            1 => format!("{}-backup", operation.name),
            _ => format!("{}-backup-{number}", operation.name),
        };
        let text = format!("{HEADING}{}", serde_norway::to_string(&page)?);
        parts.push(Part { name, text });
    }
    Ok(parts)
}

const HEADING: &str = "# What dual-write had before its reset, as it was read when the reset was planned.\n\
                       # How to put it back by hand: docs/reset.md, \"Restore by hand\".\n";

fn head(spec: &DualWriteOperationSpec) -> Head<'_> {
    Head {
        linked_to: &spec.relies_on.link,
        reset_to: &spec.target,
        connection_set: spec.relies_on.connection_set.as_ref(),
        companies_afterwards: &spec.relies_on.legal_entities,
        solutions: &spec.relies_on.solutions,
        integration_keys: &spec.relies_on.integration_keys,
    }
}

/// The maps of each part; there is always a first one.
fn pages(maps: &[PlannedMap]) -> Result<Vec<&[PlannedMap]>, serde_norway::Error> {
    let mut pages = Vec::new();
    let (mut start, mut size) = (0, 0);
    for (index, map) in maps.iter().enumerate() {
        let length = serde_norway::to_string(map)?.len() * 2;
        if size + length > PART && index > start {
            pages.push(&maps[start..index]);
            (start, size) = (index, 0);
        }
        size += length;
    }
    pages.push(&maps[start..]);
    Ok(pages)
}

/// Where the parts stand, and the digest over them.
pub fn reference(parts: &[Part]) -> Backup {
    Backup {
        config_maps: parts.iter().map(|part| part.name.clone()).collect(),
        sha256: digest(parts.iter().map(|part| part.text.as_str())),
    }
}

/// The SHA-256 over texts, as hexadecimal digits.
pub fn digest<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let mut hasher = Sha256::new();
    for text in texts {
        hasher.update(text.as_bytes());
        // So that moving a line from one part to the next is a change.
        hasher.update([0]);
    }
    values::hex(&hasher.finalize())
}
