//! Environments of Power Platform, and the finance and operations environment that each is integrated with.

use super::{AUDIENCE, ENVIRONMENTS_VERSION, url};
use crate::Call;
use crate::error::CallError;
use crate::json::{Fields, Odd};
use crate::{Session, paging};

/// One environment. Unknown fields of the answer are ignored; `null` and absent are alike; values keep their casing
/// and are cut at 2 KiB.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Environment {
    /// The environment id.
    pub id: String,
    /// The name that people see.
    pub display_name: Option<String>,
    /// `type`: Sandbox, Production, Trial, Developer, Default and others.
    pub kind: Option<String>,
    /// `state`: see [`Environment::readiness`].
    pub state: Option<String>,
    /// `adminMode`: see [`Environment::readiness`].
    pub admin_mode: Option<String>,
    /// The Dataverse organisation id; absent without Dataverse.
    pub dataverse_id: Option<String>,
    /// The URL of the Dataverse instance.
    pub url: Option<String>,
    /// The first label of the Dataverse host.
    pub domain_name: Option<String>,
    /// The tenant.
    pub tenant_id: Option<String>,
    /// The geography.
    pub geo: Option<String>,
    /// The integrated finance and operations environment; absent when there is none.
    pub finops: Option<FinOpsMetadata>,
}

/// The finance and operations environment that an environment is integrated with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FinOpsMetadata {
    /// The environment id in Lifecycle Services.
    pub id: Option<String>,
    /// `type`: `Linked` (managed in Lifecycle Services) or `Internal` (unified environment).
    pub kind: Option<String>,
    /// The finance and operations URL, with or without a trailing slash.
    pub url: Option<String>,
}

/// Whether an environment can be worked with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// In normal use.
    Ready,
    /// In administration mode.
    AdministrationMode,
    /// Disabled.
    Disabled,
    /// Being prepared, copied, restored or the like; the state as Microsoft names it.
    Busy(String),
}

/// The environments that the identity may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvironmentList {
    /// Those that could be read.
    pub environments: Vec<Environment>,
    /// Every page was read, and every item on it.
    pub complete: bool,
    /// Items that could not be read.
    pub unreadable: usize,
}

impl EnvironmentList {
    /// About how much memory it takes, in bytes.
    pub fn bytes(&self) -> usize {
        let each = self.environments.iter().map(Environment::bytes);
        each.sum()
    }
}

impl Environment {
    fn bytes(&self) -> usize {
        let finops = self.finops.iter();
        let of_finops = finops.flat_map(|finops| [&finops.id, &finops.kind, &finops.url]);
        let texts = [
            &self.display_name,
            &self.kind,
            &self.state,
            &self.admin_mode,
            &self.dataverse_id,
            &self.url,
            &self.domain_name,
            &self.tenant_id,
            &self.geo,
        ];
        let texts = texts.into_iter().chain(of_finops).flatten();
        size_of::<Self>() + self.id.len() + texts.map(String::len).sum::<usize>()
    }

    /// Ready, or why not. An unknown state is busy; an unknown or absent administration mode is off.
    ///
    /// \[I\] for the lists of values: `Enabled` and `Ready` are normal use.
    pub fn readiness(&self) -> Readiness {
        let is = |value: &Option<String>, word: &str| {
            value.as_ref().is_some_and(|v| v.eq_ignore_ascii_case(word))
        };
        match &self.state {
            state if is(state, "Disabled") => Readiness::Disabled,
            state if is(state, "Enabled") || is(state, "Ready") => {
                if is(&self.admin_mode, "Enabled") || is(&self.admin_mode, "true") {
                    Readiness::AdministrationMode
                } else {
                    Readiness::Ready
                }
            }
            Some(state) => Readiness::Busy(state.clone()),
            None => Readiness::Busy("state not reported".to_owned()),
        }
    }

    fn read(fields: Fields<'_>) -> Result<Self, Odd> {
        let finops = fields
            .object("finOpsMetadata")?
            .map(FinOpsMetadata::read)
            .transpose()?;
        Ok(Self {
            id: fields.id("id")?.ok_or(Odd("id"))?,
            display_name: fields.text("displayName")?,
            kind: fields.text("type")?,
            state: fields.text("state")?,
            admin_mode: fields.text("adminMode")?,
            dataverse_id: fields.text("dataverseId")?,
            url: fields.text("url")?,
            domain_name: fields.text("domainName")?,
            tenant_id: fields.text("tenantId")?,
            geo: fields.text("geo")?,
            finops,
        })
    }
}

impl FinOpsMetadata {
    fn read(fields: Fields<'_>) -> Result<Self, Odd> {
        Ok(Self {
            id: fields.text("id")?,
            kind: fields.text("type")?,
            url: fields.text("url")?,
        })
    }
}

/// `GET /environmentmanagement/environments`, all pages.
///
/// \[D\] Power Platform API reference, "Environments"; the two casings of the next link [O
/// microsoft/terraform-provider-power-platform]. A list shows only what the identity's role may see.
///
/// # Errors
/// A page could not be read, or its link leads to another host.
pub async fn environments(session: &Session) -> Result<EnvironmentList, CallError> {
    let call = Call::ListEnvironments;
    let query = [("api-version", ENVIRONMENTS_VERSION)];
    let first = url(
        session,
        call,
        &["environmentmanagement", "environments"],
        &query,
    )?;
    let pages = paging::all(
        session,
        call,
        &AUDIENCE,
        first,
        paging::MAX_ITEMS,
        |fields| Environment::read(fields).ok(),
    )
    .await?;
    Ok(EnvironmentList {
        complete: pages.reached_end && pages.unreadable == 0,
        environments: pages.items,
        unreadable: pages.unreadable,
    })
}

/// `GET /environmentmanagement/environments/{id}` \[D\] Power Platform API reference, "Environments".
///
/// # Errors
/// Status 404 when it does not exist or the identity may not see it.
pub async fn environment(session: &Session, id: &str) -> Result<Environment, CallError> {
    let call = Call::GetEnvironment;
    let query = [("api-version", ENVIRONMENTS_VERSION)];
    let url = url(
        session,
        call,
        &["environmentmanagement", "environments", id],
        &query,
    )?;
    let answer = session.read(call, &AUDIENCE, &url).await?;
    let body = answer.json()?;
    let fields =
        Fields::of(body).ok_or_else(|| answer.unexpected("the answer is not an object."))?;
    Environment::read(fields).map_err(|odd| answer.unexpected(format!("{odd}.")))
}
