//! What Microsoft's side makes of a request, and what the operator hears of it.

use super::{OLD, Operator, SET, after, seconds};
use dualwrite_api::{
    connection::FailureClass,
    operation::{Approval, Phase},
};
use dualwrite_plan::{
    observed::{Fact, Problem},
    operation::{BackupView, Request, Send, Sent},
};
use jiff::Timestamp;
use std::time::Duration;

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Answer {
    /// It is answered and done.
    Delivered,
    /// It is answered, and nothing comes of it.
    Hollow,
    LostDone,
    LostUndone,
    /// It is lost on the way and arrives at the last moment at which it may.
    LostLate,
    /// A 500 after it was done.
    BrokenDone,
    NotSent,
    Refused,
    /// A proxy in between refuses what the service has done all the same.
    RefusedDone,
    Forbidden,
    Busy,
}

pub const ANSWERS: [Answer; 10] = [
    Answer::Delivered,
    Answer::Hollow,
    Answer::LostDone,
    Answer::LostUndone,
    Answer::LostLate,
    Answer::BrokenDone,
    Answer::NotSent,
    Answer::Refused,
    Answer::Forbidden,
    Answer::Busy,
];

/// One request as it was sent.
#[derive(Clone, Debug)]
pub struct Mutation {
    pub step: String,
    pub request: Request,
    pub at: Timestamp,
    pub before: Timestamp,
    /// It may have arrived.
    pub possible: bool,
    pub answer: Answer,
    /// What became of it was written down.
    pub recorded: bool,
}

impl Operator {
    pub fn request_timeout(&self, request: &Request) -> Duration {
        match request {
            Request::Reset { .. } => self.settings.request_timeout * self.settings.slow_factor,
            _ => self.settings.request_timeout,
        }
    }

    pub fn receive(&mut self, send: &Send) -> Sent {
        self.service.settle(self.now);
        if let Request::Reset { force, .. } = send.request {
            self.check_reset(force);
        }
        let answer = self
            .answers
            .get(&self.journal.len())
            .copied()
            .unwrap_or(Answer::Delivered);
        let possible = !matches!(
            answer,
            Answer::NotSent | Answer::Refused | Answer::Forbidden | Answer::Busy
        );
        self.journal.push(Mutation {
            step: send.step.clone(),
            request: send.request.clone(),
            at: self.now,
            before: send.before,
            possible,
            answer,
            recorded: false,
        });
        let arrives = match answer {
            Answer::Delivered | Answer::LostDone | Answer::BrokenDone | Answer::RefusedDone => {
                Some(self.now)
            }
            Answer::LostLate => {
                let timeout = self.request_timeout(&send.request);
                Some(after(send.before, timeout - seconds(1)))
            }
            _ => None,
        };
        let id = arrives.and_then(|at| self.arrive(&send.request, at));
        answered(answer, id)
    }

    fn arrive(&mut self, request: &Request, at: Timestamp) -> Option<String> {
        if *request == Request::Backup {
            self.backup = BackupView::Intact;
            return None;
        }
        let has_id = matches!(request, Request::Maps { .. } | Request::Solution { .. });
        let id = self.service.arrive(request, at);
        (has_id && self.service.behaviour.ids).then_some(id)
    }

    /// Nothing is destroyed unless everything that it rests on holds.
    fn check_reset(&self, force: bool) {
        let spec = &self.api.stored.spec;
        assert!(
            matches!(spec.approval, Approval::Approved | Approval::NotRequired),
            "a reset that nobody has approved"
        );
        assert_eq!(self.phase(), Some(Phase::Running));
        assert_eq!(self.service.resets, 0, "a second reset");
        // What happens between the look and the request nobody can see.
        if self.surprised {
            return;
        }
        let link = Some((OLD.to_owned(), SET.to_owned()));
        assert_eq!(self.service.link, link, "the link has moved");
        assert_eq!(self.integrated, Fact::Known(true), "not integrated");
        assert_eq!(self.backup, BackupView::Intact, "no backup");
        // Nobody sees more than the list shows.
        let shown = self.service.shown_maps(self.now);
        let are_stopped = shown.iter().all(|map| map.state.is_stopped());
        assert!(are_stopped || (force && spec.options.force), "maps run");
        assert!(!force || !are_stopped, "force without need");
    }
}

pub fn answered(answer: Answer, id: Option<String>) -> Sent {
    let problem = |class, text: &str| Problem {
        class,
        ..Problem::transient(text)
    };
    match answer {
        Answer::Delivered | Answer::Hollow => Sent::Accepted { remote_id: id },
        Answer::LostDone | Answer::LostUndone | Answer::LostLate => {
            Sent::Lost(problem(FailureClass::Transient, "no answer within 30 s."))
        }
        Answer::BrokenDone => Sent::Lost(problem(FailureClass::Unexpected, "500: internal error.")),
        Answer::NotSent => Sent::NotSent(problem(FailureClass::Transient, "no connection.")),
        Answer::Refused | Answer::RefusedDone => Sent::Refused(problem(
            FailureClass::NeedsPerson,
            "400: the request is not valid.",
        )),
        Answer::Forbidden => Sent::Refused(problem(
            FailureClass::NeedsPerson,
            "403: the token exchange has failed.",
        )),
        Answer::Busy => Sent::Refused(problem(FailureClass::Busy, "409: another operation runs.")),
    }
}
