//! TLS: version 1.2 or later, the system's certificates and the administrator's.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls_platform_verifier::Verifier;

use super::HttpSetupError;

/// The configuration without ALPN, which reads and mutations set differently.
pub(super) fn config(extra_ca_pem: Option<&[u8]>) -> Result<ClientConfig, HttpSetupError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier =
        Verifier::new_with_extra_roots(extra_roots(extra_ca_pem)?, Arc::clone(&provider))?;
    Ok(ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}

/// A file without a single certificate is a mistake, not "no extra certificates".
fn extra_roots(pem: Option<&[u8]>) -> Result<Vec<CertificateDer<'static>>, HttpSetupError> {
    let Some(pem) = pem else {
        return Ok(Vec::new());
    };
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(certificates) if certificates.is_empty() => Err(HttpSetupError::ExtraCa(
            "there is no PEM certificate in it".to_owned(),
        )),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(HttpSetupError::ExtraCa(error.to_string())),
    }
}
