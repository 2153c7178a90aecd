//! What connections of the same host see of each other: who claims it, and which operations are under way.
//!
//! Claims are not looked for among all connections in each pass: somebody may create ten thousand of them.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;
use kube::ResourceExt;

use super::{GuardedOperation, host_of, triggers::host_key};
use dualwrite_api::{
    DualWriteConnection,
    operation::{Approval, Phase},
};
use dualwrite_plan::{desired::Desired, world::Claim};

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

    /// For which hosts another claim decides than before; or, with a namespace, for whom of a host.
    pub(super) fn decide_otherwise_than(&self, before: &Self) -> HashSet<(String, Option<String>)> {
        let (now, before) = (self.deciding(), before.deciding());
        let either = now.keys().chain(before.keys());
        either
            .filter(|whose| now.get(*whose) != before.get(*whose))
            .map(|(host, namespace)| ((*host).to_owned(), namespace.map(str::to_owned)))
            .collect()
    }

    /// The oldest claim of each host, and the oldest of each namespace there.
    fn deciding(&self) -> HashMap<(&str, Option<&str>), &Age> {
        let mut deciding = HashMap::new();
        for (host, claims) in &self.by_host {
            for (age, claim) in claims {
                for whose in [None, Some(claim.namespace.as_str())] {
                    deciding.entry((host.as_str(), whose)).or_insert(age);
                }
            }
        }
        deciding
    }

    /// The claims of a host but for that of one connection, the oldest first.
    pub(super) fn others<'a>(&'a self, url: &str, uid: &'a str) -> impl Iterator<Item = &'a Claim> {
        let of_host = self.by_host.get(&host_key(url)).into_iter();
        let claims = of_host.flat_map(BTreeMap::values);
        claims.filter(move |claim| claim.uid != uid)
    }

    /// Of the other claims of a host those that can decide: the oldest, and the oldest of the same namespace.
    pub(super) fn rivals(&self, desired: &Desired) -> Vec<Claim> {
        let others = || self.others(&desired.finance_operations_url, &desired.uid);
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

/// What was seen last of the operations of a scope, by uid, and of a list that is being read.
#[derive(Default)]
pub(super) struct ShownOperations {
    last: HashMap<String, Shown>,
    anew: HashMap<String, Shown>,
}

/// What connections see of an operation.
#[derive(Clone, PartialEq, Eq)]
struct Shown {
    host: String,
    owner: String,
    /// All of it, which concerns its owner.
    version: Option<String>,
    /// What concerns the others of its host.
    outside: (Option<Phase>, Approval),
}

/// The connections that changes of operations concern.
#[derive(Default)]
pub(super) struct Concerned {
    owners: HashSet<String>,
    hosts: HashSet<String>,
}

impl ShownOperations {
    /// A list begins anew; what was seen before it is kept, for what has changed meanwhile.
    pub(super) fn list_begins(&mut self) {
        self.anew.clear();
    }

    /// The list has this operation.
    pub(super) fn list_has(&mut self, operation: &GuardedOperation) {
        if let Some(shown) = Shown::of(operation) {
            self.anew.insert(operation.uid().unwrap_or_default(), shown);
        }
    }

    /// The list is complete.
    pub(super) fn list_ends(&mut self) -> Concerned {
        let before = std::mem::replace(&mut self.last, std::mem::take(&mut self.anew));
        let mut concerned = Concerned::default();
        for uid in before.keys().chain(self.last.keys()) {
            concerned.note(before.get(uid), self.last.get(uid));
        }
        concerned
    }

    /// An operation has changed. One that cannot be read any more is as good as gone.
    pub(super) fn set(&mut self, operation: &GuardedOperation) -> Concerned {
        let uid = operation.uid().unwrap_or_default();
        let now = Shown::of(operation);
        let before = match now.clone() {
            Some(now) => self.last.insert(uid, now),
            None => self.last.remove(&uid),
        };
        let mut concerned = Concerned::default();
        concerned.note(before.as_ref(), now.as_ref());
        concerned
    }

    /// An operation is gone.
    pub(super) fn remove(&mut self, operation: &GuardedOperation) -> Concerned {
        let before = self.last.remove(&operation.uid().unwrap_or_default());
        let mut concerned = Concerned::default();
        concerned.note(before.or_else(|| Shown::of(operation)).as_ref(), None);
        concerned
    }
}

impl Shown {
    fn of(operation: &GuardedOperation) -> Option<Self> {
        let operation = operation.0.as_ref().ok()?;
        let phase = operation.status.as_ref().and_then(|status| status.phase);
        Some(Self {
            host: operation.spec.finance_operations_host.clone(),
            owner: operation.spec.connection.uid.clone(),
            version: operation.resource_version(),
            outside: (phase, operation.spec.approval),
        })
    }
}

impl Concerned {
    fn note(&mut self, before: Option<&Shown>, now: Option<&Shown>) {
        if before == now {
            return;
        }
        let outside = |shown: &Shown| shown.outside;
        for shown in before.into_iter().chain(now) {
            self.owners.insert(shown.owner.clone());
            if before.map(outside) != now.map(outside) {
                self.hosts.insert(shown.host.clone());
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.owners.is_empty()
    }

    pub(super) fn has(&self, connection: &DualWriteConnection) -> bool {
        let owns = || {
            connection
                .uid()
                .is_some_and(|uid| self.owners.contains(&uid))
        };
        let same_host = || {
            let host = host_of(connection);
            let name = host.strip_prefix("https://").unwrap_or_default();
            self.hosts.contains(name)
        };
        owns() || !self.hosts.is_empty() && same_host()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A connection of a host.
    fn connection(host: &str, namespace: &str, uid: &str, second: u32) -> DualWriteConnection {
        let spec = json!({
            "financeOperations": {"url": format!("https://{host}/")}, "dataverse": {"environmentId": "a"},
            "credentials": {"tenantId": "b"},
        });
        let created = format!("2026-01-01T00:00:{second:02}Z");
        let metadata =
            json!({"name": uid, "namespace": namespace, "uid": uid, "creationTimestamp": created});
        serde_json::from_value(json!({
            "apiVersion": "dualwrite.dev/v1alpha1", "kind": "DualWriteConnection", "metadata": metadata, "spec": spec,
        }))
        .unwrap()
    }

    fn set(claims: &mut HostClaims, connection: &DualWriteConnection) -> bool {
        let claim = Claim {
            name: connection.name_any(),
            namespace: connection.namespace().unwrap(),
            uid: connection.uid().unwrap(),
            created: age(connection).0,
        };
        claims.set(connection, claim).is_some()
    }

    #[test]
    fn the_oldest_and_the_oldest_nearby_are_all_that_matters() {
        let mut claims = HostClaims::default();
        let own = connection("contoso.operations.dynamics.com", "contoso", "own", 5);
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
                &connection("Contoso.operations.dynamics.com", namespace, uid, second)
            ));
        }
        assert!(set(
            &mut claims,
            &connection("other.operations.dynamics.com", "fabrikam", "f", 0)
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
            let gone = connection("contoso.operations.dynamics.com", namespace, uid, second);
            assert_eq!(claims.forget(uid), Some((host.clone(), age(&gone))));
        }
        assert_eq!(claims.older(&host, &age(&own), "contoso"), Older::None);
        assert!(uids(&claims).is_empty());
        assert!(claims.forget("own").is_some() && claims.forget("own").is_none());
        assert_eq!(claims.by_host.len(), 1, "nothing is kept of what is gone");
    }
}
