//! What the conditions of connections are, as metrics.

use std::{collections::HashMap, fmt, sync::Arc};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
};

use super::watch::{GuardedConnection, Scope};
use dualwrite_api::connection::DualWriteConnection;

/// The conditions of connections, read from the stores when asked for, so that a deleted one is gone at once.
pub struct ConditionMetrics {
    /// What is watched.
    pub scopes: Vec<Arc<Scope>>,
    /// How many connections have series of their own.
    pub most: usize,
}

impl fmt::Debug for ConditionMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConditionMetrics")
            .field("scopes", &self.scopes.len())
            .field("most", &self.most)
            .finish()
    }
}

impl Collector for ConditionMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let guarded: Vec<_> = self
            .scopes
            .iter()
            .flat_map(|scope| scope.connections.state())
            .collect();
        let mut connections = in_turns(readable(&guarded));
        let left_out = connections.len().saturating_sub(self.most);
        connections.truncate(self.most);
        conditions(&mut encoder, &connections)?;
        expiries(&mut encoder, &connections)?;
        let name = "connections_left_out";
        let help = "Connections that have no series of their own, as there are more than --connection-metrics";
        let left_out = ConstGauge::new(i64::try_from(left_out).unwrap_or(i64::MAX));
        left_out.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
    }
}

fn readable(guarded: &[Arc<GuardedConnection>]) -> Vec<&DualWriteConnection> {
    let readable = guarded.iter().filter_map(|guarded| guarded.0.as_ref().ok());
    readable.collect()
}

/// The eldest of each namespace, then the second of each, and so on: a namespace with many connections hides none of
/// another's, and a new one hides no elder.
fn in_turns(mut connections: Vec<&DualWriteConnection>) -> Vec<&DualWriteConnection> {
    connections.sort_by_key(|connection| {
        let created = connection.metadata.creation_timestamp.as_ref();
        (created.map(|time| time.0), identity(connection))
    });
    let mut turns: HashMap<&str, usize> = HashMap::new();
    let numbered = connections.into_iter().map(|connection| {
        let turn = turns.entry(identity(connection).0).or_default();
        *turn += 1;
        (*turn, connection)
    });
    let mut numbered: Vec<_> = numbered.collect();
    numbered.sort_by_key(|(turn, _)| *turn);
    let ordered = numbered.into_iter();
    ordered.map(|(_, connection)| connection).collect()
}

/// Namespace and name.
fn identity(connection: &DualWriteConnection) -> (&str, &str) {
    let metadata = &connection.metadata;
    (
        metadata.namespace.as_deref().unwrap_or_default(),
        metadata.name.as_deref().unwrap_or_default(),
    )
}

fn conditions(
    encoder: &mut DescriptorEncoder<'_>,
    connections: &[&DualWriteConnection],
) -> Result<(), fmt::Error> {
    let help = "The conditions of each connection: 1 for the status that holds";
    let mut family = encoder.encode_descriptor("condition", help, None, MetricType::Gauge)?;
    for connection in connections {
        let (namespace, name) = identity(connection);
        let status = connection.status.iter();
        for condition in status.flat_map(|status| &status.conditions) {
            let labels = [
                ("namespace", namespace),
                ("name", name),
                ("type", condition.type_.as_str()),
                ("status", condition.status.as_str()),
                ("reason", condition.reason.as_str()),
            ];
            ConstGauge::new(1_i64).encode(family.encode_family(&labels)?)?;
        }
    }
    Ok(())
}

/// Until when credentials are good, where that is known.
fn expiries(
    encoder: &mut DescriptorEncoder<'_>,
    connections: &[&DualWriteConnection],
) -> Result<(), fmt::Error> {
    let name = "credential_expires_timestamp_seconds";
    let help = "Until when a credential is good, in seconds since 1970, where that is known";
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for connection in connections {
        let (namespace, name) = identity(connection);
        let status = connection.status.iter();
        for credential in status.flat_map(|status| &status.credentials) {
            let Some(end) = credential.expires_at else {
                continue;
            };
            let (used_for, kind) = (credential.used_for.to_string(), credential.kind.to_string());
            let labels = [
                ("namespace", namespace),
                ("name", name),
                ("used_for", &used_for),
                ("kind", &kind),
            ];
            ConstGauge::new(end.as_second()).encode(family.encode_family(&labels)?)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(second: i64, namespace: &str, name: &str) -> DualWriteConnection {
        let created = jiff::Timestamp::from_second(second).unwrap();
        serde_json::from_value(serde_json::json!({
            "metadata": {"namespace": namespace, "name": name, "creationTimestamp": created.to_string()},
            "spec": {
                "financeOperations": {"url": "https://contoso-uat.sandbox.operations.dynamics.com"},
                "dataverse": {"environmentId": "6f2c8d0e-0000-4000-8000-000000000010"},
                "credentials": {"tenantId": "72f988bf-0000-4000-8000-000000000001", "secretRef": {"name": "contoso"}},
            },
        }))
        .unwrap()
    }

    #[test]
    fn each_namespace_has_its_turn_with_its_eldest_first() {
        let all = [
            connection(4, "many", "d"),
            connection(1, "many", "a"),
            connection(9, "late", "only"),
            connection(2, "many", "c"),
            connection(2, "many", "b"),
            connection(3, "two", "first"),
            connection(5, "two", "second"),
        ];
        let order = in_turns(all.iter().collect());
        let order: Vec<_> = order.into_iter().map(identity).collect();
        let expected = [
            ("many", "a"),
            ("two", "first"),
            ("late", "only"),
            ("many", "b"),
            ("two", "second"),
            ("many", "c"),
            ("many", "d"),
        ];
        assert_eq!(order, expected);
    }
}
