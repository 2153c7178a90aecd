//! The moods of the double.

use std::collections::BTreeSet;

/// One way in which a live service differs from a tidy one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Oddity {
    /// Fields that no client knows, in every record.
    ExtraFields,
    /// `state` is a number in every other answer.
    NumericStates,
    /// Ids change their casing from call to call.
    Casing,
    /// Byte order marks, charsets, and bodies in pieces.
    Encodings,
    /// A sign-in page with status 200 on a read, now and then.
    SignInPages,
    /// 429 with a Retry-After in seconds or as a date, now and then; also on the first solution that is applied.
    Throttling,
    /// 503, now and then.
    Unavailable,
    /// Tokens end early: in between, right before the first stop, right before the reset, and with it.
    ExpiredTokens,
    /// Start answers an object, a bare id, or nothing, in turns.
    StartAnswers,
    /// Status is behind the truth, and the list of maps is behind the status.
    Lag,
    /// The reset takes seconds to answer, then the link shows its old destination, then nothing, then the new one.
    SlowReset,
    /// The connection is cut after the reset has taken effect.
    LostReset,
    /// Maps come back one after the other, the list of one solution behind its completed request.
    GradualMaps,
    /// A gateway gives up on the reset, which has taken effect.
    GatewayTimeout,
    /// For a while the new connection set is shown by the link and known to nobody else.
    NotReady,
    /// A solution brings a map twice, with different ids; only one of them can run.
    Twins,
    /// The first start of a map fails, the second does not.
    FailedStart,
    /// A sign-in page with status 200 instead of the first start.
    SignInOnStart,
    /// The last map of a solution is listed long after the request has completed.
    LateMaps,
    /// A map comes back with an older version active.
    OlderVersion,
    /// A map is listed twice.
    Duplicate,
    /// A map is in a state that nobody has heard of.
    UnknownState,
    /// A started map passes through the states of an initial sync.
    InitialStates,
    /// The list of environments comes in two pages.
    Pages,
    /// A table that no map brings has no schema, and takes no key.
    MissingSchemas,
}

/// Which of them are on.
#[derive(Clone, Debug)]
pub struct Oddities(BTreeSet<Oddity>);

impl Oddities {
    /// All but what is a disaster (a lost answer of a reset) and what takes long (a sign-in page for a start).
    pub fn usual() -> Self {
        use Oddity as O;
        Self(BTreeSet::from([
            O::ExtraFields,
            O::NumericStates,
            O::Casing,
            O::Encodings,
            O::SignInPages,
            O::Throttling,
            O::Unavailable,
            O::ExpiredTokens,
            O::StartAnswers,
            O::Lag,
            O::SlowReset,
            O::GradualMaps,
            O::OlderVersion,
            O::Duplicate,
            O::UnknownState,
            O::InitialStates,
            O::Pages,
            O::MissingSchemas,
            O::NotReady,
            O::LateMaps,
            O::Twins,
            O::FailedStart,
        ]))
    }

    /// With one more.
    pub fn with(mut self, oddity: Oddity) -> Self {
        self.0.insert(oddity);
        self
    }

    /// Without one.
    pub fn without(mut self, oddity: Oddity) -> Self {
        self.0.remove(&oddity);
        self
    }

    pub fn has(&self, oddity: Oddity) -> bool {
        self.0.contains(&oddity)
    }
}
