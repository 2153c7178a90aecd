//! What went wrong, in words that an administrator can act on, and what is known about a change.

mod problem;
mod retry_after;

use std::fmt;
use std::ops::Deref;
use std::time::Duration;

pub(super) use problem::{Problem, looks_like_html, trim_mark};
use retry_after::retry_after;

use http::HeaderMap;

use super::catalogue::{self, Entry, Failure};

/// Which of Microsoft's APIs was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::IntoStaticStr, strum::Display)]
#[strum(serialize_all = "camelCase")]
pub enum Api {
    /// Microsoft Entra ID, the token endpoint.
    Entra,
    /// The Power Platform API.
    PowerPlatform,
    /// The Dataverse Web API.
    Dataverse,
    /// The dual-write management service.
    DualWrite,
    /// The finance and operations environment itself.
    FinanceOperations,
}

impl Api {
    fn in_words(self) -> &'static str {
        match self {
            Self::Entra => "Microsoft Entra ID",
            Self::PowerPlatform => "The Power Platform API",
            Self::Dataverse => "Dataverse",
            Self::DualWrite => "The dual-write service",
            Self::FinanceOperations => "Finance and operations",
        }
    }
}

/// What kind of failure it is, and so what should follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::IntoStaticStr, strum::Display)]
pub enum Class {
    /// Passes by itself; try again with backoff.
    Transient,
    /// Something else is running there; not a failure, try again in the slow lane.
    Busy,
    /// Does not heal without a person.
    NeedsPerson,
    /// Not understood; try again, and show everything that is known.
    Unexpected,
}

/// Which call it is: for errors, metrics and the catalogue. Its name is written in camel case, such as `getEnvironment`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, strum::IntoStaticStr, strum::Display, strum::EnumString,
)]
#[strum(serialize_all = "camelCase")]
#[allow(
    missing_docs,
    reason = "each is documented at the function that makes it"
)]
pub enum Call {
    Token,
    DeviceCode,
    ListEnvironments,
    GetEnvironment,
    ListApplicationPackages,
    InstallApplication,
    GetOperation,
    RetrieveIntegrationDetails,
    ListSystemUsers,
    ListCompanies,
    GetLink,
    GetConnectionSet,
    ListMaps,
    ListSolutions,
    GetPrerequisites,
    GetMapStatus,
    GetSolutionStatus,
    CreateLink,
    ResetLink,
    StartMaps,
    SwitchActiveVersion,
    ApplySolution,
    SetIntegrationKeys,
    FinanceOperationsRoot,
}

impl Call {
    /// The API that it belongs to.
    pub const fn api(self) -> Api {
        match self {
            Self::Token | Self::DeviceCode => Api::Entra,
            Self::ListEnvironments
            | Self::GetEnvironment
            | Self::ListApplicationPackages
            | Self::InstallApplication
            | Self::GetOperation => Api::PowerPlatform,
            Self::RetrieveIntegrationDetails | Self::ListSystemUsers | Self::ListCompanies => {
                Api::Dataverse
            }
            Self::GetLink
            | Self::GetConnectionSet
            | Self::ListMaps
            | Self::ListSolutions
            | Self::GetPrerequisites
            | Self::GetMapStatus
            | Self::GetSolutionStatus
            | Self::CreateLink
            | Self::ResetLink
            | Self::StartMaps
            | Self::SwitchActiveVersion
            | Self::ApplySolution
            | Self::SetIntegrationKeys => Api::DualWrite,
            Self::FinanceOperationsRoot => Api::FinanceOperations,
        }
    }
}

/// A call that failed. Its fields are those of [`CallFailure`]; boxed, because it is the error of every call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallError(Box<CallFailure>);

impl Deref for CallError {
    type Target = CallFailure;

    fn deref(&self) -> &CallFailure {
        &self.0
    }
}

/// What is known about a call that failed.
///
/// Every text in it is bounded, on one line and without secrets or URL queries: it may be shown in conditions,
/// events and logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallFailure {
    /// Which call it is.
    pub call: Call,
    /// The host that was asked.
    pub host: String,
    /// The HTTP status, when there was an answer.
    pub status: Option<u16>,
    /// The service's own code: `AADSTS…`, `0x…`, an `errorCode`.
    pub code: Option<String>,
    /// What should follow.
    pub class: Class,
    /// A reason from the catalogue, in CamelCase.
    pub reason: Option<&'static str>,
    /// What happened, in plain words.
    pub message: String,
    /// What to do about it, when that is known.
    pub remedy: Option<&'static str>,
    /// Where to read more, when that is known.
    pub help: Option<&'static str>,
    /// The id under which Microsoft's support finds the request.
    pub correlation_id: Option<String>,
    /// How long the service asked to be left alone: between 1 second and 1 hour.
    pub retry_after: Option<Duration>,
    /// Whether the catalogue knows that this failure means "nothing was changed".
    pub(super) definitive: bool,
    /// What the answer's body is.
    pub(crate) told: Told,
    /// Whether it failed here, before the service had anything to do with it: the message then says it all.
    before_sending: bool,
}

/// What the body of an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// Words of the service.
    Words,
    /// Nothing at all.
    Nothing,
    /// A web page: of a proxy or a gateway between, and not of the service.
    Page,
}

impl std::error::Error for CallError {}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.before_sending {
            return f.write_str(&self.message);
        }
        write!(
            f,
            "{} ({} at {})",
            self.call.api().in_words(),
            self.call,
            self.host
        )?;
        if let Some(status) = self.status {
            write!(f, " answered {status}")?;
        }
        if let Some(code) = &self.code {
            write!(f, " {code}")?;
        }
        write!(f, ": {}", self.message)?;
        if let Some(remedy) = self.remedy {
            write!(f, " {remedy}")?;
        }
        if let Some(id) = &self.correlation_id {
            write!(f, " (correlation id {id})")?;
        }
        Ok(())
    }
}

impl CallError {
    /// A failure without an answer.
    pub(super) fn new(call: Call, host: &str, class: Class, message: impl Into<String>) -> Self {
        Self(Box::new(CallFailure {
            call,
            host: host.to_owned(),
            status: None,
            code: None,
            class,
            reason: None,
            message: message.into(),
            remedy: None,
            help: None,
            correlation_id: None,
            retry_after: None,
            definitive: false,
            told: Told::Words,
            before_sending: false,
        }))
    }

    /// A failure of ours, for which the service was not asked; the message is shown as it is.
    pub(super) fn before_sending(
        call: Call,
        class: Class,
        reason: Option<&'static str>,
        message: String,
    ) -> Self {
        let mut error = Self::new(call, "", class, message);
        error.0.reason = reason;
        error.0.before_sending = true;
        error
    }

    /// A failure that the service's answer tells.
    pub(super) fn answered(
        call: Call,
        host: &str,
        status: u16,
        headers: &HeaderMap,
        problem: Problem,
    ) -> Self {
        let entry = catalogue::find(&Failure {
            api: call.api(),
            call: Some(call),
            status: Some(status),
            code: problem.code.as_deref().unwrap_or_default(),
            text: &problem.message,
        });
        let message = in_words(entry, status, &problem.message);
        let class = entry.map_or_else(|| by_status(status), |entry| entry.class);
        let mut error = Self::new(call, host, class, message);
        let failure = &mut *error.0;
        failure.status = Some(status);
        failure.told = match (&problem.code, problem.is_page) {
            (_, true) => Told::Page,
            (None, false) if problem.message.is_empty() => Told::Nothing,
            (_, false) => Told::Words,
        };
        failure.code = problem.code;
        failure.correlation_id = problem.correlation_id;
        failure.retry_after = retry_after(headers);
        if let Some(entry) = entry {
            failure.reason = Some(entry.reason);
            failure.remedy = Some(entry.remedy);
            failure.help = Some(entry.source);
            failure.definitive = entry.definitive;
        }
        error
    }

    /// An answer that came, but is not what it should be.
    pub(super) fn unexpected(
        call: Call,
        host: &str,
        status: u16,
        headers: &HeaderMap,
        message: String,
    ) -> Self {
        let mut error = Self::new(call, host, Class::Unexpected, message);
        error.0.status = Some(status);
        error.0.correlation_id = Problem::read(headers, b"", false).correlation_id;
        error
    }

    /// The same failure, with one more sentence about what it can mean here.
    pub(super) fn which_may_mean(mut self, sentence: &str) -> Self {
        self.0.message.push(' ');
        self.0.message.push_str(sentence);
        self
    }

    /// The same failure, understood better than by its status.
    pub(super) fn understood_as(mut self, class: Class, message: &str) -> Self {
        self.0.class = class;
        message.clone_into(&mut self.0.message);
        self
    }
}

/// Service code first, HTTP status second: this is the second.
fn by_status(status: u16) -> Class {
    match status {
        401 | 403 | 404 | 410 => Class::NeedsPerson,
        409 | 423 => Class::Busy,
        408 | 425 | 429 | 500.. => Class::Transient,
        _ => Class::Unexpected,
    }
}

fn in_words(entry: Option<&Entry>, status: u16, told: &str) -> String {
    let cause = entry.map_or_else(|| by_status_in_words(status), |entry| entry.cause);
    match (cause.is_empty(), told.is_empty()) {
        (_, true) => format!("{cause} The answer says nothing more."),
        (true, false) => format!("the service says: \"{told}\""),
        (false, false) => format!("{cause} The service says: \"{told}\""),
    }
}

fn by_status_in_words(status: u16) -> &'static str {
    match status {
        401 => "the identity was not accepted, also not with a new token.",
        403 => "access was denied.",
        404 => "it does not exist, or this identity may not see it.",
        409 | 423 => "something else is running there.",
        429 => "too many requests.",
        500.. => "the service failed.",
        _ => "",
    }
}

/// A call that should have changed something, and failed. What is known about the change is the variant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MutationError {
    /// Certainly nothing was written: nothing changed.
    #[error("not sent: {0}")]
    NotSent(CallError),
    /// The service refused: nothing was started.
    #[error("refused: {0}")]
    Refused(CallError),
    /// Perhaps it was done. Read back before anything else.
    #[error("outcome unknown: {0}")]
    Lost(CallError),
}

impl MutationError {
    /// What failed.
    pub fn call_error(&self) -> &CallError {
        match self {
            Self::NotSent(error) | Self::Refused(error) | Self::Lost(error) => error,
        }
    }

    /// What an answer of status 400 or more says about the change.
    ///
    /// 408 is lost although it is a 4xx: a proxy between also answers so after it has passed the request on. A web page is
    /// lost whatever its status: a gateway between also shows one in place of an answer that it does not like.
    pub(super) fn answered(error: CallError) -> Self {
        match error.status {
            _ if error.told == Told::Page => Self::Lost(error),
            Some(400..=407 | 409..=499) => Self::Refused(error),
            _ if error.definitive => Self::Refused(error),
            _ => Self::Lost(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_without_a_code_is_classed_by_its_status() {
        for (status, class) in [
            (400, Class::Unexpected),
            (401, Class::NeedsPerson),
            (403, Class::NeedsPerson),
            (404, Class::NeedsPerson),
            (408, Class::Transient),
            (409, Class::Busy),
            (410, Class::NeedsPerson),
            (422, Class::Unexpected),
            (423, Class::Busy),
            (425, Class::Transient),
            (429, Class::Transient),
            (500, Class::Transient),
            (503, Class::Transient),
        ] {
            assert_eq!(by_status(status), class, "{status}");
        }
        for status in [409, 423] {
            assert_eq!(
                by_status_in_words(status),
                "something else is running there."
            );
        }
    }
}
