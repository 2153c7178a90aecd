//! Known failures: what an administrator meets, why it happens and what to do.
//!
//! One row is one entry; the first row that matches is taken. Rows with a code stand before rows with a text,
//! and those before rows with only a status.

mod entries;

pub use entries::CATALOGUE;

use super::error::{Api, Class};

/// How a failure is recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pattern {
    /// An Entra code: `AADSTS` and exactly this number, in the code or the text.
    Entra(u32),
    /// The service's own code, without regard to case; or the same as a whole word of the text.
    Code(&'static str),
    /// A part of the text, without regard to case.
    Text(&'static str),
    /// One of these statuses, from one API, whatever the body says.
    Status(Api, &'static [u16]),
}

/// One known failure.
#[derive(Debug)]
pub struct Entry {
    /// How it is recognised.
    pub pattern: Pattern,
    /// Its name in conditions, in CamelCase.
    pub reason: &'static str,
    /// Why it happens: a sentence with its full stop.
    pub cause: &'static str,
    /// What to do: a sentence with its full stop.
    pub remedy: &'static str,
    /// What should follow.
    pub class: Class,
    /// Whether this answer means that nothing was started, whatever its status is.
    pub definitive: bool,
    /// Where to read more.
    pub link: Option<&'static str>,
}

/// The first entry that fits an answer.
pub(super) fn find(
    api: Api,
    status: u16,
    code: Option<&str>,
    text: &str,
) -> Option<&'static Entry> {
    let code = code.unwrap_or("");
    CATALOGUE.iter().find(|entry| match entry.pattern {
        Pattern::Entra(number) => {
            api == Api::Entra && [code, text].iter().any(|s| has_entra_code(s, number))
        }
        Pattern::Code(wanted) => code.eq_ignore_ascii_case(wanted) || has_word(text, wanted),
        Pattern::Text(wanted) => text
            .to_ascii_lowercase()
            .contains(&wanted.to_ascii_lowercase()),
        Pattern::Status(of, statuses) => api == of && statuses.contains(&status),
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn reason(api: Api, status: u16, code: &str, text: &str) -> Option<&'static str> {
        find(api, status, Some(code), text).map(|entry| entry.reason)
    }

    #[test]
    fn an_entra_code_matches_as_a_whole_number_only() {
        let of = |text| reason(Api::Entra, 400, "invalid_grant", text);
        assert_eq!(of("AADSTS50076: second factor"), Some("MfaRequired"));
        assert_eq!(
            of("AADSTS500761: something else"),
            Some("CredentialRefused")
        );
        assert_eq!(of("AADSTS7000215"), Some("ClientSecretInvalid"));
        assert_eq!(of("AADSTS700021"), Some("CredentialRefused"));
        assert_eq!(
            reason(Api::Entra, 500, "", "AADSTS90033: try later"),
            Some("EntraBusy")
        );
        assert_eq!(reason(Api::Entra, 500, "", "down"), None);
    }

    #[test]
    fn a_service_code_stands_before_the_status_and_ignores_case() {
        assert_eq!(
            reason(Api::Dataverse, 403, "0X80048D0B", ""),
            Some("NotIntegrated")
        );
        assert_eq!(
            reason(Api::Dataverse, 403, "0x80048d0bb", ""),
            Some("AccessDenied")
        );
        assert_eq!(
            reason(Api::DualWrite, 500, "", "Code: dw9003."),
            Some("DualWriteConnectionFailed")
        );
    }

    #[test]
    fn a_more_special_text_stands_before_a_more_general_one() {
        let text =
            "Saving connection set failed! An item with the same key has already been added.";
        assert_eq!(
            reason(Api::DualWrite, 500, "", text),
            Some("DuplicateCompanies")
        );
    }

    #[test]
    fn every_entry_can_be_reached_and_is_whole() {
        for (at, entry) in CATALOGUE.iter().enumerate() {
            let (api, status, code, text) = match entry.pattern {
                Pattern::Entra(number) => (
                    Api::Entra,
                    400,
                    String::new(),
                    format!("AADSTS{number}: text"),
                ),
                Pattern::Code(code) => (Api::Dataverse, 400, code.to_owned(), String::new()),
                Pattern::Text(text) => (Api::DualWrite, 500, String::new(), text.to_owned()),
                Pattern::Status(api, statuses) => (api, statuses[0], String::new(), String::new()),
            };
            let found = find(api, status, Some(&code), &text).unwrap();
            assert!(
                std::ptr::eq(found, entry),
                "row {at} ({}) is hidden by an earlier row",
                entry.reason
            );
            assert!(
                entry.cause.ends_with('.') && entry.remedy.ends_with('.'),
                "row {at}"
            );
            assert!(
                entry.reason.bytes().all(|b| b.is_ascii_alphanumeric()),
                "row {at}"
            );
        }
    }
}
