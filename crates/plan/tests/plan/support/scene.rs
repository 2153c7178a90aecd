//! One operation, and what it sees.

use crate::coverage;
use crate::support::*;
use dualwrite_api::operation::Phase;
use dualwrite_plan::{
    observed::{Fact, LinkView, Package, PackageState},
    operation::{Next, Observations, Other, Owner, Sent, Situation, advance, after_sending},
    world::{KnownOperation, Settings},
};
use jiff::{SignedDuration, Timestamp};

pub struct Scene {
    pub operation: KnownOperation,
    pub observed: Observations,
    pub owner: Owner,
    pub others: Vec<Other>,
    pub now: Timestamp,
    pub settings: Settings,
}

impl Scene {
    pub fn of(operation: KnownOperation) -> Self {
        Self {
            operation,
            observed: Observations {
                began: start(),
                integrated: Fact::Known(true),
                applications: Fact::Known(vec![]),
                remote: Fact::Unknown(busy()),
                link: LinkView::Absent,
                ..nothing_to_reset()
            },
            owner: Owner::Present {
                suspended: false,
                reconcile_at: Some("then".into()),
            },
            others: vec![],
            now: start(),
            settings: Settings::default(),
        }
    }

    pub fn setup() -> Self {
        Self::of(planned_setup())
    }

    pub fn link() -> Self {
        Self::of(planned_link())
    }

    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub fn packages(self, packages: Vec<Package>) -> Self {
        self.with(|scene| scene.observed.applications = Fact::Known(packages))
    }

    pub fn sees(self, link: LinkView) -> Self {
        self.with(|scene| scene.observed.link = link)
    }

    pub fn situation(&self) -> Situation<'_> {
        Situation {
            operation: &self.operation,
            observed: &self.observed,
            owner: &self.owner,
            others: &self.others,
            incarnation: "me",
            now: self.now,
            settings: &self.settings,
        }
    }

    pub fn next(&self) -> Next {
        let next = advance(&self.situation());
        coverage::check(&self.operation.status, &next);
        next
    }

    pub fn wait(&self) -> Option<u64> {
        let next = self.next().next?;
        Some(u64::try_from(next.duration_since(self.now).as_secs()).unwrap())
    }

    /// The step is intended, written, and this became of its request.
    pub fn sent(mut self, sent: &Sent) -> Self {
        let next = self.next();
        let send = next.send.expect("it wants to send");
        let sent = after_sending(&self.situation(), next.status.clone(), &send, sent);
        coverage::check(&next.status, &sent);
        self.operation.status = sent.status;
        self
    }

    pub fn accepted(self) -> Self {
        self.sent(&Sent::Accepted { remote_id: None })
    }

    pub fn later(mut self, seconds: i64) -> Self {
        self.now += SignedDuration::from_secs(seconds);
        self.observed.began = self.now;
        self
    }

    /// What was decided is written.
    pub fn written(mut self) -> Self {
        self.operation.status = self.next().status;
        self
    }
}

pub fn installing(name: &str) -> Package {
    package(name, PackageState::InProgress("Installing".into()))
}

pub fn installed(name: &str) -> Package {
    package(name, PackageState::Installed)
}

#[track_caller]
pub fn ends(next: &Next, phase: Phase, parts: &[&str]) {
    assert_eq!(next.status.phase, Some(phase), "{:#?}", next.status);
    assert_eq!(next.send, None);
    let message = next.status.message.as_deref().unwrap_or_default();
    for part in parts {
        assert!(message.contains(part), "'{part}' is not in: {message}");
    }
    assert!(!message.contains(".."), "{message}");
}

#[track_caller]
pub fn waits(next: &Next) {
    assert_eq!(next.send, None, "{:#?}", next.status);
    assert!(
        next.status.phase.is_none_or(|phase| !phase.is_finished()),
        "{:#?}",
        next.status
    );
}
