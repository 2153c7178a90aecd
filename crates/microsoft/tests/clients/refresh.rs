//! Accounts that a person has signed in once: refresh tokens, and how the first one comes about.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use dualwrite_microsoft::auth::{DeviceCode, RefreshTokenStore, RefreshTokens, SourceError};
use dualwrite_microsoft::{Audience, Class, Cloud, Identity, Session};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use secrecy::{ExposeSecret as _, SecretString};

use crate::support::*;

const TENANT: &str = "72f988bf-0000-4000-8000-000000000001";
const REFUSED: &str = r#"{"error":"invalid_grant","error_description":"AADSTS700082: The refresh token has expired.","error_codes":[700082]}"#;

/// A store in memory, and whether it can be written.
#[derive(Clone, Default)]
struct Store(Arc<Mutex<Held>>);

#[derive(Default)]
struct Held {
    tokens: Vec<String>,
    kept: Vec<(String, String)>,
    fails: bool,
}

impl Store {
    fn with(tokens: &[&str]) -> Self {
        let store = Self::default();
        store.0.lock().unwrap().tokens = tokens.iter().map(|&token| token.to_owned()).collect();
        store
    }

    fn fails(&self, fails: bool) {
        self.0.lock().unwrap().fails = fails;
    }

    fn kept(&self) -> Vec<(String, String)> {
        self.0.lock().unwrap().kept.clone()
    }

    fn session(&self, server: &Server) -> Session {
        let identity = Identity::RefreshToken {
            tenant_id: TENANT.into(),
            client_id: None,
            first: "marker-first".to_owned().into(),
            tokens: RefreshTokens::new(self.clone()),
        };
        assert!(!format!("{identity:?}").contains("marker"));
        session(server.http(), identity)
    }
}

impl RefreshTokenStore for Store {
    fn subject(&self) -> String {
        "secret:erp/account".into()
    }

    fn tokens(&self) -> BoxFuture<'_, Result<Vec<SecretString>, SourceError>> {
        let tokens = self.0.lock().unwrap().tokens.clone();
        async move { Ok(tokens.into_iter().map(SecretString::from).collect()) }.boxed()
    }

    fn keep<'a>(
        &'a self,
        used: &'a SecretString,
        new: &'a SecretString,
    ) -> BoxFuture<'a, Result<(), SourceError>> {
        async move {
            let mut held = self.0.lock().unwrap();
            if held.fails {
                return Err(SourceError {
                    class: Class::Transient,
                    reason: None,
                    message: "The store is closed.".into(),
                });
            }
            let pair = (
                used.expose_secret().to_owned(),
                new.expose_secret().to_owned(),
            );
            held.tokens = vec![pair.1.clone(), pair.0.clone()];
            held.kept.push(pair);
            Ok(())
        }
        .boxed()
    }
}

fn granted(number: usize) -> Reply {
    json(
        200,
        format!(
            r#"{{"token_type":"Bearer","expires_in":3600,"access_token":"marker-token-{number}","refresh_token":"refresh-{number}"}}"#
        ),
    )
}

fn sent(seen: &Seen) -> String {
    url::form_urlencoded::parse(seen.body.as_bytes())
        .find(|(key, _)| key == "refresh_token")
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

#[tokio::test]
async fn each_refresh_token_is_kept_and_the_newest_is_used() {
    let server = Server::bare(|_, before| granted(before)).await;
    let store = Store::with(&["first"]);
    let session = store.session(&server);
    for _ in 0..3 {
        session.token(&Audience::DualWriteService).await.unwrap();
        session.token(&Audience::DualWriteService).await.unwrap();
        pass(Duration::from_hours(1)).await;
    }
    let pairs = [
        ("first", "refresh-0"),
        ("refresh-0", "refresh-1"),
        ("refresh-1", "refresh-2"),
    ];
    assert_eq!(
        store.kept(),
        pairs.map(|(a, b)| (a.to_owned(), b.to_owned()))
    );
    let form = &server.seen()[0].body;
    for pair in [
        "grant_type=refresh_token",
        "client_id=2e49aa60-1bd3-43b6-8ab6-03ada3d9f08b",
        "scope=https%3A%2F%2FIntegratorApp.com%2F.default+openid+profile+offline_access",
    ] {
        assert!(form.contains(pair), "{pair} in {form}");
    }
    session.token(&Audience::PowerPlatform).await.unwrap_err();
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn a_token_that_is_refused_makes_way_for_the_one_before() {
    let server = Server::bare(|seen, before| {
        if sent(seen) == "third" {
            granted(before)
        } else {
            json(400, REFUSED)
        }
    })
    .await;
    let store = Store::with(&["first", "second", "third"]);
    store
        .session(&server)
        .token(&Audience::DualWriteService)
        .await
        .unwrap();
    let order: Vec<_> = server.seen().iter().map(sent).collect();
    assert_eq!(order, ["first", "second", "third"]);
    assert_eq!(store.kept(), [("third".to_owned(), "refresh-2".to_owned())]);
}

#[tokio::test]
async fn when_all_are_refused_none_is_tried_again_by_itself() {
    let server = Server::bare(|_, _| json(400, REFUSED)).await;
    let store = Store::with(&["first", "second"]);
    let session = store.session(&server);
    let error = session
        .token(&Audience::DualWriteService)
        .await
        .unwrap_err();
    assert_eq!(
        (error.reason, error.class),
        (Some("RefreshTokenExpired"), Class::NeedsPerson)
    );
    assert!(
        error.to_string().contains("dualwrite-operator sign-in"),
        "{error}"
    );
    pass(Duration::from_hours(2)).await;
    session
        .token(&Audience::DualWriteService)
        .await
        .unwrap_err();
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_passing_trouble_uses_up_nothing() {
    let server = Server::bare(|_, before| {
        if before == 0 {
            json(503, "{}")
        } else {
            granted(before)
        }
    })
    .await;
    let store = Store::with(&["first", "second"]);
    let session = store.session(&server);
    let error = session
        .token(&Audience::DualWriteService)
        .await
        .unwrap_err();
    assert_eq!(error.class, Class::Transient);
    session.token(&Audience::DualWriteService).await.unwrap();
    let order: Vec<_> = server.seen().iter().map(sent).collect();
    assert_eq!(order, ["first", "first"]);
}

/// The access token is not used before its refresh token is kept; and that one is not lost.
#[tokio::test]
async fn what_cannot_be_kept_is_not_used_and_is_kept_first_the_next_time() {
    let server = Server::bare(|_, before| granted(before)).await;
    let store = Store::with(&["first"]);
    store.fails(true);
    let session = store.session(&server);
    let error = session
        .token(&Audience::DualWriteService)
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "The store is closed.");
    // As long as it cannot be kept, no more are asked for.
    session
        .token(&Audience::DualWriteService)
        .await
        .unwrap_err();
    assert_eq!(server.seen().len(), 1);
    store.fails(false);
    session.token(&Audience::DualWriteService).await.unwrap();
    let order: Vec<_> = server.seen().iter().map(sent).collect();
    assert_eq!(order, ["first", "refresh-0"]);
    assert_eq!(store.kept().len(), 2);
}

#[tokio::test]
async fn a_person_signs_in_with_a_device_code() {
    let server = Server::bare(|seen, before| match seen.target.contains("devicecode") {
        true => json(200, r#"{"device_code":"marker-device","user_code":"ABCD-1234","verification_uri":"https://microsoft.com/devicelogin","expires_in":900,"interval":0}"#),
        false if before < 2 => json(400, r#"{"error":"authorization_pending","error_description":"AADSTS70016: Authorization is pending.","error_codes":[70016]}"#),
        false => granted(7),
    })
    .await;
    let http = server.http();
    let code = DeviceCode::begin(&http, Cloud::Public, TENANT, None)
        .await
        .unwrap();
    assert_eq!(
        (code.user_code.as_str(), code.url.as_str()),
        ("ABCD-1234", "https://microsoft.com/devicelogin")
    );
    assert!(!format!("{code:?}").contains("marker"), "{code:?}");
    let token = code.wait(&http).await.unwrap();
    assert_eq!(token.expose_secret(), "refresh-7");
    assert!(server.seen()[0].body.contains("offline_access"));
    assert_eq!(server.seen().len(), 4);

    let refuses = r#"{"error":"invalid_client","error_description":"AADSTS7000218: The request body must contain client_assertion.","error_codes":[7000218]}"#;
    let server = Server::bare(move |_, _| json(401, refuses)).await;
    let error = DeviceCode::begin(&server.http(), Cloud::Public, TENANT, None)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("not a public client"), "{error}");
}

/// Entra's clock is not ours to wait for in a test: the times between the requests are looked at.
#[tokio::test]
async fn whoever_asks_too_often_for_a_device_code_asks_five_seconds_later_from_then_on() {
    let server = Server::bare(|seen, before| match seen.target.contains("devicecode") {
        true => json(200, r#"{"device_code":"marker-device","user_code":"ABCD-1234","expires_in":900,"interval":0}"#),
        false if before < 2 => json(400, r#"{"error":"slow_down"}"#),
        false => granted(7),
    })
    .await;
    let http = server.http();
    let code = DeviceCode::begin(&http, Cloud::Public, TENANT, None)
        .await
        .unwrap();
    let began = std::time::Instant::now();
    code.wait(&http).await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(5));
}
