//! A person signs an account in once, in a browser, and a refresh token comes of it.
//!
//! \[D\] Learn, "OAuth 2.0 device authorization grant". That the public client of the dual-write service allows it is
//! \[I\]: Entra says so at the first request if it does not.

use std::time::Duration;

use http::Method;
use secrecy::SecretString;
use tokio::time::Instant;
use url::form_urlencoded::Serializer;

use super::identity::{DUAL_WRITE_CLIENT, FOR_A_REFRESH_TOKEN};
use super::{Audience, bad_url, tokens};
use crate::clouds::Cloud;
use crate::error::{Call, CallError, Class};
use crate::http::{Body, Http, Request};
use crate::{json, text};

const DEVICE_CODE: Call = Call::DeviceCode;

/// Whoever asks too often is told so, and waits this much longer from then on \[D\] RFC 8628, section 3.5.
const SLOW_DOWN: &str = "slow_down";
const SLOWER: Duration = Duration::from_secs(5);

/// A sign-in that waits for a person.
pub struct DeviceCode {
    tenant_id: String,
    client_id: String,
    cloud: Cloud,
    code: SecretString,
    /// What the person types.
    pub user_code: String,
    /// Where.
    pub url: String,
    interval: Duration,
    until: Instant,
}

impl std::fmt::Debug for DeviceCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeviceCode")
            .field("tenant_id", &self.tenant_id)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

impl DeviceCode {
    /// Begins: `POST {authority}/{tenant}/oauth2/v2.0/devicecode`.
    ///
    /// # Errors
    /// Entra refuses or cannot be reached.
    pub async fn begin(
        http: &Http,
        cloud: Cloud,
        tenant_id: &str,
        client_id: Option<&str>,
    ) -> Result<Self, CallError> {
        let client_id = client_id.unwrap_or(DUAL_WRITE_CLIENT);
        let authority = cloud.authority();
        let url = authority
            .url(&[tenant_id, "oauth2", "v2.0", "devicecode"], &[])
            .map_err(|bad| bad_url(DEVICE_CODE, &authority, bad))?;
        let scope = Audience::DualWriteService.scope(cloud);
        let form = Serializer::new(String::new())
            .append_pair("client_id", client_id)
            .append_pair("scope", &format!("{scope} {FOR_A_REFRESH_TOKEN}"))
            .finish();
        let request = Request {
            call: DEVICE_CODE,
            method: Method::POST,
            url: &url,
            bearer: None,
            credential: None,
            body: Body::Form(form.into()),
            timeout: None,
        };
        let answer = http.read(request).await?;
        let body = answer.json()?;
        let field = |key| {
            let value = body.get(key).and_then(serde_json::Value::as_str);
            value.filter(|value| !value.is_empty())
        };
        let (Some(device_code), Some(user_code)) = (field("device_code"), field("user_code"))
        else {
            return Err(answer.unexpected("the answer has no code in it."));
        };
        let seconds = |key, otherwise| json::seconds(body.get(key)).unwrap_or(otherwise);
        Ok(Self {
            tenant_id: tenant_id.to_owned(),
            client_id: client_id.to_owned(),
            cloud,
            code: device_code.to_owned().into(),
            user_code: text::kept(user_code),
            url: text::kept(
                field("verification_uri").unwrap_or("https://microsoft.com/devicelogin"),
            ),
            interval: seconds("interval", Duration::from_secs(5)).max(Duration::from_millis(200)),
            until: Instant::now() + seconds("expires_in", Duration::from_mins(15)),
        })
    }

    /// Waits until the person has signed in; the refresh token.
    ///
    /// # Errors
    /// The person refused, took too long, or Entra refuses the account.
    pub async fn wait(self, http: &Http) -> Result<SecretString, CallError> {
        use secrecy::ExposeSecret as _;
        let url = tokens::token_url(self.cloud, &self.tenant_id)?;
        let mut interval = self.interval;
        loop {
            tokio::time::sleep(interval).await;
            let form = Serializer::new(String::new())
                .append_pair("grant_type", "urn:ietf:params:oauth:grant-type:device_code")
                .append_pair("client_id", &self.client_id)
                .append_pair("device_code", self.code.expose_secret())
                .finish();
            match tokens::granted(http, &url, form.into(), &self.code).await {
                Ok(granted) => {
                    return granted.refresh.ok_or_else(|| {
                        let message = "Entra accepted the sign-in and gave no refresh token: the public client may not ask for one (offline_access).";
                        CallError::before_sending(DEVICE_CODE, Class::NeedsPerson, None, message.to_owned())
                    });
                }
                Err(error) if Instant::now() < self.until && is_pending(&error) => {
                    if error.code.as_deref() == Some(SLOW_DOWN) {
                        interval += SLOWER;
                    }
                }
                Err(error) if Instant::now() < self.until && error.class == Class::Transient => {
                    interval = (interval * 2).min(Duration::from_mins(1));
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// The person has not finished. `AADSTS70016` is Entra's number for `authorization_pending` \[D\].
fn is_pending(error: &CallError) -> bool {
    let code = error.code.as_deref().unwrap_or_default();
    ["AADSTS70016", "authorization_pending", SLOW_DOWN].contains(&code)
}
