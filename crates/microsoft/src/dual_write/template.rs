//! The calls that make and reset a link, as data: what is inferred must be replaceable without a new release.

use std::collections::BTreeMap;

use http::Method;
use serde::Deserialize;
use serde_json::{Map, Value};

/// The documented fields of a Reset body, filled as for a first link \[I\].
const FIRST_LINK: &str = include_str!("default_link.json");
/// The call as clients make it [O Dual-write-automations, toolbAX].
const RESET: &str = include_str!("default_reset.json");

/// What a link has values for.
pub(super) const LINK_PLACEHOLDERS: &[&str] = &[
    "environmentId",
    "environmentName",
    "domainName",
    "dataverseUrl",
    "financeOperationsHost",
    "financeOperationsUrl",
    "isDevInstance",
    "legalEntities",
];

/// What only a reset has values for, beside those of a link.
pub(super) const RESET_PLACEHOLDERS: &[&str] = &[
    "connectionSetId",
    "force",
    "dataverseTargetType",
    "dataverseName",
    "dataverseDisplayName",
    "dataverseIsDevInstance",
    "financeOperationsTargetType",
    "financeOperationsName",
    "financeOperationsDisplayName",
    "financeOperationsEnvironmentId",
];

/// What the placeholders of one call stand for.
pub(super) type Values = BTreeMap<&'static str, Value>;

/// A call with placeholders such as `{{environmentId}}` in its path and in the texts of its body.
///
/// A text that is nothing but `{{legalEntities}}` becomes a list, one that is nothing but `{{isDevInstance}}`,
/// `{{dataverseIsDevInstance}}` or `{{force}}` a boolean. Values are put into parsed JSON and into parsed path segments and query values, never into raw text: no
/// value can change the shape of the call.
#[derive(Debug, Clone, PartialEq)]
pub struct CallTemplate {
    method: Method,
    segments: Vec<String>,
    query: Vec<(String, String)>,
    body: Option<Value>,
}

/// The call, filled.
pub(super) struct Rendered {
    pub(super) method: Method,
    pub(super) segments: Vec<String>,
    pub(super) query: Vec<(String, String)>,
    pub(super) body: Option<Value>,
}

/// A template that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// Not JSON of the right shape.
    #[error("the template is not JSON with method, path and body: {0}")]
    Shape(String),
    /// A method that does not change anything, or removes.
    #[error("the method must be POST, PUT or PATCH")]
    Method,
    /// Not a relative path.
    #[error(
        "the path must be relative, without host, empty or dot segments, backslash or fragment"
    )]
    Path,
    /// A placeholder that this call has no value for: its name, and those that there are.
    #[error("there is no placeholder {{{{{0}}}}} for this call; there are: {1}")]
    Placeholder(String, String),
    /// The list of companies cannot be a part of a text.
    #[error("{{{{legalEntities}}}} is a list: it must be a whole text of the body")]
    List,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    method: String,
    path: String,
    body: Option<Value>,
}

impl CallTemplate {
    /// The first link as it is documented in the operator's documentation \[I\].
    ///
    /// # Errors
    /// Never in practice; the text is a part of the program.
    pub fn first_link() -> Result<Self, TemplateError> {
        Self::parse(FIRST_LINK)
    }

    /// The reset as clients make it \[O\]; with another destination than the current one it is \[I\].
    ///
    /// # Errors
    /// Never in practice; the text is a part of the program.
    pub fn reset() -> Result<Self, TemplateError> {
        Self::parse_reset(RESET)
    }

    /// A template from the JSON text of `--link-template`: `{"method", "path", "body"}`.
    ///
    /// # Errors
    /// The text is not such a template; see [`TemplateError`].
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        Self::with_placeholders(text, &[LINK_PLACEHOLDERS])
    }

    /// A template from the JSON text of `--reset-template`, which knows more placeholders.
    ///
    /// # Errors
    /// The text is not such a template; see [`TemplateError`].
    pub fn parse_reset(text: &str) -> Result<Self, TemplateError> {
        Self::with_placeholders(text, &[LINK_PLACEHOLDERS, RESET_PLACEHOLDERS])
    }

    fn with_placeholders(text: &str, known: &[&[&str]]) -> Result<Self, TemplateError> {
        let known = known.concat();
        let raw: Raw =
            serde_json::from_str(text).map_err(|error| TemplateError::Shape(error.to_string()))?;
        let method = match raw.method.to_ascii_uppercase().as_str() {
            "POST" => Method::POST,
            "PUT" => Method::PUT,
            "PATCH" => Method::PATCH,
            _ => return Err(TemplateError::Method),
        };
        let (path, query) = raw.path.split_once('?').unwrap_or((&raw.path, ""));
        let segments: Vec<String> = path
            .strip_prefix('/')
            .unwrap_or(path)
            .split('/')
            .map(str::to_owned)
            .collect();
        let bad =
            |s: &String| s.is_empty() || s == "." || s == ".." || s.contains([':', '\\', '#']);
        if segments.iter().any(bad) || query.contains('#') {
            return Err(TemplateError::Path);
        }
        let query: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect();
        for text in segments.iter().chain(query.iter().map(|(_, value)| value)) {
            check(text, &known, false)?;
        }
        if let Some(body) = &raw.body {
            check_json(body, &known)?;
        }
        Ok(Self {
            method,
            segments,
            query,
            body: raw.body,
        })
    }

    pub(super) fn render(&self, values: &Values) -> Rendered {
        Rendered {
            method: self.method.clone(),
            segments: self
                .segments
                .iter()
                .map(|segment| fill(segment, values))
                .collect(),
            query: self
                .query
                .iter()
                .map(|(key, value)| (key.clone(), fill(value, values)))
                .collect(),
            body: self.body.as_ref().map(|body| fill_json(body, values)),
        }
    }
}

/// The pieces of a text: `Err` is a placeholder's name.
fn pieces(text: &str) -> Vec<Result<&str, &str>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, after)) = after.split_once("}}") else {
            break;
        };
        pieces.push(Ok(before));
        pieces.push(Err(name.trim()));
        rest = after;
    }
    pieces.push(Ok(rest));
    pieces.retain(|piece| *piece != Ok(""));
    pieces
}

fn check(text: &str, known: &[&str], may_be_list: bool) -> Result<(), TemplateError> {
    let pieces = pieces(text);
    for name in pieces.iter().filter_map(|piece| piece.err()) {
        if !known.contains(&name) {
            return Err(TemplateError::Placeholder(
                name.to_owned(),
                known.join(", "),
            ));
        }
        if name == "legalEntities" && !(may_be_list && pieces.len() == 1) {
            return Err(TemplateError::List);
        }
    }
    Ok(())
}

fn check_json(value: &Value, known: &[&str]) -> Result<(), TemplateError> {
    match value {
        Value::String(text) => check(text, known, true),
        Value::Array(items) => items.iter().try_for_each(|item| check_json(item, known)),
        Value::Object(fields) => fields
            .values()
            .try_for_each(|field| check_json(field, known)),
        _ => Ok(()),
    }
}

/// Parsing has refused every name without a value.
fn value_of(name: &str, values: &Values) -> Value {
    values.get(name).cloned().unwrap_or_default()
}

fn fill(text: &str, values: &Values) -> String {
    pieces(text)
        .into_iter()
        .map(|piece| match piece {
            Ok(literal) => literal.to_owned(),
            Err(name) => match value_of(name, values) {
                Value::String(text) => text,
                other => other.to_string(),
            },
        })
        .collect()
}

fn fill_json(value: &Value, values: &Values) -> Value {
    match value {
        Value::String(text) => match pieces(text).as_slice() {
            [Err(name)] => value_of(name, values),
            _ => Value::String(fill(text, values)),
        },
        Value::Array(items) => {
            Value::Array(items.iter().map(|item| fill_json(item, values)).collect())
        }
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .map(|(k, v)| (k.clone(), fill_json(v, values)))
                .collect::<Map<_, _>>(),
        ),
        other => other.clone(),
    }
}
