//! A request that was accepted, or that somebody else has made: followed until its target state is read back.

use jiff::Timestamp;

use super::at_step::AtStep;
use crate::{
    messages,
    operation::{
        event::Event,
        model::{Next, RemoteState},
        steps::Target,
    },
    world::after,
};

/// Goes on with a step whose request was accepted.
pub(super) fn follow(at: AtStep<'_>) -> Next {
    if at.has_own_clock() {
        follow_by_itself(at)
    } else {
        follow_to_the_deadline(at)
    }
}

// ---- what shares the time of its operation: an installation, a link ----

fn follow_to_the_deadline(at: AtStep<'_>) -> Next {
    let remote = at.at().remote().cloned();
    match (at.target(), remote) {
        (Target::Reached, _) => at.done(),
        (Target::Taken(other), _) => at.taken(&other),
        (_, Some(RemoteState::Failed(why))) => at.exhausted(&why),
        (Target::Unseen(problem), _) => at.pass.unseen(problem.as_ref()),
        // An old failure may still show for a moment after a new request.
        (Target::Failed(why), None | Some(RemoteState::Gone)) if only_the_list_tells(&at) => {
            at.exhausted(&why)
        }
        (Target::Missing(_) | Target::Moving | Target::Failed(_), _) if at.is_past_patience() => {
            at.timed_out()
        }
        (Target::Missing(_) | Target::Moving | Target::Failed(_), _) => at.wait_a_little(),
    }
}

/// Whether what is read is all there is to go by, and had long enough to show: no id, or one that Microsoft has forgotten.
fn only_the_list_tells(at: &AtStep<'_>) -> bool {
    let (situation, asked) = (at.pass.situation, &at.record().asked);
    let has_no_id = asked.remote_id.is_none();
    let is_forgotten = situation.observed.remote.known() == Some(&RemoteState::Gone);
    let settled = after(sent_at(at), situation.settings.settle);
    (has_no_id || is_forgotten) && situation.observed.began >= settled
}

fn sent_at(at: &AtStep<'_>) -> Timestamp {
    let sent = at.record().asked.sent_at;
    sent.unwrap_or(at.pass.situation.now)
}

// ---- what has a time of its own ----

fn follow_by_itself(mut at: AtStep<'_>) -> Next {
    note_quiet(&mut at);
    let remote = at.at().remote().cloned();
    match at.target() {
        Target::Reached if at.step.is_ripe(&at.at()) || at.is_past_patience() => at.done(),
        Target::Reached => at.wait_a_little(),
        Target::Taken(other) => at.taken(&other),
        Target::Unseen(problem) => at.pass.unseen(problem.as_ref()),
        Target::Missing(_) | Target::Moving | Target::Failed(_) => unreached(at, remote.as_ref()),
    }
}

/// Notes since when nothing more has come of a request that the service does not work on any more, for the list of maps lags
/// behind what it says; and which maps it has brought.
fn note_quiet(at: &mut AtStep<'_>) {
    let here = at.at();
    let (is_working, brought) = (at.step.is_working(&here), at.step.brought(&here));
    let record = at.record();
    let is_new = brought
        .as_ref()
        .is_some_and(|maps| *maps != record.asked.maps);
    let quiet_since = match record.record.since() {
        _ if is_working => None,
        Some(since) if !is_new => Some(since),
        Some(_) | None => Some(at.pass.situation.observed.began),
    };
    at.apply(Event::Followed {
        quiet_since,
        brought,
    });
}

fn unreached(mut at: AtStep<'_>, remote: Option<&RemoteState>) -> Next {
    let is_quiet = at.at().is_quiet();
    let failure = match remote {
        Some(RemoteState::Failed(why)) => Some(why.clone()),
        // It has brought nothing that was not there.
        Some(RemoteState::Succeeded) if is_quiet && at.step.solution().is_some() => {
            return at.done();
        }
        Some(RemoteState::Succeeded) if is_quiet => Some(messages::no_effect()),
        None | Some(RemoteState::Gone) if is_overdue(&at) => Some(messages::no_effect()),
        None | Some(RemoteState::Succeeded | RemoteState::Gone | RemoteState::Running) => None,
    };
    if failure.is_some() && at.step.repeat().allows(at.record().asked.attempts) {
        at.apply(Event::Retried(failure));
        return at.pass.now();
    }
    let is_refused = matches!(remote, Some(RemoteState::Failed(_)));
    let is_over = is_refused && !at.step.is_point_of_no_return();
    if is_over || at.is_past_patience() {
        let patience = at.pass.situation.patience();
        let why = failure.unwrap_or_else(|| messages::took_too_long(patience));
        return at.exhausted(&why);
    }
    at.wait_a_little()
}

/// Whether a request that was accepted without an id has had long enough to show.
fn is_overdue(at: &AtStep<'_>) -> bool {
    let situation = at.pass.situation;
    let enough = (situation.patience() / 3).max(situation.settings.settle);
    situation.observed.began >= after(sent_at(at), enough)
}
