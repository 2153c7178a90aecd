//! Which namespace may claim which environments, where the operator's administrator keeps a list of it.
//!
//! Whoever may create a connection chooses its environments. In a cluster of several teams that can be too much. So there
//! can be a list, which only the administrator can change and which says what each namespace may name; it is asked before
//! any Secret is read and before any credential is used.
//!
//! What a spec names is claimed: its finance and operations host, and the Power Platform environment that dual-write should
//! use. Where dual-write is linked to now is only read, so it is nobody's claim.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;

use dualwrite_api::{Reason, values};
use dualwrite_microsoft::clouds;
use dualwrite_plan::observed::Problem;

/// The list; without one every namespace may claim everything.
#[derive(Clone, Debug, Default)]
pub struct AllowedClaims(Option<HashMap<String, Allowed>>);

/// What one namespace may claim; everything in lower case.
#[derive(Clone, Debug, Default)]
struct Allowed {
    hosts: HashSet<String>,
    /// Each begins with a dot.
    suffixes: Vec<String>,
    environments: HashSet<String>,
}

/// The same as it is written. Both parts must be there: a part that is misspelt would otherwise be an empty one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    hosts: Vec<String>,
    environments: Vec<String>,
}

/// Why a list cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AllowedClaimsError {
    /// It has another shape, or says something twice.
    #[error(
        "it is not a map from each namespace to its `hosts` and `environments`, both lists: {0}"
    )]
    Shape(#[from] serde_norway::Error),
    /// Nothing stands in it.
    #[error(
        "it is empty: write a namespace with what it may claim, or {{}} if no namespace may claim anything"
    )]
    Empty,
    /// A namespace is not one.
    #[error("'{0}' is not the name of a namespace: write it as `kubectl get namespaces` shows it")]
    Namespace(String),
    /// A host is not one.
    #[error(
        "namespace {namespace}: '{host}' is neither a host name nor what host names end with: write a name such as \
         contoso-uat.sandbox.operations.dynamics.com, or a dot and what names end with"
    )]
    Host {
        /// Where it stands.
        namespace: String,
        /// What stands there.
        host: String,
    },
    /// An environment is named by something else than its id.
    #[error(
        "namespace {namespace}: '{id}' is not the id of a Power Platform environment: write the id from the Power Platform \
         admin center, a UUID, or Default- and a UUID"
    )]
    Environment {
        /// Where it stands.
        namespace: String,
        /// What stands there.
        id: String,
    },
}

impl AllowedClaims {
    /// Reads a list: by namespace, `hosts` (a name, or what names end with, which begins with a dot) and `environments`
    /// (ids).
    ///
    /// # Errors
    /// A mistake in it. A part that were left out could let somebody in, or keep everybody out, and nobody would see it.
    pub fn parse(text: &str) -> Result<Self, AllowedClaimsError> {
        // A map of Rust's would quietly take the last of two entries of the same name; this refuses them.
        let without_twins: serde_norway::Value = serde_norway::from_str(text)?;
        if without_twins.is_null() {
            return Err(AllowedClaimsError::Empty);
        }
        let written: HashMap<String, Written> = serde_norway::from_str(text)?;
        let claims = written
            .into_iter()
            .map(|(namespace, written)| {
                let claim = Allowed::of(&namespace, written)?;
                Ok((namespace, claim))
            })
            .collect::<Result<_, AllowedClaimsError>>()?;
        Ok(Self(Some(claims)))
    }

    /// Whether a namespace may claim a finance and operations host and an environment.
    ///
    /// # Errors
    /// It may not; the problem says what is not on the list, and who can change that.
    pub fn check(&self, namespace: &str, host: &str, environment_id: &str) -> Result<(), Problem> {
        self.check_host(namespace, host)?;
        if self.permits(namespace, |claim| claim.has_environment(environment_id)) {
            return Ok(());
        }
        Err(refused(
            namespace,
            &format!("the Power Platform environment '{environment_id}'"),
        ))
    }

    /// The same for the host alone.
    ///
    /// # Errors
    /// It may not.
    pub fn check_host(&self, namespace: &str, host: &str) -> Result<(), Problem> {
        if self.permits(namespace, |claim| claim.has_host(host)) {
            return Ok(());
        }
        Err(refused(
            namespace,
            &format!("the finance and operations host '{host}'"),
        ))
    }

    fn permits(&self, namespace: &str, may: impl Fn(&Allowed) -> bool) -> bool {
        self.0
            .as_ref()
            .is_none_or(|claims| claims.get(namespace).is_some_and(may))
    }
}

fn refused(namespace: &str, what: &str) -> Problem {
    Problem::needs_person(
        Reason::ClaimNotAllowed,
        format!(
            "Namespace '{namespace}' may not claim {what}, so no credential was used. The operator's administrator keeps the \
             list of what each namespace may claim: have it added there (the file of --claims), or correct the spec."
        ),
    )
}

impl Allowed {
    fn of(namespace: &str, written: Written) -> Result<Self, AllowedClaimsError> {
        if !values::is_namespace(namespace) {
            return Err(AllowedClaimsError::Namespace(namespace.to_owned()));
        }
        let mut claim = Self::default();
        for host in written.hosts {
            claim.add_host(namespace, host)?;
        }
        for id in written.environments {
            if !values::is_environment_id(&id) {
                let namespace = namespace.to_owned();
                return Err(AllowedClaimsError::Environment { namespace, id });
            }
            claim.environments.insert(id.to_ascii_lowercase());
        }
        Ok(claim)
    }

    fn add_host(&mut self, namespace: &str, host: String) -> Result<(), AllowedClaimsError> {
        let name = host.to_ascii_lowercase();
        // At least two labels in both, so that nobody allows a whole top-level domain by a slip.
        match name.strip_prefix('.') {
            Some(end) if clouds::is_host_name(end) => self.suffixes.push(name),
            None if clouds::is_host_name(&name) => {
                self.hosts.insert(name);
            }
            Some(_) | None => {
                let namespace = namespace.to_owned();
                return Err(AllowedClaimsError::Host { namespace, host });
            }
        }
        Ok(())
    }

    fn has_host(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let mut suffixes = self.suffixes.iter();
        self.hosts.contains(&host)
            || suffixes.any(|suffix| {
                host.strip_suffix(suffix.as_str())
                    .is_some_and(|before| !before.is_empty())
            })
    }

    fn has_environment(&self, id: &str) -> bool {
        self.environments.contains(&id.to_ascii_lowercase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "
contoso-erp:
  hosts: [Contoso-UAT.sandbox.operations.dynamics.com, .contoso.example]
  environments: [6F2C8D0E-0000-4000-8000-000000000010, Default-72f988bf-0000-4000-8000-000000000001]
fabrikam:
  hosts: []
  environments: []
";
    const HOST: &str = "contoso-uat.sandbox.operations.dynamics.com";
    const ENVIRONMENT: &str = "6f2c8d0e-0000-4000-8000-000000000010";

    #[test]
    fn without_a_list_everything_may_be_claimed() {
        assert_eq!(AllowedClaims::default().check("any", "a.b", "c"), Ok(()));
    }

    #[test]
    fn a_namespace_claims_what_its_list_names() {
        let claims = AllowedClaims::parse(LIST).unwrap();
        let default = "Default-72F988BF-0000-4000-8000-000000000001";
        for (host, environment) in [
            (HOST, ENVIRONMENT),
            ("CONTOSO-UAT.sandbox.operations.dynamics.com", default),
            ("a.contoso.example", ENVIRONMENT),
            ("a.b.contoso.example", ENVIRONMENT),
        ] {
            assert_eq!(claims.check("contoso-erp", host, environment), Ok(()));
        }
        // The host alone, whatever the environment.
        assert_eq!(claims.check_host("contoso-erp", HOST), Ok(()));
    }

    #[test]
    fn what_is_not_on_the_list_is_refused_by_name() {
        let claims = AllowedClaims::parse(LIST).unwrap();
        let other = "c0a8f00d-0000-4000-8000-000000000020";
        for (namespace, host, environment, part) in [
            (
                "contoso-erp",
                "contoso.operations.dynamics.com",
                ENVIRONMENT,
                "host 'contoso.operations",
            ),
            (
                "contoso-erp",
                "contoso.example",
                ENVIRONMENT,
                "host 'contoso.example",
            ),
            (
                "contoso-erp",
                ".contoso.example",
                ENVIRONMENT,
                "host '.contoso.example",
            ),
            (
                "contoso-erp",
                "evilcontoso.example",
                ENVIRONMENT,
                "host 'evilcontoso.example",
            ),
            (
                "contoso-erp",
                "a.contoso.example.evil.example",
                ENVIRONMENT,
                "host 'a.contoso.example.evil",
            ),
            ("contoso-erp", HOST, other, "environment 'c0a8f00d"),
            ("fabrikam", HOST, ENVIRONMENT, "Namespace 'fabrikam'"),
            ("nobody", HOST, ENVIRONMENT, "Namespace 'nobody'"),
        ] {
            let problem = claims.check(namespace, host, environment).unwrap_err();
            assert_eq!(problem.reason, Some(Reason::ClaimNotAllowed));
            assert!(problem.is_for_a_person());
            for part in [part, "--claims", "administrator"] {
                assert!(problem.message.contains(part), "{}", problem.message);
            }
        }
    }

    #[test]
    fn a_mistake_in_the_list_is_said_and_never_taken_for_nothing() {
        let said = |text: &str| AllowedClaims::parse(text).unwrap_err().to_string();
        for host in [
            "com",
            ".com",
            "'*.contoso.example'",
            "''",
            "'.'",
            "'https://a.example'",
            "'a.example:443'",
            "a..b",
            "127.0.0.1",
            "xn--a.example",
        ] {
            let text = said(&format!(
                "contoso-erp: {{hosts: [{host}], environments: []}}"
            ));
            assert!(
                text.contains("namespace contoso-erp") && text.contains("a dot and"),
                "{text}"
            );
        }
        for id in [
            "Contoso UAT",
            "''",
            "'{6f2c8d0e-0000-4000-8000-000000000010}'",
        ] {
            let text = said(&format!("contoso-erp: {{hosts: [], environments: [{id}]}}"));
            assert!(
                text.contains("namespace contoso-erp") && text.contains("is not the id"),
                "{text}"
            );
        }
        for namespace in ["Contoso", "'*'", "''", "contoso.erp"] {
            let text = said(&format!("{namespace}: {{hosts: [], environments: []}}"));
            assert!(text.contains("is not the name of a namespace"), "{text}");
        }
        assert!(said("# nothing").contains("it is empty"));
        for text in [
            "[]",
            "contoso-erp:",
            "contoso-erp: {hosts: [a.b]}",
            "contoso-erp: {host: [], hosts: [], environments: []}",
            "contoso-erp: {hosts: [a.b], environments: []}\ncontoso-erp: {hosts: [], environments: []}",
        ] {
            assert!(
                said(text).contains("not a map from"),
                "{text}: {}",
                said(text)
            );
        }
    }

    #[test]
    fn an_empty_list_lets_nobody_claim_anything() {
        let claims = AllowedClaims::parse("{}").unwrap();
        assert!(claims.check_host("contoso-erp", HOST).is_err());
    }
}
