use std::sync::Arc;
use std::time::Duration;

use dualwrite_microsoft::power_platform::install;
use dualwrite_microsoft::{Api, Audience, Http, HttpOptions, MutationError, Session, Unobserved};
use jiff::{SignedDuration, Timestamp};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::support::*;

#[tokio::test]
async fn lost_answers_of_mutations_are_told_apart() {
    let (usual, short) = (Duration::from_secs(20), Duration::from_secs(3));
    for (reply, wanted) in [
        ((|| Reply::Close) as fn() -> Reply, "Lost"),
        (|| Reply::Half, "Lost"),
        (|| Reply::Stall, "Lost"),
        (|| json(500, "{}"), "Lost"),
        (|| json(408, "{}"), "Lost"),
        (|| html(200, "<html>"), "Lost"),
        (|| json(200, "{"), "Lost"),
        (|| json(400, r#"{"message":"bad"}"#), "Refused"),
        (|| json(403, "{}"), "Refused"),
        (|| json(409, "{}"), "Refused"),
        (|| json(423, "{}"), "Refused"),
        (|| json(429, "{}"), "Refused"),
        (|| json(403, ""), "Refused"),
        // Whoever stands between may have passed the request on.
        (|| html(401, "<html>Sign in</html>"), "Lost"),
        (|| html(403, "<html>Blocked by policy</html>"), "Lost"),
        (|| html(404, "<html>"), "Lost"),
        (
            || json(403, "<!doctype html><title>Blocked</title>"),
            "Lost",
        ),
    ] {
        let server = Server::start(move |_, _| reply()).await;
        let timeout = if matches!(reply(), Reply::Stall) {
            short
        } else {
            usual
        };
        let observed = Arc::new(Observed::default());
        let session = session(
            server.http_with(timeout, Arc::clone(&observed)),
            application(),
        );
        let error = install(&session, "an-id", "DualWriteCoreAnchor", soon())
            .await
            .unwrap_err();
        assert!(
            format!("{error:?}").starts_with(wanted),
            "{wanted}: {error:?}"
        );
        assert_eq!(server.seen_at(POWER_PLATFORM).len(), 1, "sent exactly once");
        assert_eq!(
            observed.0.lock().unwrap().len(),
            2,
            "the token and the install"
        );
    }
}

#[tokio::test]
async fn without_a_connection_a_mutation_is_not_sent() {
    // The token is fetched over the only connection that is ever accepted.
    let (session, listener, _) = session_with_token().await;
    drop(listener);
    let error = install(&session, "an-id", "DualWriteCoreAnchor", soon())
        .await
        .unwrap_err();
    let MutationError::NotSent(error) = error else {
        panic!("{error}")
    };
    assert_eq!(error.call.api(), Api::PowerPlatform);
    assert!(error.message.contains("no connection"), "{error}");
}

#[tokio::test]
async fn a_failed_handshake_sends_nothing() {
    let (session, listener, _) = session_with_token().await;
    let (other_tls, _) = tls();
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        other_tls.accept(stream).await.is_err()
    });
    let error = install(&session, "an-id", "DualWriteCoreAnchor", soon())
        .await
        .unwrap_err();
    assert!(matches!(error, MutationError::NotSent(_)), "{error}");
    assert!(server.await.unwrap(), "the handshake fails on both sides");
}

#[tokio::test]
async fn a_deadline_in_the_past_sends_nothing() {
    let server = Server::start(|_, _| json(200, "{}")).await;
    let error = install(&server.application(), "an-id", "X", Timestamp::now())
        .await
        .unwrap_err();
    assert!(matches!(error, MutationError::NotSent(_)), "{error}");
    assert!(server.seen_at(POWER_PLATFORM).is_empty());
}

/// A session that holds a token, the listener that all its further connections reach, and its TLS.
async fn session_with_token() -> (Session, TcpListener, TlsAcceptor) {
    let (tls, ca_pem) = tls();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let options = HttpOptions {
        connect_to: Some(address),
        extra_ca_pem: Some(ca_pem),
        ..HttpOptions::default()
    };
    let session = session(
        Http::new(options, Arc::new(Unobserved)).unwrap(),
        application(),
    );
    let acceptor = tls.clone();
    let tokens = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        answer_token(acceptor.accept(stream).await.unwrap()).await;
        listener
    });
    session.token(&Audience::PowerPlatform).await.unwrap();
    let listener = tokens.await.unwrap();
    (session, listener, tls)
}

/// The connection of the mutation stands only after the deadline: its handshake is held back. Returns the outcome and
/// what the server read on that connection.
async fn install_over_slow_handshake(send_by: Timestamp, held: Timestamp) -> (bool, usize) {
    let (session, listener, tls) = session_with_token().await;
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let rest = held.duration_since(Timestamp::now());
        tokio::time::sleep(Duration::try_from(rest).unwrap_or_default()).await;
        let mut stream = tls
            .accept(stream)
            .await
            .expect("the handshake itself succeeds");
        let mut buffer = [0; 1024];
        stream.read(&mut buffer).await.unwrap_or(0)
    });
    let result = install(&session, "an-id", "DualWriteCoreAnchor", send_by).await;
    (
        matches!(result, Err(MutationError::NotSent(_))),
        server.await.unwrap(),
    )
}

async fn answer_token(mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin) {
    use tokio::io::AsyncWriteExt;
    let mut buffer = [0; 4096];
    let _ = stream.read(&mut buffer).await.unwrap();
    let body = r#"{"access_token":"marker","expires_in":3600}"#;
    let head =
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length:";
    stream
        .write_all(format!("{head} {}\r\n\r\n{body}", body.len()).as_bytes())
        .await
        .unwrap();
    stream.shutdown().await.unwrap();
}

#[tokio::test]
async fn nothing_is_written_after_the_deadline() {
    let send_by = Timestamp::now() + SignedDuration::from_secs(2);
    let held = send_by + SignedDuration::from_millis(50);
    let (not_sent, read) = install_over_slow_handshake(send_by, held).await;
    assert!(not_sent && read == 0, "not sent: {not_sent}, bytes: {read}");
    // The same before the deadline is written: the test can fail.
    let (not_sent, read) = install_over_slow_handshake(soon(), Timestamp::now()).await;
    assert!(!not_sent && read > 0, "not sent: {not_sent}, bytes: {read}");
}
