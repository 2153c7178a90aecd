//! Sign-ins that Microsoft Entra ID refuses.
//!
//! Source of the codes: Learn, "Microsoft Entra authentication and authorization error codes" [D], where an entry says
//! nothing else. Microsoft may split a code into finer ones, so the status alone is an entry too.

use super::{Area, Entry, Evidence, Sign};
use crate::error::{Api, Class};

pub(super) const AREA: Area = Area {
    title: "Signing in",
    about: "Microsoft Entra ID answers these when the operator asks for a token.",
    entries: ENTRIES,
};

const CODES: &str = "https://learn.microsoft.com/entra/identity-platform/reference-error-codes";
const CONDITIONAL_ACCESS: &str =
    "https://learn.microsoft.com/entra/identity/conditional-access/troubleshoot-conditional-access";
const FEDERATION: &str =
    "https://learn.microsoft.com/entra/workload-id/workload-identity-federation-considerations";

const SIGN_IN_AGAIN: &str = "Sign in once more with dualwrite-operator sign-in, and replace the Kubernetes Secret with what it writes.";
const MFA: &str = "Use a service account that no multifactor or conditional access policy covers (the sign-in logs of the Microsoft Entra admin center name the policy); or sign in once with the second factor, with dualwrite-operator sign-in, which makes a Kubernetes Secret with a refresh token. When the policy is changed, it is tried again by itself.";

/// A refusal: no token was given, so nothing was started.
const fn refused(
    codes: &'static [u32],
    reason: &'static str,
    cause: &'static str,
    remedy: &'static str,
) -> Entry {
    Entry::new(Api::Entra, Sign::Entra(codes), reason, cause, remedy, CODES).definitive()
}

/// Entra's own passing troubles.
const fn passing(sign: Sign, reason: &'static str, cause: &'static str) -> Entry {
    let remedy = "Wait: it is tried again by itself.";
    Entry::new(Api::Entra, sign, reason, cause, remedy, CODES)
        .class(Class::Transient)
        .definitive()
}

static ENTRIES: &[Entry] = &[
    refused(
        &[7_000_215, 70_002],
        "ClientSecretInvalid",
        "the client secret is wrong.",
        "Open the app registration in the Microsoft Entra admin center, Certificates & secrets, and put the secret's Value (not its Secret ID) into the Kubernetes Secret.",
    ),
    refused(
        &[7_000_222],
        "ClientSecretExpired",
        "the client secret has expired.",
        "Create a new client secret for the app registration in the Microsoft Entra admin center, Certificates & secrets, and put its Value into the Kubernetes Secret.",
    ),
    refused(
        &[7_000_218],
        "ClientSecretMissing",
        "the sign-in needs a client secret or certificate: the app is not a public client.",
        "Put the secret into the Kubernetes Secret; or, for an account, open the app registration in the Microsoft Entra admin center, Authentication, and allow public client flows.",
    ),
    refused(
        &[700_025],
        "CredentialRefused",
        "the application is a public client, and a public client may not present a secret.",
        "Open the app registration in the Microsoft Entra admin center, Authentication, and set Allow public client flows to No.",
    ),
    refused(
        &[700_016, 700_011],
        "ApplicationNotFound",
        "the application does not exist in this tenant.",
        "Compare clientId and tenantId (the Kubernetes Secret, spec.credentials) with the app registration in the Microsoft Entra admin center; if both are right, have an administrator of the tenant consent to it.",
    ),
    refused(
        &[7_000_112, 70_001, 1_000_031],
        "ApplicationDisabled",
        "the application is disabled in this tenant.",
        "Open the application under Enterprise applications in the Microsoft Entra admin center, Properties, and set Enabled for users to sign-in to Yes.",
    ),
    refused(
        &[700_027, 700_030, 50_012],
        "ClientCertificateRefused",
        "the signature or the certificate that the application signs in with is not one that Entra knows for it.",
        "Upload the certificate's public part to the app registration in the Microsoft Entra admin center, Certificates & secrets, and put the same certificate with its key into the Kubernetes Secret.",
    ),
    refused(
        &[700_024],
        "CredentialRefused",
        "the application's signed statement is outside of the time that Entra accepts.",
        "Set the clock of the node that the operator runs on; compare it with the sign-in logs of the Microsoft Entra admin center.",
    ),
    // Seen in the logs of public workflows; the reference page does not list these.
    Entry::new(
        Api::Entra,
        Sign::Entra(&[70_021, 700_211, 700_212, 700_213]),
        "FederationRefused",
        "no federated credential of the application has the issuer, subject and audience of the token that was presented.",
        "Open the app registration in the Microsoft Entra admin center, Certificates & secrets, Federated credentials, and enter issuer, subject (system:serviceaccount:NAMESPACE:NAME) and audience (api://AzureADTokenExchange) exactly as the message shows them.",
        FEDERATION,
    )
    .definitive()
    .marked(Evidence::Observed),
    refused(
        &[50_013],
        "FederationRefused",
        "the signature of the token that was presented is not by a key that its issuer publishes.",
        "Check that the issuer under Federated credentials of the app registration in the Microsoft Entra admin center is that of the cluster (kubectl get --raw /.well-known/openid-configuration), and that the keys that it publishes are the cluster's present ones.",
    ),
    refused(
        &[50_027, 700_023],
        "CredentialRefused",
        "the application's signed statement is malformed, or made for another tenant or cloud.",
        "Compare spec.cloud and spec.credentials.tenantId with the tenant's Overview in the Microsoft Entra admin center.",
    )
    .marked(Evidence::Inferred),
    refused(
        &[50_166],
        "FederationRefused",
        "Entra could not read the cluster's OpenID configuration.",
        "Make the cluster's issuer URL and its keys reachable from the internet, and compare the issuer with Federated credentials of the app registration in the Microsoft Entra admin center.",
    ),
    refused(
        &[65_001, 65_004, 650_056, 650_057, 90_008, 90_094, 90_095],
        "ConsentMissing",
        "nobody has consented to the application, or to this use of it, in this tenant.",
        "Have a tenant administrator grant admin consent in the Microsoft Entra admin center: Enterprise applications, the application, Permissions.",
    ),
    refused(
        &[65_002],
        "ApplicationNotPreauthorized",
        "Microsoft has not authorised this application to call the service.",
        "Check in the spec which Kubernetes Secret is given for which service: the dual-write service accepts a user account only.",
    ),
    refused(
        &[500_011, 50_001, 650_052, 650_054],
        "ServiceNotInTenant",
        "this tenant does not know the service that the token is for, or has disabled it.",
        "Check spec.credentials.tenantId; if it is right, have a tenant administrator look for the service under Enterprise applications in the Microsoft Entra admin center, and enable it or consent to it.",
    ),
    refused(
        &[50_126, 50_064, 50_056],
        "PasswordInvalid",
        "the user name or the password is wrong.",
        "Correct the Kubernetes Secret. The operator does not try a refused password again by itself, because accounts lock. If it is the account that you have mended, set the annotation dualwrite.dev/reconcile-at on the connection: it is tried once more, ten minutes after the refusal at the earliest.",
    ),
    refused(
        &[50_034, 50_020, 51_004, 50_014, 90_072, 500_208],
        "AccountNotFound",
        "the account does not exist in this tenant.",
        "Correct username in the Kubernetes Secret, or spec.credentials.tenantId; a guest of another tenant cannot sign in here with a password.",
    ),
    refused(
        &[50_076, 50_074, 50_078, 50_158],
        "MfaRequired",
        "the account must sign in with multifactor authentication, which an operator cannot do.",
        MFA,
    ),
    refused(
        &[50_079, 50_072, 53_004],
        "MfaRequired",
        "the account must first register for multifactor authentication, which an operator cannot do.",
        MFA,
    ),
    Entry::new(
        Api::Entra,
        Sign::Entra(&[53_003, 53_000, 53_001, 53_002, 530_032, 50_005, 50_097, 50_131]),
        "ConditionalAccessBlocked",
        "a conditional access policy blocks this sign-in.",
        "Find the policy in the sign-in logs of the Microsoft Entra admin center, and exclude this identity or allow the cluster's address.",
        CONDITIONAL_ACCESS,
    )
    .definitive(),
    refused(
        &[530_035],
        "ConditionalAccessBlocked",
        "the security defaults of the tenant block sign-ins with user name and password.",
        "Replace security defaults by conditional access policies that leave this account out: in the Microsoft Entra admin center, Overview, Properties, Manage security defaults.",
    ),
    refused(
        &[53_011, 530_034],
        "ConditionalAccessBlocked",
        "Entra sees a risk in the account and blocks it.",
        "Have an administrator look at the account under Risky users in the Microsoft Entra admin center, and dismiss the risk or set a new password.",
    ),
    refused(
        &[500_021, 500_022, 500_212, 500_213, 50_002, 1_000_104],
        "TenantRestricted",
        "tenant restrictions or cross-tenant access settings forbid this sign-in.",
        "Let the cluster's proxy allow this tenant, or correct the cross-tenant access settings in the Microsoft Entra admin center, External Identities.",
    ),
    refused(
        &[50_053],
        "AccountLocked",
        "the account is locked, or the sign-in comes from a blocked address.",
        "Wait for the lock to end or have an administrator unlock the account in the Microsoft Entra admin center, Users; then put the right password into the Kubernetes Secret, or, if it is there already, set the annotation dualwrite.dev/reconcile-at on the connection.",
    ),
    refused(
        &[50_055, 50_135, 50_144],
        "PasswordExpired",
        "the password has expired or must be changed.",
        "Sign in as the account once, set a new password, and put it into the Kubernetes Secret.",
    ),
    refused(
        &[50_057],
        "AccountDisabled",
        "the account is disabled.",
        "Have an administrator enable the account in the Microsoft Entra admin center, Users.",
    ),
    refused(
        &[50_105],
        "AccountNotAssigned",
        "the application admits only users who are assigned to it, and this one is not.",
        "Open the application under Enterprise applications in the Microsoft Entra admin center, Users and groups, and add the account.",
    ),
    refused(
        &[700_082, 70_008, 70_043, 700_084, 50_089],
        "RefreshTokenExpired",
        "the refresh token has expired.",
        SIGN_IN_AGAIN,
    ),
    refused(
        &[50_173, 50_132, 50_133, 70_000],
        "RefreshTokenExpired",
        "the refresh token was revoked, for example because the password was changed.",
        SIGN_IN_AGAIN,
    ),
    // What Entra says to a refresh token that it has never given, or not to this client.
    refused(
        &[9_002_313],
        "CredentialRefused",
        "Entra does not understand what it was given: a refresh token was cut off, belongs to another client, or is none.",
        SIGN_IN_AGAIN,
    )
    .marked(Evidence::Observed),
    refused(
        &[90_002, 50_059, 50_128, 90_019],
        "TenantNotFound",
        "the tenant does not exist in this cloud.",
        "Check tenantId and cloud in the spec: the tenant's Overview in the Microsoft Entra admin center shows its id.",
    ),
    refused(
        &[90_038],
        "TenantNotFound",
        "the tenant belongs to another Microsoft cloud.",
        "Set spec.cloud to the cloud of the tenant.",
    ),
    passing(
        Sign::Entra(&[
            90_033, 90_006, 90_012, 90_024, 90_090, 90_091, 50_033, 50_087, 50_000,
        ]),
        "EntraBusy",
        "Microsoft Entra ID has a passing problem.",
    ),
    passing(
        Sign::Entra(&[90_055, 50_196]),
        "EntraBusy",
        "too many sign-ins: this tenant or this application is slowed down.",
    ),
    passing(
        Sign::Entra(&[80_001, 80_002, 80_005, 80_007, 80_014]),
        "EntraBusy",
        "the tenant's own servers check the password (pass-through authentication), and they do not answer.",
    ),
    passing(
        Sign::Codes(&["temporarily_unavailable"]),
        "EntraBusy",
        "Microsoft Entra ID has a passing problem.",
    ),
    passing(
        Sign::Status,
        "EntraBusy",
        "Microsoft Entra ID has a passing problem, or slows this tenant down.",
    )
    .with_status(&[429, 500, 502, 503, 504]),
    Entry::new(
        Api::Entra,
        Sign::Status,
        "CredentialRefused",
        "Microsoft Entra ID refused the credential.",
        "Check spec.credentials.tenantId and the Kubernetes Secret; the sign-in logs of the Microsoft Entra admin center say more.",
        CODES,
    )
    .with_status(&[400, 401]),
];
