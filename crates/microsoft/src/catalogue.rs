//! Known failures: what an administrator meets, why it happens and what to do.
//!
//! Entries stand in files by area. Those of one API are tried in order, and the first that fits is taken: codes stand
//! before texts, texts before statuses of single calls, and those before statuses alone. A test holds that no entry
//! is hidden by an earlier one. `docs/errors.md` is made from the same entries.

mod dataverse;
mod dual_write;
mod entra;
mod health_check;
mod packages;
mod page;
mod table_maps;
#[cfg(test)]
mod tests;

pub use page::page;

use super::error::{Api, Class};
use crate::Call;

/// What the entries of one file are about.
#[derive(Debug)]
pub struct Area {
    /// Its title.
    pub title: &'static str,
    /// Where these errors are met: a sentence.
    pub about: &'static str,
    /// The entries, in the order in which they are tried.
    pub entries: &'static [Entry],
}

/// All known failures. Areas of one API stand in the order in which they are tried.
pub static AREAS: [Area; 6] = [
    entra::AREA,
    packages::AREA,
    dataverse::AREA,
    health_check::AREA,
    table_maps::AREA,
    dual_write::AREA,
];

/// What a failure shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// One of these Entra codes: `AADSTS` and exactly this number, in the code or the text.
    Entra(&'static [u32]),
    /// One of the service's own codes, without regard to case; or the same as a whole word of the text.
    Codes(&'static [&'static str]),
    /// All of these parts in the text, without regard to case.
    Words(&'static [&'static str]),
    /// Nothing but its status.
    Status,
}

/// How sure it is that the failure looks like this and means this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// Microsoft documents it.
    Documented,
    /// It was seen in public clients or issues.
    Observed,
    /// It follows from what the call is for.
    Inferred,
}

/// One known failure.
#[derive(Debug)]
pub struct Entry {
    /// The API that answers so.
    pub api: Api,
    /// What it shows.
    pub sign: Sign,
    /// The calls that it is about; empty: any.
    pub calls: &'static [Call],
    /// The statuses that it comes with; empty: any.
    pub statuses: &'static [u16],
    /// Its name in conditions, in CamelCase.
    pub reason: &'static str,
    /// Why it happens: a sentence with its full stop.
    pub cause: &'static str,
    /// What to do, and where to press: sentences with their full stops.
    pub remedy: &'static str,
    /// What should follow.
    pub class: Class,
    /// Whether this answer means that nothing was started, whatever its status is.
    pub definitive: bool,
    /// Where the fact comes from, and where to read more.
    pub source: &'static str,
    /// How sure it is.
    pub evidence: Evidence,
}

impl Entry {
    /// A documented failure that only a person can mend; it does not say what was done before it was met.
    const fn new(
        api: Api,
        sign: Sign,
        reason: &'static str,
        cause: &'static str,
        remedy: &'static str,
        source: &'static str,
    ) -> Self {
        Self {
            api,
            sign,
            calls: &[],
            statuses: &[],
            reason,
            cause,
            remedy,
            class: Class::NeedsPerson,
            definitive: false,
            source,
            evidence: Evidence::Documented,
        }
    }

    /// The same, of these calls only.
    const fn of_calls(mut self, calls: &'static [Call]) -> Self {
        self.calls = calls;
        self
    }

    /// The same, with these statuses only.
    const fn with_status(mut self, statuses: &'static [u16]) -> Self {
        self.statuses = statuses;
        self
    }

    /// The same, and something else should follow.
    const fn class(mut self, class: Class) -> Self {
        self.class = class;
        self
    }

    /// The same, and it proves that nothing was started.
    const fn definitive(mut self) -> Self {
        self.definitive = true;
        self
    }

    /// The same, less surely.
    const fn marked(mut self, evidence: Evidence) -> Self {
        self.evidence = evidence;
        self
    }

    fn fits(&self, failure: &Failure<'_>) -> bool {
        self.api == failure.api
            && (self.calls.is_empty()
                || failure.call.is_some_and(|call| self.calls.contains(&call)))
            && (self.statuses.is_empty()
                || failure
                    .status
                    .is_some_and(|status| self.statuses.contains(&status)))
            && self.sign.is_in(failure)
    }

    /// Cause and remedy as they follow Microsoft's own words.
    pub fn advice(&self) -> String {
        let mut letters = self.cause.chars();
        let first: String = letters
            .next()
            .map(|first| first.to_uppercase().collect())
            .unwrap_or_default();
        format!("{first}{} {}", letters.as_str(), self.remedy)
    }
}

impl Sign {
    fn is_in(self, failure: &Failure<'_>) -> bool {
        let Failure { code, text, .. } = *failure;
        match self {
            Self::Entra(numbers) => numbers.iter().any(|number| {
                [code, text]
                    .iter()
                    .any(|told| has_entra_code(told, *number))
            }),
            Self::Codes(codes) => codes
                .iter()
                .any(|wanted| code.eq_ignore_ascii_case(wanted) || has_word(text, wanted)),
            Self::Words(parts) => {
                let text = text.to_ascii_lowercase();
                parts
                    .iter()
                    .all(|part| text.contains(&part.to_ascii_lowercase()))
            }
            // A failure that is told within a good answer has no status, and then a status says nothing.
            Self::Status => failure.status.is_some(),
        }
    }
}

/// A failure as it was met.
#[derive(Debug, Clone, Copy)]
pub(super) struct Failure<'a> {
    pub(super) api: Api,
    /// The call; none where the failure is told within the answer of another call.
    pub(super) call: Option<Call>,
    pub(super) status: Option<u16>,
    pub(super) code: &'a str,
    pub(super) text: &'a str,
}

/// The first entry that fits a failure.
pub(super) fn find(failure: &Failure<'_>) -> Option<&'static Entry> {
    AREAS
        .iter()
        .flat_map(|area| area.entries)
        .find(|entry| entry.fits(failure))
}

/// What is known of a failure that a good answer tells, such as the last error of a package or of a table map.
pub fn explain(api: Api, text: &str) -> Option<&'static Entry> {
    find(&Failure {
        api,
        call: None,
        status: None,
        code: "",
        text,
    })
}

/// Whether `AADSTS<number>` stands in the text as a whole: AADSTS50076 is not in AADSTS500761.
fn has_entra_code(text: &str, number: u32) -> bool {
    text.split("AADSTS").skip(1).any(|rest| {
        let end = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        rest[..end].parse() == Ok(number)
    })
}

fn has_word(text: &str, wanted: &str) -> bool {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .any(|word| word.eq_ignore_ascii_case(wanted))
}
