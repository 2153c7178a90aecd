//! The overlay that the documents show for the operator's own identity is one that works.

use std::path::Path;

use serde_json::{Value, json};

use super::{documents, find, render, repository};
use crate::support::ControlPlane;

#[tokio::test]
async fn the_documented_overlay_gives_the_pod_its_identity() {
    let admin = ControlPlane::shared().await.admin();
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("deploy/overlays/own");
    std::fs::create_dir_all(&own).unwrap();
    for part in ["deploy/base", "crds"] {
        copy(&repository().join(part), &folder.path().join(part));
    }
    std::fs::write(own.join("kustomization.yaml"), documented()).unwrap();
    let rendered = admin.run(&["kustomize", own.to_str().unwrap()]).await.ok();
    let (before, after) = (render(admin, "deploy/base").await, documents(&rendered));
    let count = |objects: &[Value]| {
        objects
            .iter()
            .filter(|object| !before.contains(object))
            .count()
    };
    assert_eq!(
        (after.len(), count(&after)),
        (before.len(), 2),
        "two objects differ"
    );

    let account = find(&after, "ServiceAccount", "dualwrite-operator");
    let annotation = &account["metadata"]["annotations"]["azure.workload.identity/client-id"];
    assert!(annotation.is_string(), "{account:#}");
    let pod = &find(&after, "Deployment", "dualwrite-operator")["spec"]["template"];
    assert_eq!(
        pod["metadata"]["labels"],
        json!({"app.kubernetes.io/name": "dualwrite-operator", "azure.workload.identity/use": "true"})
    );
    assert_eq!(
        pod["spec"]["serviceAccountName"],
        account["metadata"]["name"]
    );
    // The program takes what it is given, and more than before.
    let args = pod["spec"]["containers"][0]["args"].as_array().unwrap();
    let args = args.iter().map(|arg| arg.as_str().unwrap());
    let args: Vec<&str> = std::iter::once("dualwrite-operator").chain(args).collect();
    let cli = <dualwrite_operator::runtime::cli::Cli as clap::Parser>::try_parse_from(args);
    let dualwrite_operator::runtime::cli::Command::Run(run) = cli.unwrap().command else {
        panic!("the Deployment does not run the operator");
    };
    assert_eq!(run.allow_ambient_identity_in, ["contoso"]);
}

/// The block of docs/credentials.md that begins with the name of its file, without its indentation.
fn documented() -> String {
    let text = std::fs::read_to_string(repository().join("docs/credentials.md")).unwrap();
    let lines = text
        .lines()
        .skip_while(|line| line.trim() != "# kustomization.yaml");
    let block = lines.take_while(|line| line.trim() != "```");
    block.fold(String::new(), |text, line| {
        text + line.strip_prefix("   ").unwrap_or(line) + "\n"
    })
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}
