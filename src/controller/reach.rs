//! How a resource reaches Microsoft's side: its hosts, checked before anything is read or sent, and its identities.

use super::{
    context::Context,
    identities::{self, SignedBy},
};
use dualwrite_api::{
    Reason,
    connection::{Cloud, CredentialStatus, DualWriteService},
    values,
};
use dualwrite_microsoft::{AllowedHost, HostKind, Session};
use dualwrite_plan::observed::Problem;

/// The hosts of a resource, each allowed by the operator's lists.
pub struct Hosts {
    /// The finance and operations environment.
    pub finance_operations: AllowedHost,
    /// The dual-write service, if one is named.
    pub service: Option<AllowedHost>,
}

impl Hosts {
    /// Checks the hosts that a resource names.
    ///
    /// # Errors
    /// The first that is not allowed.
    pub fn check(
        context: &Context,
        cloud: Cloud,
        finance_operations: &str,
        service: Option<&DualWriteService>,
    ) -> Result<Self, Problem> {
        let allowed = |kind, host: &str| {
            let cloud = identities::cloud_of_clients(cloud);
            let checked = context.hosts.check(cloud, kind, host);
            checked.map_err(|refused| {
                Problem::needs_person(Reason::HostNotAllowed, refused.to_string())
            })
        };
        let service_host =
            |service: &DualWriteService| allowed(HostKind::DualWriteService, &host(&service.url));
        Ok(Self {
            finance_operations: allowed(HostKind::FinanceOperations, finance_operations)?,
            service: service.map(service_host).transpose()?,
        })
    }
}

/// The host of an address; what is no address is checked, and refused, as it is.
pub fn host(url: &str) -> String {
    values::host_of(url).unwrap_or_else(|| url.to_owned())
}

/// The hosts of a resource, and the identities that are shown there.
pub struct Reach {
    /// Reads the Power Platform and Dataverse, and installs.
    pub application: Result<SignedBy, Problem>,
    /// The finance and operations environment.
    pub finance_operations: AllowedHost,
    /// The dual-write service and the account that uses it; none where nobody asks it.
    pub service: Result<Option<(AllowedHost, SignedBy)>, Problem>,
}

/// How the dual-write service is asked.
#[derive(Clone, Copy)]
pub struct Service<'a> {
    /// The account's session.
    pub session: &'a Session,
    /// The service.
    pub host: &'a AllowedHost,
    /// Whose account it is.
    pub account: &'a SignedBy,
}

impl Reach {
    /// The application's session.
    ///
    /// # Errors
    /// Why there is none.
    pub fn session(&self) -> Result<&Session, Problem> {
        match &self.application {
            Ok(signed) => Ok(&signed.shared.session),
            Err(problem) => Err(problem.clone()),
        }
    }

    /// The dual-write service, if it can be asked.
    pub fn service(&self) -> Option<Service<'_>> {
        let (host, account) = self.service.as_ref().ok()?.as_ref()?;
        Some(Service {
            session: &account.shared.session,
            host,
            account,
        })
    }
}

impl Service<'_> {
    /// What is known of the account.
    pub const fn credential(&self) -> &CredentialStatus {
        self.account.credential()
    }
}
