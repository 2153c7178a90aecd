//! Everything that the handlers share: the state, the tokens and the clock.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use crate::clock::{Clock, later};
use crate::entra::DeviceCode;
use crate::router::HostKind;
use crate::state::{State, host_of, merge};
use crate::{dual_write, packages, power_platform};

/// The oldest tokens make room.
const MOST_TOKENS: usize = 100_000;

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) tenant_id: String,
    /// The client id or the user name.
    pub(crate) name: String,
    pub(crate) is_user: bool,
}

/// What a token is good for.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) identity: Identity,
    /// The resource, as a host or as `IntegratorApp.com`, in lower case.
    pub(crate) audience: String,
    expires: Instant,
}

/// The simulated world.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) clock: Clock,
    pub(crate) state: State,
    /// The newest first.
    pub(crate) device_codes: Vec<DeviceCode>,
    tokens: HashMap<String, Token>,
    /// The tokens, oldest first.
    issued: VecDeque<String>,
    /// The environment ids by the host of their Dataverse.
    dataverse_hosts: HashMap<String, String>,
    /// What the lagging list still shows: null when the environment did not exist.
    lagging: HashMap<String, (Timestamp, Value)>,
}

impl World {
    pub(crate) fn new(clock: Clock, state: State) -> Self {
        let mut world = Self {
            clock,
            state: State::default(),
            device_codes: Vec::new(),
            tokens: HashMap::new(),
            issued: VecDeque::new(),
            dataverse_hosts: HashMap::new(),
            lagging: HashMap::new(),
        };
        world.replace(state);
        world.lagging.clear();
        world
    }

    /// Puts another state in place.
    pub(crate) fn replace(&mut self, state: State) {
        self.remember_listings(&state);
        self.dataverse_hosts = state
            .environments
            .iter()
            .filter_map(|(id, environment)| {
                Some((host_of(environment.url.as_deref()?)?, id.clone()))
            })
            .collect();
        self.state = state;
        self.settle();
    }

    /// Applies a merge patch to the state, or nothing at all.
    pub(crate) fn patch(&mut self, patch: Value) -> Result<(), String> {
        self.settle();
        let mut value = serde_json::to_value(&self.state)
            .map_err(|error| format!("The state could not be written: {error}."))?;
        merge(&mut value, patch);
        let state = State::from_value(value)?;
        self.replace(state);
        Ok(())
    }

    /// Keeps how environments looked, for lists that lag behind.
    fn remember_listings(&mut self, new: &State) {
        let lag = new.settings.lag.environments.0;
        if lag.is_zero() {
            self.lagging.clear();
            return;
        }
        let now = self.clock.now();
        self.lagging.retain(|_, (until, _)| *until > now);
        let ids = new
            .environments
            .keys()
            .chain(self.state.environments.keys());
        let mut changed = Vec::new();
        for id in ids {
            let listing = |state: &State| {
                state
                    .environments
                    .get(id)
                    .map_or(Value::Null, |environment| {
                        power_platform::listing(id, environment)
                    })
            };
            let (before, after) = (listing(&self.state), listing(new));
            if before != after {
                changed.push((id.clone(), before));
            }
        }
        for (id, before) in changed {
            self.lagging.entry(id).or_insert((later(now, lag), before));
        }
    }

    /// How an environment looks to a list that lags behind; null when it is not there yet.
    pub(crate) fn lagging_listing(&self, id: &str) -> Option<&Value> {
        let (until, listing) = self.lagging.get(id)?;
        (*until > self.clock.now()).then_some(listing)
    }

    /// Everything that is due happens.
    pub(crate) fn settle(&mut self) {
        let now = self.clock.now();
        for environment in self.state.environments.values_mut() {
            packages::settle(environment, now);
        }
        let lag = self.state.settings.lag.maps.0;
        for (host, financials) in &mut self.state.finance_operations {
            dual_write::settle(host, financials, now, lag);
        }
    }

    /// What answers at a host.
    pub(crate) fn host_kind(&self, host: &str) -> HostKind {
        use crate::state::Cloud;
        if Cloud::ALL.iter().any(|cloud| cloud.authority() == host) {
            HostKind::Authority
        } else if Cloud::ALL
            .iter()
            .any(|cloud| cloud.power_platform() == host)
        {
            HostKind::PowerPlatform
        } else if self.dataverse_hosts.contains_key(host) {
            HostKind::Dataverse
        } else if self.state.finance_operations.contains_key(host) {
            HostKind::FinanceOperations
        } else if host == self.state.dual_write_service.host || is_dual_write_service(host) {
            HostKind::DualWrite
        } else {
            HostKind::Unknown
        }
    }

    pub(crate) fn environment_of_dataverse(&self, host: &str) -> Option<&str> {
        self.dataverse_hosts.get(host).map(String::as_str)
    }

    /// Hands a token out.
    pub(crate) fn issue(&mut self, identity: Identity, audience: String) -> (String, Duration) {
        let now = Instant::now();
        if self.issued.len() >= MOST_TOKENS
            && let Some(oldest) = self.issued.pop_front()
        {
            self.tokens.remove(&oldest);
        }
        let lifetime = self.state.settings.token_lifetime.0;
        let text = format!(
            "simulated.{}{}",
            Uuid::new_v4().simple(),
            Uuid::new_v4().simple()
        );
        let token = Token {
            identity,
            audience,
            expires: now.checked_add(lifetime).unwrap_or(now),
        };
        self.tokens.insert(text.clone(), token);
        self.issued.push_back(text.clone());
        (text, lifetime)
    }

    /// The token, if it is one that is still good.
    pub(crate) fn token(&self, text: &str) -> Option<&Token> {
        self.tokens
            .get(text)
            .filter(|token| token.expires > Instant::now())
    }

    pub(crate) fn revoke(&mut self, text: &str) {
        self.tokens.remove(text);
    }
}

fn is_dual_write_service(host: &str) -> bool {
    host.strip_prefix("projectmanagementservice.")
        .and_then(|rest| rest.strip_suffix(".gateway.prod.island.powerapps.com"))
        .is_some_and(|cluster| !cluster.is_empty())
}
