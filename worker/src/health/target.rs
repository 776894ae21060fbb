//! What is known of one target, and the breaker with the times that people want to see of it.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use super::breaker::{Breaker, Change, Standing};
use super::recent::Recent;

const SAMPLES: usize = 32;

/// One target. Samples are microseconds, 0 is none; a torn update loses a sample, nothing else.
#[derive(Default)]
pub(super) struct TargetHealth {
    samples: [AtomicU32; SAMPLES],
    next: AtomicU32,
    succeeded_at_ms: AtomicU64,
    pub(super) recent: Recent,
    pub(super) rest: Rest,
}

/// A breaker, how often it has opened and when.
#[derive(Default)]
pub(super) struct Rest {
    pub(super) breaker: Breaker,
    openings: AtomicU64,
    opened_at_ms: AtomicU64,
}

impl TargetHealth {
    /// It began to answer before `now`; the head came after `took`.
    pub(super) fn measured(&self, now: u64, took: Duration) {
        let micros = u32::try_from(took.as_micros()).unwrap_or(u32::MAX).max(1);
        let at = usize::try_from(self.next.fetch_add(1, Ordering::Relaxed)).unwrap_or(0) % SAMPLES;
        if let Some(slot) = self.samples.get(at) {
            slot.store(micros, Ordering::Relaxed);
        }
        self.succeeded_at_ms.store(now, Ordering::Relaxed);
    }

    /// An answer was whole at `now`.
    pub(super) fn succeeded(&self, now: u64) -> Change {
        self.recent.note(now, true);
        self.rest.breaker.succeeded()
    }

    /// It failed at `now`.
    pub(super) fn failed(&self, now: u64) -> Change {
        self.recent.note(now, false);
        self.rest.noted(self.rest.breaker.failed(now), now)
    }

    /// How long before `now` it has answered last, in milliseconds.
    pub(super) fn succeeded_ago(&self, now: u64) -> u64 {
        now.saturating_sub(self.succeeded_at_ms.load(Ordering::Relaxed))
    }

    /// Median microseconds to the head of the last answers; none where there was none.
    pub(super) fn median_us(&self) -> Option<u32> {
        let mut samples = [0_u32; SAMPLES];
        let mut count = 0;
        for micros in self.samples.iter().map(|slot| slot.load(Ordering::Relaxed)).filter(|micros| *micros > 0) {
            if let Some(slot) = samples.get_mut(count) {
                *slot = micros;
                count += 1;
            }
        }
        let measured = samples.get_mut(..count)?;
        measured.sort_unstable();
        measured.get(count / 2).copied()
    }
}

impl Rest {
    /// Remembers what a breaker's change at `now` was.
    pub(super) fn noted(&self, change: Change, now: u64) -> Change {
        if change == Change::Opened {
            self.openings.fetch_add(1, Ordering::Relaxed);
            self.opened_at_ms.store(now, Ordering::Relaxed);
        }
        change
    }

    /// How often it has opened.
    pub(super) fn openings(&self) -> u64 {
        self.openings.load(Ordering::Relaxed)
    }

    /// How long before `now` it opened, in milliseconds; none while it is closed.
    pub(super) fn opened_ago(&self, now: u64) -> Option<u64> {
        let opened = self.breaker.standing(now) != Standing::Closed;
        opened.then(|| now.saturating_sub(self.opened_at_ms.load(Ordering::Relaxed)))
    }
}
