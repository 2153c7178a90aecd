//! The first link.

use jiff::Timestamp;

use super::template::CallTemplate;
use super::{AUDIENCE, call};
use crate::microsoft::Session;
use crate::microsoft::auth::{Change, bad_url};
use crate::microsoft::clouds::AllowedHost;
use crate::microsoft::error::MutationError;

/// A link may take this many times the usual time of a call: clients of the same service allow 300 s \[O\].
pub const LINK_TIMEOUT_FACTOR: u32 = 10;

/// What is to be linked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkRequest {
    /// The Power Platform environment.
    pub environment_id: String,
    /// Its display name.
    pub environment_name: String,
    /// Its domain name, the first label of the Dataverse host.
    pub domain_name: String,
    /// The Dataverse URL; a trailing slash is removed.
    pub dataverse_url: String,
    /// The finance and operations host.
    pub finance_operations_host: String,
    /// The finance and operations URL; a trailing slash is removed.
    pub finance_operations_url: String,
    /// Whether the finance and operations environment is a cloud-hosted development environment.
    pub is_dev_instance: bool,
    /// The companies that take part.
    pub legal_entities: Vec<String>,
}

/// Ask the service for the first link.
///
/// \[I\] no public client makes a first link. The call and its body are inferred from Reset [O Dual-write-automations,
/// toolbAX] and can be replaced, see [`CallTemplate`]. A success only means that the request was taken: read the link
/// back.
///
/// # Errors
/// See [`MutationError`].
pub async fn create_link(
    session: &Session,
    service: &AllowedHost,
    link: &LinkRequest,
    template: &CallTemplate,
    send_by: Timestamp,
) -> Result<(), MutationError> {
    let call = call("createLink");
    let rendered = template.render(link);
    let segments: Vec<&str> = rendered.segments.iter().map(String::as_str).collect();
    let query: Vec<(&str, &str)> = rendered
        .query
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    let url = service
        .url(&segments, &query)
        .map_err(|bad| MutationError::NotSent(bad_url(call, service, bad)))?;
    let timeout = session.request_timeout() * LINK_TIMEOUT_FACTOR;
    let change = Change {
        call,
        method: rendered.method,
        url: &url,
        body: rendered.body,
        send_by,
        timeout,
    };
    let answer = session.change(&AUDIENCE, &change).await?;
    if answer.is_page() {
        let error = answer.unexpected(
            "the answer is a web page, not data: a proxy or a sign-in page stands between.",
        );
        return Err(MutationError::Lost(error));
    }
    Ok(())
}
