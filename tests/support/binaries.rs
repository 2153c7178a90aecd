//! Where etcd, kube-apiserver and kubectl come from.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The folder that holds etcd, kube-apiserver and kubectl; found or built once
/// per test binary, and a failure where that is impossible: never a skipped test.
pub fn binaries() -> PathBuf {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(find_binaries).clone()
}

fn find_binaries() -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/control-plane/build");
    let folder = match std::env::var_os("KUBEBUILDER_ASSETS") {
        Some(folder) => PathBuf::from(folder),
        None => build_binaries(&script),
    };
    for name in ["etcd", "kube-apiserver", "kubectl"] {
        let there = folder.join(name).is_file();
        assert!(
            there,
            "the control plane needs {name}, which {} does not hold",
            folder.display()
        );
    }
    folder
}

fn build_binaries(script: &Path) -> PathBuf {
    let built = Command::new(script)
        .stderr(std::process::Stdio::inherit())
        .output()
        .unwrap_or_else(|error| {
            panic!(
                "no KUBEBUILDER_ASSETS, and cannot run {}: {error}",
                script.display()
            )
        });
    assert!(
        built.status.success(),
        "{} could not provide the control plane; see above",
        script.display()
    );
    PathBuf::from(String::from_utf8_lossy(&built.stdout).trim())
}
