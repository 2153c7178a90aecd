//! The device code flow [D]: a person signs in elsewhere while the program asks again and again.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use uuid::Uuid;

use super::errors::{EntraError, refusal};
use super::{Form, dual_write_client, issue_delegated, required};
use crate::access::DUAL_WRITE_AUDIENCE;
use crate::reply::Reply;
use crate::router::Call;
use crate::world::World;

pub(super) const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// How long a code is good.
const LIFE: Duration = Duration::from_mins(15);
/// How many codes may wait.
const MOST_CODES: usize = 100;

/// A code that waits for a person.
#[derive(Debug)]
pub(crate) struct DeviceCode {
    code: String,
    tenant_id: String,
    scopes: String,
    until: Instant,
}

/// `POST /{tenant}/oauth2/v2.0/devicecode`
pub(crate) fn begin(world: &mut World, call: &Call<'_>) -> Reply {
    let form: Form = url::form_urlencoded::parse(call.body)
        .into_owned()
        .collect();
    match begun(world, call, &form) {
        Ok(body) => Reply::ok(body),
        Err(error) => refusal(&error, call.host),
    }
}

fn begun(world: &mut World, call: &Call<'_>, form: &Form) -> Result<Value, EntraError> {
    let tenant_id = call.part(0).to_owned();
    let tenant = world
        .state
        .tenants
        .get(&tenant_id)
        .filter(|tenant| tenant.cloud.authority() == call.host)
        .ok_or_else(|| EntraError::TenantNotFound(tenant_id.clone()))?;
    dual_write_client(tenant, &tenant_id, form)?;
    let scopes = required(form, "scope")?.to_owned();
    let code = Uuid::new_v4().simple().to_string();
    let body = json!({
        "user_code": code[..9].to_uppercase(),
        "device_code": code,
        "verification_uri": "https://microsoft.com/devicelogin",
        "expires_in": LIFE.as_secs(),
        "interval": 1,
        "message": "To sign in, use a web browser to open the page https://microsoft.com/devicelogin.",
    });
    world.device_codes.truncate(MOST_CODES - 1);
    world.device_codes.insert(
        0,
        DeviceCode {
            code,
            tenant_id,
            scopes,
            until: Instant::now() + LIFE,
        },
    );
    Ok(body)
}

/// The tokens, once a person has signed in. Whoever does says the scenario (`signsInByDeviceCode`); the second factor is
/// no obstacle then, and stands behind the refresh token.
pub(super) fn redeem(world: &mut World, tenant_id: &str, form: &Form) -> Result<Value, EntraError> {
    let given = required(form, "device_code")?;
    let position = world
        .device_codes
        .iter()
        .position(|known| known.code == given && known.tenant_id == tenant_id)
        .ok_or(EntraError::BadDeviceCode)?;
    if world.device_codes[position].until <= Instant::now() {
        return Err(EntraError::ExpiredDeviceCode);
    }
    let user = world.state.tenants.get(tenant_id).and_then(|tenant| {
        let mut accounts = tenant.accounts.iter();
        let signed_in = accounts.find(|(_, account)| account.signs_in_by_device_code);
        signed_in.map(|(user, _)| user.clone())
    });
    let user = user.ok_or(EntraError::AuthorizationPending)?;
    let code = world.device_codes.remove(position);
    let audience = DUAL_WRITE_AUDIENCE.to_owned();
    Ok(issue_delegated(
        world,
        tenant_id,
        user,
        audience,
        &code.scopes,
        true,
    ))
}
