//! The third question: does every deletion end in bounded time, whatever cannot be read, and without stopping maps that another
//! connection manages?

use std::hash::{Hash, Hasher};

use stateright::{Model, Property};

use crate::{
    chances::{Action as OfOperation, Connection, Event, Left, Sight},
    checking::{check, is_wide},
    clock::{PATIENCE, TICK, in_ticks, now, settings},
    ends::reset,
    microsoft::MAP,
    operator::{Plan, State as Operation},
    support::{Case, E, down, link_to, map, planned_link, planned_setup, start},
};
use dualwrite_api::{
    connection::DeletionPolicy,
    operation::{Approval, MapState},
};
use dualwrite_plan::{
    deletion::{self, Deletion},
    world::{Claim, KnownOperation, after},
};

/// In ticks, with the pass after them.
const TEN_MINUTES: u32 = 11;

/// How long each of these may take as a whole, in ticks: for longer than ten minutes, so that it makes a difference.
const TIMEOUT: u32 = 14;

/// After its deadline the step that it is at has its own time, and a request the time in which it may arrive.
const AFTER_DEADLINE: u32 = PATIENCE + 3;

// ---- the deletion of an operation ----

struct OfAnOperation {
    plan: Plan,
    left: Left,
    /// How long it may take, in ticks.
    at_most: u32,
}

impl Model for OfAnOperation {
    type State = Operation;
    type Action = OfOperation;

    fn init_states(&self) -> Vec<Operation> {
        vec![self.plan.begin(self.left, false)]
    }

    /// Nothing is ever seen again after it was lost from sight.
    fn actions(&self, state: &Operation, actions: &mut Vec<OfOperation>) {
        state.actions(actions);
        actions.retain(|action| *action != OfOperation::Event(Event::Look(Sight::Clear)));
    }

    fn next_state(&self, state: &Operation, action: OfOperation) -> Option<Operation> {
        Some(self.plan.next(state, action))
    }

    fn within_boundary(&self, state: &Operation) -> bool {
        state.deleted_for <= self.at_most + 1
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("its deletion ends in time", |model, state: &Operation| {
                !state.exists || state.deleted_for <= model.at_most
            }),
            Property::always("an operation that runs ends", |_, state: &Operation| {
                !state.is_frozen
            }),
            Property::sometimes(
                "it is deleted while nothing can be read",
                |_, state: &Operation| {
                    !state.exists && state.sight == Sight::Nothing && state.deleted_for > 0
                },
            ),
        ]
    }
}

fn check_deletion(name: &str, mut operation: KnownOperation, at_most: u32) {
    operation.created = now();
    operation.spec.timeout = format!("{TIMEOUT}m");
    operation.spec.options.step_timeout = format!("{PATIENCE}m");
    operation.spec.steps.truncate(4);
    let left = Left {
        events: 2,
        crashes: u8::from(is_wide()),
        sleep: 0,
        false_refusals: 0,
        trouble: u8::from(is_wide()),
    };
    let plan = Plan { operation };
    check(
        name,
        OfAnOperation {
            plan,
            left,
            at_most,
        },
    );
}

#[test]
fn the_deletion_of_a_setup_ends_within_ten_minutes() {
    let mut setup = planned_setup();
    setup.spec.steps.truncate(1);
    check_deletion("deletion of a setup", setup, TEN_MINUTES);
}

#[test]
fn the_deletion_of_a_link_ends_within_ten_minutes() {
    check_deletion("deletion of a link", planned_link(), TEN_MINUTES);
}

/// At its deadline at the latest; the step that it is at then has its own time.
#[test]
fn the_deletion_of_a_reset_ends_with_its_deadline() {
    check_deletion("deletion of a reset", reset(), TIMEOUT + AFTER_DEADLINE);
}

// ---- the deletion of a connection ----

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    /// A pass over the connection that is deleted.
    Pass,
    /// Time passes for the connection.
    Tick,
    /// So much can be read from now on.
    Look(Sight),
    /// Another connection of the host manages it by now, or does no more.
    Rival(bool),
    /// Something happens to the operation that the deletion has made.
    Operation(OfOperation),
}

#[derive(Clone, Debug, PartialEq)]
struct State {
    /// For how many ticks the connection is being deleted.
    deleted_for: u32,
    /// It is there, and holds its finalizer.
    is_held: bool,
    is_due: bool,
    sight: Sight,
    has_rival: bool,
    events: u8,
    operation: Option<Operation>,
    /// A map was asked to be stopped while another connection managed it.
    has_stopped_a_rivals: bool,
}

impl Hash for State {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        (self.deleted_for, self.is_held, self.is_due, self.sight).hash(hasher);
        (
            self.has_rival,
            self.events,
            self.has_stopped_a_rivals,
            &self.operation,
        )
            .hash(hasher);
    }
}

struct OfAConnection {
    case: Case,
    rival: Claim,
    /// The operation that the deletion would make now.
    plan: Plan,
}

impl Model for OfAConnection {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let state = |has_rival| State {
            deleted_for: 0,
            is_held: true,
            is_due: true,
            sight: Sight::Clear,
            has_rival,
            events: if is_wide() { 3 } else { 2 },
            operation: None,
            has_stopped_a_rivals: false,
        };
        vec![state(false), state(true)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.is_held {
            actions.push(if state.is_due {
                Action::Pass
            } else {
                Action::Tick
            });
            if state.events > 0 {
                let sights = [Sight::Clear, Sight::NoMaps, Sight::Nothing];
                let others = sights.into_iter().filter(|sight| *sight != state.sight);
                actions.extend(others.map(Action::Look));
                actions.push(Action::Rival(!state.has_rival));
            }
        } else if let Some(operation) = &state.operation {
            if operation.left.events > 0 && operation.sending.is_none() && !operation.is_over() {
                actions.push(Action::Rival(!state.has_rival));
            }
            let mut of_operation = Vec::new();
            operation.actions(&mut of_operation);
            actions.extend(of_operation.into_iter().map(Action::Operation));
        }
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let mut state = before.clone();
        match action {
            Action::Pass => self.pass(&mut state),
            Action::Tick => {
                state.deleted_for += 1;
                state.is_due = true;
            }
            Action::Look(sight) => {
                state.sight = sight;
                state.events -= 1;
            }
            Action::Rival(has_rival) => {
                state.has_rival = has_rival;
                match &mut state.operation {
                    Some(operation) => {
                        operation.connection = owner(has_rival);
                        operation.left.events -= 1;
                        operation.is_due = true;
                    }
                    None => state.events -= 1,
                }
            }
            Action::Operation(action) => {
                let operation = state.operation.as_ref()?;
                let next = self.plan.next(operation, action);
                let is_sent = matches!(action, OfOperation::Send(_));
                state.has_stopped_a_rivals |= is_sent && state.has_rival;
                state.operation = Some(next);
            }
        }
        Some(state)
    }

    fn within_boundary(&self, state: &State) -> bool {
        state.deleted_for <= TEN_MINUTES + 1
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(
                "the connection goes within ten minutes",
                |_, state: &State| !state.is_held || state.deleted_for <= TEN_MINUTES,
            ),
            Property::always(
                "maps of another connection are not stopped",
                |_, state: &State| !state.has_stopped_a_rivals,
            ),
            Property::always("the operation goes in time", |_, state: &State| {
                let mut operation = state.operation.iter();
                operation.all(|operation| {
                    !operation.exists || operation.deleted_for <= TEN_MINUTES + AFTER_DEADLINE
                })
            }),
            Property::sometimes("maps are stopped", |_, state: &State| {
                state
                    .operation
                    .as_ref()
                    .is_some_and(|operation| !operation.microsoft.now.runs)
            }),
            Property::sometimes(
                "the connection goes without having seen anything",
                |_, state: &State| {
                    !state.is_held && state.sight != Sight::Clear && state.operation.is_none()
                },
            ),
        ]
    }
}

impl OfAConnection {
    fn decide(&self, state: &State) -> Deletion {
        let mut case = self.case.clone();
        match state.sight {
            Sight::Clear => {}
            Sight::NoMaps => case = case.maps_unknown(down()),
            Sight::Nothing => case = case.blind(&down()),
        }
        case.rivals
            .extend(state.has_rival.then(|| self.rival.clone()));
        decide(&case, start() - state.deleted_for * TICK)
    }

    /// The operation is there before the connection goes; the garbage collector deletes it then.
    fn pass(&self, state: &mut State) {
        state.is_due = false;
        match self.decide(state) {
            Deletion::Wait(_) => {}
            Deletion::Release(_) => state.is_held = false,
            Deletion::Stop { .. } => {
                let left = Left {
                    events: state.events,
                    crashes: 1,
                    sleep: 0,
                    false_refusals: 0,
                    trouble: 1,
                };
                let mut operation = self.plan.begin(left, false);
                operation.connection = owner(state.has_rival);
                operation.deleted = Some(now());
                operation.sight = state.sight;
                state.operation = Some(operation);
                state.is_held = false;
            }
        }
    }
}

const fn owner(has_rival: bool) -> Connection {
    if has_rival {
        Connection::Replaced
    } else {
        Connection::Gone
    }
}

fn decide(case: &Case, deleted: jiff::Timestamp) -> Deletion {
    deletion::decide(&case.world(), deleted)
}

/// A connection whose deletion is to stop the map, and another one of its host.
fn of_a_connection(rival_is_younger: bool) -> OfAConnection {
    let case = Case::happy()
        .link(link_to(E))
        .maps(vec![map(MAP, MapState::Running)])
        .with(|case| {
            case.settings = settings();
            case.desired.deletion_policy = DeletionPolicy::StopMaps;
            case.desired.confirms_stop = true;
            case.desired.deleting = true;
        });
    let Deletion::Stop { name, spec } = decide(&case, case.now) else {
        panic!("the deletion stops no maps")
    };
    let mut operation = KnownOperation {
        name,
        spec: *spec,
        created: in_ticks(0),
        ..reset()
    };
    operation.spec.timeout = format!("{PATIENCE}m");
    operation.spec.options.step_timeout = format!("{PATIENCE}m");
    operation.spec.approval = Approval::NotRequired;
    let created = case.desired.created;
    let rival = Claim {
        name: "rival".into(),
        namespace: case.desired.namespace.clone(),
        uid: "rival".into(),
        created: if rival_is_younger {
            after(created, TICK)
        } else {
            created - TICK
        },
    };
    OfAConnection {
        case,
        rival,
        plan: Plan { operation },
    }
}

#[test]
fn the_deletion_of_a_connection_ends_and_stops_no_map_of_an_older_one() {
    check(
        "deletion of a connection, the other is older",
        of_a_connection(false),
    );
}

#[test]
fn the_deletion_of_a_connection_ends_and_stops_no_map_of_a_younger_one() {
    check(
        "deletion of a connection, the other is younger",
        of_a_connection(true),
    );
}
