//! The story that the demo tells, step by step.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};

use crate::show::Show;
use crate::stage::{Cluster, NAMESPACE, Stage, TIME_SCALE};
use crate::support::process::Process;
use crate::support::{ControlPlane, OPERATOR_USER, Simulator};

const STEPS: usize = 8;
const CONNECTION: &str = "contoso-uat";
/// Several times what it takes on a slow machine.
const PATIENCE: Duration = Duration::from_mins(3);

/// The test environment's finance and operations host, and the production's Power Platform environment: as in the
/// scenario.
const HOST: &str = "contoso-uat.sandbox.operations.dynamics.com";
const PRODUCTION: &str = "c0a8f00d-0000-4000-8000-000000000020";

/// The maps that run in production, as the scenario's solution has them.
const COMPANIES: &str = "Companies - cdm_companies";
const CUSTOMERS: &str = "Customers V3 - accounts";

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
    let plan = plan(show, &cluster).await?;
    reset(show, stage, &cluster, &plan).await?;
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
        operator.metrics_address().to_owned(),
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
         production's Dataverse, with the table maps of production running. The simulator does that when it is told:",
    );
    let link = json!({
        "link": {"environmentId": PRODUCTION},
        "integrationKeys": {"accounts": ["accountnumber", "_msdyn_company_value"]},
        "maps": running_maps(),
    });
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

/// The table maps that come with production's database.
fn running_maps() -> Value {
    let map = |name: &str, left: &str, right: &str, project: &str, before: &[&str]| {
        json!({
            "tName": name,
            "pid": project,
            "state": "running",
            "left": {"name": left},
            "right": {"name": right},
            "prerequisites": before,
        })
    };
    json!({
        "0aa5c2a1-0000-4000-8000-000000000101":
            map(COMPANIES, "Legal entities", "cdm_companies", "1bb6d3b2-0000-4000-8000-000000000301", &[]),
        "0aa5c2a1-0000-4000-8000-000000000102":
            map(CUSTOMERS, "Customers V3", "accounts", "1bb6d3b2-0000-4000-8000-000000000302", &[COMPANIES]),
    })
}

async fn remedy(show: Show, cluster: &Cluster) -> anyhow::Result<()> {
    show.step(6, STEPS, "What is wrong, and what to do");
    show.say("The condition LinkingMismatch says what is wrong:");
    for kind in ["LinkingMismatch", "Ready"] {
        if kind == "Ready" {
            show.then("The condition Ready says what to do. Unless it is asked for more, the operator itself resets nothing:");
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

/// Asks for a reset, and shows its plan; the plan's name.
async fn plan(show: Show, cluster: &Cluster) -> anyhow::Result<String> {
    show.step(
        7,
        STEPS,
        "Ask the operator for the remedy: first it shows its plan",
    );
    show.say(
        "With mismatch.policy: Reset the operator plans the reset as one act, with everything that would be lost, and does \
         nothing before exactly that plan is approved.",
    );
    let patch =
        json!({"spec": {"mismatch": {"policy": "Reset", "startMaps": "AsBefore"}}}).to_string();
    show.command(&format!(
        "kubectl patch dwc {CONNECTION} -n {NAMESPACE} --type=merge -p '{patch}'"
    ));
    let asked = ["patch", "dwc", CONNECTION, "--type=merge", "-p", &patch];
    show.output(&cluster.run(&asked).await?);
    let begun = Instant::now();
    let plan = loop {
        let plans = cluster
            .run(&[
                "get",
                "dwo",
                "-l",
                "dualwrite.dev/action=Reset",
                "-o",
                "json",
            ])
            .await?;
        let plans: Value = serde_json::from_str(&plans).context("kubectl printed no JSON")?;
        let plan = &plans["items"][0];
        if plan["status"]["phase"] == "AwaitingApproval" {
            break plan.clone();
        }
        ensure!(begun.elapsed() < PATIENCE, "no reset was planned");
        show.moving("the facts that a plan relies on are read twice");
        tokio::time::sleep(Duration::from_millis(150)).await;
    };
    show.still();
    let name = plan["metadata"]["name"]
        .as_str()
        .context("a plan without a name")?;
    show.then("The plan, as `kubectl describe dwo` shows it (cut to what is decided on):");
    kubectl_in(show, cluster, &["get", "dwo"]).await?;
    show.then("Its steps:");
    for step in plan["spec"]["steps"].as_array().into_iter().flatten() {
        let mark = if step["destructive"] == true {
            " (destructive)"
        } else {
            ""
        };
        let what = step["what"].as_str().unwrap_or_default();
        let takes = step["usuallyTakes"].as_str().unwrap_or_default();
        show.item(&format!("{what}{mark}: usually {takes}"));
    }
    show.then("What would be lost, or may not come back:");
    for loss in plan["spec"]["losses"].as_array().into_iter().flatten() {
        show.item(loss.as_str().unwrap_or_default());
    }
    Ok(name.to_owned())
}

/// Approves the plan with the command that it names, and waits for its end.
async fn reset(show: Show, stage: &Stage, cluster: &Cluster, plan: &str) -> anyhow::Result<()> {
    show.step(8, STEPS, "Approve exactly this plan, and watch");
    let path = "jsonpath={.status.message}";
    let message = cluster.run(&["get", "dwo", plan, "-o", path]).await?;
    show.quote(&message);
    let approval = r#"{"spec":{"approval":"Approved"}}"#;
    ensure!(
        message.contains(approval),
        "the plan does not say how it is approved"
    );
    show.command(&format!(
        "kubectl patch dwo {plan} -n {NAMESPACE} --type=merge -p '{approval}'"
    ));
    let approve = ["patch", "dwo", plan, "--type=merge", "-p", approval];
    show.output(&cluster.run(&approve).await?);
    let begun = Instant::now();
    let mut said = String::new();
    loop {
        let operation = cluster.run(&["get", "dwo", plan, "-o", "json"]).await?;
        let operation: Value =
            serde_json::from_str(&operation).context("kubectl printed no JSON")?;
        let status = &operation["status"];
        let message = status["message"].as_str().unwrap_or_default();
        if message != said && status["phase"] != "AwaitingApproval" {
            message.clone_into(&mut said);
            show.still();
            show.quote(message);
        }
        match status["phase"].as_str().unwrap_or_default() {
            "Succeeded" => break,
            "AwaitingApproval" | "Running" => {}
            phase => bail!("the reset has ended as {phase}: {message}"),
        }
        ensure!(!stage.operator_has_ended(), "the operator has ended");
        ensure!(
            begun.elapsed() < PATIENCE,
            "the reset has not ended; last: {said}"
        );
        show.moving("the reset goes on");
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    let wait = [
        "wait",
        "--for=condition=Ready",
        "dwc/contoso-uat",
        "--timeout=60s",
    ];
    kubectl_in(show, cluster, &wait).await?;
    kubectl_in(show, cluster, &["get", "dwc", "-o", "wide"]).await?;
    show.then("What was there before stands beside it, for as long as it may be needed:");
    kubectl_in(
        show,
        cluster,
        &["get", "configmap", "-l", "dualwrite.dev/backup=true"],
    )
    .await
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
