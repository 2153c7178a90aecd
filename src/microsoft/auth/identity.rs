//! Who signs in, and for what.

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use url::form_urlencoded::Serializer;

use crate::microsoft::clouds::{AllowedHost, Cloud};

/// Microsoft's public client of the Data Integrator, for which the dual-write service takes user tokens
/// [O toolbAX, Dual-write-automations].
const DUAL_WRITE_CLIENT: &str = "2e49aa60-1bd3-43b6-8ab6-03ada3d9f08b";

/// An identity and its credential. A certificate, a federated token and a refresh token will be variants too.
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
    /// A user account with a password, without multifactor authentication.
    Password {
        /// The tenant, an id or a domain name.
        tenant_id: String,
        /// The user principal name.
        username: String,
        /// The password.
        password: SecretString,
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
    /// The user principal name, of a user account.
    pub fn account(&self) -> Option<&str> {
        match self {
            Self::ClientSecret { .. } => None,
            Self::Password { username, .. } => Some(username),
        }
    }

    /// A digest over the whole identity, secret included: two identities with the same digest are the same.
    ///
    /// SHA-256 in hexadecimal. Every part is preceded by its length, so that parts cannot run into each other, and
    /// the first part names this use and the kind. A short password could be guessed from it: it is a key in
    /// memory, not for logs or objects.
    pub fn digest(&self) -> String {
        let parts: [&str; 4] = match self {
            Self::ClientSecret {
                tenant_id,
                client_id,
                secret,
            } => [
                "dualwrite-operator/identity/client-secret/v1",
                tenant_id,
                client_id,
                secret.expose_secret(),
            ],
            Self::Password {
                tenant_id,
                username,
                password,
            } => [
                "dualwrite-operator/identity/password/v1",
                tenant_id,
                username,
                password.expose_secret(),
            ],
        };
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        hash.finalize()
            .iter()
            .fold(String::with_capacity(64), |hex, byte| {
                format!("{hex}{byte:02x}")
            })
    }

    pub(super) fn tenant(&self) -> &str {
        match self {
            Self::ClientSecret { tenant_id, .. } | Self::Password { tenant_id, .. } => tenant_id,
        }
    }

    pub(super) fn credential(&self) -> &SecretString {
        match self {
            Self::ClientSecret { secret, .. } => secret,
            Self::Password { password, .. } => password,
        }
    }

    /// Whether trying in vain can lock somebody out.
    pub(super) fn locks_when_refused(&self) -> bool {
        matches!(self, Self::Password { .. })
    }

    /// The form of a token request, or why this identity cannot have such a token.
    pub(super) fn form(
        &self,
        audience: &Audience,
        cloud: Cloud,
    ) -> Result<SecretString, &'static str> {
        let scope = audience.scope(cloud);
        let mut form = Serializer::new(String::new());
        match (self, audience) {
            (Self::ClientSecret { .. }, Audience::DualWriteService) => {
                return Err("the dual-write service takes user accounts only, not an application.");
            }
            (Self::Password { .. }, Audience::PowerPlatform | Audience::Dataverse(_)) => {
                return Err("the dual-write account is for the dual-write service only.");
            }
            (
                Self::ClientSecret {
                    client_id, secret, ..
                },
                _,
            ) => form
                .append_pair("grant_type", "client_credentials")
                .append_pair("client_id", client_id)
                .append_pair("client_secret", secret.expose_secret()),
            (
                Self::Password {
                    username, password, ..
                },
                _,
            ) => form
                .append_pair("grant_type", "password")
                .append_pair("client_id", DUAL_WRITE_CLIENT)
                .append_pair("username", username)
                .append_pair("password", password.expose_secret()),
        };
        Ok(form.append_pair("scope", &scope).finish().into())
    }
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
