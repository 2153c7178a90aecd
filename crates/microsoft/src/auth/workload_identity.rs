//! The identity that the process itself was given, as Azure workload identity gives it to a pod: a few variables, and a
//! file with a statement that Entra was told to trust \[D\] Learn, "Microsoft Entra Workload ID with AKS".
//!
//! This is the only place that knows these variables, and it looks at nothing else that a process may find around it: no
//! metadata service of a machine, no command line tool that somebody has signed in with, no secrets in variables.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use secrecy::SecretString;
use url::Url;

use super::{AssertionSource, Assertions, Identity, SourceError};
use crate::clouds::Cloud;
use crate::error::Class;

/// The application (client) id.
const CLIENT_ID: &str = "AZURE_CLIENT_ID";
/// The tenant.
const TENANT_ID: &str = "AZURE_TENANT_ID";
/// Where the statement is.
const TOKEN_FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";
/// Where to sign in: a URL.
const AUTHORITY_HOST: &str = "AZURE_AUTHORITY_HOST";

/// A statement is about a thousand bytes; what is longer is something else.
const LONGEST_STATEMENT: u64 = 64 * 1024;

/// The identity that the process was given. It holds no secret: the statement is read when it is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkloadIdentity {
    client_id: String,
    tenant_id: String,
    token_file: PathBuf,
    authority: String,
}

/// Why the process has no such identity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoWorkloadIdentity {
    /// Some variables are not set, or empty.
    #[error("these variables are not set: {}", .0.join(", "))]
    Variables(Vec<&'static str>),
    /// The address to sign in at is none.
    #[error("{AUTHORITY_HOST} is not https:// and a host name, but '{0}'")]
    Authority(String),
}

/// What an identity is asked for that it does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// It belongs to another tenant.
    #[error("it belongs to the tenant '{own}' ({TENANT_ID}), and '{wanted}' is asked for")]
    Tenant {
        /// That of the identity.
        own: String,
        /// That which is asked for.
        wanted: String,
    },
    /// It signs in at another cloud.
    #[error("it signs in at '{own}' ({AUTHORITY_HOST}), and the cloud {cloud} at '{authority}'")]
    Authority {
        /// Where the identity signs in.
        own: String,
        /// What is asked for.
        cloud: Cloud,
        /// Where that signs in.
        authority: String,
    },
}

impl WorkloadIdentity {
    /// Looks at the variables that `variable` gives by name.
    ///
    /// # Errors
    /// One of them is missing, or is not what it should be. The file is not looked at.
    pub fn of(
        variable: impl Fn(&'static str) -> Option<String>,
    ) -> Result<Self, NoWorkloadIdentity> {
        let mut missing = Vec::new();
        let mut get = |name| {
            let value = variable(name).unwrap_or_default();
            if value.trim().is_empty() {
                missing.push(name);
            }
            value.trim().to_owned()
        };
        let (client_id, tenant_id) = (get(CLIENT_ID), get(TENANT_ID));
        let (token_file, authority_url) = (get(TOKEN_FILE), get(AUTHORITY_HOST));
        if !missing.is_empty() {
            return Err(NoWorkloadIdentity::Variables(missing));
        }
        Ok(Self {
            client_id,
            tenant_id,
            token_file: token_file.into(),
            authority: host(&authority_url).ok_or(NoWorkloadIdentity::Authority(authority_url))?,
        })
    }

    /// The application (client) id.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// This identity, for signing in to a tenant of a cloud.
    ///
    /// # Errors
    /// It belongs elsewhere. A statement is never sent to a tenant or an authority that it was not made for: whoever reads
    /// it there could sign in with it here.
    pub fn identity(&self, cloud: Cloud, tenant_id: &str) -> Result<Identity, Mismatch> {
        let authority = cloud.authority();
        if self.authority != authority.name() {
            return Err(Mismatch::Authority {
                own: self.authority.clone(),
                cloud,
                authority: authority.name().to_owned(),
            });
        }
        if !self.tenant_id.eq_ignore_ascii_case(tenant_id) {
            return Err(Mismatch::Tenant {
                own: self.tenant_id.clone(),
                wanted: tenant_id.to_owned(),
            });
        }
        Ok(Identity::Federated {
            tenant_id: self.tenant_id.clone(),
            client_id: self.client_id.clone(),
            assertions: Assertions::new(StatementFile(self.token_file.clone())),
        })
    }
}

/// The host of an address that consists of nothing else, in lower case.
fn host(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    let bare = url.username().is_empty()
        && url.password().is_none()
        && url.port().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
        && matches!(url.path(), "" | "/");
    let host = url.host_str().filter(|_| url.scheme() == "https" && bare)?;
    Some(host.to_ascii_lowercase())
}

/// A file with a statement. It is replaced while the process runs, before the statement in it ends; so it is read anew
/// each time that one is needed.
struct StatementFile(PathBuf);

impl AssertionSource for StatementFile {
    /// Never that of a `ServiceAccount`: whoever may use that of the same name must not share what is read with this.
    fn subject(&self) -> String {
        format!("ambient:{}", self.0.display())
    }

    fn assertion(&self) -> BoxFuture<'_, Result<SecretString, SourceError>> {
        let file = self.0.clone();
        async move {
            let read = tokio::task::spawn_blocking(move || statement(&file)).await;
            read.unwrap_or_else(|_| {
                Err(SourceError {
                    class: Class::Transient,
                    reason: None,
                    message: "The operator is ending and reads no file any more.".into(),
                })
            })
        }
        .boxed()
    }
}

/// The statement in a file; what is wrong with the file is said without what stands in it.
fn statement(file: &Path) -> Result<SecretString, SourceError> {
    let unusable = |what: String| SourceError {
        class: Class::NeedsPerson,
        reason: Some("AmbientIdentityMissing"),
        message: format!(
            "The operator's own pod has an identity, but its token file '{}' ({TOKEN_FILE}) {what}: the operator's \
             administrator looks at the pod's projected volume, which Azure workload identity makes.",
            file.display()
        ),
    };
    let mut text = String::new();
    std::fs::File::open(file)
        .and_then(|opened| opened.take(LONGEST_STATEMENT + 1).read_to_string(&mut text))
        .map_err(|error| unusable(format!("cannot be read ({error})")))?;
    let token = text.trim();
    if token.is_empty() {
        return Err(unusable("is empty".into()));
    }
    let is_token =
        text.len() as u64 <= LONGEST_STATEMENT && token.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_token {
        return Err(unusable("holds something else than a token".into()));
    }
    Ok(token.to_owned().into())
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    const TENANT: &str = "72f988bf-0000-4000-8000-000000000001";

    fn variables(
        changed: &'static str,
        value: &str,
    ) -> Result<WorkloadIdentity, NoWorkloadIdentity> {
        let value = value.to_owned();
        WorkloadIdentity::of(move |name| {
            let usual = match name {
                "AZURE_CLIENT_ID" => "4d1a0c5e-0000-4000-8000-000000000002",
                "AZURE_TENANT_ID" => TENANT,
                "AZURE_FEDERATED_TOKEN_FILE" => {
                    "/var/run/secrets/azure/tokens/azure-identity-token"
                }
                "AZURE_AUTHORITY_HOST" => "https://login.microsoftonline.com/",
                other => panic!("{other} is not asked for"),
            };
            Some(if name == changed {
                value.clone()
            } else {
                usual.to_owned()
            })
        })
    }

    #[test]
    fn all_four_variables_are_needed_and_those_that_are_missing_are_named() {
        assert!(variables("none", "").is_ok());
        for name in [
            "AZURE_CLIENT_ID",
            "AZURE_TENANT_ID",
            "AZURE_FEDERATED_TOKEN_FILE",
            "AZURE_AUTHORITY_HOST",
        ] {
            let missing = NoWorkloadIdentity::Variables(vec![name]);
            assert_eq!(variables(name, " ").unwrap_err(), missing);
        }
        let none = WorkloadIdentity::of(|_| None).unwrap_err().to_string();
        assert_eq!(none.matches("AZURE_").count(), 4, "{none}");
    }

    #[test]
    fn the_authority_is_a_host_and_must_be_that_of_the_cloud() {
        let at = |url: &str| variables("AZURE_AUTHORITY_HOST", url);
        for good in [
            "https://login.microsoftonline.com",
            "https://LOGIN.microsoftonline.com/",
            "https://login.microsoftonline.com:443/",
        ] {
            assert!(
                at(good).unwrap().identity(Cloud::Public, TENANT).is_ok(),
                "{good}"
            );
        }
        for bad in [
            "login.microsoftonline.com",
            "http://login.microsoftonline.com/",
            "https://login.microsoftonline.com/common",
            "https://login.microsoftonline.com:8443/",
            "https://user@login.microsoftonline.com/",
            "https://login.microsoftonline.com/?a=b",
        ] {
            let refused = NoWorkloadIdentity::Authority(bad.to_owned());
            assert_eq!(at(bad).unwrap_err(), refused);
        }
        for (url, cloud) in [
            ("https://login.microsoftonline.us/", Cloud::Public),
            ("https://login.microsoftonline.com/", Cloud::GccHigh),
            ("https://login.microsoftonline.com/", Cloud::China),
            (
                "https://login.microsoftonline.com.evil.example/",
                Cloud::Public,
            ),
        ] {
            let refused = at(url).unwrap().identity(cloud, TENANT).unwrap_err();
            assert!(matches!(refused, Mismatch::Authority { .. }), "{refused}");
        }
        let gcc = at("https://login.microsoftonline.us/").unwrap();
        assert!(gcc.identity(Cloud::GccHigh, TENANT).is_ok());
    }

    #[test]
    fn another_tenant_gets_no_identity() {
        let own = variables("none", "").unwrap();
        assert!(own.identity(Cloud::Public, &TENANT.to_uppercase()).is_ok());
        let other = "fab71ca0-0000-4000-8000-000000000001";
        let refused = own.identity(Cloud::Public, other).unwrap_err().to_string();
        assert!(
            refused.contains(TENANT) && refused.contains(other),
            "{refused}"
        );
    }

    #[test]
    fn it_shares_nothing_with_a_service_account_of_the_same_application() {
        struct Same;
        impl AssertionSource for Same {
            fn subject(&self) -> String {
                "system:serviceaccount:dualwrite-system:dualwrite-operator".into()
            }
            fn assertion(&self) -> BoxFuture<'_, Result<SecretString, SourceError>> {
                async { Ok("a".to_owned().into()) }.boxed()
            }
        }
        let own = variables("none", "").unwrap();
        let ambient = own.identity(Cloud::Public, TENANT).unwrap();
        let federated = Identity::Federated {
            tenant_id: TENANT.into(),
            client_id: own.client_id().into(),
            assertions: Assertions::new(Same),
        };
        assert_ne!(ambient.digest(), federated.digest());
        let again = own.identity(Cloud::Public, TENANT).unwrap();
        assert_eq!(ambient.digest(), again.digest());
    }

    #[tokio::test]
    async fn the_file_is_read_each_time_and_a_bad_one_is_named_without_what_is_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        let source = StatementFile(file.clone());
        let absent = source.assertion().await.unwrap_err();
        assert_eq!(absent.reason, Some("AmbientIdentityMissing"));
        assert!(
            absent.message.contains("cannot be read"),
            "{}",
            absent.message
        );
        for good in ["marker.one", "marker.two\n"] {
            std::fs::write(&file, good).unwrap();
            let read = source.assertion().await.unwrap();
            assert_eq!(read.expose_secret(), good.trim());
        }
        let long = "marker".repeat(20_000);
        for (bad, part) in [
            ("", "is empty"),
            (" \n", "is empty"),
            ("marker one", "something else"),
            (&long, "something else"),
        ] {
            std::fs::write(&file, bad).unwrap();
            let text = source.assertion().await.unwrap_err().message;
            assert!(
                text.contains(part) && text.contains("AZURE_FEDERATED_TOKEN_FILE"),
                "{text}"
            );
            assert!(!text.contains("marker"), "{text}");
        }
        std::fs::write(&file, [0xff, 0xfe]).unwrap();
        assert!(source.assertion().await.is_err());
    }
}
