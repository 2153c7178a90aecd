//! The token endpoint of Microsoft Entra ID.
//!
//! - `token` [D]: `POST /{tenant}/oauth2/v2.0/token`, form-encoded. Client credentials with a secret,
//!   a certificate or a federated token; for the dual-write service only the password and
//!   refresh-token grants of the public client [O].
//! - `deviceCode` [D]: `POST /{tenant}/oauth2/v2.0/devicecode`. That the public client of the
//!   dual-write service may use it is [I].
//! - That an application asking for the dual-write audience is refused is [O]; that the refusal is
//!   AADSTS65002 is [I].

mod assertion;
mod device;
mod errors;

use serde_json::json;
use uuid::Uuid;

use crate::access::DUAL_WRITE_AUDIENCE;
use crate::reply::Reply;
use crate::router::Call;
use crate::state::{Account, Application, Cloud, Tenant, host_of};
use crate::world::{Identity, World};
use errors::{EntraError, refusal};

/// The public client with which Microsoft's portal and tools reach the dual-write service [O].
const DUAL_WRITE_CLIENT: &str = "2e49aa60-1bd3-43b6-8ab6-03ada3d9f08b";
/// Wrong passwords in a row that lock an account [D].
const MOST_WRONG_PASSWORDS: u32 = 10;
/// Refresh tokens that an account keeps.
const MOST_REFRESH_TOKENS: usize = 50;

type Form = Vec<(String, String)>;

fn field<'f>(form: &'f Form, name: &str) -> Option<&'f str> {
    form.iter()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.as_str())
        .filter(|value| !value.is_empty())
}

fn required<'f>(form: &'f Form, name: &str) -> Result<&'f str, EntraError> {
    field(form, name).ok_or_else(|| EntraError::MissingParameter(name.to_owned()))
}

pub(crate) use device::{DeviceCode, begin as device_code};

pub(crate) fn token(world: &mut World, call: &Call<'_>) -> Reply {
    let form: Form = url::form_urlencoded::parse(call.body)
        .into_owned()
        .collect();
    match grant(world, call, &form) {
        Ok(body) => Reply::ok(body),
        Err(error) => refusal(&error, call.host),
    }
}

fn grant(world: &mut World, call: &Call<'_>, form: &Form) -> Result<serde_json::Value, EntraError> {
    let tenant_id = call.part(0).to_owned();
    let tenant = world
        .state
        .tenants
        .get(&tenant_id)
        .filter(|tenant| tenant.cloud.authority() == call.host)
        .ok_or_else(|| EntraError::TenantNotFound(tenant_id.clone()))?;
    let cloud = tenant.cloud;
    match required(form, "grant_type")? {
        "client_credentials" => {
            let client = application(tenant, &tenant_id, call.host, form)?;
            let audience = audience(world, cloud, &tenant_id, form)?;
            if audience == DUAL_WRITE_AUDIENCE {
                return Err(EntraError::NotPreauthorised(client));
            }
            Ok(issue(world, &tenant_id, client, false, audience))
        }
        "password" => {
            dual_write_client(tenant, &tenant_id, form)?;
            let audience = audience(world, cloud, &tenant_id, form)?;
            let user = password(world, &tenant_id, form)?;
            let scope = field(form, "scope").unwrap_or_default();
            Ok(issue_delegated(
                world, &tenant_id, user, audience, scope, false,
            ))
        }
        "refresh_token" => {
            dual_write_client(tenant, &tenant_id, form)?;
            let audience = audience(world, cloud, &tenant_id, form)?;
            let (user, is_strong) = refresh(world, &tenant_id, form)?;
            let scope = field(form, "scope").unwrap_or_default();
            Ok(issue_delegated(
                world, &tenant_id, user, audience, scope, is_strong,
            ))
        }
        device::GRANT => device::redeem(world, &tenant_id, form),
        other => Err(EntraError::UnsupportedGrant(other.to_owned())),
    }
}

/// The application that signs in; its client id.
fn application(
    tenant: &Tenant,
    tenant_id: &str,
    host: &str,
    form: &Form,
) -> Result<String, EntraError> {
    let client = required(form, "client_id")?;
    let (id, application) = tenant
        .applications
        .get_key_value(&client.to_ascii_lowercase())
        .or_else(|| tenant.applications.get_key_value(client))
        .ok_or_else(|| EntraError::ApplicationNotFound {
            client: client.to_owned(),
            tenant: tenant_id.to_owned(),
        })?;
    if field(form, "client_assertion").is_some() {
        assertion::check(id, application, tenant_id, host, form)?;
    } else {
        secret(id, application, form)?;
    }
    if !application.consent {
        return Err(EntraError::NoConsent(id.clone()));
    }
    Ok(id.clone())
}

fn secret(id: &str, application: &Application, form: &Form) -> Result<(), EntraError> {
    let secret = field(form, "client_secret").ok_or(EntraError::NoClientCredential)?;
    if !application.secrets.iter().any(|known| known == secret) {
        return Err(EntraError::WrongSecret(id.to_owned()));
    }
    if application.expired {
        return Err(EntraError::ExpiredSecret(id.to_owned()));
    }
    Ok(())
}

/// Only the public client is authorised for the dual-write service.
fn dual_write_client(tenant: &Tenant, tenant_id: &str, form: &Form) -> Result<(), EntraError> {
    let client = required(form, "client_id")?;
    if client.eq_ignore_ascii_case(DUAL_WRITE_CLIENT) {
        return Ok(());
    }
    if tenant.applications.contains_key(client) {
        return Err(EntraError::NotPreauthorised(client.to_owned()));
    }
    Err(EntraError::ApplicationNotFound {
        client: client.to_owned(),
        tenant: tenant_id.to_owned(),
    })
}

/// The resource that the scope asks for.
fn audience(
    world: &World,
    cloud: Cloud,
    tenant_id: &str,
    form: &Form,
) -> Result<String, EntraError> {
    let scopes = required(form, "scope")?;
    let resource = scopes
        .split_whitespace()
        .find_map(|scope| scope.strip_suffix("/.default"))
        .ok_or_else(|| EntraError::InvalidScope(scopes.to_owned()))?;
    let unknown = || EntraError::ResourceNotFound {
        resource: resource.to_owned(),
        tenant: tenant_id.to_owned(),
    };
    let host = resource
        .strip_prefix("https://")
        .and_then(host_of)
        .ok_or_else(unknown)?;
    let known = host == DUAL_WRITE_AUDIENCE
        || host == cloud.power_platform()
        || cloud.other_scope() == Some(&host)
        || world
            .environment_of_dataverse(&host)
            .and_then(|id| world.state.environments.get(id))
            .is_some_and(|environment| environment.tenant_id == tenant_id);
    if known { Ok(host) } else { Err(unknown()) }
}

/// Checks a password; the user name as the scenario writes it.
fn password(world: &mut World, tenant_id: &str, form: &Form) -> Result<String, EntraError> {
    let name = required(form, "username")?;
    let given = required(form, "password")?;
    let not_found = || EntraError::UserNotFound {
        user: name.to_owned(),
        tenant: tenant_id.to_owned(),
    };
    let tenant = world
        .state
        .tenants
        .get_mut(tenant_id)
        .ok_or_else(not_found)?;
    let (user, account) = tenant
        .accounts
        .iter_mut()
        .find(|(user, _)| user.eq_ignore_ascii_case(name))
        .ok_or_else(not_found)?;
    if account.locked {
        return Err(EntraError::AccountLocked);
    }
    if account.password != given {
        account.failed_sign_ins += 1;
        account.wrong_passwords += 1;
        if account.failed_sign_ins >= MOST_WRONG_PASSWORDS {
            account.locked = true;
            return Err(EntraError::AccountLocked);
        }
        return Err(EntraError::WrongPassword);
    }
    account.failed_sign_ins = 0;
    may_use(account)?;
    Ok(user.clone())
}

fn may_use(account: &Account) -> Result<(), EntraError> {
    if account.mfa {
        return Err(EntraError::MfaRequired);
    }
    if !account.consent {
        return Err(EntraError::NoConsent(DUAL_WRITE_CLIENT.to_owned()));
    }
    Ok(())
}

/// What a token that was given after a second factor begins with: it stands for both factors [D].
const STRONG: &str = "1.simulated.strong.";

/// The account of a refresh token, and whether a second factor stands behind it. Whether the used one stays good is the
/// scenario's to say.
fn refresh(world: &mut World, tenant_id: &str, form: &Form) -> Result<(String, bool), EntraError> {
    let given = required(form, "refresh_token")?;
    let (user, account) = world
        .state
        .tenants
        .get_mut(tenant_id)
        .into_iter()
        .flat_map(|tenant| &mut tenant.accounts)
        .find(|(_, account)| account.refresh_tokens.iter().any(|known| known == given))
        .ok_or(EntraError::InvalidRefreshToken)?;
    if account.refresh_tokens_expired {
        return Err(EntraError::ExpiredRefreshToken);
    }
    if account.locked {
        return Err(EntraError::AccountLocked);
    }
    let is_strong = given.starts_with(STRONG);
    if !is_strong {
        may_use(account)?;
    }
    if account.refresh_tokens_once {
        account.refresh_tokens.retain(|known| known != given);
    }
    Ok((user.clone(), is_strong))
}

fn issue(
    world: &mut World,
    tenant_id: &str,
    name: String,
    is_user: bool,
    audience: String,
) -> serde_json::Value {
    let identity = Identity {
        tenant_id: tenant_id.to_owned(),
        name,
        is_user,
    };
    let (token, lifetime) = world.issue(identity, audience);
    json!({
        "token_type": "Bearer",
        "expires_in": lifetime.as_secs(),
        "ext_expires_in": lifetime.as_secs(),
        "access_token": token,
    })
}

fn issue_delegated(
    world: &mut World,
    tenant_id: &str,
    user: String,
    audience: String,
    scopes: &str,
    is_strong: bool,
) -> serde_json::Value {
    let refresh_token = scopes
        .split_whitespace()
        .any(|scope| scope == "offline_access")
        .then(|| new_refresh_token(world, tenant_id, &user, is_strong))
        .flatten();
    let resource = if audience == DUAL_WRITE_AUDIENCE {
        "https://IntegratorApp.com".to_owned()
    } else {
        format!("https://{audience}")
    };
    let mut body = issue(world, tenant_id, user, true, audience);
    if let Some(fields) = body.as_object_mut() {
        fields.insert(
            "scope".to_owned(),
            json!(format!("{resource}/user_impersonation {resource}/.default")),
        );
        if let Some(token) = refresh_token {
            fields.insert("refresh_token".to_owned(), json!(token));
        }
    }
    body
}

/// Refresh tokens rotate, and the one that was used stays good [D], unless the scenario says otherwise.
fn new_refresh_token(
    world: &mut World,
    tenant_id: &str,
    user: &str,
    is_strong: bool,
) -> Option<String> {
    let account = world
        .state
        .tenants
        .get_mut(tenant_id)?
        .accounts
        .get_mut(user)?;
    let start = if is_strong { STRONG } else { "1.simulated." };
    let token = format!("{start}{}", Uuid::new_v4().simple());
    account.refresh_tokens.push(token.clone());
    let surplus = account
        .refresh_tokens
        .len()
        .saturating_sub(MOST_REFRESH_TOKENS);
    account.refresh_tokens.drain(..surplus);
    Some(token)
}
