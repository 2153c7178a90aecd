//! Client assertions: a certificate's, or a federated token. The signature is not checked.

use serde_json::Value;

use super::errors::EntraError;
use super::{Form, field};
use crate::state::Application;

const BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// The audience of federated tokens [D].
const EXCHANGE: &str = "api://AzureADTokenExchange";

/// Checks what the assertion claims against the application.
pub(super) fn check(
    client: &str,
    application: &Application,
    tenant: &str,
    host: &str,
    form: &Form,
) -> Result<(), EntraError> {
    if field(form, "client_assertion_type") != Some(BEARER) {
        return Err(EntraError::MissingParameter(
            "client_assertion_type".to_owned(),
        ));
    }
    let assertion = field(form, "client_assertion").unwrap_or_default();
    let mut parts = assertion.split('.').map(decode);
    let (Some(Some(header)), Some(Some(claims))) = (parts.next(), parts.next()) else {
        return Err(EntraError::AssertionInvalid(
            "It is not a JSON web token.".to_owned(),
        ));
    };
    not_expired(&claims)?;
    let audience = text(&claims, "aud");
    if audience == EXCHANGE {
        return federated(application, &claims, audience);
    }
    let endpoint = format!("https://{host}/{tenant}");
    if !audience.starts_with(&endpoint) {
        return Err(EntraError::AssertionInvalid(format!(
            "The audience '{audience}' is not the token endpoint."
        )));
    }
    certificate(client, application, &header)
}

fn federated(application: &Application, claims: &Value, audience: &str) -> Result<(), EntraError> {
    let (issuer, subject) = (text(claims, "iss"), text(claims, "sub"));
    let known = application
        .federated
        .iter()
        .any(|credential| credential.issuer == issuer && credential.subject == subject);
    if known {
        return Ok(());
    }
    Err(EntraError::NoFederatedIdentity {
        subject: subject.to_owned(),
        issuer: issuer.to_owned(),
        audience: audience.to_owned(),
    })
}

fn certificate(client: &str, application: &Application, header: &Value) -> Result<(), EntraError> {
    let thumbprints = [text(header, "x5t#S256"), text(header, "x5t")];
    let known = application
        .certificates
        .iter()
        .any(|known| thumbprints.contains(&known.as_str()));
    if known {
        return Ok(());
    }
    let thumbprint = thumbprints
        .iter()
        .find(|thumbprint| !thumbprint.is_empty())
        .copied()
        .unwrap_or_default();
    Err(EntraError::AssertionKeyNotFound {
        client: client.to_owned(),
        thumbprint: thumbprint.to_owned(),
    })
}

fn not_expired(claims: &Value) -> Result<(), EntraError> {
    let now = jiff::Timestamp::now().as_second();
    match claims.get("exp").and_then(Value::as_i64) {
        Some(expires) if expires > now => Ok(()),
        _ => Err(EntraError::AssertionInvalid(
            "The assertion has expired, or has no `exp` claim.".to_owned(),
        )),
    }
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn decode(part: &str) -> Option<Value> {
    serde_json::from_slice(&from_base64_url(part)?).ok()
}

/// The few lines of base64 (URL alphabet, no padding) that a token needs.
fn from_base64_url(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut count) = (0_u32, 0_u8);
    for letter in text.trim_end_matches('=').bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'-' | b'+' => 62,
            b'_' | b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from((bits >> count) & 0xff).ok()?);
        }
    }
    Some(bytes)
}
