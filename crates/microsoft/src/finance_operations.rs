//! Whether a finance and operations environment answers.

use http::Method;

use super::clouds::{AllowedHost, HostKind};
use super::error::Call;
use super::http::{Body, Http, Request};

const ROOT: Call = Call::FinanceOperationsRoot;

/// Whether an environment is up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Up {
    /// It answered.
    Yes,
    /// It did not, and why.
    No(String),
}

/// Is the environment up? `GET https://{host}/`, without a token.
///
/// \[I\] any status below 500 counts: a running environment redirects to sign-in (which is not followed), a stopped
/// one times out, refuses, or answers 5xx. The body is not read.
pub async fn is_up(http: &Http, host: &AllowedHost) -> Up {
    if host.kind() != HostKind::FinanceOperations {
        return Up::No(format!(
            "{} was not allowed as a finance and operations host.",
            host.name()
        ));
    }
    let url = match host.url(&[], &[]) {
        Ok(url) => url,
        Err(bad) => return Up::No(bad.to_string()),
    };
    let (method, body) = (Method::GET, Body::Empty);
    let request = Request {
        call: ROOT,
        method,
        url: &url,
        bearer: None,
        credential: None,
        body,
        timeout: None,
    };
    match http.status(request).await {
        Ok(status) if status.as_u16() < 500 => Up::Yes,
        Ok(status) => Up::No(format!("it answered {}", status.as_u16())),
        Err(error) => Up::No(error.to_string()),
    }
}
