//! What Microsoft's side makes of a request, and what the operator hears of it.

use std::time::Duration;

use crate::{checks::Sending, support::seconds, world::World};
use dualwrite_api::connection::FailureClass;
use dualwrite_plan::{
    observed::Problem,
    operation::{Request, Send, Sent},
    world::{KnownOperation, after},
};
use jiff::Timestamp;

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is answered and done.
    Delivered,
    /// It is answered, and nothing comes of it.
    Hollow,
    LostDone,
    LostUndone,
    /// It is lost on the way and arrives late, at the last at the end of its time.
    LostLate,
    /// A 500 after it was done.
    Broken,
    NotSent,
    Refused,
    /// Something in between refuses it, and it is done.
    RefusedDone,
    Busy,
}

const FAULTS: [Answer; 8] = [
    Answer::Hollow,
    Answer::LostDone,
    Answer::LostUndone,
    Answer::LostLate,
    Answer::Broken,
    Answer::NotSent,
    Answer::Refused,
    Answer::Busy,
];

impl Answer {
    /// Whether the request has perhaps come to something.
    pub const fn is_possible(self) -> bool {
        match self {
            Self::Delivered
            | Self::Hollow
            | Self::LostDone
            | Self::LostUndone
            | Self::LostLate
            | Self::RefusedDone
            | Self::Broken => true,
            Self::NotSent | Self::Refused | Self::Busy => false,
        }
    }
}

impl World {
    /// How long the call of a request may take.
    pub fn call_timeout(&self, request: &Request) -> Duration {
        match request {
            Request::Reset { .. } | Request::Link => {
                self.settings.request_timeout * self.settings.slow_factor
            }
            _ => self.settings.request_timeout,
        }
    }

    fn answer(&mut self, request: &Request) -> Answer {
        if !self.chance(self.faults.answers) {
            return Answer::Delivered;
        }
        let answer = *self.rng.choice(&FAULTS).unwrap();
        // Of what can be asked for again nobody needs to know it.
        let is_reset = matches!(request, Request::Reset { .. });
        if answer == Answer::Refused && is_reset && self.chance(50) {
            return Answer::RefusedDone;
        }
        answer
    }

    /// A request reaches the network: what is heard of it, and after how long.
    pub fn send(&mut self, who: &str, operation: &KnownOperation, send: &Send) -> (Sent, Duration) {
        let answer = if self.now >= send.before {
            Answer::NotSent
        } else {
            self.answer(&send.request)
        };
        let number = self.ledger.sendings.len();
        let timeout = self.call_timeout(&send.request);
        let what = format!(
            "{} of {} as #{number}: {answer:?}",
            send.step, operation.name
        );
        self.note(who, format!("sends {what}"));
        self.check_sending(operation, send, answer);
        self.ledger.sendings.push(Sending {
            uid: operation.uid.clone(),
            request: send.request.clone(),
            answer,
        });
        let arrives = self.arrival(answer, send.before, timeout);
        let id = arrives.and_then(|at| self.arrive(operation, send, at, number));
        self.plan_landings();
        let wait = match answer {
            Answer::LostDone | Answer::LostUndone | Answer::LostLate => timeout,
            _ => self.up_to(seconds(5)),
        };
        (heard(answer, id), wait)
    }

    fn arrival(
        &mut self,
        answer: Answer,
        before: Timestamp,
        timeout: Duration,
    ) -> Option<Timestamp> {
        match answer {
            Answer::Delivered | Answer::LostDone | Answer::RefusedDone | Answer::Broken => {
                Some(self.now)
            }
            Answer::LostLate => {
                let least = timeout / 2;
                let more = self.up_to(timeout / 2);
                Some(after(before, least + more - Duration::from_millis(1)))
            }
            Answer::Hollow
            | Answer::LostUndone
            | Answer::NotSent
            | Answer::Refused
            | Answer::Busy => None,
        }
    }

    fn arrive(
        &mut self,
        operation: &KnownOperation,
        send: &Send,
        at: Timestamp,
        number: usize,
    ) -> Option<String> {
        if send.request == Request::Backup {
            self.ledger.backups.insert(operation.uid.clone());
            return None;
        }
        let target = &operation.spec.target.environment_id;
        let host = self.hosts.get_mut(&operation.spec.finance_operations_host);
        let host = host.unwrap();
        let id = host.arrive(&send.request, target, at, number);
        let has_id = match send.request {
            Request::Maps { .. } | Request::Solution { .. } | Request::Install(_) => {
                host.behaviour.ids
            }
            Request::Backup
            | Request::Link
            | Request::Reset { .. }
            | Request::IntegrationKeys { .. }
            | Request::Version { .. } => false,
        };
        has_id.then_some(id)
    }
}

fn heard(answer: Answer, id: Option<String>) -> Sent {
    let problem = |class, text: &str| Problem {
        class,
        ..Problem::transient(text)
    };
    match answer {
        Answer::Delivered | Answer::Hollow => Sent::Accepted { remote_id: id },
        Answer::LostDone | Answer::LostUndone | Answer::LostLate => {
            Sent::Lost(problem(FailureClass::Transient, "no answer in time."))
        }
        Answer::Broken => Sent::Lost(problem(FailureClass::Unexpected, "500: internal error.")),
        Answer::NotSent => Sent::NotSent(problem(FailureClass::Transient, "no connection.")),
        Answer::Refused | Answer::RefusedDone => Sent::Refused(problem(
            FailureClass::NeedsPerson,
            "400: the request is not valid.",
        )),
        Answer::Busy => Sent::Refused(problem(FailureClass::Busy, "409: another one runs.")),
    }
}
