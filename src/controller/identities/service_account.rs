//! Short-lived tokens of a `ServiceAccount`, which Entra was told to trust: no secret is kept anywhere.

use futures::{FutureExt, future::BoxFuture};
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
};
use kube::{Api, api::PostParams};
use secrecy::SecretString;

use super::bounded;
use crate::controller::{context::Context, reader::problem};
use dualwrite_microsoft::{
    auth::{AssertionSource, SourceError},
    error::Class,
};

/// The audience that Entra takes [D].
const AUDIENCE: &str = "api://AzureADTokenExchange";
/// The shortest life that the API server gives a token; each is used once, at once.
const LIFE_SECONDS: i64 = 600;

/// Asks the API server for tokens of one `ServiceAccount`.
pub(super) struct ServiceAccountTokens {
    api: Api<ServiceAccount>,
    namespace: String,
    name: String,
    operator: String,
}

impl ServiceAccountTokens {
    pub(super) fn new(context: &Context, namespace: &str, name: &str) -> Self {
        Self {
            api: Api::namespaced(context.client.clone(), namespace),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            operator: context.options.service_account.clone(),
        }
    }

    async fn token(&self) -> Result<SecretString, SourceError> {
        let request = TokenRequest {
            spec: TokenRequestSpec {
                audiences: vec![AUDIENCE.to_owned()],
                expiration_seconds: Some(LIFE_SECONDS),
                ..TokenRequestSpec::default()
            },
            ..TokenRequest::default()
        };
        let params = PostParams::default();
        let asked = self.api.create_token_request(&self.name, &params, &request);
        let answer = bounded(asked).await.map_err(|error| self.refused(&error))?;
        match answer.status.map(|status| status.token) {
            Some(token) if !token.is_empty() => Ok(token.into()),
            _ => Err(SourceError {
                class: Class::Unexpected,
                reason: None,
                message: format!(
                    "The API server gave no token for the ServiceAccount '{}'.",
                    self.name
                ),
            }),
        }
    }

    fn refused(&self, error: &kube::Error) -> SourceError {
        let Self {
            namespace,
            name,
            operator,
            ..
        } = self;
        let status = match error {
            kube::Error::Api(status) => status.code,
            _ => 0,
        };
        let (class, reason, message) = match status {
            403 => (
                Class::NeedsPerson,
                Some("NamespaceNotGranted"),
                format!(
                    "The operator may not ask for tokens of ServiceAccounts in namespace '{namespace}'. Whoever owns the \
                     namespace grants it with: kubectl create rolebinding dualwrite-operator-federation \
                     --clusterrole=dualwrite-operator-federation --serviceaccount={operator} -n {namespace}"
                ),
            ),
            404 => (
                Class::NeedsPerson,
                Some("ServiceAccountNotFound"),
                format!(
                    "The ServiceAccount '{name}' does not exist in namespace '{namespace}': create it there, or correct \
                     credentials.serviceAccountRef."
                ),
            ),
            _ => (
                Class::Transient,
                None,
                format!(
                    "No token of the ServiceAccount '{name}' could be had: {}",
                    problem::kubernetes(error)
                ),
            ),
        };
        SourceError {
            class,
            reason,
            message,
        }
    }
}

impl AssertionSource for ServiceAccountTokens {
    fn subject(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace, self.name)
    }

    fn assertion(&self) -> BoxFuture<'_, Result<SecretString, SourceError>> {
        self.token().boxed()
    }
}
