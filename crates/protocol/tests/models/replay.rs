//! A pass that can be stopped between any two of its calls, and gone on with from there.
//!
//! A pass cannot be copied, but it does the same whenever it hears the same. So what it has heard is kept, and for its next
//! call it is made anew from its beginning; with everything that its process did before, because a process remembers what it
//! has sent.

use std::{
    collections::VecDeque,
    hash::{Hash, Hasher},
    pin::pin,
    sync::Mutex,
    task::{Context, Waker},
    time::Duration,
};

use crate::clock::{hash_object, settings};
use dualwrite_api::{DualWriteOperation, DualWriteOperationStatus};
use dualwrite_plan::{
    operation::{Next, Observations, Other, Owner, Send as Sending, Sent},
    world::{KnownOperation, after},
};
use dualwrite_protocol::{
    Process, pass,
    shell::{CallError, Cluster, Failure, Runtime, Service},
};
use jiff::Timestamp;

/// A call that a pass makes.
#[derive(Clone, Debug, PartialEq)]
pub enum Call {
    Owner,
    Operations,
    Operation,
    Hold(Box<DualWriteOperation>, bool),
    Write(Box<DualWriteOperation>, Box<DualWriteOperationStatus>),
    Send(Sending),
}

/// What it hears.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Owner(Owner),
    Operations(Vec<KnownOperation>),
    Operation(Option<Box<DualWriteOperation>>),
    Written(Box<DualWriteOperation>),
    Refused(Failure),
    Sent(Sent),
}

/// A pass, as far as it has come.
#[derive(Clone, Debug, PartialEq)]
pub struct Begun {
    /// The operation, as the cache has shown it, and the others.
    pub seen: DualWriteOperation,
    pub others: Vec<Other>,
    pub observed: Observations,
    pub at: Timestamp,
    /// What it has heard, and when.
    pub heard: Vec<(Answer, Timestamp)>,
}

/// What the last of these passes of one process calls next; nothing, when it has ended.
pub fn next_call(incarnation: &str, passes: &[Begun]) -> Option<Call> {
    let process = Process::new(incarnation.into());
    let calls = passes.iter().map(|begun| step(&process, begun));
    calls.last().flatten()
}

fn step(process: &Process, begun: &Begun) -> Option<Call> {
    let tape = Tape {
        begun,
        state: Mutex::new(Playing {
            left: begun.heard.iter().cloned().collect(),
            now: begun.at,
            call: None,
        }),
    };
    let settings = settings();
    let ended = {
        let pass = pin!(pass(&tape, process, &settings, &begun.seen));
        let polled = pass.poll(&mut Context::from_waker(Waker::noop()));
        polled.is_ready()
    };
    tape.state.into_inner().unwrap().call.filter(|_| !ended)
}

#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("{0:?}")]
pub struct Refused(Failure);

impl CallError for Refused {
    fn failure(&self) -> Failure {
        self.0
    }
}

struct Tape<'a> {
    begun: &'a Begun,
    state: Mutex<Playing>,
}

struct Playing {
    left: VecDeque<(Answer, Timestamp)>,
    now: Timestamp,
    /// The call that has no answer yet.
    call: Option<Call>,
}

impl Tape<'_> {
    /// What was heard of a call; for ever nothing, if that is still to come.
    async fn hear(&self, call: Call) -> Answer {
        let heard = {
            let mut state = self.state.lock().unwrap();
            let heard = state.left.pop_front();
            match &heard {
                Some((_, at)) => state.now = *at,
                None => state.call = Some(call),
            }
            heard
        };
        match heard {
            Some((answer, _)) => answer,
            None => std::future::pending().await,
        }
    }

    async fn written(&self, call: Call) -> Result<DualWriteOperation, Refused> {
        match self.hear(call).await {
            Answer::Written(object) => Ok(*object),
            Answer::Refused(failure) => Err(Refused(failure)),
            other => panic!("{other:?}"),
        }
    }
}

impl Cluster for Tape<'_> {
    type Error = Refused;

    fn watched_owner(&self, _: &KnownOperation) -> Owner {
        present()
    }

    fn watched_others(&self, _: &KnownOperation) -> Vec<Other> {
        self.begun.others.clone()
    }

    async fn live_owner(&self, _: &KnownOperation) -> Result<Owner, Refused> {
        match self.hear(Call::Owner).await {
            Answer::Owner(owner) => Ok(owner),
            Answer::Refused(failure) => Err(Refused(failure)),
            other => panic!("{other:?}"),
        }
    }

    async fn live_operations(&self, _: &str) -> Result<Vec<KnownOperation>, Refused> {
        match self.hear(Call::Operations).await {
            Answer::Operations(all) => Ok(all),
            Answer::Refused(failure) => Err(Refused(failure)),
            other => panic!("{other:?}"),
        }
    }

    async fn live_operation(
        &self,
        _: &KnownOperation,
    ) -> Result<Option<DualWriteOperation>, Refused> {
        match self.hear(Call::Operation).await {
            Answer::Operation(found) => Ok(found.map(|object| *object)),
            Answer::Refused(failure) => Err(Refused(failure)),
            other => panic!("{other:?}"),
        }
    }

    async fn hold(
        &self,
        operation: &DualWriteOperation,
        held: bool,
    ) -> Result<DualWriteOperation, Refused> {
        self.written(Call::Hold(Box::new(operation.clone()), held))
            .await
    }

    async fn write_status(
        &self,
        operation: &DualWriteOperation,
        status: &DualWriteOperationStatus,
    ) -> Result<DualWriteOperation, Refused> {
        let (operation, status) = (Box::new(operation.clone()), Box::new(status.clone()));
        self.written(Call::Write(operation, status)).await
    }

    async fn tell(&self, _: &DualWriteOperation, _: &DualWriteOperationStatus) {}
}

impl Service for Tape<'_> {
    type Reach = ();

    async fn read(&self, _: &KnownOperation) -> (Observations, Option<()>) {
        (self.begun.observed.clone(), Some(()))
    }

    async fn send(&self, (): &(), _: &KnownOperation, request: &Sending) -> Sent {
        match self.hear(Call::Send(request.clone())).await {
            Answer::Sent(sent) => sent,
            other => panic!("{other:?}"),
        }
    }
}

impl Runtime for Tape<'_> {
    fn now(&self) -> Timestamp {
        self.state.lock().unwrap().now
    }

    fn uptime(&self) -> Duration {
        dualwrite_plan::world::between(self.begun.at, self.now())
    }

    fn worked_out(&self, _: &KnownOperation, _: &DualWriteOperationStatus, _: &Next) {}

    async fn sleep(&self, duration: Duration) {
        let mut state = self.state.lock().unwrap();
        state.now = after(state.now, duration);
    }

    async fn alone<T: Send>(&self, _: &str, work: impl Future<Output = T> + Send) -> T {
        work.await
    }
}

pub fn present() -> Owner {
    Owner::Present {
        suspended: false,
        reconcile_at: None,
    }
}

impl Hash for Begun {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hash_object(&self.seen, hasher);
        for other in &self.others {
            hash_known(&other.operation, hasher);
        }
        format!("{:?}", self.observed.maps).hash(hasher);
        self.at.hash(hasher);
        for (answer, at) in &self.heard {
            at.hash(hasher);
            hash_answer(answer, hasher);
        }
    }
}

fn hash_known(known: &KnownOperation, hasher: &mut impl Hasher) {
    (&known.uid, known.deleted).hash(hasher);
    crate::clock::hash_status(&known.status, hasher);
}

fn hash_answer(answer: &Answer, hasher: &mut impl Hasher) {
    std::mem::discriminant(answer).hash(hasher);
    match answer {
        Answer::Owner(_) => {}
        Answer::Operations(all) => all.iter().for_each(|known| hash_known(known, hasher)),
        Answer::Operation(found) => found.iter().for_each(|object| hash_object(object, hasher)),
        Answer::Written(object) => hash_object(object, hasher),
        Answer::Refused(failure) => (*failure as u8).hash(hasher),
        Answer::Sent(sent) => std::mem::discriminant(sent).hash(hasher),
    }
}
