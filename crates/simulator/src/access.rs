//! Who may call: tokens, audiences, and the headers that every answer of a service has.

use http::{HeaderMap, HeaderName, StatusCode, header};
use serde_json::json;
use uuid::Uuid;

use crate::reply::Reply;
use crate::router::HostKind;
use crate::state::Cloud;
use crate::world::{Identity, World};

/// The audience of tokens for the dual-write service [O].
pub(crate) const DUAL_WRITE_AUDIENCE: &str = "integratorapp.com";

/// The bearer token of a request.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Checks the token of a call: the identity, none where no sign-in is needed, or the refusal.
pub(crate) fn authorize(
    world: &World,
    kind: HostKind,
    host: &str,
    headers: &HeaderMap,
) -> Result<Option<Identity>, Box<Reply>> {
    let fits: fn(&World, &str, &str) -> bool = match kind {
        HostKind::Authority | HostKind::FinanceOperations | HostKind::Unknown => return Ok(None),
        HostKind::PowerPlatform => |_, audience, host| {
            let cloud = Cloud::ALL
                .into_iter()
                .find(|cloud| cloud.power_platform() == host);
            audience == host || cloud.and_then(Cloud::other_scope) == Some(audience)
        },
        HostKind::Dataverse => |_, audience, host| audience == host,
        HostKind::DualWrite => |_, audience, _| audience == DUAL_WRITE_AUDIENCE,
    };
    bearer(headers)
        .and_then(|text| world.token(text))
        .filter(|token| fits(world, &token.audience, host) && exists(world, &token.identity))
        .map(|token| Some(token.identity.clone()))
        .ok_or_else(|| Box::new(unauthorized(world, host)))
}

fn exists(world: &World, identity: &Identity) -> bool {
    world
        .state
        .tenants
        .get(&identity.tenant_id)
        .is_some_and(|tenant| {
            if identity.is_user {
                tenant.accounts.contains_key(&identity.name)
            } else {
                tenant.applications.contains_key(&identity.name)
            }
        })
}

/// 401 in the shape of the service at a host.
pub(crate) fn unauthorized(world: &World, host: &str) -> Reply {
    let kind = world.host_kind(host);
    let tenant = world
        .environment_of_dataverse(host)
        .and_then(|id| world.state.environments.get(id))
        .map_or("common", |environment| environment.tenant_id.as_str());
    let challenge = match kind {
        HostKind::Dataverse => format!(
            "Bearer authorization_uri=https://login.microsoftonline.com/{tenant}/oauth2/authorize, resource_id=https://{host}/"
        ),
        HostKind::PowerPlatform => format!(
            "Bearer authorization_uri=\"https://login.windows.net/common\", error=\"invalid_token\", resource_id=\"https://{host}\""
        ),
        _ => "Bearer error=\"invalid_token\"".to_owned(),
    };
    let reply = match kind {
        HostKind::PowerPlatform => error(
            StatusCode::UNAUTHORIZED,
            "Unauthorized",
            "The token is missing, has expired or is for another audience.",
        ),
        _ => Reply::empty(StatusCode::UNAUTHORIZED),
    };
    reply.header(header::WWW_AUTHENTICATE, challenge)
}

/// An error in the shape `{"error":{"code","message"}}`.
pub(crate) fn error(status: StatusCode, code: &str, message: &str) -> Reply {
    Reply::json(status, json!({"error": {"code": code, "message": message}}))
}

/// The headers by which Microsoft's support finds a call again.
pub(crate) fn add_correlation(kind: HostKind, reply: &mut Reply) {
    let names: &[&'static str] = match kind {
        HostKind::Authority | HostKind::DualWrite => &["x-ms-request-id"],
        HostKind::PowerPlatform => &["x-ms-correlation-request-id", "x-ms-request-id"],
        HostKind::Dataverse => &["req_id", "x-ms-service-request-id"],
        HostKind::FinanceOperations | HostKind::Unknown => &[],
    };
    for name in names {
        reply
            .headers
            .push((HeaderName::from_static(name), Uuid::new_v4().to_string()));
    }
}
