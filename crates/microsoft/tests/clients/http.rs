use std::time::Duration;

use dualwrite_microsoft::power_platform::{environment, install};
use dualwrite_microsoft::{CallError, Class, MutationError};

use crate::support::*;

async fn environment_error(reply: impl Fn() -> Reply + Send + Sync + 'static) -> CallError {
    let server = Server::start(move |_, _| reply()).await;
    environment(&server.application(), "an-id")
        .await
        .unwrap_err()
}

#[tokio::test]
async fn a_success_that_is_not_json_is_an_error() {
    let sign_in =
        environment_error(|| html(200, "<html><title>Sign in to your account</title></html>"))
            .await;
    assert!(
        sign_in.message.contains("Sign in to your account") && sign_in.message.contains("proxy"),
        "{sign_in}"
    );
    assert_eq!(
        (sign_in.class, sign_in.status),
        (Class::Unexpected, Some(200))
    );

    let disguised = environment_error(|| json(200, "<html>")).await;
    assert!(disguised.message.contains("HTML"), "{disguised}");
    let unlabelled =
        environment_error(|| with(200, &[("content-type", "text/plain")], r#"{"id":"an-id"}"#))
            .await;
    assert!(unlabelled.message.contains("not JSON"), "{unlabelled}");
    let empty = environment_error(|| json(200, "")).await;
    assert!(empty.message.contains("empty"), "{empty}");
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_names_only_the_host() {
    let server = Server::start(|_, _| {
        with(
            302,
            &[(
                "location",
                "https://elsewhere.fabrikam.example/a?secret=marker-query",
            )],
            "",
        )
    })
    .await;
    let error = environment(&server.application(), "an-id")
        .await
        .unwrap_err();
    assert!(
        error.message.contains(ELSEWHERE) && !error.to_string().contains("marker-query"),
        "{error}"
    );
    assert!(server.seen_at(ELSEWHERE).is_empty());
    let lost = install(
        &server.application(),
        "an-id",
        "DualWriteCoreAnchor",
        soon(),
    )
    .await
    .unwrap_err();
    assert!(matches!(lost, MutationError::Lost(_)), "{lost}");
}

#[tokio::test]
async fn a_body_is_read_up_to_its_limit_only() {
    let endless = environment_error(|| Reply::Endless).await;
    assert!(endless.message.contains("8 MiB"), "{endless}");
    let large = environment_error(|| json(200, " ".repeat((8 << 20) + 1))).await;
    assert!(large.message.contains("8 MiB"), "{large}");
    let fits = environment_error(|| json(200, " ".repeat(8 << 20))).await;
    assert!(fits.message.contains("empty"), "{fits}");
}

/// Bytes that keep coming do not make a call last: its time is that of the whole answer.
#[tokio::test]
async fn a_slow_body_is_given_up_in_time() {
    let server = Server::start(|_, _| Reply::Slow).await;
    let patience = Duration::from_millis(500);
    let http = server.http_with(patience, std::sync::Arc::default());
    let session = session(http, application());
    let started = std::time::Instant::now();
    let error = environment(&session, "an-id").await.unwrap_err();
    assert!(started.elapsed() < patience * 8, "{:?}", started.elapsed());
    assert_eq!(error.class, Class::Transient);
    assert!(
        error.message.contains("no whole answer within 0.5 s"),
        "{error}"
    );
}

#[tokio::test]
async fn headers_are_read_up_to_their_limits_only() {
    let many = environment_error(|| with(200, &[("x-many", "1"); 101], "")).await;
    let long = environment_error(|| with(200, &[("x-long", &"a".repeat(1 << 20))], "")).await;
    for refused in [many, long] {
        assert_eq!((refused.class, refused.status), (Class::Transient, None));
        assert!(refused.message.contains("connection broke"), "{refused}");
        assert!(refused.to_string().len() < 1_000, "{refused}");
    }
    let fits = environment_error(|| with(200, &[("x-many", "1"); 90], "")).await;
    assert!(fits.message.contains("empty"), "{fits}");
}

#[tokio::test]
async fn broken_reads_are_transient() {
    for reply in [|| Reply::Close, || Reply::Half] {
        let error = environment_error(reply).await;
        assert_eq!(
            (error.class, error.status),
            (Class::Transient, None),
            "{error}"
        );
        assert!(error.message.contains("connection broke"), "{error}");
    }
}

#[tokio::test]
async fn error_answers_tell_code_class_correlation_and_wait() {
    let busy = environment_error(|| {
        with(
            429,
            &[("retry-after", "17"), ("x-ms-correlation-id", "corr-1")],
            r#"{"error":{"code":"TooMany","message":"slow down"}}"#,
        )
    })
    .await;
    assert_eq!(busy.retry_after, Some(Duration::from_secs(17)));
    assert_eq!(
        (
            busy.class,
            busy.code.as_deref(),
            busy.correlation_id.as_deref()
        ),
        (Class::Transient, Some("TooMany"), Some("corr-1"))
    );
    for part in [
        "getEnvironment",
        POWER_PLATFORM,
        "429",
        "TooMany",
        "slow down",
        "corr-1",
    ] {
        assert!(busy.to_string().contains(part), "{part} in {busy}");
    }
    let dated = environment_error(|| {
        with(
            503,
            &[
                ("date", "Mon, 23 Nov 2026 10:00:00 GMT"),
                ("retry-after", "Mon, 23 Nov 2026 10:00:42 GMT"),
            ],
            "",
        )
    })
    .await;
    assert_eq!(
        (dated.retry_after, dated.class),
        (Some(Duration::from_secs(42)), Class::Transient)
    );
    let denied = environment_error(|| json(403, "{}")).await;
    assert_eq!(
        (denied.class, denied.reason),
        (Class::NeedsPerson, Some("AccessDenied"))
    );
}

#[tokio::test]
async fn hostile_texts_are_cut_and_cleaned() {
    let error = environment_error(|| {
        json(
            400,
            format!(
                "{{\"code\":\"\\u001b[31mX\",\"message\":\"\\u001b]0;x\\u0007{}\"}}",
                "A ".repeat(500_000)
            ),
        )
    })
    .await;
    let text = error.to_string();
    assert!(
        text.len() < 1_000 && !text.contains('\u{1b}') && !text.contains('\u{7}'),
        "{} {text:?}",
        text.len()
    );
}

/// Whatever a body holds, the message is one short line that no terminal obeys.
#[tokio::test]
async fn a_hostile_body_becomes_a_short_and_harmless_message() {
    let raw = |bytes: &[u8]| {
        let bytes = bytes.to_vec();
        move |status: u16, kind: &'static str| Reply::Whole {
            status,
            headers: vec![("content-type", kind.to_owned())],
            body: bytes.clone(),
        }
    };
    let text = "\u{1b}]0;owned\u{7}\u{9b}2J\u{202e}\u{200b}\r\n\u{2028}<b>[press](https://attacker.example)</b>";
    let quoted = text
        .repeat(50_000)
        .replace('\\', "")
        .replace('\u{1b}', "\\u001b")
        .replace('\u{7}', "\\u0007");
    let quoted = quoted.replace("\r\n", "\\r\\n");
    let bodies = [
        raw(&[
            b"\xff\xfe\xc0\x80\x1b[31m".as_slice(),
            &[0xed, 0xa0, 0x80, 0x9b],
        ]
        .concat()
        .repeat(9_000)),
        raw(text.repeat(50_000).as_bytes()),
        raw(format!(r#"{{"error":{{"code":"{quoted}","message":"{quoted}"}}}}"#).as_bytes()),
        raw("[".repeat(1 << 20).as_bytes()),
        raw(format!("{}1{}", r#"{"error":"#.repeat(100), "}".repeat(100)).as_bytes()),
        raw(&vec![0; 1 << 16]),
    ];
    for body in bodies {
        for (status, kind) in [
            (200, "application/json"),
            (200, "text/html"),
            (400, "application/json"),
            (503, "text/plain"),
            (403, "\u{e9}/\u{e9}"),
        ] {
            let body = body.clone();
            let error = environment_error(move || body(status, kind)).await;
            let shown = format!("{error}{:?}", error.code);
            assert!(shown.len() < 4_000, "{} bytes", shown.len());
            let hidden = |c: char| {
                c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
            };
            assert!(!error.to_string().chars().any(hidden), "{error:?}");
        }
    }
}
