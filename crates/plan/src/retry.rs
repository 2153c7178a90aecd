//! When to look again: the earliest of everything that is due, never sooner than makes sense.

use std::time::Duration;

use jiff::Timestamp;

use super::world::{World, after, between};
use dualwrite_api::DualWriteConnectionStatus;

/// The shortest wait after a failure.
const LEAST_BACKOFF: Duration = Duration::from_secs(5);

/// How long to wait after a failure that began at `since`: half of how long it has lasted, so that no counter is needed.
pub fn backoff(since: Timestamp, now: Timestamp, most: Duration) -> Duration {
    (between(since, now) / 2)
        .max(LEAST_BACKOFF)
        .min(most.max(Duration::from_millis(100)))
}

/// When to look at a connection again.
pub fn next(
    world: &World<'_>,
    status: &DualWriteConnectionStatus,
    look_again: Option<Timestamp>,
) -> Timestamp {
    let interval = world.desired.interval;
    let regular = after(world.now, interval);
    let failed = status
        .failure
        .as_ref()
        .map(|failure| after(world.now, backoff(failure.since, world.now, interval)));
    let asked = retry_after(world).map(|wait| after(world.now, wait));
    // What is due already was looked at with reads that are older: soon again, and not at once, for ever.
    let look_again = look_again.map(|due| {
        if due > world.now {
            due
        } else {
            after(world.now, world.settings.poll)
        }
    });
    let due = [failed, look_again]
        .into_iter()
        .flatten()
        .fold(regular, Timestamp::min);
    // Whoever asks us to wait is obeyed, whatever else is due; a wait longer than the interval too.
    asked.map_or(due, |asked| due.max(asked))
}

fn retry_after(world: &World<'_>) -> Option<Duration> {
    world
        .observed
        .problems()
        .filter_map(|problem| problem.retry_after)
        .max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_grows_with_the_outage_and_ends_at_the_interval() {
        let since = Timestamp::UNIX_EPOCH;
        let wait = |seconds| {
            backoff(
                since,
                after(since, Duration::from_secs(seconds)),
                Duration::from_secs(300),
            )
        };
        assert_eq!(wait(0), Duration::from_secs(5));
        assert_eq!(wait(60), Duration::from_secs(30));
        assert_eq!(wait(6000), Duration::from_secs(300));
    }
}
