//! Where dual-write is linked.

use super::send::To;
use crate::Call;
use crate::Session;
use crate::clouds::{self, AllowedHost};
use crate::error::CallError;
use crate::json::{Fields, Odd};

/// What the service says about one finance and operations environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkAnswer {
    /// An empty list: not linked, or the environment is stopped.
    None,
    /// An entry without a connection set: not linked.
    EntryWithoutId,
    /// Linked.
    Linked(Link),
}

/// A link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The id of the connection set.
    pub cid: String,
    /// The name of the connection set.
    pub cname: Option<String>,
    /// The Power Platform environment that dual-write is linked to.
    pub environment_id: Option<String>,
    /// The name that people see.
    pub display_name: Option<String>,
}

/// `GET api/DualWriteManagement/1.0/Environments?targetType=AX&identifier={host}`
///
/// [O Dual-write-automations, toolbAX]. `[]` or an entry without `cid` is "not linked".
///
/// # Errors
/// Everything that is not such a list, an empty body too; two entries that name different connection sets.
pub async fn link(
    session: &Session,
    service: &AllowedHost,
    finance_operations_host: &str,
) -> Result<LinkAnswer, CallError> {
    let to = To {
        session,
        service,
        call: Call::GetLink,
    };
    let query = [
        ("targetType", "AX"),
        ("identifier", finance_operations_host),
    ];
    let path = ["api", "DualWriteManagement", "1.0", "Environments"];
    let answer = to.get(&path, &query).await?;
    let body = answer.json()?;
    let entries = body
        .as_array()
        .ok_or_else(|| answer.unexpected("the answer is not a list of links."))?;
    if entries.is_empty() {
        return Ok(LinkAnswer::None);
    }
    let entries: Result<Vec<_>, Odd> = entries
        .iter()
        .map(|entry| {
            Fields::of(entry)
                .ok_or(Odd("(entry)"))
                .and_then(Entry::read)
        })
        .collect();
    let entries = entries.map_err(|odd| answer.unexpected(format!("{odd}.")))?;
    pick(entries, finance_operations_host).map_err(|why| answer.unexpected(why))
}

struct Entry {
    target: Option<String>,
    identifier: Option<String>,
    name: Option<String>,
    display_name: Option<String>,
    link: Option<Link>,
}

impl Entry {
    fn read(fields: Fields<'_>) -> Result<Self, Odd> {
        let cname = fields.text("cname")?;
        let (environment_id, display_name) = (
            fields.id("powerAppsEnvironment")?,
            fields.text("displayName")?,
        );
        let link = fields.id("cid")?.map(|cid| Link {
            cid,
            cname,
            environment_id,
            display_name: display_name.clone(),
        });
        Ok(Self {
            target: fields.text("targetType")?,
            identifier: fields.text("identifier")?,
            name: fields.text("name")?,
            display_name,
            link,
        })
    }

    /// The service was asked for one host, so an entry that names none is taken to be for it; one that names another in any
    /// field is not. What people read is the host in some answers and a title in others [O].
    fn is_for(&self, wanted: &str) -> bool {
        let ax = self
            .target
            .as_deref()
            .is_none_or(|target| target.eq_ignore_ascii_case("AX"));
        let ids = [&self.identifier, &self.name].into_iter().flatten();
        let ids = ids.filter(|id| id.contains('.')).map(|id| host_in(id));
        let title = self.display_name.as_deref().map(host_in);
        let title = title.filter(|title| is_host_beside(title, wanted));
        ax && ids.chain(title).all(|host| host == wanted)
    }
}

/// A host name, also of a URL, as it is compared.
fn host_in(text: &str) -> String {
    let text = text.trim().to_ascii_lowercase();
    let host = text.strip_prefix("https://").unwrap_or(&text);
    host.trim_end_matches('/').to_owned()
}

/// Whether a title is the name of a host in the domain of another: "Contoso.UAT" is none.
fn is_host_beside(title: &str, host: &str) -> bool {
    let domain = host.rsplitn(3, '.').take(2);
    clouds::is_host_name(title) && title.rsplitn(3, '.').take(2).eq(domain)
}

/// The one link of the host. Entries that are all for something else say nothing about it.
fn pick(entries: Vec<Entry>, host: &str) -> Result<LinkAnswer, &'static str> {
    let host = host_in(host);
    let ours: Vec<Entry> = entries
        .into_iter()
        .filter(|entry| entry.is_for(&host))
        .collect();
    if ours.is_empty() {
        return Err(
            "the answer has links in it, but none for this finance and operations environment.",
        );
    }
    let mut links = ours.into_iter().filter_map(|entry| entry.link);
    let Some(first) = links.next() else {
        return Ok(LinkAnswer::EntryWithoutId);
    };
    for other in links {
        if other.cid != first.cid {
            return Err(
                "the answer has two links with different connection sets for this environment.",
            );
        }
        if other.environment_id != first.environment_id {
            return Err(
                "the answer has two links to different Power Platform environments for this environment.",
            );
        }
    }
    Ok(LinkAnswer::Linked(first))
}
