//! What a row of the decision table says.

use std::time::Duration;

use jiff::Timestamp;

use super::world::Absence;
use dualwrite_api::{
    DualWriteOperationSpec, Reason,
    conditions::{ConditionType, Says},
};

/// The rows of the design's decision table.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, strum::Display, strum::EnumIter,
)]
pub enum Row {
    /// 0: an operation for this host is under way, or its outcome is unknown.
    Occupied,
    /// 1: an older claim on the host.
    Conflict,
    /// 2: credentials refused.
    CredentialsRefused,
    /// 3: the Power Platform refuses to show S.
    AccessRefused,
    /// 4: P could not be read.
    IntegrationUnknown,
    /// 5: S cannot be used, or not now.
    EnvironmentUnusable,
    /// 6: S belongs to another finance and operations environment.
    IntegratedWithOther,
    /// 7: the sources contradict each other.
    SourcesDisagree,
    /// 8: P = E, which is not S.
    IntegratedElsewhere,
    /// 9: nothing is integrated or linked.
    NotIntegrated,
    /// 10: nothing is integrated, but dual-write is linked.
    LinkedWithoutIntegration,
    /// 10b: the newest operation has failed.
    OperationFailed,
    /// 11: P = S, setup is incomplete.
    SetupIncomplete,
    /// 12: P = S, set up, not linked.
    NotLinked,
    /// 13: P = S, set up, the link is not observed.
    LinkNotObserved,
    /// 14: L could not be read.
    LinkUnknown,
    /// 15: P = S = L.
    Connected,
    /// 16: P = S, and L is another environment.
    LinkedElsewhere,
}

/// What a row makes of the truth.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// This.
    Says(Box<Verdict>),
    /// Nothing new: what was known last stays, and no operation is made. With what to say where nothing was known yet.
    LastKnown(Box<LastKnown>),
}

/// A row's result.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The condition `Ready`.
    pub ready: Says,
    /// Whether anything is on its way, or wrong.
    pub progress: Progress,
    /// What this row knows better than the plain observation.
    pub overrides: Vec<(ConditionType, Says)>,
    /// The operation that this row asks for.
    pub wants: Option<DualWriteOperationSpec>,
    /// What a plan would rely on could not be read: one that waits goes on waiting.
    pub keeps_plans: bool,
    /// What is waited for, and how long that is normal.
    pub waiting: Option<Waiting>,
    /// The absence that this rests on, and since when it is seen.
    pub settling: Option<(Absence, Timestamp)>,
    /// When to look again, if that is before the interval.
    pub look_again: Option<Timestamp>,
}

/// A result that leaves things as they are.
#[derive(Clone, Debug, PartialEq)]
pub struct LastKnown {
    /// What to say where nothing was known yet.
    pub first: Says,
    /// The same for single conditions.
    pub first_overrides: Vec<(ConditionType, Says)>,
    /// The reason to go on with, where nothing was known yet.
    pub first_progress: Progress,
    /// What to say once what was known last is too old.
    pub stale: Option<Says>,
    /// The absence that is being confirmed.
    pub settling: Option<(Absence, Timestamp)>,
    /// When to look again, if that is before the interval.
    pub look_again: Option<Timestamp>,
}

/// Whether anything is on its way, or wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Neither.
    Settled,
    /// Something is on its way.
    Reconciling(Reason),
    /// Something is wrong and does not heal by itself.
    Stalled(Reason),
}

/// Something that is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// What.
    pub what: Reason,
    /// How long that is normal; after that the resource is stalled.
    pub normal: Duration,
}

impl Verdict {
    /// A row that is content, or says only that it is not.
    pub const fn new(ready: Says, progress: Progress) -> Self {
        Self {
            ready,
            progress,
            overrides: Vec::new(),
            wants: None,
            keeps_plans: false,
            waiting: None,
            settling: None,
            look_again: None,
        }
    }

    /// Something is wrong: `Ready` is False, and `Stalled` says the same.
    pub fn stalled(reason: Reason, message: impl Into<String>) -> Self {
        Self::new(Says::no(reason, message), Progress::Stalled(reason))
    }

    /// Something is on its way: `Ready` is False with `reason`, and `Reconciling` says why it is not yet.
    pub fn reconciling(reason: Reason, why: Reason, message: impl Into<String>) -> Self {
        Self::new(Says::no(reason, message), Progress::Reconciling(why))
    }

    /// Adds what this row knows better than the plain observation.
    #[must_use]
    pub fn with(mut self, kind: ConditionType, says: Says) -> Self {
        self.overrides.push((kind, says));
        self
    }

    /// Says the same as `Ready` under another condition.
    #[must_use]
    pub fn with_same(self, kind: ConditionType) -> Self {
        let says = self.ready.clone();
        self.with(kind, says)
    }

    /// Adds the absence that this rests on.
    #[must_use]
    pub const fn resting_on(mut self, absence: Absence, since: Timestamp) -> Self {
        self.settling = Some((absence, since));
        self
    }

    /// Adds what is waited for.
    #[must_use]
    pub const fn waiting_for(mut self, what: Reason, normal: Duration) -> Self {
        self.waiting = Some(Waiting { what, normal });
        self
    }

    /// Lets a plan that waits go on waiting, although nothing is asked for just now.
    #[must_use]
    pub const fn keeping_plans(mut self) -> Self {
        self.keeps_plans = true;
        self
    }

    /// Adds the operation that this row asks for.
    #[must_use]
    pub fn wanting(mut self, operation: DualWriteOperationSpec) -> Self {
        self.wants = Some(operation);
        self
    }
}

impl From<Verdict> for Outcome {
    fn from(verdict: Verdict) -> Self {
        Self::Says(Box::new(verdict))
    }
}

impl LastKnown {
    /// Keeps what is known; where nothing is, `first` is said and looked at again soon.
    pub const fn new(first: Says, first_progress: Progress) -> Self {
        Self {
            first,
            first_overrides: Vec::new(),
            first_progress,
            stale: None,
            settling: None,
            look_again: None,
        }
    }
}

impl From<LastKnown> for Outcome {
    fn from(last: LastKnown) -> Self {
        Self::LastKnown(Box::new(last))
    }
}
