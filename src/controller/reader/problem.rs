//! From a failed call to a problem that a person can read.

use std::time::Duration;

use dualwrite_api::{
    Reason, conditions,
    connection::{CredentialKind, CredentialStatus, CredentialUse, FailureClass},
};
use dualwrite_microsoft::{
    catalogue,
    error::{Api, CallError, Class},
};
use dualwrite_plan::observed::{Environment, Problem};

/// A failed call: what happened, what to do, and Microsoft's reference.
pub fn of_call(error: &CallError) -> Problem {
    let class = match error.class {
        Class::Transient => FailureClass::Transient,
        Class::Busy => FailureClass::Busy,
        Class::NeedsPerson => FailureClass::NeedsPerson,
        Class::Unexpected => FailureClass::Unexpected,
    };
    Problem {
        class,
        reason: error
            .reason
            .and_then(|reason| reason.parse::<Reason>().ok()),
        message: error.to_string(),
        retry_after: error.retry_after,
    }
}

/// The service names more than is read.
pub fn too_many_prerequisites(most: usize) -> Problem {
    Problem::transient(format!(
        "The dual-write service names more prerequisites of the table maps than are read ({} MiB).",
        most >> 20
    ))
}

/// The longest text of Microsoft's that advice follows, in bytes: advice that is cut off helps nobody.
const LONGEST_TOLD: usize = 400;

/// What Microsoft says about a failure within a good answer, and after it what is known about that.
pub fn explained(api: Api, told: &str) -> String {
    match catalogue::explain(api, told) {
        Some(entry) => {
            let told = conditions::cut(told.trim_end_matches('.'), LONGEST_TOLD);
            format!("{told}. {}", entry.advice())
        }
        None => told.to_owned(),
    }
}

/// A refused or failed sign-in: the same, and whose it was.
pub fn of_sign_in(error: &CallError, whose: &CredentialStatus) -> Problem {
    let mut problem = of_call(error);
    if problem.is_for_a_person() {
        let who = match whose.used_for {
            CredentialUse::Application => "application",
            CredentialUse::DualWriteAccount => "dual-write account",
        };
        let source = &whose.source;
        let of = match whose.kind {
            CredentialKind::ServiceAccountToken => format!("of ServiceAccount '{source}'"),
            CredentialKind::WorkloadIdentity => {
                format!("of the operator's own workload identity ({source})")
            }
            CredentialKind::ClientSecret
            | CredentialKind::ClientCertificate
            | CredentialKind::Password
            | CredentialKind::RefreshToken => format!("of Secret '{source}'"),
        };
        problem.message = format!("The {who} {of} cannot sign in. {}", problem.message);
    }
    problem
}

/// A failed call, by this identity: it may be its sign-in that failed.
pub fn of_call_by(error: &CallError, whose: &CredentialStatus) -> Problem {
    if error.call.api() == Api::Entra {
        of_sign_in(error, whose)
    } else {
        of_call(error)
    }
}

/// A read that this pass did not need.
pub fn not_read() -> Problem {
    Problem {
        class: FailureClass::Busy,
        reason: None,
        message: "It was not looked at in this pass.".into(),
        retry_after: None,
    }
}

/// An environment whose Dataverse has no address that can be asked.
pub fn unreadable_dataverse_url(environment: &Environment) -> Problem {
    let url = environment.dataverse_url.as_deref().unwrap_or("none");
    Problem {
        class: FailureClass::Unexpected,
        reason: None,
        message: format!(
            "The Power Platform API gives no usable Dataverse address for '{}' ({url}).",
            environment.name
        ),
        retry_after: None,
    }
}

/// A list of packages that could not be read whole.
pub fn incomplete_packages() -> Problem {
    Problem {
        class: FailureClass::Unexpected,
        reason: None,
        message: "The list of application packages could not be read to its end, so what is missing in it may exist.".into(),
        retry_after: Some(Duration::from_secs(30)),
    }
}

/// A list of application users that could not be read whole.
pub fn incomplete_users() -> Problem {
    Problem {
        class: FailureClass::Unexpected,
        reason: None,
        message: "The application users of the Dataverse could not all be read, so one that is missing may exist.".into(),
        retry_after: None,
    }
}

/// An error of the API server in words.
pub fn kubernetes(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => {
            format!("the API server answered {} {}", status.code, status.message)
        }
        other => conditions::cut(&format!("the API server could not be asked ({other})"), 300),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_microsoft_says_stays_and_advice_follows() {
        let text = explained(
            Api::DualWrite,
            "Project validation failed. [DIPV1030] Mismatch.",
        );
        assert!(
            text.starts_with("Project validation failed. [DIPV1030] Mismatch. Two columns"),
            "{text}"
        );
        assert!(text.contains("Dual-write page"), "{text}");
        assert_eq!(
            explained(Api::DualWrite, "Nobody knows this."),
            "Nobody knows this."
        );
    }

    #[test]
    fn advice_follows_a_long_text_too() {
        let told = format!("DW9003 {}", "x".repeat(5_000));
        let text = explained(Api::DualWrite, &told);
        assert!(
            text.len() < 1_000 && text.ends_with("Application users."),
            "{text}"
        );
    }
}
