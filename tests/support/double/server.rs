//! Connections: TLS, HTTP/1.1, and answers in whatever form they come.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use futures::stream;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Either, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::Shared;
use super::wire::{Answer, Call, Reply, decoded};

type Pieces = StreamBody<stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, Infallible>>>>;
type Body = Either<Full<Bytes>, Pieces>;

pub async fn listen(acceptor: TlsAcceptor, shared: Arc<Shared>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a loopback port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(connection(acceptor.clone(), stream, Arc::clone(&shared)));
        }
    });
    address
}

async fn connection(acceptor: TlsAcceptor, stream: TcpStream, shared: Arc<Shared>) {
    // A client that goes away in between is no matter here.
    let Ok(stream) = acceptor.accept(stream).await else {
        return;
    };
    let service = service_fn(move |request| respond(Arc::clone(&shared), request));
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// An error ends the connection without an answer, which is what a cut is.
async fn respond(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Body>, std::io::Error> {
    let call = call(request).await?;
    // No guard may live across the wait below.
    let answer = shared.state().answer(&call);
    match answer {
        Answer::Cut => Err(std::io::ErrorKind::ConnectionReset.into()),
        Answer::Reply(reply) => {
            tokio::time::sleep(reply.after).await;
            Ok(response(reply))
        }
    }
}

async fn call(request: Request<Incoming>) -> Result<Call, std::io::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(std::io::Error::other)?;
    let text = |name: &str| {
        let value = head.headers.get(name)?.to_str().ok()?;
        Some(value.to_owned())
    };
    let segments = head.uri.path().split('/').filter(|part| !part.is_empty());
    let query = head.uri.query().unwrap_or_default();
    Ok(Call {
        segments: segments.map(decoded).collect(),
        query: url::form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect(),
        host: text("host").unwrap_or_default().to_lowercase(),
        authorization: text("authorization"),
        body: body.to_bytes().to_vec(),
        method: head.method,
    })
}

fn response(reply: Reply) -> Response<Body> {
    let body = if reply.in_pieces {
        let pieces: Vec<_> = reply
            .body
            .chunks(700)
            .map(|piece| Ok(Frame::data(Bytes::copy_from_slice(piece))))
            .collect();
        Either::Right(StreamBody::new(stream::iter(pieces)))
    } else {
        Either::Left(Full::new(Bytes::from(reply.body)))
    };
    let mut response = Response::builder().status(reply.status);
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    let date = httpdate::fmt_http_date(std::time::SystemTime::now());
    response
        .header("date", date)
        .header("x-ms-correlation-id", uuid::Uuid::new_v4().to_string())
        .body(body)
        .expect("a response")
}
