//! Known failures: what an administrator meets, why it happens and what to do.
//!
//! One row is one entry; the first row that matches is taken. Rows with a code stand before rows with a text,
//! and those before rows with only a status.

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

const ENTRA_CODES: &str =
    "https://learn.microsoft.com/entra/identity-platform/reference-error-codes";
const DUAL_WRITE_SETUP: &str = "https://learn.microsoft.com/dynamics365/fin-ops-core/dev-itpro/data-entities/dual-write/dual-write-troubleshooting-initial-setup";
const INTEGRATION: &str = "https://learn.microsoft.com/dynamics365/fin-ops-core/dev-itpro/power-platform/enable-power-platform-integration";

/// A failure that only a person can mend, and that the Entra reference explains.
const fn entra(
    code: u32,
    reason: &'static str,
    cause: &'static str,
    remedy: &'static str,
) -> Entry {
    let (pattern, link) = (Pattern::Entra(code), Some(ENTRA_CODES));
    Entry {
        pattern,
        reason,
        cause,
        remedy,
        class: Class::NeedsPerson,
        definitive: true,
        link,
    }
}

/// Entra's own passing troubles.
const fn entra_passing(pattern: Pattern) -> Entry {
    let cause = "Microsoft Entra ID has a passing problem.";
    let (reason, remedy) = ("EntraBusy", "Nothing to do; it is tried again.");
    Entry {
        pattern,
        reason,
        cause,
        remedy,
        class: Class::Transient,
        definitive: true,
        link: Some(ENTRA_CODES),
    }
}

/// A failure of dual-write that only a person can mend.
const fn dual_write(
    pattern: Pattern,
    reason: &'static str,
    cause: &'static str,
    remedy: &'static str,
) -> Entry {
    let link = Some(DUAL_WRITE_SETUP);
    Entry {
        pattern,
        reason,
        cause,
        remedy,
        class: Class::NeedsPerson,
        definitive: true,
        link,
    }
}

/// A status that tells something in one API: it says nothing about what was started.
const fn status(
    api: Api,
    statuses: &'static [u16],
    reason: &'static str,
    cause: &'static str,
    remedy: &'static str,
) -> Entry {
    let pattern = Pattern::Status(api, statuses);
    Entry {
        pattern,
        reason,
        cause,
        remedy,
        class: Class::NeedsPerson,
        definitive: false,
        link: None,
    }
}

/// All known failures. Sources: Entra codes [D, Learn "Microsoft Entra authentication and authorization error
/// codes"]; dual-write [D, Learn "Troubleshoot issues during initial setup"]; Dataverse [D, Learn
/// `RetrieveFinanceAndOperationsIntegrationDetails`].
pub static CATALOGUE: &[Entry] = &[
    entra(
        7_000_215,
        "ClientSecretInvalid",
        "the client secret is wrong.",
        "Put the secret's Value (not its Secret ID) into the Kubernetes Secret, or create a new one for the app registration.",
    ),
    entra(
        7_000_222,
        "ClientSecretExpired",
        "the client secret has expired.",
        "Create a new client secret for the app registration in the Microsoft Entra admin center and put it into the Kubernetes Secret.",
    ),
    entra(
        7_000_218,
        "ClientSecretMissing",
        "the sign-in needs a client secret or certificate: the app is not a public client.",
        "In the app registration, allow public client flows, or give the secret in the Kubernetes Secret.",
    ),
    entra(
        700_016,
        "ApplicationNotFound",
        "the application does not exist in this tenant.",
        "Check clientId and tenantId; if both are right, an administrator of the tenant has to consent to the application first.",
    ),
    entra(
        65_001,
        "ConsentMissing",
        "nobody has consented to the application in this tenant.",
        "A tenant administrator has to grant admin consent to the application in the Microsoft Entra admin center.",
    ),
    entra(
        65_002,
        "ApplicationNotPreauthorized",
        "Microsoft has not authorised this application to call the service.",
        "The dual-write service accepts a user account only: check which Secret is given for which service.",
    ),
    entra(
        50_126,
        "PasswordInvalid",
        "the user name or the password is wrong.",
        "Correct the Kubernetes Secret. The operator does not try a refused password again by itself, because accounts lock.",
    ),
    entra(
        50_076,
        "MfaRequired",
        "the account must sign in with multifactor authentication, which an operator cannot do.",
        "Use a service account that no multifactor or conditional access policy covers.",
    ),
    entra(
        50_079,
        "MfaRequired",
        "the account must first register for multifactor authentication, which an operator cannot do.",
        "Use a service account that no multifactor or conditional access policy covers.",
    ),
    entra(
        53_003,
        "ConditionalAccessBlocked",
        "a conditional access policy blocks this sign-in.",
        "Find the policy in the sign-in logs of the Microsoft Entra admin center, and exclude this identity or allow the cluster's address.",
    ),
    entra(
        50_053,
        "AccountLocked",
        "the account is locked, or the sign-in comes from a blocked address.",
        "Wait for the lock to end or have an administrator unlock the account; then check the password in the Kubernetes Secret.",
    ),
    entra(
        50_055,
        "PasswordExpired",
        "the password has expired.",
        "Sign in as the account once, set a new password, and put it into the Kubernetes Secret.",
    ),
    entra(
        50_057,
        "AccountDisabled",
        "the account is disabled.",
        "Have an administrator enable the account in the Microsoft Entra admin center.",
    ),
    entra(
        700_082,
        "RefreshTokenExpired",
        "the refresh token has expired.",
        "Sign in once more to get a new refresh token and put it into the Kubernetes Secret.",
    ),
    entra(
        90_002,
        "TenantNotFound",
        "the tenant does not exist in this cloud.",
        "Check tenantId and cloud.",
    ),
    entra_passing(Pattern::Entra(90_033)),
    entra_passing(Pattern::Code("temporarily_unavailable")),
    Entry {
        pattern: Pattern::Code("0x80048d0b"),
        reason: "NotIntegrated",
        cause: "this Dataverse is not integrated with finance and operations.",
        remedy: "Set up Power Platform integration in Lifecycle Services, or in the Power Platform admin center for a unified environment.",
        class: Class::NeedsPerson,
        definitive: true,
        link: Some(INTEGRATION),
    },
    dual_write(
        Pattern::Code("DW9003"),
        "DualWriteConnectionFailed",
        "the dual-write service could not connect to one of the two sides.",
        "Check the application users of dual-write in finance and operations and in Dataverse, and their permissions.",
    ),
    dual_write(
        Pattern::Text("An item with the same key has already been added"),
        "DuplicateCompanies",
        "two companies in Dataverse have the same name or code, or a blank one.",
        "Open the table Company (cdm_company) in Dataverse, make names and codes unique and not blank, and try again.",
    ),
    dual_write(
        Pattern::Text("Saving connection set failed"),
        "ConnectionSetNotSaved",
        "the dual-write service could not save the connection set.",
        "Read what the service says; most often a company, a role or a licence is the cause.",
    ),
    status(
        Api::Entra,
        &[400, 401],
        "CredentialRefused",
        "Microsoft Entra ID refused the credential.",
        "Check the tenant, the client id and the Kubernetes Secret; the sign-in logs of the Microsoft Entra admin center say more.",
    ),
    status(
        Api::PowerPlatform,
        &[403],
        "AccessDenied",
        "this application may not do this.",
        "A Power Platform administrator has to register the application as a management application, or give it a role for the environment.",
    ),
    status(
        Api::Dataverse,
        &[401, 403],
        "AccessDenied",
        "this application may not read the integration in Dataverse; a new organisation may answer so for some minutes.",
        "If it stays, add the application as an application user of the environment, with a role that may read the integration.",
    ),
    status(
        Api::DualWrite,
        &[403],
        "AccessDenied",
        "the dual-write account may not do this.",
        "It needs to be system administrator in finance and operations and in Dataverse, and to have a Power Apps licence.",
    ),
    status(
        Api::DualWrite,
        &[401],
        "AccessDenied",
        "the dual-write service did not accept the account.",
        "Sign in to the dual-write page with the account once, and check its roles on both sides.",
    ),
    status(
        Api::DualWrite,
        &[404],
        "DualWriteConsentMissing",
        "the dual-write service does not know the address.",
        "Check dualWriteService.url; if it is right, the application 33976c19-1db5-4c02-810e-c243db79efde lacks admin consent in the tenant.",
    ),
];

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
