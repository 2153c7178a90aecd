//! Condition types and reasons, and how a set of conditions changes over time.
//!
//! The rules are those of kstatus: `Ready` always; `Reconciling` and `Stalled` only when True, and never both.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use strum::{AsRefStr, Display, EnumIter, EnumString, IntoStaticStr};

/// The types of conditions, in the order in which people read them.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    AsRefStr,
    Display,
    EnumIter,
    EnumString,
    IntoStaticStr,
)]
pub enum ConditionType {
    /// Everything is as the spec says.
    Ready,
    /// The operator, Microsoft or a person is on the way forward.
    Reconciling,
    /// Something is wrong and does not heal by itself.
    Stalled,
    /// Microsoft Entra ID accepts the credentials.
    CredentialsValid,
    /// Power Platform integration names the Dataverse environment of the spec.
    PowerPlatformIntegrated,
    /// The dual-write application is installed.
    SetupComplete,
    /// Dual-write is linked to the Dataverse environment of the spec.
    Linked,
    /// Dual-write is linked to another destination than Power Platform integration names (abnormal when True).
    LinkingMismatch,
}

/// Every reason that a condition can have.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    AsRefStr,
    Display,
    EnumIter,
    EnumString,
    IntoStaticStr,
)]
pub enum Reason {
    // Ready
    /// Integrated, set up and linked.
    Connected,
    /// Integrated and set up; the link is not looked at, as the spec asks.
    ConnectedLinkUnverified,
    /// Reading and acting are suspended by the spec.
    Suspended,
    /// Another connection has the finance and operations environment.
    Conflict,
    /// The stored resource cannot be read.
    SpecInvalid,
    /// The operator has an error of its own.
    InternalError,
    /// The plan of a reset was rejected.
    PlanRejected,
    /// A reset was accepted, and the link still names the old destination.
    ResetDidNotRetarget,
    /// A reset was refused; nothing was taken away.
    ResetFailed,
    /// A table map does not stop; nothing was taken away.
    MapsNotStopped,
    /// A table map that should run does not.
    MapsNotRunning,
    /// After a reset something is missing that was there before.
    RestoreIncomplete,
    /// The Dataverse that dual-write is linked to was deleted.
    LinkedDataverseGone,
    // CredentialsValid
    /// Microsoft Entra ID accepts the credentials.
    Authenticated,
    /// The operator may not read Secrets in this namespace.
    NamespaceNotGranted,
    /// The Secret does not exist.
    SecretNotFound,
    /// The Secret lacks a key or has one that is not supported.
    SecretInvalid,
    /// A host of the resource is not one that credentials are sent to.
    HostNotAllowed,
    /// The namespace may not claim a host or an environment of the resource.
    ClaimNotAllowed,
    /// The client secret is wrong.
    ClientSecretInvalid,
    /// The client secret has expired.
    ClientSecretExpired,
    /// A client secret or certificate is missing in the sign-in.
    ClientSecretMissing,
    /// The client certificate has expired.
    ClientCertificateExpired,
    /// Entra does not take the client certificate.
    ClientCertificateRefused,
    /// The `ServiceAccount` does not exist.
    ServiceAccountNotFound,
    /// The namespace may not use the identity of the operator's own pod.
    AmbientIdentityNotAllowed,
    /// The operator's own pod has no usable identity.
    AmbientIdentityMissing,
    /// The identity of the operator's own pod is of another tenant or cloud than the spec.
    AmbientIdentityMismatch,
    /// Entra does not take a `ServiceAccount`'s token.
    FederationRefused,
    /// The application does not exist in the tenant.
    ApplicationNotFound,
    /// The application is disabled in the tenant.
    ApplicationDisabled,
    /// Consent is missing.
    ConsentMissing,
    /// The application may not ask for this service.
    ApplicationNotPreauthorized,
    /// The tenant does not know the service that is asked for.
    ServiceNotInTenant,
    /// Tenant restrictions or cross-tenant access forbid the sign-in.
    TenantRestricted,
    /// The account does not exist in the tenant.
    AccountNotFound,
    /// The application admits only assigned users, and the account is none.
    AccountNotAssigned,
    /// User name or password is wrong.
    PasswordInvalid,
    /// The account needs multi-factor authentication.
    MfaRequired,
    /// Conditional access blocks the sign-in.
    ConditionalAccessBlocked,
    /// The account is locked.
    AccountLocked,
    /// The password has expired.
    PasswordExpired,
    /// The account is disabled.
    AccountDisabled,
    /// The refresh token has expired.
    RefreshTokenExpired,
    /// The tenant does not exist.
    TenantNotFound,
    /// Entra refuses the credentials for another reason.
    CredentialRefused,
    // PowerPlatformIntegrated
    /// Integration names the environment of the spec.
    Integrated,
    /// There is no integration.
    NotIntegrated,
    /// Integration names another environment than the spec.
    IntegratedElsewhere,
    /// The environment of the spec belongs to another finance and operations environment.
    IntegratedWithOther,
    /// The sources contradict each other.
    SourcesDisagree,
    /// The environment of the spec is not there, or not for this application.
    EnvironmentNotFound,
    /// The environment of the spec has no Dataverse or is disabled.
    EnvironmentUnusable,
    /// The environment is being prepared, copied or restored, or is in administration mode.
    EnvironmentBusy,
    /// A role or permission is missing.
    AccessDenied,
    /// No integration is visible, which does not prove that there is none.
    IntegrationNotVisible,
    // SetupComplete
    /// The dual-write application is installed.
    Installed,
    /// The dual-write application is not installed.
    NotInstalled,
    /// Integration comes first.
    WaitingForIntegration,
    /// The terms were not accepted.
    TermsNotAccepted,
    /// A person must press "Dual-write application".
    AwaitingManualSetup,
    /// The installation is under way.
    Installing,
    /// The installation has failed.
    InstallFailed,
    /// It took longer than allowed.
    TimedOut,
    // Linked
    /// Linked as the spec says.
    Linked,
    /// Setup comes first.
    WaitingForSetup,
    /// A person must press "Link to Power Platform environment".
    AwaitingManualLink,
    /// Linking is under way.
    Linking,
    /// Linking has failed.
    LinkFailed,
    /// Linked to another environment.
    LinkedElsewhere,
    /// No link is seen, which does not prove that there is none.
    LinkNotSeen,
    /// The link cannot be observed.
    LinkNotObservable,
    /// A request was sent and what became of it cannot be known.
    OutcomeUnknown,
    // LinkingMismatch
    /// Linked to another Dataverse than integration names.
    DifferentDestination,
    /// Linked although integration was never set up.
    IntegrationNotSetUp,
    /// A sandbox is linked with a production environment.
    SandboxProductionMix,
    /// Link and integration agree.
    Matched,
    /// There is no link.
    NotLinked,
    /// Link or integration cannot be observed.
    NotObservable,
    // Reconciling
    /// The first look at this generation.
    Observing,
    /// A person must do something.
    AwaitingPerson,
    /// A person must approve a plan.
    AwaitingApproval,
    /// A reset is under way.
    Resetting,
    /// Table maps are being stopped.
    StoppingMaps,
    /// Reads fail and are tried again.
    Retrying,
    // events
    /// An operation was given up: before its first step, or between two.
    GivenUp,
    /// A person has approved a plan.
    Approved,
    /// The link was reset.
    Reset,
    /// The table maps are stopped.
    MapsStopped,
    /// The connection is deleted and its table maps go on as they are.
    MapsLeftAsTheyAre,
    // all
    /// What is shown is old.
    ObservationStale,
}

/// The three values of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Display, EnumString, IntoStaticStr)]
pub enum Status {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// It is not known.
    Unknown,
}

/// What a condition says, before it is placed in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Says {
    /// True, False or Unknown.
    pub status: Status,
    /// Why, for machines.
    pub reason: Reason,
    /// Why, and what to do, for people.
    pub message: String,
}

impl Says {
    /// A condition that holds.
    pub fn yes(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            status: Status::True,
            reason,
            message: message.into(),
        }
    }

    /// A condition that does not hold.
    pub fn no(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            status: Status::False,
            reason,
            message: message.into(),
        }
    }

    /// A condition of which nobody knows.
    pub fn unknown(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            status: Status::Unknown,
            reason,
            message: message.into(),
        }
    }
}

/// The longest message that the API server takes for a condition, in bytes.
const MESSAGE_LIMIT: usize = 32_768;

/// Finds a condition.
pub fn find(conditions: &[Condition], kind: ConditionType) -> Option<&Condition> {
    conditions
        .iter()
        .find(|condition| condition.type_ == kind.as_ref())
}

/// Whether a condition has this status.
pub fn is(conditions: &[Condition], kind: ConditionType, status: Status) -> bool {
    find(conditions, kind).is_some_and(|condition| condition.status == <&str>::from(status))
}

/// What introduces Microsoft's correlation id in a message. It differs from call to call.
const REFERENCE: &str = " (correlation id ";

/// Whether two messages say the same but for Microsoft's correlation ids: such a difference is not worth a write.
pub fn same_message(one: &str, other: &str) -> bool {
    let parts = |text: &str| {
        let mut parts = text.split(REFERENCE);
        let first = parts.next().unwrap_or_default().to_owned();
        std::iter::once(first)
            .chain(parts.map(|part| part.split_once(')').map_or("", |(_, rest)| rest).to_owned()))
            .collect::<Vec<_>>()
    };
    parts(one) == parts(other)
}

/// Sets a condition; its transition time moves only when its status does.
pub fn set(
    conditions: &mut Vec<Condition>,
    kind: ConditionType,
    says: &Says,
    generation: i64,
    now: Timestamp,
) {
    let status = <&str>::from(says.status);
    let old = find(conditions, kind);
    let message = cut(&says.message, MESSAGE_LIMIT);
    let message = match old {
        Some(old) if old.reason == says.reason.as_ref() && same_message(&old.message, &message) => {
            old.message.clone()
        }
        Some(_) | None => message,
    };
    let since = old.filter(|old| old.status == status).map_or_else(
        || Time(whole_second(now)),
        |old| old.last_transition_time.clone(),
    );
    let condition = Condition {
        type_: kind.as_ref().into(),
        status: status.into(),
        reason: says.reason.as_ref().into(),
        message,
        observed_generation: Some(generation),
        last_transition_time: since,
    };
    match conditions
        .iter_mut()
        .find(|old| old.type_ == condition.type_)
    {
        Some(old) => *old = condition,
        None => conditions.push(condition),
    }
    conditions.sort_by_key(|condition| condition.type_.parse::<ConditionType>().ok());
}

/// Takes a condition away.
pub fn remove(conditions: &mut Vec<Condition>, kind: ConditionType) {
    conditions.retain(|condition| condition.type_ != kind.as_ref());
}

/// Transition times have whole seconds on the wire; a finer one would read back as another value and cause a write.
fn whole_second(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

/// Cuts a text at a character boundary, so that it fits into `limit` bytes.
pub fn cut(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let end = (0..=limit.saturating_sub('…'.len_utf8()))
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0);
    format!("{}…", &text[..end])
}

/// The rules of kstatus and of this project that every published set of conditions obeys; the message names the first
/// one that is broken.
///
/// # Errors
/// When a rule is broken.
pub fn check_kstatus(conditions: &[Condition], generation: i64) -> Result<(), String> {
    let ready = find(conditions, ConditionType::Ready).ok_or("Ready is always there")?;
    let reconciling = find(conditions, ConditionType::Reconciling);
    let stalled = find(conditions, ConditionType::Stalled);
    if reconciling.is_some() && stalled.is_some() {
        return Err("Reconciling and Stalled exclude each other".into());
    }
    for condition in reconciling.iter().chain(stalled.iter()) {
        if condition.status != "True" {
            return Err(format!("{} is there only when True", condition.type_));
        }
    }
    if stalled.is_some() && ready.status == "True" {
        return Err("what is stalled is not ready".into());
    }
    for condition in conditions {
        if condition.observed_generation != Some(generation) {
            return Err(format!("{} speaks of another generation", condition.type_));
        }
        if condition.message.is_empty() || condition.reason.is_empty() {
            return Err(format!("{} says nothing", condition.type_));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap_or_default()
    }

    #[test]
    fn the_transition_time_moves_only_with_the_status() {
        let mut conditions = Vec::new();
        set(
            &mut conditions,
            ConditionType::Linked,
            &Says::no(Reason::WaitingForSetup, "a"),
            1,
            at(10),
        );
        set(
            &mut conditions,
            ConditionType::Linked,
            &Says::no(Reason::AwaitingManualLink, "b"),
            2,
            at(20),
        );
        assert_eq!(conditions[0].last_transition_time.0, at(10));
        assert_eq!(conditions[0].observed_generation, Some(2));
        set(
            &mut conditions,
            ConditionType::Linked,
            &Says::yes(Reason::Linked, "c"),
            2,
            at(30),
        );
        assert_eq!(conditions[0].last_transition_time.0, at(30));
    }

    #[test]
    fn another_correlation_id_is_not_another_message() {
        let one = "Refused. (correlation id 1)";
        assert!(same_message(one, "Refused. (correlation id 2)"));
        assert!(!same_message(one, "Denied. (correlation id 1)"));
        assert!(!same_message(one, &format!("{one} And more.")));
    }

    #[test]
    fn long_messages_are_cut_at_a_character() {
        assert_eq!(cut("héllo", 5), "h…");
        assert_eq!(cut("hello", 5), "hello");
    }
}
