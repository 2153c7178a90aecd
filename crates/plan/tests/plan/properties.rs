//! What holds of every decision, whatever the world is like.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::*;
use crate::worlds::{config, problem, worlds};
use dualwrite_api::{
    DualWriteConnectionStatus, Reason,
    conditions::{self, ConditionType},
    connection::{
        ApprovalPolicy, IntegrationKind, LinkMethod, LinkObservation, MismatchPolicy, MixPolicy,
        Mode, SetupMethod,
    },
    operation::{Action, Approval, MapState, Phase},
};
use dualwrite_plan::{
    conditions::OBSERVED,
    decide::TABLE,
    decision::{Decision, Effect},
    maps::LinkDetails,
    observed::{
        DataverseSays, Environment, Fact, LinkView, PackageState, Readiness, SpecEnvironment,
    },
    operation,
    picture::Picture,
    world::after,
};
use jiff::Timestamp;
use proptest::{prelude::*, strategy::ValueTree as _, test_runner::TestRunner};

/// What differs between two statuses, line by line.
fn difference(one: &DualWriteConnectionStatus, other: &DualWriteConnectionStatus) -> Vec<String> {
    let lines = |status| {
        let text = serde_json::to_string_pretty(status).unwrap();
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let (one, other) = (lines(one), lines(other));
    let gone = one
        .iter()
        .filter(|line| !other.contains(line))
        .map(|line| format!("- {line}"));
    let new = other
        .iter()
        .filter(|line| !one.contains(line))
        .map(|line| format!("+ {line}"));
    gone.chain(new).collect()
}

fn created(decision: &Decision) -> Option<(&str, Action)> {
    match &decision.effect {
        Some(Effect::Create { name, spec }) => Some((name, spec.action)),
        _ => None,
    }
}

/// Everything that must be known before an operation may be created, written down a second time, in other words.
fn may_create(case: &Case, action: Action) -> Result<(), &'static str> {
    let desired = &case.desired;
    let observed = &case.observed;
    let must = |holds: bool, what| if holds { Ok(()) } else { Err(what) };
    must(
        desired.mode == Mode::Manage && !case.settings.observe_only,
        "observed only",
    )?;
    must(!desired.suspend && !desired.deleting, "suspended or going")?;
    let occupied = |operation: &&dualwrite_plan::world::KnownOperation| {
        operation.spec.finance_operations_host == desired.host
            && matches!(
                operation.status.phase,
                Some(Phase::Running | Phase::Unknown)
            )
    };
    must(
        case.operations.iter().find(occupied).is_none(),
        "the host is occupied",
    )?;
    must(
        case.rivals
            .iter()
            .all(|rival| rival.created > desired.created),
        "an older claim",
    )?;
    let refused = observed
        .credentials
        .problem()
        .is_some_and(dualwrite_plan::observed::Problem::is_for_a_person);
    must(!refused, "credentials are refused")?;
    if action == Action::StopMaps {
        return may_stop(case);
    }
    let Fact::Known(SpecEnvironment::Visible(environment)) = &observed.environment else {
        return Err("S is not visible");
    };
    let names_host = environment
        .finance_operations
        .as_ref()
        .and_then(|named| named.host.as_deref())
        == Some(HOST);
    must(names_host && environment.has_dataverse, "P is not S")?;
    must(environment.readiness == Readiness::Ready, "S is not ready")?;
    let agrees = match &observed.dataverse {
        Fact::Known(DataverseSays::IntegratedWith { host, .. }) => host.as_deref() == Some(HOST),
        Fact::Known(DataverseSays::NotIntegrated) => false,
        Fact::Unknown(_) => true,
    };
    must(agrees, "D contradicts")?;
    if let Fact::Known(tenant) = &observed.tenant {
        must(
            tenant.naming_host.iter().all(|listed| listed.id == S),
            "another names the host too",
        )?;
    }
    if action == Action::Reset {
        return may_reset(case);
    }
    let Fact::Known(packages) = &observed.applications else {
        return Err("packages are unknown");
    };
    let installed = |name: &&str| {
        packages
            .iter()
            .any(|package| package.name == **name && package.state == PackageState::Installed)
    };
    let complete = [CORE, APP].iter().all(installed);
    let absent_twice = observed.link == LinkView::Absent
        && case.memory.observed.link.is_none()
        && case.memory.settling.as_ref().is_some_and(|settling| {
            settling.what == "NotLinked" && observed.began >= after(settling.since, SETTLE)
        });
    match action {
        Action::Setup => {
            must(
                desired.accept_terms && desired.setup_method == SetupMethod::Install,
                "nobody asked",
            )?;
            must(!complete, "it is installed")?;
            must(
                absent_twice || observed.link == LinkView::NotObserved,
                "a link may be there",
            )
        }
        Action::Link => {
            must(desired.link_method == LinkMethod::Service, "nobody asked")?;
            must(complete, "it is not installed")?;
            must(absent_twice, "a link may be there")
        }
        Action::Reset | Action::StopMaps => Err("judged elsewhere"),
    }
}

/// P = S is known already.
fn may_reset(case: &Case) -> Result<(), &'static str> {
    let must = |holds: bool, what| if holds { Ok(()) } else { Err(what) };
    let observed = &case.observed;
    must(
        case.desired.mismatch.policy == MismatchPolicy::Reset,
        "nobody asked",
    )?;
    let LinkView::To(link) = &observed.link else {
        return Err("the link is unknown");
    };
    must(link.environment_id != S, "it is linked to S")?;
    must(observed.maps.known().is_some(), "maps are unknown")?;
    let details = &observed.details;
    must(
        details.connection_set.known().is_some()
            && details.solutions.known().is_some()
            && details.prerequisites.known().is_some(),
        "what would be lost is unknown",
    )?;
    let seen_twice = case.memory.settling.as_ref().is_some_and(|settling| {
        settling.what == "LinkedElsewhere" && observed.began >= after(settling.since, SETTLE)
    });
    must(seen_twice, "it was seen once")?;
    must(
        !matches!(failure(case), Some(Action::Reset | Action::Link)),
        "the last one has failed",
    )
}

fn may_stop(case: &Case) -> Result<(), &'static str> {
    let must = |holds: bool, what| if holds { Ok(()) } else { Err(what) };
    must(
        case.desired.mismatch.on_mix == MixPolicy::StopMaps,
        "nobody asked",
    )?;
    let LinkView::To(link) = &case.observed.link else {
        return Err("the link is unknown");
    };
    let seen = case.memory.observed.link.as_ref();
    let seen_twice = seen.is_some_and(|seen| {
        seen.environment_id == link.environment_id
            && case.observed.began >= after(seen.since, SETTLE)
    });
    must(seen_twice, "the link was seen once")?;
    let told = case.memory.mix_told_at;
    must(
        told.is_some_and(|told| case.observed.began >= after(told, SETTLE)),
        "the mix was seen once",
    )?;
    let maps = case.observed.maps.known().ok_or("maps are unknown")?;
    must(
        maps.iter().any(|map| {
            matches!(
                map.state,
                MapState::Running | MapState::Paused | MapState::Other
            )
        }),
        "nothing is passed on",
    )?;
    must(
        failure(case).is_none_or(|action| action != Action::StopMaps),
        "the last one has failed",
    )
}

/// What the newest operation was for, if that has failed and nothing was asked for since.
fn failure(case: &Case) -> Option<Action> {
    let own = case
        .operations
        .iter()
        .filter(|operation| operation.spec.connection.uid == UID);
    let newest = own.max_by_key(|operation| (operation.created, operation.uid.clone()))?;
    let is_current = newest.spec.connection.generation == case.desired.generation
        && newest.status.reconcile_at == case.desired.reconcile_at;
    (newest.status.phase == Some(Phase::Failed) && is_current).then_some(newest.spec.action)
}

/// Whether neither the host nor what it is linked to, now or after a reset, may be production, written down a second time.
fn is_no_production(case: &Case) -> bool {
    let Fact::Known(SpecEnvironment::Visible(environment)) = &case.observed.environment else {
        return false;
    };
    let is_safe = |environment: &Environment| {
        matches!(environment.kind.as_str(), "Sandbox" | "Trial" | "Developer")
    };
    let named = environment.finance_operations.as_ref();
    let is_safe_host = match named.map(|named| named.kind) {
        Some(IntegrationKind::Unified) => is_safe(environment),
        _ => case.desired.host.contains(".sandbox."),
    };
    let LinkView::To(link) = &case.observed.link else {
        return false;
    };
    let tenant = case.observed.tenant.known().into_iter();
    let mut visible = tenant.flat_map(|tenant| tenant.linked.iter().chain(&tenant.naming_host));
    let linked = visible.find(|visible| visible.id.eq_ignore_ascii_case(&link.environment_id));
    is_safe_host && is_safe(environment) && linked.is_some_and(is_safe)
}

fn was_given_up(case: &Case) -> bool {
    case.operations.iter().any(|operation| {
        let mut steps = operation.status.steps.iter();
        operation.spec.action == Action::Reset
            && operation.spec.connection.uid == case.desired.uid
            && operation.spec.connection.generation == case.desired.generation
            && operation.status.reconcile_at == case.desired.reconcile_at
            && operation.status.phase == Some(Phase::Void)
            && steps.any(|step| step.name == "stop-maps" && step.attempt > 0)
    })
}

fn latest(case: &Case) -> Timestamp {
    let asked = case
        .observed
        .problems()
        .filter_map(|problem| problem.retry_after)
        .max()
        .unwrap_or_default();
    after(after(case.now, case.desired.interval), asked)
}

/// The points in time at which something is said that nothing but the clock brings about.
fn thresholds(case: &Case, decision: &Decision) -> Vec<Timestamp> {
    let status = &decision.status;
    let stale = (case.desired.interval * 3).max(minutes(15));
    let mut all = Vec::new();
    for since in [status.settling.as_ref(), status.waiting.as_ref()]
        .into_iter()
        .flatten()
    {
        let spans = [
            SETTLE,
            stale,
            hours(3),
            case.desired.setup_timeout,
            case.desired.manual_timeout,
        ];
        all.extend(spans.map(|span| after(since.since, span)));
    }
    let told = status.mix_told_at.into_iter();
    all.extend(told.flat_map(|told| [SETTLE, hours(24)].map(|span| after(told, span))));
    let link = status.observed.link.as_ref();
    all.extend(link.map(|link| after(link.since, SETTLE)));
    let ends = case
        .operations
        .iter()
        .filter_map(|operation| operation.status.finished_at);
    all.extend(ends);
    if let Some(failure) = &status.failure {
        all.extend([case.desired.interval, stale].map(|span| after(failure.since, span)));
    }
    all
}

fn same_but_later(case: &Case, status: &DualWriteConnectionStatus, by: u64) -> Case {
    let mut later = case.clone();
    later.memory = status.clone();
    later.now = after(case.now, seconds(by));
    later.observed.began = later.now;
    later
}

proptest! {
    #![proptest_config(config(800))]

    #[test]
    fn some_row_always_matches_and_its_status_is_clean(case in worlds()) {
        let world = case.world();
        let picture = Picture::of(&world);
        let matched = TABLE.iter().any(|(_, matches, _)| matches(&picture).is_some());
        prop_assert!(matched, "no row matches {case:#?}");
        // Case::decide checks kstatus.
        let decision = case.decide();
        prop_assert_eq!(&decision, &case.decide());
        {
            let kind = ConditionType::Ready;
            prop_assert!(conditions::find(&decision.status.conditions, kind).is_some());
        }
        if !case.desired.suspend {
            prop_assert_eq!(decision.status.conditions.iter()
                .filter(|condition| !["Reconciling", "Stalled"].contains(&condition.type_.as_str())).count(), OBSERVED.len() + 1);
        }
    }

    #[test]
    fn the_next_look_is_neither_past_nor_too_late(case in worlds()) {
        let next = case.decide().next;
        prop_assert!(next >= case.now, "{next} is before {}", case.now);
        prop_assert!(next <= latest(&case), "{next} is after {}", latest(&case));
    }

    #[test]
    fn an_operation_is_created_only_from_what_is_known(case in worlds()) {
        let decision = case.decide();
        if let Some((_, action)) = created(&decision) {
            prop_assert_eq!(may_create(&case, action), Ok(()));
        }
    }

    #[test]
    fn what_becomes_unknown_never_starts_anything(case in worlds(), why in problem(), which in 1_u8..128) {
        let mut masked = case.clone();
        let unknown = |bit: u8| which & bit != 0;
        if unknown(1) { masked.observed.environment = Fact::Unknown(why.clone()); }
        if unknown(2) { masked.observed.applications = Fact::Unknown(why.clone()); }
        if unknown(4) { masked.observed.link = LinkView::Unknown(why.clone()); }
        if unknown(8) { masked.observed.link = LinkView::HostDown("502".into()); }
        if unknown(16) { masked.observed.maps = Fact::Unknown(why.clone()); }
        if unknown(32) { masked.observed.details.solutions = Fact::Unknown(why.clone()); }
        if unknown(64) { masked.observed.details = LinkDetails::unread(&why); }
        let needs = |action| match action {
            Action::Setup | Action::Link => 1 | 2 | 4 | 8,
            Action::Reset => 1 | 4 | 8 | 16 | 32 | 64,
            Action::StopMaps => 4 | 8 | 16,
        };
        let decision = masked.decide();
        if let Some((_, action)) = created(&decision) {
            prop_assert_eq!(which & needs(action), 0, "{}", action);
        }
        // Without the list or the word of its Dataverse S itself still says where it belongs.
        let mut masked = case;
        if unknown(1) { masked.observed.tenant = Fact::Unknown(why.clone()); }
        if unknown(2) { masked.observed.dataverse = Fact::Unknown(why); }
        let decision = masked.decide();
        if let Some((_, action)) = created(&decision) {
            prop_assert_eq!(may_create(&masked, action), Ok(()));
        }
    }

    #[test]
    fn a_plan_that_waits_outlives_whatever_becomes_unknown(why in problem(), which in 1_u8..128, mix in any::<bool>()) {
        let mut case = to_reset().settled().waiting_for_approval();
        if mix {
            case.desired.mismatch.on_mix = MixPolicy::StopMaps;
        }
        let unknown = |bit: u8| which & bit != 0;
        if unknown(1) { case.observed.environment = Fact::Unknown(why.clone()); }
        if unknown(2) { case.observed.tenant = Fact::Unknown(why.clone()); }
        if unknown(4) { case.observed.link = LinkView::Unknown(why.clone()); }
        if unknown(8) { case.observed.link = LinkView::HostDown("502".into()); }
        if unknown(16) { case.observed.maps = Fact::Unknown(why.clone()); }
        if unknown(32) { case.observed.details.solutions = Fact::Unknown(why.clone()); }
        if unknown(64) { case.observed.dataverse = Fact::Unknown(why); }
        prop_assert_eq!(case.decide().effect, None);
    }

    #[test]
    fn nobody_is_left_out_who_has_to_approve(case in worlds()) {
        if let Some(Effect::Create { spec, .. }) = case.decide().effect
            && spec.action == Action::Reset
        {
            let mismatch = &case.desired.mismatch;
            let automatic = mismatch.approval == ApprovalPolicy::Automatic
                && (mismatch.allow_production || is_no_production(&case))
                && !was_given_up(&case);
            let expected = if automatic { Approval::NotRequired } else { Approval::Pending };
            prop_assert_eq!(spec.approval, expected);
        }
    }

    #[test]
    fn whoever_only_observes_creates_nothing(case in worlds(), flag in any::<bool>()) {
        let mut case = case;
        if flag {
            case.settings.observe_only = true;
        } else {
            case.desired.mode = Mode::Observe;
        }
        let decision = case.decide();
        prop_assert_eq!(created(&decision), None);
    }

    #[test]
    fn a_plan_starts_each_map_once_and_after_what_it_needs(case in worlds()) {
        if let Some(Effect::Create { spec, .. }) = case.decide().effect {
            let names: BTreeSet<&String> = spec.steps.iter().map(|step| &step.name).collect();
            prop_assert_eq!(names.len(), spec.steps.len(), "a step of each name");
            let started: Vec<&String> = spec.steps.iter()
                .filter(|step| step.name.starts_with("start-maps/"))
                .flat_map(|step| &step.maps).collect();
            let ran: BTreeSet<&String> = spec.relies_on.maps.iter()
                .filter(|map| matches!(map.state, MapState::Running | MapState::Paused))
                .map(|map| &map.name).collect();
            let expected = if spec.options.start_maps { ran.len() } else { 0 };
            prop_assert_eq!(started.len(), expected);
            let once: BTreeSet<&String> = started.iter().copied().collect();
            prop_assert_eq!(once.len(), started.len(), "each once");
            prop_assert!(once.is_subset(&ran));
            for step in spec.steps.iter().filter(|step| step.name == "stop-maps") {
                let stopped: BTreeSet<&String> = step.maps.iter().collect();
                prop_assert_eq!(stopped.len(), step.maps.len());
                prop_assert!(ran.is_subset(&stopped), "what runs is stopped");
            }
            // Maps that wait for each other come last, together: before those nothing is started too early.
            let waves: Vec<&Vec<String>> = spec.steps.iter()
                .filter(|step| step.name.starts_with("start-maps/")).map(|step| &step.maps).collect();
            for (number, wave) in waves.iter().enumerate() {
                let later: BTreeSet<&String> = waves[number..].iter().copied().flatten().collect();
                let is_last = number + 1 == waves.len();
                for map in spec.relies_on.maps.iter().filter(|map| wave.contains(&map.name)) {
                    let early = map.after.iter().any(|before| *before != map.name && later.contains(before));
                    prop_assert!(!early || is_last, "{} is started too early", map.name);
                }
            }
        }
    }

    #[test]
    fn deciding_twice_is_deciding_once(case in worlds()) {
        let first = case.decide();
        let again = Case { memory: first.status.clone(), ..case };
        let second = again.decide();
        prop_assert_eq!(difference(&first.status, &second.status), Vec::<String>::new(), "{:?}", second.row);
        prop_assert!(first.status == second.status);
        prop_assert_eq!(&second.events, &vec![]);
    }

    #[test]
    fn a_little_later_nothing_is_written(case in worlds()) {
        let first = same_but_later(&case, &case.memory, 0);
        let decision = first.decide();
        let later = same_but_later(&first, &decision.status, 7);
        let crossed = thresholds(&first, &decision)
            .into_iter()
            .any(|at| at > first.now && at <= later.now);
        prop_assume!(!crossed);
        let again = later.decide();
        prop_assert_eq!(difference(&decision.status, &again.status), Vec::<String>::new(), "{:?}", again.row);
    }

    #[test]
    fn in_the_end_nothing_is_written(case in worlds()) {
        let mut case = case;
        for _ in 0..4 {
            let status = case.decide().status;
            case = same_but_later(&case, &status, 10 * 24 * 3600);
        }
        let mut last = case.decide();
        // A mix of sandbox and production is told again every day, and nothing else is.
        let told_at = std::mem::replace(&mut last.status.mix_told_at, case.memory.mix_told_at);
        prop_assert_eq!(difference(&case.memory, &last.status), Vec::<String>::new(), "{:?}", last.row);
        last.events.retain(|event| told_at.is_none() || event.reason != Reason::SandboxProductionMix);
        prop_assert_eq!(&last.events, &vec![]);
    }

    #[test]
    fn every_sentence_is_one(case in worlds()) {
        let decision = case.decide();
        let said = decision.status.conditions.iter().map(|condition| &condition.message);
        let noted = decision.events.iter().map(|event| &event.note);
        for text in said.chain(noted) {
            prop_assert!(!text.trim().is_empty());
            // The command that approves a plan has braces of its own.
            let text = text.replace(r#"'{"spec":{"approval":"Approved"}}'"#, "");
            for bad in ["Some(", "None", "Unknown(", "Bearer", "eyJ", "client_secret", "password=", "  ", "..", "{", "}"] {
                prop_assert!(!text.contains(bad), "'{}' in: {}", bad, text);
            }
        }
    }

    #[test]
    fn a_used_name_is_never_used_again(case in worlds(), phase in prop::sample::select(vec![Phase::Succeeded, Phase::Failed, Phase::Void])) {
        let decision = case.decide();
        if let Some(Effect::Create { name, spec }) = decision.effect {
            let mut used = planned_setup();
            used.name.clone_from(&name);
            used.uid = "used".into();
            used.created = after(case.now, seconds(1));
            used.spec = (*spec).clone();
            let case = case.operation(in_phase(used, phase, start()));
            prop_assert_ne!(operation::name(&case.world(), &spec), name);
        }
    }
}

/// The strategies would be worth little if they met only some of the rows.
#[test]
fn every_row_and_both_effects_are_met_by_chance() {
    let mut runner = TestRunner::new(config(1));
    let mut met: BTreeMap<String, u32> = BTreeMap::new();
    for _ in 0..4000 {
        let decision = worlds().new_tree(&mut runner).unwrap().current().decide();
        let row = decision
            .row
            .map_or("Suspended".into(), |row| row.to_string());
        *met.entry(row).or_default() += 1;
        let effect = match decision.effect {
            None => continue,
            Some(Effect::Create { spec, .. }) => format!("create {}", spec.action),
            Some(Effect::Void { .. }) => "void".into(),
        };
        *met.entry(effect).or_default() += 1;
    }
    println!("{met:#?}");
    assert_eq!(met.len(), 18 + 1 + 5, "{met:#?}");
    assert!(met.values().all(|times| *times >= 5), "{met:#?}");
}

#[test]
fn never_observing_never_links() {
    let case = by_service(Case::happy().link(LinkView::NotObserved));
    let case = case.with(|case| case.desired.link_observation = LinkObservation::Never);
    assert_eq!(case.settled().decide().effect, None);
}
