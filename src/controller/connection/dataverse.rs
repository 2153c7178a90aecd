//! What the Dataverse of the spec says, and what the checks before a link look at there. The checks decide nothing, so
//! their reads are few: see `freshness.rs`.

use super::observe::{Pass, usable};
use crate::controller::reader::{self, facts, problem};
use dualwrite_api::{Reason, connection::FailureClass, values};
use dualwrite_microsoft::{AllowedHost, HostKind, dataverse};
use dualwrite_plan::observed::{DataverseSays, Fact, Preflight, Problem, SpecEnvironment};

impl Pass<'_> {
    /// What S's Dataverse says, and what the checks look at there if it answers.
    pub(super) async fn dataverse(
        &self,
        environment: &Fact<SpecEnvironment>,
    ) -> (Fact<DataverseSays>, Preflight) {
        let host = match self.dataverse_host(environment) {
            Ok(host) => host,
            Err(problem) => {
                return (
                    Fact::Unknown(problem),
                    Preflight::unread(&problem::not_read()),
                );
            }
        };
        match dataverse::integration(&self.application.session, &host).await {
            Ok(says) => (
                Fact::Known(facts::dataverse(says)),
                self.preflight(&host).await,
            ),
            Err(error) => (
                Fact::Unknown(problem::of_call(&error)),
                Preflight::unread(&problem::not_read()),
            ),
        }
    }

    async fn preflight(&self, host: &AllowedHost) -> Preflight {
        let uid = &self.desired.uid;
        if let Some(kept) = self.context.preflight(uid, self.fresh.preflight) {
            return kept;
        }
        let read = reader::preflight(&self.application.session, host).await;
        if is_worth_keeping(&read) {
            let namespace = &self.desired.namespace;
            self.context
                .keep_preflight(uid, namespace, self.began, read.clone());
        }
        read
    }

    fn dataverse_host(&self, environment: &Fact<SpecEnvironment>) -> Result<AllowedHost, Problem> {
        let Some(environment) = usable(environment) else {
            return Err(problem::not_read());
        };
        let host = environment
            .dataverse_url
            .as_deref()
            .and_then(values::remote_host_of);
        let Some(host) = host else {
            return Err(problem::unreadable_dataverse_url(environment));
        };
        self.application
            .session
            .host(HostKind::Dataverse, &host)
            .map_err(|refused| Problem::needs_person(Reason::HostNotAllowed, refused.to_string()))
    }
}

/// Whether it may be kept: what heals by itself is looked at again in the next pass.
fn is_worth_keeping(preflight: &Preflight) -> bool {
    let passes = |problem: Option<&Problem>| {
        problem.is_some_and(|problem| {
            matches!(problem.class, FailureClass::Transient | FailureClass::Busy)
        })
    };
    !passes(preflight.users.problem()) && !passes(preflight.companies.problem())
}
