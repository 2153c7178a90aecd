//! Credentials that end soon: said in time, with the day and what to do.

use std::time::Duration;

use jiff::Timestamp;

use super::world::after;
use dualwrite_api::{
    DualWriteConnectionStatus,
    conditions::ConditionType,
    connection::{CredentialKind, CredentialStatus},
};

/// How long before its end a credential is spoken of.
pub const NOTICE: Duration = Duration::from_hours(30 * 24);

/// Notes what is known of the credentials, and warns in `CredentialsValid` of those that end within [`NOTICE`]. The text
/// has the day and no countdown, so it is written once.
pub fn note(
    status: &mut DualWriteConnectionStatus,
    credentials: Vec<CredentialStatus>,
    now: Timestamp,
) {
    let warnings = credentials
        .iter()
        .filter_map(|credential| warning(credential, now));
    let warnings: Vec<String> = warnings.collect();
    status.credentials = credentials;
    let condition = status.conditions.iter_mut().find(|condition| {
        condition.type_ == ConditionType::CredentialsValid.to_string() && condition.status == "True"
    });
    let Some(condition) = condition else { return };
    for warning in warnings {
        // A message that was carried from the pass before has it already.
        if !condition.message.contains(&warning) {
            condition.message.push(' ');
            condition.message.push_str(&warning);
        }
    }
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use dualwrite_api::conditions::{self, Says};
    use dualwrite_api::{Reason, connection::CredentialUse};

    fn noted(end: &str, times: usize) -> String {
        let now: Timestamp = "2026-11-01T12:00:00Z".parse().unwrap();
        let mut status = DualWriteConnectionStatus::default();
        let says = Says::yes(Reason::Authenticated, "Accepted.");
        let kind = ConditionType::CredentialsValid;
        conditions::set(&mut status.conditions, kind, &says, 1, now);
        for _ in 0..times {
            let credential = CredentialStatus {
                used_for: CredentialUse::Application,
                kind: CredentialKind::ClientCertificate,
                source: "contoso-entra".into(),
                expires_at: Some(end.parse().unwrap()),
                refused: None,
            };
            note(&mut status, vec![credential], now);
        }
        status.conditions[0].message.clone()
    }

    #[test]
    fn a_credential_is_spoken_of_thirty_days_before_its_end_and_once() {
        assert_eq!(noted("2026-12-02T00:00:00Z", 1), "Accepted.");
        let text = noted("2026-12-01T00:00:00Z", 3);
        assert_eq!(text.matches("expires on 2026-12-01").count(), 1, "{text}");
        assert!(
            text.starts_with("Accepted. The client certificate of Secret 'contoso-entra'"),
            "{text}"
        );
    }
}
