//! Who leads: the decision alone. No clock and no I/O, so that every case is a row of a test.
//!
//! The rules are those of client-go's leader election. A leader renews its lease in good time, and counts itself out
//! once two thirds of the lease have passed since its last renewal began. Another replica takes over when it has seen no
//! change for a whole lease. Both measure on a clock of their own, so clocks of nodes that differ do no harm. Each write
//! carries the resourceVersion of what it was decided from, so of two that write only one succeeds.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};

/// One replica's view of the lease.
#[derive(Debug)]
pub struct Election {
    identity: String,
    duration: Duration,
    /// What is known of the lease; `None` is to be read.
    known: Option<Known>,
    /// When the newest write that holds began. Only who leads has one.
    renewed: Option<Instant>,
    /// Nothing is tried before, after a failure.
    not_before: Option<Instant>,
}

#[derive(Debug)]
struct Known {
    /// `None`: there is no lease.
    lease: Option<Lease>,
    /// Since when it stands like this, as far as this replica can tell.
    since: Instant,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Read the lease.
    Read,
    /// Write [`Election::claim`].
    Claim,
    /// Nothing before this time, unless the lease changes.
    Wait(Instant),
    /// This replica led, and does not any more.
    Lost,
}

impl Election {
    /// A replica that knows nothing yet.
    pub const fn new(identity: String, duration: Duration) -> Self {
        Self {
            identity,
            duration,
            known: None,
            renewed: None,
            not_before: None,
        }
    }

    /// This replica's name in the lease.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Until when this replica leads without another renewal; `None` if it does not lead.
    pub fn leads_until(&self) -> Option<Instant> {
        self.renewed.map(|renewed| renewed + self.duration * 2 / 3)
    }

    /// How long one request may take that begins now: short enough for another attempt, and never past the end.
    pub fn patience(&self, now: Instant) -> Duration {
        let attempt = self.duration / 5;
        self.leads_until().map_or(attempt, |until| {
            attempt.min(until.saturating_duration_since(now))
        })
    }

    /// Whether the lease has been read.
    pub const fn is_known(&self) -> bool {
        self.known.is_some()
    }

    /// The other replica that holds the lease.
    pub fn other_holder(&self) -> Option<&str> {
        self.holder().filter(|holder| *holder != self.identity)
    }

    fn holder(&self) -> Option<&str> {
        let holder = self.spec()?.holder_identity.as_deref();
        holder.filter(|holder| !holder.is_empty())
    }

    fn spec(&self) -> Option<&LeaseSpec> {
        self.known.as_ref()?.lease.as_ref()?.spec.as_ref()
    }

    /// What to do next.
    pub fn next(&self, now: Instant) -> Next {
        if self.leads_until().is_some_and(|until| now >= until) {
            return Next::Lost;
        }
        if let Some(not_before) = self.not_before.filter(|not_before| now < *not_before) {
            return Next::Wait(not_before);
        }
        let Some(known) = &self.known else {
            return Next::Read;
        };
        let due = match (self.other_holder(), self.renewed) {
            (Some(_), Some(_)) => return Next::Lost,
            (Some(_), None) => known.since + self.duration_of_the_other(),
            // Ours without a renewal: the answer to an earlier claim was lost.
            (None, None) => now,
            // Somebody may have deleted or emptied the lease under its leader, who then writes it anew.
            (None, Some(_)) if self.holder().is_none() => now,
            (None, Some(renewed)) => renewed + self.duration / 5,
        };
        if now >= due {
            Next::Claim
        } else {
            Next::Wait(due)
        }
    }

    /// As the other says itself: the two may have been started with different flags.
    fn duration_of_the_other(&self) -> Duration {
        let seconds = self.spec().and_then(|spec| spec.lease_duration_seconds);
        let seconds = seconds.and_then(|seconds| u64::try_from(seconds).ok());
        seconds.map_or(self.duration, Duration::from_secs)
    }

    /// The lease as it is to be written to lead, or to go on leading.
    pub fn claim(&self, at: Timestamp) -> Lease {
        let mut lease = self.lease().unwrap_or_default();
        let spec = lease.spec.get_or_insert_default();
        if spec.holder_identity.as_deref() != Some(&*self.identity) {
            spec.holder_identity = Some(self.identity.clone());
            spec.acquire_time = Some(MicroTime(at));
            spec.lease_transitions = Some(spec.lease_transitions.map_or(0, |count| count + 1));
        }
        spec.renew_time = Some(MicroTime(at));
        spec.lease_duration_seconds = i32::try_from(self.duration.as_secs()).ok();
        lease
    }

    /// The lease as it is to be written to let go of it; `None` if it is not ours.
    pub fn release(&self, at: Timestamp) -> Option<Lease> {
        let mut lease = self.lease()?;
        let spec = lease.spec.as_mut()?;
        if spec.holder_identity.as_deref() != Some(&*self.identity) {
            return None;
        }
        spec.holder_identity = None;
        spec.renew_time = Some(MicroTime(at));
        Some(lease)
    }

    fn lease(&self) -> Option<Lease> {
        self.known.as_ref()?.lease.clone()
    }

    /// The lease was read, or the watch brought it.
    pub fn saw(&mut self, lease: Option<Lease>, now: Instant) {
        let version = |lease: &Option<Lease>| lease.as_ref()?.metadata.resource_version.clone();
        let unchanged = self
            .known
            .as_ref()
            .filter(|known| version(&known.lease) == version(&lease));
        let since = unchanged.map_or(now, |known| known.since);
        self.known = Some(Known { lease, since });
        self.not_before = None;
    }

    /// Our claim, whose request began then, was taken.
    pub fn wrote(&mut self, lease: Lease, began: Instant) {
        self.saw(Some(lease), began);
        self.renewed = Some(began);
    }

    /// The lease is not what was thought: it is to be read.
    pub fn refused(&mut self) {
        self.known = None;
    }

    /// An attempt came to nothing; the next may follow a little later.
    pub fn failed(&mut self, now: Instant) {
        self.not_before = Some(now + self.duration / 15);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test stops where it failed
mod tests {
    use super::*;

    const DURATION: Duration = Duration::from_secs(15);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn stored(holder: Option<&str>, version: &str) -> Lease {
        let mut lease = Lease::default();
        lease.metadata.resource_version = Some(version.into());
        lease.spec = Some(LeaseSpec {
            holder_identity: holder.map(str::to_owned),
            lease_duration_seconds: Some(15),
            lease_transitions: Some(4),
            ..LeaseSpec::default()
        });
        lease
    }

    /// A replica `us` that saw this lease at a time.
    fn standby(lease: Option<Lease>, at: Instant) -> Election {
        let mut election = Election::new("us".into(), DURATION);
        assert_eq!(election.next(at), Next::Read);
        election.saw(lease, at);
        election
    }

    fn leader(at: Instant) -> Election {
        let mut election = standby(None, at);
        election.wrote(stored(Some("us"), "1"), at);
        election
    }

    #[test]
    fn a_lease_that_nobody_holds_is_claimed_at_once() {
        let now = Instant::now();
        for lease in [
            None,
            Some(Lease::default()),
            Some(stored(None, "1")),
            Some(stored(Some(""), "1")),
        ] {
            let election = standby(lease.clone(), now);
            assert_eq!(election.next(now), Next::Claim, "{lease:?}");
            assert_eq!(election.leads_until(), None, "a claim is not yet a lease");
        }
    }

    #[test]
    fn a_lease_of_another_is_claimed_when_it_has_not_changed_for_as_long_as_it_says() {
        let now = Instant::now();
        let mut election = standby(Some(stored(Some("other"), "1")), now);
        assert_eq!(election.other_holder(), Some("other"));
        let over = now + seconds(15);
        assert_eq!(election.next(now), Next::Wait(over));
        // Seen again without a change: no new time begins.
        election.saw(Some(stored(Some("other"), "1")), now + seconds(10));
        assert_eq!(election.next(over - seconds(1)), Next::Wait(over));
        assert_eq!(election.next(over), Next::Claim);
        election.saw(Some(stored(Some("other"), "2")), over);
        assert_eq!(election.next(over), Next::Wait(over + seconds(15)));

        let mut longer = stored(Some("other"), "3");
        longer.spec.as_mut().unwrap().lease_duration_seconds = Some(60);
        election.saw(Some(longer), over);
        assert_eq!(election.next(over), Next::Wait(over + seconds(60)));
        // What it says makes no sense, so ours counts.
        let mut senseless = stored(Some("other"), "4");
        senseless.spec.as_mut().unwrap().lease_duration_seconds = Some(-1);
        election.saw(Some(senseless), over);
        assert_eq!(election.next(over), Next::Wait(over + seconds(15)));
    }

    #[test]
    fn a_released_lease_is_claimed_at_once() {
        let now = Instant::now();
        let mut election = standby(Some(stored(Some("other"), "1")), now);
        election.saw(Some(stored(None, "2")), now + seconds(1));
        assert_eq!(election.next(now + seconds(1)), Next::Claim);
    }

    #[test]
    fn a_leader_renews_long_before_its_end_and_counts_itself_out_before_another_may_lead() {
        let now = Instant::now();
        let mut election = leader(now);
        let (due, end) = (now + seconds(3), now + seconds(10));
        assert_eq!(election.leads_until(), Some(end));
        assert_eq!(election.next(now), Next::Wait(due));
        assert_eq!(election.next(due), Next::Claim);
        assert_eq!(election.next(end - seconds(1)), Next::Claim);
        assert_eq!(election.next(end), Next::Lost);
        // A renewal counts from when it began, however late its answer comes.
        election.wrote(stored(Some("us"), "2"), due);
        assert_eq!(election.leads_until(), Some(due + seconds(10)));
        assert_eq!(election.next(due + seconds(10)), Next::Lost);
    }

    #[test]
    fn attempts_that_fail_are_repeated_soon_and_never_past_the_end() {
        let now = Instant::now();
        let mut election = leader(now);
        let due = now + seconds(3);
        assert_eq!(election.patience(due), seconds(3));
        election.failed(due);
        assert_eq!(election.next(due), Next::Wait(due + seconds(1)));
        assert_eq!(election.next(due + seconds(1)), Next::Claim);
        assert_eq!(election.patience(now + seconds(9)), seconds(1));
        assert_eq!(election.patience(now + seconds(11)), Duration::ZERO);
        election.failed(now + seconds(9));
        assert_eq!(election.next(now + seconds(10)), Next::Lost);
    }

    #[test]
    fn a_claim_that_is_refused_leads_to_a_look() {
        let now = Instant::now();
        let mut election = leader(now);
        election.refused();
        assert_eq!(election.next(now), Next::Read);
        // Somebody has only labelled it: it is ours still.
        election.saw(Some(stored(Some("us"), "3")), now);
        assert_eq!(election.next(now), Next::Wait(now + seconds(3)));
        // Somebody has deleted or emptied it.
        for lease in [None, Some(stored(None, "4"))] {
            election.saw(lease, now);
            assert_eq!(election.next(now), Next::Claim);
        }
        election.saw(Some(stored(Some("other"), "5")), now);
        assert_eq!(election.next(now), Next::Lost);
    }

    #[test]
    fn a_claim_whose_answer_was_lost_is_found() {
        let now = Instant::now();
        let mut election = standby(None, now);
        election.failed(now);
        election.refused();
        let later = now + seconds(1);
        assert_eq!(election.next(later), Next::Read);
        election.saw(Some(stored(Some("us"), "1")), later);
        // It leads only once it has written in time: who knows how old what it found is.
        assert_eq!(election.leads_until(), None);
        assert_eq!(election.next(later), Next::Claim);
    }

    #[test]
    fn what_is_written_changes_only_what_it_must() {
        let now = Instant::now();
        let (first, later) = (Timestamp::UNIX_EPOCH, Timestamp::from_second(60).unwrap());
        let mut lease = stored(Some("other"), "7");
        lease.metadata.labels = Some([("contoso".to_owned(), "kept".to_owned())].into());
        let mut election = standby(Some(lease), now);
        assert_eq!(election.release(first), None, "it is another's");

        let claim = election.claim(first);
        assert_eq!(claim.metadata.resource_version.as_deref(), Some("7"));
        assert!(claim.metadata.labels.is_some());
        let spec = claim.spec.clone().unwrap();
        assert_eq!(spec.holder_identity.as_deref(), Some("us"));
        assert_eq!(spec.lease_transitions, Some(5));
        assert_eq!(spec.lease_duration_seconds, Some(15));
        assert_eq!(spec.acquire_time, Some(MicroTime(first)));

        election.wrote(claim, now);
        let renewed = election.claim(later).spec.unwrap();
        assert_eq!(renewed.renew_time, Some(MicroTime(later)));
        assert_eq!(renewed.acquire_time, Some(MicroTime(first)));
        assert_eq!(renewed.lease_transitions, Some(5));

        let released = election.release(later).unwrap();
        assert_eq!(released.metadata.resource_version.as_deref(), Some("7"));
        assert_eq!(released.spec.unwrap().holder_identity, None);
    }
}
