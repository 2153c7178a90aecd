//! What the Dataverse of the spec says, and what the checks before a link look at there. The checks decide nothing, so
//! their reads are few: see [`super::freshness`].

use super::{Pass, facts, problem, usable};
use dualwrite_api::{Reason, connection::FailureClass, values};
use dualwrite_microsoft::{
    AllowedHost, HostKind, Session,
    dataverse::{self, Rows},
    error::CallError,
};
use dualwrite_plan::{
    checks::{DATA_INTEGRATOR, DUAL_WRITE, FINANCE_AND_OPERATIONS},
    observed::{
        ApplicationUser, Companies, Company, DataverseSays, Fact, Preflight, Problem,
        SpecEnvironment,
    },
};

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
        let read = read(&self.application.session, host).await;
        if is_worth_keeping(&read) {
            self.context.keep_preflight(uid, self.began, read.clone());
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

/// What the checks look at in one Dataverse.
async fn read(session: &Session, host: &AllowedHost) -> Preflight {
    let applications = [
        FINANCE_AND_OPERATIONS,
        DATA_INTEGRATOR,
        DUAL_WRITE[0],
        DUAL_WRITE[1],
    ];
    let (users, companies) = tokio::join!(
        dataverse::application_users(session, host, &applications),
        dataverse::companies(session, host),
    );
    Preflight {
        users: self::users(users),
        companies: self::companies(companies),
        account: None,
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

/// A user that is missing from a list that could not be read whole may exist.
fn users(
    answer: Result<Rows<dataverse::ApplicationUser>, CallError>,
) -> Fact<Vec<ApplicationUser>> {
    match answer {
        Err(error) => Fact::Unknown(problem::of_call(&error)),
        Ok(list) if !list.complete => Fact::Unknown(problem::incomplete_users()),
        Ok(list) => Fact::Known(
            list.rows
                .into_iter()
                .map(|user| ApplicationUser {
                    application_id: user.application_id,
                    disabled: user.disabled,
                })
                .collect(),
        ),
    }
}

fn companies(answer: Result<Rows<dataverse::Company>, CallError>) -> Fact<Companies> {
    match answer {
        Err(error) => Fact::Unknown(problem::of_call(&error)),
        Ok(list) => Fact::Known(Companies {
            complete: list.complete,
            rows: list
                .rows
                .into_iter()
                .map(|company| Company {
                    code: company.code,
                    name: company.name,
                })
                .collect(),
        }),
    }
}
