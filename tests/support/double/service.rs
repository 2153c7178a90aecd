//! The dual-write service.

use std::time::{Duration, Instant};

use http::Method;
use serde_json::{Value, json};

use super::entra::INTEGRATOR;
use super::maps::Map;
use super::oddity::Oddity;
use super::state::{
    Application, FINANCE, LIST_LAG, Request, STATUS_LAG, SUPPLY, Set, State, originals,
};
use super::timeline::Timeline;
use super::wire::{Answer, Call, Reply};
use crate::support::contoso;

impl State {
    pub fn service(&mut self, call: &Call) -> Answer {
        self.next();
        let path: Vec<&str> = call.segments.iter().map(String::as_str).collect();
        let is_read = call.is_read();
        let is_post = call.method == Method::POST;
        match path.as_slice() {
            ["api", "ConnectionSet", name] if is_read => self.read_set(name),
            ["api", "ConnectionSet", cid, "Reset"] if is_post => self.reset(call, cid),
            ["api", "dataset", name, "IntegrationKeys"] if is_post => self.set_keys(call, name),
            ["api", "DualWriteManagement", "1.0", rest @ ..] => match rest {
                ["Version"] if is_read => Reply::json(&json!("1.0.25110.3")).into(),
                ["Environments"] if is_read => self.read_link(call),
                ["Entities"] if is_read => self.read_maps(call),
                ["Status", id] if is_read => self.read_status(id),
                ["Start"] if is_post => self.start(call),
                ["GetTemplatePrerequisiteSequences", _] if is_post => self.sequences(call),
                ["SolutionAware", cid, ..] if !self.is_current(cid) => no_such("connection set"),
                ["SolutionAware", _, "Solutions"] if is_read => self.solutions(),
                ["SolutionAware", _, "Status", id] if is_read => self.read_application(id),
                ["SolutionAware", _, "RestoreTemplates"] if is_post => self.apply(call),
                ["SolutionAware", _, "SwitchActive", id] if is_post => self.switch(call, id),
                _ => self.not_known(call),
            },
            _ => self.not_known(call),
        }
    }

    fn is_current(&self, cid: &str) -> bool {
        self.current().cid.eq_ignore_ascii_case(cid)
    }

    /// The set that the link shows now, if it shows one.
    fn shown(&self) -> Option<usize> {
        self.link.at(Instant::now()).copied().flatten()
    }

    fn read_link(&mut self, call: &Call) -> Answer {
        self.count("link");
        // An address instead of a host name finds nothing, as with the live service.
        if call.query("identifier") != contoso::HOST || call.query("targetType") != "AX" {
            self.violation(&format!(
                "asked for the link of {}",
                call.query("identifier")
            ));
            return Reply::json(&json!([])).into();
        }
        let links: Vec<Value> = self
            .shown()
            .map(|index| self.link_json(&self.sets[index]))
            .into_iter()
            .collect();
        Reply::json(&json!(links)).into()
    }

    fn read_set(&mut self, name: &str) -> Answer {
        self.count("connection set");
        let shown = self.shown().filter(|index| self.sets[*index].cname == name);
        match shown {
            Some(index) => Reply::json(&self.set_json(&self.sets[index])).into(),
            None => no_such("connection set"),
        }
    }

    fn read_maps(&mut self, call: &Call) -> Answer {
        self.count("maps");
        let cid = call.query("cid");
        if !self.is_current(cid) {
            // What a reset has left behind: the set is known, and empty.
            let known = self
                .sets
                .iter()
                .any(|set| set.cid.eq_ignore_ascii_case(cid));
            return if known {
                Reply::json(&json!([])).into()
            } else {
                no_such("connection set")
            };
        }
        let lag = self.lag(LIST_LAG);
        let mut list = Vec::new();
        for (number, map) in self.current().maps.iter().enumerate() {
            let Some(view) = map.history.behind(lag) else {
                continue;
            };
            let entry = self.map_json(map, view, number);
            list.extend(map.twice.then(|| entry.clone()));
            list.push(entry);
        }
        Reply::json(&json!(list)).into()
    }

    fn read_status(&mut self, id: &str) -> Answer {
        self.count("status");
        let found = self
            .requests
            .iter()
            .find(|request| request.id.eq_ignore_ascii_case(id));
        let Some(request) = found else {
            return Reply::json(&json!([])).into();
        };
        let lag = self.lag(STATUS_LAG);
        let maps = self.current().maps.iter().enumerate();
        let asked = maps.filter(|(_, map)| request.maps.contains(&map.name));
        let list: Vec<Value> = asked
            .filter_map(|(number, map)| Some(self.map_json(map, map.history.behind(lag)?, number)))
            .collect();
        Reply::json(&json!(list)).into()
    }

    fn start(&mut self, call: &Call) -> Answer {
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
        for detail in &details {
            self.start_one(&action, detail, &mut request);
        }
        let id = request.id.clone();
        self.requests.push(request);
        self.starts += 1;
        let form = if self.oddities.has(Oddity::StartAnswers) {
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
        let is_same = |view: &super::maps::View| {
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
        let Some(map) = self.current_mut().maps.iter_mut().find(|map| map.is(tid)) else {
            return;
        };
        let before_run = map.before.iter().all(|name| running.contains(name));
        let outcome = map.act(action, before_run);
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

    fn sequences(&mut self, call: &Call) -> Answer {
        self.count("sequences");
        let asked = call.json();
        let maps = &self.current().maps;
        let sequence = |tid: &str| {
            let of = |map: &Map| self.cased(&map.templates[map.history.last().active].id);
            let own = maps.iter().find(|map| map.is(tid));
            let before = own.into_iter().flat_map(|own| {
                own.before
                    .iter()
                    .filter_map(|name| maps.iter().find(|map| map.name == *name).map(of))
            });
            let mut sequence: Vec<String> = before.collect();
            // A template that this environment does not have, and the map itself at the end.
            sequence.insert(0, "0d0d0000-0000-4000-8000-00000000dead".to_owned());
            sequence.push(tid.to_uppercase());
            sequence
        };
        let tids = asked.as_array().into_iter().flatten();
        let all: Vec<_> = tids.filter_map(Value::as_str).map(sequence).collect();
        Reply::json(&json!(all)).into()
    }

    fn solutions(&mut self) -> Answer {
        self.count("solutions");
        let one = |name: &str, version: &str| {
            json!({
                "description": null, "friendlyname": name, "ismanaged": true, "uniquename": name, "version": version,
                "solutionid": "b1b10000-0000-4000-8000-0000000000b1", "id": "b1b10000-0000-4000-8000-0000000000b1",
            })
        };
        Reply::json(&json!([one(FINANCE, "3.2.0.8"), one(SUPPLY, "1.0.0.77")])).into()
    }

    fn apply(&mut self, call: &Call) -> Answer {
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

    /// While it goes on there is no result, and also afterwards not each time.
    fn read_application(&mut self, id: &str) -> Answer {
        self.count("solution status");
        let found = self
            .current()
            .applications
            .iter()
            .find(|one| one.id.eq_ignore_ascii_case(id));
        let Some(one) = found else {
            return no_such("request");
        };
        let state = if one.done <= Instant::now() { 2 } else { 1 };
        let mut body = json!({
            "requestId": self.cased(&one.id), "action": "2", "createdOn": "2026-11-25T08:00:00Z",
            "modifiedOn": "0001-01-01T00:00:00", "state": self.state_of(state), "rootActivityId": one.id,
        });
        if one.name == FINANCE && state == 2 {
            body["result"] = Value::Null;
        }
        Reply::json(&body).into()
    }

    fn switch(&mut self, call: &Call, tid: &str) -> Answer {
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
        map.history.then(
            now + Duration::from_millis(400),
            super::maps::View { active, ..is },
        );
        self.journal
            .push(json!({"call": "switch", "map": name, "to": to, "body": body, "tid": tid}));
        Reply::empty(200).into()
    }

    fn set_keys(&mut self, call: &Call, dataset: &str) -> Answer {
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

    fn reset(&mut self, call: &Call, cid: &str) -> Answer {
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
            keys: std::collections::BTreeMap::new(),
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
        let mut reply = Reply::empty(200);
        reply.after = Duration::from_millis(answer);
        reply.into()
    }
}

fn no_such(what: &str) -> Answer {
    Reply::failed(
        404,
        &json!({"Message": format!("The {what} was not found.")}),
    )
    .into()
}
