//! Table maps, what is asked of them, and the solutions that bring them.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::clock::{Span, later};

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
    /// What the lagging list still shows.
    #[serde(default)]
    pub(crate) earlier: Option<Earlier>,
    /// When its tables were refreshed last.
    #[serde(default)]
    pub(crate) refreshed_at: Option<Timestamp>,
}

impl DualWriteMap {
    pub(super) fn complete(&mut self, id: &str) {
        if self.templates.is_empty() {
            self.templates.insert(id.to_owned(), Template::default());
        }
        if self.active_template.is_empty()
            && let Some(first) = self.templates.keys().next()
        {
            self.active_template.clone_from(first);
        }
    }

    /// The map is about to change: a list that lags goes on showing what it shows now.
    pub(crate) fn remember(&mut self, at: Timestamp, lag: Duration) {
        if lag.is_zero() {
            return;
        }
        let until = later(at, lag);
        match &mut self.earlier {
            Some(earlier) if earlier.until > at => earlier.until = until,
            earlier => {
                *earlier = Some(Earlier {
                    absent: false,
                    state: self.state,
                    pid: self.pid.clone(),
                    active_template: self.active_template.clone(),
                    until,
                });
            }
        }
    }

    /// The map has come: a list that lags does not show it yet.
    pub(crate) fn remember_absence(&mut self, at: Timestamp, lag: Duration) {
        self.remember(at, lag);
        if let Some(earlier) = &mut self.earlier {
            earlier.absent = true;
        }
    }

    /// The map as the list shows it; none if it does not show it yet.
    pub(crate) fn listed(&self, now: Timestamp) -> Option<Self> {
        match self.earlier.as_ref().filter(|earlier| earlier.until > now) {
            None => Some(self.clone()),
            Some(earlier) if earlier.absent => None,
            Some(earlier) => Some(Self {
                state: earlier.state,
                pid: earlier.pid.clone(),
                active_template: earlier.active_template.clone(),
                ..self.clone()
            }),
        }
    }
}

/// A map as it was, and until when the list shows it so.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Earlier {
    /// It was not there.
    #[serde(default)]
    pub(crate) absent: bool,
    pub(crate) state: MapState,
    #[serde(default)]
    pub(crate) pid: Option<String>,
    pub(crate) active_template: String,
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
