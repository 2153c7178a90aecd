use std::io::Write;
use std::sync::{Arc, Mutex};

use dualwrite_microsoft::power_platform::{environment, install};
use dualwrite_microsoft::{Audience, HostKind};

use crate::support::*;

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

const MARKERS: [&str; 4] = [
    "marker-token",
    "marker-client-secret",
    "marker-password",
    "marker-query",
];

fn assert_clean(what: &str, text: &str) {
    for marker in MARKERS {
        assert!(!text.contains(marker), "{marker} in {what}: {text}");
    }
}

#[tokio::test]
async fn secrets_reach_no_trace_no_error_and_no_debug_output() {
    let captured = Captured::default();
    let writer = captured.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    // For the whole process: with one for this thread alone, what other tests run at the same time decides which places
    // are traced at all.
    tracing::subscriber::set_global_default(subscriber).unwrap();

    // Whatever was sent comes back, in the ways in which services echo.
    let server = Server::bare(|seen, before| match seen.host.as_str() {
        AUTHORITY if before == 0 => token(0),
        AUTHORITY => json(400, format!(r#"{{"error":"invalid_grant","error_description":"AADSTS50126: {} https://x.example/?p=marker-query","access_token":"marker-token-9"}}"#, seen.body)),
        _ => {
            let sent = seen.authorization.clone().unwrap();
            let token = sent.trim_start_matches("Bearer ");
            let headers = [("x-ms-correlation-id", token), ("set-cookie", token)];
            with(400, &headers, format!(r#"{{"error":{{"code":"{sent}","message":"you sent {sent} and {sent}"}}}}"#))
        }
    })
    .await;
    let session = server.application();
    let read = environment(&session, "an-id").await.unwrap_err();
    let changed = install(&session, "an-id", "X", soon()).await.unwrap_err();
    let dataverse = Audience::Dataverse(host(HostKind::Dataverse, DATAVERSE));
    let other = session.token(&dataverse).await.unwrap_err();
    let account = server.account();
    let refused = account
        .token(&Audience::DualWriteService)
        .await
        .unwrap_err();

    for (what, text) in [
        ("read", format!("{read} {read:?}")),
        ("install", format!("{changed} {changed:?}")),
        ("token", format!("{refused} {refused:?} {other} {other:?}")),
        ("session", format!("{session:?} {account:?}")),
        (
            "identities",
            format!(
                "{:?} {:?}",
                crate::support::application(),
                crate::support::account()
            ),
        ),
        ("digest", application().digest()),
        (
            "trace",
            String::from_utf8(captured.0.lock().unwrap().clone()).unwrap(),
        ),
    ] {
        assert_clean(what, &text);
    }
    let trace = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
    assert!(trace.contains("installApplication"), "something was traced");
    assert!(
        read.message.contains("you sent"),
        "the rest of the message stays: {read}"
    );
}
