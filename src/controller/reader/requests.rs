//! What Microsoft says of a request that it has accepted.

use super::{facts, problem};
use crate::controller::reach::{Reach, Service};
use dualwrite_microsoft::{
    Api,
    dual_write::{self, RequestState},
    error::CallError,
    power_platform::{self, OperationState, OperationStatus, RemoteOperation},
};
use dualwrite_plan::{
    observed::{Fact, LinkFacts},
    operation::RemoteState,
};

impl Reach {
    /// The installation of an application package.
    pub async fn installation(&self, environment_id: &str, id: &str) -> Fact<RemoteState> {
        let session = match self.session() {
            Ok(session) => session,
            Err(problem) => return Fact::Unknown(problem),
        };
        let operation = RemoteOperation::recorded(id);
        match power_platform::operation(session, environment_id, &operation).await {
            Err(error) => Fact::Unknown(problem::of_call(&error)),
            Ok(status) => Fact::Known(match status.state {
                OperationState::Running => RemoteState::Running,
                OperationState::Succeeded => RemoteState::Succeeded,
                OperationState::Gone => RemoteState::Gone,
                OperationState::Failed | OperationState::Canceled => {
                    RemoteState::Failed(why_it_failed(&status))
                }
            }),
        }
    }
}

fn why_it_failed(status: &OperationStatus) -> String {
    let error = status.error.as_ref().and_then(facts::error);
    let told = || {
        let told = status.message.as_deref()?;
        Some(problem::explained(Api::PowerPlatform, told))
    };
    error
        .or_else(told)
        .unwrap_or_else(|| format!("Microsoft gives no reason ({:?}).", status.state))
}

impl Service<'_> {
    /// The application of a solution.
    pub async fn solution_request(self, link: &LinkFacts, id: &str) -> Fact<RemoteState> {
        let set = &link.connection_set_id;
        state(dual_write::solution_request(self.session, self.host, set, id).await)
    }

    /// A change of table maps.
    pub async fn map_request(self, id: &str) -> Fact<RemoteState> {
        state(dual_write::map_request(self.session, self.host, id).await)
    }
}

fn state(asked: Result<RequestState, CallError>) -> Fact<RemoteState> {
    match asked {
        Err(error) => Fact::Unknown(problem::of_call(&error)),
        Ok(RequestState::Running) => Fact::Known(RemoteState::Running),
        Ok(RequestState::Succeeded) => Fact::Known(RemoteState::Succeeded),
        Ok(RequestState::Gone) => Fact::Known(RemoteState::Gone),
        Ok(RequestState::Failed(why)) => Fact::Known(RemoteState::Failed(problem::explained(
            Api::DualWrite,
            &why,
        ))),
    }
}
