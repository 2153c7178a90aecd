//! Client assertions: a certificate's, or a federated token. Signature, audience, time and issuer are checked as
//! Entra does [D]; the numbers of the refusals that tell time and audience apart are [I].

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, decode, decode_header};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use super::errors::EntraError;
use super::{Form, field};
use crate::state::{Application, Federated};

const BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// The audience of federated tokens [D].
const EXCHANGE: &str = "api://AzureADTokenExchange";

/// Checks an assertion against the application.
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
    let header = decode_header(assertion)
        .map_err(|_| EntraError::AssertionInvalid("It is not a JSON web token.".to_owned()))?;
    // What it claims decides which check it has to pass; nothing of it is believed before.
    let claims = unproven_claims(assertion)?;
    if text(&claims, "iss") == client {
        let endpoint = format!("https://{host}/{tenant}/oauth2/v2.0/token");
        certificate(client, application, &header, assertion, &endpoint)
    } else {
        federated(application, &claims, &header, assertion)
    }
}

fn certificate(
    client: &str,
    application: &Application,
    header: &Header,
    assertion: &str,
    endpoint: &str,
) -> Result<(), EntraError> {
    let thumbprint = header.x5t_s256.as_deref().unwrap_or_default();
    let not_found = || EntraError::AssertionKeyNotFound {
        client: client.to_owned(),
        thumbprint: thumbprint.to_owned(),
    };
    if ![Algorithm::PS256, Algorithm::RS256].contains(&header.alg) {
        return Err(EntraError::AssertionInvalid(
            "Its algorithm is neither PS256 nor RS256.".to_owned(),
        ));
    }
    let der = application
        .certificates
        .iter()
        .filter_map(|pem| CertificateDer::from_pem_slice(pem.as_bytes()).ok())
        .find(|der| URL_SAFE_NO_PAD.encode(Sha256::digest(der)) == thumbprint)
        .ok_or_else(not_found)?;
    let (_, known) = X509Certificate::from_der(&der).map_err(|_| not_found())?;
    if !known.validity().is_valid() {
        return Err(EntraError::AssertionKeyExpired {
            client: client.to_owned(),
            thumbprint: thumbprint.to_owned(),
        });
    }
    let key = DecodingKey::from_rsa_der(&known.public_key().subject_public_key.data);
    let claims =
        proven_claims(assertion, &key, header.alg, endpoint).map_err(|error| {
            match error.kind() {
                ErrorKind::InvalidSignature => not_found(),
                _ => invalid(&error),
            }
        })?;
    let number = |name: &str| claims.get(name).and_then(Value::as_i64);
    let lives = number("exp").zip(number("nbf"));
    if text(&claims, "sub") != client || text(&claims, "jti").is_empty() {
        return Err(EntraError::AssertionInvalid(
            "The claim `sub` is not the application, or `jti` is missing.".to_owned(),
        ));
    }
    if lives.is_none_or(|(until, from)| until - from > 600) {
        return Err(EntraError::AssertionTime);
    }
    Ok(())
}

fn federated(
    application: &Application,
    claims: &Value,
    header: &Header,
    assertion: &str,
) -> Result<(), EntraError> {
    let (issuer, subject) = (text(claims, "iss"), text(claims, "sub"));
    let audience = claims["aud"][0].as_str().unwrap_or(text(claims, "aud"));
    let known = application
        .federated
        .iter()
        .find(|known| known.issuer == issuer && known.subject == subject)
        .filter(|_| audience == EXCHANGE)
        .ok_or_else(|| EntraError::NoFederatedIdentity {
            subject: subject.to_owned(),
            issuer: issuer.to_owned(),
            audience: audience.to_owned(),
        })?;
    let key = issuer_key(known, header).ok_or(EntraError::AssertionSignature)?;
    proven_claims(assertion, &key, header.alg, EXCHANGE).map_err(|error| match error.kind() {
        ErrorKind::InvalidSignature | ErrorKind::InvalidAlgorithm => EntraError::AssertionSignature,
        _ => invalid(&error),
    })?;
    Ok(())
}

/// The key that the issuer publishes under the id that the token names.
fn issuer_key(known: &Federated, header: &Header) -> Option<DecodingKey> {
    let keys: JwkSet = serde_json::from_value(known.keys.clone()).ok()?;
    let key = keys.find(header.kid.as_deref()?)?;
    DecodingKey::from_jwk(key).ok()
}

fn proven_claims(
    assertion: &str,
    key: &DecodingKey,
    algorithm: Algorithm,
    audience: &str,
) -> Result<Value, Error> {
    let mut validation = Validation::new(algorithm);
    validation.set_audience(&[audience]);
    validation.validate_nbf = true;
    Ok(decode::<Value>(assertion, key, &validation)?.claims)
}

fn invalid(error: &Error) -> EntraError {
    match error.kind() {
        ErrorKind::ExpiredSignature | ErrorKind::ImmatureSignature => EntraError::AssertionTime,
        ErrorKind::InvalidAudience => EntraError::AssertionAudience,
        _ => EntraError::AssertionInvalid(format!("{error}.")),
    }
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn unproven_claims(assertion: &str) -> Result<Value, EntraError> {
    let middle = assertion.split('.').nth(1).unwrap_or_default();
    URL_SAFE_NO_PAD
        .decode(middle)
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .ok_or_else(|| EntraError::AssertionInvalid("It is not a JSON web token.".to_owned()))
}
