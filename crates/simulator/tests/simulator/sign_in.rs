//! The token endpoint.

use anyhow::Result;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{
    CLIENT, DUAL_WRITE_CLIENT, MANAGEMENT, Simulator, TENANT, UAT_HOST, answer, environments_url,
    password_form,
};
use crate::keys;

fn secret_form<'f>(client: &'f str, secret: &'f str, scope: &'f str) -> [(&'f str, &'f str); 4] {
    [
        ("grant_type", "client_credentials"),
        ("client_id", client),
        ("client_secret", secret),
        ("scope", scope),
    ]
}

const PLATFORM: &str = "https://api.powerplatform.com/.default";

async fn refused(simulator: &Simulator, form: &[(&str, &str)]) -> Result<(u16, u64)> {
    let (status, body) = simulator.token_request(form).await?;
    let code = body["error_codes"][0].as_u64().unwrap_or_default();
    let description = body["error_description"].as_str().unwrap_or_default();
    assert!(
        description.starts_with(&format!("AADSTS{code}: ")),
        "{body}"
    );
    assert!(
        body["trace_id"].is_string() && body["correlation_id"].is_string(),
        "{body}"
    );
    Ok((status, code))
}

#[tokio::test]
async fn application_errors_have_the_codes_of_entra() -> Result<()> {
    let simulator = Simulator::start().await?;
    let good = secret_form(CLIENT, "contoso-secret", PLATFORM);
    assert_eq!(
        refused(&simulator, &secret_form(CLIENT, "wrong", PLATFORM)).await?,
        (401, 7_000_215)
    );
    let unknown = secret_form(
        "00000000-0000-4000-8000-000000000099",
        "contoso-secret",
        PLATFORM,
    );
    assert_eq!(refused(&simulator, &unknown).await?, (400, 700_016));
    let integrator = secret_form(
        CLIENT,
        "contoso-secret",
        "https://IntegratorApp.com/.default",
    );
    assert_eq!(refused(&simulator, &integrator).await?, (400, 65002));
    let elsewhere = secret_form(
        CLIENT,
        "contoso-secret",
        "https://fabrikam.crm.dynamics.com/.default",
    );
    assert_eq!(refused(&simulator, &elsewhere).await?, (400, 500_011));

    let change = |field: &str, value: Value| json!({"tenants": {TENANT: {"applications": {CLIENT: {field: value}}}}});
    simulator.patch(change("expired", json!(true))).await?;
    assert_eq!(refused(&simulator, &good).await?, (401, 7_000_222));
    simulator.patch(change("expired", json!(false))).await?;
    simulator.patch(change("consent", json!(false))).await?;
    assert_eq!(refused(&simulator, &good).await?, (400, 65001));
    Ok(())
}

#[tokio::test]
async fn a_tenant_is_known_in_its_own_cloud_only() -> Result<()> {
    let simulator = Simulator::start().await?;
    let form = secret_form(CLIENT, "contoso-secret", PLATFORM);
    for url in [
        "https://login.microsoftonline.com/00000000-0000-4000-8000-000000000099/oauth2/v2.0/token"
            .to_owned(),
        format!("https://login.microsoftonline.us/{TENANT}/oauth2/v2.0/token"),
    ] {
        let (status, body) = answer(simulator.client.post(&url).form(&form).send().await?).await?;
        assert_eq!(
            (status, &body["error_codes"]),
            (400, &json!([90002])),
            "{url}"
        );
    }
    let patch = json!({"tenants": {TENANT: {"cloud": "GccHigh"}}});
    simulator.patch(patch).await?;
    let form = secret_form(
        CLIENT,
        "contoso-secret",
        "https://api.appsplatform.us/.default",
    );
    let url = format!("https://login.microsoftonline.us/{TENANT}/oauth2/v2.0/token");
    let (status, body) = answer(simulator.client.post(&url).form(&form).send().await?).await?;
    assert_eq!(status, 200, "{body}");
    let list = "https://api.high.powerplatform.microsoft.us/environmentmanagement/environments?api-version=2024-10-01";
    let token = body["access_token"].as_str().unwrap_or_default();
    let response = simulator.client.get(list).bearer_auth(token).send().await?;
    assert_eq!(response.status(), 200);
    Ok(())
}

#[tokio::test]
async fn account_errors_have_the_codes_of_entra_and_lock_the_account() -> Result<()> {
    let simulator = Simulator::start().await?;
    let change =
        |value: Value| json!({"tenants": {TENANT: {"accounts": {"dualwrite@contoso.com": value}}}});
    simulator.patch(change(json!({"mfa": true}))).await?;
    assert_eq!(
        refused(&simulator, &password_form("contoso-password")).await?,
        (400, 50076)
    );
    simulator.patch(change(json!({"mfa": false}))).await?;

    for _ in 0..9 {
        assert_eq!(
            refused(&simulator, &password_form("wrong")).await?,
            (400, 50126)
        );
    }
    assert_eq!(
        refused(&simulator, &password_form("wrong")).await?,
        (400, 50053)
    );
    assert_eq!(
        refused(&simulator, &password_form("contoso-password")).await?,
        (400, 50053)
    );
    let state = simulator.state().await?;
    assert_eq!(
        state["tenants"][TENANT]["accounts"]["dualwrite@contoso.com"]["locked"],
        json!(true)
    );
    simulator
        .patch(change(json!({"locked": false, "failedSignIns": 0})))
        .await?;
    simulator.account_token().await?;
    Ok(())
}

#[tokio::test]
async fn only_the_public_client_reaches_the_dual_write_service() -> Result<()> {
    let simulator = Simulator::start().await?;
    let mut form = password_form("contoso-password");
    form[1].1 = CLIENT;
    assert_eq!(refused(&simulator, &form).await?, (400, 65002));
    form[1].1 = "00000000-0000-4000-8000-000000000099";
    assert_eq!(refused(&simulator, &form).await?, (400, 700_016));
    Ok(())
}

#[tokio::test]
async fn refresh_tokens_rotate_and_the_used_one_stays_good() -> Result<()> {
    let simulator = Simulator::start().await?;
    let (_, first) = simulator
        .token_request(&password_form("contoso-password"))
        .await?;
    let token = first["refresh_token"].as_str().unwrap_or_default();
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", DUAL_WRITE_CLIENT),
        ("refresh_token", token),
        (
            "scope",
            "https://IntegratorApp.com/.default openid profile offline_access",
        ),
    ];
    let (status, second) = simulator.token_request(&form).await?;
    assert_eq!(status, 200, "{second}");
    assert_ne!(first["refresh_token"], second["refresh_token"]);
    assert_eq!(simulator.token_request(&form).await?.0, 200);
    let expired = json!({"refreshTokensExpired": true});
    simulator
        .patch(json!({"tenants": {TENANT: {"accounts": {"dualwrite@contoso.com": expired}}}}))
        .await?;
    assert_eq!(refused(&simulator, &form).await?, (400, 700_082));
    Ok(())
}

#[tokio::test]
async fn refresh_tokens_work_once_where_the_scenario_says_so() -> Result<()> {
    let simulator = Simulator::start().await?;
    let once = json!({"refreshTokensOnce": true, "refreshTokens": ["first"]});
    simulator
        .patch(json!({"tenants": {TENANT: {"accounts": {"dualwrite@contoso.com": once}}}}))
        .await?;
    let scope = "https://IntegratorApp.com/.default openid profile offline_access";
    let form = |token: &str| {
        [
            ("grant_type", "refresh_token".to_owned()),
            ("client_id", DUAL_WRITE_CLIENT.to_owned()),
            ("refresh_token", token.to_owned()),
            ("scope", scope.to_owned()),
        ]
    };
    let ask = async |token: &str| {
        let form = form(token);
        let form: Vec<(&str, &str)> = form
            .iter()
            .map(|(key, value)| (*key, value.as_str()))
            .collect();
        simulator.token_request(&form).await
    };
    let (status, second) = ask("first").await?;
    assert_eq!(status, 200, "{second}");
    assert_eq!(ask("first").await?.0, 400);
    let second = second["refresh_token"].as_str().unwrap_or_default();
    assert_eq!(ask(second).await?.0, 200);
    Ok(())
}

#[tokio::test]
async fn a_device_code_waits_for_a_person_and_stands_for_the_second_factor() -> Result<()> {
    let simulator = Simulator::start().await?;
    let change =
        |value: Value| json!({"tenants": {TENANT: {"accounts": {"dualwrite@contoso.com": value}}}});
    simulator.patch(change(json!({"mfa": true}))).await?;
    let url = format!("https://login.microsoftonline.com/{TENANT}/oauth2/v2.0/devicecode");
    let scope = "https://IntegratorApp.com/.default openid profile offline_access";
    let begin = [("client_id", DUAL_WRITE_CLIENT), ("scope", scope)];
    let (status, begun) = answer(simulator.client.post(&url).form(&begin).send().await?).await?;
    assert_eq!(status, 200, "{begun}");
    let code = begun["device_code"].as_str().unwrap_or_default();
    let poll = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("client_id", DUAL_WRITE_CLIENT),
        ("device_code", code),
    ];
    assert_eq!(refused(&simulator, &poll).await?, (400, 70016));
    simulator
        .patch(change(json!({"signsInByDeviceCode": true})))
        .await?;
    let (status, granted) = simulator.token_request(&poll).await?;
    assert_eq!(status, 200, "{granted}");
    assert_eq!(refused(&simulator, &poll).await?, (400, 70018));
    let refresh = [
        ("grant_type", "refresh_token"),
        ("client_id", DUAL_WRITE_CLIENT),
        (
            "refresh_token",
            granted["refresh_token"].as_str().unwrap_or_default(),
        ),
        ("scope", scope),
    ];
    assert_eq!(simulator.token_request(&refresh).await?.0, 200);
    Ok(())
}

#[tokio::test]
async fn tokens_are_good_for_their_audience_only() -> Result<()> {
    let simulator = Simulator::start().await?;
    let link = format!("{MANAGEMENT}/Environments?targetType=AX&identifier={UAT_HOST}");
    let details = "https://contoso-uat.crm4.dynamics.com/api/data/v9.2/RetrieveFinanceAndOperationsIntegrationDetails";
    let platform = simulator
        .application_token("https://api.powerplatform.com")
        .await?;
    for (url, token, status) in [
        (environments_url(), platform.as_str(), 200),
        (link, platform.as_str(), 401),
        (details.to_owned(), platform.as_str(), 401),
        (environments_url(), "made-up", 401),
    ] {
        let response = simulator.client.get(&url).bearer_auth(token).send().await?;
        assert_eq!(response.status(), status, "{url}");
        assert_eq!(
            response.headers().contains_key("www-authenticate"),
            status == 401,
            "{url}"
        );
    }
    let response = simulator.client.get(details).send().await?;
    assert_eq!(response.status(), 401);
    Ok(())
}

#[tokio::test]
async fn tokens_expire() -> Result<()> {
    let simulator = Simulator::start().await?;
    simulator
        .patch(json!({"settings": {"tokenLifetime": "0s"}}))
        .await?;
    let request = simulator
        .as_application(Method::GET, &environments_url())
        .await?;
    assert_eq!(request.send().await?.status(), 401);
    Ok(())
}

/// What Entra says of an assertion: the number of its refusal, if it refuses.
async fn presented(simulator: &Simulator, assertion: &str) -> Result<Option<u64>> {
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", CLIENT),
        (
            "client_assertion_type",
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        ),
        ("client_assertion", assertion),
        ("scope", PLATFORM),
    ];
    let (_, body) = simulator.token_request(&form).await?;
    Ok(body["error_codes"][0].as_u64())
}

#[tokio::test]
async fn a_certificate_stands_for_a_secret_if_signature_time_and_audience_are_right() -> Result<()>
{
    let simulator = Simulator::start().await?;
    let (good, expired) = (
        keys::certificate(keys::CONTOSO, 90),
        keys::certificate(keys::FABRIKAM, -2),
    );
    let credentials = json!({"certificates": [good, expired]});
    simulator
        .patch(json!({"tenants": {TENANT: {"applications": {CLIENT: credentials}}}}))
        .await?;
    let now = jiff::Timestamp::now().as_second();
    let endpoint = format!("https://login.microsoftonline.com/{TENANT}/oauth2/v2.0/token");
    let claims = json!({"aud": endpoint, "iss": CLIENT, "sub": CLIENT, "jti": "1", "nbf": now, "exp": now + 600});
    let with = |change: Value| {
        let mut claims = claims.clone();
        for (key, value) in change.as_object().into_iter().flatten() {
            claims[key] = value.clone();
        }
        claims
    };
    let (contoso, fabrikam) = (keys::thumbprint(&good), keys::thumbprint(&expired));
    for (thumbprint, claims, key, outcome) in [
        (&contoso, claims.clone(), keys::CONTOSO, None),
        (&contoso, claims.clone(), keys::FABRIKAM, Some(700_027)),
        (&fabrikam, claims.clone(), keys::FABRIKAM, Some(700_027)),
        (
            &"other".to_owned(),
            claims.clone(),
            keys::CONTOSO,
            Some(700_027),
        ),
        (
            &contoso,
            with(json!({"exp": now - 300})),
            keys::CONTOSO,
            Some(700_024),
        ),
        (
            &contoso,
            with(json!({"exp": now + 7200})),
            keys::CONTOSO,
            Some(700_024),
        ),
        (
            &contoso,
            with(json!({"aud": "https://login.microsoftonline.com"})),
            keys::CONTOSO,
            Some(700_023),
        ),
        (
            &contoso,
            with(json!({"jti": ""})),
            keys::CONTOSO,
            Some(50027),
        ),
    ] {
        let assertion = keys::signed(&keys::header(thumbprint), &claims, key);
        assert_eq!(
            presented(&simulator, &assertion).await?,
            outcome,
            "{claims}"
        );
    }
    assert_eq!(presented(&simulator, "no token").await?, Some(50027));
    Ok(())
}

#[tokio::test]
async fn a_federated_token_stands_for_a_secret_if_its_issuer_has_signed_it() -> Result<()> {
    let simulator = Simulator::start().await?;
    let subject = "system:serviceaccount:erp:entra";
    let federated = json!({"issuer": "https://cluster.contoso.com", "subject": subject, "keys": keys::jwks(keys::CONTOSO)});
    simulator
        .patch(json!({"tenants": {TENANT: {"applications": {CLIENT: {"federated": [federated]}}}}}))
        .await?;
    let expires = jiff::Timestamp::now().as_second() + 600;
    let claims = |subject: &str, audience: &str, expires: i64| json!({"aud": [audience], "iss": "https://cluster.contoso.com", "sub": subject, "exp": expires});
    let exchange = "api://AzureADTokenExchange";
    for (claims, key, outcome) in [
        (claims(subject, exchange, expires), keys::CONTOSO, None),
        (
            claims(subject, exchange, expires),
            keys::FABRIKAM,
            Some(50013),
        ),
        (
            claims("system:serviceaccount:erp:other", exchange, expires),
            keys::CONTOSO,
            Some(700_211),
        ),
        (
            claims(subject, "https://kubernetes.default.svc", expires),
            keys::CONTOSO,
            Some(700_211),
        ),
        (
            claims(subject, exchange, expires - 1200),
            keys::CONTOSO,
            Some(700_024),
        ),
    ] {
        let assertion = keys::signed(&keys::issuer_header(), &claims, key);
        assert_eq!(
            presented(&simulator, &assertion).await?,
            outcome,
            "{claims}"
        );
    }
    Ok(())
}
