//! Credentials that end soon: said in time, with the day and what to do.

use std::time::Duration;

use jiff::Timestamp;

use super::world::after;
use dualwrite_api::connection::{CredentialKind, CredentialStatus};

/// How long before its end a credential is spoken of.
pub const NOTICE: Duration = Duration::from_hours(30 * 24);

/// A sentence for each credential that ends within [`NOTICE`]. It has the day and no countdown, so it is written once.
pub fn warnings(credentials: &[CredentialStatus], now: Timestamp) -> Vec<String> {
    let warnings = credentials
        .iter()
        .filter_map(|credential| warning(credential, now));
    warnings.collect()
}

fn warning(credential: &CredentialStatus, now: Timestamp) -> Option<String> {
    let end = credential.expires_at?;
    if after(now, NOTICE) < end {
        return None;
    }
    let (what, remedy) = match credential.kind {
        CredentialKind::ClientSecret => (
            "client secret",
            "create a new one for the app registration and put its Value into the Secret",
        ),
        CredentialKind::ClientCertificate => (
            "client certificate",
            "upload the public part of a new one to the app registration beside it, and put certificate and key into the Secret",
        ),
        CredentialKind::ServiceAccountToken | CredentialKind::WorkloadIdentity => return None,
        CredentialKind::Password => (
            "password",
            "set a new one for the account and put it into the Secret",
        ),
        CredentialKind::RefreshToken => (
            "refresh token",
            "sign in once more with dualwrite-operator sign-in, and replace the Secret",
        ),
    };
    Some(format!(
        "The {what} of Secret '{}' expires on {}: {remedy} before.",
        credential.source,
        end.strftime("%Y-%m-%d")
    ))
}
