//! What a row of the decision table says.

use std::time::Duration;

use jiff::Timestamp;

use super::world::Confirmation;
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

/// What a row says.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The condition `Ready`.
    pub ready: Says,
    /// Whether anything is on its way, or wrong.
    pub progress: Progress,
    /// What this row knows better than the picture alone, under other conditions.
    pub conditions: Vec<(ConditionType, Says)>,
    /// What it stands on.
    pub basis: Basis,
    /// What becomes of plans.
    pub plans: Plans,
    /// What is waited for, and how long that is normal.
    pub waiting: Option<Waiting>,
    /// What has to be confirmed, or was and still holds.
    pub settling: Option<Confirmation>,
    /// When to look again, if that is before the interval.
    pub look_again: Option<Timestamp>,
}

/// What a verdict stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// This pass has seen it.
    Seen,
    /// This pass could not see what decides: what was known stays, and the verdict is said only where nothing was known.
    LastKnown,
    /// The same, and also where what was known was last seen too long before this time.
    LastKnownSince(Timestamp),
}

/// What becomes of plans that have not started.
#[derive(Clone, Debug, PartialEq)]
pub enum Plans {
    /// None is asked for: one that waits is given up.
    Void,
    /// One that waits goes on waiting, because what it relies on could not be read just now.
    Keep,
    /// This one is asked for, and no other.
    Want(Box<DualWriteOperationSpec>),
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
    /// What this pass has seen.
    pub const fn new(ready: Says, progress: Progress) -> Self {
        Self {
            ready,
            progress,
            conditions: Vec::new(),
            basis: Basis::Seen,
            plans: Plans::Void,
            waiting: None,
            settling: None,
            look_again: None,
        }
    }

    /// What was known stays, and so does a plan that waits; where nothing was known, `ready` is said.
    pub fn last_known(ready: Says, progress: Progress) -> Self {
        Self {
            basis: Basis::LastKnown,
            plans: Plans::Keep,
            ..Self::new(ready, progress)
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

    /// Adds what this row knows better than the picture alone.
    #[must_use]
    pub fn with(mut self, kind: ConditionType, says: Says) -> Self {
        self.conditions.push((kind, says));
        self
    }

    /// Says the same as `Ready` under another condition.
    #[must_use]
    pub fn with_same(self, kind: ConditionType) -> Self {
        let says = self.ready.clone();
        self.with(kind, says)
    }

    /// Adds what it takes for confirmed.
    #[must_use]
    pub const fn resting_on(mut self, confirmation: Confirmation) -> Self {
        self.settling = Some(confirmation);
        self
    }

    /// Adds what is waited for.
    #[must_use]
    pub const fn waiting_for(mut self, what: Reason, normal: Duration) -> Self {
        self.waiting = Some(Waiting { what, normal });
        self
    }

    /// Adds when to look again.
    #[must_use]
    pub const fn looking_again(mut self, at: Timestamp) -> Self {
        self.look_again = Some(at);
        self
    }

    /// Lets a plan that waits go on waiting, although nothing is asked for just now.
    #[must_use]
    pub fn keeping_plans(mut self) -> Self {
        self.plans = Plans::Keep;
        self
    }

    /// Adds the operation that this row asks for.
    #[must_use]
    pub fn wanting(mut self, operation: DualWriteOperationSpec) -> Self {
        self.plans = Plans::Want(Box::new(operation));
        self
    }
}
