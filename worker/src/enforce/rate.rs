//! Requests per minute, by GCRA: one number a key, no lock, no timer.
//!
//! The number is the theoretical arrival time: when the bucket would be empty again. A burst of a whole minute's requests is let through,
//! after that one for each that has trickled out. The limit is the fleet's; this worker enforces its share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::clock;

const MINUTE: u64 = 60_000_000_000;

/// How a request stands against its key's rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rate {
    /// Let through; so many more would be right now.
    Within {
        /// Requests left at this instant.
        remaining: u64,
    },
    /// Refused.
    Exceeded {
        /// Milliseconds until one would be let through.
        retry_after_ms: u64,
    },
}

/// Arrival times by key id.
pub(crate) struct RateLimits {
    arrivals: papaya::HashMap<Arc<str>, AtomicU64>,
    epoch: Instant,
}

impl RateLimits {
    pub(crate) fn new() -> Self {
        Self { arrivals: papaya::HashMap::new(), epoch: clock::instant() }
    }

    /// Counts one request of `key` at `now` against `rpm`, of which this is one of `workers` that share it.
    pub(crate) fn count(&self, key: &Arc<str>, rpm: u32, workers: u32, now: Instant) -> Rate {
        let now = u64::try_from(now.saturating_duration_since(self.epoch).as_nanos()).unwrap_or(u64::MAX / 4);
        let share = u64::from(rpm).div_ceil(u64::from(workers.max(1)));
        let arrivals = self.arrivals.pin();
        let slot = match arrivals.get(key) {
            Some(slot) => slot,
            None => arrivals.get_or_insert_with(Arc::clone(key), AtomicU64::default),
        };
        count_at(slot, share, now)
    }
}

fn count_at(slot: &AtomicU64, share: u64, now: u64) -> Rate {
    let Some(interval) = MINUTE.checked_div(share) else { return Rate::Exceeded { retry_after_ms: 60_000 } };
    let mut arrival = slot.load(Ordering::Relaxed);
    loop {
        let next = arrival.max(now).saturating_add(interval);
        let ahead = next.saturating_sub(now);
        if ahead > MINUTE {
            return Rate::Exceeded { retry_after_ms: ahead.saturating_sub(MINUTE).div_ceil(1_000_000) };
        }
        match slot.compare_exchange_weak(arrival, next, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return Rate::Within { remaining: MINUTE.saturating_sub(ahead).checked_div(interval).unwrap_or(0) },
            Err(changed) => arrival = changed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_minutes_worth_passes_at_once_and_the_next_has_to_wait() {
        let slot = AtomicU64::new(0);
        for left in (0..5).rev() {
            assert_eq!(count_at(&slot, 5, SECOND), Rate::Within { remaining: left });
        }
        assert_eq!(count_at(&slot, 5, SECOND), Rate::Exceeded { retry_after_ms: 12_000 });
        assert_eq!(count_at(&slot, 5, 13 * SECOND), Rate::Within { remaining: 0 });
    }

    #[test]
    fn a_refused_request_does_not_push_the_limit_further_away() {
        let slot = AtomicU64::new(0);
        assert_eq!(count_at(&slot, 1, 0), Rate::Within { remaining: 0 });
        for _ in 0..100 {
            assert!(matches!(count_at(&slot, 1, SECOND), Rate::Exceeded { .. }));
        }
        assert_eq!(count_at(&slot, 1, 60 * SECOND), Rate::Within { remaining: 0 });
    }

    #[test]
    fn no_requests_per_minute_means_none() {
        assert_eq!(count_at(&AtomicU64::new(0), 0, 0), Rate::Exceeded { retry_after_ms: 60_000 });
    }
}
