//! An HTTP server of which no client takes more than a small share.

use std::{collections::VecDeque, convert::Infallible, time::Duration};

use axum::{Router, serve::Listener};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, task::AbortHandle};

/// The largest head of a request, in bytes: room for a token of some KiB. It is the least that hyper takes.
const LARGEST_HEAD: usize = 8192;

/// A scraper sends some ten headers.
const MOST_HEADERS: usize = 32;

/// What clients may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many connections are open at once. One more closes the oldest: whoever holds connections back keeps nobody
    /// else out.
    pub connections: usize,
    /// How long the head of a request may take to arrive.
    pub head: Duration,
    /// How long a connection may last: one request and its answer.
    pub exchange: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 128,
            head: Duration::from_secs(3),
            exchange: Duration::from_secs(10),
        }
    }
}

/// Serves until the process ends. Each connection carries one request, so that none is idle.
pub async fn serve(mut listener: TcpListener, routes: Router, limits: Limits) -> Infallible {
    let http = http(limits);
    let mut open = VecDeque::new();
    loop {
        let (stream, _peer) = Listener::accept(&mut listener).await;
        make_room(&mut open, limits.connections);
        let service = TowerToHyperService::new(routes.clone());
        let exchange = http.serve_connection(TokioIo::new(stream), service);
        let task = tokio::spawn(tokio::time::timeout(limits.exchange, exchange));
        open.push_back(task.abort_handle());
    }
}

fn http(limits: Limits) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(LARGEST_HEAD)
        .max_headers(MOST_HEADERS)
        .keep_alive(false);
    http
}

fn make_room(open: &mut VecDeque<AbortHandle>, most: usize) {
    open.retain(|connection| !connection.is_finished());
    if open.len() >= most
        && let Some(oldest) = open.pop_front()
    {
        oldest.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use std::net::SocketAddr;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
        time::Instant,
    };

    const HOURS: Duration = Duration::from_hours(1);
    const PATIENT: Limits = Limits {
        connections: 4,
        head: HOURS,
        exchange: HOURS,
    };

    async fn server(limits: Limits) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let endless = || std::future::pending::<()>();
        let routes = Router::new()
            .route("/", get(|| async { "ok" }))
            .route("/endless", get(endless));
        tokio::spawn(serve(listener, routes, limits));
        address
    }

    async fn sent(server: SocketAddr, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(server).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }

    /// What comes until the server closes; that it resets the connection is an end, too.
    async fn answer(mut stream: TcpStream) -> String {
        let mut text = Vec::new();
        let _ = stream.read_to_end(&mut text).await;
        String::from_utf8(text).unwrap()
    }

    const REQUEST: &str = "GET / HTTP/1.1\r\nHost: contoso\r\n\r\n";
    const HALF: &str = "GET / HTTP/1.1\r\nHost: contoso\r\n";

    #[tokio::test]
    async fn one_connection_more_closes_the_oldest_and_is_answered() {
        let server = server(PATIENT).await;
        let mut held = Vec::new();
        for _ in 0..PATIENT.connections {
            held.push(sent(server, HALF).await);
        }
        assert!(answer(sent(server, REQUEST).await).await.ends_with("ok"));
        assert_eq!(answer(held.remove(0)).await, "");
        // The others are still listened to.
        let mut next = held.remove(0);
        next.write_all(b"\r\n").await.unwrap();
        assert!(answer(next).await.ends_with("ok"));
    }

    #[tokio::test]
    async fn a_connection_ends_with_its_answer() {
        let server = server(PATIENT).await;
        let answer = answer(sent(server, &REQUEST.repeat(2)).await).await;
        assert_eq!(answer.matches("200 OK").count(), 1, "{answer}");
        assert!(answer.contains("connection: close"), "{answer}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_and_a_whole_exchange_end_in_time() {
        let head = Limits {
            head: Duration::from_secs(3),
            ..PATIENT
        };
        let began = Instant::now();
        assert_eq!(answer(sent(server(head).await, HALF).await).await, "");
        let exchange = Limits {
            exchange: Duration::from_secs(10),
            ..PATIENT
        };
        let endless = REQUEST.replace("GET /", "GET /endless");
        let stream = sent(server(exchange).await, &endless).await;
        assert_eq!(answer(stream).await, "");
        assert!(began.elapsed() < Duration::from_mins(1));
    }

    #[tokio::test]
    async fn a_large_head_and_one_of_many_parts_are_refused() {
        let server = server(PATIENT).await;
        let begun = format!("{HALF}X-Large: ");
        let large = format!("{begun:a<LARGEST_HEAD$}");
        let many = format!("{HALF}{}\r\n", "X-Many: a\r\n".repeat(MOST_HEADERS));
        for head in [large, many] {
            let answer = answer(sent(server, &head).await).await;
            assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
        }
    }
}
