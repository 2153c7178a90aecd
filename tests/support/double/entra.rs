//! The token endpoint.

use std::collections::BTreeMap;

use http::Method;
use serde_json::json;

use super::oddity::Oddity;
use super::state::State;
use super::wire::{Answer, Call, Reply};
use crate::support::contoso;

/// The public client of the dual-write page.
const PUBLIC_CLIENT: &str = "2e49aa60-1bd3-43b6-8ab6-03ada3d9f08b";
pub const INTEGRATOR: &str = "https://IntegratorApp.com";

impl State {
    pub fn token(&mut self, call: &Call) -> Answer {
        if call.authorization.is_some() {
            self.violation("a bearer token was sent to the token endpoint");
        }
        let path = call.segments.join("/");
        if call.method != Method::POST || path != format!("{}/oauth2/v2.0/token", contoso::TENANT) {
            return self.not_known(call);
        }
        let form: BTreeMap<String, String> = url::form_urlencoded::parse(&call.body)
            .into_owned()
            .collect();
        let field = |name: &str| form.get(name).map_or("", String::as_str);
        let scope = field("scope").split(' ').next().unwrap_or_default();
        let Some(audience) = scope.strip_suffix("/.default") else {
            return refused("AADSTS70011", "The provided value for scope is not valid.");
        };
        let delegated = audience.eq_ignore_ascii_case(INTEGRATOR);
        match field("grant_type") {
            "client_credentials" if delegated => refused(
                "AADSTS65002",
                "Consent between first party application and first party resource must be configured via preauthorization.",
            ),
            "client_credentials"
                if field("client_id") != contoso::CLIENT
                    || field("client_secret") != "contoso-secret" =>
            {
                refused("AADSTS7000215", "Invalid client secret provided.")
            }
            "client_credentials" => self.issue(audience, false),
            "password" if !delegated || field("client_id") != PUBLIC_CLIENT => refused(
                "AADSTS65001",
                "The user or administrator has not consented.",
            ),
            "password"
                if field("username") != contoso::ACCOUNT
                    || field("password") != "contoso-password" =>
            {
                refused(
                    "AADSTS50126",
                    "Error validating credentials due to invalid username or password.",
                )
            }
            "password" => self.issue(audience, true),
            _ => refused(
                "AADSTS70003",
                "The app requested an unsupported grant type.",
            ),
        }
    }

    fn issue(&mut self, audience: &str, delegated: bool) -> Answer {
        self.count("token");
        let token = format!("eyJ0eXAi.{}", uuid::Uuid::new_v4().simple());
        self.tokens
            .insert(token.clone(), audience.to_ascii_lowercase());
        let mut body = json!({
            "token_type": "Bearer",
            "expires_in": 4271,
            "ext_expires_in": 4271,
            "access_token": token,
        });
        if delegated {
            body["scope"] = json!(
                "https://IntegratorApp.com/user_impersonation https://IntegratorApp.com/.default"
            );
            body["refresh_token"] = json!(format!("0.AX{}", uuid::Uuid::new_v4().simple()));
            body["id_token"] = json!("eyJ0eXAi.eyJ1cG4i.");
            body["client_info"] = json!("eyJ1aWQi");
        }
        let mut reply = Reply::json(&body).header("cache-control", "no-store, no-cache".to_owned());
        if self.oddities.has(Oddity::Encodings) {
            "application/json; charset=utf-8".clone_into(&mut reply.headers[0].1);
        }
        reply.into()
    }

    /// Whether a call carries a token for its host; a token for another host is what no client may send.
    pub fn is_authorized(&mut self, call: &Call, audience: &str) -> bool {
        let token = call.authorization.as_deref().unwrap_or_default();
        let token = token.strip_prefix("Bearer ").unwrap_or_default();
        if token.is_empty() {
            self.violation(&format!("{} came without a token", call.name()));
            return false;
        }
        match self.tokens.get(token) {
            Some(issued) if *issued == audience.to_ascii_lowercase() => true,
            Some(issued) => {
                let told = format!("{} came with a token for {issued}", call.name());
                self.violation(&told);
                false
            }
            // It has ended, or was never issued.
            None => false,
        }
    }

    /// Tokens for this audience are not taken any more.
    pub fn expire(&mut self, audience: &str) {
        self.trouble("expired tokens");
        let audience = audience.to_ascii_lowercase();
        self.tokens.retain(|_, issued| *issued != audience);
    }
}

fn refused(code: &str, text: &str) -> Answer {
    let description = format!(
        "{code}: {text} Trace ID: 6d2f1c3a-0000-4000-8000-000000000900 Correlation ID: 6d2f1c3a-0000-4000-8000-000000000901 \
         Timestamp: 2026-11-25 08:00:00Z"
    );
    let number: u64 = code.trim_start_matches("AADSTS").parse().unwrap_or(0);
    let body = json!({"error": "invalid_request", "error_description": description, "error_codes": [number]});
    Reply::failed(400, &body).into()
}
