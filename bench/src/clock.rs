//! The one place of this crate that reads a clock: everything measured is a difference of two of these.

use std::time::{Duration, Instant};

/// The monotonic time now.
#[expect(clippy::disallowed_methods, reason = "measuring time is what this crate is for")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The time that has passed since `moment`.
pub(crate) fn since(moment: Instant) -> Duration {
    now().saturating_duration_since(moment)
}

/// Waits until `moment`; returns at once when it has passed.
pub(crate) fn sleep_until(moment: Instant) {
    std::thread::sleep(moment.saturating_duration_since(now()));
}

/// Asks `found` again and again until it answers, for at most `limit`.
pub(crate) fn poll<T>(limit: Duration, every: Duration, mut found: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = now() + limit;
    loop {
        if let Some(value) = found() {
            return Some(value);
        }
        if now() >= deadline {
            return None;
        }
        std::thread::sleep(every);
    }
}
