//! Who signs in, and for what.

use std::sync::Arc;

use futures::future::BoxFuture;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use url::form_urlencoded::Serializer;

use super::certificate::ClientCertificate;
use crate::clouds::{AllowedHost, Cloud};
use crate::error::{Call, CallError, Class};

/// Microsoft's public client of the Data Integrator, for which the dual-write service takes user tokens
/// [O toolbAX, Dual-write-automations].
pub(super) const DUAL_WRITE_CLIENT: &str = "2e49aa60-1bd3-43b6-8ab6-03ada3d9f08b";

/// What has to be asked for beside the service, so that a refresh token comes with the answer \[D\].
pub(super) const FOR_A_REFRESH_TOKEN: &str = "openid profile offline_access";

/// The kind of a client assertion \[D\].
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Gives statements about who an application is, signed by somebody whom Entra was told to trust.
pub trait AssertionSource: Send + Sync {
    /// Whom the statements speak of. A part of the identity, and no secret.
    fn subject(&self) -> String;

    /// A statement that is good for the next minutes.
    fn assertion(&self) -> BoxFuture<'_, Result<SecretString, SourceError>>;
}

/// Why something outside of this module, that signing in needs, could not be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceError {
    /// What should follow.
    pub class: Class,
    /// A reason for a condition, in CamelCase.
    pub reason: Option<&'static str>,
    /// What happened and what to do, without secrets.
    pub message: String,
}

/// A source of statements. Cheap to clone.
#[derive(Clone)]
pub struct Assertions(Arc<dyn AssertionSource>);

impl Assertions {
    /// From this source.
    pub fn new(source: impl AssertionSource + 'static) -> Self {
        Self(Arc::new(source))
    }
}

impl std::fmt::Debug for Assertions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Assertions")
            .field(&self.0.subject())
            .finish()
    }
}

/// Keeps the refresh tokens of one account where the next process finds them.
///
/// A refresh token is replaced each time that it is used. So what Entra gives is kept before it is used.
pub trait RefreshTokenStore: Send + Sync {
    /// Whose tokens these are. A part of the identity, and no secret.
    fn subject(&self) -> String;

    /// The tokens that may work, the one to try first at the front.
    fn tokens(&self) -> BoxFuture<'_, Result<Vec<SecretString>, SourceError>>;

    /// When the token at the front was given, where that is known.
    fn renewed(&self) -> Option<Timestamp> {
        None
    }

    /// Keeps what came in exchange for a token that has worked, beside that one.
    fn keep<'a>(
        &'a self,
        used: &'a SecretString,
        new: &'a SecretString,
    ) -> BoxFuture<'a, Result<(), SourceError>>;
}

/// A store of refresh tokens. Cheap to clone.
#[derive(Clone)]
pub struct RefreshTokens(Arc<dyn RefreshTokenStore>);

impl RefreshTokens {
    /// In this store.
    pub fn new(store: impl RefreshTokenStore + 'static) -> Self {
        Self(Arc::new(store))
    }

    pub(super) fn store(&self) -> &dyn RefreshTokenStore {
        self.0.as_ref()
    }
}

impl std::fmt::Debug for RefreshTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("RefreshTokens")
            .field(&self.0.subject())
            .finish()
    }
}

/// An identity and its credential.
#[derive(Debug, Clone)]
pub enum Identity {
    /// An application with a client secret.
    ClientSecret {
        /// The tenant, an id or a domain name.
        tenant_id: String,
        /// The application (client) id.
        client_id: String,
        /// The secret's value.
        secret: SecretString,
    },
    /// An application with a certificate.
    Certificate {
        /// The tenant, an id or a domain name.
        tenant_id: String,
        /// The application (client) id.
        client_id: String,
        /// The certificate and its key.
        certificate: ClientCertificate,
    },
    /// An application that somebody else vouches for, without any secret of its own.
    Federated {
        /// The tenant, an id or a domain name.
        tenant_id: String,
        /// The application (client) id.
        client_id: String,
        /// Who vouches.
        assertions: Assertions,
    },
    /// A user account with a password, without multifactor authentication.
    Password {
        /// The tenant, an id or a domain name.
        tenant_id: String,
        /// The user principal name.
        username: String,
        /// The password.
        password: SecretString,
    },
    /// A user account that a person has signed in once.
    RefreshToken {
        /// The tenant, an id or a domain name.
        tenant_id: String,
        /// The public client that the token was given to; the one of the dual-write service if not given.
        client_id: Option<String>,
        /// The token that a person has put in: another one is another identity.
        first: SecretString,
        /// Where its successors are.
        tokens: RefreshTokens,
    },
}

/// What a token is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Audience {
    /// The Power Platform API.
    PowerPlatform,
    /// One Dataverse instance.
    Dataverse(AllowedHost),
    /// The dual-write management service.
    DualWriteService,
}

impl Audience {
    /// The scope to ask for. Power Platform and Dataverse \[D\]; dual-write [O toolbAX, Dual-write-automations].
    pub(super) fn scope(&self, cloud: Cloud) -> String {
        match self {
            Self::PowerPlatform => cloud.power_platform_scope(),
            Self::Dataverse(host) => format!("https://{}/.default", host.name()),
            Self::DualWriteService => "https://IntegratorApp.com/.default".to_owned(),
        }
    }
}

impl Identity {
    /// The user principal name, of a user account whose name is known: a refresh token does not tell whose it is.
    pub fn account(&self) -> Option<&str> {
        match self {
            Self::Password { username, .. } => Some(username),
            Self::ClientSecret { .. }
            | Self::Certificate { .. }
            | Self::Federated { .. }
            | Self::RefreshToken { .. } => None,
        }
    }

    /// A digest over the whole identity, secret included: two identities with the same digest are the same.
    ///
    /// SHA-256 in hexadecimal. Every part is preceded by its length, so that parts cannot run into each other, and
    /// the first part names this use and the kind. A short password could be guessed from it: it is a key in
    /// memory, not for logs or objects.
    pub fn digest(&self) -> String {
        match self {
            Self::ClientSecret {
                tenant_id,
                client_id,
                secret,
            } => digest(&[
                "client-secret",
                tenant_id,
                client_id,
                secret.expose_secret(),
            ]),
            Self::Certificate {
                tenant_id,
                client_id,
                certificate,
            } => digest(&[
                "certificate",
                tenant_id,
                client_id,
                certificate.thumbprint(),
                certificate.key_pem(),
            ]),
            Self::Federated {
                tenant_id,
                client_id,
                assertions,
            } => digest(&["federated", tenant_id, client_id, &assertions.0.subject()]),
            Self::Password {
                tenant_id,
                username,
                password,
            } => digest(&["password", tenant_id, username, password.expose_secret()]),
            Self::RefreshToken {
                tenant_id,
                client_id,
                first,
                tokens,
            } => digest(&[
                "refresh-token",
                tenant_id,
                client_id.as_deref().unwrap_or_default(),
                &tokens.0.subject(),
                first.expose_secret(),
            ]),
        }
    }

    pub(super) fn tenant(&self) -> &str {
        match self {
            Self::ClientSecret { tenant_id, .. }
            | Self::Certificate { tenant_id, .. }
            | Self::Federated { tenant_id, .. }
            | Self::Password { tenant_id, .. }
            | Self::RefreshToken { tenant_id, .. } => tenant_id,
        }
    }

    /// Whether it is a person's: trying in vain can lock somebody out, and only the dual-write service takes it.
    pub(super) fn is_user(&self) -> bool {
        matches!(self, Self::Password { .. } | Self::RefreshToken { .. })
    }

    /// Why this identity cannot have such a token, if it cannot.
    pub(super) fn suits(&self, audience: &Audience) -> Result<(), &'static str> {
        match (self.is_user(), audience) {
            (false, Audience::DualWriteService) => {
                Err("the dual-write service takes user accounts only, not an application.")
            }
            (true, Audience::PowerPlatform | Audience::Dataverse(_)) => {
                Err("the dual-write account is for the dual-write service only.")
            }
            _ => Ok(()),
        }
    }

    /// What is sent as proof: the secret, the password, or a statement made for this very request.
    pub(super) async fn proof(
        &self,
        call: Call,
        endpoint: &str,
    ) -> Result<SecretString, CallError> {
        match self {
            Self::ClientSecret { secret, .. } => Ok(secret.clone()),
            Self::Password { password, .. } => Ok(password.clone()),
            Self::RefreshToken { first, .. } => Ok(first.clone()),
            Self::Certificate {
                client_id,
                certificate,
                ..
            } => certificate.assertion(client_id, endpoint).map_err(|bad| {
                let message = format!("The client certificate {bad}.");
                CallError::before_sending(call, Class::NeedsPerson, Some("SecretInvalid"), message)
            }),
            Self::Federated { assertions, .. } => {
                assertions.0.assertion().await.map_err(|why| {
                    CallError::before_sending(call, why.class, why.reason, why.message)
                })
            }
        }
    }

    /// The form of a token request.
    pub(super) fn form(&self, scope: &str, proof: &SecretString) -> SecretString {
        let proof = proof.expose_secret();
        let mut form = Serializer::new(String::new());
        match self {
            Self::ClientSecret { client_id, .. } => form
                .append_pair("grant_type", "client_credentials")
                .append_pair("client_id", client_id)
                .append_pair("client_secret", proof),
            Self::Certificate { client_id, .. } | Self::Federated { client_id, .. } => form
                .append_pair("grant_type", "client_credentials")
                .append_pair("client_id", client_id)
                .append_pair("client_assertion_type", JWT_BEARER)
                .append_pair("client_assertion", proof),
            Self::Password { username, .. } => form
                .append_pair("grant_type", "password")
                .append_pair("client_id", DUAL_WRITE_CLIENT)
                .append_pair("username", username)
                .append_pair("password", proof),
            Self::RefreshToken { client_id, .. } => {
                let client_id = client_id.as_deref().unwrap_or(DUAL_WRITE_CLIENT);
                return form
                    .append_pair("grant_type", "refresh_token")
                    .append_pair("client_id", client_id)
                    .append_pair("refresh_token", proof)
                    .append_pair("scope", &format!("{scope} {FOR_A_REFRESH_TOKEN}"))
                    .finish()
                    .into();
            }
        };
        form.append_pair("scope", scope).finish().into()
    }
}

/// SHA-256 over the parts, each preceded by its length.
fn digest(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in ["dualwrite-operator/identity/v2"].iter().chain(parts) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize()
        .iter()
        .fold(String::with_capacity(64), |hex, byte| {
            format!("{hex}{byte:02x}")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_keep_the_parts_apart() {
        let secret = |tenant: &str, client: &str, secret: &str| Identity::ClientSecret {
            tenant_id: tenant.into(),
            client_id: client.into(),
            secret: secret.to_owned().into(),
        };
        let password = Identity::Password {
            tenant_id: "a".into(),
            username: "b".into(),
            password: "c".to_owned().into(),
        };
        let digests = [
            secret("a", "b", "c").digest(),
            secret("ab", "", "c").digest(),
            secret("a", "bc", "").digest(),
            secret("a", "b", "d").digest(),
            password.digest(),
        ];
        assert_eq!(digests[0], secret("a", "b", "c").digest());
        assert!(digests.iter().all(|d| d.len() == 64));
        assert_eq!(
            digests
                .iter()
                .collect::<std::collections::BTreeSet<_>>()
                .len(),
            digests.len()
        );
    }
}
