//! Finance and operations environments and what dual-write keeps about them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::clock::Span;

/// A finance and operations environment; the key is its host.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct FinanceOperations {
    pub(crate) tenant_id: String,
    pub(crate) running: bool,
    pub(crate) is_dev_instance: bool,
    /// Where dual-write is linked; null: nowhere.
    pub(crate) link: Option<Link>,
    /// A link or a reset that is under way.
    pub(crate) linking: Option<Linking>,
    pub(crate) link_takes: Span,
    /// The message with which the link call is refused.
    pub(crate) link_fails_with: Option<String>,
    /// The link call is accepted, and then nothing ever comes of it.
    pub(crate) link_gets_lost: bool,
    /// From the acceptance of a reset until the link reads back.
    pub(crate) reset_takes: Span,
    /// How long the reset call itself takes to answer.
    pub(crate) reset_answer_takes: Span,
    pub(crate) reset_ends_at: ResetEndsAt,
    /// What the service says about an environment that is not linked.
    pub(crate) not_linked_answer: NotLinkedAnswer,
    /// The legal entities of the link.
    pub(crate) legal_entities: Vec<String>,
    /// By Dataverse table.
    pub(crate) integration_keys: BTreeMap<String, Vec<String>>,
    pub(crate) alert_settings: Vec<Value>,
    /// Table maps, by an id of their own.
    pub(crate) maps: BTreeMap<String, DualWriteMap>,
    /// By unique name.
    pub(crate) solutions: BTreeMap<String, Solution>,
    /// Requests that start, stop, pause, resume or initialise maps, by request id.
    pub(crate) requests: BTreeMap<String, MapRequest>,
    /// Requests that apply a solution, by request id.
    pub(crate) solution_requests: BTreeMap<String, SolutionRequest>,
    pub(crate) map_action_takes: Span,
    pub(crate) initial_sync_takes: Span,
    pub(crate) start_answer: StartAnswer,
}

impl Default for FinanceOperations {
    fn default() -> Self {
        Self {
            tenant_id: String::new(),
            running: true,
            is_dev_instance: false,
            link: None,
            linking: None,
            link_takes: Span::seconds(240),
            link_fails_with: None,
            link_gets_lost: false,
            reset_takes: Span::seconds(240),
            reset_answer_takes: Span::default(),
            reset_ends_at: ResetEndsAt::default(),
            not_linked_answer: NotLinkedAnswer::default(),
            legal_entities: Vec::new(),
            integration_keys: BTreeMap::new(),
            alert_settings: Vec::new(),
            maps: BTreeMap::new(),
            solutions: BTreeMap::new(),
            requests: BTreeMap::new(),
            solution_requests: BTreeMap::new(),
            map_action_takes: Span::seconds(30),
            initial_sync_takes: Span::seconds(300),
            start_answer: StartAnswer::default(),
        }
    }
}

impl FinanceOperations {
    pub(super) fn normalise(&mut self, host: &str) {
        if let Some(link) = &mut self.link {
            link.complete(host);
        }
        for (id, map) in &mut self.maps {
            map.complete(id);
        }
        for (name, solution) in &mut self.solutions {
            for (id, map) in &mut solution.maps {
                map.complete(id);
            }
            if solution.friendly_name.is_empty() {
                solution.friendly_name.clone_from(name);
            }
        }
    }

    pub(super) fn check(&self, host: &str) -> Result<(), String> {
        for (id, map) in &self.maps {
            if !map.templates.contains_key(&map.active_template) {
                return Err(format!(
                    "financeOperations.{host}.maps.{id}.activeTemplate names {:?}, which is not under its templates.",
                    map.active_template
                ));
            }
        }
        Ok(())
    }
}

/// The link of an environment.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Link {
    /// The id of the connection set; made when it is left out.
    #[serde(default)]
    pub(crate) cid: String,
    /// The name of the connection set; made when it is left out.
    #[serde(default)]
    pub(crate) cname: String,
    pub(crate) environment_id: String,
    /// Who linked; only this account can add maps later [D].
    #[serde(default)]
    pub(crate) linked_by: Option<String>,
    #[serde(default = "yes")]
    pub(crate) is_solution_aware: bool,
}

const fn yes() -> bool {
    true
}

impl Link {
    pub(crate) fn complete(&mut self, host: &str) {
        if self.cid.is_empty() {
            self.cid = Uuid::new_v4().to_string();
        }
        if self.cname.is_empty() {
            let name = host.split('.').next().unwrap_or(host);
            let tail = Uuid::new_v4().simple().to_string();
            self.cname = format!("{name}-{}", tail.get(..8).unwrap_or_default());
        }
    }
}

/// A link or a reset that is under way.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Linking {
    pub(crate) kind: LinkingKind,
    /// Where it ends; null: nowhere.
    #[serde(default)]
    pub(crate) environment_id: Option<String>,
    #[serde(default)]
    pub(crate) legal_entities: Vec<String>,
    #[serde(default)]
    pub(crate) by: Option<String>,
    pub(crate) requested_at: Timestamp,
    pub(crate) ends_at: Timestamp,
}

/// See [`Linking`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum LinkingKind {
    Link,
    Reset,
}

/// Where a reset ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum ResetEndsAt {
    /// At the Dataverse that the integration names [D].
    #[default]
    Integration,
    /// Where it was.
    Current,
    /// At the one in the body.
    Body,
}

/// What the service says about an environment that is not linked [O].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum NotLinkedAnswer {
    /// An empty list.
    #[default]
    Empty,
    /// A list with an entry that has no `cid`.
    EntryWithoutCid,
}

/// What the Start call answers [O].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum StartAnswer {
    /// `{"requestId": …}`
    #[default]
    RequestId,
    /// The id alone, as a JSON string.
    BareId,
    /// 202 without a body.
    Empty,
}

/// A table map.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct DualWriteMap {
    /// Its identity: the name of the map (names of entities repeat).
    pub(crate) t_name: String,
    /// The project; null until the map is initialised.
    #[serde(default)]
    pub(crate) pid: Option<String>,
    #[serde(default)]
    pub(crate) state: MapState,
    pub(crate) left: Part,
    pub(crate) right: Part,
    /// Versions, by template id; one with the id of the map is made when there is none.
    #[serde(default)]
    pub(crate) templates: BTreeMap<String, Template>,
    #[serde(default)]
    pub(crate) active_template: String,
    /// Names of the maps that have to run before this one.
    #[serde(default)]
    pub(crate) prerequisites: Vec<String>,
    /// The error with which its next request fails.
    #[serde(default)]
    pub(crate) fails_with: Option<String>,
    /// Rows that an initial sync writes, per legal entity.
    #[serde(default)]
    pub(crate) rows: u64,
    /// Rows that an initial sync cannot write, per legal entity.
    #[serde(default)]
    pub(crate) error_rows: u64,
    /// The state that the lagging list still shows, and until when.
    #[serde(default)]
    pub(crate) earlier: Option<Earlier>,
    /// When its tables were refreshed last.
    #[serde(default)]
    pub(crate) refreshed_at: Option<Timestamp>,
}

impl DualWriteMap {
    fn complete(&mut self, id: &str) {
        if self.templates.is_empty() {
            self.templates.insert(id.to_owned(), Template::default());
        }
        if self.active_template.is_empty()
            && let Some(first) = self.templates.keys().next()
        {
            self.active_template.clone_from(first);
        }
    }
}

/// A state that was.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Earlier {
    pub(crate) state: MapState,
    pub(crate) until: Timestamp,
}

/// One side of a map.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Part {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) display_name: Option<String>,
}

/// A version of a map.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Template {
    pub(crate) author: String,
    pub(crate) version: String,
}

impl Default for Template {
    fn default() -> Self {
        Self {
            author: "Microsoft".to_owned(),
            version: "1.0.0.0".to_owned(),
        }
    }
}

/// The state of a map; the service writes it as a digit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum MapState {
    None,
    #[default]
    Stopped,
    InitialSync,
    CatchUp,
    Running,
    Paused,
    NotRunning,
}

impl MapState {
    pub(crate) const fn digit(self) -> &'static str {
        match self {
            Self::None => "0",
            Self::Stopped => "1",
            Self::InitialSync => "2",
            Self::CatchUp => "3",
            Self::Running => "4",
            Self::Paused => "5",
            Self::NotRunning => "6",
        }
    }

    /// Nothing is written by it, and nothing is kept for later.
    pub(crate) const fn is_stopped(self) -> bool {
        matches!(self, Self::None | Self::Stopped | Self::NotRunning)
    }
}

/// What a request asks of maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum RequestAction {
    Start,
    Stop,
    Pause,
    Resume,
    Initialise,
}

impl RequestAction {
    pub(crate) fn from_digit(digit: &str) -> Option<Self> {
        Some(match digit {
            "1" => Self::Start,
            "4" => Self::Stop,
            "5" => Self::Pause,
            "6" => Self::Resume,
            "8" => Self::Initialise,
            _ => return None,
        })
    }

    pub(crate) const fn digit(self) -> &'static str {
        match self {
            Self::Start => "1",
            Self::Stop => "4",
            Self::Pause => "5",
            Self::Resume => "6",
            Self::Initialise => "8",
        }
    }
}

/// How far a request is; the service writes it as a digit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum RequestState {
    #[default]
    Waiting,
    Completed,
    Error,
}

impl RequestState {
    pub(crate) const fn digit(self) -> &'static str {
        match self {
            Self::Waiting => "1",
            Self::Completed => "2",
            Self::Error => "3",
        }
    }
}

/// A request that changes the state of maps.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct MapRequest {
    pub(crate) action: RequestAction,
    #[serde(default)]
    pub(crate) skip_initial_sync: bool,
    /// By the id of the map.
    pub(crate) maps: BTreeMap<String, MapProgress>,
    pub(crate) created_at: Timestamp,
    pub(crate) modified_at: Timestamp,
}

/// How far a request is with one map.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct MapProgress {
    #[serde(default)]
    pub(crate) state: RequestState,
    #[serde(default)]
    pub(crate) error_message: Option<String>,
    /// When an initial sync goes over into catching up.
    #[serde(default)]
    pub(crate) catches_up_at: Option<Timestamp>,
    pub(crate) ends_at: Timestamp,
}

/// A solution that brings maps.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Solution {
    pub(crate) friendly_name: String,
    pub(crate) version: String,
    pub(crate) description: String,
    pub(crate) is_managed: bool,
    pub(crate) apply_takes: Span,
    /// The message with which applying it ends, if not well.
    pub(crate) fails_with: Option<String>,
    /// The maps that applying it brings.
    pub(crate) maps: BTreeMap<String, DualWriteMap>,
}

impl Default for Solution {
    fn default() -> Self {
        Self {
            friendly_name: String::new(),
            version: "1.0.0.0".to_owned(),
            description: String::new(),
            is_managed: true,
            apply_takes: Span::seconds(120),
            fails_with: None,
            maps: BTreeMap::new(),
        }
    }
}

/// A request that applies a solution.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SolutionRequest {
    pub(crate) solutions: Vec<String>,
    #[serde(default)]
    pub(crate) state: RequestState,
    #[serde(default)]
    pub(crate) message: Option<String>,
    /// Another request ran at the same time: its maps come twice.
    #[serde(default)]
    pub(crate) overlapped: bool,
    pub(crate) created_at: Timestamp,
    pub(crate) ends_at: Timestamp,
}
