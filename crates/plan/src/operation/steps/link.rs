//! Links dual-write to the target.

use super::step::{About, Asking, At, Clock, Failure, Repeat, Step, Target};
use crate::{
    messages::{self, PlanWords},
    observed::LinkView,
    operation::model::{Reads, Request},
};
use dualwrite_api::{Reason, operation::Action};

/// Links dual-write to the target.
pub struct Link;

impl Link {
    pub(super) fn parse(action: Action, name: &str) -> Option<Box<dyn Step>> {
        (action == Action::Link && name == Self.name()).then(|| Box::new(Self) as Box<dyn Step>)
    }
}

impl Step for Link {
    fn name(&self) -> String {
        "link".into()
    }

    fn words(&self, words: &PlanWords<'_>, _: usize) -> (String, &'static str) {
        let what = format!("Linking {} to '{}'", words.host, words.to_name);
        (what, "less than 5 minutes")
    }

    fn reads(&self) -> Reads {
        Reads {
            link: true,
            ..Reads::default()
        }
    }

    fn link(&self) -> About {
        About::Itself
    }

    fn target(&self, at: &At<'_>) -> Target {
        match &at.situation.observed.link {
            LinkView::To(link) if at.situation.is_target(&link.environment_id) => Target::Reached,
            LinkView::To(link) => Target::Taken(link.environment_id.clone()),
            LinkView::Absent => Target::Missing(None),
            LinkView::Unknown(problem) => Target::Unseen(Some(problem.clone())),
            LinkView::NotObserved | LinkView::HostDown(_) => Target::Unseen(None),
        }
    }

    fn request(&self, _: &At<'_>) -> Option<Asking> {
        Some(Asking::of(Request::Link))
    }

    fn repeat(&self) -> Repeat {
        Repeat::Never
    }

    fn is_slow(&self) -> bool {
        true
    }

    fn clock(&self) -> Clock {
        Clock::OfOperation
    }

    fn can_be_given_up(&self) -> bool {
        true
    }

    fn lost(&self, at: &At<'_>) -> Failure {
        let asked = &at.record.asked;
        let sent = asked.send_before.unwrap_or(at.situation.now);
        let spec = &at.situation.operation.spec;
        let message = messages::link_outcome_unknown(spec, sent, at.record.record.error());
        Failure::Unknown { message }
    }

    fn exhausted(&self, at: &At<'_>, why: &str) -> Failure {
        let spec = &at.situation.operation.spec;
        Failure::End {
            error: why.to_owned(),
            reason: Reason::LinkFailed,
            message: messages::step_failed(spec, &self.name(), why),
        }
    }
}
