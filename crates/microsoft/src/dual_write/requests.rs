//! Requests that the service works off: how far they are.

use crate::Call;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::send::To;
use crate::Session;
use crate::clouds::AllowedHost;
use crate::error::CallError;
use crate::http::Answer;
use crate::json::{Fields, Odd};
use crate::text;

/// How many maps that failed are named.
const NAMED: usize = 5;
const NO_REASON: &str = "the service gives no reason";

/// Where a request stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestState {
    /// Not finished; also every state that this operator does not know.
    Running,
    /// Done. The list of table maps may still show what was before.
    Succeeded,
    /// Failed, and why.
    Failed(String),
    /// The service does not know the request (any more): only the table maps tell how it ended.
    Gone,
}

/// How far a request is with one map [O Dual-write-automations, toolbAX].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    Waiting,
    Completed,
    Failed,
}

impl Progress {
    /// What is not known is not finished.
    fn read(state: Option<&str>) -> Self {
        match state {
            Some("2") => Self::Completed,
            Some("3") => Self::Failed,
            _ => Self::Waiting,
        }
    }
}

/// One of the `lastRequests` of a map.
#[derive(Debug, Clone)]
pub(super) struct LastRequest {
    id: Option<String>,
    pub(super) progress: Progress,
    message: Option<String>,
    created: Option<Timestamp>,
}

impl LastRequest {
    pub(super) fn all(detail: Fields<'_>) -> Result<Vec<Self>, Odd> {
        detail
            .list("lastRequests")?
            .unwrap_or_default()
            .iter()
            .map(|request| Self::read(Fields::of(request).ok_or(Odd("lastRequests"))?))
            .collect()
    }

    fn read(request: Fields<'_>) -> Result<Self, Odd> {
        Ok(Self {
            id: request.text("requestId")?,
            progress: Progress::read(request.text("state")?.as_deref()),
            message: request.text("errorMessage")?,
            created: request.text("createdOn")?.as_deref().and_then(time),
        })
    }

    /// The newest by its time; the first if no time can be read.
    pub(super) fn newest(requests: &[Self]) -> Option<&Self> {
        requests.iter().rev().max_by_key(|request| request.created)
    }

    /// Why it failed, safe to show.
    pub(super) fn why(&self) -> String {
        self.message
            .as_deref()
            .map_or_else(|| NO_REASON.to_owned(), text::excerpt)
    }
}

/// A time of the service: with a time zone, or without one in UTC.
fn time(text: &str) -> Option<Timestamp> {
    text.parse().ok().or_else(|| {
        let time: DateTime = text.parse().ok()?;
        Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
    })
}

/// `GET api/DualWriteManagement/1.0/Status/{requestId}`
///
/// [O Dual-write-automations, toolbAX]: the maps of a request, each with its last requests. That an unknown request is
/// answered with 404 is \[I\]. It has succeeded when every map says so; a map that does not mention the request is
/// still waited for, and so is a request without maps.
///
/// # Errors
/// The request could not be read; 404 is not an error.
pub async fn map_request(
    session: &Session,
    service: &AllowedHost,
    request_id: &str,
) -> Result<RequestState, CallError> {
    let to = To {
        session,
        service,
        call: Call::GetMapStatus,
    };
    let path = ["api", "DualWriteManagement", "1.0", "Status", request_id];
    let Some(answer) = unless_gone(to.get(&path, &[]).await)? else {
        return Ok(RequestState::Gone);
    };
    let body = answer.json()?;
    let maps = body
        .as_array()
        .ok_or_else(|| answer.unexpected("the answer is not a list of table maps."))?;
    let ends: Result<Vec<_>, Odd> = maps.iter().map(|map| end_of(map, request_id)).collect();
    ends.map(|ends| together(&ends))
        .map_err(|odd| answer.unexpected(format!("{odd}.")))
}

/// How a request ended for one map.
fn end_of(map: &Value, request_id: &str) -> Result<RequestState, Odd> {
    let map = Fields::of(map).ok_or(Odd("(table map)"))?;
    let detail = map.object("detail")?.ok_or(Odd("detail"))?;
    let requests = LastRequest::all(detail)?;
    let ours = requests.iter().find(|request| {
        request
            .id
            .as_deref()
            .is_some_and(|id| id.eq_ignore_ascii_case(request_id))
    });
    Ok(match ours.map(|request| (request.progress, request)) {
        None | Some((Progress::Waiting, _)) => RequestState::Running,
        Some((Progress::Completed, _)) => RequestState::Succeeded,
        Some((Progress::Failed, request)) => {
            let name = detail.text("tName")?;
            let name = name.as_deref().unwrap_or("a table map without a name");
            RequestState::Failed(format!("{}: {}", text::excerpt(name), request.why()))
        }
    })
}

/// One failure is a failure of the whole; otherwise one that waits lets the whole wait.
fn together(ends: &[RequestState]) -> RequestState {
    let failures: Vec<&str> = ends
        .iter()
        .filter_map(|end| match end {
            RequestState::Failed(why) => Some(why.as_str()),
            _ => None,
        })
        .collect();
    if !failures.is_empty() {
        let named = failures[..failures.len().min(NAMED)].join("; ");
        return RequestState::Failed(match failures.len().saturating_sub(NAMED) {
            0 => named,
            more => format!("{named}; and {more} more"),
        });
    }
    let all_done = ends.iter().all(|end| *end == RequestState::Succeeded);
    if all_done && !ends.is_empty() {
        RequestState::Succeeded
    } else {
        RequestState::Running
    }
}

/// `GET api/DualWriteManagement/1.0/SolutionAware/{cid}/Status/{requestId}`
///
/// [O Dual-write-automations]; that an unknown request is answered with 404 is \[I\].
///
/// # Errors
/// The request could not be read; 404 is not an error.
pub async fn solution_request(
    session: &Session,
    service: &AllowedHost,
    cid: &str,
    request_id: &str,
) -> Result<RequestState, CallError> {
    let to = To {
        session,
        service,
        call: Call::GetSolutionStatus,
    };
    let path = [
        "api",
        "DualWriteManagement",
        "1.0",
        "SolutionAware",
        cid,
        "Status",
        request_id,
    ];
    let Some(answer) = unless_gone(to.get(&path, &[]).await)? else {
        return Ok(RequestState::Gone);
    };
    let body = answer.json()?;
    let request =
        Fields::of(body).ok_or_else(|| answer.unexpected("the answer is not an object."))?;
    solution_state(request).map_err(|odd| answer.unexpected(format!("{odd}.")))
}

fn solution_state(request: Fields<'_>) -> Result<RequestState, Odd> {
    Ok(match Progress::read(request.text("state")?.as_deref()) {
        Progress::Waiting => RequestState::Running,
        Progress::Completed => RequestState::Succeeded,
        Progress::Failed => {
            let result = request.object("result")?;
            let message = result.map(|result| result.text("message")).transpose()?;
            let message = message.flatten();
            let why = message.as_deref().map(text::excerpt);
            RequestState::Failed(why.unwrap_or_else(|| NO_REASON.to_owned()))
        }
    })
}

fn unless_gone(answer: Result<Answer, CallError>) -> Result<Option<Answer>, CallError> {
    match answer {
        Err(error) if error.status == Some(404) => Ok(None),
        other => other.map(Some),
    }
}
