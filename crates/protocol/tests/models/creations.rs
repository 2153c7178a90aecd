//! The second question, of plans: how many operations do two connections of a host create while nobody changes anything?
//!
//! The real decisions of connections, and of operations that have not started. From its first intent on an operation is only
//! under way here, until it has failed or succeeded.

mod state;

use stateright::{Model, Property};

use state::{Connection, Event, Operation, State, events};

use crate::{
    checking::{check, is_wide},
    clock::{TICK, settings},
    microsoft::MAP,
    support::{Case, S, link_to, map, no_details, refused, to_reset},
};
use dualwrite_api::{
    connection::ApprovalPolicy,
    operation::{Approval, MapState, Phase},
};
use dualwrite_plan::{
    decision::Effect,
    desired::Desired,
    observed::Fact,
    operation::{BackupView, Observations, Other, Owner, Situation, advance, is_asked_for},
    world::after,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    /// A pass over a connection.
    Connection(usize),
    /// A pass over an operation.
    Operation(usize),
    /// An operation that is under way ends.
    Ends(usize, Phase),
    /// Time passes.
    Tick,
    Event(Event),
}

struct Creations {
    /// The two connections, the elder first, as they are at first.
    cases: [Case; 2],
    ticks: u8,
    events: u8,
}

impl Model for Creations {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let connection = |case: &Case| Connection {
            exists: true,
            is_suspended: false,
            is_refused: false,
            generation: case.desired.generation,
            memory: case.memory.clone(),
            is_due: true,
        };
        vec![State {
            now: 0,
            connections: [connection(&self.cases[0]), connection(&self.cases[1])],
            operations: Vec::new(),
            is_reset: false,
            created: [0; 2],
            is_wronged: false,
            events: self.events,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let connections = state.connections.iter().enumerate();
        let due = connections.filter(|(_, one)| one.exists && one.is_due);
        actions.extend(due.map(|(index, _)| Action::Connection(index)));
        let operations = state.operations.iter().enumerate();
        let due = operations.filter(|(_, one)| one.is_due && one.known.is_unstarted());
        actions.extend(due.map(|(index, _)| Action::Operation(index)));
        if actions.is_empty() && state.now < self.ticks {
            actions.push(Action::Tick);
        }
        for (index, operation) in state.operations.iter().enumerate() {
            if operation.known.occupies_host() {
                let ends = [Phase::Failed, Phase::Succeeded];
                actions.extend(ends.map(|phase| Action::Ends(index, phase)));
            }
        }
        if state.events > 0 {
            actions.extend(events(state).into_iter().map(Action::Event));
        }
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let mut state = before.clone();
        match action {
            Action::Connection(index) => self.decide(&mut state, index),
            Action::Operation(index) => self.advance(&mut state, index),
            Action::Ends(index, phase) => state.end(index, phase),
            Action::Tick => {
                state.now += 1;
                state.wake();
            }
            Action::Event(event) => {
                state.happen(event);
                state.wake();
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("finitely many are created", |_, state: &State| {
                state.created.iter().all(|count| *count <= 1)
            }),
            Property::always(
                "one operation of a host is under way",
                |_, state: &State| {
                    let operations = state.operations.iter();
                    operations.filter(|one| one.known.occupies_host()).count() <= 1
                },
            ),
            Property::always(
                "no plan is given up for one that cannot start",
                |_, state: &State| !state.is_wronged,
            ),
            Property::sometimes("an operation starts", |_, state: &State| {
                state.operations.iter().any(|one| one.known.occupies_host())
            }),
            Property::sometimes("the younger connection creates one", |_, state: &State| {
                state.operations.iter().any(|one| one.owner == 1)
            }),
        ]
    }
}

impl Creations {
    fn desired(&self, state: &State, index: usize) -> Desired {
        let connection = &state.connections[index];
        Desired {
            suspend: connection.is_suspended,
            generation: connection.generation,
            ..self.cases[index].desired.clone()
        }
    }

    fn decide(&self, state: &mut State, index: usize) {
        let case = Case {
            desired: self.desired(state, index),
            operations: state
                .operations
                .iter()
                .map(|one| one.known.clone())
                .collect(),
            rivals: state
                .claim(1 - index, &self.cases[1 - index].desired)
                .into_iter()
                .collect(),
            memory: state.connections[index].memory.clone(),
            now: state.time(),
            ..self.see(state, index)
        };
        let decision = case.decide();
        let is_news = decision.status != case.memory;
        let connection = &mut state.connections[index];
        connection.is_due = false;
        connection.memory = decision.status;
        match decision.effect {
            Some(Effect::Create { name, spec }) => {
                state.create(index, name, *spec, case.desired.namespace);
            }
            Some(Effect::Void { name, message }) => state.void(&name, message),
            None if is_news => state.wake_others(index),
            None => {}
        }
    }

    /// What a connection reads now.
    fn see(&self, state: &State, index: usize) -> Case {
        let mut case = self.cases[index].clone();
        if state.is_reset {
            case = case.link(link_to(S));
        }
        if state.connections[index].is_refused {
            let problem = refused("The secret has expired.");
            case = case.blind(&problem);
            case.observed.credentials = Fact::Unknown(problem);
        }
        case.observed.began = state.time();
        case
    }

    fn advance(&self, state: &mut State, index: usize) {
        let operation = state.operations[index].clone();
        let others = state.operations.iter().enumerate();
        let others = others.filter(|(other, _)| *other != index);
        let other = |operation: &Operation| Other {
            operation: operation.known.clone(),
            owner: self.owner(state, operation),
        };
        let others: Vec<Other> = others.map(|(_, one)| other(one)).collect();
        let now = state.time();
        let next = advance(&Situation {
            operation: &operation.known,
            observed: &self.read(state, operation.owner),
            owner: &self.owner(state, &operation),
            others: &others,
            incarnation: "me",
            now,
            settings: &settings(),
        });
        let is_void = next.status.phase == Some(Phase::Void);
        state.is_wronged |= is_void && self.is_wrong(state, index);
        let is_news = next.status != operation.known.status;
        state.operations[index].is_due = false;
        state.operations[index].known.status = next.status;
        if is_news {
            state.wake();
        }
    }

    /// Whether nothing speaks against an operation but one that cannot start.
    fn is_wrong(&self, state: &State, index: usize) -> bool {
        let can_start = |operation: &Operation| {
            let owner = self.owner(state, operation);
            let is_decided = matches!(
                operation.known.spec.approval,
                Approval::Approved | Approval::NotRequired
            );
            is_decided
                && matches!(
                    owner,
                    Owner::Present {
                        suspended: false,
                        ..
                    }
                )
        };
        let others = state.operations.iter().enumerate();
        let mut others = others.filter(|(other, one)| *other != index && one.known.is_unstarted());
        can_start(&state.operations[index])
            && !state.is_reset
            && !others.any(|(_, other)| can_start(other))
    }

    fn owner(&self, state: &State, operation: &Operation) -> Owner {
        let connection = &state.connections[operation.owner];
        if !connection.exists {
            return Owner::Gone;
        }
        let desired = self.desired(state, operation.owner);
        if !is_asked_for(&desired, &operation.known.spec) {
            return Owner::Changed;
        }
        Owner::Present {
            suspended: connection.is_suspended,
            reconcile_at: None,
        }
    }

    fn read(&self, state: &State, owner: usize) -> Observations {
        let seen = self.see(state, owner).observed;
        Observations {
            began: seen.began,
            integrated: match seen.environment {
                Fact::Known(_) => Fact::Known(true),
                Fact::Unknown(problem) => Fact::Unknown(problem),
            },
            applications: seen.applications,
            remote: Fact::Unknown(refused("It was not read.")),
            link: seen.link,
            maps: seen.maps,
            details: seen.details,
            backup: BackupView::Missing,
        }
    }
}

/// Two connections of one host that are to reset its link.
fn connections(approval: ApprovalPolicy) -> [Case; 2] {
    let elder = to_reset()
        .maps(vec![map(MAP, MapState::Running)])
        .details(no_details())
        .with(|case| {
            case.desired.mismatch.approval = approval;
            case.settings = settings();
        });
    let younger = elder.clone().with(|case| {
        case.desired.uid = "22222222-0000-4000-8000-000000000002".into();
        case.desired.name = "younger".into();
        case.desired.created = after(case.desired.created, TICK);
    });
    [elder, younger]
}

fn check_creations(name: &str, approval: ApprovalPolicy, events: u8) {
    let wide = is_wide();
    let model = Creations {
        cases: connections(approval),
        ticks: if wide { 10 } else { 8 },
        events: events + u8::from(wide),
    };
    check(name, model);
}

#[test]
fn two_connections_that_need_approvals_create_finitely_many_operations() {
    check_creations("creations with approvals", ApprovalPolicy::Required, 2);
}

#[test]
fn two_connections_that_need_none_create_finitely_many_operations() {
    check_creations("creations without approvals", ApprovalPolicy::Automatic, 1);
}
