//! What checks of our own say of a provider: one breaker in front of those of all its models.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::breaker::{Change, Standing};
use super::target::Rest;

/// One provider that is checked.
#[derive(Default)]
pub(super) struct ProviderHealth {
    pub(super) rest: Rest,
    /// Whether the last check failed.
    down: AtomicBool,
    last: Mutex<Option<LastCheck>>,
}

/// What came of a check.
#[derive(Debug, Clone, Copy)]
pub(super) struct LastCheck {
    pub(super) outcome: &'static str,
    at_ms: u64,
}

impl LastCheck {
    /// How long before `now` it was, in milliseconds.
    pub(super) fn ago(&self, now: u64) -> u64 {
        now.saturating_sub(self.at_ms)
    }
}

impl ProviderHealth {
    /// A check failed at `now`; the next one will have spoken by `until`.
    pub(super) fn check_failed(&self, outcome: &'static str, now: u64, until: u64) -> Change {
        *self.last.lock() = Some(LastCheck { outcome, at_ms: now });
        self.down.store(true, Ordering::Relaxed);
        self.rest.noted(self.rest.breaker.hold(until), now)
    }

    /// A check was good at `now`. Answers whether the one before was not.
    pub(super) fn check_passed(&self, outcome: &'static str, now: u64) -> bool {
        *self.last.lock() = Some(LastCheck { outcome, at_ms: now });
        self.rest.breaker.wake(now);
        self.down.swap(false, Ordering::Relaxed)
    }

    /// The last check.
    pub(super) fn last(&self) -> Option<LastCheck> {
        *self.last.lock()
    }

    /// A request to one of its models failed: that is news only where it was to find out.
    pub(super) fn failed(&self, now: u64) {
        if self.rest.breaker.standing(now) != Standing::Closed {
            self.rest.breaker.failed(now);
        }
    }
}
