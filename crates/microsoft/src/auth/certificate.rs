//! A client certificate, and the assertions that its key signs.
//!
//! \[D\] Learn, "Microsoft identity platform application authentication certificate credentials": PS256, `x5t#S256`,
//! the token endpoint as audience, a life of minutes.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, crypto};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use sha2::{Digest, Sha256};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

/// How long an assertion is good; Entra takes ten minutes at the most.
const LIFE_SECONDS: i64 = 600;

/// A certificate and its private key. The key stays as text that is wiped, and is read anew for each assertion.
#[derive(Debug, Clone)]
pub struct ClientCertificate {
    key_pem: SecretString,
    thumbprint: String,
    not_before: Timestamp,
    not_after: Timestamp,
}

/// Why a certificate cannot be used: what is wrong, and what to write instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadCertificate {
    /// There is no certificate in it.
    #[error("has no PEM certificate in it (-----BEGIN CERTIFICATE-----)")]
    NoCertificate,
    /// There is no private key in it.
    #[error(
        "has no private key in it: write certificate and key into the same value, as PEM (-----BEGIN PRIVATE KEY-----)"
    )]
    NoKey,
    /// The key is encrypted.
    #[error("has an encrypted private key: decrypt it first, for example with openssl pkey")]
    Encrypted,
    /// The key is none that Entra takes.
    #[error("has a private key that is not RSA with 2048 bits or more: Entra takes no other")]
    NotRsa,
    /// None of the certificates has this key.
    #[error("has a private key that belongs to none of its certificates")]
    Mismatch,
}

#[derive(Serialize)]
struct Claims<'a> {
    aud: &'a str,
    iss: &'a str,
    sub: &'a str,
    jti: String,
    iat: i64,
    nbf: i64,
    exp: i64,
}

impl ClientCertificate {
    /// Reads a certificate and its RSA key from one PEM text; of several certificates the one that the key belongs to.
    ///
    /// # Errors
    /// A part is missing, is of a kind that Entra does not take, or does not belong to the other.
    pub fn from_pem(pem: &str) -> Result<Self, BadCertificate> {
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
            .filter_map(Result::ok)
            .collect();
        if certificates.is_empty() {
            return Err(BadCertificate::NoCertificate);
        }
        let key_pem = private_key(pem)?;
        let key = EncodingKey::from_rsa_pem(key_pem.expose_secret().as_bytes())
            .map_err(|_| BadCertificate::NotRsa)?;
        // A signature that a certificate's key confirms is the proof that both belong together.
        let probe = b"dualwrite-operator";
        let signature = crypto::sign(probe, &key, Algorithm::PS256);
        let signature = signature.map_err(|_| BadCertificate::NotRsa)?;
        let own = certificates.iter().find_map(|der| {
            let (_, certificate) = X509Certificate::from_der(der).ok()?;
            let public = &certificate.public_key().subject_public_key.data;
            let public = DecodingKey::from_rsa_der(public);
            let fits = crypto::verify(&signature, probe, &public, Algorithm::PS256);
            fits.unwrap_or(false).then_some((der, certificate))
        });
        let (der, certificate) = own.ok_or(BadCertificate::Mismatch)?;
        let time = |time: x509_parser::time::ASN1Time| {
            Timestamp::from_second(time.timestamp()).unwrap_or(Timestamp::MAX)
        };
        Ok(Self {
            key_pem,
            thumbprint: URL_SAFE_NO_PAD.encode(Sha256::digest(der)),
            not_before: time(certificate.validity().not_before),
            not_after: time(certificate.validity().not_after),
        })
    }

    /// From when on the certificate is valid.
    pub fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// Until when the certificate is valid.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// SHA-256 of the certificate in base64 for URLs: what tells it from others, and no secret.
    pub fn thumbprint(&self) -> &str {
        &self.thumbprint
    }

    /// The private key, for telling identities apart.
    pub(super) fn key_pem(&self) -> &str {
        self.key_pem.expose_secret()
    }

    /// A statement, signed by the key, that the application is who it says it is.
    pub(super) fn assertion(
        &self,
        client_id: &str,
        audience: &str,
    ) -> Result<SecretString, BadCertificate> {
        let key = EncodingKey::from_rsa_pem(self.key_pem.expose_secret().as_bytes());
        let key = key.map_err(|_| BadCertificate::NotRsa)?;
        let now = Timestamp::now().as_second();
        let header = Header {
            x5t_s256: Some(self.thumbprint.clone()),
            ..Header::new(Algorithm::PS256)
        };
        let claims = Claims {
            aud: audience,
            iss: client_id,
            sub: client_id,
            jti: uuid::Uuid::new_v4().to_string(),
            iat: now,
            nbf: now,
            exp: now + LIFE_SECONDS,
        };
        jsonwebtoken::encode(&header, &claims, &key)
            .map(SecretString::from)
            .map_err(|_| BadCertificate::NotRsa)
    }
}

/// The first private key of a PEM text, as its own PEM text.
fn private_key(pem: &str) -> Result<SecretString, BadCertificate> {
    const END: &str = "PRIVATE KEY-----";
    let mut rest = pem;
    while let Some(at) = rest.find("-----BEGIN ") {
        rest = &rest[at..];
        let label_end = rest["-----BEGIN ".len()..].find("-----");
        let label = label_end.map_or("", |end| &rest[..end + 16]);
        if label.contains("ENCRYPTED") {
            return Err(BadCertificate::Encrypted);
        }
        if label.ends_with(END) {
            let from = label.len();
            let end = rest[from..].find(END).ok_or(BadCertificate::NoKey)?;
            return Ok(rest[..from + end + END.len()].to_owned().into());
        }
        rest = &rest["-----BEGIN ".len()..];
    }
    Err(BadCertificate::NoKey)
}
