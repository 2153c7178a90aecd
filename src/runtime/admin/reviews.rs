//! Whether the bearer of a token may read the metrics, as the API server says.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use k8s_openapi::api::{
    authentication::v1::{TokenReview, TokenReviewSpec, UserInfo},
    authorization::v1::{NonResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec},
};
use kube::{Api, Client, api::PostParams};
use sha2::{Digest, Sha256};

/// How long an answer is good: most scrapes ask nobody, and a right that was taken away ends soon.
const GOOD_FOR: Duration = Duration::from_mins(1);

/// How many answers are kept.
const MOST_KEPT: usize = 64;

/// How long the API server may take. Its client would try for minutes.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the API server says of a token. The order is that in which answers are forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// It is nobody's.
    Unknown,
    /// It is of somebody who may not read the metrics.
    Refused,
    /// Its bearer may read them.
    Granted,
}

/// Asks the API server, and keeps its answers for a minute.
pub struct Reviews {
    client: Client,
    kept: Mutex<Kept>,
    /// One token is asked about at a time: bad ones cost the API server little, and never an operator its share.
    turn: tokio::sync::Mutex<()>,
}

impl Reviews {
    /// Reviews by this client, whose identity must be allowed to create both kinds of them.
    pub fn new(client: Client) -> Self {
        Self {
            client,
            kept: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// What holds for this token.
    ///
    /// # Errors
    /// When the API server does not say it in five seconds.
    pub async fn verdict(&self, token: &str) -> anyhow::Result<Verdict> {
        let key = Sha256::digest(token).into();
        if let Some(verdict) = self.kept().get(&key, Instant::now()) {
            return Ok(verdict);
        }
        let _turn = self.turn.lock().await;
        // Whoever had the turn before may have asked about the same token.
        if let Some(verdict) = self.kept().get(&key, Instant::now()) {
            return Ok(verdict);
        }
        let verdict = tokio::time::timeout(PATIENCE, self.ask(token)).await??;
        self.kept().put(key, verdict, Instant::now());
        Ok(verdict)
    }

    async fn ask(&self, token: &str) -> kube::Result<Verdict> {
        let Some(user) = self.bearer(token).await? else {
            return Ok(Verdict::Unknown);
        };
        Ok(if self.may_read(user).await? {
            Verdict::Granted
        } else {
            Verdict::Refused
        })
    }

    async fn bearer(&self, token: &str) -> kube::Result<Option<UserInfo>> {
        let review = TokenReview {
            spec: TokenReviewSpec {
                token: Some(token.to_owned()),
                ..TokenReviewSpec::default()
            },
            ..TokenReview::default()
        };
        let reviews = Api::all(self.client.clone());
        let review: TokenReview = reviews.create(&PostParams::default(), &review).await?;
        let status = review.status.unwrap_or_default();
        let authenticated = status.authenticated == Some(true);
        Ok(status.user.filter(|_| authenticated))
    }

    async fn may_read(&self, user: UserInfo) -> kube::Result<bool> {
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                user: user.username,
                uid: user.uid,
                groups: user.groups,
                extra: user.extra,
                non_resource_attributes: Some(NonResourceAttributes {
                    path: Some("/metrics".into()),
                    verb: Some("get".into()),
                }),
                ..SubjectAccessReviewSpec::default()
            },
            ..SubjectAccessReview::default()
        };
        let reviews = Api::all(self.client.clone());
        let review: SubjectAccessReview = reviews.create(&PostParams::default(), &review).await?;
        Ok(review.status.is_some_and(|status| status.allowed))
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The SHA-256 of a token: what is kept lets nobody in.
type Key = [u8; 32];

/// The latest answers.
#[derive(Default)]
struct Kept(HashMap<Key, (Verdict, Instant)>);

impl Kept {
    fn get(&self, key: &Key, now: Instant) -> Option<Verdict> {
        let (verdict, until) = self.0.get(key)?;
        (now < *until).then_some(*verdict)
    }

    /// Where there is no room, what has run out goes first, then what refuses: bad tokens do not displace good ones.
    fn put(&mut self, key: Key, verdict: Verdict, now: Instant) {
        self.0.retain(|_, (_, until)| now < *until);
        if self.0.len() >= MOST_KEPT
            && let Some(least) = self.least()
        {
            self.0.remove(&least);
        }
        self.0.insert(key, (verdict, now + GOOD_FOR));
    }

    fn least(&self) -> Option<Key> {
        let least = self.0.iter().min_by_key(|(_, kept)| **kept);
        least.map(|(key, _)| *key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> Key {
        Sha256::digest(number.to_string()).into()
    }

    #[test]
    fn an_answer_is_good_for_a_minute() {
        let (mut kept, now) = (Kept::default(), Instant::now());
        kept.put(key(1), Verdict::Granted, now);
        let last = now + GOOD_FOR - Duration::from_nanos(1);
        assert_eq!(kept.get(&key(1), last), Some(Verdict::Granted));
        assert_eq!(kept.get(&key(1), now + GOOD_FOR), None);
        assert_eq!(kept.get(&key(2), now), None);
    }

    #[test]
    fn many_bad_tokens_displace_each_other_and_no_good_one() {
        let (mut kept, now) = (Kept::default(), Instant::now());
        kept.put(key(0), Verdict::Granted, now);
        for number in 1..=MOST_KEPT {
            let later = now + Duration::from_millis(number as u64);
            kept.put(key(number), Verdict::Unknown, later);
        }
        assert_eq!(kept.0.len(), MOST_KEPT);
        assert_eq!(kept.get(&key(0), now), Some(Verdict::Granted));
        assert_eq!(kept.get(&key(1), now), None);
        assert_eq!(kept.get(&key(2), now), Some(Verdict::Unknown));
    }

    #[test]
    fn good_tokens_are_bounded_too() {
        let (mut kept, now) = (Kept::default(), Instant::now());
        for number in 0..=MOST_KEPT {
            kept.put(key(number), Verdict::Granted, now);
        }
        assert_eq!(kept.0.len(), MOST_KEPT);
    }
}
