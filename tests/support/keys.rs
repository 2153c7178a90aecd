//! RSA keys that belong to nobody, and certificates for them. Committed, because ring cannot make RSA keys.
#![allow(dead_code)] // each binary uses its own part of this

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey;

/// Contoso's.
pub const CONTOSO: &str = include_str!("keys/contoso.pem");
/// Another.
pub const FABRIKAM: &str = include_str!("keys/fabrikam.pem");

/// Midnight, so many days from now.
pub fn midnight(days: i64) -> Timestamp {
    let day = Timestamp::now().to_zoned(TimeZone::UTC) + days.days();
    day.start_of_day().expect("a day begins").timestamp()
}

/// A certificate (PEM) for a key, valid for a year until [`midnight`] of that day.
pub fn certificate(key: &str, days: i64) -> String {
    let key = KeyPair::from_pem(key).expect("an RSA key");
    let ymd = |days| {
        let day = midnight(days).to_zoned(TimeZone::UTC);
        let small = |number: i8| u8::try_from(number).expect("a day or month");
        rcgen::date_time_ymd(day.year().into(), small(day.month()), small(day.day()))
    };
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params
        .distinguished_name
        .push(DnType::CommonName, "contoso-dual-write");
    params.not_before = ymd(days - 365);
    params.not_after = ymd(days);
    params.self_signed(&key).expect("a certificate").pem()
}

/// A token over these claims, signed with a key.
pub fn signed(header: &Header, claims: &Value, key: &str) -> String {
    let key = EncodingKey::from_rsa_pem(key.as_bytes()).expect("an RSA key");
    jsonwebtoken::encode(header, claims, &key).expect("a token")
}

/// PS256, as Entra documents it.
pub fn header(thumbprint: &str) -> Header {
    Header {
        x5t_s256: Some(thumbprint.to_owned()),
        ..Header::new(Algorithm::PS256)
    }
}

/// As an issuer of tokens writes it.
pub fn issuer_header() -> Header {
    Header {
        kid: Some("1".to_owned()),
        ..Header::new(Algorithm::RS256)
    }
}

/// The key set that an issuer with this key publishes.
pub fn jwks(key: &str) -> Value {
    let der = CertificateDer::from_pem_slice(certificate(key, 90).as_bytes()).expect("PEM");
    let (_, parsed) = X509Certificate::from_der(&der).expect("a certificate");
    let Ok(PublicKey::RSA(public)) = parsed.public_key().parsed() else {
        panic!("an RSA key");
    };
    let number = |bytes: &[u8]| {
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        URL_SAFE_NO_PAD.encode(&bytes[zeros..])
    };
    json!({"keys": [{"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "1", "n": number(public.modulus), "e": number(public.exponent)}]})
}

/// SHA-256 of a certificate, as `x5t#S256` writes it.
pub fn thumbprint(certificate: &str) -> String {
    let der = CertificateDer::from_pem_slice(certificate.as_bytes()).expect("a certificate");
    URL_SAFE_NO_PAD.encode(Sha256::digest(der))
}
