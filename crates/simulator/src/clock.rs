//! Simulated time: real time, scaled, plus what the control API added.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// The clock of the Microsoft side.
#[derive(Debug)]
pub(crate) struct Clock {
    base: Timestamp,
    started: Instant,
    scale: f64,
    advanced: Duration,
}

impl Clock {
    pub(crate) fn new(scale: f64) -> Self {
        Self {
            base: Timestamp::now(),
            started: Instant::now(),
            scale,
            advanced: Duration::ZERO,
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        let elapsed = self
            .started
            .elapsed()
            .as_secs_f64()
            .mul_add(self.scale, self.advanced.as_secs_f64());
        later(
            self.base,
            Duration::try_from_secs_f64(elapsed).unwrap_or(Duration::MAX),
        )
    }

    pub(crate) fn advance(&mut self, by: Duration) {
        self.advanced = self.advanced.saturating_add(by);
    }

    /// How long simulated time takes in real time.
    pub(crate) fn real(&self, simulated: Duration) -> Duration {
        simulated.div_f64(self.scale)
    }
}

/// `at + by`, at the end of time if that is too far.
pub(crate) fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// The share `numerator / denominator` of a duration.
pub(crate) fn share(of: Span, numerator: u32, denominator: u32) -> Duration {
    of.0.saturating_mul(numerator) / denominator.max(1)
}

/// A duration that is written like `25m` or `1h 30m`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Duration);

impl Span {
    pub(crate) const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(self.0))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_duration(&text).map(Self).map_err(|error| {
            D::Error::custom(format!("{text:?} is not a duration like 25m: {error}"))
        })
    }
}
