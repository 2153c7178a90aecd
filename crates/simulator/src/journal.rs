//! The journal of everything that changes state, and the counts of all calls.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::watch;

/// The oldest entries make room.
const MOST_ENTRIES: usize = 100_000;
/// And so they do above this many bytes of bodies.
const MOST_BYTES: usize = 128 * 1024 * 1024;
/// A body above this size is not kept.
pub(crate) const MOST_BODY: usize = 64 * 1024;
/// Counts of further hosts go under this name.
const MOST_HOSTS: usize = 20_000;
const OTHER_HOSTS: &str = "(other hosts)";

/// One call that changes state, or tried to.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Entry {
    pub(crate) at: Timestamp,
    /// The time of the Microsoft side.
    pub(crate) simulated_at: Timestamp,
    pub(crate) call: &'static str,
    pub(crate) method: String,
    pub(crate) host: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) body: Value,
    /// The client id or the user name, never a secret.
    pub(crate) identity: Option<String>,
    pub(crate) status: Option<u16>,
    /// The effect happened.
    pub(crate) applied: bool,
    /// An answer was given to the connection.
    pub(crate) answered: bool,
    pub(crate) fault: Option<String>,
    /// The size of the body.
    #[serde(skip)]
    pub(crate) size: usize,
}

#[derive(Debug, Default)]
struct Inner {
    entries: VecDeque<Entry>,
    /// The number of the first entry that is kept.
    first: u64,
    /// How many entries made room.
    dropped: u64,
    /// The bodies of all entries.
    bytes: usize,
}

/// Everything that changed state, in order.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    inner: Mutex<Inner>,
}

impl Journal {
    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an entry; its number lets it be completed.
    pub(crate) fn begin(&self, entry: Entry) -> u64 {
        let mut inner = self.inner();
        inner.bytes += entry.size;
        while inner.entries.len() >= MOST_ENTRIES || inner.bytes > MOST_BYTES {
            let Some(oldest) = inner.entries.pop_front() else {
                break;
            };
            inner.bytes -= oldest.size;
            inner.first += 1;
            inner.dropped += 1;
        }
        inner.entries.push_back(entry);
        inner.first + inner.entries.len() as u64 - 1
    }

    pub(crate) fn update(&self, number: u64, change: impl FnOnce(&mut Entry)) {
        let mut inner = self.inner();
        let position = number
            .checked_sub(inner.first)
            .and_then(|position| usize::try_from(position).ok());
        if let Some(entry) = position.and_then(|position| inner.entries.get_mut(position)) {
            change(entry);
        }
    }

    pub(crate) fn list(&self) -> (Vec<Entry>, u64) {
        let inner = self.inner();
        (inner.entries.iter().cloned().collect(), inner.dropped)
    }

    pub(crate) fn clear(&self) {
        let mut inner = self.inner();
        inner.first += inner.entries.len() as u64;
        inner.entries.clear();
        inner.bytes = 0;
        inner.dropped = 0;
    }
}

/// A request body as the journal shows it. Of what is not JSON only the size: it might be a form
/// with a secret that was sent to the wrong place.
pub(crate) fn shown_body(body: &[u8]) -> Value {
    if body.is_empty() {
        return Value::Null;
    }
    let size = || json!(format!("({} bytes)", body.len()));
    if body.len() > MOST_BODY {
        return size();
    }
    serde_json::from_slice(body).unwrap_or_else(|_| size())
}

#[derive(Debug, Default)]
struct Numbers {
    calls: BTreeMap<&'static str, u64>,
    hosts: BTreeMap<String, BTreeMap<&'static str, u64>>,
}

/// How often each call was received.
#[derive(Debug)]
pub(crate) struct Counts {
    numbers: Mutex<Numbers>,
    changed: watch::Sender<u64>,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            numbers: Mutex::default(),
            changed: watch::Sender::new(0),
        }
    }
}

impl Counts {
    fn numbers(&self) -> std::sync::MutexGuard<'_, Numbers> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn received(&self, call: &'static str, host: &str) {
        let mut numbers = self.numbers();
        *numbers.calls.entry(call).or_default() += 1;
        let host = if numbers.hosts.contains_key(host) || numbers.hosts.len() < MOST_HOSTS {
            host
        } else {
            OTHER_HOSTS
        };
        *numbers
            .hosts
            .entry(host.to_owned())
            .or_default()
            .entry(call)
            .or_default() += 1;
    }

    /// Wakes everybody who waits for a count or a fault.
    pub(crate) fn notify(&self) {
        self.changed
            .send_modify(|changes| *changes = changes.wrapping_add(1));
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    pub(crate) fn of(&self, call: &str) -> u64 {
        self.numbers().calls.get(call).copied().unwrap_or_default()
    }

    /// The counts by call, and by host under `hosts`.
    pub(crate) fn list(&self) -> Value {
        let numbers = self.numbers();
        let mut list = json!(numbers.calls);
        if let Value::Object(fields) = &mut list {
            fields.insert("hosts".to_owned(), json!(numbers.hosts));
        }
        list
    }

    pub(crate) fn clear(&self) {
        *self.numbers() = Numbers::default();
    }
}
