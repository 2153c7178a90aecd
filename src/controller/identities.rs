//! Secrets to sessions. Resources with the same credential share one session: its tokens, its limits, and one list of
//! environments an interval. Nothing that was read with one credential is shown to a resource that does not hold it,
//! because a session is found only by a digest over the whole credential.

mod ambient;
mod keys;
mod service_account;
mod token_store;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use secrecy::ExposeSecret;

pub use self::ambient::Ambient;
use self::{
    keys::Keys,
    service_account::ServiceAccountTokens,
    token_store::{Origin, TokenStore},
};
use super::{
    context::Context,
    kept::{Kept, Weighed},
};
use dualwrite_api::{
    Reason, conditions,
    connection::{
        Cloud, CredentialKind, CredentialRefusal, CredentialSource, CredentialStatus,
        CredentialUse, Credentials, DualWriteService,
    },
};
use dualwrite_microsoft::{
    Session,
    auth::{Assertions, ClientCertificate, Identity, Limits, RefreshTokens},
    error::CallError,
    power_platform::{self, EnvironmentList},
};
use dualwrite_plan::observed::Problem;

/// How many sessions are kept at the most.
const MOST_SESSIONS: usize = 2_000;

/// How much is kept of all lists of environments, in bytes.
const MOST_OF_ENVIRONMENTS: usize = 24 << 20;

/// The sessions of this process.
pub struct Identities {
    sessions: Kept<Shared>,
    environments: Arc<Kept<Snapshot>>,
}

impl Default for Identities {
    fn default() -> Self {
        Self {
            sessions: Kept::new(MOST_SESSIONS),
            environments: Arc::new(Kept::new(MOST_OF_ENVIRONMENTS)),
        }
    }
}

/// A resource's way to sign in, and what can be told of it.
pub struct SignedBy {
    /// The session, shared with others that have the same credential.
    pub shared: Arc<Shared>,
    credential: CredentialStatus,
    secret: Option<Version>,
}

/// Which version of a Secret a credential is from.
struct Version {
    uid: String,
    resource_version: String,
}

/// How long a refresh token lives when nobody uses it [D].
const REFRESH_TOKEN_DAYS: i64 = 90;

impl SignedBy {
    /// What is known of the credential before it is used.
    pub const fn credential(&self) -> &CredentialStatus {
        &self.credential
    }

    /// What can be told now, after the session was used.
    pub fn status(&self) -> CredentialStatus {
        let mut status = self.credential.clone();
        // By the day, so that a status is not written with each new token.
        let renewed = self.shared.session.renewed();
        if let Some(renewed) = renewed.filter(|_| status.expires_at.is_none()) {
            let day = Timestamp::from_second(renewed.as_second() / 86_400 * 86_400);
            let life = jiff::SignedDuration::from_hours(24 * REFRESH_TOKEN_DAYS);
            status.expires_at = day.ok().and_then(|day| day.checked_add(life).ok());
        }
        if let (Some(version), Some((at, error))) = (&self.secret, self.shared.session.refused()) {
            status.refused = Some(CredentialRefusal {
                secret_uid: version.uid.clone(),
                secret_resource_version: version.resource_version.clone(),
                at,
                reason: error.reason.unwrap_or("CredentialRefused").to_owned(),
                message: conditions::cut(&error.to_string(), 1000),
            });
        }
        status
    }
}

/// What is known of a credential before it is used.
fn described(
    used_for: CredentialUse,
    kind: CredentialKind,
    source: &str,
    identity: &Identity,
    expires_at: Option<Timestamp>,
) -> CredentialStatus {
    CredentialStatus {
        used_for,
        kind,
        source: source.to_owned(),
        identity: who(identity).map(str::to_owned),
        expires_at,
        refused: None,
    }
}

/// Who signs in, where the credential itself says it.
const fn who(identity: &Identity) -> Option<&str> {
    match identity {
        Identity::ClientSecret { client_id, .. }
        | Identity::Certificate { client_id, .. }
        | Identity::Federated { client_id, .. } => Some(client_id.as_str()),
        Identity::Password { username, .. } => Some(username.as_str()),
        Identity::RefreshToken { .. } => None,
    }
}

/// What an earlier process has met with this very version of the Secret, as any connection has it on record.
fn known_refusal(context: &Context, version: &Version) -> Option<CredentialRefusal> {
    let is_same = |refused: &&CredentialRefusal| {
        refused.secret_uid == version.uid
            && refused.secret_resource_version == version.resource_version
    };
    context
        .scopes
        .iter()
        .flat_map(|scope| scope.connections.state())
        .find_map(|connection| {
            let status = connection.0.as_ref().ok()?.status.as_ref()?;
            let mut refused = status
                .credentials
                .iter()
                .filter_map(|of| of.refused.as_ref());
            refused.find(is_same).cloned()
        })
}

/// One credential's session and what was read with it.
pub struct Shared {
    /// The session.
    pub session: Session,
    /// Whose it is, of a user account.
    pub account: Option<String>,
    /// Under which its list of environments is kept.
    key: String,
    environments: Arc<Kept<Snapshot>>,
    /// Held by whoever reads it.
    is_read: tokio::sync::Mutex<()>,
}

/// A list of environments, and when it was read.
pub struct Snapshot {
    /// When the read began.
    pub began: Timestamp,
    /// What came of it.
    pub list: Result<Arc<EnvironmentList>, CallError>,
}

impl Shared {
    /// The environments that this credential sees, from a read that began at `not_before` or later. Whoever asks while
    /// a read is under way waits for it. `namespace`: of whoever asks.
    pub async fn environments(&self, namespace: &str, not_before: Timestamp) -> Arc<Snapshot> {
        let _one_at_a_time = self.is_read.lock().await;
        let kept = self.environments.get(&self.key);
        if let Some(snapshot) = kept.filter(|snapshot| snapshot.began >= not_before) {
            return snapshot;
        }
        let began = super::now();
        let list = power_platform::environments(&self.session)
            .await
            .map(Arc::new);
        let snapshot = Arc::new(Snapshot { began, list });
        self.environments
            .keep(&self.key, namespace, Arc::clone(&snapshot));
        snapshot
    }
}

impl Weighed for Shared {
    fn weight(&self) -> usize {
        1
    }
}

impl Weighed for Snapshot {
    fn weight(&self) -> usize {
        self.list.as_ref().map_or(0, |list| list.bytes())
    }
}

impl Identities {
    /// The session of an identity, and whether it was made just now.
    fn shared(
        &self,
        context: &Context,
        namespace: &str,
        cloud: Cloud,
        identity: Identity,
    ) -> (Arc<Shared>, bool) {
        let key = format!("{cloud:?} {}", identity.digest());
        self.sessions.get_or_keep(&key, namespace, || Shared {
            account: identity.account().map(str::to_owned),
            session: Session::new(
                context.http.clone(),
                cloud_of_clients(cloud),
                context.hosts.clone(),
                identity,
                Limits::default(),
            ),
            key: key.clone(),
            environments: Arc::clone(&self.environments),
            is_read: tokio::sync::Mutex::default(),
        })
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
) -> Result<SignedBy, Problem> {
    let used_for = CredentialUse::Application;
    let (identity, credential) = match credentials.source() {
        Some(CredentialSource::Secret(secret)) => {
            let secret = Keys::read(context, namespace, &secret.name).await?;
            let identity = of_secret(&credentials.tenant_id, &secret)?;
            let (kind, end) = match &identity {
                Identity::Certificate { certificate, .. } => (
                    CredentialKind::ClientCertificate,
                    Some(certificate.not_after()),
                ),
                _ => (CredentialKind::ClientSecret, secret.expires_on()),
            };
            let credential = described(used_for, kind, secret.name(), &identity, end);
            (identity, credential)
        }
        Some(CredentialSource::ServiceAccount(account, client_id)) => {
            let identity = Identity::Federated {
                tenant_id: credentials.tenant_id.clone(),
                client_id: client_id.to_owned(),
                assertions: Assertions::new(ServiceAccountTokens::new(
                    context,
                    namespace,
                    &account.name,
                )),
            };
            let kind = CredentialKind::ServiceAccountToken;
            let credential = described(used_for, kind, &account.name, &identity, None);
            (identity, credential)
        }
        Some(CredentialSource::Ambient) => {
            let tenant = &credentials.tenant_id;
            let (identity, client_id) = context.ambient.identity(namespace, cloud, tenant)?;
            let kind = CredentialKind::WorkloadIdentity;
            let credential = described(used_for, kind, &client_id, &identity, None);
            (identity, credential)
        }
        None => {
            return Err(Problem::needs_person(
                Reason::SecretInvalid,
                "The resource names no source of credentials, or more than one: give credentials.secretRef, or credentials.serviceAccountRef with clientId, or credentials.ambient: true.",
            ));
        }
    };
    let (shared, _) = context
        .identities
        .shared(context, namespace, cloud, identity);
    Ok(SignedBy {
        shared,
        credential,
        secret: None,
    })
}

/// An application with what its Secret has: a client secret or a certificate.
fn of_secret(tenant_id: &str, secret: &Keys) -> Result<Identity, Problem> {
    let tenant_id = tenant_id.to_owned();
    let client_id = secret.text(
        "clientId",
        "the application (client) id of the app registration in Entra",
    )?;
    if !secret.has("clientCertificate") {
        let what = "the value of the app registration's client secret; or give clientCertificate, a certificate and its private key as PEM";
        return Ok(Identity::ClientSecret {
            tenant_id,
            client_id,
            secret: secret.secret("clientSecret", what)?,
        });
    }
    secret.refuse(
        "clientSecret",
        "it has clientCertificate too: remove one, so that it is clear which is used",
    )?;
    let pem = secret.secret("clientCertificate", "a certificate and its key as PEM")?;
    let certificate = ClientCertificate::from_pem(pem.expose_secret())
        .map_err(|bad| secret.invalid(&format!("has a clientCertificate that {bad}")))?;
    in_force(secret, &certificate)?;
    Ok(Identity::Certificate {
        tenant_id,
        client_id,
        certificate,
    })
}

/// Entra would refuse it with less to go by.
fn in_force(secret: &Keys, certificate: &ClientCertificate) -> Result<(), Problem> {
    let now = super::now();
    if certificate.not_after() <= now {
        return Err(Problem::needs_person(
            Reason::ClientCertificateExpired,
            format!(
                "The client certificate of Secret '{}' expired on {}: make a new one, upload its public part to the app registration, and put certificate and key into the Secret.",
                secret.name(),
                day(certificate.not_after())
            ),
        ));
    }
    if certificate.not_before() > now {
        let from = day(certificate.not_before());
        return Err(secret.invalid(&format!("has a clientCertificate that is valid only from {from} on; until then give the one before")));
    }
    Ok(())
}

/// A day, as people write it everywhere.
fn day(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d").to_string()
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
) -> Result<SignedBy, Problem> {
    let secret = Keys::read(context, namespace, &service.secret_ref.name).await?;
    let (identity, kind) = if secret.has("refreshToken") {
        let identity = signed_in_once(context, tenant_id, &secret)?;
        (identity, CredentialKind::RefreshToken)
    } else {
        let identity = Identity::Password {
            tenant_id: tenant_id.to_owned(),
            username: secret.text(
                "username",
                "the sign-in name of the account that uses dual-write",
            )?,
            password: secret.secret("password", "its password")?,
        };
        (identity, CredentialKind::Password)
    };
    let version = Version {
        uid: secret.uid(),
        resource_version: secret.resource_version(),
    };
    let used_for = CredentialUse::DualWriteAccount;
    let credential = described(
        used_for,
        kind,
        secret.name(),
        &identity,
        secret.expires_on(),
    );
    let (shared, is_new) = context
        .identities
        .shared(context, namespace, cloud, identity);
    if let Some(refused) = is_new.then(|| known_refusal(context, &version)).flatten() {
        let reason = refused.reason.parse::<Reason>().ok().map(Into::into);
        let session = &shared.session;
        session.recall_refusal(refused.at, reason, refused.message);
    }
    Ok(SignedBy {
        shared,
        credential,
        secret: Some(version),
    })
}

/// An account that a person has signed in once; what follows its refresh token is kept beside the Secret.
fn signed_in_once(context: &Context, tenant_id: &str, secret: &Keys) -> Result<Identity, Problem> {
    secret.refuse(
        "password",
        "it has refreshToken too: remove one, so that it is clear which is used",
    )?;
    let first = secret.secret("refreshToken", "what dualwrite-operator sign-in writes")?;
    let client_id = secret.has("clientId").then(|| {
        secret.text(
            "clientId",
            "the public client that the refresh token was given to",
        )
    });
    let store = TokenStore::new(
        context,
        Origin {
            namespace: secret.namespace().to_owned(),
            name: secret.name().to_owned(),
            uid: secret.uid(),
            token: first.clone(),
        },
    );
    Ok(Identity::RefreshToken {
        tenant_id: tenant_id.to_owned(),
        client_id: client_id.transpose()?,
        first,
        tokens: RefreshTokens::new(store),
    })
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

/// The cloud of a spec, as the clients name it.
pub const fn cloud_of_clients(cloud: Cloud) -> dualwrite_microsoft::Cloud {
    match cloud {
        Cloud::Public => dualwrite_microsoft::Cloud::Public,
        Cloud::Gcc => dualwrite_microsoft::Cloud::Gcc,
        Cloud::GccHigh => dualwrite_microsoft::Cloud::GccHigh,
        Cloud::DoD => dualwrite_microsoft::Cloud::DoD,
        Cloud::China => dualwrite_microsoft::Cloud::China,
    }
}

/// How long the API server may take for a Secret or a token: kube's own client waits, and asks again, for minutes.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for the API server, within bounds.
async fn bounded<T>(call: impl Future<Output = kube::Result<T>>) -> kube::Result<T> {
    tokio::time::timeout(PATIENCE, call)
        .await
        .unwrap_or_else(|_| {
            let late = format!("no answer within {} s", PATIENCE.as_secs());
            Err(kube::Error::Service(late.into()))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_api_server_that_never_answers_is_waited_for_twenty_seconds() {
        let began = tokio::time::Instant::now();
        let never = std::future::pending::<kube::Result<()>>();
        let error = bounded(never).await.unwrap_err().to_string();
        assert!(error.contains("no answer within 20 s"), "{error}");
        assert_eq!(began.elapsed(), PATIENCE);
    }
}
