//! What each condition says, given what it said before: what is known stays through a blip, and does not stay for ever.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::memory::Outage;
use crate::{
    conditions::{Finding, OBSERVED},
    messages,
    picture::Picture,
    verdict::{Basis, Progress, Row, Verdict},
    world::World,
};
use dualwrite_api::{
    Reason,
    conditions::{self, ConditionType, Says, Status},
};

/// What a pass says under its conditions.
pub(super) struct Said<'a> {
    picture: &'a Picture<'a>,
    row: Row,
    verdict: &'a Verdict,
    is_overdue: bool,
    outage: Option<&'a Outage<'a>>,
    reach: Reach,
}

/// Under which conditions a verdict is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// All that it speaks of.
    All,
    /// Those that are not shown as stale.
    NotStale,
    /// None: what was known stays.
    None,
}

impl Reach {
    fn of(world: &World<'_>, verdict: &Verdict) -> Self {
        match verdict.basis {
            Basis::Seen => Self::All,
            _ if !is_worth_keeping(world) => Self::NotStale,
            Basis::LastKnownSince(since) if world.is_too_old(since) => Self::All,
            Basis::LastKnown | Basis::LastKnownSince(_) => Self::None,
        }
    }
}

/// Whether what `Ready` says is a finding about this generation, and not the progress of something that has ended.
fn is_worth_keeping(world: &World<'_>) -> bool {
    world.remembered_ready().is_some_and(|reason| {
        !matches!(
            reason,
            Reason::Observing
                | Reason::InternalError
                | Reason::Suspended
                | Reason::Installing
                | Reason::Linking
                | Reason::Resetting
                | Reason::StoppingMaps
                | Reason::OutcomeUnknown
        )
    })
}

/// The conditions as they were, of this generation.
pub(super) fn as_known(world: &World<'_>) -> Vec<Condition> {
    let mut conditions = world.memory.conditions.clone();
    for condition in &mut conditions {
        condition.observed_generation = Some(world.desired.generation);
    }
    conditions
}

impl<'a> Said<'a> {
    pub(super) fn of(
        picture: &'a Picture<'a>,
        row: Row,
        verdict: &'a Verdict,
        is_overdue: bool,
        outage: Option<&'a Outage<'a>>,
    ) -> Self {
        Self {
            picture,
            row,
            verdict,
            is_overdue,
            outage,
            reach: Reach::of(picture.world, verdict),
        }
    }

    /// All conditions. Each is set at most once, against what it was before.
    pub(super) fn conditions(&self) -> Vec<Condition> {
        let mut conditions = as_known(self.picture.world);
        for (kind, find, elsewhere) in OBSERVED {
            if let Some(says) = self.about(kind, find(self.picture), elsewhere) {
                self.set(&mut conditions, kind, &says);
            }
        }
        if let Some(ready) = self.ready() {
            self.set(&mut conditions, ConditionType::Ready, &ready);
        }
        if let Some((progress, message)) = self.progress() {
            self.show(&mut conditions, progress, message);
        }
        conditions
    }

    /// `Reconciling` and `Stalled` are there only when True, and never both.
    fn show(&self, conditions: &mut Vec<Condition>, progress: Progress, message: String) {
        let shown = match progress {
            Progress::Settled => None,
            Progress::Reconciling(reason) => Some((ConditionType::Reconciling, reason)),
            Progress::Stalled(reason) => Some((ConditionType::Stalled, reason)),
        };
        for kind in [ConditionType::Reconciling, ConditionType::Stalled] {
            if shown.is_none_or(|(shown, _)| shown != kind) {
                conditions::remove(conditions, kind);
            }
        }
        if let Some((kind, reason)) = shown {
            self.set(conditions, kind, &Says::yes(reason, message));
        }
    }

    fn set(&self, conditions: &mut Vec<Condition>, kind: ConditionType, says: &Says) {
        let world = self.picture.world;
        let generation = world.desired.generation;
        conditions::set(conditions, kind, says, generation, world.now);
    }

    /// What a condition says; `None` where it stays as it was.
    fn about(&self, kind: ConditionType, finding: Finding, elsewhere: Reason) -> Option<Says> {
        let is_unread = finding.is_unread;
        // Without credentials nothing of this pass says anything about the rest.
        let is_hidden =
            self.row == Row::CredentialsRefused && kind != ConditionType::CredentialsValid;
        let own = finding
            .says
            .filter(|_| !is_hidden)
            .or_else(|| self.unsaid(kind, is_unread, elsewhere));
        let is_said = match self.reach {
            Reach::All => true,
            Reach::NotStale => !self.is_stale(kind, own.as_ref()),
            Reach::None => false,
        };
        let mut of_row = self.verdict.conditions.iter();
        let of_row = of_row.find(|(of, _)| is_said && *of == kind);
        of_row.map(|(_, says)| says.clone()).or(own)
    }

    /// What a condition says of which this pass says nothing by itself.
    fn unsaid(&self, kind: ConditionType, is_unread: bool, elsewhere: Reason) -> Option<Says> {
        let is_seen = self.verdict.basis == Basis::Seen;
        let not_evaluated = || Says::unknown(elsewhere, messages::not_evaluated());
        let last = match self.known(kind) {
            None if !is_seen => {
                return Some(Says::unknown(Reason::Observing, messages::first_look()));
            }
            // A verdict ends the first look, also for what it does not need to know.
            None => return Some(not_evaluated()),
            Some(last) if is_seen && last.reason == Reason::Observing.as_ref() => {
                return Some(not_evaluated());
            }
            Some(last) => last,
        };
        let outage = self
            .outage
            .filter(|outage| outage.is_too_old && is_unread)?;
        let claims_nothing = last.status == <&str>::from(Status::Unknown)
            && [elsewhere.as_ref(), Reason::ObservationStale.as_ref()]
                .contains(&last.reason.as_str());
        (!claims_nothing).then(|| stale(outage, &last.message))
    }

    /// What `Ready` says; `None` where it stays as it was.
    fn ready(&self) -> Option<Says> {
        let said = (self.reach != Reach::None).then_some(&self.verdict.ready);
        let known = self.known(ConditionType::Ready);
        let last = match (said, known) {
            (Some(said), _) => Some(&said.message),
            (None, Some(known)) if known.reason != Reason::ObservationStale.as_ref() => {
                Some(&known.message)
            }
            (None, _) => None,
        };
        match self.ending_outage().zip(last) {
            Some((outage, last)) => Some(stale(outage, last)),
            None => said.cloned(),
        }
    }

    /// Whether something is on its way or wrong, and the words for it; `None` where that stays as it was.
    fn progress(&self) -> Option<(Progress, String)> {
        let said = (self.reach != Reach::None).then(|| self.said_progress());
        let is_stalled = match said {
            Some(progress) => matches!(progress, Progress::Stalled(_)),
            None => self.known(ConditionType::Stalled).is_some(),
        };
        let world = self.picture.world;
        let outage = self
            .outage
            .filter(|_| !is_stalled || self.ending_outage().is_some())
            .filter(|outage| outage.is_said);
        match outage {
            // It is worse news that maps are stopped meanwhile, and stays.
            Some(outage) if self.row == Row::Occupied => said.map(|progress| {
                let since = messages::reads_fail(outage.failure.since);
                (progress, format!("{} {since}", self.verdict.ready.message))
            }),
            Some(outage) => Some((
                Progress::Reconciling(Reason::Retrying),
                outage.message(world),
            )),
            None => said.map(|progress| (progress, self.verdict.ready.message.clone())),
        }
    }

    fn said_progress(&self) -> Progress {
        match self.verdict.progress {
            Progress::Reconciling(_) if self.is_overdue => {
                Progress::Stalled(self.verdict.ready.reason)
            }
            progress => progress,
        }
    }

    /// An outage that has lasted so long that nothing is claimed any more, where what decides could not be read.
    fn ending_outage(&self) -> Option<&'a Outage<'a>> {
        let is_seen = self.verdict.basis == Basis::Seen;
        self.outage.filter(|outage| outage.is_too_old && !is_seen)
    }

    fn is_stale(&self, kind: ConditionType, says: Option<&Says>) -> bool {
        let stale = Reason::ObservationStale;
        match says {
            Some(says) => says.reason == stale,
            None => self
                .known(kind)
                .is_some_and(|known| known.reason == stale.as_ref()),
        }
    }

    fn known(&self, kind: ConditionType) -> Option<&'a Condition> {
        conditions::find(&self.picture.world.memory.conditions, kind)
    }
}

fn stale(outage: &Outage<'_>, last: &str) -> Says {
    let text = messages::stale(outage.failure.since, last);
    Says::unknown(Reason::ObservationStale, text)
}
