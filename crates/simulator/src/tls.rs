//! One certificate authority, made at start, and one leaf certificate per server name.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// More names than any scenario has; past it certificates are made and not kept.
const MOST_LEAVES: usize = 20_000;

/// Makes and keeps the certificates.
pub(crate) struct Certificates {
    issuer: Issuer<'static, KeyPair>,
    leaf_key: KeyPair,
    signing_key: Arc<dyn rustls::sign::SigningKey>,
    leaves: Mutex<HashMap<String, Arc<CertifiedKey>>>,
    ca_pem: String,
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Certificates")
    }
}

impl Certificates {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let ca_key = KeyPair::generate().context("the key of the certificate authority")?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(
            DnType::CommonName,
            "dualwrite-simulator (made at start, never trust it elsewhere)",
        );
        let ca_pem = params.self_signed(&ca_key)?.pem();
        let leaf_key = KeyPair::generate().context("the key of the servers")?;
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(leaf_key.serialize_der()));
        let signing_key = rustls::crypto::ring::sign::any_supported_type(&der)?;
        Ok(Self {
            issuer: Issuer::new(params, ca_key),
            leaf_key,
            signing_key,
            leaves: Mutex::default(),
            ca_pem,
        })
    }

    pub(crate) fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The configuration of the listener: HTTP/2 and HTTP/1.1, certificates by server name.
    pub(crate) fn server_config(self: &Arc<Self>) -> anyhow::Result<rustls::ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }

    fn leaf(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        let name = name.to_ascii_lowercase();
        let mut leaves = self.leaves.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(leaf) = leaves.get(&name) {
            return Some(Arc::clone(leaf));
        }
        match self.make(&name) {
            Ok(leaf) => {
                if leaves.len() < MOST_LEAVES {
                    leaves.insert(name, Arc::clone(&leaf));
                }
                Some(leaf)
            }
            Err(error) => {
                tracing::warn!(%name, %error, "no certificate for this server name");
                None
            }
        }
    }

    fn make(&self, name: &str) -> Result<Arc<CertifiedKey>, rcgen::Error> {
        let mut params = CertificateParams::new(vec![name.to_owned()])?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        // A common name holds at most 64 characters; the name that counts is the alternative name.
        params
            .distinguished_name
            .push(DnType::CommonName, "dualwrite-simulator");
        params.use_authority_key_identifier_extension = true;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.signed_by(&self.leaf_key, &self.issuer)?;
        let chain = vec![CertificateDer::from(certificate.der().to_vec())];
        Ok(Arc::new(CertifiedKey::new(
            chain,
            Arc::clone(&self.signing_key),
        )))
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.leaf(hello.server_name().unwrap_or("localhost"))
    }
}
