//! The Power Platform API: environments, application packages, installs.

mod environments;
mod install;
mod packages;

pub use environments::{
    Environment, EnvironmentList, FinOpsMetadata, Readiness, environment, environments,
};
pub use install::{
    InstallAccepted, OperationState, OperationStatus, RemoteOperation, install, operation,
};
pub use packages::{Package, PackageError, PackageList, PackageState, application_packages};

use super::auth::bad_url;
use super::clouds::RequestUrl;
use super::error::{Call, CallError};
use super::{Audience, Session};

/// \[D\] the version of the environment calls.
const ENVIRONMENTS_VERSION: &str = "2024-10-01";
/// \[D\] the version of the application package calls.
const PACKAGES_VERSION: &str = "2022-03-01-preview";

const AUDIENCE: Audience = Audience::PowerPlatform;

/// The URL of a path at the session's Power Platform API.
fn url(
    session: &Session,
    call: Call,
    segments: &[&str],
    query: &[(&str, &str)],
) -> Result<RequestUrl, CallError> {
    let host = session.cloud().power_platform();
    host.url(segments, query)
        .map_err(|bad| bad_url(call, &host, bad))
}
