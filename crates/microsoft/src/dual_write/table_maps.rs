//! Table maps, as the service lists them.

use crate::Call;
use serde_json::Value;

use super::requests::{LastRequest, Progress};
use super::send::To;
use crate::Session;
use crate::clouds::AllowedHost;
use crate::error::CallError;
use crate::json::{self, Fields, Odd};

/// A table map as the service shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableMap {
    /// What identifies it: names of entities repeat, and ids change with the version.
    pub name: String,
    /// The id of its version that is active: what requests name.
    pub template_id: Option<String>,
    /// Its project; none until it is initialised.
    pub project_id: Option<String>,
    /// Where it stands.
    pub state: TableMapState,
    /// The version that is active.
    pub active: Option<MapVersion>,
    /// The versions that there are.
    pub versions: Vec<MapVersion>,
    /// The entity of the left side, usually finance and operations.
    pub left: Option<String>,
    /// The entity of the right side, usually Dataverse.
    pub right: Option<String>,
    /// Why its newest request failed, if it did.
    pub last_error: Option<String>,
}

/// A version of a table map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapVersion {
    /// Its id.
    pub template_id: String,
    /// Who wrote it.
    pub author: Option<String>,
    /// Its number, such as `1.0.0.3`.
    pub version: Option<String>,
}

/// Where a table map stands [O Dual-write-automations, toolbAX].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableMapState {
    /// 0: none.
    None,
    /// 1: stopped. Changes are not kept for later.
    Stopped,
    /// 2: existing rows are being copied.
    InitialSync,
    /// 3: changes that were kept are being written.
    CatchUp,
    /// 4: changes are written at once.
    Running,
    /// 5: paused. Changes are kept for later.
    Paused,
    /// 6: not running.
    NotRunning,
    /// Anything else, as the service says it. It counts neither as running nor as stopped.
    Other(String),
}

impl TableMapState {
    fn read(state: Option<String>) -> Self {
        let Some(state) = state else {
            return Self::Other("not reported".to_owned());
        };
        match state.as_str() {
            "0" => Self::None,
            "1" => Self::Stopped,
            "2" => Self::InitialSync,
            "3" => Self::CatchUp,
            "4" => Self::Running,
            "5" => Self::Paused,
            "6" => Self::NotRunning,
            _ => Self::Other(state),
        }
    }
}

/// `GET api/DualWriteManagement/1.0/Entities?targetType=AX&cid={cid}`
///
/// [O Dual-write-automations, toolbAX]. The list can lag behind what requests say, by minutes. A map can be there
/// twice, with different ids, when two solutions were applied at once; an entry that is there twice word for word is one.
///
/// # Errors
/// Everything that is not a list of maps with names: a map that is not understood must not look like one that is not
/// there.
pub async fn table_maps(
    session: &Session,
    service: &AllowedHost,
    cid: &str,
) -> Result<Vec<TableMap>, CallError> {
    let to = To {
        session,
        service,
        call: Call::ListMaps,
    };
    if cid.trim().is_empty() {
        return Err(to.refuse("the id of the connection set is empty."));
    }
    let path = ["api", "DualWriteManagement", "1.0", "Entities"];
    let answer = to.get(&path, &[("targetType", "AX"), ("cid", cid)]).await?;
    let body = answer.json()?;
    let maps = body
        .as_array()
        .ok_or_else(|| answer.unexpected("the answer is not a list of table maps."))?;
    let mut found: Vec<TableMap> = Vec::new();
    let mut bytes = 0;
    for map in maps {
        bytes += size_of::<TableMap>() + json::text_in(map);
        answer.is_held(bytes)?;
        let map = TableMap::read(map).map_err(|odd| answer.unexpected(format!("{odd}.")))?;
        // The same project once more is no second map: a request that named it twice would fail.
        bytes += size_of::<MapVersion>() * map.versions.len();
        if !found.contains(&map) {
            found.push(map);
        }
    }
    Ok(found)
}

impl TableMap {
    fn read(map: &Value) -> Result<Self, Odd> {
        let map = Fields::of(map).ok_or(Odd("(table map)"))?;
        let detail = map.object("detail")?.ok_or(Odd("detail"))?;
        let entity = |side| -> Result<_, Odd> {
            let side = map.object(side)?;
            Ok(side.map(|side| side.text("name")).transpose()?.flatten())
        };
        let active = detail.object("template")?.map(MapVersion::read);
        let versions = detail.list("templates")?.unwrap_or_default();
        Ok(Self {
            name: detail.text("tName")?.ok_or(Odd("tName"))?,
            template_id: detail.id("tid")?,
            project_id: detail.id("pid")?,
            state: TableMapState::read(detail.text("state")?),
            active: active.transpose()?.flatten(),
            versions: versions
                .iter()
                .map(|version| Fields::of(version).ok_or(Odd("templates")))
                .filter_map(|version| version.and_then(MapVersion::read).transpose())
                .collect::<Result<_, _>>()?,
            left: entity("leftEntity")?,
            right: entity("rightEntity")?,
            last_error: last_error(detail)?,
        })
    }
}

impl MapVersion {
    /// A version without an id cannot be asked for, so it is none.
    fn read(template: Fields<'_>) -> Result<Option<Self>, Odd> {
        let Some(template_id) = template.id("id")? else {
            return Ok(None);
        };
        let version = match template.get("version") {
            Some(Value::Object(_)) => template.object("version")?.map(number).transpose()?,
            _ => template.text("version")?,
        };
        Ok(Some(Self {
            template_id,
            author: template.text("author")?,
            version: version.filter(|version| !version.is_empty()),
        }))
    }
}

/// The parts of a version number, up to the first that is missing or, as .NET says "not given", negative.
fn number(version: Fields<'_>) -> Result<String, Odd> {
    let mut parts = Vec::new();
    for name in ["major", "minor", "build", "revision"] {
        match version.text(name)? {
            Some(part) if !part.starts_with('-') => parts.push(part),
            _ => break,
        }
    }
    Ok(parts.join("."))
}

/// What the newest request says, if it failed.
fn last_error(detail: Fields<'_>) -> Result<Option<String>, Odd> {
    let requests = LastRequest::all(detail)?;
    Ok(LastRequest::newest(&requests)
        .filter(|request| request.progress == Progress::Failed)
        .map(LastRequest::why))
}
