//! Table maps and what becomes of them.

use std::time::{Duration, Instant};

use super::oddity::{Oddities, Oddity};
use super::state::Original;
use super::timeline::Timeline;

/// A version of a map.
#[derive(Clone, Debug)]
pub struct Template {
    pub id: String,
    pub version: [u32; 4],
    pub author: String,
}

impl Template {
    fn new(version: [u32; 4], author: &str) -> Self {
        Self {
            id: uuid::Uuid::new_v4().to_string(),
            version,
            author: author.to_owned(),
        }
    }

    pub fn version_text(&self) -> String {
        self.version.map(|part| part.to_string()).join(".")
    }
}

/// What can change about a map.
#[derive(Clone, Debug)]
pub struct View {
    pub state: u8,
    pub pid: Option<String>,
    /// Which template.
    pub active: usize,
}

/// A table map. Before its history begins it does not exist.
#[derive(Clone, Debug)]
pub struct Map {
    pub name: String,
    pub left: String,
    pub right: String,
    pub before: Vec<String>,
    pub templates: Vec<Template>,
    pub history: Timeline<View>,
    /// How much longer than others it takes until it is listed as it is.
    pub late: Duration,
    /// It is listed twice.
    pub twice: bool,
    /// It passes through the states of an initial sync when it is started.
    pub slowly: bool,
}

const LONG_AGO: Duration = Duration::from_secs(30);

impl Map {
    /// As it is before the reset.
    pub fn as_before(original: &Original, oddities: &Oddities) -> Self {
        let mut templates = vec![Template::new(original.version, original.author)];
        if original.version[0] == 2 {
            templates.push(Template::new(older(original), original.author));
        }
        let unheard = oddities.has(Oddity::UnknownState) && original.left == "Unit";
        let view = View {
            state: if unheard { 9 } else { original.state },
            // One that was never initialised has no project.
            pid: (original.state != 0).then(|| uuid::Uuid::new_v4().to_string()),
            active: 0,
        };
        let now = Instant::now();
        let at = now.checked_sub(LONG_AGO).unwrap_or(now);
        Self {
            twice: oddities.has(Oddity::Duplicate) && original.left == "Currencies",
            ..Self::new(original, templates, Timeline::from(at, view), oddities)
        }
    }

    /// As a solution brings it at that moment: other template ids, no project.
    pub fn as_brought(original: &Original, at: Instant, oddities: &Oddities) -> Self {
        let mut templates = vec![Template::new(original.version, original.author)];
        let is_older = original.version[0] == 2 && oddities.has(Oddity::OlderVersion);
        if is_older {
            templates.push(Template::new(older(original), original.author));
        }
        let view = View {
            state: 0,
            pid: None,
            active: usize::from(is_older),
        };
        Self::new(original, templates, Timeline::from(at, view), oddities)
    }

    fn new(
        original: &Original,
        templates: Vec<Template>,
        history: Timeline<View>,
        oddities: &Oddities,
    ) -> Self {
        Self {
            name: original.name.to_owned(),
            left: original.left.to_owned(),
            right: original.right.to_owned(),
            before: original
                .before
                .iter()
                .map(|name| (*name).to_owned())
                .collect(),
            templates,
            history,
            late: Duration::ZERO,
            twice: false,
            slowly: oddities.has(Oddity::InitialStates) && original.left.starts_with("CDS"),
        }
    }

    pub fn is(&self, tid: &str) -> bool {
        self.templates
            .iter()
            .any(|template| template.id.eq_ignore_ascii_case(tid))
    }

    /// Does what was asked for; when it is done, or why it cannot be done.
    pub fn act(&mut self, action: &str, before_run: bool) -> Result<Instant, String> {
        let now = Instant::now();
        let is = self.history.last().clone();
        let mut goes = |after: u64, state: u8| {
            let at = now + Duration::from_millis(after);
            self.history.then(
                at,
                View {
                    state,
                    ..is.clone()
                },
            );
            at
        };
        match (action, is.state) {
            ("1", 0 | 1 | 6) if !before_run => Err(format!(
                "Project validation failed. Maps that {} depends on are not running.",
                self.name
            )),
            ("1", 0 | 1 | 6) if self.slowly => {
                goes(200, 2);
                goes(900, 3);
                Ok(goes(1500, 4))
            }
            ("1", 0 | 1 | 6) => Ok(goes(700, 4)),
            ("4", 2..) => Ok(goes(600, 1)),
            ("5", 4) => Ok(goes(500, 5)),
            ("6", 5) => Ok(goes(500, 4)),
            ("8", 0) if is.pid.is_none() => {
                let at = now + Duration::from_millis(600);
                let pid = Some(uuid::Uuid::new_v4().to_string());
                self.history.then(
                    at,
                    View {
                        state: 1,
                        pid,
                        ..is
                    },
                );
                Ok(at)
            }
            (action, state) => Err(format!(
                "Action {action} is not valid for a map in the state {state}."
            )),
        }
    }
}

fn older(original: &Original) -> [u32; 4] {
    let [major, minor, build, revision] = original.version;
    [major, minor, build.saturating_sub(1), revision]
}
