//! What the double knows.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::entra::INTEGRATOR;
use super::maps::{Map, View};
use super::oddity::{Oddities, Oddity};
use super::timeline::Timeline;
use super::wire::{Answer, Call, DATAVERSE, LOGIN, OLD_DATAVERSE, PLATFORM, Reply};
use crate::support::contoso;

pub const FINANCE: &str = "FabrikamFinanceMaps";
pub const SUPPLY: &str = "FabrikamSupplyMaps";
/// The map that nobody put into a solution.
pub const FLEET: &str = "fabrikam_fleets - Fleet vehicles";

/// How far the status of a request is behind the truth, and how far the list of maps is. All of it together is less than
/// the time after which the operator believes a list.
pub const STATUS_LAG: Duration = Duration::from_millis(200);
pub const LIST_LAG: Duration = Duration::from_millis(500);

/// A table map as it is before the reset.
#[derive(Clone, Copy, Debug)]
pub struct Original {
    pub name: &'static str,
    pub left: &'static str,
    pub right: &'static str,
    pub solution: Option<&'static str>,
    pub before: &'static [&'static str],
    pub state: u8,
    pub version: [u32; 4],
    pub author: &'static str,
    /// Under which name the service has the key, and its fields.
    pub key: Option<(&'static str, &'static [&'static str])>,
}

const COMPANIES: &str = "cdm_companies - Legal entities";

/// Two of them share their finance and operations entity.
pub fn originals() -> [Original; 9] {
    let map = |name: &'static str, solution, before, state| {
        let (right, left) = name.split_once(" - ").expect("the form of a map's name");
        Original {
            name,
            left,
            right,
            solution,
            before,
            state,
            version: [1, 0, 0, 4],
            author: "Microsoft",
            key: None,
        }
    };
    let finance = |name, before, state| map(name, Some(FINANCE), before, state);
    let supply = |name, before, state| map(name, Some(SUPPLY), before, state);
    let accounts = ["accountnumber", "_msdyn_company_value"].as_slice();
    [
        Original {
            key: Some(("userKey", ["cdm_companycode"].as_slice())),
            ..finance(COMPANIES, &[], 4)
        },
        Original {
            key: Some(("userKeys", accounts)),
            version: [2, 0, 1, 0],
            author: "Fabrikam",
            ..finance("accounts - Customers V3", &[COMPANIES], 4)
        },
        Original {
            key: Some((
                "USERKEYS",
                ["msdyn_contactpersonid", "_msdyn_company_value"].as_slice(),
            )),
            ..finance("contacts - Customers V3", &[COMPANIES], 5)
        },
        finance("msdyn_vendors - Vendors V2", &[COMPANIES], 1),
        finance("transactioncurrencies - Currencies", &[], 4),
        supply(
            "msdyn_sharedproductdetails - CDS released distinct products",
            &[COMPANIES],
            4,
        ),
        supply("msdyn_warehouses - Warehouses", &[], 0),
        // In a state that nobody has heard of, if that is on.
        supply("uoms - Unit", &[], 1),
        Original {
            key: Some(("userKeys", ["fabrikam_number"].as_slice())),
            author: "Fabrikam",
            ..map(FLEET, None, &[], 4)
        },
    ]
}

/// A connection set.
pub struct Set {
    pub cid: String,
    pub cname: String,
    /// The Power Platform environment.
    pub environment: String,
    pub ce: Value,
    pub companies: Vec<String>,
    pub maps: Vec<Map>,
    pub keys: BTreeMap<String, (String, Vec<String>)>,
    pub applications: Vec<Application>,
}

/// A solution that is being applied, or was.
pub struct Application {
    pub id: String,
    pub name: String,
    pub done: Instant,
}

/// What was asked of maps.
pub struct Request {
    pub id: String,
    pub action: String,
    pub maps: Vec<String>,
    pub done: Instant,
    pub error: Option<String>,
}

pub struct State {
    pub oddities: Oddities,
    pub journal: Vec<Value>,
    pub violations: Vec<String>,
    pub unknown: Vec<String>,
    pub troubles: BTreeMap<String, u32>,
    pub calls: BTreeMap<String, u32>,
    /// The audience of each token.
    pub tokens: BTreeMap<String, String>,
    pub sets: Vec<Set>,
    pub link: Timeline<Option<usize>>,
    pub requests: Vec<Request>,
    pub starts: u32,
    ended_before: BTreeSet<String>,
    turn: u32,
    reads: u32,
}

impl State {
    pub fn new(oddities: Oddities) -> Self {
        let maps: Vec<Map> = originals()
            .iter()
            .map(|original| Map::as_before(original, &oddities))
            .collect();
        let keyed = originals().into_iter().filter_map(|map| {
            let (name, fields) = map.key?;
            let fields = fields.iter().map(|field| (*field).to_owned()).collect();
            Some((map.right.to_owned(), (name.to_owned(), fields)))
        });
        let set = Set {
            cid: "3f0c9a52-7f0e-4b7c-9d55-00000000c1d1".to_owned(),
            cname: "contoso-uat-20240311".to_owned(),
            environment: contoso::SANDBOX.to_owned(),
            ce: json!({
                "targetType": "CRM", "name": "contoso-test", "displayName": "Contoso Test", "isDevInstance": false,
                "directUrl": format!("https://{OLD_DATAVERSE}"),
            }),
            companies: ["USMF", "DEMF"].map(str::to_owned).into(),
            maps,
            keys: keyed.collect(),
            applications: Vec::new(),
        };
        Self {
            oddities,
            journal: Vec::new(),
            violations: Vec::new(),
            unknown: Vec::new(),
            troubles: BTreeMap::new(),
            calls: BTreeMap::new(),
            tokens: BTreeMap::new(),
            sets: vec![set],
            link: Timeline::new(Some(0)),
            requests: Vec::new(),
            starts: 0,
            ended_before: BTreeSet::new(),
            turn: 0,
            reads: 0,
        }
    }

    /// The answer to a call, and everything that it changes.
    pub fn answer(&mut self, call: &Call) -> Answer {
        let (audience, known) = match call.host.as_str() {
            LOGIN => return self.token(call),
            contoso::HOST => return self.finance_operations(call),
            PLATFORM => (format!("https://{PLATFORM}"), true),
            DATAVERSE | OLD_DATAVERSE => (format!("https://{}", call.host), true),
            contoso::SERVICE => (INTEGRATOR.to_owned(), true),
            _ => (String::new(), false),
        };
        if !known {
            return self.not_known(call);
        }
        if let Some(trouble) = self.trouble_for(call) {
            return trouble.into();
        }
        self.expire_before(call);
        if !self.is_authorized(call, &audience) {
            let told = "Bearer error=\"invalid_token\", error_description=\"The token is expired\"";
            return Reply::empty(401)
                .header("www-authenticate", told.to_owned())
                .into();
        }
        let answer = match call.host.as_str() {
            PLATFORM => self.platform(call),
            DATAVERSE | OLD_DATAVERSE => self.dataverse(call),
            _ => self.service(call),
        };
        match answer {
            Answer::Reply(reply) => self.dressed(reply).into(),
            Answer::Cut => Answer::Cut,
        }
    }

    /// A token may end at the worst moment: right before the first stop, and right before the reset.
    fn expire_before(&mut self, call: &Call) {
        let name = call.segments.last().map_or("", String::as_str);
        let is_first = !self.ended_before.contains(name);
        if ["Start", "Reset"].contains(&name)
            && is_first
            && self.oddities.has(Oddity::ExpiredTokens)
        {
            self.ended_before.insert(name.to_owned());
            self.expire(INTEGRATOR);
        }
    }

    /// Now and then a read fails, each time in another way.
    fn trouble_for(&mut self, call: &Call) -> Option<Reply> {
        if !call.is_read() {
            return None;
        }
        self.reads += 1;
        let reads = self.reads;
        if reads == 14 && self.oddities.has(Oddity::ExpiredTokens) {
            self.expire(INTEGRATOR);
        }
        if reads % 41 == 8 && self.oddities.has(Oddity::SignInPages) {
            self.trouble("sign-in pages");
            return Some(Reply::sign_in());
        }
        if reads % 73 == 21 && self.oddities.has(Oddity::Throttling) {
            self.trouble("throttled, in seconds");
            return Some(Reply::throttled(false));
        }
        if reads % 83 == 31 && self.oddities.has(Oddity::Throttling) {
            self.trouble("throttled, by date");
            return Some(Reply::throttled(true));
        }
        if reads % 47 == 17 && self.oddities.has(Oddity::Unavailable) {
            self.trouble("unavailable");
            return Some(Reply::new(
                503,
                "text/plain",
                "upstream connect error or disconnect/reset before headers",
            ));
        }
        None
    }

    /// JSON in whatever form it comes today.
    fn dressed(&mut self, mut reply: Reply) -> Reply {
        let is_json = reply
            .headers
            .iter()
            .any(|(_, value)| value.starts_with("application/json"));
        if !is_json || !reply.status.is_success() || !self.oddities.has(Oddity::Encodings) {
            return reply;
        }
        let form = match self.next() % 4 {
            0 => {
                reply.in_pieces = true;
                "application/json; charset=utf-8"
            }
            1 => {
                reply.body.splice(0..0, "\u{feff}".bytes());
                "application/json;odata.metadata=minimal;odata.streaming=true;charset=UTF-8"
            }
            2 => "text/json; charset=utf-8",
            _ => "application/json",
        };
        form.clone_into(&mut reply.headers[0].1);
        reply
    }

    /// Counts up: what changes from call to call changes by this.
    pub fn next(&mut self) -> u32 {
        self.turn += 1;
        self.turn
    }

    /// An id in the casing of this call.
    pub fn cased(&self, id: &str) -> String {
        if self.oddities.has(Oddity::Casing) && self.turn % 3 == 1 {
            id.to_uppercase()
        } else {
            id.to_owned()
        }
    }

    /// A state as text, or as a number.
    pub fn state_of(&self, state: u8) -> Value {
        if self.oddities.has(Oddity::NumericStates) && self.turn.is_multiple_of(2) {
            json!(state)
        } else {
            json!(state.to_string())
        }
    }

    /// What the link really is.
    pub fn current(&self) -> &Set {
        let index = self.link.last().unwrap_or(0);
        &self.sets[index]
    }

    pub fn current_mut(&mut self) -> &mut Set {
        let index = self.link.last().unwrap_or(0);
        &mut self.sets[index]
    }

    pub fn truth(&self) -> Vec<(String, u8, String)> {
        let now = Instant::now();
        let maps = self.current().maps.iter().filter_map(|map| {
            let View { state, active, .. } = map.history.at(now)?;
            Some((
                map.name.clone(),
                *state,
                map.templates[*active].version_text(),
            ))
        });
        maps.collect()
    }

    pub fn count(&mut self, call: &str) {
        *self.calls.entry(call.to_owned()).or_default() += 1;
    }

    pub fn trouble(&mut self, kind: &str) {
        *self.troubles.entry(kind.to_owned()).or_default() += 1;
    }

    pub fn violation(&mut self, what: &str) {
        self.violations.push(what.to_owned());
    }

    pub fn not_known(&mut self, call: &Call) -> Answer {
        self.unknown.push(call.name());
        let body = json!({"error": {"code": "NotFound", "message": "The requested resource was not found."}});
        Reply::failed(404, &body).into()
    }
}
