//! Solutions, which bring table maps, and the order in which maps can be started.

use crate::Call;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::send::{To, request_id};
use crate::Session;
use crate::clouds::AllowedHost;
use crate::error::{CallError, MutationError};
use crate::http::Body;
use crate::json::{self, Fields, Odd};
use crate::text;

/// `GET api/DualWriteManagement/1.0/SolutionAware/{cid}/Solutions/`
///
/// [O Dual-write-automations]. The unique names, in the order of the service.
///
/// # Errors
/// Everything that is not a list of solutions with unique names.
pub async fn solutions(
    session: &Session,
    service: &AllowedHost,
    cid: &str,
) -> Result<Vec<String>, CallError> {
    let to = To {
        session,
        service,
        call: Call::ListSolutions,
    };
    let path = [
        "api",
        "DualWriteManagement",
        "1.0",
        "SolutionAware",
        cid,
        "Solutions",
    ];
    let answer = to.get_with_slash(&path).await?;
    let body = answer.json()?;
    answer.is_held(json::text_in(body))?;
    let solutions = body
        .as_array()
        .ok_or_else(|| answer.unexpected("the answer is not a list of solutions."))?;
    let name = |solution| -> Result<String, Odd> {
        let solution = Fields::of(solution).ok_or(Odd("(solution)"))?;
        solution.text("uniquename")?.ok_or(Odd("uniquename"))
    };
    solutions
        .iter()
        .map(|solution| name(solution).map_err(|odd| answer.unexpected(format!("{odd}."))))
        .collect()
}

/// `POST api/DualWriteManagement/1.0/SolutionAware/{cid}/RestoreTemplates`
///
/// [O Dual-write-automations]: brings the table maps of one solution. One at a time: of two that overlap, maps appear
/// twice. Returns the id of the request to follow with [`solution_request`](super::solution_request); without one the
/// table maps have to be watched.
///
/// # Errors
/// See [`MutationError`]. Not sent without a name.
pub async fn apply_solution(
    session: &Session,
    service: &AllowedHost,
    cid: &str,
    unique_name: &str,
    send_by: Timestamp,
) -> Result<Option<String>, MutationError> {
    let to = To {
        session,
        service,
        call: Call::ApplySolution,
    };
    if unique_name.trim().is_empty() {
        return Err(MutationError::NotSent(to.refuse(
            "the solution has no unique name; read the list of solutions again.",
        )));
    }
    let path = [
        "api",
        "DualWriteManagement",
        "1.0",
        "SolutionAware",
        cid,
        "RestoreTemplates",
    ];
    let body = json!({"action": "2", "solutions": [{"criteria": {"uniquename": unique_name}}]});
    let answer = to.post(&path, &[], Body::Json(body), send_by).await?;
    Ok(request_id(&answer))
}

/// `POST api/DualWriteManagement/1.0/GetTemplatePrerequisiteSequences/{cid}`
///
/// [O Dual-write-automations]: the template ids that have to run before a map, in order, and its own at the end. A
/// read, although it is a POST: it changes nothing.
///
/// # Errors
/// Everything that is not a list of lists of ids; an empty template id.
pub async fn prerequisites(
    session: &Session,
    service: &AllowedHost,
    cid: &str,
    template_id: &str,
) -> Result<Vec<Vec<String>>, CallError> {
    let to = To {
        session,
        service,
        call: Call::GetPrerequisites,
    };
    if template_id.trim().is_empty() {
        return Err(to.refuse("the table map has no template id (tid); read the table maps again."));
    }
    let path = [
        "api",
        "DualWriteManagement",
        "1.0",
        "GetTemplatePrerequisiteSequences",
        cid,
    ];
    let answer = to.ask(&path, json!([template_id])).await?;
    let sequences: Vec<Vec<String>> = Vec::deserialize(answer.json()?)
        .map_err(|_| answer.unexpected("the answer is not a list of lists of template ids."))?;
    let kept = |ids: Vec<String>| ids.iter().map(|id| text::id(text::kept(id))).collect();
    Ok(sequences.into_iter().map(kept).collect())
}
