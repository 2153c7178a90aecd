//! Reads that a connection's pass and an operation's pass share.

use super::{facts, problem};
use crate::controller::context::Context;
use dualwrite_microsoft::{AllowedHost, Session, dual_write, finance_operations, power_platform};
use dualwrite_plan::observed::{Fact, LinkView, Package};

/// The packages of an environment. One that is missing from a list that could not be read whole is not absent.
pub async fn applications(
    session: &Session,
    environment_id: &str,
    wanted: &[String],
) -> Fact<Vec<Package>> {
    match power_platform::application_packages(session, environment_id).await {
        Err(error) => Fact::Unknown(problem::of_call(&error)),
        Ok(list) if !list.complete && wanted.iter().any(|name| list.find(name).is_none()) => {
            Fact::Unknown(problem::incomplete_packages())
        }
        Ok(list) => Fact::Known(list.packages.iter().map(facts::package).collect()),
    }
}

/// L, as the service and the finance and operations host say.
pub async fn link(
    context: &Context,
    session: &Session,
    service: &AllowedHost,
    finance_operations: &AllowedHost,
) -> LinkView {
    match dual_write::link(session, service, finance_operations.name()).await {
        Err(error) => LinkView::Unknown(problem::of_call(&error)),
        Ok(dual_write::LinkAnswer::Linked(link)) => facts::link(link),
        Ok(dual_write::LinkAnswer::None | dual_write::LinkAnswer::EntryWithoutId) => {
            match finance_operations::is_up(&context.http, finance_operations).await {
                finance_operations::Up::Yes => LinkView::Absent,
                finance_operations::Up::No(why) => LinkView::HostDown(why),
            }
        }
    }
}
