//! Where only a proxy reaches the internet: what is sent goes through it, and what it refuses is said.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::support::World;
use crate::support::contoso::*;

/// A proxy that knows CONNECT, and takes every host to one address; with none it asks who is there.
struct Proxy {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    async fn start(upstream: Option<SocketAddr>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let log = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                // A client that goes away in the middle is no matter.
                tokio::spawn(serve(client, upstream, Arc::clone(&log)));
            }
        });
        Self { url, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn serve(
    client: TcpStream,
    upstream: Option<SocketAddr>,
    log: Arc<Mutex<Vec<String>>>,
) -> std::io::Result<()> {
    let mut client = BufReader::new(client);
    let mut line = String::new();
    client.read_line(&mut line).await?;
    log.lock().unwrap().push(line.trim_end().to_owned());
    while line != "\r\n" {
        line.clear();
        client.read_line(&mut line).await?;
    }
    let Some(upstream) = upstream else {
        let refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n";
        return client.write_all(refusal).await;
    };
    let mut upstream = TcpStream::connect(upstream).await?;
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    tokio::io::copy_bidirectional(&mut client, &mut upstream).await?;
    Ok(())
}

/// A world whose operator finds Microsoft's hosts through this proxy only, and the API server without it.
async fn behind(proxy: &Proxy, mut world: World) -> World {
    world.patch_state(linked(SPEC)).await;
    create_secrets(&world).await;
    // It means names instead of addresses; and with it, no proxy is used.
    world.without_flag("--connect-to");
    world.set_variable("HTTPS_PROXY", &proxy.url);
    world.set_variable("NO_PROXY", "127.0.0.1");
    world.start_operator(&[]).await;
    connect(&world, json!({})).await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_goes_through_the_proxy_of_the_environment() {
    let world = builder().start().await;
    let simulator = world.simulator().listen().parse().unwrap();
    let proxy = Proxy::start(Some(simulator)).await;
    let world = behind(&proxy, world).await;
    ready(&world).await;
    let asked = proxy.asked();
    for host in [
        "login.microsoftonline.com",
        "api.powerplatform.com",
        SERVICE,
    ] {
        let line = format!("CONNECT {host}:443 HTTP/1.1");
        assert!(asked.contains(&line), "{line} is not in {asked:#?}");
    }
    // TLS is with the host itself: the proxy sees names, and nothing of what is said.
    assert!(asked.iter().all(|line| line.starts_with("CONNECT ")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_refuses_is_named() {
    let proxy = Proxy::start(None).await;
    let world = behind(&proxy, builder().start().await).await;
    let parts = [
        "token at login.microsoftonline.com",
        "proxy authorization required",
    ];
    says(&world, "Reconciling", "True", "Retrying", &parts).await;
    assert!(
        proxy
            .asked()
            .iter()
            .all(|line| line.starts_with("CONNECT "))
    );
}
