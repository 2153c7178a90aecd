//! Every fault.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Simulator, UAT, answer, environments_url, packages_url};

const CORE: &str = "DualWriteCoreAnchor";

fn install_url() -> String {
    packages_url(&format!("/{CORE}/install?"))
}

async fn package_state(simulator: &Simulator) -> Result<Value> {
    Ok(simulator.state().await?["environments"][UAT]["packages"][CORE]["state"].clone())
}

#[tokio::test]
async fn an_answer_instead_of_the_effect_counts_and_ends() -> Result<()> {
    let simulator = Simulator::start().await?;
    let effect =
        json!({"status": 503, "headers": {"x-contoso": "1"}, "body": {"error": {"code": "Busy"}}});
    let fault = json!({"call": "listEnvironments", "after": 1, "times": 2, "effect": effect});
    let id = simulator.fault(fault).await?;
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(simulator.get(&environments_url()).await?.0);
    }
    assert_eq!(statuses, [200, 503, 503, 200]);
    let faults = simulator
        .control(Method::GET, "/faults", Value::Null)
        .await?;
    assert_eq!(
        (&faults[0]["id"], &faults[0]["fired"]),
        (&json!(id), &json!(2))
    );
    Ok(())
}

#[tokio::test]
async fn faults_can_be_for_a_host_or_a_path_and_for_ever() -> Result<()> {
    let simulator = Simulator::start().await?;
    let effect = json!({"status": 500});
    simulator
        .fault(json!({"call": "*", "host": "api.powerplatform.com", "pathContains": "/packages", "times": null, "effect": effect}))
        .await?;
    simulator
        .fault(json!({"call": "*", "host": "api.powerplatform.com", "pathContains": "applicationPackages", "times": null, "effect": effect}))
        .await?;
    assert_eq!(simulator.get(&environments_url()).await?.0, 200);
    for _ in 0..3 {
        assert_eq!(simulator.get(&packages_url("?")).await?.0, 500);
    }
    simulator
        .control(Method::DELETE, "/faults", Value::Null)
        .await?;
    assert_eq!(simulator.get(&packages_url("?")).await?.0, 200);
    Ok(())
}

#[tokio::test]
async fn answers_get_lost_after_and_before_the_effect() -> Result<()> {
    for (effect, state, applied) in [
        ("lostAfterEffect", "InstallRequested", true),
        ("lostBeforeEffect", "None", false),
    ] {
        let simulator = Simulator::start().await?;
        simulator
            .fault(json!({"call": "installApplication", "effect": effect}))
            .await?;
        let request = simulator
            .as_application(Method::POST, &install_url())
            .await?;
        assert!(request.send().await.is_err(), "{effect}");
        assert_eq!(package_state(&simulator).await?, state);
        let journal = simulator.journal().await?;
        assert_eq!(
            (
                journal.len(),
                &journal[0]["applied"],
                &journal[0]["answered"]
            ),
            (1, &json!(applied), &json!(false))
        );
    }
    Ok(())
}

#[tokio::test]
async fn over_http_1_the_connection_is_closed() -> Result<()> {
    let simulator = Simulator::start().await?;
    simulator
        .fault(json!({"call": "listEnvironments", "effect": "lostAfterEffect"}))
        .await?;
    let token = simulator
        .application_token("https://api.powerplatform.com")
        .await?;
    let client = simulator.http1()?;
    let request = client.get(environments_url()).bearer_auth(&token);
    assert!(request.send().await.is_err());
    let response = client
        .get(environments_url())
        .bearer_auth(&token)
        .send()
        .await?;
    assert_eq!(
        (response.status().as_u16(), response.version()),
        (200, reqwest::Version::HTTP_11)
    );
    Ok(())
}

#[tokio::test]
async fn another_status_after_the_effect() -> Result<()> {
    let simulator = Simulator::start().await?;
    let effect = json!({"statusAfterEffect": {"status": 500, "body": "gone wrong"}});
    simulator
        .fault(json!({"call": "installApplication", "effect": effect}))
        .await?;
    let answer = simulator.post(&install_url(), &json!({})).await?;
    assert_eq!(answer, (500, json!("gone wrong")));
    assert_eq!(package_state(&simulator).await?, "InstallRequested");
    Ok(())
}

#[tokio::test]
async fn pages_empty_bodies_and_other_casings() -> Result<()> {
    let simulator = Simulator::start().await?;
    simulator
        .fault(json!({"call": "installApplication", "effect": "html"}))
        .await?;
    let request = simulator
        .as_application(Method::POST, &install_url())
        .await?;
    let response = request.send().await?;
    assert_eq!(response.status(), 200);
    assert!(
        response.headers()["content-type"]
            .to_str()?
            .starts_with("text/html")
    );
    assert_eq!(package_state(&simulator).await?, "None");

    simulator
        .fault(json!({"call": "listEnvironments", "effect": "emptyBody"}))
        .await?;
    assert_eq!(
        simulator.get(&environments_url()).await?,
        (200, Value::Null)
    );

    simulator
        .patch(json!({"settings": {"pageSize": 1}}))
        .await?;
    simulator
        .fault(json!({"call": "listEnvironments", "effect": "wrongCasing"}))
        .await?;
    let (_, body) = simulator.get(&environments_url()).await?;
    assert_eq!(body["value"][0]["state"], "ENABLED");
    assert!(body["@odata.nextlink"].is_string());

    simulator
        .fault(json!({"call": "listEnvironments", "effect": {"unknownState": "Foo"}}))
        .await?;
    let (_, body) = simulator.get(&environments_url()).await?;
    assert_eq!(body["value"][0]["state"], "Foo");
    Ok(())
}

#[tokio::test]
async fn a_delay_goes_on_normally() -> Result<()> {
    let simulator = Simulator::start_with(&["--time-scale", "600"]).await?;
    simulator
        .fault(json!({"call": "listEnvironments", "effect": {"delay": "300ms"}}))
        .await?;
    let begun = Instant::now();
    assert_eq!(simulator.get(&environments_url()).await?.0, 200);
    assert!(begun.elapsed() >= Duration::from_millis(300));
    Ok(())
}

#[tokio::test]
async fn calls_are_held_on_either_side_of_the_effect() -> Result<()> {
    for (at, state) in [("before", "None"), ("after", "InstallRequested")] {
        let simulator = Simulator::start().await?;
        let id = simulator
            .fault(json!({"call": "installApplication", "effect": {"hold": true, "holdAt": at}}))
            .await?;
        let request = simulator
            .as_application(Method::POST, &install_url())
            .await?;
        let held = tokio::spawn(async move { answer(request.send().await?).await });
        simulator
            .control(
                Method::GET,
                &format!("/wait?fault={id}&fired=1&timeout=10s"),
                Value::Null,
            )
            .await?;
        assert_eq!(package_state(&simulator).await?, state, "{at}");
        assert!(!held.is_finished());
        simulator
            .control(Method::POST, &format!("/faults/{id}/release"), Value::Null)
            .await?;
        assert_eq!(held.await??.0, 200);
        assert_eq!(package_state(&simulator).await?, "InstallRequested");
    }
    Ok(())
}

#[tokio::test]
async fn retry_after_as_seconds_and_as_a_date() -> Result<()> {
    let simulator = Simulator::start().await?;
    simulator
        .fault(json!({"call": "listEnvironments", "effect": {"retryAfterSeconds": 7}}))
        .await?;
    simulator
        .fault(
            json!({"call": "listEnvironments", "effect": {"retryAfterDate": "30s", "status": 503}}),
        )
        .await?;
    let header = async || -> Result<(u16, String)> {
        let request = simulator
            .as_application(Method::GET, &environments_url())
            .await?;
        let response = request.send().await?;
        let header = response.headers()["retry-after"].to_str()?.to_owned();
        Ok((response.status().as_u16(), header))
    };
    assert_eq!(header().await?, (429, "7".to_owned()));
    let (status, date) = header().await?;
    let away = httpdate::parse_http_date(&date)?.duration_since(std::time::SystemTime::now())?;
    assert_eq!(status, 503);
    assert!((25..=31).contains(&away.as_secs()), "{date}");
    Ok(())
}

#[tokio::test]
async fn a_token_is_refused_once_and_for_good() -> Result<()> {
    let simulator = Simulator::start().await?;
    simulator
        .fault(json!({"call": "listEnvironments", "effect": "unauthorizedOnce"}))
        .await?;
    let token = simulator
        .application_token("https://api.powerplatform.com")
        .await?;
    for _ in 0..2 {
        let request = simulator.client.get(environments_url()).bearer_auth(&token);
        let response = request.send().await?;
        assert_eq!(response.status(), 401);
        assert!(response.headers().contains_key("www-authenticate"));
    }
    assert_eq!(simulator.get(&environments_url()).await?.0, 200);
    Ok(())
}

#[tokio::test]
async fn bodies_can_be_huge_or_endless() -> Result<()> {
    let simulator = Simulator::start().await?;
    simulator
        .fault(json!({"call": "listEnvironments", "effect": {"hugeBody": 9_000_000}}))
        .await?;
    let request = simulator
        .as_application(Method::GET, &environments_url())
        .await?;
    let body = request.send().await?.bytes().await?;
    assert_eq!(body.len(), 9_000_000);
    assert_eq!(serde_json::from_slice::<Value>(&body)?, json!([]));

    simulator
        .fault(json!({"call": "listEnvironments", "effect": "endlessBody"}))
        .await?;
    let request = simulator
        .as_application(Method::GET, &environments_url())
        .await?;
    let mut response = request.send().await?;
    let mut received = 0;
    while received < 100_000 {
        received += response.chunk().await?.context("the body ended")?.len();
    }
    Ok(())
}

#[tokio::test]
async fn redirects_lead_away() -> Result<()> {
    let simulator = Simulator::start().await?;
    let elsewhere = "https://login.fabrikam.com/";
    simulator
        .fault(json!({"call": "listEnvironments", "effect": {"redirect": elsewhere}}))
        .await?;
    let request = simulator
        .as_application(Method::GET, &environments_url())
        .await?;
    let response = request.send().await?;
    assert_eq!(
        (
            response.status().as_u16(),
            response.headers()["location"].to_str()?
        ),
        (307, elsewhere)
    );
    Ok(())
}

#[tokio::test]
async fn faults_that_are_not_understood_are_refused_in_words() -> Result<()> {
    let simulator = Simulator::start().await?;
    for (fault, word) in [
        (
            json!({"call": "noSuchCall", "effect": "html"}),
            "noSuchCall",
        ),
        (
            json!({"call": "token", "effect": "noSuchEffect"}),
            "noSuchEffect",
        ),
        (
            json!({"call": "token", "effect": {"delay": "soon"}}),
            "soon",
        ),
        (json!({"call": "token", "effect": {"status": 99}}), "99"),
        (json!({"call": "token", "efect": "html"}), "efect"),
    ] {
        let (status, body) = simulator
            .try_control(Method::POST, "/faults", fault)
            .await?;
        let message = body["error"].as_str().unwrap_or_default();
        assert_eq!(status, 422);
        assert!(message.contains(word), "{message}");
    }
    Ok(())
}
