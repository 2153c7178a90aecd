//! A connection set: the two sides of a link, and the companies that take part.

use crate::Call;
use serde_json::Value;

use super::integration_keys::integration_keys;
use super::send::To;
use crate::Session;
use crate::clouds::AllowedHost;
use crate::error::CallError;
use crate::json::{self, Fields, Odd};

/// A connection set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionSet {
    /// The connection set id.
    pub id: Option<String>,
    /// The name by which it is asked for.
    pub name: Option<String>,
    /// The sides.
    pub environments: Vec<ConnectionSetEnvironment>,
    /// The companies, by the name on the left side, each once [O Dual-write-automations].
    pub legal_entities: Vec<String>,
    /// The integration keys of the Dataverse side: columns by table [O Dual-write-automations].
    pub integration_keys: Vec<(String, Vec<String>)>,
}

impl ConnectionSet {
    /// The Dataverse side; none also if there are several.
    pub fn dataverse(&self) -> Option<&ConnectionSetEnvironment> {
        only(self.environments.iter().filter(|side| side.is_dataverse()))
    }

    /// The finance and operations side; none also if there are several.
    pub fn finance_operations(&self) -> Option<&ConnectionSetEnvironment> {
        only(
            self.environments
                .iter()
                .filter(|side| side.is_finance_operations()),
        )
    }
}

/// The one item: which of several is meant is not guessed.
fn only<T>(mut items: impl Iterator<Item = T>) -> Option<T> {
    let first = items.next();
    first.filter(|_| items.next().is_none())
}

/// One side of a connection set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionSetEnvironment {
    /// The name that the service uses.
    pub name: Option<String>,
    /// `AX` for finance and operations; `CRM`, or a text with `CDS` in it, for Dataverse.
    pub target_type: Option<String>,
    /// The name that people see.
    pub display_name: Option<String>,
    /// The Power Platform environment id.
    pub environment_id: Option<String>,
    /// The URL of the side.
    pub direct_url: Option<String>,
    /// Whether it is a development environment.
    pub is_dev_instance: Option<bool>,
}

impl ConnectionSetEnvironment {
    fn is_finance_operations(&self) -> bool {
        self.target_type
            .as_deref()
            .is_some_and(|target| target.eq_ignore_ascii_case("AX"))
    }

    fn is_dataverse(&self) -> bool {
        let target = self.target_type.as_deref().map(str::to_ascii_uppercase);
        target.is_some_and(|target| target == "CRM" || target.contains("CDS"))
    }

    fn read(fields: Fields<'_>) -> Result<Self, Odd> {
        Ok(Self {
            name: fields.text("name")?,
            target_type: fields.text("targetType")?,
            display_name: fields
                .text("environmentDisplayName")?
                .or(fields.text("displayName")?),
            environment_id: fields.text("powerAppsEnvironment")?,
            direct_url: fields.text("directUrl")?,
            is_dev_instance: fields.flag("isDevInstance")?,
        })
    }
}

/// `GET api/ConnectionSet/{cname}` [O Dual-write-automations, toolbAX].
///
/// # Errors
/// The answer cannot be read, or a known field of it has another kind than expected.
pub async fn connection_set(
    session: &Session,
    service: &AllowedHost,
    cname: &str,
) -> Result<ConnectionSet, CallError> {
    let to = To {
        session,
        service,
        call: Call::GetConnectionSet,
    };
    let answer = to.get(&["api", "ConnectionSet", cname], &[]).await?;
    let body = answer.json()?;
    answer.is_held(json::text_in(body))?;
    let fields =
        Fields::of(body).ok_or_else(|| answer.unexpected("the answer is not an object."))?;
    read(fields).map_err(|odd| answer.unexpected(format!("{odd}.")))
}

fn read(fields: Fields<'_>) -> Result<ConnectionSet, Odd> {
    // Keyed by name as observed; a list is accepted too.
    let sides: Vec<&Value> = match fields.get("environments") {
        Some(Value::Object(by_name)) => by_name.values().collect(),
        Some(Value::Array(list)) => list.iter().collect(),
        _ => return Err(Odd("environments")),
    };
    let mut environments = Vec::new();
    let mut keys = Vec::new();
    for side in sides {
        let fields = Fields::of(side).ok_or(Odd("environments"))?;
        let side = ConnectionSetEnvironment::read(fields)?;
        if side.is_dataverse() {
            keys.extend(integration_keys(fields)?);
        }
        environments.push(side);
    }
    Ok(ConnectionSet {
        id: fields.text("id")?,
        name: fields.text("name")?,
        environments,
        legal_entities: legal_entities(fields)?,
        integration_keys: keys,
    })
}

fn legal_entities(fields: Fields<'_>) -> Result<Vec<String>, Odd> {
    let mappings = match fields.object("dualWriteDetail")? {
        Some(detail) => detail.object("legalEntityMappings")?,
        None => None,
    };
    let mut names = Vec::new();
    for mapping in mappings
        .map(|m| m.list("mappings"))
        .transpose()?
        .flatten()
        .unwrap_or_default()
    {
        let left = Fields::of(mapping).ok_or(Odd("mappings"))?.object("left")?;
        let name = left.map(|left| left.text("name")).transpose()?.flatten();
        names.extend(name.filter(|name| !names.contains(name)));
    }
    Ok(names)
}
