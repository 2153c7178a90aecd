//! TLS 1.2 at least, with a certificate that is trusted and for this name. No library here can still speak less, so the
//! older server is made by hand.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dualwrite_microsoft::dataverse::integration;
use dualwrite_microsoft::power_platform::environment;
use dualwrite_microsoft::{Class, Cloud, HostKind, HostPolicy, Http, HttpOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::support::*;

/// A `ServerHello` of TLS 1.1 that takes `TLS_RSA_WITH_AES_128_CBC_SHA`.
fn server_hello() -> Vec<u8> {
    let body = [&[3, 2][..], &[7; 32], &[0], &[0, 0x2f], &[0]].concat();
    let length = u8::try_from(body.len()).unwrap();
    let handshake = [&[2, 0, 0, length][..], &body].concat();
    [&[22, 3, 2, 0, length + 4][..], &handshake].concat()
}

/// What a client offered, and what it sent after the server had chosen TLS 1.1.
struct Met {
    hello: Vec<u8>,
    after: Vec<u8>,
}

async fn old_server() -> (SocketAddr, UnboundedReceiver<Met>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (log, met) = unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 5];
            stream.read_exact(&mut head).await.unwrap();
            let mut hello = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
            stream.read_exact(&mut hello).await.unwrap();
            stream.write_all(&server_hello()).await.unwrap();
            let mut after = Vec::new();
            let _ = stream.read_to_end(&mut after).await;
            let _ended = log.send(Met { hello, after });
        }
    });
    (address, met)
}

#[tokio::test]
async fn a_server_that_speaks_tls_1_1_only_gets_nothing() {
    let (address, mut met) = old_server().await;
    let options = HttpOptions {
        connect_to: Some(address),
        extra_ca_pem: Some(tls().1),
        ..HttpOptions::default()
    };
    let http = Http::new(options, Arc::new(Observed::default())).unwrap();
    let error = environment(&session(http, application()), "an-id")
        .await
        .unwrap_err();
    assert_eq!((error.class, error.status), (Class::Transient, None));
    assert!(error.message.contains("no connection"), "{error}");

    let met = tokio::time::timeout(Duration::from_secs(10), met.recv()).await;
    let Met { hello, after } = met.unwrap().expect("it was asked");
    // The extension supported_versions: TLS 1.3 and 1.2, and nothing else.
    let offered = [0, 0x2b, 0, 5, 4, 3, 4, 3, 3];
    assert!(hello.windows(offered.len()).any(|part| part == offered));
    // An alert, and nothing else: not even a part of a request.
    assert_eq!((after.first(), after.len()), (Some(&21), 7), "{after:?}");
}

/// Whose certificate is not trusted, or is for another name, learns nothing either; and the message says which it is.
#[tokio::test]
async fn a_server_with_a_certificate_that_proves_nothing_gets_nothing() {
    let server = Server::start(|_, _| json(200, "{}")).await;
    let untrusted = HttpOptions {
        extra_ca_pem: Some(tls().1),
        ..server.options(Duration::from_secs(10))
    };
    let http = Http::new(untrusted, Arc::new(Observed::default())).unwrap();
    let untrusted = environment(&session(http, application()), "an-id")
        .await
        .unwrap_err();

    // One that the certificate of the server does not name.
    let host = "fabrikam.crm4.dynamics.com";
    let policy = HostPolicy::default();
    let host = policy
        .check(Cloud::Public, HostKind::Dataverse, host)
        .unwrap();
    let other = integration(&server.application(), &host).await.unwrap_err();
    for (error, parts) in [
        (
            untrusted,
            ["invalid peer certificate", "login.microsoftonline.com"],
        ),
        (other, ["invalid peer certificate", "not valid for name"]),
    ] {
        assert_eq!((error.class, error.status), (Class::Transient, None));
        let text = error.to_string();
        assert!(text.contains("no connection"), "{text}");
        for part in parts {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
    // Only the authority, whose certificate is good, was sent anything.
    assert!(server.seen().iter().all(|seen| seen.host == AUTHORITY));
}
