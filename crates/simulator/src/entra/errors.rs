//! The errors of Microsoft Entra ID, in its words [D].

use http::StatusCode;
use http::header::CACHE_CONTROL;
use jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

use crate::reply::Reply;

/// Why there is no token.
#[derive(Debug)]
pub(super) enum EntraError {
    TenantNotFound(String),
    ApplicationNotFound {
        client: String,
        tenant: String,
    },
    NoClientCredential,
    WrongSecret(String),
    ExpiredSecret(String),
    AssertionKeyNotFound {
        client: String,
        thumbprint: String,
    },
    AssertionKeyExpired {
        client: String,
        thumbprint: String,
    },
    AssertionInvalid(String),
    AssertionTime,
    AssertionAudience,
    AssertionSignature,
    NoFederatedIdentity {
        subject: String,
        issuer: String,
        audience: String,
    },
    NoConsent(String),
    NotPreauthorised(String),
    ResourceNotFound {
        resource: String,
        tenant: String,
    },
    InvalidScope(String),
    UserNotFound {
        user: String,
        tenant: String,
    },
    WrongPassword,
    AccountLocked,
    MfaRequired,
    InvalidRefreshToken,
    ExpiredRefreshToken,
    AuthorizationPending,
    BadDeviceCode,
    ExpiredDeviceCode,
    MissingParameter(String),
    UnsupportedGrant(String),
}

/// The code, the OAuth error, and the text.
fn parts(error: &EntraError) -> (u32, &'static str, String) {
    match error {
        EntraError::TenantNotFound(tenant) => (
            90002,
            "invalid_request",
            format!(
                "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the \
                 correct cloud. Check with your subscription administrator, this may happen if there are no active \
                 subscriptions for the tenant."
            ),
        ),
        EntraError::MissingParameter(name) => (
            900_144,
            "invalid_request",
            format!("The request body must contain the following parameter: '{name}'."),
        ),
        EntraError::UnsupportedGrant(grant) => (
            70003,
            "unsupported_grant_type",
            format!("The app requested an unsupported grant type '{grant}'."),
        ),
        EntraError::ResourceNotFound { resource, tenant } => (
            500_011,
            "invalid_resource",
            format!(
                "The resource principal named {resource} was not found in the tenant named {tenant}. This can happen if \
                 the application has not been installed by the administrator of the tenant or consented to by any user \
                 in the tenant. You might have sent your authentication request to the wrong tenant."
            ),
        ),
        EntraError::InvalidScope(scope) => (
            70011,
            "invalid_scope",
            format!(
                "The provided request must include a 'scope' input parameter. The provided value for the input parameter 'scope' is not valid. The scope {scope} is not valid."
            ),
        ),
        _ => client_parts(error),
    }
}

fn client_parts(error: &EntraError) -> (u32, &'static str, String) {
    match error {
        EntraError::ApplicationNotFound { client, tenant } => (
            700_016,
            "unauthorized_client",
            format!(
                "Application with identifier '{client}' was not found in the directory '{tenant}'. This can happen if the \
                 application has not been installed by the administrator of the tenant or consented to by any user in the \
                 tenant. You may have sent your authentication request to the wrong tenant."
            ),
        ),
        EntraError::NoClientCredential => (
            7_000_216,
            "invalid_client",
            "'client_assertion', 'client_secret' or 'request' is required for the 'client_credentials' grant type."
                .to_owned(),
        ),
        EntraError::WrongSecret(client) => (
            7_000_215,
            "invalid_client",
            format!(
                "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, \
                 not the client secret ID, for a secret added to app '{client}'."
            ),
        ),
        EntraError::ExpiredSecret(client) => (
            7_000_222,
            "invalid_client",
            format!(
                "The provided client secret keys for app '{client}' are expired. Visit the Azure portal to create new \
                 keys for your app: https://aka.ms/NewClientSecret, or consider using certificate credentials for added \
                 security: https://aka.ms/certCreds."
            ),
        ),
        EntraError::AssertionKeyNotFound { client, thumbprint } => (
            700_027,
            "invalid_client",
            format!(
                "The certificate with identifier used to sign the client assertion is not registered on application. \
                 [Reason - The key was not found., Thumbprint of key used by client: '{thumbprint}', Please visit the \
                 Azure Portal, Graph Explorer or directly use MS Graph to see configured keys for app Id '{client}'.]"
            ),
        ),
        EntraError::AssertionKeyExpired { client, thumbprint } => (
            700_027,
            "invalid_client",
            format!(
                "The certificate with identifier used to sign the client assertion is expired on application. [Reason - \
                 The key used is expired., Thumbprint of key used by client: '{thumbprint}', Please visit the Azure Portal, \
                 Graph Explorer or directly use MS Graph to see configured keys for app Id '{client}'.]"
            ),
        ),
        _ => assertion_parts(error),
    }
}

fn assertion_parts(error: &EntraError) -> (u32, &'static str, String) {
    match error {
        EntraError::AssertionTime => (
            700_024,
            "invalid_client",
            "Client assertion is not within its valid time range.".to_owned(),
        ),
        EntraError::AssertionAudience => (
            700_023,
            "invalid_client",
            "Client assertion audience claim does not match Realm issuer.".to_owned(),
        ),
        EntraError::AssertionSignature => (
            50013,
            "invalid_client",
            "Assertion failed signature validation.".to_owned(),
        ),
        EntraError::AssertionInvalid(reason) => (
            50027,
            "invalid_request",
            format!("JWT token is invalid or malformed. {reason}"),
        ),
        EntraError::NoFederatedIdentity {
            subject,
            issuer,
            audience,
        } => (
            700_211,
            "invalid_client",
            format!(
                "No matching federated identity record found for presented assertion issuer '{issuer}', subject \
                 '{subject}', audience '{audience}'. Please check your federated identity credential Subject, Audience \
                 and Issuer against the presented assertion."
            ),
        ),
        _ => user_parts(error),
    }
}

fn user_parts(error: &EntraError) -> (u32, &'static str, String) {
    match error {
        EntraError::NoConsent(client) => (
            65001,
            "invalid_grant",
            format!(
                "The user or administrator has not consented to use the application with ID '{client}'. Send an \
                 interactive authorization request for this user and resource."
            ),
        ),
        EntraError::NotPreauthorised(client) => (
            65002,
            "invalid_grant",
            format!(
                "Consent between first party application '{client}' and first party resource 'https://IntegratorApp.com' \
                 must be configured via preauthorization - applications owned and operated by Microsoft must get approval \
                 from the API owner before requesting tokens for that API."
            ),
        ),
        EntraError::UserNotFound { user, tenant } => (
            50034,
            "invalid_grant",
            format!(
                "The user account {user} does not exist in the {tenant} directory. To sign into this application, the \
                 account must be added to the directory."
            ),
        ),
        EntraError::WrongPassword => (
            50126,
            "invalid_grant",
            "Error validating credentials due to invalid username or password.".to_owned(),
        ),
        EntraError::AccountLocked => (
            50053,
            "invalid_grant",
            "The account is locked, you've tried to sign in too many times with an incorrect user ID or password."
                .to_owned(),
        ),
        EntraError::MfaRequired => (
            50076,
            "invalid_grant",
            "Due to a configuration change made by your administrator, or because you moved to a new location, you must \
             use multi-factor authentication to access 'https://IntegratorApp.com'."
                .to_owned(),
        ),
        EntraError::AuthorizationPending => (
            70016,
            "authorization_pending",
            "OAuth 2.0 device flow error. Authorization is pending. Continue polling.".to_owned(),
        ),
        EntraError::BadDeviceCode => (
            70018,
            "bad_verification_code",
            "Invalid verification code due to User typing in wrong user code for device code flow.".to_owned(),
        ),
        EntraError::ExpiredDeviceCode => (
            70020,
            "expired_token",
            "The provided value for the input parameter 'device_code' is not valid. This device code has expired."
                .to_owned(),
        ),
        EntraError::ExpiredRefreshToken => (
            700_082,
            "invalid_grant",
            "The refresh token has expired due to inactivity. The token was inactive for 90.00:00:00.".to_owned(),
        ),
        _ => (
            9_002_313,
            "invalid_grant",
            "Invalid request. Request is malformed or invalid.".to_owned(),
        ),
    }
}

/// What else Entra says, for the errors that lead to a sign-in page.
fn suberror(error: &EntraError) -> Option<&'static str> {
    match error {
        EntraError::MfaRequired => Some("basic_action"),
        EntraError::NoConsent(_) => Some("consent_required"),
        _ => None,
    }
}

/// The refusal, in Entra's JSON.
pub(super) fn refusal(error: &EntraError, host: &str) -> Reply {
    let (code, kind, text) = parts(error);
    let (trace, correlation) = (Uuid::new_v4().to_string(), Uuid::new_v4().to_string());
    let timestamp = Timestamp::now().strftime("%Y-%m-%d %H:%M:%SZ").to_string();
    let mut body = json!({
        "error": kind,
        "error_description": format!(
            "AADSTS{code}: {text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {timestamp}"
        ),
        "error_codes": [code],
        "timestamp": timestamp,
        "trace_id": trace,
        "correlation_id": correlation,
        "error_uri": format!("https://{host}/error?code={code}"),
    });
    if let (Some(suberror), Some(fields)) = (suberror(error), body.as_object_mut()) {
        fields.insert("suberror".to_owned(), json!(suberror));
    }
    let status = if kind == "invalid_client" {
        StatusCode::UNAUTHORIZED
    } else {
        StatusCode::BAD_REQUEST
    };
    Reply::json(status, body).header(CACHE_CONTROL, "no-store, no-cache")
}
