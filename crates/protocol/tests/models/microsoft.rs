//! Microsoft's side: one table map, where dual-write is linked to, and the requests that may still take effect.

use crate::support::{CORE, E, S, link_to, map, package};
use dualwrite_api::operation::MapState;
use dualwrite_plan::{
    maps::TableMap,
    observed::{LinkFacts, LinkView, Package, PackageState},
    operation::{MapChange, RemoteState, Request, Send},
};

/// The one table map.
pub const MAP: &str = "customers";

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Asked {
    Stop,
    Start,
    Reset,
    /// The link, or the package.
    Make,
}

/// What becomes of a request that is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Comes {
    /// It takes effect after so many ticks.
    Lands(u32),
    /// It comes to nothing after so many ticks, and that is said.
    Fails(u32),
    /// It never ends, and takes no effect.
    Never,
    /// It has taken effect, or has failed.
    Landed,
    Failed,
}

/// How long a request may take: it is done at once, before the list has settled, after that, or as late as it may be.
pub const fn delays(latest: u32) -> [u32; 4] {
    [0, 1, 3, latest]
}

/// A request that Microsoft's side has, or may get.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Asking {
    pub asked: Asked,
    /// The map's project that it names.
    of_new_project: bool,
    /// By which it can be asked about.
    pub id: Option<String>,
    pub comes: Comes,
}

/// How things are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Truth {
    /// Whether the map runs; otherwise it is stopped.
    pub runs: bool,
    /// Whether the link was reset: it goes to S then, and the map has a project of its own there.
    pub is_reset: bool,
    /// Whether what a first link or an installation asks for is there.
    pub is_made: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Microsoft {
    pub now: Truth,
    /// What was a tick ago.
    pub before: Truth,
    /// Whether the list of maps still shows that.
    lags: bool,
    /// In order, for which came first makes no difference.
    pub requests: Vec<Asking>,
}

impl Microsoft {
    /// Linked to E, and the map runs.
    pub const fn running(lags: bool) -> Self {
        let now = Truth {
            runs: true,
            is_reset: false,
            is_made: false,
        };
        Self {
            now,
            before: now,
            lags,
            requests: Vec::new(),
        }
    }

    /// A request is there, or will be; this comes of it.
    pub fn begin(&mut self, send: &Send, id: Option<String>, comes: Comes) {
        let asked = match &send.request {
            Request::Maps {
                change: MapChange::Stop,
                ..
            } => Asked::Stop,
            Request::Maps {
                change: MapChange::Start,
                ..
            } => Asked::Start,
            Request::Reset { .. } => Asked::Reset,
            Request::Install(_) | Request::Link => Asked::Make,
            other => panic!("nobody asks for {other:?}"),
        };
        self.requests.push(Asking {
            asked,
            of_new_project: self.now.is_reset,
            id,
            comes,
        });
        self.requests.sort();
    }

    /// Whether something may still take effect.
    pub fn is_busy(&self) -> bool {
        let mut all = self.requests.iter();
        all.any(|asking| matches!(asking.comes, Comes::Lands(_)))
    }

    /// Whatever is due happens.
    pub fn happen(&mut self) {
        for index in 0..self.requests.len() {
            match self.requests[index].comes {
                Comes::Lands(0) => self.land(index),
                Comes::Fails(0) => self.requests[index].comes = Comes::Failed,
                Comes::Lands(_)
                | Comes::Fails(_)
                | Comes::Never
                | Comes::Landed
                | Comes::Failed => {}
            }
        }
        self.tidy();
    }

    fn land(&mut self, index: usize) {
        let now = self.now;
        let asking = &mut self.requests[index];
        let is_here = asking.of_new_project == now.is_reset;
        let after = match asking.asked {
            Asked::Stop if is_here => Some(Truth { runs: false, ..now }),
            Asked::Start if is_here => Some(Truth { runs: true, ..now }),
            Asked::Reset if is_here => Some(Truth {
                runs: false,
                is_reset: true,
                ..now
            }),
            Asked::Make => Some(Truth {
                is_made: true,
                ..now
            }),
            Asked::Stop | Asked::Start | Asked::Reset => None,
        };
        asking.comes = if after.is_some() {
            Comes::Landed
        } else {
            Comes::Failed
        };
        self.now = after.unwrap_or(now);
    }

    pub fn pass_a_tick(&mut self) {
        self.before = self.now;
        for asking in &mut self.requests {
            if let Comes::Lands(left) | Comes::Fails(left) = &mut asking.comes {
                *left -= 1;
            }
        }
        self.happen();
    }

    /// What is said of requests whose ids nobody has any more makes no difference.
    pub fn forget_all_but(&mut self, is_known: impl Fn(&str) -> bool) {
        for asking in &mut self.requests {
            if asking.id.as_ref().is_some_and(|id| !is_known(id)) {
                asking.id = None;
            }
        }
        self.tidy();
    }

    /// What can neither take effect nor be asked about is over.
    fn tidy(&mut self) {
        self.requests
            .retain(|asking| asking.id.is_some() || matches!(asking.comes, Comes::Lands(_)));
        self.requests.sort();
    }

    // ---- what it shows ----

    /// Where a host is linked to whose first link is to be made.
    pub fn first_link(&self) -> LinkView {
        if self.now.is_made {
            link_to(S)
        } else {
            LinkView::Absent
        }
    }

    pub fn packages(&self) -> Vec<Package> {
        let state = if self.now.is_made {
            PackageState::Installed
        } else {
            PackageState::NotInstalled
        };
        vec![package(CORE, state)]
    }

    pub fn link(&self) -> LinkView {
        if !self.now.is_reset {
            return link_to(E);
        }
        let LinkView::To(link) = link_to(S) else {
            unreachable!()
        };
        LinkView::To(LinkFacts {
            connection_set_id: "cs-0002".into(),
            ..link
        })
    }

    pub fn maps(&self) -> Vec<TableMap> {
        let shown = if self.lags { self.before } else { self.now };
        let state = if shown.runs {
            MapState::Running
        } else {
            MapState::Stopped
        };
        let project = if shown.is_reset { "new" } else { "old" };
        vec![TableMap {
            project: Some(project.into()),
            ..map(MAP, state)
        }]
    }

    pub fn remote(&self, id: &str) -> RemoteState {
        let asking = self.requests.iter();
        let mut found = asking.filter(|asking| asking.id.as_deref() == Some(id));
        match found.next().map(|asking| asking.comes) {
            Some(Comes::Lands(_) | Comes::Fails(_) | Comes::Never) => RemoteState::Running,
            Some(Comes::Landed) => RemoteState::Succeeded,
            Some(Comes::Failed) => RemoteState::Failed("It did not work.".into()),
            None => RemoteState::Gone,
        }
    }
}
