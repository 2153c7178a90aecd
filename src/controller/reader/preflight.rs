//! What the checks before a link look at in one Dataverse.

use super::problem;
use dualwrite_microsoft::{
    AllowedHost, Session,
    dataverse::{self, Rows},
    error::CallError,
};
use dualwrite_plan::{
    checks::{DATA_INTEGRATOR, DUAL_WRITE, FINANCE_AND_OPERATIONS},
    observed::{ApplicationUser, Companies, Company, Fact, Preflight},
};

/// What the checks look at in one Dataverse.
pub async fn preflight(session: &Session, host: &AllowedHost) -> Preflight {
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
