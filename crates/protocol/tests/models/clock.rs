//! Time in steps of half a settle time. A state knows how long ago something was and no date, so that what differs in
//! nothing but the date is one state.

use std::{hash::Hash, time::Duration};

use crate::support::{minutes, start};
use dualwrite_api::{DualWriteOperation, DualWriteOperationStatus, operation::StepStatus};
use dualwrite_plan::world::{Settings, after, between};
use jiff::Timestamp;

/// One step of time.
pub const TICK: Duration = minutes(1);

/// How long one step of an operation may take, in ticks.
pub const PATIENCE: u32 = 4;

/// How long a request may be on its way, in ticks.
pub const REQUEST_TIMEOUT: u32 = 1;

/// How old something becomes before it makes no difference any more how much older it is: longer than any time that a
/// decision adds to one of these.
const OLDEST: u32 = 10;

/// What an administrator has set, in ticks: times to send by, requests and lists that are as slow as they may be.
pub fn settings() -> Settings {
    Settings {
        settle: TICK * 2,
        poll: TICK,
        request_timeout: TICK * REQUEST_TIMEOUT,
        slow_factor: 1,
        send_window: TICK,
        observe_only: false,
    }
}

/// It is always this time.
pub fn now() -> Timestamp {
    start()
}

/// So many ticks from now.
pub fn in_ticks(count: u32) -> Timestamp {
    after(now(), TICK * count)
}

/// How many ticks it is until then, as far as they have begun.
pub fn ticks_until(at: Timestamp) -> u32 {
    let seconds = between(now(), at).as_secs().div_ceil(TICK.as_secs());
    u32::try_from(seconds).unwrap()
}

/// A tick passes for a time that is on record.
pub fn age(at: &mut Timestamp) {
    let oldest = now() - OLDEST * TICK;
    *at = (*at - TICK).max(oldest);
}

/// A tick passes for all that is on record of an operation.
pub fn age_status(status: &mut DualWriteOperationStatus) {
    let head = [
        &mut status.started_at,
        &mut status.deadline,
        &mut status.finished_at,
    ];
    head.into_iter().flatten().for_each(age);
    for step in &mut status.steps {
        let times = [
            &mut step.send_before,
            &mut step.sent_at,
            &mut step.began,
            &mut step.absent_since,
        ];
        times.into_iter().flatten().for_each(age);
        for request in &mut step.outstanding {
            age(&mut request.send_before);
            request.ended_at.iter_mut().for_each(age);
        }
    }
}

/// All of a status that decides anything: no words.
pub fn hash_status(status: &DualWriteOperationStatus, hasher: &mut impl std::hash::Hasher) {
    let ending = status.ending.as_ref();
    (
        status.phase,
        &status.step,
        status.started_at,
        status.deadline,
        status.finished_at,
        &status.reason,
        &status.missing,
        ending.map(|ending| (ending.phase, &ending.reason)),
    )
        .hash(hasher);
    for step in &status.steps {
        hash_step(step, hasher);
    }
}

fn hash_step(step: &StepStatus, hasher: &mut impl std::hash::Hasher) {
    (
        &step.name,
        step.state as u8,
        step.attempt,
        &step.incarnation,
    )
        .hash(hasher);
    (
        step.send_before,
        step.sent_at,
        step.began,
        step.absent_since,
    )
        .hash(hasher);
    (&step.remote_id, &step.maps, step.error.is_some()).hash(hasher);
    for request in &step.outstanding {
        (request.attempt, request.send_before).hash(hasher);
        (&request.remote_id, request.ended_at).hash(hasher);
    }
}

/// All of an operation's object that decides anything.
pub fn hash_object(object: &DualWriteOperation, hasher: &mut impl std::hash::Hasher) {
    let meta = &object.metadata;
    (&meta.uid, &meta.resource_version, &meta.finalizers).hash(hasher);
    meta.deletion_timestamp
        .as_ref()
        .map(|time| time.0)
        .hash(hasher);
    object
        .status
        .iter()
        .for_each(|status| hash_status(status, hasher));
}
