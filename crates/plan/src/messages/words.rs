//! What many sentences are made of.

use jiff::Timestamp;

use crate::observed::Environment;

/// The sentence with which Lifecycle Services warns of a mismatch, word for word [D].
pub const LCS_MISMATCH: &str = "Microsoft has detected that your environment is linked via Dual-write to a different \
                                destination than specified in Power Platform Integration, which is not recommended.";

pub(super) const PERMANENT: &str = "Power Platform integration is permanent: one finance and operations environment and one Power \
                         Platform environment, in the same tenant and geography, for good.";

/// A point in time, as messages show it.
pub fn clock(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// An environment with its name, id and address.
pub fn environment(environment: &Environment) -> String {
    match &environment.dataverse_url {
        Some(url) => format!("'{}' ({}, {url})", environment.name, environment.id),
        None => format!("'{}' ({})", environment.name, environment.id),
    }
}

/// An environment that may not be visible.
pub fn environment_or_id(visible: Option<&Environment>, id: &str) -> String {
    visible.map_or_else(
        || format!("{id} (an environment that this application does not see)"),
        environment,
    )
}

/// Names in one line, the first of them if there are many.
pub fn list(names: &[impl AsRef<str>], most: usize) -> String {
    let shown: Vec<&str> = names.iter().take(most).map(AsRef::as_ref).collect();
    match names.len().saturating_sub(most) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// A text as a sentence: with a capital letter and a full stop.
pub fn sentence(text: &str) -> String {
    let text = text.trim();
    let mut letters = text.chars();
    let first: String = letters
        .next()
        .map(|first| first.to_uppercase().collect())
        .unwrap_or_default();
    let end = if text.ends_with(['.', '!', '?']) {
        ""
    } else {
        "."
    };
    format!("{first}{}{end}", letters.as_str())
}
