//! The entries as a page for people.

use std::fmt::Write as _;

use super::{AREAS, Area, Class, Entry, Evidence, Sign};

/// The tables of `docs/errors.md`.
pub fn page() -> String {
    AREAS.iter().map(area).collect()
}

fn area(area: &Area) -> String {
    let mut text = format!(
        "\n## {}\n\n{}\n\n| Microsoft says | Reason | Why | What to do | Then | Source |\n|---|---|---|---|---|---|\n",
        area.title, area.about
    );
    for entry in area.entries {
        let (why, what) = why_and_what(entry);
        // Writing to a text cannot fail.
        let _ = writeln!(
            text,
            "| {} | `{}` | {why} | {what} | {} | {} |",
            sign(entry),
            entry.reason,
            class(entry.class),
            source(entry)
        );
    }
    text.push('\n');
    text
}

fn why_and_what(entry: &Entry) -> (String, &'static str) {
    let advice = entry.advice();
    let why = advice
        .strip_suffix(entry.remedy)
        .unwrap_or(&advice)
        .trim_end();
    (why.to_owned(), entry.remedy)
}

fn sign(entry: &Entry) -> String {
    let told = match entry.sign {
        Sign::Entra(codes) => list(codes.iter().map(|code| format!("`AADSTS{code}`"))),
        Sign::Codes(codes) => list(codes.iter().map(|code| format!("`{code}`"))),
        Sign::Words(parts) => list(parts.iter().map(|part| format!("\"{part}\""))),
        Sign::Status => String::new(),
    };
    let statuses = list(entry.statuses.iter().map(ToString::to_string));
    let calls = list(entry.calls.iter().map(|call| format!("`{call}`")));
    let mut text = told;
    if !statuses.is_empty() {
        text.push_str(if text.is_empty() { "" } else { " with " });
        text.push_str(&statuses);
    }
    if !calls.is_empty() {
        text.push_str(" of ");
        text.push_str(&calls);
    }
    text
}

fn list(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

const fn class(class: Class) -> &'static str {
    match class {
        Class::Transient => "passes by itself",
        Class::Busy => "wait; not a failure",
        Class::NeedsPerson => "needs a person",
        Class::Unexpected => "is tried again",
    }
}

fn source(entry: &Entry) -> String {
    let mark = match entry.evidence {
        Evidence::Documented => "D",
        Evidence::Observed => "O",
        Evidence::Inferred => "I",
    };
    let page = entry.source;
    let name = if page.contains("github.com") {
        "GitHub"
    } else {
        "Learn"
    };
    format!("[{name}]({page}) [{mark}]")
}
