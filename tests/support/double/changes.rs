//! What changes something at the dual-write service.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::entra::INTEGRATOR;
use super::maps::{Map, View};
use super::oddity::Oddity;
use super::service::no_such;
use super::state::{Application, Request, Set, State, originals};
use super::timeline::Timeline;
use super::wire::{Answer, Call, Reply};

impl State {
    pub fn start(&mut self, call: &Call) -> Answer {
        let body = call.json();
        let action = body["action"].as_str().unwrap_or_default().to_owned();
        let details = body["details"].as_array().cloned().unwrap_or_default();
        let mut request = Request {
            id: uuid::Uuid::new_v4().to_string(),
            action: action.clone(),
            maps: Vec::new(),
            done: Instant::now(),
            error: None,
        };
        for detail in &details {
            if let Err(refusal) = self.check(&action, detail) {
                return refusal.into();
            }
        }
        let is_start = action == "1" && self.oddities.has(Oddity::SignInOnStart);
        if is_start && !self.troubles.contains_key("sign-in page for a start") {
            self.trouble("sign-in page for a start");
            return Reply::sign_in().into();
        }
        for detail in &details {
            self.start_one(&action, detail, &mut request);
        }
        // A failure without an id shows only after a third of link.timeout, which is more than a test has.
        let has_failed = request.error.is_some();
        let id = request.id.clone();
        self.requests.push(request);
        self.starts += 1;
        let form = if self.oddities.has(Oddity::StartAnswers) && !has_failed {
            self.starts % 3
        } else {
            1
        };
        match form {
            1 => Reply::json(&json!({"requestId": id, "state": "1"})).into(),
            2 => Reply::json(&json!(id)).into(),
            _ => Reply::empty(202).into(),
        }
    }

    /// The service looks into neither and fails on what is not there.
    fn check(&mut self, action: &str, detail: &Value) -> Result<(), Reply> {
        let text = |name: &str| detail[name].as_str().unwrap_or_default().to_owned();
        let (tid, pid, cid) = (text("tid"), text("pid"), text("cid"));
        if tid.is_empty() || (pid.is_empty() && action != "8") {
            self.violation(&format!(
                "action {action} for a map without an id: {detail}"
            ));
            let body = json!({"Message": "An error has occurred.", "ExceptionMessage": "Object reference not set to an instance of an object."});
            return Err(Reply::failed(500, &body));
        }
        let skips = &detail["parameters"]["skipInitialSync"];
        if action == "1" && skips != true {
            self.violation(&format!("a start with initial sync: {detail}"));
        }
        let map = self.current().maps.iter().find(|map| map.is(&tid));
        let view = map.and_then(|map| map.history.at(Instant::now()));
        let is_same = |view: &View| {
            action == "8"
                || view
                    .pid
                    .as_deref()
                    .is_some_and(|own| own.eq_ignore_ascii_case(&pid))
        };
        if !self.is_current(&cid) || !view.is_some_and(is_same) {
            self.violation(&format!(
                "action {action} for a map that is not there: {detail}"
            ));
            return Err(Reply::failed(
                404,
                &json!({"Message": "The project was not found."}),
            ));
        }
        Ok(())
    }

    fn start_one(&mut self, action: &str, detail: &Value, request: &mut Request) {
        let tid = detail["tid"].as_str().unwrap_or_default();
        let now = Instant::now();
        let running: Vec<String> = self
            .current()
            .maps
            .iter()
            .filter(|map| map.history.at(now).is_some_and(|view| view.state == 4))
            .map(|map| map.name.clone())
            .collect();
        let passes_on = |map: &&Map| !map.is(tid) && map.history.last().state > 1;
        let twins: Vec<String> = self
            .current()
            .maps
            .iter()
            .filter(passes_on)
            .map(|map| map.name.clone())
            .collect();
        let fails = self.fails_at_first(action, tid);
        let Some(map) = self.current_mut().maps.iter_mut().find(|map| map.is(tid)) else {
            return;
        };
        let before_run = map.before.iter().all(|name| running.contains(name));
        let outcome = if action == "1" && fails {
            Err("Saving the runtime configuration failed. Try again.".to_owned())
        } else if action == "1" && twins.contains(&map.name) {
            Err(format!("Another map of the name {} is active.", map.name))
        } else {
            map.act(action, before_run)
        };
        let (name, pid) = (map.name.clone(), detail["pid"].clone());
        request.maps.push(name.clone());
        let mut applied = true;
        match outcome {
            Ok(at) => request.done = request.done.max(at),
            Err(error) => {
                applied = false;
                request.error = Some(error);
            }
        }
        let error = request.error.as_ref().filter(|_| !applied);
        self.journal.push(json!({
            "call": "start", "action": action, "map": name, "pid": pid, "applied": applied, "error": error,
            "parameters": detail["parameters"],
        }));
    }

    fn fails_at_first(&mut self, action: &str, tid: &str) -> bool {
        let mut maps = self.current().maps.iter();
        let is_it = maps.any(|map| map.is(tid) && map.right == "accounts");
        let fails = is_it
            && action == "1"
            && self.oddities.has(Oddity::FailedStart)
            && !self.troubles.contains_key("failed starts");
        if fails {
            self.trouble("failed starts");
        }
        fails
    }

    pub fn apply(&mut self, call: &Call) -> Answer {
        let body = call.json();
        let names: Vec<String> = body["solutions"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|one| one["criteria"]["uniquename"].as_str())
            .map(str::to_owned)
            .collect();
        let [name] = names.as_slice() else {
            self.violation(&format!("not one solution but {}: {body}", names.len()));
            return Reply::failed(400, &json!({"Message": "One solution at a time."})).into();
        };
        if self.oddities.has(Oddity::Throttling)
            && !self.troubles.contains_key("throttled solution")
        {
            self.trouble("throttled solution");
            return Reply::throttled(true).into();
        }
        let now = Instant::now();
        if self.current().applications.iter().any(|one| one.done > now) {
            self.violation(&format!("{name} while another solution is being applied"));
        }
        self.journal
            .push(json!({"call": "solution", "name": name, "action": body["action"]}));
        let each = if self.oddities.has(Oddity::GradualMaps) {
            400
        } else {
            0
        };
        let mut at = now + Duration::from_millis(200);
        let mut maps = Vec::new();
        for original in originals().iter().filter(|map| map.solution == Some(name)) {
            at += Duration::from_millis(each);
            maps.push(Map::as_brought(original, at, &self.oddities));
            if original.left.starts_with("CDS") && self.oddities.has(Oddity::Twins) {
                maps.push(Map::as_brought(original, at, &self.oddities));
            }
        }
        if self.oddities.has(Oddity::LateMaps)
            && let Some(last) = maps.last_mut()
        {
            last.late = Duration::from_millis(300);
        }
        let id = uuid::Uuid::new_v4().to_string();
        let set = self.current_mut();
        set.maps.extend(maps);
        set.applications.push(Application {
            id: id.clone(),
            name: name.clone(),
            done: at,
        });
        Reply::json(&json!({"requestId": id})).into()
    }

    pub fn switch(&mut self, call: &Call, tid: &str) -> Answer {
        let pid = call.query("pid").to_owned();
        let body = String::from_utf8_lossy(&call.body).into_owned();
        if pid.is_empty() {
            self.violation(&format!("a version was switched without a project: {tid}"));
        }
        let now = Instant::now();
        let Some(map) = self.current_mut().maps.iter_mut().find(|map| map.is(tid)) else {
            return no_such("template");
        };
        let is = map.history.last().clone();
        let is_same = is
            .pid
            .as_deref()
            .is_some_and(|own| own.eq_ignore_ascii_case(&pid));
        if !is_same || !matches!(is.state, 0 | 1 | 6) {
            let body = json!({"Message": "The map must be stopped before its version is changed."});
            return Reply::failed(400, &body).into();
        }
        let active = map
            .templates
            .iter()
            .position(|template| template.id.eq_ignore_ascii_case(tid))
            .unwrap_or(is.active);
        let (name, to) = (map.name.clone(), map.templates[active].version_text());
        map.history
            .then(now + Duration::from_millis(400), View { active, ..is });
        self.journal
            .push(json!({"call": "switch", "map": name, "to": to, "body": body, "tid": tid}));
        Reply::empty(200).into()
    }

    pub fn set_keys(&mut self, call: &Call, dataset: &str) -> Answer {
        let body = call.json();
        let set = self.current();
        if set.ce["name"] != dataset || body["datasetName"] != dataset {
            self.violation(&format!("keys for {dataset}, which is no dataset: {body}"));
            return no_such("dataset");
        }
        let now = Instant::now();
        let keys = body["integrationKeys"]
            .as_object()
            .cloned()
            .unwrap_or_default();
        let there = |table: &String| {
            let mut maps = set.maps.iter();
            maps.any(|map| map.right == *table && map.history.at(now).is_some())
        };
        let missing = keys.keys().find(|table| !there(table));
        if let Some(table) = missing.filter(|_| self.oddities.has(Oddity::MissingSchemas)) {
            let told = format!("Schema {table} was not found in dataset {dataset}.");
            self.journal
                .push(json!({"call": "keys", "tables": keys.keys().collect::<Vec<_>>(), "applied": false}));
            return Reply::failed(400, &json!({"Message": told})).into();
        }
        self.journal.push(
            json!({"call": "keys", "tables": keys.keys().collect::<Vec<_>>(), "applied": true}),
        );
        for (table, fields) in keys {
            let fields = fields.as_array().into_iter().flatten();
            let fields = fields
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect();
            self.current_mut()
                .keys
                .insert(table, ("userKeys".to_owned(), fields));
        }
        Reply::empty(204).into()
    }

    pub fn reset(&mut self, call: &Call, cid: &str) -> Answer {
        let body = call.json();
        let force = call.query("forceReset").eq_ignore_ascii_case("true");
        let is_first = self.sets.len() == 1;
        let passes_on = self.truth().into_iter().find(|(_, state, _)| *state > 1);
        let refusal = match passes_on {
            _ if !is_first || !self.is_current(cid) => {
                Some("The connection set was not found.".to_owned())
            }
            Some((name, ..)) if !force => Some(format!(
                "Stop all maps before the reset: {name} is not stopped."
            )),
            _ => None,
        };
        self.journal.push(json!({
            "call": "reset", "cid": cid, "force": force, "targetType": call.query("targetType"), "body": body,
            "applied": refusal.is_none(),
        }));
        if let Some(told) = refusal {
            return Reply::failed(400, &json!({"Message": told})).into();
        }
        let ce = &body["environments"][0];
        let companies = body["legalEntities"].as_array().into_iter().flatten();
        self.sets.push(Set {
            cid: "8e0b5d17-2c4a-4e0f-8a11-00000000c1d2".to_owned(),
            cname: "contoso-uat 20261125 (2)".to_owned(),
            environment: body["powerAppsEnvironmentName"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            ce: json!({
                // A newer kind of name for the same thing.
                "targetType": "CDS", "name": ce["name"], "displayName": ce["displayName"],
                "isDevInstance": ce["isDevInstance"], "directUrl": ce["directUrl"],
            }),
            companies: companies
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
            maps: Vec::new(),
            keys: BTreeMap::new(),
            applications: Vec::new(),
        });
        self.retarget()
    }

    /// The link changes in its own time.
    fn retarget(&mut self) -> Answer {
        let is_slow = self.oddities.has(Oddity::SlowReset);
        let (answer, nothing, new) = if is_slow {
            (2500, 4000, 4800)
        } else {
            (0, 0, 0)
        };
        let now = Instant::now();
        let mut link = Timeline::from(now, Some(0));
        link.then(now + Duration::from_millis(nothing), None);
        link.then(now + Duration::from_millis(new), Some(1));
        self.link = link;
        if self.oddities.has(Oddity::ExpiredTokens) {
            self.expire(INTEGRATOR);
        }
        if self.oddities.has(Oddity::LostReset) {
            self.trouble("lost answers");
            return Answer::Cut;
        }
        let mut reply = if self.oddities.has(Oddity::GatewayTimeout) {
            self.trouble("gateway timeouts");
            Reply::new(
                504,
                "text/html",
                "<html><body><h1>504 Gateway Time-out</h1></body></html>",
            )
        } else {
            Reply::empty(200)
        };
        reply.after = Duration::from_millis(answer);
        reply.into()
    }
}
