//! What must hold at the end of every cell.

use super::*;

impl Model {
    pub fn check_requests(&self) {
        for step in &self.api.stored.spec.steps {
            let mine: Vec<_> = self
                .requests
                .iter()
                .filter(|request| request.step == step.name && request.possible)
                .collect();
            let most = if self.cell.action == Action::Setup {
                2
            } else {
                1
            };
            assert!(
                mine.len() <= most,
                "sent {} times: {:#?}",
                mine.len(),
                self.cell
            );
            if let [first, second] = mine[..] {
                assert!(
                    !first.effect,
                    "sent again although it had its effect: {:#?}",
                    self.cell
                );
                let safe = after(
                    after(first.before, self.request_timeout()),
                    self.settings.settle,
                );
                assert!(
                    second.at >= safe,
                    "sent again while the first may arrive: {:#?}",
                    self.cell
                );
            }
        }
    }

    pub fn check_end(&mut self) {
        let status = &self.api.stored.status;
        let happened = self
            .requests
            .iter()
            .any(|request| self.targets(&request.step) && request.effect);
        let cell = self.cell;
        assert!(
            status
                .message
                .as_ref()
                .is_some_and(|message| !message.is_empty()),
            "{cell:#?}"
        );
        match status.phase.unwrap() {
            Phase::Succeeded => {
                assert!(happened && cell_ends_well(&cell, self), "{cell:#?}");
                assert!(
                    status
                        .steps
                        .iter()
                        .all(|step| step.state == StepState::Done)
                );
                assert_eq!(status.reconcile_at.as_deref(), Some("then"));
            }
            Phase::Failed => {
                let may_fail = !happened || !cell.ends_well;
                assert!(
                    may_fail,
                    "failed although it happened: {cell:#?} {status:#?}"
                );
                assert!(
                    status.reason.is_some() && status.finished_at.is_some(),
                    "{cell:#?}"
                );
                if cell.action == Action::Link {
                    assert!(
                        ["LinkFailed", "TimedOut"].contains(&status.reason.as_deref().unwrap()),
                        "{cell:#?}"
                    );
                }
            }
            Phase::Unknown => {
                assert_eq!(cell.action, Action::Link, "{cell:#?}");
                assert!(!happened, "unknown although the link is there: {cell:#?}");
                assert!(!needs_finalizer(&self.api.stored.spec, status), "{cell:#?}");
                self.check_late_success();
            }
            other => panic!("ended {other}: {cell:#?}"),
        }
        self.check_requests();
    }

    /// The link appears after all.
    pub fn check_late_success(&mut self) {
        let effect = Effect {
            from: self.now,
            until: self.now,
            ends_well: true,
        };
        self.effects.insert("link".into(), effect);
        self.now = after(self.now, hours(1));
        while matches!(self.pass(), Flow::Dead) {}
        assert_eq!(self.phase(), Some(Phase::Succeeded), "{:#?}", self.cell);
        assert_eq!(self.api.stored.status.reason, None);
    }
}

/// The scripted step may be asked for twice, and the second time fare better.
pub fn cell_ends_well(cell: &Cell, model: &Model) -> bool {
    let step = &model.api.stored.spec.steps[cell.step].name;
    model
        .effects
        .get(step)
        .is_some_and(|effect| effect.ends_well)
}
