//! Starting, stopping, pausing, resuming and initialising table maps, and which version of a map is active.

use crate::Call;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::send::{To, request_id};
use crate::Session;
use crate::clouds::AllowedHost;
use crate::error::MutationError;
use crate::http::Body;
use crate::text;

/// What is to be done with table maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MapChange {
    /// Run it, without an initial sync.
    Start,
    /// Stop it. Changes are not kept for later.
    Stop,
    /// Pause it. Changes are kept for later, within limits.
    Pause,
    /// Resume it, and write what was kept.
    Resume,
    /// Give it a project, without which nothing else can be done with it.
    Initialise,
}

/// A table map that is to be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapTarget {
    /// The id of its active version.
    pub template_id: String,
    /// Its project; not needed to initialise it.
    pub project_id: Option<String>,
}

impl MapChange {
    /// `action` [O Dual-write-automations, toolbAX].
    const fn action(self) -> &'static str {
        match self {
            Self::Start => "1",
            Self::Stop => "4",
            Self::Pause => "5",
            Self::Resume => "6",
            Self::Initialise => "8",
        }
    }

    /// One of `details`, or why there is none: with an empty id the service fails with 500 \[O\], which would say
    /// nothing about the other maps of the request.
    fn detail(self, cid: &str, map: &MapTarget) -> Result<Value, String> {
        if map.template_id.trim().is_empty() {
            return Err(
                "a table map has no template id (tid); read the table maps again.".to_owned(),
            );
        }
        let mut detail = json!({"tid": map.template_id, "cid": cid});
        if self != Self::Initialise {
            let pid = map.project_id.as_deref().unwrap_or_default();
            if pid.trim().is_empty() {
                return Err(format!(
                    "the table map with the template id {} has no project id (pid); initialise it first.",
                    text::excerpt(&map.template_id)
                ));
            }
            detail["pid"] = pid.into();
        }
        if matches!(self, Self::Start | Self::Stop) {
            // Without an initial sync there is no conflict to resolve; clients send the default all the same.
            detail["parameters"] = json!({
                "skipInitialSync": true,
                "conflictResolution": {"option": "1", "master": "CRM"},
            });
        }
        Ok(detail)
    }
}

/// `POST api/DualWriteManagement/1.0/Start`
///
/// [O Dual-write-automations, toolbAX]. An initial sync is never asked for. Returns the id of the request to follow
/// with [`map_request`](super::map_request); without one the table maps have to be watched.
///
/// # Errors
/// See [`MutationError`]. Not sent when there is no map, or one lacks an id that the change needs.
pub async fn change_maps(
    session: &Session,
    service: &AllowedHost,
    cid: &str,
    change: MapChange,
    maps: &[MapTarget],
    send_by: Timestamp,
) -> Result<Option<String>, MutationError> {
    let to = To {
        session,
        service,
        call: Call::StartMaps,
    };
    let refuse = |why: String| MutationError::NotSent(to.refuse(why));
    if cid.trim().is_empty() {
        return Err(refuse("the id of the connection set is empty.".to_owned()));
    }
    if maps.is_empty() {
        return Err(refuse("there is no table map to change.".to_owned()));
    }
    let details: Result<Vec<Value>, String> =
        maps.iter().map(|map| change.detail(cid, map)).collect();
    let body = json!({"action": change.action(), "details": details.map_err(refuse)?});
    let path = ["api", "DualWriteManagement", "1.0", "Start"];
    let answer = to
        .post(&path, &[], Body::Json(body), send_by)
        .await
        .map_err(denied)?;
    Ok(request_id(&answer))
}

/// \[D\] Without the Dataverse that they write to, maps cannot be changed any more: the service cannot get a token.
fn denied(error: MutationError) -> MutationError {
    match error {
        MutationError::Refused(error) if error.status == Some(403) => {
            MutationError::Refused(error.which_may_mean(
                "If the linked Dataverse environment was deleted, only Microsoft's support can change its table maps.",
            ))
        }
        other => other,
    }
}

/// `POST api/DualWriteManagement/1.0/SolutionAware/{cid}/SwitchActive/{templateId}?pid={pid}`
///
/// [O Dual-write-automations]; the body is the template id, without the quotation marks that would make it JSON.
/// A success is judged by reading the table maps back.
///
/// # Errors
/// See [`MutationError`]. Not sent when an id is empty: the service would fail.
pub async fn switch_version(
    session: &Session,
    service: &AllowedHost,
    cid: &str,
    template_id: &str,
    project_id: &str,
    send_by: Timestamp,
) -> Result<(), MutationError> {
    let to = To {
        session,
        service,
        call: Call::SwitchActiveVersion,
    };
    if template_id.trim().is_empty() || project_id.trim().is_empty() {
        return Err(MutationError::NotSent(to.refuse(
            "the table map has no project id (pid), or the version no template id (tid); \
             read the table maps again, and initialise the map first if it has no project.",
        )));
    }
    let path = [
        "api",
        "DualWriteManagement",
        "1.0",
        "SolutionAware",
        cid,
        "SwitchActive",
        template_id,
    ];
    let body = Body::Bare(template_id.to_owned());
    to.post(&path, &[("pid", project_id)], body, send_by)
        .await
        .map(drop)
}
