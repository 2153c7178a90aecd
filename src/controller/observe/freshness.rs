//! How old a read may be.

use jiff::Timestamp;

use crate::{
    api::{
        DualWriteConnectionStatus,
        conditions::{self, ConditionType, Status},
    },
    plan::desired::Desired,
};

/// How many intervals a slow read is good for once everything is ready.
const SLOW: u32 = 6;

/// How fresh reads must be.
#[derive(Clone, Copy, Debug)]
pub struct Freshness {
    /// Shared lists must have been begun at this time or later.
    pub lists: Timestamp,
    /// Slow reads must have been made at this time or later.
    pub slow: Timestamp,
}

impl Freshness {
    /// Everything anew while something is unsettled or asked for; otherwise lists once an interval.
    pub fn of(desired: &Desired, memory: &DualWriteConnectionStatus, now: Timestamp) -> Self {
        let ready = conditions::is(&memory.conditions, ConditionType::Ready, Status::True);
        let asked = memory.last_handled_reconcile_at != desired.reconcile_at;
        let new = memory.observed_generation != Some(desired.generation);
        if !ready || asked || new || memory.settling.is_some() || memory.failure.is_some() {
            return Self {
                lists: now,
                slow: now,
            };
        }
        let ago = |duration| now.checked_sub(duration).unwrap_or(Timestamp::MIN);
        Self {
            lists: ago(desired.interval),
            slow: ago(desired.interval * SLOW),
        }
    }
}
