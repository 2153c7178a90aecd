//! The story that the demo tells, step by step.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};

use crate::show::Show;
use crate::stage::{Cluster, NAMESPACE, Stage, TIME_SCALE};
use crate::support::process::Process;
use crate::support::{ControlPlane, OPERATOR_USER, Simulator};

const STEPS: usize = 6;
const CONNECTION: &str = "contoso-uat";
/// Several times what it takes on a slow machine.
const PATIENCE: Duration = Duration::from_mins(3);

/// The test environment's finance and operations host, and the production's Power Platform environment: as in the
/// scenario.
const HOST: &str = "contoso-uat.sandbox.operations.dynamics.com";
const PRODUCTION: &str = "c0a8f00d-0000-4000-8000-000000000020";

/// What is needed to explore afterwards.
pub(crate) struct Ending {
    pub(crate) kubeconfig: String,
    pub(crate) kubectl_folder: String,
    pub(crate) control: String,
    pub(crate) admin: String,
}

/// Tells all of it.
pub(crate) async fn tell(show: Show, stage: &Stage) -> anyhow::Result<Ending> {
    introduce(show);
    let (control_plane, simulator, admin) = set_up(show, stage).await?;
    let cluster = Cluster::new(&control_plane);
    declare(show, &cluster).await?;
    watch_until_ready(show, stage, &cluster).await?;
    look(show, &cluster).await?;
    drift(show, &cluster, &simulator).await?;
    remedy(show, &cluster).await?;
    let kubectl_folder = cluster
        .program
        .parent()
        .map(|path| path.display().to_string());
    Ok(Ending {
        kubeconfig: cluster.kubectl.kubeconfig().display().to_string(),
        kubectl_folder: kubectl_folder.unwrap_or_default(),
        control: simulator.control_url(),
        admin,
    })
}

fn introduce(show: Show) {
    show.title("dualwrite-operator: the demo");
    show.say(
        "A DualWriteConnection says which Dynamics 365 finance and operations environment belongs to which Dataverse \
         environment. The operator installs the dual-write application, makes the link, and then watches it.",
    );
    show.say(
        "What runs here is real, on a Kubernetes of its own: kube-apiserver, etcd and the operator. Only Microsoft is \
         simulated. Your clusters and tenants are not touched, KUBECONFIG is not used, and nothing is left behind. It \
         takes less than a minute.",
    );
}

async fn set_up(
    show: Show,
    stage: &Stage,
) -> anyhow::Result<(
    std::sync::Arc<ControlPlane>,
    std::sync::Arc<Simulator>,
    String,
)> {
    show.step(
        1,
        STEPS,
        "Start a control plane, the simulated Microsoft services and the operator",
    );
    let control_plane = stage.start_control_plane().await;
    show.item("Kubernetes runs, with the definitions (crds/) and the roles (deploy/base) of the operator.");
    let folder = control_plane.folder().join("simulator");
    std::fs::create_dir_all(&folder).context("cannot make a folder for the simulator")?;
    let simulator = stage.start_simulator(&folder).await;
    show.item(&format!("The simulator answers for Microsoft Entra ID, the Power Platform API, Dataverse and dual-write. Its time is {TIME_SCALE} \
         times as fast: an installation of half an hour takes a quarter of a minute."
    ));
    let operator = stage.start_operator(&control_plane, &simulator).await;
    show.item(
        "The operator runs, with the ServiceAccount and the rights that it has in a cluster.",
    );
    Ok((
        control_plane,
        simulator,
        operator.admin_address().to_owned(),
    ))
}

async fn declare(show: Show, cluster: &Cluster) -> anyhow::Result<()> {
    show.step(2, STEPS, "Say what should be");
    show.say(
        "A team lets the operator into its namespace by one role binding; before that it can read no Secret there.",
    );
    kubectl(show, cluster, &["create", "namespace", NAMESPACE]).await?;
    let role = "--clusterrole=dualwrite-operator-namespace";
    let account = "--serviceaccount=dualwrite-system:dualwrite-operator";
    let bind = [
        "create",
        "rolebinding",
        "dualwrite-operator",
        role,
        account,
        "-n",
        NAMESPACE,
    ];
    kubectl(show, cluster, &bind).await?;
    wait_for_rights(cluster).await?;
    show.then("Two connections and their Secrets: contoso-uat is to be set up and linked; contoso-production is linked already \
         and is only watched (mode: Observe).",
    );
    kubectl_in(show, cluster, &["apply", "-f", "examples/"]).await
}

/// The API server learns of a new role binding a moment after it was made.
async fn wait_for_rights(cluster: &Cluster) -> anyhow::Result<()> {
    let as_operator = format!("--as={OPERATOR_USER}");
    let deadline = Instant::now() + Duration::from_secs(20);
    while !cluster
        .kubectl
        .can_i("get", "secrets", &["-n", NAMESPACE, &as_operator])
        .await
    {
        ensure!(
            Instant::now() < deadline,
            "the role binding has no effect after 20 seconds"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

async fn watch_until_ready(show: Show, stage: &Stage, cluster: &Cluster) -> anyhow::Result<()> {
    show.step(3, STEPS, "Watch it happen");
    show.say(
        "The operator checks Power Platform integration, installs the two application packages, and asks for the link. \
         Behind | is what the condition Ready says at that moment.",
    );
    show.command(&format!("kubectl get dwc -n {NAMESPACE} -w"));
    let watch = watch(cluster);
    let begun = Instant::now();
    let (mut printed, mut said) = (0, String::new());
    let mut rows = Vec::new();
    loop {
        let lines = watch
            .until(Duration::from_millis(150), move |state| {
                (state.stdout.len() > printed)
                    .then(|| state.stdout.iter().skip(printed).cloned().collect())
            })
            .await
            .unwrap_or_else(Vec::new);
        printed += lines.len();
        show.still();
        for line in &lines {
            // A change that no column shows is not worth a line here.
            if !rows.contains(&without_age(line)) {
                show.output(line);
                rows.push(without_age(line));
            }
        }
        // What the table shows comes first, what the operator says of it after that.
        let shown = rows.iter().any(|row: &String| row.starts_with(CONNECTION));
        if !shown && watch.exit_status().is_none() && begun.elapsed() < PATIENCE {
            continue;
        }
        let connection = read(cluster).await?;
        let ready = condition(&connection, "Ready");
        let message = ready["message"].as_str().unwrap_or_default();
        if !message.is_empty() && message != said {
            message.clone_into(&mut said);
            show.quote(message);
        }
        if ready["status"] == "True" {
            return Ok(());
        }
        if condition(&connection, "Stalled")["status"] == "True" {
            bail!("{CONNECTION} is stalled: {message}");
        }
        ensure!(!stage.operator_has_ended(), "the operator has ended");
        if let Some(status) = watch.exit_status() {
            bail!(
                "`kubectl get dwc -w` ended (exit status {status}). {}",
                watch.tail(5)
            );
        }
        ensure!(
            begun.elapsed() < PATIENCE,
            "{CONNECTION} is not Ready after {} minutes; last: {said}",
            PATIENCE.as_secs() / 60
        );
        let minutes = begun.elapsed().as_secs_f64() * TIME_SCALE / 60.0;
        show.moving(&format!("{minutes:.0} minutes have passed at Microsoft's"));
    }
}

fn watch(cluster: &Cluster) -> Process {
    let mut command = Command::new(&cluster.program);
    command.args(["get", "dwc", "-w"]);
    command.env("KUBECONFIG", cluster.kubectl.kubeconfig());
    let cache = cluster.kubectl.kubeconfig().with_file_name("kubectl-cache");
    command.env("KUBECACHEDIR", cache);
    Process::start("kubectl get dwc -w", &command, None)
}

fn without_age(line: &str) -> String {
    line.trim_end()
        .rsplit_once(' ')
        .map_or(line, |(row, _)| row)
        .to_owned()
}

async fn look(show: Show, cluster: &Cluster) -> anyhow::Result<()> {
    show.step(4, STEPS, "Look at the result");
    show.say("What a pipeline waits for:");
    let wait = [
        "wait",
        "--for=condition=Ready",
        "dwc/contoso-uat",
        "--timeout=60m",
    ];
    kubectl_in(show, cluster, &wait).await?;
    show.then("What was done, one object for each act (`kubectl describe dwo` shows its plan, its steps and its outcome):");
    kubectl_in(show, cluster, &["get", "dwo"]).await?;
    show.then("Everything that is known:");
    kubectl_in(show, cluster, &["describe", "dwc", CONNECTION]).await
}

async fn drift(show: Show, cluster: &Cluster, simulator: &Simulator) -> anyhow::Result<()> {
    show.step(5, STEPS, "Something goes wrong: a database copy");
    show.say(
        "Somebody restores the production's database into the test environment, and its dual-write link now names the \
         production's Dataverse. The simulator does that when it is told:",
    );
    let link = json!({"link": {"environmentId": PRODUCTION}});
    let patch = json!({"financeOperations": {HOST: link}});
    show.command(&format!(
        "curl -X PATCH {}/state -d '{patch}'",
        simulator.control_url()
    ));
    simulator.control().patch_state(&patch).await;
    show.then("The operator would see it at its next look (spec.interval, five minutes). Whoever does not want to wait says so:",
    );
    let now = format!(
        "dualwrite.dev/reconcile-at={}",
        jiff::Timestamp::now().strftime("%FT%TZ")
    );
    kubectl_in(
        show,
        cluster,
        &["annotate", "dwc", CONNECTION, "--overwrite", &now],
    )
    .await?;
    let begun = Instant::now();
    while condition(&read(cluster).await?, "LinkingMismatch")["status"] != "True" {
        ensure!(
            begun.elapsed() < Duration::from_mins(1),
            "the operator did not notice the drift within a minute"
        );
        show.moving("the operator looks");
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    show.still();
    kubectl_in(show, cluster, &["get", "dwc"]).await
}

async fn remedy(show: Show, cluster: &Cluster) -> anyhow::Result<()> {
    show.step(6, STEPS, "What is wrong, and what to do");
    show.say("The condition LinkingMismatch says what is wrong:");
    for kind in ["LinkingMismatch", "Ready"] {
        if kind == "Ready" {
            show.then("The condition Ready says what to do. The operator itself resets nothing:");
        }
        let path = format!("jsonpath={{.status.conditions[?(@.type==\"{kind}\")].message}}");
        show.command(&format!(
            "kubectl get dwc {CONNECTION} -n {NAMESPACE} -o '{path}'"
        ));
        let message = cluster
            .run(&["get", "dwc", CONNECTION, "-o", &path])
            .await?;
        ensure!(!message.is_empty(), "the condition {kind} has no message");
        show.quote(&message);
    }
    show.then("The history, as events (each message is longer than shown here):");
    let events = ["events", "--for", "dwc/contoso-uat"];
    show.command(&format!("kubectl {} -n {NAMESPACE}", events.join(" ")));
    show.cut_output(&cluster.run(&events).await?);
    Ok(())
}

/// Shows and runs a command that names its namespace itself, or needs none.
async fn kubectl(show: Show, cluster: &Cluster, args: &[&str]) -> anyhow::Result<()> {
    show.command(&format!("kubectl {}", args.join(" ")));
    show.output(&cluster.run(args).await?);
    Ok(())
}

/// Shows and runs a command in the demo's namespace.
async fn kubectl_in(show: Show, cluster: &Cluster, args: &[&str]) -> anyhow::Result<()> {
    show.command(&format!("kubectl {} -n {NAMESPACE}", args.join(" ")));
    show.output(&cluster.run(args).await?);
    Ok(())
}

async fn read(cluster: &Cluster) -> anyhow::Result<Value> {
    let text = cluster
        .run(&["get", "dwc", CONNECTION, "-o", "json"])
        .await?;
    serde_json::from_str(&text).context("kubectl printed no JSON")
}

/// The condition of a type; null when there is none.
fn condition(connection: &Value, kind: &str) -> Value {
    let conditions = connection["status"]["conditions"].as_array();
    let found = conditions
        .into_iter()
        .flatten()
        .find(|one| one["type"] == kind);
    found.cloned().unwrap_or_default()
}
