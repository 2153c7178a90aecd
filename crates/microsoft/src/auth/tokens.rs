//! The tokens of one identity: kept in memory, fetched once for all who wait.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Method;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use super::identity::{RefreshTokenStore, SourceError};
use super::{Audience, Identity, bad_url};
use crate::clouds::{Cloud, RequestUrl};
use crate::error::{Call, CallError, Class};
use crate::http::{Body, Http, Request};
use crate::json;

const TOKEN: Call = Call::Token;
/// A token is fetched anew this long before it expires, or at half of its life if that is later.
const EARLY: Duration = Duration::from_mins(5);
/// A longer life is not believed.
const LONGEST_LIFE: Duration = Duration::from_hours(24);
/// The longest token that is accepted, in bytes.
const LONGEST_TOKEN: usize = 64 * 1024;
/// A refused password is not tried again before this has passed, and then only when somebody asks: accounts lock.
const PASSWORD_REST: Duration = Duration::from_mins(10);
/// What is refused although the password may be right is mended at Entra, where nothing tells the operator: it is tried again
/// this often, and at once when somebody asks.
const POLICY_REST: Duration = Duration::from_mins(1);
/// Refusals by a policy, a consent or an assignment, and not of the credential itself. Trying again locks nobody out.
const BY_POLICY: [&str; 7] = [
    "MfaRequired",
    "ConditionalAccessBlocked",
    "ConsentMissing",
    "AccountDisabled",
    "AccountNotAssigned",
    "TenantRestricted",
    "ServiceNotInTenant",
];

/// A token and how long it is used.
#[derive(Clone)]
pub(super) struct Token {
    pub(super) secret: SecretString,
    use_until: Instant,
}

/// All tokens of one identity.
pub(super) struct Tokens {
    http: Http,
    cloud: Cloud,
    identity: Identity,
    slots: Mutex<HashMap<String, Arc<Slot>>>,
    refused: Mutex<Option<Refused>>,
    /// A refresh token that has been used, and its successor that could not be kept yet. Held while refreshing.
    unkept: tokio::sync::Mutex<Option<(SecretString, SecretString)>>,
}

/// The token of one audience. Its lock is held while the token is fetched, so that all others wait for that.
#[derive(Default)]
struct Slot {
    fetches: AtomicU64,
    state: tokio::sync::Mutex<State>,
}

#[derive(Default)]
struct State {
    token: Option<Token>,
    /// How the last fetch failed, for those who waited for it.
    failed: Option<CallError>,
}

/// A password or refresh token that Entra refused.
struct Refused {
    error: CallError,
    /// Since when, for this reason.
    at: Timestamp,
    tried: Instant,
    retry_allowed: bool,
}

impl Refused {
    fn is_by_policy(&self) -> bool {
        let reason = self.error.reason;
        reason.is_some_and(|reason| BY_POLICY.contains(&reason))
    }

    fn may_try(&self) -> bool {
        let rested = self.tried.elapsed();
        if self.is_by_policy() {
            self.retry_allowed || rested >= POLICY_REST
        } else {
            self.retry_allowed && rested >= PASSWORD_REST
        }
    }

    /// Refused once more: what is known stays, so that nothing new is told of it.
    fn again(&mut self) {
        self.tried = Instant::now();
        self.retry_allowed = false;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Tokens {
    pub(super) fn new(http: Http, cloud: Cloud, identity: Identity) -> Self {
        Self {
            http,
            cloud,
            identity,
            slots: Mutex::default(),
            refused: Mutex::default(),
            unkept: tokio::sync::Mutex::default(),
        }
    }

    /// The token in memory, or a new one. All who wait for the same fetch share its outcome, success or not.
    pub(super) async fn get(&self, audience: &Audience) -> Result<Token, CallError> {
        let slot = self.slot(audience);
        let seen = slot.fetches.load(Ordering::SeqCst);
        let mut state = slot.state.lock().await;
        if let Some(token) = state
            .token
            .as_ref()
            .filter(|token| Instant::now() < token.use_until)
        {
            return Ok(token.clone());
        }
        if slot.fetches.load(Ordering::SeqCst) != seen
            && let Some(error) = &state.failed
        {
            return Err(error.clone());
        }
        let fetched = self.fetch(audience).await;
        slot.fetches.fetch_add(1, Ordering::SeqCst);
        state.token = fetched.as_ref().ok().cloned();
        state.failed = fetched.as_ref().err().cloned();
        fetched
    }

    /// Forget a token that a service did not accept, unless somebody already has fetched a newer one.
    pub(super) async fn forget(&self, audience: &Audience, token: &Token) {
        let slot = self.slot(audience);
        let mut state = slot.state.lock().await;
        if state
            .token
            .as_ref()
            .is_some_and(|held| held.secret.expose_secret() == token.secret.expose_secret())
        {
            state.token = None;
        }
    }

    /// Somebody asks for another try.
    pub(super) fn allow_password_retry(&self) {
        if let Some(refused) = lock(&self.refused).as_mut() {
            refused.retry_allowed = true;
        }
    }

    /// The refusal that is remembered, and when it was.
    pub(super) fn refused(&self) -> Option<(Timestamp, CallError)> {
        lock(&self.refused)
            .as_ref()
            .map(|refused| (refused.at, refused.error.clone()))
    }

    pub(super) fn renewed(&self) -> Option<Timestamp> {
        match &self.identity {
            Identity::RefreshToken { tokens, .. } => tokens.store().renewed(),
            _ => None,
        }
    }

    /// What an earlier process was told, as if it had been said to this one.
    pub(super) fn recall_refusal(
        &self,
        at: Timestamp,
        reason: Option<&'static str>,
        message: String,
    ) {
        let ago = Duration::try_from(Timestamp::now().duration_since(at)).unwrap_or_default();
        let now = Instant::now();
        *lock(&self.refused) = Some(Refused {
            error: CallError::before_sending(TOKEN, Class::NeedsPerson, reason, message),
            at,
            tried: now.checked_sub(ago).unwrap_or(now),
            retry_allowed: false,
        });
    }

    fn slot(&self, audience: &Audience) -> Arc<Slot> {
        Arc::clone(
            lock(&self.slots)
                .entry(audience.scope(self.cloud))
                .or_default(),
        )
    }

    /// The refusal that still holds, if there is one.
    fn refusal(&self) -> Option<CallError> {
        let refused = lock(&self.refused);
        let refused = refused.as_ref()?;
        (!refused.may_try()).then(|| refused.error.clone())
    }

    async fn fetch(&self, audience: &Audience) -> Result<Token, CallError> {
        if let Some(error) = self.refusal() {
            return Err(error);
        }
        let result = self.request(audience).await;
        if self.identity.is_user() {
            let mut refused = lock(&self.refused);
            match &result {
                Err(error) if is_refused_by_entra(error) => {
                    if let Some(known) = refused.as_mut()
                        && known.error.reason == error.reason
                        && known.is_by_policy()
                    {
                        known.again();
                        return Err(known.error.clone());
                    }
                    *refused = Some(Refused {
                        error: error.clone(),
                        at: Timestamp::now(),
                        tried: Instant::now(),
                        retry_allowed: false,
                    });
                }
                Ok(_) => *refused = None,
                Err(_) => {}
            }
        }
        result
    }

    async fn request(&self, audience: &Audience) -> Result<Token, CallError> {
        self.identity.suits(audience).map_err(|why| {
            CallError::new(TOKEN, self.cloud.authority().name(), Class::Unexpected, why)
        })?;
        if let Identity::RefreshToken { tokens, .. } = &self.identity {
            return self.refresh(audience, tokens.store()).await;
        }
        let url = token_url(self.cloud, self.identity.tenant())?;
        let endpoint = url.as_url().as_str();
        let proof = self.identity.proof(TOKEN, endpoint).await?;
        Ok(self.exchange(audience, &proof).await?.token)
    }

    /// The refresh tokens one after the other, until one is taken; what comes in exchange is kept before it is used.
    async fn refresh(
        &self,
        audience: &Audience,
        store: &dyn RefreshTokenStore,
    ) -> Result<Token, CallError> {
        let mut unkept = self.unkept.lock().await;
        if let Some((used, new)) = unkept.as_ref() {
            store.keep(used, new).await.map_err(outside)?;
        }
        *unkept = None;
        let mut first_refusal = None;
        for used in store.tokens().await.map_err(outside)? {
            match self.exchange(audience, &used).await {
                Ok(Granted { token, refresh }) => {
                    if let Some(new) = refresh
                        && let Err(error) = store.keep(&used, &new).await
                    {
                        // Entra may take the used one no more, so the new one must not be lost.
                        *unkept = Some((used, new));
                        return Err(outside(error));
                    }
                    return Ok(token);
                }
                Err(error) if error.status == Some(400) && is_refused_by_entra(&error) => {
                    first_refusal.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(first_refusal.unwrap_or_else(|| {
            let message = "There is no refresh token.".to_owned();
            CallError::before_sending(TOKEN, Class::Unexpected, None, message)
        }))
    }

    /// `POST {authority}/{tenant}/oauth2/v2.0/token` \[D\] Learn, "OAuth 2.0 client credentials flow", "resource owner
    /// password credentials" and "refresh the access token"; the public client of the dual-write service [O toolbAX,
    /// Dual-write-automations].
    async fn exchange(
        &self,
        audience: &Audience,
        proof: &SecretString,
    ) -> Result<Granted, CallError> {
        let url = token_url(self.cloud, self.identity.tenant())?;
        let form = self.identity.form(&audience.scope(self.cloud), proof);
        granted(&self.http, &url, form, proof).await
    }
}

/// Whether Entra itself refuses a credential: then it gives one of its codes. What gives none was answered by something in
/// between, such as a proxy, or not at all; it says nothing of the credential, and is not remembered.
fn is_refused_by_entra(error: &CallError) -> bool {
    let code = error.code.as_deref().unwrap_or_default();
    error.class == Class::NeedsPerson && (code.starts_with("AADSTS") || code == "invalid_grant")
}

fn outside(error: SourceError) -> CallError {
    CallError::before_sending(TOKEN, error.class, error.reason, error.message)
}

/// What Entra gave.
pub(super) struct Granted {
    pub(super) token: Token,
    pub(super) refresh: Option<SecretString>,
}

/// The token endpoint of a tenant.
pub(super) fn token_url(cloud: Cloud, tenant: &str) -> Result<RequestUrl, CallError> {
    let authority = cloud.authority();
    authority
        .url(&[tenant, "oauth2", "v2.0", "token"], &[])
        .map_err(|bad| bad_url(TOKEN, &authority, bad))
}

/// Sends a token request once.
pub(super) async fn granted(
    http: &Http,
    url: &RequestUrl,
    form: SecretString,
    proof: &SecretString,
) -> Result<Granted, CallError> {
    let asked = Instant::now();
    let request = Request {
        call: TOKEN,
        method: Method::POST,
        url,
        bearer: None,
        credential: Some(proof),
        body: Body::Form(form),
        timeout: None,
    };
    let answer = http.read(request).await?;
    let body = answer.json()?;
    let text = |key| body.get(key).and_then(serde_json::Value::as_str);
    let usable = |token: &&str| {
        !token.is_empty()
            && token.len() <= LONGEST_TOKEN
            && token.bytes().all(|b| b.is_ascii_graphic())
    };
    let Some(token) = text("access_token").filter(usable) else {
        return Err(answer.unexpected("the answer has no usable token in it."));
    };
    let life = json::seconds(body.get("expires_in"))
        .unwrap_or_default()
        .min(LONGEST_LIFE);
    let used_for = life.saturating_sub(EARLY).max(life / 2);
    Ok(Granted {
        token: Token {
            secret: token.to_owned().into(),
            use_until: asked + used_for,
        },
        refresh: text("refresh_token").filter(usable).map(SecretString::from),
    })
}
