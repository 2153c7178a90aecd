//! `Retry-After`, in both of its forms.

use std::time::Duration;

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};
use jiff::Timestamp;

const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_hours(1);

/// How long the service asks to be left alone; between one second and one hour.
///
/// A date is relative to the answer's own `Date`: the clocks of the two sides need not agree. Without a `Date`
/// (or with one that cannot be read) a date says nothing that can be trusted, and the shortest wait is taken.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match value.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) => LONGEST,
        Err(_) => {
            let until = http_date(value)?;
            let sent = headers
                .get(DATE)
                .and_then(|date| http_date(date.to_str().ok()?));
            sent.map_or(Duration::ZERO, |sent| {
                Duration::try_from(until.duration_since(sent)).unwrap_or_default()
            })
        }
    };
    Some(wait.clamp(SHORTEST, LONGEST))
}

/// A date of HTTP, in the form of today or in one of the two that are obsolete and must be read [D RFC 9110, 5.6.7].
fn http_date(text: &str) -> Option<Timestamp> {
    Timestamp::try_from(httpdate::parse_http_date(text.trim()).ok()?).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read_and_clamped() {
        let now = "Mon, 23 Nov 2026 10:00:00 GMT";
        for (value, date, seconds) in [
            ("7", None, Some(7)),
            ("0", None, Some(1)),
            ("99999", None, Some(3600)),
            ("99999999999999999999999999", None, Some(3600)),
            ("Mon, 23 Nov 2026 10:01:30 GMT", Some(now), Some(90)),
            ("Monday, 23-Nov-26 10:01:30 GMT", Some(now), Some(90)),
            ("Mon Nov 23 10:01:30 2026", Some(now), Some(90)),
            ("Mon, 23 Nov 2026 09:00:00 GMT", Some(now), Some(1)),
            ("Mon, 23 Nov 2026 19:00:00 GMT", Some(now), Some(3600)),
            ("Mon, 23 Nov 2099 10:01:30 GMT", None, Some(1)),
            ("soon", Some(now), None),
            ("-5", Some(now), None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, value.parse().unwrap());
            if let Some(date) = date {
                headers.insert(DATE, date.parse().unwrap());
            }
            assert_eq!(
                retry_after(&headers),
                seconds.map(Duration::from_secs),
                "{value}"
            );
        }
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
