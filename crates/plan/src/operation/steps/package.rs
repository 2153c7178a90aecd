//! Installs an application package.

use super::step::{About, Asking, At, Clock, Failure, Step, Target};
use crate::{
    messages::{self, PlanWords},
    observed::PackageState,
    operation::model::{Reads, RemoteRequest, Request, Situation},
};
use dualwrite_api::{Reason, operation::Action};

/// The states of a package that mean that something is being done in its environment [D].
const BUSY_STATES: [&str; 5] = [
    "InstallRequested",
    "InstallScheduled",
    "Installing",
    "InstallRetrying",
    "Uninstalling",
];

/// Installs this package.
pub struct Package(pub String);

impl Package {
    pub(super) fn parse(action: Action, name: &str) -> Option<Box<dyn Step>> {
        (action == Action::Setup).then(|| Box::new(Self(name.to_owned())) as Box<dyn Step>)
    }
}

impl Step for Package {
    fn name(&self) -> String {
        self.0.clone()
    }

    fn words(&self, words: &PlanWords<'_>, _: usize) -> (String, &'static str) {
        let what = format!("Installing {} in '{}'", self.0, words.to_name);
        (what, "15 to 30 minutes")
    }

    fn reads(&self) -> Reads {
        Reads {
            applications: true,
            ..Reads::default()
        }
    }

    fn remote(&self, id: String) -> RemoteRequest {
        RemoteRequest::Installation(id)
    }

    fn link(&self) -> About {
        About::Itself
    }

    fn target(&self, at: &At<'_>) -> Target {
        Target::from(&at.situation.observed.applications, |packages| {
            let mut packages = packages.iter();
            let found = packages.find(|package| package.name.eq_ignore_ascii_case(&self.0));
            match found.map(|package| (&package.state, package.error.as_deref())) {
                None | Some((PackageState::NotInstalled, _)) => Target::Missing(None),
                Some((PackageState::Installed, _)) => Target::Reached,
                Some((PackageState::InProgress(_), _)) => Target::Moving,
                Some((PackageState::Failed, error)) => {
                    Target::Failed(error.unwrap_or("Microsoft gives no reason.").to_owned())
                }
            }
        })
    }

    fn request(&self, _: &At<'_>) -> Option<Asking> {
        Some(Asking::of(Request::Install(self.0.clone())))
    }

    fn clock(&self) -> Clock {
        Clock::OfOperation
    }

    fn can_be_given_up(&self) -> bool {
        true
    }

    /// Only one operation runs in an environment at a time, so a request would be refused [D]. Only states that are known to
    /// mean that count, so that a strange one cannot block for ever.
    fn obstacle(&self, situation: &Situation<'_>) -> Option<String> {
        let is_busy = |word: &str| {
            BUSY_STATES
                .iter()
                .any(|busy| busy.eq_ignore_ascii_case(word))
        };
        let mut packages = situation.observed.applications.known()?.iter();
        let other = packages.find(|package| match &package.state {
            PackageState::InProgress(word) => {
                !package.name.eq_ignore_ascii_case(&self.0) && is_busy(word)
            }
            PackageState::Installed | PackageState::NotInstalled | PackageState::Failed => false,
        })?;
        let environment = &situation.operation.spec.target.environment_name;
        let state = other.state.word();
        Some(messages::environment_installs_other(
            environment,
            &other.name,
            state,
        ))
    }

    fn lost(&self, at: &At<'_>) -> Failure {
        self.exhausted(at, &messages::install_lost_twice())
    }

    fn exhausted(&self, at: &At<'_>, why: &str) -> Failure {
        let spec = &at.situation.operation.spec;
        Failure::End {
            error: why.to_owned(),
            reason: Reason::InstallFailed,
            message: messages::step_failed(spec, &self.0, why),
        }
    }
}
