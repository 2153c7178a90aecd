//! What the dual-write service says of things, in its own shapes.

use std::time::Instant;

use serde_json::{Value, json};

use super::maps::{Map, Template, View};
use super::oddity::Oddity;
use super::state::{Request, STATUS_LAG, Set, State};
use crate::support::contoso;

const CREATED: &str = "2024-03-11T09:12:44.9134331Z";

impl State {
    /// The link of a finance and operations environment.
    pub fn link_json(&self, set: &Set) -> Value {
        let mut link = json!({
            "cid": self.cased(&set.cid), "cname": set.cname, "targetType": "AX", "displayName": "Contoso UAT",
            "powerAppsEnvironment": self.cased(&set.environment), "detail": {"isSolutionAware": true},
        });
        if self.oddities.has(Oddity::ExtraFields) {
            link["id"] = json!("0f0f0000-0000-4000-8000-000000000099");
            link["name"] = json!("display-only");
            link["detail"]["trialExpiresOn"] = json!("0001-01-01T00:00:00");
        }
        link
    }

    pub fn set_json(&self, set: &Set) -> Value {
        let ce_name = set.ce["name"].as_str().unwrap_or_default();
        let mut ce = json!({
            "name": ce_name, "connectionSetName": set.cname, "targetType": set.ce["targetType"], "sharedEnums": [],
            "schemas": schemas(set), "connectionDisplayName": "dualwrite@contoso.com",
            "environmentDisplayName": set.ce["displayName"], "metadataUrl": null, "environmentInfo": null,
            "powerAppsEnvironment": self.cased(&set.environment), "directUrl": set.ce["directUrl"],
            "isDevInstance": set.ce["isDevInstance"], "bypassApiHubConnector": true, "needsIntegrationKey": true,
            "excludeHardCodedIntegrationKeys": false,
        });
        if self.oddities.has(Oddity::ExtraFields) {
            ce["$id"] = json!("17");
            ce["owner"] = json!("");
        }
        let fo = json!({
            "name": contoso::HOST, "connectionSetName": set.cname, "targetType": "AX", "sharedEnums": [], "schemas": [],
            "connectionDisplayName": "dualwrite@contoso.com", "environmentDisplayName": "contoso-uat",
            "powerAppsEnvironment": self.cased(&set.environment), "directUrl": format!("https://{}/", contoso::HOST),
            "isDevInstance": false, "bypassApiHubConnector": true, "needsIntegrationKey": false,
        });
        let mappings = set.companies.iter().flat_map(|company| {
            let mapping = json!({
                "left": {"name": company, "id": company.to_lowercase()},
                "right": {"name": company, "id": "9a9a0000-0000-4000-8000-0000000000aa"},
            });
            // The live service has been seen to name a company once for each side.
            [mapping.clone(), mapping]
        });
        json!({
            "name": set.cname, "displayName": "Contoso UAT", "environments": {ce_name: ce, contoso::HOST: fo},
            "targetTypeList": ["CRM", "AX"], "dataPartitionMappings": [], "tenant": contoso::TENANT, "forDualWrite": true,
            "dualWriteDetail": {
                "trialExpiresOn": "0001-01-01T00:00:00",
                "legalEntityMappings": {
                    "leftEnvironment": contoso::HOST, "rightEnvironment": ce_name, "mappings": mappings.collect::<Vec<_>>(),
                },
                "conflictResolution": null, "alertSettings": [], "autoPauseThresholdSettings": null, "isOnFirstPartyAuth": true,
                "isSolutionAware": true, "solutionAwareRequests": null, "actionDetails": [], "errorTableNames": ["msdyn_dualwriteerrors"],
            },
            "id": self.cased(&set.cid), "owner": "", "createdDateTime": CREATED, "tags": null,
        })
    }

    pub fn map_json(&self, map: &Map, view: &View, number: usize) -> Value {
        let templates: Vec<Value> = map
            .templates
            .iter()
            .map(|template| self.template_json(map, template))
            .collect();
        let pid = match &view.pid {
            Some(pid) => json!(self.cased(pid)),
            None if number.is_multiple_of(2) => json!(""),
            None => Value::Null,
        };
        let actions = match view.state {
            4 => json!(["4", "5"]),
            5 => json!(["4", "6"]),
            1 => json!(["1"]),
            0 => json!(["8"]),
            _ => Value::Null,
        };
        let mut json = json!({
            "leftEntity": {"targetType": "AX", "name": map.left, "displayName": map.left},
            "rightEntity": {"targetType": "CRM", "name": map.right, "displayName": map.right},
            "detail": {
                "tid": self.cased(&map.templates[view.active].id), "tName": map.name, "pid": pid,
                "state": self.state_of(view.state), "actions": actions,
                "template": templates[view.active], "templates": templates, "lastRequests": self.requests_json(&map.name),
            },
        });
        if self.oddities.has(Oddity::ExtraFields) {
            json["leftEntity"]["singletonName"] = json!(map.left);
            json["rightEntity"]["singletonName"] = json!(map.right.trim_end_matches('s'));
            json["detail"]["tags"] = json!(["Finance", null]);
            json["detail"]["isProjectDeleted"] = json!(false);
            json["detail"]["lastRequest"] = Value::Null;
            json["detail"]["group"] = json!({"name": "", "order": 3});
        }
        json
    }

    fn template_json(&self, map: &Map, template: &Template) -> Value {
        let [major, minor, build, revision] = template.version;
        json!({
            "id": self.cased(&template.id), "name": format!("[{}]", map.name), "displayName": map.name,
            "author": template.author, "readOnly": template.author == "Microsoft", "description": null, "tags": [],
            "version": {
                "major": major, "minor": minor, "build": build, "revision": revision, "majorRevision": 0, "minorRevision": revision,
            },
            "createdDateTime": CREATED,
        })
    }

    /// Null where nothing was ever asked for.
    fn requests_json(&self, map: &str) -> Value {
        let own = self
            .requests
            .iter()
            .rev()
            .filter(|request| request.maps.iter().any(|name| name == map));
        let requests: Vec<Value> = own.map(|request| self.request_json(request)).collect();
        if requests.is_empty() {
            return Value::Null;
        }
        json!(requests)
    }

    pub fn request_json(&self, request: &Request) -> Value {
        let lag = self.lag(STATUS_LAG);
        let state = match (request.done + lag <= Instant::now(), &request.error) {
            (false, _) => 1,
            (true, None) => 2,
            (true, Some(_)) => 3,
        };
        let error = (state == 3).then_some(&request.error);
        json!({
            "requestId": self.cased(&request.id), "action": request.action, "createdOn": CREATED, "modifiedOn": CREATED,
            "state": self.state_of(state), "errorMessage": error, "errorUri": null, "rootActivityId": request.id,
        })
    }

    pub fn lag(&self, lag: std::time::Duration) -> std::time::Duration {
        if self.oddities.has(Oddity::Lag) {
            lag
        } else {
            std::time::Duration::ZERO
        }
    }
}

/// A table has a schema once a map needs it.
fn schemas(set: &Set) -> Vec<Value> {
    let now = Instant::now();
    let there = set.maps.iter().filter(|map| map.history.at(now).is_some());
    let schema = |map: &Map| {
        let primary = json!({
            "name": format!("{}id", map.right), "displayName": "Primary key", "fields": [format!("{}id", map.right)],
            "isPrimaryKey": true, "isIntegrationKey": false,
        });
        let own = match set.keys.get(&map.right) {
            Some((name, fields)) => {
                json!({"name": name, "displayName": "Integration key", "fields": fields, "isIntegrationKey": true, "isCustomized": true})
            }
            None => json!({"name": "userKeys", "displayName": null, "fields": []}),
        };
        // Without a key of its own a table sometimes has no list of keys at all.
        let keys = match (set.keys.contains_key(&map.right), map.before.is_empty()) {
            (false, true) => Value::Null,
            _ => json!([primary, own]),
        };
        json!({
            "$id": "4", "targetType": "CRM", "refreshState": "0", "name": map.right, "displayName": map.right,
            "fields": null, "keys": keys, "tenant": contoso::TENANT, "id": format!("{}-schema", map.right), "tags": null,
        })
    };
    there.map(schema).collect()
}
