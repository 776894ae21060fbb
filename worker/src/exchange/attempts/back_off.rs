//! How long to wait before the same target is asked again.
//!
//! Behaviour: where a route names a target that has just failed as its next attempt, the worker waits first: a random time of up to a quarter
//! of a second, twice that for each further time, four seconds at most; or as long as the provider's `Retry-After` says. A target that
//! wants more patience than [`PATIENCE`] or than the request has time is not asked again. Another target is asked at once.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use http::{HeaderName, HeaderValue};

use crate::clock;

/// The longest that a caller is kept waiting for the same target.
const PATIENCE: Duration = Duration::from_secs(20);
const FIRST_MS: u64 = 250;
const LONGEST_MS: u64 = 4_000;

/// Waits before the attempt after `again` waits; false at once where it takes too long.
pub(super) async fn wait(again: u32, retry_after: Option<Duration>, deadline: Option<Instant>) -> bool {
    let chance = rand::random::<f64>();
    let pause = pause(again, retry_after, chance);
    let left = deadline.map_or(PATIENCE, |deadline| deadline.saturating_duration_since(clock::instant()).min(PATIENCE));
    if pause >= left {
        return false;
    }
    pingora_timeout::sleep(pause).await;
    true
}

/// `chance` is from 0 to 1 and spreads those who failed together.
fn pause(again: u32, retry_after: Option<Duration>, chance: f64) -> Duration {
    let longest = Duration::from_millis(FIRST_MS.checked_shl(again).unwrap_or(LONGEST_MS).min(LONGEST_MS));
    let spread = longest.mul_f64(chance.clamp(0.0, 1.0));
    // Never before the provider's time; a little after it, so that not all come at once.
    retry_after.map_or(spread, |wanted| wanted.saturating_add(spread / 4))
}

/// What the provider asked for: `retry-after-ms`, or `Retry-After` in seconds or as a date.
pub(super) fn retry_after(headers: &[(HeaderName, HeaderValue)], now: DateTime<Utc>) -> Option<Duration> {
    let text = |wanted: &str| {
        let (_, value) = headers.iter().find(|(name, _)| name.as_str() == wanted)?;
        value.to_str().ok().map(str::trim)
    };
    if let Some(ms) = text("retry-after-ms").and_then(|text| text.parse().ok()) {
        return Some(Duration::from_millis(ms));
    }
    let text = text("retry-after")?;
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = DateTime::parse_from_rfc2822(text).ok()?;
    (at.with_timezone(&Utc) - now).to_std().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_a_limit_and_are_spread() {
        let ms = |again, chance| pause(again, None, chance).as_millis();
        assert_eq!([ms(0, 1.0), ms(1, 1.0), ms(2, 1.0), ms(9, 1.0), ms(99, 1.0)], [250, 500, 1_000, 4_000, 4_000]);
        assert_eq!([ms(2, 0.0), ms(2, 0.5)], [0, 500]);
    }

    #[test]
    fn the_providers_word_counts_and_is_never_undercut() {
        let wanted = Some(Duration::from_secs(3));
        assert_eq!(pause(0, wanted, 0.0), Duration::from_secs(3));
        assert!(pause(0, wanted, 1.0) > Duration::from_secs(3));
    }

    #[test]
    fn retry_after_is_read_in_every_form() {
        let now = "2026-11-22T10:00:00Z".parse().expect("a time");
        for (name, value, ms) in [
            ("retry-after", "2", Some(2_000)),
            ("retry-after-ms", "150", Some(150)),
            ("retry-after", "Sun, 22 Nov 2026 10:00:05 GMT", Some(5_000)),
            ("retry-after", "Sun, 22 Nov 2026 09:00:00 GMT", None),
            ("retry-after", "soon", None),
            ("x-request-id", "7", None),
        ] {
            let headers = [(HeaderName::from_static(name), HeaderValue::from_static(value))];
            assert_eq!(retry_after(&headers, now), ms.map(Duration::from_millis), "{name}: {value}");
        }
    }
}
