//! Rows 0 to 2 of the decision table: operations, claims and credentials.

use crate::support::*;
use dualwrite_api::{
    Reason,
    conditions::ConditionType::{
        CredentialsValid, Linked, PowerPlatformIntegrated, Ready, Reconciling, SetupComplete,
        Stalled,
    },
    connection::{CredentialKind, CredentialStatus, CredentialUse, Mode},
    operation::Phase,
};
use dualwrite_plan::{
    observed::{Fact, Problem},
    verdict::Row,
    world::Claim,
};

// ---- row 0: an operation occupies the host ----

#[test]
fn row_0_a_running_setup_is_followed_and_nothing_else_starts() {
    let running = in_phase(planned_setup(), Phase::Running, start());
    let decision = Case::bare().settled().operation(running.clone()).decide();
    expect(
        &decision,
        Row::Occupied,
        &[
            (Ready, "False/Installing"),
            (Reconciling, "True/Installing"),
            (Stalled, "-"),
            (SetupComplete, "False/Installing"),
            (PowerPlatformIntegrated, "True/Integrated"),
        ],
    );
    assert_eq!(decision.effect, None);
    reads(
        &decision,
        Ready,
        &[
            "Installing since 10:00.",
            "kubectl describe dwo",
            &running.name,
        ],
    );
    insta::assert_snapshot!("row_0_running", show(&decision, start()));
}

#[test]
fn row_0_is_looked_at_at_the_poll_interval() {
    let case = Case::bare().operation(in_phase(planned_setup(), Phase::Running, start()));
    assert_eq!(case.wait(&case.decide()), POLL);
}

#[test]
fn row_0_a_running_link_shows_on_linked() {
    let running = in_phase(planned_link(), Phase::Running, start());
    let decision = Case::unlinked().operation(running).decide();
    expect(
        &decision,
        Row::Occupied,
        &[
            (Ready, "False/Linking"),
            (Reconciling, "True/Linking"),
            (Linked, "False/Linking"),
            (SetupComplete, "True/Installed"),
        ],
    );
}

#[test]
fn row_0_conditions_show_the_observation_once_the_target_state_is_there() {
    let case = Case::happy().operation(in_phase(planned_link(), Phase::Running, start()));
    let decision = case.decide();
    expect(
        &decision,
        Row::Occupied,
        &[(Ready, "False/Linking"), (Linked, "True/Linked")],
    );
}

#[test]
fn row_0_an_unknown_outcome_stalls_and_says_how_to_let_go() {
    let unknown = in_phase(planned_link(), Phase::Unknown, start());
    let decision = by_service(Case::unlinked())
        .settled()
        .operation(unknown.clone())
        .decide();
    expect(
        &decision,
        Row::Occupied,
        &[
            (Ready, "False/OutcomeUnknown"),
            (Stalled, "True/OutcomeUnknown"),
            (Reconciling, "-"),
            (Linked, "Unknown/OutcomeUnknown"),
        ],
    );
    assert_eq!(decision.effect, None);
    let delete = format!("kubectl delete dwo {} -n contoso", unknown.name);
    reads(
        &decision,
        Ready,
        &["The answer was lost.", "Check in LCS", &delete],
    );
    insta::assert_snapshot!("row_0_unknown", show(&decision, start()));
}

#[test]
fn row_0_an_operation_of_another_connection_occupies_the_host_too() {
    for phase in [Phase::Running, Phase::Unknown] {
        let mut foreign = in_phase(planned_link(), phase, start());
        foreign.spec.connection.uid = "another".into();
        let decision = by_service(Case::unlinked())
            .settled()
            .operation(foreign)
            .decide();
        assert_eq!(
            (decision.row, decision.effect),
            (Some(Row::Occupied), None),
            "{phase}"
        );
    }
}

/// Naming a host is no way to find out what is done to it.
#[test]
fn row_0_whoever_does_not_see_the_host_learns_nothing_of_another_namespace() {
    let mut foreign = in_phase(planned_link(), Phase::Running, start());
    foreign.spec.connection.uid = "another".into();
    foreign.namespace = "fabrikam".into();
    let blind = || Case::happy().blind(&down());
    let alone = blind().decide();
    let beside = blind().operation(foreign.clone()).decide();
    assert_eq!((beside.row, beside.status), (alone.row, alone.status));
    let seeing = Case::happy().operation(foreign).decide();
    assert_eq!(seeing.row, Some(Row::Occupied));
    assert!(!message(&seeing, Ready).contains("fabrikam"));
}

#[test]
fn row_0_an_operation_of_another_host_does_not_matter() {
    let mut foreign = in_phase(planned_link(), Phase::Running, start());
    foreign.spec.connection.uid = "another".into();
    foreign.spec.finance_operations_host = OTHER_HOST.into();
    assert_eq!(
        Case::happy().operation(foreign).decide().row,
        Some(Row::Connected)
    );
}

#[test]
fn row_0_a_finished_or_unstarted_operation_does_not_occupy() {
    for phase in [Phase::Succeeded, Phase::Void, Phase::AwaitingApproval] {
        let case = Case::happy().operation(in_phase(planned_setup(), phase, start()));
        assert_eq!(case.decide().row, Some(Row::Connected), "{phase}");
    }
}

#[test]
fn a_plan_that_waits_goes_on_waiting_behind_an_operation_and_behind_refused_credentials() {
    let mut foreign = in_phase(planned_link(), Phase::Running, start());
    foreign.spec.connection.uid = "another".into();
    let waiting = Case::bare().settled().operation(planned_setup());
    let occupied = waiting.clone().operation(foreign).decide();
    assert_eq!((occupied.row, occupied.effect), (Some(Row::Occupied), None));
    let blind = waiting.with(|case| case.observed.credentials = Fact::Unknown(expired()));
    let refused = blind.decide();
    assert_eq!(
        (refused.row, refused.effect),
        (Some(Row::CredentialsRefused), None)
    );
}

// ---- row 1: claims ----

fn claim(created: &str) -> Claim {
    Claim {
        name: "fabrikam-uat".into(),
        namespace: "contoso".into(),
        uid: "22222222-0000-4000-8000-000000000001".into(),
        created: created.parse().unwrap(),
    }
}

fn with_claim(claim: Claim) -> Case {
    Case::happy().with(|case| case.rivals.push(claim))
}

#[test]
fn row_1_the_older_claim_wins() {
    let decision = with_claim(claim("2026-02-01T00:00:00Z")).decide();
    expect(
        &decision,
        Row::Conflict,
        &[
            (Ready, "False/Conflict"),
            (Stalled, "True/Conflict"),
            (Reconciling, "-"),
            (Linked, "True/Linked"),
        ],
    );
    reads(
        &decision,
        Ready,
        &["'fabrikam-uat'", HOST, "spec.mode: Observe"],
    );
    insta::assert_snapshot!("row_1", show(&decision, start()));

    let younger = with_claim(claim("2026-04-01T00:00:00Z")).decide();
    assert_eq!(younger.row, Some(Row::Connected));
}

#[test]
fn row_1_of_two_claims_of_the_same_age_the_smaller_uid_wins() {
    let mut same = claim("2026-03-01T00:00:00Z");
    assert_eq!(with_claim(same.clone()).decide().row, Some(Row::Connected));
    same.uid = "00000000-0000-4000-8000-000000000001".into();
    assert_eq!(with_claim(same).decide().row, Some(Row::Conflict));
}

#[test]
fn row_1_a_name_in_another_namespace_is_not_shown() {
    let hidden = Claim {
        namespace: "fabrikam".into(),
        ..claim("2026-02-01T00:00:00Z")
    };
    let decision = with_claim(hidden).decide();
    reads(&decision, Ready, &["in another namespace"]);
    assert!(!message(&decision, Ready).contains("fabrikam"));
}

/// Naming a host is no way to find out who manages it.
#[test]
fn row_1_whoever_does_not_see_the_host_learns_nothing_of_another_namespace() {
    let hidden = Claim {
        namespace: "fabrikam".into(),
        ..claim("2026-02-01T00:00:00Z")
    };
    let refused = || {
        let case = Case::happy().blind(&expired());
        case.with(|case| case.observed.credentials = Fact::Unknown(expired()))
    };
    let alone = refused().decide();
    let beside = refused().with(|case| case.rivals.push(hidden)).decide();
    assert_ne!(beside.row, Some(Row::Conflict));
    assert_eq!(beside.status.conditions, alone.status.conditions);
    // In the own namespace everybody sees both.
    let near = refused().with(|case| case.rivals.push(claim("2026-02-01T00:00:00Z")));
    assert_eq!(near.decide().row, Some(Row::Conflict));
}

#[test]
fn row_1_an_observing_resource_is_never_in_conflict() {
    let case = with_claim(claim("2026-02-01T00:00:00Z"));
    let case = case.with(|case| case.desired.mode = Mode::Observe);
    assert_eq!(case.decide().row, Some(Row::Connected));
}

#[test]
fn row_1_nothing_is_created_in_conflict() {
    let case = Case::bare()
        .settled()
        .with(|case| case.rivals.push(claim("2026-02-01T00:00:00Z")));
    assert_eq!(case.decide().effect, None);
}

/// Applies changes to a connection that has a claim, and asks whether it still has one.
fn claims(change: impl FnOnce(&mut serde_json::Value)) -> bool {
    let mut connection = manifest();
    let status = Case::happy().decide().status;
    connection["status"] = serde_json::to_value(status).unwrap();
    change(&mut connection);
    Claim::of(&serde_json::from_value(connection).unwrap()).is_some()
}

#[test]
fn row_1_a_claim_needs_to_manage_and_own_credentials_that_saw_the_host() {
    assert!(claims(|_| {}));
    assert!(!claims(
        |connection| connection["spec"]["mode"] = "Observe".into()
    ));
    assert!(!claims(
        |connection| connection["spec"]["suspend"] = true.into()
    ));
    assert!(!claims(|connection| {
        connection["metadata"]["deletionTimestamp"] = "2026-03-02T00:00:00Z".into();
    }));
    assert!(!claims(
        |connection| connection["status"]["observed"] = serde_json::json!({})
    ));
    assert!(!claims(|connection| {
        for condition in connection["status"]["conditions"].as_array_mut().unwrap() {
            if condition["type"] == "CredentialsValid" {
                condition["status"] = "False".into();
            }
        }
    }));
    assert!(!claims(
        |connection| connection["status"] = serde_json::Value::Null
    ));
}

/// With other credentials, or for another environment, it must be seen again first. What else is edited does not matter.
#[test]
fn row_1_a_claim_ends_with_what_the_host_was_seen_with() {
    assert!(claims(
        |connection| connection["spec"]["interval"] = "1h".into()
    ));
    for (path, value) in [
        (
            "/spec/dataverse/environmentId",
            "6f2c8d0e-0000-4000-8000-000000000099",
        ),
        (
            "/spec/credentials/tenantId",
            "72f988bf-0000-4000-8000-000000000002",
        ),
        ("/spec/credentials/secretRef/name", "fabrikam-entra"),
        ("/spec/dualWriteService/secretRef/name", "fabrikam-account"),
    ] {
        let edited = |connection: &mut serde_json::Value| {
            *connection.pointer_mut(path).unwrap() = value.into();
        };
        assert!(!claims(edited), "{path}");
    }
}

/// A Secret of the same name has another application in it, which signs in and sees nothing.
#[test]
fn row_1_a_claim_ends_with_who_has_seen_the_host() {
    let known = |identity: &str| CredentialStatus {
        used_for: CredentialUse::Application,
        kind: CredentialKind::ClientSecret,
        source: "contoso-entra".into(),
        identity: Some(identity.to_owned()),
        expires_at: None,
        refused: None,
    };
    let mut case = Case::happy().with(|case| case.credentials = vec![known("one")]);
    let claims = |case: &Case| {
        let mut connection = manifest();
        connection["status"] = serde_json::to_value(&case.memory).unwrap();
        Claim::of(&serde_json::from_value(connection).unwrap()).is_some()
    };
    case.memory = case.decide().status;
    assert!(claims(&case));
    let refused = Problem::needs_person(Reason::AccessDenied, "403");
    let mut blind = case.clone().blind(&refused).with(|case| {
        case.observed.credentials = Fact::Known(());
        case.credentials = vec![known("another")];
    });
    blind.memory = blind.decide().status;
    assert!(!claims(&blind));
    // An outage changes nothing.
    let mut away = case.clone().blind(&Problem::transient("503"));
    away.memory = away.decide().status;
    assert!(claims(&away));
    // It is let in, and sees the host.
    let mut again = case.with(|case| case.credentials = vec![known("another")]);
    again.memory = again.decide().status;
    assert!(claims(&again));
}

// ---- row 2: credentials ----

fn expired() -> Problem {
    Problem::needs_person(
        Reason::ClientSecretExpired,
        "AADSTS7000222: the client secret in Secret contoso-entra has expired; put a new one there.",
    )
}

#[test]
fn row_2_refused_credentials_stall_with_entras_reason() {
    let case = Case::happy().later(INTERVAL).blind(&expired());
    let case = case.with(|case| case.observed.credentials = Fact::Unknown(expired()));
    let decision = case.decide();
    expect(
        &decision,
        Row::CredentialsRefused,
        &[
            (Ready, "False/ClientSecretExpired"),
            (Stalled, "True/ClientSecretExpired"),
            (Reconciling, "-"),
            (CredentialsValid, "False/ClientSecretExpired"),
        ],
    );
    reads(
        &decision,
        CredentialsValid,
        &["AADSTS7000222", "contoso-entra"],
    );
    assert_eq!(case.wait(&decision), INTERVAL);
}

#[test]
fn row_2_a_refusal_without_a_reason_of_its_own_has_one() {
    let problem = Problem {
        reason: None,
        ..expired()
    };
    let case = Case::happy().with(|case| case.observed.credentials = Fact::Unknown(problem));
    expect(
        &case.decide(),
        Row::CredentialsRefused,
        &[
            (Ready, "False/CredentialRefused"),
            (CredentialsValid, "False/CredentialRefused"),
        ],
    );
}
