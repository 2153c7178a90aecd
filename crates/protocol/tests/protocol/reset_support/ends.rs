//! What must hold whatever has happened: at the end of every run.

use super::{LEGACY, Operator, hours, start};
use dualwrite_api::operation::{Action, Approval, MapState, Phase};
use dualwrite_plan::{operation::Request, world::after};

impl Operator {
    /// The maps that should run and do not, or not as they did.
    pub fn not_as_before(&self) -> Vec<String> {
        let planned = &self.api.stored.spec.relies_on.maps;
        planned
            .iter()
            .filter(|map| matches!(map.state, MapState::Running | MapState::Paused))
            .filter(|map| self.service.state(&map.name) != Some(map.state))
            .map(|map| map.name.clone())
            .collect()
    }

    pub fn check(&self, about: &dyn std::fmt::Debug) {
        self.check_journal(about);
        self.check_end(about);
    }

    /// Each mutation at most once; what sets a state at most twice, and never while the first may still arrive.
    pub fn check_journal(&self, about: &dyn std::fmt::Debug) {
        for step in &self.api.stored.status.steps {
            let mine: Vec<_> = self
                .journal
                .iter()
                .filter(|sent| sent.step == step.name && sent.possible)
                .collect();
            let most = match mine.first().map(|first| &first.request) {
                Some(Request::Reset { .. } | Request::Solution { .. }) => 1,
                Some(Request::Backup) => 20,
                _ => 2,
            };
            let times = mine.len();
            assert!(
                times <= most,
                "{} sent {times} times: {about:#?}",
                step.name
            );
            let [first, second] = mine[..] else { continue };
            let is_answered = matches!(
                first.answer,
                super::Answer::Delivered | super::Answer::Hollow
            );
            // One whose answer is known has arrived.
            let is_known = is_answered && first.recorded;
            let safe = after(
                after(first.before, self.request_timeout(&first.request)),
                self.settings.settle,
            );
            assert!(
                is_known || first.request == Request::Backup || second.at >= safe,
                "{} sent again while the first may arrive: {about:#?}",
                step.name
            );
        }
        for map in &self.service.maps {
            let twins = self
                .service
                .maps
                .iter()
                .filter(|twin| twin.name == map.name);
            assert_eq!(twins.count(), 1, "{} is there twice: {about:#?}", map.name);
        }
    }

    /// It has ended, and tells a person what he has to know.
    pub fn check_end(&self, about: &dyn std::fmt::Debug) {
        let status = &self.api.stored.status;
        let said = self.message();
        let phase = status.phase;
        let left = self.not_as_before();
        let is_over = !self.api.exists || phase.is_some_and(Phase::is_finished);
        if !is_over && phase != Some(Phase::Unknown) {
            // It waits: that is no end only while nothing can be seen, or while it is suspended and nothing is stopped.
            let blind = self.service.is_blind(self.now);
            let waits_for_approval = phase == Some(Phase::AwaitingApproval)
                && self.journal.is_empty()
                && self.api.stored.spec.approval == Approval::Pending;
            assert!(
                blind || waits_for_approval || (self.suspended_until.is_some() && left.is_empty()),
                "it goes on for ever: {about:#?} {status:#?}"
            );
            assert!(
                left.is_empty() || said.contains("stopped"),
                "{said}: {about:#?}"
            );
            return;
        }
        let mut waits_for = status.steps.iter().flat_map(|step| &step.outstanding);
        let is_finished = phase.is_some_and(Phase::is_finished);
        assert!(
            !is_finished || waits_for.next().is_none(),
            "{about:#?} {status:#?}"
        );
        let untouched = phase.is_none();
        assert!(untouched || !said.is_empty(), "no message: {about:#?}");
        match self.api.stored.spec.action {
            Action::Reset => self.check_maps(&left, about),
            _ => self.check_stopped(about),
        }
        if phase == Some(Phase::Succeeded) {
            assert!(status.reason.is_none(), "{about:#?} {status:#?}");
        }
        if matches!(phase, Some(Phase::Failed | Phase::Unknown)) {
            assert!(status.reason.is_some(), "{about:#?} {status:#?}");
        }
    }

    /// Every map is stopped; or somebody is told that not all of them are.
    fn check_stopped(&self, about: &dyn std::fmt::Debug) {
        let said = self.message();
        let is_done = self.api.stored.status.phase == Some(Phase::Succeeded);
        let none_touched = self.not_as_before().is_empty();
        assert!(!is_done || self.service.all_stopped(), "{said}: {about:#?}");
        assert!(
            is_done || none_touched || said.contains("stopped"),
            "silent: {said}: {about:#?}"
        );
    }

    fn check_maps(&self, left: &[String], about: &dyn std::fmt::Debug) {
        let status = &self.api.stored.status;
        let said = self.message();
        let starts = self.api.stored.spec.options.start_maps;
        let names_all = left.iter().all(|name| said.contains(name));
        assert!(
            left.is_empty() || names_all || said.contains("ConfigMap"),
            "silent about {left:?}: {said}: {about:#?} {status:#?}"
        );
        match status.phase {
            Some(Phase::Succeeded) => {
                assert_eq!(self.service.resets, 1, "{about:#?}");
                if starts {
                    assert_eq!(left, [LEGACY], "{said}: {about:#?}");
                } else {
                    assert!(said.contains("in this order: Groups"), "{said}");
                    assert!(self.service.all_stopped(), "{about:#?}");
                }
            }
            // What nobody needs to look at must have left nothing behind.
            Some(Phase::Void) | None => {
                assert!(left.is_empty(), "{said}: {about:#?} {status:#?}");
                assert_eq!(self.service.resets, 0, "{said}: {about:#?}");
            }
            _ => {}
        }
        if self.service.resets == 1 {
            let claims = ["Nothing was reset", "before anything was reset"];
            let denies = claims.iter().any(|claim| said.contains(claim));
            assert!(!denies, "{said}: {about:#?}");
        }
    }

    /// However much has happened at once: it has ended or says that it waits, and names what is not as before.
    pub fn check_words(&self, about: &dyn std::fmt::Debug) {
        let status = &self.api.stored.status;
        let said = self.message();
        let left = self.not_as_before();
        let is_over = !self.api.exists
            || status.phase.is_some_and(Phase::is_finished)
            || status.phase == Some(Phase::Unknown);
        let may_wait = self.service.link.is_none()
            || self.service.is_blind(self.now)
            || self.suspended_until.is_some()
            || self.api.stored.spec.approval == Approval::Pending;
        assert!(
            is_over || may_wait,
            "it goes on for ever: {about:#?} {status:#?}"
        );
        let names_all = left.iter().all(|name| said.contains(name));
        assert!(
            left.is_empty() || names_all || said.contains("ConfigMap") || said.contains("stopped"),
            "silent about {left:?}: {said}: {about:#?} {status:#?}"
        );
        if self.service.resets == 1 {
            assert!(!said.contains("Nothing was reset"), "{said}: {about:#?}");
        }
    }

    /// Whether a request was perhaps sent for this step.
    pub fn has_sent(&self, step: &str) -> bool {
        let mut journal = self.journal.iter();
        journal.any(|sent| sent.step == step && sent.possible)
    }

    pub fn took_less_than(&self, count: u64) -> bool {
        self.now < after(start(), hours(count))
    }
}
