//! What Dataverse itself says: about its integration with finance and operations, its application users and companies.

mod rows;

pub use rows::{ApplicationUser, Company, Rows, application_users, companies};

use super::auth::{Audience, Session, bad_url};
use super::clouds::AllowedHost;
use super::error::{Call, CallError};
use super::json::Fields;

const INTEGRATION: Call = Call::RetrieveIntegrationDetails;
/// "Dataverse instance isn't integrated with finance and operations."
const NOT_INTEGRATED: &str = "0x80048d0b";

/// What one Dataverse says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataverseIntegration {
    /// It is integrated.
    IntegratedWith {
        /// The finance and operations URL, as the answer has it.
        url: String,
        /// The id of the finance and operations environment, if the answer has one.
        id: Option<String>,
    },
    /// It says that it is not integrated.
    NotIntegrated,
}

/// `GET {instance}/api/data/v9.2/RetrieveFinanceAndOperationsIntegrationDetails`
///
/// \[D\] Learn, `RetrieveFinanceAndOperationsIntegrationDetails`. That a new organisation answers 403 for some
/// minutes is \[O\].
///
/// # Errors
/// Any other answer than an integration or code `0x80048d0b`; a 403 has the reason `AccessDenied`.
pub async fn integration(
    session: &Session,
    host: &AllowedHost,
) -> Result<DataverseIntegration, CallError> {
    let url = host
        .url(
            &[
                "api",
                "data",
                "v9.2",
                "RetrieveFinanceAndOperationsIntegrationDetails",
            ],
            &[],
        )
        .map_err(|bad| bad_url(INTEGRATION, host, bad))?;
    let answer = match session
        .read(INTEGRATION, &Audience::Dataverse(host.clone()), &url)
        .await
    {
        Err(error) if says_not_integrated(&error) => {
            return Ok(DataverseIntegration::NotIntegrated);
        }
        other => other?,
    };
    let body = answer.json()?;
    let fields =
        Fields::of(body).ok_or_else(|| answer.unexpected("the answer is not an object."))?;
    let read = |name| {
        fields
            .text(name)
            .map_err(|odd| answer.unexpected(format!("{odd}.")))
    };
    match read("Url")? {
        Some(url) => Ok(DataverseIntegration::IntegratedWith {
            url,
            id: read("Id")?,
        }),
        None => Err(answer.unexpected("the answer names no finance and operations URL.")),
    }
}

/// Only the service's own code counts, never a text: an absence must be certain.
fn says_not_integrated(error: &CallError) -> bool {
    matches!(error.status, Some(400..=499))
        && error
            .code
            .as_deref()
            .is_some_and(|code| code.eq_ignore_ascii_case(NOT_INTEGRATED))
}
