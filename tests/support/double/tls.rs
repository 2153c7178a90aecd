//! Microsoft's host names, on the loopback address.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::wire::HOSTS;

/// The certificate of a fresh authority, and what accepts connections for every host in its name.
pub fn acceptor() -> (String, TlsAcceptor) {
    let mut params = named("double authority", &[]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    let issuer = CertifiedIssuer::self_signed(params, key()).expect("a self-signed authority");
    let mut params = named("double", &HOSTS);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let own = key();
    let certificate = params.signed_by(&own, &issuer).expect("a certificate");
    let chain = vec![CertificateDer::from_pem_slice(certificate.pem().as_bytes()).expect("PEM")];
    let private = PrivateKeyDer::from_pem_slice(own.serialize_pem().as_bytes()).expect("PEM");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("TLS 1.2 or 1.3")
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .expect("a certificate with its key");
    (issuer.pem(), TlsAcceptor::from(Arc::new(config)))
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key pair can be made")
}

fn named(name: &str, hosts: &[&str]) -> CertificateParams {
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let mut params = CertificateParams::new(hosts).expect("valid host names");
    params.distinguished_name.push(DnType::CommonName, name);
    params
}
