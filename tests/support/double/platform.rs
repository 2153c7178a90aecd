//! The Power Platform API, the Dataverse Web API, and the finance and operations host.

use serde_json::{Value, json};

use super::oddity::Oddity;
use super::state::State;
use super::wire::{Answer, Call, DATAVERSE, OLD_DATAVERSE, PLATFORM, Reply};
use crate::support::contoso;

const LCS_ENVIRONMENT: &str = "2d1e4b7c-0000-4000-8000-0000000000f0";

impl State {
    pub fn platform(&mut self, call: &Call) -> Answer {
        let path: Vec<&str> = call.segments.iter().map(String::as_str).collect();
        self.next();
        match path.as_slice() {
            ["environmentmanagement", "environments"] if call.is_read() => {
                self.count("environments");
                self.environments(call)
            }
            ["environmentmanagement", "environments", id] if call.is_read() => {
                self.count("environment");
                let found = environments().into_iter().find(|one| is(&one["id"], id));
                found.map_or_else(
                    || {
                        let body = json!({"error": {"code": "EnvironmentNotFound", "message": "The environment could not be found."}});
                        Reply::failed(404, &body).into()
                    },
                    |one| Reply::json(&self.environment(one)).into(),
                )
            }
            ["appmanagement", "environments", id, "applicationPackages"] if call.is_read() => {
                self.count("packages");
                if !id.eq_ignore_ascii_case(contoso::SPEC) {
                    return Reply::json(&json!({"value": []})).into();
                }
                Reply::json(&packages(call.query("appInstallState"))).into()
            }
            _ => self.not_known(call),
        }
    }

    fn environments(&self, call: &Call) -> Answer {
        let all: Vec<Value> = environments()
            .into_iter()
            .map(|one| self.environment(one))
            .collect();
        if !self.oddities.has(Oddity::Pages) {
            return Reply::json(&json!({"value": all})).into();
        }
        let page = if call.query("$skiptoken").is_empty() {
            let next = format!(
                "https://{PLATFORM}/environmentmanagement/environments?api-version={}&$skiptoken=page%202",
                call.query("api-version")
            );
            json!({"@odata.context": "environments", "value": all[..1], "@odata.nextlink": next})
        } else {
            json!({"value": all[1..], "@odata.nextLink": null})
        };
        Reply::json(&page).into()
    }

    fn environment(&self, mut environment: Value) -> Value {
        let id = environment["id"].as_str().unwrap_or_default();
        environment["id"] = json!(self.cased(id));
        if self.oddities.has(Oddity::ExtraFields) {
            environment["governanceConfiguration"] = json!({"settings": null});
            environment["clusterCategory"] = json!("Prod");
            environment["retentionDetails"] = json!([{"retentionPeriod": "P7D"}]);
        }
        environment
    }

    pub fn dataverse(&mut self, call: &Call) -> Answer {
        let path: Vec<&str> = call.segments.iter().map(String::as_str).collect();
        let ["api", "data", _, rest @ ..] = path.as_slice() else {
            return self.not_known(call);
        };
        match rest {
            [function]
                if function.trim_end_matches("()")
                    == "RetrieveFinanceAndOperationsIntegrationDetails" =>
            {
                self.count("integration details");
                if call.host == OLD_DATAVERSE {
                    let body = json!({"error": {
                        "code": "0x80048d0b",
                        "message": "Dataverse instance isn't integrated with finance and operations.",
                        "@Microsoft.PowerApps.CDS.HelpLink": "http://go.microsoft.com/fwlink/?LinkID=398563",
                    }});
                    return Reply::failed(400, &body).into();
                }
                let context =
                    format!("https://{DATAVERSE}/api/data/v9.2/$metadata#Microsoft.Dynamics.CRM");
                Reply::json(&json!({
                    "@odata.context": context, "Url": format!("https://{}/", contoso::HOST.to_uppercase()),
                    "TenantId": contoso::TENANT, "Id": LCS_ENVIRONMENT,
                }))
                .into()
            }
            ["cdm_companies"] => {
                self.count("companies");
                let rows = ["USMF", "DEMF"].map(|code| json!({"@odata.etag": "W/\"1\"", "cdm_companycode": code, "cdm_name": code}));
                Reply::json(&json!({"value": rows})).into()
            }
            ["systemusers"] => {
                self.count("users");
                Reply::json(
                    &json!({"value": [{"applicationid": contoso::CLIENT, "isdisabled": false}]}),
                )
                .into()
            }
            _ => self.not_known(call),
        }
    }

    /// It only ever leads to the sign-in, and nobody has to show it a token.
    pub fn finance_operations(&mut self, call: &Call) -> Answer {
        self.count("finance and operations");
        if call.authorization.is_some() {
            self.violation("a bearer token was sent to the finance and operations host");
        }
        let to = format!(
            "https://login.microsoftonline.com/{}/oauth2/authorize?client_id=00000015",
            contoso::TENANT
        );
        Reply::empty(302).header("location", to).into()
    }
}

fn is(id: &Value, other: &str) -> bool {
    id.as_str().is_some_and(|id| id.eq_ignore_ascii_case(other))
}

/// The one that is integrated, the one that dual-write was left with, and what Lifecycle Services leaves behind.
fn environments() -> Vec<Value> {
    let one = |id: &str, name: &str, label: &str, host: &str| {
        json!({
            "id": id, "displayName": name, "type": "Sandbox", "state": "Enabled", "tenantId": contoso::TENANT,
            "geo": "europe", "azureRegion": "westeurope", "adminMode": "Disabled", "protectionLevel": "Basic",
            "dataverseId": "5a5a0000-0000-4000-8000-0000000000d1", "url": format!("https://{host}/"), "domainName": label,
            "version": "9.2.25103.185", "createdDateTime": "2024-03-11T09:12:44.1234567Z",
        })
    };
    let mut integrated = one(contoso::SPEC, "Contoso UAT", "contoso-uat", DATAVERSE);
    let finance_operations = json!({
        "id": LCS_ENVIRONMENT, "type": "Linked", "url": format!("https://{}/", contoso::HOST),
    });
    integrated["finOpsMetadata"] = finance_operations.clone();
    let mut left = one(
        contoso::SANDBOX,
        "Contoso Test",
        "contoso-test",
        OLD_DATAVERSE,
    );
    left["finOpsMetadata"] = Value::Null;
    let placeholder = json!({
        "id": "7c7c0000-0000-4000-8000-000000000077", "displayName": "contoso-uat (LCS)", "type": "Sandbox",
        "state": "Enabled", "tenantId": contoso::TENANT, "finOpsMetadata": finance_operations,
    });
    vec![left, integrated, placeholder]
}

fn packages(wanted: &str) -> Value {
    let one = |name: &str, version: &str, state: &str| {
        json!({
            "id": format!("2b2b0000-0000-4000-8000-0000000{:05}", name.len()), "uniqueName": name, "version": version,
            "localizedName": name, "applicationName": name, "publisherName": "Microsoft", "state": state,
            "customHandleUpgrade": false, "instancePackageId": null, "errorDetails": null, "lastError": null,
            "singlePageApplicationUrl": null, "supportedCountries": ["NL", "DE"],
        })
    };
    let installed = [
        one(contoso::CORE, "1.0.24103.1", "Installed"),
        one(contoso::APPLICATION, "2.4.24103.1", "installed"),
    ];
    let update = one(contoso::APPLICATION, "2.5.25100.2", "None");
    let value: Vec<Value> = match wanted {
        "Installed" => installed.into(),
        "NotInstalled" => vec![update],
        _ => installed.into_iter().chain([update]).collect(),
    };
    json!({"value": value})
}
