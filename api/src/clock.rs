//! The one place of the control plane that reads the time.
//!
//! Promises: every instant is UTC and cut to microseconds, the precision that both databases keep, so that a value read back equals
//! the one written. A fixed clock stands still until it is moved, for tests.
//!
//! Leaves out: waiting. Timers are tokio's.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

/// Says what time it is.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    /// Microseconds since 1970 of a clock that stands; none for the system's.
    fixed: Option<Arc<AtomicI64>>,
}

impl Clock {
    /// The system's clock.
    #[must_use]
    pub const fn system() -> Self {
        Self { fixed: None }
    }

    /// A clock that stands at `at`; its clones stand and move together.
    #[must_use]
    pub fn fixed(at: DateTime<Utc>) -> Self {
        Self { fixed: Some(Arc::new(AtomicI64::new(at.timestamp_micros()))) }
    }

    /// Now, in whole microseconds.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        match &self.fixed {
            Some(micros) => DateTime::from_timestamp_micros(micros.load(Ordering::SeqCst)).unwrap_or(DateTime::UNIX_EPOCH),
            None => system_now().trunc_subsecs(6),
        }
    }

    /// Moves a fixed clock; the system's clock can't be moved and stays as it is.
    pub fn advance(&self, by: TimeDelta) {
        if let Some(micros) = &self.fixed {
            micros.fetch_add(by.num_microseconds().unwrap_or(0), Ordering::SeqCst);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the clock that everything else is told to take")]
fn system_now() -> DateTime<Utc> {
    Utc::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_clock_moves_only_when_told_and_with_its_clones() {
        let clock = Clock::fixed("2026-11-22T10:00:00Z".parse().unwrap());
        let other = clock.clone();
        let before = clock.now();
        other.advance(TimeDelta::milliseconds(1500));
        assert_eq!(clock.now() - before, TimeDelta::milliseconds(1500));
    }

    #[test]
    fn the_system_clock_gives_whole_microseconds() {
        assert_eq!(Clock::system().now().timestamp_subsec_nanos() % 1000, 0);
    }
}
