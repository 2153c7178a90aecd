//! What happens meanwhile, and when.

use std::time::Duration;

use super::{OLD, Operator, SET, THIRD, hours, minutes, seconds};
use crate::api_server::Stop;
use dualwrite_api::{Reason, operation::MapState};
use dualwrite_plan::{
    observed::{Fact, Problem},
    operation::{BackupView, Owner},
    world::after,
};
use dualwrite_protocol::shell::Failure;

/// What happens meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The process dies and is back after so long.
    Crash(Duration),
    /// Another process does a whole pass.
    Rival,
    /// The connection is suspended for so long.
    Suspended(Duration),
    /// It asks for something else.
    Changed,
    /// It is deleted, and its operations with it.
    ConnectionDeleted,
    /// It is deleted without its operations, or is another one of the same name.
    Recreated,
    OperationDeleted,
    IntegrationMoved,
    IntegrationUnseen,
    LinkMoved,
    LinkGone,
    SetMoved,
    MapStarted,
    MapChanged,
    /// Somebody changes an integration key.
    KeyChanged,
    BackupDeleted,
    BackupAltered,
    /// Nothing of the service can be read for so long.
    Blind(Duration),
    /// The API server answers a write so. After it: it was taken all the same.
    Answered(Failure),
    /// A write is not answered, and arrives right before the next one.
    Delayed,
    /// The API server does not answer for so long. After a write: that was taken.
    Away(Duration),
    /// The operator's copy of the operation stays for so long what it is now.
    Stale(Duration),
}

/// Whatever becomes of the connection and of the operation.
pub const OWNERS: [Event; 7] = [
    Event::Suspended(minutes(3)),
    Event::Suspended(hours(100)),
    Event::Changed,
    Event::ConnectionDeleted,
    Event::Recreated,
    Event::OperationDeleted,
    Event::Rival,
];

/// Whatever else moves in the world.
pub const MOVES: [Event; 13] = [
    Event::IntegrationMoved,
    Event::IntegrationUnseen,
    Event::LinkMoved,
    Event::LinkGone,
    Event::SetMoved,
    Event::MapStarted,
    Event::MapChanged,
    Event::KeyChanged,
    Event::BackupDeleted,
    Event::BackupAltered,
    Event::Blind(minutes(4)),
    Event::Blind(hours(3)),
    Event::Blind(hours(30)),
];

/// Before or after the write of this number.
pub type OfWrite = fn(usize) -> When;

/// Whatever the API server does with a write that may be tried again.
pub const TROUBLE: [(OfWrite, Event); 10] = [
    (When::Before, Event::Answered(Failure::Conflict)),
    (When::After, Event::Answered(Failure::Conflict)),
    (When::Before, Event::Answered(Failure::RefusedForNow)),
    (When::Before, Event::Answered(Failure::Uncertain)),
    (When::After, Event::Answered(Failure::Uncertain)),
    (When::Before, Event::Delayed),
    (When::Before, Event::Away(seconds(4))),
    (When::After, Event::Away(seconds(4))),
    (When::Before, Event::Stale(minutes(4))),
    (When::After, Event::Stale(minutes(4))),
];

/// When: before or after this write, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Before(usize),
    After(usize),
    /// Between the arrival of this request and its answer.
    Received(usize),
}

impl Operator {
    pub fn happen(&mut self, when: When) -> Result<(), Stop> {
        let due: Vec<Event> = self
            .events
            .iter()
            .filter(|(at, _)| *at == when)
            .map(|(_, event)| *event)
            .collect();
        for event in due {
            self.surprised = true;
            self.befall(event)?;
        }
        Ok(())
    }

    pub fn befall(&mut self, event: Event) -> Result<(), Stop> {
        let now = self.now;
        match event {
            Event::Crash(down) => {
                self.new_process();
                self.now = after(self.now, down);
                return Err(Stop::Died);
            }
            Event::Rival => {
                let mine = self.new_process();
                self.pass();
                self.process = mine;
            }
            Event::Suspended(long) => {
                self.owner = suspended();
                self.suspended_until = Some(after(now, long));
            }
            Event::Changed => self.owner = Owner::Changed,
            Event::Recreated => self.owner = Owner::Gone,
            Event::ConnectionDeleted => {
                self.owner = Owner::Gone;
                self.api.delete(now);
            }
            Event::OperationDeleted => self.api.delete(now),
            Event::IntegrationMoved => self.integrated = Fact::Known(false),
            Event::IntegrationUnseen => {
                self.integrated = Fact::Unknown(Problem::needs_person(
                    Reason::AccessDenied,
                    "The Power Platform API answers 403.",
                ));
            }
            Event::LinkMoved => {
                let link = Some((THIRD.to_owned(), "set-3".to_owned()));
                self.service.meddle(now, |service| service.link = link);
            }
            Event::LinkGone => self.service.meddle(now, |service| service.link = None),
            Event::SetMoved => {
                let link = Some((OLD.to_owned(), format!("{SET}-again")));
                self.service.meddle(now, |service| service.link = link);
            }
            Event::MapStarted => self.service.meddle(now, |service| {
                for map in &mut service.maps {
                    if map.name == "Groups" {
                        map.state = MapState::Running;
                    }
                }
            }),
            Event::MapChanged => self.service.meddle(now, |service| {
                for map in &mut service.maps {
                    if map.name == "Groups" {
                        map.version = Some("1.0.0.1".into());
                        map.template = Some("Groups 1.0.0.1".into());
                    }
                }
            }),
            Event::KeyChanged => self.service.meddle(now, |service| {
                service.keys.clear();
            }),
            Event::BackupDeleted => self.backup = BackupView::Missing,
            Event::BackupAltered if self.backup == BackupView::Intact => {
                self.backup = BackupView::Altered;
            }
            Event::BackupAltered => {}
            Event::Blind(long) => self.service.behaviour.blind = Some((now, after(now, long))),
            Event::Stale(long) => {
                let copy = self.api.get();
                self.stale = copy.map(|copy| (after(now, long), copy));
            }
            Event::Answered(failure) => return Err(Stop::Refused(failure)),
            Event::Delayed => {
                self.is_delaying = true;
                return Err(Stop::Refused(Failure::Uncertain));
            }
            Event::Away(long) => {
                self.away_until = Some(after(now, long));
                return Err(Stop::Refused(Failure::Uncertain));
            }
        }
        Ok(())
    }
}

pub fn present() -> Owner {
    Owner::Present {
        suspended: false,
        reconcile_at: Some("then".into()),
    }
}

fn suspended() -> Owner {
    Owner::Present {
        suspended: true,
        reconcile_at: None,
    }
}
