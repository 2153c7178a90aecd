//! Integration keys: by which columns dual-write finds a row of Dataverse again.

use crate::Call;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::send::To;
use crate::Session;
use crate::clouds::AllowedHost;
use crate::error::MutationError;
use crate::http::Body;
use crate::json::{Fields, Odd};
use crate::text;

/// `POST api/dataset/{Dataverse name}/IntegrationKeys`
///
/// [O Dual-write-automations]. `dataverse_name` is the name of the Dataverse side of the connection set, `keys` are
/// columns by table, as [`ConnectionSet`](super::ConnectionSet) has them. Tables that are not named keep their keys. A
/// success is judged by reading the connection set back.
///
/// # Errors
/// See [`MutationError`]. Not sent without keys, or when a key has no columns.
pub async fn set_integration_keys(
    session: &Session,
    service: &AllowedHost,
    dataverse_name: &str,
    keys: &[(String, Vec<String>)],
    send_by: Timestamp,
) -> Result<(), MutationError> {
    let to = To {
        session,
        service,
        call: Call::SetIntegrationKeys,
    };
    let refuse = |why: String| Err(MutationError::NotSent(to.refuse(why)));
    if keys.is_empty() {
        return refuse("there is no integration key to set.".to_owned());
    }
    let without_columns = keys.iter().find(|(_, columns)| columns.is_empty());
    if let Some((table, _)) = without_columns {
        return refuse(format!(
            "the integration key of the table {} has no columns; name at least one.",
            text::excerpt(table)
        ));
    }
    let by_table: Map<String, Value> = keys
        .iter()
        .map(|(table, columns)| (table.clone(), columns.clone().into()))
        .collect();
    let body = json!({"integrationKeys": by_table, "datasetName": dataverse_name});
    let path = ["api", "dataset", dataverse_name, "IntegrationKeys"];
    to.post(&path, &[], Body::Json(body), send_by)
        .await
        .map(drop)
}

/// The keys in `schemas` of a side, by table: `userKeys`, or `userKey` where a key has one column
/// [O Dual-write-automations]. A table without either has none.
pub(super) fn integration_keys(side: Fields<'_>) -> Result<Vec<(String, Vec<String>)>, Odd> {
    let mut found = Vec::new();
    for schema in side.list("schemas")?.unwrap_or_default() {
        let schema = Fields::of(schema).ok_or(Odd("schemas"))?;
        if let (Some(table), Some(columns)) = (schema.text("name")?, columns(schema)?) {
            found.push((table, columns));
        }
    }
    Ok(found)
}

fn columns(schema: Fields<'_>) -> Result<Option<Vec<String>>, Odd> {
    let keys = schema.list("keys")?.unwrap_or_default();
    for wanted in ["userKeys", "userKey"] {
        for key in keys {
            let key = Fields::of(key).ok_or(Odd("keys"))?;
            let is_it = key
                .text("name")?
                .is_some_and(|name| name.eq_ignore_ascii_case(wanted));
            let columns = if is_it { texts(key)? } else { Vec::new() };
            if !columns.is_empty() {
                return Ok(Some(columns));
            }
        }
    }
    Ok(None)
}

fn texts(key: Fields<'_>) -> Result<Vec<String>, Odd> {
    key.list("fields")?
        .unwrap_or_default()
        .iter()
        .map(|field| field.as_str().map(text::kept).ok_or(Odd("fields")))
        .collect()
}
