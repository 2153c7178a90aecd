//! The query options of the environment list.

use serde_json::Value;

use crate::router::Call;

/// One page of rows.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) rows: Vec<Value>,
    /// The query of the next page.
    pub(super) next: Option<String>,
}

/// Where the next page begins; the real service uses an opaque value too.
const SKIP_TOKEN: &str = "$skiptoken";

/// Applies `ids`, `$filter`, `$orderby`, `$skip`, `$top`, `$select` and the size of a page.
pub(super) fn apply(
    rows: impl Iterator<Item = Value>,
    call: &Call<'_>,
    page_size: Option<usize>,
) -> Result<Page, String> {
    let mut rows: Vec<Value> = rows.collect();
    if let Some(ids) = call.parameter("ids") {
        let ids: Vec<&str> = ids.split(',').map(str::trim).collect();
        rows.retain(|row| {
            ids.iter()
                .any(|id| text(row, "id").eq_ignore_ascii_case(id))
        });
    }
    if let Some(filter) = call.parameter("$filter") {
        let wanted = conditions(filter)?;
        rows.retain(|row| {
            wanted
                .iter()
                .all(|(path, value)| field(row, path).eq_ignore_ascii_case(value))
        });
    }
    if let Some(order) = call.parameter("$orderby") {
        let (name, descending) = match order.trim().split_once(' ') {
            Some((name, direction)) => (name, direction.trim().eq_ignore_ascii_case("desc")),
            None => (order.trim(), false),
        };
        rows.sort_by(|left, right| field(left, name).cmp(field(right, name)));
        if descending {
            rows.reverse();
        }
    }
    let skip = number(call, "$skip")?.unwrap_or(0);
    let top = number(call, "$top")?.unwrap_or(usize::MAX);
    let rows: Vec<Value> = rows.into_iter().skip(skip).take(top).collect();
    let start = number(call, SKIP_TOKEN)?.unwrap_or(0);
    let end = start
        .saturating_add(page_size.unwrap_or(usize::MAX).max(1))
        .min(rows.len());
    let next = (end < rows.len()).then(|| next_query(call, end));
    let columns: Option<Vec<&str>> = call
        .parameter("$select")
        .map(|columns| columns.split(',').map(str::trim).collect());
    let rows = rows
        .into_iter()
        .take(end)
        .skip(start)
        .map(|row| select(row, columns.as_deref()))
        .collect();
    Ok(Page { rows, next })
}

fn next_query(call: &Call<'_>, start: usize) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in call.query.iter().filter(|(name, _)| name != SKIP_TOKEN) {
        query.append_pair(name, value);
    }
    query.append_pair(SKIP_TOKEN, &start.to_string());
    query.finish()
}

fn number(call: &Call<'_>, name: &str) -> Result<Option<usize>, String> {
    call.parameter(name)
        .map(|text| {
            text.parse()
                .map_err(|_| format!("The value '{text}' of {name} is not a number."))
        })
        .transpose()
}

fn select(row: Value, columns: Option<&[&str]>) -> Value {
    let (Some(columns), Value::Object(fields)) = (columns, &row) else {
        return row;
    };
    let kept = fields
        .iter()
        .filter(|(name, _)| {
            *name == "id"
                || columns
                    .iter()
                    .any(|column| column.eq_ignore_ascii_case(name))
        })
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    Value::Object(kept)
}

fn text<'r>(row: &'r Value, name: &str) -> &'r str {
    row.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// A field, also one below another, like `finOpsMetadata/url`.
fn field<'r>(row: &'r Value, path: &str) -> &'r str {
    let mut value = row;
    for name in path.split('/') {
        match value.get(name) {
            Some(inner) => value = inner,
            None => return "",
        }
    }
    value.as_str().unwrap_or_default()
}

fn conditions(filter: &str) -> Result<Vec<(&str, &str)>, String> {
    filter
        .split(" and ")
        .map(|condition| {
            let (name, value) = condition
                .split_once(" eq ")
                .ok_or_else(|| format!("The simulator understands only `name eq 'value'` in $filter, not '{condition}'."))?;
            Ok((name.trim(), value.trim().trim_matches('\'')))
        })
        .collect()
}
