//! Credentials that end soon: said in `CredentialsValid`, in time and once.

use crate::support::*;
use dualwrite_api::{
    conditions::ConditionType::CredentialsValid,
    connection::{CredentialKind, CredentialStatus, CredentialUse},
};
use dualwrite_plan::observed::Fact;

const ACCEPTED: &str = "Microsoft Entra ID accepts the credentials.";

/// All is well with a certificate that ends on this day of April; now is the 2nd of March.
fn ending(case: Case, day: u32) -> Case {
    case.with(|case| {
        case.credentials = vec![CredentialStatus {
            used_for: CredentialUse::Application,
            kind: CredentialKind::ClientCertificate,
            source: "contoso-entra".into(),
            identity: None,
            expires_at: Some(format!("2026-04-{day:02}T00:00:00Z").parse().unwrap()),
            refused: None,
        }];
    })
}

#[test]
fn a_credential_is_spoken_of_thirty_days_before_its_end_and_once() {
    let early = ending(Case::happy(), 2).decide();
    assert_eq!(message(&early, CredentialsValid), ACCEPTED);
    let mut case = ending(Case::happy(), 1);
    for _ in 0..3 {
        let decision = case.decide();
        let text = message(&decision, CredentialsValid);
        let warning = "The client certificate of Secret 'contoso-entra' expires on 2026-04-01";
        assert!(text.starts_with(&format!("{ACCEPTED} {warning}")), "{text}");
        assert_eq!(text.matches("expires on").count(), 1, "{text}");
        assert_eq!(decision.status.credentials, case.credentials);
        case = case.later(INTERVAL);
    }
    assert_eq!(case.decide().status, case.memory, "it is written once");
}

#[test]
fn a_credential_that_was_replaced_is_not_spoken_of_any_more() {
    let replaced = ending(ending(Case::happy(), 1).later(INTERVAL), 30);
    assert_eq!(message(&replaced.decide(), CredentialsValid), ACCEPTED);
}

/// What is known stays as it was said, and the next sign-in says what there is to say now.
#[test]
fn a_sign_in_that_fails_for_a_while_changes_no_words() {
    let unread = |case: Case| case.with(|case| case.observed.credentials = Fact::Unknown(down()));
    for (known, now) in [(1, 1), (1, 30), (30, 1)] {
        let before = ending(Case::happy(), known).later(INTERVAL);
        let said = message(&before.decide(), CredentialsValid);
        let blip = unread(ending(before, now));
        assert_eq!(message(&blip.decide(), CredentialsValid), said);
        let over = blip.later(seconds(10)).with(|case| {
            case.observed.credentials = Fact::Known(());
        });
        let fresh = ending(Case::happy(), now).decide();
        assert_eq!(
            message(&over.decide(), CredentialsValid),
            message(&fresh, CredentialsValid)
        );
    }
}
