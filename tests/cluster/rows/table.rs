//! The rows that change nothing: conditions, and the part of the message that says what to do.

use serde_json::{Value, json};

use crate::support::contoso::*;
use crate::support::wait::condition;

/// Type, status, reason, and parts of the message.
type Says = (
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
);

struct Row {
    /// What Microsoft's side is changed to.
    state: Value,
    /// What the spec is changed to.
    spec: Value,
    fault: Value,
    /// The first one is waited for.
    says: Vec<Says>,
}

fn row(name: &str, state: Value, spec: Value, says: &[Says]) -> (String, Row) {
    let (fault, says) = (Value::Null, says.to_vec());
    let row = Row {
        state,
        spec,
        fault,
        says,
    };
    (name.to_owned(), row)
}

/// Nothing is changed at Microsoft's, no operation is planned, and then there is silence.
async fn holds(row: Row) {
    let world = world(row.state).await;
    if row.fault != Value::Null {
        world.fault(row.fault).await;
    }
    connect(&world, row.spec).await;
    let (kind, status, reason, _) = row.says[0];
    world.wait_condition(NAME, kind, status, Some(reason)).await;
    quiet(&world, 3).await;
    let object = world.connection(NAME).await;
    for (kind, status, reason, parts) in &row.says {
        if *status == "absent" {
            assert_eq!(condition(&object, kind), &Value::Null, "{object:#}");
        } else {
            assert_says(&object, kind, status, reason, parts);
        }
    }
    assert_kstatus(&object);
    assert_eq!(mutations(&world).await, Vec::<String>::new());
    assert_eq!(world.operations().await, Vec::<Value>::new());
}

const SETTLED: [Says; 2] = [
    ("Stalled", "absent", "", &[]),
    ("Reconciling", "absent", "", &[]),
];

fn dev() -> (Value, Value) {
    let host = "contosodev.axcloud.dynamics.com";
    let state = both(
        not_integrated(),
        json!({"financeOperations": {host: {"tenantId": TENANT, "isDevInstance": true}}}),
    );
    let url = format!("https://{host}");
    (state, json!({"financeOperations": {"url": url}}))
}

#[rustfmt::skip]
fn before_integration() -> Vec<(String, Row)> {
    let production_names_host = environment(PRODUCTION, json!({"finOpsMetadata": {"url": format!("https://{HOST}")}}));
    let (cloud_hosted, cloud_hosted_spec) = dev();
    vec![
        row("3: no role", application(json!({"environments": "none"})), json!({}), &[
            ("Ready", "False", "AccessDenied", &["register it as a Power Platform management application", TENANT]),
            ("PowerPlatformIntegrated", "Unknown", "AccessDenied", &[]),
            ("CredentialsValid", "True", "Authenticated", &[]),
            ("Stalled", "True", "AccessDenied", &[]),
        ]),
        row("3: a role without this environment", application(json!({"environments": [PRODUCTION]})), json!({}), &[
            ("Ready", "False", "AccessDenied", &["Power Platform role"]),
            ("Stalled", "True", "AccessDenied", &[]),
        ]),
        row("3: no such environment", Value::Null, json!({"dataverse": {"environmentId": "00000000-0000-4000-8000-00000000dead"}}), &[
            ("Ready", "False", "EnvironmentNotFound", &["00000000-0000-4000-8000-00000000dead", "Compare the id", "a role that includes this environment"]),
            ("PowerPlatformIntegrated", "False", "EnvironmentNotFound", &[]),
            ("Stalled", "True", "EnvironmentNotFound", &[]),
        ]),
        row("5: no Dataverse", environment(SPEC, json!({"dataverseId": null, "url": null})), json!({}), &[
            ("Ready", "False", "EnvironmentUnusable", &["has no Dataverse", "spec.dataverse.environmentId"]),
            ("PowerPlatformIntegrated", "False", "EnvironmentUnusable", &[]),
            ("Stalled", "True", "EnvironmentUnusable", &[]),
        ]),
        row("5: disabled", environment(SPEC, json!({"state": "Disabled"})), json!({}), &[
            ("Ready", "False", "EnvironmentUnusable", &["is disabled: enable it in the Power Platform admin center"]),
            ("Stalled", "True", "EnvironmentUnusable", &[]),
        ]),
        row("5: in administration mode", environment(SPEC, json!({"adminMode": "Enabled"})), json!({}), &[
            ("Ready", "False", "EnvironmentBusy", &["administration mode"]),
            ("PowerPlatformIntegrated", "Unknown", "EnvironmentBusy", &[]),
            ("Reconciling", "True", "EnvironmentBusy", &[]),
        ]),
        row("5: being copied, in a state that nobody knows", environment(SPEC, json!({"state": "CopyingIntoSomething"})), json!({}), &[
            ("Ready", "False", "EnvironmentBusy", &["CopyingIntoSomething"]),
            ("Reconciling", "True", "EnvironmentBusy", &[]),
        ]),
        row("6: belongs to another", environment(SPEC, json!({"finOpsMetadata": {"url": "https://fabrikam.operations.dynamics.com/"}})), json!({}), &[
            ("Ready", "False", "IntegratedWithOther", &["fabrikam.operations.dynamics.com", "is permanent", "spec.dataverse.environmentId"]),
            ("PowerPlatformIntegrated", "False", "IntegratedWithOther", &[]),
            ("Stalled", "True", "IntegratedWithOther", &[]),
        ]),
        row("7: Dataverse denies", environment(SPEC, json!({"dataverseIntegration": "none"})), json!({}), &[
            ("Ready", "False", "SourcesDisagree", &["its Dataverse says that it is not integrated", "ask Microsoft support"]),
            ("PowerPlatformIntegrated", "Unknown", "SourcesDisagree", &[]),
            ("Reconciling", "True", "SourcesDisagree", &[]),
        ]),
        row("7: Dataverse names another", environment(SPEC, json!({"dataverseIntegration": {"url": "https://fabrikam.operations.dynamics.com"}})), json!({}), &[
            ("Ready", "False", "SourcesDisagree", &["https://fabrikam.operations.dynamics.com"]),
        ]),
        row("7: Dataverse claims", both(not_integrated(), environment(SPEC, json!({"dataverseIntegration": {"url": format!("https://{HOST}")}}))), json!({}), &[
            ("Ready", "False", "SourcesDisagree", &["and the Power Platform does not"]),
        ]),
        row("7: two environments", production_names_host.clone(), json!({}), &[
            ("Ready", "False", "SourcesDisagree", &["several Power Platform environments", SPEC, PRODUCTION]),
        ]),
        row("8: integrated elsewhere", both(not_integrated(), production_names_host.clone()), json!({}), &[
            ("Ready", "False", "IntegratedElsewhere", &["'Contoso Production Dataverse'", "is permanent", "set spec.dataverse.environmentId: c0a8f00d"]),
            ("PowerPlatformIntegrated", "False", "IntegratedElsewhere", &[]),
            ("Stalled", "True", "IntegratedElsewhere", &[]),
        ]),
        row("8: integrated elsewhere, and linked here", both(both(not_integrated(), production_names_host), linked(SPEC)), json!({}), &[
            ("Ready", "False", "IntegratedElsewhere", &["Dual-write still uses", "for good", "Decide first"]),
            ("LinkingMismatch", "True", "DifferentDestination", &["Microsoft has detected"]),
            ("Linked", "True", "Linked", &[]),
        ]),
        row("9: not integrated", not_integrated(), json!({}), &[
            ("Ready", "False", "NotIntegrated", &["press Setup and choose 'Contoso UAT'", "is permanent", "administrator of both", "https://lcs.dynamics.com", "1234567"]),
            ("PowerPlatformIntegrated", "False", "NotIntegrated", &[]),
            ("SetupComplete", "False", "WaitingForIntegration", &[]),
            ("LinkingMismatch", "False", "NotLinked", &[]),
            ("Reconciling", "True", "AwaitingPerson", &[]),
        ]),
        row("9: a placeholder is no integration", both(not_integrated(), environment(SANDBOX, json!({"tenantId": TENANT, "displayName": "Initial", "finOpsMetadata": {"url": format!("https://{HOST}")}}))), json!({}), &[
            ("Ready", "False", "NotIntegrated", &["press Setup"]),
        ]),
        row("9: cloud-hosted", cloud_hosted.clone(), cloud_hosted_spec.clone(), &[
            ("Ready", "False", "NotIntegrated", &["cannot be integrated later", "redeploy"]),
        ]),
        row("9: a Dataverse that says nothing", both(not_integrated(), application(json!({"dataverse": "none"}))), json!({}), &[
            ("Ready", "Unknown", "IntegrationNotVisible", &["sees 2 Power Platform environments", "before you integrate; it is permanent", "application user"]),
            ("Reconciling", "True", "AwaitingPerson", &[]),
        ]),
        row("10: linked with S without integration", both(not_integrated(), linked(SPEC)), json!({}), &[
            ("Ready", "False", "IntegrationNotSetUp", &["Microsoft has detected", "press Setup and choose the environment that dual-write already uses"]),
            ("LinkingMismatch", "True", "IntegrationNotSetUp", &["Microsoft has detected"]),
            ("PowerPlatformIntegrated", "False", "NotIntegrated", &[]),
            ("Stalled", "True", "IntegrationNotSetUp", &[]),
        ]),
        row("10: linked with the production without integration", both(not_integrated(), linked(PRODUCTION)), json!({}), &[
            ("Ready", "False", "IntegrationNotSetUp", &["Do NOT integrate with 'Contoso Production Dataverse'", "permanent"]),
            ("LinkingMismatch", "True", "SandboxProductionMix", &["stop the maps"]),
        ]),
        row("10: cloud-hosted and linked", both(cloud_hosted, json!({"financeOperations": {"contosodev.axcloud.dynamics.com": {"link": {"environmentId": SPEC}}}})), cloud_hosted_spec, &[
            ("Ready", "False", "IntegrationNotSetUp", &["Do NOT integrate", "only when it is deployed"]),
        ]),
    ]
}

#[rustfmt::skip]
fn after_integration() -> Vec<(String, Row)> {
    let no_service = json!({"dualWriteService": null, "link": {"method": "Manual", "legalEntities": null}});
    let update = environment(SPEC, json!({"packages": {CORE: {"availableVersion": "9.9.9.9"}}}));
    let missing = environment(SPEC, json!({"packages": {CORE: {"state": "None"}}}));
    let failed = environment(SPEC, json!({"packages": {CORE: {"state": "InstallFailed", "lastError": {"errorName": "Quota", "message": "No capacity left."}}}}));
    vec![
        row("11: terms not accepted", Value::Null, json!({"setup": {"acceptTerms": false}}), &[
            ("Ready", "False", "TermsNotAccepted", &["DualWriteCoreAnchor, msdyn_DualWriteAppCoreAnchor", "set spec.setup.acceptTerms: true", "spec.setup.method: Manual"]),
            ("PowerPlatformIntegrated", "True", "Integrated", &["'Contoso UAT'"]),
            ("SetupComplete", "False", "TermsNotAccepted", &[]),
            ("Linked", "False", "WaitingForSetup", &[]),
            ("Reconciling", "True", "AwaitingPerson", &[]),
        ]),
        row("11: by hand", Value::Null, json!({"setup": {"method": "Manual"}}), &[
            ("Ready", "False", "AwaitingManualSetup", &["press \"Dual-write application\"", "press Configure", "1234567"]),
            ("SetupComplete", "False", "AwaitingManualSetup", &[]),
            ("Reconciling", "True", "AwaitingPerson", &[]),
        ]),
        row("11: by hand, and failed", failed, json!({"setup": {"method": "Manual"}}), &[
            ("Ready", "False", "InstallFailed", &["No capacity left. (", "Resume"]),
            ("SetupComplete", "False", "InstallFailed", &["No capacity left."]),
            ("Stalled", "True", "InstallFailed", &[]),
        ]),
        row("11: observed only", Value::Null, json!({"mode": "Observe"}), &[
            ("Ready", "False", "NotInstalled", &["only observes", "spec.mode: Manage"]),
        ]),
        row("12: link by hand", set_up(), json!({"link": {"method": "Manual"}}), &[
            ("Ready", "False", "AwaitingManualLink", &["press \"Link to Power Platform environment\"", "'Contoso UAT'", "press it and Configure first"]),
            ("SetupComplete", "True", "Installed", &[CORE]),
            ("Linked", "False", "AwaitingManualLink", &[]),
            ("LinkingMismatch", "False", "NotLinked", &[]),
            ("Reconciling", "True", "AwaitingPerson", &[]),
        ]),
        row("12: an entry without an id is no link", both(set_up(), finance_operations(json!({"notLinkedAnswer": "entryWithoutCid"}))), json!({"link": {"method": "Manual"}}), &[
            ("Ready", "False", "AwaitingManualLink", &[]),
        ]),
        row("12: observed only", set_up(), json!({"mode": "Observe"}), &[
            ("Ready", "False", "AwaitingManualLink", &["only observes", "USMF, DEMF"]),
        ]),
        row("13: without the service", set_up(), no_service.clone(), &[
            ("Ready", "False", "LinkNotObservable", &["spec.dualWriteService is missing", "developer tools", "spec.link.observe: Never"]),
            ("Linked", "Unknown", "LinkNotObservable", &[]),
            ("LinkingMismatch", "Unknown", "NotObservable", &[]),
            ("Stalled", "True", "LinkNotObservable", &[]),
        ]),
        row("13: not to be observed", set_up(), both(no_service, json!({"link": {"observe": "Never"}})), &[
            ("Ready", "True", "ConnectedLinkUnverified", &["spec.link.observe is Never"]),
            SETTLED[0], SETTLED[1],
        ]),
        row("13: the account may not look", both(set_up(), account(json!({"financeOperations": "none"}))), json!({}), &[
            ("Ready", "False", "LinkNotObservable", &["refuses this account", "system administrator in both environments"]),
            ("Stalled", "True", "LinkNotObservable", &[]),
        ]),
        row("14: stopped from the start", both(linked(SPEC), finance_operations(json!({"running": false}))), json!({}), &[
            ("Ready", "Unknown", "LinkNotSeen", &["may be stopped", "nothing is changed"]),
            ("Linked", "Unknown", "LinkNotSeen", &[]),
            ("Stalled", "absent", "", &[]),
        ]),
        row("15: connected", linked(SPEC), json!({}), &[
            ("Ready", "True", "Connected", &[HOST, "'Contoso UAT'"]),
            ("CredentialsValid", "True", "Authenticated", &[]),
            ("PowerPlatformIntegrated", "True", "Integrated", &[]),
            ("SetupComplete", "True", "Installed", &[]),
            ("Linked", "True", "Linked", &["9b7c1de2-0000-4000-8000-000000000040"]),
            ("LinkingMismatch", "False", "Matched", &[]),
            SETTLED[0], SETTLED[1],
        ]),
        row("15: an update", both(linked(SPEC), update), json!({}), &[
            ("Ready", "True", "Connected", &[]),
            ("SetupComplete", "True", "Installed", &["Newer versions", "DualWriteCoreAnchor 9.9.9.9"]),
        ]),
        row("15: a package is missing", both(linked(SPEC), missing), json!({}), &[
            ("Ready", "True", "Connected", &[]),
            ("SetupComplete", "False", "NotInstalled", &[CORE]),
        ]),
        row("15: other companies", linked(SPEC), json!({"link": {"legalEntities": ["USMF", "FRRT"]}}), &[
            ("Ready", "True", "Connected", &[]),
            ("Linked", "True", "Linked", &["linked are USMF, DEMF, wanted are USMF, FRRT", "changes nothing"]),
        ]),
        row("15: the confirmation is missing", both(linked(SPEC), application(json!({"dataverse": "none"}))), json!({}), &[
            ("Ready", "True", "Connected", &[]),
            ("PowerPlatformIntegrated", "True", "Integrated", &["did not confirm it"]),
        ]),
        row("16: linked elsewhere", both(other_sandbox(), linked(SANDBOX)), json!({}), &[
            ("Ready", "False", "DifferentDestination", &["Microsoft has detected", "'Contoso Test'", "Remedy: a reset", "That is permanent", "stop all maps"]),
            ("Linked", "False", "LinkedElsewhere", &[SANDBOX]),
            ("LinkingMismatch", "True", "DifferentDestination", &["Microsoft has detected"]),
            ("Stalled", "True", "DifferentDestination", &[]),
        ]),
        row("16: a mix", linked(PRODUCTION), json!({}), &[
            ("Ready", "False", "DifferentDestination", &["'Contoso Production Dataverse'"]),
            ("LinkingMismatch", "True", "SandboxProductionMix", &["Sandbox and production are mixed", "stop the maps"]),
            ("Stalled", "True", "DifferentDestination", &[]),
        ]),
        row("16: linked with an environment that is not visible", linked(SANDBOX), json!({}), &[
            ("Ready", "False", "DifferentDestination", &["an environment that this application does not see"]),
        ]),
    ]
}

#[rustfmt::skip]
fn unknown() -> Vec<(String, Row)> {
    let busy = json!({"call": "listEnvironments", "times": null, "effect": {"status": 503}});
    let (name, mut row) = row("4: the Power Platform does not answer", Value::Null, json!({}), &[
        ("Reconciling", "True", "Retrying", &["Reads have failed since", "503"]),
        ("Ready", "Unknown", "Observing", &["tried again by itself"]),
        ("CredentialsValid", "True", "Authenticated", &[]),
        ("PowerPlatformIntegrated", "Unknown", "Observing", &[]),
    ]);
    row.fault = busy;
    vec![(name, row)]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rows_before_integration_change_nothing() {
    side_by_side(before_integration(), holds).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rows_after_integration_change_nothing() {
    let rows = [after_integration(), unknown()];
    side_by_side(rows.into_iter().flatten().collect(), holds).await;
}
