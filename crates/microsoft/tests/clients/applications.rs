//! Applications without a client secret: certificates, and tokens of somebody whom Entra trusts.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dualwrite_microsoft::auth::{
    AssertionSource, Assertions, BadCertificate, ClientCertificate, SourceError,
};
use dualwrite_microsoft::{Audience, Class, Identity};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use secrecy::SecretString;
use serde_json::Value;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::keys;
use crate::support::*;

const ENDPOINT: &str =
    "https://login.microsoftonline.com/72f988bf-0000-4000-8000-000000000001/oauth2/v2.0/token";
const CLIENT: &str = "11111111-0000-4000-8000-000000000001";

fn with_certificate(pem: &str) -> Identity {
    Identity::Certificate {
        tenant_id: "72f988bf-0000-4000-8000-000000000001".into(),
        client_id: CLIENT.into(),
        certificate: ClientCertificate::from_pem(pem).unwrap(),
    }
}

/// The fields of the form that was sent.
fn field(seen: &Seen, name: &str) -> String {
    url::form_urlencoded::parse(seen.body.as_bytes())
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

#[tokio::test]
async fn a_certificate_signs_an_assertion_for_the_token_endpoint() {
    let server = Server::start(|_, _| json(404, "{}")).await;
    let certificate = keys::certificate(keys::CONTOSO, 90);
    let pem = format!("{}{certificate}", keys::CONTOSO);
    let session = session(server.http(), with_certificate(&pem));
    session.token(&Audience::PowerPlatform).await.unwrap();
    pass(Duration::from_hours(1)).await;
    session.token(&Audience::PowerPlatform).await.unwrap();
    let seen = server.seen();
    assert_eq!(field(&seen[0], "grant_type"), "client_credentials");
    assert_eq!(
        field(&seen[0], "client_assertion_type"),
        "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    );
    assert_eq!(field(&seen[0], "client_secret"), "");

    let der = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
    let (_, parsed) = X509Certificate::from_der(&der).unwrap();
    let key = DecodingKey::from_rsa_der(&parsed.public_key().subject_public_key.data);
    let mut validation = Validation::new(Algorithm::PS256);
    validation.set_audience(&[ENDPOINT]);
    let read = |seen: &Seen| {
        let token = field(seen, "client_assertion");
        jsonwebtoken::decode::<Value>(&token, &key, &validation).unwrap()
    };
    let (first, second) = (read(&seen[0]), read(&seen[1]));
    assert_eq!(first.header.x5t_s256, Some(keys::thumbprint(&certificate)));
    let claims = &first.claims;
    assert_eq!(
        (&claims["iss"], &claims["sub"]),
        (&CLIENT.into(), &CLIENT.into())
    );
    let life = claims["exp"].as_i64().unwrap() - claims["nbf"].as_i64().unwrap();
    assert!((60..=600).contains(&life), "{life}");
    assert_ne!(claims["jti"], second.claims["jti"], "each is used once");
}

#[test]
fn a_certificate_that_cannot_be_used_is_named() {
    let own = keys::certificate(keys::CONTOSO, 90);
    let other = keys::certificate(keys::FABRIKAM, 90);
    let elliptic = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    for (pem, expected) in [
        (keys::CONTOSO.to_owned(), BadCertificate::NoCertificate),
        ("PEM".to_owned(), BadCertificate::NoCertificate),
        (own.clone(), BadCertificate::NoKey),
        (format!("{own}{encrypted}"), BadCertificate::Encrypted),
        (format!("{own}{elliptic}"), BadCertificate::NotRsa),
        (
            format!("{other}{}", keys::CONTOSO),
            BadCertificate::Mismatch,
        ),
        (
            format!("{own}-----BEGIN PRIVATE KEY-----\nAA"),
            BadCertificate::NoKey,
        ),
    ] {
        assert_eq!(ClientCertificate::from_pem(&pem).unwrap_err(), expected);
    }
    // A chain: the certificate that has the key is taken, wherever it stands.
    let chain = format!("{other}{own}{}", keys::CONTOSO);
    let read = ClientCertificate::from_pem(&chain).unwrap();
    assert_eq!(read.thumbprint(), keys::thumbprint(&own));
    assert_eq!(read.not_after(), keys::midnight(90));
    assert!(!format!("{read:?}").contains("PRIVATE"), "{read:?}");
}

/// Vouches with a new statement each time, until it fails.
struct Vouches(AtomicUsize);

impl AssertionSource for Vouches {
    fn subject(&self) -> String {
        "system:serviceaccount:erp:entra".into()
    }

    fn assertion(&self) -> BoxFuture<'_, Result<SecretString, SourceError>> {
        let number = self.0.fetch_add(1, Ordering::SeqCst);
        let answer = if number < 2 {
            Ok(format!("marker-assertion-{number}").into())
        } else {
            Err(SourceError {
                class: Class::NeedsPerson,
                reason: Some("ServiceAccountNotFound"),
                message: "The ServiceAccount is gone.".into(),
            })
        };
        async { answer }.boxed()
    }
}

#[tokio::test]
async fn a_federated_application_asks_for_a_new_statement_each_time() {
    let server = Server::bare(|seen, before| match before {
        0 => token(0),
        _ => json(
            401,
            format!(
                r#"{{"error":"invalid_client","error_description":"AADSTS700211: {}"}}"#,
                seen.body
            ),
        ),
    })
    .await;
    let identity = Identity::Federated {
        tenant_id: "72f988bf-0000-4000-8000-000000000001".into(),
        client_id: CLIENT.into(),
        assertions: Assertions::new(Vouches(AtomicUsize::new(0))),
    };
    let shown = format!("{identity:?}");
    let session = session(server.http(), identity);
    session.token(&Audience::PowerPlatform).await.unwrap();
    pass(Duration::from_hours(1)).await;
    let refused = session.token(&Audience::PowerPlatform).await.unwrap_err();
    assert_eq!(refused.reason, Some("FederationRefused"));
    assert!(!refused.to_string().contains("marker"), "{refused}");
    assert!(
        shown.contains("erp:entra") && !shown.contains("marker"),
        "{shown}"
    );
    for (number, seen) in server.seen().iter().enumerate() {
        assert_eq!(
            field(seen, "client_assertion"),
            format!("marker-assertion-{number}")
        );
    }
    let gone = session.token(&Audience::PowerPlatform).await.unwrap_err();
    assert_eq!(
        (gone.reason, gone.class),
        (Some("ServiceAccountNotFound"), Class::NeedsPerson)
    );
    assert_eq!(gone.to_string(), "The ServiceAccount is gone.");
    assert_eq!(
        server.seen().len(),
        2,
        "without a statement nothing is sent"
    );
}
