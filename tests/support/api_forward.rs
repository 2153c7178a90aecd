//! The proxy's other half: asking the API server, and answering in its stead.

use std::convert::Infallible;

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Collected, Full};
use hyper::body::Bytes;
use hyper::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, RETRY_AFTER, TRANSFER_ENCODING,
};
use hyper::http::request::Parts;
use hyper::{Request, Response};
use kube::client::Body as KubeBody;
use kube::{Client, Config};
use serde_json::json;

pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
pub type Body = UnsyncBoxBody<Bytes, BoxError>;

pub fn upstream_client(mut config: Config) -> Client {
    config.auth_info = kube::config::AuthInfo::default();
    // The operator must see each answer as it is.
    config.default_retry = false;
    Client::try_from(config).expect("a client from a valid configuration")
}

pub async fn forward(mut parts: Parts, body: Bytes, client: &Client) -> Response<Body> {
    // These are about the connection that the request came on, not about the request.
    for header in [HOST, CONNECTION, TRANSFER_ENCODING, CONTENT_LENGTH] {
        parts.headers.remove(header);
    }
    match client
        .send(Request::from_parts(parts, KubeBody::from(body)))
        .await
    {
        Ok(mut response) => {
            response.headers_mut().remove(CONNECTION);
            response.headers_mut().remove(TRANSFER_ENCODING);
            response.map(|body| body.map_err(BoxError::from).boxed_unsync())
        }
        Err(error) => {
            eprintln!("the proxy cannot reach the API server: {error}");
            answer(502, None)
        }
    }
}

pub async fn buffered(response: Response<Body>) -> Response<Body> {
    let (parts, body) = response.into_parts();
    let bytes = body
        .collect()
        .await
        .map(Collected::to_bytes)
        .unwrap_or_default();
    Response::from_parts(parts, full(bytes))
}

/// An error in the API server's own form.
pub fn answer(status: u16, retry_after: Option<u32>) -> Response<Body> {
    let reason = match status {
        409 => "Conflict",
        429 => "TooManyRequests",
        500 => "InternalError",
        503 => "ServiceUnavailable",
        _ => "Unknown",
    };
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "answered by a rule of the test", "reason": reason, "code": status,
    });
    let mut response = Response::builder()
        .status(status)
        .header(CONTENT_TYPE, "application/json");
    if let Some(seconds) = retry_after {
        response = response.header(RETRY_AFTER, seconds);
    }
    response
        .body(full(Bytes::from(body.to_string())))
        .expect("a valid response")
}

fn full(bytes: Bytes) -> Body {
    Full::new(bytes)
        .map_err(|never: Infallible| match never {})
        .boxed_unsync()
}
