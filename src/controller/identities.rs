//! Secrets to sessions. Resources with the same credential share one session: its tokens, its limits, and one list of
//! environments an interval. Nothing that was read with one credential is shown to a resource that does not hold it,
//! because a session is found only by a digest over the whole credential.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use secrecy::SecretString;

use super::{context::Context, observe::problem};
use crate::{
    api::{
        Reason,
        connection::{Cloud, Credentials, DualWriteService},
    },
    microsoft::{
        Session,
        auth::{Identity, Limits},
        error::CallError,
        power_platform::{self, EnvironmentList},
    },
    plan::observed::Problem,
};

/// How many sessions are kept at the most; the one that was used longest ago goes first.
const MOST_SESSIONS: usize = 2_000;

/// The sessions of this process.
#[derive(Default)]
pub struct Identities {
    known: Mutex<HashMap<(Cloud, String), Known>>,
}

struct Known {
    shared: Arc<Shared>,
    used: Timestamp,
}

/// One credential's session and what was read with it.
pub struct Shared {
    /// The session.
    pub session: Session,
    /// Whose it is, of a user account.
    pub account: Option<String>,
    environments: tokio::sync::Mutex<Option<Snapshot>>,
}

/// A list of environments, and when it was read.
#[derive(Clone)]
pub struct Snapshot {
    /// When the read began.
    pub began: Timestamp,
    /// What came of it.
    pub list: Result<Arc<EnvironmentList>, CallError>,
}

impl Shared {
    /// The environments that this credential sees, from a read that began at `not_before` or later. Whoever asks while
    /// a read is under way waits for it.
    pub async fn environments(&self, not_before: Timestamp) -> Snapshot {
        let mut kept = self.environments.lock().await;
        if let Some(snapshot) = kept
            .as_ref()
            .filter(|snapshot| snapshot.began >= not_before)
        {
            return snapshot.clone();
        }
        let began = super::now();
        let list = power_platform::environments(&self.session)
            .await
            .map(Arc::new);
        let snapshot = Snapshot { began, list };
        *kept = Some(snapshot.clone());
        snapshot
    }
}

impl Identities {
    fn shared(&self, context: &Context, cloud: Cloud, identity: Identity) -> Arc<Shared> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (cloud, identity.digest());
        let now = super::now();
        if let Some(found) = known.get_mut(&key) {
            found.used = now;
            return Arc::clone(&found.shared);
        }
        if known.len() >= MOST_SESSIONS {
            let oldest = known
                .iter()
                .min_by_key(|(_, known)| known.used)
                .map(|(key, _)| key.clone());
            oldest.and_then(|key| known.remove(&key));
        }
        let account = identity.account().map(str::to_owned);
        let session = Session::new(
            context.http.clone(),
            cloud.into(),
            context.hosts.clone(),
            identity,
            Limits::default(),
        );
        let shared = Arc::new(Shared {
            session,
            account,
            environments: tokio::sync::Mutex::default(),
        });
        known.insert(
            key,
            Known {
                shared: Arc::clone(&shared),
                used: now,
            },
        );
        shared
    }
}

/// The session of a resource's application identity.
///
/// # Errors
/// The Secret cannot be read or used; the problem says what to do.
pub async fn application(
    context: &Context,
    namespace: &str,
    cloud: Cloud,
    credentials: &Credentials,
) -> Result<Arc<Shared>, Problem> {
    let Some(reference) = &credentials.secret_ref else {
        return Err(Problem::needs_person(
            Reason::SecretInvalid,
            "credentials.secretRef is missing: name a Secret with the keys clientId and clientSecret.",
        ));
    };
    let secret = Keys::read(context, namespace, &reference.name).await?;
    secret.refuse(
        "clientCertificate",
        "client certificates are not supported yet: use the key clientSecret",
    )?;
    let identity = Identity::ClientSecret {
        tenant_id: credentials.tenant_id.clone(),
        client_id: secret.text(
            "clientId",
            "the application (client) id of the app registration in Entra",
        )?,
        secret: SecretString::from(secret.text(
            "clientSecret",
            "the value of the app registration's client secret",
        )?),
    };
    Ok(context.identities.shared(context, cloud, identity))
}

/// The session of a resource's dual-write account.
///
/// # Errors
/// The Secret cannot be read or used; the problem says what to do.
pub async fn dual_write_account(
    context: &Context,
    namespace: &str,
    cloud: Cloud,
    tenant_id: &str,
    service: &DualWriteService,
) -> Result<Arc<Shared>, Problem> {
    let secret = Keys::read(context, namespace, &service.secret_ref.name).await?;
    secret.refuse(
        "refreshToken",
        "refresh tokens are not supported yet: use the keys username and password",
    )?;
    let identity = Identity::Password {
        tenant_id: tenant_id.to_owned(),
        username: secret.text(
            "username",
            "the sign-in name of the account that uses dual-write",
        )?,
        password: SecretString::from(secret.text("password", "its password")?),
    };
    Ok(context.identities.shared(context, cloud, identity))
}

/// A Secret's keys. Secrets are read by name when they are needed; no right to list or watch them is asked for.
struct Keys {
    namespace: String,
    name: String,
    secret: Secret,
}

impl Keys {
    async fn read(context: &Context, namespace: &str, name: &str) -> Result<Self, Problem> {
        let secrets: Api<Secret> = Api::namespaced(context.client.clone(), namespace);
        match secrets.get(name).await {
            Ok(secret) => Ok(Self {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
                secret,
            }),
            Err(kube::Error::Api(status)) if status.code == 404 => Err(Problem::needs_person(
                Reason::SecretNotFound,
                format!(
                    "The Secret '{name}' does not exist in namespace '{namespace}': create it there, or correct its name in the spec."
                ),
            )),
            Err(kube::Error::Api(status)) if status.code == 403 => {
                Err(not_granted(context, namespace))
            }
            Err(error) => Err(Problem::transient(format!(
                "The Secret '{name}' could not be read: {}",
                problem::kubernetes(&error)
            ))),
        }
    }

    fn refuse(&self, key: &str, why: &str) -> Result<(), Problem> {
        if self.value(key).is_none() {
            return Ok(());
        }
        Err(self.invalid(&format!("has the key {key}; {why}")))
    }

    fn text(&self, key: &str, what: &str) -> Result<String, Problem> {
        let Some(bytes) = self.value(key) else {
            return Err(self.invalid(&format!("lacks the key {key}: {what}")));
        };
        let text = std::str::from_utf8(bytes)
            .map_err(|_| self.invalid(&format!("has a {key} that is not text")))?;
        // Editors and `echo` leave a line end behind, which no id, name or secret has.
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() {
            return Err(self.invalid(&format!("has an empty {key}: {what}")));
        }
        Ok(text.to_owned())
    }

    fn value(&self, key: &str) -> Option<&Vec<u8>> {
        self.secret.data.as_ref()?.get(key).map(|value| &value.0)
    }

    fn invalid(&self, what: &str) -> Problem {
        Problem::needs_person(
            Reason::SecretInvalid,
            format!(
                "The Secret '{}' in namespace '{}' {what}.",
                self.name, self.namespace
            ),
        )
    }
}

/// The operator may not work in a namespace that has not opted in.
pub fn not_granted(context: &Context, namespace: &str) -> Problem {
    Problem::needs_person(
        Reason::NamespaceNotGranted,
        format!(
            "The operator may not read Secrets in namespace '{namespace}'. Whoever owns the namespace grants it with: \
             kubectl create rolebinding dualwrite-operator --clusterrole=dualwrite-operator-namespace \
             --serviceaccount={} -n {namespace}",
            context.options.service_account
        ),
    )
}

impl From<Cloud> for crate::microsoft::Cloud {
    fn from(cloud: Cloud) -> Self {
        match cloud {
            Cloud::Public => Self::Public,
            Cloud::Gcc => Self::Gcc,
            Cloud::GccHigh => Self::GccHigh,
            Cloud::DoD => Self::DoD,
            Cloud::China => Self::China,
        }
    }
}
