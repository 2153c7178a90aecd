use std::time::Duration;

use dualwrite_microsoft::power_platform::{environment, environments, install};
use dualwrite_microsoft::{Audience, Class, MutationError};

use crate::support::*;

const MINUTE: Duration = Duration::from_mins(1);

#[tokio::test]
async fn a_token_is_kept_until_five_minutes_before_it_expires() {
    let server = Server::start(|_, _| json(404, "{}")).await;
    let session = server.application();
    session.token(&Audience::PowerPlatform).await.unwrap();
    pass(54 * MINUTE).await;
    session.token(&Audience::PowerPlatform).await.unwrap();
    assert_eq!(server.seen().len(), 1);
    pass(2 * MINUTE).await;
    session.token(&Audience::PowerPlatform).await.unwrap();
    assert_eq!(server.seen().len(), 2);
    let form = &server.seen()[0];
    assert_eq!(
        (form.method.as_str(), form.target.as_str()),
        (
            "POST",
            "/72f988bf-0000-4000-8000-000000000001/oauth2/v2.0/token"
        )
    );
    for pair in [
        "grant_type=client_credentials",
        "scope=https%3A%2F%2Fapi.powerplatform.com%2F.default",
    ] {
        assert!(form.body.contains(pair), "{pair} in {}", form.body);
    }
}

#[tokio::test]
async fn a_short_lived_token_is_used_for_half_of_its_life() {
    let server = Server::bare(|_, _| json(200, r#"{"expires_in":"120","access_token":"t"}"#)).await;
    let session = server.application();
    for (minutes, fetches) in [(0, 1), (0, 1), (1, 2)] {
        pass(minutes * MINUTE).await;
        session.token(&Audience::PowerPlatform).await.unwrap();
        assert_eq!(server.seen().len(), fetches);
    }
}

#[tokio::test]
async fn all_who_wait_share_one_fetch_and_its_failure() {
    let server = Server::start(|_, _| json(404, "{}")).await;
    let session = server.application();
    let calls = (0..20).map(|_| environment(&session, "an-id"));
    futures::future::join_all(calls).await;
    assert_eq!(server.seen_at(AUTHORITY).len(), 1);
    assert_eq!(server.seen_at(POWER_PLATFORM).len(), 20);

    let server = Server::bare(|_, _| json(503, "{}")).await;
    let session = server.application();
    let calls = (0..20).map(|_| session.token(&Audience::PowerPlatform));
    let errors = futures::future::join_all(calls).await;
    assert!(errors.iter().all(|result| {
        result
            .as_ref()
            .is_err_and(|error| error.class == Class::Transient)
    }));
    assert_eq!(server.seen().len(), 1);
    session.token(&Audience::PowerPlatform).await.unwrap_err();
    assert_eq!(server.seen().len(), 2, "who comes later tries again");
}

#[tokio::test]
async fn a_401_is_answered_once_with_a_new_token() {
    let server = Server::start(|_, before| {
        if before == 0 {
            json(401, "{}")
        } else {
            json(200, r#"{"value":[]}"#)
        }
    })
    .await;
    environments(&server.application()).await.unwrap();
    let tokens: Vec<_> = server
        .seen_at(POWER_PLATFORM)
        .into_iter()
        .map(|seen| seen.authorization.unwrap())
        .collect();
    assert_eq!(tokens, ["Bearer marker-token-0", "Bearer marker-token-1"]);

    let server = Server::start(|_, _| json(401, "{}")).await;
    let error = environments(&server.application()).await.unwrap_err();
    assert_eq!(
        (
            error.status,
            error.class,
            server.seen_at(POWER_PLATFORM).len()
        ),
        (Some(401), Class::NeedsPerson, 2)
    );

    let server = Server::start(|_, before| {
        if before == 0 {
            json(401, "{}")
        } else {
            json(202, "")
        }
    })
    .await;
    install(&server.application(), "an-id", "X", soon())
        .await
        .unwrap();
    assert_eq!(server.seen_at(POWER_PLATFORM).len(), 2);
    let server = Server::start(|_, _| json(401, "{}")).await;
    let error = install(&server.application(), "an-id", "X", soon())
        .await
        .unwrap_err();
    assert!(matches!(error, MutationError::Refused(_)));
    assert_eq!(server.seen_at(POWER_PLATFORM).len(), 2);
}

/// Entra, refusing the first so many sign-ins.
async fn refusing(times: usize, refusal: &'static str) -> Server {
    Server::bare(move |_, before| {
        if before < times {
            json(400, refusal)
        } else {
            token(before)
        }
    })
    .await
}

#[tokio::test]
async fn a_refused_password_is_not_tried_again_by_itself() {
    let refusal = r#"{"error":"invalid_grant","error_description":"AADSTS50126: Error validating credentials.","error_codes":[50126],"correlation_id":"corr-2"}"#;
    let server = refusing(1, refusal).await;
    let session = server.account();
    let ask = || session.token(&Audience::DualWriteService);
    let first = ask().await.unwrap_err();
    assert_eq!(
        (first.reason, first.class),
        (Some("PasswordInvalid"), Class::NeedsPerson)
    );
    assert_eq!(
        (first.code.as_deref(), first.correlation_id.as_deref()),
        (Some("AADSTS50126"), Some("corr-2"))
    );
    assert_eq!(ask().await.unwrap_err(), first);
    session.allow_password_retry();
    assert_eq!(ask().await.unwrap_err(), first, "asked for, but too early");
    pass(11 * MINUTE).await;
    assert_eq!(server.seen().len(), 1);
    ask().await.unwrap();
    assert_eq!(server.seen().len(), 2);
    let form = &server.seen()[0].body;
    for pair in [
        "grant_type=password",
        "client_id=2e49aa60-1bd3-43b6-8ab6-03ada3d9f08b",
        "scope=https%3A%2F%2FIntegratorApp.com%2F.default",
    ] {
        assert!(form.contains(pair), "{pair} in {form}");
    }
}

#[tokio::test]
async fn time_alone_does_not_free_a_refused_password_but_passing_troubles_are_not_remembered() {
    let server = Server::bare(|_, before| {
        if before == 0 {
            json(503, "{}")
        } else {
            json(
                400,
                r#"{"error":"invalid_grant","error_description":"AADSTS50126: Error validating credentials."}"#,
            )
        }
    })
    .await;
    let session = server.account();
    let ask = || session.token(&Audience::DualWriteService);
    assert_eq!(ask().await.unwrap_err().class, Class::Transient);
    assert_eq!(ask().await.unwrap_err().reason, Some("PasswordInvalid"));
    pass(60 * MINUTE).await;
    ask().await.unwrap_err();
    assert_eq!(server.seen().len(), 2);
    // A client secret does not lock anybody: it is tried each time.
    let server = Server::bare(|_, _| json(401, "{}")).await;
    let session = server.application();
    for _ in 0..2 {
        session.token(&Audience::PowerPlatform).await.unwrap_err();
    }
    assert_eq!(server.seen().len(), 2);
}

/// The password is right: a policy stands in the way, which is mended where nothing tells the operator.
#[tokio::test]
async fn what_a_policy_refuses_is_tried_again_by_itself_and_at_once_when_somebody_asks() {
    let refusal = r#"{"error":"invalid_grant","error_description":"AADSTS50076: use multi-factor authentication.","error_codes":[50076]}"#;
    let server = refusing(3, refusal).await;
    let session = server.account();
    let ask = || session.token(&Audience::DualWriteService);
    let first = ask().await.unwrap_err();
    assert_eq!(first.reason, Some("MfaRequired"));
    let since = session.refused().unwrap().0;
    assert_eq!(ask().await.unwrap_err(), first);
    assert_eq!(server.seen().len(), 1, "not at each look");
    pass(MINUTE).await;
    assert_eq!(ask().await.unwrap_err(), first, "nothing new is told of it");
    assert_eq!(server.seen().len(), 2);
    session.allow_password_retry();
    ask().await.unwrap_err();
    ask().await.unwrap_err();
    assert_eq!(
        server.seen().len(),
        3,
        "once for each time that somebody asks"
    );
    assert_eq!(session.refused().unwrap().0, since);
    pass(MINUTE).await;
    ask().await.unwrap();
    assert_eq!(session.refused(), None);
}

#[tokio::test]
async fn an_identity_is_not_sent_where_it_is_of_no_use() {
    let server = Server::start(|_, _| json(404, "{}")).await;
    server
        .application()
        .token(&Audience::DualWriteService)
        .await
        .unwrap_err();
    server
        .account()
        .token(&Audience::PowerPlatform)
        .await
        .unwrap_err();
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn the_places_of_an_identity_bound_its_concurrency() {
    let server = Server::start(|_, _| Reply::Stall).await;
    let session = server.application();
    let calls = (0..12).map(|_| environment(&session, "an-id"));
    let all_places = async {
        while server.seen_at(POWER_PLATFORM).len() < 8 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // A ninth would come right behind the eighth.
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    tokio::select! {
        () = all_places => {}
        _ = futures::future::join_all(calls) => panic!("the server never answers"),
    }
    assert_eq!(server.seen_at(POWER_PLATFORM).len(), 8);
}

/// Entra gives its code with each refusal. What something in between answers says nothing of the account.
#[tokio::test]
async fn what_a_proxy_answers_is_not_remembered_as_a_refused_account() {
    let page = "<html><title>Blocked by policy</title></html>";
    for (status, body) in [
        (400, "{}"),
        (400, r#"{"error":"forbidden"}"#),
        (401, "{}"),
        (403, page),
        (403, "AADSTS50126"),
        (404, page),
    ] {
        let server = Server::bare(move |_, before| match before {
            0 => json(status, body),
            _ => json(
                200,
                r#"{"access_token":"marker-token","expires_in":3600,"token_type":"Bearer"}"#,
            ),
        })
        .await;
        let session = server.account();
        let ask = || session.token(&Audience::DualWriteService);
        ask().await.unwrap_err();
        assert_eq!(session.refused(), None, "{status} {body}");
        ask().await.unwrap();
    }
}
