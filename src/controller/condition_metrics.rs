//! What the conditions of connections are, as metrics.

use std::{fmt, sync::Arc};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
};

use super::watch::Scope;

/// The conditions of all connections, read from the stores when asked for, so that a deleted one is gone at once.
pub struct ConditionMetrics {
    /// What is watched.
    pub scopes: Vec<Arc<Scope>>,
}

impl fmt::Debug for ConditionMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConditionMetrics")
            .field("scopes", &self.scopes.len())
            .finish()
    }
}

impl Collector for ConditionMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let help = "The conditions of each connection: 1 for the status that holds";
        let mut family = encoder.encode_descriptor("condition", help, None, MetricType::Gauge)?;
        for scope in &self.scopes {
            for connection in scope.connections.state() {
                let Ok(connection) = &connection.0 else {
                    continue;
                };
                let namespace = connection.metadata.namespace.as_deref().unwrap_or_default();
                let name = connection.metadata.name.as_deref().unwrap_or_default();
                for condition in connection
                    .status
                    .iter()
                    .flat_map(|status| &status.conditions)
                {
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
        }
        self.expiries(&mut encoder)
    }
}

impl ConditionMetrics {
    /// Until when credentials are good, where that is known.
    fn expiries(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let name = "credential_expires_timestamp_seconds";
        let help = "Until when a credential is good, in seconds since 1970, where that is known";
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for scope in &self.scopes {
            for connection in scope.connections.state() {
                let Ok(connection) = &connection.0 else {
                    continue;
                };
                let namespace = connection.metadata.namespace.as_deref().unwrap_or_default();
                let name = connection.metadata.name.as_deref().unwrap_or_default();
                let credentials = connection
                    .status
                    .iter()
                    .flat_map(|status| &status.credentials);
                for credential in credentials {
                    let Some(end) = credential.expires_at else {
                        continue;
                    };
                    let (used_for, kind) =
                        (credential.used_for.to_string(), credential.kind.to_string());
                    let labels = [
                        ("namespace", namespace),
                        ("name", name),
                        ("used_for", &used_for),
                        ("kind", &kind),
                    ];
                    ConstGauge::new(end.as_second()).encode(family.encode_family(&labels)?)?;
                }
            }
        }
        Ok(())
    }
}
