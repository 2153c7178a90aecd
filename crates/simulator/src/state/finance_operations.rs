//! Finance and operations environments and what dual-write keeps about them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{DualWriteMap, MapRequest, Solution, SolutionRequest};
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
    /// The id alone, as plain text.
    PlainId,
    /// 202 without a body.
    Empty,
}
