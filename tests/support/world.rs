//! The world of one test: a namespace, a simulator and an operator of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::Client;
use serde_json::{Value, json};

use super::api_proxy::ApiProxy;
use super::api_rules::Seen;
use super::control_plane::ControlPlane;
use super::kubectl::{Kubectl, Output};
use super::namespace::{self, Role};
use super::operator::{Operator, program};
use super::simulator::Simulator;
use super::{dump, kubeconfig, wait};

const PASSES_ARE_COUNTED_EACH: Duration = Duration::from_millis(250);

/// Fast, and otherwise as in production, but with metrics for everybody and without leader election, also where the
/// tests themselves run in a pod.
const OPERATOR_DEFAULTS: [&str; 18] = [
    "--poll-interval",
    "200ms",
    "--settle-time",
    "1s",
    "--min-interval",
    "500ms",
    "--request-timeout",
    "2s",
    "--admin-addr",
    "127.0.0.1:0",
    "--metrics-addr",
    "127.0.0.1:0",
    "--metrics-auth",
    "none",
    "--log-format",
    "json",
    "--leader-election",
    "false",
];

/// How a world is made.
pub struct Builder {
    simulator: bool,
    scenario: Option<Value>,
    time_scale: f64,
    opted_in: bool,
    operator_program: Option<PathBuf>,
    variables: Vec<(String, String)>,
    simulator_program: Option<PathBuf>,
    control_plane: Option<Arc<ControlPlane>>,
}

/// One test's world. Dropping it ends its processes; if the test failed, it first
/// writes to stderr what is needed to see why.
pub struct World {
    pub control_plane: Arc<ControlPlane>,
    pub namespace: String,
    /// Between the operator and the API server.
    pub api: ApiProxy,
    folder: PathBuf,
    client: Client,
    admin: Kubectl,
    operator_program: PathBuf,
    operator_kubeconfig: PathBuf,
    operator_args: Vec<String>,
    variables: Vec<(String, String)>,
    operator: Option<Operator>,
    /// The log of earlier runs.
    earlier_log: Vec<String>,
    simulator: Option<Simulator>,
}

impl Builder {
    /// With a simulator that has its built-in scenario.
    pub fn simulator(mut self) -> Self {
        self.simulator = true;
        self
    }

    /// With a simulator that has this scenario.
    pub fn scenario(mut self, scenario: Value) -> Self {
        self.scenario = Some(scenario);
        self.simulator()
    }

    pub fn time_scale(mut self, time_scale: f64) -> Self {
        self.time_scale = time_scale;
        self
    }

    /// The namespace does not let the operator in.
    pub fn not_opted_in(mut self) -> Self {
        self.opted_in = false;
        self
    }

    /// Another program in the operator's place.
    pub fn operator_program(mut self, program: impl Into<PathBuf>) -> Self {
        self.operator_program = Some(program.into());
        self
    }

    /// `RUST_LOG` of the operator.
    pub fn log_level(self, level: &str) -> Self {
        self.variable("RUST_LOG", level)
    }

    /// A variable in the operator's environment.
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Another program in the simulator's place.
    pub fn simulator_program(mut self, program: impl Into<PathBuf>) -> Self {
        self.simulator_program = Some(program.into());
        self
    }

    /// In a control plane of its own, which ends with the world.
    pub fn control_plane(mut self, control_plane: ControlPlane) -> Self {
        self.control_plane = Some(Arc::new(control_plane));
        self
    }

    /// In another namespace of the control plane of a world.
    pub fn beside(mut self, other: &World) -> Self {
        self.control_plane = Some(Arc::clone(&other.control_plane));
        self
    }

    /// Makes the namespace and starts the simulator. The operator is not started.
    pub async fn start(self) -> World {
        let control_plane = match self.control_plane {
            Some(own) => own,
            None => Arc::clone(ControlPlane::shared().await),
        };
        let random = uuid::Uuid::new_v4().simple().to_string();
        let namespace = format!("contoso-{}", &random[..10]);
        let folder = control_plane.folder().join(&namespace);
        std::fs::create_dir(&folder).expect("a fresh folder");
        let client = control_plane.admin_client().await;
        namespace::create(&client, &namespace).await;
        if self.opted_in {
            namespace::opt_in(&client, &namespace).await;
        }
        let simulator = if self.simulator {
            let program = self
                .simulator_program
                .unwrap_or_else(|| program("dualwrite-simulator"));
            let scenario = self.scenario.as_ref();
            Some(Simulator::start(&program, &folder, scenario, self.time_scale).await)
        } else {
            None
        };
        let api = ApiProxy::start(control_plane.admin().kubeconfig().to_owned()).await;
        let operator_kubeconfig =
            control_plane.operator_kubeconfig(&namespace, &namespace, Some(api.url()));
        World {
            admin: control_plane.kubectl(&control_plane.admin_kubeconfig(&namespace)),
            operator_args: operator_args(&namespace, simulator.as_ref()),
            variables: self.variables,
            operator_program: self
                .operator_program
                .unwrap_or_else(|| program("dualwrite-operator")),
            control_plane,
            namespace,
            api,
            folder,
            client,
            operator_kubeconfig,
            operator: None,
            earlier_log: Vec::new(),
            simulator,
        }
    }
}

impl World {
    /// A namespace that opted in, and no simulator unless asked for.
    pub fn builder() -> Builder {
        Builder {
            simulator: false,
            scenario: None,
            time_scale: 600.0,
            opted_in: true,
            operator_program: None,
            variables: Vec::new(),
            simulator_program: None,
            control_plane: None,
        }
    }

    /// A world with this scenario at Microsoft's side; the operator is not started.
    pub async fn start(scenario: Value) -> Self {
        Self::builder().scenario(scenario).start().await
    }

    /// An admin's client.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// A client with the operator's identity, through the proxy, that tries
    /// everything once: what the operator would see.
    pub async fn operator_client(&self) -> Client {
        let mut config = kubeconfig::config(&self.operator_kubeconfig).await;
        config.default_retry = false;
        Client::try_from(config).expect("a client from a valid configuration")
    }

    /// kubectl as the cluster's admin, in this world's namespace.
    pub fn admin(&self) -> &Kubectl {
        &self.admin
    }

    /// kubectl as a new person with this role in this world's namespace.
    pub async fn person(&self, role: Role) -> Kubectl {
        let user = namespace::add_person(&self.client, &self.namespace, role).await;
        self.control_plane
            .kubectl(&self.control_plane.person_kubeconfig(&user, &self.namespace))
    }

    /// `kubectl apply --server-side` as admin; panics if it is refused.
    pub async fn apply(&self, manifests: &str) {
        self.admin.apply(manifests).await.ok();
    }

    /// kubectl as admin.
    pub async fn kubectl(&self, args: &[&str]) -> Output {
        self.admin.run(args).await
    }

    /// An object as it is now, such as `dwc/contoso-uat`; panics if there is none.
    pub async fn get(&self, what: &str) -> Value {
        let target = wait::Target::parse(what);
        let name = target.name.clone().expect("which object to read");
        let object = target.api(self.client(), &self.namespace).get(&name).await;
        let object = object.unwrap_or_else(|error| panic!("cannot read {what}: {error}"));
        serde_json::to_value(object).expect("an object is JSON")
    }

    /// All objects of a kind, such as `dwo`.
    pub async fn list(&self, kind: &str) -> Vec<Value> {
        let api = wait::Target::parse(kind).api(self.client(), &self.namespace);
        let objects = api.list(&kube::api::ListParams::default()).await;
        let objects = objects.unwrap_or_else(|error| panic!("cannot list {kind}: {error}"));
        objects
            .into_iter()
            .map(|object| serde_json::to_value(object).expect("an object is JSON"))
            .collect()
    }

    pub async fn connection(&self, name: &str) -> Value {
        self.get(&format!("dwc/{name}")).await
    }

    pub async fn operations(&self) -> Vec<Value> {
        self.list("dwo").await
    }

    pub async fn events(&self) -> Vec<Value> {
        self.list("event").await
    }

    /// Watches `dwc/NAME`, or with `dwo` any object of the kind, until `found`
    /// accepts one, and returns that.
    pub async fn wait_for(
        &self,
        what: &str,
        timeout: Duration,
        found: impl FnMut(&Value) -> bool,
    ) -> Value {
        wait::for_object(self.client(), &self.namespace, what, timeout, found).await
    }

    /// Watches until the object is gone.
    pub async fn wait_gone(&self, what: &str, timeout: Duration) {
        wait::for_absence(self.client(), &self.namespace, what, timeout).await;
    }

    /// Waits for a condition of a connection to have this status, and this reason
    /// if one is given, on the current generation. Returns the connection.
    pub async fn wait_condition(
        &self,
        name: &str,
        kind: &str,
        status: &str,
        reason: Option<&str>,
    ) -> Value {
        let (kind, status, reason) = (
            kind.to_owned(),
            status.to_owned(),
            reason.map(str::to_owned),
        );
        self.wait_for(
            &format!("dwc/{name}"),
            Duration::from_secs(60),
            move |object| {
                let condition = wait::condition(object, &kind);
                condition["status"] == *status
                    && reason
                        .as_ref()
                        .is_none_or(|reason| condition["reason"] == **reason)
                    && condition["observedGeneration"] == object["metadata"]["generation"]
            },
        )
        .await
    }

    pub fn simulator(&self) -> &Simulator {
        self.simulator
            .as_ref()
            .expect("this world was made without a simulator")
    }

    pub async fn journal(&self) -> Vec<Value> {
        self.simulator().control().journal().await
    }

    pub async fn calls(&self) -> Value {
        self.simulator().control().calls().await
    }

    pub async fn patch_state(&self, patch: Value) {
        self.simulator().control().patch_state(&patch).await;
    }

    pub async fn fault(&self, fault: Value) -> String {
        self.simulator().control().fault(&fault).await
    }

    /// Starts the operator; `args` come after the defaults and win over them.
    pub async fn start_operator(&mut self, args: &[&str]) {
        assert!(
            !self.operator.as_ref().is_some_and(Operator::is_running),
            "the operator runs already"
        );
        self.keep_log();
        let args = replace_flags(&self.operator_args, args);
        let operator = self.run_operator(&self.operator_kubeconfig, &args).await;
        self.api.set_operator(operator.killer());
        self.operator = Some(operator);
    }

    /// A variable in the environment of the operators that start from now on.
    pub fn set_variable(&mut self, name: &str, value: &str) {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// The operators that start from now on are not given this flag and its value.
    pub fn without_flag(&mut self, flag: &str) {
        let place = self.operator_args.iter().position(|given| given == flag);
        let place = place.unwrap_or_else(|| panic!("{flag} is not given"));
        self.operator_args.drain(place..place + 2);
    }

    /// One more operator on the same namespace, by mistake; it ends when dropped.
    pub async fn another_operator(&self, args: &[&str]) -> Operator {
        let args = replace_flags(&self.operator_args, args);
        self.run_operator(&self.operator_kubeconfig, &args).await
    }

    /// One more operator that reaches the API server without the proxy, so that what
    /// the proxy does meets the first one alone; it ends when dropped.
    pub async fn replica(&self, args: &[&str]) -> Operator {
        let name = format!("{}-replica", self.namespace);
        let kubeconfig = self
            .control_plane
            .operator_kubeconfig(&name, &self.namespace, None);
        let args = replace_flags(&self.operator_args, args);
        self.run_operator(&kubeconfig, &args).await
    }

    async fn run_operator(&self, kubeconfig: &Path, args: &[String]) -> Operator {
        Operator::start(
            &self.operator_program,
            kubeconfig,
            &self.namespace,
            args,
            &self.variables,
        )
        .await
    }

    pub fn operator(&self) -> &Operator {
        self.operator.as_ref().expect("the operator was started")
    }

    /// SIGKILL.
    pub fn kill_operator(&mut self) {
        self.operator().expect_end();
        self.operator().killer().kill();
        self.keep_log();
    }

    /// SIGTERM; returns the exit status.
    pub async fn stop_operator(&mut self) -> i32 {
        let status = self.operator().stop().await;
        self.keep_log();
        status
    }

    /// Stops it if it runs, and starts it with these arguments.
    pub async fn restart_operator(&mut self, args: &[&str]) {
        if self.operator.as_ref().is_some_and(Operator::is_running) {
            self.stop_operator().await;
        }
        self.start_operator(args).await;
    }

    /// All log lines of all runs.
    pub fn operator_log(&self) -> Vec<String> {
        let current = self
            .operator
            .as_ref()
            .map(Operator::log)
            .unwrap_or_default();
        [self.earlier_log.clone(), current].concat()
    }

    pub async fn metrics(&self) -> String {
        self.operator().metrics().await
    }

    /// How many passes over connections were completed.
    async fn passes(&self) -> u64 {
        let series =
            "dualwrite_reconciles_total{kind=\"DualWriteConnection\",outcome=\"completed\"} ";
        let metrics = self.metrics().await;
        let count = metrics.lines().find_map(|line| line.strip_prefix(series));
        count.map_or(0, |count| count.parse().expect("a count"))
    }

    /// Waits until the operator has looked so often at each connection, on average. Returns a write that it makes
    /// meanwhile, as soon as it does.
    pub async fn write_in_passes(&self, passes: u64) -> Option<Seen> {
        let since = Instant::now();
        let connections = self.list("dwc").await.len() as u64;
        assert!(connections > 0, "there is nothing to look at");
        let (from, goal) = (self.api.requests_so_far(), passes * connections);
        let before = self.passes().await;
        loop {
            let write = self
                .api
                .next_from(from, Seen::is_write, PASSES_ARE_COUNTED_EACH);
            if let Some(write) = write.await {
                return Some(write);
            }
            let done = self.passes().await - before;
            if done >= goal {
                return None;
            }
            assert!(
                since.elapsed() < Duration::from_secs(120 + 10 * passes),
                "{done} passes over {connections} connections in {:?}, not {goal}",
                since.elapsed()
            );
        }
    }

    /// Panics as soon as the operator writes anything to the API server before it has looked so often.
    pub async fn no_writes_in_passes(&self, passes: u64) {
        if let Some(write) = self.write_in_passes(passes).await {
            panic!("the operator should have been silent, but wrote: {write:#?}");
        }
    }

    /// Panics as soon as the operator writes anything to the API server. For times in which it need not look at
    /// anything: otherwise passes are counted.
    pub async fn no_writes_during(&self, duration: Duration) {
        if let Some(write) = self.api.next(Seen::is_write, duration).await {
            panic!("the operator should have been silent, but wrote: {write:#?}");
        }
    }

    fn keep_log(&mut self) {
        if let Some(operator) = self.operator.take() {
            self.earlier_log.extend(operator.log());
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let misbehaviour = self.operator.as_ref().and_then(Operator::misbehaviour);
        if std::thread::panicking() || misbehaviour.is_some() {
            dump::dump(
                &self.namespace,
                &self.admin,
                &self.operator_log(),
                self.simulator.as_ref(),
            );
        }
        if let Some(operator) = self.operator.take() {
            // It was asked just now; from here on its API server and Microsoft's side go away.
            operator.expect_end();
            operator.expect_error("");
        }
        self.simulator = None;
        let _ = std::fs::remove_dir_all(&self.folder);
        if let Some(misbehaviour) = misbehaviour
            && !std::thread::panicking()
        {
            panic!("{misbehaviour}");
        }
    }
}

fn operator_args(namespace: &str, simulator: Option<&Simulator>) -> Vec<String> {
    let mut args: Vec<String> = OPERATOR_DEFAULTS.map(str::to_owned).into();
    args.extend(["--watch-namespaces".to_owned(), namespace.to_owned()]);
    if let Some(simulator) = simulator {
        args.extend(["--connect-to".to_owned(), simulator.listen().to_owned()]);
        args.extend([
            "--extra-ca".to_owned(),
            simulator.ca_file().display().to_string(),
        ]);
    }
    args
}

/// A flag that is given again replaces the default: most flags may come only once.
fn replace_flags(defaults: &[String], args: &[&str]) -> Vec<String> {
    let given = |flag: &String| {
        args.iter()
            .any(|arg| arg == flag || arg.starts_with(&format!("{flag}=")))
    };
    let kept = defaults
        .chunks(2)
        .filter(|pair| !given(&pair[0]))
        .flatten()
        .cloned();
    kept.chain(args.iter().map(|arg| (*arg).to_owned()))
        .collect()
}
