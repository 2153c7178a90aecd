//! Kubeconfig files, and clients made from them.

use std::path::{Path, PathBuf};

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};

/// Writes a kubeconfig of one cluster and one user. JSON is YAML too.
pub fn write(path: &Path, cluster: &Value, user: &Value, namespace: &str) -> PathBuf {
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "test", "user": user}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": namespace}}],
        "current-context": "test",
    });
    std::fs::write(path, config.to_string())
        .unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
    path.to_owned()
}

/// What a kubeconfig says, without a proxy that the machine may be set up for.
pub async fn config(path: &Path) -> Config {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let file = Kubeconfig::read_from(path).expect("the harness writes valid kubeconfigs");
    let mut config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
        .await
        .expect("the harness writes complete kubeconfigs");
    config.proxy_url = None;
    config
}

/// A client of the calling test's own runtime. Clients are not shared between
/// tests: each has a runtime, and connections die with the one that made them.
pub async fn client(path: &Path) -> Client {
    Client::try_from(config(path).await).expect("a client from a valid configuration")
}
