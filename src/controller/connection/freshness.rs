//! How old a read may be.

use jiff::Timestamp;

use dualwrite_api::{
    DualWriteConnectionStatus,
    conditions::{self, ConditionType, Status},
};
use dualwrite_plan::desired::Desired;

/// How many intervals a slow read is good for once everything is ready.
const SLOW: u32 = 6;

/// How fresh reads must be.
#[derive(Clone, Copy, Debug)]
pub struct Freshness {
    /// Shared lists must have been begun at this time or later.
    pub lists: Timestamp,
    /// Slow reads must have been made at this time or later.
    pub slow: Timestamp,
    /// What the checks before a link look at must have been read at this time or later: once an interval while there is no
    /// link, and slowly once there is one.
    pub preflight: Timestamp,
}

impl Freshness {
    /// Everything anew while something is unsettled or asked for; otherwise lists once an interval.
    pub fn of(desired: &Desired, memory: &DualWriteConnectionStatus, now: Timestamp) -> Self {
        let ready = conditions::is(&memory.conditions, ConditionType::Ready, Status::True);
        let asked = memory.last_handled_reconcile_at != desired.reconcile_at;
        let new = memory.observed_generation != Some(desired.generation);
        let ago = |duration| now.checked_sub(duration).unwrap_or(Timestamp::MIN);
        let preflight = match (asked || new, memory.observed.link.is_some()) {
            (true, _) => now,
            (false, false) => ago(desired.interval),
            (false, true) => ago(desired.interval * SLOW),
        };
        if !ready || asked || new || memory.settling.is_some() || memory.failure.is_some() {
            return Self {
                lists: now,
                slow: now,
                preflight,
            };
        }
        Self {
            lists: ago(desired.interval),
            slow: ago(desired.interval * SLOW),
            preflight,
        }
    }
}
