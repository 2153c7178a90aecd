//! Who has to approve the plan of a reset.

use crate::support::*;
use dualwrite_api::{
    conditions::ConditionType::{Ready, Reconciling, Stalled},
    connection::{ApprovalPolicy, IntegrationKind},
    operation::{Approval, Phase},
};
use dualwrite_plan::{
    observed::{Environment, Fact, FinanceOperationsReference, SpecEnvironment},
    verdict::Row,
    world::{KnownOperation, after},
};

pub fn automatic(case: Case) -> Case {
    case.with(|case| case.desired.mismatch.approval = ApprovalPolicy::Automatic)
}

pub fn allowed(case: Case) -> Case {
    automatic(case).with(|case| case.desired.mismatch.allow_production = true)
}

/// To reset, on this host.
pub fn on_host(host: &str, kind: IntegrationKind, tier: &str) -> Case {
    let environment = Environment {
        kind: tier.into(),
        finance_operations: Some(FinanceOperationsReference {
            kind,
            ..named(host)
        }),
        ..spec_environment()
    };
    of_host(to_reset(), host)
        .dataverse(Some(host))
        .with(|case| {
            case.observed.environment = Fact::Known(SpecEnvironment::Visible(environment));
            case.tenant().naming_host.clear();
        })
}

/// Hosts of all tiers, and whether each certainly is no production.
fn hosts() -> Vec<(Case, bool)> {
    use IntegrationKind::{LifecycleServices, Unified};
    let unified = "contoso-unified.operations.dynamics.com";
    vec![
        (on_host(HOST, LifecycleServices, "Sandbox"), true),
        (on_host(DEVELOPMENT, LifecycleServices, "Sandbox"), true),
        (on_host(PRODUCTION, LifecycleServices, "Production"), false),
        (
            on_host("erp.contoso.example", LifecycleServices, "Sandbox"),
            false,
        ),
        (on_host(unified, Unified, "Sandbox"), true),
        (on_host(unified, Unified, "Production"), false),
        (on_host(unified, Unified, "Default"), false),
    ]
}

#[test]
fn nobody_has_to_approve_what_is_certainly_no_production_if_the_spec_says_so() {
    for (case, is_safe) in hosts() {
        let host = case.desired.host.clone();
        let approval = |case: &Case| case.clone().settled().planned().spec.approval;
        assert_eq!(approval(&case), Approval::Pending, "{host}");
        let automatic = automatic(case.clone());
        let expected = if is_safe {
            Approval::NotRequired
        } else {
            Approval::Pending
        };
        assert_eq!(approval(&automatic), expected, "{host}");
        assert_eq!(
            approval(&allowed(case.clone())),
            Approval::NotRequired,
            "{host}"
        );
        // Allowing alone approves nothing.
        let alone = case.with(|case| case.desired.mismatch.allow_production = true);
        assert_eq!(approval(&alone), Approval::Pending, "{host}");
        let decision = automatic.settled().decide();
        assert_eq!(
            message(&decision, Ready).contains("Automatic does not hold"),
            !is_safe,
            "{host}"
        );
    }
}

#[test]
fn a_plan_without_approval_starts() {
    let case = automatic(to_reset()).settled();
    let decision = case.decide();
    expect(
        &decision,
        Row::LinkedElsewhere,
        &[
            (Ready, "False/DifferentDestination"),
            (Reconciling, "True/Resetting"),
            (Stalled, "-"),
        ],
    );
    insta::assert_snapshot!("automatic", message(&decision, Ready));
    assert_eq!(automatic(to_reset()).decide().effect, None, "not at once");
}

#[test]
fn an_automatic_approval_that_does_not_hold_is_said() {
    let case = automatic(on_host(
        PRODUCTION,
        IntegrationKind::LifecycleServices,
        "Production",
    ))
    .settled();
    let decision = case.decide();
    let expected = [
        (Ready, "False/DifferentDestination"),
        (Reconciling, "True/AwaitingApproval"),
    ];
    expect(&decision, Row::LinkedElsewhere, &expected);
    reads(&decision, Ready, &["mismatch.allowProduction: true"]);
    insta::assert_snapshot!("automatic_refused", message(&decision, Ready));
}

/// A plan waits while something else is under way; meanwhile its approval is not needed any more, or is.
#[test]
fn a_plan_follows_the_spec_about_approvals() {
    let production = on_host(PRODUCTION, IntegrationKind::LifecycleServices, "Production");
    let waits = |case: Case| {
        let case = case.settled();
        let planned = case.planned();
        case.operation(planned).later(seconds(1))
    };
    let unneeded = waits(allowed(production.clone()));
    assert_eq!(unneeded.decide().effect, None);
    let needed = unneeded.with(|case| case.desired.mismatch.allow_production = false);
    assert!(voided(&needed.decide()).contains("whether it needs an approval"));
    let pending = waits(automatic(production));
    let unneeded = pending.with(|case| case.desired.mismatch.allow_production = true);
    assert!(voided(&unneeded.decide()).contains("whether it needs an approval"));
    // Whoever says that nobody has to approve has another plan made; what a person has approved is not that one.
    let mut approved = unneeded;
    approved.operations[0].spec.approval = Approval::Approved;
    assert!(voided(&approved.decide()).contains("whether it needs an approval"));
}

// ---- what is linked, before and after ----

fn approval(case: &Case) -> Approval {
    case.clone().settled().planned().spec.approval
}

/// A sandbox whose reset would end at a production Dataverse, or leaves one, or one that nobody can see.
#[test]
fn no_side_of_a_reset_that_may_be_production_is_automatic() {
    let environment = |kind: &str, environment: Environment| Environment {
        kind: kind.into(),
        ..environment
    };
    for (target, linked, is_safe) in [
        ("Sandbox", Some("Sandbox"), true),
        ("Developer", Some("Trial"), true),
        ("Production", Some("Sandbox"), false),
        ("Default", Some("Sandbox"), false),
        ("Sandbox", Some("Production"), false),
        ("Sandbox", Some("Teams"), false),
        ("Sandbox", None, false),
    ] {
        let case = automatic(to_reset()).with(|case| {
            let spec = environment(target, spec_environment());
            case.observed.environment = Fact::Known(SpecEnvironment::Visible(spec));
            case.tenant().naming_host.clear();
            case.tenant().linked = linked.map(|kind| environment(kind, other_environment()));
        });
        let expected = if is_safe {
            Approval::NotRequired
        } else {
            Approval::Pending
        };
        assert_eq!(approval(&case), expected, "{target}, {linked:?}");
        let planned = allowed(case.clone()).settled().planned();
        assert_eq!(planned.spec.approval, Approval::NotRequired);
        assert_eq!(planned.spec.options.allow_production, !is_safe);
        let said = message(&case.settled().decide(), Ready);
        assert_eq!(said.contains("Automatic does not hold"), !is_safe, "{said}");
        let guarded = if target == "Sandbox" { E } else { S };
        let reason = said
            .split("Automatic does not hold")
            .nth(1)
            .unwrap_or(guarded);
        assert!(reason.contains(guarded), "{said}");
    }
}

// ---- one that was given up ----

/// Given up at the gate of its reset, once it had stopped the maps.
fn given_up(case: &Case) -> KnownOperation {
    let mut planned = case.clone().settled().planned();
    let at = after(case.now, seconds(1));
    planned = in_phase(planned, Phase::Void, at);
    planned.status.started_at = Some(at);
    let stop = planned.status.steps.iter_mut();
    for step in stop.filter(|step| step.name == "stop-maps") {
        step.attempt = 1;
    }
    planned
}

#[test]
fn what_was_given_up_after_it_had_stopped_maps_is_not_planned_without_a_person() {
    let case = automatic(to_reset());
    let after_it = case.clone().operation(given_up(&case)).later(minutes(10));
    assert_eq!(approval(&after_it), Approval::Pending);
    let said = message(&after_it.clone().settled().decide(), Ready);
    insta::assert_snapshot!("automatic_given_up", said);
    // It was given up before anything was stopped.
    let mut unharmed = given_up(&case);
    unharmed.status.steps[1].attempt = 0;
    let unharmed = case.clone().operation(unharmed).later(minutes(10));
    assert_eq!(approval(&unharmed), Approval::NotRequired);
}

#[test]
fn it_is_automatic_again_once_somebody_has_asked() {
    let case = automatic(to_reset());
    let after_it = case.clone().operation(given_up(&case)).later(minutes(10));
    let edited = after_it.clone().new_generation();
    assert_eq!(approval(&edited), Approval::NotRequired);
    let asked = after_it.with(|case| case.desired.reconcile_at = Some("now".into()));
    assert_eq!(approval(&asked), Approval::NotRequired);
}

/// However many plans are void after it.
#[test]
fn it_is_not_forgotten() {
    let case = automatic(to_reset());
    let first = given_up(&case);
    let mut after_it = case.clone().operation(first.clone());
    for index in 1..=12 {
        let mut other = in_phase(first.clone(), Phase::Void, after(case.now, minutes(index)));
        other.uid = format!("void-{index}");
        other.name = format!("void-{index}");
        other.created = after(first.created, minutes(index));
        after_it = after_it.operation(other);
    }
    let decision = after_it.later(minutes(20)).decide();
    assert!(!decision.forget.is_empty());
    assert!(!decision.forget.contains(&first.name));
}

// ---- one that is being deleted ----

/// Somebody has deleted the plan that waits: another look is needed before the same is planned again.
#[test]
fn a_plan_that_is_being_deleted_does_not_stand_for_a_second_look() {
    let case = to_reset().settled();
    let planned = case.planned();
    let again = |deleted| {
        let operation = KnownOperation {
            deleted,
            ..planned.clone()
        };
        let mut case = case.clone().operation(operation).later(minutes(10));
        case.memory.settling = None;
        word(&case.decide(), Reconciling) + &message(&case.decide(), Ready)
    };
    assert_ne!(again(None), again(Some(case.now)));
}
