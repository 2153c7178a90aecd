//! What contoso has, and the plan to reset it.

use std::collections::BTreeMap;

use super::start;
use dualwrite_api::{
    DualWriteOperationSpec, DualWriteOperationStatus,
    connection::{Cloud, Credentials, DualWriteService},
    operation::{
        Access, Action, Approval, ConnectionReference, ConnectionSetReference, IntegrationKey,
        MapState, Options, PlannedStep, ReliesOn, Target,
    },
};
use dualwrite_plan::{
    maps::{self, MapVersion, TableMap},
    messages::PlanWords,
    operation::steps::{
        Backup, ByPerson, InitialiseMaps, IntegrationKeys, MapVersions, PauseMaps, Reset, Solution,
        StartMaps, Step, StopMaps, Verify,
    },
    world::KnownOperation,
};

/// Where dual-write is linked to before, where it is to be, and a third one.
pub const OLD: &str = "6f2c8d0e-0000-4000-8000-000000000099";
pub const TARGET: &str = "6f2c8d0e-0000-4000-8000-000000000010";
pub const THIRD: &str = "6f2c8d0e-0000-4000-8000-000000000077";
pub const HOST: &str = "contoso-uat.sandbox.operations.dynamics.com";
pub const SET: &str = "set-1";
pub const NAME: &str = "contoso-uat-reset-8f3a1c02d4";

/// The solutions, with the maps that they bring; Legacy comes back with neither.
pub const CONTOSO_MAPS: &str = "ContosoMaps";
pub const FABRIKAM_MAPS: &str = "FabrikamMaps";
pub const LEGACY: &str = "Legacy orders";

pub fn map(name: &str, state: MapState, version: &str) -> TableMap {
    let of = |number: &str| MapVersion {
        template: format!("{name} {number}"),
        author: Some("Contoso".into()),
        version: number.into(),
    };
    TableMap {
        name: name.into(),
        template: Some(format!("{name} {version}")),
        table: None,
        project: (state != MapState::None).then(|| format!("project of {name}")),
        state,
        version: Some(version.into()),
        author: Some("Contoso".into()),
        versions: vec![of("1.0.0.1"), of("1.0.0.2")],
        error: None,
    }
}

pub fn contoso_maps() -> Vec<TableMap> {
    vec![
        map("Customers", MapState::Running, "1.0.0.1"),
        map("Groups", MapState::Running, "1.0.0.2"),
        map("Vendors", MapState::Paused, "1.0.0.2"),
        map("Units", MapState::Stopped, "1.0.0.2"),
        map("Warehouses", MapState::None, "1.0.0.2"),
        map(LEGACY, MapState::Running, "1.0.0.1"),
    ]
}

pub fn prerequisites() -> BTreeMap<String, Vec<String>> {
    BTreeMap::from([("Customers".to_owned(), vec!["Groups".to_owned()])])
}

/// What each solution brings: without a project, not started, in its newest version.
pub fn solutions() -> Vec<(String, Vec<TableMap>)> {
    let fresh = |name: &str| TableMap {
        project: None,
        ..map(name, MapState::Stopped, "1.0.0.2")
    };
    vec![
        (
            CONTOSO_MAPS.to_owned(),
            vec![fresh("Customers"), fresh("Groups"), fresh("Vendors")],
        ),
        (
            FABRIKAM_MAPS.to_owned(),
            vec![fresh("Units"), fresh("Warehouses")],
        ),
    ]
}

pub fn keys() -> Vec<IntegrationKey> {
    vec![IntegrationKey {
        entity: "accounts".into(),
        fields: vec!["accountnumber".into(), "msdyn_company".into()],
    }]
}

pub fn companies() -> Vec<String> {
    vec!["DEMF".into(), "USMF".into()]
}

fn planned_steps(spec: &DualWriteOperationSpec, steps: &[&dyn Step]) -> Vec<PlannedStep> {
    let words = PlanWords {
        host: HOST,
        from: "'contoso-old'",
        to: "'contoso-uat'",
        account: "the account of Secret 'contoso-dual-write-account'",
        from_is_visible: true,
        ..PlanWords::default()
    };
    let planned = |step: &&dyn Step| {
        let (what, usually_takes) = step.words(&words, spec.relies_on.maps.len());
        PlannedStep {
            name: step.name(),
            what,
            maps: Vec::new(),
            destructive: step.is_point_of_no_return(),
            needs_person: step.is_by_person(),
            usually_takes: usually_takes.into(),
        }
    };
    steps.iter().map(planned).collect()
}

fn frame(action: Action, name: &str) -> KnownOperation {
    let brought: BTreeMap<String, String> = solutions()
        .into_iter()
        .flat_map(|(solution, maps)| {
            maps.into_iter()
                .map(move |map| (map.name, solution.clone()))
        })
        .collect();
    let spec = DualWriteOperationSpec {
        action,
        connection: ConnectionReference {
            name: "contoso-uat".into(),
            uid: "uid-of-connection".into(),
            generation: 3,
        },
        finance_operations_host: HOST.into(),
        target: Target {
            environment_id: TARGET.into(),
            environment_name: "contoso-uat".into(),
            dataverse_url: "https://contoso-uat.crm4.dynamics.com".into(),
            domain_name: Some("contoso-uat".into()),
        },
        access: access(),
        relies_on: ReliesOn {
            integration: TARGET.into(),
            link: OLD.into(),
            applications: Vec::new(),
            legal_entities: companies(),
            connection_set: Some(ConnectionSetReference {
                id: SET.into(),
                name: Some("contoso".into()),
                legal_entities: companies(),
                environment_visible: true,
            }),
            maps: maps::planned(&contoso_maps(), &prerequisites(), &brought),
            solutions: vec![CONTOSO_MAPS.into(), FABRIKAM_MAPS.into()],
            integration_keys: keys(),
        },
        steps: Vec::new(),
        losses: Vec::new(),
        timeout: "4h".into(),
        options: Options {
            step_timeout: "15m".into(),
            ..Options::default()
        },
        approval: Approval::Approved,
    };
    KnownOperation {
        name: name.into(),
        namespace: "contoso".into(),
        uid: "uid-of-operation".into(),
        created: start(),
        deleted: None,
        spec,
        status: DualWriteOperationStatus::default(),
        approved: None,
    }
}

fn access() -> Access {
    Access {
        cloud: Cloud::Public,
        finance_operations_url: format!("https://{HOST}"),
        credentials: serde_json::from_value::<Credentials>(serde_json::json!({
            "tenantId": "72f988bf-0000-4000-8000-000000000001",
            "secretRef": {"name": "contoso-entra"}
        }))
        .unwrap(),
        dual_write_service: Some(
            serde_json::from_value::<DualWriteService>(serde_json::json!({
                "url": "https://projectmanagementservice.weu-il107.gateway.prod.island.powerapps.com",
                "secretRef": {"name": "contoso-dual-write-account"}
            }))
            .unwrap(),
        ),
    }
}

/// The approved plan of a reset.
pub fn planned_reset(starts: bool) -> KnownOperation {
    let mut operation = frame(Action::Reset, NAME);
    operation.spec.options.start_maps = starts;
    let contoso = Solution(CONTOSO_MAPS.into());
    let fabrikam = Solution(FABRIKAM_MAPS.into());
    let (first, second, pause) = (StartMaps::of(1), StartMaps::of(2), PauseMaps::of_plan());
    let mut steps: Vec<&dyn Step> = vec![
        &Backup,
        &StopMaps,
        &Reset,
        &contoso,
        &fabrikam,
        &IntegrationKeys,
        &InitialiseMaps,
        &MapVersions,
    ];
    if starts {
        let starts: [&dyn Step; 3] = [&first, &second, &pause];
        steps.extend(starts);
    }
    steps.push(&Verify);
    if !starts {
        steps.push(&ByPerson);
    }
    operation.spec.steps = planned_steps(&operation.spec, &steps);
    operation
}

/// The plan to stop every map.
pub fn planned_stop(on_deletion: bool) -> KnownOperation {
    let mut operation = frame(Action::StopMaps, "contoso-uat-stopmaps-1c02d48f3a");
    operation.spec.target.environment_id = OLD.into();
    operation.spec.options.on_deletion = on_deletion;
    operation.spec.approval = Approval::NotRequired;
    operation.spec.timeout = "15m".into();
    operation.spec.steps = planned_steps(&operation.spec, &[&StopMaps]);
    operation
}
