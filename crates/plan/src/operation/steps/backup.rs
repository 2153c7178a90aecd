//! Writes down what a reset takes away.

use super::step::{About, Asking, At, Failure, Refusal, Repeat, Step, Target, reads_maps};
use crate::{
    backup,
    messages::{self, PlanWords},
    operation::model::{BackupView, Reads, Request},
};
use dualwrite_api::{Reason, operation::Phase};

/// How often a backup is written at the most, if it is gone again right before the reset, or its time is over.
pub(super) const MOST_BACKUPS: u32 = 5;

/// Writes down what a reset takes away.
#[derive(Default)]
pub struct Backup;

impl Step for Backup {
    fn name(&self) -> String {
        "backup".into()
    }

    fn words(&self, _: &PlanWords<'_>, _: usize) -> (String, &'static str) {
        let what = "Writing down the table maps, their versions and states, the integration keys and the companies, as \
                    ConfigMaps in this namespace";
        (what.into(), "seconds")
    }

    fn reads(&self) -> Reads {
        Reads {
            backup: true,
            ..reads_maps()
        }
    }

    fn link(&self) -> About {
        About::Plan
    }

    fn target(&self, at: &At<'_>) -> Target {
        match &at.situation.observed.backup {
            BackupView::Intact => Target::Reached,
            BackupView::Missing | BackupView::Altered => Target::Missing(None),
            BackupView::Unknown(problem) => Target::Unseen(Some(problem.clone())),
        }
    }

    fn request(&self, at: &At<'_>) -> Option<Asking> {
        let parts = backup::parts(at.situation.operation).ok();
        Some(Asking {
            backup: parts.map(|parts| backup::reference(&parts)),
            ..Asking::of(Request::Backup)
        })
    }

    fn repeat(&self) -> Repeat {
        Repeat::Always(MOST_BACKUPS)
    }

    fn can_be_given_up(&self) -> bool {
        true
    }

    /// What Kubernetes refuses, a person can grant while the plan waits: nothing was touched yet.
    fn refused(&self, _: &At<'_>, _: &str) -> Refusal {
        Refusal::ForNow
    }

    fn exhausted(&self, _: &At<'_>, why: &str) -> Failure {
        let why = messages::backup_failed(why);
        Failure::GiveUp {
            error: Some(why.clone()),
            phase: Phase::Failed,
            reason: Some(Reason::ResetFailed),
            why,
        }
    }
}
