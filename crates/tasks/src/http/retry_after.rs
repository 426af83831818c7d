//! When a server wants to be asked again.

use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, RETRY_AFTER};

/// The longest pause that a server may ask for.
const PAUSE_MAX: Duration = Duration::from_secs(86_400);

/// The pause of a `Retry-After` header (RFC 9110, 10.2.3): seconds, or a date.
pub(super) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let pause = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(now).unwrap_or_default(),
    };
    Some(pause.min(PAUSE_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pause(text: &str) -> Option<Duration> {
        // 1994-11-06 08:49:37 UTC, the date of the RFC's examples
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        retry_after(&HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]), now)
    }

    #[test]
    fn a_pause_is_seconds_or_a_date_and_never_longer_than_a_day() {
        assert_eq!(pause("120"), Some(Duration::from_secs(120)));
        assert_eq!(pause("Sun, 06 Nov 1994 08:49:40 GMT"), Some(Duration::from_secs(3)));
        assert_eq!(pause("Sun, 06 Nov 1994 08:49:30 GMT"), Some(Duration::ZERO));
        assert_eq!(pause("99999999999"), Some(PAUSE_MAX));
        assert_eq!(pause("soon"), None);
        assert_eq!(pause("-1"), None);
        assert_eq!(retry_after(&HeaderMap::new(), SystemTime::now()), None);
    }
}
