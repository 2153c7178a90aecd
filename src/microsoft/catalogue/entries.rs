//! The rows of the catalogue.

use super::{Entry, Pattern};
use crate::microsoft::error::{Api, Class};

const ENTRA_CODES: &str =
    "https://learn.microsoft.com/entra/identity-platform/reference-error-codes";
const DUAL_WRITE_SETUP: &str = "https://learn.microsoft.com/dynamics365/fin-ops-core/dev-itpro/data-entities/dual-write/dual-write-troubleshooting-initial-setup";
const INTEGRATION: &str = "https://learn.microsoft.com/dynamics365/fin-ops-core/dev-itpro/power-platform/enable-power-platform-integration";

const SIGN_IN_AGAIN: &str = "Sign in once more with dualwrite-operator sign-in, and replace the Kubernetes Secret with what it writes.";
const MFA: &str = "Use a service account that no multifactor or conditional access policy covers; or sign in once with the second factor, with dualwrite-operator sign-in, which makes a Secret with a refresh token.";
const FEDERATION_MISSING: &str =
    "no federated credential of the app registration fits the ServiceAccount's token.";
const FEDERATION_REMEDY: &str = "Compare issuer, subject (system:serviceaccount:NAMESPACE:NAME) and audience (api://AzureADTokenExchange) of the app registration's federated credential with what Entra says here.";

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

/// A failure of dual-write that only a person can mend, and that says that nothing was saved.
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

/// A fault that dual-write names, and that only a person can mend: it does not say what was done before it was met.
const fn dual_write_fault(
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
        definitive: false,
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
        700_027,
        "ClientCertificateRefused",
        "the client certificate is not one of the application's, or is no longer valid.",
        "Upload the certificate's public part under Certificates & secrets of the app registration; certificate and private key belong into the Kubernetes Secret.",
    ),
    entra(
        700_024,
        "CredentialRefused",
        "the application's signed statement is outside of the time that Entra accepts.",
        "Set the clock of the node that the operator runs on.",
    ),
    entra(
        70_021,
        "FederationRefused",
        FEDERATION_MISSING,
        FEDERATION_REMEDY,
    ),
    entra(
        700_211,
        "FederationRefused",
        FEDERATION_MISSING,
        FEDERATION_REMEDY,
    ),
    entra(
        700_212,
        "FederationRefused",
        FEDERATION_MISSING,
        FEDERATION_REMEDY,
    ),
    entra(
        700_213,
        "FederationRefused",
        FEDERATION_MISSING,
        FEDERATION_REMEDY,
    ),
    entra(
        50_166,
        "FederationRefused",
        "Entra could not read the cluster's OpenID configuration.",
        "The cluster's issuer URL and its keys have to be reachable from the internet; the credentials page of the documentation says how.",
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
        MFA,
    ),
    entra(
        50_079,
        "MfaRequired",
        "the account must first register for multifactor authentication, which an operator cannot do.",
        MFA,
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
        SIGN_IN_AGAIN,
    ),
    entra(
        50_173,
        "RefreshTokenExpired",
        "the refresh token was revoked, most often because the password was changed.",
        SIGN_IN_AGAIN,
    ),
    entra(
        700_084,
        "RefreshTokenExpired",
        "the refresh token has expired: it was given to a public client that gets short-lived ones only.",
        SIGN_IN_AGAIN,
    ),
    entra(
        70_008,
        "RefreshTokenExpired",
        "the refresh token has expired or was revoked.",
        SIGN_IN_AGAIN,
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
    dual_write_fault(
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
    dual_write_fault(
        Pattern::Code("DWDVEV1001"),
        "DualWriteConnectionMissing",
        "the connection of dual-write to Dataverse is missing.",
        "Run the health check on the dual-write page; a reset of the link makes the connection anew, and clears its configuration.",
    ),
    dual_write_fault(
        Pattern::Code("DWFOEV1001"),
        "DualWriteConnectionMissing",
        "the connection of dual-write to finance and operations is missing.",
        "Run the health check on the dual-write page; a reset of the link makes the connection anew, and clears its configuration.",
    ),
    dual_write_fault(
        Pattern::Code("DWDVEV1003"),
        "CompanyMismatch",
        "the companies of the link and those in Dataverse differ.",
        "Remove the companies that no longer exist from the link on the dual-write page, or reset the link.",
    ),
    dual_write_fault(
        Pattern::Code("DWFOEV1003"),
        "CompanyMismatch",
        "the companies of the link and those in finance and operations differ.",
        "Remove the companies that no longer exist from the link on the dual-write page, or reset the link.",
    ),
    dual_write_fault(
        Pattern::Code("DWDVEV1004"),
        "StaleConfiguration",
        "Dataverse still has runtime configurations of another link, most often after a copy or restore.",
        "Clean up the table Dual Write Runtime Configurations in Dataverse, as the health check describes.",
    ),
    dual_write_fault(
        Pattern::Code("DWFOEV1004"),
        "StaleConfiguration",
        "finance and operations still has configurations of another link, most often after a copy or restore.",
        "Clean up the dual-write configuration tables in finance and operations, as the health check describes.",
    ),
    dual_write_fault(
        Pattern::Code("DWFOEV1006"),
        "TeamName",
        "a team that dual-write needs has another name than expected.",
        "Correct the team's name, as the health check describes.",
    ),
    dual_write_fault(
        Pattern::Code("DWDVEV1007"),
        "DefaultOwningTeam",
        "a company in Dataverse has no default owning team.",
        "Set the default owning team of the company in Dataverse.",
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
