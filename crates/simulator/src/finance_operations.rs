//! A finance and operations environment, as far as one can see it without signing in.
//!
//! - `financeOperationsRoot` [I]: a running environment redirects to the sign-in page; a stopped one
//!   does not answer: the connection breaks.

use http::{StatusCode, header};

use crate::reply::Reply;
use crate::router::Call;
use crate::state::Cloud;
use crate::world::World;

pub(crate) fn root(world: &mut World, call: &Call<'_>) -> Reply {
    let Some(financials) = world.state.finance_operations.get(call.host) else {
        return Reply::empty(StatusCode::NOT_FOUND);
    };
    if !financials.running {
        return Reply::dropped();
    }
    let authority = world
        .state
        .tenants
        .get(&financials.tenant_id)
        .map_or(Cloud::Public, |tenant| tenant.cloud)
        .authority();
    let location = format!(
        "https://{authority}/common/wsfed?wa=wsignin1.0&wtrealm=spn%3a00000015-0000-0000-c000-000000000000&wreply=https%3a%2f%2f{}%2f",
        call.host
    );
    Reply::empty(StatusCode::FOUND).header(header::LOCATION, location)
}
