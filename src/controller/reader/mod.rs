//! Reads at Microsoft's, for both controllers. Each is one fact: Known, or Unknown and why.

pub mod facts;
mod maps;
mod preflight;
pub mod problem;
mod requests;

pub use preflight::preflight;

use super::{context::Context, reach::Reach};
use dualwrite_microsoft::{dual_write, finance_operations, power_platform};
use dualwrite_plan::observed::{Fact, LinkView, Package};

impl Reach {
    /// The packages of an environment that are wanted, as far as it has them. One that is missing from a list that could not be read whole is not absent.
    pub async fn applications(
        &self,
        environment_id: &str,
        wanted: &[String],
    ) -> Fact<Vec<Package>> {
        let session = match self.session() {
            Ok(session) => session,
            Err(problem) => return Fact::Unknown(problem),
        };
        match power_platform::application_packages(session, environment_id).await {
            Err(error) => Fact::Unknown(problem::of_call(&error)),
            Ok(list) if !list.complete && wanted.iter().any(|name| list.find(name).is_none()) => {
                Fact::Unknown(problem::incomplete_packages())
            }
            Ok(list) => {
                let wanted = wanted.iter().filter_map(|name| list.find(name));
                Fact::Known(wanted.map(facts::package).collect())
            }
        }
    }

    /// Whether an environment still names a finance and operations host.
    pub async fn integrated(&self, environment_id: &str, host: &str) -> Fact<bool> {
        let session = match self.session() {
            Ok(session) => session,
            Err(problem) => return Fact::Unknown(problem),
        };
        match power_platform::environment(session, environment_id).await {
            Err(error) => Fact::Unknown(problem::of_call(&error)),
            Ok(environment) => Fact::Known(facts::is_integrated(
                &facts::environment(&environment),
                host,
            )),
        }
    }

    /// L, as the service and the finance and operations host say. "No link" says something only if that host is up.
    pub async fn link(&self, context: &Context) -> LinkView {
        let service = match &self.service {
            Err(problem) => return LinkView::Unknown(problem.clone()),
            Ok(_) => self.service(),
        };
        let Some(service) = service else {
            return LinkView::NotObserved;
        };
        let host = &self.finance_operations;
        match dual_write::link(service.session, service.host, host.name()).await {
            Err(error) => LinkView::Unknown(problem::of_call(&error)),
            Ok(dual_write::LinkAnswer::Linked(link)) => facts::link(link),
            Ok(dual_write::LinkAnswer::None | dual_write::LinkAnswer::EntryWithoutId) => {
                match finance_operations::is_up(&context.http, host).await {
                    finance_operations::Up::Yes => LinkView::Absent,
                    finance_operations::Up::No(why) => LinkView::HostDown(why),
                }
            }
        }
    }
}
