//! Lists that come in pages.

use std::collections::HashSet;

use serde_json::Value;

use super::auth::{Audience, Session};
use super::clouds::RequestUrl;
use super::error::{Call, CallError};
use super::json::{self, Fields};

/// More pages than any tenant has; a server that never ends is not followed further.
const MAX_PAGES: usize = 1_000;
/// The items of all pages, where a list has no limit of its own.
pub(super) const MAX_ITEMS: usize = 100_000;
/// Clients have met both casings \[O\]; `nextLink` is the older Azure form.
const NEXT: [&str; 2] = ["@odata.nextLink", "nextLink"];

/// The items of all pages that were read.
pub(super) struct Pages<T> {
    pub(super) items: Vec<T>,
    /// Items that could not be read.
    pub(super) unreadable: usize,
    /// Every page was read to its end.
    pub(super) reached_end: bool,
}

/// Read all pages, turning each item into a `T` where that is possible; no further page after `most` items.
///
/// # Errors
/// A page cannot be read, is not a list, or links to another host: then nothing is known. A repeated link, too many
/// pages or too much in them end the reading; what was read stays, marked as not complete.
pub(super) async fn all<T>(
    session: &Session,
    call: Call,
    audience: &Audience,
    first: RequestUrl,
    most: usize,
    parse: impl Fn(Fields<'_>) -> Option<T>,
) -> Result<Pages<T>, CallError> {
    let mut pages = Pages {
        items: Vec::new(),
        unreadable: 0,
        reached_end: false,
    };
    let mut seen = HashSet::new();
    let mut url = first;
    let mut share = session.share();
    while seen.len() < MAX_PAGES && seen.insert(url.as_url().to_string()) {
        let answer = session.read_page(call, audience, &url, &mut share).await?;
        let body = answer.json()?;
        let fields =
            Fields::of(body).ok_or_else(|| answer.unexpected("the answer is not a list."))?;
        let items = fields
            .list("value")
            .ok()
            .flatten()
            .ok_or_else(|| answer.unexpected("the answer has no list \"value\" in it."))?;
        let mut kept = 0;
        for item in items {
            match Fields::of(item).and_then(&parse) {
                Some(read) => {
                    kept += size_of::<T>() + json::text_in(item);
                    pages.items.push(read);
                }
                None => pages.unreadable += 1,
            }
        }
        let next = match NEXT.iter().find_map(|name| fields.get(name)) {
            None => None,
            Some(Value::String(link)) if link.is_empty() => None,
            Some(Value::String(link)) => Some(link),
            Some(_) => return Err(answer.unexpected("the link to the next page is not a text.")),
        };
        let Some(link) = next else {
            pages.reached_end = true;
            break;
        };
        // Each link is remembered.
        let has_room = share.keep(kept + link.len()).await.is_ok();
        if !has_room || pages.items.len() + pages.unreadable > most {
            break;
        }
        url = url
            .host()
            .link(link)
            .map_err(|bad| answer.unexpected(format!("{bad}.")))?;
    }
    Ok(pages)
}
