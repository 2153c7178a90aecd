//! The whole state of the simulated services, as one document.
//!
//! Everything that has an id is in a map under that id, so that a JSON merge patch can reach it.
//! What goes by time (an install that runs, a link that is being made) is in the document too.

mod environment;
mod finance_operations;
mod identity;
mod maps;

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

pub(crate) use environment::{
    DataverseIntegration, DataverseWord, Environment, Failure, InstallAnswer, Operation,
    OperationStatus, Package,
};
pub(crate) use finance_operations::{
    FinanceOperations, Link, Linking, LinkingKind, NotLinkedAnswer, ResetEndsAt, StartAnswer,
};
pub(crate) use identity::{Account, Application, Cloud, Federated, Tenant};
pub(crate) use maps::{
    DualWriteMap, MapProgress, MapRequest, MapState, Part, RequestAction, RequestState, Solution,
    SolutionRequest, Template,
};

use crate::clock::Span;

/// The document.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct State {
    pub(crate) tenants: BTreeMap<String, Tenant>,
    pub(crate) environments: BTreeMap<String, Environment>,
    pub(crate) finance_operations: BTreeMap<String, FinanceOperations>,
    pub(crate) dual_write_service: DualWriteService,
    pub(crate) settings: Settings,
}

/// Where the dual-write service is.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct DualWriteService {
    pub(crate) host: String,
}

impl Default for DualWriteService {
    fn default() -> Self {
        Self {
            host: "projectmanagementservice.weu-il107.gateway.prod.island.powerapps.com".to_owned(),
        }
    }
}

/// How Microsoft's side behaves where public sources show more than one behaviour.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// Rows per page of the environment list; null: one page.
    pub(crate) page_size: Option<usize>,
    pub(crate) next_link_casing: NextLinkCasing,
    /// The status that refuses a second operation in an environment: 400 without a body, or 409.
    pub(crate) busy_install_status: u16,
    /// Answer 409 to polls of an operation that is not finished, instead of its status.
    pub(crate) busy_poll_conflict: bool,
    /// How long tokens live, in real time.
    pub(crate) token_lifetime: Span,
    pub(crate) lag: Lag,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            page_size: None,
            next_link_casing: NextLinkCasing::default(),
            busy_install_status: 400,
            busy_poll_conflict: false,
            token_lifetime: Span::seconds(3599),
            lag: Lag::default(),
        }
    }
}

/// How far lists run behind the truth.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Lag {
    /// The environment list and its single reads.
    pub(crate) environments: Span,
    /// The list of table maps: their states, projects, active versions, and those that have come.
    pub(crate) maps: Span,
}

/// The casing of the key that leads to the next page.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum NextLinkCasing {
    #[default]
    #[serde(rename = "@odata.nextLink")]
    Documented,
    #[serde(rename = "@odata.nextlink")]
    Lower,
}

/// Everything, nothing, or these ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected `all`, `none` or a list of ids")]
pub(crate) enum Scope {
    Word(ScopeWord),
    Only(Vec<String>),
}

/// See [`Scope`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum ScopeWord {
    All,
    None,
}

impl Default for Scope {
    fn default() -> Self {
        Self::Word(ScopeWord::All)
    }
}

impl Scope {
    pub(crate) fn includes(&self, id: &str) -> bool {
        match self {
            Self::Word(word) => *word == ScopeWord::All,
            Self::Only(ids) => ids.iter().any(|one| one.eq_ignore_ascii_case(id)),
        }
    }

    pub(crate) fn is_none(&self) -> bool {
        *self == Self::Word(ScopeWord::None)
    }
}

/// Looks an id up in a map, in any casing.
pub(crate) fn key_of<'m, T>(map: &'m BTreeMap<String, T>, id: &str) -> Option<&'m str> {
    map.get_key_value(id)
        .or_else(|| map.iter().find(|(key, _)| key.eq_ignore_ascii_case(id)))
        .map(|(key, _)| key.as_str())
}

/// The lower-cased host of a URL, or of a bare host name.
pub(crate) fn host_of(url: &str) -> Option<String> {
    let parsed = url::Url::parse(url)
        .ok()
        .filter(url::Url::has_host)
        .or_else(|| url::Url::parse(&format!("https://{url}")).ok())?;
    parsed.host_str().map(str::to_ascii_lowercase)
}

/// Reads a document, and says where it does not fit.
pub(crate) fn read<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        format!(
            "The document does not fit at {path}: {}.",
            error.into_inner()
        )
    })
}

/// Reads YAML (with anchors and merge keys) or JSON.
pub(crate) fn parse(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).or_else(|_| {
        from_yaml(text).map_err(|error| format!("This is neither JSON nor YAML: {error}."))
    })
}

fn from_yaml(text: &str) -> Result<Value, String> {
    let mut value: serde_norway::Value =
        serde_norway::from_str(text).map_err(|error| error.to_string())?;
    value.apply_merge().map_err(|error| error.to_string())?;
    serde_json::to_value(value).map_err(|error| error.to_string())
}

impl State {
    /// Reads and checks a whole state.
    pub(crate) fn from_value(value: Value) -> Result<Self, String> {
        let mut state: Self = read(value)?;
        state.normalise();
        state.check()?;
        Ok(state)
    }

    fn normalise(&mut self) {
        self.dual_write_service.host.make_ascii_lowercase();
        self.finance_operations = std::mem::take(&mut self.finance_operations)
            .into_iter()
            .map(|(host, value)| (host.to_ascii_lowercase(), value))
            .collect();
        for (host, financials) in &mut self.finance_operations {
            financials.normalise(host);
        }
    }

    fn check(&self) -> Result<(), String> {
        let mut hosts: HashMap<String, &str> = HashMap::new();
        for (id, environment) in &self.environments {
            if !self.tenants.contains_key(&environment.tenant_id) {
                return Err(format!(
                    "environments.{id}.tenantId names the tenant {:?}, which is not under tenants.",
                    environment.tenant_id
                ));
            }
            let Some(url) = environment.url.as_deref() else {
                continue;
            };
            let host = host_of(url)
                .ok_or_else(|| format!("environments.{id}.url is not a URL: {url:?}."))?;
            if let Some(other) = hosts.insert(host, id) {
                return Err(format!(
                    "environments.{id}.url is that of environments.{other} too."
                ));
            }
        }
        for (host, financials) in &self.finance_operations {
            if host_of(host).as_deref() != Some(host) {
                return Err(format!(
                    "financeOperations has the key {host:?}, which is not a host name."
                ));
            }
            if !self.tenants.contains_key(&financials.tenant_id) {
                return Err(format!(
                    "financeOperations.{host}.tenantId names the tenant {:?}, which is not under tenants.",
                    financials.tenant_id
                ));
            }
            financials.check(host)?;
        }
        Ok(())
    }

    /// The environment with this id, in any casing.
    pub(crate) fn environment(&self, id: &str) -> Option<(&str, &Environment)> {
        let key = key_of(&self.environments, id)?;
        self.environments
            .get_key_value(key)
            .map(|(key, environment)| (key.as_str(), environment))
    }

    /// The environment that is integrated with a finance and operations host: it names the host
    /// and has a Dataverse (an environment without one is a placeholder).
    pub(crate) fn integrated_with(&self, host: &str) -> Option<(&str, &Environment)> {
        self.environments
            .iter()
            .find(|(_, environment)| {
                environment.dataverse_id.is_some()
                    && environment
                        .fin_ops_metadata
                        .as_ref()
                        .and_then(|metadata| host_of(&metadata.url))
                        .is_some_and(|integrated| integrated == host)
            })
            .map(|(id, environment)| (id.as_str(), environment))
    }
}

/// Applies a JSON merge patch (RFC 7386).
pub(crate) fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let Value::Object(target) = target else {
        return;
    };
    for (key, value) in patch {
        if value.is_null() {
            target.remove(&key);
        } else {
            merge(target.entry(key).or_insert(Value::Null), value);
        }
    }
}
