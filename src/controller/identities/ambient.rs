//! Who may use the identity of the operator's own pod.
//!
//! That identity is the operator's, not the namespace's: whoever may create a connection that uses it acts as the operator
//! at Microsoft's. So nobody may, unless the operator's administrator says in which namespaces; and without that word the
//! process does not even look whether it has one.

use std::collections::HashSet;

use dualwrite_api::{Reason, connection::Cloud};
use dualwrite_microsoft::auth::{Identity, NoWorkloadIdentity, WorkloadIdentity};
use dualwrite_plan::observed::Problem;

/// The identity of the operator's own pod, and who may use it.
#[derive(Clone, Debug, Default)]
pub struct Ambient(Option<Allowed>);

#[derive(Clone, Debug)]
struct Allowed {
    namespaces: HashSet<String>,
    identity: Result<WorkloadIdentity, NoWorkloadIdentity>,
}

impl Ambient {
    /// Allows it in these namespaces; `variable` gives a variable of the process, and is not asked if there are none.
    pub fn allowed_in(
        namespaces: &[String],
        variable: impl Fn(&'static str) -> Option<String>,
    ) -> Self {
        Self((!namespaces.is_empty()).then(|| Allowed {
            namespaces: namespaces.iter().cloned().collect(),
            identity: WorkloadIdentity::of(variable),
        }))
    }

    /// Why there is no identity although some namespaces may use it, for the log of the start.
    pub fn missing(&self) -> Option<&NoWorkloadIdentity> {
        self.0.as_ref()?.identity.as_ref().err()
    }

    /// The identity for a connection in a namespace, and its application (client) id.
    ///
    /// # Errors
    /// The namespace may not use it, there is none, or it belongs to another tenant or cloud; the problem says what to do.
    /// Whoever may not use it learns nothing of it, not even whether there is one.
    pub(super) fn identity(
        &self,
        namespace: &str,
        cloud: Cloud,
        tenant_id: &str,
    ) -> Result<(Identity, String), Problem> {
        let allowed = self
            .0
            .as_ref()
            .filter(|allowed| allowed.namespaces.contains(namespace))
            .ok_or_else(|| not_allowed(namespace))?;
        let own = allowed.identity.as_ref().map_err(missing)?;
        let identity = own.identity(super::cloud_of_clients(cloud), tenant_id).map_err(|mismatch| {
            Problem::needs_person(
                Reason::AmbientIdentityMismatch,
                format!(
                    "The identity of the operator's own pod does not fit this resource: {mismatch}. Nothing was sent. Correct \
                     credentials.tenantId or cloud, or use credentials.secretRef or credentials.serviceAccountRef."
                ),
            )
        })?;
        Ok((identity, own.client_id().to_owned()))
    }
}

fn not_allowed(namespace: &str) -> Problem {
    Problem::needs_person(
        Reason::AmbientIdentityNotAllowed,
        format!(
            "credentials.ambient asks for the identity of the operator's own pod, and namespace '{namespace}' may not use that. \
             Nothing was read or sent. Use credentials.secretRef or credentials.serviceAccountRef, or have the operator's \
             administrator start it with --allow-ambient-identity-in {namespace}."
        ),
    )
}

fn missing(why: &NoWorkloadIdentity) -> Problem {
    Problem::needs_person(
        Reason::AmbientIdentityMissing,
        format!(
            "credentials.ambient asks for the identity of the operator's own pod, which has none: {why}. The operator's \
             administrator sets up Azure workload identity for it (the label azure.workload.identity/use on the pod, the \
             annotation azure.workload.identity/client-id on its ServiceAccount) and restarts it; or use \
             credentials.secretRef or credentials.serviceAccountRef."
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: &str = "72f988bf-0000-4000-8000-000000000001";

    fn variables(name: &'static str) -> Option<String> {
        let value = match name {
            "AZURE_CLIENT_ID" => "4d1a0c5e-0000-4000-8000-000000000002",
            "AZURE_TENANT_ID" => TENANT,
            "AZURE_FEDERATED_TOKEN_FILE" => "/nowhere",
            "AZURE_AUTHORITY_HOST" => "https://login.microsoftonline.com/",
            _ => return None,
        };
        Some(value.to_owned())
    }

    fn refused(ambient: &Ambient, namespace: &str, cloud: Cloud, tenant: &str) -> Problem {
        ambient.identity(namespace, cloud, tenant).unwrap_err()
    }

    #[test]
    fn without_a_namespace_the_variables_are_not_even_looked_at() {
        let ambient = Ambient::allowed_in(&[], |name| panic!("{name} was looked at"));
        assert!(ambient.missing().is_none());
        let problem = refused(&ambient, "erp", Cloud::Public, TENANT);
        assert_eq!(problem.reason, Some(Reason::AmbientIdentityNotAllowed));
        let flag = "--allow-ambient-identity-in erp";
        assert!(problem.message.contains(flag), "{}", problem.message);
    }

    #[test]
    fn only_the_namespaces_that_are_named_may_use_it() {
        let ambient = Ambient::allowed_in(&["erp".into(), "crm".into()], variables);
        for namespace in ["erp", "crm"] {
            let (identity, client) = ambient.identity(namespace, Cloud::Public, TENANT).unwrap();
            assert!(
                matches!(identity, Identity::Federated { client_id, .. } if client_id == client)
            );
        }
        for namespace in ["erp2", "er", "ERP", "", "*"] {
            let problem = refused(&ambient, namespace, Cloud::Public, TENANT);
            assert_eq!(problem.reason, Some(Reason::AmbientIdentityNotAllowed));
            // Nothing of the identity is told to those who may not use it.
            assert!(!problem.message.contains(TENANT), "{}", problem.message);
        }
    }

    #[test]
    fn another_tenant_or_cloud_is_refused_and_named() {
        let ambient = Ambient::allowed_in(&["erp".into()], variables);
        let other = "fab71ca0-0000-4000-8000-000000000001";
        for (cloud, tenant, part) in [
            (Cloud::Public, other, other),
            (Cloud::GccHigh, TENANT, "login.microsoftonline.us"),
        ] {
            let problem = refused(&ambient, "erp", cloud, tenant);
            assert_eq!(problem.reason, Some(Reason::AmbientIdentityMismatch));
            assert!(problem.message.contains(part), "{}", problem.message);
        }
    }

    #[test]
    fn a_pod_without_such_an_identity_is_said_to_have_none() {
        let ambient = Ambient::allowed_in(&["erp".into()], |_| None);
        assert!(ambient.missing().is_some());
        let problem = refused(&ambient, "erp", Cloud::Public, TENANT);
        assert_eq!(problem.reason, Some(Reason::AmbientIdentityMissing));
        for part in ["AZURE_CLIENT_ID", "azure.workload.identity/use"] {
            assert!(problem.message.contains(part), "{}", problem.message);
        }
        // Still nothing is told to others.
        let problem = refused(&ambient, "crm", Cloud::Public, TENANT);
        assert_eq!(problem.reason, Some(Reason::AmbientIdentityNotAllowed));
    }
}
