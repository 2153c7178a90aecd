//! Who claims which host. Not looked for among all connections in each pass: somebody may create ten thousand of them.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use kube::ResourceExt;

use super::host_of;
use crate::{
    api::DualWriteConnection,
    plan::{desired::Desired, world::Claim},
};

/// The claims of a scope, as its connections were seen last.
#[derive(Default)]
pub(super) struct HostClaims {
    by_host: HashMap<String, BTreeMap<Age, Claim>>,
    by_uid: HashMap<String, (String, Age)>,
}

/// When a claim was made, and the uid: the oldest wins.
pub(super) type Age = (Timestamp, String);

/// Where claims are that are older than another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Older {
    /// Nowhere.
    None,
    /// In other namespaces only.
    Elsewhere,
    /// In its own namespace.
    Near,
}

impl HostClaims {
    /// Takes the claim of a connection; its host and age if that is news.
    pub(super) fn set(
        &mut self,
        connection: &DualWriteConnection,
        claim: Claim,
    ) -> Option<(String, Age)> {
        // Neither the host nor the age of a connection ever changes.
        let (host, age) = (host_of(connection), age(connection));
        let of_host = self.by_host.entry(host.clone()).or_default();
        of_host.insert(age.clone(), claim);
        let known = self
            .by_uid
            .insert(age.1.clone(), (host.clone(), age.clone()));
        known.is_none().then_some((host, age))
    }

    /// Drops the claim with this uid; its host and age if there was one.
    pub(super) fn forget(&mut self, uid: &str) -> Option<(String, Age)> {
        let (host, age) = self.by_uid.remove(uid)?;
        if let Some(of_host) = self.by_host.get_mut(&host) {
            of_host.remove(&age);
            if of_host.is_empty() {
                self.by_host.remove(&host);
            }
        }
        Some((host, age))
    }

    /// Whether there is an older one for the host.
    pub(super) fn older(&self, host: &str, age: &Age, namespace: &str) -> Older {
        let Some(of_host) = self.by_host.get(host) else {
            return Older::None;
        };
        let mut older = of_host.range(..age).map(|(_, claim)| claim).peekable();
        if older.peek().is_none() {
            Older::None
        } else if older.any(|claim| claim.namespace == namespace) {
            Older::Near
        } else {
            Older::Elsewhere
        }
    }

    /// Of the other claims of a host those that can decide: the oldest, and the oldest of the same namespace.
    pub(super) fn rivals(&self, desired: &Desired) -> Vec<Claim> {
        let host = desired.finance_operations_url.to_ascii_lowercase();
        let others = || {
            let of_host = self
                .by_host
                .get(&host)
                .into_iter()
                .flat_map(BTreeMap::values);
            of_host.filter(|claim| claim.uid != desired.uid)
        };
        let near = others().find(|claim| claim.namespace == desired.namespace);
        let mut rivals: Vec<Claim> = others().next().cloned().into_iter().collect();
        rivals.extend(near.filter(|near| !rivals.contains(near)).cloned());
        rivals
    }
}

/// The age of a connection.
pub(super) fn age(connection: &DualWriteConnection) -> Age {
    let created = connection.metadata.creation_timestamp.as_ref();
    let created = created.map_or(Timestamp::UNIX_EPOCH, |time| time.0);
    (created, connection.uid().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A connection that claims a host.
    fn claiming(host: &str, namespace: &str, uid: &str, second: u32) -> DualWriteConnection {
        let spec = json!({
            "financeOperations": {"url": format!("https://{host}/")}, "dataverse": {"environmentId": "a"},
            "credentials": {"tenantId": "b"},
        });
        let status = json!({
            "conditions": [{"type": "CredentialsValid", "status": "True", "reason": "Authenticated", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}],
            "observed": {"link": {"connectionSetId": "c", "environmentId": "a", "firstSeen": "2026-01-01T00:00:00Z", "since": "2026-01-01T00:00:00Z"}},
        });
        let created = format!("2026-01-01T00:00:{second:02}Z");
        let metadata =
            json!({"name": uid, "namespace": namespace, "uid": uid, "creationTimestamp": created});
        serde_json::from_value(json!({
            "apiVersion": "dualwrite.dev/v1alpha1", "kind": "DualWriteConnection", "metadata": metadata, "spec": spec, "status": status,
        }))
        .unwrap()
    }

    fn set(claims: &mut HostClaims, connection: &DualWriteConnection) -> bool {
        let claim = Claim::of(connection).unwrap();
        claims.set(connection, claim).is_some()
    }

    #[test]
    fn the_oldest_and_the_oldest_nearby_are_all_that_matters() {
        let mut claims = HostClaims::default();
        let own = claiming("contoso.operations.dynamics.com", "contoso", "own", 5);
        let desired = Desired::from_resource(&own, std::time::Duration::ZERO).unwrap();
        assert!(set(&mut claims, &own));
        assert!(!set(&mut claims, &own), "the same again");
        assert!(claims.rivals(&desired).is_empty());
        for (namespace, uid, second) in [
            ("fabrikam", "b", 1),
            ("fabrikam", "c", 2),
            ("contoso", "d", 3),
            ("contoso", "e", 4),
        ] {
            assert!(set(
                &mut claims,
                &claiming("Contoso.operations.dynamics.com", namespace, uid, second)
            ));
        }
        assert!(set(
            &mut claims,
            &claiming("other.operations.dynamics.com", "fabrikam", "f", 0)
        ));
        let uids = |claims: &HostClaims| {
            claims
                .rivals(&desired)
                .into_iter()
                .map(|claim| claim.uid)
                .collect::<Vec<_>>()
        };
        assert_eq!(uids(&claims), ["b", "d"]);
        let host = host_of(&own);
        assert_eq!(claims.older(&host, &age(&own), "contoso"), Older::Near);
        assert_eq!(claims.older(&host, &age(&own), "other"), Older::Elsewhere);
        for (namespace, uid, second) in [
            ("fabrikam", "b", 1),
            ("fabrikam", "c", 2),
            ("contoso", "d", 3),
            ("contoso", "e", 4),
        ] {
            let gone = claiming("contoso.operations.dynamics.com", namespace, uid, second);
            assert_eq!(claims.forget(uid), Some((host.clone(), age(&gone))));
        }
        assert_eq!(claims.older(&host, &age(&own), "contoso"), Older::None);
        assert!(uids(&claims).is_empty());
        assert!(claims.forget("own").is_some() && claims.forget("own").is_none());
        assert_eq!(claims.by_host.len(), 1, "nothing is kept of what is gone");
    }
}
