//! What an operation's pass reads: what its next step needs, and no more, as the controller does.

use std::collections::BTreeMap;

use super::{Operator, companies};
use dualwrite_api::operation::{Action, Phase, StepState};
use dualwrite_plan::{
    advance::{ActObserved, BackupView, RemoteState},
    maps::{ConnectionSetDetails, LinkDetails},
    observed::{Fact, LinkFacts, LinkView, Problem},
    operation::StepKind,
};

pub fn down() -> Problem {
    Problem::transient("The dual-write service answered 503.")
}

fn not_read() -> Problem {
    Problem::transient("It was not read.")
}

impl Operator {
    fn is_at(&self, wanted: impl Fn(&StepKind) -> bool) -> bool {
        let status = &self.api.stored.status;
        let open = status
            .steps
            .iter()
            .find(|step| !matches!(step.state, StepState::Done | StepState::Failed));
        open.and_then(|step| StepKind::parse(self.api.stored.spec.action, &step.name))
            .is_some_and(|kind| wanted(&kind))
    }

    pub fn observe(&self) -> ActObserved {
        let is_reset = self.api.stored.spec.action == Action::Reset;
        let is_first = self.api.stored.is_unstarted();
        let integrated = if is_first || self.is_at(|kind| *kind == StepKind::Reset) {
            self.integrated.clone()
        } else {
            Fact::Unknown(not_read())
        };
        let backup = if is_reset
            && self.api.stored.status.phase == Some(Phase::Running)
            && self.is_at(|kind| matches!(kind, StepKind::Backup | StepKind::Reset))
        {
            self.backup.clone()
        } else {
            BackupView::Missing
        };
        let mut observed = ActObserved {
            began: self.now,
            integrated,
            applications: Fact::Unknown(not_read()),
            remote: Fact::Unknown(not_read()),
            link: LinkView::Unknown(down()),
            maps: Fact::Unknown(down()),
            details: LinkDetails::unread(&down()),
            backup,
        };
        if !self.service.is_blind(self.now) {
            self.see(&mut observed, is_reset, is_first);
        }
        observed
    }

    fn see(&self, observed: &mut ActObserved, is_reset: bool, is_first: bool) {
        observed.details = LinkDetails::unread(&not_read());
        observed.remote = self.remote();
        let Some((environment, set)) = &self.service.link else {
            observed.link = LinkView::Absent;
            observed.maps = Fact::Unknown(Problem::transient(
                "The dual-write service shows no link, so nothing of it can be read.",
            ));
            return;
        };
        observed.link = LinkView::To(LinkFacts {
            connection_set_id: set.clone(),
            connection_set_name: Some("contoso".into()),
            environment_id: environment.clone(),
            legal_entities: None,
        });
        observed.maps = Fact::Known(self.service.shown_maps(self.now));
        let at_keys = self.is_at(|kind| *kind == StepKind::IntegrationKeys);
        let is_relied_on = is_first || self.is_at(|kind| *kind == StepKind::Reset);
        if is_reset && (is_relied_on || at_keys) {
            observed.details.connection_set = Fact::Known(ConnectionSetDetails {
                dataverse_name: Some("contoso-dataverse".into()),
                legal_entities: companies(),
                integration_keys: self.service.keys.clone(),
            });
        }
        if is_reset && is_relied_on {
            let solutions = &self.service.behaviour.solutions;
            let names = solutions.iter().map(|(name, _)| name.clone());
            observed.details.solutions = Fact::Known(names.collect());
            observed.details.prerequisites = Fact::Known(BTreeMap::new());
        }
    }

    fn remote(&self) -> Fact<RemoteState> {
        let steps = &self.api.stored.status.steps;
        let sent = steps.iter().find(|step| step.state == StepState::Sent);
        match sent.and_then(|step| step.remote_id.as_deref()) {
            Some(id) => Fact::Known(self.service.request(id, self.now)),
            None => Fact::Unknown(not_read()),
        }
    }
}
