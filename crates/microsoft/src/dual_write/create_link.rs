//! The first link.

use crate::Call;
use jiff::Timestamp;

use super::send::To;
use super::template::{CallTemplate, Values};
use crate::Session;
use crate::clouds::AllowedHost;
use crate::error::MutationError;

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

impl LinkRequest {
    /// The values of `LINK_PLACEHOLDERS`.
    pub(super) fn values(&self) -> Values {
        let without_slash = |url: &str| url.trim_end_matches('/').to_owned();
        Values::from([
            ("environmentId", self.environment_id.as_str().into()),
            ("environmentName", self.environment_name.as_str().into()),
            ("domainName", self.domain_name.as_str().into()),
            ("dataverseUrl", without_slash(&self.dataverse_url).into()),
            (
                "financeOperationsHost",
                self.finance_operations_host.as_str().into(),
            ),
            (
                "financeOperationsUrl",
                without_slash(&self.finance_operations_url).into(),
            ),
            ("isDevInstance", self.is_dev_instance.into()),
            ("legalEntities", self.legal_entities.clone().into()),
        ])
    }
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
    let to = To {
        session,
        service,
        call: Call::CreateLink,
    };
    let call = template.render(&link.values());
    to.by_template(call, send_by).await.map(drop)
}
