//! A world that is as it should be, to be spoilt by each test, and words to ask what was decided.
#![allow(
    // Each binary uses its own part of this.
    dead_code, unreachable_pub,
    clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs,
)]

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use dualwrite_api::{
    DualWriteConnection, DualWriteConnectionStatus, DualWriteOperationSpec,
    DualWriteOperationStatus, Reason,
    conditions::{self, ConditionType},
    connection::{CredentialStatus, FailureClass, IntegrationKind, MismatchPolicy, MixPolicy},
    operation::{Action, IntegrationKey, MapState, Phase, PlannedStep, StepState, StepStatus},
};
use dualwrite_plan::{
    decide::decide,
    decision::{Decision, Effect},
    desired::Desired,
    maps::{ConnectionSetDetails, LinkDetails, MapVersion, TableMap},
    observed::{
        DataverseSays, Environment, Fact, FinanceOperationsReference, LinkFacts, LinkView,
        Observed, Package, PackageState, Preflight, Problem, Readiness, SpecEnvironment, Tenant,
    },
    operation::{BackupView, Observations},
    verdict::Row,
    world::{Claim, KnownOperation, Settings, World, after},
};
use jiff::Timestamp;
use serde_json::{Value, json};

pub const HOST: &str = "contoso-uat.sandbox.operations.dynamics.com";
pub const OTHER_HOST: &str = "fabrikam.sandbox.operations.dynamics.com";
/// S, and another environment.
pub const S: &str = "6f2c8d0e-0000-4000-8000-000000000001";
pub const E: &str = "6f2c8d0e-0000-4000-8000-000000000002";
pub const S_URL: &str = "https://contoso-uat.crm4.dynamics.com";
pub const UID: &str = "11111111-0000-4000-8000-000000000001";
pub const CORE: &str = "DualWriteCoreAnchor";
pub const APP: &str = "msdyn_DualWriteAppCoreAnchor";
pub const ADMIN: &str =
    "https://contoso-uat.sandbox.operations.dynamics.com/?mi=DualWriteWorkspace";
pub const LCS: &str = "https://lcs.dynamics.com/V2/ProjectOverview/1234567";

pub const SETTLE: Duration = Duration::from_secs(120);
pub const POLL: Duration = Duration::from_secs(10);
pub const INTERVAL: Duration = minutes(5);

pub const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}
pub const fn minutes(n: u64) -> Duration {
    seconds(n * 60)
}
pub const fn hours(n: u64) -> Duration {
    minutes(n * 60)
}

/// 2026-03-02 10:00:00 UTC.
pub fn start() -> Timestamp {
    "2026-03-02T10:00:00Z".parse().unwrap()
}

/// One world. Public fields: a test says what is different.
#[derive(Clone, Debug)]
pub struct Case {
    pub desired: Desired,
    pub observed: Observed,
    pub credentials: Vec<CredentialStatus>,
    pub operations: Vec<KnownOperation>,
    pub rivals: Vec<Claim>,
    pub memory: DualWriteConnectionStatus,
    pub now: Timestamp,
    pub settings: Settings,
}

pub fn manifest() -> Value {
    json!({
        "apiVersion": "dualwrite.dev/v1alpha1",
        "kind": "DualWriteConnection",
        "metadata": {
            "name": "contoso-uat", "namespace": "contoso", "uid": UID, "generation": 1,
            "creationTimestamp": "2026-03-01T00:00:00Z",
        },
        "spec": {
            "financeOperations": {"url": format!("https://{HOST}"), "lcsProjectId": "1234567"},
            "dataverse": {"environmentId": S},
            "credentials": {
                "tenantId": "72f988bf-0000-4000-8000-000000000001",
                "secretRef": {"name": "contoso-entra"},
            },
            "dualWriteService": {
                "url": "https://projectmanagementservice.weu-il107.gateway.prod.island.powerapps.com",
                "secretRef": {"name": "contoso-dual-write-account"},
            },
            "setup": {"acceptTerms": true},
            "link": {"legalEntities": ["USMF", "DEMF"]},
        },
    })
}

pub fn desired() -> Desired {
    let connection: DualWriteConnection = serde_json::from_value(manifest()).unwrap();
    Desired::from_resource(&connection, seconds(30)).unwrap()
}

pub fn named(host: &str) -> FinanceOperationsReference {
    FinanceOperationsReference {
        host: Some(host.into()),
        kind: IntegrationKind::LifecycleServices,
        lcs_environment_id: Some("lcs-1".into()),
    }
}

/// S, integrated with the host.
pub fn spec_environment() -> Environment {
    Environment {
        id: S.into(),
        name: "Contoso UAT".into(),
        kind: "Sandbox".into(),
        readiness: Readiness::Ready,
        has_dataverse: true,
        dataverse_url: Some(S_URL.into()),
        domain_name: Some("contoso-uat".into()),
        finance_operations: Some(named(HOST)),
    }
}

/// E, integrated with nothing.
pub fn other_environment() -> Environment {
    Environment {
        id: E.into(),
        name: "Contoso Production".into(),
        kind: "Sandbox".into(),
        dataverse_url: Some("https://contoso.crm4.dynamics.com".into()),
        domain_name: Some("contoso".into()),
        finance_operations: None,
        ..spec_environment()
    }
}

pub fn package(name: &str, state: PackageState) -> Package {
    Package {
        name: name.into(),
        state,
        version: Some("1.2.3.4".into()),
        available_version: None,
        error: None,
    }
}

pub fn failed_package(name: &str, error: &str) -> Package {
    Package {
        error: Some(error.into()),
        ..package(name, PackageState::Failed)
    }
}

pub fn link_to(id: &str) -> LinkView {
    LinkView::To(LinkFacts {
        connection_set_id: "cs-0001".into(),
        connection_set_name: Some("contoso-set".into()),
        environment_id: id.into(),
        legal_entities: None,
    })
}

/// A table map of version 1.0.0.1, with a project unless it was never started.
pub fn map(name: &str, state: MapState) -> TableMap {
    TableMap {
        name: name.into(),
        table: None,
        template: Some(format!("template-of-{name}")),
        project: (state != MapState::None).then(|| format!("project-of-{name}")),
        state,
        version: Some("1.0.0.1".into()),
        author: Some("Microsoft".into()),
        versions: vec![MapVersion {
            template: format!("template-of-{name}"),
            author: Some("Microsoft".into()),
            version: "1.0.0.1".into(),
        }],
        error: None,
    }
}

/// Maps in each of the usual states; customers need groups, and groups currencies.
pub fn some_maps() -> Vec<TableMap> {
    vec![
        map("currencies", MapState::Running),
        map("customers", MapState::Running),
        map("groups", MapState::Paused),
        map("units", MapState::Stopped),
        map("vendors", MapState::None),
    ]
}

/// The details of [`some_maps`]: companies, one integration key, two solutions, prerequisites.
pub fn some_details() -> LinkDetails {
    LinkDetails {
        connection_set: Fact::Known(ConnectionSetDetails {
            dataverse_name: Some("contoso".into()),
            legal_entities: vec!["DEMF".into(), "FRRT".into(), "USMF".into()],
            integration_keys: vec![integration_key("accounts", &["accountnumber", "company"])],
        }),
        solutions: Fact::Known(vec!["DualWriteBase".into(), "ContosoMaps".into()]),
        prerequisites: Fact::Known(prerequisites(&[
            ("customers", &["groups"]),
            ("groups", &["currencies"]),
        ])),
    }
}

pub fn integration_key(entity: &str, fields: &[&str]) -> IntegrationKey {
    IntegrationKey {
        entity: entity.into(),
        fields: fields.iter().map(|field| (*field).to_owned()).collect(),
    }
}

pub fn prerequisites(all: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
    all.iter()
        .map(|(name, before)| {
            let before = before.iter().map(|name| (*name).to_owned()).collect();
            ((*name).to_owned(), before)
        })
        .collect()
}

/// A link without companies, keys, solutions and prerequisites.
pub fn no_details() -> LinkDetails {
    LinkDetails {
        connection_set: Fact::Known(ConnectionSetDetails::default()),
        solutions: Fact::Known(vec![]),
        prerequisites: Fact::Known(BTreeMap::new()),
    }
}

/// What an act sees that is not about a reset.
pub fn nothing_to_reset() -> Observations {
    Observations {
        began: start(),
        integrated: Fact::Known(true),
        applications: Fact::Known(vec![]),
        remote: Fact::Unknown(busy()),
        link: LinkView::Absent,
        maps: Fact::Known(vec![]),
        details: no_details(),
        backup: BackupView::Missing,
    }
}

pub fn down() -> Problem {
    Problem::transient("GET environments: 503 Service Unavailable.")
}

pub fn busy() -> Problem {
    Problem {
        class: FailureClass::Busy,
        ..Problem::transient("It was not looked at in this pass.")
    }
}

pub fn refused(message: &str) -> Problem {
    Problem::needs_person(Reason::AccessDenied, message)
}

impl Case {
    /// P = S = L, everything installed, first pass.
    pub fn happy() -> Self {
        let now = start();
        Self {
            desired: desired(),
            observed: Observed {
                began: now,
                credentials: Fact::Known(()),
                environment: Fact::Known(SpecEnvironment::Visible(spec_environment())),
                tenant: Fact::Known(Tenant {
                    complete: true,
                    visible: 2,
                    naming_host: vec![spec_environment()],
                    linked: Some(spec_environment()),
                }),
                dataverse: Fact::Known(DataverseSays::IntegratedWith {
                    url: format!("https://{HOST}/"),
                    host: Some(HOST.into()),
                }),
                applications: Fact::Known(vec![
                    package(CORE, PackageState::Installed),
                    package(APP, PackageState::Installed),
                ]),
                link: link_to(S),
                maps: Fact::Known(vec![]),
                details: no_details(),
                preflight: Preflight::unread(&busy()),
            },
            credentials: Vec::new(),
            operations: Vec::new(),
            rivals: Vec::new(),
            memory: DualWriteConnectionStatus::default(),
            now,
            settings: Settings::default(),
        }
    }

    /// Integrated, set up, no link; by one read.
    pub fn unlinked() -> Self {
        Self::happy().link(LinkView::Absent)
    }

    /// Integrated, nothing installed, no link; by one read.
    pub fn bare() -> Self {
        Self::unlinked().packages(vec![])
    }

    /// Nothing is integrated, nothing is linked; by one read.
    pub fn nothing() -> Self {
        Self::unlinked().packages_unknown(busy()).no_integration()
    }

    // ---- what is seen ----

    pub fn link(mut self, link: LinkView) -> Self {
        if let (LinkView::To(link), Fact::Known(tenant)) = (&link, &mut self.observed.tenant) {
            tenant.linked = match link.environment_id.as_str() {
                S => Some(spec_environment()),
                E => Some(other_environment()),
                _ => None,
            };
        }
        self.observed.link = link;
        self
    }

    pub fn packages(mut self, packages: Vec<Package>) -> Self {
        self.observed.applications = Fact::Known(packages);
        self
    }

    pub fn packages_unknown(mut self, why: Problem) -> Self {
        self.observed.applications = Fact::Unknown(why);
        self
    }

    /// The table maps of the link.
    pub fn maps(mut self, maps: Vec<TableMap>) -> Self {
        self.observed.maps = Fact::Known(maps);
        self
    }

    pub fn maps_unknown(mut self, why: Problem) -> Self {
        self.observed.maps = Fact::Unknown(why);
        self
    }

    /// What else a reset would take away.
    pub fn details(mut self, details: LinkDetails) -> Self {
        self.observed.details = details;
        self
    }

    pub fn dataverse(mut self, says: Option<&str>) -> Self {
        self.observed.dataverse = Fact::Known(match says {
            Some(host) => DataverseSays::IntegratedWith {
                url: format!("https://{host}/"),
                host: Some(host.into()),
            },
            None => DataverseSays::NotIntegrated,
        });
        self
    }

    /// S as it is, seen by itself and in the list.
    pub fn environment(mut self, environment: Environment) -> Self {
        if let Fact::Known(tenant) = &mut self.observed.tenant {
            tenant.naming_host.retain(|listed| listed.id != S);
            if environment.has_dataverse
                && environment
                    .finance_operations
                    .as_ref()
                    .and_then(|named| named.host.as_deref())
                    == Some(HOST)
            {
                tenant.naming_host.push(environment.clone());
            }
            if tenant.linked.as_ref().is_some_and(|linked| linked.id == S) {
                tenant.linked = Some(environment.clone());
            }
        }
        self.observed.environment = Fact::Known(SpecEnvironment::Visible(environment));
        self
    }

    /// P = none: S names nothing, its Dataverse says so, and the list is complete.
    pub fn no_integration(self) -> Self {
        self.environment(Environment {
            finance_operations: None,
            ..spec_environment()
        })
        .dataverse(None)
    }

    /// P = E.
    pub fn integrated_elsewhere(self) -> Self {
        let mut case = self.no_integration();
        let elsewhere = Environment {
            finance_operations: Some(named(HOST)),
            ..other_environment()
        };
        case.tenant().naming_host.push(elsewhere);
        case
    }

    pub fn tenant(&mut self) -> &mut Tenant {
        match &mut self.observed.tenant {
            Fact::Known(tenant) => tenant,
            Fact::Unknown(_) => panic!("the tenant's list is unknown"),
        }
    }

    /// Every read of this pass fails.
    pub fn blind(mut self, why: &Problem) -> Self {
        self.observed.environment = Fact::Unknown(why.clone());
        self.observed.tenant = Fact::Unknown(why.clone());
        self.observed.dataverse = Fact::Unknown(why.clone());
        self.observed.applications = Fact::Unknown(why.clone());
        self.observed.link = LinkView::Unknown(why.clone());
        self.observed.maps = Fact::Unknown(why.clone());
        self.observed.details = LinkDetails::unread(why);
        self
    }

    /// What is seen as in another case, at this one's time.
    pub fn seeing(mut self, other: &Self) -> Self {
        self.observed = Observed {
            began: self.now,
            ..other.observed.clone()
        };
        self
    }

    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub fn world(&self) -> World<'_> {
        World {
            desired: &self.desired,
            observed: &self.observed,
            credentials: &self.credentials,
            operations: &self.operations,
            rivals: &self.rivals,
            memory: &self.memory,
            now: self.now,
            settings: &self.settings,
        }
    }

    // ---- time ----

    pub fn decide(&self) -> Decision {
        let decision = decide(&self.world());
        conditions::check_kstatus(&decision.status.conditions, self.desired.generation)
            .unwrap_or_else(|why| panic!("{why}: {decision:#?}"));
        decision
    }

    /// The same world later, after a pass now whose status was written.
    pub fn later(mut self, by: Duration) -> Self {
        self.memory = self.decide().status;
        self.now = after(self.now, by);
        self.observed.began = self.now;
        self
    }

    /// A second look, the settle time later.
    pub fn settled(self) -> Self {
        self.later(SETTLE)
    }

    /// The spec was edited.
    pub fn new_generation(mut self) -> Self {
        self.desired.generation += 1;
        self
    }

    /// How long it is until the next pass.
    pub fn wait(&self, decision: &Decision) -> Duration {
        Duration::try_from(decision.next.duration_since(self.now)).expect("not in the past")
    }

    // ---- operations ----

    /// The operation that this world asks for, as the API server would have it.
    pub fn planned(&self) -> KnownOperation {
        let decision = self.decide();
        let Some(Effect::Create { name, spec }) = decision.effect else {
            panic!("nothing is planned: {decision:#?}")
        };
        KnownOperation {
            uid: format!("uid-of-{name}"),
            name,
            namespace: self.desired.namespace.clone(),
            created: self.now,
            deleted: None,
            spec: *spec,
            status: DualWriteOperationStatus::default(),
            approved: None,
        }
    }

    /// The operation that this world asks for exists and waits for approval, and that is seen.
    pub fn waiting_for_approval(self) -> Self {
        let planned = in_phase(self.planned(), Phase::AwaitingApproval, self.now);
        self.operation(planned).later(seconds(1))
    }

    pub fn operation(mut self, operation: KnownOperation) -> Self {
        self.operations.push(operation);
        self
    }
}

pub fn planned_setup() -> KnownOperation {
    Case::bare().settled().planned()
}

pub fn planned_link() -> KnownOperation {
    by_service(Case::unlinked()).settled().planned()
}

/// Linked to E instead of S, with maps, and a reset is to be planned; by one read.
pub fn to_reset() -> Case {
    with_policy_reset(Case::happy().link(link_to(E)))
        .maps(some_maps())
        .details(some_details())
}

pub fn with_policy_reset(case: Case) -> Case {
    case.with(|case| case.desired.mismatch.policy = MismatchPolicy::Reset)
}

pub fn planned_reset() -> KnownOperation {
    to_reset().settled().planned()
}

/// A sandbox that is linked with production, whose maps are to be stopped; by one read.
pub fn mixed() -> Case {
    Case::happy()
        .link(link_to(E))
        .maps(some_maps())
        .with(|case| {
            case.tenant().linked = Some(in_production(other_environment()));
            case.desired.mismatch.on_mix = MixPolicy::StopMaps;
        })
}

pub fn planned_stop() -> KnownOperation {
    mixed().settled().planned()
}

pub const DEVELOPMENT: &str = "contosodev.cloudax.dynamics.com";
pub const PRODUCTION: &str = "contoso.operations.eu.dynamics.com";

pub fn of_host(case: Case, host: &str) -> Case {
    case.with(|case| {
        case.desired.host = host.into();
        case.desired.finance_operations_url = format!("https://{host}");
    })
}

pub fn in_production(environment: Environment) -> Environment {
    Environment {
        kind: "Production".into(),
        ..environment
    }
}

pub fn by_service(case: Case) -> Case {
    case.with(|case| {
        case.desired.link_method = dualwrite_api::connection::LinkMethod::Service;
    })
}

/// An operation in a phase, with all that belongs to it.
pub fn in_phase(mut operation: KnownOperation, phase: Phase, at: Timestamp) -> KnownOperation {
    let state = match phase {
        Phase::AwaitingApproval | Phase::Void => StepState::Pending,
        Phase::Running => StepState::Sent,
        Phase::Succeeded => StepState::Done,
        Phase::Failed => StepState::Failed,
        Phase::Unknown => StepState::Unknown,
    };
    let status = &mut operation.status;
    status.phase = Some(phase);
    status.steps = operation
        .spec
        .steps
        .iter()
        .map(|step| StepStatus::pending(&step.name))
        .collect();
    if let Some(first) = status.steps.first_mut() {
        first.state = state;
    }
    if !matches!(phase, Phase::AwaitingApproval | Phase::Void) {
        status.started_at = Some(at);
        status.deadline = Some(after(at, minutes(90)));
        status.step = operation.spec.steps.first().map(|step| step.name.clone());
    }
    if phase.is_finished() {
        status.finished_at = Some(at);
    }
    let doing = match operation.spec.action {
        Action::Setup | Action::Link => "Installing",
        Action::Reset => "Resetting",
        Action::StopMaps => "Stopping maps",
    };
    status.message = match phase {
        Phase::Failed => Some(format!("{doing} failed: DW0815 no capacity.")),
        Phase::Unknown => Some("The answer was lost.".into()),
        Phase::Running => Some(format!("{doing} since 10:00.")),
        _ => None,
    };
    status.reason = match (phase, operation.spec.action) {
        (Phase::Failed, Action::Setup) => Some("InstallFailed".into()),
        (Phase::Failed, Action::Link) => Some("LinkFailed".into()),
        (Phase::Failed, Action::Reset) => Some("ResetFailed".into()),
        (Phase::Failed, Action::StopMaps) => Some("MapsNotStopped".into()),
        (Phase::Unknown, _) => Some("OutcomeUnknown".into()),
        _ => None,
    };
    operation
}

// ---- what was decided ----

/// Why an operation is given up.
#[track_caller]
pub fn voided(decision: &Decision) -> String {
    match &decision.effect {
        Some(Effect::Void { message, .. }) => message.clone(),
        other => panic!("nothing is given up: {other:#?}"),
    }
}

/// A plan, as the one who approves it reads it, for a snapshot.
pub fn show_plan(plan: &DualWriteOperationSpec) -> String {
    let mut text = String::new();
    for step in &plan.steps {
        let destructive = if step.destructive {
            ", DESTRUCTIVE"
        } else {
            ""
        };
        let person = if step.needs_person { ", a person" } else { "" };
        let PlannedStep {
            name,
            what,
            usually_takes,
            ..
        } = step;
        writeln!(
            text,
            "step {name} ({usually_takes}{destructive}{person})\n    {what}"
        )
        .unwrap();
        if !step.maps.is_empty() {
            writeln!(text, "    {}", step.maps.join(", ")).unwrap();
        }
    }
    for loss in &plan.losses {
        writeln!(text, "loss: {loss}").unwrap();
    }
    writeln!(text, "timeout: {}", plan.timeout).unwrap();
    writeln!(text, "approval: {:?}", plan.approval).unwrap();
    writeln!(
        text,
        "options: {}",
        serde_json::to_string(&plan.options).unwrap()
    )
    .unwrap();
    let relies_on = serde_json::to_value(&plan.relies_on).unwrap();
    for (what, value) in relies_on.as_object().unwrap() {
        match value.as_array() {
            Some(values) => values
                .iter()
                .for_each(|value| writeln!(text, "relies on {what}: {value}").unwrap()),
            None => writeln!(text, "relies on {what}: {value}").unwrap(),
        }
    }
    text
}

#[track_caller]
pub fn message(decision: &Decision, kind: ConditionType) -> String {
    conditions::find(&decision.status.conditions, kind)
        .unwrap_or_else(|| panic!("no {kind}: {decision:#?}"))
        .message
        .clone()
}

/// "False/NotIntegrated", or "-" where there is no such condition.
pub fn word(decision: &Decision, kind: ConditionType) -> String {
    conditions::find(&decision.status.conditions, kind).map_or_else(
        || "-".into(),
        |condition| format!("{}/{}", condition.status, condition.reason),
    )
}

/// Asserts the row and conditions, each as "False/NotIntegrated" or "-".
#[track_caller]
pub fn expect(decision: &Decision, row: Row, expected: &[(ConditionType, &str)]) {
    assert_eq!(decision.row, Some(row), "{}", show(decision, start()));
    for (kind, wanted) in expected {
        assert_eq!(
            &word(decision, *kind),
            wanted,
            "{kind} in:\n{}",
            show(decision, start())
        );
    }
}

/// Asserts what a person needs to read in a condition.
#[track_caller]
pub fn reads(decision: &Decision, kind: ConditionType, parts: &[&str]) {
    let message = message(decision, kind);
    for part in parts {
        assert!(message.contains(part), "{kind} lacks '{part}': {message}");
    }
}

/// Everything that a decision says, for a snapshot.
pub fn show(decision: &Decision, now: Timestamp) -> String {
    let mut text = String::new();
    let row = decision
        .row
        .map_or_else(|| "none".into(), |row| row.to_string());
    writeln!(text, "row: {row}").unwrap();
    for condition in &decision.status.conditions {
        let (kind, status, reason) = (&condition.type_, &condition.status, &condition.reason);
        writeln!(text, "{kind}: {status}/{reason}\n    {}", condition.message).unwrap();
    }
    match &decision.effect {
        None => writeln!(text, "effect: none").unwrap(),
        Some(Effect::Create { name, spec }) => {
            let steps: Vec<_> = spec.steps.iter().map(|step| step.what.as_str()).collect();
            writeln!(text, "effect: create {name}: {}", steps.join(", ")).unwrap();
        }
        Some(Effect::Void { name, message }) => {
            writeln!(text, "effect: void {name}: {message}").unwrap();
        }
    }
    for event in &decision.events {
        let kind = if event.warning { "Warning" } else { "Normal" };
        writeln!(text, "event: {kind} {}", event.reason).unwrap();
    }
    if let Some(since) = &decision.status.settling {
        writeln!(text, "settling: {} since {}", since.what, since.since).unwrap();
    }
    if let Some(since) = &decision.status.waiting {
        writeln!(text, "waiting: {} since {}", since.what, since.since).unwrap();
    }
    let wait = decision.next.duration_since(now).as_secs();
    writeln!(text, "next: in {wait} s").unwrap();
    text
}
