//! What may still land: requests that may take effect later than anybody expects, and what must wait for them.

use jiff::Timestamp;

use super::pass::Pass;
use crate::{
    messages,
    operation::{
        model::{Next, RemoteState, Situation},
        reads,
        record::{Record, StepRecord},
        steps::{self, About, Step},
    },
    world::after,
};
use dualwrite_api::operation::{Action, Outstanding};

impl Pass<'_> {
    /// Until when a request of such a step may still take effect, or its effect may not show yet; `None` if what is read now
    /// shows all of it.
    pub(super) fn unsettled_until(&self, counts: impl Fn(&dyn Step) -> bool) -> Option<Timestamp> {
        let steps = self.progress.steps().iter();
        let ends = steps.filter_map(|record| {
            let step = steps::parse(self.spec().action, &record.name)?;
            let step = Some(step).filter(|step| counts(step.as_ref()))?;
            let open = record.asked.outstanding.iter();
            open.map(|request| shows_by(self.situation, step.as_ref(), request))
                .max()
        });
        ends.max()
            .filter(|end| self.situation.observed.began < *end)
    }

    /// The same of every step that could still make the end untrue: after a reset the link that it was sent for is no more.
    pub(super) fn claims_nothing_before(&self) -> Option<Timestamp> {
        let is_reset = self
            .find(|step| step.is_point_of_no_return())
            .is_some_and(|reset| reset.record == Record::Done);
        self.unsettled_until(|step| {
            step.link() == About::Target || (step.link() == About::Plan && !is_reset)
        })
    }

    /// Until when maps may be stopped after the end of an operation that says which of them are.
    pub(super) fn stop_may_land_until(&self) -> Option<Timestamp> {
        match self.spec().action {
            Action::StopMaps => self.claims_nothing_before(),
            Action::Setup | Action::Link | Action::Reset => None,
        }
    }

    /// Notes that Microsoft has done with the request that it was asked about.
    pub(super) fn note_ended(&mut self) {
        let (situation, now) = (self.situation, self.situation.now);
        let remote = situation.observed.remote.known();
        let has_ended = matches!(
            remote,
            Some(RemoteState::Succeeded | RemoteState::Failed(_))
        );
        if let Some((_, id)) = reads::asked_about(situation.operation).filter(|_| has_ended) {
            self.progress.note_ended(id, now);
        }
    }

    /// Looks again until nothing that was sent can take effect any more.
    pub(super) fn wait_for_what_may_land(mut self, until: Timestamp) -> Next {
        let waits = messages::may_still_land(until);
        let text = match &self.progress.head.ending {
            Some(ending) => format!("{} {waits}", messages::undoing(&ending.message)),
            None => waits,
        };
        self.tell(text);
        self.soon()
    }
}

/// From when on a list shows whatever has come of a request.
fn shows_by(situation: &Situation<'_>, step: &dyn Step, request: &Outstanding) -> Timestamp {
    let arrives_by = arrives_by(situation, step, request.send_before);
    let lasts_until = after(arrives_by, situation.patience());
    let ended = request.ended_at.unwrap_or(lasts_until);
    after(ended.min(lasts_until), situation.settings.settle)
}

/// Until when a request can arrive.
fn arrives_by(situation: &Situation<'_>, step: &dyn Step, send_before: Timestamp) -> Timestamp {
    let settings = situation.settings;
    let factor = if step.is_slow() {
        settings.slow_factor
    } else {
        1
    };
    after(send_before, settings.request_timeout * factor)
}

/// From when on a missing effect says that there will be none.
pub(super) fn absence_counts_from(
    situation: &Situation<'_>,
    step: &dyn Step,
    record: &StepRecord,
) -> Timestamp {
    let sent = record.asked.send_before.unwrap_or(Timestamp::MIN);
    let arrived = arrives_by(situation, step, sent);
    after(arrived, situation.settings.settle)
}
