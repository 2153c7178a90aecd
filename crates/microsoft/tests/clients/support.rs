//! A small server that says exactly what a test wants it to say, over TLS, at the services' real host names.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dualwrite_microsoft::{
    AllowedHost, Call, CallObserver, Cloud, HostKind, HostPolicy, Http, HttpOptions, Identity,
    Limits, Session,
};
use jiff::{SignedDuration, Timestamp};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

pub(crate) const AUTHORITY: &str = "login.microsoftonline.com";
pub(crate) const POWER_PLATFORM: &str = "api.powerplatform.com";
pub(crate) const DATAVERSE: &str = "contoso-uat.crm4.dynamics.com";
pub(crate) const FINANCE: &str = "contoso-uat.sandbox.operations.dynamics.com";
pub(crate) const DUAL_WRITE: &str =
    "projectmanagementservice.weu-il107.gateway.prod.island.powerapps.com";
pub(crate) const ELSEWHERE: &str = "elsewhere.fabrikam.example";

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) host: String,
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) authorization: Option<String>,
    pub(crate) body: String,
}

pub(crate) enum Reply {
    Whole {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: Vec<u8>,
    },
    /// Close the connection without an answer.
    Close,
    /// Answer the head and half of the body, then close.
    Half,
    /// A body that never ends.
    Endless,
    /// A body that comes byte by byte, and never ends.
    Slow,
    /// No answer at all, while the client waits.
    Stall,
}

pub(crate) fn json(status: u16, body: impl ToString) -> Reply {
    with(
        status,
        &[("content-type", "application/json; charset=utf-8")],
        body,
    )
}

pub(crate) fn html(status: u16, body: &str) -> Reply {
    with(status, &[("content-type", "text/html")], body)
}

pub(crate) fn with(status: u16, headers: &[(&'static str, &str)], body: impl ToString) -> Reply {
    let headers = headers
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()))
        .collect();
    Reply::Whole {
        status,
        headers,
        body: body.to_string().into_bytes(),
    }
}

/// A token answer; the token's text is unique to the test run and counts up.
pub(crate) fn token(number: usize) -> Reply {
    json(
        200,
        format!(
            r#"{{"token_type":"Bearer","expires_in":3600,"access_token":"marker-token-{number}"}}"#
        ),
    )
}

type Handler = dyn Fn(&Seen, usize) -> Reply + Send + Sync;

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) ca_pem: Vec<u8>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// TLS for all host names of the tests, and the certificate of its authority.
pub(crate) fn tls() -> (TlsAcceptor, Vec<u8>) {
    let mut ca = rcgen::CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca = rcgen::CertifiedIssuer::self_signed(ca, rcgen::KeyPair::generate().unwrap()).unwrap();
    let names = [
        AUTHORITY,
        POWER_PLATFORM,
        DATAVERSE,
        FINANCE,
        DUAL_WRITE,
        ELSEWHERE,
    ];
    let key = rcgen::KeyPair::generate().unwrap();
    let leaf = rcgen::CertificateParams::new(names.map(str::to_owned).to_vec())
        .unwrap()
        .signed_by(&key, &ca)
        .unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(
        rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .unwrap()
    .with_no_client_auth()
    .with_single_cert(vec![leaf.der().clone()], key)
    .unwrap();
    (TlsAcceptor::from(Arc::new(config)), ca.pem().into_bytes())
}

impl Server {
    /// `handler` gets the request and how many requests to the same host and path came before it. Token requests are
    /// answered before it is asked, unless it is started with [`Server::bare`].
    pub(crate) async fn start(
        handler: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::bare(move |seen, before| {
            if seen.host == AUTHORITY {
                token(before)
            } else {
                handler(seen, before)
            }
        })
        .await
    }

    pub(crate) async fn bare(
        handler: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let (tls, ca_pem) = tls();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let (log, handler): (_, Arc<Handler>) = (Arc::clone(&seen), Arc::new(handler));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, log, handler) = (tls.clone(), Arc::clone(&log), Arc::clone(&handler));
                tokio::spawn(async move {
                    let Ok(mut stream) = tls.accept(stream).await else {
                        return;
                    };
                    while let Some(seen) = read(&mut stream).await {
                        let before = {
                            let mut log = log.lock().unwrap();
                            let same = |s: &&Seen| {
                                s.host == seen.host && path(&s.target) == path(&seen.target)
                            };
                            let before = log.iter().filter(same).count();
                            log.push(seen.clone());
                            before
                        };
                        if !write(&mut stream, handler(&seen, before)).await {
                            return;
                        }
                    }
                });
            }
        });
        Self {
            address,
            ca_pem,
            seen,
        }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn seen_at(&self, host: &str) -> Vec<Seen> {
        self.seen()
            .into_iter()
            .filter(|seen| seen.host == host)
            .collect()
    }

    pub(crate) fn http(&self) -> Http {
        self.http_with(Duration::from_secs(20), Arc::new(Observed::default()))
    }

    pub(crate) fn http_with(&self, request_timeout: Duration, observer: Arc<Observed>) -> Http {
        Http::new(self.options(request_timeout), observer).unwrap()
    }

    pub(crate) fn options(&self, request_timeout: Duration) -> HttpOptions {
        HttpOptions {
            connect_to: Some(self.address),
            extra_ca_pem: Some(self.ca_pem.clone()),
            request_timeout,
            slow_factor: 10,
            ..HttpOptions::default()
        }
    }

    pub(crate) fn application(&self) -> Session {
        session(self.http(), application())
    }

    pub(crate) fn account(&self) -> Session {
        session(self.http(), account())
    }
}

/// What a [`CallObserver`] was told.
#[derive(Default)]
pub(crate) struct Observed(pub(crate) Mutex<Vec<(Call, String)>>);

impl CallObserver for Observed {
    fn call(&self, call: Call, code: &str, _: Duration) {
        self.0.lock().unwrap().push((call, code.to_owned()));
    }
}

pub(crate) fn application() -> Identity {
    Identity::ClientSecret {
        tenant_id: "72f988bf-0000-4000-8000-000000000001".into(),
        client_id: "11111111-0000-4000-8000-000000000001".into(),
        secret: "marker-client-secret~+%".to_owned().into(),
    }
}

pub(crate) fn account() -> Identity {
    Identity::Password {
        tenant_id: "72f988bf-0000-4000-8000-000000000001".into(),
        username: "dual-write@contoso.com".into(),
        password: "marker-password+/&=ü".to_owned().into(),
    }
}

pub(crate) fn session(http: Http, identity: Identity) -> Session {
    Session::new(
        http,
        Cloud::Public,
        HostPolicy::default(),
        identity,
        Limits::default(),
    )
}

pub(crate) fn host(kind: HostKind, name: &str) -> AllowedHost {
    HostPolicy::default()
        .check(Cloud::Public, kind, name)
        .unwrap()
}

pub(crate) fn soon() -> Timestamp {
    Timestamp::now() + SignedDuration::from_secs(30)
}

/// Let time pass for tokens and timeouts, without waiting.
pub(crate) async fn pass(duration: Duration) {
    tokio::time::pause();
    tokio::time::advance(duration).await;
    tokio::time::resume();
}

pub(crate) fn path(target: &str) -> &str {
    target.split('?').next().unwrap()
}

/// One request, or `None` when the client has closed.
async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Seen> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let header = |name: &str| {
        head.lines()
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.trim().to_owned())
    };
    let mut first = head.lines().next()?.split(' ');
    let mut body = vec![0; header("content-length").map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).await.ok()?;
    Some(Seen {
        method: first.next()?.to_owned(),
        target: first.next()?.to_owned(),
        host: header("host")?,
        authorization: header("authorization"),
        body: String::from_utf8(body).unwrap(),
    })
}

/// Whether the connection can be used again.
async fn write(stream: &mut (impl AsyncWrite + Unpin), reply: Reply) -> bool {
    match reply {
        Reply::Whole {
            status,
            headers,
            body,
        } => {
            let mut head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n", body.len());
            for (name, value) in headers {
                head.extend([name, ": ", &value, "\r\n"]);
            }
            head.push_str("\r\n");
            // At once: a second small write would wait until the first is acknowledged.
            let whole = [head.into_bytes(), body].concat();
            stream.write_all(&whole).await.is_ok() && stream.flush().await.is_ok()
        }
        Reply::Close => false,
        Reply::Half => {
            let half = b"HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{\"value\":";
            let _ = stream.write_all(half).await;
            let _ = stream.flush().await;
            false
        }
        Reply::Endless => {
            let head = b"HTTP/1.1 200 X\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
            let mut alive = stream.write_all(head).await.is_ok();
            let chunk = [b"10000\r\n".as_slice(), &vec![b' '; 0x10000], b"\r\n"].concat();
            while alive {
                alive = stream.write_all(&chunk).await.is_ok();
            }
            false
        }
        Reply::Slow => {
            let head = b"HTTP/1.1 200 X\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
            let mut alive = stream.write_all(head).await.is_ok();
            while alive {
                alive =
                    stream.write_all(b"1\r\n \r\n").await.is_ok() && stream.flush().await.is_ok();
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            false
        }
        Reply::Stall => std::future::pending().await,
    }
}
