//! The dual-write service.

use std::time::{Duration, Instant};

use http::Method;
use serde_json::{Value, json};

use super::maps::Map;
use super::oddity::Oddity;
use super::state::{FINANCE, LIST_LAG, STATUS_LAG, SUPPLY, State};
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

    pub fn is_current(&self, cid: &str) -> bool {
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

    /// Whether the link shows a connection set that has not been shown for long.
    fn is_new(&self) -> bool {
        let before = Instant::now().checked_sub(Duration::from_millis(1500));
        let was = before.and_then(|at| self.link.at(at)).copied().flatten();
        self.oddities.has(Oddity::NotReady) && self.sets.len() > 1 && was != self.shown()
    }

    fn read_set(&mut self, name: &str) -> Answer {
        self.count("connection set");
        if self.is_new() {
            self.trouble("not ready");
            return no_such("connection set");
        }
        let shown = self.shown().filter(|index| self.sets[*index].cname == name);
        match shown {
            Some(index) => Reply::json(&self.set_json(&self.sets[index])).into(),
            None => no_such("connection set"),
        }
    }

    fn read_maps(&mut self, call: &Call) -> Answer {
        self.count("maps");
        let cid = call.query("cid");
        if self.is_new() {
            self.trouble("not ready");
            let body = json!({"Message": "An error has occurred."});
            return Reply::failed(500, &body).into();
        }
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
            let Some(view) = map.history.behind(lag + map.late) else {
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
}

pub fn no_such(what: &str) -> Answer {
    Reply::failed(
        404,
        &json!({"Message": format!("The {what} was not found.")}),
    )
    .into()
}
