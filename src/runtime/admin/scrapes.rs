//! `/metrics`: for whom it is, and one answer at a time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::reviews::{Reviews, Verdict};
use crate::metrics::Metrics;

/// How long a scrape waits for another one to end.
const TURN: Duration = Duration::from_secs(2);

/// Whom the metrics are shown to.
pub enum Readers {
    /// Everybody who reaches the port.
    Anybody,
    /// Whoever has a token that Kubernetes lets read them.
    Allowed(Reviews),
}

struct Scrapes {
    metrics: Metrics,
    readers: Readers,
    /// Whether the last review failed, so that the log says it once.
    reviews_fail: AtomicBool,
    turn: Arc<Semaphore>,
}

/// `GET /metrics`.
pub fn routes(metrics: Metrics, readers: Readers) -> Router {
    let scrapes = Scrapes {
        metrics,
        readers,
        reviews_fail: AtomicBool::new(false),
        turn: Arc::new(Semaphore::new(1)),
    };
    Router::new()
        .route("/metrics", get(scrape))
        .with_state(Arc::new(scrapes))
}

async fn scrape(State(scrapes): State<Arc<Scrapes>>, headers: HeaderMap) -> Response {
    let answer = async {
        scrapes.admit(&headers).await?;
        scrapes.text().await
    };
    match answer.await {
        Ok(text) => (
            [(
                header::CONTENT_TYPE,
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
            )],
            Bytes::from_owner(text),
        )
            .into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

impl Scrapes {
    async fn admit(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let Readers::Allowed(reviews) = &self.readers else {
            return Ok(());
        };
        let token = bearer_token(headers).ok_or(Refusal::Unauthenticated)?;
        let verdict = reviews.verdict(token).await;
        self.note(verdict.as_ref().err());
        match verdict.map_err(|_| Refusal::Failed)? {
            Verdict::Granted => Ok(()),
            Verdict::Refused => Err(Refusal::Forbidden),
            Verdict::Unknown => Err(Refusal::Unauthenticated),
        }
    }

    fn note(&self, error: Option<&anyhow::Error>) {
        let failed_before = self.reviews_fail.swap(error.is_some(), Ordering::Relaxed);
        if let Some(error) = error
            && !failed_before
        {
            tracing::warn!(
                error = %format_args!("{error:#}"),
                "the API server does not say who may read /metrics; the operator must be allowed to create tokenreviews \
                 and subjectaccessreviews"
            );
        }
    }

    async fn text(&self) -> Result<Text, Refusal> {
        let turn = Arc::clone(&self.turn).acquire_owned();
        let turn = tokio::time::timeout(TURN, turn).await;
        let turn = turn.ok().and_then(Result::ok).ok_or(Refusal::Busy)?;
        let text = self.metrics.text().map_err(|_| Refusal::Failed)?;
        Ok(Text { text, _turn: turn })
    }
}

/// An answer, and the turn that ends when all of it is sent: there is one of them in memory, however slowly it is read.
struct Text {
    text: String,
    _turn: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Text {
    fn as_ref(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = text.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// Why a scrape gets no metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    Unauthenticated,
    Forbidden,
    Busy,
    Failed,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Unauthenticated => {
                let challenge = [(header::WWW_AUTHENTICATE, "Bearer")];
                (StatusCode::UNAUTHORIZED, challenge, "no valid bearer token").into_response()
            }
            Self::Forbidden => {
                let why = "the bearer may not get the non-resource URL /metrics";
                (StatusCode::FORBIDDEN, why).into_response()
            }
            Self::Busy => {
                let why = "another scrape is under way";
                (StatusCode::SERVICE_UNAVAILABLE, why).into_response()
            }
            Self::Failed => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anybodys() -> Arc<Scrapes> {
        Arc::new(Scrapes {
            metrics: Metrics::default(),
            readers: Readers::Anybody,
            reviews_fail: AtomicBool::new(false),
            turn: Arc::new(Semaphore::new(1)),
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_scrape_waits_for_the_one_before_and_not_for_long() {
        let scrapes = anybodys();
        let ask = || scrape(State(Arc::clone(&scrapes)), HeaderMap::new());
        let first = ask().await;
        assert_eq!(first.status(), StatusCode::OK);
        assert_eq!(ask().await.status(), StatusCode::SERVICE_UNAVAILABLE);
        let (second, ()) = tokio::join!(ask(), async { drop(first) });
        assert_eq!(second.status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn the_turn_lasts_while_the_text_is_held() {
        let scrapes = anybodys();
        let response = scrape(State(Arc::clone(&scrapes)), HeaderMap::new()).await;
        let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await;
        assert_eq!(scrapes.turn.available_permits(), 0);
        drop(bytes);
        assert_eq!(scrapes.turn.available_permits(), 1);
    }

    #[test]
    fn a_token_is_found_behind_the_scheme_only() {
        let token = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, text.parse().unwrap());
            bearer_token(&headers).map(str::to_owned)
        };
        assert_eq!(token("Bearer abc"), Some("abc".into()));
        assert_eq!(token("bearer  abc"), Some("abc".into()));
        for bad in ["Bearer ", "Bearer", "Basic abc", "abc", ""] {
            assert_eq!(token(bad), None, "{bad}");
        }
        assert_eq!(bearer_token(&HeaderMap::new()), None);
    }
}
