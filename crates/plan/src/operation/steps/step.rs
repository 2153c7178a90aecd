//! What a kind of step says of itself.
//!
//! A step calls neither the table nor the saga: it answers with data.

use crate::{
    maps::{self, TableMap},
    messages::{self, PlanWords},
    observed::{Fact, Problem},
    operation::{
        model::{MapChange, Reads, RemoteRequest, RemoteState, Request, Situation},
        record::StepRecord,
    },
    world::after,
};
use dualwrite_api::{
    DualWriteOperationSpec, DualWriteOperationStatus, Reason,
    operation::{Action, Backup as BackupReference, Phase},
};

/// One kind of step.
pub trait Step {
    /// Its name in the plan and in the status.
    fn name(&self) -> String;

    // ---- what people read ----

    /// What it does, and how long that usually takes; with how many maps, or keys, it is about.
    fn words(&self, words: &PlanWords<'_>, maps: usize) -> (String, &'static str);

    /// What it does, where it is not in the plan.
    fn unplanned_words(&self) -> String {
        format!("Step {}", self.name())
    }

    /// What is missing because it could not be done, for these maps.
    fn missing(&self, maps: &[String], why: &str) -> Option<String> {
        let _ = maps;
        Some(format!("{} ({})", self.name(), why.trim_end_matches('.')))
    }

    // ---- what it needs ----

    /// What a pass must read that works on it.
    fn reads(&self) -> Reads {
        reads_maps()
    }

    /// The request that Microsoft has accepted under this id.
    fn remote(&self, id: String) -> RemoteRequest {
        RemoteRequest::Maps(id)
    }

    /// Which link must be there for it.
    fn link(&self) -> About {
        About::Target
    }

    /// What must hold before it is looked at.
    fn gate(&self, at: &At<'_>) -> Gate {
        let _ = at;
        Gate::Open
    }

    // ---- what it does ----

    /// How far its target state is. Usually it is reached when every map is as the step wants it.
    fn target(&self, at: &At<'_>) -> Target {
        Target::from(&at.situation.observed.maps, |maps| {
            Target::of(self.unreached(at.situation, maps).is_empty())
        })
    }

    /// The maps that it is about and that are not yet as it wants them.
    fn unreached<'m>(&self, situation: &Situation<'_>, maps: &'m [TableMap]) -> Vec<&'m TableMap> {
        let _ = (situation, maps);
        Vec::new()
    }

    /// What to ask for, from what was read; `None` while what it would have to name is not there.
    fn request(&self, at: &At<'_>) -> Option<Asking> {
        let _ = at;
        None
    }

    /// How often that may be asked for.
    fn repeat(&self) -> Repeat {
        Repeat::Once
    }

    /// Whether its request may take as long as a slow call.
    fn is_slow(&self) -> bool {
        false
    }

    /// How long it may take.
    fn clock(&self) -> Clock {
        Clock::Own
    }

    // ---- its place in the operation ----

    /// Whether the operation can still be given up before it: nothing is destroyed yet.
    fn can_be_given_up(&self) -> bool {
        false
    }

    /// Whether nothing can be taken back from its intent on.
    fn is_point_of_no_return(&self) -> bool {
        false
    }

    /// Whether a person does it.
    fn is_by_person(&self) -> bool {
        false
    }

    /// The steps that take it back when the operation is given up; `None` if there is nothing to take back.
    fn undo(&self, plan: &DualWriteOperationSpec) -> Option<Vec<String>> {
        let _ = plan;
        None
    }

    /// Whether it takes back what another step has done.
    fn undoes(&self) -> bool {
        false
    }

    /// What it does to table maps, if it changes their state.
    fn change(&self) -> Option<MapChange> {
        None
    }

    /// The change of an earlier step that would take it back if it landed later.
    fn undone_by(&self) -> Option<MapChange> {
        None
    }

    /// The solution that it applies.
    fn solution(&self) -> Option<&str> {
        None
    }

    // ---- what is seen of it ----

    /// Whether its target state shows before it has ended: then what is seen is followed until it may be believed.
    fn shows_early(&self) -> bool {
        false
    }

    /// Whether a target state that is seen may be believed.
    fn is_ripe(&self, at: &At<'_>) -> bool {
        let _ = at;
        true
    }

    /// Whether more may still come of its request.
    fn is_working(&self, at: &At<'_>) -> bool {
        at.remote() == Some(&RemoteState::Running)
    }

    /// The maps that it has brought, if it brings maps.
    fn brought(&self, at: &At<'_>) -> Option<Vec<String>> {
        let _ = at;
        None
    }

    /// Something else that must end first, in words.
    fn obstacle(&self, situation: &Situation<'_>) -> Option<String> {
        let _ = situation;
        None
    }

    // ---- what its failure means ----

    /// It was refused, and trying again does not help.
    fn refused(&self, at: &At<'_>, why: &str) -> Refusal {
        Refusal::Believed(self.exhausted(at, why))
    }

    /// Something else is there than what it is about: a link to this environment.
    fn taken(&self, at: &At<'_>, other: &str) -> Failure {
        self.exhausted(at, &messages::linked_to_another(other))
    }

    /// The answer was lost, or a refusal that is not believed, nothing has come of it, and it may not be asked for again.
    fn lost(&self, at: &At<'_>) -> Failure {
        self.exhausted(at, &messages::answer_lost())
    }

    /// It could not be done, however often it was tried. Usually that is named at the end, and the others go on.
    fn exhausted(&self, at: &At<'_>, why: &str) -> Failure {
        Failure::GoOn {
            error: why.to_owned(),
            missing: self.missing(&self.unreached_names(at), why),
            maps: None,
        }
    }

    /// The names of the maps that are not yet as it wants them.
    fn unreached_names(&self, at: &At<'_>) -> Vec<String> {
        let maps = at.situation.observed.maps.known();
        maps.map(|found| maps::names(self.unreached(at.situation, found).into_iter()))
            .unwrap_or_default()
    }
}

/// A step, where it stands.
#[derive(Clone, Copy)]
pub struct At<'a> {
    /// What the pass looks at.
    pub situation: &'a Situation<'a>,
    /// What is on record of the step.
    pub record: &'a StepRecord,
    /// The status of its operation, without the steps.
    pub status: &'a DualWriteOperationStatus,
}

impl At<'_> {
    /// What Microsoft says of its request.
    pub fn remote(&self) -> Option<&RemoteState> {
        let asked = self.record.asked.remote_id.as_ref();
        asked.and_then(|_| self.situation.observed.remote.known())
    }

    /// Whether nothing more has come of its request for as long as a list may lag.
    pub fn is_quiet(&self) -> bool {
        let (observed, settings) = (self.situation.observed, self.situation.settings);
        let since = self.record.record.since();
        since.is_some_and(|since| observed.began >= after(since, settings.settle))
    }
}

/// Which link a step is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// The one that the plan was made for.
    Plan,
    /// The one to the target.
    Target,
    /// It looks itself.
    Itself,
}

/// How far the target state of a step is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// It is reached.
    Reached,
    /// It is being worked on.
    Moving,
    /// It is not there; with what is shown instead, in words.
    Missing(Option<String>),
    /// It has failed, in Microsoft's words. That may be what became of an earlier request.
    Failed(String),
    /// Something else is there instead, which is not ours to change: a link to this environment.
    Taken(String),
    /// It could not be read.
    Unseen(Option<Problem>),
}

impl Target {
    /// Reached or missing.
    pub(super) fn of(reached: bool) -> Self {
        if reached {
            Self::Reached
        } else {
            Self::Missing(None)
        }
    }

    /// Of a fact that tells it, if it could be read.
    pub(super) fn from<T>(fact: &Fact<T>, tell: impl FnOnce(&T) -> Self) -> Self {
        match fact {
            Fact::Known(value) => tell(value),
            Fact::Unknown(problem) => Self::Unseen(Some(problem.clone())),
        }
    }
}

/// What must hold before a step.
pub enum Gate {
    /// It does.
    Open,
    /// It could not be read.
    Unseen(Problem),
    /// It does not.
    Closed(Failure),
    /// This earlier step has to be done again, so many times at the most; after that it has failed.
    Again(String, u32, Failure),
    /// These steps take its place, and this is missing.
    Becomes {
        /// The names of the steps.
        steps: Vec<String>,
        /// What is missing, in words.
        missing: Vec<String>,
    },
}

/// A request, with what is recorded of it at its intent.
pub struct Asking {
    /// The request.
    pub request: Request,
    /// The maps that it names.
    pub maps: Vec<String>,
    /// The maps that are there, if it brings maps.
    pub seen: Vec<String>,
    /// Where a backup stands, if it writes one.
    pub backup: Option<BackupReference>,
}

impl Asking {
    /// A request of which nothing else is recorded.
    pub(super) const fn of(request: Request) -> Self {
        Self {
            request,
            maps: Vec::new(),
            seen: Vec::new(),
            backup: None,
        }
    }
}

/// How often the request of a step may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// Once.
    Never,
    /// Twice: it sets a state, so a second time does no more than the first.
    Once,
    /// As often as it takes, for it is our own Kubernetes object; but so often at the most once its time is over.
    Always(u32),
}

impl Repeat {
    /// Whether it may be sent again after so many attempts.
    pub const fn allows(self, attempts: u32) -> bool {
        match self {
            Self::Never => false,
            Self::Once => attempts < 2,
            Self::Always(_) => true,
        }
    }
}

/// How long a step may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// It shares the time of its operation.
    OfOperation,
    /// It has a time of its own, from its beginning on.
    Own,
    /// It has a time of its own, from the answer to its request on, which itself may take minutes.
    OwnFromAnswer,
}

/// What a refusal means that trying again does not help against.
pub enum Refusal {
    /// Certainly nothing came of it.
    Believed(Failure),
    /// Whoever has refused it may not be the service: nothing came of it once that was seen.
    Doubted,
    /// A person can mend it while the operation waits, so it is tried again.
    ForNow,
}

/// What the failure of a step means for its operation.
pub enum Failure {
    /// Nothing is destroyed: the operation is given up, and takes back what it has done.
    GiveUp {
        /// What is recorded of the step; of one that nothing was tried for, nothing.
        error: Option<String>,
        /// How the operation ends.
        phase: Phase,
        /// The reason.
        reason: Option<Reason>,
        /// Why, in words.
        why: String,
    },
    /// The operation goes on without it.
    GoOn {
        /// What is recorded of the step.
        error: String,
        /// What is missing, in words.
        missing: Option<String>,
        /// The maps that it is missing for, if they are recorded.
        maps: Option<Vec<String>>,
    },
    /// The operation has failed.
    End {
        /// What is recorded of the step.
        error: String,
        /// The reason.
        reason: Reason,
        /// What a person reads.
        message: String,
    },
    /// What became of it cannot be known.
    Unknown {
        /// What a person reads.
        message: String,
    },
}

/// What a pass reads that works on table maps.
pub(super) fn reads_maps() -> Reads {
    Reads {
        link: true,
        maps: true,
        ..Reads::default()
    }
}

/// A step of this name, in an operation that works on a link that is there.
pub(super) fn only(action: Action, name: &str, step: impl Step + 'static) -> Option<Box<dyn Step>> {
    (acts_on_a_link(action) && name == step.name()).then(|| Box::new(step) as Box<dyn Step>)
}

/// What a name says after this word and a slash, in an operation that works on a link that is there.
pub(super) fn of_kind<'a>(action: Action, name: &'a str, word: &str) -> Option<&'a str> {
    let of = name.strip_prefix(word)?.strip_prefix('/')?;
    (acts_on_a_link(action) && !of.is_empty()).then_some(of)
}

const fn acts_on_a_link(action: Action) -> bool {
    match action {
        Action::Setup | Action::Link => false,
        Action::Reset | Action::StopMaps => true,
    }
}
