//! Installing an application package, and following the operation that this starts.

use crate::Call;
use std::fmt;

use http::Method;
use jiff::Timestamp;
use serde_json::Value;

use super::packages::PackageError;
use super::{AUDIENCE, PACKAGES_VERSION, url};
use crate::Session;
use crate::auth::{Change, bad_url};
use crate::clouds::AllowedHost;
use crate::error::{CallError, Class, MutationError, Told};
use crate::http::{Answer, Body};
use crate::json::Fields;
use crate::text;

/// How deep in an answer an operation id is looked for.
const DEPTH: usize = 4;

/// An operation at Microsoft's side: its id, or the whole URL where it can be asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RemoteOperation(String);

impl RemoteOperation {
    /// The operation that was recorded as this text, see [`RemoteOperation::as_str`].
    pub fn recorded(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The text to record.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RemoteOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.split('?').next().unwrap_or_default())
    }
}

/// An install was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstallAccepted {
    /// The operation to follow; without one the package's state in the list has to be watched.
    pub operation: Option<RemoteOperation>,
}

/// Where an operation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperationState {
    /// Not finished; also every state that this operator does not know.
    Running,
    /// Done.
    Succeeded,
    /// Failed.
    Failed,
    /// Canceled.
    Canceled,
    /// Microsoft does not know the operation (any more): only the list tells how it ended.
    Gone,
}

/// What an operation says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationStatus {
    /// Where it stands.
    pub state: OperationState,
    /// `statusMessage`.
    pub message: Option<String>,
    /// `error`.
    pub error: Option<PackageError>,
}

/// `POST /appmanagement/environments/{id}/applicationPackages/{uniqueName}/install`
///
/// \[D\] Power Platform API reference, "Applications: Install application package". Answers 200 with the operation in
/// `lastOperation.operationId` [O d365bap.tools, seen live], or 202 with `Operation-Location` and no body [O
/// microsoft/terraform-provider-power-platform]. While another operation runs it is refused, sometimes with a bare 400
/// \[O\]: class `Busy`. A success with an empty body is accepted without an id; one with anything but JSON is lost.
///
/// # Errors
/// See [`MutationError`]. A lost answer does not mean that nothing started.
pub async fn install(
    session: &Session,
    environment_id: &str,
    unique_name: &str,
    send_by: Timestamp,
) -> Result<InstallAccepted, MutationError> {
    let call = Call::InstallApplication;
    let path = [
        "appmanagement",
        "environments",
        environment_id,
        "applicationPackages",
        unique_name,
        "install",
    ];
    let url = url(session, call, &path, &[("api-version", PACKAGES_VERSION)])
        .map_err(MutationError::NotSent)?;
    let timeout = session.request_timeout();
    let change = Change {
        call,
        method: Method::POST,
        url: &url,
        body: Body::Empty,
        send_by,
        timeout,
    };
    let answer = session
        .change(&AUDIENCE, &change)
        .await
        .map_err(bare_400_is_busy)?;
    let by_header = answer
        .header("operation-location")
        .and_then(|link| by_location(url.host(), link));
    if answer.is_empty() {
        return Ok(InstallAccepted {
            operation: by_header,
        });
    }
    match answer.short_json() {
        Ok(body) => Ok(InstallAccepted {
            operation: by_body(&body).or(by_header),
        }),
        Err(error) => by_header
            .map(|operation| InstallAccepted {
                operation: Some(operation),
            })
            .ok_or(MutationError::Lost(error)),
    }
}

/// Only one operation runs in an environment at a time; a second is refused, sometimes without a word \[O\].
fn bare_400_is_busy(error: MutationError) -> MutationError {
    let message =
        "refused without a word; most likely another operation is running in the environment.";
    match error {
        MutationError::Refused(error)
            if error.status == Some(400) && error.told == Told::Nothing =>
        {
            MutationError::Refused(error.understood_as(Class::Busy, message))
        }
        other => other,
    }
}

/// The id in an answer's body: `lastOperation.operationId` before any other `operationId`.
fn by_body(body: &Value) -> Option<RemoteOperation> {
    let last = Fields::of(body).and_then(|fields| fields.get("lastOperation"));
    last.and_then(|last| find_id(last, DEPTH))
        .or_else(|| find_id(body, DEPTH))
}

fn find_id(value: &Value, depth: usize) -> Option<RemoteOperation> {
    let fields = Fields::of(value)?;
    let here = fields
        .text("operationId")
        .ok()
        .flatten()
        .filter(|id| text::is_id(id));
    here.map(RemoteOperation).or_else(|| {
        fields
            .values()
            .filter(|_| depth > 0)
            .find_map(|(_, value)| find_id(value, depth - 1))
    })
}

/// The path segment after `operations` of a link to the same host; otherwise the whole link.
fn by_location(host: &AllowedHost, link: &str) -> Option<RemoteOperation> {
    let Ok(url) = host.link(link) else {
        tracing::warn!(
            host = host.name(),
            "an Operation-Location leads to another host and is ignored"
        );
        return None;
    };
    let mut segments = url.as_url().path_segments()?;
    let id = segments
        .by_ref()
        .find(|s| s.eq_ignore_ascii_case("operations"))
        .and_then(|_| segments.next());
    match id.filter(|id| text::is_id(id)) {
        Some(id) => Some(RemoteOperation(id.to_owned())),
        None => (link.len() <= text::KEPT).then(|| RemoteOperation(url.as_url().to_string())),
    }
}

/// `GET /appmanagement/environments/{id}/operations/{operationId}`
///
/// \[D\] Power Platform API reference, "Operations"; that 409 means "still busy" is [O
/// microsoft/terraform-provider-power-platform]. An unknown status counts as running.
///
/// # Errors
/// The operation could not be read; 409 and 404 are not errors.
pub async fn operation(
    session: &Session,
    environment_id: &str,
    operation: &RemoteOperation,
) -> Result<OperationStatus, CallError> {
    let call = Call::GetOperation;
    let host = session.cloud().power_platform();
    let url = if operation.0.starts_with("https://") {
        host.link(&operation.0)
            .map_err(|bad| bad_url(call, &host, bad))?
    } else {
        let path = [
            "appmanagement",
            "environments",
            environment_id,
            "operations",
            &operation.0,
        ];
        url(session, call, &path, &[("api-version", PACKAGES_VERSION)])?
    };
    let only = |state, error: &CallError| OperationStatus {
        state,
        message: Some(error.message.clone()),
        error: None,
    };
    let answer = match session.read(call, &AUDIENCE, &url).await {
        Err(error) if error.status == Some(409) => {
            return Ok(only(OperationState::Running, &error));
        }
        Err(error) if error.status == Some(404) => return Ok(only(OperationState::Gone, &error)),
        other => other?,
    };
    status(&answer)
}

fn status(answer: &Answer) -> Result<OperationStatus, CallError> {
    let body = answer.json()?;
    let fields =
        Fields::of(body).ok_or_else(|| answer.unexpected("the answer is not an object."))?;
    let read = || {
        let state = match fields
            .text("status")?
            .unwrap_or_default()
            .to_ascii_lowercase()
            .as_str()
        {
            "succeeded" => OperationState::Succeeded,
            "failed" => OperationState::Failed,
            "canceled" | "cancelled" => OperationState::Canceled,
            _ => OperationState::Running,
        };
        let error = fields
            .object("error")?
            .map(PackageError::read)
            .transpose()?;
        Ok(OperationStatus {
            state,
            message: fields.text("statusMessage")?,
            error,
        })
    };
    read().map_err(|odd: crate::json::Odd| answer.unexpected(format!("{odd}.")))
}
