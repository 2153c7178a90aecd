//! From what the clients answer to what the decisions know.

use super::problem;
use dualwrite_api::{connection::IntegrationKind, values};
use dualwrite_microsoft::{
    Api,
    dataverse::DataverseIntegration,
    dual_write,
    power_platform::{self, PackageError},
};
use dualwrite_plan::observed::{
    DataverseSays, Environment, FinanceOperationsReference, LinkFacts, LinkView, Package,
    PackageState, Problem, Readiness,
};

/// An environment.
pub fn environment(environment: &power_platform::Environment) -> Environment {
    Environment {
        id: environment.id.clone(),
        name: environment
            .display_name
            .clone()
            .unwrap_or_else(|| environment.id.clone()),
        kind: environment.kind.clone().unwrap_or_default(),
        readiness: match environment.readiness() {
            power_platform::Readiness::Ready => Readiness::Ready,
            power_platform::Readiness::AdministrationMode => Readiness::AdministrationMode,
            power_platform::Readiness::Disabled => Readiness::Disabled,
            power_platform::Readiness::Busy(state) => Readiness::Busy(state),
        },
        has_dataverse: environment.dataverse_id.is_some(),
        dataverse_url: environment
            .url
            .as_ref()
            .map(|url| url.trim_end_matches('/').to_owned()),
        domain_name: environment.domain_name.clone(),
        finance_operations: environment.finops.as_ref().map(finance_operations),
    }
}

/// Whether an environment is one side of the integration with this finance and operations host. One without Dataverse is
/// the placeholder that Lifecycle Services makes.
pub fn is_integrated(environment: &Environment, host: &str) -> bool {
    let named = environment.finance_operations.as_ref();
    environment.has_dataverse && named.and_then(|named| named.host.as_deref()) == Some(host)
}

/// `Linked` is managed in Lifecycle Services, `Internal` is a unified environment [D].
fn finance_operations(finops: &power_platform::FinOpsMetadata) -> FinanceOperationsReference {
    let unified = finops
        .kind
        .as_deref()
        .is_some_and(|kind| kind.eq_ignore_ascii_case("Internal"));
    FinanceOperationsReference {
        host: finops.url.as_deref().and_then(values::remote_host_of),
        kind: if unified {
            IntegrationKind::Unified
        } else {
            IntegrationKind::LifecycleServices
        },
        lcs_environment_id: finops.id.clone(),
    }
}

/// A package.
pub fn package(package: &power_platform::Package) -> Package {
    use power_platform::PackageState as Theirs;
    Package {
        name: package.unique_name.clone(),
        state: match &package.state {
            Theirs::None => PackageState::NotInstalled,
            Theirs::Installed => PackageState::Installed,
            Theirs::Failed => PackageState::Failed,
            Theirs::InProgress(state) => PackageState::InProgress(state.clone()),
            Theirs::Uninstalling => PackageState::InProgress("Uninstalling".into()),
            // It is still there, but nobody knows how much of it.
            Theirs::UninstallFailed => PackageState::InProgress("UninstallFailed".into()),
        },
        version: package.version.clone(),
        available_version: package.available_version.clone(),
        error: package.last_error.as_ref().and_then(error),
    }
}

/// Microsoft's words about a failed installation, with its code, and what is known about it.
pub fn error(error: &PackageError) -> Option<String> {
    told(error).map(|told| problem::explained(Api::PowerPlatform, &told))
}

fn told(error: &PackageError) -> Option<String> {
    // A code of 0 is none.
    let code = error.code.as_deref().filter(|code| *code != "0");
    let code = code.or(error.name.as_deref().filter(|name| !name.is_empty()));
    match (code, error.message.as_deref()) {
        (Some(code), Some(message)) => Some(format!("{message} ({code})")),
        (None, Some(message)) => Some(message.to_owned()),
        (Some(code), None) => Some(code.to_owned()),
        (None, None) => None,
    }
}

/// What Dataverse says.
pub fn dataverse(says: DataverseIntegration) -> DataverseSays {
    match says {
        DataverseIntegration::NotIntegrated => DataverseSays::NotIntegrated,
        DataverseIntegration::IntegratedWith { url, .. } => DataverseSays::IntegratedWith {
            host: values::remote_host_of(&url),
            url,
        },
    }
}

/// A link; one that names no environment says nothing about where it goes.
pub fn link(link: dual_write::Link) -> LinkView {
    let Some(environment_id) = link.environment_id else {
        return LinkView::Unknown(Problem::transient(format!(
            "The dual-write service shows the connection set {} and does not say which environment it goes to.",
            link.cid
        )));
    };
    LinkView::To(LinkFacts {
        connection_set_id: link.cid,
        connection_set_name: link.cname,
        environment_id,
        legal_entities: None,
    })
}
